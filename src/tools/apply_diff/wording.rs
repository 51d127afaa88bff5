//! What is wrong with a diff, in words (spec 06 A.2 to A.4).

use crate::edit::search_replace::DiffError;
use crate::prompt::text::{Texts, context};

/// The error as the model reads it.
pub(super) fn error_text(texts: &Texts, error: &DiffError) -> String {
    match error {
        DiffError::UnescapedMarker { found, line } => texts.render("diff.unescaped_marker", context! { found, line }),
        DiffError::Malformed { found, expected, line } => {
            let (found, expected) = (found.as_str(), expected.as_str());
            texts.render("diff.malformed", context! { found, expected, line })
        }
        DiffError::LineMarkerInReplace { found, line } => {
            texts.render("diff.line_marker_in_replace", context! { found, line })
        }
        DiffError::UnexpectedEnd { expected } => {
            texts.render("diff.unexpected_end", context! { expected => expected.as_str() })
        }
        DiffError::NoBlocks => texts.get("diff.no_blocks"),
        DiffError::Identical => texts.get("diff.identical"),
        DiffError::EmptySearch => texts.get("diff.empty_search"),
        DiffError::NoMatch(facts) => texts.render(
            "diff.no_match",
            context! {
                similarity => facts.similarity,
                threshold => facts.threshold,
                start_line => facts.start_line,
                search => facts.search,
                best => facts.best,
                original => facts.original,
            },
        ),
    }
}
