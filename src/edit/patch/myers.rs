//! The greedy O(ND) difference algorithm with the reference's choice among equally short edits: of two ways onto a diagonal the
//! insertion is taken only if it is more than one old line ahead, and a removal is then shown before the additions next to it.

use std::collections::HashMap;

/// What happens to a run of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edit) enum Change {
    Kept,
    Removed,
    Added,
}

/// Lines that follow each other and share their fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edit) struct Run {
    pub change: Change,
    pub count: usize,
}

/// Steps after which the search is given up; about 0.1 s. Texts that differ that much are shown as replaced.
const STEP_LIMIT: usize = 16_000_000;

/// Runs alive in all open paths, likewise (16 bytes each).
const RUN_LIMIT: usize = 1_000_000;

/// The runs that turn `old` into `new`.
pub(in crate::edit) fn diff(old: &[&str], new: &[&str]) -> Vec<Run> {
    let mut numbers = HashMap::new();
    let old: Vec<u32> = numbered(old, &mut numbers);
    let new: Vec<u32> = numbered(new, &mut numbers);
    Search { old: &old, new: &new, paths: Paths::default() }.run().unwrap_or_else(|| replaced(&old, &new))
}

/// Equal lines get equal numbers.
fn numbered<'a>(lines: &[&'a str], numbers: &mut HashMap<&'a str, u32>) -> Vec<u32> {
    let number = |line: &&'a str| {
        let next = numbers.len() as u32;
        *numbers.entry(line).or_insert(next)
    };
    lines.iter().map(number).collect()
}

struct Search<'a> {
    old: &'a [u32],
    new: &'a [u32],
    paths: Paths,
}

/// A path that ends before old line `old` on its diagonal (old minus new lines).
#[derive(Clone, Copy)]
struct Path {
    old: isize,
    last: u32,
}

/// Paths by diagonal, which grow at both ends.
#[derive(Default)]
struct Diagonals {
    from_zero: Vec<Option<Path>>,
    below_zero: Vec<Option<Path>>,
}

impl Diagonals {
    fn get(&self, diagonal: isize) -> Option<Path> {
        let (side, index) = if diagonal < 0 { (&self.below_zero, !diagonal) } else { (&self.from_zero, diagonal) };
        side.get(index as usize).copied().flatten()
    }

    /// Puts a path in place and gives the one that was there.
    fn set(&mut self, diagonal: isize, path: Option<Path>) -> Option<Path> {
        let (side, index) =
            if diagonal < 0 { (&mut self.below_zero, !diagonal) } else { (&mut self.from_zero, diagonal) };
        let index = index as usize;
        if index >= side.len() {
            path?;
            side.resize(index + 1, None);
        }
        std::mem::replace(&mut side[index], path)
    }
}

impl Search<'_> {
    /// `None` when the limits are reached.
    fn run(mut self) -> Option<Vec<Run>> {
        let (old_len, new_len) = (self.old.len() as isize, self.new.len() as isize);
        let mut path = Path { old: 0, last: NONE };
        self.follow(&mut path, 0);
        if path.old >= old_len && path.old >= new_len {
            return Some(self.paths.runs(path.last));
        }
        let mut open = Diagonals::default();
        open.set(0, Some(path));
        let (mut lowest, mut highest) = (isize::MIN, isize::MAX);
        let mut steps = 0;
        for edits in 1..=old_len + new_len {
            let mut diagonal = lowest.max(-edits);
            // Pruned diagonals keep the parity of the edits.
            if (diagonal + edits) % 2 != 0 {
                diagonal += 1;
            }
            while diagonal <= highest.min(edits) {
                steps += 1;
                let removal = open.set(diagonal - 1, None);
                let addition = open.get(diagonal + 1);
                let can_remove = removal.filter(|path| path.old < old_len);
                let can_add = addition.filter(|path| (0..new_len).contains(&(path.old - diagonal - 1)));
                let next = match (can_remove, can_add) {
                    (None, None) => None,
                    (Some(removal), Some(addition)) if removal.old + 1 < addition.old => {
                        Some((addition, Change::Added))
                    }
                    (Some(removal), _) => Some((removal, Change::Removed)),
                    (None, Some(addition)) => Some((addition, Change::Added)),
                };
                let extended = next.map(|(from, change)| {
                    let old = from.old + isize::from(change == Change::Removed);
                    let mut path = Path { old, last: self.paths.append(from.last, change, 1) };
                    self.follow(&mut path, diagonal);
                    path
                });
                if let Some(path) = removal {
                    self.paths.release(path.last);
                }
                let replaced = open.set(diagonal, extended);
                if let Some(path) = replaced {
                    self.paths.release(path.last);
                }
                if let Some(path) = extended {
                    let new = path.old - diagonal;
                    if path.old >= old_len && new >= new_len {
                        return Some(self.paths.runs(path.last));
                    }
                    if path.old >= old_len {
                        highest = highest.min(diagonal - 1);
                    }
                    if new >= new_len {
                        lowest = lowest.max(diagonal + 1);
                    }
                }
                diagonal += 2;
            }
            if steps > STEP_LIMIT || self.paths.live > RUN_LIMIT {
                return None;
            }
        }
        None
    }

    /// Goes on over equal lines.
    fn follow(&mut self, path: &mut Path, diagonal: isize) {
        let (Ok(old), Ok(new)) = (usize::try_from(path.old), usize::try_from(path.old - diagonal)) else { return };
        let (old, new) = (self.old.get(old..).unwrap_or_default(), self.new.get(new..).unwrap_or_default());
        let kept = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        if kept > 0 {
            let last = self.paths.append(path.last, Change::Kept, kept as u32);
            self.paths.release(path.last);
            *path = Path { old: path.old + kept as isize, last };
        }
    }
}

/// The end of every list of runs.
const NONE: u32 = u32::MAX;

/// Lists of runs that share their beginnings, counted so that runs of abandoned paths are used again.
#[derive(Default)]
struct Paths {
    nodes: Vec<Node>,
    free: Vec<u32>,
    live: usize,
}

struct Node {
    change: Change,
    count: u32,
    previous: u32,
    users: u32,
}

impl Paths {
    /// The list that ends with `last`, made longer; the caller owns one use of it.
    fn append(&mut self, last: u32, change: Change, count: u32) -> u32 {
        let (count, previous) = match self.nodes.get(last as usize) {
            Some(node) if node.change == change => (node.count + count, node.previous),
            _ => (count, last),
        };
        if let Some(node) = self.nodes.get_mut(previous as usize) {
            node.users += 1;
        }
        self.live += 1;
        let node = Node { change, count, previous, users: 1 };
        match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Gives one use of the list back.
    fn release(&mut self, mut last: u32) {
        while let Some(node) = self.nodes.get_mut(last as usize) {
            node.users -= 1;
            if node.users > 0 {
                return;
            }
            self.live -= 1;
            self.free.push(last);
            last = node.previous;
        }
    }

    /// The list in order, removals before the additions next to them.
    fn runs(&self, mut last: u32) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(node) = self.nodes.get(last as usize) {
            runs.push(Run { change: node.change, count: node.count as usize });
            last = node.previous;
        }
        runs.reverse();
        for position in 1..runs.len() {
            if runs[position].change == Change::Removed && runs[position - 1].change == Change::Added {
                runs.swap(position - 1, position);
            }
        }
        runs
    }
}

/// Everything between the common beginning and end replaced.
fn replaced(old: &[u32], new: &[u32]) -> Vec<Run> {
    let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let runs = [
        Run { change: Change::Kept, count: before },
        Run { change: Change::Removed, count: old.len() - after },
        Run { change: Change::Added, count: new.len() - after },
        Run { change: Change::Kept, count: after },
    ];
    runs.into_iter().filter(|run| run.count > 0).collect()
}
