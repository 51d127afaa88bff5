/* lapce-ai: an AI coding agent as a library. Generated from src/ffi: do not edit.
 *
 * Threads
 *   A lai_engine may be used from any thread at once. A lai_client may submit (lai_client_submit, lai_task_..., ...) from
 *   any thread at once; lai_client_next, _release and _wait belong to one thread at a time, a second one gets LAI_ERR_BUSY.
 *   The library calls nothing back: a host polls, or sleeps on lai_client_fd.
 *
 * Lifetimes
 *   What a ..._new function or a `T **` output gives is owned by the host and freed by the matching ..._free; all accept NULL.
 *   lai_engine and lai_client are handles: one that was freed, or never was one, is an error and not a crash.
 *   A lai_event and every lai_str taken from it are valid until lai_client_release gives the event back; a lai_str taken
 *   from a lai_error or lai_string until that is freed. What goes in is copied before the call returns.
 *   A client may outlive its engine: it reads what is left, then LAI_ERR_CLOSED.
 *
 * Calls
 *   Outputs are written only on LAI_OK. `error` may be NULL; on a negative status it becomes an object to free.
 *   Option structs begin with struct_size = sizeof(struct); zero everywhere else means default.
 *   Texts are UTF-8 with a length and need no terminating NUL; {NULL, 0} is an absent text.
 *   After fork the child must not use handles (LAI_ERR_FORKED). No function throws, longjmps, prints, or exits.
 *
 * A loop
 *   lai_engine_new, lai_client_new, lai_task_start; then: lai_client_next until it gives 0, lai_client_release, sleep
 *   on lai_client_fd or lai_client_wait. Answer `ask` events by lai_task_respond.
 *
 * An engine in its own process
 *   lai_client_attach instead of lai_engine_new and lai_client_new; the rest is the same. When it dies, lai_client_next and
 *   _wait give what was left and then LAI_ERR_LOST: lai_client_reattach goes on where it stood (docs/serve.md).
 */

#ifndef LAPCE_AI_H
#define LAPCE_AI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of events. */
#define LAI_EVENT_REQUEST_DONE 1u
#define LAI_EVENT_REQUEST_FAILED 2u
#define LAI_EVENT_SESSION_STATE 3u
#define LAI_EVENT_MESSAGE_BEGIN 10u
#define LAI_EVENT_MESSAGE_DELTA 11u
#define LAI_EVENT_MESSAGE_END 12u
#define LAI_EVENT_REASONING_DELTA 13u
#define LAI_EVENT_TOOL_BEGIN 20u
#define LAI_EVENT_TOOL_DELTA 21u
#define LAI_EVENT_TOOL_OUTPUT 22u
#define LAI_EVENT_TOOL_END 23u
#define LAI_EVENT_HOOK 24u
#define LAI_EVENT_ASK 30u
#define LAI_EVENT_ASK_RESOLVED 31u
#define LAI_EVENT_HOST_REQUEST 32u
#define LAI_EVENT_USAGE 40u
#define LAI_EVENT_TODO 41u
#define LAI_EVENT_MODE 42u
#define LAI_EVENT_PROFILE 43u
#define LAI_EVENT_CHECKPOINT 44u
#define LAI_EVENT_CONDENSE 45u
#define LAI_EVENT_RETRY 46u
#define LAI_EVENT_SUBTASK 47u
#define LAI_EVENT_QUEUE 48u
#define LAI_EVENT_DIFF 50u
#define LAI_EVENT_TASK_COMPLETED 51u
#define LAI_EVENT_INDEX_PROGRESS 60u
#define LAI_EVENT_MCP_STATUS 61u
#define LAI_EVENT_UPDATE_PROGRESS 62u
#define LAI_EVENT_INLINE_SUGGESTION 70u
#define LAI_EVENT_SETTINGS_CHANGED 80u
#define LAI_EVENT_LOG 81u
#define LAI_EVENT_STATS 82u

/* Fields of events. */
#define LAI_FIELD_TEXT 1u
#define LAI_FIELD_TASK 2u
#define LAI_FIELD_KIND 3u
#define LAI_FIELD_FORM 4u
#define LAI_FIELD_IMAGES 5u
#define LAI_FIELD_DETAILS 6u
#define LAI_FIELD_RESULT 7u
#define LAI_FIELD_CODE 8u
#define LAI_FIELD_MESSAGE 9u
#define LAI_FIELD_HINT 10u
#define LAI_FIELD_RETRY_AFTER_MS 11u
#define LAI_FIELD_PLACE 12u
#define LAI_FIELD_STATE 13u
#define LAI_FIELD_REASON 14u
#define LAI_FIELD_TOOL 15u
#define LAI_FIELD_STATUS 16u
#define LAI_FIELD_SUMMARY 17u
#define LAI_FIELD_DURATION_MS 18u
#define LAI_FIELD_PATH 19u
#define LAI_FIELD_PROTECTED 20u
#define LAI_FIELD_SUGGESTIONS 21u
#define LAI_FIELD_EXPIRES_MS 22u
#define LAI_FIELD_OUTCOME 23u
#define LAI_FIELD_METHOD 24u
#define LAI_FIELD_PARAMETERS 25u
#define LAI_FIELD_DEADLINE_MS 26u
#define LAI_FIELD_TOKENS_IN 27u
#define LAI_FIELD_TOKENS_OUT 28u
#define LAI_FIELD_CACHE_READ_TOKENS 29u
#define LAI_FIELD_CACHE_WRITE_TOKENS 30u
#define LAI_FIELD_REASONING_TOKENS 31u
#define LAI_FIELD_COST 32u
#define LAI_FIELD_CONTEXT_TOKENS 33u
#define LAI_FIELD_CONTEXT_WINDOW 34u
#define LAI_FIELD_ITEMS 35u
#define LAI_FIELD_ID 36u
#define LAI_FIELD_CONTENT 37u
#define LAI_FIELD_MODE 38u
#define LAI_FIELD_PROFILE 39u
#define LAI_FIELD_COMMIT 40u
#define LAI_FIELD_ATTEMPT 41u
#define LAI_FIELD_IN_MS 42u
#define LAI_FIELD_PARENT 43u
#define LAI_FIELD_TEXTS 44u
#define LAI_FIELD_FILES 45u
#define LAI_FIELD_ADDED 46u
#define LAI_FIELD_REMOVED 47u
#define LAI_FIELD_DONE 48u
#define LAI_FIELD_TOTAL 49u
#define LAI_FIELD_SERVER 50u
#define LAI_FIELD_GROUPS 51u
#define LAI_FIELD_CURSOR 52u
#define LAI_FIELD_KEYS 53u
#define LAI_FIELD_LEVEL 54u
#define LAI_FIELD_TARGET 55u
#define LAI_FIELD_COUNTERS 56u
#define LAI_FIELD_TOKENS_BEFORE 57u
#define LAI_FIELD_TOKENS_AFTER 58u
#define LAI_FIELD_ERROR 59u
#define LAI_FIELD_IDS 60u

/* Kinds of requests. */
#define LAI_REQUEST_ENGINE_INFO 1u
#define LAI_REQUEST_ENGINE_STATS 2u
#define LAI_REQUEST_ENGINE_HEALTH 3u
#define LAI_REQUEST_ENGINE_TRIM 4u
#define LAI_REQUEST_ENGINE_SHUTDOWN 5u
#define LAI_REQUEST_SETTINGS_GET 20u
#define LAI_REQUEST_SETTINGS_SET 21u
#define LAI_REQUEST_SETTINGS_SCHEMA 22u
#define LAI_REQUEST_SETTINGS_IMPORT 23u
#define LAI_REQUEST_SETTINGS_EXPORT 24u
#define LAI_REQUEST_PROFILE_LIST 25u
#define LAI_REQUEST_PROFILE_GET 26u
#define LAI_REQUEST_PROFILE_SET 27u
#define LAI_REQUEST_PROFILE_DELETE 28u
#define LAI_REQUEST_PROFILE_ACTIVATE 29u
#define LAI_REQUEST_SECRET_SET 30u
#define LAI_REQUEST_SECRET_DELETE 31u
#define LAI_REQUEST_MODE_LIST 32u
#define LAI_REQUEST_MODE_GET 33u
#define LAI_REQUEST_MODE_SET 34u
#define LAI_REQUEST_MODE_DELETE 35u
#define LAI_REQUEST_RULES_LIST 36u
#define LAI_REQUEST_RULES_TOGGLE 37u
#define LAI_REQUEST_SETTINGS_RESET 38u
#define LAI_REQUEST_PROVIDER_LIST 60u
#define LAI_REQUEST_PROVIDER_TEST 61u
#define LAI_REQUEST_COMPLETION_CREATE 62u
#define LAI_REQUEST_MODEL_LIST 63u
#define LAI_REQUEST_TOKENS_COUNT 64u
#define LAI_REQUEST_TASK_START 80u
#define LAI_REQUEST_TASK_RESUME 81u
#define LAI_REQUEST_TASK_MESSAGE 82u
#define LAI_REQUEST_TASK_RESPOND 83u
#define LAI_REQUEST_TASK_CANCEL 84u
#define LAI_REQUEST_TASK_CLEAR 85u
#define LAI_REQUEST_TASK_DELETE 86u
#define LAI_REQUEST_TASK_LIST 87u
#define LAI_REQUEST_TASK_GET 88u
#define LAI_REQUEST_TASK_EXPORT 89u
#define LAI_REQUEST_TASK_SET_MODE 90u
#define LAI_REQUEST_TASK_SET_PROFILE 91u
#define LAI_REQUEST_TASK_EDIT_MESSAGE 92u
#define LAI_REQUEST_TASK_DELETE_MESSAGE 93u
#define LAI_REQUEST_TASK_CONDENSE 94u
#define LAI_REQUEST_TASK_QUEUE 95u
#define LAI_REQUEST_TASK_SET_TODOS 96u
#define LAI_REQUEST_TASK_TERMINAL 97u
#define LAI_REQUEST_TASK_DIFF 110u
#define LAI_REQUEST_DRY_RUN_APPLY 111u
#define LAI_REQUEST_DRY_RUN_DROP 112u
#define LAI_REQUEST_CHECKPOINT_LIST 113u
#define LAI_REQUEST_CHECKPOINT_DIFF 114u
#define LAI_REQUEST_CHECKPOINT_RESTORE 115u
#define LAI_REQUEST_CHECKPOINT_UNDO 116u
#define LAI_REQUEST_TOOL_LIST 130u
#define LAI_REQUEST_TOOL_CALL 131u
#define LAI_REQUEST_TOOL_REGISTER 132u
#define LAI_REQUEST_PROMPT_PREVIEW 140u
#define LAI_REQUEST_PROMPT_ENHANCE 141u
#define LAI_REQUEST_COMMIT_MESSAGE_CREATE 142u
#define LAI_REQUEST_COMMAND_LIST 143u
#define LAI_REQUEST_MENTION_COMPLETE 144u
#define LAI_REQUEST_FILE_SEARCH 145u
#define LAI_REQUEST_DEFINITIONS_LIST 160u
#define LAI_REQUEST_SYMBOLS_SEARCH 161u
#define LAI_REQUEST_SYMBOLS_OUTLINE 162u
#define LAI_REQUEST_INDEX_START 163u
#define LAI_REQUEST_INDEX_STOP 164u
#define LAI_REQUEST_INDEX_CLEAR 165u
#define LAI_REQUEST_INDEX_STATUS 166u
#define LAI_REQUEST_INDEX_SEARCH 167u
#define LAI_REQUEST_BUFFER_OPENED 180u
#define LAI_REQUEST_BUFFER_CHANGED 181u
#define LAI_REQUEST_BUFFER_SAVED 182u
#define LAI_REQUEST_BUFFER_CLOSED 183u
#define LAI_REQUEST_BUFFER_FOCUSED 184u
#define LAI_REQUEST_INLINE_REQUEST 185u
#define LAI_REQUEST_INLINE_ACCEPT 186u
#define LAI_REQUEST_INLINE_REJECT 187u
#define LAI_REQUEST_INLINE_NEXT 188u
#define LAI_REQUEST_INLINE_PREVIOUS 189u
#define LAI_REQUEST_INLINE_CANCEL 190u
#define LAI_REQUEST_MCP_LIST 200u
#define LAI_REQUEST_MCP_RESTART 201u
#define LAI_REQUEST_MCP_ENABLE 202u
#define LAI_REQUEST_MCP_DISABLE 203u
#define LAI_REQUEST_MCP_CALL 204u
#define LAI_REQUEST_MCP_READ 205u
#define LAI_REQUEST_MCP_SET 206u
#define LAI_REQUEST_UPDATE_CHECK 220u
#define LAI_REQUEST_UPDATE_DOWNLOAD 221u
#define LAI_REQUEST_UPDATE_APPLY 222u
#define LAI_REQUEST_UPDATE_ROLLBACK 223u
#define LAI_REQUEST_CRASH_LIST 224u
#define LAI_REQUEST_CRASH_SHOW 225u
#define LAI_REQUEST_CRASH_DELETE 226u
#define LAI_REQUEST_TELEMETRY_SHOW 227u
#define LAI_REQUEST_TELEMETRY_SET 228u
#define LAI_REQUEST_LOG_LEVEL 229u
#define LAI_REQUEST_HOST_RESPOND 250u



/*
 Other clients of the same user may see and answer this one's sessions.
 */
#define LAI_ATTACH_SHARE 1

/*
 See the sessions that others share.
 */
#define LAI_ATTACH_OBSERVE 2

/*
 Start an engine when none answers. It ends by itself a minute after its last client has left.
 */
#define LAI_ATTACH_START 4

/*
 A started engine keeps a process waiting that takes its place at once when it dies.
 */
#define LAI_ATTACH_SPARE 8

/*
 Collect edits instead of writing them.
 */
#define LAI_TASK_DRY_RUN 1

/*
 Version of the C ABI: the number in the soname.
 */
#define LAI_ABI_VERSION 0

/*
 What a host reads events from and submits requests to. Submit from any thread; next, release and wait from one
 thread at a time.
 */
typedef struct lai_client lai_client;

/*
 An engine: a runtime with its sessions. Thread-safe.
 */
typedef struct lai_engine lai_engine;

/*
 An error that the host owns; free it with `lai_error_free`.
 */
typedef struct lai_error lai_error;

/*
 An owned text; free it with `lai_string_free`.
 */
typedef struct lai_string lai_string;

/*
 A view of UTF-8 text, not terminated. Going in, `{NULL, 0}` is an absent text and the bytes are checked; coming out,
 the view is valid as long as what it was taken from.
 */
typedef struct {
  /*
   First byte.
   */
  const char *ptr;
  /*
   Number of bytes.
   */
  size_t len;
} lai_str;

/*
 Outcome of a call: 0 done, above 0 nothing to do now, below 0 an error.
 */
typedef int32_t lai_status;

/*
 Options of an engine.
 */
typedef struct {
  /*
   `sizeof(lai_engine_options)`.
   */
  uint32_t struct_size;
  /*
   0.
   */
  uint32_t flags;
  /*
   Threads of the runtime; 0: two.
   */
  uint32_t workers;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Folder for tasks and history; absent: `lapce-ai` in the user's data folder.
   */
  lai_str storage;
  /*
   The user's home folder; absent: from the environment.
   */
  lai_str home;
  /*
   JSON object of settings that differ from the defaults.
   */
  lai_str settings;
} lai_engine_options;

/*
 One event. Filled by `lai_client_next`; `data` is valid until it is released.
 */
typedef struct {
  /*
   The body: UTF-8 text for `…_DELTA` and `…_OUTPUT`, else a record to be read by the functions below. Text of an attached
   client lies in memory that the engine's process can still change: take it as bytes, and check what you rely on.
   */
  const char *data;
  /*
   Bytes of the body.
   */
  size_t len;
  /*
   The session; 0 for events of the engine itself.
   */
  uint64_t session;
  /*
   What it is about: the id of the request, message, call, ask or host request; else 0.
   */
  uint64_t subject;
  /*
   Number of the event at this client; grows.
   */
  uint64_t sequence;
  /*
   `LAI_EVENT_…`. Skip what you do not know.
   */
  uint32_t kind;
  /*
   `LAI_EVENT_COALESCED` or 0.
   */
  uint32_t flags;
  /*
   Number of the event in its session, without gaps; 0: may be merged, not numbered. Wraps. Events of no session are
   numbered by client.
   */
  uint32_t session_sequence;
  /*
   0.
   */
  uint32_t reserved;
} lai_event;

/*
 Options of a client.
 */
typedef struct {
  /*
   `sizeof(lai_client_options)`.
   */
  uint32_t struct_size;
  /*
   0.
   */
  uint32_t flags;
  /*
   Slots of the event ring, a power of two; 0: 1,024.
   */
  uint32_t event_slots;
  /*
   Bytes of the event ring, a power of two; 0: 1 MiB.
   */
  uint32_t event_bytes;
  /*
   Slots of the request ring, a power of two; 0: 256.
   */
  uint32_t request_slots;
  /*
   Bytes of the request ring, a power of two; 0: 256 KiB.
   */
  uint32_t request_bytes;
  /*
   Host request methods this host answers.
   */
  const lai_str *capabilities;
  /*
   Number of them.
   */
  size_t capability_count;
} lai_client_options;

/*
 Options of a client of an engine in another process.
 */
typedef struct {
  /*
   `sizeof(lai_attach_options)`.
   */
  uint32_t struct_size;
  /*
   `LAI_ATTACH_…` or 0.
   */
  uint32_t flags;
  /*
   Slots of the event ring, a power of two; 0: 1,024.
   */
  uint32_t event_slots;
  /*
   Bytes of the event ring, a power of two; 0: 1 MiB.
   */
  uint32_t event_bytes;
  /*
   Slots of the request ring, a power of two; 0: 256.
   */
  uint32_t request_slots;
  /*
   Bytes of the request ring, a power of two; 0: 256 KiB.
   */
  uint32_t request_bytes;
  /*
   How long to try; 0: five seconds with `LAI_ATTACH_START`, otherwise once.
   */
  uint32_t timeout_ms;
  /*
   0.
   */
  uint32_t reserved;
  /*
   Host request methods this host answers.
   */
  const lai_str *capabilities;
  /*
   Number of them.
   */
  size_t capability_count;
  /*
   Name for people, such as that of the editor.
   */
  lai_str name;
  /*
   32 lower-case hex digits. A host that keeps them gets its sessions back after it was restarted itself; absent: random.
   */
  lai_str id;
  /*
   Folder of the engine's socket; absent: the user's runtime folder.
   */
  lai_str runtime_dir;
  /*
   To start: the `lapce-ai` program; absent: beside this library, beside the executable, or on the search path.
   */
  lai_str program;
  /*
   To start: folder for tasks and history; absent: `lapce-ai` in the user's data folder.
   */
  lai_str storage;
  /*
   To start: the user's home folder; absent: from the environment.
   */
  lai_str home;
  /*
   To start: JSON object of settings that differ from the defaults. It reaches the engine through a socket only it holds.
   */
  lai_str settings;
} lai_attach_options;

/*
 A task to start.
 */
typedef struct {
  /*
   `sizeof(lai_task_options)`.
   */
  uint32_t struct_size;
  /*
   `LAI_TASK_DRY_RUN` or 0.
   */
  uint32_t flags;
  /*
   Absolute path of the workspace; required.
   */
  lai_str workspace;
  /*
   What the user wants; required.
   */
  lai_str text;
  /*
   Images as data URLs.
   */
  const lai_str *images;
  /*
   Number of them.
   */
  size_t image_count;
  /*
   Slug of the mode to start in.
   */
  lai_str mode;
  /*
   Name of the provider profile.
   */
  lai_str profile;
  /*
   JSON object of settings that differ for this session.
   */
  lai_str settings;
  /*
   Todo list to start with, as Markdown check list.
   */
  lai_str todos;
} lai_task_options;

/*
 Answer to an ask.
 */
typedef int32_t lai_response;

/*
 A raw call of the model.
 */
typedef struct {
  /*
   `sizeof(lai_completion_options)`.
   */
  uint32_t struct_size;
  /*
   0.
   */
  uint32_t flags;
  /*
   System prompt.
   */
  lai_str system;
  /*
   JSON list of messages, each `{role, content}`; required.
   */
  lai_str messages;
  /*
   JSON object of parameters of the provider.
   */
  lai_str parameters;
  /*
   Name of the provider profile; absent: the active one.
   */
  lai_str profile;
} lai_completion_options;

/*
 Done; outputs are written.
 */
#define LAI_OK 0

/*
 No room now: try again after reading events.
 */
#define LAI_AGAIN 1

/*
 The time is past.
 */
#define LAI_TIMEOUT 2

/*
 The field is optional and has no value here.
 */
#define LAI_ABSENT 3

/*
 A wrong argument: NULL, a bad size, an unknown flag or handle.
 */
#define LAI_ERR_INVALID_ARGUMENT -1

/*
 Text that is not UTF-8.
 */
#define LAI_ERR_INVALID_UTF8 -2

/*
 A request that is malformed, unknown, or has a wrong field.
 */
#define LAI_ERR_INVALID_REQUEST -3

/*
 Beyond a limit.
 */
#define LAI_ERR_TOO_LARGE -4

/*
 An id whose object is gone.
 */
#define LAI_ERR_STALE -5

/*
 No such thing; of a field: this event has none.
 */
#define LAI_ERR_NOT_FOUND -6

/*
 Known, but not offered by this build.
 */
#define LAI_ERR_NOT_SUPPORTED -7

/*
 The engine or client was closed or freed.
 */
#define LAI_ERR_CLOSED -8

/*
 Called in a forked child.
 */
#define LAI_ERR_FORKED -9

/*
 A panic was caught; this call did nothing useful, the engine lives on.
 */
#define LAI_ERR_PANIC -10

/*
 The engine's process is gone, or broke the rings: attach again.
 */
#define LAI_ERR_LOST -11

/*
 Another thread is reading this client.
 */
#define LAI_ERR_BUSY -12

/*
 The AI provider failed or refused.
 */
#define LAI_ERR_PROVIDER -13

/*
 The operating system refused.
 */
#define LAI_ERR_IO -14

/*
 Settings are missing or wrong.
 */
#define LAI_ERR_SETTINGS -15

/*
 Cancelled before it was done.
 */
#define LAI_ERR_CANCELLED -16

/*
 A bug of the library.
 */
#define LAI_ERR_INTERNAL -17

/*
 Approve, go on.
 */
#define LAI_RESPONSE_YES 0

/*
 Reject.
 */
#define LAI_RESPONSE_NO 1

/*
 Answer with a text.
 */
#define LAI_RESPONSE_MESSAGE 2

/*
 Answer each item of a batch; the text is JSON.
 */
#define LAI_RESPONSE_OBJECT 3

/*
 Try again.
 */
#define LAI_RESPONSE_RETRY 4

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 View of the text, valid until it is freed; empty for NULL.

 */
lai_str lai_string_view(const lai_string *string);

/*
 Frees the text; NULL is fine.

 */
void lai_string_free(lai_string *string);

/*
 The status the failed call returned; `LAI_OK` for NULL.

 */
lai_status lai_error_status(const lai_error *error);

/*
 The kind of failure as a word for programs, such as `invalid_request`.

 */
lai_str lai_error_kind(const lai_error *error);

/*
 What happened, for people.

 */
lai_str lai_error_message(const lai_error *error);

/*
 What to do about it; absent if there is nothing to say.

 */
lai_str lai_error_hint(const lai_error *error);

/*
 The argument or field that is wrong, such as `task.start.images[2]`; absent if none is.

 */
lai_str lai_error_place(const lai_error *error);

/*
 Milliseconds after which to try again; 0 when trying again is of no use.

 */
uint64_t lai_error_retry_after_ms(const lai_error *error);

/*
 Frees the error; NULL is fine.

 */
void lai_error_free(lai_error *error);

/*
 Version of the C ABI this library has; compare it with `LAI_ABI_VERSION` of the header.
 */
uint32_t lai_abi_version(void);

/*
 Version of the library, such as `0.1.0`; valid for ever.
 */
lai_str lai_version(void);

/*
 Opens an engine. `options` may be NULL. Free it with `lai_engine_free`.

 */
lai_status lai_engine_new(const lai_engine_options *options, lai_engine **engine, lai_error **error);

/*
 Ends all sessions within `deadline_ms`. Events already sent stay readable; what is asked later is answered by
 `LAI_ERR_CLOSED`. `sessions_left` (may be NULL) is the number of sessions that were cut off. May be called again.

 */
lai_status lai_engine_close(const lai_engine *engine, uint64_t deadline_ms, size_t *sessions_left, lai_error **error);

/*
 Frees the engine, closing it first if need be. NULL and freed handles are fine.
 */
void lai_engine_free(lai_engine *engine);

/*
 Counters as a JSON object; free it with `lai_string_free`.

 */
lai_status lai_engine_stats(const lai_engine *engine, lai_string **stats, lai_error **error);

/*
 A text field. `LAI_ABSENT` when it has no value; `LAI_ERR_NOT_FOUND` when this event has no such text field.
 Free-form values are given as their JSON text.

 */
lai_status lai_event_str(const lai_event *event, uint32_t field, lai_str *value);

/*
 An integer field (ids, counts, milliseconds, tokens).

 */
lai_status lai_event_int(const lai_event *event, uint32_t field, int64_t *value);

/*
 A floating-point field (cost).

 */
lai_status lai_event_float(const lai_event *event, uint32_t field, double *value);

/*
 A field that is true or false.

 */
lai_status lai_event_bool(const lai_event *event, uint32_t field, bool *value);

/*
 Number of rows of a list field.

 */
lai_status lai_event_count(const lai_event *event, uint32_t list, size_t *value);

/*
 A text of one row of a list field; `field` is of no matter for lists of plain texts. `LAI_ABSENT` beyond the last row.

 */
lai_status lai_event_item_str(const lai_event *event, uint32_t list, size_t row, uint32_t field, lai_str *value);

/*
 An integer of one row of a list field.

 */
lai_status lai_event_item_int(const lai_event *event, uint32_t list, size_t row, uint32_t field, int64_t *value);

/*
 The event as one JSON object; free it with `lai_string_free`.

 */
lai_status lai_event_json(const lai_event *event, lai_string **json, lai_error **error);

/*
 Name of an event kind, such as `message.delta`; absent when unknown. Valid for ever.
 */
lai_str lai_event_kind_name(uint32_t kind);

/*
 Attaches a client to an engine. `options` may be NULL. Free it with `lai_client_free`.

 */
lai_status lai_client_new(const lai_engine *engine,
                          const lai_client_options *options,
                          lai_client **client,
                          lai_error **error);

/*
 Detaches and frees the client; its sessions end. NULL and freed handles are fine. Events it gave are gone.
 */
void lai_client_free(lai_client *client);

/*
 Submits a request in its JSON form. `request` (may be NULL) becomes the id that its `request.done` or `request.failed`
 event carries. `LAI_AGAIN`: the engine is behind, nothing was queued. Never blocks.

 */
lai_status lai_client_submit(const lai_client *client, lai_str json, uint64_t *request, lai_error **error);

/*
 Gives up to `capacity` (at most 64) of the oldest unread events, without copying and without a system call; `count`
 becomes their number, 0 when none waits. They stay valid until released. Read until 0 before sleeping on the handle
 of `lai_client_fd`.

 */
lai_status lai_client_next(const lai_client *client,
                           lai_event *events,
                           size_t capacity,
                           size_t *count,
                           lai_error **error);

/*
 Gives back the oldest `count` events; nothing of them may be used afterwards. More than were given is an error.

 */
lai_status lai_client_release(const lai_client *client, size_t count, lai_error **error);

/*
 Waits until events wait: `LAI_OK`, `LAI_TIMEOUT`, or, when all was read, `LAI_ERR_CLOSED` if the engine is closed and
 `LAI_ERR_LOST` if its process died.
 A negative `timeout_ms` waits without limit. With `spin_us` it looks that long without sleeping first.

 */
lai_status lai_client_wait(const lai_client *client, int64_t timeout_ms, uint32_t spin_us, lai_error **error);

/*
 The handle to poll (a file descriptor; on Windows a HANDLE): readable when events wait that `lai_client_next` has not
 told of. It belongs to the client: poll it, never read or close it.

 */
lai_status lai_client_fd(const lai_client *client, ptrdiff_t *fd, lai_error **error);

/*
 Attaches to an engine that serves in another process (`lapce-ai serve`), and with `LAI_ATTACH_START` starts it when none
 answers. `options` may be NULL. Free the client with `lai_client_free`.

 */
lai_status lai_client_attach(const lai_attach_options *options,
                             lai_client **client,
                             lai_error **error);

/*
 Goes on after `LAI_ERR_LOST`: attaches again, trying for `timeout_ms` and starting an engine if the client may. Events held
 stay valid; what was left unread comes first, then what the engine kept; unanswered requests are sent again under their
 ids. `restored` (may be NULL) becomes false when the engine lost its journal and knows nothing of this client. Does nothing
 when nothing is lost; after an error it may be called again. Then read until 0 before sleeping on the same handle.

 */
lai_status lai_client_reattach(const lai_client *client,
                               uint32_t timeout_ms,
                               bool *restored,
                               lai_error **error);

/*
 Opens a session and starts a task in it (`task.start`). The result holds `session` and `task`.

 */
lai_status lai_task_start(const lai_client *client,
                          const lai_task_options *options,
                          uint64_t *request,
                          lai_error **error);

/*
 A message of the user (`task.message`): answers the waiting ask or is queued.

 */
lai_status lai_task_message(const lai_client *client,
                            uint64_t session,
                            lai_str text,
                            const lai_str *images,
                            size_t image_count,
                            uint64_t *request,
                            lai_error **error);

/*
 Answers an ask (`task.respond`). `ask` is the subject of the `ask` event; `text` may be absent.

 */
lai_status lai_task_respond(const lai_client *client,
                            uint64_t ask,
                            lai_response response,
                            lai_str text,
                            uint64_t *request,
                            lai_error **error);

/*
 Stops the current task of a session (`task.cancel`); it can be resumed.

 */
lai_status lai_task_cancel(const lai_client *client, uint64_t session, uint64_t *request, lai_error **error);

/*
 Opens a session on a stored task (`task.resume`), which then asks `resume_task`. The result holds `session` and `task`. Absent
 `workspace`: the one it was started in; `settings`: JSON object of settings that differ for this session, may be absent.

 */
lai_status lai_task_resume(const lai_client *client,
                           lai_str task,
                           lai_str workspace,
                           lai_str settings,
                           uint64_t *request,
                           lai_error **error);

/*
 Lists stored tasks, newest first (`task.list`). `cursor` of an earlier result and `query` may be absent; `limit` 0: 50. The
 result holds `tasks` and, when there are more, `cursor`.

 */
lai_status lai_task_list(const lai_client *client,
                         lai_str cursor,
                         uint32_t limit,
                         lai_str query,
                         uint64_t *request,
                         lai_error **error);

/*
 Switches the mode of a session (`task.set_mode`).

 */
lai_status lai_task_set_mode(const lai_client *client,
                             uint64_t session,
                             lai_str mode,
                             uint64_t *request,
                             lai_error **error);

/*
 Closes the current task of a session (`task.clear`); a session without a task ends.

 */
lai_status lai_task_clear(const lai_client *client, uint64_t session, uint64_t *request, lai_error **error);

/*
 A raw call of the model (`completion.create`); the answer streams as `message.delta` events.

 */
lai_status lai_completion_create(const lai_client *client,
                                 const lai_completion_options *options,
                                 uint64_t *request,
                                 lai_error **error);

/*
 Answers a `host.request` event (`host.respond`): give either `result` (JSON) or `failure` (a text).

 */
lai_status lai_host_respond(const lai_client *client,
                            uint64_t host_request,
                            lai_str result,
                            lai_str failure,
                            uint64_t *request,
                            lai_error **error);

/*
 Counts the tokens of a text as the engine does for models that bring no counter of their own: by the vocabulary
 `o200k_base`, spellings of special tokens as ordinary text. An absent text has none. Needs no engine, may be called from
 any thread, and works on it: some milliseconds a megabyte, and as many to unpack the vocabulary at the first call. A
 thread that must not wait sends the request `tokens.count`.

 */
lai_status lai_count_tokens(lai_str text,
                            uint64_t *count,
                            lai_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LAPCE_AI_H */


#if UINTPTR_MAX == 0xffffffffffffffffu
/* A compiler that lays these out otherwise cannot use this library. */
typedef char lai_assert_str[sizeof(lai_str) == 16 ? 1 : -1];
typedef char lai_assert_event[sizeof(lai_event) == 56 && offsetof(lai_event, kind) == 40 ? 1 : -1];
typedef char lai_assert_engine[sizeof(lai_engine_options) == 64 && offsetof(lai_engine_options, settings) == 48 ? 1 : -1];
typedef char lai_assert_client[sizeof(lai_client_options) == 40 && offsetof(lai_client_options, capabilities) == 24 ? 1 : -1];
typedef char lai_assert_attach[sizeof(lai_attach_options) == 160 && offsetof(lai_attach_options, settings) == 144 ? 1 : -1];
typedef char lai_assert_task[sizeof(lai_task_options) == 120 && offsetof(lai_task_options, todos) == 104 ? 1 : -1];
typedef char lai_assert_completion[sizeof(lai_completion_options) == 72 && offsetof(lai_completion_options, profile) == 56 ? 1 : -1];
#endif
