//! Blocks a tool call that the model repeats without change (spec 01 §6.4).

use super::recovery::Repeated;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// Remembers the last call of a task.
#[derive(Debug)]
pub struct RepetitionDetector {
    limit: i64,
    previous: Option<ToolCall>,
    repeated: i64,
}

impl RepetitionDetector {
    /// `limit` identical calls run, the next one is blocked; 0 or less: never.
    pub fn new(limit: i64) -> RepetitionDetector {
        RepetitionDetector { limit, previous: None, repeated: 0 }
    }

    /// What it remembers, for [`RepetitionDetector::recall`].
    pub fn memory(&self) -> Option<Repeated> {
        let call = self.previous.as_ref()?;
        let params = call.params.iter().map(|(name, value)| (name.to_string(), value.to_owned())).collect();
        Some(Repeated { tool: call.name.to_string(), params, times: self.repeated })
    }

    /// Remembers what another one did; names this build does not know are forgotten.
    pub fn recall(&mut self, memory: Repeated) {
        let params = memory.params.into_iter().filter_map(|(name, value)| Some((ParamName::parse(&name)?, value)));
        self.previous =
            ToolName::parse(&memory.tool).map(|name| ToolCall { name, params: params.collect(), partial: false });
        self.repeated = memory.times;
    }

    /// Whether this complete call may run. After a block the count starts over.
    pub fn allows(&mut self, call: &ToolCall) -> bool {
        let scrolls = matches!(call.params.get(ParamName::Action), Some("scroll_down" | "scroll_up"));
        if call.name == ToolName::BrowserAction && scrolls {
            return true;
        }
        if self.previous.as_ref().is_some_and(|previous| same(previous, call)) {
            self.repeated += 1;
        } else {
            self.repeated = 0;
            self.previous = Some(call.clone());
        }
        if self.limit > 0 && self.repeated >= self.limit {
            self.repeated = 0;
            self.previous = None;
            return false;
        }
        true
    }
}

/// Same tool and parameters, whatever their order.
fn same(a: &ToolCall, b: &ToolCall) -> bool {
    a.name == b.name
        && a.params.iter().count() == b.params.iter().count()
        && a.params.iter().all(|(name, value)| b.params.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: ToolName, params: &[(ParamName, &str)]) -> ToolCall {
        ToolCall { name, params: params.iter().map(|(n, v)| (*n, v.to_string())).collect(), partial: false }
    }

    #[test]
    fn the_call_after_the_limit_is_blocked_and_then_allowed_again() {
        let read = call(ToolName::ReadFile, &[(ParamName::Path, "a"), (ParamName::Args, "b")]);
        let swapped = call(ToolName::ReadFile, &[(ParamName::Args, "b"), (ParamName::Path, "a")]);
        let mut detector = RepetitionDetector::new(3);
        let allowed: Vec<bool> = [&read, &swapped, &read, &read, &read].iter().map(|c| detector.allows(c)).collect();
        assert_eq!(allowed, [true, true, true, false, true]);
    }

    #[test]
    fn what_one_remembers_another_recalls() {
        let read = call(ToolName::ReadFile, &[(ParamName::Path, "a")]);
        let mut first = RepetitionDetector::new(2);
        assert!(first.memory().is_none() && first.allows(&read) && first.allows(&read));
        let mut second = RepetitionDetector::new(2);
        second.recall(first.memory().expect("a call"));
        assert!(!second.allows(&read));
    }

    #[test]
    fn another_call_or_a_limit_of_zero_resets() {
        let (a, b) = (call(ToolName::ListFiles, &[]), call(ToolName::ListFiles, &[(ParamName::Path, ".")]));
        let mut detector = RepetitionDetector::new(1);
        assert_eq!([&a, &b, &a, &a].map(|c| detector.allows(c)), [true, true, true, false]);
        let mut off = RepetitionDetector::new(0);
        assert!((0..50).all(|_| off.allows(&a)));
    }

    #[test]
    fn scrolling_is_neither_counted_nor_remembered() {
        let scroll = call(ToolName::BrowserAction, &[(ParamName::Action, "scroll_down")]);
        let read = call(ToolName::ReadFile, &[]);
        let mut detector = RepetitionDetector::new(2);
        assert_eq!(
            [&read, &scroll, &read, &scroll, &read].map(|c| detector.allows(c)),
            [true, true, true, true, false]
        );
    }
}
