//! Requests of one client: received, decoded, carried out, answered.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use rkyv::util::AlignedVec;
use serde_json::{Map, Value, json};

use super::attachment::{Arrival, Attachment};
use super::core::{Core, SESSION_LIMIT, Session};
use super::journal::Entry;
use super::link::{Detached, Link};
use super::session_host::AskState;
use super::{changes, checkpoints, completion, configuration, modes, rules, settings, tasks};
use crate::protocol::event::{Event, RequestDone, RequestFailed};
use crate::protocol::failure::ErrorKind;
use crate::protocol::ids::SessionId;
use crate::protocol::json::Json;
use crate::protocol::record::DecodeError;
use crate::protocol::request::{self, Request, Response, TerminalAction};
use crate::providers::KeyringError;
use crate::settings::{modes as mode_settings, profiles, schema};
use crate::task::changes::Selection;
use crate::task::host::SettingsSource;
use crate::task::session::{Command, CommandError};
use crate::transport::{FLAG_BLOB, RecordHead, RequestReader, TransportError};

/// Outcome of a request.
pub type Outcome = Result<Value, RequestFailed>;

/// One connection of a client, as its requests are read.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Arc<Attachment>,
    /// Its ring of events.
    pub link: Arc<Link>,
}

/// Reads a client's requests until it is gone or breaks its ring.
#[cfg(unix)]
pub fn serve(core: Arc<Core>, connection: Connection, requests: RequestReader) {
    let runtime = core.runtime.clone();
    runtime.spawn(async move {
        let Ok(mut bell) = requests.watch() else { return core.detach(&connection, Detached::Gone) };
        let mut body = AlignedVec::new();
        // Receive first: a request may have come before the bell was watched.
        loop {
            match drain(&core, &connection, bell.get_mut(), &mut body) {
                Drained::Dry => {}
                Drained::More => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Drained::Over => return,
            }
            tokio::select! {
                ready = bell.readable_mut() => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => return core.detach(&connection, Detached::Gone),
                },
                () = connection.link.until_gone() => return core.detach(&connection, Detached::Gone),
                () = connection.link.until_broken() => return core.detach(&connection, Detached::Protocol),
            }
        }
    });
}

/// Reads a client's requests until it is gone or breaks its ring: in a thread that waits for the bell's event.
#[cfg(windows)]
pub fn serve(core: Arc<Core>, connection: Connection, mut requests: RequestReader) {
    let waker = requests.waker();
    let (watching, watched) = (core.clone(), connection.clone());
    core.runtime.spawn(async move {
        tokio::select! {
            () = watched.link.until_gone() => {}
            () = watched.link.until_broken() => watching.detach(&watched, Detached::Protocol),
        }
        waker.wake();
    });
    std::thread::spawn(move || {
        let mut body = AlignedVec::new();
        while !connection.link.is_gone() {
            match drain(&core, &connection, &mut requests, &mut body) {
                Drained::Dry => requests.wait(),
                Drained::More => {}
                Drained::Over => return,
            }
        }
        core.detach(&connection, Detached::Gone);
    });
}

/// Requests of one client that are taken before others have their turn: one that submits without end must not hold a
/// worker.
const TURN: usize = 256;

/// What a turn has left.
enum Drained {
    /// Nothing; the bell rings for what comes.
    Dry,
    /// More requests, perhaps.
    More,
    /// The client is detached.
    Over,
}

/// Takes the requests that are there and makes use of room that was freed.
fn drain(core: &Arc<Core>, connection: &Connection, requests: &mut RequestReader, body: &mut AlignedVec) -> Drained {
    let mut left = Drained::More;
    for _ in 0..TURN {
        match requests.receive(body) {
            Ok(Some(head)) => received(core, connection, head, body),
            Ok(None) => {
                left = Drained::Dry;
                break;
            }
            Err(error) => {
                let why = match error {
                    TransportError::Lost => Detached::Gone,
                    TransportError::Closed { .. } => Detached::Left,
                    _ => Detached::Protocol,
                };
                core.detach(connection, why);
                return Drained::Over;
            }
        }
    }
    connection.link.refill();
    left
}

/// Takes one request and sees to its answer.
fn received(core: &Arc<Core>, connection: &Connection, head: RecordHead, body: &[u8]) {
    let Connection { client, link } = connection;
    let id = head.correlation;
    core.counters.requests.fetch_add(1, Ordering::Relaxed);
    let blob = if head.flags & FLAG_BLOB != 0 {
        body.try_into().ok().and_then(|number| link.blobs_in.take(u64::from_le_bytes(number)))
    } else {
        None
    };
    match client.arrives(id) {
        Arrival::New => {}
        Arrival::Known => return,
        Arrival::Owed(result) => return answer(core, client, id, Ok(result)),
    }
    let request = match Request::decode(head.kind, blob.as_deref().unwrap_or(body)) {
        Ok(request) => request,
        Err(error) => return answer(core, client, id, Err(malformed(&error))),
    };
    if core.is_closed() {
        let closed = RequestFailed::new(ErrorKind::Closed, "the engine is closed");
        return answer(core, client, id, Err(closed));
    }
    let ends = matches!(request, Request::EngineShutdown(_));
    match execute(core, client, id, request) {
        Execution::Now(outcome) => {
            answer(core, client, id, outcome);
            // Not before its answer is on its way.
            if ends {
                core.shut_down();
            }
        }
        Execution::Later(future) => {
            let (core, client) = (core.clone(), client.clone());
            let runtime = core.runtime.clone();
            runtime.spawn(async move {
                // A panic is a bug of ours; the request is answered all the same.
                let guarded = AssertUnwindSafe(future).catch_unwind();
                tokio::select! {
                    () = client.until_left() => {}
                    outcome = guarded => {
                        let outcome = outcome.unwrap_or_else(|_| Err(internal()));
                        answer(&core, &client, id, outcome);
                    }
                }
            });
        }
    }
}

fn answer(core: &Core, client: &Attachment, request: u64, outcome: Outcome) {
    let event = match outcome {
        Ok(result) => Event::RequestDone(RequestDone { result: Json::from(result) }),
        Err(failed) => {
            core.counters.failed.fetch_add(1, Ordering::Relaxed);
            Event::RequestFailed(failed)
        }
    };
    client.channel.send(request, event);
    client.answered(request);
}

/// How a request is carried out.
pub enum Execution {
    /// It is.
    Now(Outcome),
    /// Beside the requests that follow.
    Later(futures::future::BoxFuture<'static, Outcome>),
}

impl From<Outcome> for Execution {
    fn from(outcome: Outcome) -> Execution {
        Execution::Now(outcome)
    }
}

/// Commands are handed to their session here, in the order of submission; what waits for a reply or the disk goes on later.
fn execute(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, request: Request) -> Execution {
    match request {
        Request::EngineInfo(_) => Ok(super::info()).into(),
        Request::EngineStats(_) => Ok(super::stats::collect(core)).into(),
        Request::EngineShutdown(_) if core.owns_process() => Ok(Value::Null).into(),
        Request::EngineShutdown(_) => not_supported("engine.shutdown").into(),
        Request::SettingsGet(get) => settings_get(core, client, &get).into(),
        Request::SettingsSet(set) if set.save => {
            later(core, move |core| configuration::save(core, object(Some(&set.values), "settings.set.values")?))
        }
        Request::SettingsSet(set) => settings_set(core, client, &set).into(),
        Request::SettingsSchema(_) => Ok(json!({"schema": schema::json_schema()})).into(),
        Request::SettingsImport(import) => later(core, move |core| configuration::import_request(core, &import)),
        Request::SettingsExport(export) => later(core, move |core| configuration::export(core, &export)),
        Request::SettingsReset(_) => later(core, configuration::reset),
        Request::ProfileList(_) => later(core, configuration::profile_list),
        Request::ProfileGet(get) => later(core, move |core| configuration::profile_get(core, &get)),
        Request::ProfileSet(set) => later(core, move |core| configuration::profile_set(core, &set)),
        Request::ProfileDelete(delete) => later(core, move |core| configuration::profile_delete(core, &delete)),
        Request::ProfileActivate(activate) => later(core, move |core| configuration::profile_activate(core, &activate)),
        Request::ModeList(list) => later(core, move |core| modes::list(core, &list)),
        Request::ModeGet(get) => later(core, move |core| modes::get(core, &get)),
        Request::ModeSet(set) => later(core, move |core| modes::set(core, &set)),
        Request::ModeDelete(delete) => later(core, move |core| modes::delete(core, &delete)),
        Request::ProviderList(_) => Ok(super::providers::list(core)).into(),
        Request::ProviderTest(test) => Execution::Later(Box::pin(super::providers::test(core.clone(), test))),
        Request::ModelList(list) => Execution::Later(Box::pin(super::providers::models(core.clone(), list))),
        Request::SecretSet(set) => secret_set(core, set),
        Request::SecretDelete(delete) => secret_delete(core, delete),
        Request::TokensCount(count) => Execution::Later(Box::pin(super::providers::count_tokens(count))),
        Request::CompletionCreate(create) => {
            Execution::Later(Box::pin(completion::run(core.clone(), client.clone(), id, create)))
        }
        Request::RulesList(list) => later(core, move |core| rules::list(core, &list)),
        Request::RulesToggle(toggle) => later(core, move |core| rules::toggle(core, &toggle)),
        Request::CommandList(list) => later(core, move |core| rules::commands(core, &list)),
        Request::PromptPreview(preview) => later(core, move |core| super::preview::preview(core, &preview)),
        Request::TaskStart(start) => task_start(core, client, id, start),
        Request::TaskResume(resume) => task_resume(core, client, id, resume),
        Request::TaskList(list) => later(core, move |core| tasks::list(core, &list)),
        Request::TaskGet(get) => later(core, move |core| tasks::get(core, &get.task)),
        Request::TaskExport(export) => later(core, move |core| tasks::export(core, &export)),
        Request::TaskDelete(delete) => Execution::Later(Box::pin(tasks::delete(core.clone(), client.clone(), delete))),
        Request::TaskMessage(m) => {
            command(core, client, m.session, Command::Message { text: m.text, images: m.images })
        }
        Request::TaskQueue(request::TaskQueue { session, text, images, message, remove }) => {
            let queue = match message {
                None => Command::Queue { text, images },
                Some(id) if remove => Command::Unqueue { id },
                Some(id) => Command::EditQueued { id, text, images },
            };
            command(core, client, session, queue)
        }
        Request::TaskRespond(respond) => task_respond(core, client, id, respond),
        Request::TaskCancel(r) => command(core, client, r.session, Command::Cancel),
        Request::TaskClear(r) => task_clear(core, client, r.session),
        Request::TaskSetMode(r) => task_set_mode(core, client, r),
        Request::TaskSetProfile(r) => task_set_profile(core, client, r),
        Request::TaskEditMessage(request::TaskEditMessage { session, message, text, images, restore }) => {
            let message = message_ts(message);
            command(core, client, session, Command::EditMessage { message, text, images, restore })
        }
        Request::TaskDeleteMessage(request::TaskDeleteMessage { session, message, restore }) => {
            let message = message_ts(message);
            command(core, client, session, Command::DeleteMessage { message, restore })
        }
        Request::TaskCondense(r) => command(core, client, r.session, Command::Condense),
        Request::TaskSetTodos(r) => {
            let todos = serde_json::to_value(&r.todos).unwrap_or(Value::Null);
            command(core, client, r.session, Command::SetTodos(todos))
        }
        Request::TaskTerminal(r) => {
            let proceed = r.action == TerminalAction::Continue;
            command(core, client, r.session, Command::Terminal { proceed })
        }
        Request::TaskDiff(diff) => changes::diff(core, client, diff),
        Request::DryRunApply(r) => {
            let selection = Selection { files: r.files, hunks: r.hunks };
            command(core, client, r.session, Command::ApplyCollected(selection))
        }
        Request::DryRunDrop(r) => {
            let selection = Selection { files: r.files, hunks: r.hunks };
            command(core, client, r.session, Command::DropCollected(selection))
        }
        Request::CheckpointList(list) => checkpoints::list(core, client, list),
        Request::CheckpointDiff(diff) => checkpoints::diff(core, client, diff),
        Request::CheckpointRestore(r) => command(core, client, r.session, checkpoints::restore(r.checkpoint, r.mode)),
        Request::CheckpointUndo(r) => command(core, client, r.session, Command::UndoRestore),
        Request::HostRespond(respond) => host_respond(core, client, respond).into(),
        Request::Unbuilt(kind, _) => not_supported(kind.as_str()).into(),
    }
}

fn not_supported(kind: &str) -> Outcome {
    Err(RequestFailed::new(ErrorKind::NotSupported, format!("`{kind}` is not supported by this version")))
}

/// Work for the disk, off the runtime's threads.
pub fn later(core: &Arc<Core>, work: impl FnOnce(&Core) -> Outcome + Send + 'static) -> Execution {
    let core = core.clone();
    Execution::Later(Box::pin(async move {
        let runtime = core.runtime.clone();
        runtime.spawn_blocking(move || work(&core)).await.unwrap_or_else(|_| Err(internal()))
    }))
}

fn internal() -> RequestFailed {
    RequestFailed::new(ErrorKind::Internal, "the request was not carried out")
}

/// Hands a command to its session.
fn command(core: &Core, client: &Attachment, session: SessionId, command: Command) -> Execution {
    match core.session(session, client) {
        Some(session) => submit(&session, command),
        None => Err(stale("session")).into(),
    }
}

fn submit(session: &Session, command: Command) -> Execution {
    match session.handle.submit(command) {
        Ok(reply) => Execution::Later(Box::pin(async move {
            reply.await.unwrap_or(Err(CommandError::Closed)).map_err(command_failed)
        })),
        Err(error) => Err(command_failed(error)).into(),
    }
}

fn task_start(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, start: request::TaskStart) -> Execution {
    let own = match object(start.settings.as_ref(), "task.start.settings") {
        Ok(own) => own,
        Err(failed) => return Err(failed).into(),
    };
    let session = match open_session(core, client, id, &start.workspace, own, "task.start") {
        Ok(session) => session,
        Err(failed) => return Err(failed).into(),
    };
    let current = session.settings.current();
    let mode = start.mode.as_ref().unwrap_or(&current.mode);
    if mode_settings::find(mode, &current.custom_modes).is_none() {
        core.end_session(session.id.index());
        return Err(no_mode(mode, "task.start.mode")).into();
    }
    start.mode.iter().for_each(|mode| session.settings.set_mode(mode));
    if let Some(profile) = start.profile.filter(|profile| !session.settings.set_profile(profile)) {
        core.end_session(session.id.index());
        return Err(no_profile(&profile, "task.start.profile")).into();
    }
    with_session(
        core,
        session,
        Command::Start { text: start.text, images: start.images, todos: start.todos, dry_run: start.dry_run },
    )
}

/// Closes the task on top. A session that has none left ends: no request could give it another.
fn task_clear(core: &Arc<Core>, client: &Attachment, id: SessionId) -> Execution {
    let Some(session) = core.session(id, client) else { return Err(stale("session")).into() };
    match submit(&session, Command::Clear) {
        Execution::Later(future) => {
            let core = core.clone();
            Execution::Later(Box::pin(async move {
                let outcome = future.await;
                if session.handle.current().is_none() {
                    core.end_session(id.index());
                }
                outcome
            }))
        }
        now => now,
    }
}

fn task_set_mode(core: &Core, client: &Attachment, set: request::TaskSetMode) -> Execution {
    let Some(session) = core.session(set.session, client) else { return Err(stale("session")).into() };
    session.settings.refresh();
    if mode_settings::find(&set.mode, &session.settings.current().custom_modes).is_none() {
        return Err(no_mode(&set.mode, "task.set_mode.mode")).into();
    }
    submit(&session, Command::SetMode(set.mode))
}

fn task_set_profile(core: &Core, client: &Attachment, set: request::TaskSetProfile) -> Execution {
    let Some(session) = core.session(set.session, client) else { return Err(stale("session")).into() };
    if profiles::find(&session.settings.current().secrets, &set.profile).is_none() {
        return Err(no_profile(&set.profile, "task.set_profile.profile")).into();
    }
    submit(&session, Command::SetProfile(set.profile))
}

fn no_profile(name: &str, place: &str) -> RequestFailed {
    RequestFailed {
        place: Some(place.to_owned()),
        ..RequestFailed::new(ErrorKind::NotFound, format!("there is no profile `{name}`"))
    }
}

/// The `ts` of the message of this id; one that no message has, if the number is none.
fn message_ts(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(-1)
}

/// No mode has this slug.
pub fn no_mode(slug: &str, place: &str) -> RequestFailed {
    RequestFailed {
        place: Some(place.to_owned()),
        ..RequestFailed::new(ErrorKind::NotFound, format!("there is no mode `{slug}`"))
    }
}

fn task_resume(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, resume: request::TaskResume) -> Execution {
    use crate::task::host::TaskHistory;

    let workspace = resume.workspace.or_else(|| core.history.get(&resume.task)?.workspace);
    let Some(workspace) = workspace else {
        return Err(RequestFailed::new(ErrorKind::NotFound, format!("task `{}` is not stored", resume.task))).into();
    };
    let session = object(resume.settings.as_ref(), "task.resume.settings")
        .and_then(|own| open_session(core, client, id, &workspace, own, "task.resume"));
    match session {
        Ok(session) => with_session(core, session, Command::Resume { task: resume.task }),
        Err(failed) => Err(failed).into(),
    }
}

/// Submits the first command of a session; its result also names the session. If it fails, the session ends, since its host
/// never learns of it.
fn with_session(core: &Arc<Core>, session: Session, command: Command) -> Execution {
    let (core, id) = (core.clone(), session.id);
    match submit(&session, command) {
        Execution::Later(future) => Execution::Later(Box::pin(async move {
            let mut result = future.await.inspect_err(|_| core.end_session(id.index()))?;
            if let Value::Object(result) = &mut result {
                result.insert("session".into(), id.raw().into());
            }
            Ok(result)
        })),
        now => {
            core.end_session(id.index());
            now
        }
    }
}

fn open_session(
    core: &Arc<Core>,
    client: &Arc<Attachment>,
    request: u64,
    workspace: &str,
    own: Map<String, Value>,
    place: &str,
) -> Result<Session, RequestFailed> {
    if core.session_count() >= SESSION_LIMIT {
        return Err(RequestFailed::new(ErrorKind::Busy, format!("{SESSION_LIMIT} sessions are open already")));
    }
    let path = workspace_folder(workspace, place)?;
    core.open_session(client, request, path, own).map_err(|error| setting_refused(&error, &format!("{place}.settings")))
}

/// The folder that a request names as its workspace. `place`: the type of the request.
pub fn workspace_folder<'a>(workspace: &'a str, place: &str) -> Result<&'a Path, RequestFailed> {
    let path = Path::new(workspace);
    let at = |kind, message: String| RequestFailed {
        place: Some(format!("{place}.workspace")),
        ..RequestFailed::new(kind, message)
    };
    if !path.is_absolute() {
        return Err(at(ErrorKind::InvalidRequest, format!("`{workspace}` is not an absolute path")));
    }
    if !path.is_dir() {
        return Err(at(ErrorKind::NotFound, format!("`{workspace}` is not a folder")));
    }
    Ok(path)
}

fn task_respond(core: &Arc<Core>, client: &Attachment, id: u64, respond: request::TaskRespond) -> Execution {
    use crate::protocol::message::AskResponse;

    // The session is the generation part of an ask's id.
    let session = core.session_by_number(respond.ask.generation(), client);
    let Some(session) = session else { return Err(stale("ask")).into() };
    let response = match respond.response {
        Response::Yes => AskResponse::Yes,
        Response::No => AskResponse::No,
        Response::Message => AskResponse::Message,
        Response::Object => AskResponse::Object,
        Response::Retry => AskResponse::Retry,
    };
    let (core, client, ask, host) = (core.clone(), client.number, respond.ask, session.host.clone());
    let give = move |ts| {
        // Sent again after a crash, an answer that closed its ask is known to have been taken.
        core.keep(|| Entry::Responded { client, request: id, ask: ask.raw() });
        let command = Command::Respond { ask: Some(ts), response, text: respond.text, images: respond.images };
        submit(&session, command)
    };
    match host.ask(ask) {
        AskState::Unknown => Err(stale("ask")).into(),
        AskState::Waits(ts) => give(ts),
        AskState::Restoring => Execution::Later(Box::pin(async move {
            let ts = host.restored_ask(ask).await.ok_or_else(|| stale("ask"))?;
            match give(ts) {
                Execution::Now(outcome) => outcome,
                Execution::Later(outcome) => outcome.await,
            }
        })),
    }
}

fn host_respond(core: &Core, client: &Attachment, respond: request::HostRespond) -> Outcome {
    // The session is the generation part of the id; the question of another client's session is none of this one.
    if core.session_by_number(respond.host_request.generation(), client).is_none() {
        return Err(stale("host_request"));
    }
    let answer = match (respond.result, respond.error) {
        (_, Some(error)) => Err(error),
        (result, None) => Ok(result.map_or(Value::Null, |result| result.value())),
    };
    if core.host_requests.answer(respond.host_request.raw(), answer) {
        Ok(Value::Null)
    } else {
        Err(stale("host_request"))
    }
}

fn settings_get(core: &Core, client: &Attachment, get: &request::SettingsGet) -> Outcome {
    let current = match get.session {
        None => core.settings.current(),
        Some(id) => core.session(id, client).ok_or_else(|| stale("session"))?.settings.current(),
    };
    Ok(json!({"values": settings::public_view(&current, &get.keys)}))
}

fn settings_set(core: &Core, client: &Attachment, set: &request::SettingsSet) -> Outcome {
    let values = object(Some(&set.values), "settings.set.values")?;
    let names: Vec<String> = values.keys().cloned().collect();
    let values = values.into();
    match set.session {
        None => core.settings.set(values).inspect(|()| configuration::announce_changed(core, names.clone())),
        Some(id) => {
            let session = core.session(id, client).ok_or_else(|| stale("session"))?;
            session.settings.set(values)
        }
    }
    .map_err(|error| setting_refused(&error, "settings.set.values"))?;
    configuration::tell_unknown(core, names);
    Ok(Value::Null)
}

fn secret_set(core: &Arc<Core>, set: request::SecretSet) -> Execution {
    let (keyring, secret) = (core.keyring.clone(), set.value.into_inner().into());
    Execution::Later(Box::pin(async move {
        keyring.set(&set.name, secret).await.map_err(keyring_failed)?;
        Ok(Value::Null)
    }))
}

fn secret_delete(core: &Arc<Core>, delete: request::SecretDelete) -> Execution {
    let keyring = core.keyring.clone();
    Execution::Later(Box::pin(async move {
        let deleted = keyring.delete(&delete.name).await.map_err(keyring_failed)?;
        Ok(json!({"deleted": deleted}))
    }))
}

fn keyring_failed(error: KeyringError) -> RequestFailed {
    let kind = match error {
        KeyringError::Absent => ErrorKind::NotSupported,
        KeyringError::Timeout | KeyringError::Busy => ErrorKind::Busy,
        KeyringError::System(_) => ErrorKind::Io,
    };
    RequestFailed::new(kind, error.to_string())
}

fn object(json: Option<&Json>, place: &str) -> Result<Map<String, Value>, RequestFailed> {
    match json.map(Json::value) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(RequestFailed {
            place: Some(place.to_owned()),
            ..RequestFailed::new(ErrorKind::InvalidRequest, "must be an object")
        }),
    }
}

fn setting_refused(error: &settings::SettingsError, place: &str) -> RequestFailed {
    RequestFailed {
        place: Some(format!("{place}.{}", error.place)),
        ..RequestFailed::new(ErrorKind::Settings, error.message.clone())
    }
}

/// An id that names nothing any more.
pub fn stale(what: &str) -> RequestFailed {
    RequestFailed { place: Some(what.to_owned()), ..RequestFailed::new(ErrorKind::Stale, "no such id any more") }
}

fn malformed(error: &DecodeError) -> RequestFailed {
    let place = match error {
        DecodeError::Refused(refused) => Some(refused.place.clone()),
        _ => None,
    };
    RequestFailed { place, ..RequestFailed::new(ErrorKind::InvalidRequest, error.to_string()) }
}

/// What a session answered, for the client.
pub fn command_failed(error: CommandError) -> RequestFailed {
    let kind = match error {
        CommandError::NoTask | CommandError::UnknownTask(_) | CommandError::NoSuchMessage(_) => ErrorKind::NotFound,
        CommandError::Damaged(_) => ErrorKind::Io,
        CommandError::NoSuchAsk => ErrorKind::Stale,
        CommandError::Invalid(_) => ErrorKind::InvalidRequest,
        CommandError::Busy | CommandError::InTheWay(_) => ErrorKind::Busy,
        CommandError::Closed => ErrorKind::Closed,
        CommandError::NoSuchCheckpoint(_) | CommandError::NothingToUndo => ErrorKind::NotFound,
        CommandError::NoCheckpoints(_) => ErrorKind::NotSupported,
        CommandError::RestoreFailed(_) => ErrorKind::Io,
        CommandError::Provider(_) => ErrorKind::Provider,
    };
    RequestFailed::new(kind, error.to_string())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::settings::EngineSettings;
    use crate::transport::{ClientEnd, PairOptions, in_process};

    /// An engine that serves a client which has nothing but its ring.
    struct Served {
        runtime: tokio::runtime::Runtime,
        _folder: tempfile::TempDir,
        link: Arc<Link>,
        client: ClientEnd,
    }

    #[allow(clippy::unwrap_used)] // A test may fail where it stands.
    fn served() -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let settings = EngineSettings::new(Map::new().into()).unwrap();
        let core = Core::new(1, None, settings, home.join("storage"), home, runtime.handle().clone());
        let (engine, client) = in_process(&PairOptions::default()).unwrap();
        let link = Arc::new(Link::new(1, engine.events, engine.blobs_out, engine.blobs_in, 1 << 20));
        let attachment = Attachment::new(1, String::new(), String::new(), false, None);
        let connection = Connection { client: attachment, link: link.clone() };
        core.admit(connection.client.clone());
        core.connect(&connection, Vec::new(), false, |_| None);
        serve(core, connection, engine.requests);
        Served { runtime, _folder: folder, link, client }
    }

    #[test]
    fn a_client_that_lies_about_what_it_released_is_let_go() {
        let served = served();
        served.client.events.lie_about_released(u64::MAX);
        let info = request::RequestKind::EngineInfo.number();
        served.client.requests.submit(RecordHead { kind: info, ..RecordHead::default() }, b"").unwrap();
        served.runtime.block_on(served.link.until_gone());
        assert_eq!(served.link.why(), Some(Detached::Protocol));
    }

    /// A client that writes whatever it likes into its ring.
    #[test]
    fn garbage_records_are_answered_and_the_client_goes_on() {
        let mut served = served();
        let client = &mut served.client;
        let start = request::RequestKind::TaskStart.number();
        let info = request::RequestKind::EngineInfo.number();
        let records: [(u16, u16, &[u8]); 5] = [
            (60_000, 0, b"no such kind"),
            (start, 0, b""),
            (start, 0, &[0xff; 64]),
            (start, FLAG_BLOB, &[7; 8]), // a large body that was never handed over
            (info, 0, b""),
        ];
        for (number, (kind, flags, body)) in (1..).zip(records) {
            let head = RecordHead { kind, flags, session_index: 9, session_sequence: 0, correlation: number };
            client.requests.submit(head, body).unwrap();
        }
        let mut answers = Vec::new();
        let mut body = AlignedVec::new();
        while answers.len() < records.len() {
            match client.events.receive(&mut body).unwrap() {
                Some(head) => {
                    let event = Event::decode(head.kind, &body).unwrap();
                    answers.push((head.correlation, matches!(event, Event::RequestDone(_))));
                }
                None => drop(client.events.wait(Some(Duration::from_secs(10)), Duration::ZERO)),
            }
        }
        answers.sort_unstable();
        assert_eq!(answers, [(1, false), (2, false), (3, false), (4, false), (5, true)]);
    }
}
