//! Blocks of an assistant message: owned ([`Block`]), borrowed from a parser ([`BlockView`]), and as the parser keeps them
//! (positions in the message).

use std::ops::Range;

use super::tag;
use crate::ecma;
use crate::protocol::tool::{ParamName, Params, ToolCall, ToolName};

/// One block of an assistant message (spec 01 §2.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text between tool calls, trimmed; may be empty.
    Text {
        /// The text.
        content: String,
        /// More may follow.
        partial: bool,
    },
    /// A tool call.
    Tool(ToolCall),
}

/// A block as it stands now, borrowed from the parser.
#[derive(Clone, Copy, Debug)]
pub enum BlockView<'a> {
    /// Text between tool calls, trimmed; may be empty.
    Text {
        /// The text.
        content: &'a str,
        /// More may follow.
        partial: bool,
    },
    /// A tool call.
    Tool(ToolView<'a>),
}

impl<'a> BlockView<'a> {
    /// Whether more may follow.
    pub fn partial(&self) -> bool {
        match self {
            BlockView::Text { partial, .. } => *partial,
            BlockView::Tool(tool) => tool.partial(),
        }
    }

    /// A copy that outlives the parser's next step.
    pub fn to_block(&self) -> Block {
        match self {
            BlockView::Text { content, partial } => Block::Text { content: (*content).to_owned(), partial: *partial },
            BlockView::Tool(tool) => Block::Tool(tool.to_call()),
        }
    }
}

/// A tool call as it stands now, borrowed from the parser.
#[derive(Clone, Copy, Debug)]
pub struct ToolView<'a> {
    message: &'a str,
    tool: &'a ToolEntry,
}

impl<'a> ToolView<'a> {
    /// Which tool.
    pub fn name(&self) -> ToolName {
        self.tool.name
    }

    /// Whether the closing tag has not arrived.
    pub fn partial(&self) -> bool {
        self.tool.partial
    }

    /// The value of `name` so far; untrimmed and maybe with half a closing tag at its end while it streams in.
    pub fn param(&self, name: ParamName) -> Option<&'a str> {
        self.params().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All parameters in order of first appearance.
    pub fn params(&self) -> impl Iterator<Item = (ParamName, &'a str)> + use<'a> {
        let message = self.message;
        self.tool.params.iter().map(move |(name, value)| (*name, value.text(message)))
    }

    /// Where in the message the call stands as it was written, without the tags of the tool itself and what may become its
    /// closing tag. It only grows.
    pub fn written(&self) -> Range<usize> {
        let start = self.tool.start;
        let end = self.tool.end.unwrap_or_else(|| {
            let text = self.message.get(start..).unwrap_or_default();
            let begun = if self.partial() { tag::begun_closing(text, self.name().as_str()) } else { 0 };
            self.message.len() - begun
        });
        start..end
    }

    /// A copy that outlives the parser's next step.
    pub fn to_call(&self) -> ToolCall {
        let params: Params = self.params().map(|(name, value)| (name, value.to_owned())).collect();
        ToolCall { name: self.name(), params, partial: self.partial() }
    }
}

/// A value: nearly always a stretch of the message.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Range(Range<usize>),
    /// A value that stands nowhere: a cut surrogate pair is in it.
    Owned(String),
}

impl Value {
    pub fn text<'a>(&'a self, message: &'a str) -> &'a str {
        match self {
            Value::Range(range) => message.get(range.clone()).unwrap_or_default(),
            Value::Owned(text) => text,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Entry {
    Text(TextEntry),
    Tool(ToolEntry),
}

impl Entry {
    pub fn view<'a>(&'a self, message: &'a str) -> BlockView<'a> {
        match self {
            Entry::Text(text) => BlockView::Text {
                content: message.get(text.content.clone()).unwrap_or_default(),
                partial: text.partial,
            },
            Entry::Tool(tool) => BlockView::Tool(ToolView { message, tool }),
        }
    }

    pub fn complete(&mut self) {
        match self {
            Entry::Text(text) => text.partial = false,
            Entry::Tool(tool) => tool.partial = false,
        }
    }
}

/// A text block; `content` is its trimmed stretch of the message, kept as it grows so that nobody needs to trim again.
#[derive(Clone, Debug)]
pub(super) struct TextEntry {
    content: Range<usize>,
    partial: bool,
}

impl TextEntry {
    pub fn opened_at(start: usize) -> TextEntry {
        TextEntry { content: start..start, partial: true }
    }

    /// Takes in `piece`, which follows all that was taken before.
    pub fn grow(&mut self, message: &str, piece: Range<usize>) {
        let trimmed = tag::trim(message, piece);
        if trimmed.is_empty() {
            return;
        }
        if self.content.is_empty() {
            self.content.start = trimmed.start;
        }
        self.content.end = trimmed.end;
    }

    /// Ends the block before a tool tag that begins at `end`, parts of which may have been taken in already.
    pub fn close_at(&mut self, message: &str, end: usize) {
        let start = self.content.start;
        let text = message.get(start..end).unwrap_or_default();
        self.content = if self.content.is_empty() {
            tag::trim(message, start..start + text.len())
        } else {
            start..start + ecma::trim_end(text).len()
        };
        self.partial = false;
    }
}

/// A tool call.
#[derive(Clone, Debug)]
pub(super) struct ToolEntry {
    name: ToolName,
    params: Vec<(ParamName, Value)>,
    /// Position after its opening tag.
    start: usize,
    /// Position of its closing tag, once it has come.
    end: Option<usize>,
    pub partial: bool,
}

impl ToolEntry {
    pub fn new(name: ToolName, start: usize) -> ToolEntry {
        ToolEntry { name, params: Vec::new(), start, end: None, partial: true }
    }

    /// Its closing tag begins at `end`.
    pub fn close_at(&mut self, end: usize) {
        self.end = Some(end);
        self.partial = false;
    }

    pub fn name(&self) -> ToolName {
        self.name
    }

    /// Sets a parameter, keeping the position of an earlier value.
    pub fn set(&mut self, param: ParamName, value: Value) {
        match self.params.iter_mut().find(|(name, _)| *name == param) {
            Some((_, old)) => *old = value,
            None => self.params.push((param, value)),
        }
    }
}
