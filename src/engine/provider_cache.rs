//! One session's provider: made anew only when the settings that name it change, so that connections, counters and the
//! place in a transcript outlive a turn.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::providers::{self, Provider, ProviderError};
use crate::settings::Settings;
use crate::settings::http::HttpSettings;
use crate::settings::secrets::Secrets;
use crate::task::host::ProviderFactory;

/// The provider in use and the settings it was made from.
struct Made {
    name: Option<String>,
    options: Map<String, Value>,
    secrets: Secrets,
    http: HttpSettings,
    provider: Arc<dyn Provider>,
}

/// A factory that keeps the provider it made last.
pub fn cached(surroundings: providers::Surroundings) -> Arc<ProviderFactory> {
    let last: Mutex<Option<Made>> = Mutex::new(None);
    Arc::new(move |settings: &Settings| -> Result<Arc<dyn Provider>, ProviderError> {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*last
            && made.name == settings.api_provider
            && made.options == settings.other
            && made.secrets == settings.secrets
            && made.http == settings.http
        {
            return Ok(made.provider.clone());
        }
        let provider = providers::create(settings, &surroundings)?;
        *last = Some(Made {
            name: settings.api_provider.clone(),
            options: settings.other.clone(),
            secrets: settings.secrets.clone(),
            http: settings.http.clone(),
            provider: provider.clone(),
        });
        Ok(provider)
    })
}
