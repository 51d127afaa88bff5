//! Errors and refusals of the workspace room as sentences for the model.

use std::path::Path;

use crate::prompt::text::{Texts, context};
use crate::workspace::images::Refusal;
use crate::workspace::reading::ReadError;

/// The sentence of an error.
pub(crate) fn cause(texts: &Texts, error: &ReadError) -> String {
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

/// Why an image is not shown.
pub(super) fn refusal(texts: &Texts, refusal: &Refusal) -> String {
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
