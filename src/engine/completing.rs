//! What a user may mean who types a mention or a command: `mention.complete`, `file.search`.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::core::Core;
use super::router::{Outcome, off_runtime, workspace_folder};
use crate::prompt::commands::Folders;
use crate::prompt::mentions::complete::{self, Wanted};
use crate::prompt::rules::listing::{self, Purpose};
use crate::prompt::rules::toggles::Toggles;
use crate::protocol::request::{FileSearch, MentionComplete};
use crate::terminal;
use crate::workspace::find::{self, Found};

/// Things that are offered unless the request says otherwise.
const OFFERED: u32 = 20;
/// Most things that are offered.
const MOST_OFFERED: u32 = 200;
/// Commits that are looked at for one whose subject fits.
const COMMITS: &str = "--max-count=200";
/// Of those that fit, as many are offered.
const COMMITS_OFFERED: usize = 5;
/// Typed characters from which on commits are looked for: nearly every subject has any one or two.
const COMMIT_QUERY: usize = 3;

/// `file.search`.
pub fn files(search: &FileSearch) -> Outcome {
    let cwd = workspace_folder(&search.workspace, "file.search")?;
    let files = find::find(cwd, &search.query, most(search.limit));
    let files: Vec<Value> =
        files.iter().map(|found| json!({"kind": kind(found), "path": found.path, "label": found.label})).collect();
    Ok(json!({ "files": files }))
}

/// `mention.complete`.
pub async fn complete(core: Arc<Core>, request: MentionComplete) -> Outcome {
    let cwd = workspace_folder(&request.workspace, "mention.complete")?.to_owned();
    let most = most(request.limit);
    let commits = match complete::wanted(&request.prefix) {
        Wanted::Anything(query) => commits(&core, &cwd, query).await,
        _ => Vec::new(),
    };
    off_runtime(core, move |core| {
        let mut items = match complete::wanted(&request.prefix) {
            Wanted::Nothing => Vec::new(),
            Wanted::Commands(name) => commands(core, &cwd, name),
            Wanted::Files(path) => paths(&cwd, path, most),
            Wanted::Anything(query) => {
                let words = complete::words(query).map(|word| item(word, format!("@{word}"), word));
                // Commits are few: they have their place before the last of many files.
                words.chain(paths(&cwd, query, most.saturating_sub(commits.len()))).collect()
            }
        };
        items.truncate(most.saturating_sub(commits.len()));
        items.extend(commits);
        Ok(json!({ "items": items }))
    })
    .await
}

fn most(limit: Option<u32>) -> usize {
    limit.unwrap_or(OFFERED).clamp(1, MOST_OFFERED) as usize
}

fn kind(found: &Found) -> &'static str {
    if found.is_folder { "folder" } else { "file" }
}

fn item(kind: &str, insert: String, label: &str) -> Value {
    json!({"kind": kind, "insert": insert, "label": label})
}

fn paths(cwd: &Path, query: &str, most: usize) -> Vec<Value> {
    let mention = |found: Found| {
        let mut item = item(kind(&found), complete::path(&found.path, found.is_folder)?, &found.label);
        item["detail"] = found.path.into();
        Some(item)
    };
    find::find(cwd, query, most).into_iter().filter_map(mention).collect()
}

/// Commands of files and of the engine, and workflows that are switched on.
fn commands(core: &Core, cwd: &Path, name: &str) -> Vec<Value> {
    let home = &core.prompt.home;
    let mut items: Vec<Value> =
        complete::engine_commands(name).map(|name| item("command", format!("/{name}"), name)).collect();
    let files = Folders::of(cwd, home).list(&core.prompt.texts);
    items.extend(files.into_iter().filter(|command| command.name.starts_with(name)).map(|command| {
        let mut item = item("command", format!("/{}", command.name), &command.name);
        if let Some(detail) = command.description {
            item["detail"] = detail.into();
        }
        item
    }));
    let toggles = Toggles::load(&core.storage, cwd, &core.settings.current());
    let workflows = listing::list(cwd, home, None, &toggles).into_iter();
    let workflows = workflows.filter(|file| file.kind == Purpose::Workflow && file.enabled);
    items.extend(workflows.filter_map(|file| {
        let file_name = file.path.file_name()?.to_str().filter(|file| file.starts_with(name))?;
        Some(item("workflow", format!("/{file_name}"), file_name))
    }));
    items
}

/// Commits whose subject fits, newest first, or the one of this hash. A workspace without git has none.
async fn commits(core: &Core, cwd: &Path, query: &str) -> Vec<Value> {
    const FORMAT: &str = "--format=%H%x1f%s";
    if query.chars().count() < COMMIT_QUERY {
        return Vec::new();
    }
    let environment = &core.provider_surroundings().program_environment;
    let is_hash =
        (7..=40).contains(&query.len()) && query.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut log = Ok(String::new());
    if is_hash {
        log = terminal::git(cwd, environment, &["log", "--max-count=1", FORMAT], &[query]).await;
    }
    if log.as_ref().is_ok_and(String::is_empty) {
        log = terminal::git(cwd, environment, &["log", COMMITS, FORMAT], &[]).await;
    }
    let (log, query) = (log.unwrap_or_default(), query.to_lowercase());
    let commits = log.lines().filter_map(|line| line.split_once('\u{1f}'));
    let fitting = commits.filter(|(_, subject)| is_hash || subject.to_lowercase().contains(&query));
    let shown = fitting.take(COMMITS_OFFERED).map(|(hash, subject)| {
        let mut item = item("commit", format!("@{hash}"), hash.get(..7).unwrap_or(hash));
        item["detail"] = subject.into();
        item
    });
    shown.collect()
}
