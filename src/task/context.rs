//! Keeping a task's conversation within its model's context: before each request, at the user's wish, by the `condense` tool
//! (spec 02 §6.5, §8.3). What fits and what a summary is stands in [`window`] and [`condense`].

use std::sync::Arc;

use serde_json::json;

use super::condense::{self, Failure, Means, Outcome, Refusal};
use super::host::{PromptRequest, TaskEvent};
use super::instance::{Aborted, Task};
use super::messages::Extra;
use super::recovery::Note;
use super::request::describe;
use super::run::RequestError;
use super::session::CommandError;
use super::window::{self, Fitted, Limits};
use crate::protocol::message::{ApiMessage, Say};
use crate::protocol::secret::PROFILES_KEY;
use crate::providers::params::max_output_tokens;
use crate::providers::{self, Provider};
use crate::settings::Settings;

/// Name of the setting with the id of the profile that writes summaries.
const CONDENSING_PROFILE: &str = "condensingApiConfigId";
/// Name of the setting with the user's own prompt for summaries.
const CONDENSING_PROMPT: &str = "customCondensingPrompt";

impl Task {
    /// Context management before a request (spec 02 §6.5).
    pub(super) async fn manage_context(
        self: &Arc<Self>,
        provider: &dyn Provider,
        settings: &Settings,
        system: &str,
    ) -> Result<(), RequestError> {
        let context_tokens = self.context_tokens();
        let last = self.state().api.last().map(|last| window::blocks(&last.content));
        let Some(last) = last.filter(|_| context_tokens > 0) else { return Ok(()) };
        let model = provider.model();
        let at_start = &self.settings_at_start.other;
        let reserve =
            max_output_tokens(&model.id, &model.info, at_start, None).and_then(|tokens| tokens.try_into().ok());
        let limits = Limits { window: model.info.context_window, max_tokens: reserve, threshold: threshold(settings) };
        let pressure = self.unless_aborted(window::measure(&last, context_tokens, limits, provider)).await?;
        if !pressure.condense && !pressure.overflow {
            return Ok(());
        }
        let copied = self.state().api.to_vec();
        let condensing = self.condensing_provider(settings);
        let means = self.means(provider, condensing.as_deref(), settings, system);
        let fitted = self.unless_aborted(window::shrink(&copied, pressure, &means)).await?;
        let Fitted { tokens, messages, condensed } = fitted.map_err(|e| RequestError::Failed(describe(&e)))?;
        // Condensed at the user's wish meanwhile, it fits better than what was found for it.
        let replaced = messages.is_none_or(|messages| self.replace_api(&copied, messages));
        match condensed.map(|result| result.and_then(|outcome| outcome.unless_outdated(replaced))) {
            None => {}
            Some(Ok(outcome)) => {
                self.state().skip_previous_response = true;
                self.tell_condensed(&outcome)?;
            }
            Some(Err(failure)) => {
                let text = self.tell_not_condensed(&failure, tokens);
                self.say_text(Say::CondenseContextError, text)?;
            }
        }
        Ok(())
    }

    /// Condenses at the user's wish (`condenseTaskContextRequest`).
    pub(super) async fn condense_now(self: &Arc<Self>) -> Result<(), CommandError> {
        let aborted = |_| CommandError::NoTask;
        let result = self.condense(true).await.map_err(|error| match error {
            RequestError::Failed(cause) => CommandError::Provider(cause),
            RequestError::Aborted => CommandError::NoTask,
        })?;
        match result {
            Ok(outcome) => {
                self.state().skip_previous_response = true;
                self.tell_condensed(&outcome).map_err(aborted)
            }
            Err(failure) => {
                let text = self.tell_not_condensed(&failure, self.context_tokens());
                let extra = Extra { non_interactive: true, ..Extra::default() };
                self.say(Say::CondenseContextError, Some(text), &[], Some(false), extra).map_err(aborted)
            }
        }
    }

    /// Condenses for the tool of that name: with the task's own provider, stored even when nothing came of it, shown in no
    /// message.
    pub(super) async fn condense_by_tool(self: &Arc<Self>) -> Result<(), RequestError> {
        match self.condense(false).await? {
            Ok(outcome) => self.emit_condensed(&outcome),
            Err(failure) => {
                self.persist_api();
                self.tell_not_condensed(&failure, self.context_tokens());
            }
        }
        Ok(())
    }

    /// Condenses the conversation as it is now. What is added while the summary is written follows it.
    async fn condense(self: &Arc<Self>, by_profile: bool) -> Result<Result<Outcome, Failure>, RequestError> {
        let settings = self.settings();
        let surroundings = &self.services.surroundings;
        let condensing = if by_profile { self.condensing_provider(&settings) } else { None };
        let own = (surroundings.providers)(&settings).ok();
        let Some(main) = own.or_else(|| condensing.clone()) else {
            return Ok(Err(Failure { refusal: Refusal::NoProvider, cost: 0.0 }));
        };
        let model = main.model();
        let request = PromptRequest { cwd: &self.cwd, settings: &settings, mode: &settings.mode, model: &model };
        let system = self.unless_aborted(surroundings.prompt.build(request)).await?;
        let system = system.map_err(RequestError::Failed)?;
        let means = self.means(main.as_ref(), condensing.as_deref(), &settings, &system);
        let messages = self.state().api.to_vec();
        let summary = condense::summarise(&messages, &means, self.context_tokens());
        let result = self.unless_aborted(summary).await?.map_err(|error| RequestError::Failed(describe(&error)))?;
        self.check()?;
        Ok(result.and_then(|outcome| {
            let replaced = self.replace_api(&messages, outcome.messages.clone());
            outcome.unless_outdated(replaced)
        }))
    }

    /// The provider of the profile chosen for condensing; none when it cannot be used.
    fn condensing_provider(&self, settings: &Settings) -> Option<Arc<dyn Provider>> {
        let id = settings.option_str(CONDENSING_PROFILE)?;
        let profile = providers::settings_of_profile(settings, id).filter(|profile| profile.api_provider.is_some())?;
        (self.services.surroundings.providers)(&profile).ok()
    }

    fn means<'a>(
        &'a self,
        main: &'a dyn Provider,
        condensing: Option<&'a dyn Provider>,
        settings: &'a Settings,
        system: &'a str,
    ) -> Means<'a> {
        let prompt = settings.option_str(CONDENSING_PROMPT);
        Means { texts: &self.services.surroundings.texts, main, condensing, prompt, system }
    }

    /// Reports a condensing to the host and in the conversation.
    fn tell_condensed(self: &Arc<Self>, outcome: &Outcome) -> Result<(), Aborted> {
        self.emit_condensed(outcome);
        let data = json!({
            "summary": outcome.summary,
            "cost": outcome.cost,
            "newContextTokens": outcome.new_tokens,
            "prevContextTokens": outcome.previous_tokens,
        });
        let extra = Extra { non_interactive: true, context_condense: Some(data), ..Extra::default() };
        self.say(Say::CondenseContext, None, &[], None, extra)
    }

    fn emit_condensed(&self, outcome: &Outcome) {
        self.emit(TaskEvent::Condensed {
            task: self.id.clone(),
            tokens_before: outcome.previous_tokens,
            tokens_after: outcome.new_tokens,
            cost: outcome.cost,
            summary: outcome.summary.clone(),
            error: None,
        });
    }

    /// Reports to the host that nothing was condensed, and gives the reason.
    fn tell_not_condensed(&self, failure: &Failure, tokens: u64) -> String {
        let text = failure.refusal.text(&self.services.surroundings.texts);
        self.emit(TaskEvent::Condensed {
            task: self.id.clone(),
            tokens_before: tokens,
            tokens_after: tokens,
            cost: failure.cost,
            summary: String::new(),
            error: Some(text.clone()),
        });
        text
    }

    /// Puts `messages` in the place of those that were `copied` from the API conversation; what was appended since stays behind
    /// them. False, and nothing is changed, when the conversation has become another one.
    fn replace_api(&self, copied: &[ApiMessage], mut messages: Vec<ApiMessage>) -> bool {
        {
            let mut state = self.state();
            let Some(appended) = state.api.strip_prefix(copied) else { return false };
            messages.extend_from_slice(appended);
            self.note(|task| Note::ApiReplaced { task, messages: messages.clone() });
            state.api = messages.into();
        }
        self.persist_api();
        true
    }
}

/// Percentage at which to condense; `None` when that is off.
fn threshold(settings: &Settings) -> Option<f64> {
    let own = || settings.other.get("profileThresholds")?.get(profile_id(settings))?.as_f64();
    settings.auto_condense_context.then(|| window::threshold(settings.auto_condense_context_percent, own()))
}

/// Id of the profile in force; `default` when it has none.
fn profile_id(settings: &Settings) -> &str {
    let name = settings.current_api_config_name.as_str();
    let listed = settings.other.get("listApiConfigMeta").and_then(|list| list.as_array()).into_iter().flatten();
    let listed = listed.filter(|entry| entry["name"] == name).find_map(|entry| entry["id"].as_str());
    let stored = || settings.secrets.expose(PROFILES_KEY)?.get(name)?.get("id")?.as_str();
    listed.or_else(stored).unwrap_or("default")
}
