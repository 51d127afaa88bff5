//! Changed files as a host reads them: `{path, status, binary, added, removed, hunks}`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::blobs::Content;
use crate::edit::hunks::{Diff, Hunk};
use crate::workspace::paths;

/// Most bytes of hunks in one answer; files beyond are counted only, and can be asked for by name.
const MAX_TEXT: usize = 8 << 20;

/// A file at two times.
pub(in crate::task) struct Change {
    /// As people read it.
    pub path: String,
    /// The one time.
    pub before: Content,
    /// The other.
    pub after: Content,
}

/// How much a file differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::task) struct Counts {
    /// At all.
    pub differs: bool,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

impl Change {
    /// Both texts, if both are.
    fn texts(&self) -> Option<(&str, &str)> {
        Some((self.before.text()?, self.after.text()?))
    }

    /// Its hunks; `None` for what is no text.
    pub fn diff(&self) -> Option<Diff<'_>> {
        self.texts().map(|(before, after)| Diff::new(&self.path, before, after))
    }

    /// Whether it differs, or may: of two contents nobody knows, nobody knows that.
    pub fn differs(&self) -> bool {
        self.before != self.after || matches!(self.before, Content::Unknown | Content::Binary)
    }

    /// How much it differs.
    pub fn counts(&self) -> Counts {
        if !self.differs() {
            return Counts::default();
        }
        let (added, removed) = self.diff().map_or((0, 0), |diff| diff.counts());
        Counts { differs: true, added: added as u64, removed: removed as u64 }
    }

    fn status(&self) -> &'static str {
        match (&self.before, &self.after) {
            (Content::Absent, _) => "added",
            (_, Content::Absent) => "deleted",
            _ => "modified",
        }
    }

    /// The file as JSON; `room` is what its hunks may take, and gets smaller.
    fn to_json(&self, room: &mut usize) -> Value {
        let mut file = Map::new();
        file.insert("path".into(), self.path.as_str().into());
        file.insert("status".into(), self.status().into());
        let diff = self.diff();
        let known = self.before != Content::Unknown && self.after != Content::Unknown;
        file.insert("binary".into(), (diff.is_none() && known).into());
        let (added, removed) = diff.as_ref().map_or((0, 0), Diff::counts);
        file.insert("added".into(), added.into());
        file.insert("removed".into(), removed.into());
        let hunks = diff.map(|diff| diff.hunks).unwrap_or_default();
        let size: usize = hunks.iter().map(|hunk| hunk.text.len()).sum();
        let omitted = match () {
            () if !known => Some("not_kept"),
            () if size > *room => Some("too_large"),
            () => None,
        };
        match omitted {
            Some(why) => {
                file.insert("omitted".into(), why.into());
            }
            None => *room -= size,
        }
        let shown = if omitted.is_some() { Vec::new() } else { hunks.iter().map(hunk_json).collect() };
        file.insert("hunks".into(), Value::Array(shown));
        Value::Object(file)
    }
}

fn hunk_json(hunk: &Hunk) -> Value {
    json!({
        "id": hunk.id, "old_start": hunk.old_start, "old_lines": hunk.old_lines, "new_start": hunk.new_start,
        "new_lines": hunk.new_lines, "added": hunk.added, "removed": hunk.removed, "text": hunk.text,
    })
}

/// The answer to `task.diff`: the changes of all files, or of those named.
pub(super) fn report(changes: impl Iterator<Item = Change>, files: &[String], is_dry_run: bool) -> Value {
    let mut room = MAX_TEXT;
    let (mut added, mut removed) = (0, 0);
    let wanted = |change: &Change| files.is_empty() || files.contains(&change.path);
    let shown: Vec<Value> = changes
        .filter(wanted)
        .map(|change| {
            let file = change.to_json(&mut room);
            added += file["added"].as_u64().unwrap_or(0);
            removed += file["removed"].as_u64().unwrap_or(0);
            file
        })
        .collect();
    json!({ "dry_run": is_dry_run, "files": shown, "added": added, "removed": removed })
}

/// A path as people read it: relative to the workspace with forward slashes, or absolute.
pub(super) fn shown(cwd: &Path, path: &Path) -> String {
    let real: PathBuf = paths::real(cwd).unwrap_or_else(|| cwd.to_owned());
    let path = path.strip_prefix(&real).unwrap_or(path);
    paths::posix(&path.to_string_lossy())
}
