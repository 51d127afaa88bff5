//! Whether values are what the table says.

use std::fmt;

use serde_json::{Map, Value};

use super::{Key, Type, schema};
use crate::settings::hooks::Hooks;

/// A value that is not what it should be. It names the place and repeats no value, which may be a secret under a wrong key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Keys and numbers from the outside inwards.
    pub path: Vec<String>,
    /// What the value must be, such as `must be true or false`.
    pub message: String,
}

impl Problem {
    /// The path with points between its steps.
    pub fn place(&self) -> String {
        self.path.join(".")
    }

    /// The same deeper inside.
    #[must_use]
    pub fn inside(mut self, outer: &[&str]) -> Problem {
        self.path.splice(0..0, outer.iter().map(|step| (*step).to_owned()));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)
    }
}

/// Everything that is wrong with these settings. Unknown keys are none of it.
pub fn check(values: &Map<String, Value>) -> Vec<Problem> {
    values.iter().flat_map(|(name, value)| check_key(name, value)).collect()
}

/// Everything that is wrong with the value of one setting. Null counts as absent.
pub fn check_key(name: &str, value: &Value) -> Vec<Problem> {
    let mut checked = Checked { path: vec![name.to_owned()], problems: Vec::new() };
    if let Some(key) = schema().key(name) {
        checked.key(key, value);
    }
    checked.problems
}

/// Most problems that are told of one key.
const LIMIT: usize = 32;

struct Checked {
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Checked {
    fn key(&mut self, key: &Key, value: &Value) {
        if value.is_null() || self.problems.len() >= LIMIT {
            return;
        }
        self.value(&key.kind, value);
        let number = value.as_f64().filter(|_| matches!(key.kind, Type::Number | Type::Integer));
        let outside = |number: f64| key.min.is_some_and(|min| number < min) || key.max.is_some_and(|max| number > max);
        if number.is_some_and(outside) {
            self.wrong(match (key.min, key.max) {
                (Some(min), Some(max)) => format!("must be from {min} to {max}"),
                (Some(min), None) => format!("must be at least {min}"),
                (_, max) => format!("must be at most {}", max.unwrap_or(f64::MAX)),
            });
        }
    }

    fn value(&mut self, kind: &Type, value: &Value) {
        match (kind, value) {
            (Type::Any, _)
            | (Type::Bool, Value::Bool(_))
            | (Type::Number, Value::Number(_))
            | (Type::Text, Value::String(_)) => {}
            (Type::Integer, Value::Number(number)) if whole(number) => {}
            (Type::Choice(values), Value::String(text)) if values.contains(text) => {}
            (Type::List(items), Value::Array(list)) => {
                for (at, item) in list.iter().enumerate() {
                    self.step(at.to_string(), |checked| checked.value(items, item));
                }
            }
            (Type::Map(items), Value::Object(fields)) => {
                for (name, field) in fields {
                    self.step(name.clone(), |checked| checked.value(items, field));
                }
            }
            (Type::Object(name), Value::Object(fields)) => {
                let Some(keys) = schema().objects.get(name) else { return };
                for (name, field) in fields {
                    if let Some(key) = keys.get(name) {
                        self.step(name.clone(), |checked| checked.key(key, field));
                    }
                }
            }
            (Type::Hooks, value) => {
                if let Err(error) = Hooks::read(value) {
                    self.wrong(format!("must be hooks: {error}"));
                }
            }
            (wanted, _) => self.wrong(words(wanted)),
        }
    }

    fn step(&mut self, step: String, inside: impl FnOnce(&mut Checked)) {
        if self.problems.len() < LIMIT {
            self.path.push(step);
            inside(self);
            self.path.pop();
        }
    }

    fn wrong(&mut self, message: String) {
        self.problems.push(Problem { path: self.path.clone(), message });
    }
}

/// Writes whole numbers as such where the table wants them: other programs may write 5.0 for 5.
pub fn make_whole(values: &mut Map<String, Value>) {
    for (name, value) in values {
        if let Some(number) =
            value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0 && number.abs() < 9e15)
            && schema().key(name).is_some_and(|key| key.kind == Type::Integer)
        {
            *value = Value::from(number as i64);
        }
    }
}

/// A whole number that fits where whole numbers are kept; 5.0 is one.
fn whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 9e15)
}

fn words(wanted: &Type) -> String {
    match wanted {
        Type::Bool => "must be true or false".into(),
        Type::Number => "must be a number".into(),
        Type::Integer => "must be a whole number".into(),
        Type::Text => "must be a text".into(),
        Type::Choice(values) => format!("must be one of {}", values.join(", ")),
        Type::List(_) | Type::Hooks => "must be a list".into(),
        Type::Map(_) | Type::Object(_) => "must be an object".into(),
        Type::Any => "must be a value".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 04 §2: types and limits, and that null and unknown keys are none of it
    /// parity 04 §4.3: limits of the index's configuration
    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (name, value, expected) in [
            ("mode", json!("ask"), vec![]),
            ("mode", json!(null), vec![]),
            ("unheardOf", json!([]), vec![]),
            ("autoApprovalEnabled", json!("yes"), vec!["autoApprovalEnabled: must be true or false"]),
            (
                "allowedCommands",
                json!(["a", 1, 2]),
                vec!["allowedCommands.1: must be a text", "allowedCommands.2: must be a text"],
            ),
            ("fuzzyMatchThreshold", json!(1.5), vec!["fuzzyMatchThreshold: must be from 0 to 1"]),
            ("writeDelayMs", json!(-1), vec!["writeDelayMs: must be at least 0"]),
            ("writeDelayMs", json!(5.0), vec![]),
            ("writeDelayMs", json!(5.5), vec!["writeDelayMs: must be a whole number"]),
            ("apiRequestTimeout", json!(-5), vec![]),
            ("apiRequestTimeout", json!(3601), vec!["apiRequestTimeout: must be at most 3600"]),
            ("verbosity", json!("loud"), vec!["verbosity: must be one of low, medium, high"]),
            (
                "experiments",
                json!({"powerSteering": 1, "new": 1}),
                vec!["experiments.powerSteering: must be true or false"],
            ),
            (
                "codebaseIndexConfig",
                json!({"codebaseIndexSearchMaxResults": 5}),
                vec!["codebaseIndexConfig.codebaseIndexSearchMaxResults: must be from 10 to 200"],
            ),
            (
                "codebaseIndexModels",
                json!({"openai": {"m": {"dimension": "x"}}}),
                vec!["codebaseIndexModels.openai.m.dimension: must be a number"],
            ),
            ("openAiHeaders", json!("sk-1"), vec!["openAiHeaders: must be an object"]),
            ("hooks", json!([{"host": true}]), vec!["hooks: must be hooks: expected an event, once in [0].event"]),
        ] {
            let told: Vec<String> = check_key(name, &value).iter().map(Problem::to_string).collect();
            assert_eq!(told, expected, "{name} {value}");
        }
        let many = Value::Array(vec![json!(1); 1000]);
        assert_eq!(check_key("deniedCommands", &many).len(), LIMIT);
    }
}
