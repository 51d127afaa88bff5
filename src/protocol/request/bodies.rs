//! The bodies of the requests that are built, in the order of `docs/protocol.md`.

use crate::protocol::ids::{AskId, HostRequestId, SessionId};
use crate::protocol::json::Json;
use crate::protocol::message::AskResponse;
use crate::protocol::record::{records, words};
use crate::protocol::secret::Hidden;

words! {
    /// What the user answers to an ask.
    Response / ArchivedResponse {
        /// Approve, go on.
        #[default]
        Yes = "yes",
        /// Reject.
        No = "no",
        /// Answer with a text.
        Message = "message",
        /// Answer each item of a batch; the text is JSON.
        Object = "object",
        /// Try again.
        Retry = "retry",
    }

    /// What happens to a running command.
    TerminalAction / ArchivedTerminalAction {
        /// Let it run on in the background and go on with the task.
        #[default]
        Continue = "continue",
        /// End it.
        Abort = "abort",
    }

    /// How a stored task is given out.
    ExportFormat / ArchivedExportFormat {
        /// A text for people.
        #[default]
        Markdown = "markdown",
        /// All that is stored.
        Json = "json",
    }

    /// Order of a list of tasks.
    ListSort / ArchivedListSort {
        /// Last used first.
        #[default]
        Newest = "newest",
        /// Last used last.
        Oldest = "oldest",
        /// By cost.
        MostExpensive = "most_expensive",
        /// By tokens, those of the cache included.
        MostTokens = "most_tokens",
        /// By how well the query fits; without one as `newest`.
        MostRelevant = "most_relevant",
    }

    /// Which file a custom mode stands in.
    ModeSource / ArchivedModeSource {
        /// The user's.
        #[default]
        Global = "global",
        /// The project's.
        Project = "project",
    }

    /// What a checkpoint brings back.
    RestoreMode / ArchivedRestoreMode {
        /// The files of the workspace.
        #[default]
        Files = "files",
        /// The files, and the conversation as it was then.
        Task = "task",
    }
}

records! {
    /// Version, ABI, features, providers, tools, languages of this build.
    #[serde(deny_unknown_fields)]
    EngineInfo / ArchivedEngineInfo {}

    /// Counters of the engine and its rings.
    #[serde(deny_unknown_fields)]
    EngineStats / ArchivedEngineStats {}

    /// Ends an engine that runs in a process of its own, in order: its sessions can be gone on with by the next one.
    EngineShutdown / ArchivedEngineShutdown {}

    /// Settings in force.
    #[serde(deny_unknown_fields)]
    SettingsGet / ArchivedSettingsGet {
        /// Session whose settings are meant; absent: those that new sessions start with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Keys wanted; empty: all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
    }

    /// Changes settings.
    #[serde(deny_unknown_fields)]
    SettingsSet / ArchivedSettingsSet {
        /// Session whose settings are meant; absent: those that new sessions start with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Object of keys and their new values.
        values: Json,
        /// Keep them as well, for engines to come; not with a session.
        #[serde(default)]
        save: bool,
    }

    /// Every setting there is. Result: `{schema}`, a JSON schema.
    #[serde(deny_unknown_fields)]
    SettingsSchema / ArchivedSettingsSchema {}

    /// Imports a settings file, all of it or nothing. Result: `{profiles, current, settings}`, the names of what came.
    #[serde(deny_unknown_fields)]
    SettingsImport / ArchivedSettingsImport {
        /// Absolute path of the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// What stands in it, in its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Json>,
    }

    /// Exports settings and profiles as a settings file. Result: `{settings}`, or `{path}`.
    #[serde(deny_unknown_fields)]
    SettingsExport / ArchivedSettingsExport {
        /// Absolute path of the file to write; absent: into the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// With keys in clear; into a file alone.
        #[serde(default)]
        secrets: bool,
    }

    /// Forgets settings and profiles that are kept.
    #[serde(deny_unknown_fields)]
    SettingsReset / ArchivedSettingsReset {}

    /// The profiles that are kept. Result: `{profiles: [{id, name, apiProvider?, modelId?}], current, modes, left_out, problems}`.
    #[serde(deny_unknown_fields)]
    ProfileList / ArchivedProfileList {}

    /// A profile. Result: `{name, id, settings}`; keys that hold a secret show `(set)`.
    #[serde(deny_unknown_fields)]
    ProfileGet / ArchivedProfileGet {
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its id, in place of the name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    }

    /// Keeps a profile under a name, in place of an earlier one. Result: `{id}`.
    #[serde(deny_unknown_fields)]
    ProfileSet / ArchivedProfileSet {
        /// Its name.
        name: String,
        /// Object of its settings, all of them; a secret that says `(set)` stays what it was.
        settings: Json,
        /// Put it in force.
        #[serde(default)]
        activate: bool,
        /// Its name until now: it is renamed, keeps its id, and is put in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<String>,
    }

    /// Deletes a profile; the last one stays.
    #[serde(deny_unknown_fields)]
    ProfileDelete / ArchivedProfileDelete {
        /// Its name.
        name: String,
    }

    /// Puts a profile in force.
    #[serde(deny_unknown_fields)]
    ProfileActivate / ArchivedProfileActivate {
        /// Its name.
        name: String,
        /// Slug of the mode that remembers it; absent: the mode in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    }

    /// Puts a secret into the system's keyring, where a setting `${keyring:NAME}` finds it.
    #[serde(deny_unknown_fields)]
    SecretSet / ArchivedSecretSet {
        /// Its name in the keyring.
        name: String,
        /// The secret.
        value: Hidden,
    }

    /// Takes a secret out of the system's keyring. Result: `{deleted}`, false when there was none.
    #[serde(deny_unknown_fields)]
    SecretDelete / ArchivedSecretDelete {
        /// Its name in the keyring.
        name: String,
    }

    /// Opens a session and starts a task in it. Result: `{session, task}`.
    #[serde(deny_unknown_fields)]
    TaskStart / ArchivedTaskStart {
        /// Absolute path of the workspace.
        workspace: String,
        /// What the user wants.
        text: String,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
        /// Slug of the mode to start in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
        /// Name of the provider profile to use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
        /// Object of settings that differ for this session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Json>,
        /// Todo list to start with, as Markdown check list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        todos: Option<String>,
        /// Collect edits instead of writing them.
        #[serde(default)]
        dry_run: bool,
    }

    /// Opens a session on a stored task. Result: `{session, task}`.
    #[serde(deny_unknown_fields)]
    TaskResume / ArchivedTaskResume {
        /// Task id.
        task: String,
        /// Absolute path of the workspace; absent: the one it was started in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// Object of settings that differ for this session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Json>,
    }

    /// A message of the user: answers the waiting ask or is queued.
    #[serde(deny_unknown_fields)]
    TaskMessage / ArchivedTaskMessage {
        /// Session.
        session: SessionId,
        /// Text.
        text: String,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
    }

    /// Answers an ask.
    #[serde(deny_unknown_fields)]
    TaskRespond / ArchivedTaskRespond {
        /// The ask; one that no longer waits is refused as stale.
        ask: AskId,
        /// The answer.
        response: Response,
        /// Text given with it; for `object` the JSON of the answers of each item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
    }

    /// Stops the current task; it can be resumed.
    #[serde(deny_unknown_fields)]
    TaskCancel / ArchivedTaskCancel {
        /// Session.
        session: SessionId,
    }

    /// Closes the current task of a session.
    #[serde(deny_unknown_fields)]
    TaskClear / ArchivedTaskClear {
        /// Session.
        session: SessionId,
    }

    /// Deletes stored tasks with their files. A favourite is not deleted: alone it is refused, among `tasks` it is left out. A task that
    /// is open ends first. Result: `{deleted, kept}`, lists of ids.
    #[serde(deny_unknown_fields)]
    TaskDelete / ArchivedTaskDelete {
        /// Task id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// Task ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<String>,
    }

    /// Lists stored tasks without loading them. Result: `{tasks, cursor?}`.
    #[serde(deny_unknown_fields)]
    TaskList / ArchivedTaskList {
        /// Cursor of an earlier result; absent: from the newest on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
        /// Most entries; absent: 50.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Words the task text must hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// Absolute path: tasks of this workspace alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// Favourites alone.
        #[serde(default)]
        favorites: bool,
        /// Their order.
        #[serde(default)]
        sort: ListSort,
    }

    /// A stored task with its messages.
    #[serde(deny_unknown_fields)]
    TaskGet / ArchivedTaskGet {
        /// Task id.
        task: String,
    }

    /// Gives out a stored task. Result: `{name, text}` for Markdown, `{name, item, messages, conversation}` for JSON; `name` is a file
    /// name to offer.
    #[serde(deny_unknown_fields)]
    TaskExport / ArchivedTaskExport {
        /// Task id.
        task: String,
        /// In which form.
        #[serde(default)]
        format: ExportFormat,
    }

    /// Switches the mode of a session, and with it to the profile that the mode was last used with.
    #[serde(deny_unknown_fields)]
    TaskSetMode / ArchivedTaskSetMode {
        /// Session.
        session: SessionId,
        /// Slug of the mode.
        mode: String,
    }

    /// Switches the provider profile of a session; the mode in force remembers it.
    #[serde(deny_unknown_fields)]
    TaskSetProfile / ArchivedTaskSetProfile {
        /// Session.
        session: SessionId,
        /// Name of the profile.
        profile: String,
    }

    /// Takes the current task back to a message of the user and goes on with another in its place.
    #[serde(deny_unknown_fields)]
    TaskEditMessage / ArchivedTaskEditMessage {
        /// Session.
        session: SessionId,
        /// Id of the message. Of one that is not the user's, the user's last before it is meant.
        message: u64,
        /// The text in its place.
        text: String,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
        /// Restore the files as they were then.
        #[serde(default)]
        restore: bool,
    }

    /// Takes the current task back to before a message.
    #[serde(deny_unknown_fields)]
    TaskDeleteMessage / ArchivedTaskDeleteMessage {
        /// Session.
        session: SessionId,
        /// Id of the message; it and all after it go.
        message: u64,
        /// Restore the files as they were then.
        #[serde(default)]
        restore: bool,
    }

    /// Condenses the conversation of a session now.
    #[serde(deny_unknown_fields)]
    TaskCondense / ArchivedTaskCondense {
        /// Session.
        session: SessionId,
    }

    /// Queues a message until the task can take it, or changes one that waits. Result: `{id}` of a new one, else `{done}`, false when it no
    /// longer waits.
    #[serde(deny_unknown_fields)]
    TaskQueue / ArchivedTaskQueue {
        /// Session.
        session: SessionId,
        /// Text.
        #[serde(default)]
        text: String,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
        /// Id of the waiting message that gets this text and these images; absent: a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Take the waiting message out of the queue.
        #[serde(default)]
        remove: bool,
    }

    /// Replaces the todo list.
    #[serde(deny_unknown_fields)]
    TaskSetTodos / ArchivedTaskSetTodos {
        /// Session.
        session: SessionId,
        /// The whole list.
        todos: Vec<Todo>,
    }

    /// Continues or aborts the running command.
    #[serde(deny_unknown_fields)]
    TaskTerminal / ArchivedTaskTerminal {
        /// Session.
        session: SessionId,
        /// What to do.
        action: TerminalAction,
    }

    /// What a task changed, or what its dry run has collected: `{dry_run, from?, to?, files, added, removed}`. Exactly one of
    /// `session` and `task` is given.
    #[serde(deny_unknown_fields)]
    TaskDiff / ArchivedTaskDiff {
        /// Session whose current task is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Id of a stored task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// Checkpoint to begin with; absent: the state in which the task began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Checkpoint to end with; absent: the state now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Files, as an earlier answer names them; empty: all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    }

    /// Makes edits that a dry run has collected: `{applied, conflicts, left, checkpoint?}`. With neither files nor hunks, all
    /// of them.
    #[serde(deny_unknown_fields)]
    DryRunApply / ArchivedDryRunApply {
        /// Session.
        session: SessionId,
        /// Files, as `task.diff` names them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// Ids of hunks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hunks: Vec<String>,
    }

    /// Drops edits that a dry run has collected: `{dropped, left}`. With neither files nor hunks, all of them.
    #[serde(deny_unknown_fields)]
    DryRunDrop / ArchivedDryRunDrop {
        /// Session.
        session: SessionId,
        /// Files, as `task.diff` names them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// Ids of hunks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hunks: Vec<String>,
    }

    /// Asks for the providers of this build: `{providers: [{name, title, api, …}]}`.
    ProviderList / ArchivedProviderList {}

    /// Asks a provider for a few words, to see whether key, address and model work: `{provider, model, ms}`.
    ProviderTest / ArchivedProviderTest {
        /// Settings on top of those in force, such as another `apiProvider` and its key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Json>,
    }

    /// Asks for the models of a provider: `{provider, default_model, fetched, models: [{id, …}]}`.
    ModelList / ArchivedModelList {
        /// Name of the provider; absent: the one in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// Settings on top of those in force, such as the key a list needs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Json>,
        /// Whether a list that the provider publishes may be fetched; false: only what is built in or was fetched.
        #[serde(default)]
        fetch: bool,
    }

    /// Counts the tokens of a text by the vocabulary `o200k_base`: `{tokens, estimate}`.
    #[serde(deny_unknown_fields)]
    TokensCount / ArchivedTokensCount {
        /// Text.
        text: String,
    }

    /// A raw call of the model; the answer streams as `message.delta` events of this request.
    #[serde(deny_unknown_fields)]
    CompletionCreate / ArchivedCompletionCreate {
        /// System prompt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system: Option<String>,
        /// List of messages, each `{role, content}`.
        messages: Json,
        /// Object of parameters of the provider.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters: Option<Json>,
        /// Name of the provider profile; absent: the active one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
    }

    /// All modes, with what is wrong in the files of custom ones. Result: `{modes, problems: [{file, line?, mode?, place, message}]}`.
    #[serde(deny_unknown_fields)]
    ModeList / ArchivedModeList {
        /// Absolute path of the workspace whose modes count too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
    }

    /// One mode. Result: `{mode, file?}`, with `export` also `{name, text}`.
    #[serde(deny_unknown_fields)]
    ModeGet / ArchivedModeGet {
        /// Its slug.
        mode: String,
        /// Absolute path of the workspace whose modes count too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// Give it out with its rules files, as a text that `import` takes.
        #[serde(default)]
        export: bool,
    }

    /// Writes a custom mode into a file, or takes in those of an export. Result: `{modes, file, copies}`.
    #[serde(deny_unknown_fields)]
    ModeSet / ArchivedModeSet {
        /// Absolute path of the workspace; a mode of a project needs one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// Which file; absent: what the mode says as its `source`, else the user's; an import is for the project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<ModeSource>,
        /// The mode, in place of one of its slug.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Json>,
        /// An export: its modes with their rules files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        import: Option<String>,
    }

    /// Deletes a custom mode. Result: `{files, copies, rules?}`.
    #[serde(deny_unknown_fields)]
    ModeDelete / ArchivedModeDelete {
        /// Its slug.
        mode: String,
        /// Absolute path of the workspace whose file counts too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// From which file; absent: from both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<ModeSource>,
    }

    /// The system prompt that a task would begin with. Result: `{mode, text, bytes, sections: [{name, bytes}], tools}`.
    #[serde(deny_unknown_fields)]
    PromptPreview / ArchivedPromptPreview {
        /// Absolute path of the workspace.
        workspace: String,
        /// Slug of the mode; absent: the one in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    }

    /// A support prompt: made of a template and, when it is one for here, answered by a model. Result: `{text, use}`.
    #[serde(deny_unknown_fields)]
    PromptEnhance / ArchivedPromptEnhance {
        /// What the user has written.
        #[serde(default)]
        text: String,
        /// Which prompt, such as `FIX`; absent: `ENHANCE`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// Object of what the template names, such as `selectedText`; `diagnostics` is a list of `{message, source?, code?}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Json>,
        /// Session whose settings count, and whose conversation goes with a prompt that is enhanced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    }

    /// A message for the changes that are staged in git, else for those of tracked files. Result: `{message, staged, repository}`.
    #[serde(deny_unknown_fields)]
    CommitMessageCreate / ArchivedCommitMessageCreate {
        /// Absolute path of the workspace.
        workspace: String,
    }

    /// Rule and workflow files of the user and of a workspace. Result: `{files: [{kind, scope, path, enabled, bytes}]}`.
    #[serde(deny_unknown_fields)]
    RulesList / ArchivedRulesList {
        /// Absolute path of the workspace.
        workspace: String,
        /// Slug of a mode whose rules are listed too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    }

    /// Switches a rule or workflow file on or off, from the next request to a model on.
    #[serde(deny_unknown_fields)]
    RulesToggle / ArchivedRulesToggle {
        /// Absolute path of the file, in `.kilocode/rules` or `.kilocode/workflows` of a workspace or of the home folder.
        path: String,
        /// Whether it counts.
        enabled: bool,
    }

    /// Commands that can be called by `/name` in a workspace. Result:
    /// `{commands: [{name, source, path, description?, argument_hint?}]}`.
    #[serde(deny_unknown_fields)]
    CommandList / ArchivedCommandList {
        /// Absolute path of the workspace.
        workspace: String,
    }

    /// What a user may mean who types a mention or a command. Result: `{items: [{kind, insert, label, detail?}]}`.
    #[serde(deny_unknown_fields)]
    MentionComplete / ArchivedMentionComplete {
        /// Absolute path of the workspace.
        workspace: String,
        /// The text from the `@` or `/` to where the user types.
        prefix: String,
        /// Most items; 20 if absent, at most 200.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    }

    /// Files and folders of a workspace that fit a query best. Result: `{files: [{kind, path, label}]}`.
    #[serde(deny_unknown_fields)]
    FileSearch / ArchivedFileSearch {
        /// Absolute path of the workspace.
        workspace: String,
        /// Characters of the path, in their order; blank: the first files.
        query: String,
        /// Most files and folders; 20 if absent, at most 200.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    }

    /// Lists the checkpoints of a task. Names either a session, whose current task is meant, or a task.
    #[serde(deny_unknown_fields)]
    CheckpointList / ArchivedCheckpointList {
        /// Session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Task id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    }

    /// Compares a checkpoint of a task with a later one or with the workspace. Names either a session or a task.
    #[serde(deny_unknown_fields)]
    CheckpointDiff / ArchivedCheckpointDiff {
        /// Session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Task id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// The earlier checkpoint; absent: the state in which the task began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The later checkpoint; absent: the workspace as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    }

    /// Brings a checkpoint of a session's current task back. The present state is recorded first.
    #[serde(deny_unknown_fields)]
    CheckpointRestore / ArchivedCheckpointRestore {
        /// Session.
        session: SessionId,
        /// Id of the checkpoint.
        checkpoint: String,
        /// What it brings back.
        #[serde(default)]
        mode: RestoreMode,
    }

    /// Takes the last restore of a session's current task back. Done twice, it is done again.
    #[serde(deny_unknown_fields)]
    CheckpointUndo / ArchivedCheckpointUndo {
        /// Session.
        session: SessionId,
    }

    /// Answers a `host.request` event: either a result or an error.
    #[serde(deny_unknown_fields)]
    HostRespond / ArchivedHostRespond {
        /// The host request; one that no longer waits is refused as stale.
        host_request: HostRequestId,
        /// The result; `null` is one.
        #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
        result: Option<Json>,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }

    /// Fields of a request whose type is known and not built yet, as one JSON object.
    Unbuilt / ArchivedUnbuilt {
        /// The object.
        fields: Json,
    }

    /// One item of a todo list.
    #[serde(deny_unknown_fields)]
    Todo / ArchivedTodo {
        /// Identity of the item; absent: made from content and status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// What is to be done.
        content: String,
        /// `pending`, `in_progress` or `completed`.
        status: String,
    }
}

/// A key that is there has a value, even if that is `null`.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Json>, D::Error> {
    serde::Deserialize::deserialize(value).map(Some)
}

impl From<Response> for AskResponse {
    fn from(response: Response) -> AskResponse {
        match response {
            Response::Yes => AskResponse::Yes,
            Response::No => AskResponse::No,
            Response::Message => AskResponse::Message,
            Response::Object => AskResponse::Object,
            Response::Retry => AskResponse::Retry,
        }
    }
}
