//! Hooks around a tool call, and before a task is complete.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fire::HookFacts;
use super::verdict::Verdict;
use crate::prompt::text::context;
use crate::protocol::message::{ContentBlock, Say, ToolResponse};
use crate::protocol::tool::{ParamName, ToolCall};
use crate::settings::hooks::HookEvent;
use crate::task::frame::Frame;
use crate::task::host::TaskEvent;
use crate::task::instance::{Aborted, Task};
use crate::task::label;
use crate::tools::context::ToolContext;
use crate::tools::{Tool, permissions, response};

/// Completions that hooks may deny in a row; the next one is not theirs to stop.
const DENIAL_LIMIT: u32 = 3;
/// Most bytes of a result that a hook is told.
const RESULT_LIMIT: usize = 64 << 10;

impl Task {
    /// Runs a complete call between its hooks.
    pub(in crate::task) async fn run_hooked(self: &Arc<Self>, tool: &dyn Tool, frame: &Frame) -> Result<(), Aborted> {
        let name = Some(frame.call().name);
        let (before, after) = (self.hooks_of(HookEvent::PreToolUse, name), self.hooks_of(HookEvent::PostToolUse, name));
        if before.is_empty() && after.is_empty() {
            return self.run_unhooked(tool, frame).await;
        }
        let number = self.state().open_call.unwrap_or(0);
        let facts = call_facts(HookEvent::PreToolUse, number, frame.call());
        let verdict = self.decide(&before, &facts).await?;
        if verdict.denies() {
            self.take_back_edit().await;
            return self.refuse(frame, "hooks.call_denied_shown", "hooks.call_denied", &verdict);
        }
        let changed = self.changed(frame, &verdict);
        let frame = changed.as_ref().unwrap_or(frame);
        if changed.is_some() {
            // What was shown while the call streamed in may be about another file.
            self.take_back_edit().await;
            let (settings, texts) = (self.settings(), &self.services.surroundings.texts);
            let (call, diff) = (frame.call(), self.settings_at_start.diff_enabled);
            if let Err(refused) =
                permissions::check(call.name, &call.params, &settings.mode, &settings.custom_modes, diff)
            {
                frame.push_result(ToolResponse::Text(response::tool_error(texts, &refused.text(texts))));
                return Ok(());
            }
        }
        let results = self.turn().results.len();
        self.state().hook_decision = verdict.decision;
        let outcome = self.run_unhooked(tool, frame).await;
        self.state().hook_decision = None;
        outcome?;
        if self.turn().rejected {
            return Ok(());
        }
        frame.push_blocks(self.context_blocks(&verdict));
        if after.is_empty() {
            return Ok(());
        }
        let mut facts = call_facts(HookEvent::PostToolUse, number, frame.call());
        facts.fields.insert("status".into(), frame.summary().0.into());
        facts.fields.insert("result".into(), self.result_text(results).into());
        let verdict = self.decide(&after, &facts).await?;
        if verdict.denies() {
            frame.push_blocks(vec![ContentBlock::text(self.hook_text("hooks.result_denied", &verdict))]);
        }
        frame.push_blocks(self.context_blocks(&verdict));
        Ok(())
    }

    /// Whether the hooks let the task be complete with `result`; if not, the model has been told.
    pub(in crate::task) async fn may_complete(self: &Arc<Self>, frame: &Frame, result: &str) -> Result<bool, Aborted> {
        let hooks = self.hooks_of(HookEvent::TaskComplete, None);
        let denials = self.state().completion_denials;
        if denials >= DENIAL_LIMIT && !hooks.is_empty() {
            let message =
                self.services.surroundings.texts.render("hooks.completion_forced", context! { count => denials });
            self.emit(TaskEvent::Notify { level: "warning", message });
            self.state().completion_denials = 0;
            return Ok(true);
        }
        let mut facts = HookFacts::about(HookEvent::TaskComplete, "result", cut(result, RESULT_LIMIT));
        facts.call = self.state().open_call.unwrap_or(0);
        facts.fields.insert("denials".into(), json!(denials));
        let verdict = self.decide(&hooks, &facts).await?;
        self.state().completion_denials = if verdict.denies() { denials + 1 } else { 0 };
        if verdict.denies() {
            self.refuse(frame, "hooks.completion_denied_shown", "hooks.completion_denied", &verdict)?;
            frame.push_blocks(self.context_blocks(&verdict));
        }
        Ok(!verdict.denies())
    }

    /// Tells both sides that hooks refused a call.
    fn refuse(self: &Arc<Self>, frame: &Frame, shown: &str, told: &str, verdict: &Verdict) -> Result<(), Aborted> {
        self.say_text(Say::Error, self.hook_text(shown, verdict))?;
        frame.push_result(ToolResponse::Text(self.hook_text(told, verdict)));
        frame.mark_failed();
        Ok(())
    }

    /// The call with the parameters that hooks gave it, if they changed any.
    fn changed(&self, frame: &Frame, verdict: &Verdict) -> Option<Frame> {
        let mut call = frame.call().clone();
        for (name, value) in &verdict.parameters {
            call.params.set(ParamName::parse(name)?, value.clone());
        }
        if call == *frame.call() {
            return None;
        }
        let label = label::describe(&call, &self.settings(), &self.services.surroundings.texts);
        Some(frame.with_call(call, label))
    }

    /// An edit that was being shown while its call streamed in is gone.
    async fn take_back_edit(&self) {
        // What cannot be taken back stays visible in the editor; the call is refused or begins anew either way.
        let _ = self.edits.lock().await.revert().await;
    }

    /// Texts among the results from this one on.
    fn result_text(&self, from: usize) -> String {
        let turn = self.turn();
        let texts = turn.results.iter().skip(from).filter_map(|block| match block {
            ContentBlock::Text { text } => Some(text.as_str()),
            _ => None,
        });
        let mut all = texts.collect::<Vec<_>>().join("\n\n");
        all.truncate(cut(&all, RESULT_LIMIT).len());
        all
    }
}

fn call_facts(event: HookEvent, number: u64, call: &ToolCall) -> HookFacts {
    let parameters: Map<String, Value> =
        call.params.iter().map(|(name, value)| (name.as_str().to_owned(), value.into())).collect();
    let fields = Map::from_iter([("parameters".to_owned(), Value::Object(parameters))]);
    HookFacts { event, call: number, tool: Some(call.name), fields }
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or_default()
}
