//! Cache points: which parts of a request the service is to keep (spec 07 §15.5).
//!
//! [`plan`] is pure; [`Conversations`] keeps what was planned, since a plan builds on that of the same conversation's last
//! request. A point is a block `{cachePoint: {type: "default"}}` after the last block it covers.

mod conversations;
mod estimate;
mod plan;

pub use conversations::Conversations;
pub use plan::{Placement, Plan, plan};

use serde_json::{Value, json};

use crate::providers::ModelInfo;

/// Tokens before a point where the table names none.
const DEFAULT_MIN_TOKENS: u64 = 50;

/// What a model allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheLimits {
    /// Most points in one request.
    pub max_points: i64,
    /// Estimated tokens that must lie before a point. With 0 the system prompt gets none and every range of messages is
    /// long enough.
    pub min_tokens: u64,
    /// Whether the system prompt can be kept.
    pub system: bool,
    /// Whether messages can be kept.
    pub messages: bool,
}

impl CacheLimits {
    /// Of a model that caches; `None` for the others.
    pub fn of(info: &ModelInfo) -> Option<CacheLimits> {
        let fields = info.other.get("cachableFields").and_then(Value::as_array).filter(|fields| !fields.is_empty())?;
        let number = |key: &str| info.other.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let min_tokens = match number("minTokensPerCachePoint") as u64 {
            0 => DEFAULT_MIN_TOKENS,
            tokens => tokens,
        };
        (info.supports_prompt_cache == Some(true)).then(|| CacheLimits {
            max_points: number("maxCachePoints") as i64,
            min_tokens,
            system: fields.contains(&json!("system")),
            messages: fields.contains(&json!("messages")),
        })
    }
}

/// The block that marks what stands before it.
pub fn cache_point() -> Value {
    json!({"cachePoint": {"type": "default"}})
}
