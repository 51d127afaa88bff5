//! A fake `claude`: a shell script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::providers::http::{Client, Http};
use crate::providers::{RequestMetadata, StreamChunk};

const ANSWER: &str =
    r#"{"type":"assistant","message":{"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}}"#;

/// A folder with the script and everything the provider may use.
struct Place(tempfile::TempDir);

impl Place {
    fn new(script: &str) -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(place.path("workspace")).expect("a folder");
        fs::write(place.path("claude"), format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(place.path("claude"), fs::Permissions::from_mode(0o755)).expect("its mode");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn provider(&self, settings: Value) -> ClaudeCodeProvider {
        let http = Http::new(Arc::new(Client::default()), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
        let search = format!("{}:/usr/bin:/bin", self.0.path().display());
        let surroundings = Surroundings {
            program_environment: [("PATH".into(), search.into())].into(),
            home: self.path("home"),
            storage: self.path("storage"),
            ..Surroundings::new(http, Arc::new(|id, variables| format!("{id} {variables:?}")))
        };
        ClaudeCodeProvider::new(&serde_json::from_value(settings).expect("settings"), &surroundings)
    }

    fn ask(&self, settings: Value, system: &str) -> ChunkStream {
        self.ask_in(settings, system, &self.path("workspace"))
    }

    fn ask_in(&self, settings: Value, system: &str, workspace: &Path) -> ChunkStream {
        let messages = json!([{"role": "user", "content": [
            {"type": "text", "text": "q"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aa"}},
        ]}]);
        self.provider(settings).stream(ChatRequest {
            system: system.to_owned(),
            messages: Arc::new(serde_json::from_value(messages).expect("messages")),
            metadata: Some(RequestMetadata { workspace: Some(workspace.to_owned()), ..RequestMetadata::default() }),
        })
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The texts of an answer, and the message of the failure that ends it.
async fn all(mut chunks: ChunkStream) -> (String, Option<String>) {
    let mut text = String::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(StreamChunk::Text(piece)) => text.push_str(&piece),
            Ok(_) => {}
            Err(error) => {
                assert!(chunks.next().await.is_none(), "a failure ends the answer");
                return (text, Some(error.message));
            }
        }
    }
    (text, None)
}

#[tokio::test]
async fn the_program_gets_prompt_conversation_and_folder() {
    let place = Place::new(&format!(
        r#"pwd >pwd; printf '%s\n' "$@" >arguments; cat >input; echo $CLAUDE_CODE_MAX_OUTPUT_TOKENS >limit; echo '{ANSWER}'"#
    ));
    assert_eq!(all(place.ask(json!({}), "Be brief.")).await, ("hi".to_owned(), None));
    assert_eq!(
        Path::new(place.read("workspace/pwd").trim()),
        fs::canonicalize(place.path("workspace")).expect("a path")
    );
    assert!(place.read("workspace/arguments").starts_with("-p\n--system-prompt\nBe brief.\n--verbose\n"));
    assert_eq!(place.read("workspace/limit"), "16000\n");
    let note = r#"provider.claude_code.image [("source", "base64"), ("media_type", "image/png")]"#;
    let input: Value = serde_json::from_str(&place.read("workspace/input")).expect("JSON");
    assert_eq!(
        input,
        json!([{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": note}]}])
    );
}

#[tokio::test]
async fn a_long_prompt_goes_through_a_file_that_is_removed() {
    for (prompt, in_file) in [
        ("x".repeat(65_536), false),
        ("x".repeat(65_537), true),
        ("é".repeat(65_537), true),
        ("中".repeat(50_000), true),
    ] {
        let place =
            Place::new(&format!(r#"echo "$2" >option; printf %s "$3" | wc -c >length; cp "$3" copy; echo '{ANSWER}'"#));
        assert_eq!(all(place.ask(json!({}), &prompt)).await.0, "hi");
        match in_file {
            true => {
                assert_eq!(place.read("workspace/option"), "--system-prompt-file\n");
                assert_eq!(place.read("workspace/copy"), prompt);
                assert_eq!(fs::read_dir(place.path("storage")).expect("a folder").count(), 0);
            }
            false => assert_eq!(place.read("workspace/length").trim(), prompt.len().to_string()),
        }
    }
}

#[tokio::test]
async fn failures_are_worded_and_lose_nothing() {
    let said = |code: &str, signal: &str, output: &str| {
        let variables = [("code", code), ("signal", signal), ("output", output)];
        Some(format!("provider.claude_code.exited {variables:?}"))
    };
    for (script, text, failure) in [
        (format!("echo '{ANSWER}'; echo 'no credit' >&2; exit 3"), "hi", said("3", "", "no credit")),
        ("exit 1".to_owned(), "", said("1", "", "")),
        (format!("echo '{ANSWER}'; kill -KILL $$"), "hi", said("0", "SIGKILL", "")),
        (
            format!("echo '{ANSWER}'; echo '{}'; sleep 1000", ANSWER.replace("hi", r#"API Error: 500 {\"error\":{}}"#)),
            "hi",
            Some(r#"{"error":{}}"#.to_owned()),
        ),
        (format!("printf '%s' '{ANSWER}'"), "hi", None),
        ("cat >/dev/null".to_owned(), "", None),
        (format!("echo '{ANSWER}'; sleep 1000 &"), "hi", None),
    ] {
        let place = Place::new(&script);
        assert_eq!(all(place.ask(json!({}), "S")).await, (text.to_owned(), failure), "{script}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let place = Place::new("");
    let workspace = place.path("workspace");
    fs::write(place.path("text"), "no program").expect("a file");
    let missing = place.path("missing").to_string_lossy().into_owned();
    let text = place.path("text").to_string_lossy().into_owned();
    for (settings, folder, id, names) in [
        (json!({"claudeCodePath": missing}), &workspace, "provider.claude_code.not_found", missing.as_str()),
        (json!({"claudeCodePath": "no-such-claude"}), &workspace, "provider.claude_code.not_found", "https://"),
        (json!({"claudeCodePath": text}), &workspace, "provider.claude_code.not_started", text.as_str()),
        (json!({}), &place.path("missing"), "provider.claude_code.not_started", missing.as_str()),
    ] {
        let (_, failure) = all(place.ask_in(settings.clone(), "S", folder)).await;
        let failure = failure.expect("a failure");
        assert!(failure.starts_with(id) && failure.contains(names), "{settings}: {failure}");
    }
}

#[tokio::test]
async fn dropping_the_answer_kills_the_program_and_its_children() {
    let place = Place::new(&format!("sleep 1000 & echo $! >child; echo $$ >own; echo '{ANSWER}'; sleep 1000"));
    let mut answer = place.ask(json!({}), "S");
    assert!(matches!(answer.next().await, Some(Ok(StreamChunk::Text(_)))));
    drop(answer);
    for name in ["workspace/child", "workspace/own"] {
        let status = format!("/proc/{}/stat", place.read(name).trim());
        while fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::spawn_blocking(std::thread::yield_now).await.expect("a thread");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_ten_minutes_at_most() {
    let place = Place::new(&format!("echo '{ANSWER}'; sleep 1000"));
    let (text, failure) = all(place.ask(json!({}), "S")).await;
    assert_eq!(failure.as_deref(), Some(r#"provider.claude_code.timeout [("seconds", "600")]"#), "{text}");
}

#[tokio::test]
async fn single_prompts_are_refused() {
    let failure = Place::new("").provider(json!({})).complete("p").await.expect_err("a failure");
    assert_eq!(failure.message, r#"provider.no_single_prompt [("provider", "Claude Code")]"#);
}
