//! Counts of vendors that send a bill instead: it is asked for after the answer (spec 07 §19.1, glama).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{StreamExt, future, stream};
use serde::Deserialize;
use serde_json::Value;

use crate::providers::chat::{ChatClient, sdk_headers};
use crate::providers::cost::parse_float;
use crate::providers::failure::{self, Failure};
use crate::providers::http::{HeaderMap, HttpRequest};
use crate::providers::{ChunkStream, Environment, StreamChunk, Usage};

/// How often the bill is asked for, and the time before each attempt: it is written after the answer has ended.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the bill is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BillRule {
    /// Header of the answer with the bill's number.
    pub header: String,
    /// Address before that number.
    pub url: String,
}

/// One answer whose bill will be asked for.
#[derive(Clone)]
pub struct Bill {
    rule: BillRule,
    client: ChatClient,
    environment: Environment,
    number: Arc<OnceLock<String>>,
}

impl Bill {
    /// The bill of a request that `client` is about to send.
    pub fn new(rule: &BillRule, client: &ChatClient, environment: &Environment) -> Bill {
        let (rule, environment) = (rule.clone(), environment.clone());
        Bill { rule, client: client.clone(), environment, number: Arc::default() }
    }

    /// Takes the number out of the answer's headers.
    pub fn note(&self, headers: &HeaderMap) {
        if let Some(number) = headers.get(&self.rule.header).and_then(|value| value.to_str().ok()) {
            let _ = self.number.set(number.to_owned()); // An answer has its headers once.
        }
    }

    /// `chunks`, and the bill's counts if they end well. Without a number, or without a bill in time, there are none.
    pub fn follow(self, chunks: ChunkStream) -> ChunkStream {
        let good = Arc::new(OnceLock::new());
        let (failed, bill) = (good.clone(), self);
        let watched = chunks.inspect(move |chunk| {
            if chunk.is_err() {
                let _ = failed.set(()); // Once is enough.
            }
        });
        let counts = stream::once(async move {
            match good.get() {
                Some(()) => None,
                None => bill.ask().await.map(|usage| Ok(StreamChunk::Usage(usage))),
            }
        });
        watched.chain(counts.filter_map(future::ready)).boxed()
    }

    async fn ask(&self) -> Option<Usage> {
        let mut url = url::Url::parse(&self.rule.url).ok()?;
        // As one segment: whatever the server calls its bill, the key goes to no other place of it.
        url.path_segments_mut().ok()?.pop_if_empty().push(self.number.get()?);
        for _ in 0..ATTEMPTS {
            tokio::time::sleep(PAUSE).await;
            let answer = tokio::time::timeout(LIMIT, self.attempt(url.as_str())).await.ok()?.ok()?;
            if let Some(usage) = read(&answer) {
                return Some(usage);
            }
        }
        None
    }

    async fn attempt(&self, url: &str) -> Result<Value, Failure> {
        let headers = sdk_headers(&self.client.key, &self.environment, true)?;
        let request = HttpRequest { retries: 0, ..HttpRequest::get(url, headers) };
        failure::read_json(self.client.http.send(request).await?).await
    }
}

/// The counts of a finished bill.
fn read(bill: &Value) -> Option<Usage> {
    let counts = bill.get("tokenUsage").filter(|counts| counts.is_object())?;
    let cost = match &bill["totalCostUsd"] {
        Value::String(text) if !text.is_empty() => parse_float(text),
        other => other.as_f64().filter(|cost| *cost != 0.0)?,
    };
    let tokens = |name: &str| counts[name].as_f64().map(|tokens| tokens as u64);
    Some(Usage {
        input_tokens: tokens("promptTokens").unwrap_or(0),
        output_tokens: tokens("completionTokens").unwrap_or(0),
        cache_write_tokens: tokens("cacheCreationInputTokens"),
        cache_read_tokens: tokens("cacheReadInputTokens"),
        reasoning_tokens: None,
        total_cost: cost.is_finite().then_some(cost),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bill_is_finished_when_it_has_counts_and_a_sum() {
        let counts = json!({"promptTokens": 7, "completionTokens": 3, "cacheReadInputTokens": 2});
        let usage = |cost| Usage {
            input_tokens: 7,
            output_tokens: 3,
            cache_read_tokens: Some(2),
            total_cost: cost,
            ..Usage::default()
        };
        for (bill, expected) in [
            (json!({"tokenUsage": counts, "totalCostUsd": "0.25"}), Some(usage(Some(0.25)))),
            (json!({"tokenUsage": counts, "totalCostUsd": 0.25}), Some(usage(Some(0.25)))),
            (json!({"tokenUsage": counts, "totalCostUsd": "soon"}), Some(usage(None))),
            (json!({"tokenUsage": counts, "totalCostUsd": ""}), None),
            (json!({"tokenUsage": counts}), None),
            (json!({"totalCostUsd": "0.25"}), None),
            (json!([]), None),
        ] {
            assert_eq!(read(&bill), expected, "{bill}");
        }
    }
}
