//! How a POSIX shell reads a command text: where commands end, and which substitutions it runs (deviation D02).
//!
//! One pass, recursive in the nesting of quotes and substitutions up to [`MAX_DEPTH`]. Where shells disagree, or the text
//! does not close what it opens, the reading is not certain and the user decides.

/// Deepest nesting of substitutions that is followed.
const MAX_DEPTH: usize = 8;

/// A text as a shell reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The text cut at the operators that end a command; for each substitution likewise. One that is never cut has none.
    pub segments: Vec<String>,
    /// The inner text of every command and process substitution, outer ones first.
    pub substitutions: Vec<String>,
    /// Whether every shell reads the text so.
    pub certain: bool,
}

/// Reads a text. Never fails: what cannot be read makes the reading uncertain.
pub fn read(text: &str) -> Reading {
    let mut reading = Reading { certain: true, ..Reading::default() };
    read_text(text, 0, &mut reading);
    reading
}

fn read_text(text: &str, depth: usize, reading: &mut Reading) {
    Reader { text, bytes: text.as_bytes(), at: 0, depth, reading }.commands(List::Text);
}

/// What a list of commands stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// The whole text.
    Text,
    /// `<(…)` or `>(…)`.
    Process,
    /// `$(…)`, which is arithmetic when a second pair of parentheses encloses all of it.
    Dollar,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    reading: &'a mut Reading,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.bytes.len());
    }

    /// Both positions stand at ASCII characters or the ends of the text.
    fn slice(&self, from: usize, to: usize) -> String {
        self.text.get(from..to).unwrap_or_default().to_owned()
    }

    /// Reads commands up to the end of the text, or before the parenthesis that closes the list. True for arithmetic.
    fn commands(&mut self, list: List) -> bool {
        let start = self.at;
        let mut segments = Vec::new();
        let mut segment = start;
        let mut word = start; // Where the last blank or operator ended: a `#` there starts a comment.
        let mut redirection = None; // Where the last `<` or `>` ended: `&` and `|` belong to it there.
        let mut open = 0_usize;
        let mut first_pair_closed = None;
        let mut quoted_or_commented = false;
        let closed = loop {
            let Some(byte) = self.peek(0) else { break false };
            match byte {
                b')' if open == 0 && list != List::Text => break true,
                b'(' => open += 1,
                b')' => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        first_pair_closed.get_or_insert(self.at);
                    }
                }
                b' ' | b'\t' => {}
                b';' if self.peek(1) == Some(b';') => self.skip(1),
                b'&' | b'|' if redirection == Some(self.at) => {}
                b';' | b'&' | b'|' | b'\n' => {
                    segments.push(self.slice(segment, self.at));
                    segment = self.at + 1;
                }
                b'<' | b'>' if self.peek(1) != Some(b'(') => redirection = Some(self.at + 1),
                b'#' if word == self.at => {
                    quoted_or_commented = true;
                    self.comment(list);
                    continue;
                }
                byte => {
                    quoted_or_commented |= byte == b'\'';
                    self.piece(false);
                    continue;
                }
            }
            self.skip(1);
            word = self.at;
        };
        self.reading.certain &= closed || list == List::Text;
        let enclosed = self.bytes.get(start) == Some(&b'(') && first_pair_closed.is_some_and(|at| at + 1 == self.at);
        if list == List::Dollar && closed && enclosed {
            // Quotes and comments mean something else in arithmetic.
            self.reading.certain &= !quoted_or_commented;
            return true;
        }
        if !segments.is_empty() {
            segments.push(self.slice(segment, self.at));
            self.reading.segments.append(&mut segments);
        }
        false
    }

    /// Reads one character, quoted word or expansion; `quoted` inside double quotes.
    fn piece(&mut self, quoted: bool) {
        match (self.peek(0), self.peek(1)) {
            (Some(b'\\'), _) => self.skip(2),
            (Some(b'\''), _) if !quoted => self.single_quoted(),
            (Some(b'"'), _) if !quoted => self.double_quoted(),
            (Some(b'$'), Some(b'\'')) if !quoted => self.ansi_quoted(),
            (Some(b'`'), _) => self.backticks(quoted),
            (Some(b'$'), Some(b'(')) => self.substitution(List::Dollar),
            (Some(b'<' | b'>'), Some(b'(')) if !quoted => self.substitution(List::Process),
            (Some(b'$'), Some(b'{')) => self.parameter(quoted),
            _ => self.skip(1),
        }
    }

    /// `$(…)`, `<(…)`, `>(…)`, or `$((…))`, in which only nested substitutions run.
    fn substitution(&mut self, list: List) {
        self.skip(2);
        if !self.enter() {
            return;
        }
        let start = self.at;
        let slot = self.reading.substitutions.len();
        self.reading.substitutions.push(String::new());
        if self.commands(list) {
            self.reading.substitutions.remove(slot);
        } else {
            let text = self.slice(start, self.at);
            self.reading.substitutions[slot] = text;
        }
        self.skip(1);
        self.depth -= 1;
    }

    /// `` `…` ``: its text loses one level of escapes and is then a text of its own.
    fn backticks(&mut self, quoted: bool) {
        self.skip(1);
        if !self.enter() {
            return;
        }
        let mut text = Vec::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => {
                    self.reading.certain = false;
                    break;
                }
                (Some(b'`'), _) => {
                    self.skip(1);
                    break;
                }
                (Some(b'\\'), Some(next)) => {
                    let escaped = matches!(next, b'`' | b'\\' | b'$') || quoted && next == b'"';
                    if !escaped {
                        text.push(b'\\');
                    }
                    text.push(next);
                    self.skip(2);
                }
                (Some(byte), _) => {
                    text.push(byte);
                    self.skip(1);
                }
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        self.reading.substitutions.push(text.clone());
        read_text(&text, self.depth, self.reading);
        self.depth -= 1;
    }

    /// `${…}`. Shells disagree about quotes in it when it stands in double quotes itself.
    fn parameter(&mut self, quoted: bool) {
        self.skip(2);
        if !self.enter() {
            return;
        }
        loop {
            match self.peek(0) {
                None => {
                    self.reading.certain = false;
                    break;
                }
                Some(b'}') => {
                    self.skip(1);
                    break;
                }
                Some(b'\'' | b'"') if quoted => {
                    self.reading.certain = false;
                    self.skip(1);
                }
                Some(_) => self.piece(quoted),
            }
        }
        self.depth -= 1;
    }

    fn single_quoted(&mut self) {
        self.skip(1);
        match memchr::memchr(b'\'', self.bytes.get(self.at..).unwrap_or_default()) {
            Some(length) => self.skip(length + 1),
            None => {
                self.reading.certain = false;
                self.at = self.bytes.len();
            }
        }
    }

    /// `$'…'`: an escaped quote closes it in some shells and not in others.
    fn ansi_quoted(&mut self) {
        self.skip(2);
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'\''), _) => return self.skip(1),
                (Some(b'\\'), next) => {
                    self.reading.certain &= next != Some(b'\'');
                    self.skip(2);
                }
                (Some(_), _) => self.skip(1),
                (None, _) => {
                    self.reading.certain = false;
                    return;
                }
            }
        }
    }

    /// `"…"`. A process substitution does not run here; it is examined all the same (D02 b).
    fn double_quoted(&mut self) {
        self.skip(1);
        let mut parentheses: Vec<Option<usize>> = Vec::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => {
                    self.reading.certain = false;
                    return;
                }
                (Some(b'"'), _) => return self.skip(1),
                (Some(b'<' | b'>'), Some(b'(')) => {
                    self.skip(2);
                    parentheses.push(Some(self.at));
                }
                (Some(b'('), _) => {
                    parentheses.push(None);
                    self.skip(1);
                }
                (Some(b')'), _) => {
                    if let Some(Some(start)) = parentheses.pop() {
                        let text = self.slice(start, self.at);
                        self.reading.substitutions.push(text);
                    }
                    self.skip(1);
                }
                _ => self.piece(true),
            }
        }
    }

    /// A comment. Shells disagree whether it hides the end of a substitution from them.
    fn comment(&mut self, list: List) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let closing = |byte: &u8| matches!(byte, b')' | b'\'' | b'"' | b'`');
        self.reading.certain &= list == List::Text || !rest.iter().take(length).any(closing);
        self.skip(length);
    }

    fn enter(&mut self) -> bool {
        let deeper = self.depth < MAX_DEPTH;
        if deeper {
            self.depth += 1;
        }
        self.reading.certain &= deeper;
        deeper
    }
}
