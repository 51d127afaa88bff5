//! What real peers send, as inputs of the fuzz targets.

use lapce_ai::engine::journal::fuzzing as journal;
use lapce_ai::protocol::event::{Event, EventKind, event_from_json};
use lapce_ai::protocol::fuzzing::JSON;
use lapce_ai::protocol::hello::{HEAD_LEN, Hello, Refusal, RingSizes, Welcome, WelcomeSession};
use lapce_ai::protocol::request::{Request, RequestKind};
use lapce_ai::providers::frames::fuzzing as frames;
use lapce_ai::providers::fuzzing::Family;
use lapce_ai::transport::fuzzing::{ENGINE, Step, WRAPPING};
use lapce_ai::transport::layout;

const REQUESTS: &str = include_str!("../../data/samples/requests.jsonl");
const EVENTS: &str = include_str!("../../data/samples/events.jsonl");

/// Names and inputs of a target's seeds.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "array" | "event_stream" | "lines" | "sse" => streams(target),
        "decode" => answers(),
        "event" => events(),
        "front_matter" => command_files(),
        "hello" => hellos(),
        "journal" => journals(),
        "mentions" => users_words(),
        "request" => requests(),
        "ring" => rings(),
        #[cfg(unix)]
        "socket" => sockets(),
        other => panic!("no seeds for `{other}`"),
    }
}

/// Command files.
fn command_files() -> Vec<(String, Vec<u8>)> {
    [
        ("both", "---\ndescription: Ship it\nargument-hint: <env>\n---\n\nBody\n"),
        ("crlf", "\u{feff}---\r\ndescription: ' Ship '\r\n---\r\nBody\r\n"),
        ("open", "---\ndescription: Ship"),
        ("broken", "---\ndescription: [\n---\nBody"),
        ("anchors", "---\na: &a [x, x]\nb: [*a, *a]\ndescription: |\n  two\n  lines\n---\n"),
        ("none", "Body\n---\nmore"),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .to_vec()
}

/// What users write, with all that it can refer to.
fn users_words() -> Vec<(String, Vec<u8>)> {
    [
        ("kinds", "<task>\nsee @/a.txt, @/my\\ file.txt and @/dir/ @https://h/p?q#f. @problems: @terminal @git-changes\n</task>"),
        ("commits", "@1234567 @abcdef @0123456789012345678901234567890123456789 @01234567890123456789012345678901234567890"),
        ("none", "a@/b \\@/x (@/a) @/a\\b @ @/ @:// @ABCDEF1 @problematic"),
        ("commands", "please /ship now\n/init /a.b-c_1 /bad! a/b"),
        ("workflow", "<task>\n/a.md then more</task>"),
        ("engine", "<feedback>/newtask with words</feedback>"),
        ("tags", "<TASK>/x<task> /smol</task></feedback><answer>/newrule </answer>"),
        ("unicode", "\u{feff}@/日本語.txt、\u{3000}@/é\u{301}\u{a0}/x\u{2003}/y"),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .to_vec()
}

/// Streams of providers, read in pieces of two and five bytes by turns.
fn streams(target: &str) -> Vec<(String, Vec<u8>)> {
    let text = |name, stream: &str| (name, stream.as_bytes().to_vec());
    let streams = match target {
        "array" => vec![
            text("gemini", "[{\"candidates\": [{\"content\": \"a \\\"]} é\"}]}\n,\r\n{\"usageMetadata\": {}}\n]\n"),
            text("cut", "[{\"a\": \"\\"),
            text("scalars", " [1, \"x\", null ,[[]]] "),
            text("malformed", "[{}{}]"),
        ],
        "lines" => vec![
            text("ollama", "{\"message\":{\"content\":\"é\"}}\n{\"done\":true}\r\n\n"),
            text("last", "{\"done\":false}\n{\"done\":true}"),
            text("cut", "{\"done\":false}\n{\"do"),
            ("bytes", b"\xff\xfe\n \r\n1\n".to_vec()),
        ],
        "event_stream" => {
            let said = frames::event_message(":event-type", "contentBlockDelta", br#"{"delta":{"text":"a"}}"#);
            let every = b"\x01a\x00\x01b\x01\x01c\x02\x07\x01d\x03\0\x07\x01e\x04\0\0\0\x07\x01f\x05\0\0\0\0\0\0\0\x07\x01g\x06\0\x01x\x01h\x07\0\x01x";
            let mut damaged = [said.clone(), said.clone()].concat();
            damaged[said.len() + 20] ^= 1;
            vec![
                ("two", [said.clone(), frames::message(every, b"")].concat()),
                ("headers", every.to_vec()),
                ("damaged", damaged),
                ("cut", said[..said.len() - 3].to_vec()),
            ]
        }
        _ => vec![
            text("openai", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"),
            text("anthropic", "event: ping\r\ndata: {}\r\n\r\nevent: message_stop\rdata:{\rdata:}\r\r"),
            text("fields", "\u{feff}: comment\nid: 1\nretry: 2\ndata\nevent\n\n"),
            text("last", "data: 1\n\ndata: {\"a\":1}"),
            ("bytes", b"data: \xff\n\ndata: cut".to_vec()),
        ],
    };
    streams.into_iter().map(|(name, stream)| (name.to_owned(), [&[2, 1, 4], stream.as_slice()].concat())).collect()
}

/// Answers of every wire family, read in pieces of two and five bytes by turns: one that ends well, one that fails.
fn answers() -> Vec<(String, Vec<u8>)> {
    let chat = [
        r#"data: {"choices":[{"delta":{"content":"<think>a\n\ud83d\ude00</think>b"}}]}

data: {"choices":[],"usage":{"prompt_tokens":3}}

data: [DONE]

"#,
        r#"data: {"choices":[{"delta":{"reasoning_content":"a"},"finish_reason":"length"}]}

data: {"error":{"message":"m","code":429}}

"#,
    ];
    let responses = [
        r#"data: {"type":"response.output_text.delta","delta":"a\n"}

data: {"type":"response.completed","response":{"id":"r","service_tier":"flex","usage":{"input_tokens":2}}}

"#,
        r#"data: {"response":{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"a"}]}]}}

data: {"type":"response.failed","error":{"message":"m"}}

"#,
    ];
    let gemini = [
        r#"data: {"response":{"candidates":[{"content":{"parts":[{"text":"a\n","thought":true}]}}]}}

data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}

"#,
        r#"data: {"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}]}}]}

data: {"candidates":[{"finishReason":"MAX_TOKENS"}]}

"#,
    ];
    let anthropic = [
        r#"event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":5}}}

event: content_block_delta
data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a\n"}}

"#,
        r#"event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"a"}}

event: error
data: {}

"#,
    ];
    let bedrock = [
        r#"contentBlockStart {"contentBlockIndex":1,"contentBlock":{"reasoningContent":{"text":"r"}}}
contentBlockDelta {"delta":{"text":"a\n"}}
metadata {"usage":{"inputTokens":1}}"#,
        r#"contentBlockDelta {"delta":{"reasoningContent":{"text":"r"}}}
throttlingException {"message":"m"}"#,
    ];
    let ollama = [
        r#"{"message":{"content":"<think>a</think>b\n"}}
{"done":true,"eval_count":4}
"#,
        r#"{"message":{"content":"<thi"}}
{"error":"m"}
"#,
    ];
    let mistral = [
        r#"data: {"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}}]}

data: [DONE]

"#,
        r#"data: {"choices":[{"delta":{"content":"a\n"}}]}

data: {"choices":

"#,
    ];
    let of_family = |(number, family): (usize, Family)| {
        let answers = match family {
            Family::Chat | Family::ChatTags | Family::ChatCumulative | Family::Cerebras => chat,
            Family::Responses | Family::ResponsesSecondary => responses,
            Family::Anthropic => anthropic,
            Family::Gemini | Family::CodeAssist => gemini,
            Family::Bedrock => bedrock,
            Family::Ollama => ollama,
            Family::Mistral => mistral,
        };
        ["ends", "fails"].into_iter().zip(answers).map(move |(name, answer)| {
            let head = [number as u8, 2, 1, 4];
            (format!("{family:?}-{name}").to_lowercase(), [&head, answer.as_bytes()].concat())
        })
    };
    Family::ALL.into_iter().enumerate().flat_map(of_family).collect()
}

/// The JSON form and the record of one body.
fn both(name: &str, number: usize, text: &str, kind: u16, record: &[u8]) -> [(String, Vec<u8>); 2] {
    let json = [&[JSON], text.as_bytes()].concat();
    let record = [b"r".as_slice(), &kind.to_le_bytes(), record].concat();
    [(format!("{name}-{number}-json"), json), (format!("{name}-{number}-record"), record)]
}

fn requests() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, text) in REQUESTS.lines().enumerate() {
        let request = Request::from_json(text).unwrap();
        let mut span = vec![0; request.encoded_upper_bound()];
        let len = request.encode_into(&mut span).unwrap();
        seeds.extend(both(request.kind().as_str(), number, text, request.kind().number(), &span[..len]));
    }
    seeds
}

fn events() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, text) in EVENTS.lines().enumerate() {
        let (_, _, event) = event_from_json(text).unwrap();
        let mut span = vec![0; event.encoded_upper_bound()];
        let len = event.encode_into(&mut span).unwrap();
        seeds.extend(both(event.kind().as_str(), number, text, event.kind().number(), &span[..len]));
    }
    seeds
}

fn hellos() -> Vec<(String, Vec<u8>)> {
    let rings = RingSizes { slots: 1024, bytes: 1 << 20 };
    let first = Hello {
        client: "0123456789abcdef0123456789abcdef".to_owned(),
        name: "editor".to_owned(),
        number: 0,
        capabilities: vec!["edit.propose".to_owned(), "buffer.read".to_owned()],
        share: true,
        observe: false,
        events: rings,
        requests: RingSizes { slots: 256, bytes: 1 << 18 },
        seen: Vec::new(),
        seen_own: None,
    };
    let again = Hello { number: 7, seen: vec![(1, 9), (2, u32::MAX)], seen_own: Some(4), ..first.clone() };
    let session = WelcomeSession { session: 1 << 32 | 1, own: true };
    let welcome =
        Welcome { number: 7, generation: 3, engine_generation: 1, pid: 4711, events: rings, sessions: vec![session] };
    let refusal = Refusal { kind: "busy".to_owned(), message: "no room for another client".to_owned() };
    // What stands in the head differs from our own hello's by this; the kind is its third word.
    let ours = [0; HEAD_LEN];
    let with = |at: usize, value: u8| {
        let mut head = ours;
        head[at] = value;
        head
    };
    [
        ("first", ours, first.to_bytes()),
        ("again", ours, again.to_bytes()),
        ("welcome", with(8, 1 ^ 2), welcome.to_bytes()),
        ("refusal", with(8, 1 ^ 3), refusal.to_bytes()),
        ("stranger", with(0, 1), first.to_bytes()),
        ("layout", with(12, 7), first.to_bytes()),
        ("records", with(16, 1), first.to_bytes()),
        ("length", with(51, 1), first.to_bytes()),
        ("kind", with(8, 0x80), first.to_bytes()),
    ]
    .into_iter()
    .map(|(name, head, message)| (name.to_owned(), [head.as_slice(), &message[HEAD_LEN..]].concat()))
    .collect()
}

fn journals() -> Vec<(String, Vec<u8>)> {
    journal::seeds().into_iter().map(|(name, input)| (name.to_owned(), input)).collect()
}

fn overwrite(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut step = vec![Step::Overwrite as u8];
    step.extend((offset as u16).to_le_bytes());
    step.push(bytes.len() as u8);
    step.extend(bytes);
    step
}

/// A committed slot as its owner would write it.
fn slot(number: u32, kind: u16, span: u32, len: u32) -> Vec<u8> {
    let mut slot = [0; layout::SLOT_LEN];
    let mut put = |at: usize, bytes: &[u8]| slot[at..at + bytes.len()].copy_from_slice(bytes);
    put(layout::SLOT_SEQUENCE, &number.wrapping_add(1).to_le_bytes());
    put(layout::SLOT_KIND, &kind.to_le_bytes());
    put(layout::SLOT_SPAN, &span.to_le_bytes());
    put(layout::SLOT_RECORD_LEN, &len.to_le_bytes());
    put(layout::SLOT_SESSION_INDEX, &1u32.to_le_bytes());
    overwrite(layout::SLOTS + number as usize % 8 * layout::SLOT_LEN, &slot)
}

/// Scripts for both ends: honest traffic, and each lie a peer can tell.
fn rings() -> Vec<(String, Vec<u8>)> {
    let publish = |len: u16| [&[Step::Publish as u8], len.to_le_bytes().as_slice(), &len.to_le_bytes()].concat();
    let peer_publishes = |len: u16| [&[Step::PeerPublishes as u8], len.to_le_bytes().as_slice()].concat();
    let (read, release) = ([Step::Next as u8, 8], [Step::Release as u8, 8]);
    let receive = vec![Step::Receive as u8];
    let released = |side: u8| if side == ENGINE { layout::REQUESTS_RELEASED } else { layout::EVENTS_REQUESTS_RELEASED };
    let mut seeds = Vec::new();
    for (name, side) in [("client", 0), ("engine", ENGINE)] {
        let exchange = [
            peer_publishes(100),
            peer_publishes(1024),
            read.to_vec(),
            release.to_vec(),
            publish(900),
            vec![Step::Wait as u8, Step::PeerReads as u8, Step::CheckHeader as u8],
        ]
        .concat();
        let padding: Vec<u8> = (0..8).flat_map(|number| slot(number, 0, 8, 0)).collect();
        let lying = [overwrite(released(side) + 4, &[200]), publish(8).repeat(10)].concat();
        let changed_header = [overwrite(layout::HEADER_ARENA_LEN, &[1]), vec![Step::CheckHeader as u8]].concat();
        let scripts = [
            ("exchange", exchange.repeat(6)),
            ("received", [peer_publishes(40), receive.clone()].concat().repeat(12)),
            ("full", [peer_publishes(8).repeat(9), read.to_vec(), publish(600).repeat(8)].concat()),
            ("forged", [slot(0, 7, 64, 60), slot(1, 7, 1024, 1000), read.to_vec(), release.to_vec()].concat()),
            ("padding", [padding, receive.clone(), peer_publishes(8)].concat()),
            ("too-wide", [slot(0, 7, 4096, 60), read.to_vec(), read.to_vec()].concat()),
            ("too-long", [slot(0, 7, 8, 9), read.to_vec(), peer_publishes(8), read.to_vec()].concat()),
            ("crooked", [slot(0, 7, 9, 9), read.to_vec()].concat()),
            ("lying", lying),
            ("header", changed_header),
        ];
        for (script, steps) in scripts {
            for (place, wrapping) in [("", 0), ("-wrapping", WRAPPING)] {
                seeds.push((format!("{name}-{script}{place}"), [&[side | wrapping], steps.as_slice()].concat()));
            }
        }
    }
    seeds
}

/// A hello and honest frames, in one read and in many, and what is wrong with descriptors.
#[cfg(unix)]
fn sockets() -> Vec<(String, Vec<u8>)> {
    use lapce_ai::transport::fuzzing::HANDSHAKE;
    let read = |files: u8, bytes: &[u8]| [&[bytes.len() as u8, files], bytes].concat();
    let hello = [0; HEAD_LEN + 20];
    let by_bytes: Vec<u8> = hello.iter().flat_map(|byte| read(0, &[*byte])).collect();
    let blob = |number: u64| [&[2], number.to_le_bytes().as_slice(), &4096u64.to_le_bytes()].concat();
    let goodbye = [&[3], 7u32.to_le_bytes().as_slice()].concat();
    let (first, second) = (blob(1), blob(2));
    let handshake = |reads: &[Vec<u8>]| [vec![HANDSHAKE], reads.concat()].concat();
    let frames = |reads: &[Vec<u8>]| [vec![b'f'], reads.concat()].concat();
    let seeds = [
        ("hello", handshake(&[read(1, &hello)])),
        ("hello-by-bytes", handshake(&[by_bytes])),
        ("hello-short", handshake(&[read(0, &hello[..60])])),
        ("hello-two-files", handshake(&[read(1, &hello[..9]), read(1, &hello[9..])])),
        ("hello-stranger", handshake(&[read(0, &[1; HEAD_LEN])])),
        ("rings", frames(&[read(0, &[1; 60])])),
        ("bodies", frames(&[read(1, &first), read(0, &[1]), read(1, &second), read(0, &goodbye)])),
        (
            "bodies-cut",
            frames(&[read(1, &first[..4]), read(0, &first[4..]), read(1, &second[..16]), read(0, &second[16..])]),
        ),
        ("body-without-file", frames(&[read(0, &first)])),
        ("file-without-body", frames(&[read(1, &[1, 1])])),
        ("unknown", frames(&[read(0, &[1, 9])])),
    ];
    seeds.into_iter().map(|(name, input)| (name.to_owned(), input)).collect()
}

#[test]
fn there_is_one_of_every_kind() {
    let is_named = |texts: &str, name: &str| texts.lines().any(|text| text.contains(&format!(r#""type":"{name}""#)));
    for kind in RequestKind::ALL.iter().filter(|kind| kind.is_built()) {
        assert!(is_named(REQUESTS, kind.as_str()), "no {kind:?} in tests/data/samples/requests.jsonl");
    }
    for kind in EventKind::ALL {
        assert!(is_named(EVENTS, kind.as_str()), "no {kind:?} in tests/data/samples/events.jsonl");
    }
    // And what stands there is what comes back.
    for text in REQUESTS.lines() {
        assert_eq!(Request::from_json(text).unwrap().to_json().unwrap(), text);
    }
    for text in EVENTS.lines() {
        let (session, correlation, event) = event_from_json(text).unwrap();
        assert_eq!(json(session, correlation, &event), text);
    }
}

fn json(session: u64, correlation: u64, event: &Event) -> String {
    let mut span = vec![0; event.encoded_upper_bound()];
    let len = event.encode_into(&mut span).unwrap();
    lapce_ai::protocol::event::event_to_json(event.kind().number(), session, correlation, &span[..len]).unwrap()
}
