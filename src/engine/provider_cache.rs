//! One session's providers: made anew only when the settings that name them change, so that connections, counters and the
//! place in a transcript outlive a turn, and a request to another profile between two turns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::providers::{self, Provider, ProviderError};
use crate::settings::Settings;
use crate::settings::http::HttpSettings;
use crate::settings::secrets::Secrets;
use crate::task::host::ProviderFactory;

/// Providers that are kept: the task's, the one that condenses, and those of modes used in turn.
const KEPT: usize = 4;

/// A provider and the settings it was made from.
struct Made {
    name: Option<String>,
    options: Map<String, Value>,
    secrets: Secrets,
    http: HttpSettings,
    provider: Arc<dyn Provider>,
}

/// A factory that keeps the providers it made last.
pub fn cached(surroundings: providers::Surroundings) -> Arc<ProviderFactory> {
    let kept: Mutex<VecDeque<Made>> = Mutex::default();
    Arc::new(move |settings: &Settings| -> Result<Arc<dyn Provider>, ProviderError> {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|made| made.is_of(settings))
            && let Some(made) = kept.remove(at)
        {
            let provider = made.provider.clone();
            kept.push_front(made);
            return Ok(provider);
        }
        let provider = providers::create(settings, &surroundings)?;
        kept.push_front(Made {
            name: settings.api_provider.clone(),
            options: settings.other.clone(),
            secrets: settings.secrets.clone(),
            http: settings.http.clone(),
            provider: provider.clone(),
        });
        kept.truncate(KEPT);
        Ok(provider)
    })
}

impl Made {
    fn is_of(&self, settings: &Settings) -> bool {
        self.name == settings.api_provider
            && self.options == settings.other
            && self.secrets == settings.secrets
            && self.http == settings.http
    }
}
