//! Typed requests: what every host does, without writing JSON. They build the same records as `lai_client_submit`.

use super::client::{CLIENTS, lai_client, submit};
use super::error::{Failure, lai_error};
use super::guard;
use super::options::{self, LAI_TASK_DRY_RUN, lai_completion_options, lai_task_options};
use super::status::lai_status;
use super::strings::{self, lai_str};
use crate::protocol::ids::{AskId, HostRequestId, SessionId};
use crate::protocol::json::Json;
use crate::protocol::request::{
    CompletionCreate, HostRespond, Request, Response, TaskCancel, TaskClear, TaskList, TaskMessage, TaskRespond,
    TaskResume, TaskSetMode, TaskStart,
};

/// Answer to an ask.
pub type lai_response = i32;
/// Approve, go on.
pub const LAI_RESPONSE_YES: lai_response = 0;
/// Reject.
pub const LAI_RESPONSE_NO: lai_response = 1;
/// Answer with a text.
pub const LAI_RESPONSE_MESSAGE: lai_response = 2;
/// Answer each item of a batch; the text is JSON.
pub const LAI_RESPONSE_OBJECT: lai_response = 3;
/// Try again.
pub const LAI_RESPONSE_RETRY: lai_response = 4;

/// Opens a session and starts a task in it (`task.start`). The result holds `session` and `task`.
///
/// # Safety
/// `options` holds `struct_size` readable bytes and texts; `request` and `error` are NULL or may be written. The same for
/// all typed requests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_start(
    client: *const lai_client,
    options: *const lai_task_options,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        if options.is_null() {
            return Err(Failure::argument("options", "NULL"));
        }
        // SAFETY: as documented.
        let given = unsafe { options::read(options) }?;
        // SAFETY: as documented.
        unsafe {
            Ok(Request::TaskStart(TaskStart {
                workspace: given.workspace.required("options.workspace")?,
                text: given.text.required("options.text")?,
                images: strings::list(given.images, given.image_count, "options.images")?,
                mode: given.mode.get("options.mode")?,
                profile: given.profile.get("options.profile")?,
                settings: json(given.settings, "options.settings")?,
                todos: given.todos.get("options.todos")?,
                dry_run: given.flags & LAI_TASK_DRY_RUN != 0,
            }))
        }
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// A message of the user (`task.message`): answers the waiting ask or is queued.
///
/// # Safety
/// As `lai_task_start`; `images` is NULL or has `image_count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_message(
    client: *const lai_client,
    session: u64,
    text: lai_str,
    images: *const lai_str,
    image_count: usize,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        // SAFETY: as documented.
        let (text, images) = unsafe { (text.required("text")?, strings::list(images, image_count, "images")?) };
        Ok(Request::TaskMessage(TaskMessage { session: SessionId::from_raw(session), text, images }))
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Answers an ask (`task.respond`). `ask` is the subject of the `ask` event; `text` may be absent.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_respond(
    client: *const lai_client,
    ask: u64,
    response: lai_response,
    text: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        let known = usize::try_from(response).ok().and_then(|at| Response::ALL.get(at).copied());
        let response = known.ok_or_else(|| Failure::argument("response", format!("unknown response {response}")))?;
        // SAFETY: as documented.
        let text = unsafe { text.get("text") }?;
        Ok(Request::TaskRespond(TaskRespond { ask: AskId::from_raw(ask), response, text, images: Vec::new() }))
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Stops the current task of a session (`task.cancel`); it can be resumed.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_cancel(
    client: *const lai_client,
    session: u64,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || Ok(Request::TaskCancel(TaskCancel { session: SessionId::from_raw(session) }));
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Opens a session on a stored task (`task.resume`), which then asks `resume_task`. The result holds `session` and `task`. Absent
/// `workspace`: the one it was started in; `settings`: JSON object of settings that differ for this session, may be absent.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_resume(
    client: *const lai_client,
    task: lai_str,
    workspace: lai_str,
    settings: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        // SAFETY: as documented.
        unsafe {
            Ok(Request::TaskResume(TaskResume {
                task: task.required("task")?,
                workspace: workspace.get("workspace")?,
                settings: json(settings, "settings")?,
            }))
        }
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Lists stored tasks, newest first (`task.list`). `cursor` of an earlier result and `query` may be absent; `limit` 0: 50. The
/// result holds `tasks` and, when there are more, `cursor`.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_list(
    client: *const lai_client,
    cursor: lai_str,
    limit: u32,
    query: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        // SAFETY: as documented.
        let (cursor, query) = unsafe { (cursor.get("cursor")?, query.get("query")?) };
        Ok(Request::TaskList(TaskList { cursor, limit: (limit > 0).then_some(limit), query, ..TaskList::default() }))
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Switches the mode of a session (`task.set_mode`).
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_set_mode(
    client: *const lai_client,
    session: u64,
    mode: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        // SAFETY: as documented.
        let mode = unsafe { mode.required("mode") }?;
        Ok(Request::TaskSetMode(TaskSetMode { session: SessionId::from_raw(session), mode }))
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Closes the current task of a session (`task.clear`); a session without a task ends.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_task_clear(
    client: *const lai_client,
    session: u64,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || Ok(Request::TaskClear(TaskClear { session: SessionId::from_raw(session) }));
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// A raw call of the model (`completion.create`); the answer streams as `message.delta` events.
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_completion_create(
    client: *const lai_client,
    options: *const lai_completion_options,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        if options.is_null() {
            return Err(Failure::argument("options", "NULL"));
        }
        // SAFETY: as documented.
        let given = unsafe { options::read(options) }?;
        // SAFETY: as documented.
        unsafe {
            Ok(Request::CompletionCreate(CompletionCreate {
                system: given.system.get("options.system")?,
                messages: json(given.messages, "options.messages")?
                    .ok_or_else(|| Failure::argument("options.messages", "NULL"))?,
                parameters: json(given.parameters, "options.parameters")?,
                profile: given.profile.get("options.profile")?,
            }))
        }
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// Answers a `host.request` event (`host.respond`): give either `result` (JSON) or `failure` (a text).
///
/// # Safety
/// As `lai_task_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_host_respond(
    client: *const lai_client,
    host_request: u64,
    result: lai_str,
    failure: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let build = || {
        // SAFETY: as documented.
        let (result, failure) = unsafe { (json(result, "result")?, failure.get("failure")?) };
        let host_request = HostRequestId::from_raw(host_request);
        Ok(Request::HostRespond(HostRespond { host_request, result, error: failure }))
    };
    // SAFETY: as documented.
    unsafe { send(client, build, request, error) }
}

/// # Safety
/// `id` and `error` are NULL or may be written.
unsafe fn send(
    client: *const lai_client,
    build: impl FnOnce() -> Result<Request, Failure>,
    id: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = CLIENTS.get(client)?;
        let request = build()?;
        request.validate()?;
        // SAFETY: as documented.
        unsafe { submit(&client, &request, id) }
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// # Safety
/// As [`lai_str::get`].
unsafe fn json(text: lai_str, place: &str) -> Result<Option<Json>, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { text.get(place) }?;
    text.map(|text| Json::parse(&text)).transpose().map_err(|error| Failure::argument(place, error.to_string()))
}
