//! Contents of mentioned files and folders (spec 03 §16.3).

use std::path::{Path, PathBuf};

use super::Place;
use crate::edit::line_numbers;
use crate::prompt::mentions::folder::{Child, layout};
use crate::prompt::mentions::unescape_spaces;
use crate::prompt::text::{Texts, context};
use crate::tools::read_file::wording::cause;
use crate::workspace::reading::{self, ReadError};
use crate::workspace::{images, paths};

/// Most bytes of text that one file may put into a message.
pub(super) const LARGEST_TEXT: usize = 4 << 20;
/// Most bytes of text that the files of one folder may put into a message; those beyond are named only.
const LARGEST_FOLDER: usize = 16 << 20;
/// Most entries of a folder that are named.
const MOST_CHILDREN: usize = 5_000;

/// What the model is shown of a path; `Err` with its sentence when there is no such file.
pub(super) async fn content(path: &str, place: &Place<'_>) -> Result<String, String> {
    let written = unescape_spaces(path);
    let absolute = (place.locate)(&paths::resolve(place.cwd, &written));
    let found = tokio::fs::metadata(&absolute).await;
    match found {
        Err(cause) => {
            Err(place.texts.render("mention.fetch_error", context! { path => written, cause => cause.to_string() }))
        }
        Ok(found) if found.is_dir() => Ok(folder(path, absolute, place).await),
        Ok(found) => Ok(file(&written, absolute, found.len(), place).await),
    }
}

async fn file(path: &str, absolute: PathBuf, size: u64, place: &Place<'_>) -> String {
    let texts = place.texts;
    if !place.access.accessible(path) {
        return texts.render("mention.file.ignored", context! { path });
    }
    if images::mime_type(&absolute).is_some() {
        return texts.render("mention.file.image", context! { size });
    }
    let (words, most_lines) = (texts.clone(), place.settings.max_read_file_line);
    let read = tokio::task::spawn_blocking(move || text(&absolute, most_lines, &words)).await;
    let cause = match read {
        Ok(Ok(text)) => return text,
        Ok(Err(error)) => cause(texts, &error),
        Err(stopped) => stopped.to_string(),
    };
    texts.render("mention.file.unreadable", context! { path, cause })
}

/// The text of a file with line numbers, cut to the first lines if the settings say so; blocking.
fn text(path: &Path, most_lines: i64, texts: &Texts) -> Result<String, ReadError> {
    let most_lines = (most_lines != -1).then_some(most_lines as f64);
    let too_large = || ReadError::TooLarge(path.to_owned());
    // Of a file that is cut, the size says nothing; of a document, little.
    if most_lines.is_none() && reading::size(path)? > reading::MAX_TEXT {
        return Err(too_large());
    }
    let extracted = reading::extract(path, most_lines)?;
    if extracted.text.len() > LARGEST_TEXT {
        return Err(too_large());
    }
    let mut shown = if extracted.numbered { line_numbers::add(&extracted.text, 1) } else { extracted.text };
    if let Some(cut) = extracted.cut {
        let note = texts.render("extract.truncated", context! { shown => cut.shown, total => cut.total });
        shown.push_str(&format!("\n\n{note}"));
    }
    Ok(shown)
}

/// The entries of a folder and the texts of its files, links not followed.
async fn folder(path: &str, absolute: PathBuf, place: &Place<'_>) -> String {
    let texts = place.texts;
    let listed = absolute.clone();
    let read = match tokio::task::spawn_blocking(move || entries(&listed)).await {
        Ok(read) => read,
        Err(stopped) => Err(std::io::Error::other(stopped)),
    };
    let (entries, more) = match read {
        Ok(read) => read,
        Err(cause) => {
            return texts.render("mention.fetch_error", context! { path, cause => cause.to_string() });
        }
    };
    let ignored: Vec<bool> = entries.iter().map(|entry| !place.access.accessible(absolute.join(&entry.name))).collect();
    let (words, most_lines) = (texts.clone(), place.settings.max_read_file_line);
    let children =
        tokio::task::spawn_blocking(move || children(entries, &ignored, &absolute, most_lines, &words)).await;
    let shown = layout(&children.unwrap_or_default(), path, place.settings.show_roo_ignored_files);
    match more {
        0 => shown,
        count => format!("{shown}\n\n{}", texts.render("mention.folder.more", context! { count })),
    }
}

struct Entry {
    name: String,
    is_folder: bool,
    is_file: bool,
}

/// The first entries in byte order of their names, and how many more there are; blocking.
fn entries(folder: &Path) -> std::io::Result<(Vec<Entry>, usize)> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // An entry that has just gone is not there.
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(Entry { name, is_folder: kind.is_dir(), is_file: kind.is_file() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let more = entries.len().saturating_sub(MOST_CHILDREN);
    entries.truncate(MOST_CHILDREN);
    Ok((entries, more))
}

/// The entries with the texts of their files; blocking.
fn children(entries: Vec<Entry>, ignored: &[bool], folder: &Path, most_lines: i64, texts: &Texts) -> Vec<Child> {
    let mut left = LARGEST_FOLDER;
    let shown = |(entry, ignored): (Entry, &bool)| {
        let path = folder.join(&entry.name);
        let readable = entry.is_file && !*ignored && !reading::is_binary(&path).unwrap_or(false);
        let text = readable.then(|| text(&path, most_lines, texts).ok()).flatten();
        let text = text.filter(|text| text.len() <= left);
        left -= text.as_ref().map_or(0, String::len);
        Child { name: entry.name, is_folder: entry.is_folder, ignored: *ignored, text }
    };
    entries.into_iter().zip(ignored).map(shown).collect()
}
