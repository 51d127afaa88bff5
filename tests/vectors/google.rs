//! Google's credentials and token servers for whole providers (note of `provider_requests_cloud`).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lapce_ai::providers::http::HttpRequest;
use serde_json::{Map, Value, json};

const KEY: &str = include_str!("../data/google/test_key.pem");

/// Puts the credential of a case where it says: into the settings, or into a file in `folder` that a setting or a variable
/// names. Gives the variable.
pub fn place_credential(input: &mut Value, folder: &Path) -> Option<(String, String)> {
    let (kind, mut credential) = ["service_account", "authorized_user"]
        .into_iter()
        .find_map(|kind| Some((kind, input.get(kind)?.as_object()?.clone())))?;
    credential.insert("type".into(), json!(kind));
    if kind == "service_account" {
        credential.insert("private_key".into(), json!(KEY));
    }
    let text = Value::Object(credential).to_string();
    let file = || {
        let file = folder.join("credential.json");
        std::fs::write(&file, &text).expect("a file");
        file.to_str().expect("a path that is text").to_owned()
    };
    match input["where"].as_str() {
        Some("json") => input["settings"]["vertexJsonCredentials"] = json!(text),
        Some("key_file") => input["settings"]["vertexKeyFile"] = json!(file()),
        Some("adc") => return Some(("GOOGLE_APPLICATION_CREDENTIALS".into(), file())),
        other => panic!("unknown place {other:?}"),
    }
    None
}

/// A request for an access token as the vectors show it; `None` for any other request.
pub fn token_request(request: &HttpRequest) -> Option<Value> {
    const SERVERS: [&str; 2] = ["https://www.googleapis.com/oauth2/v4/token", "https://oauth2.googleapis.com/token"];
    if !SERVERS.contains(&request.url.as_str()) {
        return None;
    }
    let form = url::form_urlencoded::parse(&request.body).map(|(name, value)| match name.as_ref() {
        "assertion" => (name.into_owned(), assertion(&value)),
        _ => (name.into_owned(), json!(value)),
    });
    let form: Map<String, Value> = form.collect();
    Some(json!({"method": request.method.as_str(), "url": request.url, "form": form}))
}

/// The answer to it.
pub fn token() -> Value {
    json!({"access_token": "tok-1", "expires_in": 3599, "token_type": "Bearer"})
}

fn assertion(token: &str) -> Value {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let mut part = || serde_json::from_slice::<Value>(&parts.next().expect("a part")).expect("JSON");
    json!({"header": part(), "claims": part()})
}
