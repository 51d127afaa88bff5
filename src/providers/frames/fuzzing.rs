//! What holds for every stream of bytes, as functions of bytes: run by the unit tests, the fuzz targets and the replay of
//! their corpora (`tests/fuzz`, `tests/cases/corpus.rs`). Each panics when its property is broken.

use super::{EventStream, FrameError, Framing, JsonArray, JsonLines, Sse};

/// Server-sent events, however the bytes are split.
pub fn sse(input: &[u8]) {
    split_by_head::<Sse>(input);
}

/// Lines of JSON, however the bytes are split.
pub fn lines(input: &[u8]) {
    split_by_head::<JsonLines>(input);
}

/// Elements of an array, however the bytes are split.
pub fn array(input: &[u8]) {
    split_by_head::<JsonArray>(input);
}

/// Messages of an event stream, however the bytes are split; also as the payload of a message whose checksums are right, since
/// no fuzzer finds those.
pub fn event_stream(input: &[u8]) {
    split_by_head::<EventStream>(input);
    let (cuts, headers) = head(input);
    same_however_split::<EventStream>(&message(headers, b"{}"), &cuts);
}

/// The first byte says how many of the bytes after it are sizes of pieces; the rest is the stream.
fn split_by_head<F: Framing>(input: &[u8]) {
    let (cuts, stream) = head(input);
    same_however_split::<F>(stream, &cuts);
}

fn head(input: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((count, rest)) = input.split_first() else { return (vec![1], input) };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(count % 8)));
    let cuts: Vec<usize> = cuts.iter().map(|size| usize::from(*size) + 1).collect();
    (if cuts.is_empty() { vec![1] } else { cuts }, stream)
}

/// The stream gives the same frames and the same error whole, byte by byte, and in pieces of `cuts` bytes, repeated.
pub(super) fn same_however_split<F: Framing>(stream: &[u8], cuts: &[usize]) {
    let whole = frames::<F>([stream]);
    assert_eq!(frames::<F>(stream.chunks(1)), whole, "byte by byte");
    let (mut rest, mut sizes) = (stream, cuts.iter().cycle());
    let pieces = std::iter::from_fn(|| {
        let (piece, tail) = rest.split_at(rest.len().min(*sizes.next().unwrap_or(&1)));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(frames::<F>(pieces), whole, "in pieces of {cuts:?}");
}

/// All frames of `pieces` as `Debug` shows them, with what the end cut off, and the error that ended them.
pub(super) fn frames<'a, F: Framing>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<FrameError>) {
    let mut decoder = F::default();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    match decoder.finish() {
        Ok(last) => {
            frames.extend(last.map(|frame| format!("{frame:?}")));
            (frames, None)
        }
        Err(error) => (frames, Some(error)),
    }
}

/// A message of an event stream with one text header (of at most 255 bytes), for tests and recorded answers.
pub fn event_message(name: &str, value: &str, payload: &[u8]) -> Vec<u8> {
    message(&text_header(name, value), payload)
}

/// A header of type text.
pub fn text_header(name: &str, value: &str) -> Vec<u8> {
    let length = (value.len() as u16).to_be_bytes();
    [&[name.len() as u8], name.as_bytes(), &[7], &length, value.as_bytes()].concat()
}

/// A message of an event stream with right lengths and checksums around these headers.
pub fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = (headers.len() + payload.len() + 16) as u32;
    let mut bytes = [total.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(headers);
    bytes.extend_from_slice(payload);
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}
