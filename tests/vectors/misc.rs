//! `misc`: limits of automatic approval, allow lists, redaction, index paths, command files, small predicates.

use std::path::Path;

use lapce_ai::code::index::{embedder, paths, redact};
use lapce_ai::prompt::commands::{Command, Folders, Source};
use lapce_ai::prompt::text::Texts;
use lapce_ai::settings::{Settings, checks};
use lapce_ai::task::approval::limits::{Limits, Reached};
use serde_json::{Map, Value, json};

use crate::support::{Area, Outcome};

/// Ids of texts and the names that the cases have for them (spec 08 §5.4).
const STATUS_KEYS: [(&str, &str); 5] = [
    ("embeddings.validation.auth", "embeddings:validation.authenticationFailed"),
    ("embeddings.validation.model_unavailable", "embeddings:validation.modelNotAvailable"),
    ("embeddings.validation.bad_endpoint", "embeddings:validation.invalidEndpoint"),
    ("embeddings.validation.unavailable", "embeddings:validation.serviceUnavailable"),
    ("embeddings.validation.config", "embeddings:validation.configurationError"),
];

/// The area.
pub fn area() -> Area {
    Area::new("misc", run, &[])
}

fn run(input: &Value) -> Outcome {
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let map = |key: &str| -> Option<Map<String, Value>> { input[key].as_object().cloned() };
    let output = match text("fn") {
        "auto_approval_limits" => limits(input),
        "profile_allowed" => json!(checks::is_allowed(&map("profile").unwrap_or_default(), &input["allow_list"])),
        "sanitize_error" => json!(redact::redact(text("text"))),
        "embed_status_key" => {
            let status = input["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let id = status.and_then(|status| embedder::problem(status, text("embedder")));
            json!(id.and_then(|id| STATUS_KEYS.iter().find(|(known, _)| *known == id)).map(|(_, key)| key))
        }
        "index_abs_path" => json!(paths::absolute(Path::new(text("root")), text("path"))),
        "index_rel_path" => json!(paths::relative(Path::new(text("root")), Path::new(text("path")))),
        "commands" => commands(input),
        "experiment_enabled" => {
            let mut stored = map("config").unwrap_or_default();
            stored.retain(|_, value| !value.is_null());
            let settings: Settings = serde_json::from_value(json!({"experiments": stored})).expect("settings");
            json!(settings.experiment(text("id")))
        }
        "has_config" => json!(map("config").is_some_and(|config| checks::is_configured(&config))),
        other => return Outcome::Missing(other.to_owned()),
    };
    output.into()
}

/// A task's counter through several requests.
fn limits(input: &Value) -> Value {
    let state = &input["state"];
    let limits = Limits { requests: state["allowedMaxRequests"].as_u64(), cost: state["allowedMaxCost"].as_f64() };
    let (mut count, mut known_cost) = (0, 0.0);
    let calls = input["calls"].as_array().into_iter().flatten();
    let outputs = calls.map(|call| {
        count += 1;
        let mut looked_at = None;
        let cost = call["cost"].as_f64().unwrap_or(0.0);
        let reached = limits.check(count, || {
            looked_at = Some(cost);
            cost
        });
        // The cases tell the cost that was looked at last; without a limit it is looked at all the same.
        if !matches!(reached, Some(Reached::Requests(_))) {
            known_cost = looked_at.unwrap_or(cost);
        }
        let Some(reached) = reached else {
            let result = json!({"shouldProceed": true, "requiresApproval": false});
            return json!({"result": result, "asks": [], "state": {"requestCount": count, "currentCost": known_cost}});
        };
        let agrees = call["answer"] == "yesButtonClicked";
        if agrees {
            count = reached.count_after_consent(count);
        }
        let detail = reached.detail();
        let result = json!({
            "shouldProceed": agrees, "requiresApproval": true,
            "approvalType": detail["type"], "approvalCount": detail["count"],
        });
        json!({
            "result": result,
            "asks": [["auto_approval_max_req_reached", detail]],
            "state": {"requestCount": count, "currentCost": known_cost},
        })
    });
    outputs.collect()
}

/// Files under `/ws` in a temporary folder, and the project's commands among them.
fn commands(input: &Value) -> Value {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (path, content) in input["files"].as_object().into_iter().flatten() {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, content.as_str().unwrap_or_default()).expect("written");
    }
    let folders = Folders::of(&root.path().join("ws"), &root.path().join("home/user"));
    let listed = folders.list(&Texts::builtin());
    listed.iter().filter(|command| command.source == Source::Project).map(command).collect()
}

fn command(command: &Command) -> Value {
    let mut shown = Map::new();
    shown.insert("name".into(), json!(command.name));
    shown.insert("source".into(), json!(command.source.as_str()));
    for (key, value) in [("description", &command.description), ("argument_hint", &command.argument_hint)] {
        if let Some(value) = value {
            shown.insert(key.into(), json!(value));
        }
    }
    shown.insert("content".into(), json!(command.content));
    Value::Object(shown)
}
