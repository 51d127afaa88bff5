//! The two whole-string parsers of spec 01 §5. The task does not use them; they are for hosts and tests that have a finished
//! message. They know no size limits.

use memchr::{memchr_iter, memmem};

use super::block::{Block, BlockView, Entry, ToolEntry, Value};
use super::tag;
use crate::ecma;
use crate::protocol::tool::{ParamName, ToolName};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Keeps empty texts, trims `content` fully, decodes `&amp;` in a command.
    V1,
    /// Drops empty texts, keeps the blank lines of `content`.
    V2,
}

/// Parses a whole message. A last block without its end is partial.
pub fn parse(message: &str, variant: Variant) -> Vec<Block> {
    let mut parser = Batch { message, variant, blocks: Vec::new(), text_start: 0, open: None };
    for position in memchr_iter(b'>', message.as_bytes()) {
        parser.tag_end(position + 1);
    }
    parser.end()
}

struct Batch<'a> {
    message: &'a str,
    variant: Variant,
    blocks: Vec<Block>,
    /// End of the last tool: where the next text begins.
    text_start: usize,
    open: Option<Open>,
}

struct Open {
    tool: ToolEntry,
    start: usize,
    /// The first `<content>` after `start`; looked for once.
    content: Option<Option<usize>>,
    param: Option<(ParamName, usize)>,
}

impl Batch<'_> {
    fn tag_end(&mut self, end: usize) {
        let Some(mut open) = self.open.take() else {
            return self.tag_in_text(end);
        };
        if let Some((param, start)) = open.param {
            if let Some(length) = tag::before_closing(&self.message[start..end], param.as_str()) {
                let value = self.closed_value(open.tool.name(), param, start..start + length);
                open.tool.set(param, value);
                open.param = None;
            }
            self.open = Some(open);
            return;
        }
        if let Some(tag) = tag::ending_at(self.message, end) {
            if let Some(param) = tag.opens().and_then(ParamName::parse) {
                open.param = Some((param, end));
            } else if tag.closes() == Some(open.tool.name().as_str()) {
                return self.close_tool(open, tag.start, end);
            } else if tag.closes() == Some("content") && self.recovers_at_each(open.tool.name()) {
                self.recover(&mut open, tag.start);
            }
        }
        self.open = Some(open);
    }

    fn tag_in_text(&mut self, end: usize) {
        let Some(tag) = tag::ending_at(self.message, end) else { return };
        let Some(name) = tag.opens().and_then(ToolName::parse) else { return };
        self.push_text(tag.start, false);
        self.open = Some(Open { tool: ToolEntry::new(name, end), start: end, content: None, param: None });
    }

    fn closed_value(&self, tool: ToolName, param: ParamName, range: std::ops::Range<usize>) -> Value {
        match (self.variant, param) {
            (Variant::V2, ParamName::Content) => Value::Range(tag::strip_line_feeds(self.message, range)),
            (Variant::V1, ParamName::Command) if tool == ToolName::ExecuteCommand => {
                Value::Owned(self.message[tag::trim(self.message, range)].replace("&amp;", "&"))
            }
            _ => Value::Range(tag::trim(self.message, range)),
        }
    }

    fn recovers_at_each(&self, tool: ToolName) -> bool {
        self.variant == Variant::V1 && matches!(tool, ToolName::WriteToFile | ToolName::NewRule)
    }

    fn recover(&self, open: &mut Open, close: usize) {
        let from = open.start;
        let first = *open.content.get_or_insert_with(|| {
            memmem::find(&self.message.as_bytes()[from..], b"<content>").map(|offset| from + offset)
        });
        if let Some(value) = tag::recovered(self.message, from, first.filter(|at| *at < close), close) {
            open.tool.set(ParamName::Content, value);
        }
    }

    fn close_tool(&mut self, mut open: Open, tag_start: usize, end: usize) {
        if self.variant == Variant::V2 && open.tool.name() == ToolName::WriteToFile {
            let inner = &self.message.as_bytes()[open.start..tag_start];
            let first = memmem::find(inner, b"<content>");
            let last = memmem::rfind(inner, b"</content>");
            if let (Some(first), Some(last)) = (first, last)
                && last > first
            {
                let range = open.start + first + "<content>".len()..open.start + last;
                open.tool.set(ParamName::Content, Value::Range(tag::strip_line_feeds(self.message, range)));
            }
        }
        open.tool.partial = false;
        self.push_tool(open.tool);
        self.text_start = end;
    }

    fn end(mut self) -> Vec<Block> {
        match self.open.take() {
            Some(mut open) => {
                if let Some((param, start)) = open.param {
                    let range = tag::value_range(self.message, start..self.message.len(), param);
                    open.tool.set(param, Value::Range(range));
                }
                self.push_tool(open.tool);
            }
            None if self.text_start < self.message.len() => self.push_text(self.message.len(), true),
            None => {}
        }
        self.blocks
    }

    fn push_text(&mut self, end: usize, partial: bool) {
        let content = ecma::trim(&self.message[self.text_start..end]);
        if !content.is_empty() || self.variant == Variant::V1 {
            self.blocks.push(Block::Text { content: content.to_owned(), partial });
        }
    }

    fn push_tool(&mut self, tool: ToolEntry) {
        if let BlockView::Tool(tool) = Entry::Tool(tool).view(self.message) {
            self.blocks.push(Block::Tool(tool.to_call()));
        }
    }
}
