//! Whether an ECMAScript regular expression is found in a text, for expressions of people who are not trusted: the work is bounded.
//!
//! What a backtracking engine may try again and again is tried once: of an expression without references to groups, each instruction is
//! tried once at each place. Where groups are referred to, and inside of what looks around, steps are counted. Expressions are read as
//! without flags; `regress` decides which are valid.

mod compile;
mod parse;
mod run;

use self::compile::Program;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 16 << 10;
/// Most groups, and with them the depth of what readers of expressions do by recursion.
const MAX_GROUPS: usize = 500;
/// Steps that one search may take: some ten milliseconds.
const MAX_STEPS: usize = 1_000_000;

/// An expression to look for.
#[derive(Debug)]
pub struct Finder(Program);

/// An expression that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is none.
    #[error("is no regular expression")]
    Invalid,
    /// Something of old engines, as octal numbers.
    #[error("uses a form that is not supported")]
    Unsupported,
    /// Repetitions of repetitions, or many groups in each other.
    #[error("is too large")]
    TooLarge,
}

/// A search that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes too long")]
pub struct TooLong;

impl Finder {
    /// Reads an expression.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn new(source: &str) -> Result<Finder, Unusable> {
        if source.len() > MAX_LENGTH || source.bytes().filter(|byte| *byte == b'(').count() > MAX_GROUPS {
            return Err(Unusable::TooLarge);
        }
        // The parser here only has to know what is valid.
        regress::Regex::new(source).map_err(|_| Unusable::Invalid)?;
        compile::compile(&parse::parse(source)?).map(Finder)
    }

    /// Whether it is found anywhere in the text.
    ///
    /// # Errors
    /// The search was given up.
    pub fn is_in(&self, text: &str) -> Result<bool, TooLong> {
        run::search(&self.0, text, MAX_STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, text: &str) -> Result<bool, TooLong> {
        Finder::new(source).unwrap_or_else(|error| panic!("{source}: {error}")).is_in(text)
    }

    #[test]
    fn expressions_of_modes_are_found() {
        for (source, text, expected) in [
            (r"\.md$", "a/b.md", true),
            (r"\.md$", "a/b.md.txt", false),
            (r"^src/.*\.(ts|tsx)$", "src/a/b.tsx", true),
            (r"^(?!.*test).*\.rs$", "src/a.rs", true),
            (r"^(?!.*test).*\.rs$", "src/test.rs", false),
            (r"(?<=docs/)\w+\.md", "x/docs/a.md", true),
            (r"(?<!docs/)a\.md", "docs/a.md", false),
            (r"(a|b)\1$", "xbb", true),
            (r"(a|b)\1$", "xab", false),
            (r"(?<x>a+)-\k<x>$", "aa-aa", true),
            (r"(?:(a)|b)*\1", "ab", true),
            (r"^[^/]+$", "a/b", false),
            (r"^[\w.-]{3,5}$", "a.-b", true),
            (r"a{,2}", "a{,2}", true),
            (r"[^]", "\n", true),
            (r"^.$", "\u{2028}", false),
            (r"\s\bé", "\u{feff}é", false),
            (r"\cJ[\b]\x41\u00e9\0", "\n\u{8}Aé\0", true),
            ("", "", true),
            ("x*", "", true),
            ("()*|(a|)+$", "b", true),
        ] {
            assert_eq!(found(source, text), Ok(expected), "{source} in {text:?}");
        }
    }

    #[test]
    fn what_takes_others_for_ever_is_decided() {
        let text = "a".repeat(5000);
        for source in ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y|(.*)*b"] {
            assert_eq!(found(source, &text), Ok(false), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_decided_is_given_up() {
        let text = "a".repeat(5000);
        for source in [r"(a*)*(b)\2c", r"(a+)+\1b", r"(?:(?=(a+)+b)a)*c"] {
            assert_eq!(found(source, &text), Err(TooLong), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (source, why) in [
            ("(", Unusable::Invalid),
            ("a**", Unusable::Invalid),
            (r"\07", Unusable::Unsupported),
            (r"\ud83d", Unusable::Unsupported),
            ("((a{1000}){1000}){1000}", Unusable::TooLarge),
        ] {
            assert_eq!(Finder::new(source).err(), Some(why), "{source}");
        }
        for many in [100, 5000, 100_000] {
            let deep = "(".repeat(many) + &")".repeat(many);
            assert_eq!(Finder::new(&deep).err(), Some(Unusable::TooLarge));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(2000))]

        #[test]
        fn it_agrees_with_a_backtracking_engine(
            source in r"([ab.^$é😀]|\\[dwsWSbB.]|\[\^?[ab.-]\]|[(|)]|\(\?:|\(\?=|\(\?!|\(\?<=|\\1|[*+?]|\{1,2\}){0,9}",
            text in "[ab.é😀1 \n]{0,8}",
        ) {
            let Ok(regex) = regress::Regex::new(&source) else { return Ok(()) };
            if let Ok(Ok(found)) = Finder::new(&source).map(|finder| finder.is_in(&text)) {
                proptest::prop_assert_eq!(found, regex.find(&text).is_some(), "{} in {:?}", source, text);
            }
        }

        #[test]
        fn any_expression_and_text_is_decided_or_given_up(source in "\\PC{0,40}", text in "\\PC{0,200}") {
            if let Ok(finder) = Finder::new(&source) {
                let _ = finder.is_in(&text);
            }
        }
    }
}
