//! Environment details: the last block of every user message (spec 02 §10). Here the facts are gathered; [`layout`] makes
//! a text of them.

pub mod layout;

use std::sync::Arc;
use std::time::Duration;

use super::instance::Task;
use crate::prompt::text::Texts;
use crate::protocol::message::Say;
use crate::settings::{Settings, modes};
use crate::terminal::{Captured, Limits, compress_captured};
use crate::tools::list_files;
use crate::workspace::{listing, paths};
use layout::{Busy, Editors, Facts, Finished, Rest};

/// How long busy terminals may keep the request waiting.
const COOL_LIMIT: Duration = Duration::from_millis(5000);
/// Pause after an edit while commands run, so that watchers among them can react.
const EDIT_PAUSE: Duration = Duration::from_millis(300);

/// The block for the next request; `files` adds the listing of the workspace.
pub(super) async fn details(task: &Arc<Task>, files: bool) -> String {
    let settings = task.settings();
    let surroundings = &task.services.surroundings;
    let texts = surroundings.texts.clone();
    let (visible, open) = editors(task, &settings).await;
    cool_down(task).await;
    super::context_files::look(task).await;
    let modified = std::mem::take(&mut task.state().recently_modified).into_iter().collect();
    let (busy, finished) = terminals(task, &settings);
    let (zone, zone_offset) = surroundings.time_zone.clone();
    let rest = match fetch_model(task, &settings).await {
        true => Some(rest(task, &settings, files, &texts).await),
        false => None,
    };
    let facts =
        Facts { visible, open, modified, busy, finished, now_ms: (surroundings.now_ms)(), zone, zone_offset, rest };
    layout::render(&facts, &texts)
}

/// Visible editors and open tabs, as the host tells.
async fn editors(task: &Task, settings: &Settings) -> (Editors, Editors) {
    let host = &task.services.host;
    let answer = match host.offers("tabs.get") {
        true => host.request("tabs.get", serde_json::json!({})).await.unwrap_or_default(),
        false => serde_json::Value::Null,
    };
    let paths = |key: &str, limit: usize| {
        let all = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown = all.iter().filter_map(|path| path.as_str()).map(|path| relative(task, path)).take(limit);
        Editors::Filtered(shown.filter(|path| task.access.accessible(path)).collect())
    };
    (paths("visible", settings.max_workspace_files), paths("open", settings.max_open_tabs_context))
}

/// The path as seen from the task's directory, with forward slashes.
fn relative(task: &Task, path: &str) -> String {
    paths::posix(&paths::relative_to(&task.cwd, &paths::resolve(&task.cwd, path)).to_string_lossy())
}

/// Waits for commands that are printing or compiling.
async fn cool_down(task: &Task) {
    let terminals = &task.services.surroundings.terminals;
    let edited = std::mem::take(&mut task.state().edited);
    if terminals.busy(&task.id).is_empty() {
        return;
    }
    if edited {
        let _ = task.unless_aborted(tokio::time::sleep(EDIT_PAUSE)).await;
    }
    let _ = task.unless_aborted(terminals.cool(&task.id, COOL_LIMIT)).await;
}

/// Running commands, and what finished commands printed. Reading takes the output.
fn terminals(task: &Task, settings: &Settings) -> (Vec<Busy>, Vec<Finished>) {
    let terminals = &task.services.surroundings.terminals;
    let busy = terminals.busy(&task.id).into_iter().map(|terminal| Busy {
        terminal: terminal.terminal,
        cwd: terminal.cwd.display().to_string(),
        command: terminal.process.command().to_owned(),
        output: compress(terminal.process.take_unretrieved(), settings),
    });
    let busy = busy.collect();
    let finished = terminals.take_finished(&task.id).into_iter().map(|terminal| Finished {
        terminal: terminal.terminal,
        cwd: terminal.cwd.display().to_string(),
        processes: terminal
            .unread
            .into_iter()
            .map(|unread| (unread.command, compress(unread.output, settings)))
            .collect(),
    });
    (busy, finished.collect())
}

/// Command output as the model sees it.
fn compress(output: Captured, settings: &Settings) -> String {
    compress_captured(
        &output,
        Limits {
            lines: settings.terminal_output_line_limit,
            characters: settings.terminal_output_character_limit,
            progress_bars: settings.terminal_compress_progress_bar,
        },
    )
}

/// Fetches the model's facts if they have to be fetched; false, which the user is told, when that failed.
async fn fetch_model(task: &Arc<Task>, settings: &Settings) -> bool {
    // Without a provider the request itself says why.
    let Ok(provider) = (task.services.surroundings.providers)(settings) else { return true };
    match task.unless_aborted(provider.fetch_model()).await {
        Ok(Err(error)) => {
            // Only an aborted task does not say it.
            let _ = task.say_text(Say::Error, error.message);
            false
        }
        Ok(Ok(())) | Err(_) => true,
    }
}

/// Role and instructions of the mode, when the user wants the model to be reminded of them each time.
async fn steering(task: &Task, settings: &Settings) -> Option<(String, String)> {
    if !settings.experiment("powerSteering") {
        return None;
    }
    let details = task.services.surroundings.prompt.mode_details(&task.cwd, settings).await?;
    Some((details.role, details.instructions))
}

/// Cost, mode, files and todo list.
async fn rest(task: &Arc<Task>, settings: &Settings, files: bool, texts: &Texts) -> Rest {
    let mode = modes::find(&settings.mode, &settings.custom_modes).or_else(|| modes::builtin().into_iter().next());
    let model = (task.services.surroundings.providers)(settings).map(|provider| provider.model().id);
    let cost = task.state().ui.usage_with_first().total_cost;
    let files = match files {
        true => workspace_files(task, settings, texts).await,
        false => None,
    };
    let todos = settings.todo_list_enabled.then(|| task.state().todos.clone().unwrap_or_default());
    let (slug, name) = mode.map(|mode| (mode.slug.to_string(), mode.name.to_string())).unwrap_or_default();
    Rest { cost, slug, name, model: model.unwrap_or_default(), steering: steering(task, settings).await, files, todos }
}

/// The workspace and what is said of its files.
async fn workspace_files(task: &Arc<Task>, settings: &Settings, texts: &Texts) -> Option<(String, String)> {
    let cwd = task.cwd.to_string_lossy().replace('\\', "/");
    if task.cwd == task.services.surroundings.home.join("Desktop") {
        return Some((cwd, texts.get("env.desktop")));
    }
    if settings.max_workspace_files == 0 {
        return Some((cwd, texts.get("env.files_disabled")));
    }
    let (folder, home, limit) =
        (task.cwd.clone(), task.services.surroundings.home.clone(), settings.max_workspace_files);
    let listed = tokio::task::spawn_blocking(move || listing::list(&folder, &home, true, limit)).await;
    // A listing that could not be finished tells nothing; the next request has none anyway.
    let Ok(listed) = listed else { return Some((cwd, String::new())) };
    let lines = listing::lines(&task.cwd, &listed.paths, Some(&task.access), settings.show_roo_ignored_files, false);
    Some((cwd, list_files::format(texts, &lines, listed.limit_reached)))
}
