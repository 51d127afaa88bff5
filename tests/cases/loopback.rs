//! A model behind HTTP: a server on the loopback, and the answers it gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

/// What the loopback server does with one request.
#[derive(Clone)]
pub enum Reply {
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this and says no more until the other side closes.
    Hang(Vec<u8>),
}

/// A server on the loopback that answers the n-th request with the n-th reply; the last one repeats.
pub fn server(replies: Vec<Reply>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0usize));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (replies, count) = (replies.clone(), count.clone());
            std::thread::spawn(move || converse(connection, &replies, &count));
        }
    });
    base
}

fn converse(connection: TcpStream, replies: &[Reply], count: &Mutex<usize>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    connection.read_exact(&mut vec![0; length]).ok()?;
    let number = {
        let mut count = count.lock().unwrap();
        *count += 1;
        *count - 1
    };
    let reply = &replies[number.min(replies.len() - 1)];
    let (Reply::Close(bytes) | Reply::Hang(bytes)) = reply;
    connection.get_mut().write_all(bytes).ok()?;
    if matches!(reply, Reply::Hang(_)) {
        while !matches!(connection.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    }
    Some(())
}

/// A whole streamed answer of this text.
pub fn answer(text: &str) -> Vec<u8> {
    [event_stream().into_bytes(), piece(text).into_bytes(), b"data: [DONE]\n\n".to_vec()].concat()
}

/// The head of a streamed answer that lasts until the connection closes.
pub fn event_stream() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".into()
}

/// One piece of a streamed answer.
pub fn piece(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}))
}

/// A whole answer of another kind.
pub fn plain(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
