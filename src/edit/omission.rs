//! Whether a rewritten file looks as if a comment stands for code that was left out (spec 05 §1.12 omissionSuspected).

use std::collections::HashSet;

use crate::ecma;

/// Words that announce an omission when they stand alone in a comment.
const WORDS: [&str; 9] = ["remain", "remains", "unchanged", "rest", "previous", "existing", "content", "same", "..."];

/// Shorter files are never suspected.
const FEWEST_LINES: f64 = 100.0;

/// Judges `new` against `original` and the number of lines that were announced (0 or NaN: none were).
pub fn omission_suspected(original: &str, new: &str, predicted_lines: f64) -> bool {
    if predicted_lines.is_nan() || predicted_lines < FEWEST_LINES {
        return false;
    }
    let lines = new.split('\n').count() as f64;
    if lines / predicted_lines > 0.8 {
        return false;
    }
    let old: HashSet<&str> = original.split('\n').collect();
    new.split('\n').any(|line| {
        opens_comment(line)
            && line.to_lowercase().split(ecma::is_space).any(|word| WORDS.contains(&word))
            && !old.contains(line)
    })
}

fn opens_comment(line: &str) -> bool {
    let line = ecma::trim_start(line);
    let in_braces = line.strip_prefix('{').is_some_and(|rest| ecma::trim_start(rest).starts_with("/*"));
    in_braces || ["//", "#", "/*", "<!--", "["].iter().any(|opener| line.starts_with(opener))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_comments_with_a_telling_word_are_suspected() {
        let text = |line: &str| format!("{}{line}\n", "x\n".repeat(99));
        for (line, predicted, suspected) in [
            ("// existing code", 200.0, true),
            ("  { /* the REST */ }", 200.0, true),
            ("// existing.", 200.0, false),
            ("let rest = 1", 200.0, false),
            ("# old same", 200.0, false),
            ("// existing code", 120.0, false),
            ("// existing code", 99.0, false),
            ("// existing code", f64::NAN, false),
        ] {
            assert_eq!(omission_suspected("# old same", &text(line), predicted), suspected, "{line} {predicted}");
        }
    }
}
