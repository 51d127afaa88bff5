//! `execute_command` with real commands and a scripted user.

use std::collections::VecDeque;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lapce_ai::edit::disk::DiskEditor;
use lapce_ai::edit::view::EditView;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{Ask, AskResponse, ContentBlock, ProgressStatus, Say, TodoItem, ToolResponse};
use lapce_ai::protocol::tool::{ParamName, ToolCall, ToolName};
use lapce_ai::providers::Model;
use lapce_ai::settings::Settings;
use lapce_ai::terminal::{Direct, Terminals};
use lapce_ai::tools::Tool;
use lapce_ai::tools::context::{Answer, FileSource, ToolContext, ToolError};
use lapce_ai::tools::execute_command::ExecuteCommand;
use lapce_ai::workspace::access::Access;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the user does when the command has printed something.
#[derive(Clone, Copy, PartialEq)]
enum WhileRunning {
    Nothing,
    Approves,
    Writes(&'static str),
    Proceeds,
    Kills,
}

struct User {
    folder: tempfile::TempDir,
    texts: Arc<Texts>,
    settings: Settings,
    access: Access,
    edits: tokio::sync::Mutex<EditView>,
    terminals: Terminals,
    while_running: WhileRunning,
    superseded: Notify,
    /// `ask type text`, `say type text`, results and other calls, in order.
    seen: Mutex<Vec<String>>,
    statuses: Mutex<Vec<Value>>,
    denials: Mutex<VecDeque<bool>>,
    call: ToolCall,
}

impl User {
    fn new(command: &str, while_running: WhileRunning) -> User {
        let folder = tempfile::TempDir::new().expect("a folder");
        let pack = include_str!("../vectors/codes/terminal.txt");
        let path = ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
        User {
            texts: Arc::new(Texts::builtin().with_pack(pack).expect("a pack")),
            settings: Settings::default(),
            access: Access::from_text(folder.path(), Some("secret.txt\n")),
            edits: tokio::sync::Mutex::new(EditView::new(Arc::new(DiskEditor::default()), folder.path().to_owned())),
            terminals: Terminals::new(Arc::new(Direct::new([path]))),
            while_running,
            superseded: Notify::new(),
            seen: Mutex::default(),
            statuses: Mutex::default(),
            denials: Mutex::default(),
            call: ToolCall {
                name: ToolName::ExecuteCommand,
                params: [(ParamName::Command, command.to_owned())].into_iter().collect(),
                partial: false,
            },
            folder,
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    async fn run(self) -> User {
        let call = self.call.clone();
        ExecuteCommand.run(&call, &self).await.expect("no abort");
        self
    }

    /// What was seen, with the folder's name taken out.
    fn seen(&self) -> Vec<String> {
        let folder = self.folder.path().to_string_lossy().into_owned();
        self.seen.lock().unwrap().iter().map(|line| line.replace(&folder, "DIR")).collect()
    }

    fn statuses(&self) -> Vec<String> {
        let statuses = self.statuses.lock().unwrap();
        statuses.iter().map(|status| status["status"].as_str().unwrap_or("?").to_owned()).collect()
    }
}

#[async_trait]
impl ToolContext for User {
    fn cwd(&self) -> &Path {
        self.folder.path()
    }
    fn home(&self) -> &Path {
        Path::new("/")
    }
    fn workspace_folders(&self) -> Vec<PathBuf> {
        vec![self.folder.path().to_owned()]
    }
    fn texts(&self) -> &Texts {
        &self.texts
    }
    fn settings(&self) -> Arc<Settings> {
        Arc::new(self.settings.clone())
    }
    fn model(&self) -> Model {
        unreachable!("commands do not depend on the model")
    }
    fn access(&self) -> &Access {
        &self.access
    }
    fn edits(&self) -> &tokio::sync::Mutex<EditView> {
        &self.edits
    }
    fn terminals(&self) -> &Terminals {
        &self.terminals
    }
    fn task_id(&self) -> &str {
        "task"
    }
    fn task_folder(&self) -> Option<&Path> {
        Some(self.folder.path())
    }
    async fn ask_partial(&self, ask: Ask, text: String, _: Option<ProgressStatus>) -> Result<(), ToolError> {
        self.note(format!("partial {} {text}", ask.as_str()));
        Err(ToolError::AskIgnored)
    }
    async fn ask(&self, _: Ask, _: String, _: Option<ProgressStatus>, _: bool) -> Result<Answer, ToolError> {
        unreachable!("approvals go through ask_approval")
    }
    async fn ask_new(&self, ask: Ask, text: String) -> Result<Answer, ToolError> {
        self.note(format!("ask {} {text}", ask.as_str()));
        let answer =
            |response, text: Option<&str>| Ok(Answer { response, text: text.map(str::to_owned), images: Vec::new() });
        match self.while_running {
            WhileRunning::Nothing => {
                self.superseded.notified().await;
                Err(ToolError::AskIgnored)
            }
            WhileRunning::Approves => answer(AskResponse::Yes, None),
            WhileRunning::Writes(text) => answer(AskResponse::Message, Some(text)),
            WhileRunning::Proceeds | WhileRunning::Kills => {
                self.terminals.operate("task", self.while_running == WhileRunning::Proceeds);
                pending().await
            }
        }
    }
    async fn ask_approval(
        &self,
        ask: Ask,
        text: String,
        _: Option<ProgressStatus>,
        _: bool,
    ) -> Result<bool, ToolError> {
        self.note(format!("approval {} {text}", ask.as_str()));
        Ok(self.denials.lock().unwrap().pop_front().is_none())
    }
    async fn finish_subtask(&self, _: &str) -> Result<Option<bool>, ToolError> {
        Ok(None)
    }
    async fn say(&self, say: Say, text: String, _: Vec<String>, _: Option<bool>) -> Result<(), ToolError> {
        self.superseded.notify_waiters();
        self.note(format!("say {} {text}", say.as_str()));
        Ok(())
    }
    fn push_result(&self, content: ToolResponse) {
        match content {
            ToolResponse::Text(text) => self.note(format!("result {text}")),
            ToolResponse::Blocks(blocks) => self.note(format!("result of {} blocks", blocks.len())),
        }
    }
    fn push_blocks(&self, _: Vec<ContentBlock>) {}
    async fn handle_error(&self, action: &str, error: &ToolError) {
        self.note(format!("error {action}: {error}"));
    }
    async fn missing_param(&self, _: ToolName, param: &str) -> String {
        format!("missing {param}")
    }
    fn set_rejected(&self) {
        self.note("rejected");
    }
    fn mistake(&self) {
        self.note("mistake");
    }
    fn reset_mistakes(&self) {}
    fn record_error(&self, _: ToolName, _: Option<String>) {}
    fn record_attempt(&self, _: ToolName) {}
    fn diff_failures(&self, _: &str, _: bool) -> u32 {
        0
    }
    async fn count_tokens(&self, _: &str) -> u64 {
        0
    }
    async fn track(&self, _: &str, _: FileSource) {}
    fn set_edited(&self) {}
    fn process_queued(&self) {}
    fn completed(&self) {}
    fn last_ask(&self) -> Option<Ask> {
        None
    }
    fn last_message_ts(&self) -> i64 {
        7
    }
    fn command_status(&self, status: Value) {
        self.statuses.lock().unwrap().push(status);
    }
    fn todos(&self) -> Vec<TodoItem> {
        Vec::new()
    }
    fn set_todos(&self, _: Vec<TodoItem>) {}
    fn set_pending_todos(&self, _: Vec<TodoItem>) {}
    fn pending_todos(&self) -> Vec<TodoItem> {
        Vec::new()
    }
    fn mode(&self) -> String {
        "code".into()
    }
    async fn switch_mode(&self, _: &str) -> Result<(), ToolError> {
        Ok(())
    }
    async fn start_subtask(&self, _: String, _: Vec<TodoItem>, _: &str) -> Result<bool, ToolError> {
        Ok(false)
    }
    async fn condense(&self) -> Result<(), ToolError> {
        Ok(())
    }
    fn call(&self) -> &ToolCall {
        &self.call
    }
}

#[tokio::test]
async fn the_model_learns_how_a_command_ended() {
    for (command, asks, output, ended) in [
        ("echo hi", 1, "hi\n", "0"),
        ("true", 0, "", "0"),
        ("printf bad; exit 3", 0, "bad", "3|HINT"),
        ("echo a &amp;&amp; echo '&lt;b&gt;'", 2, "a\n<b>\n", "0"),
        ("kill -TERM $$", 0, "", "signal SIGTERM"),
    ] {
        let user = User::new(command, WhileRunning::Nothing).run().await;
        let plain = command.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
        let mut expected = vec![format!("approval command {plain}")];
        expected.extend((0..asks).map(|_| "ask command_output ".to_owned()));
        expected.push(format!("say command_output {output}"));
        expected.push(format!("result ⟦CMD_DONE|DIR|{ended}⟧\nOutput:\n{output}"));
        assert_eq!(user.seen(), expected, "{command}");
    }
}

#[tokio::test]
async fn the_host_sees_the_states_of_a_command() {
    let user = User::new("echo hi; exit 4", WhileRunning::Nothing).run().await;
    assert_eq!(user.statuses(), ["started", "output", "exited"]);
    let statuses = user.statuses.lock().unwrap();
    assert_eq!(statuses[1], json!({"executionId": "7", "status": "output", "output": "hi\n"}));
    assert_eq!(statuses[2], json!({"executionId": "7", "status": "exited", "exitCode": 4}));
    assert!(statuses[0]["pid"].as_u64().is_some_and(|pid| pid > 1));
}

#[tokio::test]
async fn an_approval_while_it_runs_does_not_let_it_go() {
    let user = User::new("echo a; echo b; echo c", WhileRunning::Approves).run().await;
    assert_eq!(
        user.seen()[1..],
        [
            "ask command_output ".to_owned(),
            "say command_output a\nb\nc\n".into(),
            "result ⟦CMD_DONE|DIR|0⟧\nOutput:\na\nb\nc\n".into(),
        ]
    );
}

#[tokio::test]
async fn a_message_lets_it_go_on_and_rejects_the_rest() {
    let user = User::new("echo a; exec sleep 600", WhileRunning::Writes("leave it")).run().await;
    assert_eq!(
        user.seen()[1..],
        [
            "ask command_output ".to_owned(),
            "say user_feedback leave it".into(),
            "rejected".into(),
            "result ⟦CMD_RUNNING|DIR⟧\n\n\n⟦CMD_FEEDBACK⟧\n<feedback>\nleave it\n</feedback>".into(),
        ]
    );
    assert_eq!(user.terminals.busy("task").len(), 1);
}

#[tokio::test]
async fn the_host_may_continue_or_kill_it() {
    let user = User::new("echo a; exec sleep 600", WhileRunning::Proceeds).run().await;
    assert_eq!(user.seen().last().map(String::as_str), Some("result ⟦CMD_RUNNING|DIR⟧\n\n\n⟦CMD_LATER⟧"));
    let user = User::new("echo a; exec sleep 600", WhileRunning::Kills).run().await;
    assert_eq!(user.seen().last().map(String::as_str), Some("result ⟦CMD_DONE|DIR|signal SIGKILL⟧\nOutput:\na\n"));
}

#[tokio::test]
async fn a_command_over_its_time_is_killed() {
    let mut user = User::new("exec sleep 600", WhileRunning::Nothing);
    user.settings.command_execution_timeout = 1;
    let user = user.run().await;
    assert_eq!(
        user.seen()[1..],
        [
            "say error ⟦T common:errors:command_timeout {\"seconds\":1}⟧",
            "say command_output ",
            "result ⟦CMD_TIMEOUT|1⟧"
        ]
    );
    assert_eq!(user.statuses(), ["started", "timeout", "exited"]);
    assert!(user.terminals.busy("task").is_empty());
}

#[tokio::test]
async fn what_is_not_run_is_explained() {
    let user = User::new("", WhileRunning::Nothing).run().await;
    assert_eq!(user.seen(), ["mistake", "result missing command"]);

    let user = User::new("cat secret.txt", WhileRunning::Nothing).run().await;
    assert_eq!(user.seen()[0], "say rooignore_error secret.txt");
    assert!(user.seen()[1].contains("secret.txt is off limits"));

    let user = User::new("rm a", WhileRunning::Nothing);
    user.denials.lock().unwrap().push_back(true);
    assert_eq!(user.run().await.seen(), ["approval command rm a"]);

    let mut user = User::new("ls", WhileRunning::Nothing);
    user.call.params.set(ParamName::Cwd, "../no/such".into());
    assert!(user.run().await.seen()[1].starts_with("result ⟦NO_DIR|/"));

    let mut user = User::new("ls -l</com", WhileRunning::Nothing);
    user.call.partial = true;
    assert_eq!(user.run().await.seen(), ["partial command ls -l"]);
}
