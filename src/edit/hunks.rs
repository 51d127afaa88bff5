//! The difference of two texts in hunks that can be taken one by one: some applied, the others left, or all but some taken
//! back. Every byte counts: line ends, a byte-order mark and a missing last line end are part of their lines.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::patch::myers::{self, Change};

/// Lines of unchanged text around a change.
const CONTEXT: usize = 3;

const NO_NEWLINE: &str = "\\ No newline at end of file\n";

/// Neighbouring changes with the lines around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Hash of the file's path and of [`Hunk::text`], with a number behind it for all but the first of equal hunks. It stays
    /// the same while other hunks of the file are applied or taken back.
    pub id: String,
    /// First line in the old text, from 1; with no lines, the line before the place.
    pub old_start: usize,
    /// Lines of the old text.
    pub old_lines: usize,
    /// First line in the new text, likewise.
    pub new_start: usize,
    /// Lines of the new text.
    pub new_lines: usize,
    /// Lines that only the new text has.
    pub added: usize,
    /// Lines that only the old text has.
    pub removed: usize,
    /// Its lines, each behind a blank, `-` or `+`.
    pub text: String,
}

/// What turns one text into another.
pub struct Diff<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
    edits: Vec<Edit>,
    /// The hunks, in order.
    pub hunks: Vec<Hunk>,
}

/// Old lines with other lines in their place.
struct Edit {
    old: Range<usize>,
    new: Range<usize>,
    hunk: usize,
}

/// A text to which hunks were applied that were made for another version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text with all hunks that fit.
    pub text: String,
    /// Positions in [`Diff::hunks`] of those that do not: the text differs where they change it, or right beside.
    pub conflicts: Vec<usize>,
}

impl<'a> Diff<'a> {
    /// The difference between two versions of the file `path`, which only names the hunks.
    pub fn new(path: &str, old: &'a str, new: &'a str) -> Diff<'a> {
        let (old, new) = (lines(old), lines(new));
        let mut edits = edits(&old, &new);
        let mut groups: Vec<Range<usize>> = Vec::new();
        for at in 0..edits.len() {
            let near = at > 0 && edits[at].old.start - edits[at - 1].old.end <= CONTEXT * 2;
            match groups.last_mut().filter(|_| near) {
                Some(group) => group.end = at + 1,
                None => groups.push(at..at + 1),
            }
            edits[at].hunk = groups.len() - 1;
        }
        let mut diff = Diff { old, new, edits, hunks: Vec::new() };
        let mut known: HashMap<String, usize> = HashMap::new();
        diff.hunks = groups.into_iter().map(|group| diff.hunk(path, group, &mut known)).collect();
        diff
    }

    /// Lines that only the new text has, and lines that only the old one has.
    pub fn counts(&self) -> (usize, usize) {
        (self.hunks.iter().map(|hunk| hunk.added).sum(), self.hunks.iter().map(|hunk| hunk.removed).sum())
    }

    /// The old text with the wanted hunks: with all of them it is the new text.
    pub fn pick(&self, wanted: impl Fn(&Hunk) -> bool) -> String {
        let chosen = self.edits.iter().filter(|edit| wanted(&self.hunks[edit.hunk]));
        put(&self.old, chosen.map(|edit| (edit.old.clone(), &self.new[edit.new.clone()])))
    }

    /// `other`, a version of the old text that somebody else has changed, with the wanted hunks. A hunk is applied whole or
    /// not at all; what `other` has already is left as it is.
    pub fn merge(&self, other: &str, wanted: impl Fn(&Hunk) -> bool) -> Merged {
        let other = lines(other);
        let theirs = edits(&self.old, &other);
        let mut conflicts = Vec::new();
        // Where an edit belongs in the other text; nothing when it stands there already.
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            let before = theirs.partition_point(|their| their.old.end < edit.old.start);
            let touching: Vec<&Edit> =
                theirs[before..].iter().take_while(|their| their.old.start <= edit.old.end).collect();
            let shift = before.checked_sub(1).map_or(0, |last| {
                let last = &theirs[last];
                last.new.end as isize - last.old.end as isize
            });
            places.push(match touching[..] {
                [] => edit.old.start.checked_add_signed(shift),
                [same] if same.old == edit.old && other[same.new.clone()] == self.new[edit.new.clone()] => None,
                _ => {
                    if wanted(&self.hunks[edit.hunk]) && conflicts.last() != Some(&edit.hunk) {
                        conflicts.push(edit.hunk);
                    }
                    None
                }
            });
        }
        let chosen = self.edits.iter().zip(places).filter_map(|(edit, place)| {
            let takes = wanted(&self.hunks[edit.hunk]) && !conflicts.contains(&edit.hunk);
            let start = place.filter(|_| takes)?;
            Some((start..start + edit.old.len(), &self.new[edit.new.clone()]))
        });
        Merged { text: put(&other, chosen), conflicts: conflicts.clone() }
    }

    fn hunk(&self, path: &str, group: Range<usize>, known: &mut HashMap<String, usize>) -> Hunk {
        let edits = &self.edits[group];
        let (first, last) = (&edits[0], &edits[edits.len() - 1]);
        let before = first.old.start.min(CONTEXT);
        let after = (self.old.len() - last.old.end).min(CONTEXT);
        let (old, new) =
            (first.old.start - before..last.old.end + after, first.new.start - before..last.new.end + after);
        let mut text = String::new();
        let mut at = old.start;
        for edit in edits {
            signed(&mut text, ' ', &self.old[at..edit.old.start]);
            signed(&mut text, '-', &self.old[edit.old.clone()]);
            signed(&mut text, '+', &self.new[edit.new.clone()]);
            at = edit.old.end;
        }
        signed(&mut text, ' ', &self.old[at..old.end]);
        let name = name(path, &text);
        let times = known.entry(name.clone()).and_modify(|times| *times += 1).or_insert(1);
        let start = |range: &Range<usize>| if range.is_empty() { range.start } else { range.start + 1 };
        Hunk {
            id: if *times == 1 { name } else { format!("{name}-{times}") },
            old_start: start(&old),
            old_lines: old.len(),
            new_start: start(&new),
            new_lines: new.len(),
            added: edits.iter().map(|edit| edit.new.len()).sum(),
            removed: edits.iter().map(|edit| edit.old.len()).sum(),
            text,
        }
    }
}

/// Lines with their line ends.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// What turns `old` into `new`, in order; between two edits stand lines that both have.
fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    for run in myers::diff(old, new) {
        let (from_old, from_new) = (at_old, at_new);
        at_old += if run.change == Change::Added { 0 } else { run.count };
        at_new += if run.change == Change::Removed { 0 } else { run.count };
        if run.change == Change::Kept {
            continue;
        }
        match edits.last_mut().filter(|last| last.old.end == from_old && last.new.end == from_new) {
            Some(last) => (last.old.end, last.new.end) = (at_old, at_new),
            None => edits.push(Edit { old: from_old..at_old, new: from_new..at_new, hunk: 0 }),
        }
    }
    edits
}

/// The lines with others in place of some ranges, which follow each other.
fn put<'a>(lines: &[&str], changes: impl Iterator<Item = (Range<usize>, &'a [&'a str])>) -> String {
    let mut text = String::new();
    let mut at = 0;
    for (range, others) in changes {
        text.extend(lines[at..range.start].iter().copied());
        text.extend(others.iter().copied());
        at = range.end;
    }
    text.extend(lines[at..].iter().copied());
    text
}

fn signed(text: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        text.push(sign);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push('\n');
            text.push_str(NO_NEWLINE);
        }
    }
}

fn name(path: &str, text: &str) -> String {
    let hash = Sha256::new().chain_update(path).chain_update([0]).chain_update(text).finalize();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hunks_of_a_file() {
        let old = (1..=30).map(|line| format!("{line}\n")).collect::<String>();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n25\n", "\n25\n25a\n") + "end";
        let diff = Diff::new("a", &old, &new);
        let shape = |hunk: &Hunk| (hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines);
        let shapes: Vec<_> = diff.hunks.iter().map(shape).collect();
        assert_eq!(shapes, [(2, 7, 2, 7), (23, 8, 23, 10)]);
        assert_eq!(diff.hunks[0].text, " 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert!(diff.hunks[1].text.ends_with(" 30\n+end\n\\ No newline at end of file\n"));
        assert_eq!(diff.counts(), (3, 1));
        assert_ne!(diff.hunks[0].id, Diff::new("b", &old, &new).hunks[0].id);
        for (old, new, starts) in [("", "a\n", (0, 1)), ("a\n", "", (1, 0))] {
            let diff = Diff::new("a", old, new);
            assert_eq!((diff.hunks[0].old_start, diff.hunks[0].new_start), starts);
        }
        assert!(Diff::new("a", "same", "same").hunks.is_empty());
    }

    #[test]
    fn line_ends_marks_and_missing_last_ones_are_kept() {
        for (old, new) in [
            ("\u{feff}a\r\nb\r\n", "\u{feff}a\r\nB\r\n"),
            ("a\r\nb", "a\nb"),
            ("a", "a\n"),
            ("a\n", "a"),
            ("a\n", "\u{feff}a\n"),
            ("a\rb\n", "a\rc\n"),
        ] {
            let diff = Diff::new("f", old, new);
            assert_eq!(diff.pick(|_| true), new);
            assert_eq!(diff.pick(|_| false), old);
        }
    }

    #[test]
    fn equal_hunks_have_names_of_their_own() {
        let block = "x\n".to_owned() + &"\n".repeat(9);
        let old = block.repeat(3);
        let diff = Diff::new("f", &old, &old.replace('x', "y")).hunks;
        assert_eq!(diff.len(), 3);
        assert!(diff[0].id != diff[1].id && diff[1].id != diff[2].id);
    }

    #[test]
    fn hunks_find_their_place_in_a_changed_text() {
        let old: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let new = old.replace("\n4\n", "\nfour\n").replace("\n16\n", "\n");
        let diff = Diff::new("f", &old, &new);
        for (theirs, expected, conflicts) in [
            // Lines before them.
            (format!("0\n{old}"), format!("0\n{new}"), vec![]),
            // A change of the same line, and one right beside.
            (old.replace("\n4\n", "\nvier\n"), old.replace("\n4\n", "\nvier\n").replace("\n16\n", "\n"), vec![0]),
            (old.replace("\n17\n", "\nx\n"), old.replace("\n17\n", "\nx\n").replace("\n4\n", "\nfour\n"), vec![1]),
            // The same change.
            (old.replace("\n4\n", "\nfour\n"), new.clone(), vec![]),
            (new.clone(), new.clone(), vec![]),
            (String::new(), String::new(), vec![0, 1]),
        ] {
            let merged = diff.merge(&theirs, |_| true);
            assert_eq!(merged, Merged { text: expected, conflicts }, "{theirs:?}");
        }
        assert_eq!(Diff::new("f", "", "new\n").merge("theirs\n", |_| true).conflicts, [0]);
        assert_eq!(Diff::new("f", "", "new\n").merge("new\n", |_| true).conflicts, [0; 0]);
    }

    /// A text of few different lines, with every kind of line end.
    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![Just("a"), Just("b"), Just(""), Just("\u{feff}x")];
        let end = prop_oneof![4 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r")];
        let last = prop_oneof![Just(""), Just("z")];
        (prop::collection::vec((line, end), 0..30), last).prop_map(|(lines, last)| {
            lines.into_iter().map(|(line, end)| format!("{line}{end}")).collect::<String>() + last
        })
    }

    proptest! {
        #[test]
        fn all_hunks_give_the_new_text_and_none_the_old(old in text(), new in text()) {
            let diff = Diff::new("f", &old, &new);
            prop_assert_eq!(diff.pick(|_| true), new.clone());
            prop_assert_eq!(diff.pick(|_| false), old.clone());
            prop_assert_eq!(diff.merge(&new, |_| true).conflicts.len() * usize::from(old == new), 0);
            let (added, removed) = diff.counts();
            prop_assert_eq!(lines(&old).len() + added, lines(&new).len() + removed);
        }

        #[test]
        fn some_hunks_and_then_the_others_give_the_new_text(old in text(), new in text(), choice in any::<u32>()) {
            let diff = Diff::new("f", &old, &new);
            let chosen = |hunk: &Hunk| {
                let at = diff.hunks.iter().position(|known| known.id == hunk.id).unwrap_or(0);
                choice >> (at % 32) & 1 == 1
            };
            let some = diff.pick(chosen);
            prop_assert_eq!(diff.merge(&old, chosen), Merged { text: some.clone(), conflicts: Vec::new() });
            prop_assert_eq!(Diff::new("f", &some, &new).pick(|_| true), new);
        }

        /// Where every line is unlike the others, applying some hunks changes neither names nor texts of the others.
        #[test]
        fn the_other_hunks_keep_their_names(changed in prop::collection::btree_set(0..120usize, 1..12), choice in any::<u32>()) {
            let old: String = (0..120).map(|line| format!("{line}\r\n")).collect();
            let line = |at: usize| if changed.contains(&at) { format!("new {at}\n") } else { format!("{at}\r\n") };
            let new: String = (0..120).map(line).collect();
            let diff = Diff::new("f", &old, &new);
            let chosen: Vec<&str> = (0..).zip(&diff.hunks).filter(|(at, _)| choice >> at & 1 == 1).map(|(_, hunk)| hunk.id.as_str()).collect();
            let left: Vec<String> = diff.hunks.iter().map(|hunk| hunk.id.clone()).filter(|id| !chosen.contains(&id.as_str())).collect();
            let some = diff.pick(|hunk| chosen.contains(&hunk.id.as_str()));
            let ids = |diff: Diff<'_>| diff.hunks.into_iter().map(|hunk| hunk.id).collect::<Vec<_>>();
            prop_assert_eq!(ids(Diff::new("f", &some, &new)), left.clone());
            // Taken back: all but the chosen ones.
            let without = diff.pick(|hunk| !chosen.contains(&hunk.id.as_str()));
            prop_assert_eq!(ids(Diff::new("f", &old, &without)), left);
        }

        /// What somebody else changed is never lost.
        #[test]
        fn merging_keeps_the_others_lines(old in text(), new in text(), theirs in text()) {
            let merged = Diff::new("f", &old, &new).merge(&theirs, |_| true);
            let whole = lines(&merged.text);
            let mut at = 0;
            for edit in edits(&lines(&old), &lines(&theirs)) {
                for line in &lines(&theirs)[edit.new.clone()] {
                    match whole[at..].iter().position(|known| known == line) {
                        Some(found) => at += found + 1,
                        None => prop_assert!(false, "{line:?} of {theirs:?} is missing in {:?}", merged.text),
                    }
                }
            }
        }
    }
}
