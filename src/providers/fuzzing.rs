//! What holds for every answer, as functions of bytes: run by the unit tests, the fuzz target and the replay of its corpus
//! (`tests/fuzz`, `tests/cases/corpus.rs`). Each panics when its property is broken.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};

use super::anthropic::decode::ClaudeDecoder;
use super::bedrock::events::ConverseDecoder;
use super::cerebras::decode::CerebrasDecoder;
use super::chat::{ChatDecoder, ChatReading, ReasoningFields, ThinkTags, UsageTime};
use super::frames::Framing;
use super::frames::fuzzing::{message, text_header};
use super::gemini::decode::{GeminiDecoder, Service};
use super::mistral::decode::MistralDecoder;
use super::models::table;
use super::ollama::decode::OllamaDecoder;
use super::responses::continuity::Continuity;
use super::responses::events::{PrimaryDecoder, Response};
use super::responses::secondary::SecondaryDecoder;
use super::stream::{EventDecoder, answer};
use super::{ChatRequest, ChunkStream, ModelInfo, ProviderError, StreamChunk, Usage, Wording};

/// A wire family: how an answer lies in its bytes and how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Chat completions.
    Chat,
    /// Chat completions in which thinking stands between tags, and counts come last.
    ChatTags,
    /// Chat completions whose deltas repeat each other.
    ChatCumulative,
    /// Chat completions, line by line.
    Cerebras,
    /// The Responses API.
    Responses,
    /// The Responses API, line by line and tolerant.
    ResponsesSecondary,
    /// Anthropic's Messages API.
    Anthropic,
    /// The Gemini API.
    Gemini,
    /// Code Assist.
    CodeAssist,
    /// Bedrock's Converse API.
    Bedrock,
    /// Ollama's chat API.
    Ollama,
    /// Mistral's chat API.
    Mistral,
}

impl Family {
    /// All of them; the number of a family in fuzz inputs is its place.
    pub const ALL: [Family; 12] = [
        Family::Chat,
        Family::ChatTags,
        Family::ChatCumulative,
        Family::Cerebras,
        Family::Responses,
        Family::ResponsesSecondary,
        Family::Anthropic,
        Family::Gemini,
        Family::CodeAssist,
        Family::Bedrock,
        Family::Ollama,
        Family::Mistral,
    ];

    /// The chunks of an answer that comes in these pieces.
    pub fn chunks(self, pieces: Vec<Bytes>) -> ChunkStream {
        let wording: Wording = Arc::new(|id, variables| format!("{id} {variables:?}"));
        let words = wording.clone();
        let chat = |reading| {
            let count = |usage: &serde_json::Value, name: &str| usage[name].as_u64().unwrap_or(0);
            let usage = move |usage: &serde_json::Value| Usage {
                input_tokens: count(usage, "prompt_tokens"),
                output_tokens: count(usage, "completion_tokens"),
                ..Usage::default()
            };
            ChatDecoder::new(reading, Arc::new(usage), wording.clone())
        };
        let plain = ChatReading { finish_check: true, reasoning: ReasoningFields::Content, ..ChatReading::default() };
        match self {
            Family::Chat => read(pieces, chat(plain), words),
            Family::ChatTags => {
                let reading = ChatReading {
                    reasoning: ReasoningFields::BothFirst,
                    think_tags: ThinkTags::Leading,
                    usage: UsageTime::Last,
                    ..ChatReading::default()
                };
                read(pieces, chat(reading), words)
            }
            Family::ChatCumulative => {
                let reading =
                    ChatReading { think_tags: ThinkTags::EachDelta, cumulative: true, ..ChatReading::default() };
                read(pieces, chat(reading), words)
            }
            Family::Cerebras => read(pieces, CerebrasDecoder::new(Usage::default(), wording), words),
            Family::Responses => read(pieces, PrimaryDecoder::new(response(), wording), words),
            Family::ResponsesSecondary => read(pieces, SecondaryDecoder::new(response(), wording), words),
            Family::Anthropic => read(pieces, ClaudeDecoder::new(Some(ModelInfo::default()), wording), words),
            Family::Gemini => read(pieces, GeminiDecoder::new(Service::Api(ModelInfo::default()), wording), words),
            Family::CodeAssist => read(pieces, GeminiDecoder::new(Service::CodeAssist, wording), words),
            Family::Bedrock => read(pieces, ConverseDecoder::new(wording), words),
            Family::Ollama => read(pieces, OllamaDecoder::new(wording), words),
            Family::Mistral => read(pieces, MistralDecoder::new(wording), words),
        }
    }
}

fn read<F: Framing>(pieces: Vec<Bytes>, decoder: impl EventDecoder<F>, wording: Wording) -> ChunkStream {
    let body = stream::iter(pieces.into_iter().map(Ok)).boxed();
    answer(ready(Ok(body)).boxed(), decoder, wording)
}

/// A first response, which waits for none before it.
fn response() -> Response {
    let start = Arc::new(Continuity::default()).start(&ChatRequest::default()).now_or_never();
    let (Some((_, announcer)), Some(models)) = (start, table("openai-native")) else {
        unreachable!("a first response waits for none, and the table is built in")
    };
    Response::new(models.default_info(), None, announcer)
}

/// An answer of the family that the first byte names, however its bytes are split: the second byte says how many of the bytes
/// after it are sizes of pieces. For Bedrock the lines of the rest are also payloads of messages whose checksums are right,
/// since no fuzzer finds those.
pub fn decode(input: &[u8]) {
    let Some((family, rest)) = input.split_first() else { return };
    let Some((count, rest)) = rest.split_first() else { return };
    let (cuts, answer) = rest.split_at(rest.len().min(usize::from(count % 8)));
    let cuts: Vec<usize> = cuts.iter().map(|size| usize::from(*size) + 1).collect();
    let family = Family::ALL[usize::from(*family) % Family::ALL.len()];
    same_however_split(family, answer, &cuts);
    if family == Family::Bedrock {
        same_however_split(family, &converse(answer), &cuts);
    }
}

/// An event stream of these lines, each an event type, a space and its payload.
pub fn converse(lines: &[u8]) -> Vec<u8> {
    let event = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let (kind, payload) = line.split_once(' ').unwrap_or(("contentBlockDelta", &line));
        let (message_type, name) = match kind.ends_with("Exception") {
            true => ("exception", ":exception-type"),
            false => ("event", ":event-type"),
        };
        let kind: String = kind.chars().take(40).collect();
        message(&[text_header(":message-type", message_type), text_header(name, &kind)].concat(), payload.as_bytes())
    };
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).flat_map(event).collect()
}

/// The answer gives the same chunks and the same error whole, byte by byte, and in pieces of `cuts` bytes, repeated.
pub fn same_however_split(family: Family, answer: &[u8], cuts: &[usize]) {
    let whole = outcome(family, vec![Bytes::copy_from_slice(answer)]);
    let bytes = answer.chunks(1).map(Bytes::copy_from_slice).collect();
    assert_eq!(outcome(family, bytes), whole, "{family:?} byte by byte");
    let (mut rest, mut sizes) = (answer, cuts.iter().cycle());
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.len().min(*sizes.next().unwrap_or(&1)));
        pieces.push(Bytes::copy_from_slice(piece));
        rest = tail;
    }
    assert_eq!(outcome(family, pieces), whole, "{family:?} in pieces of {cuts:?}");
}

/// All chunks, and the error that ended them.
pub fn outcome(family: Family, pieces: Vec<Bytes>) -> (Vec<StreamChunk>, Option<ProviderError>) {
    let (mut chunks, mut error) = (Vec::new(), None);
    let mut answer = family.chunks(pieces);
    // Nothing is waited for: all pieces are there.
    while let Some(Some(item)) = answer.next().now_or_never() {
        assert!(error.is_none(), "{family:?} goes on after its error");
        match item {
            Ok(chunk) => chunks.push(chunk),
            Err(failure) => error = Some(failure),
        }
    }
    (chunks, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"a <think>é\"\n\u00e9\ud83d\ude00</think> b"#;

    /// Events of a family: those it knows, in all their forms, and odd ones.
    fn events(family: Family) -> Vec<String> {
        let documents: &[&str] = match family {
            Family::Chat | Family::ChatTags | Family::ChatCumulative | Family::Cerebras => &[
                r#"{"choices":[{"delta":{"content":"TEXT"}}]}"#,
                r#"{"choices":[{"delta":{"reasoning_content":"TEXT","reasoning":"r"},"finish_reason":null}],"usage":null}"#,
                r#"{"choices":[{"delta":{"content":"<thi"}}]}"#,
                r#"{"choices":[{"delta":{"content":"nk>"}}]}"#,
                r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                r#"{"error":{"message":"TEXT","code":429}}"#,
            ],
            Family::Responses | Family::ResponsesSecondary => &[
                r#"{"type":"response.created","response":{"id":"resp_1","service_tier":"flex"}}"#,
                r#"{"type":"response.output_text.delta","delta":"TEXT"}"#,
                r#"{"type":"response.reasoning_text.delta","delta":"TEXT","response":{"id":"x"}}"#,
                r#"{"type":"response.refusal.delta","delta":"TEXT"}"#,
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[{"type":"text","text":"TEXT"}]}}"#,
                r#"{"type":"response.content_part.added","part":{"type":"text","text":"TEXT"}}"#,
                r#"{"type":"response.completed","response":{"usage":{"input_tokens":2,"output_tokens":7}}}"#,
                r#"{"response":{"output":[{"type":"text","content":[{"type":"text","text":"TEXT"}]}]}}"#,
                r#"{"choices":[{"delta":{"content":"TEXT"}}]}"#,
                r#"{"type":"response.failed","message":"TEXT"}"#,
                r#"{"type":"error","error":{"message":"TEXT"}}"#,
            ],
            Family::Anthropic => &[
                r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"TEXT"}}"#,
                r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"TEXT"}}"#,
                r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"TEXT"}}"#,
                r#"{"type":"message_delta","usage":{"output_tokens":9}}"#,
                r#"{"type":"ping"}"#,
                r#"{"type":"error","error":{"message":"TEXT"}}"#,
            ],
            Family::Gemini | Family::CodeAssist => &[
                r#"{"candidates":[{"content":{"parts":[{"text":"TEXT"},{"text":"t","thought":true}]}}]}"#,
                r#"{"response":{"candidates":[{"content":{"parts":[{"text":"TEXT"}]}}]}}"#,
                r#"{"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"TEXT"}}]}}]}"#,
                r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#,
                r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9}}"#,
            ],
            Family::Bedrock => &[
                r#"contentBlockDelta {"delta":{"text":"TEXT"}}"#,
                r#"contentBlockDelta {"delta":{"reasoningContent":{"text":"TEXT"}}}"#,
                r#"contentBlockStart {"contentBlockIndex":1,"contentBlock":{"reasoningContent":{"text":"TEXT"}}}"#,
                r#"metadata {"usage":{"inputTokens":1,"outputTokens":2}}"#,
                r#"throttlingException {"message":"TEXT"}"#,
                r#"contentBlockDelta {"delta":{}}"#,
            ],
            Family::Ollama => &[
                r#"{"message":{"content":"TEXT"}}"#,
                r#"{"message":{"content":"<thi"}}"#,
                r#"{"message":{"content":"nk>"}}"#,
                r#"{"done":true,"eval_count":4,"prompt_eval_count":2}"#,
                r#"{"error":"TEXT"}"#,
            ],
            Family::Mistral => &[
                r#"{"choices":[{"delta":{"content":"TEXT"}}]}"#,
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"TEXT"}]},{"type":"text","text":"b"}]}}]}"#,
                r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            ],
        };
        let odd =
            ["{}", "[]", "7", "{\"choices\":7,\"candidates\":[null],\"delta\":null}", "{\"a\"", "[DONE]", "\u{fffd}"];
        documents.iter().chain(&odd).map(|document| document.replace("TEXT", TEXT)).collect()
    }

    /// The bytes of an event, with this line end.
    fn framed(family: Family, event: &str, end: &str) -> Vec<u8> {
        match family {
            Family::Bedrock => converse(event.as_bytes()),
            Family::Ollama => format!("{event}{end}").into_bytes(),
            Family::Cerebras | Family::ResponsesSecondary => format!("data: {event}{end}").into_bytes(),
            Family::Anthropic => {
                let kind = event.split('"').nth(3).unwrap_or("content_block_delta");
                format!("event: {kind}{end}data: {event}{end}{end}").into_bytes()
            }
            _ => format!("data: {event}{end}{end}").into_bytes(),
        }
    }

    #[test]
    fn every_known_event_is_read() {
        for family in Family::ALL {
            let text = |event: &String| event.contains("\\ud83d");
            let event = events(family).into_iter().find(text).expect("an event with a text");
            let (chunks, error) = outcome(family, vec![framed(family, &event, "\n").into()]);
            let said: String = chunks
                .iter()
                .filter_map(|chunk| match chunk {
                    StreamChunk::Text(text) | StreamChunk::Reasoning(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert!(said.contains("é\"\né😀"), "{family:?}: {chunks:?} {error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_chunks(
            family in prop::sample::select(Family::ALL.to_vec()),
            picks in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec!["\n", "\r\n"])), 0..12),
            cuts in prop::collection::vec(1usize..23, 1..60),
            lost in 0usize..9,
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let events = events(family);
            let mut answer: Vec<u8> =
                picks.iter().flat_map(|(index, end)| framed(family, &events[index.index(events.len())], end)).collect();
            answer.truncate(answer.len().saturating_sub(lost));
            if let Some((at, byte)) = damage && !answer.is_empty() {
                let at = at.index(answer.len());
                answer[at] = byte;
            }
            same_however_split(family, &answer, &cuts);
        }
    }
}
