//! A chat-completions server in a process of its own. The model's name says what it answers; a model that reads files notes
//! how long each next request took to come.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::usage::now;

/// Reads one file after another, then completes: the result lists the nanoseconds from the end of each answer to the next
/// request. More models of this kind begin with this name.
pub const READER: &str = "reader";
/// Says something and then nothing more.
pub const ENDLESS: &str = "endless";
/// Runs a command that does not end.
pub const COMMAND: &str = "command";
/// Writes a file, which the user has to allow.
pub const WRITER: &str = "writer";

/// Files in turn, so that no call is the same as the one before.
pub const FILES: usize = 8;

/// Turns of a reader.
pub fn turns() -> usize {
    std::env::var("LAPCE_AI_BENCH_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(500)
}

#[derive(Default)]
struct Reader {
    sent: Option<u64>,
    took: Vec<u64>,
}

type Readers = Arc<Mutex<HashMap<String, Reader>>>;

/// Serves until standard input ends. The first line of its output is the address.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("http://{}/v1", listener.local_addr()?);
    let readers = Readers::default();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let readers = readers.clone();
            // A host that goes away in the middle of an answer ends only its connection.
            std::thread::spawn(move || converse(connection, &readers));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn converse(connection: TcpStream, readers: &Readers) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, connection.try_clone()?);
    let mut answer = Answer(connection);
    while !reader.fill_buf()?.is_empty() {
        let arrived = now();
        let (model, size) = read_request(&mut reader)?;
        answer.head()?;
        match model.as_str() {
            ENDLESS => {
                answer.text("It begins")?;
                // Until the host hangs up: nothing more comes from it.
                while !reader.fill_buf()?.is_empty() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                return Ok(());
            }
            COMMAND => answer.text(
                "<execute_command>\n<command>echo begun; (sleep 600; true) | cat</command>\n</execute_command>",
            )?,
            WRITER => {
                answer.text("<write_to_file>\n<path>new.txt</path>\n<content>\nx\n</content>\n<line_count>1</line_count>\n</write_to_file>")?;
            }
            _ => {
                let call = {
                    let mut readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
                    next_call(readers.entry(model.clone()).or_default(), arrived)
                };
                answer.text(&call)?;
                answer.end(size / 4)?;
                if let Some(reader) = readers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&model) {
                    reader.sent = Some(now());
                }
                continue;
            }
        }
        answer.end(size / 4)?;
    }
    Ok(())
}

fn next_call(reader: &mut Reader, arrived: u64) -> String {
    if let Some(sent) = reader.sent.take() {
        reader.took.push(arrived.saturating_sub(sent));
    }
    let turn = reader.took.len();
    if turn >= turns() {
        let list: Vec<String> = std::mem::take(&mut reader.took).iter().map(u64::to_string).collect();
        return format!("<attempt_completion>\n<result>{}</result>\n</attempt_completion>", list.join(" "));
    }
    let file = turn % FILES;
    format!("The next file.\n<read_file>\n<args>\n<file>\n<path>file{file}.txt</path>\n</file>\n</args>\n</read_file>")
}

/// Reads a request with a body of known length; gives the model it names and its bytes. The body is not parsed: the model
/// stands near its beginning.
fn read_request(reader: &mut impl BufRead) -> io::Result<(String, usize)> {
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let head = String::from_utf8_lossy(&body[..length.min(4096)]);
    let model = head.split_once("\"model\":\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or("");
    Ok((model.to_owned(), length))
}

/// One streamed answer after another.
struct Answer(TcpStream);

impl Answer {
    fn head(&mut self) -> io::Result<()> {
        self.0.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.event(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string())
    }

    fn end(&mut self, tokens: usize) -> io::Result<()> {
        self.event(&json!({"choices": [], "usage": {"prompt_tokens": tokens, "completion_tokens": 10}}).to_string())?;
        self.event("[DONE]")?;
        self.0.write_all(b"0\r\n\r\n")
    }

    fn event(&mut self, data: &str) -> io::Result<()> {
        let event = format!("data: {data}\n\n");
        self.0.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
    }
}
