//! The assistant message of the request in progress: what was read, what was presented, what results it has.

use super::parser::{BlockView, Parser};
use super::recovery::Noted;
use super::text::{Change, Growing};
use crate::protocol::message::ContentBlock;
use crate::protocol::tool::ToolCall;

/// Partial tool calls up to this size are shown with every chunk; larger ones when they grew by a 32nd, so that showing a
/// long value costs no more than a multiple of its length.
const SHOWN_EACH_TIME: usize = 4096;

/// State of spec 01 §6 and 02 §5.9.
#[derive(Default)]
pub(super) struct Turn {
    /// The message.
    pub parser: Parser,
    /// Block that is presented next.
    pub index: usize,
    /// A presentation is asked for.
    pub wanted: bool,
    /// The presenter works on a block.
    pub busy: bool,
    /// Everything received so far has its results.
    pub ready: bool,
    /// A tool of this message was rejected.
    pub rejected: bool,
    /// A tool of this message has its result.
    pub used: bool,
    /// The checkpoint of this request is made.
    pub checkpointed: bool,
    /// The stream has been read to its end.
    pub stream_done: bool,
    /// A stream is being read.
    pub streaming: bool,
    /// Its first chunk has not come yet.
    pub waiting_first: bool,
    /// Interrupted streams that are read on for their usage.
    pub drains: usize,
    /// The instance is over.
    pub closed: bool,
    /// Content of the next user message.
    pub results: Vec<ContentBlock>,
    /// What of this was noted.
    pub noted: Noted,
    /// Position in the message up to which calls were reported as they were written.
    pub reported: usize,
    growing: Growing,
    shown_size: usize,
}

/// What is to be presented next.
pub(super) enum Work {
    /// Show a text block.
    Text {
        /// How its message changes.
        change: Change,
        /// More may follow.
        partial: bool,
    },
    /// Run a tool call.
    Tool(ToolCall),
    /// A partial call too little grown to be shown again.
    Skip,
}

impl Turn {
    /// Forgets the last message (spec 02 §5.9).
    pub fn begin(&mut self) {
        let mut parser = std::mem::take(&mut self.parser);
        parser.reset();
        *self = Turn { parser, closed: self.closed, drains: self.drains, ..Turn::default() };
    }

    /// Whether nothing waits to be presented.
    pub fn at_rest(&self) -> bool {
        !self.wanted && !self.busy
    }

    /// Whether a stop need not wait for the stream any more (spec 02 §2.3).
    pub fn released(&self) -> bool {
        !self.streaming || self.waiting_first
    }

    /// The whole visible text of the current block.
    pub fn visible_text(&self) -> String {
        match self.parser.block(self.index) {
            Some(BlockView::Text { content, .. }) => super::text::visible(content),
            _ => String::new(),
        }
    }

    /// What there is to do for the current block; `None` when all blocks are done.
    pub fn next_work(&mut self) -> Option<Work> {
        let done = self.rejected || self.used;
        match self.parser.block(self.index)? {
            BlockView::Text { content, partial } => {
                let change = match partial {
                    _ if done => Change::None,
                    true => self.growing.show(content),
                    false => Change::Replace(super::text::visible(content)),
                };
                Some(Work::Text { change, partial })
            }
            BlockView::Tool(tool) => {
                let size: usize = tool.params().map(|(_, value)| value.len()).sum();
                let little = size > SHOWN_EACH_TIME && size < self.shown_size + self.shown_size / 32;
                if tool.partial() && little && !done {
                    return Some(Work::Skip);
                }
                self.shown_size = size;
                Some(Work::Tool(tool.to_call()))
            }
        }
    }

    /// What the current block, a call, has grown by since this was last asked for.
    pub fn take_written(&mut self) -> Option<String> {
        let Some(BlockView::Tool(tool)) = self.parser.block(self.index) else { return None };
        let written = tool.written();
        let from = written.start.max(self.reported);
        let added = self.parser.message().get(from..written.end).filter(|added| !added.is_empty())?.to_owned();
        self.reported = written.end;
        Some(added)
    }

    /// Whether a block that was presented is finished.
    pub fn passes(&self, partial: bool) -> bool {
        !partial || self.rejected || self.used
    }

    /// After a block was presented: goes on to the next one if it is finished. True when there is one.
    pub fn advance(&mut self, partial: bool) -> bool {
        if !self.passes(partial) {
            return false;
        }
        if self.index + 1 == self.parser.len() {
            self.ready = true;
        }
        self.index += 1;
        self.growing = Growing::default();
        self.shown_size = 0;
        self.index < self.parser.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_reported_piece_by_piece_as_it_is_written() {
        let message = "One.<read_file><args>\n<b> </x></read <</args>\n</read_file>Two.<read_file></read_file>";
        for size in 1..message.len() {
            let (mut turn, mut calls) = (Turn::default(), vec![String::new(); 4]);
            for chunk in message.as_bytes().chunks(size) {
                turn.parser.process(std::str::from_utf8(chunk).expect("ASCII")).expect("fits");
                while let Some(partial) = turn.parser.block(turn.index).map(|block| block.partial()) {
                    calls[turn.index].extend(turn.take_written());
                    if !turn.advance(partial) {
                        break;
                    }
                }
            }
            assert_eq!(calls, ["", "<args>\n<b> </x></read <</args>\n", "", ""], "pieces of {size}");
        }
    }

    #[test]
    fn a_call_without_its_end_is_reported_whole_when_the_message_is_over() {
        let mut turn = Turn::default();
        turn.parser.process("<read_file><path>a</path></read_").expect("fits");
        turn.index = turn.parser.len() - 1;
        assert_eq!(turn.take_written().as_deref(), Some("<path>a</path>"));
        assert_eq!(turn.take_written(), None);
        turn.parser.finalize();
        assert_eq!(turn.take_written().as_deref(), Some("</read_"));
    }

    #[test]
    fn a_long_partial_value_is_shown_a_bounded_number_of_times() {
        let mut turn = Turn::default();
        turn.parser.process("<write_to_file><path>a</path><content>").expect("fits");
        turn.index = turn.parser.len() - 1;
        let mut shown = 0;
        for _ in 0..20_000 {
            turn.parser.process("abcd").expect("fits");
            shown += usize::from(matches!(turn.next_work(), Some(Work::Tool(_))));
        }
        assert!(shown < 1_200, "{shown}");
        turn.parser.process("</content></write_to_file>").expect("fits");
        assert!(matches!(turn.next_work(), Some(Work::Tool(call)) if !call.partial));
    }
}
