//! Applying the blocks of one diff text to one text (spec 06 A.4).

use std::borrow::Cow;

use super::block::{self, Block};
use super::fuzzy::{self, Lines, Match};
use super::{Applied, Dialect, DiffError, Failure, NoMatch, Options, markers};
use crate::ecma;
use crate::edit::line_numbers::{self, Stripping};
use crate::edit::lines;

/// Applies every block of `diff` to `original` (the single-file strategy).
///
/// # Errors
/// [`Failure`] when no block could be applied.
pub fn apply(original: &str, diff: &str, options: &Options) -> Result<Applied, Failure> {
    apply_as(Dialect::Single, original, diff, None, options)
}

/// `start_line` replaces the line hint of every block.
pub(super) fn apply_as(
    dialect: Dialect,
    original: &str,
    diff: &str,
    start_line: Option<i64>,
    options: &Options,
) -> Result<Applied, Failure> {
    // The reference lets CRLF through and then writes marker lines into the file (D01).
    let diff = if diff.contains("\r\n") { Cow::Owned(diff.replace("\r\n", "\n")) } else { Cow::Borrowed(diff) };
    markers::check(&diff, dialect).map_err(Failure::Diff)?;
    let mut blocks = block::extract(&diff);
    if blocks.is_empty() {
        return Err(Failure::Diff(DiffError::NoBlocks));
    }
    if let Some(line) = start_line {
        blocks.iter_mut().for_each(|block| block.start_line = line);
    }
    blocks.sort_by_key(|block| block.start_line);

    let mut text = Text { lines: lines::split(original).map(Cow::Borrowed).collect(), shift: 0 };
    let mut failed = Vec::new();
    let mut applied = 0;
    for block in &blocks {
        match text.replace(block, options) {
            Ok(()) => applied += 1,
            Err(error) => failed.push(error),
        }
    }
    if applied == 0 {
        return Err(Failure::Blocks(failed));
    }
    let line_end = if original.contains("\r\n") { "\r\n" } else { "\n" };
    Ok(Applied { content: text.lines.join(line_end), failed })
}

/// The text as changed so far.
struct Text<'a> {
    lines: Vec<Cow<'a, str>>,
    /// Lines added before the blocks to come.
    shift: i64,
}

/// Search and replacement of a block as they are compared with the text.
struct Pair {
    search: String,
    replacement: String,
}

impl Text<'_> {
    fn replace(&mut self, block: &Block<'_>, options: &Options) -> Result<(), DiffError> {
        let mut start = match block.start_line {
            0 => 0,
            line => line.saturating_add(self.shift),
        };
        let pair = plain_pair(block, &mut start);
        if pair.search == pair.replacement {
            return Err(DiffError::Identical);
        }
        if pair.search.is_empty() {
            return Err(DiffError::EmptySearch);
        }
        let (found, pair) = self.find(block, pair, start, options)?;
        let count = lines::split(&pair.search).count();
        let (from, to) = slice_bounds(self.lines.len(), found, found.saturating_add(count as i64));
        // As the reference's two slices: what is kept ends and goes on at bounds taken on their own.
        let kept_end = slice_bounds(self.lines.len(), 0, found).1;
        let goes_on = slice_bounds(self.lines.len(), found.saturating_add(count as i64), i64::MAX).0;
        let matched = &self.lines[from..to];
        let new = indented(&pair, matched.first().map_or("", |line| line.as_ref()));
        self.shift += new.len() as i64 - matched.len() as i64;
        if kept_end <= goes_on {
            self.lines.splice(kept_end..goes_on, new.into_iter().map(Cow::Owned));
        } else {
            let tail = self.lines[goes_on..].to_vec();
            self.lines.truncate(kept_end);
            self.lines.extend(new.into_iter().map(Cow::Owned));
            self.lines.extend(tail);
        }
        Ok(())
    }

    /// Where the search lines stand, and which reading of the block that is (A.4 steps 7 to 9).
    fn find(&self, block: &Block<'_>, pair: Pair, start: i64, options: &Options) -> Result<(i64, Pair), DiffError> {
        let search: Vec<&str> = lines::split(&pair.search).collect();
        let (count, total) = (search.len() as i64, self.lines.len() as i64);
        let chunk = search.join("\n");
        let buffer = i64::try_from(options.buffer_lines).unwrap_or(i64::MAX);
        let (mut low, mut high) = (0, total);
        if start != 0 {
            let (from, to) = slice_bounds(self.lines.len(), start - 1, (start - 1).saturating_add(count));
            if fuzzy::similarity(&self.lines[from..to], &search) >= options.threshold {
                return Ok((start - 1, pair));
            }
            low = start.saturating_sub(buffer.saturating_add(1)).max(0);
            high = start.saturating_add(count).saturating_add(buffer).min(total);
        }
        let aggressive = Pair {
            search: line_numbers::strip(&pair.search, Stripping::Aggressive).into_owned(),
            replacement: line_numbers::strip(&pair.replacement, Stripping::Aggressive).into_owned(),
        };
        let lines = Lines::new(&self.lines, low, high, search.len());
        let best = lines.best(&chunk);
        if let Some(Match { index, score }) = best
            && score >= options.threshold
        {
            return Ok((index as i64, pair));
        }
        if aggressive.search != pair.search
            && let Some(Match { index, score }) = lines.best(&lines::split_nonempty(&aggressive.search).join("\n"))
            && score >= options.threshold
        {
            return Ok((index as i64, aggressive));
        }
        Err(self.no_match(block, chunk, search.len(), best, start, options))
    }

    fn no_match(
        &self,
        block: &Block<'_>,
        chunk: String,
        count: usize,
        best: Option<Match>,
        start: i64,
        options: &Options,
    ) -> DiffError {
        let buffer = i64::try_from(options.buffer_lines).unwrap_or(i64::MAX);
        let end_line = block.start_line.saturating_add(count as i64 - 1);
        let (from, to) = slice_bounds(
            self.lines.len(),
            start.saturating_sub(buffer.saturating_add(1)).max(0),
            end_line.saturating_add(buffer).min(self.lines.len() as i64),
        );
        let excerpt = self.lines[from..to].join("\n");
        let best_text = best.and_then(|found| {
            let end = found.index.saturating_add(count).min(self.lines.len());
            let text = self.lines.get(found.index..end)?.join("\n");
            (!text.is_empty()).then(|| line_numbers::add(&text, found.index as i64 + 1))
        });
        DiffError::NoMatch(Box::new(NoMatch {
            similarity: (best.map_or(0.0, |found| found.score) * 100.0).floor() as i64,
            threshold: (options.threshold * 100.0).floor() as i64,
            start_line: (start != 0).then_some(start),
            search: chunk,
            best: best_text,
            original: line_numbers::add(&excerpt, start.saturating_sub(buffer).max(1)),
        }))
    }
}

/// The block without escapes and line numbers; numbers in the search part stand in for a missing hint (A.4 steps 2 and 3).
fn plain_pair(block: &Block<'_>, start: &mut i64) -> Pair {
    let search = block::unescape(block.search);
    let replacement = block::unescape(block.replacement);
    let numbered = line_numbers::every_line_numbered(&search)
        && (line_numbers::every_line_numbered(&replacement) || ecma::trim(&replacement).is_empty());
    if !numbered {
        return Pair { search: search.into_owned(), replacement: replacement.into_owned() };
    }
    if *start == 0 {
        *start = ecma::parse_int(&search).map_or(0, |line| line.min(f64::from(u32::MAX)) as i64);
    }
    Pair {
        search: line_numbers::strip(&search, Stripping::Exact).into_owned(),
        replacement: line_numbers::strip(&replacement, Stripping::Exact).into_owned(),
    }
}

/// The replacement lines with the indentation of the matched place: `base` plus what each has more (or less) than the first
/// search line (A.4 step 10).
fn indented(pair: &Pair, first_matched: &str) -> Vec<String> {
    let base = indentation(first_matched);
    let search_depth = indentation(lines::split(&pair.search).next().unwrap_or("")).len();
    let replacement = lines::split_nonempty(&pair.replacement);
    let line = |line: &&str| {
        let own = indentation(line);
        let (kept, more) = match own.get(search_depth..) {
            Some(more) => (base, more),
            None => (&base[..base.len().saturating_sub(search_depth - own.len())], ""),
        };
        [kept, more, ecma::trim(line)].concat()
    };
    replacement.iter().map(line).collect()
}

/// Leading tabs and spaces.
fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(['\t', ' ']).len()]
}

/// `Array.prototype.slice`: negative bounds count from the end; an end before the start gives nothing.
fn slice_bounds(length: usize, start: i64, end: i64) -> (usize, usize) {
    let bound = |position: i64| match usize::try_from(position) {
        Ok(position) => position.min(length),
        Err(_) => length.saturating_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let (start, end) = (bound(start), bound(end));
    (start, end.max(start))
}
