//! Reading an expression that is known to be valid: ECMAScript without flags, with what its Annex B allows.

use std::iter::Peekable;
use std::str::Chars;

use super::Unusable;
use crate::ecma;

/// Groups that may stand in each other.
const MAX_DEPTH: usize = 64;

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One character of a set.
    One(Set),
    /// The beginning of the text.
    Start,
    /// Its end.
    End,
    /// A border of a word, or none.
    Border {
        /// Whether there is to be none.
        negated: bool,
    },
    /// One after the other.
    All(Vec<Node>),
    /// One of these, tried in this order.
    Any(Vec<Node>),
    /// Several times the same.
    Repeat {
        /// What.
        node: Box<Node>,
        /// Least times.
        min: usize,
        /// Most times.
        max: Option<usize>,
        /// Few times are tried first.
        lazy: bool,
    },
    /// A group that is remembered under its number, from 1.
    Group(usize, Box<Node>),
    /// What a group was.
    Same(usize),
    /// What stands before or behind, without being taken.
    Look {
        /// Before it.
        behind: bool,
        /// Whether it is to be absent.
        negated: bool,
        /// What.
        node: Box<Node>,
    },
}

/// Characters, by ranges of their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    ranges: Vec<(u32, u32)>,
    negated: bool,
}

impl Set {
    pub(super) fn contains(&self, c: char) -> bool {
        let c = u32::from(c);
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != self.negated
    }

    fn one(c: char) -> Set {
        Set { ranges: vec![(c.into(), c.into())], negated: false }
    }

    /// Adds the characters of a class such as `\d`.
    fn add_class(&mut self, class: char) {
        let ranges = match class.to_ascii_lowercase() {
            'd' => vec![('0', '9')],
            'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            _ => (char::MIN..='\u{ffff}').filter(|c| ecma::is_space(*c)).map(|c| (c, c)).collect(),
        };
        let ranges = ranges.into_iter().map(|(from, to)| (u32::from(from), u32::from(to)));
        if class.is_ascii_lowercase() {
            self.ranges.extend(ranges);
            return;
        }
        let mut next = 0;
        for (from, to) in ranges {
            if next < from {
                self.ranges.push((next, from - 1));
            }
            next = to + 1;
        }
        self.ranges.push((next, char::MAX.into()));
    }
}

/// Reads an expression.
pub(super) fn parse(source: &str) -> Result<Node, Unusable> {
    let names = groups(source);
    let mut parser = Parser { rest: source.chars().peekable(), names, group: 0, depth: 0 };
    let node = parser.any()?;
    if parser.rest.next().is_some() { Err(Unusable::Unsupported) } else { Ok(node) }
}

/// The groups that are remembered, with their names.
fn groups(source: &str) -> Vec<Option<String>> {
    let mut groups = Vec::new();
    let mut rest = source.chars();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => match rest.as_str().strip_prefix("?<") {
                Some(name) if !name.starts_with(['=', '!']) => {
                    groups.push(name.split_once('>').map(|(name, _)| name.to_owned()));
                }
                None if !rest.as_str().starts_with('?') => groups.push(None),
                _ => {}
            },
            _ => {}
        }
    }
    groups
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    names: Vec<Option<String>>,
    /// The last group that was begun.
    group: usize,
    depth: usize,
}

/// What stands behind a backslash.
enum Escape {
    One(char),
    Class(char),
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Node, Unusable> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unusable::TooLarge);
        }
        let mut choices = vec![self.all()?];
        while self.rest.next_if_eq(&'|').is_some() {
            choices.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if choices.len() == 1 { choices.remove(0) } else { Node::Any(choices) })
    }

    fn all(&mut self) -> Result<Node, Unusable> {
        let mut parts = Vec::new();
        while let Some(c) = self.rest.peek().copied().filter(|c| !matches!(c, '|' | ')')) {
            self.rest.next();
            let part = self.part(c)?;
            parts.push(self.repeated(part)?);
        }
        Ok(Node::All(parts))
    }

    fn part(&mut self, c: char) -> Result<Node, Unusable> {
        Ok(match c {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => {
                let line_ends = ['\n', '\r', '\u{2028}', '\u{2029}'].map(|c| (c.into(), c.into()));
                Node::One(Set { ranges: line_ends.to_vec(), negated: true })
            }
            '[' => Node::One(self.class()?),
            '(' => self.group()?,
            '\\' => match self.rest.peek().copied().ok_or(Unusable::Unsupported)? {
                'b' | 'B' => Node::Border { negated: self.rest.next() == Some('B') },
                '1'..='9' => Node::Same(self.group_number()?),
                'k' if self.names.iter().any(Option::is_some) => Node::Same(self.group_name()?),
                _ => match self.escape()? {
                    Escape::One(c) => Node::One(Set::one(c)),
                    Escape::Class(class) => {
                        let mut set = Set::default();
                        set.add_class(class);
                        Node::One(set)
                    }
                },
            },
            other => Node::One(Set::one(other)),
        })
    }

    fn group(&mut self) -> Result<Node, Unusable> {
        let mut wrap: Box<dyn FnOnce(Box<Node>) -> Node> = Box::new(|node| *node);
        let look = |behind, negated| Box::new(move |node| Node::Look { behind, negated, node });
        if self.rest.next_if_eq(&'?').is_none() {
            self.group += 1;
            let number = self.group;
            wrap = Box::new(move |node| Node::Group(number, node));
        } else {
            match (self.rest.next(), self.rest.peek()) {
                (Some(':'), _) => {}
                (Some('='), _) => wrap = look(false, false),
                (Some('!'), _) => wrap = look(false, true),
                (Some('<'), Some('=' | '!')) => wrap = look(true, self.rest.next() == Some('!')),
                (Some('<'), _) => {
                    self.group += 1;
                    let number = self.group;
                    wrap = Box::new(move |node| Node::Group(number, node));
                    self.rest.by_ref().take_while(|c| *c != '>').for_each(drop);
                }
                _ => return Err(Unusable::Unsupported),
            }
        }
        let node = self.any()?;
        self.rest.next_if_eq(&')').ok_or(Unusable::Unsupported)?;
        Ok(wrap(Box::new(node)))
    }

    fn group_number(&mut self) -> Result<usize, Unusable> {
        let mut number = 0usize;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = number.saturating_mul(10).saturating_add(digit as usize);
        }
        // More than there are groups is an octal number.
        if number <= self.names.len() { Ok(number) } else { Err(Unusable::Unsupported) }
    }

    fn group_name(&mut self) -> Result<usize, Unusable> {
        let text: String = self.rest.by_ref().take_while(|c| *c != '>').collect();
        let name = text.strip_prefix("k<").ok_or(Unusable::Unsupported)?;
        let at = self.names.iter().position(|known| known.as_deref() == Some(name));
        at.map(|at| at + 1).ok_or(Unusable::Unsupported)
    }

    /// What follows a backslash, in and outside of classes.
    fn escape(&mut self) -> Result<Escape, Unusable> {
        let one = match self.rest.next().ok_or(Unusable::Unsupported)? {
            class @ ('d' | 'D' | 'w' | 'W' | 's' | 'S') => return Ok(Escape::Class(class)),
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => '\0',
            '0'..='9' | 'k' => return Err(Unusable::Unsupported),
            'c' => match self.rest.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter as u8 % 32),
                None => return Err(Unusable::Unsupported),
            },
            'x' => self.number(2, 'x')?,
            'u' => self.number(4, 'u')?,
            other => other,
        };
        Ok(Escape::One(one))
    }

    /// The character of a number of this many hexadecimal digits; the letter itself without them.
    fn number(&mut self, digits: usize, letter: char) -> Result<char, Unusable> {
        let ahead: String = self.rest.clone().take(digits).take_while(char::is_ascii_hexdigit).collect();
        if ahead.len() < digits {
            return Ok(letter);
        }
        self.rest.by_ref().take(digits).for_each(drop);
        // Halves of a character are none here.
        u32::from_str_radix(&ahead, 16).ok().and_then(char::from_u32).ok_or(Unusable::Unsupported)
    }

    fn class(&mut self) -> Result<Set, Unusable> {
        let mut set = Set { negated: self.rest.next_if_eq(&'^').is_some(), ..Set::default() };
        loop {
            let from = match self.rest.next().ok_or(Unusable::Unsupported)? {
                ']' => return Ok(set),
                c => self.class_part(c)?,
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            if !is_range {
                match from {
                    Escape::One(c) => set.ranges.push((c.into(), c.into())),
                    Escape::Class(class) => set.add_class(class),
                }
                continue;
            }
            self.rest.next();
            let to = self.rest.next().ok_or(Unusable::Unsupported)?;
            match (from, self.class_part(to)?) {
                (Escape::One(from), Escape::One(to)) => set.ranges.push((from.into(), to.into())),
                // A dash beside a class is one.
                (from, to) => {
                    set.ranges.push(('-'.into(), '-'.into()));
                    for part in [from, to] {
                        match part {
                            Escape::One(c) => set.ranges.push((c.into(), c.into())),
                            Escape::Class(class) => set.add_class(class),
                        }
                    }
                }
            }
        }
    }

    fn class_part(&mut self, c: char) -> Result<Escape, Unusable> {
        match c {
            '\\' if self.rest.next_if_eq(&'b').is_some() => Ok(Escape::One('\u{8}')),
            '\\' => self.escape(),
            c => Ok(Escape::One(c)),
        }
    }

    /// The part as often as what follows it says.
    fn repeated(&mut self, part: Node) -> Result<Node, Unusable> {
        let (min, max) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some((counts, length)) => {
                    self.rest.by_ref().take(length - 1).for_each(drop);
                    counts
                }
                None => return Ok(part),
            },
            _ => return Ok(part),
        };
        self.rest.next();
        let lazy = self.rest.next_if_eq(&'?').is_some();
        Ok(Node::Repeat { node: Box::new(part), min, max, lazy })
    }

    /// `{n}`, `{n,}` or `{n,m}` and how long it is; any other brace is a character.
    fn counts(&self) -> Option<((usize, Option<usize>), usize)> {
        let text: String = self.rest.clone().take_while(|c| *c != '}').collect();
        let inner = text.strip_prefix('{').filter(|_| self.rest.clone().nth(text.chars().count()) == Some('}'))?;
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().unwrap_or(usize::MAX))
        };
        let counts = match inner.split_once(',') {
            None => (number(inner)?, Some(number(inner)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        Some((counts, text.chars().count() + 1))
    }
}
