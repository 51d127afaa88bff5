//! Finding the window of lines that is most similar to a search text (spec 06 A.5).
//!
//! The rule: visit the windows from the middle of the range outwards, left before right, and keep the first one of the greatest
//! score. What counts is therefore the greatest score, and among equals the smallest rank in that order; the windows may be
//! looked at in any order. Three steps, each needed only when the one before has no answer:
//!
//! 1. a window equal to the search text after normalisation scores 1, and nothing can be better;
//! 2. a bound on every score, from lengths and counts of characters, which change little from one window to the next: linear in
//!    the text;
//! 3. the edit distance, best bound first, with the best score so far as cutoff, until no bound reaches it.

use rapidfuzz::distance::levenshtein::{Args, BatchComparator};

use crate::edit::{lines, normalize};

/// A window and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// First line, from 0.
    pub index: usize,
    /// Similarity, more than 0, at most 1.
    pub score: f64,
}

/// Similarity of two texts of lines joined by LF; 0 if the second is empty.
pub(super) fn similarity<A: AsRef<str>>(text: &[A], search: &[&str]) -> f64 {
    if search.is_empty() || search == [""] {
        return 0.0;
    }
    let text = joined_units(text.iter().map(AsRef::as_ref));
    let search = joined_units(search.iter().copied());
    if text == search {
        return 1.0;
    }
    let distance = rapidfuzz::distance::levenshtein::distance(text.iter().copied(), search.iter().copied());
    score(distance, text.len().max(search.len()))
}

/// The normalised lines of a range to search in.
pub(super) struct Lines {
    /// Non-empty lines in UTF-16 units, each followed by a space: a window is a slice of it without its last unit.
    units: Vec<u16>,
    /// Where each line from `low` on begins in `units`; one more at the end.
    starts: Vec<usize>,
    low: usize,
    high: i64,
    /// The window that is visited first; `None` when none is.
    middle: Option<usize>,
}

impl Lines {
    /// The range `low..high` of `text`, for windows of about `count` lines.
    pub fn new<A: AsRef<str>>(text: &[A], low: i64, high: i64, count: usize) -> Lines {
        // Bounds are never negative unless the range is empty.
        let middle = (low + high).div_euclid(2);
        let empty = Lines { units: Vec::new(), starts: Vec::new(), low: 0, high, middle: None };
        let (Ok(low_line), Ok(middle_line)) = (usize::try_from(low), usize::try_from(middle)) else { return empty };
        if middle < low {
            return empty;
        }
        let end = (middle_line + count.max(1)).max(usize::try_from(high).unwrap_or(0)).min(text.len());
        let mut lines = Lines { low: low_line, middle: Some(middle_line), ..empty };
        for line in text.get(low_line..end).unwrap_or_default() {
            lines.starts.push(lines.units.len());
            append_line(line.as_ref(), &mut lines.units);
        }
        lines.starts.push(lines.units.len());
        lines
    }

    /// The best window for `search`; `None` if all score 0.
    pub fn best(&self, search: &str) -> Option<Match> {
        let middle = self.middle?;
        if search.is_empty() {
            return None;
        }
        let count = lines::split(search).count();
        let pattern = joined_units(lines::split(search));
        let last = usize::try_from(self.high - count as i64).map_or(middle, |last| last.max(middle));
        let rank = |index: usize| if index <= middle { 2 * (middle - index) } else { 2 * (index - middle) - 1 };
        let equal = (self.low..=last).filter(|index| self.window(*index, count) == pattern).min_by_key(|i| rank(*i));
        if let Some(index) = equal {
            return Some(Match { index, score: 1.0 });
        }
        let mut candidates = self.candidates(&pattern, count, last);
        candidates.sort_unstable_by(|a, b| b.bound.total_cmp(&a.bound).then_with(|| rank(a.index).cmp(&rank(b.index))));
        let comparator = BatchComparator::new(pattern.iter().copied());
        let mut best: Option<Match> = None;
        for candidate in candidates {
            let found = best.map_or(0.0, |best| best.score);
            if candidate.bound < found {
                break;
            }
            if best.is_some_and(|best| candidate.bound == best.score && rank(candidate.index) > rank(best.index)) {
                continue;
            }
            let window = self.window(candidate.index, count);
            let longest = window.len().max(pattern.len());
            // One more than needed, so that rounding cannot hide an equal score.
            let cutoff = ((1.0 - found) * longest as f64).ceil() as usize + 1;
            let args = Args::default().score_cutoff(cutoff);
            let Some(distance) = comparator.distance_with_args(window.iter().copied(), &args) else { continue };
            let score = score(distance, longest);
            let wins = best.map_or(score > 0.0, |best| {
                score > best.score || score == best.score && rank(candidate.index) < rank(best.index)
            });
            if wins {
                best = Some(Match { index: candidate.index, score });
            }
        }
        best
    }

    /// The normalised text of the window of `count` lines at `index`; shorter at the end of the text.
    fn window(&self, index: usize, count: usize) -> &[u16] {
        let (start, end) = self.bounds(index, count);
        // Without the space after the last line.
        self.units.get(start..end.saturating_sub(1)).unwrap_or_default()
    }

    fn bounds(&self, index: usize, count: usize) -> (usize, usize) {
        let start_of = |line: usize| self.starts.get(line - self.low).copied().unwrap_or(self.units.len());
        (start_of(index), start_of(index + count))
    }

    /// Every window up to `last` that could score more than 0, with its bound.
    fn candidates(&self, pattern: &[u16], count: usize, last: usize) -> Vec<Candidate> {
        let mut difference = Difference::from_pattern(pattern);
        let (mut from, mut to) = (self.bounds(self.low, count).0, self.bounds(self.low, count).0);
        let mut candidates = Vec::new();
        for index in self.low..=last {
            let (start, end) = self.bounds(index, count);
            self.units[to..end].iter().for_each(|unit| difference.add(*unit));
            self.units[from..start].iter().for_each(|unit| difference.remove(*unit));
            (from, to) = (start, end);
            let length = (end - start).saturating_sub(1);
            let longest = length.max(pattern.len());
            if length == 0 || longest == 0 {
                continue;
            }
            let bound = score(difference.least_distance(), longest);
            if bound > 0.0 {
                candidates.push(Candidate { index, bound });
            }
        }
        candidates
    }
}

/// A window and the greatest score it can have.
struct Candidate {
    index: usize,
    bound: f64,
}

/// How often a window has each character more often than the pattern, in classes of characters.
struct Difference {
    counts: [i32; CLASSES],
    more: usize,
    less: usize,
}

/// ASCII has its own classes; the others share them.
const CLASSES: usize = 128;

impl Difference {
    fn from_pattern(pattern: &[u16]) -> Difference {
        let mut difference = Difference { counts: [0; CLASSES], more: 0, less: 0 };
        pattern.iter().for_each(|unit| difference.remove(*unit));
        // Windows are counted with the space after their last line.
        difference.remove(u16::from(b' '));
        difference
    }

    fn add(&mut self, unit: u16) {
        let count = &mut self.counts[usize::from(unit) % CLASSES];
        *count += 1;
        if *count > 0 { self.more += 1 } else { self.less -= 1 }
    }

    fn remove(&mut self, unit: u16) {
        let count = &mut self.counts[usize::from(unit) % CLASSES];
        *count -= 1;
        if *count < 0 { self.less += 1 } else { self.more -= 1 }
    }

    /// Each edit changes one character for another at most, so the distance is never less.
    fn least_distance(&self) -> usize {
        self.more.max(self.less)
    }
}

fn score(distance: usize, longest: usize) -> f64 {
    1.0 - distance as f64 / longest as f64
}

/// The normalised text of some lines.
fn joined_units<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u16> {
    let mut units = Vec::new();
    lines.for_each(|line| append_line(line, &mut units));
    units.pop();
    units
}

/// Appends a normalised line and a space, or nothing for a blank line.
fn append_line(line: &str, units: &mut Vec<u16>) {
    let before = units.len();
    normalize::append_units(line, units);
    if units.len() > before {
        units.push(u16::from(b' '));
    }
}
