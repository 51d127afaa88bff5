//! No secret shows anywhere: every secret setting holds one, and whatever can be seen of an engine is searched for it.

use lapce_ai::protocol::request::Request;
use lapce_ai::protocol::secret::SECRET_KEYS;
use lapce_ai::settings::Settings;
use serde_json::{Map, Value, json};

use crate::harness::{Mode, both, contents};
use crate::loopback::{Reply, plain, server};

both! {
    no_secret_setting_is_shown_or_stored,
}

const CANARY: &str = "sk-canary-0815-4711";

/// Every secret setting, in the shapes it comes in.
fn secrets() -> Map<String, Value> {
    let mut all: Map<String, Value> = SECRET_KEYS.iter().map(|key| ((*key).to_owned(), json!(CANARY))).collect();
    all.insert("openAiHeaders".into(), json!({"X-Auth": CANARY}));
    all.insert("vertexJsonCredentials".into(), json!(json!({"private_key": CANARY}).to_string()));
    all.insert("profilesOfMine".into(), json!([{"work": {"apiKey": CANARY}}]));
    // The address of a proxy that nobody listens at would keep the server's answers away.
    all.insert("httpProxy".into(), json!("direct"));
    all.remove("apiConfigs");
    all
}

/// A server that repeats the key wherever it can, with a status that ends the request.
fn echo(status: &str) -> Vec<Reply> {
    let body = json!({"error": {"message": format!("refused: {CANARY}"), "code": CANARY, "param": CANARY}}).to_string();
    let head = format!("{status}\r\nx-echo: {CANARY}\r\nx-should-retry: false");
    vec![Reply::Close(plain(&head, "application/json", &body))]
}

fn no_secret_setting_is_shown_or_stored(mode: Mode) {
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "429 Too Many Requests", "500 Internal Server Error"]
    {
        let place = mode.remote(&server(echo(status)), CANARY);
        let host = place.host(&[]);
        host.call(&json!({"type": "settings.set", "values": secrets()})).unwrap();
        let session = host.start_with("leak", Value::Object(secrets()));
        host.ask("api_req_failed");
        for session in [None, Some(session)] {
            host.call(&json!({"type": "settings.get", "session": session})).unwrap();
            host.call(&json!({"type": "settings.set", "session": session, "values": {"apiKey": CANARY, "writeDelayMs": CANARY}}))
                .unwrap_err();
        }
        let told = format!("{:?}", host.events());
        drop(host);
        place.close();
        assert!(!told.contains(CANARY), "{status}: {}", told.split(CANARY).next().unwrap_or_default());
        let stored = contents(&place.storage);
        assert!(!stored.is_empty() && !String::from_utf8_lossy(&stored).contains(CANARY), "{status}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let settings: Settings = serde_json::from_value(Value::Object(secrets())).unwrap();
    let values = Value::Object(secrets());
    let requests = [
        json!({"type": "settings.set", "values": values}),
        json!({"type": "task.start", "workspace": "/w", "text": "t", "settings": values}),
        json!({"type": "completion.create", "messages": [], "parameters": values}),
        json!({"type": "secret.set", "name": "work", "value": CANARY}),
    ];
    let requests = requests.map(|request| Request::from_json(&request.to_string()).unwrap());
    for shown in [
        format!("{settings:?} {:?}", settings.secrets),
        format!("{requests:?}"),
        serde_json::to_string(&settings.secrets).unwrap(),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}
