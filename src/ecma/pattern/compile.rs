//! An expression as instructions.

use super::Unusable;
use super::parse::{Node, Set};

/// Most instructions: what is repeated a known number of times stands there as often.
const MAX_INSTRUCTIONS: usize = 20_000;

/// One step of a search. Places are numbers of instructions.
#[derive(Debug)]
pub(super) enum Instruction {
    /// Takes one character.
    One(usize),
    /// Only at the beginning of the text.
    Start,
    /// Only at its end.
    End,
    /// Only at a border of a word, or elsewhere.
    Border { negated: bool },
    /// Goes on at the first, and if that fails at the second.
    Split(usize, usize),
    /// Goes on elsewhere.
    Jump(usize),
    /// Remembers the place in the text.
    Save(usize),
    /// Forgets what was remembered from one number to before another.
    Forget(usize, usize),
    /// Fails where nothing was taken since the place was remembered under this number.
    Moved(usize),
    /// Takes what the group was.
    Same(usize),
    /// Looks for what the following instructions say, up to before the given one, and goes on there.
    Look { behind: bool, negated: bool, next: usize },
    /// Found.
    Done,
}

/// An expression that can be run.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<Set>,
    /// Places that are remembered: two a group, then one a loop.
    pub(super) places: usize,
    /// Whether it refers to groups.
    pub(super) refers: bool,
}

/// Makes instructions of an expression.
pub(super) fn compile(node: &Node) -> Result<Program, Unusable> {
    let mut program = Program { places: 2 * (groups(node).1 + 1), ..Program::default() };
    program.node(node)?;
    program.push(Instruction::Done)?;
    Ok(program)
}

/// The first and the last number of the groups inside; `(usize::MAX, 0)` for none.
fn groups(node: &Node) -> (usize, usize) {
    let join = |one: (usize, usize), other: (usize, usize)| (one.0.min(other.0), one.1.max(other.1));
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(groups).fold((usize::MAX, 0), join),
        Node::Repeat { node, .. } | Node::Look { node, .. } => groups(node),
        Node::Group(number, node) => join((*number, *number), groups(node)),
        Node::One(_) | Node::Start | Node::End | Node::Border { .. } | Node::Same(_) => (usize::MAX, 0),
    }
}

impl Program {
    fn push(&mut self, instruction: Instruction) -> Result<usize, Unusable> {
        if self.code.len() >= MAX_INSTRUCTIONS {
            return Err(Unusable::TooLarge);
        }
        self.code.push(instruction);
        Ok(self.code.len() - 1)
    }

    fn node(&mut self, node: &Node) -> Result<(), Unusable> {
        match node {
            Node::One(set) => {
                self.sets.push(set.clone());
                self.push(Instruction::One(self.sets.len() - 1))?;
            }
            Node::Start => drop(self.push(Instruction::Start)?),
            Node::End => drop(self.push(Instruction::End)?),
            Node::Border { negated } => drop(self.push(Instruction::Border { negated: *negated })?),
            Node::All(nodes) => nodes.iter().try_for_each(|node| self.node(node))?,
            Node::Any(nodes) => self.any(nodes)?,
            Node::Repeat { node, min, max, lazy } => self.repeat(node, *min, *max, *lazy)?,
            Node::Group(number, node) => {
                self.push(Instruction::Save(2 * number))?;
                self.node(node)?;
                self.push(Instruction::Save(2 * number + 1))?;
            }
            Node::Same(number) => {
                self.refers = true;
                self.push(Instruction::Same(*number))?;
            }
            Node::Look { behind, negated, node } => {
                let look = self.push(Instruction::Done)?;
                self.node(node)?;
                self.push(Instruction::Done)?;
                let next = self.code.len();
                self.code[look] = Instruction::Look { behind: *behind, negated: *negated, next };
            }
        }
        Ok(())
    }

    fn any(&mut self, nodes: &[Node]) -> Result<(), Unusable> {
        let mut ends = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            if at + 1 == nodes.len() {
                self.node(node)?;
                break;
            }
            let split = self.push(Instruction::Done)?;
            self.node(node)?;
            ends.push(self.push(Instruction::Done)?);
            self.code[split] = Instruction::Split(split + 1, self.code.len());
        }
        let end = self.code.len();
        ends.into_iter().for_each(|at| self.code[at] = Instruction::Jump(end));
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: usize, max: Option<usize>, lazy: bool) -> Result<(), Unusable> {
        // Once more is as much as ever for what takes nothing; and too much for what does.
        if min > MAX_INSTRUCTIONS || max.is_some_and(|max| max - min.min(max) > MAX_INSTRUCTIONS) {
            return Err(Unusable::TooLarge);
        }
        for _ in 0..min {
            self.once(node)?;
        }
        let split = |one: usize, other: usize| {
            if lazy { Instruction::Split(other, one) } else { Instruction::Split(one, other) }
        };
        let mark = self.places;
        self.places += 1;
        match max {
            None => {
                let start = self.push(Instruction::Done)?;
                self.push(Instruction::Save(mark))?;
                self.once(node)?;
                self.push(Instruction::Moved(mark))?;
                self.push(Instruction::Jump(start))?;
                self.code[start] = split(start + 1, self.code.len());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in min..max {
                    splits.push(self.push(Instruction::Done)?);
                    self.push(Instruction::Save(mark))?;
                    self.once(node)?;
                    self.push(Instruction::Moved(mark))?;
                }
                let end = self.code.len();
                splits.into_iter().for_each(|at| self.code[at] = split(at + 1, end));
            }
        }
        Ok(())
    }

    /// A repetition: the groups inside begin anew.
    fn once(&mut self, node: &Node) -> Result<(), Unusable> {
        let (first, last) = groups(node);
        if first <= last {
            self.push(Instruction::Forget(2 * first, 2 * last + 2))?;
        }
        self.node(node)
    }
}
