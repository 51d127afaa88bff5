//! Collected edits go to the files, or are dropped: all of them, those of some files, or single hunks.
//!
//! A file that changed since is merged hunk by hunk; what does not fit is a conflict and stays collected. A file is written
//! before its edits leave the list: an engine killed between the two finds them there already when asked again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::blobs::Content;
use super::dry_run::{DryRun, real};
use super::editor::Changes;
use super::report::Change;

/// Which of the collected edits are meant; with nothing named, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Files, as `task.diff` names them.
    pub files: Vec<String>,
    /// Ids of hunks.
    pub hunks: Vec<String>,
}

/// Collected edits that are meant.
pub(in crate::task) struct Chosen {
    dry_run: Arc<DryRun>,
    files: Vec<ChosenFile>,
}

/// What is meant of one file.
struct ChosenFile {
    path: PathBuf,
    /// All of it, or these hunks.
    hunks: Option<HashSet<String>>,
}

/// Why an edit cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    Changed,
    Deleted,
    Exists,
    Unreadable,
    Moved,
}

impl Obstacle {
    fn as_str(self) -> &'static str {
        match self {
            Obstacle::Changed => "changed",
            Obstacle::Deleted => "deleted",
            Obstacle::Exists => "exists",
            Obstacle::Unreadable => "unreadable",
            Obstacle::Moved => "moved",
        }
    }
}

/// What applying comes to for one file.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// New text of the file, if it changes.
    write: Option<String>,
    /// What the remaining edits begin with.
    before: Content,
    /// Hunks that are applied then.
    applied: Vec<String>,
    /// Hunks that are not, or the file as a whole.
    conflicts: Vec<(Option<String>, Obstacle)>,
}

impl Chosen {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Changes {
    /// Applies what was chosen: `{applied, conflicts, left}`.
    ///
    /// # Errors
    /// A text: what is left cannot be read.
    pub async fn apply_collected(self: &Arc<Self>, chosen: Chosen) -> Result<Value, String> {
        let Chosen { dry_run, files } = chosen;
        let (mut applied, mut conflicts) = (Vec::new(), Vec::new());
        for chosen in files {
            let path = chosen.path.clone();
            let Some(change) = dry_run.get(self.cwd(), &path) else { continue };
            let shown = change.path.clone();
            match self.apply_file(&dry_run, chosen, change).await {
                Ok(plan) => {
                    if plan.conflicts.is_empty() || !plan.applied.is_empty() {
                        applied.push(json!({"path": shown, "hunks": plan.applied}));
                    }
                    let conflict = |(hunk, why): (Option<String>, Obstacle)| match hunk {
                        Some(hunk) => json!({"path": shown, "hunk": hunk, "reason": why.as_str()}),
                        None => json!({"path": shown, "reason": why.as_str()}),
                    };
                    conflicts.extend(plan.conflicts.into_iter().map(conflict));
                }
                Err(cause) => conflicts.push(json!({"path": shown, "reason": "failed", "message": cause})),
            }
        }
        self.report_collected();
        Ok(json!({"applied": applied, "conflicts": conflicts, "left": self.left().await?}))
    }

    /// Drops what was chosen: `{dropped, left}`.
    ///
    /// # Errors
    /// A text: the list cannot be stored, or what is left cannot be read.
    pub async fn drop_collected(self: &Arc<Self>, chosen: Chosen) -> Result<Value, String> {
        let Chosen { dry_run, files } = chosen;
        let cwd = self.cwd().to_owned();
        let work = move || {
            let mut dropped = Vec::new();
            for chosen in files {
                let _changing = dry_run.change()?;
                let Some(change) = dry_run.get(&cwd, &chosen.path) else { continue };
                let after = chosen.hunks.and_then(|hunks| {
                    let diff = change.diff().filter(|diff| diff.hunks.iter().any(|hunk| !hunks.contains(&hunk.id)))?;
                    Some(Content::Bytes(diff.pick(|hunk| !hunks.contains(&hunk.id)).into_bytes()))
                });
                dropped.push(change.path.clone());
                let after = after.unwrap_or_else(|| change.before.clone());
                dry_run.replace(chosen.path, change.before, after)?;
            }
            Ok::<_, String>(dropped)
        };
        let dropped = tokio::task::spawn_blocking(work).await.map_err(|stopped| stopped.to_string())??;
        self.report_collected();
        Ok(json!({"dropped": dropped, "left": self.left().await?}))
    }

    /// The files and hunks that are meant.
    ///
    /// # Errors
    /// A text: there is no dry run, its list cannot be used, or something selected is not collected.
    pub async fn choose(self: &Arc<Self>, selection: Selection) -> Result<Chosen, String> {
        let dry_run = self.dry_run().cloned().ok_or("the task is no dry run")?;
        let changes = self.clone();
        let work = move || Ok(Chosen { files: choose(&dry_run, changes.cwd(), selection)?, dry_run });
        tokio::task::spawn_blocking(work).await.map_err(|stopped| stopped.to_string())?
    }

    /// What is still collected.
    async fn left(self: &Arc<Self>) -> Result<Value, String> {
        let changes = self.clone();
        let work = move || changes.collected(&[]).unwrap_or_else(|| Ok(Value::Null));
        tokio::task::spawn_blocking(work).await.map_err(|stopped| stopped.to_string())?
    }

    async fn apply_file(&self, dry_run: &Arc<DryRun>, chosen: ChosenFile, change: Change) -> Result<Plan, String> {
        let ChosenFile { path, hunks } = chosen;
        if change.before != Content::Absent {
            self.settle_document(&path).await.map_err(|error| error.to_string())?;
        }
        let place = path.clone();
        let work = move || {
            // The name that was approved must still lead to the same place.
            let now = if real(&place) == place { Ok(Content::of(&place)) } else { Err(Obstacle::Moved) };
            let plan = plan(&change, now.clone(), hunks.as_ref());
            (plan, change, now)
        };
        let (plan, change, now) = tokio::task::spawn_blocking(work).await.map_err(|stopped| stopped.to_string())?;
        if let (Some(text), Ok(now)) = (&plan.write, now) {
            self.write_through(&path, now, text).await.map_err(|error| error.to_string())?;
        }
        let (dry_run, before, seen) = (dry_run.clone(), plan.before.clone(), change.after);
        let store = move || {
            let _changing = dry_run.change()?;
            // The model may have gone on with the file meanwhile.
            let after = dry_run.get(Path::new(""), &path).map_or(seen, |now| now.after);
            dry_run.replace(path, before, after)
        };
        tokio::task::spawn_blocking(store).await.map_err(|stopped| stopped.to_string())??;
        Ok(plan)
    }
}

fn choose(dry_run: &DryRun, cwd: &Path, selection: Selection) -> Result<Vec<ChosenFile>, String> {
    dry_run.change().map(drop)?;
    let Selection { files, hunks } = selection;
    let all = files.is_empty() && hunks.is_empty();
    let mut unknown_files: HashSet<&String> = files.iter().collect();
    let mut unknown_hunks: HashSet<&String> = hunks.iter().collect();
    let mut chosen = Vec::new();
    for path in dry_run.files() {
        let Some(change) = dry_run.get(cwd, &path) else { continue };
        let absolute = path.to_string_lossy().into_owned();
        let named = [&change.path, &absolute].map(|name| unknown_files.remove(name)).contains(&true);
        let own: HashSet<String> = match (hunks.is_empty(), change.diff()) {
            (false, Some(diff)) => {
                diff.hunks.into_iter().map(|hunk| hunk.id).filter(|id| unknown_hunks.remove(id)).collect()
            }
            _ => HashSet::new(),
        };
        if all || named {
            chosen.push(ChosenFile { path, hunks: None });
        } else if !own.is_empty() {
            chosen.push(ChosenFile { path, hunks: Some(own) });
        }
    }
    match (unknown_files.into_iter().min(), unknown_hunks.into_iter().min()) {
        (None, None) => Ok(chosen),
        (Some(file), _) => Err(format!("files: no edit of `{file}` is collected")),
        (None, Some(hunk)) => Err(format!("hunks: no hunk `{hunk}` is collected")),
    }
}

/// What comes of applying all edits of a file, or these hunks, to the file as it is `now`.
fn plan(change: &Change, now: Result<Content, Obstacle>, hunks: Option<&HashSet<String>>) -> Plan {
    let wants = |id: &str| hunks.is_none_or(|hunks| hunks.contains(id));
    let stays = |conflicts| Plan { write: None, before: change.before.clone(), applied: Vec::new(), conflicts };
    let diff = change.diff();
    // Every wanted hunk meets the same obstacle; what has no hunks meets it as a whole.
    let blocked = |why: Obstacle| match &diff {
        Some(diff) if !diff.hunks.is_empty() => {
            let wanted = diff.hunks.iter().filter(|hunk| wants(&hunk.id));
            stays(wanted.map(|hunk| (Some(hunk.id.clone()), why)).collect())
        }
        _ => stays(vec![(None, why)]),
    };
    let now = match now {
        Err(why) => return blocked(why),
        Ok(Content::Unknown) => return blocked(Obstacle::Unreadable),
        Ok(now) => now,
    };
    let why = match (&change.before, &now) {
        (before, now) if *before != Content::Absent && *now == Content::Absent => return blocked(Obstacle::Deleted),
        (Content::Absent, _) => Obstacle::Exists,
        _ => Obstacle::Changed,
    };
    let whole = |write| Plan { write, before: change.after.clone(), applied: Vec::new(), conflicts: Vec::new() };
    let Some(diff) = &diff else {
        let text = match &change.after {
            Content::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        };
        return match text {
            _ if now == change.after => whole(None),
            Some(text) if now == change.before && now != Content::Unknown => whole(Some(text)),
            _ => blocked(why),
        };
    };
    let Some(theirs) = now.text() else { return blocked(why) };
    if diff.hunks.is_empty() {
        // A new file without content.
        return if now == Content::Absent { whole(Some(String::new())) } else { whole(None) };
    }
    let merged = diff.merge(theirs, |hunk| wants(&hunk.id));
    let conflicting: HashSet<&str> = merged.conflicts.iter().map(|at| diff.hunks[*at].id.as_str()).collect();
    let done = |id: &str| wants(id) && !conflicting.contains(id);
    let applied: Vec<String> = diff.hunks.iter().filter(|hunk| done(&hunk.id)).map(|hunk| hunk.id.clone()).collect();
    if applied.is_empty() {
        return blocked(why);
    }
    Plan {
        write: (now == Content::Absent || merged.text != theirs).then_some(merged.text),
        before: Content::Bytes(diff.pick(|hunk| done(&hunk.id)).into_bytes()),
        applied,
        conflicts: merged.conflicts.iter().map(|at| (Some(diff.hunks[*at].id.clone()), why)).collect(),
    }
}
