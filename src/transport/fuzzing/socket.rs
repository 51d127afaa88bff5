//! The socket of an attached pair: the handshake's messages and the frames after them, cut anywhere.

use super::super::attach::message::{Message, Reader};
use super::super::channel::frames::{self, Frame, Parser};
use super::Script;
use crate::protocol::hello::{BODY_LIMIT, HEAD_LEN, Head, MessageKind};

/// First byte of an input in which a message of the handshake is read; after any other come frames.
pub const HANDSHAKE: u8 = b'h';

/// What a peer sends, read by read: count of bytes (1 byte), count of descriptors (1 byte, modulo 4), the bytes.
///
/// Where the reads end makes no difference. A message says how much it lacks, never more than a message has, and is the
/// one its bytes are; frames are those its bytes are, each large body with the descriptor that came with it.
pub fn socket(input: &[u8]) {
    match input.split_first() {
        Some((&HANDSHAKE, reads)) => message(Script(reads)),
        Some((_, reads)) => all_frames(Script(reads)),
        None => {}
    }
}

/// The head of the message is given by what differs from our own hello's.
fn message(mut script: Script) {
    let ours = Head::ours(MessageKind::Hello, 20).to_bytes();
    let (mut reader, mut stream, mut files) = (Reader::new(), Vec::new(), 0u32);
    while !script.is_over() && reader.lacking() > 0 {
        let (count, file) = (usize::from(script.byte()), script.byte() % 4);
        let mut bytes = script.bytes(count.min(reader.lacking())).to_vec();
        for (byte, own) in bytes.iter_mut().zip(ours.iter().skip(stream.len())) {
            *byte ^= own;
        }
        let lacking = reader.lacking();
        assert!(lacking <= HEAD_LEN + BODY_LIMIT);
        let fed = reader.feed(&bytes, (0..file).map(|_| ()));
        files += u32::from(file);
        stream.extend(&bytes);
        if fed.is_err() {
            let head = stream.first_chunk().map(Head::from_bytes);
            return assert!(files > 1 || matches!(head, Some(Err(_))));
        }
        if stream.len() != HEAD_LEN {
            assert_eq!(reader.lacking(), lacking - bytes.len());
        }
    }
    if reader.lacking() > 0 {
        return assert!(reader.finish().is_err());
    }
    let Message { head, body, file } = reader.finish().unwrap();
    let (head_bytes, body_bytes) = stream.split_first_chunk().unwrap();
    assert_eq!(Head::from_bytes(head_bytes), Ok(head));
    assert_eq!((body.as_slice(), file.is_some(), head.body_len as usize), (body_bytes, files == 1, body.len()));
}

fn all_frames(mut script: Script) {
    let (mut parser, mut got, mut stream, mut files) = (Parser::default(), Vec::new(), Vec::new(), 0);
    while !script.is_over() {
        let (count, file) = (usize::from(script.byte()), u64::from(script.byte() % 4));
        let bytes = script.bytes(count);
        stream.extend(bytes);
        let fed = parser.feed(bytes, files..files + file, |frame| {
            got.push(frame);
            Ok(())
        });
        files += file;
        let (sent, rest) = plain(&stream);
        if fed.is_err() {
            return assert!(got.len() <= sent.len() && same(&got, &sent));
        }
        assert!(got.len() == sent.len() && same(&got, &sent));
        let of_bodies =
            got.iter().filter_map(|frame| if let Frame::Blob { file, .. } = frame { Some(*file) } else { None });
        let open = u64::from(rest.is_some_and(|kind| kind == frames::BLOB));
        assert!(of_bodies.eq(0..files - open), "each body has the descriptor that came with it");
    }
}

/// The frames of a whole stream, and the first byte of one that is not whole or none.
fn plain(mut bytes: &[u8]) -> (Vec<Frame<()>>, Option<u8>) {
    let mut all = Vec::new();
    while let Some((kind, behind)) = bytes.split_first() {
        bytes = match *kind {
            frames::RING => behind,
            frames::BLOB => {
                let Some((number, behind)) = behind.split_first_chunk() else { return (all, Some(*kind)) };
                let Some((len, behind)) = behind.split_first_chunk() else { return (all, Some(*kind)) };
                let (number, len) = (u64::from_le_bytes(*number), u64::from_le_bytes(*len));
                all.push(Frame::Blob { number, len, file: () });
                behind
            }
            frames::GOODBYE => {
                let Some((reason, behind)) = behind.split_first_chunk() else { return (all, Some(*kind)) };
                all.push(Frame::Goodbye { reason: u32::from_le_bytes(*reason) });
                behind
            }
            _ => return (all, Some(*kind)),
        };
    }
    (all, None)
}

/// Whether these are the first of those.
fn same(got: &[Frame<u64>], sent: &[Frame<()>]) -> bool {
    got.iter().zip(sent).all(|pair| match pair {
        (Frame::Blob { number, len, .. }, Frame::Blob { number: n, len: l, .. }) => (number, len) == (n, l),
        (Frame::Goodbye { reason }, Frame::Goodbye { reason: r }) => reason == r,
        _ => false,
    })
}
