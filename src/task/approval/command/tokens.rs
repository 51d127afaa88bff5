//! The tokeniser of one masked line (spec 02 §11.3 split, step 2).
//!
//! It first cuts the line into chunks (an operator, or a run of bare and quoted text) and then removes quotes and escapes
//! from each. Both steps have quirks of their own that decide what a chunk is; they are kept, because the lists of users
//! are written against them. What they hide from the lists is found by [`super::shell`].

use super::mask::Symbol::{self, Char};
use crate::ecma;

/// A token of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// A word without its quotes and escapes.
    Word(Vec<Symbol>),
    /// `&&`, `||`, `;`, `|` or `&`: ends a command.
    End,
    /// Any other operator, or a chunk that contains one: stands in the command as it is.
    Operator(Vec<Symbol>),
}

/// The line contains `${` that is not an expansion; it cannot be tokenised.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSubstitution;

/// Splits a line into tokens; a comment ends it.
pub fn tokens(line: &[Symbol]) -> Result<Vec<Token>, BadSubstitution> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let operator = operator_length(&line[at..]);
        if operator > 0 {
            tokens.push(operator_token(&line[at..at + operator]));
            at += operator;
            continue;
        }
        let end = chunk_end(line, at);
        if end == at {
            at += 1; // White space, or a quote that nothing closes.
            continue;
        }
        let (token, commented) = unquote(&line[at..end])?;
        tokens.extend(token);
        if commented {
            break;
        }
        at = end;
    }
    Ok(tokens)
}

/// Length of the operator the line starts with, 0 for none.
fn operator_length(line: &[Symbol]) -> usize {
    const LONG: [&str; 9] = ["||", "&&", ";;", "|&", "<(", "<<<", ">>", ">&", "<&"];
    let long = LONG.iter().find(|o| o.chars().enumerate().all(|(i, c)| line.get(i) == Some(&Char(c))));
    match (long, line.first()) {
        (Some(operator), _) => operator.len(),
        (None, Some(symbol)) if is_operator(*symbol) => 1,
        _ => 0,
    }
}

fn operator_token(operator: &[Symbol]) -> Token {
    match operator {
        [Char('&' | ';' | '|')] | [Char('&'), Char('&')] | [Char('|'), Char('|')] => Token::End,
        other => Token::Operator(other.to_vec()),
    }
}

fn is_operator(symbol: Symbol) -> bool {
    matches!(symbol, Char('&' | ';' | '(' | ')' | '|' | '<' | '>'))
}

/// End of the chunk that starts at `at`; `at` itself when none does.
fn chunk_end(line: &[Symbol], mut at: usize) -> usize {
    while let Some(symbol) = line.get(at) {
        at = match symbol {
            Char('\\') if line.get(at + 1).is_some_and(|next| is_escapable(*next)) => at + 2,
            Char(quote @ ('"' | '\'')) => match closing_quote(line, at, *quote) {
                Some(close) => close + 1,
                None => return at,
            },
            Char(c) if ecma::is_space(*c) => return at,
            symbol if is_operator(*symbol) => return at,
            _ => at + 1,
        };
    }
    at
}

fn is_escapable(symbol: Symbol) -> bool {
    is_operator(symbol) || matches!(symbol, Char('\'' | '"' | ' ' | '\t'))
}

/// The quote that closes the one at `open`: the first that no backslash precedes, else the last there is.
fn closing_quote(line: &[Symbol], open: usize, quote: char) -> Option<usize> {
    let mut escaped = None;
    let mut at = open + 1;
    while let Some(symbol) = line.get(at) {
        if *symbol == Char(quote) {
            return Some(at);
        }
        if *symbol == Char('\\') && line.get(at + 1) == Some(&Char(quote)) {
            escaped = Some(at + 1);
            at += 1;
        }
        at += 1;
    }
    escaped
}

/// Removes quotes and escapes from a chunk. The flag says that a comment starts inside it.
fn unquote(chunk: &[Symbol]) -> Result<(Option<Token>, bool), BadSubstitution> {
    let mut word = Vec::with_capacity(chunk.len());
    let mut quote = None;
    let mut at = 0;
    while let Some(symbol) = chunk.get(at).copied() {
        let next = chunk.get(at + 1).copied();
        match (quote, symbol) {
            (Some(open), Char(c)) if c == open => quote = None,
            (Some('"') | None, Char('$')) if next == Some(Char('{')) => return Err(BadSubstitution),
            (Some('"'), Char('\\')) => {
                if !matches!(next, Some(Char('"' | '\\' | '$'))) {
                    word.push(symbol);
                }
                word.extend(next);
                at += 1;
            }
            (Some(_), _) => word.push(symbol),
            (None, Char(c @ ('"' | '\''))) => quote = Some(c),
            (None, symbol) if is_operator(symbol) => return Ok((Some(Token::Operator(chunk.to_vec())), false)),
            (None, Char('#')) => return Ok(((!word.is_empty()).then_some(Token::Word(word)), true)),
            (None, Char('\\')) => {
                word.extend(next);
                at += 1;
            }
            (None, _) => word.push(symbol),
        }
        at += 1;
    }
    Ok((Some(Token::Word(word)), false))
}
