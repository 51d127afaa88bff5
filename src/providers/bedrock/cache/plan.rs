//! Where the cache points of a request stand (spec 07 §15.5).

use serde::{Deserialize, Serialize};

use super::CacheLimits;
use super::estimate::{message_tokens, system_tokens};
use crate::protocol::message::{ApiMessage, Role};

/// New tokens must exceed the smallest gap between two points by this factor before the two become one.
const MERGE_FACTOR: f64 = 1.2;

/// A point after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Index of the message.
    pub index: usize,
    /// Estimated tokens since the point before.
    pub tokens_covered: u64,
}

/// The points of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whether a point follows the system prompt.
    pub system: bool,
    /// Points after messages; `None` when messages are not looked at.
    pub messages: Option<Vec<Placement>>,
}

/// Plans the points of a request whose conversation had `previous` points in its last request.
pub fn plan(limits: &CacheLimits, system: &str, messages: &[ApiMessage], previous: &[Placement]) -> Plan {
    if messages.is_empty() {
        return Plan::default();
    }
    let long_enough = limits.min_tokens > 0 && system_tokens(system) >= limits.min_tokens;
    let system = limits.system && !system.is_empty() && long_enough;
    let planner = Planner {
        user: messages.iter().map(|message| message.role == Role::User).collect(),
        tokens: messages.iter().map(message_tokens).collect(),
        min_tokens: limits.min_tokens,
        remaining: limits.max_points - i64::from(system),
        previous,
    };
    Plan { system, messages: limits.messages.then(|| planner.placements()) }
}

struct Planner<'a> {
    /// Whether the user speaks, by message.
    user: Vec<bool>,
    /// Estimated tokens, by message.
    tokens: Vec<u64>,
    min_tokens: u64,
    /// Points that are left for messages; negative when the system prompt took one too many.
    remaining: i64,
    previous: &'a [Placement],
}

impl Planner<'_> {
    fn placements(&self) -> Vec<Placement> {
        let count = self.tokens.len();
        if count <= 1 {
            return Vec::new();
        }
        let Some(last) = self.previous.last() else { return self.first_placements() };
        let new = self.sum(last.index + 1, count - 1);
        if new < self.min_tokens {
            return self.previous.iter().copied().filter(|point| point.index < count).collect();
        }
        let mut points = self.previous.to_vec();
        if self.remaining > points.len() as i64 {
            points.extend(self.place(last.index + 1, count - 1));
        } else if let Some((smallest, gap)) = self.smallest_gap()
            && new as f64 >= MERGE_FACTOR * gap as f64
        {
            let start = smallest.checked_sub(1).map_or(0, |before| points[before].index + 1);
            let merged = self.place(start, points[smallest + 1].index);
            points.splice(smallest..smallest + 2, merged);
            if (points.len() as i64) < self.remaining {
                points.extend(self.place(last.index + 1, count - 1));
            }
        }
        points
    }

    fn first_placements(&self) -> Vec<Placement> {
        let mut points: Vec<Placement> = Vec::new();
        let mut start = 0;
        while (points.len() as i64) < self.remaining
            && let Some(point) = self.place(start, self.tokens.len() - 1)
        {
            start = point.index + 1;
            points.push(point);
        }
        points
    }

    /// A point after the last user message from `start` to `end`, if enough lies between it and the last point of the
    /// previous request before `start`.
    fn place(&self, start: usize, end: usize) -> Option<Placement> {
        if start >= end {
            return None;
        }
        let end = end.min(self.user.len() - 1);
        let index = (start..=end).rev().find(|&i| self.user[i])?;
        let from = self.previous.iter().map(|point| point.index).filter(|&i| i < start).max().map_or(0, |i| i + 1);
        let tokens_covered = self.sum(from, index);
        (tokens_covered >= self.min_tokens).then_some(Placement { index, tokens_covered })
    }

    /// The first of the two neighbouring points with the least tokens before them together, and these tokens.
    fn smallest_gap(&self) -> Option<(usize, u64)> {
        let mut start = 0;
        let segments: Vec<u64> = self
            .previous
            .iter()
            .map(|point| {
                let tokens = self.sum(start, point.index);
                start = point.index + 1;
                tokens
            })
            .collect();
        segments.windows(2).map(|pair| pair[0] + pair[1]).enumerate().min_by_key(|(_, gap)| *gap)
    }

    /// Tokens of the messages from `start` to `end`.
    fn sum(&self, start: usize, end: usize) -> u64 {
        self.tokens.iter().take(end.saturating_add(1)).skip(start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Messages by turns of user and assistant, each of this many words of 1.3 tokens and ten more.
    fn conversation(words: &[usize]) -> Vec<ApiMessage> {
        let message = |(i, words): (usize, &usize)| {
            let role = ["user", "assistant"][i % 2];
            serde_json::from_value(json!({"role": role, "content": "w ".repeat(*words)})).expect("a message")
        };
        words.iter().enumerate().map(message).collect()
    }

    fn limits(max_points: i64) -> CacheLimits {
        CacheLimits { max_points, min_tokens: 100, system: true, messages: true }
    }

    fn points(pairs: &[(usize, u64)]) -> Vec<Placement> {
        pairs.iter().map(|&(index, tokens_covered)| Placement { index, tokens_covered }).collect()
    }

    /// 100 words are 140 tokens.
    #[test]
    fn points_follow_the_conversation() {
        for (name, max, words, previous, expected) in [
            ("one message", 4, vec![500], vec![], vec![]),
            ("too short", 4, vec![10, 10, 10], vec![], vec![]),
            ("the last user message", 4, vec![100; 4], vec![], vec![(2, 420)]),
            ("none are left", 0, vec![100; 4], vec![], vec![]),
            ("little is new", 4, vec![100, 100, 100, 10, 10], vec![(2, 420)], vec![(2, 420)]),
            ("one more", 4, vec![100; 5], vec![(2, 420)], vec![(2, 420), (4, 280)]),
            ("shorter than before", 4, vec![100; 2], vec![(2, 420)], vec![]),
            ("none is left and one cannot merge", 1, vec![100; 5], vec![(2, 420)], vec![(2, 420)]),
            ("merged", 2, vec![100; 9], vec![(0, 140), (2, 280)], vec![(2, 420), (8, 840)]),
            ("not worth merging", 2, vec![100; 5], vec![(0, 140), (2, 280)], vec![(0, 140), (2, 280)]),
        ] {
            let plan = plan(&limits(max), "", &conversation(&words), &points(&previous));
            assert_eq!(plan, Plan { system: false, messages: Some(points(&expected)) }, "{name}");
        }
    }

    #[test]
    fn the_system_prompt_takes_a_point() {
        let long = "w ".repeat(100);
        let planned = plan(&limits(1), &long, &conversation(&[100; 3]), &[]);
        assert_eq!(planned, Plan { system: true, messages: Some(vec![]) });
        let without_minimum = CacheLimits { min_tokens: 0, ..limits(2) };
        let planned = plan(&without_minimum, &long, &conversation(&[1; 3]), &[]);
        assert_eq!(planned, Plan { system: false, messages: Some(points(&[(2, 36)])) });
        assert_eq!(plan(&limits(1), &long, &[], &[]), Plan::default());
    }
}
