//! A provider whose keys are in the keyring: made with its first request, and anew when the keyring was changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{fill_from_keyring, keyring_entries};
use crate::protocol::message::ContentBlock;
use crate::providers::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, tokens};
use crate::settings::Settings;

/// Builds a provider whose keys are all there.
pub type Build = fn(&Settings, &Surroundings) -> Result<Arc<dyn Provider>, ProviderError>;

/// What stands in the place of a key until it is known. Nothing is sent with it.
const UNKNOWN: &str = "unknown";

/// The provider; see the module. Cheap to clone.
#[derive(Clone)]
pub struct Deferred(Arc<Inner>);

struct Inner {
    settings: Settings,
    surroundings: Surroundings,
    build: Build,
    /// Tells model and cost. It is asked nothing else.
    keyless: Arc<dyn Provider>,
    /// The provider with its keys, and the keyring's generation these are of.
    ready: Mutex<Option<(u64, Arc<dyn Provider>)>>,
}

impl Deferred {
    /// A provider of these settings. The keyring is not asked yet.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn new(settings: Settings, surroundings: &Surroundings, build: Build) -> Result<Deferred, ProviderError> {
        let mut keyless = settings.clone();
        fill_from_keyring(&mut keyless.secrets, |_| UNKNOWN.into());
        let (keyless, surroundings) = (build(&keyless, surroundings)?, surroundings.clone());
        Ok(Deferred(Arc::new(Inner { settings, surroundings, build, keyless, ready: Mutex::default() })))
    }

    /// The provider with its keys.
    async fn ready(&self) -> Result<Arc<dyn Provider>, ProviderError> {
        let Inner { settings, surroundings, build, ready, .. } = &*self.0;
        let generation = surroundings.keyring.generation();
        let mut ready = ready.lock().await;
        if let Some((of, provider)) = &*ready
            && *of == generation
        {
            return Ok(provider.clone());
        }
        let mut filled = settings.clone();
        let mut found = BTreeMap::new();
        for (entry, key) in keyring_entries(&settings.secrets) {
            let secret = self.ask(&entry, &key).await?;
            found.insert(entry, secret);
        }
        fill_from_keyring(&mut filled.secrets, |entry| found.get(entry).cloned().unwrap_or_default());
        let provider = build(&filled, surroundings)?;
        *ready = Some((generation, provider.clone()));
        Ok(provider)
    }

    async fn ask(&self, entry: &str, key: &str) -> Result<SecretString, ProviderError> {
        let Surroundings { keyring, wording, .. } = &self.0.surroundings;
        let failed = |id: &str, cause: &str| {
            ProviderError::worded(wording, id, &[("key", key), ("entry", entry), ("cause", cause)])
        };
        match keyring.get(entry).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(failed("provider.secret.no_entry", "")),
            Err(error) => Err(failed("provider.secret.no_keyring", &error.to_string())),
        }
    }
}

#[async_trait]
impl Provider for Deferred {
    fn model(&self) -> Model {
        self.0.keyless.model()
    }

    async fn fetch_model(&self) -> Result<(), ProviderError> {
        self.ready().await?.fetch_model().await
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let answer = async move {
            match this.ready().await {
                Ok(provider) => provider.stream(request),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        answer.flatten_stream().boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        match self.ready().await {
            Ok(provider) => provider.count_tokens(blocks).await,
            Err(_) => tokens::count_blocks_aside(blocks).await,
        }
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        self.ready().await?.complete(prompt).await
    }

    fn cost(&self, usage: &Usage) -> f64 {
        self.0.keyless.cost(usage)
    }

    fn last_response_id(&self) -> Option<String> {
        let ready = self.0.ready.try_lock().ok()?;
        ready.as_ref().and_then(|(_, provider)| provider.last_response_id())
    }
}
