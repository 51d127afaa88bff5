/* One question to a model in C, without a task: the answer streams as it is written.
 *
 *   cc ask.c -Iinclude -Ltarget/debug -llapce_ai -o ask
 *   ./ask '{"apiProvider":"openai","openAiBaseUrl":"http://127.0.0.1:8080/v1","openAiModelId":"m"}' question /path/to/storage
 *
 * The first argument are the settings of any provider.
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
    lai_str place = lai_error_place(error), message = lai_error_message(error);
    if (status >= LAI_OK) return;
    fprintf(stderr, "%s failed (%" PRId32 "): %.*s %.*s\n", what, status, (int)place.len,
            place.len ? place.ptr : "", (int)message.len, message.len ? message.ptr : "");
    lai_error_free(error);
    exit(1);
}

/* A text field of an event; what follows it on its line. */
static void print(const lai_event *event, uint32_t number, const char *end) {
    lai_str text = {NULL, 0};
    if (lai_event_str(event, number, &text) == LAI_OK) printf("%.*s%s", (int)text.len, text.len ? text.ptr : "", end);
}

/* [{"role":"user","content":"<question>"}] */
static char *messages(const char *question) {
    static const char head[] = "[{\"role\":\"user\",\"content\":\"", tail[] = "\"}]";
    char *json = malloc(sizeof head + sizeof tail + 6 * strlen(question)), *to;
    if (json == NULL) exit(1);
    to = json + sprintf(json, "%s", head);
    for (; *question != '\0'; question++) {
        unsigned char byte = (unsigned char)*question;
        if (byte < 0x20 || byte == '"' || byte == '\\') to += sprintf(to, "\\u%04x", byte);
        else *to++ = (char)byte;
    }
    strcpy(to, tail);
    return json;
}

/* Whether the event ends the request; the exit status with it. */
static int show(const lai_event *event, int *outcome) {
    switch (event->kind) {
    case LAI_EVENT_MESSAGE_DELTA:
    case LAI_EVENT_REASONING_DELTA:
        fwrite(event->data, 1, event->len, stdout);
        fflush(stdout);
        return 0;
    case LAI_EVENT_REQUEST_DONE: /* {"tokens_in", "tokens_out", "cost"} */
        puts("");
        print(event, LAI_FIELD_RESULT, "\n");
        *outcome = 0;
        return 1;
    case LAI_EVENT_REQUEST_FAILED:
        print(event, LAI_FIELD_MESSAGE, "\n");
        return 1;
    default: return 0;
    }
}

int main(int argc, char **argv) {
    lai_engine_options options = {sizeof options, 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    lai_completion_options question;
    lai_engine *engine = NULL;
    lai_client *client = NULL;
    lai_error *error = NULL;
    char *json;
    int ended = 0, outcome = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: %s settings question storage\n", argv[0]);
        return 2;
    }
    options.settings = str(argv[1]);
    options.storage = str(argv[3]);
    check(lai_engine_new(&options, &engine, &error), error, "engine");
    check(lai_client_new(engine, NULL, &client, &error), error, "client");

    json = messages(argv[2]);
    memset(&question, 0, sizeof question);
    question.struct_size = sizeof question;
    question.messages = str(json);
    check(lai_completion_create(client, &question, NULL, &error), error, "question");
    free(json);

    while (!ended) {
        lai_event events[64];
        size_t count = 0, at;
        lai_status status = lai_client_next(client, events, 64, &count, &error);
        if (status == LAI_OK && count == 0) status = lai_client_wait(client, -1, 0, &error);
        check(status, error, "events");
        for (at = 0; at < count && !ended; at++) ended = show(&events[at], &outcome);
        check(lai_client_release(client, count, &error), error, "release");
    }
    check(lai_engine_close(engine, 2000, NULL, &error), error, "close");
    lai_client_free(client);
    lai_engine_free(engine);
    return outcome;
}
