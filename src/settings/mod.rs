//! Settings in force for a task (spec 02 §17, spec 04 §2): plain values with their defaults, read from the host's JSON.
//!
//! The loop asks for the current [`Settings`] whenever it needs one, so a change takes effect at the next use. No I/O here.

pub mod checks;
pub mod fast_apply;
pub mod hooks;
pub mod http;
pub mod modes;
pub mod profiles;
pub mod reference;
pub mod schema;
pub mod secrets;
pub mod setters;
pub mod transfer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use hooks::Hooks;
use http::HttpSettings;
use secrets::Secrets;

/// Everything the agent loop and its tools read from user settings, host configuration and the active provider profile.
///
/// Keys are those of the reference's settings files (camelCase). Unknown keys are kept in [`Settings::other`]: provider
/// options live there too, flat, as in a provider profile, but for those that are secret ([`Settings::secrets`]).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Provider of the active profile, such as `openai`.
    pub api_provider: Option<String>,
    /// Current mode slug.
    pub mode: String,
    /// Master switch of automatic approval.
    pub auto_approval_enabled: bool,
    /// Approve reading tools.
    pub always_allow_read_only: bool,
    /// Approve reading outside the workspace as well. False until the user says otherwise (deviation D15).
    pub always_allow_read_only_outside_workspace: bool,
    /// Approve writing tools (D15: false).
    pub always_allow_write: bool,
    /// Approve writing outside the workspace as well.
    pub always_allow_write_outside_workspace: bool,
    /// Approve writing protected files as well.
    pub always_allow_write_protected: bool,
    /// Approve commands on the allow list (D15: false).
    pub always_allow_execute: bool,
    /// Approve browser actions (D15: false).
    pub always_allow_browser: bool,
    /// Approve MCP tools and resources (D15: false).
    pub always_allow_mcp: bool,
    /// Approve mode switches.
    pub always_allow_mode_switch: bool,
    /// Approve starting and finishing subtasks.
    pub always_allow_subtasks: bool,
    /// Answer follow-up questions with the first suggestion after the timeout.
    pub always_allow_followup_questions: bool,
    /// Approve todo-list updates.
    pub always_allow_update_todo_list: bool,
    /// Send failed requests again without asking.
    pub always_approve_resubmit: bool,
    /// Milliseconds before a follow-up question is answered automatically.
    pub followup_auto_approve_timeout_ms: u64,
    /// Milliseconds before a write is approved automatically, and between a save and the look at new diagnostics.
    pub write_delay_ms: u64,
    /// Seconds before a failed request is sent again (at least 5 are used).
    pub request_delay_seconds: u64,
    /// Least seconds between two requests.
    pub rate_limit_seconds: u64,
    /// Mistakes in a row before the user is asked for guidance; 0: never.
    pub consecutive_mistake_limit: i64,
    /// Requests before the user is asked to go on.
    pub allowed_max_requests: Option<u64>,
    /// US dollars before the user is asked to go on.
    pub allowed_max_cost: Option<f64>,
    /// Command prefixes that are approved.
    pub allowed_commands: Vec<String>,
    /// Command prefixes that are refused.
    pub denied_commands: Vec<String>,
    /// Seconds a command may run; 0: no limit.
    pub command_execution_timeout: u64,
    /// Command prefixes without time limit.
    pub command_timeout_allowlist: Vec<String>,
    /// Condense the conversation by itself.
    pub auto_condense_context: bool,
    /// Percentage of the context window at which to condense.
    pub auto_condense_context_percent: f64,
    /// Offer `apply_diff`.
    pub diff_enabled: bool,
    /// Similarity a search block needs, 0 to 1; 1 is exact up to white space.
    pub fuzzy_match_threshold: f64,
    /// Save checkpoints.
    pub enable_checkpoints: bool,
    /// Tabs named in environment details.
    pub max_open_tabs_context: usize,
    /// Files named in environment details.
    pub max_workspace_files: usize,
    /// Lines read from a file at once; −1: all.
    pub max_read_file_line: i64,
    /// Megabytes an image may have.
    pub max_image_file_size: f64,
    /// Megabytes all images of one read may have.
    pub max_total_image_size: f64,
    /// Files the model may ask for at once (prompt text only).
    pub max_concurrent_file_reads: u64,
    /// Read files of any size.
    pub allow_very_large_reads: bool,
    /// Show ignored files with a lock instead of leaving them out.
    pub show_roo_ignored_files: bool,
    /// Look at diagnostics after a save.
    pub diagnostics_enabled: bool,
    /// Put diagnostics into results.
    pub include_diagnostic_messages: bool,
    /// Most diagnostics named at once.
    pub max_diagnostic_messages: i64,
    /// Lines of command output the model sees.
    pub terminal_output_line_limit: usize,
    /// UTF-16 units of command output the model sees.
    pub terminal_output_character_limit: usize,
    /// Fold progress bars in command output.
    pub terminal_compress_progress_bar: bool,
    /// Run commands in the engine's own processes instead of the host's terminal.
    pub terminal_shell_integration_disabled: bool,
    /// Keep a todo list.
    pub todo_list_enabled: bool,
    /// Refuse completion while todos are open.
    pub prevent_completion_with_open_todos: bool,
    /// `new_task` needs `todos`.
    pub new_task_require_todos: bool,
    /// The browser tool may be offered.
    pub browser_tool_enabled: bool,
    /// Viewport of the browser tool.
    pub browser_viewport_size: String,
    /// Name of the active profile.
    pub current_api_config_name: String,
    /// Ids of the profiles that modes were last used with, by mode.
    pub mode_api_configs: BTreeMap<String, String>,
    /// The user's instructions for every mode.
    pub custom_instructions: Option<String>,
    /// Answer in this language (a locale such as `en`).
    pub language: Option<String>,
    /// Read AGENTS.md.
    pub use_agent_rules: bool,
    /// Offer skills to the model.
    pub use_skills: bool,
    /// Experiments by name; absent is off.
    pub experiments: BTreeMap<String, bool>,
    /// Custom modes as in the modes file (spec 03 §10.2).
    pub custom_modes: Vec<Value>,
    /// Commands and questions to the host at certain points of a task.
    pub hooks: Hooks,
    /// A hook that allows a call answers its approval.
    pub hooks_may_approve: bool,
    /// Absolute paths of folders whose workspaces may bring hooks and texts of their own.
    pub trusted_folders: Vec<String>,
    /// Folder of a text pack: absolute, below `~/`, or relative to the home folder; blank: none.
    pub text_pack: String,
    /// How providers are reached.
    #[serde(flatten)]
    pub http: HttpSettings,
    /// Keys that hold a secret, of the provider profile and global ones.
    #[serde(flatten)]
    pub secrets: Secrets,
    /// All other keys, provider options among them.
    #[serde(flatten, deserialize_with = "secrets::plain")]
    pub other: serde_json::Map<String, Value>,
}

/// Names provider and mode only: what is nested in other keys may be secret too.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("api_provider", &self.api_provider)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            api_provider: None,
            mode: "code".into(),
            auto_approval_enabled: true,
            always_allow_read_only: true,
            always_allow_read_only_outside_workspace: false,
            always_allow_write: false,
            always_allow_write_outside_workspace: false,
            always_allow_write_protected: false,
            always_allow_execute: false,
            always_allow_browser: false,
            always_allow_mcp: false,
            always_allow_mode_switch: true,
            always_allow_subtasks: true,
            always_allow_followup_questions: false,
            always_allow_update_todo_list: true,
            always_approve_resubmit: false,
            followup_auto_approve_timeout_ms: 60_000,
            write_delay_ms: 1000,
            request_delay_seconds: 10,
            rate_limit_seconds: 0,
            consecutive_mistake_limit: 3,
            allowed_max_requests: None,
            allowed_max_cost: None,
            allowed_commands: ["git log", "git diff", "git show"].map(String::from).to_vec(),
            denied_commands: Vec::new(),
            command_execution_timeout: 0,
            command_timeout_allowlist: Vec::new(),
            auto_condense_context: true,
            auto_condense_context_percent: 100.0,
            diff_enabled: true,
            fuzzy_match_threshold: 1.0,
            enable_checkpoints: true,
            max_open_tabs_context: 20,
            max_workspace_files: 200,
            max_read_file_line: -1,
            max_image_file_size: 5.0,
            max_total_image_size: 20.0,
            max_concurrent_file_reads: 5,
            allow_very_large_reads: false,
            show_roo_ignored_files: false,
            diagnostics_enabled: true,
            include_diagnostic_messages: true,
            max_diagnostic_messages: 50,
            terminal_output_line_limit: 500,
            terminal_output_character_limit: 50_000,
            terminal_compress_progress_bar: true,
            terminal_shell_integration_disabled: true,
            todo_list_enabled: true,
            prevent_completion_with_open_todos: false,
            new_task_require_todos: false,
            browser_tool_enabled: true,
            browser_viewport_size: "900x600".into(),
            current_api_config_name: "default".into(),
            mode_api_configs: BTreeMap::new(),
            custom_instructions: None,
            language: None,
            use_agent_rules: true,
            use_skills: true,
            experiments: BTreeMap::new(),
            custom_modes: Vec::new(),
            hooks: Hooks::default(),
            hooks_may_approve: false,
            trusted_folders: Vec::new(),
            text_pack: String::new(),
            http: HttpSettings::default(),
            secrets: Secrets::default(),
            other: serde_json::Map::new(),
        }
    }
}

impl Settings {
    /// Whether the experiment is on (absent: off).
    pub fn experiment(&self, name: &str) -> bool {
        self.experiments.get(name).copied().unwrap_or(false)
    }

    /// A provider option or other key outside the typed ones, if it is a non-empty string.
    pub fn option_str(&self, key: &str) -> Option<&str> {
        self.other.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
    }
}
