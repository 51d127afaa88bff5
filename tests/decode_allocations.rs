//! A chunk of an answer costs one allocation, its text, in every wire family. A binary of its own, because the counter replaces
//! the allocator.

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use lapce_ai::providers::StreamChunk;
use lapce_ai::providers::fuzzing::{Family, converse};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates; the harness has threads of its own.
struct Counting;

// SAFETY: the system's allocator, with a count of the calls.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Deltas of an answer.
const DELTAS: u64 = 4_000;

/// One delta as the vendors send it, with escapes in its text.
fn delta(family: Family) -> Vec<u8> {
    let text = r#""  say(\"\u00e9\");\n""#;
    let event = match family {
        Family::Chat | Family::ChatTags | Family::ChatCumulative | Family::Cerebras | Family::Mistral => format!(
            r#"data: {{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}],"usage":null}}"#
        ),
        Family::Responses | Family::ResponsesSecondary => format!(
            r#"data: {{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","delta":{text},"logprobs":[]}}"#
        ),
        Family::Anthropic => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\"text\":{text}}}}}"
        ),
        Family::Gemini | Family::CodeAssist => format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":{text}}}],"role":"model"}}}}],"usageMetadata":{{"promptTokenCount":9}}}}"#
        ),
        Family::Bedrock => {
            return converse(
                format!(r#"contentBlockDelta {{"contentBlockIndex":0,"delta":{{"text":{text}}},"p":"ab"}}"#).as_bytes(),
            );
        }
        Family::Ollama => {
            return format!(
                "{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":{text}}},\"done\":false}}\n"
            )
            .into();
        }
    };
    format!("{event}\n\n").into_bytes()
}

#[test]
fn a_chunk_costs_one_allocation() {
    for family in Family::ALL {
        let pieces = delta(family).repeat(DELTAS as usize).chunks(16 << 10).map(Bytes::copy_from_slice).collect();
        let mut answer = family.chunks(pieces);
        let before = ALLOCATIONS.get();
        let mut chunks = 0;
        while let Some(Some(Ok(chunk))) = answer.next().now_or_never() {
            chunks += u64::from(matches!(chunk, StreamChunk::Text(_)));
        }
        let allocations = ALLOCATIONS.get() - before;
        assert!(chunks == DELTAS || family == Family::ChatCumulative, "{family:?}: {chunks} chunks");
        // The buffers that grow at the beginning, and what comes once at the end.
        assert!(allocations <= chunks + 64, "{family:?}: {allocations} allocations for {chunks} chunks");
    }
}
