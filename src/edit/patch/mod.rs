//! Patches as people and models read them (spec 05 §1.12 prettyPatch).
//!
//! Which of several shortest edits is shown, and where the missing-newline line stands, follow the reference's diff library,
//! so that the same change always reads the same.

pub(in crate::edit) mod myers;

use myers::Change;

/// Lines of unchanged text around a change.
const CONTEXT: usize = 4;

const NO_NEWLINE: &str = "\\ No newline at end of file";

/// Unified diff with four lines of context and without file headers; empty when nothing differs.
pub fn pretty_patch(old: &str, new: &str) -> String {
    let (old_lines, new_lines) = (tokens(old), tokens(new));
    let mut hunks = Hunks { old, new, old_line: 1, new_line: 1, open: None, patch: String::new() };
    let runs = myers::diff(&old_lines, &new_lines);
    let (mut at_old, mut at_new) = (0, 0);
    let mut previous: &[&str] = &[];
    for (position, run) in runs.iter().enumerate() {
        let lines = match run.change {
            Change::Removed => &old_lines[at_old..at_old + run.count],
            Change::Kept | Change::Added => &new_lines[at_new..at_new + run.count],
        };
        at_old += if run.change == Change::Added { 0 } else { run.count };
        at_new += if run.change == Change::Removed { 0 } else { run.count };
        match run.change {
            Change::Kept => hunks.kept(lines, position + 1 == runs.len()),
            change => hunks.changed(lines, change, previous),
        }
        previous = lines;
    }
    hunks.end();
    hunks.patch
}

/// Lines with their line feeds.
fn tokens(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

struct Hunks<'a> {
    old: &'a str,
    new: &'a str,
    old_line: usize,
    new_line: usize,
    open: Option<Hunk<'a>>,
    patch: String,
}

struct Hunk<'a> {
    old_start: usize,
    new_start: usize,
    /// Sign and line without its line feed.
    lines: Vec<(&'static str, &'a str)>,
}

impl<'a> Hunks<'a> {
    fn changed(&mut self, lines: &[&'a str], change: Change, previous: &[&'a str]) {
        let (old_line, new_line) = (self.old_line, self.new_line);
        let hunk = self.open.get_or_insert_with(|| {
            let context = &previous[previous.len().saturating_sub(CONTEXT)..];
            Hunk {
                old_start: old_line - context.len(),
                new_start: new_line - context.len(),
                lines: signed(" ", context).collect(),
            }
        });
        let added = change == Change::Added;
        hunk.lines.extend(signed(if added { "+" } else { "-" }, lines));
        if added {
            self.new_line += lines.len();
        } else {
            self.old_line += lines.len();
        }
    }

    fn kept(&mut self, lines: &[&'a str], last: bool) {
        if let Some(mut hunk) = self.open.take() {
            if lines.len() <= CONTEXT * 2 && !last {
                hunk.lines.extend(signed(" ", lines));
                self.open = Some(hunk);
            } else {
                hunk.lines.extend(signed(" ", &lines[..lines.len().min(CONTEXT)]));
                self.close(hunk, lines.len().min(CONTEXT), (last && lines.len() <= CONTEXT).then_some(lines.len()));
            }
        }
        self.old_line += lines.len();
        self.new_line += lines.len();
    }

    /// The texts end here, after a change.
    fn end(&mut self) {
        if let Some(hunk) = self.open.take() {
            self.close(hunk, 0, Some(0));
        }
    }

    /// `kept_to_end`: the texts end in this hunk, after so many kept lines.
    fn close(&mut self, mut hunk: Hunk<'a>, context: usize, kept_to_end: Option<usize>) {
        let old_count = self.old_line - hunk.old_start + context;
        let new_count = self.new_line - hunk.new_start + context;
        if let Some(kept) = kept_to_end {
            let (old_ended, new_ended) = (self.old.ends_with('\n'), self.new.ends_with('\n'));
            let before_additions = kept == 0 && hunk.lines.len() > old_count;
            if !old_ended && before_additions && !self.old.is_empty() {
                // Counted in lines of the hunk, not of the old text: the reference's place for it.
                hunk.lines.insert(old_count, ("", NO_NEWLINE));
            }
            if !old_ended && !before_additions || !new_ended {
                hunk.lines.push(("", NO_NEWLINE));
            }
        }
        let start = |start: usize, count: usize| if count == 0 { start.saturating_sub(1) } else { start };
        let (old_start, new_start) = (start(hunk.old_start, old_count), start(hunk.new_start, new_count));
        self.patch.push_str(&format!("@@ -{old_start},{old_count} +{new_start},{new_count} @@\n"));
        for (sign, line) in hunk.lines {
            self.patch.push_str(sign);
            self.patch.push_str(line);
            self.patch.push('\n');
        }
    }
}

fn signed<'a>(sign: &'static str, lines: &[&'a str]) -> impl Iterator<Item = (&'static str, &'a str)> {
    lines.iter().map(move |line| (sign, line.strip_suffix('\n').unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::myers::Run;
    use super::*;

    #[test]
    fn hunks_and_missing_newlines() {
        let table = [
            ("a\n", "a\n", ""),
            ("", "a\n", "@@ -0,0 +1,1 @@\n+a\n"),
            ("x", "x\n", "@@ -1,1 +1,1 @@\n-x\n\\ No newline at end of file\n+x\n"),
            ("gone\n", "", "@@ -1,1 +0,0 @@\n-gone\n\\ No newline at end of file\n"),
            ("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
        ];
        for (old, new, patch) in table {
            assert_eq!(pretty_patch(old, new), patch, "{old:?} {new:?}");
        }
    }

    #[test]
    fn large_unrelated_texts_are_replaced_whole() {
        let text = |word: &str| (0..20_000).map(|line| format!("{word} {line}\n")).collect::<String>();
        let patch = pretty_patch(&format!("same\n{}", text("old")), &format!("same\n{}", text("new")));
        assert!(patch.starts_with("@@ -1,20001 +1,20001 @@\n same\n-old 0\n"));
    }

    proptest! {
        #[test]
        fn the_patch_holds_both_texts(old in "([abc]\n){0,20}", new in "([abc]\n){0,20}") {
            let (old_lines, new_lines) = (tokens(&old), tokens(&new));
            let (mut from, mut to) = (0, 0);
            for Run { change, count } in myers::diff(&old_lines, &new_lines) {
                match change {
                    Change::Kept => {
                        prop_assert_eq!(&old_lines[from..from + count], &new_lines[to..to + count]);
                        from += count;
                        to += count;
                    }
                    Change::Removed => from += count,
                    Change::Added => to += count,
                }
            }
            prop_assert_eq!((from, to), (old_lines.len(), new_lines.len()));
        }
    }
}
