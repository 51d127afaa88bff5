//! The store of profiles (spec 04 §5.1 to §5.3): one JSON text, read and written whole. A profile that cannot be used is kept as it
//! is, left out, and told (deviation D09).

use serde_json::{Map, Value, json};

use super::model_id;
use crate::protocol::secret::{SHOWN, is_secret};
use crate::settings::modes;
use crate::settings::schema::{self, Problem, Scope, is_of_profile, line_of, schema};
use crate::settings::secrets::wipe;

/// Name of the profile of a fresh store.
pub const DEFAULT_PROFILE: &str = "default";

/// Profiles with the name of the one in force and the ids that modes were last used with. No `Debug`: it holds keys.
#[derive(Clone)]
pub struct ProfileStore {
    /// Name of the profile in force.
    pub current: String,
    /// Profiles by name, each an object with an `id`.
    pub(super) profiles: Map<String, Value>,
    /// Profiles that cannot be used, as they were found.
    invalid: Map<String, Value>,
    /// Ids of profiles, by mode.
    pub(super) modes: Map<String, Value>,
    /// Which migrations were made.
    pub(super) migrations: Map<String, Value>,
    /// What else the store holds.
    other: Map<String, Value>,
}

impl Drop for ProfileStore {
    fn drop(&mut self) {
        self.profiles.values_mut().chain(self.invalid.values_mut()).for_each(wipe);
    }
}

/// A store that cannot be read at all. Nothing is written over it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct StoreError {
    /// Line in the text, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Why an operation on profiles is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No profile has this name or id.
    #[error("there is no profile `{0}`")]
    NotFound(String),
    /// The last profile stays.
    #[error("the last profile cannot be deleted")]
    Last,
    /// Another profile has the name.
    #[error("there is a profile `{0}` already")]
    Taken(String),
    /// The profile holds something wrong.
    #[error("{0}")]
    Invalid(Problem),
}

/// Which profile is meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The one of this name.
    Name(&'a str),
    /// The one of this id.
    Id(&'a str),
}

/// What a store is read with.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Providers of the user's own tables, beside those of the table of settings.
    pub providers: &'a [String],
    /// Makes an id.
    pub new_id: &'a dyn Fn() -> String,
}

impl ProfileStore {
    /// A store with one profile that says nothing, which every built-in mode uses.
    pub fn fresh(id: String) -> ProfileStore {
        let modes = modes::builtin().into_iter().map(|mode| (mode.slug, Value::from(id.as_str()))).collect();
        let flags = ["rateLimitSeconds", "diffSettings", "openAiHeaders", "consecutiveMistakeLimit", "todoListEnabled"];
        ProfileStore {
            current: DEFAULT_PROFILE.into(),
            profiles: Map::from_iter([(DEFAULT_PROFILE.into(), json!({"id": id}))]),
            invalid: Map::new(),
            modes,
            migrations: flags.iter().map(|flag| (format!("{flag}Migrated"), Value::Bool(true))).collect(),
            other: Map::new(),
        }
    }

    /// Reads a store; an empty text is a fresh one. With it comes what is wrong with profiles that are left out.
    ///
    /// # Errors
    /// No JSON, or no object with `apiConfigs`.
    pub fn read(text: &str, with: Reading<'_>) -> Result<(ProfileStore, Vec<Problem>), StoreError> {
        if text.trim().is_empty() {
            return Ok((ProfileStore::fresh((with.new_id)()), Vec::new()));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| StoreError { line: error.line(), message: without_values(&error) })?;
        let at = |path: &[&str], message: &str| {
            let path: Vec<String> = path.iter().map(|step| (*step).to_owned()).collect();
            Err(StoreError { line: line_of(text, &path), message: format!("{}{message}", prefix(&path)) })
        };
        let Value::Object(mut outer) = value else { return at(&[], "must be an object") };
        let mut object = |name: &str| match outer.shift_remove(name) {
            Some(Value::Object(fields)) => Ok(Some(fields)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(()),
        };
        let Ok(Some(found)) = object("apiConfigs") else { return at(&["apiConfigs"], "must be an object") };
        let Ok(modes) = object("modeApiConfigs") else { return at(&["modeApiConfigs"], "must be an object") };
        let Ok(migrations) = object("migrations") else { return at(&["migrations"], "must be an object") };
        let current = match outer.shift_remove("currentApiConfigName") {
            Some(Value::String(name)) => name,
            _ => return at(&["currentApiConfigName"], "must be a text"),
        };
        let (mut profiles, mut invalid, mut problems) = (Map::new(), Map::new(), Vec::new());
        for (name, mut profile) in found {
            let wrong = problems_of(&profile, with.providers);
            if wrong.is_empty() {
                if let Value::Object(fields) = &mut profile {
                    // What no profile has must not count because a profile says it.
                    fields.retain(|key, _| schema().key(key).is_none_or(|key| key.scope == Scope::Profile));
                    if fields.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
                        fields.insert("id".into(), (with.new_id)().into());
                    }
                }
                profiles.insert(name, profile);
            } else {
                problems.extend(wrong.into_iter().map(|problem| problem.inside(&["apiConfigs", &name])));
                invalid.insert(name, profile);
            }
        }
        for (mode, _) in modes.iter().flatten().filter(|(_, id)| !id.is_string()) {
            let path = ["modeApiConfigs".to_owned(), mode.clone()];
            problems.push(Problem { path: path.to_vec(), message: "must be a text".into() });
        }
        let mut store = ProfileStore {
            current,
            profiles,
            invalid,
            modes: Map::new(),
            migrations: migrations.unwrap_or_default(),
            other: outer,
        };
        store.modes = modes.unwrap_or_else(|| store.modes_of_current());
        Ok((store, problems))
    }

    /// Every built-in mode with the profile in force, else the first (spec 04 §6.1.0).
    fn modes_of_current(&self) -> Map<String, Value> {
        let id = self.id_of(&self.current).or_else(|| self.profiles.keys().find_map(|name| self.id_of(name)));
        let id = id.unwrap_or(DEFAULT_PROFILE);
        modes::builtin().into_iter().map(|mode| (mode.slug, Value::from(id))).collect()
    }

    /// The store's JSON, with what was left out.
    pub fn to_value(&self) -> Value {
        let mut outer = Map::new();
        let all = self.profiles.iter().chain(&self.invalid).map(|(name, profile)| (name.clone(), profile.clone()));
        outer.insert("currentApiConfigName".into(), self.current.as_str().into());
        outer.insert("apiConfigs".into(), all.collect::<Map<_, _>>().into());
        outer.insert("modeApiConfigs".into(), self.modes.clone().into());
        outer.extend(self.other.clone());
        outer.insert("migrations".into(), self.migrations.clone().into());
        Value::Object(outer)
    }

    /// `{id, name, apiProvider?, modelId?}` of each profile.
    pub fn list(&self) -> Vec<Value> {
        let one = |(name, profile): (&String, &Value)| {
            let mut entry = json!({"id": profile["id"].as_str().unwrap_or_default(), "name": name});
            if let Some(provider) = profile["apiProvider"].as_str() {
                entry["apiProvider"] = provider.into();
            }
            // The name after the last slash says enough.
            let model = profile.as_object().and_then(model_id).and_then(|id| id.rsplit('/').next());
            if let Some(model) = model {
                entry["modelId"] = model.into();
            }
            entry
        };
        self.profiles.iter().map(one).collect()
    }

    /// Name of the profile in force: the chosen one, or the first, if the chosen one is gone. `None`: the chosen one is there and cannot
    /// be used; nobody chose another to send things to.
    pub fn in_force(&self) -> Option<&str> {
        match self.profiles.contains_key(&self.current) {
            true => Some(&self.current),
            false if self.invalid.contains_key(&self.current) => None,
            false => self.profiles.keys().next().map(String::as_str),
        }
    }

    /// Names of profiles that are kept and cannot be used.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.invalid.keys().map(String::as_str)
    }

    /// The profile that is meant, with its name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, which: Which<'_>) -> Result<(&str, &Map<String, Value>), ProfileError> {
        let found = match which {
            Which::Name(wanted) => self.profiles.iter().find(|(name, _)| *name == wanted),
            Which::Id(wanted) => self.profiles.iter().find(|(_, profile)| profile["id"] == wanted),
        };
        let (Which::Name(wanted) | Which::Id(wanted)) = which;
        found
            .and_then(|(name, profile)| Some((name.as_str(), profile.as_object()?)))
            .ok_or_else(|| ProfileError::NotFound(wanted.to_owned()))
    }

    /// Id of the profile of this name.
    pub fn id_of(&self, name: &str) -> Option<&str> {
        self.profiles.get(name)?["id"].as_str()
    }

    /// Puts a profile under a name, in place of an earlier one, and returns its id. Keys of other providers are left out; a secret
    /// that stands there as it is shown stays what it was.
    ///
    /// # Errors
    /// A wrong value, or a provider that no profile can be saved for.
    pub fn save(
        &mut self,
        name: &str,
        mut profile: Map<String, Value>,
        with: Reading<'_>,
    ) -> Result<String, ProfileError> {
        let before = self.profiles.get(name).or_else(|| self.invalid.get(name)).and_then(Value::as_object);
        for (key, value) in &mut profile {
            if *value == SHOWN && is_secret(key) {
                *value = before.and_then(|before| before.get(key)).cloned().unwrap_or(Value::Null);
            }
        }
        // Another account is not in the same organisation (spec 04 §5.4).
        let token =
            |profile: &Map<String, Value>| profile.get("kilocodeToken").filter(|token| !is_unset(token)).cloned();
        let old = before.and_then(token);
        if old.is_some() && old != token(&profile) {
            profile.shift_remove("kilocodeOrganizationId");
        }
        let id = profile.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        let known = before.and_then(|before| before.get("id")?.as_str().map(str::to_owned));
        let id = id.or(known).unwrap_or_else(with.new_id);
        let mut kept = reduced(&profile, with.providers);
        kept.insert("id".into(), id.as_str().into());
        if let Some(problem) = problems_of(&Value::Object(kept.clone()), with.providers).into_iter().next() {
            return Err(ProfileError::Invalid(problem));
        }
        self.invalid.shift_remove(name);
        self.profiles.insert(name.to_owned(), Value::Object(kept));
        Ok(id)
    }

    /// Puts a profile in force, which `mode` remembers.
    ///
    /// # Errors
    /// There is no such profile.
    pub fn activate(&mut self, name: &str, mode: Option<&str>) -> Result<(), ProfileError> {
        let id = self.get(Which::Name(name))?.1.get("id").cloned().unwrap_or(Value::Null);
        self.current = name.to_owned();
        if let Some(mode) = mode {
            self.modes.insert(mode.to_owned(), id);
        }
        Ok(())
    }

    /// Takes a profile away; of the one in force the first other takes the place. Modes that were used with it keep its id, which then
    /// means nothing.
    ///
    /// # Errors
    /// There is no such profile, or no other.
    pub fn delete(&mut self, name: &str, mode: Option<&str>) -> Result<(), ProfileError> {
        if let Some(mut broken) = self.invalid.shift_remove(name) {
            wipe(&mut broken);
            return Ok(());
        }
        self.get(Which::Name(name))?;
        let other = self.profiles.keys().find(|other| *other != name).cloned().ok_or(ProfileError::Last)?;
        if let Some(mut gone) = self.profiles.shift_remove(name) {
            wipe(&mut gone);
        }
        if self.current == name {
            self.activate(&other, mode)?;
        }
        Ok(())
    }

    /// Gives a profile another name, in its place and with its id, so that its modes stay bound to it, and puts it in force, which
    /// `mode` remembers. The same name changes nothing.
    ///
    /// # Errors
    /// There is no such profile, or another has the name.
    pub fn rename(&mut self, former: &str, name: &str, mode: Option<&str>) -> Result<(), ProfileError> {
        self.get(Which::Name(former))?;
        if former == name {
            return Ok(());
        }
        if self.profiles.contains_key(name) || self.invalid.contains_key(name) {
            return Err(ProfileError::Taken(name.to_owned()));
        }
        let renamed = |(key, profile)| (if key == former { name.to_owned() } else { key }, profile);
        self.profiles = std::mem::take(&mut self.profiles).into_iter().map(renamed).collect();
        self.activate(name, mode)
    }

    /// The id of the profile that a mode was last used with.
    pub fn mode(&self, slug: &str) -> Option<&str> {
        self.modes.get(slug)?.as_str()
    }

    /// Ids of profiles, by mode.
    pub fn modes(&self) -> &Map<String, Value> {
        &self.modes
    }

    /// All profiles that can be used, by name.
    pub fn profiles(&self) -> &Map<String, Value> {
        &self.profiles
    }

    /// The store for a settings file (spec 04 §6.3): each profile with its provider's keys alone.
    pub fn export(&self, providers: &[String]) -> Value {
        let mut outer = self.to_value();
        let reduce = |(name, profile): (&String, &Value)| {
            let fields = profile.as_object().cloned().unwrap_or_default();
            let mut kept = reduced(&fields, providers);
            kept.extend(fields.get("id").map(|id| ("id".to_owned(), id.clone())));
            (name.clone(), Value::Object(kept))
        };
        outer["apiConfigs"] = self.profiles.iter().map(reduce).collect::<Map<_, _>>().into();
        outer
    }

    /// Lays an imported store over this one (spec 04 §6.3): profiles and modes by name, and the name of the one in force. What
    /// migrations were made is forgotten, so that they are made again.
    pub fn import(&mut self, mut imported: ProfileStore) {
        self.current = std::mem::take(&mut imported.current);
        for (name, mut profile) in std::mem::take(&mut imported.profiles) {
            if let (Some(before), Value::Object(fields)) = (self.profiles.get(&name), &mut profile) {
                keep_secrets(before, fields);
            }
            self.invalid.shift_remove(&name);
            self.profiles.insert(name, profile);
        }
        self.modes.extend(std::mem::take(&mut imported.modes));
        self.migrations = Map::new();
        self.other.shift_remove("cloudProfileIds");
    }
}

/// An export has no keys unless they were asked for (D10); imported again, it does not take them away. Where requests go must be
/// the same: a file must not send a key elsewhere.
fn keep_secrets(before: &Value, imported: &mut Map<String, Value>) {
    let Some(before) = before.as_object() else { return };
    let tells_where = |key: &str| {
        key == "apiProvider"
            || ["Url", "Endpoint", "EndpointEnabled", "UseAzure", "Line"].iter().any(|end| key.ends_with(end))
    };
    let same = before
        .keys()
        .chain(imported.keys())
        .filter(|key| tells_where(key))
        .all(|key| before.get(key) == imported.get(key));
    if same {
        for (key, value) in before.iter().filter(|(key, _)| is_secret(key)) {
            imported.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// What of a profile belongs to its provider. Of a provider of the user's own, everything that is no other's may.
fn reduced(profile: &Map<String, Value>, providers: &[String]) -> Map<String, Value> {
    let Some(provider) = profile.get("apiProvider").and_then(Value::as_str) else { return Map::new() };
    let own = providers.iter().any(|name| name == provider) && !schema().providers.iter().any(|name| name == provider);
    let belongs = |key: &str| if own { key != "id" } else { is_of_profile(key, Some(provider)) };
    let kept = profile.iter().filter(|(key, value)| belongs(key) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What is wrong with a profile.
fn problems_of(profile: &Value, providers: &[String]) -> Vec<Problem> {
    let Some(fields) = profile.as_object() else {
        return vec![Problem { path: Vec::new(), message: "must be an object".into() }];
    };
    let mut problems = schema::check(fields);
    let wrong = |key: &str, message: String| Problem { path: vec![key.to_owned()], message };
    match fields.get("apiProvider") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) if schema().providers.iter().chain(providers).any(|known| known == name) => {}
        Some(_) => problems.push(wrong("apiProvider", format!("must be one of {}", schema().providers.join(", ")))),
    }
    if fields.get("id").is_some_and(|id| !id.is_string()) {
        problems.push(wrong("id", "must be a text".into()));
    }
    problems
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn prefix(path: &[String]) -> String {
    if path.is_empty() { String::new() } else { format!("{} ", path.join(".")) }
}

/// What a reader of JSON says; it repeats no values, which may be secret.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Id of a profile from a random number of 0 to 1: the digits of its fraction to the base of 36, 11 of them.
pub fn new_id(random: f64) -> String {
    let mut rest = random.fract().abs();
    let digit = |_| {
        rest *= 36.0;
        let digit = rest as u32 % 36;
        rest -= f64::from(digit);
        char::from_digit(digit, 36).unwrap_or('0')
    };
    (0..11).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with() -> Reading<'static> {
        Reading { providers: &[], new_id: &|| "new".to_owned() }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    fn store(value: Value) -> (ProfileStore, Vec<Problem>) {
        ProfileStore::read(&value.to_string(), with()).expect("a store")
    }

    /// parity 04 §5.1: the form of the store, and of a fresh one
    /// parity 04 §5: profiles, the one in force, and what modes use
    /// parity 04 §checklist.2: a fresh store has one profile, which all built-in modes use
    #[test]
    fn a_fresh_store() {
        let (fresh, problems) = ProfileStore::read(" ", with()).expect("a store");
        assert_eq!(problems, []);
        let expected = json!({
            "currentApiConfigName": "default",
            "apiConfigs": {"default": {"id": "new"}},
            "modeApiConfigs": {"architect": "new", "code": "new", "ask": "new", "debug": "new", "orchestrator": "new"},
            "migrations": {
                "rateLimitSecondsMigrated": true, "diffSettingsMigrated": true, "openAiHeadersMigrated": true,
                "consecutiveMistakeLimitMigrated": true, "todoListEnabledMigrated": true,
            },
        });
        assert_eq!(fresh.to_value(), expected);
        assert_eq!(store(expected.clone()).0.to_value(), expected);
    }

    /// parity 04 §4: the provider selects which keys are kept
    /// parity 04 §checklist.3: saving strips what belongs to other providers and keeps the id; an unknown provider is refused
    #[test]
    fn saving_keeps_what_belongs_to_the_provider() {
        let mut store = ProfileStore::fresh("d".into());
        let mixed = json!({
            "apiProvider": "groq", "groqApiKey": "sk-1", "apiModelId": "m", "openAiApiKey": "sk-2", "diffEnabled": false,
            "codeIndexOpenAiKey": "sk-3", "unheardOf": 1, "modelTemperature": null,
        });
        assert_eq!(store.save("work", object(mixed), with()).as_deref(), Ok("new"));
        let kept =
            json!({"apiProvider": "groq", "groqApiKey": "sk-1", "apiModelId": "m", "diffEnabled": false, "id": "new"});
        assert_eq!(store.profiles["work"], kept);
        let again = json!({"apiProvider": "groq", "groqApiKey": "(set)"});
        assert_eq!(
            store.save("work", object(again), Reading { new_id: &|| "x".into(), ..with() }).as_deref(),
            Ok("new")
        );
        assert_eq!(store.profiles["work"], json!({"apiProvider": "groq", "groqApiKey": "sk-1", "id": "new"}));
        assert_eq!(store.save("empty", object(json!({"apiKey": "x"})), with()).as_deref(), Ok("new"));
        assert_eq!(store.profiles["empty"], json!({"id": "new"}));
        for provider in ["nobody", "kilocode-openrouter"] {
            let refused = store.save("work", object(json!({"apiProvider": provider})), with());
            assert!(matches!(refused, Err(ProfileError::Invalid(problem)) if problem.place() == "apiProvider"));
        }
        let own = Reading { providers: &["mine".to_owned()], ..with() };
        store
            .save("mine", object(json!({"apiProvider": "mine", "mineKey": "k"})), own)
            .expect("a provider of one's own");
        assert_eq!(store.profiles["mine"]["mineKey"], "k");
    }

    /// parity 04 §checklist.6: getting and deleting what is not there fails, and so does deleting the last
    #[test]
    fn what_is_not_there_is_said() {
        let mut store = ProfileStore::fresh("d".into());
        let absent = Err(ProfileError::NotFound("x".into()));
        assert_eq!(store.get(Which::Name("x")).map(|_| ()), absent);
        assert_eq!(store.get(Which::Id("x")).map(|_| ()), absent);
        assert_eq!(store.delete("x", None), absent);
        assert_eq!(store.activate("x", None), absent);
        assert_eq!(store.delete("default", None), Err(ProfileError::Last));
        assert_eq!(store.get(Which::Id("d")).map(|(name, _)| name), Ok("default"));
    }

    /// parity 04 §quirks.3: the mode in force is bound to a profile that is activated
    /// parity 04 §quirks.4: modes of a deleted profile keep its id
    /// parity 04 §checklist.5: a profile that is put in force is remembered by the mode
    #[test]
    fn activating_maps_the_mode_and_deleting_leaves_mappings() {
        let mut store = ProfileStore::fresh("d".into());
        store
            .save("work", object(json!({"id": "w", "apiProvider": "xai", "apiModelId": "a/b/c"})), with())
            .expect("saved");
        store.activate("work", Some("ask")).expect("there");
        assert_eq!((store.current.as_str(), store.mode("ask"), store.mode("code")), ("work", Some("w"), Some("d")));
        let listed =
            json!([{"id": "d", "name": "default"}, {"id": "w", "name": "work", "apiProvider": "xai", "modelId": "c"}]);
        assert_eq!(Value::from(store.list()), listed);
        store.delete("work", Some("code")).expect("deleted");
        assert_eq!((store.current.as_str(), store.mode("ask"), store.mode("code")), ("default", Some("w"), Some("d")));
    }

    /// parity 04 §5.3: a renamed profile keeps its id, its place, its secrets and its modes, and is put in force
    #[test]
    fn a_renamed_profile_stays_the_same() {
        let mut store = ProfileStore::fresh("d".into());
        for (name, id) in [("work", "w"), ("home", "h")] {
            let profile = json!({"id": id, "apiProvider": "xai", "xaiApiKey": "sk-1"});
            store.save(name, object(profile), with()).expect("saved");
        }
        store.activate("work", Some("ask")).expect("there");
        store.activate("home", None).expect("there");
        store.rename("work", "work", None).expect("nothing to do");
        assert_eq!(store.current, "home");
        store.rename("work", "office", Some("code")).expect("renamed");
        let names: Vec<&str> = store.profiles().keys().map(String::as_str).collect();
        assert_eq!((names, store.current.as_str()), (vec!["default", "office", "home"], "office"));
        assert_eq!((store.mode("ask"), store.mode("code")), (Some("w"), Some("w")));
        assert_eq!(store.profiles["office"], json!({"id": "w", "apiProvider": "xai", "xaiApiKey": "sk-1"}));
        assert_eq!(store.rename("work", "x", None), Err(ProfileError::NotFound("work".into())));
        assert_eq!(store.rename("office", "home", None), Err(ProfileError::Taken("home".into())));
    }

    #[test]
    fn another_account_is_not_in_the_same_organisation() {
        let mut store = ProfileStore::fresh("d".into());
        let account = |token: &str| {
            object(json!({"apiProvider": "kilocode", "kilocodeToken": token, "kilocodeOrganizationId": "o"}))
        };
        for (token, organisation) in [("a", true), ("a", true), ("b", false), ("b", true)] {
            store.save("k", account(token), with()).expect("saved");
            assert_eq!(store.profiles["k"].get("kilocodeOrganizationId").is_some(), organisation, "{token}");
        }
    }

    /// parity 04 §5.2: an invalid profile is told, left out and kept (D09)
    #[test]
    fn invalid_profiles_are_kept_and_told() {
        let value = json!({
            "currentApiConfigName": "good",
            "apiConfigs": {
                "bad": {"id": "b", "apiProvider": "nobody", "apiKey": "sk-1"}, "odd": 7, "good": {"apiProvider": "xai"},
                "wrong": {"id": "w", "rateLimitSeconds": "soon"},
            },
            "modeApiConfigs": {}, "future": [1],
        });
        let (mut store, problems) = store(value);
        let places: Vec<String> = problems.iter().map(Problem::place).collect();
        assert_eq!(places, ["apiConfigs.bad.apiProvider", "apiConfigs.odd", "apiConfigs.wrong.rateLimitSeconds"]);
        assert_eq!(store.left_out().collect::<Vec<_>>(), ["bad", "odd", "wrong"]);
        store.activate("good", None).expect("there");
        let written = store.to_value();
        assert_eq!(
            (&written["apiConfigs"]["bad"]["apiKey"], &written["apiConfigs"]["odd"]),
            (&json!("sk-1"), &json!(7))
        );
        assert_eq!((&written["future"], &written["apiConfigs"]["good"]["id"]), (&json!([1]), &json!("new")));
        store.save("bad", object(json!({"apiProvider": "xai"})), with()).expect("made good");
        assert_eq!(store.left_out().count(), 2);
        assert_eq!(store.profiles["bad"]["id"], "b");
    }

    /// parity 04 §quirks.7: a key for fast edits in a profile is taken out when it is read, and goes nowhere
    /// parity 04 §5.2: what no profile has is taken out when it is read
    #[test]
    fn what_no_profile_has_does_not_count_in_one() {
        let (mut store, problems) = store(json!({
            "currentApiConfigName": "a",
            "apiConfigs": {"a": {
                "id": "1", "apiProvider": "xai", "morphApiKey": "sk-1", "alwaysAllowExecute": true, "allowedCommands": ["*"],
                "codeIndexOpenAiKey": "sk-2", "openAiModelId": "of another", "mineKey": "of a table",
            }},
        }));
        let flat = Map::new();
        store.migrate(&flat);
        let kept: Vec<&String> = store.profiles["a"].as_object().expect("an object").keys().collect();
        assert_eq!(kept[..4], ["id", "apiProvider", "openAiModelId", "mineKey"]);
        assert!(problems.is_empty() && !store.to_value().to_string().contains("sk-"));
    }

    /// parity 04 §5.4: when the chosen profile is gone, the first is in force; one that cannot be used is not replaced
    #[test]
    fn a_choice_that_is_gone_falls_to_the_first() {
        for (current, in_force) in [("b", Some("b")), ("gone", Some("a")), ("bad", None)] {
            let (store, _) = store(json!({
                "currentApiConfigName": current,
                "apiConfigs": {"a": {"id": "1"}, "b": {"id": "2"}, "bad": {"id": 3}},
            }));
            assert_eq!(store.in_force(), in_force, "{current}");
        }
    }

    #[test]
    fn what_is_no_store_is_named_by_its_line() {
        for (text, line, message) in [
            ("{\n\"a\": }", 2, "expected value"),
            ("[]", 1, "must be an object"),
            ("{\"x\": 1}", 1, "apiConfigs must be an object"),
            ("{\"apiConfigs\": {},\n\"currentApiConfigName\": 5}", 2, "currentApiConfigName must be a text"),
            (
                "{\"apiConfigs\": {}, \"currentApiConfigName\": \"a\",\n\n\"modeApiConfigs\": []}",
                3,
                "modeApiConfigs must be an object",
            ),
        ] {
            let error = ProfileStore::read(text, with()).map(|_| ()).expect_err(text);
            assert_eq!(error, StoreError { line, message: message.into() });
        }
    }

    #[test]
    fn ids_are_letters_and_digits() {
        assert_eq!(new_id(0.5), "i0000000000");
        for random in [0.0, 0.999_999_999, 0.123_456_789] {
            assert!(new_id(random).len() == 11 && new_id(random).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    /// parity 04 §quirks.8: an import forgets which migrations were made
    #[test]
    fn an_import_without_keys_leaves_keys_but_sends_them_nowhere_else() {
        for (base, kept) in [("https://a", true), ("https://evil", false)] {
            let mut store = ProfileStore::fresh("d".into());
            let profile = json!({"apiProvider": "openai", "openAiBaseUrl": "https://a", "openAiApiKey": "sk-1"});
            store.save("work", object(profile), with()).expect("saved");
            let (imported, _) = self::store(json!({
                "currentApiConfigName": "work",
                "apiConfigs": {"work": {"id": "w", "apiProvider": "openai", "openAiBaseUrl": base}},
                "modeApiConfigs": {"code": "w"},
            }));
            store.import(imported);
            assert_eq!(store.profiles["work"].get("openAiApiKey").is_some(), kept, "{base}");
            assert_eq!((store.mode("code"), store.mode("ask")), (Some("w"), Some("d")));
            assert!(store.migrations.is_empty());
        }
    }
}
