//! `execute_command`: runs a command in a terminal, shows its output while it runs, and tells the model how it ended
//! (spec 06 §D.1, §D.2).

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::context::{Answer, ToolContext, ToolError};
use super::{Tool, response, text};
use crate::ecma;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, AskResponse, ContentBlock, Say, ToolResponse};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::settings::Settings;
use crate::terminal::{Captured, Event, Exit, Limits, Running, TerminalError, compress_captured};
use crate::workspace::paths;

/// The tool.
pub struct ExecuteCommand;

/// Time a killed command has to end; then its terminal stays busy and the task goes on.
const KILL_LIMIT: Duration = Duration::from_secs(6);

#[async_trait]
impl Tool for ExecuteCommand {
    fn name(&self) -> ToolName {
        ToolName::ExecuteCommand
    }

    async fn run(&self, call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
        let command = call.params.get(ParamName::Command).unwrap_or_default();
        if call.partial {
            let shown = text::without_closing_tag(ParamName::Command.as_str(), command);
            return match ctx.ask_partial(Ask::Command, shown.to_owned(), None).await {
                Err(ToolError::AskIgnored) => Ok(()),
                other => other,
            };
        }
        match call_complete(call, command, ctx).await {
            Err(error @ ToolError::Failed(_) | error @ ToolError::AskIgnored) => {
                ctx.handle_error("executing command", &error).await;
                Ok(())
            }
            other => other,
        }
    }
}

async fn call_complete(call: &ToolCall, command: &str, ctx: &dyn ToolContext) -> Result<(), ToolError> {
    if command.is_empty() {
        ctx.mistake();
        ctx.record_error(ToolName::ExecuteCommand, None);
        let missing = ctx.missing_param(ToolName::ExecuteCommand, ParamName::Command.as_str()).await;
        ctx.push_result(missing.into());
        return Ok(());
    }
    if let Some(path) = ctx.access().blocked_by_command(command) {
        ctx.say(Say::RooignoreError, path.clone(), Vec::new(), None).await?;
        let texts = ctx.texts();
        ctx.push_result(response::tool_error(texts, &response::ignored_path(texts, &path)).into());
        return Ok(());
    }
    ctx.reset_mistakes();
    let command = text::unescape_html(command);
    if !ctx.ask_approval(Ask::Command, command.clone(), None, false).await? {
        return Ok(());
    }
    let execution = Execution {
        ctx,
        id: ctx.last_message_ts().to_string(),
        timeout: time_limit(&ctx.settings(), &command),
        command,
    };
    match execution.run(directory(ctx.cwd(), call.params.get(ParamName::Cwd))).await {
        Ok(response) if ctx.is_dry_run() => {
            ctx.push_result(on_real_files(response, &ctx.texts().get("dry_run.command")))
        }
        Ok(response) => ctx.push_result(response),
        Err(ToolError::Aborted) => return Err(ToolError::Aborted),
        Err(_) => {
            execution.status("fallback", []);
            ctx.say(Say::ShellIntegrationWarning, String::new(), Vec::new(), None).await?;
            ctx.push_result(ctx.texts().get("cmd.shell_integration_error").into());
        }
    }
    Ok(())
}

/// What a command gave in a dry run, which it knows nothing of.
fn on_real_files(response: ToolResponse, notice: &str) -> ToolResponse {
    match response {
        ToolResponse::Text(text) => ToolResponse::Text(format!("{text}\n\n{notice}")),
        ToolResponse::Blocks(mut blocks) => {
            blocks.push(ContentBlock::text(notice));
            ToolResponse::Blocks(blocks)
        }
    }
}

/// The time limit of a command: none without a setting, or when it starts with an entry of the allow list.
fn time_limit(settings: &Settings, command: &str) -> Option<Duration> {
    let exempt = settings.command_timeout_allowlist.iter().any(|entry| command.starts_with(ecma::trim(entry)));
    let seconds = settings.command_execution_timeout;
    (seconds > 0 && !exempt).then(|| Duration::from_secs(seconds))
}

/// `cwd` of the call against the task's directory.
fn directory(task: &Path, cwd: Option<&str>) -> PathBuf {
    cwd.filter(|cwd| !cwd.is_empty()).map_or_else(|| task.to_owned(), |cwd| paths::resolve(task, cwd))
}

/// A command that the user approved.
struct Execution<'a> {
    ctx: &'a dyn ToolContext,
    /// Its identity in status events.
    id: String,
    command: String,
    timeout: Option<Duration>,
}

/// What happened while the command ran.
#[derive(Default)]
struct Watched {
    /// Compressed output, once it has completed.
    result: Option<String>,
    exit: Option<Exit>,
    /// Text and images of the user.
    feedback: Option<(String, Vec<String>)>,
    /// The limit that it exceeded.
    timed_out: Option<Duration>,
}

/// Questions about the running command. Each line of output opens a new one, which supersedes those before.
type Asks<'a> = FuturesUnordered<BoxFuture<'a, Result<Answer, ToolError>>>;

impl Execution<'_> {
    /// Runs the command to its end, its time limit, or until the user lets it go on in the background.
    async fn run(&self, cwd: PathBuf) -> Result<ToolResponse, ToolError> {
        let ctx = self.ctx;
        let log = ctx.task_folder().map(|folder| folder.join(format!("command-{}.log", self.id)));
        let mut running = match ctx.terminals().run(ctx.task_id(), &cwd, &self.command, log).await {
            Ok(running) => running,
            Err(TerminalError::NoDirectory(dir)) => {
                return Ok(ctx.texts().render("cmd.no_cwd", context! { dir => dir.to_string_lossy() }).into());
            }
        };
        let watched = self.watch(&mut running).await?;
        self.outcome(watched, &paths::posix(&running.cwd.to_string_lossy())).await
    }

    async fn watch(&self, running: &mut Running) -> Result<Watched, ToolError> {
        let ctx = self.ctx;
        let mut asks = Asks::new();
        let mut background = false;
        let mut watched = Watched::default();
        let mut deadline = self.timeout.map(|limit| Instant::now() + limit);
        loop {
            let answer = tokio::select! {
                biased;
                event = running.events.recv() => match event {
                    Some(Event::Started { pid }) => {
                        self.status("started", [("pid", json!(pid)), ("command", json!(self.command))]);
                        None
                    }
                    Some(Event::Output { end }) => {
                        let so_far = self.compressed(&running.process.output_until(end));
                        self.status("output", [("output", json!(so_far))]);
                        if background {
                            continue;
                        }
                        asks.push(ctx.ask_new(Ask::CommandOutput, String::new()));
                        // The question must be on the screen before anything else is said.
                        match futures::poll!(asks.next()) {
                            Poll::Ready(answer) => answer,
                            Poll::Pending => None,
                        }
                    }
                    Some(Event::Exited(exit)) => {
                        watched.exit = exit;
                        self.status("exited", exit.map(|exit| ("exitCode", json!(exit.code))));
                        None
                    }
                    Some(Event::Completed) => {
                        let result = self.compressed(&running.process.output());
                        ctx.say(Say::CommandOutput, result.clone(), Vec::new(), None).await?;
                        watched.result = Some(result);
                        break;
                    }
                    Some(Event::Detached) | None => break,
                },
                answer = asks.next(), if !asks.is_empty() => answer,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if watched.timed_out.is_some() {
                        running.process.detach();
                        break;
                    }
                    watched.timed_out = self.timeout;
                    running.process.abort();
                    self.status("timeout", []);
                    let seconds = self.timeout.unwrap_or_default().as_secs();
                    let text = ctx.texts().render("cmd.timeout.user", context! { seconds });
                    ctx.say(Say::Error, text, Vec::new(), None).await?;
                    deadline = Some(Instant::now() + KILL_LIMIT);
                    None
                }
            };
            match answer {
                None | Some(Err(ToolError::AskIgnored)) => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(answer)) => {
                    background = true;
                    if answer.response == AskResponse::Message {
                        watched.feedback = Some((answer.text.unwrap_or_default(), answer.images));
                        running.process.detach();
                    }
                }
            }
        }
        // Lets superseded questions report that they are closed.
        while let Poll::Ready(Some(_)) = futures::poll!(asks.next()) {}
        Ok(watched)
    }

    /// The text for the model (spec 06 §D.2, 5 to 7).
    async fn outcome(&self, watched: Watched, cwd: &str) -> Result<ToolResponse, ToolError> {
        let texts = self.ctx.texts();
        if let Some(limit) = watched.timed_out {
            return Ok(texts.render("cmd.timeout.model", context! { seconds => limit.as_secs() }).into());
        }
        let running = || texts.render("cmd.running", context! { cwd });
        let so_far = |result: Option<&str>| match result.filter(|result| !result.is_empty()) {
            Some(result) => format!("{}\n{result}\n", texts.get("cmd.output_so_far")),
            None => "\n".to_owned(),
        };
        if let Some((feedback, images)) = watched.feedback {
            self.ctx.say(Say::UserFeedback, feedback.clone(), images.clone(), None).await?;
            self.ctx.set_rejected();
            let said = response::tagged(&texts.get("cmd.user_feedback"), "feedback", &feedback);
            let text = [running(), so_far(watched.result.as_deref()), said].join("\n");
            return Ok(ToolResponse::with_images(text, &images));
        }
        let Some(mut result) = watched.result else {
            return Ok([running(), so_far(None), texts.get("cmd.will_update")].join("\n").into());
        };
        let (exit, status) = match watched.exit {
            Some(Exit { signal: Some(signal), .. }) => {
                let (name, core_dump) = (signal.name(), signal.dumps_core());
                (format!("signal {name}"), texts.render("cmd.signal", context! { name, core_dump }))
            }
            Some(Exit { code: 0, .. }) => ("0".to_owned(), "Exit code: 0".to_owned()),
            Some(Exit { code, .. }) => {
                (code.to_string(), format!("{}\nExit code: {code}", texts.get("cmd.failed_hint")))
            }
            None => {
                result.push_str(&texts.get("cmd.exit_unknown.marker"));
                ("unknown".to_owned(), texts.get("cmd.exit_unknown"))
            }
        };
        // `status` says it all; `exit` alone is for text packs that do not want sentences.
        let executed = texts.render("cmd.executed", context! { cwd, status, exit });
        Ok(format!("{executed}\nOutput:\n{result}").into())
    }

    /// Output for people and models, by the settings in force.
    fn compressed(&self, output: &Captured) -> String {
        let settings = self.ctx.settings();
        let limits = Limits {
            lines: settings.terminal_output_line_limit,
            characters: settings.terminal_output_character_limit,
            progress_bars: settings.terminal_compress_progress_bar,
        };
        compress_captured(output, limits)
    }

    fn status(&self, status: &str, more: impl IntoIterator<Item = (&'static str, Value)>) {
        let mut object = Map::new();
        object.insert("executionId".into(), json!(self.id));
        object.insert("status".into(), json!(status));
        object.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
        self.ctx.command_status(Value::Object(object));
    }
}
