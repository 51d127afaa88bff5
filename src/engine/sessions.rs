//! Requests that open, close or steer a session.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::attachment::Attachment;
use super::core::{Core, SESSION_LIMIT, Session};
use super::journal::Entry;
use super::router::{Execution, Outcome, no_mode, object, setting_refused, stale, submit, workspace_folder};
use super::session_host::AskState;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::ids::SessionId;
use crate::protocol::message::AskResponse;
use crate::protocol::request::{self, Response};
use crate::settings::{modes, profiles};
use crate::task::host::{SettingsSource, TaskHistory};
use crate::task::session::Command;

pub fn start(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, start: request::TaskStart) -> Execution {
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
    if modes::find(mode, &current.custom_modes).is_none() {
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

pub fn resume(core: &Arc<Core>, client: &Arc<Attachment>, id: u64, resume: request::TaskResume) -> Execution {
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

/// Closes the task on top. A session that has none left ends: no request could give it another.
pub fn clear(core: &Arc<Core>, client: &Attachment, id: SessionId) -> Execution {
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

pub fn set_mode(core: &Core, client: &Attachment, set: request::TaskSetMode) -> Execution {
    let Some(session) = core.session(set.session, client) else { return Err(stale("session")).into() };
    session.settings.refresh();
    if modes::find(&set.mode, &session.settings.current().custom_modes).is_none() {
        return Err(no_mode(&set.mode, "task.set_mode.mode")).into();
    }
    submit(&session, Command::SetMode(set.mode))
}

pub fn set_profile(core: &Core, client: &Attachment, set: request::TaskSetProfile) -> Execution {
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

pub fn respond(core: &Arc<Core>, client: &Attachment, id: u64, respond: request::TaskRespond) -> Execution {
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

pub fn respond_as_host(core: &Core, client: &Attachment, respond: request::HostRespond) -> Outcome {
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
