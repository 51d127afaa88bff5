//! Files that are not what they should be: whatever stands in them is told by its place, the rest works, and nothing is lost.

use serde_json::json;

use super::*;
use crate::settings::schema::{Key, Scope, Type, schema};

fn stored() -> (tempfile::TempDir, StoredSettings) {
    let folder = tempfile::tempdir().unwrap();
    let stored = StoredSettings::new(folder.path());
    fs::create_dir(folder.path().join("settings")).unwrap();
    (folder, stored)
}

/// Values of wrong types for a key, each with the path at which it is wrong.
fn wrong(name: &str, kind: &Type) -> Vec<(Vec<String>, Value)> {
    let here = |value: Value| (vec![name.to_owned()], value);
    match kind {
        Type::Any => vec![],
        Type::Bool => vec![here(json!("true")), here(json!(1)), here(json!([]))],
        Type::Number | Type::Integer => vec![here(json!("5")), here(json!(true)), here(json!({}))],
        Type::Text | Type::Choice(_) => vec![here(json!(5)), here(json!(false)), here(json!(["x"]))],
        Type::Hooks => vec![here(json!("x")), here(json!(5))],
        Type::List(items) => {
            let inner = wrong("0", items).into_iter().map(|(path, value)| (deeper(name, path), json!([value])));
            inner.chain([here(json!({})), here(json!("x"))]).collect()
        }
        Type::Map(items) => {
            let inner = wrong("k", items).into_iter().map(|(path, value)| (deeper(name, path), json!({"k": value})));
            inner.chain([here(json!([])), here(json!("x"))]).collect()
        }
        Type::Object(object) => {
            let fields = schema().objects[object].iter();
            let inner = fields.flat_map(|(field, key)| {
                let values = wrong(field, &key.kind).into_iter();
                values.map(|(path, value)| (deeper(name, path), json!({field.as_str(): value}))).collect::<Vec<_>>()
            });
            inner.chain([here(json!([])), here(json!(5))]).collect()
        }
    }
}

fn deeper(name: &str, mut path: Vec<String>) -> Vec<String> {
    path.insert(0, name.to_owned());
    path
}

/// Numbers beyond the limits of a key.
fn beyond(name: &str, key: &Key) -> Vec<(Vec<String>, Value)> {
    let below = key.min.map(|min| min - 1.0);
    let above = key.max.map(|max| max + 1.0);
    below.into_iter().chain(above).map(|number| (vec![name.to_owned()], json!(number))).collect()
}

/// parity 04 §2.1: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §2.2: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §2.3: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §2.4: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §2.5: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §2.6: a wrong value of any experiment is named with file, line and place; the other keys work, and the value is kept
/// parity 04 §3: a wrong value of any key is named with file, line and place; the other keys work, and the value is kept
#[test]
fn a_wrong_value_of_any_key_is_told_left_out_and_kept() {
    let (_folder, stored) = stored();
    let file = stored.settings_file();
    let mut tried = 0;
    // The note of migrations is the engine's own.
    for (name, key) in schema().keys().filter(|(name, _)| *name != "defaultCommandsMigrationCompleted") {
        for (path, value) in wrong(name, &key.kind).into_iter().chain(beyond(name, key)) {
            let text = format!("{{\n\"good\": 1,\n{}: {value},\n\"alsoGood\": [2]}}\n", json!(name));
            fs::write(&file, &text).unwrap();
            let Found { settings, problems, .. } = stored.load(&[]);
            let place = if key.kind == Type::Hooks { name.to_owned() } else { path.join(".") };
            let named = format!("{}:3: {place}: must be ", file.display());
            assert!(problems.len() == 1 && problems[0].starts_with(&named), "{place} {value}: {problems:?}");
            assert!(!settings.contains_key(name), "{name}");
            assert_eq!((&settings["good"], &settings["alsoGood"]), (&json!(1), &json!([2])), "{name}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "reading changes nothing");
            stored.change_settings(|settings| drop(settings.insert("good".into(), json!(3)))).unwrap();
            let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!((&kept[name], &kept["good"]), (&value, &json!(3)), "{name}");
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried}");
}

/// parity 04 §4.1: a profile with a wrong value of any key is named with file, line and place, left out and kept; others work
/// parity 04 §4.2: a profile with a wrong value of any key is named with file, line and place, left out and kept; others work
#[test]
fn a_wrong_value_of_any_key_of_a_profile_leaves_the_others_alone() {
    let (_folder, stored) = stored();
    let file = stored.profiles_file();
    let flags = ProfileStore::fresh("x".into()).to_value()["migrations"].take();
    for (name, key) in schema().keys().filter(|(_, key)| key.scope == Scope::Profile) {
        for (path, value) in wrong(name, &key.kind).into_iter().chain(beyond(name, key)) {
            let text = format!(
                "{{\"currentApiConfigName\": \"good\", \"modeApiConfigs\": {{}}, \"migrations\": {flags}, \"apiConfigs\": {{\n\
                 \"bad\": {{\"id\": \"b\",\n{}: {value}}},\n\"good\": {{\"id\": \"g\", \"apiProvider\": \"xai\"}}}}}}",
                json!(name)
            );
            fs::write(&file, &text).unwrap();
            let Found { profiles, problems, .. } = stored.load(&[]);
            let profiles = profiles.unwrap();
            let named = format!("{}:3: apiConfigs.bad.{}: must be ", file.display(), path.join("."));
            assert!(!problems.is_empty() && problems[0].starts_with(&named), "{named} {problems:?}");
            assert_eq!(profiles.profiles().keys().collect::<Vec<_>>(), ["good"], "{name}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "reading changes nothing");
            stored.change_profiles(&[], |store, _| store.activate("good", Some("ask"))).unwrap().unwrap();
            let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!((&kept["apiConfigs"]["bad"][name], &kept["modeApiConfigs"]["ask"]), (&value, &json!("g")));
        }
    }
}

#[test]
fn a_wrong_binding_of_a_mode_is_told_and_kept() {
    let (_folder, stored) = stored();
    let text = "{\"currentApiConfigName\": \"a\", \"apiConfigs\": {\"a\": {\"id\": \"1\"}},\n\"modeApiConfigs\": {\"code\": \"1\",\n\"ask\": 5}}";
    fs::write(stored.profiles_file(), text).unwrap();
    let found = stored.load(&[]);
    let named = format!("{}:3: modeApiConfigs.ask: must be a text", stored.profiles_file().display());
    assert!(found.problems.len() == 1 && found.problems[0].starts_with(&named), "{:?}", found.problems);
    assert_eq!(found.profiles.unwrap().modes()["ask"], 5);
}

/// parity 04 §5.2: a store that was cut anywhere is told and left alone
#[test]
fn files_that_were_cut_anywhere_are_told_and_left_alone() {
    let (_folder, stored) = stored();
    let settings =
        json!({"language": "de", "allowedCommands": ["é", "b"], "experiments": {"powerSteering": true}}).to_string();
    let profiles = ProfileStore::fresh("id".into()).to_value().to_string();
    for cut in 1..settings.len().max(profiles.len()) {
        for (file, text) in [(stored.settings_file(), &settings), (stored.profiles_file(), &profiles)] {
            fs::write(file, &text.as_bytes()[..cut.min(text.len() - 1)]).unwrap();
        }
        let before = [stored.settings_file(), stored.profiles_file()].map(|file| fs::read(file).unwrap());
        let found = stored.load(&[]);
        assert!(found.problems.len() == 2 && found.profiles.is_none() && found.settings.is_empty(), "{cut}");
        assert!(found.problems.iter().all(|problem| problem.contains(".json: line 1: ")), "{:?}", found.problems);
        assert!(stored.change_settings(Map::clear).is_err() && stored.changeable(&[]).is_err());
        assert!(stored.change_profiles(&[], |store, _| store.activate("default", None)).is_err());
        let after = [stored.settings_file(), stored.profiles_file()].map(|file| fs::read(file).unwrap());
        assert_eq!(before, after, "{cut}");
    }
}

#[test]
fn very_many_faults_are_told_by_the_first() {
    let (_folder, stored) = stored();
    let commands: Vec<Value> = (0..2000).map(|number| json!(number)).collect();
    let lists = schema().keys().filter(|(_, key)| matches!(key.kind, Type::List(_)));
    let settings: Map<String, Value> = lists.map(|(name, _)| (name.to_owned(), commands.clone().into())).collect();
    fs::write(stored.settings_file(), Value::Object(settings).to_string()).unwrap();
    let problems = stored.load(&[]).problems;
    assert_eq!(problems.len(), MOST_TOLD + 1);
    assert!(problems[MOST_TOLD].contains(" more of the kind"), "{}", problems[MOST_TOLD]);
    let deep = format!("{{\"a\": {}", "[".repeat(1_000_000));
    fs::write(stored.settings_file(), deep).unwrap();
    assert_eq!(stored.load(&[]).problems.len(), 1);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_told_and_stay(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..200), json in "[\\[\\]{}\":, a0]{0,40}") {
        let (_folder, stored) = stored();
        for bytes in [bytes.as_slice(), json.as_bytes()] {
            for file in [stored.settings_file(), stored.profiles_file()] {
                fs::write(&file, bytes).unwrap();
            }
            let found = stored.load(&[]);
            if let Err(error) = stored.changeable(&[]) {
                proptest::prop_assert!(found.problems.contains(&error.to_string()));
            }
            proptest::prop_assert_eq!(fs::read(stored.settings_file()).unwrap(), bytes);
            if found.profiles.is_none() {
                proptest::prop_assert_eq!(fs::read(stored.profiles_file()).unwrap(), bytes);
            }
        }
    }
}
