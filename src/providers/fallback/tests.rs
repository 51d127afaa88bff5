//! Fallback over replayed profiles.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::providers::http::Client;

/// The time of a test, in milliseconds.
type Clock = Arc<AtomicI64>;

fn surroundings(folder: &Path, clock: &Clock, notices: &Arc<Mutex<Vec<String>>>) -> Surroundings {
    let (clock, notices) = (clock.clone(), notices.clone());
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_millis(clock.load(Ordering::Relaxed).unsigned_abs());
    let http = Http::new(Arc::new(Client::default()), Arc::new(now), Arc::new(|| 0.0));
    let wording: Wording = Arc::new(|id, variables| {
        let variables: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
        format!("{id}({})", variables.join(","))
    });
    Surroundings {
        storage: folder.to_owned(),
        notify: Arc::new(move |notice| notices.lock().expect("no panic while locked").push(notice.to_owned())),
        ..Surroundings::new(http, wording)
    }
}

/// Settings with a replayed profile for each transcript, the n-th with the n-th limits.
fn settings(folder: &Path, profiles: &[(&str, &[&str], Value)]) -> Settings {
    let (mut configs, mut listed) = (json!({}), Vec::new());
    for (id, lines, limits) in profiles {
        let file = folder.join(format!("{id}.jsonl"));
        std::fs::write(&file, lines.join("\n")).expect("written");
        configs[*id] = json!({"id": id, "apiProvider": "replay", "replayFile": file, "apiModelId": id});
        listed.push(json!({"profileId": id, "profileName": id.to_uppercase(), "profileLimits": limits}));
    }
    let settings = json!({"apiProvider": NAME, "apiConfigs": configs, "profiles": listed});
    serde_json::from_value(settings).expect("settings")
}

/// What the provider answers, in short.
async fn answer(provider: &dyn Provider) -> String {
    let items: Vec<_> = provider.stream(ChatRequest::default()).collect().await;
    let show = |item| match item {
        Ok(StreamChunk::Text(text)) => text,
        Ok(StreamChunk::Usage(_)) => "#".into(),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("!{error}"),
    };
    items.into_iter().map(show).collect::<Vec<_>>().join(" ")
}

const TURN: &str = r#"{"expect": {}}"#;
const USAGE: &str = r#"{"usage": {"inputTokens": 60, "outputTokens": 40}}"#;

#[tokio::test]
async fn a_failure_in_passing_begins_anew_with_the_next_profile() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, notices) = (Clock::new(1_000_000.into()), Arc::default());
    let limited = [
        TURN,
        r#"{"text": "half"}"#,
        r#"{"error": {"message": "slow down", "status": 429}}"#,
        TURN,
        r#"{"text": "a"}"#,
    ];
    let settings = settings(
        folder.path(),
        &[("a", &limited, json!({})), ("b", &[TURN, r#"{"text": "b"}"#, TURN, r#"{"text": "b2"}"#], json!({}))],
    );
    let provider =
        FallbackProvider::new(&settings, &surroundings(folder.path(), &clock, &notices)).expect("a provider");
    assert_eq!(provider.model().id, "a");
    // What was out stays; the first profile rests; the second is kept even when the first has rested.
    assert_eq!(answer(&provider).await, "half b");
    assert_eq!(provider.model().id, "b");
    clock.fetch_add(REST, Ordering::Relaxed);
    assert_eq!(answer(&provider).await, "b2");
    assert_eq!(*notices.lock().expect("no panic while locked"), ["provider.vqf.switched(B)"]);
    // Another engine goes on resting and counting.
    let other = surroundings(folder.path(), &clock, &notices);
    assert_eq!(
        other.quotas.with(folder.path(), |ledger| ledger.used(
            "b",
            Kind::Requests,
            24 * 60 * MINUTE,
            clock.load(Ordering::Relaxed)
        )),
        2
    );
}

#[tokio::test]
async fn other_failures_reach_the_user_and_limits_move_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, notices) = (Clock::new(1_000_000.into()), Arc::default());
    let text = |text: &str| format!(r#"{{"text": "{text}"}}"#);
    let (a, b, b2) = (text("a"), text("b"), text("b2"));
    let settings = settings(
        folder.path(),
        &[
            ("a", &[TURN, &a, USAGE], json!({"tokensPerMinute": 100})),
            ("b", &[TURN, &b, TURN, r#"{"error": {"message": "broken"}}"#, TURN, &b2], json!({})),
        ],
    );
    let provider =
        FallbackProvider::new(&settings, &surroundings(folder.path(), &clock, &notices)).expect("a provider");
    assert_eq!(answer(&provider).await, "a #");
    assert_eq!(answer(&provider).await, "b");
    assert_eq!(answer(&provider).await, "!broken");
    assert_eq!(answer(&provider).await, "!provider.vqf.none_available()");
    clock.fetch_add(REST, Ordering::Relaxed);
    assert_eq!(answer(&provider).await, "b2");
    assert!(provider.complete("x").await.is_err());
}

#[tokio::test]
async fn profiles_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let surroundings = surroundings(folder.path(), &Clock::default(), &Arc::default());
    let settings = |configs: Value| -> Settings {
        let listed = json!([{"profileId": "1", "profileName": "one"}]);
        serde_json::from_value(json!({"profiles": listed, "apiConfigs": configs})).expect("settings")
    };
    let itself = settings(json!({"x": {"id": "1", "apiProvider": NAME}}));
    let refused = FallbackProvider::new(&itself, &surroundings).err().map(|error| error.message);
    assert_eq!(refused.as_deref(), Some("provider.vqf.recursion(one)"));
    for (configs, cause) in [
        (json!({}), "provider.vqf.no_profile(one)"),
        (json!({"x": {"id": "1", "apiProvider": "replay"}}), "one: provider.replay.no_file()"),
    ] {
        let provider = FallbackProvider::new(&settings(configs), &surroundings).expect("a provider");
        assert_eq!(answer(&provider).await, format!("!provider.vqf.none_available({cause})"));
        assert_eq!((provider.model(), provider.count_tokens(&[ContentBlock::text("x")]).await), (Model::default(), 0));
    }
}

#[tokio::test]
async fn a_profile_whose_key_is_not_there_is_left_out_and_disturbs_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::new(1_000_000.into());
    let surroundings = Surroundings {
        environment: Arc::new(|name| (name == "SET").then(|| "k".to_owned())),
        ..surroundings(folder.path(), &clock, &Arc::default())
    };
    let file = folder.path().join("b.jsonl");
    std::fs::write(&file, [TURN, r#"{"text": "b"}"#].join("\n")).expect("written");
    let configs = json!({
        "A": {"id": "a", "apiProvider": "groq", "groqApiKey": "${env:UNSET}"},
        "B": {"id": "b", "apiProvider": "replay", "replayFile": file, "groqApiKey": "${env:SET}"},
    });
    let listed = json!([{"profileId": "a", "profileName": "A"}, {"profileId": "b", "profileName": "B"}]);
    let settings = |name: &str| -> Settings {
        let settings = json!({"apiProvider": name, "apiConfigs": configs, "profiles": listed, "apiKey": "k"});
        serde_json::from_value(settings).expect("settings")
    };
    let provider = super::super::create(&settings(NAME), &surroundings).expect("a provider");
    assert_eq!(answer(&*provider).await, "b");
    // Who does not use the profiles does not need their keys.
    assert!(super::super::create(&settings("anthropic"), &surroundings).is_ok());
}
