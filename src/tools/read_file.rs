//! `read_file`: shows files, or ranges of their lines, to the model (spec 05 §5.1).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use async_trait::async_trait;
use regex::Regex;
use serde_json::{Value, json};

use super::context::{FileSource, ToolContext, ToolError};
use super::{Tool, response, text};
use crate::ecma;
use crate::edit::line_numbers;
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, AskResponse, ContentBlock, Say, ToolResponse};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::workspace::documents::Document;
use crate::workspace::images::{self, Refusal};
use crate::workspace::paths;
use crate::workspace::reading::{self, ReadError};

/// The tool.
pub struct ReadFile;

/// Part of the context window that one file may fill.
const MAX_WINDOW_SHARE: f64 = 0.8;

/// One file of the call.
struct Entry {
    path: String,
    absolute: PathBuf,
    /// First and last line, from 1.
    ranges: Vec<(f64, f64)>,
    status: Status,
    /// What the model sees of it.
    xml: Option<String>,
    /// What the user said with the approval or denial.
    feedback: Option<(String, Vec<String>)>,
    /// The file as a data URL.
    image: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Pending,
    Blocked,
    Approved,
    Denied,
}

#[async_trait]
impl Tool for ReadFile {
    fn name(&self) -> ToolName {
        ToolName::ReadFile
    }

    async fn run(&self, call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
        if call.partial {
            return match ctx.ask_partial(Ask::Tool, partial_payload(call, ctx).to_string(), None).await {
                Err(ToolError::AskIgnored) => Ok(()),
                other => other,
            };
        }
        let Some(mut entries) = entries(call, ctx).await? else {
            return Ok(());
        };
        let first = entries.first().map(|entry| entry.path.clone()).unwrap_or_default();
        match read(&mut entries, ctx).await {
            Ok(()) => {}
            Err(ToolError::Aborted) => return Err(ToolError::Aborted),
            Err(error) => {
                if let Some(entry) = entries.first_mut() {
                    entry.xml = Some(error_xml(&first, &read_error(ctx.texts(), &error.to_string())));
                }
                ctx.handle_error(&format!("reading file {first}"), &error).await;
                ctx.push_result(files_xml(&entries).into());
            }
        }
        Ok(())
    }
}

/// What the user sees while the call streams in.
fn partial_payload(call: &ToolCall, ctx: &dyn ToolContext) -> Value {
    static FIRST_PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?s)<file>.*?<path>([^<]+)</path>").ok());
    let args = call.params.get(ParamName::Args).unwrap_or_default();
    let path = if args.is_empty() {
        text::without_closing_tag(ParamName::Path.as_str(), call.params.get(ParamName::Path).unwrap_or_default())
            .to_owned()
    } else {
        let found = FIRST_PATH.as_ref().and_then(|pattern| pattern.captures(args));
        found.and_then(|found| found.get(1)).map(|path| path.as_str().to_owned()).unwrap_or_default()
    };
    json!({
        "tool": "readFile",
        "path": paths::readable(ctx.cwd(), ctx.home(), &path),
        "isOutsideWorkspace": !path.is_empty() && is_outside(ctx, &paths::resolve(ctx.cwd(), &path)),
    })
}

/// The files that the call names; `None` when it names none, which the model has been told then.
async fn entries(call: &ToolCall, ctx: &dyn ToolContext) -> Result<Option<Vec<Entry>>, ToolError> {
    let number = |name| call.params.get(name).and_then(ecma::parse_int).filter(|number| *number > 0.0);
    let args = call.params.get(ParamName::Args).unwrap_or_default();
    let legacy = call.params.get(ParamName::Path).unwrap_or_default();
    let named: Vec<(String, Vec<(f64, f64)>)> = if !args.is_empty() {
        match args::files(args) {
            Ok(files) => files,
            Err(error) => {
                let bad = ctx.texts().render("read_file.bad_args", context! { error });
                ctx.handle_error("parsing read_file args", &ToolError::Failed(bad.clone())).await;
                ctx.push_result(format!("<files><error>{bad}</error></files>").into());
                return Ok(None);
            }
        }
    } else if !legacy.is_empty() {
        let range = number(ParamName::StartLine).zip(number(ParamName::EndLine));
        vec![(legacy.to_owned(), range.into_iter().collect())]
    } else {
        Vec::new()
    };
    if named.is_empty() {
        ctx.mistake();
        ctx.record_error(ToolName::ReadFile, None);
        let missing = ctx.missing_param(ToolName::ReadFile, &ctx.texts().get("read_file.args_label")).await;
        ctx.push_result(format!("<files><error>{missing}</error></files>").into());
        return Ok(None);
    }
    let entry = |(path, ranges): (String, _)| Entry {
        absolute: paths::resolve(ctx.cwd(), &path),
        path,
        ranges,
        status: Status::Pending,
        xml: None,
        feedback: None,
        image: None,
    };
    Ok(Some(named.into_iter().map(entry).collect()))
}

async fn read(entries: &mut [Entry], ctx: &dyn ToolContext) -> Result<(), ToolError> {
    let waiting = validate(entries, ctx).await?;
    let rejected = approve(entries, &waiting, ctx).await?;
    let mut image_megabytes = 0.0;
    for index in 0..entries.len() {
        if entries[index].status == Status::Approved {
            read_entry(&mut entries[index], &mut image_megabytes, ctx).await?;
        }
    }
    ctx.push_result(result(entries, rejected, ctx));
    Ok(())
}

/// The first entry with the path of the one at `index`: a path that is named twice is answered once.
fn first_of(entries: &mut [Entry], index: usize) -> &mut Entry {
    let same = entries.iter().position(|entry| entry.path == entries[index].path).unwrap_or(index);
    &mut entries[same]
}

/// Blocks what may not be read; returns the indexes of those to ask for.
async fn validate(entries: &mut [Entry], ctx: &dyn ToolContext) -> Result<Vec<usize>, ToolError> {
    let texts = ctx.texts();
    let mut waiting = Vec::new();
    for index in 0..entries.len() {
        let path = entries[index].path.clone();
        if entries[index].ranges.iter().any(|(start, end)| start > end) {
            let cause = texts.get("read_file.range_reversed");
            let entry = first_of(entries, index);
            entry.status = Status::Blocked;
            entry.xml = Some(error_xml(&path, &read_error(texts, &cause)));
            ctx.handle_error(&format!("reading file {path}"), &ToolError::Failed(cause)).await;
        } else if !ctx.access().accessible(&path) {
            ctx.say(Say::RooignoreError, path.clone(), Vec::new(), None).await?;
            let entry = first_of(entries, index);
            entry.status = Status::Blocked;
            entry.xml = Some(error_xml(&path, &response::ignored_path(texts, &path)));
        } else {
            waiting.push(index);
        }
    }
    Ok(waiting)
}

/// Asks the user for the files at these indexes; true when any is denied.
async fn approve(entries: &mut [Entry], waiting: &[usize], ctx: &dyn ToolContext) -> Result<bool, ToolError> {
    let payload = |entry: &Entry| {
        (
            paths::readable(ctx.cwd(), ctx.home(), &entry.path),
            line_snippet(entry, ctx),
            is_outside(ctx, &entry.absolute),
        )
    };
    let (ask, keys) = match waiting {
        [] => return Ok(false),
        [index] => {
            let entry = &entries[*index];
            let (path, reason, outside) = payload(entry);
            let content = entry.absolute.to_string_lossy();
            let ask = json!({"tool": "readFile", "path": path, "isOutsideWorkspace": outside, "content": content, "reason": reason});
            (ask, Vec::new())
        }
        _ => {
            let mut keys = Vec::new();
            let files: Vec<Value> = waiting
                .iter()
                .map(|index| {
                    let entry = &entries[*index];
                    let (path, snippet, outside) = payload(entry);
                    let key = if snippet.is_empty() { path.clone() } else { format!("{path} ({snippet})") };
                    keys.push(key.clone());
                    let content = entry.absolute.to_string_lossy();
                    json!({"path": path, "lineSnippet": snippet, "isOutsideWorkspace": outside, "key": key, "content": content})
                })
                .collect();
            (json!({"tool": "readFile", "batchFiles": files}), keys)
        }
    };
    let answer = ctx.ask(Ask::Tool, ask.to_string(), None, false).await?;
    let said = answer.text.clone().filter(|text| !text.is_empty());
    let yes = answer.response == AskResponse::Yes;
    let individual = !keys.is_empty() && !yes && answer.response != AskResponse::No;
    let feedback = said.clone().filter(|_| !individual).map(|text| (text, answer.images.clone()));
    if let Some((text, images)) = feedback.clone() {
        ctx.say(Say::UserFeedback, text, images, None).await?;
    }
    let choices: Value = serde_json::from_str(said.as_deref().unwrap_or("{}")).unwrap_or(Value::Null);
    let mut denied = false;
    for (position, index) in waiting.iter().enumerate() {
        let approved = match individual {
            true => keys.get(position).is_some_and(|key| choices.get(key) == Some(&Value::Bool(true))),
            false => yes,
        };
        let denied_text = ctx.texts().get("read_file.denied");
        let entry = first_of(entries, *index);
        entry.feedback = feedback.clone();
        if approved {
            entry.status = Status::Approved;
        } else {
            denied = true;
            entry.status = Status::Denied;
            entry.xml = Some(format!("<file><path>{}</path><status>{denied_text}</status></file>", entry.path));
        }
    }
    if denied {
        ctx.set_rejected();
    }
    Ok(denied)
}

/// Which lines are meant, for the user.
fn line_snippet(entry: &Entry, ctx: &dyn ToolContext) -> String {
    let texts = ctx.texts();
    let max = ctx.settings().max_read_file_line;
    match max {
        _ if !entry.ranges.is_empty() => {
            let range = |(start, end): &(f64, f64)| {
                texts.render("read_file.snippet.range", context! { start => integer(*start), end => integer(*end) })
            };
            entry.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
        }
        0 => texts.get("read_file.snippet.definitions_only"),
        1.. => texts.render("read_file.snippet.max_lines", context! { max }),
        _ => String::new(),
    }
}

/// What reading one file gave.
enum Content {
    /// Lines of the ranges asked for, laid out.
    Ranges(String),
    /// The first lines of a file that the settings cut, numbered.
    Beginning { text: String, shown: i64, total: u64 },
    /// A whole text, numbered; still to be measured.
    Text { text: String, lines: u64 },
    /// An image and its MIME type.
    Image { mime: &'static str, bytes: Vec<u8> },
    /// An image that is not shown.
    RefusedImage(Refusal),
    /// Binary data; its format is the extension.
    Binary(String),
    /// Only definitions are wanted, and there are none.
    Nothing,
}

/// Limits that reading one file obeys, taken from the settings before a thread for blocking work does it.
struct Limits {
    max_lines: i64,
    supports_images: bool,
    max_image: f64,
    max_images: f64,
    used: f64,
}

async fn read_entry(entry: &mut Entry, image_megabytes: &mut f64, ctx: &dyn ToolContext) -> Result<(), ToolError> {
    let settings = ctx.settings();
    let texts = ctx.texts();
    let path = entry.path.clone();
    let limits = Limits {
        max_lines: settings.max_read_file_line,
        supports_images: ctx.supports_images(),
        max_image: settings.max_image_file_size,
        max_images: settings.max_total_image_size,
        used: *image_megabytes,
    };
    let (absolute, ranges) = (entry.absolute.clone(), entry.ranges.clone());
    let content = tokio::task::spawn_blocking(move || load(&absolute, &ranges, &limits)).await;
    let notice = |text: String| format!("\n<notice>{text}</notice>\n");
    let (body, track) = match content {
        Err(stopped) => return Err(ToolError::Failed(stopped.to_string())),
        Ok(Err((is_image, error))) => {
            let cause = cause(texts, &error);
            let (id, action) = match is_image {
                true => ("read_file.image_error", "reading image file"),
                false => ("read_file.error", "reading file"),
            };
            entry.xml = Some(error_xml(&path, &texts.render(id, context! { cause })));
            ctx.handle_error(&format!("{action} {path}"), &ToolError::Failed(cause)).await;
            return Ok(());
        }
        Ok(Ok(Content::Nothing)) => return Ok(()),
        Ok(Ok(Content::Ranges(contents))) => (format!("\n{contents}\n"), false),
        Ok(Ok(Content::Beginning { text, shown, total })) => {
            let partial = texts.render("read_file.partial", context! { shown, total });
            (format!("\n<content lines=\"1-{shown}\">\n{text}</content>\n<notice>{partial}</notice>\n"), false)
        }
        Ok(Ok(Content::Binary(format))) => {
            let binary = texts.get("read_file.binary");
            (format!("\n<binary_file format=\"{format}\">{binary}</binary_file>\n"), false)
        }
        Ok(Ok(Content::Image { mime, bytes })) => {
            *image_megabytes += bytes.len() as f64 / 1_048_576.0;
            entry.image = Some(images::data_url(mime, &bytes));
            let size = (bytes.len() as f64 / 1024.0).round() as u64;
            (notice(texts.render("read_file.image.ok", context! { size })), true)
        }
        Ok(Ok(Content::RefusedImage(refusal))) => (notice(refusal_text(texts, &refusal)), true),
        Ok(Ok(Content::Text { text, lines })) => {
            let limit = ctx.model().info.context_window as f64 * MAX_WINDOW_SHARE;
            let estimate = if settings.allow_very_large_reads { 0 } else { ctx.count_tokens(&text).await };
            if !settings.allow_very_large_reads && estimate as f64 >= limit {
                let hint = settings.max_read_file_line >= 0;
                let error = texts
                    .render("read_file.too_many_tokens", context! { estimate, limit => integer(limit.floor()), hint });
                entry.xml = Some(error_xml(&path, &error));
                entry.status = Status::Blocked;
                return Ok(());
            }
            match lines {
                0 => (format!("\n<content/><notice>{}</notice>\n", texts.get("read_file.empty")), true),
                _ => (format!("\n<content lines=\"1-{lines}\">\n{text}</content>\n"), true),
            }
        }
    };
    entry.xml = Some(format!("<file><path>{path}</path>{body}</file>"));
    if track {
        ctx.track(&path, FileSource::ReadTool).await;
    }
    Ok(())
}

/// Reads one file; blocking. An error says whether it is that of an image.
fn load(path: &Path, ranges: &[(f64, f64)], limits: &Limits) -> Result<Content, (bool, ReadError)> {
    let plain = |error| (false, error);
    let lines = reading::count_lines(path).map_err(plain)?;
    if reading::is_binary(path).map_err(plain)? {
        if let Some(mime) = images::mime_type(path) {
            return load_image(path, mime, limits).map_err(|error| (true, error));
        }
        if Document::of(path).is_none() {
            let extension = reading::extension(path);
            let format = extension.strip_prefix('.').filter(|format| !format.is_empty()).unwrap_or("bin");
            return Ok(Content::Binary(format.to_owned()));
        }
    }
    if !ranges.is_empty() {
        let contents: Result<Vec<String>, ReadError> = ranges
            .iter()
            .map(|(start, end)| {
                let text = reading::read_lines(path, Some(end - 1.0), Some(start - 1.0))?;
                let text = line_numbers::add(&text, *start as i64);
                Ok(format!("<content lines=\"{}-{}\">\n{text}</content>", integer(*start), integer(*end)))
            })
            .collect();
        return Ok(Content::Ranges(contents.map_err(plain)?.join("\n")));
    }
    match limits.max_lines {
        0 => Ok(Content::Nothing),
        max @ 1.. if lines > max as u64 => {
            let text = reading::read_lines(path, Some(max as f64 - 1.0), Some(0.0)).map_err(plain)?;
            Ok(Content::Beginning { text: line_numbers::add(&text, 1), shown: max, total: lines })
        }
        _ => {
            let extracted = reading::extract(path, None).map_err(plain)?;
            let text = if extracted.numbered { line_numbers::add(&extracted.text, 1) } else { extracted.text };
            Ok(Content::Text { text, lines })
        }
    }
}

fn load_image(path: &Path, mime: &'static str, limits: &Limits) -> Result<Content, ReadError> {
    let size = reading::size(path)?;
    match images::check(limits.supports_images, size, limits.used, limits.max_image, limits.max_images) {
        Ok(()) => Ok(Content::Image { mime, bytes: reading::read_all(path)? }),
        Err(refusal) => Ok(Content::RefusedImage(refusal)),
    }
}

/// Everything the model gets: status, the user's words and images, the files.
fn result(entries: &[Entry], rejected: bool, ctx: &dyn ToolContext) -> ToolResponse {
    let texts = ctx.texts();
    let feedback =
        |status| entries.iter().filter(move |entry| entry.status == status).find_map(|entry| entry.feedback.as_ref());
    let (status, mut images) = match (feedback(Status::Denied), feedback(Status::Approved)) {
        (Some((text, images)), _) => (Some(response::denied_with_feedback(texts, text)), images.clone()),
        (None, _) if rejected => (Some(response::denied(texts)), Vec::new()),
        (None, Some((text, images))) => (Some(response::approved_with_feedback(texts, text)), images.clone()),
        (None, None) => (None, Vec::new()),
    };
    images.extend(entries.iter().filter_map(|entry| entry.image.clone()));
    if !ctx.supports_images() {
        images.clear();
    }
    let xml = files_xml(entries);
    match status {
        Some(status) if images.is_empty() => format!("{status}\n{xml}").into(),
        Some(status) => {
            let mut blocks = vec![ContentBlock::text(status)];
            blocks.extend(images.iter().map(|image| ContentBlock::image_from_data_url(image)));
            blocks.push(ContentBlock::text(xml));
            ToolResponse::Blocks(blocks)
        }
        None => response::tool_result(xml, &images),
    }
}

fn files_xml(entries: &[Entry]) -> String {
    let files: Vec<&str> = entries.iter().filter_map(|entry| entry.xml.as_deref()).collect();
    format!("<files>\n{}\n</files>", files.join("\n"))
}

fn error_xml(path: &str, error: &str) -> String {
    format!("<file><path>{path}</path><error>{error}</error></file>")
}

fn read_error(texts: &Texts, cause: &str) -> String {
    texts.render("read_file.error", context! { cause })
}

/// The sentence of an error.
fn cause(texts: &Texts, error: &ReadError) -> String {
    let at = |id: &str, path: &Path| texts.render(id, context! { path => path.to_string_lossy() });
    match error {
        ReadError::NotFound(path) => at("extract.not_found", path),
        ReadError::IsDirectory(path) => at("read_file.cause.is_directory", path),
        ReadError::NotRegular(path) => at("read_file.cause.not_regular", path),
        ReadError::TooLarge(path) => at("read_file.cause.too_large", path),
        ReadError::OutOfRange { start, path } => {
            texts.render("read_lines.out_of_range", context! { start, path => path.to_string_lossy() })
        }
        ReadError::ReversedRange { start, end } => texts.render("read_lines.reversed", context! { start, end }),
        ReadError::BadLimit => texts.get("extract.bad_limit"),
        ReadError::Binary(ext) => texts.render("extract.unsupported_binary", context! { ext }),
        ReadError::Document(error) => texts.render("read_file.cause.document", context! { cause => error.cause }),
        ReadError::Io { path, cause } => {
            texts.render("read_file.cause.io", context! { path => path.to_string_lossy(), cause => cause.to_string() })
        }
    }
}

fn refusal_text(texts: &Texts, refusal: &Refusal) -> String {
    match refusal {
        Refusal::UnsupportedModel => texts.get("read_file.image.unsupported_model"),
        Refusal::TooLarge { size, max } => {
            texts.render("read_file.image.too_large", context! { size, max => max.to_string() })
        }
        Refusal::MemoryLimit { max, current, size } => {
            texts.render("read_file.image.memory_limit", context! { max => max.to_string(), current, size })
        }
    }
}

fn is_outside(ctx: &dyn ToolContext, path: &Path) -> bool {
    paths::outside_workspace(&ctx.workspace_folders(), path)
}

/// A whole number in digits.
fn integer(number: f64) -> String {
    format!("{number:.0}")
}

/// The files of the `args` parameter (spec 05 §5.1 with the lenient reading of spec 01 §8).
mod args {
    use std::sync::LazyLock;

    use regex::Regex;

    use crate::ecma;

    /// A path and its line ranges.
    pub type File = (String, Vec<(f64, f64)>);

    #[derive(Default)]
    struct Element {
        name: String,
        text: String,
        children: Vec<Element>,
    }

    /// All `<file>` elements with a path, in order.
    ///
    /// # Errors
    /// Markup that is cut off.
    pub fn files(args: &str) -> Result<Vec<File>, String> {
        static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("([0-9]+)-([0-9]+)").ok());
        let root = parse(args)?;
        let mut files = Vec::new();
        for file in root.children.iter().filter(|element| element.name == "file") {
            let Some(path) = file.children.iter().find(|child| child.name == "path" && !child.text.is_empty()) else {
                continue;
            };
            let ranges = file
                .children
                .iter()
                .filter(|child| child.name == "line_range")
                .filter_map(|child| {
                    let found = RANGE.as_ref()?.captures(&child.text)?;
                    Some((found.get(1)?.as_str().parse().ok()?, found.get(2)?.as_str().parse().ok()?))
                })
                .collect();
            files.push((path.text.clone(), ranges));
        }
        Ok(files)
    }

    fn parse(xml: &str) -> Result<Element, String> {
        let mut open = vec![Element::default()];
        let mut rest = xml;
        while let Some(start) = rest.find('<') {
            append(&mut open, &rest[..start]);
            let markup = &rest[start..];
            rest = if markup.starts_with("<!--") {
                after(markup, "-->")?.1
            } else if let Some(data) = markup.strip_prefix("<![CDATA[") {
                let (data, rest) = after(data, "]]>")?;
                append(&mut open, data);
                rest
            } else if markup.starts_with("<?") {
                after(markup, "?>")?.1
            } else {
                let (tag, rest) = after(&markup[1..], ">")?;
                if tag.starts_with('/') {
                    close(&mut open);
                } else if !tag.starts_with('!') {
                    let (name, empty) = match tag.strip_suffix('/') {
                        Some(name) => (name, true),
                        None => (tag, false),
                    };
                    let name = name.split(ecma::is_space).next().unwrap_or_default();
                    open.push(Element { name: name.to_owned(), ..Element::default() });
                    if empty {
                        close(&mut open);
                    }
                }
                rest
            };
        }
        while open.len() > 1 {
            close(&mut open);
        }
        Ok(open.pop().unwrap_or_default())
    }

    fn after<'a>(text: &'a str, end: &str) -> Result<(&'a str, &'a str), String> {
        text.split_once(end).ok_or_else(|| format!("Failed to parse XML: `{end}` is missing"))
    }

    fn append(open: &mut [Element], text: &str) {
        if let Some(element) = open.last_mut() {
            element.text.push_str(text);
        }
    }

    /// Ends the innermost element; the outermost one is the fragment itself and stays.
    fn close(open: &mut Vec<Element>) {
        if open.len() > 1
            && let Some(mut element) = open.pop()
        {
            element.text = decode(ecma::trim(&element.text));
            if let Some(parent) = open.last_mut() {
                parent.children.push(element);
            }
        }
    }

    fn decode(text: &str) -> String {
        const ENTITIES: [([&str; 3], &str); 5] = [
            (["&apos;", "&#39;", "&#x27;"], "'"),
            (["&gt;", "&#62;", "&#x3E;"], ">"),
            (["&lt;", "&#60;", "&#x3C;"], "<"),
            (["&quot;", "&#34;", "&#x22;"], "\""),
            (["&amp;", "&#38;", "&#x26;"], "&"),
        ];
        let mut text = text.to_owned();
        for (forms, plain) in ENTITIES {
            for form in forms {
                if text.contains(form) {
                    text = text.replace(form, plain);
                }
            }
        }
        text
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn files_and_ranges() {
            let args = "<file><path> a &amp; b </path><line_range>1-2</line_range><line_range>x 7-9</line_range></file><file/>\
                        <file><path>c";
            assert_eq!(files(args).expect("read"), [("a & b".to_owned(), vec![(1.0, 2.0), (7.0, 9.0)])]);
            assert_eq!(files("junk").expect("read"), []);
            assert!(files("<file><path>a</path").is_err());
        }
    }
}
