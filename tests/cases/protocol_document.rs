//! `docs/protocol.md` names exactly what the code knows.

use std::collections::BTreeSet;

use lapce_ai::engine::HOST_METHODS;
use lapce_ai::protocol::event::{Class, EventKind};
use lapce_ai::protocol::failure::ErrorKind;
use lapce_ai::protocol::request::RequestKind;

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// The part under this heading, up to the next one of its level.
fn section(heading: &str) -> &'static str {
    let start = DOCUMENT.find(heading).unwrap_or_else(|| panic!("no `{heading}`")) + heading.len();
    let level = heading.split(' ').next().unwrap_or_default();
    DOCUMENT[start..].split(&format!("\n{level} ")).next().unwrap_or_default()
}

/// The rows of a table: what stands in the cells, the first without its marks.
fn rows(text: &'static str) -> Vec<Vec<&'static str>> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| line.split(" | ").map(|cell| cell.trim_matches(['`', '|', ' '])).collect())
        .collect()
}

fn names<'a>(rows: &[Vec<&'a str>]) -> BTreeSet<&'a str> {
    rows.iter().map(|row| row[0]).collect()
}

#[test]
fn every_request_is_documented_and_nothing_else() {
    let text = section("## Requests").split("\n### ").next().unwrap_or_default();
    let built = RequestKind::ALL.iter().filter(|kind| kind.is_built()).map(|kind| kind.as_str());
    assert_eq!(names(&rows(text)), built.collect());
    let later = text.split("Known and not built").nth(1).unwrap_or_default().split(": ").nth(1).unwrap_or_default();
    let named = later.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>();
    let unbuilt = RequestKind::ALL.iter().filter(|kind| !kind.is_built()).map(|kind| kind.as_str());
    assert_eq!(named, unbuilt.collect());
}

#[test]
fn every_event_is_documented_with_class_subject_and_fields() {
    let rows = rows(section("## Events"));
    assert_eq!(names(&rows), EventKind::ALL.iter().map(|kind| kind.as_str()).collect());
    for row in rows {
        let kind = EventKind::parse(row[0]).expect("named in the code");
        let class = if kind.class() == Class::Lossless { "L" } else { "C" };
        let class = if kind.is_control() { format!("{class}, control") } else { class.to_owned() };
        assert_eq!((row[1], row[2]), (class.as_str(), kind.subject().unwrap_or("")), "{}", row[0]);
        let fields: Vec<&str> =
            row[3].split('`').filter(|part| part.starts_with(|c: char| c.is_ascii_lowercase())).collect();
        assert_eq!(fields, kind.fields(), "{}", row[0]);
    }
}

#[test]
fn every_host_request_and_failure_is_documented() {
    let methods: BTreeSet<(&str, String)> =
        rows(section("## Host requests")).iter().map(|row| (row[0], row[1].replace(',', ""))).collect();
    assert_eq!(methods, HOST_METHODS.iter().map(|(name, limit)| (*name, limit.to_string())).collect());
    assert_eq!(
        names(&rows(section("### Failures").split("\n## ").next().unwrap_or_default())),
        ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect()
    );
}
