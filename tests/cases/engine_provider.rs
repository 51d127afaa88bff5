//! A provider in trouble: the session comes to a defined state, can go on, has lost nothing, and shows no key.

use lapce_ai::engine::Received;
use lapce_ai::protocol::event::Event;
use serde_json::json;

use crate::harness::{Mode, both, contents, done, script};
use crate::loopback::{Reply, answer, event_stream, piece, plain, server};

both! {
    a_server_error_is_asked_about_and_tried_again,
    a_refused_key_is_asked_about_and_tried_again,
    a_connection_closed_before_an_answer_is_asked_about,
    a_connection_lost_in_an_answer_is_resumed,
    events_that_are_no_json_are_survived,
    an_answer_of_another_type_is_survived,
    no_key_is_shown_or_stored,
    providers_and_their_models_are_listed,
    models_of_a_row_of_the_user_are_listed,
    tokens_are_counted,
    a_profile_that_fails_in_passing_rests_also_for_the_next_engine,
    a_provider_can_be_tried,
    changed_settings_count_with_the_next_request,
}

const KEY: &str = "sk-canary-4711";

/// Starts a task against these replies and answers whatever asks to go on, until it is completed.
fn survives(mode: Mode, name: &str, replies: Vec<Reply>) {
    let place = mode.remote(&server(replies), KEY);
    let host = place.host(&[]);
    host.start("persist");
    loop {
        let ask = host.until(|event| match &event.event {
            Event::Ask(ask) => Some(Some((event.about, ask.kind.clone()))),
            Event::TaskCompleted(done) => {
                assert_eq!(done.result, "Made it.", "{name}");
                Some(None)
            }
            _ => None,
        });
        let Some((ask, kind)) = ask else { break };
        assert!(["api_req_failed", "resume_task", "mistake_limit_reached"].contains(&kind.as_str()), "{name}: {kind}");
        host.respond(ask, "yes").unwrap();
    }
    host.ask("completion_result");
    drop(host);
    place.close();
    let stored = String::from_utf8_lossy(&contents(&place.storage)).into_owned();
    assert!(stored.contains("persist") && stored.contains("Made it."), "{name}: {stored}");
}

fn then_ok(first: Vec<u8>) -> Vec<Reply> {
    vec![Reply::Close(first), Reply::Close(answer(&done("Made it.")))]
}

fn a_server_error_is_asked_about_and_tried_again(mode: Mode) {
    survives(mode, "500", then_ok(plain("500 Internal Server Error", "text/plain", "broken")));
}

fn a_refused_key_is_asked_about_and_tried_again(mode: Mode) {
    survives(mode, "401", then_ok(plain("401 Unauthorized", "application/json", r#"{"error":{"message":"bad key"}}"#)));
}

fn a_connection_closed_before_an_answer_is_asked_about(mode: Mode) {
    survives(mode, "closed", then_ok(Vec::new()));
}

fn a_connection_lost_in_an_answer_is_resumed(mode: Mode) {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n";
    survives(mode, "cut", then_ok(format!("{cut}{}", piece("I begin ")).into_bytes()));
}

fn events_that_are_no_json_are_survived(mode: Mode) {
    survives(mode, "no json", then_ok(format!("{}data: {{nope\n\n", event_stream()).into_bytes()));
    survives(mode, "binary", then_ok([event_stream().as_bytes(), &[0xff, 0xfe, 0, b'\n', b'\n']].concat()));
}

fn an_answer_of_another_type_is_survived(mode: Mode) {
    survives(mode, "html", then_ok(plain("200 OK", "text/html", "<html>Sign in</html>")));
    survives(mode, "empty", then_ok(event_stream().into_bytes()));
}

fn no_key_is_shown_or_stored(mode: Mode) {
    // A server that sends the key back, as some do in their error texts.
    let said = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}"}}}}"#);
    let place = mode.remote(&server(vec![Reply::Close(plain("401 Unauthorized", "application/json", &said))]), KEY);
    let host = place.host(&[]);
    let session = host.start("leak");
    host.ask("api_req_failed");
    for session in [None, Some(session)] {
        let values = host.call(&json!({"type": "settings.get", "session": session})).unwrap();
        assert_eq!(values["values"]["openAiApiKey"], "(set)", "{values}");
    }
    let create = json!({"type": "completion.create", "messages": [{"role": "user", "content": "Hi"}]});
    host.call(&create).unwrap_err();
    let wrong = json!({"type": "settings.set", "values": {"openAiApiKey": KEY, "writeDelayMs": KEY}});
    host.call(&wrong).unwrap_err();
    host.call(&json!({"type": "engine.stats"})).unwrap();
    let told = format!("{:?}", host.events());
    drop(host);
    place.close();
    assert!(
        !told.contains(KEY),
        "{}",
        told.split(KEY).next().unwrap_or("").chars().rev().take(300).collect::<String>()
    );
    let stored = contents(&place.storage);
    assert!(!stored.is_empty());
    assert!(!stored.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "the key is on disk");
}

fn providers_and_their_models_are_listed(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let providers = host.call(&json!({"type": "provider.list"})).unwrap();
    let anthropic = providers["providers"].as_array().unwrap().iter().find(|one| one["name"] == "anthropic").unwrap();
    assert_eq!((&anthropic["key"], &anthropic["models"]), (&json!("apiKey"), &json!("table")));
    let models = host.call(&json!({"type": "model.list", "provider": "anthropic"})).unwrap();
    assert_eq!(models["default_model"], anthropic["default_model"]);
    let default = models["models"].as_array().unwrap().iter().find(|one| one["id"] == models["default_model"]).unwrap();
    assert_eq!((&default["contextWindow"], &default["outputPrice"]), (&json!(200_000), &json!(15.0)));
    let failed = host.call(&json!({"type": "model.list", "provider": "nobody"})).unwrap_err();
    assert_eq!(failed.place.as_deref(), Some("model.list.provider"));
}

fn models_of_a_row_of_the_user_are_listed(mode: Mode) {
    let place = mode.replay(&[]);
    let tables = place.storage.join("settings/providers");
    std::fs::create_dir_all(&tables).unwrap();
    let rows = "
[mine]
name = 'Mine'
base-url = 'http://127.0.0.1:1/v1'
key-required = false
default-model = 'small'
models.large = { contextWindow = 65536, inputPrice = 2.0 }
models.small = { contextWindow = 32768 }

[gateway]
name = 'Gateway'
base-url = 'http://127.0.0.1:1/v1'
key-required = false
list = { of = 'deepinfra' }
models.own = { contextWindow = 1000 }
";
    std::fs::write(tables.join("mine.toml"), rows).unwrap();
    let host = place.host(&[]);
    let list = host.call(&json!({"type": "model.list", "provider": "mine"})).unwrap();
    assert_eq!((&list["default_model"], &list["fetched"]), (&json!("small"), &json!(false)), "{list}");
    let models = list["models"].as_array().unwrap();
    let facts: Vec<_> = models.iter().map(|one| (one["id"].as_str(), one["contextWindow"].as_u64())).collect();
    assert_eq!(facts, [(Some("large"), Some(65_536)), (Some("small"), Some(32_768))], "{list}");
    assert_eq!(models[0]["inputPrice"], 2.0);
    let list = host.call(&json!({"type": "model.list", "provider": "gateway"})).unwrap();
    assert_eq!((list["models"].as_array().unwrap().len(), &list["models"][0]["id"]), (1, &json!("own")), "{list}");
    // The row's own address is asked, where nobody listens.
    let failed = host.call(&json!({"type": "model.list", "provider": "gateway", "fetch": true})).unwrap_err();
    assert_eq!(failed.kind, "provider", "{failed:?}");
    // A profile whose provider nothing describes uses Anthropic.
    let settings = json!({"apiProvider": "nobody"});
    let list = host.call(&json!({"type": "model.list", "settings": settings})).unwrap();
    assert_eq!(list["provider"], "anthropic");
}

fn tokens_are_counted(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    for (text, tokens, estimate) in [("", 0, 0), ("Hello, world!", 4, 6), ("<|endoftext|>", 7, 11)] {
        let counted = host.call(&json!({"type": "tokens.count", "text": text})).unwrap();
        assert_eq!(counted, json!({"tokens": tokens, "estimate": estimate}), "{text}");
    }
}

/// Two profiles behind one: the first is at its limit, the second answers.
fn a_profile_that_fails_in_passing_rests_also_for_the_next_engine(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let transcript = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let limited = transcript(
        "first.jsonl",
        r#"{"expect":{}}
{"error":{"message":"slow down","status":429}}
"#,
    );
    let spare = transcript("second.jsonl", &script(&[&done("By the second.")]));
    let settings = json!({
        "apiProvider": "virtual-quota-fallback",
        "profiles": [
            {"profileName": "First", "profileId": "1"},
            {"profileName": "Second", "profileId": "2", "profileLimits": {"requestsPerDay": 2}},
        ],
        "apiConfigs": {
            "First": {"id": "1", "apiProvider": "replay", "replayFile": limited},
            "Second": {"id": "2", "apiProvider": "replay", "replayFile": spare},
        },
    });
    let place = mode.open(folder, settings.clone());
    let host = place.host(&[]);
    host.start("try");
    let notice = |event: &Received| match &event.event {
        Event::Log(log) if log.target == "provider" => Some(log.message.clone()),
        _ => None,
    };
    let told = host.until(notice);
    assert!(told.contains("Second"), "{told}");
    assert_eq!(host.completed(), "By the second.");
    host.ask("completion_result");
    drop(host);
    // The first still rests: nothing is switched.
    let place = place.reopened_with(&settings);
    let host = place.host(&[]);
    host.start("try again");
    assert_eq!(host.completed(), "By the second.");
    assert_eq!(host.events().iter().find_map(notice), None);
    host.ask("completion_result");
    drop(host);
    // The second has now had its two requests of the day.
    let place = place.reopened_with(&settings);
    let host = place.host(&[]);
    host.start("once more");
    host.ask("api_req_failed");
}

fn a_provider_can_be_tried(mode: Mode) {
    let works = mode.remote(&server(vec![Reply::Close(answer("ready"))]), KEY);
    let tried = works.host(&[]).call(&json!({"type": "provider.test"})).unwrap();
    assert_eq!((&tried["provider"], tried["ms"].is_u64()), (&json!("openai"), true), "{tried}");
    let refused = mode.remote(&server(vec![Reply::Close(plain("403 Forbidden", "text/plain", "not you"))]), KEY);
    let failed = refused.host(&[]).call(&json!({"type": "provider.test"})).unwrap_err();
    assert!(failed.kind == "provider" && failed.message.contains("403 not you"), "{failed:?}");
    let settings = json!({"writeDelayMs": "soon"});
    let failed = works.host(&[]).call(&json!({"type": "provider.test", "settings": settings})).unwrap_err();
    assert_eq!(failed.place.as_deref(), Some("provider.test.settings.writeDelayMs"));
}

fn changed_settings_count_with_the_next_request(mode: Mode) {
    let broken = || server(vec![Reply::Close(plain("500 X\r\nx-should-retry: false", "text/plain", "broken"))]);
    let works = |text: &str| server(vec![Reply::Close(answer(&done(text)))]);
    for way in ["httpProxy", "openAiBaseUrl"] {
        let place = mode.remote(&broken(), KEY);
        let host = place.host(&[]);
        let session = host.start("go on");
        let failed = host.ask("api_req_failed");
        let wrong = json!({"type": "settings.set", "session": session, "values": {"httpProxy": "socks5://u:p@x"}});
        host.call(&wrong).unwrap();
        host.respond(failed, "yes").unwrap();
        let told = host.until(|event| match &event.event {
            Event::Ask(ask) if ask.kind == "api_req_failed" => Some((event.about, format!("{ask:?}"))),
            _ => None,
        });
        assert!(told.1.contains("httpProxy"), "{}", told.1);
        let mut values = json!({"httpProxy": null});
        values[way] = json!(works(way));
        host.call(&json!({"type": "settings.set", "session": session, "values": values})).unwrap();
        host.respond(told.0, "yes").unwrap();
        assert_eq!(host.completed(), way);
    }
}
