//! Search/replace blocks (spec 06 §A): a model's diff text is checked ([`markers`]), cut into blocks ([`block`]), and each
//! block's search lines are found in the text, exactly or nearly ([`fuzzy`]), and replaced ([`single`], [`multi`]).
//!
//! Pure functions. Failures are values ([`DiffError`]) that say what is wrong and where; the tools word them.

mod block;
mod fuzzy;
mod markers;
mod multi;
mod progress;
mod single;

pub use multi::{FailedItem, Item, apply_items, apply_text};
pub use progress::progress;
pub use single::apply;

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Least similarity of a match, 0 to 1; 1 ignores white space and typography only.
    pub threshold: f64,
    /// Lines to look at before and after a place that a block names.
    pub buffer_lines: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { threshold: 1.0, buffer_lines: 40 }
    }
}

/// A text to which at least one block was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The new text.
    pub content: String,
    /// Why the other blocks were not.
    pub failed: Vec<DiffError>,
}

/// Nothing was applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The diff text as a whole is wrong.
    Diff(DiffError),
    /// Every block failed, each for its reason.
    Blocks(Vec<DiffError>),
}

/// The three markers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `<<<<<<< SEARCH`
    Search,
    /// `=======`
    Separator,
    /// `>>>>>>> REPLACE`
    Replace,
}

impl Marker {
    /// As it stands in a diff.
    pub fn as_str(self) -> &'static str {
        match self {
            Marker::Search => "<<<<<<< SEARCH",
            Marker::Separator => "=======",
            Marker::Replace => ">>>>>>> REPLACE",
        }
    }
}

/// What is wrong with a diff or one of its blocks. Lines count from 1 in the diff text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiffError {
    /// A line inside a block looks like a marker and is not escaped (`diff.unescaped_marker`).
    #[error("line {line}: `{found}` is not escaped")]
    UnescapedMarker {
        /// The line, trimmed.
        found: String,
        /// Where.
        line: usize,
    },
    /// The markers are out of order (`diff.malformed`).
    #[error("line {line}: `{}` where `{}` was expected", .found.as_str(), .expected.as_str())]
    Malformed {
        /// The marker that stands there.
        found: Marker,
        /// The one that should.
        expected: Marker,
        /// Where.
        line: usize,
    },
    /// A line hint stands in the replacement (`diff.line_marker_in_replace`).
    #[error("line {line}: `{found}` in a replacement")]
    LineMarkerInReplace {
        /// `:start_line:` or `:end_line:`.
        found: &'static str,
        /// Where.
        line: usize,
    },
    /// The text ends inside a block (`diff.unexpected_end`).
    #[error("the diff ends where `{}` was expected", .expected.as_str())]
    UnexpectedEnd {
        /// What is missing.
        expected: Marker,
    },
    /// There is no block (`diff.no_blocks`).
    #[error("the diff has no block")]
    NoBlocks,
    /// Search and replacement are the same (`diff.identical`).
    #[error("search and replacement are identical")]
    Identical,
    /// There is nothing to search for (`diff.empty_search`).
    #[error("the search part is empty")]
    EmptySearch,
    /// The search lines were not found (`diff.no_match`).
    #[error("no match: {} % similar, {} % needed", .0.similarity, .0.threshold)]
    NoMatch(Box<NoMatch>),
}

/// The facts of a search that found nothing similar enough.
#[derive(Clone, Debug, PartialEq)]
pub struct NoMatch {
    /// Similarity of the best place in whole percents, rounded down.
    pub similarity: i64,
    /// Similarity needed, likewise.
    pub threshold: i64,
    /// The line hint after shifting by earlier blocks.
    pub start_line: Option<i64>,
    /// What was searched for.
    pub search: String,
    /// The best place, with line numbers.
    pub best: Option<String>,
    /// The text around the hint, with line numbers.
    pub original: String,
}

/// Which strategy's rules apply where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Single,
    Multi,
}

#[cfg(test)]
mod tests;
