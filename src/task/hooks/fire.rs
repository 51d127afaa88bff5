//! The points at which a task runs its hooks, but for those around a tool call.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answer::Said;
use super::run::run;
use super::verdict::{Decision, NotedVerdict, Verdict};
use super::workspace::{self, WorkspaceHooks};
use crate::prompt::text::context;
use crate::protocol::message::{ContentBlock, MessageContent, Role, Say};
use crate::protocol::tool::ToolName;
use crate::settings::hooks::{Hook, HookEvent};
use crate::task::host::{HookRun, TaskEvent};
use crate::task::instance::{AbortReason, Aborted, Task};
use crate::task::recovery::Note;
use crate::tools::response;

/// Longest name of a hook in events and notices, in characters.
const NAME_LIMIT: usize = 200;

/// What the hooks of one event are told, beside what all are.
pub(in crate::task) struct HookFacts {
    /// The event.
    pub event: HookEvent,
    /// Number of the tool call; 0 when it is about none.
    pub call: u64,
    /// Its tool.
    pub tool: Option<ToolName>,
    /// Further fields of the input.
    pub fields: Map<String, Value>,
}

impl HookFacts {
    /// An event that is about no call, with one further field.
    pub fn about(event: HookEvent, field: &str, text: &str) -> HookFacts {
        HookFacts { event, call: 0, tool: None, fields: Map::from_iter([(field.to_owned(), json!(text))]) }
    }
}

impl Task {
    /// The hooks of this event: the user's, then those of a trusted workspace.
    pub(super) fn hooks_of(&self, event: HookEvent, tool: Option<ToolName>) -> Vec<Hook> {
        let settings = self.settings();
        if settings.hooks.is_empty() && self.workspace_hooks.hooks().is_none() {
            return Vec::new();
        }
        let tool = tool.map(ToolName::as_str);
        let brought = self.workspace_hooks.hooks().into_iter().flat_map(|hooks| hooks.of(event, tool));
        settings.hooks.of(event, tool).chain(brought).cloned().collect()
    }

    /// Runs `hooks` one after another, until one denies. What was decided before the session was restored is decided.
    pub(super) async fn decide(&self, hooks: &[Hook], facts: &HookFacts) -> Result<Verdict, Aborted> {
        let mut verdict = Verdict::default();
        if hooks.is_empty() {
            return Ok(verdict);
        }
        if let Some(noted) = self.state().replay.verdict(facts.event, facts.call) {
            return Ok(noted);
        }
        for hook in hooks {
            verdict.take(self.unless_aborted(self.run_hook(hook, facts, &verdict)).await?);
            if verdict.denies() {
                break;
            }
        }
        let (event, call) = (facts.event, facts.call);
        self.note(|task| Note::Hooks { task, noted: NotedVerdict { event, call, verdict: verdict.clone() } });
        Ok(verdict)
    }

    /// Runs one hook and reports it. A failure says nothing, or denies when the hook wants that.
    async fn run_hook(&self, hook: &Hook, facts: &HookFacts, so_far: &Verdict) -> Said {
        let name: String = hook.name().chars().take(NAME_LIMIT).collect();
        let report = |state, message, duration_ms| {
            let tool = facts.tool.map(ToolName::as_str);
            let (event, name) = (facts.event.as_str(), name.clone());
            let run = HookRun { call: facts.call, event, name, tool, state, message, duration_ms };
            self.emit(TaskEvent::Hook { task: self.id.clone(), run });
        };
        report("started", None, 0);
        let started = Instant::now();
        let host = self.services.host.as_ref();
        let input = self.hook_input(hook, facts, so_far);
        let outcome = run(hook, input, self.cwd.clone(), self.hook_environment(facts), host).await;
        let took = started.elapsed().as_millis() as u64;
        match outcome {
            Ok(said) => {
                let state = match said.decision {
                    None => "passed",
                    Some(Decision::Allow) => "allowed",
                    Some(Decision::Ask) => "asked",
                    Some(Decision::Deny) => "denied",
                };
                report(state, said.reason.clone(), took);
                said
            }
            Err(failure) => {
                let texts = &self.services.surroundings.texts;
                let cause = failure.text(texts);
                let notice = texts.render("hooks.failed", context! { hook => name.as_str(), cause => cause.as_str() });
                self.emit(TaskEvent::Notify { level: "warning", message: notice });
                report("failed", Some(cause), took);
                let reason = texts.render("hooks.failed_closed", context! { hook => name.as_str() });
                let denies = hook.fail_closed.then_some(Decision::Deny);
                Said { decision: denies, reason: denies.map(|_| reason), ..Said::default() }
            }
        }
    }

    /// What a hook reads.
    fn hook_input(&self, hook: &Hook, facts: &HookFacts, so_far: &Verdict) -> Value {
        let mut input = Map::new();
        input.insert("event".into(), facts.event.as_str().into());
        input.insert("task".into(), self.id.as_str().into());
        input.insert("workspace".into(), self.cwd.to_string_lossy().into());
        input.insert("mode".into(), self.settings().mode.as_str().into());
        input.insert("timeout_ms".into(), json!(hook.timeout.as_millis() as u64));
        if let Some(tool) = facts.tool {
            input.insert("call".into(), facts.call.into());
            input.insert("tool".into(), tool.as_str().into());
        }
        input.extend(facts.fields.clone());
        if let Some(Value::Object(parameters)) = input.get_mut("parameters") {
            parameters.extend(so_far.parameters.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        Value::Object(input)
    }

    /// The engine's environment with what a short hook needs to know.
    fn hook_environment(&self, facts: &HookFacts) -> Vec<(OsString, OsString)> {
        let tool = facts.tool.map(|tool| ("LAPCE_AI_TOOL", OsString::from(tool.as_str())));
        let own = [
            ("LAPCE_AI_EVENT", facts.event.as_str().into()),
            ("LAPCE_AI_TASK", OsString::from(&self.id)),
            ("LAPCE_AI_WORKSPACE", self.cwd.clone().into_os_string()),
            ("LAPCE_AI_MODE", OsString::from(&self.settings().mode)),
        ];
        let own = own.into_iter().chain(tool).map(|(name, value)| (OsString::from(name), value));
        self.services.surroundings.environment.iter().cloned().chain(own).collect()
    }

    /// Runs the loop with `content`, once the hooks of a new task have had their say; at once when there are none.
    pub(in crate::task) fn run_after_hooks(self: Arc<Self>, text: String, content: Vec<ContentBlock>) {
        let hooks = self.hooks_of(HookEvent::TaskStart, None);
        if hooks.is_empty() {
            return self.run(content);
        }
        let spawner = self.services.spawner.clone();
        spawner.spawn(async move {
            let facts = HookFacts::about(HookEvent::TaskStart, "text", &text);
            let Ok(verdict) = self.decide(&hooks, &facts).await else { return };
            let mut content = content;
            content.extend(self.context_blocks(&verdict));
            match verdict.denies() {
                true => self.refuse_start(content, &verdict),
                false => self.run(content),
            }
        });
    }

    /// The task does not begin: it waits at its resume question, with which the user may start it nevertheless.
    fn refuse_start(self: Arc<Self>, content: Vec<ContentBlock>, verdict: &Verdict) {
        let shown = self.hook_text("hooks.start_denied", verdict);
        if self.say_text(Say::Error, shown).is_err() {
            return;
        }
        self.append_api(Role::User, MessageContent::Blocks(content));
        self.note(|task| Note::Stopped { task });
        let spawner = self.services.spawner.clone();
        spawner.spawn(async move {
            self.abort(false);
            if let Some(manager) = self.manager.upgrade() {
                let _ = manager.reopen(&self, None).await;
            }
        });
    }

    /// A sentence of the catalogue with the reason of a denial.
    pub(super) fn hook_text(&self, id: &str, verdict: &Verdict) -> String {
        let texts = &self.services.surroundings.texts;
        let reason = verdict.reason.clone().unwrap_or_else(|| texts.get("hooks.no_reason"));
        response::tagged(&texts.get(id), "reason", &reason)
    }

    /// What hooks want the model to know.
    pub(super) fn context_blocks(&self, verdict: &Verdict) -> Vec<ContentBlock> {
        let lead = self.services.surroundings.texts.get("hooks.context");
        let block = |text: &String| ContentBlock::text(response::tagged(&lead, "hook_context", text));
        verdict.context.iter().map(block).collect()
    }

    /// Tells the hooks that a task which ran is over. They outlive it, for as long as each may take.
    pub(in crate::task) fn run_stop_hooks(&self) {
        let (ran, finished, reason, abandoned) = {
            let state = self.state();
            (state.ran, state.finished, state.abort_reason, state.abandoned)
        };
        let hooks = self.hooks_of(HookEvent::Stop, None);
        let (Some(task), true) = (self.shared(), ran && !hooks.is_empty()) else { return };
        let reason = match reason.map(AbortReason::as_str) {
            Some(reason) => reason,
            None if finished => "finished",
            None if abandoned => "closed",
            None => "stopped",
        };
        // Not in the session's pool, which may end with the task.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let facts = HookFacts::about(HookEvent::Stop, "reason", reason);
                for hook in &hooks {
                    task.run_hook(hook, &facts, &Verdict::default()).await;
                }
            });
        }
    }

    /// Tells the user once a session of hooks of the workspace that do not run.
    pub(in crate::task) fn tell_of_workspace_hooks(&self) {
        let texts = &self.services.surroundings.texts;
        let file = self.cwd.join(workspace::FILE);
        let file = file.to_string_lossy();
        let message = match &self.workspace_hooks {
            WorkspaceHooks::None | WorkspaceHooks::Trusted(_) => return,
            WorkspaceHooks::Untrusted => texts.render("hooks.untrusted", context! { file }),
            WorkspaceHooks::Unusable(cause) => texts.render("hooks.unusable", context! { file, cause }),
        };
        if !self.services.told_of_hooks.swap(true, Ordering::Relaxed) {
            self.emit(TaskEvent::Notify { level: "warning", message });
        }
    }
}
