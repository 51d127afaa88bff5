//! Reading the provider's answer (spec 02 §7): every chunk is handled when it arrives (D03).

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use serde_json::{Map, Value, json};

use super::host::Status;
use super::instance::{Aborted, Task};
use super::messages::Extra;
use super::request::{Opened, RequestRecord, describe};
use super::run::RequestError;
use crate::protocol::message::{Say, UiKind};
use crate::providers::{ChunkStream, GroundingSource, Provider, StreamChunk, Usage};

/// How long an interrupted stream is read on for its usage.
const DRAIN_LIMIT: Duration = Duration::from_millis(5000);

/// Chunks that are taken at once when they are there already; then the presenter gets its turn.
const BATCH: usize = 64;

/// Sources kept of one answer.
const SOURCE_LIMIT: usize = 200;

/// What the model answered.
#[derive(Default)]
pub(super) struct Reply {
    /// Its text, tools included, with the note about an interruption.
    pub text: String,
    /// Its thinking.
    pub reasoning: String,
    /// Web sources.
    pub sources: Vec<GroundingSource>,
    /// Id of the response, for models that can go on from it.
    pub response_id: Option<String>,
    /// The system prompt it answered to.
    pub system: String,
    /// Name of the model.
    pub model: String,
    usage: Option<Usage>,
    shown_reasoning: String,
    /// Whether the thinking has headings (`**`).
    headings: bool,
}

impl Reply {
    /// An answer of which only the text is known.
    pub fn of(text: String) -> Reply {
        Reply { text, ..Reply::default() }
    }
}

/// Why reading stopped.
enum Stop {
    /// The stream is over.
    End,
    /// A tool was rejected.
    Rejected,
    /// A tool has its result.
    Used,
}

impl Task {
    /// Opens the request and reads the answer; the usage is recorded however it ends (D04).
    pub(super) async fn read_answer(self: &Arc<Self>, record: &RequestRecord) -> Result<Reply, RequestError> {
        let opened = match self.open_request().await {
            Ok(opened) => opened,
            Err(RequestError::Failed(message)) => {
                self.record_usage(record.ts, &Usage::default(), Some(0.0), false);
                return Err(RequestError::Failed(message));
            }
            Err(aborted) => return Err(aborted),
        };
        let Opened { provider, mut stream, first, system } = opened;
        self.status(Status::Streaming, None);
        let mut reply = Reply { system, model: provider.model().id, ..Reply::default() };
        let stop = self.read_chunks(&mut reply, &mut stream, first).await;
        let usage = reply.usage.unwrap_or_default();
        match stop {
            Ok(Stop::End) => self.finish_usage(record.ts, &usage, provider.as_ref()),
            Ok(interrupted) => {
                let id = match interrupted {
                    Stop::Rejected => "loop.interrupted_by_feedback",
                    _ => "loop.interrupted_by_tool",
                };
                reply.text.push_str(&format!("\n\n[{}]", self.services.surroundings.texts.get(id)));
                let task = self.clone();
                let ts = record.ts;
                let drained = provider.clone();
                self.turn().drains += 1;
                self.services.spawner.spawn(async move { task.drain(ts, usage, stream, drained).await });
            }
            Err(RequestError::Failed(message)) => {
                let cost = usage.total_cost.unwrap_or_else(|| provider.cost(&usage));
                self.record_usage(record.ts, &usage, Some(cost), false);
                return Err(RequestError::Failed(message));
            }
            // A subtask's result came before the end of the answer that holds it.
            Err(RequestError::Aborted) if self.state().finished => {
                let (task, ts) = (self.clone(), record.ts);
                self.turn().drains += 1;
                self.services.spawner.spawn(async move { task.drain(ts, usage, stream, provider).await });
                return Err(RequestError::Aborted);
            }
            Err(RequestError::Aborted) => {
                // The cost of what was read until the stop belongs to the task; the connection closes with the stream.
                self.finish_usage(record.ts, &usage, provider.as_ref());
                return Err(RequestError::Aborted);
            }
        }
        reply.response_id = provider.last_response_id();
        Ok(reply)
    }

    async fn read_chunks(
        self: &Arc<Self>,
        reply: &mut Reply,
        stream: &mut ChunkStream,
        first: Option<StreamChunk>,
    ) -> Result<Stop, RequestError> {
        let mut batch = 0;
        let mut next = first;
        loop {
            if let Some(chunk) = next.take() {
                self.handle_chunk(reply, chunk)?;
                let turn = self.turn();
                if turn.rejected {
                    return Ok(Stop::Rejected);
                }
                if turn.used {
                    return Ok(Stop::Used);
                }
            }
            self.unless_aborted(self.services.host.ready()).await?;
            batch += 1;
            let ready = if batch % BATCH == 0 { None } else { stream.next().now_or_never() };
            let item = match ready {
                Some(item) => {
                    self.check()?;
                    item
                }
                None => {
                    tokio::task::yield_now().await;
                    self.unless_aborted(stream.next()).await?
                }
            };
            match item {
                None => return Ok(Stop::End),
                Some(Ok(chunk)) => next = Some(chunk),
                Some(Err(error)) => return Err(RequestError::Failed(describe(&error))),
            }
        }
    }

    fn handle_chunk(self: &Arc<Self>, reply: &mut Reply, chunk: StreamChunk) -> Result<(), RequestError> {
        match chunk {
            StreamChunk::Text(text) if text.is_empty() => {}
            StreamChunk::Text(text) => {
                reply.text.push_str(&text);
                let mut turn = self.turn();
                let before = turn.parser.len();
                if turn.parser.process(&text).is_err() {
                    let message = self.services.surroundings.texts.get("parser.message_too_large");
                    return Err(RequestError::Failed(message));
                }
                if turn.parser.len() > before {
                    turn.ready = false;
                }
                drop(turn);
                self.present();
            }
            StreamChunk::Reasoning(text) => {
                let seam = reply.reasoning.ends_with('*') && text.starts_with('*');
                reply.headings |= seam || text.contains("**");
                reply.reasoning.push_str(&text);
                self.show_reasoning(reply, &text)?;
            }
            StreamChunk::Usage(usage) => add(reply.usage.get_or_insert_default(), &usage),
            StreamChunk::Grounding(sources) => {
                let room = SOURCE_LIMIT.saturating_sub(reply.sources.len());
                reply.sources.extend(sources.into_iter().take(room));
            }
            StreamChunk::Error { .. } => {}
        }
        Ok(())
    }

    /// Shows thinking; headings that follow a sentence directly get a paragraph of their own.
    fn show_reasoning(self: &Arc<Self>, reply: &mut Reply, added: &str) -> Result<(), Aborted> {
        if !reply.headings && self.say_more(Say::Reasoning, added)? {
            return Ok(());
        }
        let shown = if reply.headings { separate_headings(&reply.reasoning) } else { reply.reasoning.clone() };
        if let Some(more) = shown.strip_prefix(reply.shown_reasoning.as_str())
            && !reply.shown_reasoning.is_empty()
            && self.say_more(Say::Reasoning, more)?
        {
            reply.shown_reasoning = shown;
            return Ok(());
        }
        self.say(Say::Reasoning, Some(shown.clone()), &[], Some(true), Extra::default())?;
        if reply.headings {
            reply.shown_reasoning = shown;
        }
        Ok(())
    }

    /// Reads an interrupted stream on for its usage (spec 02 §7.3).
    async fn drain(self: Arc<Self>, ts: i64, mut usage: Usage, mut stream: ChunkStream, provider: Arc<dyn Provider>) {
        let read = async {
            while let Some(Ok(chunk)) = stream.next().await {
                if let StreamChunk::Usage(more) = chunk {
                    add(&mut usage, &more);
                }
            }
        };
        // Stop ends the reading, the regular end of a subtask does not.
        let stopped = async {
            self.aborted.cancelled().await;
            if self.state().finished {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {}
            _ = tokio::time::timeout(DRAIN_LIMIT, read) => {}
        }
        drop(stream);
        self.finish_usage(ts, &usage, provider.as_ref());
        self.turn().drains -= 1;
        self.progress.notify_waiters();
    }

    /// Records the totals of a request.
    fn finish_usage(&self, ts: i64, usage: &Usage, provider: &dyn Provider) {
        let counted = usage.input_tokens
            + usage.output_tokens
            + usage.cache_write_tokens.unwrap_or(0)
            + usage.cache_read_tokens.unwrap_or(0);
        let cost = usage.total_cost.unwrap_or_else(|| if counted > 0 { provider.cost(usage) } else { 0.0 });
        self.record_usage(ts, usage, Some(cost), counted == 0);
    }

    fn record_usage(&self, ts: i64, usage: &Usage, cost: Option<f64>, missing: bool) {
        self.update_request(ts, |info| {
            info.insert("tokensIn".into(), json!(usage.input_tokens));
            info.insert("tokensOut".into(), json!(usage.output_tokens));
            info.insert("cacheWrites".into(), json!(usage.cache_write_tokens.unwrap_or(0)));
            info.insert("cacheReads".into(), json!(usage.cache_read_tokens.unwrap_or(0)));
            info.insert("cost".into(), number(cost.unwrap_or(0.0)));
            info.insert("usageMissing".into(), json!(missing));
        });
    }

    /// Remembers which stored response the text belongs to (spec 02 §6.6).
    pub(super) fn note_response(&self, reply: &Reply) {
        if !reply.model.starts_with("gpt-5") {
            return;
        }
        let mut state = self.state();
        let complete =
            |m: &crate::protocol::message::UiMessage| m.kind == UiKind::Say(Say::Text) && m.partial != Some(true);
        let Some(message) = state.ui.iter().rposition(complete).and_then(|at| state.ui.edit(at)) else { return };
        let old = message.metadata.take();
        let mut metadata: Map<String, Value> = old.and_then(|m| m.as_object().cloned()).unwrap_or_default();
        let mut gpt5 = metadata.remove("gpt5").and_then(|v| v.as_object().cloned()).unwrap_or_default();
        let mut set = |key: &str, value: Option<&str>| match value {
            Some(value) => {
                gpt5.insert(key.into(), json!(value));
            }
            None => {
                gpt5.remove(key);
            }
        };
        set("previous_response_id", reply.response_id.as_deref());
        set("instructions", Some(&reply.system));
        let reasoning = crate::ecma::trim(&reply.reasoning);
        set("reasoning_summary", Some(reasoning).filter(|text| !text.is_empty()));
        metadata.insert("gpt5".into(), Value::Object(gpt5));
        message.metadata = Some(Value::Object(metadata));
        self.note_ui(message);
    }
}

/// Adds counts; the cost of the last chunk counts, even when it is absent.
fn add(total: &mut Usage, more: &Usage) {
    total.input_tokens += more.input_tokens;
    total.output_tokens += more.output_tokens;
    let sum = |a: Option<u64>, b: Option<u64>| a.or(b).map(|_| a.unwrap_or(0) + b.unwrap_or(0));
    total.cache_write_tokens = sum(total.cache_write_tokens, more.cache_write_tokens);
    total.cache_read_tokens = sum(total.cache_read_tokens, more.cache_read_tokens);
    total.reasoning_tokens = sum(total.reasoning_tokens, more.reasoning_tokens);
    total.total_cost = more.total_cost;
}

/// A whole amount without a fraction, as JavaScript prints it.
fn number(value: f64) -> Value {
    if value == value.trunc() && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// `.`, `!` or `?` directly before `**title**` gets a blank line between.
fn separate_headings(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find("**") {
        let (before, heading) = rest.split_at(at);
        out.push_str(before);
        let title = heading[2..].find(['*', '\n']).filter(|end| *end > 0 && heading[2 + end..].starts_with("**"));
        match title {
            Some(end) if before.ends_with(['.', '!', '?']) => {
                out.push_str("\n\n");
                out.push_str(&heading[..end + 4]);
                rest = &heading[end + 4..];
            }
            _ => {
                out.push_str("**");
                rest = &heading[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 02 §7.2: headings in reasoning
    #[test]
    fn headings_after_a_sentence_start_a_paragraph() {
        for (text, shown) in [
            ("Done.**Next step** go", "Done.\n\n**Next step** go"),
            ("a **b** c", "a **b** c"),
            ("x!**open", "x!**open"),
            ("x?**a*b**", "x?**a*b**"),
            ("**A** b.**C**", "**A** b.\n\n**C**"),
        ] {
            assert_eq!(separate_headings(text), shown);
        }
    }

    /// parity 02 §7.2: usage is summed, the last cost counts
    #[test]
    fn usage_adds_up_and_the_last_cost_counts() {
        let mut total = Usage { input_tokens: 1, total_cost: Some(0.5), ..Usage::default() };
        add(&mut total, &Usage { output_tokens: 2, cache_read_tokens: Some(3), ..Usage::default() });
        let expected = Usage { input_tokens: 1, output_tokens: 2, cache_read_tokens: Some(3), ..Usage::default() };
        assert_eq!(total, expected);
    }
}
