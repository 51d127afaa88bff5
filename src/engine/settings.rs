//! Settings in force: those of the engine, and per session what differs from them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use serde_json::{Map, Value};

use super::modes::WorkspaceModes;
use super::texts::PackedTexts;
use crate::prompt::text::Texts;
use crate::settings::modes::DEFAULT_MODE;
use crate::settings::secrets::{self, PROFILES_KEY, Secrets, blot};
use crate::settings::setters::{self, COMMAND_LISTS, EXPERIMENTS};
use crate::settings::{Settings, profiles, schema};
use crate::task::host::SettingsSource;

/// Names the profile in force.
const PROFILE_IN_FORCE: &str = "currentApiConfigName";
/// Ids of the profiles that modes were last used with.
const MODE_PROFILES: &str = "modeApiConfigs";

/// A setting that cannot be taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("settings.{place}: {message}")]
pub struct SettingsError {
    /// Which key.
    pub place: String,
    /// What is wrong with its value.
    pub message: String,
}

/// Values as a host gave them, secrets apart.
#[derive(Clone, Debug, Default)]
pub struct Values {
    plain: Map<String, Value>,
    secrets: Secrets,
}

impl From<Map<String, Value>> for Values {
    fn from(mut plain: Map<String, Value>) -> Values {
        let secrets = Secrets::take_from(&mut plain);
        Values { plain, secrets }
    }
}

impl Values {
    /// These with `changes` over them; `null` takes a key away.
    fn with(mut self, changes: Values) -> Values {
        setters::overlay(&mut self.plain, changes.plain);
        self.secrets.merge(changes.secrets);
        self
    }

    /// These without what a profile brings of its own.
    fn without_profile(mut self) -> Values {
        self.plain.retain(|key, value| !profiles::replaces(key, value));
        self.secrets.retain(|key, value| !profiles::replaces(key, value));
        self
    }

    /// These without a profile in force, and without what one brings.
    fn without_profiles(self) -> Values {
        let mut values = self.without_profile();
        values.plain.retain(|key, _| ![PROFILE_IN_FORCE, MODE_PROFILES].contains(&key.as_str()));
        values
    }

    /// The keys that have other values than there.
    fn differing(&self, other: &Values) -> Vec<String> {
        let plain =
            self.plain.iter().filter(|(key, value)| other.plain.get(*key) != Some(*value)).map(|(key, _)| key.as_str());
        let gone = other.plain.keys().filter(|key| !self.plain.contains_key(*key)).map(String::as_str);
        let secrets = self.secrets.keys().chain(other.secrets.keys());
        let secrets = secrets.filter(|key| self.secrets.expose(key) != other.secrets.expose(key));
        let keys: BTreeSet<&str> = plain.chain(gone).chain(secrets).collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    /// The settings of the profile that is chosen here; `None` when none is chosen, or it is not there.
    fn profile(&self) -> Option<Values> {
        let name = self.plain.get(PROFILE_IN_FORCE)?.as_str()?;
        let mut profile = profiles::find(&self.secrets, name)?.clone();
        profile.shift_remove("id");
        Some(profile.into())
    }

    /// As they may be written to a file: secrets are there and empty, at any depth. A reference to a secret is none.
    pub fn without_secrets(&self) -> Value {
        let mut kept = self.plain.clone();
        kept.extend(self.secrets.emptied());
        kept.iter_mut().for_each(|(key, value)| blot(key, value, &secrets::emptied));
        Value::Object(kept)
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.secrets.keys().next().is_none()
    }
}

/// The engine's settings, which sessions start from.
pub struct EngineSettings {
    current: RwLock<Layer>,
}

#[derive(Clone)]
struct Layer {
    /// What is kept on disk.
    stored: Values,
    /// What the host gave.
    host: Values,
    /// Lists of commands that the host gave when it opened the engine, as its own configuration: they join those that are kept.
    joined: Vec<&'static str>,
    /// The host's over what is kept.
    values: Values,
    settings: Arc<Settings>,
}

impl Layer {
    fn new(stored: Values, host: Values, joined: Vec<&'static str>) -> Result<Layer, SettingsError> {
        // A host that names a provider or brings profiles speaks for all of it: nothing stored is mixed with its keys.
        let speaks = host.plain.contains_key("apiProvider") || host.secrets.expose(PROFILES_KEY).is_some();
        let below = if speaks { stored.clone().without_profiles() } else { stored.clone() };
        let mut values = below.with(host.clone());
        for list in &joined {
            if let (Some(Value::Array(kept)), Some(Value::Array(own))) =
                (stored.plain.get(*list), host.plain.get(*list))
            {
                values.plain.insert((*list).to_owned(), setters::joined(kept, own).into());
            }
        }
        let settings = Arc::new(read(&over(values.clone(), Values::default()))?);
        Ok(Layer { stored, host, joined, values, settings })
    }
}

impl EngineSettings {
    /// The defaults with `values` in their place.
    ///
    /// # Errors
    /// The first value of a wrong type, by key.
    pub fn new(values: Values) -> Result<EngineSettings, SettingsError> {
        let joined = COMMAND_LISTS.into_iter().filter(|list| values.plain.contains_key(*list)).collect();
        Ok(EngineSettings { current: RwLock::new(Layer::new(Values::default(), values, joined)?) })
    }

    /// Settings now.
    pub fn current(&self) -> Arc<Settings> {
        self.layer().settings
    }

    /// Replaces some values; `null` returns a key to its default.
    ///
    /// # Errors
    /// The first value of a wrong type; then nothing is changed.
    pub fn set(&self, changes: Values) -> Result<(), SettingsError> {
        let mut layer = self.layer_mut();
        let mut joined = layer.joined.clone();
        joined.retain(|list| !changes.plain.contains_key(*list));
        *layer = Layer::new(layer.stored.clone(), layer.host.clone().with(changes), joined)?;
        Ok(())
    }

    /// Replaces what is kept on disk, under what the host gave. Gives the keys whose values are others now.
    ///
    /// # Errors
    /// A value of a wrong type; then nothing is changed.
    pub fn set_stored(&self, stored: Values) -> Result<Vec<String>, SettingsError> {
        let mut layer = self.layer_mut();
        let next = Layer::new(stored, layer.host.clone(), layer.joined.clone())?;
        let changed = next.values.differing(&layer.values);
        *layer = next;
        Ok(changed)
    }

    /// Takes these back from what the host gave, so that what is kept counts.
    pub fn forget(&self, keys: &[String]) {
        self.replace_host(|host| {
            host.plain.retain(|key, _| !keys.contains(key));
            host.secrets.retain(|key, _| !keys.iter().any(|gone| gone == key));
        });
    }

    /// Takes back what the host gave of a profile, so that the stored one counts.
    pub fn forget_profile(&self) {
        self.replace_host(|host| {
            *host = std::mem::take(host).without_profile();
            host.plain.retain(|key, _| ![PROFILE_IN_FORCE, MODE_PROFILES].contains(&key.as_str()));
            host.secrets.retain(|key, _| key != PROFILES_KEY);
        });
    }

    /// All values in force, secrets in clear: for an export.
    pub fn everything(&self) -> Map<String, Value> {
        let Values { plain, secrets } = self.layer().values;
        let clear = secrets.keys().filter_map(|key| Some((key.to_owned(), secrets.expose(key)?.clone())));
        clear.chain(plain).collect()
    }

    fn replace_host(&self, change: impl FnOnce(&mut Values)) {
        let mut layer = self.layer_mut();
        let mut host = layer.host.clone();
        change(&mut host);
        // Less of what was right alone and together; should it be wrong all the same, it stays.
        if let Ok(next) = Layer::new(layer.stored.clone(), host, layer.joined.clone()) {
            *layer = next;
        }
    }

    fn layer_mut(&self) -> RwLockWriteGuard<'_, Layer> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn layer(&self) -> Layer {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The settings of one session: the engine's, less what it sets itself.
pub struct SessionSettings {
    engine: Arc<EngineSettings>,
    /// What the workspace says, over the engine's and under its own.
    workspace: Values,
    own: Mutex<Own>,
    /// Is told the session's own values, as they may be written to a file, whenever they change.
    keep: OnceLock<Keep>,
    /// Custom modes from files.
    modes: OnceLock<WorkspaceModes>,
    /// Texts, whose packs these settings name.
    texts: OnceLock<Arc<PackedTexts>>,
}

type Keep = Box<dyn Fn(&Value) + Send + Sync>;

struct Own {
    values: Values,
    /// What `values` gave over which engine settings.
    computed: Option<(Arc<Settings>, Arc<Settings>)>,
}

impl SessionSettings {
    /// The engine's settings with `values` in their place.
    ///
    /// # Errors
    /// The first value of a wrong type, by key.
    pub fn new(engine: Arc<EngineSettings>, values: Values) -> Result<SessionSettings, SettingsError> {
        SessionSettings::in_workspace(engine, Values::default(), values)
    }

    /// The engine's settings with those of the workspace, and `values` in their place.
    ///
    /// # Errors
    /// The first value of a wrong type, by key.
    pub fn in_workspace(
        engine: Arc<EngineSettings>,
        workspace: Values,
        values: Values,
    ) -> Result<SessionSettings, SettingsError> {
        let own = Mutex::new(Own { values: values.clone(), computed: None });
        let (keep, modes, texts) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let session = SessionSettings { engine, workspace, own, keep, modes, texts };
        read(&over(session.below(), values))?;
        Ok(session)
    }

    /// What a session's own values stand on.
    fn below(&self) -> Values {
        self.engine.layer().values.with(self.workspace.clone())
    }

    /// `keep` is told the session's own values, secrets emptied, whenever they change.
    pub fn keep_with(&self, keep: impl Fn(&Value) + Send + Sync + 'static) {
        // Set once, when the session begins to run.
        let _ = self.keep.set(Box::new(keep));
    }

    /// Adds the custom modes of files to those of the settings.
    pub fn with_modes(&self, modes: WorkspaceModes) {
        // Set once, when the session begins to run.
        let _ = self.modes.set(modes);
    }

    /// Keeps the texts of the session as the settings want them.
    pub fn with_texts(&self, texts: Arc<PackedTexts>) {
        texts.refresh(&self.without_files());
        // Set once, when the session begins to run.
        let _ = self.texts.set(texts);
    }

    /// The texts of the session, once it runs, with the packs that are in force now.
    pub fn texts(&self) -> Option<Arc<Texts>> {
        let texts = self.texts.get()?;
        texts.refresh(&self.without_files());
        Some(texts.texts().clone())
    }

    /// Replaces some values of this session; `null` returns a key to the engine's value.
    ///
    /// # Errors
    /// The first value of a wrong type; then nothing is changed.
    pub fn set(&self, changes: Values) -> Result<(), SettingsError> {
        let mut own = self.own();
        let values = own.values.clone().with(changes);
        read(&over(self.below(), values.clone()))?;
        self.replace(&mut own, values);
        Ok(())
    }

    /// Settings now, but for what stands in files.
    fn without_files(&self) -> Arc<Settings> {
        let base = self.engine.layer();
        let mut own = self.own();
        if own.values.is_empty() && self.workspace.is_empty() {
            return base.settings;
        }
        if let Some((over, settings)) = &own.computed
            && Arc::ptr_eq(over, &base.settings)
        {
            return settings.clone();
        }
        // Both layers were read before one over the other; a value that only fails in company leaves the engine's.
        let settings = read(&over(base.values.with(self.workspace.clone()), own.values.clone()))
            .map_or(base.settings.clone(), Arc::new);
        own.computed = Some((base.settings, settings.clone()));
        settings
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, own: &mut Own, values: Values) {
        self.keep.get().inspect(|keep| keep(&values.without_secrets()));
        *own = Own { values, computed: None };
    }

    /// These values with the profile of this name in force, which the mode in force remembers.
    fn with_profile(&self, values: Values, name: &str) -> Values {
        let now = self.below().with(values.clone());
        let mode = now.plain.get("mode").and_then(Value::as_str).unwrap_or(DEFAULT_MODE).to_owned();
        let id = profiles::id_of(&now.secrets, name).map(str::to_owned);
        let mut values = values.without_profile();
        values.plain.insert(PROFILE_IN_FORCE.into(), name.into());
        remember(&mut values, &now, &mode, id);
        values
    }
}

/// Values of a session over those of the engine. The profile in force lies between them: what a session sets counts more.
fn over(engine: Values, own: Values) -> Values {
    match engine.clone().with(own.clone()).profile() {
        Some(profile) => engine.without_profile().with(profile).with(own),
        None => engine.with(own),
    }
}

/// Notes in `values` that `mode` is used with the profile of this id. `now` are the values in force.
fn remember(values: &mut Values, now: &Values, mode: &str, id: Option<String>) {
    let Some(id) = id else { return };
    let known = now.plain.get(MODE_PROFILES).and_then(Value::as_object).cloned();
    let mut known = known.unwrap_or_default();
    known.insert(mode.to_owned(), id.into());
    values.plain.insert(MODE_PROFILES.into(), known.into());
}

impl SettingsSource for SessionSettings {
    fn current(&self) -> Arc<Settings> {
        let settings = self.without_files();
        self.modes.get().map_or_else(|| settings.clone(), |modes| modes.join(settings.clone()))
    }

    fn refresh(&self) {
        self.modes.get().inspect(|modes| modes.refresh());
        self.texts.get().inspect(|texts| texts.refresh(&self.without_files()));
    }

    fn set_mode(&self, slug: &str) {
        let mut own = self.own();
        let mut values = own.values.clone();
        values.plain.insert("mode".into(), slug.into());
        let now = self.below().with(values.clone());
        let stored = now.plain.get(MODE_PROFILES).and_then(|modes| modes.get(slug)?.as_str());
        let current = now.plain.get(PROFILE_IN_FORCE).and_then(Value::as_str).unwrap_or("default");
        // The id of a profile that is gone means: stay with the present one.
        let values = match stored {
            Some(id) => match profiles::name_of(&now.secrets, id).filter(|name| *name != current) {
                Some(name) => self.with_profile(values, name),
                None => values,
            },
            None => {
                let id = profiles::id_of(&now.secrets, current).map(str::to_owned);
                remember(&mut values, &now, slug, id);
                values
            }
        };
        self.replace(&mut own, values);
    }

    fn set_profile(&self, name: &str) -> bool {
        let mut own = self.own();
        let now = self.below().with(own.values.clone());
        let known = profiles::find(&now.secrets, name).is_some();
        if known {
            let values = self.with_profile(own.values.clone(), name);
            self.replace(&mut own, values);
        }
        known
    }
}

/// The JSON of settings without secrets: keys that hold one show whether they are set.
pub fn public_view(settings: &Settings, keys: &[String]) -> Value {
    let Ok(Value::Object(mut all)) = serde_json::to_value(settings) else { return Value::Null };
    if !keys.is_empty() {
        all.retain(|key, _| keys.contains(key));
    }
    all.iter_mut().for_each(|(key, value)| blot(key, value, &secrets::shown));
    Value::Object(all)
}

/// Reads settings; a value that is not what the table says is named by its place.
fn read(values: &Values) -> Result<Settings, SettingsError> {
    let mut plain = values.plain.clone();
    let secrets = values.secrets.keys().filter_map(|key| Some((key, values.secrets.expose(key)?)));
    let secret_problems = secrets.flat_map(|(key, value)| schema::check_key(key, value));
    if let Some(problem) = schema::check(&plain).into_iter().chain(secret_problems).next() {
        return Err(SettingsError { place: problem.place(), message: problem.message });
    }
    plain.retain(|_, value| !value.is_null());
    // Whatever is stored (spec 04 §2.3).
    if plain.contains_key("mcpEnabled") {
        plain.insert("mcpEnabled".into(), true.into());
    }
    // One that is null, or of a kind that only another version knows, is off (spec 04 §2.6).
    if let Some(Value::Object(experiments)) = plain.get_mut(EXPERIMENTS) {
        experiments.retain(|_, on| on.is_boolean());
    }
    schema::make_whole(&mut plain);
    let settings: Result<Settings, _> = serde_json::from_value(Value::Object(plain));
    let error = match settings {
        Ok(settings) => return Ok(Settings { secrets: values.secrets.clone(), ..settings }),
        Err(error) => error,
    };
    let one = |(key, value): (&String, &Value)| {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<Settings>(Value::Object(alone)).err().map(|cause| (key.clone(), wanted(&cause)))
    };
    let (place, message) = values.plain.iter().find_map(one).unwrap_or_else(|| (String::new(), wanted(&error)));
    Err(SettingsError { place, message })
}

/// What a value should have been. The value itself is left out: it may be a secret under a wrong key.
fn wanted(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    text.rsplit_once("expected ")
        .map_or_else(|| "is of a wrong type".to_owned(), |(_, wanted)| format!("must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Values {
        value.as_object().cloned().unwrap_or_default().into()
    }

    #[test]
    fn a_session_differs_from_the_engine_only_where_it_says_so() {
        let engine = Arc::new(EngineSettings::new(object(json!({"writeDelayMs": 5}))).unwrap());
        let session = SessionSettings::new(engine.clone(), object(json!({"alwaysAllowWrite": true}))).unwrap();
        assert!(session.current().always_allow_write && !engine.current().always_allow_write);
        engine.set(object(json!({"writeDelayMs": 7}))).unwrap();
        assert_eq!(session.current().write_delay_ms, 7);
        session.set(object(json!({"writeDelayMs": 9}))).unwrap();
        session.set_mode("ask");
        assert_eq!((session.current().write_delay_ms, session.current().mode.as_str()), (9, "ask"));
        session.set(object(json!({"writeDelayMs": null}))).unwrap();
        assert_eq!(session.current().write_delay_ms, 7);
    }

    /// parity 04 §checklist.1: what counts when nothing was ever set; no provider is chosen
    #[test]
    fn defaults_of_empty_stores() {
        let engine = EngineSettings::new(Values::default()).unwrap();
        engine.set_stored(Values::default()).unwrap();
        let now = engine.current();
        assert_eq!((now.mode.as_str(), now.max_read_file_line, now.write_delay_ms), ("code", -1, 1000));
        assert_eq!((now.auto_condense_context_percent, now.api_provider.as_deref()), (100.0, None));
        assert_eq!(now.allowed_commands, ["git log", "git diff", "git show"]);
    }

    /// parity 04 §1: settings that are reloaded while sessions run are never read torn or missed
    #[test]
    fn a_hundred_sessions_read_whole_settings_while_they_are_reloaded() {
        const ROUNDS: u64 = 300;
        let stored = |round: u64| object(json!({"writeDelayMs": round, "requestDelaySeconds": round}));
        let engine = Arc::new(EngineSettings::new(object(json!({"language": "de"}))).unwrap());
        engine.set_stored(stored(0)).unwrap();
        let session = |number: usize| {
            let own = if number.is_multiple_of(2) { json!({}) } else { json!({"alwaysAllowWrite": true}) };
            SessionSettings::new(engine.clone(), object(own)).unwrap()
        };
        let sessions: Vec<SessionSettings> = (0..100).map(session).collect();
        std::thread::scope(|scope| {
            for sessions in sessions.chunks(25) {
                scope.spawn(move || {
                    let mut last = 0;
                    while last < ROUNDS {
                        let mut least = u64::MAX;
                        for session in sessions {
                            let now = session.current();
                            assert_eq!(now.write_delay_ms, now.request_delay_seconds, "torn");
                            assert!(now.write_delay_ms >= last && now.language.as_deref() == Some("de"), "lost");
                            least = least.min(now.write_delay_ms);
                        }
                        last = least;
                    }
                });
            }
            for round in 1..=ROUNDS {
                assert_eq!(engine.set_stored(stored(round)).unwrap(), ["requestDelaySeconds", "writeDelayMs"]);
            }
        });
    }

    /// parity 04 §2.6: what is set of experiments goes over the others; what is null or no switch is off
    #[test]
    fn experiments_are_set_one_by_one() {
        let engine = EngineSettings::new(object(json!({"experiments": {"powerSteering": true, "later": 5}}))).unwrap();
        engine.set_stored(object(json!({"experiments": {"imageGeneration": true, "powerSteering": false}}))).unwrap();
        engine.set(object(json!({"experiments": {"runSlashCommand": true, "imageGeneration": null}}))).unwrap();
        let now = engine.current();
        let on = ["powerSteering", "imageGeneration", "runSlashCommand", "later"].map(|name| now.experiment(name));
        assert_eq!(on, [true, false, true, false]);
        engine.set(object(json!({"experiments": null}))).unwrap();
        assert!(engine.current().experiment("imageGeneration") && !engine.current().experiment("powerSteering"));
    }

    /// parity 04 §quirks.1: MCP is on whatever is said
    /// parity 04 §2.3: MCP is on whatever is said
    #[test]
    fn mcp_cannot_be_switched_off() {
        let engine = EngineSettings::new(object(json!({"mcpEnabled": false}))).unwrap();
        assert_eq!(engine.current().other["mcpEnabled"], true);
    }

    /// parity 04 §3: the host's lists of commands join those that are kept, until a list is set
    /// parity 04 §8: decisions are made on the joined lists
    #[test]
    fn lists_of_the_host_join_those_that_are_kept() {
        let given = json!({"allowedCommands": ["ls", "git"], "deniedCommands": ["rm"]});
        let engine = EngineSettings::new(object(given)).unwrap();
        let lists = || (engine.current().allowed_commands.join(" "), engine.current().denied_commands.join(" "));
        assert_eq!(lists(), ("ls git".into(), "rm".into()));
        engine.set_stored(object(json!({"allowedCommands": ["git", "cargo"], "deniedCommands": ["dd"]}))).unwrap();
        assert_eq!(lists(), ("git cargo ls".into(), "dd rm".into()));
        engine.set(object(json!({"allowedCommands": ["make"]}))).unwrap();
        assert_eq!(lists(), ("make".into(), "dd rm".into()));
        engine.forget(&["allowedCommands".into(), "deniedCommands".into()]);
        assert_eq!(lists(), ("git cargo".into(), "dd".into()));
    }

    #[test]
    fn a_workspace_speaks_over_the_engine_and_under_the_session() {
        let engine = Arc::new(EngineSettings::new(object(json!({"language": "de", "writeDelayMs": 1}))).unwrap());
        let workspace = object(json!({"language": "fr", "maxWorkspaceFiles": 5}));
        let session =
            SessionSettings::in_workspace(engine, workspace, object(json!({"maxWorkspaceFiles": 7}))).unwrap();
        let now = session.current();
        assert_eq!((now.language.as_deref(), now.max_workspace_files, now.write_delay_ms), (Some("fr"), 7, 1));
    }

    /// parity 04 §5.4: a host that names a provider is not mixed with the profile that is kept
    #[test]
    fn a_host_that_names_a_provider_speaks_for_all_of_it() {
        let profile =
            json!({"id": "w", "apiProvider": "openai", "openAiBaseUrl": "https://kept", "openAiApiKey": "sk-kept"});
        let stored =
            || object(json!({"apiConfigs": {"work": profile}, "currentApiConfigName": "work", "language": "de"}));
        let provider = |engine: &EngineSettings| {
            let now = engine.current();
            (now.api_provider.clone(), now.option_str("openAiBaseUrl").map(str::to_owned), now.language.clone())
        };
        let text = |text: &str| Some(text.to_owned());
        let engine = EngineSettings::new(Values::default()).unwrap();
        assert_eq!(engine.set_stored(stored()).unwrap(), ["apiConfigs", "currentApiConfigName", "language"]);
        assert_eq!(provider(&engine), (text("openai"), text("https://kept"), text("de")));
        engine.set(object(json!({"apiProvider": "openai", "openAiApiKey": "sk-host"}))).unwrap();
        assert_eq!(provider(&engine), (text("openai"), None, text("de")));
        assert_eq!(engine.current().secrets.expose("openAiApiKey"), Some(&json!("sk-host")));
        engine.forget_profile();
        assert_eq!(provider(&engine), (text("openai"), text("https://kept"), text("de")));
    }

    /// parity 04 §checklist.4: each mode keeps its profile
    #[test]
    fn modes_keep_their_profiles() {
        let engine = Arc::new(EngineSettings::new(Values::default()).unwrap());
        let profiles = json!({"a": {"id": "1", "apiProvider": "xai"}, "b": {"id": "2", "apiProvider": "groq"}});
        let stored =
            json!({"apiConfigs": profiles, "currentApiConfigName": "a", "modeApiConfigs": {"code": "1", "ask": "1"}});
        engine.set_stored(object(stored)).unwrap();
        let session = SessionSettings::new(engine, Values::default()).unwrap();
        let provider = || session.current().api_provider.clone().unwrap_or_default();
        session.set_mode("ask");
        assert!(session.set_profile("b"));
        assert_eq!(provider(), "groq");
        session.set_mode("code");
        assert_eq!(provider(), "xai");
        session.set_mode("ask");
        assert_eq!(provider(), "groq");
    }

    #[test]
    fn a_wrong_value_is_named_and_changes_nothing() {
        let engine = EngineSettings::new(Values::default()).unwrap();
        let error = engine.set(object(json!({"mode": "ask", "writeDelayMs": "soon"}))).unwrap_err();
        assert_eq!(error.place, "writeDelayMs");
        assert_eq!(engine.current().mode, "code");
    }

    #[test]
    fn secrets_are_kept_as_empty_so_that_the_engines_do_not_take_their_place() {
        let own = object(json!({
            "openAiBaseUrl": "http://own", "openAiApiKey": "sk-1", "openAiHeaders": {"x": "sk-2"},
            "profiles": [{"work": {"apiKey": "sk-3", "model": "m"}}],
        }));
        let kept = own.without_secrets();
        let expected = json!({
            "openAiBaseUrl": "http://own", "openAiApiKey": "", "openAiHeaders": {},
            "profiles": [{"work": {"apiKey": "", "model": "m"}}],
        });
        assert_eq!(kept, expected);
        let engine = Arc::new(EngineSettings::new(object(json!({"openAiApiKey": "sk-engine"}))).unwrap());
        let session = SessionSettings::new(engine, object(kept)).unwrap();
        assert_eq!(session.current().secrets.expose("openAiApiKey"), Some(&json!("")));
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings =
            read(&object(json!({"openAiApiKey": "sk-1", "awsSecretKey": "x", "apiProvider": "openai"}))).unwrap();
        let shown = public_view(&settings, &[]).to_string();
        assert!(!shown.contains("sk-1") && shown.contains("\"openAiApiKey\":\"(set)\"") && shown.contains("openai"));
        assert_eq!(public_view(&settings, &["apiProvider".into()]), json!({"apiProvider": "openai"}));
        let nested = read(&object(json!({"profiles": [{"work": {"apiKey": "sk-2"}}]}))).unwrap();
        assert!(!public_view(&nested, &[]).to_string().contains("sk-2"));
    }
}
