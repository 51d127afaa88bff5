//! One event of a streamed answer (spec 07 §10.5): what every event may hold is read, the rest only kept as it stands. What
//! has another type than expected counts as absent.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::providers::loose::{First, Loose, Object, Text, object};

/// The parts of an event that mean anything to us.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Event<'a> {
    /// What it is.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// What was added.
    #[serde(borrow)]
    pub delta: Text<'a>,
    /// The item that the event is about.
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
    /// The part that the event is about.
    #[serde(borrow)]
    pub part: Option<&'a RawValue>,
    /// Counts.
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    /// A failure.
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    /// What a failure says.
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Loose<Option<Object<Head<'a>>>>,
    #[serde(borrow)]
    choices: Loose<First<Loose<Object<Choice<'a>>>>>,
}

impl<'a> Event<'a> {
    /// The response.
    pub fn head(&self) -> Option<&Head<'a>> {
        self.response.0.as_ref().map(|response| &response.0)
    }

    /// Text of an event of chat completions.
    pub fn content(&self) -> Text<'a> {
        self.choices.0.0.as_ref().map_or_else(Text::default, |choice| choice.0.0.delta.content)
    }
}

/// The parts of a response that mean anything to us.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Head<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// The tier it is served in.
    #[serde(borrow)]
    pub service_tier: Text<'a>,
    /// Counts.
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    /// All items.
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow, deserialize_with = "object")]
    delta: ChoiceDelta<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChoiceDelta<'a> {
    #[serde(borrow)]
    content: Text<'a>,
}

/// Whether the value is an object.
pub fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// The value as a document; null when absent.
pub fn document(value: Option<&RawValue>) -> Value {
    value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
}
