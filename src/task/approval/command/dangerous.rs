//! Expansions that run code or hide text although they look like plain words (spec 02 §11.3 "dangerous").

use std::sync::LazyLock;

use regex::RegexSet;

/// ECMAScript white space, as a character class.
const SPACE: &str = r"[\x09-\x0d\x20\u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}]";

/// `None` cannot happen (a test compiles the set); it would make every command dangerous.
static PATTERNS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        // ${var@P} and its kin evaluate the value once more.
        r"\$\{[^}]*@[PQEAa][^}]*\}",
        // ${var:=\140…}: a default with an escape can spell a backtick.
        r"\$\{[^}]*[=+\-?][^}]*\\(?:[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})[^}]*\}",
        // ${!name}: indirect expansion.
        r"\$\{![^}]+\}",
        // A here-string from a substitution.
        &format!(r"<<<{SPACE}*(?:\$\(|`)"),
        // zsh process substitution =(…).
        r"=\([^)]+\)",
        // zsh glob qualifier that runs code: *(e:…:).
        r"[*?+@!]\(e:[^:]+:\)",
    ])
    .ok()
});

/// Whether the text contains an expansion that must always be asked about.
pub fn dangerous(command: &str) -> bool {
    PATTERNS.as_ref().is_none_or(|patterns| patterns.is_match(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 04 §checklist.16: an expansion that runs code is asked about in any command
    #[test]
    fn expansions_that_run_code_are_dangerous() {
        assert!(PATTERNS.is_some());
        for command in [
            "echo ${x@P}",
            "echo ${x:-\\x60id}",
            "echo ${x+\\140}",
            "echo ${!x}",
            "cat <<<\u{feff}$(id)",
            "cat <<< `id`",
            "a=(1)",
            "ls *(e:id:)",
        ] {
            assert!(dangerous(command), "{command}");
        }
        for command in
            ["echo ${x@U}", "echo ${x} @P", "echo ${!}", "a=()", "ls *(e::)", "cat <<< x $(id)", "echo ${x:-\\14}"]
        {
            assert!(!dangerous(command), "{command}");
        }
    }
}
