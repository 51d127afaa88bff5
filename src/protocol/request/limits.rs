//! Limits of the fields of requests.

use super::*;
use crate::protocol::ids::{AskId, HostRequestId, SessionId};
use crate::protocol::limits::*;
use crate::protocol::secret::Hidden;

/// A value with limits.
pub(super) trait Checked {
    /// Refuses what is beyond them, naming the place.
    fn check(&self, place: &str) -> Result<(), RequestError>;
}

macro_rules! checked {
    ($($body:ident { $($field:ident: $limit:ident,)* })*) => {$(
        impl Checked for $body {
            fn check(&self, place: &str) -> Result<(), RequestError> {
                $($limit(&self.$field, &|| format!("{place}.{}", stringify!($field)))?;)*
                let _ = place;
                Ok(())
            }
        }
    )*};
}

checked! {
    EngineInfo {}
    EngineStats {}
    EngineShutdown {}
    SettingsGet { session: any, keys: names, }
    SettingsSchema {}
    SettingsReset {}
    ProfileList {}
    ProfileSet { name: name, settings: object, activate: any, former: name, }
    ProfileDelete { name: name, }
    ProfileActivate { name: name, mode: name, }
    SecretSet { name: name, value: secret, }
    SecretDelete { name: name, }
    TaskStart {
        workspace: path, text: text, images: images, mode: name, profile: name, settings: object, todos: text,
        dry_run: any,
    }
    TaskResume { task: name, workspace: path, settings: object, }
    TaskMessage { session: any, text: text, images: images, }
    TaskRespond { ask: any, response: any, text: text, images: images, }
    TaskCancel { session: any, }
    TaskClear { session: any, }
    TaskList { cursor: name, limit: any, query: text, workspace: path, favorites: any, sort: any, }
    TaskExport { task: name, format: any, }
    TaskGet { task: name, }
    TaskSetMode { session: any, mode: name, }
    TaskSetProfile { session: any, profile: name, }
    TaskEditMessage { session: any, message: any, text: text, images: images, restore: any, }
    TaskDeleteMessage { session: any, message: any, restore: any, }
    TaskCondense { session: any, }
    TaskSetTodos { session: any, todos: todos, }
    TaskTerminal { session: any, action: any, }
    DryRunApply { session: any, files: paths, hunks: names, }
    DryRunDrop { session: any, files: paths, hunks: names, }
    ModeList { workspace: path, }
    ModeGet { mode: name, workspace: path, export: any, }
    ModeDelete { mode: name, workspace: path, source: any, }
    ProviderList {}
    ProviderTest { settings: object, }
    TokensCount { text: text, }
    ModelList { provider: name, settings: object, fetch: any, }
    CompletionCreate { system: text, messages: array, parameters: object, profile: name, }
    PromptPreview { workspace: path, mode: name, }
    PromptEnhance { text: text, kind: name, values: object, session: any, }
    CommitMessageCreate { workspace: path, }
    RulesList { workspace: path, mode: name, }
    RulesToggle { path: path, enabled: any, }
    CommandList { workspace: path, }
    MentionComplete { workspace: path, prefix: text, limit: any, }
    FileSearch { workspace: path, query: text, limit: any, }
    CheckpointRestore { session: any, checkpoint: name, mode: any, }
    CheckpointUndo { session: any, }
    Unbuilt { fields: object, }
}

impl Checked for SettingsSet {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.save && self.session.is_some() {
            return Err(RequestError::new(place, "`save` is not for a `session`"));
        }
        object(&self.values, &|| format!("{place}.values"))
    }
}

impl Checked for SettingsImport {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.path.is_some() == self.settings.is_some() {
            return Err(RequestError::new(place, "needs either `path` or `settings`"));
        }
        path(&self.path, &|| format!("{place}.path"))?;
        object(&self.settings, &|| format!("{place}.settings"))
    }
}

impl Checked for SettingsExport {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.secrets && self.path.is_none() {
            return Err(RequestError::new(place, "`secrets` needs `path`: keys go into no answer"));
        }
        path(&self.path, &|| format!("{place}.path"))
    }
}

impl Checked for ProfileGet {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.name.is_some() == self.id.is_some() {
            return Err(RequestError::new(place, "needs either `name` or `id`"));
        }
        name(&self.name, &|| format!("{place}.name"))?;
        name(&self.id, &|| format!("{place}.id"))
    }
}

impl Checked for CheckpointList {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        one_task(&self.session, &self.task, place)
    }
}

impl Checked for CheckpointDiff {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        one_task(&self.session, &self.task, place)?;
        name(&self.from, &|| format!("{place}.from"))?;
        name(&self.to, &|| format!("{place}.to"))
    }
}

/// A task is named by itself or by its session.
fn one_task(session: &Option<SessionId>, task: &Option<String>, place: &str) -> Result<(), RequestError> {
    if session.is_some() == task.is_some() {
        return Err(RequestError::new(place, "needs either `session` or `task`"));
    }
    name(task, &|| format!("{place}.task"))
}

impl Checked for HostRespond {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.result.is_some() == self.error.is_some() {
            return Err(RequestError::new(place, "needs either `result` or `error`"));
        }
        value(&self.result, &|| format!("{place}.result"))?;
        text(&self.error, &|| format!("{place}.error"))
    }
}

impl Checked for TaskDelete {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.task.is_some() != self.tasks.is_empty() {
            return Err(RequestError::new(place, "needs either `task` or `tasks`"));
        }
        name(&self.task, &|| format!("{place}.task"))?;
        names(&self.tasks, &|| format!("{place}.tasks"))
    }
}

impl Checked for ModeSet {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.mode.is_some() == self.import.is_some() {
            return Err(RequestError::new(place, "needs either `mode` or `import`"));
        }
        path(&self.workspace, &|| format!("{place}.workspace"))?;
        object(&self.mode, &|| format!("{place}.mode"))?;
        text(&self.import, &|| format!("{place}.import"))
    }
}

impl Checked for TaskQueue {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.remove && self.message.is_none() {
            return Err(RequestError::new(place, "`remove` needs `message`"));
        }
        text(&self.text, &|| format!("{place}.text"))?;
        images(&self.images, &|| format!("{place}.images"))?;
        name(&self.message, &|| format!("{place}.message"))
    }
}

impl Checked for TaskDiff {
    fn check(&self, place: &str) -> Result<(), RequestError> {
        if self.session.is_some() == self.task.is_some() {
            return Err(RequestError::new(place, "needs either `session` or `task`"));
        }
        name(&self.task, &|| format!("{place}.task"))?;
        name(&self.from, &|| format!("{place}.from"))?;
        name(&self.to, &|| format!("{place}.to"))?;
        paths(&self.files, &|| format!("{place}.files"))
    }
}

/// Names a place, only when it is needed.
type Place<'a> = &'a dyn Fn() -> String;

/// Required and optional values alike.
trait Given<T> {
    fn given(&self) -> Option<&T>;
}
impl Given<String> for String {
    fn given(&self) -> Option<&String> {
        Some(self)
    }
}
impl Given<Json> for Json {
    fn given(&self) -> Option<&Json> {
        Some(self)
    }
}
impl<T> Given<T> for Option<T> {
    fn given(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// A type whose every value is fine.
trait Unlimited {}
impl Unlimited for bool {}
impl Unlimited for u32 {}
impl Unlimited for u64 {}
impl Unlimited for AskId {}
impl Unlimited for HostRequestId {}
impl Unlimited for SessionId {}
impl Unlimited for Response {}
impl Unlimited for TerminalAction {}
impl Unlimited for ExportFormat {}
impl Unlimited for ListSort {}
impl Unlimited for RestoreMode {}
impl Unlimited for ModeSource {}
impl<T: Unlimited> Unlimited for Option<T> {}

fn any(_: &impl Unlimited, _: Place) -> Result<(), RequestError> {
    Ok(())
}

fn at_most(bytes: usize, limit: usize, place: Place) -> Result<(), RequestError> {
    if bytes > limit {
        return Err(RequestError::new(place(), format!("{bytes} bytes, the limit is {limit}")));
    }
    Ok(())
}

fn text(value: &impl Given<String>, place: Place) -> Result<(), RequestError> {
    value.given().map_or(Ok(()), |value| at_most(value.len(), MAX_TEXT_BYTES, place))
}

fn name(value: &impl Given<String>, place: Place) -> Result<(), RequestError> {
    let Some(value) = value.given() else { return Ok(()) };
    if value.is_empty() {
        return Err(RequestError::new(place(), "must not be empty"));
    }
    if value.contains('\0') {
        return Err(RequestError::new(place(), "holds a NUL character"));
    }
    at_most(value.len(), MAX_NAME_BYTES, place)
}

fn secret(value: &Hidden, place: Place) -> Result<(), RequestError> {
    match value.expose() {
        "" => Err(RequestError::new(place(), "must not be empty")),
        text => at_most(text.len(), MAX_SECRET_BYTES, place),
    }
}

fn path(value: &impl Given<String>, place: Place) -> Result<(), RequestError> {
    let Some(value) = value.given() else { return Ok(()) };
    if !std::path::Path::new(value).is_absolute() {
        return Err(RequestError::new(place(), "must be an absolute path"));
    }
    if value.contains('\0') {
        return Err(RequestError::new(place(), "holds a NUL character"));
    }
    at_most(value.len(), MAX_PATH_BYTES, place)
}

fn images(list: &[String], place: Place) -> Result<(), RequestError> {
    if list.len() > MAX_IMAGES {
        return Err(RequestError::new(place(), format!("{} images, the limit is {MAX_IMAGES}", list.len())));
    }
    for (index, image) in list.iter().enumerate() {
        let place = || format!("{}[{index}]", place());
        if !image.starts_with("data:image/") {
            return Err(RequestError::new(place(), "must be a data URL of an image"));
        }
        at_most(image.len(), MAX_IMAGE_BYTES, &place)?;
    }
    Ok(())
}

fn names(list: &[String], place: Place) -> Result<(), RequestError> {
    items(list.len(), place)?;
    list.iter().enumerate().try_for_each(|(index, item)| name(item, &|| format!("{}[{index}]", place())))
}

/// Names of files, absolute or relative.
fn paths(list: &[String], place: Place) -> Result<(), RequestError> {
    items(list.len(), place)?;
    for (index, path) in list.iter().enumerate() {
        let place = || format!("{}[{index}]", place());
        if path.is_empty() || path.contains('\0') {
            return Err(RequestError::new(place(), "must be the path of a file"));
        }
        at_most(path.len(), MAX_PATH_BYTES, &place)?;
    }
    Ok(())
}

fn todos(list: &[Todo], place: Place) -> Result<(), RequestError> {
    items(list.len(), place)?;
    for (index, todo) in list.iter().enumerate() {
        name(&todo.id, &|| format!("{}[{index}].id", place()))?;
        text(&todo.content, &|| format!("{}[{index}].content", place()))?;
        if !matches!(todo.status.as_str(), "pending" | "in_progress" | "completed") {
            let place = format!("{}[{index}].status", place());
            return Err(RequestError::new(place, "must be `pending`, `in_progress` or `completed`"));
        }
    }
    Ok(())
}

fn items(count: usize, place: Place) -> Result<(), RequestError> {
    if count > MAX_ITEMS {
        return Err(RequestError::new(place(), format!("{count} entries, the limit is {MAX_ITEMS}")));
    }
    Ok(())
}

fn value(json: &impl Given<Json>, place: Place) -> Result<(), RequestError> {
    let Some(json) = json.given() else { return Ok(()) };
    at_most(json.as_str().len(), MAX_VALUE_BYTES, place)?;
    Json::parse(json.as_str()).map(|_| ()).map_err(|error| RequestError::new(place(), error.to_string()))
}

fn object(json: &impl Given<Json>, place: Place) -> Result<(), RequestError> {
    value(json, place)?;
    match json.given() {
        Some(json) if !json.as_str().trim_start().starts_with('{') => {
            Err(RequestError::new(place(), "must be an object"))
        }
        _ => Ok(()),
    }
}

fn array(json: &impl Given<Json>, place: Place) -> Result<(), RequestError> {
    value(json, place)?;
    match json.given() {
        Some(json) if !json.as_str().trim_start().starts_with('[') => Err(RequestError::new(place(), "must be a list")),
        _ => Ok(()),
    }
}
