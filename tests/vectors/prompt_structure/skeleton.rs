//! Compares a text with its skeleton: literal outside `⟦…⟧`, prose within (the vectors' `note`).
//!
//! `⟦id|a|b⟧` is one stretch of prose of at least one character that holds `a` and `b`; `⟦x.body⟧` alone on a line stands for one
//! line or more. The same id with the same arguments is the same text everywhere, but for ids that count inside their block.

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// Whether `ours` has the form of `recorded`. Every list of texts in `recorded` is a skeleton, one entry a line; so is a single
/// text. All else must be equal. Prints why not.
pub fn matches(ours: &Value, recorded: &Value) -> bool {
    match compare(ours, recorded) {
        Ok(()) => true,
        Err(why) => {
            println!("  skeleton: {why}");
            false
        }
    }
}

fn compare(ours: &Value, recorded: &Value) -> Result<(), String> {
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort();
                keys
            };
            if keys(a) != keys(b) {
                return Err(format!("keys {:?}, recorded {:?}", keys(a), keys(b)));
            }
            b.iter().try_for_each(|(key, recorded)| compare(&a[key], recorded).map_err(|why| format!("{key}: {why}")))
        }
        (Value::Array(a), Value::Array(b)) => match (texts(a), texts(b)) {
            (Some(ours), Some(skeleton)) => lines(&ours, &skeleton),
            _ if a.len() != b.len() => Err(format!("{} entries, recorded {}", a.len(), b.len())),
            _ => {
                a.iter().zip(b).enumerate().try_for_each(|(at, (a, b))| compare(a, b).map_err(|w| format!("{at}: {w}")))
            }
        },
        (Value::String(ours), Value::String(skeleton)) => lines(&[ours], &[skeleton]),
        _ if crate::support::equal(ours, recorded) => Ok(()),
        _ => Err(format!("{ours}, recorded {recorded}")),
    }
}

/// The list as texts, if it holds nothing else.
fn texts(list: &[Value]) -> Option<Vec<&str>> {
    list.iter().map(Value::as_str).collect()
}

/// One line of a skeleton.
struct Line<'a> {
    source: &'a str,
    pattern: Regex,
    /// Ids with their arguments, in order.
    prose: Vec<(&'a str, Vec<&'a str>)>,
    /// May take several lines.
    body: bool,
}

impl<'a> Line<'a> {
    fn parse(source: &'a str) -> Line<'a> {
        let (mut pattern, mut prose, mut rest) = (String::from("(?s)^"), Vec::new(), source);
        while let Some((literal, tail)) = rest.split_once('⟦') {
            let (inner, after) = tail.split_once('⟧').expect("a placeholder ends");
            let mut parts = inner.split('|');
            prose.push((parts.next().unwrap_or_default(), parts.collect()));
            pattern.push_str(&regex::escape(literal));
            pattern.push_str("(.+?)");
            rest = after;
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push('$');
        let whole = source.starts_with('⟦') && source.ends_with('⟧') && prose.len() == 1;
        let body = whole && prose[0].0.split('+').next().is_some_and(|id| id.ends_with(".body"));
        Line { source, pattern: Regex::new(&pattern).expect("literals are escaped"), prose, body }
    }
}

/// Walks both lists; a body takes as few lines as it can. `Err` names the farthest line that does not fit.
fn lines(ours: &[&str], skeleton: &[&str]) -> Result<(), String> {
    let parsed: Vec<Line<'_>> = skeleton.iter().map(|line| Line::parse(line)).collect();
    let (mut at, mut line) = (0, 0);
    // Where to go on when a line does not fit: the last body takes one more.
    let mut longer: Option<(usize, usize)> = None;
    let mut farthest = (0, 0);
    let mut starts = vec![0; parsed.len()];
    loop {
        if line == parsed.len() && at == ours.len() {
            break;
        }
        if at + line > farthest.0 + farthest.1 {
            farthest = (at, line);
        }
        if let Some(expected) =
            parsed.get(line).filter(|expected| at < ours.len() && expected.pattern.is_match(ours[at]))
        {
            starts[line] = at;
            (at, line) = (at + 1, line + 1);
            if expected.body {
                longer = Some((at, line));
            }
            continue;
        }
        match longer.filter(|(taken, _)| *taken < ours.len()) {
            Some((taken, next)) => {
                (at, line) = (taken + 1, next);
                longer = Some((at, line));
            }
            None => {
                let (at, line) = farthest;
                let shown = |list: &[&str], at: usize| list.get(at).map_or("the end".to_owned(), |l| format!("{l:?}"));
                return Err(format!("line {at}: {}, recorded {}", shown(ours, at), shown(skeleton, line)));
            }
        }
    }
    prose(ours, &parsed, &starts)
}

/// The arguments of each stretch, and that an id is one text.
fn prose(ours: &[&str], skeleton: &[Line<'_>], starts: &[usize]) -> Result<(), String> {
    let mut known: HashMap<&str, String> = HashMap::new();
    for (number, line) in skeleton.iter().enumerate().filter(|(_, line)| !line.prose.is_empty()) {
        let end = if line.body { starts.get(number + 1).copied().unwrap_or(ours.len()) } else { starts[number] + 1 };
        let text = ours[starts[number]..end].join("\n");
        let found = line.pattern.captures(&text).ok_or_else(|| format!("{:?} is not {text:?}", line.source))?;
        for (at, (id, arguments)) in line.prose.iter().enumerate() {
            let stretch = &found[at + 1];
            // With several stretches in a line, where one ends is a guess.
            let stretch = if line.prose.len() == 1 { stretch } else { &text };
            if let Some(absent) = arguments.iter().find(|argument| !stretch.contains(**argument)) {
                return Err(format!("{id} lacks {absent:?}: {stretch:?}"));
            }
            let counts = id.split('+').next().unwrap_or(id).ends_with(|last: char| last.is_ascii_digit());
            if line.prose.len() == 1 && !line.body && !counts {
                let before = known.entry(line.source.trim()).or_insert_with(|| stretch.to_owned());
                if before != stretch {
                    return Err(format!("{id} is {before:?} and {stretch:?}"));
                }
            }
        }
    }
    Ok(())
}
