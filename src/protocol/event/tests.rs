use proptest::prelude::*;

use super::*;
use crate::protocol::message::{TodoItem, UiKind, UiMessage};

fn encoded(event: &Event) -> Vec<u8> {
    let mut span = vec![0; event.encoded_upper_bound()];
    let length = event.encode_into(&mut span).unwrap();
    span.truncate(length);
    span
}

#[test]
fn kinds_have_distinct_names_and_numbers() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        assert_eq!(EventKind::from_number(kind.number()), Some(*kind));
    }
    assert_eq!(EventKind::from_number(0), None);
    assert_eq!(EventKind::parse("task.fly"), None);
}

#[test]
fn malformed_events_are_refused() {
    for text in [
        "[]",
        r#"{"type":"task.fly"}"#,
        r#"{"text":"x"}"#,
        r#"{"type":"message.delta","message":1}"#,
        r#"{"type":"log","level":"loud","target":"t","message":"m"}"#,
    ] {
        assert!(event_from_json(text).is_err(), "{text}");
    }
    assert_eq!(Event::decode(999, b""), Err(DecodeError::UnknownKind(999)));
    let error = Event::decode(EventKind::MessageDelta.number(), b"ab\xff").unwrap_err();
    assert_eq!(error, DecodeError::Utf8 { kind: "message.delta", at: 2 });
    assert!(event_to_json(EventKind::Log.number(), 0, 0, b"").is_err());
}

#[test]
fn records_of_the_loop_become_events() {
    let item = TodoItem { id: "1".to_owned(), content: "c".to_owned(), status: "pending".to_owned() };
    let entry = TodoEntry { id: "1".to_owned(), content: "c".to_owned(), status: "pending".to_owned() };
    assert_eq!(TodoChanged::new("t", &[item]), TodoChanged { task: "t".to_owned(), items: vec![entry] });

    let text = r#"{"question":"?","suggest":["plain",{"answer":"a","mode":"code"},{"mode":"code"},7]}"#;
    let question = UiKind::Ask(crate::protocol::message::Ask::Followup);
    let ask = Ask::new("t", &UiMessage::new(-1, question, Some(text.to_owned())));
    let plain = Suggestion { text: "plain".to_owned(), mode: None };
    let with_mode = Suggestion { text: "a".to_owned(), mode: Some("code".to_owned()) };
    assert_eq!((ask.message, ask.suggestions), (0, vec![plain, with_mode]));

    let message = UiMessage { partial: Some(true), is_answered: Some(true), ..UiMessage::new(7, question, None) };
    let end = MessageEnd::new("t", &message);
    assert_eq!(end.details.unwrap().as_str(), r#"{"isAnswered":true}"#);
    assert_eq!((end.form, end.kind.as_str(), end.text), (Form::Ask, "followup", None));
}

#[test]
fn every_field_has_a_number() {
    for kind in EventKind::ALL {
        for name in kind.fields() {
            assert!(Field::ALL.iter().any(|field| field.as_str() == *name), "{kind:?}.{name}");
        }
    }
    for (index, field) in Field::ALL.iter().enumerate() {
        assert_eq!(field.number() as usize, index + 1);
        assert_eq!(Field::from_number(u32::from(field.number())), Some(*field));
    }
}

#[test]
fn control_events_are_those_that_must_not_be_hidden() {
    let control: Vec<&str> = EventKind::ALL.iter().filter(|kind| kind.is_control()).map(|kind| kind.as_str()).collect();
    assert_eq!(control, ["request.done", "request.failed", "session.state", "ask", "host.request"]);
}

#[test]
fn forms_round_trip() {
    let texts = [
        r#"{"type":"request.done","request":7,"result":{"session":1}}"#,
        r#"{"type":"request.failed","request":7,"code":-7,"kind":"not_supported","message":"m","place":"x.y"}"#,
        r#"{"type":"session.state","session":3,"state":"waiting_for_answer"}"#,
        r#"{"type":"message.delta","session":3,"message":1700000000000,"text":"Grüße\n"}"#,
        r#"{"type":"message.end","session":3,"message":5,"task":"t","form":"say","kind":"text","text":"done"}"#,
        r#"{"type":"ask","session":3,"ask":9,"task":"t","message":5,"kind":"followup","text":"?","protected":false,"suggestions":[{"text":"yes"},{"text":"no","mode":"ask"}]}"#,
        r#"{"type":"usage","session":3,"task":"t","tokens_in":1,"tokens_out":2,"cache_read_tokens":0,"cache_write_tokens":0,"reasoning_tokens":0,"cost":0.25,"context_tokens":3,"context_window":4}"#,
        r#"{"type":"log","level":"warning","target":"mcp","message":"m"}"#,
    ];
    for text in texts {
        let (session, correlation, event) = event_from_json(text).unwrap();
        let bytes = encoded(&event);
        assert_eq!(event_to_json(event.kind().number(), session, correlation, &bytes).unwrap(), text);
        assert!(event.encode_into(&mut vec![0; bytes.len() - 1]).is_err());
    }
}

#[test]
fn fields_are_read_in_place() {
    let message = UiMessage {
        is_protected: Some(true),
        ..UiMessage::new(
            8,
            UiKind::Ask(crate::protocol::message::Ask::Followup),
            Some(r#"{"question":"?","suggest":[{"answer":"a"},{"answer":"b","mode":"code"}]}"#.to_owned()),
        )
    };
    let bytes = encoded(&Event::Ask(Ask::new("t", &message)));
    let kind = EventKind::Ask;
    assert!(matches!(kind.field(&bytes, Field::Message), Ok(FieldView::Int(8))));
    assert!(matches!(kind.field(&bytes, Field::Protected), Ok(FieldView::Bool(true))));
    assert!(matches!(kind.field(&bytes, Field::Tool), Ok(FieldView::Absent)));
    assert!(matches!(kind.field(&bytes, Field::Cost), Ok(FieldView::Unknown)));
    let Ok(FieldView::List(rows)) = kind.field(&bytes, Field::Suggestions) else { panic!("a list") };
    assert_eq!(rows.count(), 2);
    assert!(matches!(rows.cell(1, Field::Text), FieldView::Str("b")));
    assert!(matches!(rows.cell(1, Field::Mode), FieldView::Str("code")));
    assert!(matches!(rows.cell(0, Field::Mode), FieldView::Absent));
    assert!(matches!(rows.cell(2, Field::Text), FieldView::Absent));
    assert!(matches!(EventKind::ToolOutput.field(b"out", Field::Text), Ok(FieldView::Str("out"))));
    assert!(EventKind::ToolOutput.field(b"\xff", Field::Text).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(number in 0u16..100, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::decode(number, &bytes);
        if let Some(kind) = EventKind::from_number(number) {
            for field in Field::ALL {
                let _ = kind.field(&bytes, *field);
            }
        }
    }

    #[test]
    fn texts_round_trip(text in ".*") {
        let event = Event::MessageDelta(text);
        prop_assert_eq!(Event::decode(event.kind().number(), &encoded(&event)).unwrap(), event);
    }
}
