//! The lists of models that providers publish, kept for a while (spec 07 §21.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::protocol::model::ModelInfo;
use crate::providers::ProviderError;

/// How long a fetched list is used.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long the sources that keep their own lists use them.
const OWN_LIFETIME: Duration = Duration::from_secs(3600);

/// Models of one provider, in the order in which it lists them.
pub type ModelList = Vec<(String, ModelInfo)>;

/// Facts of the model `id` of a list.
pub fn find<'a>(list: &'a ModelList, id: &str) -> Option<&'a ModelInfo> {
    list.iter().find(|(known, _)| known == id).map(|(_, info)| info)
}

/// Fetched lists by the provider's name: not by key or address, as the specification has it. An empty list is kept too.
#[derive(Default)]
pub struct ModelLists {
    kept: Shelf,
    own: Shelf,
    endpoints: Shelf,
}

impl ModelLists {
    /// The list of `name` if it was fetched less than five minutes before `now`.
    pub fn get(&self, name: &str, now: SystemTime) -> Option<Arc<ModelList>> {
        self.kept.get(name, now, LIFETIME)
    }

    /// Keeps a list that was fetched at `now`.
    pub fn put(&self, name: &str, list: impl Into<Arc<ModelList>>, now: SystemTime) -> Arc<ModelList> {
        self.kept.put(name, list.into(), now)
    }

    /// The list of `name`: the kept one, else what `fetch` brings.
    ///
    /// # Errors
    /// Those of `fetch`; nothing is kept then.
    pub async fn get_or_fetch<L: Into<Arc<ModelList>>>(
        &self,
        name: &str,
        now: SystemTime,
        fetch: impl Future<Output = Result<L, ProviderError>>,
    ) -> Result<Arc<ModelList>, ProviderError> {
        match self.get(name, now) {
            Some(list) => Ok(list),
            None => Ok(self.put(name, fetch.await?, now)),
        }
    }

    /// The list that the source called `name` keeps for itself, if it is less than an hour old.
    pub(super) fn own(&self, name: &str, now: SystemTime) -> Option<Arc<ModelList>> {
        self.own.get(name, now, OWN_LIFETIME)
    }

    /// The same however old.
    pub(super) fn own_stale(&self, name: &str) -> Option<Arc<ModelList>> {
        self.own.get(name, SystemTime::UNIX_EPOCH, Duration::MAX)
    }

    /// Keeps a list for the source that fetched it.
    pub(super) fn put_own(&self, name: &str, list: ModelList, now: SystemTime) -> Arc<ModelList> {
        self.own.put(name, list.into(), now)
    }

    /// The upstream providers of a model if they were fetched less than five minutes before `now`.
    pub fn endpoints(&self, key: &EndpointKey, now: SystemTime) -> Option<Arc<ModelList>> {
        self.endpoints.get(&key.0, now, LIFETIME)
    }

    /// Keeps the upstream providers of a model.
    pub fn put_endpoints(&self, key: &EndpointKey, list: ModelList, now: SystemTime) -> Arc<ModelList> {
        self.endpoints.put(&key.0, list.into(), now)
    }
}

/// Under what the upstream providers of a model are kept; safe as part of a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointKey(String);

impl EndpointKey {
    /// The key of OpenRouter's model `id`.
    pub fn of(id: &str) -> EndpointKey {
        let unsafe_in_names =
            |c: char| matches!(c, '/' | '?' | '<' | '>' | '\\' | ':' | '*' | '|' | '"') || c.is_control();
        EndpointKey(format!("openrouter_{}", id.replace(unsafe_in_names, "")))
    }

    /// Name of the file with the copy.
    pub fn file_name(&self) -> String {
        format!("{}_endpoints.json", self.0)
    }
}

/// Lists with the time at which each was fetched.
#[derive(Default)]
struct Shelf(Mutex<HashMap<String, (SystemTime, Arc<ModelList>)>>);

impl Shelf {
    fn get(&self, name: &str, now: SystemTime, lifetime: Duration) -> Option<Arc<ModelList>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched, list) = kept.get(name)?;
        let fresh = lifetime == Duration::MAX || now.duration_since(*fetched).is_ok_and(|age| age < lifetime);
        fresh.then(|| list.clone())
    }

    fn put(&self, name: &str, list: Arc<ModelList>, now: SystemTime) -> Arc<ModelList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (now, list.clone()));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_used_for_five_minutes() {
        let lists = ModelLists::default();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        lists.put("glama", Vec::new(), start);
        lists.put_own("glama", Vec::new(), start);
        for (seconds, kept, own) in [(0, true, true), (299, true, true), (300, false, true), (3600, false, false)] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(lists.get("glama", now).is_some(), kept, "{seconds}");
            assert_eq!(lists.own("glama", now).is_some(), own, "{seconds}");
        }
        assert!(lists.own_stale("glama").is_some());
        assert!(lists.get("unbound", start).is_none());
    }

    #[test]
    fn keys_of_endpoints_are_safe_names() {
        for (id, name) in [
            ("anthropic/claude-sonnet-4", "openrouter_anthropicclaude-sonnet-4_endpoints.json"),
            ("a/../b:free\u{1}\\", "openrouter_a..bfree_endpoints.json"),
        ] {
            assert_eq!(EndpointKey::of(id).file_name(), name);
        }
    }
}
