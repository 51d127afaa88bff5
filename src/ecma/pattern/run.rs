//! Running the instructions of an expression over a text, without recursion but for what looks around.

use std::collections::HashSet;

use super::TooLong;
use super::compile::{Instruction, Program};

/// Whether the expression is found anywhere.
pub(super) fn search(program: &Program, text: &str, steps: usize) -> Result<bool, TooLong> {
    let mut run = Run { program, text, steps, places: vec![None; program.places] };
    // What failed once from a place fails again, wherever the search began.
    let mut tried = HashSet::new();
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for start in starts {
        if run.program.refers {
            run.places.fill(None);
        }
        if run.from(0, start, None, &mut tried)? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Run<'a> {
    program: &'a Program,
    text: &'a str,
    steps: usize,
    places: Vec<Option<usize>>,
}

/// What is done when the present way fails, the last first.
enum Fallback {
    /// Another way, from an instruction and a place in the text.
    Way(usize, usize),
    /// What was remembered before.
    Place(usize, Option<usize>),
}

impl Run<'_> {
    /// Whether the instructions from `pc` on lead to their end from this place in the text, and if given, to that place.
    fn from(
        &mut self,
        pc: usize,
        at: usize,
        end: Option<usize>,
        tried: &mut HashSet<(usize, usize)>,
    ) -> Result<bool, TooLong> {
        let mut fallbacks = vec![Fallback::Way(pc, at)];
        while let Some(fallback) = fallbacks.pop() {
            let (mut pc, mut at) = match fallback {
                Fallback::Way(pc, at) => (pc, at),
                Fallback::Place(place, before) => {
                    self.places[place] = before;
                    continue;
                }
            };
            loop {
                self.steps = self.steps.checked_sub(1).ok_or(TooLong)?;
                // What groups were matters only to who refers to them.
                if !self.program.refers && !tried.insert((pc, at)) {
                    break;
                }
                let Some(instruction) = self.program.code.get(pc) else { break };
                let goes_on = match instruction {
                    Instruction::Done if end.is_none_or(|end| end == at) => return Ok(true),
                    Instruction::Done => false,
                    Instruction::One(set) => match self.text[at..].chars().next() {
                        Some(c) if self.program.sets[*set].contains(c) => {
                            at += c.len_utf8();
                            true
                        }
                        _ => false,
                    },
                    Instruction::Start => at == 0,
                    Instruction::End => at == self.text.len(),
                    Instruction::Border { negated } => self.is_border(at) != *negated,
                    Instruction::Split(first, second) => {
                        fallbacks.push(Fallback::Way(*second, at));
                        pc = *first;
                        continue;
                    }
                    Instruction::Jump(to) => {
                        pc = *to;
                        continue;
                    }
                    Instruction::Save(place) => {
                        self.remember(*place, Some(at), &mut fallbacks);
                        true
                    }
                    Instruction::Forget(first, behind) => {
                        (*first..*behind).for_each(|place| self.remember(place, None, &mut fallbacks));
                        true
                    }
                    Instruction::Moved(place) => !self.program.refers || self.places[*place] != Some(at),
                    Instruction::Same(group) => match (self.places[2 * group], self.places[2 * group + 1]) {
                        (Some(from), Some(to)) if self.text[at..].starts_with(&self.text[from..to]) => {
                            at += to - from;
                            true
                        }
                        (Some(_), Some(_)) => false,
                        _ => true,
                    },
                    Instruction::Look { behind, negated, next } => {
                        let before = self.program.refers.then(|| self.places.clone());
                        let found = self.looks(pc + 1, at, *behind)?;
                        if let Some(before) = before {
                            self.keep_places(before, found && !negated, &mut fallbacks);
                        }
                        if found != *negated {
                            pc = *next;
                            continue;
                        }
                        false
                    }
                };
                if !goes_on {
                    break;
                }
                pc += 1;
            }
        }
        Ok(false)
    }

    /// What stands at a place, or ends there.
    fn looks(&mut self, pc: usize, at: usize, behind: bool) -> Result<bool, TooLong> {
        if !behind {
            return self.from(pc, at, None, &mut HashSet::new());
        }
        let mut tried = HashSet::new();
        for start in (0..=at).rev().filter(|start| self.text.is_char_boundary(*start)) {
            if self.from(pc, start, Some(at), &mut tried)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn remember(&mut self, place: usize, at: Option<usize>, fallbacks: &mut Vec<Fallback>) {
        if self.program.refers {
            fallbacks.push(Fallback::Place(place, self.places[place]));
            self.places[place] = at;
        }
    }

    /// Keeps or takes back what was remembered while looking around.
    fn keep_places(&mut self, before: Vec<Option<usize>>, keep: bool, fallbacks: &mut Vec<Fallback>) {
        if !keep {
            self.places = before;
            return;
        }
        let changed = before.into_iter().enumerate().filter(|(place, at)| self.places[*place] != *at);
        fallbacks.extend(changed.map(|(place, at)| Fallback::Place(place, at)));
    }

    fn is_border(&self, at: usize) -> bool {
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let bytes = self.text.as_bytes();
        is_word(at.checked_sub(1).and_then(|before| bytes.get(before))) != is_word(bytes.get(at))
    }
}
