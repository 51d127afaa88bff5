//! `lapce-ai config`: settings that are kept.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Failure, call};
use crate::engine::surroundings;
use crate::prompt::text::nearest::distance;
use crate::protocol::secret::is_secret;
use crate::settings::schema::{Type, schema};

/// What is to be done.
#[derive(Args)]
pub struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the value in force of a setting; of a secret, whether it is set.
    Get {
        /// The setting (docs/configuration.md lists them).
        key: String,
    },
    /// Keep a value: a provider's setting in the profile in force, any other in the settings file.
    Set {
        /// The setting.
        key: String,
        /// Its value: JSON, or a text as it stands; `null` takes it away. A secret may be `${env:NAME}` or `${keyring:NAME}`, or
        /// `-` to be read from the standard input.
        value: String,
        /// Keep a setting that is not known.
        #[arg(long)]
        unknown: bool,
    },
    /// List the settings that differ from their defaults.
    List {
        /// List all.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Import a settings file, all of it or nothing.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Export settings and profiles as a settings file.
    Export {
        /// The file; without it, they are printed.
        file: Option<PathBuf>,
        /// With keys in clear.
        #[arg(long, requires = "file")]
        secrets: bool,
    },
    /// Show where settings and profiles are kept.
    Path,
}

impl Config {
    /// Does it. Exit code 1 when a setting is unknown or a value is refused.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Get { key } => {
                known(key, false)?;
                let values = in_force(std::slice::from_ref(key))?;
                println!("{}", shown(key, values.get(key).or(default(key)).unwrap_or(&Value::Null)));
            }
            What::Set { key, value, unknown } => {
                known(key, *unknown)?;
                let value = if value == "-" { from_input()? } else { value.clone() };
                let values = Map::from_iter([(key.clone(), parse(key, &value))]);
                request(&json!({"type": "settings.set", "values": values, "save": true}))?;
            }
            What::List { all, json } => list(*all, *json)?,
            What::Import { file } => {
                let done = request(&json!({"type": "settings.import", "path": std::path::absolute(file)?}))?;
                let count = |name: &str| done[name].as_array().map_or(0, Vec::len);
                println!("{} profiles, {} settings", count("profiles"), count("settings"));
            }
            What::Export { file: None, .. } => {
                let done = request(&json!({"type": "settings.export"}))?;
                println!("{}", serde_json::to_string_pretty(&done["settings"])?);
            }
            What::Export { file: Some(file), secrets } => {
                let path = std::path::absolute(file)?;
                request(&json!({"type": "settings.export", "path": path, "secrets": secrets}))?;
            }
            What::Path => {
                let folder = surroundings::default_storage(&surroundings::home()).join("settings");
                println!("{}\n{}", folder.join("settings.json").display(), folder.join("profiles.json").display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn request(request: &Value) -> Result<Value, Failure> {
    call::call(Map::new(), request)
}

fn in_force(keys: &[String]) -> Result<Map<String, Value>, Failure> {
    match request(&json!({"type": "settings.get", "keys": keys}))?["values"].take() {
        Value::Object(values) => Ok(values),
        _ => Ok(Map::new()),
    }
}

/// Refuses a setting that nobody knows, with those that are written nearly the same.
fn known(key: &str, unknown: bool) -> Result<(), Failure> {
    if unknown || schema().key(key).is_some() {
        return Ok(());
    }
    let near =
        schema().keys().map(|(name, _)| name).filter(|name| name.eq_ignore_ascii_case(key) || distance(name, key) < 3);
    let near: Vec<&str> = near.collect();
    let hint = if near.is_empty() { String::new() } else { format!("; is it {}?", near.join(", ")) };
    Err(format!("`{key}` is no known setting{hint}").into())
}

/// The value that a text on the command line stands for.
fn parse(key: &str, text: &str) -> Value {
    let is_text = schema().key(key).is_some_and(|key| matches!(key.kind, Type::Text | Type::Choice(_)));
    let plain = || Value::from(text);
    if is_text && text != "null" {
        return plain();
    }
    serde_json::from_str(text).unwrap_or_else(|_| plain())
}

fn from_input() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn default(key: &str) -> Option<&'static Value> {
    schema().key(key)?.default.as_ref()
}

fn list(all: bool, json: bool) -> Result<(), Failure> {
    let mut values = in_force(&[])?;
    if all {
        for (name, key) in schema().keys() {
            values.entry(name).or_insert_with(|| key.default.clone().unwrap_or(Value::Null));
        }
    } else {
        values.retain(|key, value| !value.is_null() && !default(key).is_some_and(|default| same(default, value)));
    }
    values.sort_keys();
    if json {
        println!("{}", serde_json::to_string_pretty(&values)?);
    } else {
        values.iter().for_each(|(key, value)| println!("{key} = {}", shown(key, value)));
    }
    Ok(())
}

fn same(default: &Value, value: &Value) -> bool {
    default == value || default.as_f64().is_some_and(|number| value.as_f64() == Some(number))
}

/// A value as it is printed; the engine has put something in the place of secrets, and nothing here shows one.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value if is_secret(key) && !value.is_null() => "(set)".into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_values() {
        for (key, text, value) in [
            ("mode", "5", json!("5")),
            ("mode", "null", json!(null)),
            ("writeDelayMs", "5", json!(5)),
            ("writeDelayMs", "soon", json!("soon")),
            ("allowedCommands", "[\"git\"]", json!(["git"])),
            ("alwaysAllowWrite", "true", json!(true)),
            ("unheardOf", "{", json!("{")),
        ] {
            assert_eq!(parse(key, text), value, "{key} {text}");
        }
    }
}
