//! What must hold for every input from a host, a peer or another version: one definition, searched for counterexamples by
//! `tests/fuzz` and replayed over the committed corpora by `tests/cases/corpus.rs`. A property that does not hold panics.
#![allow(clippy::unwrap_used)] // That is how a fuzzer learns of it.

use std::fmt::{Debug, Display};

use serde_json::Value;

use super::event::{Event, EventKind, event_from_json, event_to_json};
use super::field::Field;
use super::hello::{BODY_LIMIT, HEAD_LEN, Head, Hello, HelloError, MessageKind, Refusal, Welcome};
use super::record::FieldView;
use super::request::Request;

/// First byte of an input of [`request`] and [`event`] that goes on with JSON text; after any other come the number of the
/// kind, two bytes, and a record.
pub const JSON: u8 = b'j';

/// Longest error message: a peer cannot make it as long as what it sent.
const MESSAGE_LIMIT: usize = 2048;

/// A message of the handshake: a head, given by what differs from our own, and a body.
///
/// A head that is taken is written again as it was read, a body that is taken reads as the same message once more.
pub fn hello(input: &[u8]) {
    let Some((difference, body)) = input.split_first_chunk::<HEAD_LEN>() else { return };
    let mut head = Head::ours(MessageKind::Hello, body.len()).to_bytes();
    head.iter_mut().zip(difference).for_each(|(byte, difference)| *byte ^= difference);
    match Head::from_bytes(&head) {
        Ok(read) => {
            assert!(read.body_len as usize <= BODY_LIMIT);
            let written = read.to_bytes();
            // The last four bytes are kept for later.
            assert_eq!(written[..HEAD_LEN - 4], head[..HEAD_LEN - 4]);
            match read.kind {
                MessageKind::Hello => reads_again(Hello::from_body(body), Hello::to_bytes, Hello::from_body),
                MessageKind::Welcome => reads_again(Welcome::from_body(body), Welcome::to_bytes, Welcome::from_body),
                MessageKind::Refusal => reads_again(Refusal::from_body(body), Refusal::to_bytes, Refusal::from_body),
            }
        }
        Err(error) => assert_short(&error),
    }
}

fn reads_again<T: Debug + PartialEq>(
    read: Result<T, HelloError>,
    write: fn(&T) -> Vec<u8>,
    from_body: fn(&[u8]) -> Result<T, HelloError>,
) {
    match read {
        Ok(message) => {
            let bytes = write(&message);
            let (head, body) = bytes.split_first_chunk().unwrap();
            assert_eq!(Head::from_bytes(head).unwrap().body_len as usize, body.len());
            assert_eq!(from_body(body), Ok(message));
        }
        Err(error) => assert_short(&error),
    }
}

/// A request as JSON text or as a record ([`JSON`]).
///
/// One that is taken is within the limits, encodes within its bound, decodes to itself, and its JSON form reads as the
/// same request.
pub fn request(input: &[u8]) {
    let read = match parts(input) {
        Some(Input::Json(text)) => Request::from_json(text).map_err(|error| error.to_string()),
        Some(Input::Record(kind, bytes)) => Request::decode(kind, bytes).map_err(|error| error.to_string()),
        None => return,
    };
    let request = match read {
        Ok(request) => request,
        Err(error) => return assert_short(&error),
    };
    assert_eq!(request.validate(), Ok(()));
    let mut span = vec![0; request.encoded_upper_bound()];
    let len = request.encode_into(&mut span).unwrap();
    assert_eq!(Request::decode(request.kind().number(), &span[..len]).as_ref(), Ok(&request));
    let text = request.to_json().unwrap();
    let again = match Request::from_json(&text) {
        Ok(again) => again,
        // A value in a record may be nested as deep as JSON is read; around it stands the request.
        Err(error) => return assert!(error.message.starts_with("recursion limit"), "{error}"),
    };
    assert_eq!(again.kind(), request.kind());
    assert_same_json(&text, &again.to_json().unwrap());
}

/// An event as JSON text or as a record ([`JSON`]).
///
/// One that is taken encodes within its bound, decodes to the same bytes again, shows all its fields, and its JSON form
/// reads as the same event.
pub fn event(input: &[u8]) {
    let (session, correlation, event) = match parts(input) {
        Some(Input::Json(text)) => match event_from_json(text) {
            Ok(read) => read,
            Err(_) => return,
        },
        Some(Input::Record(kind, bytes)) => {
            let read = Event::decode(kind, bytes);
            if let Some(kind) = EventKind::from_number(kind) {
                let shown = Field::ALL.iter().map(|field| shows(kind, bytes, *field)).filter(|shown| *shown).count();
                assert!(read.is_err() || shown == Field::ALL.len());
            }
            match read {
                Ok(event) => (1 << 32, u64::MAX, event),
                Err(error) => return assert_short(&error),
            }
        }
        None => return,
    };
    let bytes = encoded(&event);
    let kind = event.kind();
    // Bytes, as a NaN differs from itself.
    assert_eq!(encoded(&Event::decode(kind.number(), &bytes).unwrap()), bytes);
    let Ok(text) = event_to_json(kind.number(), session, correlation, &bytes) else {
        // Only a record can hold a free-form value that is no JSON.
        return assert_ne!(input.first(), Some(&JSON));
    };
    let (session_again, correlation_again, again) = match event_from_json(&text) {
        Ok(read) => read,
        // What JSON has no number for stands there as null; a value in a record may be nested as deep as JSON is read.
        Err(error) => return assert!(text.contains("null") || error.to_string().starts_with("recursion"), "{error}"),
    };
    assert_eq!(session_again, session);
    assert_eq!(correlation_again, if kind.subject().is_some() { correlation } else { 0 });
    assert_same_json(&text, &event_to_json(again.kind().number(), session, correlation, &encoded(&again)).unwrap());
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut span = vec![0; event.encoded_upper_bound()];
    let len = event.encode_into(&mut span).unwrap();
    span.truncate(len);
    span
}

/// Whether a field can be read, with all cells if it is a list.
fn shows(kind: EventKind, bytes: &[u8], field: Field) -> bool {
    let Ok(view) = kind.field(bytes, field) else { return false };
    if let FieldView::List(rows) = view {
        for row in 0..rows.count().min(64) {
            let cells = Field::ALL.iter().map(|field| rows.cell(row, *field));
            cells.for_each(|cell| assert!(!matches!(cell, FieldView::List(_))));
        }
        assert!(matches!(rows.cell(rows.count(), field), FieldView::Absent));
    }
    true
}

enum Input<'a> {
    Json(&'a str),
    Record(u16, &'a [u8]),
}

fn parts(input: &[u8]) -> Option<Input<'_>> {
    match input.split_first()? {
        (&JSON, text) => std::str::from_utf8(text).ok().map(Input::Json),
        (_, record) => {
            let (kind, bytes) = record.split_first_chunk()?;
            Some(Input::Record(u16::from_le_bytes(*kind), bytes))
        }
    }
}

fn assert_short(error: &impl Display) {
    let message = error.to_string();
    assert!(!message.is_empty() && message.len() <= MESSAGE_LIMIT, "{} bytes", message.len());
}

/// Fractions may come back one unit in the last place away: the JSON parser rounds for speed.
fn assert_same_json(first: &str, second: &str) {
    if !has_fraction(&serde_json::from_str(first).unwrap()) {
        assert_eq!(first, second);
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}
