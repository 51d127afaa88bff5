//! How well a path fits a few typed characters: the scores of fzf's second algorithm (spec 06 §C.2).
//!
//! The characters of the query must come in order, not side by side. Of all places where they do, the best counts: each
//! match gains, gaps cost, and beginnings of words and runs without a gap gain more.

use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;

const MATCH: i32 = 16;
const GAP_START: i32 = -3;
const GAP_EXTENSION: i32 = -1;
const BOUNDARY: i32 = 8;
const NON_WORD: i32 = 8;
const CAMEL_OR_DIGIT: i32 = 7;
const CONSECUTIVE: i32 = 4;
/// By how much the bonus of a query's first character counts.
const FIRST: i32 = 2;

/// Characters of a query that count: the work for a text grows with them.
const LONGEST_QUERY: usize = 256;
/// Characters of a text that count.
const LONGEST_TEXT: usize = 4096;

/// A query, ready to be compared with many texts.
pub struct Query {
    characters: Vec<char>,
    case_matters: bool,
}

/// Room for the tables of [`Query::score`], kept from text to text.
#[derive(Default)]
pub struct Tables {
    characters: Vec<char>,
    bonus: Vec<i32>,
    /// Best score with the query's characters until now, by the place of the last one.
    scores: Vec<i32>,
    /// Length of the run of matches that ends at a place.
    runs: Vec<i32>,
    scores_before: Vec<i32>,
    runs_before: Vec<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    NonWord,
    Lower,
    Upper,
    Letter,
    Number,
}

impl Query {
    /// Upper case in it makes case count; accents never do.
    pub fn new(query: &str) -> Query {
        let case_matters = query.chars().any(|character| lower(character) != character);
        let characters = query.chars().take(LONGEST_QUERY).map(without_accent).collect();
        Query { characters, case_matters }
    }

    /// The score of a text, the higher the better; `None` if the query's characters are not in it in their order.
    pub fn score(&self, text: &str, tables: &mut Tables) -> Option<i32> {
        let Some((first, later)) = self.characters.split_first() else { return Some(0) };
        self.prepare(text, tables);
        if !is_within(&self.characters, &tables.characters) {
            return None;
        }
        let Tables { characters, bonus, scores, runs, scores_before, runs_before } = tables;
        scores.clear();
        runs.clear();
        let (mut before, mut in_gap, mut best) = (0, false, 0);
        for (character, bonus) in characters.iter().zip(&*bonus) {
            let matches = character == first;
            before = if matches {
                MATCH + bonus * FIRST
            } else {
                (before + if in_gap { GAP_EXTENSION } else { GAP_START }).max(0)
            };
            in_gap = !matches;
            if matches {
                best = best.max(before);
            }
            scores.push(before);
            runs.push(i32::from(matches));
        }
        if later.is_empty() {
            return Some(best);
        }
        // Where the characters of the query until now are found at the earliest.
        let mut earliest = characters.iter().position(|character| character == first)?;
        let latest = characters.iter().rposition(|character| Some(character) == later.last())?;
        for wanted in later {
            std::mem::swap(scores, scores_before);
            std::mem::swap(runs, runs_before);
            scores.clear();
            scores.resize(characters.len(), 0);
            runs.clear();
            runs.resize(characters.len(), 0);
            earliest += 1 + characters[earliest + 1..].iter().position(|character| character == wanted)?;
            (best, in_gap) = (0, false);
            let mut left = 0;
            for at in earliest..=latest {
                let across = left + if in_gap { GAP_EXTENSION } else { GAP_START };
                let (mut matched, mut run) = (0, 0);
                if characters[at] == *wanted {
                    matched = scores_before[at - 1] + MATCH;
                    run = runs_before[at - 1] + 1;
                    let mut gain = bonus[at];
                    if gain == BOUNDARY {
                        run = 1;
                    } else if run > 1 {
                        let begin = at + 1 - run as usize;
                        gain = gain.max(CONSECUTIVE).max(bonus[begin]);
                    }
                    if matched + gain < across {
                        matched += bonus[at];
                        run = 0;
                    } else {
                        matched += gain;
                    }
                }
                in_gap = matched < across;
                left = matched.max(across).max(0);
                best = best.max(left);
                scores[at] = left;
                runs[at] = run;
            }
        }
        Some(best)
    }

    /// The text's characters as they are compared, and what a match at each would gain.
    fn prepare(&self, text: &str, tables: &mut Tables) {
        tables.characters.clear();
        tables.bonus.clear();
        let mut before = Class::NonWord;
        for character in text.chars().take(LONGEST_TEXT) {
            let class = class(character);
            tables.bonus.push(bonus(before, class));
            before = class;
            let character = if self.case_matters { character } else { lower(character) };
            tables.characters.push(without_accent(character));
        }
    }
}

fn is_within(query: &[char], text: &[char]) -> bool {
    let mut text = text.iter();
    query.iter().all(|wanted| text.any(|character| character == wanted))
}

fn class(character: char) -> Class {
    match character {
        _ if character.is_lowercase() => Class::Lower,
        _ if character.is_uppercase() => Class::Upper,
        _ if character.is_numeric() => Class::Number,
        _ if character.is_alphabetic() => Class::Letter,
        _ => Class::NonWord,
    }
}

fn bonus(before: Class, here: Class) -> i32 {
    match (before, here) {
        (Class::NonWord, here) if here != Class::NonWord => BOUNDARY,
        (Class::Lower, Class::Upper) => CAMEL_OR_DIGIT,
        (before, Class::Number) if before != Class::Number => CAMEL_OR_DIGIT,
        (_, Class::NonWord) => NON_WORD,
        _ => 0,
    }
}

/// One character in lower case; one that becomes several stays.
fn lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}

/// A Latin letter without its marks.
fn without_accent(character: char) -> char {
    static PARTS: LazyLock<DecomposingNormalizerBorrowed<'static>> =
        LazyLock::new(DecomposingNormalizerBorrowed::new_nfd);
    match character {
        '\0'..='\x7f' => character,
        // Letters that are no letter with a mark, and are typed as one all the same.
        'ø' => 'o',
        'Ø' => 'O',
        'ł' => 'l',
        'Ł' => 'L',
        'đ' => 'd',
        'Đ' => 'D',
        'ħ' => 'h',
        'ŧ' => 't',
        'ı' => 'i',
        _ => {
            let base = PARTS.normalize_iter(std::iter::once(character)).next();
            base.filter(char::is_ascii_alphabetic).unwrap_or(character)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, text: &str) -> Option<i32> {
        Query::new(query).score(text, &mut Tables::default())
    }

    /// The sums are worked out by hand from the constants.
    #[test]
    fn scores_add_up() {
        for (query, text, expected) in [
            ("", "anything", Some(0)),
            ("a", "a", Some(16 + 2 * 8)),
            ("b", "ab", Some(16)),
            ("b", "a/b", Some(16 + 2 * 8)),
            ("oBZ", "foobarbaz", None),
            // The run `ob` gains, the four characters before `z` cost.
            ("obz", "foobarbaz", Some(16 * 3 + 4 - 3 - 3)),
            ("obz", "fooBarbaz1", Some(16 * 3 + 7 - 3 - 3)),
            ("fbb", "foo bar baz", Some(16 * 3 + 8 * 2 + 8 * 2 - 2 * (3 + 2))),
            ("ab", "ab", Some(16 + 16 + 16 + 8)),
            ("xc", "x/c", Some(16 + 16 - 3 + 16 + 8)),
            ("b", "aB1", Some(16 + 2 * 7)),
            ("1", "aB1", Some(16 + 2 * 7)),
            ("/b", "a/b", Some(16 + 2 * 8 + 16 + 8)),
            ("ba", "ab", None),
        ] {
            assert_eq!(score(query, text), expected, "{query} in {text}");
        }
    }

    #[test]
    fn case_counts_when_it_is_typed_and_accents_never_do() {
        for (query, text, found) in [
            ("readme", "README.md", true),
            ("README", "README.md", true),
            ("Readme", "README.md", false),
            ("cafe", "Café.txt", true),
            ("café", "cafe.txt", true),
            ("zolw", "żółw", true),
            ("日語", "日本語", true),
            ("e\u{301}", "e", false),
        ] {
            assert_eq!(score(query, text).is_some(), found, "{query} in {text}");
        }
    }

    #[test]
    fn what_lies_together_is_better() {
        let mut tables = Tables::default();
        let query = Query::new("tests");
        let mut of = |text: &str| query.score(text, &mut tables).unwrap_or(-1);
        let scores = [of("src/tests.rs"), of("src/test_s.rs"), of("contests.rs"), of("t/e/s/t_all.s"), of("nothing")];
        assert!(scores[0] > scores[1] && scores[1] > scores[2], "{scores:?}");
        assert_eq!(scores[4], -1);
    }

    proptest::proptest! {
        /// A second way to the score: every way to lay the query over the text, each summed up by itself.
        #[test]
        fn no_way_to_lay_it_gains_more(query in "[ab/A]{1,4}", text in "[abA/.1]{0,9}") {
            let found = score(&query, &text);
            proptest::prop_assert_eq!(found.is_some(), laid(&query, &text).is_some());
            if let (Some(found), Some(most)) = (found, laid(&query, &text)) {
                // The algorithm looks at the best way until each place only, and so may miss the best of all, never exceed it.
                proptest::prop_assert!(found <= most && found > 0, "{} {}", found, most);
            }
        }

        #[test]
        fn any_texts_are_compared(query in ".{0,20}", text in ".{0,60}") {
            let _ = score(&query, &text);
        }
    }

    /// The most that any way gains, with every bonus at its best.
    fn laid(query: &str, text: &str) -> Option<i32> {
        let query_case = query.chars().any(|c| c.is_uppercase());
        let text: Vec<char> = text.chars().collect();
        let classes: Vec<Class> = text.iter().copied().map(class).collect();
        let compared: Vec<char> = text.iter().map(|c| if query_case { *c } else { lower(*c) }).collect();
        let bonus_at = |at: usize| bonus(if at == 0 { Class::NonWord } else { classes[at - 1] }, classes[at]);
        fn go(
            query: &[char],
            text: &[char],
            from: usize,
            last: Option<usize>,
            bonus_at: &dyn Fn(usize) -> i32,
        ) -> Option<i32> {
            let Some((wanted, later)) = query.split_first() else { return Some(0) };
            (from..text.len())
                .filter(|at| text[*at] == *wanted)
                .filter_map(|at| {
                    let gain = match last {
                        None => MATCH + FIRST * bonus_at(at),
                        Some(last) if last + 1 == at => MATCH + BOUNDARY.max(bonus_at(at)),
                        Some(last) => MATCH + bonus_at(at) + GAP_START + GAP_EXTENSION * (at - last - 2) as i32,
                    };
                    Some(gain + go(later, text, at + 1, Some(at), bonus_at)?)
                })
                .max()
        }
        let query: Vec<char> = query.chars().collect();
        go(&query, &compared, 0, None, &bonus_at)
    }
}
