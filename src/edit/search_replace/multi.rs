//! The strategy for several diffs of one file (spec 06 A.7).

use super::single::apply_as;
use super::{Applied, Dialect, DiffError, Failure, Options};

/// One diff text of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// The diff text.
    pub content: &'a str,
    /// Replaces the line hint of every block; 0 takes it away.
    pub start_line: Option<i64>,
}

/// Why an item (or one block of it) was not applied.
#[derive(Clone, Debug, PartialEq)]
pub enum FailedItem {
    /// An error.
    Error(DiffError),
    /// It was applied, but nothing of the text was left; that counts as a failure and the text stays.
    EmptyResult,
}

/// Applies one diff text by the rules of this strategy.
///
/// # Errors
/// [`Failure`] when no block could be applied.
pub fn apply_text(original: &str, item: &Item<'_>, options: &Options) -> Result<Applied, Failure> {
    apply_as(Dialect::Multi, original, item.content, item.start_line, options)
}

/// Applies the items one after the other; line hints mean the text as the earlier ones left it. Gives the new text and what
/// failed; failed blocks of an item of which others were applied are not reported.
///
/// # Errors
/// What failed, when no item could be applied (`diff.none_applied`).
pub fn apply_items(
    original: &str,
    items: &[Item<'_>],
    options: &Options,
) -> Result<(String, Vec<FailedItem>), Vec<FailedItem>> {
    let mut text: Option<String> = None;
    let mut failed = Vec::new();
    for item in items {
        match apply_text(text.as_deref().unwrap_or(original), item, options) {
            Ok(applied) if !applied.content.is_empty() => text = Some(applied.content),
            Ok(applied) if applied.failed.is_empty() => failed.push(FailedItem::EmptyResult),
            Ok(Applied { failed: errors, .. }) | Err(Failure::Blocks(errors)) => {
                failed.extend(errors.into_iter().map(FailedItem::Error));
            }
            Err(Failure::Diff(error)) => failed.push(FailedItem::Error(error)),
        }
    }
    match text {
        Some(text) => Ok((text, failed)),
        None => Err(failed),
    }
}
