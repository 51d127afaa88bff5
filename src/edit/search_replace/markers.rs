//! Checking the markers of a diff text before anything is applied (spec 06 A.2).

use super::{Dialect, DiffError, Marker};
use crate::ecma;

enum State {
    Start,
    AfterSearch,
    AfterSeparator,
}

/// Checks that the markers stand in order and that nothing else looks like one.
pub(super) fn check(diff: &str, dialect: Dialect) -> Result<(), DiffError> {
    let unbalanced = unbalanced(diff);
    let mut state = State::Start;
    for (line, number) in diff.split('\n').map(ecma::trim).zip(1..) {
        let unescaped = || Err(DiffError::UnescapedMarker { found: line.to_owned(), line: number });
        let malformed = |found, expected| Err(DiffError::Malformed { found, expected, line: number });
        if matches!(state, State::AfterSeparator)
            && let Some(found) = [":start_line:", ":end_line:"].into_iter().find(|hint| line.starts_with(hint))
        {
            return Err(DiffError::LineMarkerInReplace { found, line: number });
        }
        let marker = marker(line);
        state = match (state, marker) {
            (State::Start, Some(Marker::Search)) => State::AfterSearch,
            (State::AfterSearch, Some(Marker::Separator)) => State::AfterSeparator,
            (State::AfterSeparator, Some(Marker::Replace)) => State::Start,
            (State::Start, Some(Marker::Separator)) if !unbalanced => return unescaped(),
            (State::AfterSeparator, Some(Marker::Separator)) if !unbalanced => return unescaped(),
            (State::Start, Some(found)) => return malformed(found, Marker::Search),
            (State::AfterSearch, Some(found)) => return malformed(found, Marker::Separator),
            (State::AfterSeparator, Some(found)) => return malformed(found, Marker::Replace),
            (_, None) if looks_like_marker(line, dialect) => return unescaped(),
            (state, None) => state,
        };
    }
    match state {
        State::Start => Ok(()),
        State::AfterSearch => Err(DiffError::UnexpectedEnd { expected: Marker::Separator }),
        State::AfterSeparator => Err(DiffError::UnexpectedEnd { expected: Marker::Replace }),
    }
}

fn marker(line: &str) -> Option<Marker> {
    match line {
        "<<<<<<< SEARCH" | "<<<<<<< SEARCH>" => Some(Marker::Search),
        "=======" => Some(Marker::Separator),
        ">>>>>>> REPLACE" => Some(Marker::Replace),
        _ => None,
    }
}

fn looks_like_marker(line: &str, dialect: Dialect) -> bool {
    let prefixes = match dialect {
        Dialect::Single => ["<<<<<<<", ">>>>>>>"],
        Dialect::Multi => ["<<<<<<< ", ">>>>>>> "],
    };
    prefixes.iter().any(|prefix| line.starts_with(prefix))
}

/// Whether the numbers of markers cannot belong to whole blocks; then a stray separator is a fault of order, not of escaping.
fn unbalanced(diff: &str) -> bool {
    let (mut searches, mut separators, mut replaces) = (0usize, 0usize, 0usize);
    for line in diff.split('\n') {
        match marker(ecma::trim(line)) {
            Some(Marker::Search) => searches += 1,
            Some(Marker::Separator) => separators += 1,
            Some(Marker::Replace) => replaces += 1,
            None => {}
        }
    }
    searches != replaces || separators < searches
}
