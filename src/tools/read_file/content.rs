//! Reads one approved file and lays it out for the model (spec 05 §5.1, §4).

use std::path::Path;

use super::{Entry, Status, error_xml, integer, wording};
use crate::edit::line_numbers;
use crate::prompt::text::context;
use crate::tools::context::{FileSource, ToolContext, ToolError};
use crate::workspace::documents::Document;
use crate::workspace::images::{self, Refusal};
use crate::workspace::reading::{self, ReadError};

/// Part of the context window that one file may fill.
const MAX_WINDOW_SHARE: f64 = 0.8;

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

/// Reads the file of an entry; `image_megabytes` is what the images of this call take so far.
pub(super) async fn read(entry: &mut Entry, image_megabytes: &mut f64, ctx: &dyn ToolContext) -> Result<(), ToolError> {
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
    let (absolute, ranges) = (ctx.locate(&entry.absolute), entry.ranges.clone());
    let content = tokio::task::spawn_blocking(move || load(&absolute, &ranges, &limits)).await;
    let notice = |text: String| format!("\n<notice>{text}</notice>\n");
    let (body, track) = match content {
        Err(stopped) => return Err(ToolError::Failed(stopped.to_string())),
        Ok(Err((is_image, error))) => {
            let cause = wording::cause(texts, &error);
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
        Ok(Ok(Content::RefusedImage(refusal))) => (notice(wording::refusal(texts, &refusal)), true),
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
    if limits.max_lines == 0 {
        return Ok(Content::Nothing);
    }
    // What cannot be shown whole is not worth the counting.
    if limits.max_lines < 0 && reading::size(path).map_err(plain)? > reading::MAX_TEXT {
        return Err(plain(ReadError::TooLarge(path.to_owned())));
    }
    let lines = reading::count_lines(path).map_err(plain)?;
    match limits.max_lines {
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
