//! Reads the model's text into blocks (spec 01 §4): text and tool calls in the XML form `<tool><param>value</param></tool>`.
//!
//! [`Parser`] is the live one: the task feeds it every chunk of the stream and looks at the blocks in between.
//! [`batch`] holds the two whole-string parsers of spec 01 §5. No I/O, no texts; the task words [`TooLarge`].
//!
//! # For the task loop
//!
//! ```
//! use lapce_ai::protocol::tool::ParamName;
//! use lapce_ai::task::parser::{BlockView, Parser};
//!
//! let mut parser = Parser::default();
//! parser.process("Reading.\n<read_file><path>src/a").unwrap();
//! assert_eq!(parser.len(), 2);
//! match parser.block(1) {
//!     Some(BlockView::Tool(tool)) => assert_eq!(tool.param(ParamName::Path), Some("src/a")),
//!     _ => unreachable!(),
//! }
//! parser.process("</path></read_file>").unwrap();
//! parser.finalize();
//! assert!(parser.blocks().all(|block| !block.partial()));
//! ```
//!
//! Looking costs nothing: a [`BlockView`] borrows from the one buffer that holds the message. Copy ([`BlockView::to_block`],
//! [`ToolView::to_call`]) only what must outlive the next chunk, and not once a chunk for a growing value: that would make the
//! whole message cost the square of its length.

pub mod batch;
mod block;
mod tag;

pub use block::{Block, BlockView, ToolView};

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::ecma;
use crate::protocol::tool::{ParamName, ToolName};
use block::{Entry, TextEntry, ToolEntry, Value};

/// Largest message in UTF-16 units.
pub const MAX_MESSAGE: usize = 1_048_576;

/// Largest parameter value in UTF-16 units; what follows is read as text of the tool (spec 01 Q5).
pub const MAX_PARAM: usize = 102_400;

/// The message would exceed [`MAX_MESSAGE`]; the chunk was not taken (text `parser.message_too_large`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assistant message would exceed {MAX_MESSAGE} UTF-16 units")]
pub struct TooLarge;

/// The live parser. Any split of a message into chunks gives the same blocks; the cost is linear in the message.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    /// The whole message so far. Everything else are positions in it.
    message: String,
    /// Length of `message` in UTF-16 units.
    units: usize,
    entries: Vec<Entry>,
    state: State,
}

/// Where the end of the message stands. The tool or text meant is always the last entry.
#[derive(Clone, Debug, Default)]
enum State {
    /// Before or in a text block.
    #[default]
    Outside,
    /// In a text block that is the last entry.
    Text,
    /// In a tool, outside its parameters.
    Tool(Inside),
    /// In a parameter of a tool.
    Param { tool: Inside, param: ParamName, start: usize, units: usize },
}

/// The open tool.
#[derive(Clone, Copy, Debug)]
struct Inside {
    name: ToolName,
    /// Position after its opening tag.
    start: usize,
    content: ContentTag,
}

/// Where the first `<content>` of a `write_to_file` stands, found when it is first asked for.
#[derive(Clone, Copy, Debug)]
enum ContentTag {
    Found(usize),
    /// Not before this position.
    NotBefore(usize),
}

impl Parser {
    /// Takes the next piece of the message.
    ///
    /// # Errors
    /// [`TooLarge`] when the message would get longer than [`MAX_MESSAGE`]; nothing of the chunk is taken then.
    pub fn process(&mut self, chunk: &str) -> Result<(), TooLarge> {
        let added = ecma::utf16_len(chunk);
        if self.units + added > MAX_MESSAGE {
            return Err(TooLarge);
        }
        self.units += added;
        let mut at = self.message.len();
        self.message.push_str(chunk);
        while at < self.message.len() {
            at = self.step(at);
        }
        Ok(())
    }

    /// The message is over: every block becomes complete. An unclosed parameter keeps its raw, untrimmed value.
    pub fn finalize(&mut self) {
        self.entries.iter_mut().for_each(Entry::complete);
    }

    /// Forgets everything, keeping the memory for the next message.
    pub fn reset(&mut self) {
        self.message.clear();
        self.units = 0;
        self.entries.clear();
        self.state = State::Outside;
    }

    /// The whole message so far.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no block yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The block at `index`.
    pub fn block(&self, index: usize) -> Option<BlockView<'_>> {
        self.entries.get(index).map(|entry| entry.view(&self.message))
    }

    /// All blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockView<'_>> {
        self.entries.iter().map(|entry| entry.view(&self.message))
    }

    /// Reads from `at` to the next `>` or the end, since no tag ends anywhere else; returns where to go on.
    fn step(&mut self, at: usize) -> usize {
        let stop = memchr(b'>', &self.message.as_bytes()[at..]).map(|offset| at + offset);
        let end = stop.map_or(self.message.len(), |position| position + 1);
        match self.state.clone() {
            State::Param { tool, param, start, units } => {
                return self.step_param(tool, param, start, units, at..end, stop);
            }
            State::Tool(tool) => {
                if stop.is_some() {
                    self.tag_in_tool(tool, end);
                }
            }
            State::Outside | State::Text => self.step_text(at..end, stop),
        }
        end
    }

    /// Case A of spec 01 §4.
    fn step_param(
        &mut self,
        tool: Inside,
        param: ParamName,
        start: usize,
        units: usize,
        piece: Range<usize>,
        stop: Option<usize>,
    ) -> usize {
        let added = ecma::utf16_len(&self.message[piece.clone()]);
        if units + added > MAX_PARAM {
            let (cut, split) = tag::unit_boundary(&self.message[piece.clone()], MAX_PARAM - units);
            let kept = start..piece.start + cut;
            let value = if split {
                // The limit falls into a surrogate pair; its lone first half has no UTF-8 form.
                Value::Owned(format!("{}\u{fffd}", &self.message[kept.clone()]))
            } else {
                Value::Range(kept.clone())
            };
            self.set_param(param, value);
            self.state = State::Tool(tool);
            // The character that went over the limit is consumed with the value.
            let over = self.message[kept.end..].chars().next().map_or(0, char::len_utf8);
            return kept.end + over;
        }
        let end = piece.end;
        match stop.and_then(|_| tag::before_closing(&self.message[start..end], param.as_str())) {
            Some(length) => {
                let value = tag::value_range(&self.message, start..start + length, param);
                self.set_param(param, Value::Range(value));
                self.state = State::Tool(tool);
            }
            None => {
                self.set_param(param, Value::Range(start..end));
                self.state = State::Param { tool, param, start, units: units + added };
            }
        }
        end
    }

    /// Case B of spec 01 §4, at a `>` that ends at `end`.
    fn tag_in_tool(&mut self, mut tool: Inside, end: usize) {
        let Some(tag) = tag::ending_at(&self.message, end) else { return };
        if let Some(param) = tag.opens().and_then(ParamName::parse) {
            self.state = State::Param { tool, param, start: end, units: 0 };
            return;
        }
        match tag.closes() {
            Some(name) if name == tool.name.as_str() => {
                if let Some(Entry::Tool(entry)) = self.entries.last_mut() {
                    entry.close_at(tag.start);
                }
                self.state = State::Outside;
            }
            Some("content") if tool.name == ToolName::WriteToFile => {
                let value = self.recover_content(&mut tool, tag.start);
                if let Some(value) = value {
                    self.set_param(ParamName::Content, value);
                }
                self.state = State::Tool(tool);
            }
            _ => {}
        }
    }

    /// A further `</content>` at `close` in a `write_to_file`: the content is all from the first `<content>` to here.
    fn recover_content(&self, tool: &mut Inside, close: usize) -> Option<Value> {
        if let ContentTag::NotBefore(from) = tool.content {
            tool.content = match memmem::find(&self.message.as_bytes()[from..close], b"<content>") {
                Some(offset) => ContentTag::Found(from + offset),
                // An opening tag across `close` is impossible: a closing tag starts there.
                None => ContentTag::NotBefore(close),
            };
        }
        tag::recovered(&self.message, tool.start, tool.content.position(), close)
    }

    /// Case C of spec 01 §4.
    fn step_text(&mut self, piece: Range<usize>, stop: Option<usize>) {
        if matches!(self.state, State::Outside) {
            self.entries.push(Entry::Text(TextEntry::opened_at(piece.start)));
            self.state = State::Text;
        }
        let Some(Entry::Text(text)) = self.entries.last_mut() else { return };
        let opened = stop.and_then(|_| tag::ending_at(&self.message, piece.end)).and_then(|tag| {
            let name = ToolName::parse(tag.opens()?)?;
            Some((name, tag.start))
        });
        match opened {
            Some((name, tag_start)) => {
                text.close_at(&self.message, tag_start);
                self.entries.push(Entry::Tool(ToolEntry::new(name, piece.end)));
                self.state = State::Tool(Inside { name, start: piece.end, content: ContentTag::NotBefore(piece.end) });
            }
            None => text.grow(&self.message, piece),
        }
    }

    fn set_param(&mut self, param: ParamName, value: Value) {
        if let Some(Entry::Tool(tool)) = self.entries.last_mut() {
            tool.set(param, value);
        }
    }
}

impl ContentTag {
    fn position(self) -> Option<usize> {
        match self {
            ContentTag::Found(position) => Some(position),
            ContentTag::NotBefore(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
