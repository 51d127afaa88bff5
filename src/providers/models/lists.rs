//! The lists of models that providers publish, kept for a while (spec 07 §21.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::protocol::model::ModelInfo;
use crate::providers::ProviderError;

/// How long a fetched list is used.
const LIFETIME: Duration = Duration::from_secs(300);

/// Models of one provider, in the order in which it lists them.
pub type ModelList = Vec<(String, ModelInfo)>;

/// Fetched lists by the provider's name: not by key or address, as the specification has it. An empty list is kept too.
#[derive(Default)]
pub struct ModelLists {
    kept: Mutex<HashMap<String, (SystemTime, Arc<ModelList>)>>,
}

impl ModelLists {
    /// The list of `name` if it was fetched less than five minutes before `now`.
    pub fn get(&self, name: &str, now: SystemTime) -> Option<Arc<ModelList>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched, list) = kept.get(name)?;
        now.duration_since(*fetched).is_ok_and(|age| age < LIFETIME).then(|| list.clone())
    }

    /// Keeps a list that was fetched at `now`.
    pub fn put(&self, name: &str, list: ModelList, now: SystemTime) -> Arc<ModelList> {
        let list = Arc::new(list);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (now, list.clone()));
        list
    }

    /// The list of `name`: the kept one, else what `fetch` brings.
    ///
    /// # Errors
    /// Those of `fetch`; nothing is kept then.
    pub async fn get_or_fetch(
        &self,
        name: &str,
        now: SystemTime,
        fetch: impl Future<Output = Result<ModelList, ProviderError>>,
    ) -> Result<Arc<ModelList>, ProviderError> {
        match self.get(name, now) {
            Some(list) => Ok(list),
            None => Ok(self.put(name, fetch.await?, now)),
        }
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
        for (seconds, kept) in [(0, true), (299, true), (300, false)] {
            assert_eq!(lists.get("glama", start + Duration::from_secs(seconds)).is_some(), kept, "{seconds}");
        }
        assert!(lists.get("unbound", start).is_none());
    }
}
