//! The user's words with what they refer to (spec 02 §9): contents are read from the disk, from git and from the host and put
//! behind the text by [`prompt::mentions`](crate::prompt::mentions).
//!
//! Everything is bounded: a file to [`files::LARGEST_TEXT`], a folder to a few such, git's output and the time it takes, all of a
//! text to [`LARGEST_TOTAL`]. A failure becomes a sentence in the place of the content; nothing here fails a request.

mod files;
mod git;
mod provenance;
pub mod workflows;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::context_files;
use super::host::{HostRequestError, TaskEvent, TaskHost};
use super::instance::Task;
use crate::edit::diagnostics::{self, Severity};
use crate::edit::view::Editor;
use crate::prompt::commands::Folders;
use crate::prompt::mentions::slash::{self, Workflow};
use crate::prompt::mentions::{Command, Mention, Sources, expand, terminal};
use crate::prompt::rules::toggles::Toggles;
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{ContentBlock, MessageContent};
use crate::settings::Settings;
use crate::tools::context::FileSource;
use crate::workspace::access::Access;

/// Once contents of so many bytes stand behind a text, the others are left out: a text may hold a file of somebody else's that
/// mentions any number of files.
const LARGEST_TOTAL: usize = 32 << 20;

/// Where a text is expanded.
pub struct Place<'a> {
    /// The task's directory.
    pub cwd: &'a Path,
    /// The user's home directory.
    pub home: &'a Path,
    /// Where the content of a file stands: elsewhere when a dry run has collected it.
    pub locate: &'a (dyn Fn(&Path) -> PathBuf + Sync),
    /// Ignore rules.
    pub access: &'a Access,
    /// Settings in force.
    pub settings: &'a Settings,
    /// The text catalogue.
    pub texts: &'a Arc<Texts>,
    /// Answers what only an editor knows.
    pub host: &'a dyn TaskHost,
    /// Environment of the `git` program.
    pub environment: &'a [(OsString, OsString)],
}

/// A text with what it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text for the model.
    pub text: String,
    /// Files that were mentioned and found, as written, in order.
    pub files: Vec<String>,
}

/// Puts what a text refers to behind it (spec 03 §15.2, §16).
pub async fn expand_mentions(text: &str, place: &Place<'_>) -> Expanded {
    let reader = Reader { place, files: Mutex::default(), total: AtomicUsize::new(0) };
    let text = expand(text, &reader, place.texts).await;
    Expanded { text, files: reader.files.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

impl Task {
    /// What the user wrote, with what it refers to: mentions and commands, then engine commands and workflows. Only words of a
    /// new task and feedback are looked through; of results of tools only what is the user's in them.
    pub(super) async fn expand_content(self: &Arc<Self>, mut content: Vec<ContentBlock>) -> Vec<ContentBlock> {
        let texts = self.services.surroundings.texts.clone();
        let mut in_results = false;
        for block in &mut content {
            match block {
                ContentBlock::Text { text } if provenance::is_label(text) => in_results = true,
                ContentBlock::Text { text } if is_users(text) => {
                    let users = if in_results { provenance::feedback(text, &texts) } else { Some(0..text.len()) };
                    let Some(users) = users else { continue };
                    let expanded = self.expand_text(&text[users.clone()]).await;
                    let expanded = self.run_command(expanded).await;
                    text.replace_range(users, &expanded);
                }
                ContentBlock::ToolResult { content: Some(MessageContent::Text(text)), .. } if is_users(text) => {
                    *text = self.expand_text(text).await;
                }
                ContentBlock::ToolResult { content: Some(MessageContent::Blocks(blocks)), .. } => {
                    for block in blocks {
                        if let ContentBlock::Text { text } = block
                            && is_users(text)
                        {
                            *text = self.expand_text(text).await;
                        }
                    }
                }
                _ => {}
            }
        }
        content
    }

    async fn expand_text(self: &Arc<Self>, text: &str) -> String {
        let surroundings = &self.services.surroundings;
        let place = Place {
            cwd: &self.cwd,
            home: &surroundings.home,
            locate: &|path| self.changes.locate(path),
            access: &self.access,
            settings: &self.settings(),
            texts: &surroundings.texts,
            host: self.services.host.as_ref(),
            environment: &surroundings.environment,
        };
        let expanded = expand_mentions(text, &place).await;
        for file in &expanded.files {
            context_files::track(self, file, FileSource::FileMentioned).await;
        }
        expanded.text
    }

    async fn run_command(&self, text: String) -> String {
        let (cwd, home) = (self.cwd.clone(), self.services.surroundings.home.clone());
        let (storage, texts) = (self.services.surroundings.storage.clone(), self.services.surroundings.texts.clone());
        let given = Toggles::given(&self.settings());
        let kept = text.clone();
        let replaced = tokio::task::spawn_blocking(move || {
            let workflows = workflows::known(&cwd, &home, &given.over(Toggles::stored(&storage, &cwd)));
            let mut failed = Vec::new();
            let read = |path: &Path| workflows::read(path).map_err(|cause| failed.push((path.to_owned(), cause))).ok();
            let text = slash::run(&text, &workflows, read, &texts).text;
            let told = failed.iter().map(|(path, cause)| {
                let (path, cause) = (path.to_string_lossy(), cause.to_string());
                texts.render("workflow.unreadable", context! { path, cause })
            });
            (text, told.collect::<Vec<_>>())
        });
        let (text, told) = replaced.await.unwrap_or((kept, Vec::new()));
        for message in told {
            self.services.host.emit(TaskEvent::Notify { level: "warning", message });
        }
        text
    }
}

/// The text with an engine command or workflow carried out, if it begins with one (spec 03 §15.4); blocking.
pub fn replace_command(text: &str, workflows: &[Workflow], texts: &Texts) -> String {
    slash::run(text, workflows, |path| workflows::read(path).ok(), texts).text
}

/// Whether a text holds words of the user that are looked through.
pub fn is_users(text: &str) -> bool {
    text.contains("<task>") || text.contains("<feedback>")
}

/// Shortens what a host has sent to [`files::LARGEST_TEXT`], and says so.
fn cut(content: &mut String, texts: &Texts) {
    if content.len() <= files::LARGEST_TEXT {
        return;
    }
    let end = (0..=files::LARGEST_TEXT).rev().find(|at| content.is_char_boundary(*at)).unwrap_or_default();
    let note = texts.render("mention.cut", context! { count => content.len() - end });
    content.truncate(end);
    content.push_str(&format!("\n\n{note}"));
}

/// Reads contents, and notes which files there were.
struct Reader<'a> {
    place: &'a Place<'a>,
    files: Mutex<Vec<String>>,
    /// Bytes of the contents so far.
    total: AtomicUsize,
}

#[async_trait]
impl Sources for Reader<'_> {
    async fn command(&self, name: &str) -> Option<Command> {
        let (cwd, home) = (self.place.cwd.to_owned(), self.place.home.to_owned());
        let (texts, name) = (self.place.texts.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || Folders::of(&cwd, &home).find(&name, &texts)).await;
        let command = found.ok()??;
        Some(Command { description: command.description, content: command.content })
    }

    async fn content(&self, mention: Mention<'_>) -> String {
        if self.total.load(Ordering::Relaxed) >= LARGEST_TOTAL {
            return self.place.texts.get("mention.no_room");
        }
        let mut content = self.read(mention).await;
        // What files and git give is bounded where it is read.
        if matches!(mention, Mention::Url(_) | Mention::Problems | Mention::Terminal) {
            cut(&mut content, self.place.texts);
        }
        self.total.fetch_add(content.len(), Ordering::Relaxed);
        content
    }
}

impl Reader<'_> {
    async fn read(&self, mention: Mention<'_>) -> String {
        let place = self.place;
        match mention {
            Mention::Url(url) => self.page(url).await,
            Mention::Folder(path) => files::content(path, place).await.unwrap_or_else(|failed| failed),
            Mention::File(path) => match files::content(path, place).await {
                Ok(content) => {
                    self.files.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
                    content
                }
                Err(failed) => failed,
            },
            Mention::Problems => self.problems().await,
            Mention::GitChanges => git::changes(place).await,
            Mention::Commit(hash) => git::commit(hash, place).await,
            Mention::Terminal => {
                let answer = self.ask("terminal.text", json!({})).await.unwrap_or_default();
                terminal::last_command(answer["text"].as_str().unwrap_or_default())
            }
        }
    }

    async fn ask(&self, method: &'static str, parameters: Value) -> Result<Value, HostRequestError> {
        match self.place.host.offers(method) {
            true => self.place.host.request(method, parameters).await,
            false => Err(HostRequestError::Unsupported(method)),
        }
    }

    /// A page as Markdown; a failure is shown to the user too.
    async fn page(&self, url: &str) -> String {
        let Place { texts, host, .. } = self.place;
        let cause = match self.ask("url.markdown", json!({ "url": url })).await {
            Ok(answer) => match answer["markdown"].as_str() {
                Some(markdown) => return markdown.to_owned(),
                None => "url.markdown: the answer has no `markdown`".to_owned(),
            },
            Err(HostRequestError::Unsupported(_)) => texts.get("mention.url.no_browser"),
            Err(other) => other.to_string(),
        };
        let message = texts.render("mention.url.failed_ui", context! { url, cause });
        host.emit(TaskEvent::Notify { level: "error", message });
        texts.render("mention.fetch_error", context! { path => url, cause })
    }

    /// Errors and warnings that the host knows.
    async fn problems(&self) -> String {
        let Place { settings, texts, cwd, .. } = self.place;
        if !settings.include_diagnostic_messages {
            return texts.get("mention.problems.none");
        }
        let files = diagnostics::from_json(&self.ask("diagnostics.get", json!({})).await.unwrap_or_default());
        let most = usize::try_from(settings.max_diagnostic_messages).ok().filter(|most| *most > 0);
        let cwd = cwd.to_path_buf();
        let listed =
            tokio::task::spawn_blocking(move || diagnostics::list(&files, Severity::Warning, &cwd, most)).await;
        let listing = listed.unwrap_or_default();
        match listing.omitted {
            _ if listing.text.is_empty() => texts.get("mention.problems.none"),
            0 => listing.text,
            more => format!("{}\n\n... {more} {}", listing.text, texts.get("mention.problems.more")),
        }
    }
}
