//! `Array.prototype.sort` for comparisons that are no total order.
//!
//! Some orders of the specification contradict themselves (names that differ in case only are equal, whatever follows them).
//! The standard library may panic on such a comparison; this sort gives what the reference's engine gives: runs extended
//! by binary insertion, then merged. Stable, O(n log n) comparisons.

use std::cmp::Ordering;

/// Shorter lists are one run.
const WHOLE_RUN: usize = 64;

/// Sorts `items`; equal ones keep their order.
pub fn sort<T>(items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let shortest = shortest_run(items.len());
    let mut runs = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let sorted = make_run(&mut rest, &compare);
        let end = shortest.max(sorted).min(rest.len());
        let tail = rest.split_off(end);
        insert(&mut rest, sorted, &compare);
        runs.push(std::mem::replace(&mut rest, tail));
    }
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pending = runs.into_iter();
        while let Some(first) = pending.next() {
            merged.push(match pending.next() {
                Some(second) => merge(first, second, &compare),
                None => first,
            });
        }
        runs = merged;
    }
    runs.pop().unwrap_or_default()
}

/// A length of runs that makes their number a power of two, or a little less.
fn shortest_run(mut len: usize) -> usize {
    let mut odd = 0;
    while len >= WHOLE_RUN {
        odd |= len & 1;
        len >>= 1;
    }
    len + odd
}

/// Length of the ordered run at the front; a descending one is turned round.
fn make_run<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) -> usize {
    let follows = |pair: &[T], descending: bool| match pair {
        [a, b] => (compare(b, a) == Ordering::Less) == descending,
        _ => false,
    };
    let descending = items.get(..2).is_some_and(|first| follows(first, true));
    let len = 1 + items.windows(2).take_while(|pair| follows(pair, descending)).count();
    if descending {
        items[..len].reverse();
    }
    len
}

/// Moves each item from `sorted` on to its place among those before it.
fn insert<T>(items: &mut [T], sorted: usize, compare: impl Fn(&T, &T) -> Ordering) {
    for at in sorted..items.len() {
        // Not `partition_point`: where the halves fall decides what a contradictory comparison gives.
        let (mut left, mut right) = (0, at);
        while left < right {
            let middle = left + (right - left) / 2;
            match compare(&items[at], &items[middle]) {
                Ordering::Less => right = middle,
                _ => left = middle + 1,
            }
        }
        items[left..=at].rotate_right(1);
    }
}

fn merge<T>(first: Vec<T>, second: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = if compare(b, a) == Ordering::Less { second.next() } else { first.next() };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_total_order_gives_the_stable_order(items in prop::collection::vec((0u8..20, any::<u16>()), 0..300)) {
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            prop_assert_eq!(sort(items, |a, b| a.0.cmp(&b.0)), expected);
        }

        #[test]
        fn any_comparison_ends_with_all_items(items in prop::collection::vec(any::<u8>(), 0..300)) {
            let contradictory = |a: &u8, b: &u8| (a.wrapping_mul(37) ^ b).cmp(&a.wrapping_add(*b));
            let (mut sorted, mut all) = (sort(items.clone(), contradictory), items);
            sorted.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(sorted, all);
        }
    }
}
