//! One request of a subcommand, and its result.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Failure;
use crate::engine::{ClientOptions, Engine, EngineOptions};
use crate::protocol::event::{Event, RequestFailed};
use crate::protocol::request::Request;

/// Opens an engine with these settings, submits the request and gives its result.
pub fn call(settings: Map<String, Value>, request: &Value) -> Result<Value, Failure> {
    let engine = Engine::open(EngineOptions { settings, ..EngineOptions::default() })?;
    let client = engine.client(ClientOptions::default())?;
    let id = client.submit(&Request::from_json(&request.to_string())?)?;
    let result = loop {
        match client.receive()? {
            None => drop(client.wait(None, Duration::ZERO)),
            Some(received) if received.about != id.raw() => {}
            Some(received) => match received.event {
                Event::RequestDone(done) => break done.result.value(),
                Event::RequestFailed(failed) => return Err(worded(&failed).into()),
                _ => {}
            },
        }
    };
    engine.close(Duration::from_secs(1));
    Ok(result)
}

/// A failure with its place; of a setting its name is enough.
fn worded(failed: &RequestFailed) -> String {
    match failed.place.as_deref().and_then(|place| place.strip_prefix("settings.set.values.")) {
        Some(setting) => format!("{setting}: {}", failed.message),
        None => failed.message.clone(),
    }
}

/// The settings of a JSON file; none without a file.
pub fn settings(file: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    let Some(file) = file else { return Ok(Map::new()) };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}
