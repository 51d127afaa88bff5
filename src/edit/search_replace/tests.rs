use proptest::prelude::*;

use super::fuzzy::{Lines, Match, similarity};
use super::*;

/// The rule of spec 06 A.5 as it is written.
fn plain_search(text: &[&str], search: &[&str], low: i64, high: i64) -> Option<Match> {
    let (count, middle) = (search.len() as i64, (low + high).div_euclid(2));
    let (mut left, mut right) = (middle, middle + 1);
    let mut best: Option<Match> = None;
    let mut test = |index: i64| {
        let index = usize::try_from(index).expect("not negative");
        let end = (index + search.len()).min(text.len());
        let score = similarity(text.get(index..end).unwrap_or_default(), search);
        if score > best.map_or(0.0, |best| best.score) {
            best = Some(Match { index, score });
        }
    };
    while left >= low || right <= high - count {
        if left >= low {
            test(left);
            left -= 1;
        }
        if right <= high - count {
            test(right);
            right += 1;
        }
    }
    best
}

fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "",
            " ",
            "a",
            "ab",
            "  ab",
            "a b",
            "b a",
            "“ab”",
            "\"ab\"",
            "abc…",
            "abc...",
            "é🚀",
            "let x = 1;",
            "let y = 1;",
        ][..],
    )
}

proptest! {
    #[test]
    fn the_quick_search_finds_what_the_plain_one_finds(
        text in prop::collection::vec(line(), 0..30),
        search in prop::collection::vec(line(), 1..5),
        low in 0i64..40, high in -3i64..40,
    ) {
        let high = high.min(text.len() as i64);
        let quick = Lines::new(&text, low, high, search.len()).best(&search.join("\n"));
        prop_assert_eq!(quick, plain_search(&text, &search, low, high));
    }

    #[test]
    fn nothing_panics(parts in prop::collection::vec(prop::sample::select(&[
        "<<<<<<< SEARCH", ">", "\n", "\n", "\n", "\r\n", "=======", ">>>>>>> REPLACE", ":start_line:", "3", "99", "-------",
        "\\", "1 | a", "a", "é", "  b", "\u{2028}", ":end_line:", "7 || c",
    ][..]), 0..60), original in "[a-c\n\r é]{0,40}", start in prop::option::of(-5i64..50), threshold in 0.0f64..1.1) {
        let diff = parts.concat();
        let options = Options { threshold, buffer_lines: 2 };
        let _ = apply(&original, &diff, &options);
        let item = Item { content: &diff, start_line: start };
        let _ = apply_text(&original, &item, &options);
        let _ = apply_items(&original, &[item.clone(), item], &options);
        progress(Some(&diff), true, None);
    }
}

fn applied(original: &str, diff: &str) -> String {
    apply(original, diff, &Options::default()).expect("applies").content
}

#[test]
fn replacement_takes_the_indentation_of_the_place() {
    let diff = "<<<<<<< SEARCH\n-------\na\n  b\n=======\na\n    c\nd  \n>>>>>>> REPLACE";
    assert_eq!(applied("x\n\ta\n\t  b\ny\n", diff), "x\n\ta\n\t    c\n\td\ny\n");
}

#[test]
fn line_ends_of_the_diff_do_not_matter() {
    let diff = "<<<<<<< SEARCH\r\na\r\n=======\r\nb\r\n>>>>>>> REPLACE\r\n\r\n<<<<<<< SEARCH\r\nc\r\n=======\r\nd\r\n>>>>>>> REPLACE\r\n";
    assert_eq!(applied("a\nc\n", diff), "b\nd\n");
    assert_eq!(applied("a\r\nc\r\n", diff), "b\r\nd\r\n");
}

#[test]
fn escaped_markers_are_content() {
    let diff = "<<<<<<< SEARCH\n\\=======\n=======\n\\-------\n>>>>>>> REPLACE";
    assert_eq!(applied("=======\n", diff), "-------\n");
}
