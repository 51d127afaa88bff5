use proptest::prelude::*;

use super::*;
use crate::protocol::limits::*;
use crate::protocol::message::AskResponse;

#[test]
fn refusals_name_their_place() {
    let cases = [
        ("", "json"),
        ("[]", "json"),
        ("{}", "type"),
        (r#"{"type":1}"#, "type"),
        (r#"{"type":"task.fly"}"#, "type"),
        (r#"{"type":"task.start","text":"x"}"#, "task.start"),
        (r#"{"type":"task.start","workspace":"/w","text":"x","imges":[]}"#, "task.start.imges"),
        (r#"{"type":"task.start","workspace":"w","text":"x"}"#, "task.start.workspace"),
        (
            r#"{"type":"task.start","workspace":"/w","text":"x","images":["data:image/png;base64,","data:image/png,",3]}"#,
            "task.start.images[2]",
        ),
        (
            r#"{"type":"task.start","workspace":"/w","text":"x","images":["data:image/png,","http://x"]}"#,
            "task.start.images[1]",
        ),
        (r#"{"type":"task.start","workspace":"/w","text":"x","settings":[]}"#, "task.start.settings"),
        (r#"{"type":"task.start","workspace":"/w","text":"x","mode":""}"#, "task.start.mode"),
        (r#"{"type":"task.respond","ask":-1,"response":"yes"}"#, "task.respond.ask"),
        (r#"{"type":"task.respond","ask":1,"response":"perhaps"}"#, "task.respond.response"),
        (
            r#"{"type":"task.set_todos","session":1,"todos":[{"content":"a","status":"open"}]}"#,
            "task.set_todos.todos[0].status",
        ),
        (
            r#"{"type":"task.set_todos","session":1,"todos":[{"content":"a","status":"pending","x":1}]}"#,
            "task.set_todos.todos[0].x",
        ),
        (r#"{"type":"host.respond","host_request":4}"#, "host.respond"),
        (r#"{"type":"completion.create","messages":{}}"#, "completion.create.messages"),
    ];
    for (text, place) in cases {
        let error = Request::from_json(text).unwrap_err();
        assert_eq!(error.place, place, "{text}: {error}");
    }
}

#[test]
fn too_long_values_are_refused() {
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    let error = Request::from_json(&format!(r#"{{"type":"task.get","task":"{long}"}}"#)).unwrap_err();
    assert_eq!(error, RequestError::new("task.get.task", "257 bytes, the limit is 256"));
}

#[test]
fn what_is_beyond_a_limit_is_refused_at_its_place() {
    let start = || TaskStart { workspace: "/w".to_owned(), ..TaskStart::default() };
    let image = |bytes: usize| format!("data:image/png;base64,{}", "A".repeat(bytes));
    let json = |text: &str| Json::parse(text).unwrap();
    let todo = |status: &str| Todo { status: status.to_owned(), ..Todo::default() };
    let todos = |todos: Vec<Todo>| Request::TaskSetTodos(TaskSetTodos { todos, ..TaskSetTodos::default() });
    let keys = |keys: Vec<String>| Request::SettingsGet(SettingsGet { session: None, keys });
    let respond = |result: Option<Json>, error: Option<String>| {
        Request::HostRespond(HostRespond { result, error, ..HostRespond::default() })
    };
    let completion =
        |messages: &str| Request::CompletionCreate(CompletionCreate { messages: json(messages), ..Default::default() });
    let cases = [
        (Request::TaskStart(TaskStart { text: "x".repeat(MAX_TEXT_BYTES + 1), ..start() }), "task.start.text"),
        (Request::TaskStart(TaskStart { workspace: "/w\0".to_owned(), ..start() }), "task.start.workspace"),
        (
            Request::TaskStart(TaskStart { workspace: "/".repeat(MAX_PATH_BYTES + 1), ..start() }),
            "task.start.workspace",
        ),
        (Request::TaskStart(TaskStart { mode: Some("a\0".to_owned()), ..start() }), "task.start.mode"),
        (Request::TaskStart(TaskStart { images: vec![image(0); MAX_IMAGES + 1], ..start() }), "task.start.images"),
        (
            Request::TaskStart(TaskStart { images: vec![image(0), image(MAX_IMAGE_BYTES)], ..start() }),
            "task.start.images[1]",
        ),
        (
            Request::TaskStart(TaskStart {
                settings: Some(json(&format!("{{}}{}", " ".repeat(MAX_VALUE_BYTES)))),
                ..start()
            }),
            "task.start.settings",
        ),
        (keys(vec!["k".to_owned(); MAX_ITEMS + 1]), "settings.get.keys"),
        (keys(vec!["k".to_owned(), String::new()]), "settings.get.keys[1]"),
        (todos(vec![todo("pending"); MAX_ITEMS + 1]), "task.set_todos.todos"),
        (todos(vec![todo("pending"), todo("later")]), "task.set_todos.todos[1].status"),
        (respond(None, None), "host.respond"),
        (respond(Some(json("1")), Some(String::new())), "host.respond"),
        (respond(None, Some("x".repeat(MAX_TEXT_BYTES + 1))), "host.respond.error"),
        (completion("{}"), "completion.create.messages"),
        (completion("1"), "completion.create.messages"),
        (Request::Unbuilt(RequestKind::McpCall, Unbuilt { fields: json("[]") }), "mcp.call.fields"),
    ];
    for (request, place) in cases {
        let error = request.validate().unwrap_err();
        assert_eq!(error.place, place, "{error}");
    }
    let error = Request::from_json(&" ".repeat(MAX_JSON_BYTES + 1)).unwrap_err();
    assert_eq!(error.place, "json");
    assert!(error.message.contains("more than"), "{error}");
}

#[test]
fn what_is_just_within_a_limit_is_taken() {
    let image = "data:image/png;base64,".to_owned();
    let requests = [
        Request::TaskStart(TaskStart {
            workspace: format!("/{}", "w".repeat(MAX_PATH_BYTES - 1)),
            text: "x".repeat(MAX_TEXT_BYTES),
            images: vec![image; MAX_IMAGES],
            mode: Some("m".repeat(MAX_NAME_BYTES)),
            ..TaskStart::default()
        }),
        Request::SettingsGet(SettingsGet { session: None, keys: vec!["k".to_owned(); MAX_ITEMS] }),
        Request::HostRespond(HostRespond { result: Some(Json::default()), ..HostRespond::default() }),
    ];
    for request in requests {
        assert_eq!(request.validate(), Ok(()));
    }
}

#[test]
fn answers_keep_their_meaning() {
    for (word, answer) in [
        ("yes", AskResponse::Yes),
        ("no", AskResponse::No),
        ("message", AskResponse::Message),
        ("object", AskResponse::Object),
        ("retry", AskResponse::Retry),
    ] {
        assert_eq!(AskResponse::from(Response::parse(word).unwrap()), answer);
    }
}

#[test]
fn what_is_quoted_is_short() {
    let long = "x".repeat(10_000);
    for text in [
        format!(r#"{{"type":"task.get","task":1,"{long}":2}}"#),
        format!(r#"{{"type":"task.cancel","session":"{long}"}}"#),
        format!(r#"{{"type":"{long}"}}"#),
    ] {
        let error = Request::from_json(&text).unwrap_err();
        assert!(error.to_string().len() < 1100, "{error}");
    }
}

#[test]
fn a_record_cannot_change_its_type() {
    let body = Unbuilt { fields: Json::parse(r#"{"type":"task.start","a":1}"#).unwrap() };
    let request = Request::Unbuilt(RequestKind::McpCall, body);
    assert_eq!(request.to_json().unwrap(), r#"{"type":"mcp.call","a":1}"#);
}

#[test]
fn unbuilt_types_keep_their_fields() {
    let text = r#"{"type":"index.search","query":"ring","limit":3}"#;
    let request = Request::from_json(text).unwrap();
    assert_eq!(request.kind(), RequestKind::IndexSearch);
    assert!(!request.kind().is_built());
    assert_eq!(request.to_json().unwrap(), text);
}

#[test]
fn kinds_have_distinct_names_and_numbers() {
    for kind in RequestKind::ALL {
        assert_eq!(RequestKind::parse(kind.as_str()), Some(*kind));
        assert_eq!(RequestKind::from_number(kind.number()), Some(*kind));
    }
    assert_eq!(RequestKind::from_number(0), None);
}

/// The whole vocabulary of the protocol document is there.
#[test]
fn every_form_round_trips() {
    let texts = [
        r#"{"type":"engine.info"}"#,
        r#"{"type":"settings.set","values":{"alwaysAllowWrite":true,"list":[1,null]},"save":false}"#,
        r#"{"type":"task.start","workspace":"/w","text":"do","images":["data:image/png;base64,AA=="],"mode":"code","settings":{"a":1},"todos":"- [ ] a","dry_run":true}"#,
        r#"{"type":"task.respond","ask":4294967297,"response":"message","text":"Grüße"}"#,
        r#"{"type":"host.respond","host_request":9,"result":{"text":""}}"#,
        r#"{"type":"task.terminal","session":5,"action":"abort"}"#,
        r#"{"type":"mcp.call","server":"s"}"#,
    ];
    for text in texts {
        let request = Request::from_json(text).unwrap();
        assert_eq!(request.to_json().unwrap(), text);
        let mut span = vec![0; request.encoded_upper_bound()];
        let length = request.encode_into(&mut span).unwrap();
        assert_eq!(Request::decode(request.kind().number(), &span[..length]).unwrap(), request);
        if let Some(short) = length.checked_sub(1) {
            assert_eq!(request.encode_into(&mut span[..short]), Err(TooLarge { room: short }));
        }
    }
}

#[test]
fn a_peers_record_is_held_to_the_same_limits() {
    let request = Request::TaskGet(TaskGet { task: String::new() });
    let mut span = vec![0; request.encoded_upper_bound()];
    let length = request.encode_into(&mut span).unwrap();
    let error = Request::decode(RequestKind::TaskGet.number(), &span[..length]).unwrap_err();
    assert_eq!(error.to_string(), "task.get.task: must not be empty");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(number in 0u16..300, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::decode(number, &bytes);
    }

    #[test]
    fn damaged_records_never_panic(text in ".{0,40}", images in 0usize..4, at in 0usize..200, value in any::<u8>()) {
        let request = Request::TaskStart(TaskStart {
            workspace: "/w".to_owned(),
            text,
            images: vec!["data:image/png;base64,AAAA".to_owned(); images],
            ..TaskStart::default()
        });
        let mut span = vec![0; request.encoded_upper_bound()];
        let length = request.encode_into(&mut span).unwrap();
        span.truncate(length);
        if let Some(byte) = span.get_mut(at) {
            *byte = value;
        }
        let _ = Request::decode(request.kind().number(), &span);
    }
}
