//! `commit_message.create`: a message for what is staged, else for what is changed (spec 03 §14).

pub mod changes;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use self::changes::Git;
use super::completion::{self, Auxiliary};
use super::configuration;
use super::core::Core;
use super::router::{Outcome, workspace_folder};
use super::settings::{SessionSettings, Values};
use super::support::{broken, own_prompts};
use super::surroundings;
use crate::prompt::commit;
use crate::prompt::text::Texts;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::CommitMessageCreate;
use crate::settings::Settings;
use crate::task::host::SettingsSource;
use crate::terminal::GitError;
use crate::workspace::access::Access;

/// The last message of an engine: for the same changes another one is wanted.
#[derive(Default)]
pub struct LastMessage(Mutex<Option<Made>>);

struct Made {
    context: String,
    message: String,
}

impl LastMessage {
    /// The message that was made for these changes, if that was the last thing asked.
    fn of(&self, context: &str) -> Option<String> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref()
            .filter(|made| made.context == context && !made.message.is_empty())
            .map(|made| made.message.clone())
    }

    fn remember(&self, context: String, message: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Made { context, message });
    }
}

/// Reads the changes, asks a model, and gives its message.
pub async fn create(core: Arc<Core>, request: CommitMessageCreate) -> Outcome {
    let folder = workspace_folder(&request.workspace, "commit_message.create")?.to_owned();
    let git = Git { folder, environment: surroundings::environment() };
    let repository = git.root().await.map_err(|error| failed(core.texts(), &error))?;
    let git = Git { folder: repository, ..git };
    let (runtime, reader, folder) = (core.runtime.clone(), core.clone(), git.folder.clone());
    let read = runtime.spawn_blocking(move || read(&reader, &folder)).await;
    let Found { texts, access, settings, instructions } =
        read.map_err(|error| RequestFailed::new(ErrorKind::Internal, error.to_string()))??;
    let changes = git
        .changes(&texts, Some(&access))
        .await
        .ok_or_else(|| RequestFailed::new(ErrorKind::NotFound, texts.get("commit.no_changes")))?;
    let context = commit::context(&texts, &changes);
    let previous = core.last_commit_message.of(&context);
    let prompt = commit::prompt(&texts, own_prompts(&settings), &context, &instructions, previous.as_deref())
        .map_err(|error| broken(&error))?;
    let answer = completion::single(&core, &settings, Auxiliary::CommitMessage, &prompt).await?;
    let message = commit::message_of(&answer);
    core.last_commit_message.remember(context, message.clone());
    Ok(json!({"message": message, "staged": changes.staged, "repository": git.folder}))
}

fn failed(texts: &Texts, error: &GitError) -> RequestFailed {
    match error {
        GitError::NoProgram => RequestFailed::new(ErrorKind::NotSupported, texts.get("commit.no_git")),
        GitError::Said(_) => RequestFailed::new(ErrorKind::NotFound, texts.get("commit.no_repository")),
        GitError::TimedOut => RequestFailed::new(ErrorKind::Io, error.to_string()),
    }
}

/// What stands in files beside the changes.
struct Found {
    texts: Arc<Texts>,
    access: Access,
    settings: Arc<Settings>,
    instructions: String,
}

/// Texts, ignore rules, settings and instructions that count in a folder. Blocks.
fn read(core: &Core, folder: &Path) -> Result<Found, RequestFailed> {
    let workspace: Values = configuration::of_workspace(core, folder).into();
    let settings = SessionSettings::in_workspace(core.settings.clone(), workspace, Values::default());
    let settings = settings.map_or_else(|_| core.settings.current(), |settings| settings.current());
    let texts = core.texts_in(folder);
    let instructions = core.prompt.for_commit(folder, &settings, &texts);
    let instructions = instructions.map_err(|error| RequestFailed::new(ErrorKind::Io, error))?;
    Ok(Found { texts, access: Access::load(folder), settings, instructions })
}
