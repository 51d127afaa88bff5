//! The settings file that is exported and imported (spec 04 §6.3): `{providerProfiles, globalSettings}`.

use serde_json::{Map, Value, json};

use super::modes::file;
use super::profiles::store::{ProfileStore, Reading, StoreError};
use super::reference::Reference;
use super::schema::{self, Problem, Scope, schema};
use super::secrets::{blot, emptied, is_secret};

/// The profiles of a file.
const PROFILES: &str = "providerProfiles";
/// Its other settings.
const GLOBAL: &str = "globalSettings";

/// What a file holds.
pub struct Imported {
    /// Profiles to be laid over those that are there.
    pub profiles: ProfileStore,
    /// Settings to be set.
    pub global: Map<String, Value>,
    /// Modes for the user's file of modes, valid, without their `source`.
    pub modes: Vec<Map<String, Value>>,
}

/// A file that is not imported; nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No JSON.
    #[error(transparent)]
    Json(StoreError),
    /// Wrong values, a line each.
    #[error("{}", lines(.0))]
    Values(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("[{}]: {}", problem.place(), problem.message)).collect();
    lines.join("\n")
}

/// The file of these settings and profiles. `secrets`: with keys in clear, which are left out else (D10); what only says where
/// a key stands is always there.
pub fn export(settings: &Map<String, Value>, profiles: &ProfileStore, providers: &[String], secrets: bool) -> Value {
    let global = |name: &str| schema().key(name).is_none_or(|key| key.global);
    let set = settings.iter().filter(|(name, value)| global(name) && !value.is_null());
    let mut kept: Map<String, Value> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(Value::Array(modes)) = kept.get_mut("customModes") {
        modes.retain(|mode| mode["source"] == "global");
    }
    let mut store = profiles.export(providers);
    if !secrets {
        without_secrets(&mut kept);
        let all = store["apiConfigs"].as_object_mut().into_iter().flat_map(|profiles| profiles.values_mut());
        all.filter_map(Value::as_object_mut).for_each(without_secrets);
    }
    json!({PROFILES: store, GLOBAL: kept})
}

fn without_secrets(values: &mut Map<String, Value>) {
    let refers = |value: &Value| value.as_str().is_some_and(|text| Reference::parse(text).is_some());
    values.retain(|key, value| !is_secret(key) || refers(value));
    values.iter_mut().for_each(|(key, value)| blot(key, value, &emptied));
}

/// Reads a file. Settings that are nobody's to import (of the host, of a profile, lists that are kept elsewhere) are left out.
///
/// # Errors
/// Everything that is wrong with it, each by its path: one wrong profile refuses the whole file.
pub fn read(text: &str, with: Reading<'_>) -> Result<Imported, ImportError> {
    let json = |line, message| ImportError::Json(StoreError { line, message });
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        json(error.line(), message.split(" at line ").next().unwrap_or_default().to_owned())
    })?;
    let wrong = |path: &str, message: &str| Problem { path: vec![path.to_owned()], message: message.to_owned() };
    let Value::Object(mut outer) = value else { return Err(json(1, "must be an object".to_owned())) };
    let mut problems = Vec::new();
    let profiles = match outer.shift_remove(PROFILES) {
        Some(Value::Object(store)) => match ProfileStore::read(&Value::Object(store).to_string(), with) {
            Ok((profiles, invalid)) => {
                problems.extend(invalid.into_iter().map(|problem| problem.inside(&[PROFILES])));
                Some(profiles)
            }
            Err(error) => {
                problems.push(wrong(PROFILES, &error.message));
                None
            }
        },
        _ => {
            problems.push(wrong(PROFILES, "must be an object"));
            None
        }
    };
    let mut global = match outer.shift_remove(GLOBAL) {
        Some(Value::Object(values)) => values,
        None | Some(Value::Null) => Map::new(),
        Some(_) => {
            problems.push(wrong(GLOBAL, "must be an object"));
            Map::new()
        }
    };
    let importable = |name: &str| schema().key(name).is_none_or(|key| key.global || key.scope == Scope::Workspace);
    global.retain(|name, value| importable(name) && !value.is_null());
    problems.extend(schema::check(&global).into_iter().map(|problem| problem.inside(&[GLOBAL])));
    let modes = modes(global.shift_remove("customModes"), &mut problems);
    match profiles {
        Some(profiles) if problems.is_empty() => Ok(Imported { profiles, global, modes }),
        _ => Err(ImportError::Values(problems)),
    }
}

/// The modes of a file. What is wrong with one goes to `problems`, unless the table of settings has said so.
fn modes(list: Option<Value>, problems: &mut Vec<Problem>) -> Vec<Map<String, Value>> {
    let told = problems.iter().any(|problem| problem.path.get(1).is_some_and(|key| key == "customModes"));
    let Some(Value::Array(list)) = list.filter(|_| !told) else { return Vec::new() };
    let check = |(at, mode): (usize, &Value)| match file::validate(mode) {
        Ok(mode) => Some(mode),
        Err(issues) => {
            problems.extend(issues.into_iter().map(|(place, message)| {
                let steps = format!("{GLOBAL}.customModes.{at}{place}");
                Problem { path: steps.split('.').map(str::to_owned).collect(), message }
            }));
            None
        }
    };
    list.iter().enumerate().filter_map(check).collect()
}

/// Where a file to be imported at every start lies: absolute, below `~/`, or relative to `home`. `None` for a blank text.
pub fn auto_import_path(setting: &str, home: &std::path::Path) -> Option<std::path::PathBuf> {
    match setting.trim() {
        "" => None,
        path => Some(home.join(path.strip_prefix("~/").unwrap_or(path))),
    }
}

/// Old settings in their new form (spec 04 §6.2): default commands that are none any more, the key of image generation. True when
/// a value changed, beside the note that it was done.
pub fn migrate(values: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    if values.get("defaultCommandsMigrationCompleted") != Some(&Value::Bool(true)) {
        if let Some(Value::Array(commands)) = values.get_mut("allowedCommands") {
            let old =
                |command: &str| ["npm install", "npm test", "tsc"].contains(&command.trim().to_lowercase().as_str());
            let before = commands.len();
            commands.retain(|command| !command.as_str().is_some_and(old));
            changed = commands.len() < before;
        }
        values.insert("defaultCommandsMigrationCompleted".into(), true.into());
    }
    if let Some(images) = values.shift_remove("openRouterImageGenerationSettings") {
        for (old, new) in
            [("openRouterApiKey", "openRouterImageApiKey"), ("selectedModel", "openRouterImageGenerationSelectedModel")]
        {
            let empty = values.get(new).and_then(Value::as_str).is_none_or(str::is_empty);
            if let Some(value) = images[old].as_str().filter(|value| empty && !value.is_empty()) {
                values.insert(new.into(), value.into());
            }
        }
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::schema::{Key, Type};

    fn with() -> Reading<'static> {
        Reading { providers: &[], new_id: &|| "new".to_owned() }
    }

    /// A value of this type that is not the default.
    fn sample(key: &Key, kind: &Type) -> Value {
        match kind {
            Type::Bool => json!(key.default != Some(json!(true))),
            Type::Number | Type::Integer => {
                json!(key.min.unwrap_or(0.0).max(1.0) as i64 + i64::from(key.max != Some(1.0)))
            }
            Type::Text => json!("text"),
            Type::Choice(values) => json!(values.last()),
            Type::List(items) => json!([sample(key, items)]),
            Type::Map(items) => json!({"name": sample(key, items)}),
            Type::Object(name) => {
                schema().objects[name].iter().map(|(name, key)| (name.clone(), sample(key, &key.kind))).collect()
            }
            Type::Hooks => json!([{"event": "Stop", "host": true}]),
            Type::Any => json!({"any": [1, "thing"]}),
        }
    }

    /// A file with every key there is, as the reference exports it.
    fn everything() -> Value {
        let mut global: Map<String, Value> = schema()
            .keys()
            .filter(|(_, key)| key.global)
            .map(|(name, key)| (name.into(), sample(key, &key.kind)))
            .collect();
        global.insert(
            "customModes".into(),
            json!([{"slug": "mine", "name": "Mine", "roleDefinition": "r", "groups": ["read"], "source": "global"}]),
        );
        let profile = |provider: &String| {
            let keys = schema().keys().filter(|(name, _)| schema::is_of_profile(name, Some(provider)));
            let mut fields: Map<String, Value> =
                keys.map(|(name, key)| (name.into(), sample(key, &key.kind))).collect();
            fields.insert("apiProvider".into(), provider.as_str().into());
            fields.insert("id".into(), format!("id-{provider}").into());
            (provider.clone(), Value::Object(fields))
        };
        let profiles: Map<String, Value> = schema().providers.iter().map(profile).collect();
        json!({
            "providerProfiles": {
                "currentApiConfigName": "openai", "apiConfigs": profiles,
                "modeApiConfigs": {"code": "id-openai", "ask": "id-xai"}, "migrations": {},
            },
            "globalSettings": global,
        })
    }

    /// parity 04 §6.3: a file with every key is imported and exported the same, and without keys unless they are asked for (D10)
    #[test]
    fn a_file_with_every_key_comes_back() {
        let file = everything();
        let imported = match read(&file.to_string(), with()) {
            Ok(imported) => imported,
            Err(error) => panic!("{error}"),
        };
        // The modes come back from their file.
        let mut global = imported.global.clone();
        let modes = imported.modes.iter().cloned().map(|mut mode| {
            mode.insert("source".into(), "global".into());
            mode
        });
        global.insert("customModes".into(), modes.collect());
        let sorted = |file: Value| -> std::collections::BTreeMap<String, Value> {
            serde_json::from_value(file["globalSettings"].clone()).expect("an object")
        };
        let exported = export(&global, &imported.profiles, &[], true);
        assert_eq!(sorted(exported.clone()), sorted(file.clone()));
        assert_eq!(exported["providerProfiles"], file["providerProfiles"]);
        let shared = export(&global, &imported.profiles, &[], false);
        let mut expected = file.clone();
        without_secrets(expected["globalSettings"].as_object_mut().expect("an object"));
        let profiles = expected["providerProfiles"]["apiConfigs"].as_object_mut().expect("an object");
        profiles.values_mut().filter_map(Value::as_object_mut).for_each(without_secrets);
        assert_eq!(shared, expected);
        assert!(!shared.to_string().contains("\"apiKey\"") && file.to_string().contains("\"apiKey\""));
    }

    /// parity 04 §checklist.8: an export leaves out history, lists of profiles and modes of the workspace
    #[test]
    fn what_is_exported() {
        let settings = json!({
            "taskHistory": [1], "listApiConfigMeta": [], "currentApiConfigName": "x", "apiConfigs": {}, "openAiModelId": "m",
            "commandExecutionTimeout": 5, "useAgentRules": false, "language": "de", "mode": null, "unheardOf": 1,
            "openRouterImageApiKey": "${env:KEY}", "morphApiKey": "sk-1",
            "customModes": [{"slug": "a", "source": "project"}, {"slug": "b", "source": "global"}],
        });
        let exported = export(settings.as_object().expect("an object"), &ProfileStore::fresh("d".into()), &[], false);
        let expected = json!({
            "commandExecutionTimeout": 5, "language": "de", "unheardOf": 1, "openRouterImageApiKey": "${env:KEY}",
            "customModes": [{"slug": "b", "source": "global"}],
        });
        assert_eq!(exported["globalSettings"], expected);
    }

    /// parity 04 §checklist.9: a bad profile refuses the import with `[path]: issue`
    #[test]
    fn what_is_wrong_with_a_file_is_listed() {
        let file = |profiles: Value, global: Value| {
            let store = json!({"currentApiConfigName": "a", "apiConfigs": profiles});
            json!({"providerProfiles": store, "globalSettings": global}).to_string()
        };
        for (text, expected) in [
            ("{\n".to_owned(), "line 2: EOF while parsing an object"),
            ("7".to_owned(), "line 1: must be an object"),
            ("{}".to_owned(), "[providerProfiles]: must be an object"),
            (
                file(json!({"a": {"rateLimitSeconds": "x"}}), json!({"mode": 5, "taskHistory": 5})),
                "[providerProfiles.apiConfigs.a.rateLimitSeconds]: must be a whole number\n[globalSettings.mode]: must be a text",
            ),
            (file(json!({}), json!([])), "[globalSettings]: must be an object"),
            (
                file(
                    json!({}),
                    json!({"customModes": [{"slug": "a b", "name": "A", "roleDefinition": "r", "groups": ["nope"]}]}),
                ),
                "[globalSettings.customModes.0.slug]: must be a text of letters, digits and dashes\n[globalSettings.customModes.0.groups.0]: must be one of read, edit, browser, command, mcp, modes",
            ),
            (file(json!({}), json!({"customModes": 5})), "[globalSettings.customModes]: must be a list"),
            ("{\"providerProfiles\": {}}".to_owned(), "[providerProfiles]: apiConfigs must be an object"),
        ] {
            let error = read(&text, with()).map(|_| ()).expect_err(&text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    /// parity 04 §checklist.10: `~/` and relative paths of an automatic import are below the home folder
    #[test]
    fn paths_of_an_automatic_import() {
        let home = Path::new("/home/me");
        for (setting, path) in [
            (" ", None),
            ("~/x.json", Some("/home/me/x.json")),
            (" a/b.json ", Some("/home/me/a/b.json")),
            ("/etc/x.json", Some("/etc/x.json")),
        ] {
            assert_eq!(auto_import_path(setting, home).as_deref(), path.map(Path::new), "{setting}");
        }
    }

    /// parity 04 §checklist.14: old default commands leave the list once
    #[test]
    fn old_defaults_go_once() {
        let mut values = json!({
            "allowedCommands": ["git log", " NPM test", "tsc", "npm install x"],
            "openRouterImageGenerationSettings": {"openRouterApiKey": "sk-1", "selectedModel": "m"},
            "openRouterImageGenerationSelectedModel": "mine",
        });
        let values = values.as_object_mut().expect("an object");
        assert!(migrate(values));
        let expected = json!({
            "allowedCommands": ["git log", "npm install x"], "openRouterImageGenerationSelectedModel": "mine",
            "defaultCommandsMigrationCompleted": true, "openRouterImageApiKey": "sk-1",
        });
        assert_eq!(Value::Object(values.clone()), expected);
        values.insert("allowedCommands".into(), json!(["tsc"]));
        assert!(!migrate(values));
        assert_eq!(values["allowedCommands"], json!(["tsc"]));
    }

    proptest::proptest! {
        /// parity 04 §6.3: any text as a settings file is imported or refused, and told why
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}", key in "[a-zA-Z]{1,12}", value in "[\\[\\]{}\",:0-9a-z]{0,20}") {
            let file = format!("{{\"providerProfiles\": {{\"apiConfigs\": {{\"{key}\": {value}}}}}, \"globalSettings\": {{\"{key}\": {value}}}}}");
            for text in [text, file] {
                if let Err(error) = read(&text, with()) {
                    proptest::prop_assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
