//! Requests that keep secrets in the keyring or take them out of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::core::Core;
use super::router::Execution;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request;
use crate::providers::KeyringError;

pub fn set(core: &Arc<Core>, set: request::SecretSet) -> Execution {
    let (keyring, secret) = (core.keyring.clone(), set.value.into_inner().into());
    Execution::Later(Box::pin(async move {
        keyring.set(&set.name, secret).await.map_err(keyring_failed)?;
        Ok(Value::Null)
    }))
}

pub fn delete(core: &Arc<Core>, delete: request::SecretDelete) -> Execution {
    let keyring = core.keyring.clone();
    Execution::Later(Box::pin(async move {
        let deleted = keyring.delete(&delete.name).await.map_err(keyring_failed)?;
        Ok(json!({"deleted": deleted}))
    }))
}

fn keyring_failed(error: KeyringError) -> RequestFailed {
    let kind = match error {
        KeyringError::Absent => ErrorKind::NotSupported,
        KeyringError::Timeout | KeyringError::Busy => ErrorKind::Busy,
        KeyringError::System(_) => ErrorKind::Io,
    };
    RequestFailed::new(kind, error.to_string())
}
