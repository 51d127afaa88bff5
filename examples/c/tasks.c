/* Stored tasks in C: lists them, opens the newest one again, switches its mode and closes it.
 *
 *   cc tasks.c -Iinclude -Ltarget/debug -llapce_ai -o tasks
 *   ./tasks settings-as-json mode /path/to/storage
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lapce_ai.h"

static lai_str str(const char *text) {
    lai_str view = {text, strlen(text)};
    return view;
}

/* Prints the error and ends the program when a call failed. */
static void check(lai_status status, lai_error *error, const char *what) {
    lai_str message = lai_error_message(error);
    if (status >= LAI_OK) return;
    fprintf(stderr, "%s failed (%" PRId32 "): %.*s\n", what, status, (int)message.len, message.len ? message.ptr : "");
    lai_error_free(error);
    exit(1);
}

/* The text between `before` and the next quote, as a copy: ids need no more of a JSON reader than this. NULL: not there. */
static char *between(lai_str json, const char *before) {
    size_t length = strlen(before), at, end;
    char *text;
    for (at = 0; at + length <= json.len && memcmp(json.ptr + at, before, length) != 0; at++) {}
    at += length;
    for (end = at; end < json.len && json.ptr[end] != '"'; end++) {}
    if (end >= json.len || (text = malloc(end - at + 1)) == NULL) return NULL;
    memcpy(text, json.ptr + at, end - at);
    text[end - at] = '\0';
    return text;
}

/* Waits for the answer to `request`. Gives the text that follows `wanted` in its result, and its session in `session`, if there. */
static char *answer(lai_client *client, uint64_t request, const char *wanted, uint64_t *session) {
    static const char number[] = "\"session\":";
    char *found = NULL;
    int over = 0;
    while (!over) {
        lai_event event;
        lai_error *error = NULL;
        lai_str text = {NULL, 0};
        size_t count = 0, at;
        check(lai_client_next(client, &event, 1, &count, &error), error, "events");
        if (count == 0) {
            check(lai_client_wait(client, -1, 0, &error), error, "wait");
            continue;
        }
        if (event.subject == request && event.kind == LAI_EVENT_REQUEST_FAILED) {
            lai_event_str(&event, LAI_FIELD_MESSAGE, &text);
            fprintf(stderr, "refused: %.*s\n", (int)text.len, text.len ? text.ptr : "");
            exit(1);
        }
        if (event.subject == request && event.kind == LAI_EVENT_REQUEST_DONE) {
            over = 1;
            check(lai_event_str(&event, LAI_FIELD_RESULT, &text), NULL, "result");
            if (wanted != NULL) found = between(text, wanted);
            for (at = 0; session != NULL && at + sizeof number < text.len; at++) {
                if (memcmp(text.ptr + at, number, sizeof number - 1) == 0) {
                    *session = strtoull(text.ptr + at + sizeof number - 1, NULL, 10);
                }
            }
        }
        check(lai_client_release(client, count, &error), error, "release");
    }
    return found;
}

int main(int argc, char **argv) {
    lai_engine_options options = {sizeof options, 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    lai_str none = {NULL, 0};
    lai_engine *engine = NULL;
    lai_client *client = NULL;
    lai_error *error = NULL;
    uint64_t request = 0, session = 0;
    char *task;

    if (argc != 4) {
        fprintf(stderr, "usage: %s settings mode storage\n", argv[0]);
        return 2;
    }
    options.settings = str(argv[1]);
    options.storage = str(argv[3]);
    check(lai_engine_new(&options, &engine, &error), error, "engine");
    check(lai_client_new(engine, NULL, &client, &error), error, "client");

    check(lai_task_list(client, none, 1, none, &request, &error), error, "list");
    task = answer(client, request, "\"id\":\"", NULL);
    if (task == NULL) {
        puts("no task is stored");
    } else {
        printf("newest: %s\n", task);
        check(lai_task_resume(client, str(task), none, none, &request, &error), error, "resume");
        free(answer(client, request, "\"task\":\"", &session));
        check(lai_task_set_mode(client, session, str(argv[2]), &request, &error), error, "mode");
        free(answer(client, request, NULL, NULL));
        printf("resumed in mode %s\n", argv[2]);
        check(lai_task_clear(client, session, &request, &error), error, "clear");
        free(answer(client, request, NULL, NULL));
        puts("closed");
        free(task);
    }
    check(lai_engine_close(engine, 2000, NULL, &error), error, "close");
    lai_client_free(client);
    lai_engine_free(engine);
    return 0;
}
