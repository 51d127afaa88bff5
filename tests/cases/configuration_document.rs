//! `docs/configuration.md` and `docs/schema/settings.json` are generated from the table of settings.
//!
//! `LAPCE_AI_BLESS=1 cargo test --test main configuration_document` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lapce_ai::protocol::secret::is_secret;
use lapce_ai::settings::schema::{Key, Scope, Type, Who, json_schema, schema};

const HEAD: &str = "# Configuration

Generated from the [table of settings](../src/settings/schema/keys.toml): do not edit. The same [as a JSON schema](schema/settings.json).

`null` returns a setting to its default. A value that is not what is said here is refused with its place; keys that are not listed here are kept,
without effect. *who* is who acts on a setting: the engine, the host, or both; what is the host's is kept for it. *in workspaces* marks settings that a workspace
may bring along. *secret* values are never given back.
";

fn blessed(name: &str, text: &str) {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("LAPCE_AI_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/{name} is out of date: LAPCE_AI_BLESS=1 cargo test --test main configuration_document"
    );
}

#[test]
fn the_schema_of_settings_is_up_to_date() {
    blessed("schema/settings.json", &(serde_json::to_string_pretty(&json_schema()).unwrap() + "\n"));
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let mut page = HEAD.to_owned();
    for section in &schema().sections {
        let _ = write!(page, "\n## {}\n\n", section.title);
        table(&section.keys, &mut page);
    }
    page.push_str("\n## Objects\n");
    for (name, fields) in &schema().objects {
        let _ = write!(page, "\n### {name}\n\n");
        table(fields, &mut page);
    }
    blessed("configuration.md", &page);
}

fn table(keys: &BTreeMap<String, Key>, page: &mut String) {
    page.push_str("| setting | type | default | who | |\n|---|---|---|---|---|\n");
    for (name, key) in keys {
        let default = key.default.as_ref().map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
        let who = match key.who {
            Who::Engine => "engine",
            Who::Host => "host",
            Who::Both => "both",
        };
        let mut notes = vec![key.doc.clone()];
        notes.extend(key.providers.as_ref().map(|owners| format!("*{}*", owners.join(", "))));
        notes.extend((key.scope == Scope::Workspace).then(|| "*of one workspace*".to_owned()));
        notes.extend(key.project.then(|| "*in workspaces*".to_owned()));
        notes.extend(is_secret(name).then(|| "*secret*".to_owned()));
        let _ = writeln!(page, "| `{name}` | {} | {default} | {who} | {} |", kind(key), notes.join(" "));
    }
}

fn kind(key: &Key) -> String {
    let mut text = words(&key.kind);
    match (key.min, key.max) {
        (Some(min), Some(max)) => text += &format!(", {min} to {max}"),
        (Some(min), None) => text += &format!(", at least {min}"),
        (None, Some(max)) => text += &format!(", at most {max}"),
        (None, None) => {}
    }
    if let Some([from, to]) = key.usual {
        text += &format!(" (usually {from} to {to})");
    }
    text
}

fn words(of: &Type) -> String {
    match of {
        Type::Bool => "true or false".into(),
        Type::Number => "number".into(),
        Type::Integer => "whole number".into(),
        Type::Text => "text".into(),
        Type::Choice(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        Type::List(items) => format!("list: {}", words(items)),
        Type::Map(items) => format!("by name: {}", words(items)),
        Type::Object(name) => format!("[{name}](#{})", name.to_lowercase()),
        Type::Hooks => "[hooks](hooks.md)".into(),
        Type::Any => "anything".into(),
    }
}

/// What the engine and its providers read is in the table: every option that is named in code or in a provider's row.
#[test]
fn every_option_that_is_read_is_in_the_table() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("providers"), root.join("engine"), root.join("task")];
    let (mut found, mut missing) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for name in options(code).chain(row_settings(code)) {
                found += 1;
                if schema().key(name).is_none() {
                    missing.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(found > 80 && missing.is_empty(), "{found} found, not in the table:\n{}", missing.join("\n"));
}

/// Names in `options.text("name")` and its like.
fn options(code: &str) -> impl Iterator<Item = &str> {
    let after = ["options.", "profile.", "settings."].into_iter().flat_map(|owner| code.split(owner).skip(1));
    after.filter_map(|rest| {
        let (call, rest) = rest.split_once("(\"")?;
        let reads = [
            "text",
            "filled",
            "secret",
            "secret_text",
            "headers",
            "is",
            "number",
            "truthy_number",
            "value",
            "option_str",
        ];
        reads.contains(&call).then(|| rest.split('"').next()).flatten()
    })
}

/// Names in `key-setting = "name"` and its like of the built-in rows.
fn row_settings(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once("setting = \"").and_then(|(_, rest)| rest.split('"').next()))
        .filter(|name| *name != "keep")
}
