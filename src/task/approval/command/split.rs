//! The compatible splitting of a command text into sub-commands (spec 02 §11.3 "split"), with glob words kept (D02 a).

use super::mask::{Masked, Symbol, Symbol::Char, mask};
use super::tokens::{Token, tokens};
use super::without_redirection;
use crate::ecma;

/// A split text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The sub-commands in order.
    pub commands: Vec<String>,
    /// Substitutions, as `$(…)`, that stand where the name of a command belongs: what they print is run.
    pub computed: Vec<String>,
}

/// The sub-commands of a text, line by line.
pub fn split(command: &str) -> Split {
    let mut split = Split::default();
    // CR LF leaves an empty line between, which is skipped like any blank one.
    for line in command.split(['\n', '\r']).filter(|line| !ecma::trim(line).is_empty()) {
        let masked = mask(line);
        match tokens(&masked.symbols) {
            Ok(tokens) => build(tokens, &masked, &mut split),
            Err(_) => split.commands.extend(split_at_operators(&masked)),
        }
    }
    split
}

fn build(tokens: Vec<Token>, masked: &Masked, split: &mut Split) {
    let mut words: Vec<String> = Vec::new();
    let mut named = false;
    for token in tokens {
        let text = match token {
            Token::End => {
                named = false;
                end_command(&mut words, split);
                continue;
            }
            Token::Operator(text) => text,
            Token::Word(text) => match text.iter().find_map(|symbol| masked.subshell(*symbol)) {
                Some(subshell) => {
                    end_command(&mut words, split);
                    let command = masked.restore(subshell);
                    if !named && !is_assignment(&text) {
                        split.computed.push(format!("$({command})"));
                        named = true;
                    }
                    split.commands.push(command);
                    continue;
                }
                None => text,
            },
        };
        let word = masked.restore(&text);
        named |= !without_redirection(&word).is_empty();
        words.push(word);
    }
    end_command(&mut words, split);
}

fn end_command(words: &mut Vec<String>, split: &mut Split) {
    if !words.is_empty() {
        split.commands.push(words.join(" "));
        words.clear();
    }
}

/// `name=…`
fn is_assignment(word: &[Symbol]) -> bool {
    let name = word.iter().take_while(|s| matches!(s, Char(c) if c.is_ascii_alphanumeric() || *c == '_')).count();
    let starts = matches!(word.first(), Some(Char(c)) if !c.is_ascii_digit());
    starts && name > 0 && word.get(name) == Some(&Char('='))
}

/// What is done with a line that cannot be tokenised: cut at every `&`, `|` and `;`, quotes or not.
fn split_at_operators(masked: &Masked) -> Vec<String> {
    let operator = |symbol: &Symbol| matches!(symbol, Char('&' | '|' | ';'));
    let parts = masked.symbols.split(operator).map(|part| ecma::trim(&masked.restore(part)).to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}
