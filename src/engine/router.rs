//! Which function carries out which request.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::core::{Core, Session};
use super::{
    changes, checkpoints, commit_message, completing, completion, configuration, modes, preview, providers, rules,
    secrets, sessions, settings, stats, support, tasks,
};
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::ids::SessionId;
use crate::protocol::json::Json;
use crate::protocol::request::{self, Request, TerminalAction};
use crate::settings::schema;
use crate::task::changes::Selection;
use crate::task::session::{Command, CommandError};

/// Outcome of a request.
pub type Outcome = Result<Value, RequestFailed>;

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

/// Carries out the request `id` of a client. Commands are handed to their session here, in the order of submission; what waits for a reply or the disk goes on later.
pub fn execute(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, request: Request) -> Execution {
    match request {
        Request::EngineInfo(_) => Ok(core.info()).into(),
        Request::EngineStats(_) => Ok(stats::collect(core)).into(),
        Request::EngineShutdown(_) if core.owns_process() => Ok(Value::Null).into(),
        Request::EngineShutdown(_) => not_supported("engine.shutdown").into(),
        Request::SettingsGet(get) => configuration::get(core, client, &get).into(),
        Request::SettingsSet(set) if set.save => {
            later(core, move |core| configuration::save(core, object(Some(&set.values), "settings.set.values")?))
        }
        Request::SettingsSet(set) => configuration::set(core, client, &set).into(),
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
        Request::ProviderList(_) => Ok(providers::list(core)).into(),
        Request::ProviderTest(test) => Execution::Later(Box::pin(providers::test(core.clone(), test))),
        Request::ModelList(list) => Execution::Later(Box::pin(providers::models(core.clone(), list))),
        Request::SecretSet(set) => secrets::set(core, set),
        Request::SecretDelete(delete) => secrets::delete(core, delete),
        Request::TokensCount(count) => Execution::Later(Box::pin(providers::count_tokens(count))),
        Request::CompletionCreate(create) => {
            Execution::Later(Box::pin(completion::run(core.clone(), client.clone(), id, create)))
        }
        Request::RulesList(list) => later(core, move |core| rules::list(core, &list)),
        Request::RulesToggle(toggle) => later(core, move |core| rules::toggle(core, &toggle)),
        Request::CommandList(list) => later(core, move |core| rules::commands(core, &list)),
        Request::FileSearch(search) => later(core, move |_| completing::files(&search)),
        Request::MentionComplete(complete) => Execution::Later(Box::pin(completing::complete(core.clone(), complete))),
        Request::PromptPreview(preview) => later(core, move |core| preview::preview(core, &preview)),
        Request::PromptEnhance(enhance) => {
            Execution::Later(Box::pin(support::enhance(core.clone(), client.clone(), enhance)))
        }
        Request::CommitMessageCreate(create) => {
            Execution::Later(Box::pin(commit_message::create(core.clone(), create)))
        }
        Request::TaskStart(start) => sessions::start(core, client, id, start),
        Request::TaskResume(resume) => sessions::resume(core, client, id, resume),
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
        Request::TaskRespond(respond) => sessions::respond(core, client, id, respond),
        Request::TaskCancel(r) => command(core, client, r.session, Command::Cancel),
        Request::TaskClear(r) => sessions::clear(core, client, r.session),
        Request::TaskSetMode(r) => sessions::set_mode(core, client, r),
        Request::TaskSetProfile(r) => sessions::set_profile(core, client, r),
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
        Request::HostRespond(respond) => sessions::respond_as_host(core, client, respond).into(),
        Request::Unbuilt(kind, _) => not_supported(kind.as_str()).into(),
    }
}

fn not_supported(kind: &str) -> Outcome {
    Err(RequestFailed::new(ErrorKind::NotSupported, format!("`{kind}` is not supported by this version")))
}

/// Work for the disk, off the runtime's threads.
pub fn later(core: &Arc<Core>, work: impl FnOnce(&Core) -> Outcome + Send + 'static) -> Execution {
    Execution::Later(Box::pin(off_runtime(core.clone(), work)))
}

/// Work for the disk, off the runtime's threads.
pub async fn off_runtime(core: Arc<Core>, work: impl FnOnce(&Core) -> Outcome + Send + 'static) -> Outcome {
    let runtime = core.runtime.clone();
    runtime.spawn_blocking(move || work(&core)).await.unwrap_or_else(|_| Err(internal()))
}

pub fn internal() -> RequestFailed {
    RequestFailed::new(ErrorKind::Internal, "the request was not carried out")
}

/// Hands a command to its session.
fn command(core: &Core, client: &Attachment, session: SessionId, command: Command) -> Execution {
    match core.session(session, client) {
        Some(session) => submit(&session, command),
        None => Err(stale("session")).into(),
    }
}

pub fn submit(session: &Session, command: Command) -> Execution {
    match session.handle.submit(command) {
        Ok(reply) => Execution::Later(Box::pin(async move {
            reply.await.unwrap_or(Err(CommandError::Closed)).map_err(command_failed)
        })),
        Err(error) => Err(command_failed(error)).into(),
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

pub fn object(json: Option<&Json>, place: &str) -> Result<Map<String, Value>, RequestFailed> {
    match json.map(Json::value) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(RequestFailed {
            place: Some(place.to_owned()),
            ..RequestFailed::new(ErrorKind::InvalidRequest, "must be an object")
        }),
    }
}

pub fn setting_refused(error: &settings::SettingsError, place: &str) -> RequestFailed {
    RequestFailed {
        place: Some(format!("{place}.{}", error.place)),
        ..RequestFailed::new(ErrorKind::Settings, error.message.clone())
    }
}

/// An id that names nothing any more.
pub fn stale(what: &str) -> RequestFailed {
    RequestFailed { place: Some(what.to_owned()), ..RequestFailed::new(ErrorKind::Stale, "no such id any more") }
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
