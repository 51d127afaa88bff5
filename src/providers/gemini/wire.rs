//! One event of a streamed answer (spec 07 §13). What has another type than expected counts as absent.

use serde::Deserialize;

use crate::providers::loose::{First, Items, Loose, Object, Text, Truthy};
use crate::providers::{GroundingSource, StreamChunk, Usage};

/// The parts of an event that mean anything to us.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event<'a> {
    /// Answers; only the first is asked for.
    #[serde(borrow)]
    pub candidates: Loose<First<Loose<Object<Candidate<'a>>>>>,
    /// Counts so far.
    pub usage_metadata: Loose<Option<Object<Counts>>>,
}

/// The event that Code Assist may put under `response`.
///
/// # Errors
/// What is not JSON.
pub fn unwrapped(event: &str) -> Result<Loose<Object<Event<'_>>>, serde_json::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Envelope<'a> {
        #[serde(borrow)]
        response: Loose<Option<Object<Event<'a>>>>,
        #[serde(borrow)]
        candidates: Loose<First<Loose<Object<Candidate<'a>>>>>,
        usage_metadata: Loose<Option<Object<Counts>>>,
    }
    let Loose(Object(Envelope { response, candidates, usage_metadata })) = serde_json::from_str(event)?;
    Ok(Loose(response.0.unwrap_or(Object(Event { candidates, usage_metadata }))))
}

/// What was added to an answer.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Candidate<'a> {
    /// Text.
    #[serde(borrow)]
    pub content: Loose<Object<Content<'a>>>,
    /// Why it ended.
    #[serde(borrow)]
    pub finish_reason: Text<'a>,
    /// The web pages it rests on.
    #[serde(borrow)]
    pub grounding_metadata: Loose<Option<Object<Grounding<'a>>>>,
}

/// What the model said.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Content<'a> {
    /// Piece by piece.
    #[serde(borrow)]
    pub parts: Loose<Items<Loose<Object<Part<'a>>>>>,
}

/// A piece of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Part<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    /// It was only thought.
    thought: Loose<Truthy>,
}

impl Part<'_> {
    /// What the part becomes, if it has a text.
    pub fn chunk(self) -> Option<StreamChunk> {
        let text = self.text.filled()?.into_string();
        Some(if self.thought.0.0 { StreamChunk::Reasoning(text) } else { StreamChunk::Text(text) })
    }
}

/// What an answer rests on.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Grounding<'a> {
    #[serde(borrow)]
    grounding_chunks: Loose<Items<Loose<Object<GroundingChunk<'a>>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroundingChunk<'a> {
    #[serde(borrow)]
    web: Loose<Object<WebPage<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WebPage<'a> {
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    title: Text<'a>,
}

impl Grounding<'_> {
    /// The web pages that have an address.
    pub fn sources(self) -> Vec<GroundingSource> {
        let source = |page: WebPage<'_>| {
            let url = page.uri.filled()?.into_string();
            let title = page.title.filled().map_or_else(|| url.clone(), Text::into_string);
            Some(GroundingSource { title, url, snippet: None })
        };
        self.grounding_chunks.0.into_iter().filter_map(|chunk| source(chunk.0.0.web.0.0)).collect()
    }
}

/// Token counts.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Counts {
    prompt_token_count: Loose<Option<f64>>,
    candidates_token_count: Loose<Option<f64>>,
    cached_content_token_count: Loose<Option<f64>>,
    thoughts_token_count: Loose<Option<f64>>,
}

impl Counts {
    /// The same as they are told on.
    pub fn usage(&self) -> Usage {
        let count = |tokens: &Loose<Option<f64>>| tokens.0.map(|tokens| tokens as u64);
        Usage {
            input_tokens: count(&self.prompt_token_count).unwrap_or(0),
            output_tokens: count(&self.candidates_token_count).unwrap_or(0),
            cache_read_tokens: count(&self.cached_content_token_count),
            reasoning_tokens: count(&self.thoughts_token_count),
            ..Usage::default()
        }
    }
}
