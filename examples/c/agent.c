/* An agent in C: starts a task, streams its text, shows tool calls, approves what is asked, ends with the result.
 *
 *   cc agent.c -Iinclude -Ltarget/debug -llapce_ai -o agent
 *   ./agent transcript.jsonl /path/to/workspace /path/to/storage
 *
 * With `--attach runtime-folder` in front, the engine runs in a process of its own, which is started if need be; should that
 * process die, the agent attaches to the next one and goes on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lapce_ai.h"

struct host {
    lai_client *client;
    uint64_t streamed; /* the last message that streamed */
    int outcome;       /* -1 while the task runs, then the exit status */
};

static lai_str str(const char *text) {
    lai_str view = {text, strlen(text)};
    return view;
}

static void print(lai_str text) { if (text.len > 0) fwrite(text.ptr, 1, text.len, stdout); }

static lai_str field(const lai_event *event, uint32_t number) {
    lai_str text = {NULL, 0};
    if (lai_event_str(event, number, &text) != LAI_OK) text.len = 0;
    return text;
}

static int is(lai_str text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
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

/* {"apiProvider":"replay","replayFile":"<path>"} */
static char *settings(const char *path) {
    static const char head[] = "{\"apiProvider\":\"replay\",\"replayFile\":\"", tail[] = "\"}";
    char *json = malloc(sizeof head + sizeof tail + 2 * strlen(path)), *to;
    if (json == NULL) exit(1);
    strcpy(json, head);
    to = json + strlen(head);
    for (; *path != '\0'; path++) {
        if (*path == '"' || *path == '\\') *to++ = '\\';
        *to++ = *path;
    }
    strcpy(to, tail);
    return json;
}

static void show(struct host *host, const lai_event *event) {
    lai_error *error = NULL;
    lai_str tool, none = {NULL, 0};
    switch (event->kind) {
    case LAI_EVENT_MESSAGE_BEGIN:
        host->streamed = event->subject;
        puts("");
        break;
    case LAI_EVENT_MESSAGE_DELTA:
    case LAI_EVENT_REASONING_DELTA:
    case LAI_EVENT_TOOL_OUTPUT:
        fwrite(event->data, 1, event->len, stdout);
        break;
    case LAI_EVENT_MESSAGE_END: /* one that did not stream comes whole */
        if (event->subject != host->streamed && is(field(event, LAI_FIELD_KIND), "text")) {
            print(field(event, LAI_FIELD_TEXT));
        }
        break;
    case LAI_EVENT_TOOL_BEGIN:
        printf("\n[");
        print(field(event, LAI_FIELD_TOOL));
        printf("] ");
        break;
    case LAI_EVENT_TOOL_END:
        print(field(event, LAI_FIELD_STATUS));
        break;
    case LAI_EVENT_ASK:
        if (is(field(event, LAI_FIELD_KIND), "completion_result")) break;
        if (is(field(event, LAI_FIELD_KIND), "api_req_failed")) host->outcome = 1;
        tool = field(event, LAI_FIELD_TOOL);
        printf("\n? ");
        print(tool.len ? tool : field(event, LAI_FIELD_TEXT));
        printf(" -> yes");
        check(lai_task_respond(host->client, event->subject, LAI_RESPONSE_YES, none, NULL, &error), error, "answer");
        break;
    case LAI_EVENT_TASK_COMPLETED:
        printf("\nresult: ");
        print(field(event, LAI_FIELD_RESULT));
        host->outcome = 0;
        break;
    case LAI_EVENT_REQUEST_FAILED: /* a stale answer came after the question had gone: no harm */
        if (is(field(event, LAI_FIELD_KIND), "stale")) break;
        print(field(event, LAI_FIELD_MESSAGE));
        host->outcome = 1;
        break;
    case LAI_EVENT_SESSION_STATE:
        if (is(field(event, LAI_FIELD_STATE), "failed")) host->outcome = 1;
        break;
    default: break; /* kinds of later versions */
    }
}

/* Attaches to the engine of this runtime folder; starts it when it does not run. */
static void attach(struct host *host, const char *folder, const char *storage, const char *json) {
    lai_attach_options options;
    lai_error *error = NULL;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.flags = LAI_ATTACH_START;
    options.name = str("agent.c");
    options.runtime_dir = str(folder);
    options.storage = str(storage);
    options.settings = str(json);
    check(lai_client_attach(&options, &host->client, &error), error, "attach");
}

/* Whether the engine's process died. Then the client is attached to the next one, and loses nothing unless the journal is. */
static int was_lost(struct host *host, lai_status status, lai_error **error) {
    bool restored = false;
    if (status != LAI_ERR_LOST) return 0;
    lai_error_free(*error);
    *error = NULL;
    check(lai_client_reattach(host->client, 10000, &restored, error), *error, "reattach");
    if (!restored) host->outcome = 1;
    return 1;
}

int main(int argc, char **argv) {
    lai_engine_options options = {sizeof options, 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    lai_task_options task;
    lai_engine *engine = NULL;
    lai_error *error = NULL;
    struct host host = {NULL, 0, -1};
    const char *folder = NULL;
    char *json;

    if (argc == 6 && strcmp(argv[1], "--attach") == 0) {
        folder = argv[2];
        argv += 2;
    } else if (argc != 4) {
        fprintf(stderr, "usage: %s [--attach runtime-folder] transcript workspace storage\n", argv[0]);
        return 2;
    }
    json = settings(argv[1]);
    if (folder != NULL) {
        attach(&host, folder, argv[3], json);
    } else {
        options.storage = str(argv[3]);
        options.settings = str(json);
        check(lai_engine_new(&options, &engine, &error), error, "engine");
        check(lai_client_new(engine, NULL, &host.client, &error), error, "client");
    }
    free(json);

    memset(&task, 0, sizeof task);
    task.struct_size = sizeof task;
    task.workspace = str(argv[2]);
    task.text = str("A test of this project fails. Find out why, repair the code, and run the tests.");
    check(lai_task_start(host.client, &task, NULL, &error), error, "task");

    while (host.outcome < 0) {
        lai_event events[64];
        size_t count = 0, at;
        lai_status status = lai_client_next(host.client, events, 64, &count, &error);
        if (status == LAI_OK && count == 0) status = lai_client_wait(host.client, -1, 0, &error);
        if (was_lost(&host, status, &error)) continue;
        check(status, error, "events");
        for (at = 0; at < count; at++) show(&host, &events[at]);
        check(lai_client_release(host.client, count, &error), error, "release");
    }
    if (engine != NULL) check(lai_engine_close(engine, 2000, NULL, &error), error, "close");
    lai_client_free(host.client);
    lai_engine_free(engine);
    return host.outcome;
}
