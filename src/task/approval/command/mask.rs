//! Hides the expansions and quoted words of a line from the tokeniser (spec 02 §11.3 split, steps 1 and 4).
//!
//! A hidden piece becomes one symbol that no text can spell, so text that looks like a placeholder is ordinary text (D02 d).

use std::ops::Range;

use crate::ecma;

/// One character of a masked line, or a hidden piece by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// An ordinary character.
    Char(char),
    /// A hidden piece.
    Hole(usize),
}

use Symbol::{Char, Hole};

/// A hidden piece of the line; may contain earlier ones.
struct Piece {
    text: Vec<Symbol>,
    subshell: bool,
}

/// A line with its expansions and double-quoted words hidden.
pub struct Masked {
    /// What the tokeniser sees.
    pub symbols: Vec<Symbol>,
    pieces: Vec<Piece>,
}

/// What a rule says about a position of the line.
enum Found {
    /// Nothing starts before this position, which must lie behind the one asked about.
    Nothing(usize),
    /// Nothing starts anywhere further on.
    NoMore,
    /// A piece starts here and ends before `end`; `text` of it is kept.
    Piece { end: usize, text: Range<usize>, subshell: bool },
}

/// Hides in this order: redirections, arithmetic, parameters, process substitutions, variables, command substitutions,
/// double-quoted words.
pub fn mask(line: &str) -> Masked {
    let mut masked = Masked { symbols: line.chars().map(Char).collect(), pieces: Vec::new() };
    masked.hide(redirection);
    masked.hide(arithmetic);
    masked.hide(|s, at| delimited(s, at, "$[", ']', 0, false));
    masked.hide(|s, at| delimited(s, at, "${", '}', 1, false));
    masked.hide(|s, at| match s[at] {
        Char('<') => delimited(s, at, "<(", ')', 0, true),
        Char('>') => delimited(s, at, ">(", ')', 0, true),
        _ => Found::Nothing(at + 1),
    });
    masked.hide(variable);
    masked.hide(special_variable);
    masked.hide(|s, at| delimited(s, at, "$(", ')', 0, true));
    masked.hide(|s, at| delimited(s, at, "`", '`', 0, true));
    masked.hide(|s, at| delimited(s, at, "\"", '"', 0, false));
    masked
}

impl Masked {
    /// The text of a hidden command substitution.
    pub fn subshell(&self, symbol: Symbol) -> Option<&[Symbol]> {
        match symbol {
            Hole(number) => self.pieces.get(number).filter(|p| p.subshell).map(|p| p.text.as_slice()),
            Char(_) => None,
        }
    }

    /// The text behind the symbols.
    pub fn restore(&self, symbols: &[Symbol]) -> String {
        let mut text = String::with_capacity(symbols.len());
        self.restore_into(symbols, &mut text);
        text
    }

    /// Nesting is bounded by the number of rules: a rule never sees what it has hidden itself.
    fn restore_into(&self, symbols: &[Symbol], text: &mut String) {
        for symbol in symbols {
            match *symbol {
                Char(c) => text.push(c),
                Hole(number) => {
                    if let Some(piece) = self.pieces.get(number) {
                        self.restore_into(&piece.text, text);
                    }
                }
            }
        }
    }

    fn hide(&mut self, rule: impl Fn(&[Symbol], usize) -> Found) {
        let line = std::mem::take(&mut self.symbols);
        let mut at = 0;
        while at < line.len() {
            match rule(&line, at) {
                Found::Nothing(next) => {
                    self.symbols.extend_from_slice(&line[at..next]);
                    at = next;
                }
                Found::NoMore => break,
                Found::Piece { end, text, subshell } => {
                    let text = if subshell { trim(&line[text]) } else { &line[text] };
                    self.symbols.push(Hole(self.pieces.len()));
                    self.pieces.push(Piece { text: text.to_vec(), subshell });
                    at = end;
                }
            }
        }
        self.symbols.extend_from_slice(&line[at..]);
    }
}

/// `<open>…<close>` with at least `least` symbols between, to the next closing character.
fn delimited(line: &[Symbol], at: usize, open: &str, close: char, least: usize, subshell: bool) -> Found {
    if !starts_with(line, at, open) {
        return Found::Nothing(at + 1);
    }
    let inner = at + open.len();
    match line[inner..].iter().position(|s| *s == Char(close)) {
        None => Found::NoMore,
        Some(length) if length < least => Found::Nothing(at + 1),
        Some(length) => {
            let end = inner + length + 1;
            Found::Piece { end, text: if subshell { inner..inner + length } else { at..end }, subshell }
        }
    }
}

/// `2>&1` with any number of digits on both sides.
fn redirection(line: &[Symbol], at: usize) -> Found {
    let arrow = at + digits(&line[at..]);
    if !starts_with(line, arrow, ">&") {
        return Found::Nothing(arrow.max(at + 1));
    }
    let end = arrow + 2 + digits(&line[arrow + 2..]);
    Found::Piece { end, text: at..end, subshell: false }
}

/// `$((…))` up to the last `))` of the line.
fn arithmetic(line: &[Symbol], at: usize) -> Found {
    if !starts_with(line, at, "$((") {
        return Found::Nothing(at + 1);
    }
    match line.windows(2).rposition(|pair| pair == [Char(')'), Char(')')]) {
        Some(close) if close >= at + 3 => Found::Piece { end: close + 2, text: at..close + 2, subshell: false },
        _ => Found::NoMore,
    }
}

/// `$name`.
fn variable(line: &[Symbol], at: usize) -> Found {
    let is_name = |s: &Symbol| matches!(s, Char(c) if c.is_ascii_alphanumeric() || *c == '_');
    let starts = matches!(line.get(at + 1), Some(Char(c)) if c.is_ascii_alphabetic() || *c == '_');
    if line[at] != Char('$') || !starts {
        return Found::Nothing(at + 1);
    }
    let end = at + 1 + line[at + 1..].iter().take_while(|s| is_name(s)).count();
    Found::Piece { end, text: at..end, subshell: false }
}

/// `$?`, `$1` and their kin.
fn special_variable(line: &[Symbol], at: usize) -> Found {
    match (line[at], line.get(at + 1)) {
        (Char('$'), Some(Char('?' | '!' | '#' | '$' | '@' | '*' | '-' | '0'..='9'))) => {
            Found::Piece { end: at + 2, text: at..at + 2, subshell: false }
        }
        _ => Found::Nothing(at + 1),
    }
}

fn starts_with(line: &[Symbol], at: usize, text: &str) -> bool {
    text.chars().enumerate().all(|(i, c)| line.get(at + i) == Some(&Char(c)))
}

fn digits(line: &[Symbol]) -> usize {
    line.iter().take_while(|s| matches!(s, Char('0'..='9'))).count()
}

fn trim(text: &[Symbol]) -> &[Symbol] {
    let space = |s: &Symbol| matches!(s, Char(c) if ecma::is_space(*c));
    let start = text.iter().position(|s| !space(s)).unwrap_or(text.len());
    let end = text.iter().rposition(|s| !space(s)).map_or(start, |last| last + 1);
    &text[start..end]
}
