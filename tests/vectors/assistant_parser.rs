//! `assistant_parser`: the live parser and the two batch parsers (spec 01 §4, §5).

use lapce_ai::task::parser::batch::{self, Variant};
use lapce_ai::task::parser::{Block, Parser};
use serde_json::{Map, Value, json};

use crate::support::{Area, Outcome, equal};

pub fn area() -> Area {
    Area::new("assistant_parser", run, &[]).compared_by(|_, ours, recorded| match (ours, recorded) {
        // The slow batch parsers were not recorded for large messages.
        (Value::Object(ours), Value::Object(recorded)) => {
            recorded.iter().all(|(key, value)| ours.get(key).is_some_and(|own| equal(own, value)))
        }
        _ => equal(ours, recorded),
    })
}

fn run(input: &Value) -> Outcome {
    match input["fn"].as_str() {
        Some("parse") => {
            let message = input["message"].as_str().unwrap_or_default();
            let mut parser = Parser::default();
            let incremental = after(&mut parser, message);
            parser.finalize();
            json!({
                "incremental": incremental,
                "final": live(&parser),
                "v2": blocks(batch::parse(message, Variant::V2)),
                "v1": blocks(batch::parse(message, Variant::V1)),
            })
            .into()
        }
        Some("stream") => {
            let mut parser = Parser::default();
            let chunks = input["chunks"].as_array().into_iter().flatten();
            let steps: Vec<Value> =
                chunks.map(|chunk| after(&mut parser, chunk.as_str().unwrap_or_default())).collect();
            parser.finalize();
            json!({"steps": steps, "final": live(&parser)}).into()
        }
        other => Outcome::Missing(format!("{other:?}")),
    }
}

fn after(parser: &mut Parser, chunk: &str) -> Value {
    match parser.process(chunk) {
        Ok(()) => live(parser),
        Err(_) => json!({"threw": "TOO_LARGE"}),
    }
}

fn live(parser: &Parser) -> Value {
    blocks(parser.blocks().map(|block| block.to_block()).collect())
}

fn blocks(blocks: Vec<Block>) -> Value {
    blocks
        .into_iter()
        .map(|block| match block {
            Block::Text { content, partial } => json!({"type": "text", "content": content, "partial": partial}),
            Block::Tool(call) => {
                let params: Map<String, Value> =
                    call.params.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
                json!({"type": "tool_use", "name": call.name.as_str(), "params": params, "partial": call.partial})
            }
        })
        .collect()
}
