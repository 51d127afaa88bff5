//! `virtual-quota-fallback`: several profiles behind one, each with limits of its own (spec 07 §19.1).
//!
//! `profiles` reads them, `ledger` counts what they use and when they rest, `quotas` keeps that in a file, `passing` judges
//! failures. This file chooses a profile for each request and begins anew with the next one when it fails in passing.

mod ledger;
mod passing;
mod profiles;
mod quotas;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use futures::{StreamExt, stream};

use ledger::{Kind, Ledger, MINUTE};
use profiles::Entry;
pub use profiles::profile as settings_of_profile;
pub use quotas::Quotas;

use super::http::Http;
use super::options::Options;
use super::surroundings::Notify;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Surroundings, Usage, Wording};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name of the provider; no profile behind it may have it too.
pub const NAME: &str = "virtual-quota-fallback";
/// How long a profile rests after a failure.
const REST: i64 = 10 * MINUTE;

/// The provider; see the module. Clones share everything.
#[derive(Clone)]
pub struct FallbackProvider(Arc<Shared>);

struct Shared {
    profiles: Vec<Profile>,
    /// Index of the profile in use.
    active: Mutex<Option<usize>>,
    /// Why profiles were left out.
    left_out: String,
    quotas: Arc<Quotas>,
    storage: PathBuf,
    http: Http,
    wording: Wording,
    notify: Notify,
}

struct Profile {
    entry: Entry,
    provider: Arc<dyn Provider>,
}

impl FallbackProvider {
    /// Builds the providers of all profiles; those that cannot be built are left out.
    ///
    /// # Errors
    /// A profile that is of this provider itself (`provider.vqf.recursion`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<FallbackProvider, ProviderError> {
        let Surroundings { http, wording, storage, quotas, notify, .. } = surroundings;
        let (mut profiles, mut left_out) = (Vec::new(), Vec::new());
        for entry in profiles::entries(Options::of(settings)) {
            let name = [("profile", entry.name.as_str())];
            let Some(profile) = profiles::profile(settings, &entry.id) else {
                left_out.push(wording("provider.vqf.no_profile", &name));
                continue;
            };
            if profile.api_provider.as_deref() == Some(NAME) {
                return Err(ProviderError::worded(wording, "provider.vqf.recursion", &name));
            }
            match super::create(&profile, surroundings) {
                Ok(provider) => profiles.push(Profile { entry, provider }),
                Err(error) => left_out.push(format!("{}: {error}", entry.name)),
            }
        }
        Ok(FallbackProvider(Arc::new(Shared {
            profiles,
            active: Mutex::default(),
            left_out: left_out.join("; "),
            quotas: quotas.clone(),
            storage: storage.clone(),
            http: http.clone(),
            wording: wording.clone(),
            notify: notify.clone(),
        })))
    }
}

impl Shared {
    fn now(&self) -> i64 {
        let now = (self.http.now)();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        self.quotas.with(&self.storage, work)
    }

    /// The profile for the next request: the one in use while it may be, else the first that may.
    fn choice(&self) -> Option<usize> {
        let now = self.now();
        let active = *self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = |index: &usize| {
            let entry = self.profiles.get(*index).map(|profile| &profile.entry);
            entry.is_some_and(|entry| self.ledger(|ledger| ledger.allows(&entry.id, &entry.limits, now)))
        };
        active.into_iter().chain(0..self.profiles.len()).find(allowed)
    }

    /// Takes the profile for the next request into use; says so when it is another one than before.
    fn switch(&self) -> Result<&Profile, ProviderError> {
        let none = || {
            let causes = [("causes", self.left_out.as_str())];
            ProviderError::worded(&self.wording, "provider.vqf.none_available", &causes)
        };
        let choice = self.choice().ok_or_else(none)?;
        let profile = self.profiles.get(choice).ok_or_else(none)?;
        let before = self.active.lock().unwrap_or_else(PoisonError::into_inner).replace(choice);
        if before.is_some_and(|before| before != choice) {
            (self.notify)(&(self.wording)("provider.vqf.switched", &[("profile", &profile.entry.name)]));
        }
        Ok(profile)
    }

    /// The profile in use, or the one that would be.
    fn active(&self) -> Option<&Profile> {
        let active = *self.active.lock().unwrap_or_else(PoisonError::into_inner);
        self.profiles.get(active.or_else(|| self.choice())?)
    }

    async fn save(&self) {
        self.quotas.clone().save(self.storage.clone()).await;
    }
}

/// A request under way.
struct Request {
    shared: Arc<Shared>,
    request: ChatRequest,
    /// The answer of the profile with this id.
    answer: Option<(String, ChunkStream)>,
    ended: bool,
}

impl Request {
    async fn next(&mut self) -> Option<Result<StreamChunk, ProviderError>> {
        while !self.ended {
            let Some((profile, chunks)) = &mut self.answer else {
                if let Err(error) = self.begin().await {
                    self.ended = true;
                    return Some(Err(error));
                }
                continue;
            };
            let (shared, now) = (&self.shared, self.shared.now());
            match chunks.next().await {
                None => {
                    self.ended = true;
                    shared.save().await;
                }
                Some(Ok(StreamChunk::Usage(usage))) => {
                    let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
                    shared.ledger(|ledger| ledger.record(profile, Kind::Tokens, tokens, now));
                    return Some(Ok(StreamChunk::Usage(usage)));
                }
                Some(Ok(chunk)) => return Some(Ok(chunk)),
                Some(Err(error)) => {
                    shared.ledger(|ledger| ledger.cool_down(profile, now.saturating_add(REST)));
                    shared.save().await;
                    self.answer = None;
                    if !passing::is_passing(&error) {
                        self.ended = true;
                        return Some(Err(error));
                    }
                }
            }
        }
        None
    }

    /// Sends the request by the profile whose turn it is.
    async fn begin(&mut self) -> Result<(), ProviderError> {
        let profile = self.shared.switch()?;
        let (id, now) = (profile.entry.id.clone(), self.shared.now());
        self.shared.ledger(|ledger| ledger.record(&id, Kind::Requests, 1, now));
        let chunks = profile.provider.stream(self.request.clone());
        // Aside: the answer does not wait for the disk.
        drop(tokio::spawn(self.shared.quotas.clone().save(self.shared.storage.clone())));
        self.answer = Some((id, chunks));
        Ok(())
    }
}

#[async_trait]
impl Provider for FallbackProvider {
    fn model(&self) -> Model {
        self.0.active().map(|profile| profile.provider.model()).unwrap_or_default()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let request = Request { shared: self.0.clone(), request, answer: None, ended: false };
        stream::unfold(request, |mut request| async move { request.next().await.map(|item| (item, request)) }).boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        match self.0.active() {
            Some(profile) => profile.provider.count_tokens(blocks).await,
            None => 0,
        }
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ProviderError> {
        Err(ProviderError::worded(&self.0.wording, "provider.vqf.no_completion", &[]))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        self.0.active().map_or(0.0, |profile| profile.provider.cost(usage))
    }

    fn last_response_id(&self) -> Option<String> {
        self.0.active()?.provider.last_response_id()
    }
}

#[cfg(test)]
mod tests;
