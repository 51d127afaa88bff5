//! The user behind a host, asked to carry a prompt to a model elsewhere and its reply back (`relay.ask`).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use crate::providers::human_relay::{Relay, RelayError};
use crate::task::host::{HostRequestError, TaskHost};

/// The host of one session.
pub struct HostRelay(pub Arc<dyn TaskHost>);

#[async_trait]
impl Relay for HostRelay {
    async fn ask(&self, prompt: &str) -> Result<String, RelayError> {
        match self.0.request("relay.ask", json!({"prompt": prompt})).await {
            Ok(answer) => Ok(answer["text"].as_str().unwrap_or("").to_owned()),
            Err(HostRequestError::Unsupported(_)) => Err(RelayError::Unavailable),
            Err(error) => Err(RelayError::Failed(error.to_string())),
        }
    }
}
