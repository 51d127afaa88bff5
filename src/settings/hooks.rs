//! Hooks: commands of the user, or questions to the host, that run at certain points of a task (`docs/hooks.md`).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value, json};

use crate::ecma::pattern::Finder;

/// Hooks there may be.
const COUNT_LIMIT: usize = 64;
/// Longest command line in bytes.
const COMMAND_LIMIT: usize = 8 << 10;
/// Longest matcher in bytes.
const MATCHER_LIMIT: usize = 256;
/// Time a hook may take when it says nothing else.
const TIMEOUT_MS: u64 = 60_000;
/// Longest time a hook may take.
const TIMEOUT_LIMIT_MS: u64 = 600_000;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookEvent {
    /// A tool call is complete and about to run.
    PreToolUse,
    /// A tool has run.
    PostToolUse,
    /// A new task begins.
    #[serde(alias = "UserPromptSubmit")]
    TaskStart,
    /// The model presents its result.
    TaskComplete,
    /// A task that ran is over: stopped, failed, closed.
    Stop,
}

impl HookEvent {
    /// The name in settings and input.
    pub const fn as_str(self) -> &'static str {
        match self {
            HookEvent::PreToolUse => "PreToolUse",
            HookEvent::PostToolUse => "PostToolUse",
            HookEvent::TaskStart => "TaskStart",
            HookEvent::TaskComplete => "TaskComplete",
            HookEvent::Stop => "Stop",
        }
    }
}

/// What a hook runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAction {
    /// A command line for the shell.
    Command(String),
    /// The host request `hook.run`.
    Host,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub event: HookEvent,
    /// For which tools: a name, or a regular expression for the whole name; empty or `*`: all.
    pub matcher: String,
    /// What it runs.
    pub action: HookAction,
    /// Time it may take.
    pub timeout: Duration,
    /// Its failure counts as a denial.
    pub fail_closed: bool,
}

impl Hook {
    /// What it is called in events and notices: its command line, or `host`.
    pub fn name(&self) -> &str {
        match &self.action {
            HookAction::Command(line) => line,
            HookAction::Host => "host",
        }
    }

    /// Whether it runs at this event, for this tool if there is one.
    pub fn applies(&self, event: HookEvent, tool: Option<&str>) -> bool {
        self.event == event && tool.is_none_or(|tool| self.matches(tool))
    }

    fn matches(&self, tool: &str) -> bool {
        let all = matches!(self.matcher.as_str(), "" | "*");
        all || self.matcher == tool || pattern(&self.matcher).is_some_and(|pattern| pattern.is_in(tool) == Ok(true))
    }
}

fn pattern(matcher: &str) -> Option<Finder> {
    Finder::new(&format!("^(?:{matcher})$")).ok()
}

/// A list of hooks, in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks(Vec<Hook>);

/// What is wrong with a list of hooks. It names the place and repeats no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {wanted} in {place}")]
pub struct HookError {
    /// Such as `[2].matcher` or `PreToolUse[0]`.
    pub place: String,
    /// What should stand there.
    pub wanted: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    event: Option<HookEvent>,
    #[serde(default)]
    matcher: String,
    command: Option<String>,
    #[serde(default)]
    host: bool,
    #[serde(alias = "timeoutMs")]
    timeout_ms: Option<u64>,
    #[serde(default, rename = "failClosed", alias = "fail_closed")]
    fail_closed: bool,
}

impl Hooks {
    /// Reads a list of hooks, or an object of such lists by event.
    ///
    /// # Errors
    /// The first thing that is wrong; then there are no hooks.
    pub fn read(value: &Value) -> Result<Hooks, HookError> {
        let wrong = |place: String, wanted| Err(HookError { place, wanted });
        let mut hooks = Vec::new();
        match value {
            Value::Null => {}
            Value::Array(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    hooks.push(read_hook(entry, None, format!("[{at}]"))?);
                }
            }
            Value::Object(events) => {
                for (name, entries) in events {
                    let Ok(event) = serde_json::from_value::<HookEvent>(json!(name)) else {
                        return wrong("hooks".into(), "only names of events");
                    };
                    let Value::Array(entries) = entries else { return wrong(event.as_str().into(), "a list") };
                    for (at, entry) in entries.iter().enumerate() {
                        hooks.push(read_hook(entry, Some(event), format!("{}[{at}]", event.as_str()))?);
                    }
                }
            }
            _ => return wrong("hooks".into(), "a list or an object"),
        }
        if hooks.len() > COUNT_LIMIT {
            return wrong("hooks".into(), "at most 64 hooks");
        }
        Ok(Hooks(hooks))
    }

    /// Those that run at this event, for this tool if there is one.
    pub fn of<'a>(&'a self, event: HookEvent, tool: Option<&'a str>) -> impl Iterator<Item = &'a Hook> {
        self.0.iter().filter(move |hook| hook.applies(event, tool))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read_hook(value: &Value, event: Option<HookEvent>, place: String) -> Result<Hook, HookError> {
    let wrong = |field: &str, wanted| Err(HookError { place: format!("{place}{field}"), wanted });
    let Ok(entry) = serde_json::from_value::<Entry>(value.clone()) else {
        return wrong("", "event, matcher, command or host, timeout_ms, failClosed and nothing else");
    };
    let Some(event) = event.filter(|_| entry.event.is_none()).or(entry.event.filter(|_| event.is_none())) else {
        return wrong(".event", "an event, once");
    };
    let action = match (entry.command, entry.host) {
        (Some(line), false) if !line.trim().is_empty() && line.len() <= COMMAND_LIMIT && !line.contains('\0') => {
            HookAction::Command(line)
        }
        (None, true) => HookAction::Host,
        _ => return wrong("", "a command line of at most 8 KiB, or `host: true`"),
    };
    let matcher = entry.matcher;
    if matcher.len() > MATCHER_LIMIT || !(matches!(matcher.as_str(), "" | "*") || pattern(&matcher).is_some()) {
        return wrong(".matcher", "a tool name or a regular expression");
    }
    let timeout = entry.timeout_ms.unwrap_or(TIMEOUT_MS);
    if !(1..=TIMEOUT_LIMIT_MS).contains(&timeout) {
        return wrong(".timeout_ms", "1 to 600000");
    }
    let timeout = Duration::from_millis(timeout);
    Ok(Hook { event, matcher, action, timeout, fail_closed: entry.fail_closed })
}

impl<'de> Deserialize<'de> for Hooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hooks, D::Error> {
        Hooks::read(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Hooks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = |hook: &Hook| {
            let mut entry = Map::new();
            entry.insert("event".into(), hook.event.as_str().into());
            if !hook.matcher.is_empty() {
                entry.insert("matcher".into(), hook.matcher.as_str().into());
            }
            match &hook.action {
                HookAction::Command(line) => entry.insert("command".into(), line.as_str().into()),
                HookAction::Host => entry.insert("host".into(), true.into()),
            };
            entry.insert("timeout_ms".into(), json!(hook.timeout.as_millis() as u64));
            entry.insert("failClosed".into(), hook.fail_closed.into());
            Value::Object(entry)
        };
        serializer.collect_seq(self.0.iter().map(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Hooks, HookError> {
        Hooks::read(&value)
    }

    #[test]
    fn both_forms_say_the_same_and_read_back() {
        let list = json!([
            {"event": "PreToolUse", "matcher": "write_.*", "command": "check", "timeout_ms": 5, "failClosed": true},
            {"event": "UserPromptSubmit", "host": true},
        ]);
        let by_event = json!({
            "PreToolUse": [{"matcher": "write_.*", "command": "check", "timeoutMs": 5, "fail_closed": true}],
            "TaskStart": [{"host": true}],
        });
        let hooks = read(list).unwrap();
        assert_eq!(read(by_event).as_ref(), Ok(&hooks));
        assert_eq!(read(serde_json::to_value(&hooks).unwrap()).as_ref(), Ok(&hooks));
        let names: Vec<_> = hooks.0.iter().map(|hook| (hook.event, hook.name(), hook.timeout.as_millis())).collect();
        assert_eq!(names, [(HookEvent::PreToolUse, "check", 5), (HookEvent::TaskStart, "host", 60_000)]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let many = json!(vec![json!({"event": "Stop", "host": true}); 65]);
        for (value, place) in [
            (json!(5), "hooks"),
            (json!({"OnFire": []}), "hooks"),
            (json!({"Stop": {}}), "Stop"),
            (json!([{"event": "OnFire", "host": true}]), "[0]"),
            (json!([{"event": "Stop", "host": true, "matchr": "x"}]), "[0]"),
            (json!([{"host": true}]), "[0].event"),
            (json!({"Stop": [{"event": "Stop", "host": true}]}), "Stop[0].event"),
            (json!([{"event": "Stop"}]), "[0]"),
            (json!([{"event": "Stop", "host": true, "command": "x"}]), "[0]"),
            (json!([{"event": "Stop", "command": " "}]), "[0]"),
            (json!([{"event": "Stop", "host": true}, {"event": "Stop", "host": true, "matcher": "("}]), "[1].matcher"),
            (json!([{"event": "Stop", "host": true, "timeout_ms": 0}]), "[0].timeout_ms"),
            (json!([{"event": "Stop", "host": true, "timeout_ms": 600_001}]), "[0].timeout_ms"),
            (many, "hooks"),
        ] {
            assert_eq!(read(value.clone()).unwrap_err().place, place, "{value}");
        }
    }

    #[test]
    fn a_matcher_is_a_name_or_an_expression_for_the_whole_name() {
        for (matcher, tool, matches) in [
            ("", "read_file", true),
            ("*", "read_file", true),
            ("read_file", "read_file", true),
            ("read", "read_file", false),
            ("read_file|write_to_file", "write_to_file", true),
            (".*_file", "read_file", true),
            ("file", "read_file", false),
        ] {
            let hooks = read(json!([{"event": "PreToolUse", "matcher": matcher, "host": true}])).unwrap();
            assert_eq!(hooks.of(HookEvent::PreToolUse, Some(tool)).count() == 1, matches, "{matcher} {tool}");
            assert_eq!(hooks.of(HookEvent::PostToolUse, Some(tool)).count(), 0);
        }
    }
}
