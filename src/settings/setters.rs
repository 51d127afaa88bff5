//! What becomes of values when they are set (spec 04 §2): some are put right rather than refused. What is imported or stands in a file
//! is left as it is.

use serde_json::{Map, Value};

/// Lists of beginnings of commands.
pub const COMMAND_LISTS: [&str; 2] = ["allowedCommands", "deniedCommands"];
/// Numbers that are brought within 0 to 500.
const CLAMPED: [&str; 2] = ["maxOpenTabsContext", "maxWorkspaceFiles"];

/// Switches that are set one by one.
pub const EXPERIMENTS: &str = "experiments";

/// Lays changes over values; `null` takes a key away. Experiments that are not named stay as they are (spec 04 §2.6).
pub fn overlay(values: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (key, value) in changes {
        match (values.get_mut(&key), value) {
            (_, Value::Null) => drop(values.shift_remove(&key)),
            (Some(Value::Object(before)), Value::Object(more)) if key == EXPERIMENTS => before.extend(more),
            (_, value) => drop(values.insert(key, value)),
        }
    }
}

/// Puts values right that are about to be set.
pub fn put_right(values: &mut Map<String, Value>) {
    for key in COMMAND_LISTS {
        if let Some(Value::Array(commands)) = values.get_mut(key) {
            commands.retain(|command| !is_blank(command));
        }
    }
    for key in CLAMPED {
        if let Some(number) = values.get(key).and_then(Value::as_f64).filter(|number| !(0.0..=500.0).contains(number)) {
            values.insert(key.into(), Value::from(number.clamp(0.0, 500.0) as u64));
        }
    }
    // Without a text there are no instructions.
    if values.get("customInstructions").and_then(Value::as_str) == Some("") {
        values.insert("customInstructions".into(), Value::Null);
    }
}

/// Two lists of commands as one, each command once, in order (spec 04 §3).
pub fn joined(one: &[Value], other: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for command in one.iter().chain(other).filter(|command| !is_blank(command)) {
        if !all.contains(command) {
            all.push(command.clone());
        }
    }
    all
}

/// Nothing but white space, with which every command would begin.
fn is_blank(command: &Value) -> bool {
    command.as_str().is_some_and(|text| crate::ecma::trim(text).is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 04 §2.1: blank commands are left out when lists are set
    /// parity 04 §2.2: tabs and files are brought within 0 to 500 when they are set
    /// parity 04 §2.4: instructions that are empty are none
    #[test]
    fn values_are_put_right_when_they_are_set() {
        for (given, set) in [
            (json!({"allowedCommands": ["git", " ", "", "ls"]}), json!({"allowedCommands": ["git", "ls"]})),
            (json!({"deniedCommands": ["\t"], "mode": ""}), json!({"deniedCommands": [], "mode": ""})),
            (
                json!({"allowedCommands": [5], "deniedCommands": "x"}),
                json!({"allowedCommands": [5], "deniedCommands": "x"}),
            ),
            (
                json!({"maxOpenTabsContext": -1, "maxWorkspaceFiles": 501}),
                json!({"maxOpenTabsContext": 0, "maxWorkspaceFiles": 500}),
            ),
            (
                json!({"maxOpenTabsContext": 0, "maxWorkspaceFiles": 500}),
                json!({"maxOpenTabsContext": 0, "maxWorkspaceFiles": 500}),
            ),
            (
                json!({"maxOpenTabsContext": null, "maxWorkspaceFiles": "x"}),
                json!({"maxOpenTabsContext": null, "maxWorkspaceFiles": "x"}),
            ),
            (json!({"customInstructions": ""}), json!({"customInstructions": null})),
            (json!({"customInstructions": " "}), json!({"customInstructions": " "})),
        ] {
            let mut values = given.as_object().cloned().unwrap_or_default();
            put_right(&mut values);
            assert_eq!(Value::Object(values), set, "{given}");
        }
    }

    #[test]
    fn changes_lie_over_values() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let mut values =
            object(json!({"mode": "a", "gone": 1, "experiments": {"x": true}, "profileThresholds": {"a": 5}}));
        overlay(
            &mut values,
            object(json!({"mode": "b", "gone": null, "experiments": {"y": true}, "profileThresholds": {"b": 6}})),
        );
        assert_eq!(
            Value::Object(values),
            json!({"mode": "b", "experiments": {"x": true, "y": true}, "profileThresholds": {"b": 6}})
        );
    }

    /// parity 04 §3: the kept list, then the host's, each command once, blank ones left out
    #[test]
    fn lists_are_joined_in_order() {
        let list = |value: Value| value.as_array().cloned().unwrap_or_default();
        let all = joined(&list(json!(["b", "a", " "])), &list(json!(["c", "a", "", "b"])));
        assert_eq!(Value::from(all), json!(["b", "a", "c"]));
    }
}
