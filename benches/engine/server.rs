//! A chat-completions server in a process of its own: as much HTTP/1.1 as one client needs. The model's name says what it
//! answers; times are those of the system's monotonic clock, which server and host share.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::usage::now;

/// Answers at once; the result is the moment the request arrived.
pub const REPORT: &str = "report";
/// Sends [`PACED_CHUNKS`] chunks of text, each the moment it was sent, one every [`PACE`].
pub const PACED: &str = "paced";
/// Sends 20,000 chunks, each with a write of its own, as fast as the host takes them.
pub const FLOOD: &str = "flood";
/// Calls `echo` again and again; the result lists the nanoseconds from each call to the next request.
pub const ECHO: &str = "echo";

pub const PACED_CHUNKS: usize = 500;
pub const FLOOD_CHUNKS: usize = 20_000;
/// What one chunk of the flood says.
pub const FLOOD_TEXT: &str = "token ";
const PACE: Duration = Duration::from_millis(2);
const ECHO_CALLS: usize = 40;

#[derive(Default)]
struct Echo {
    sent: Option<u64>,
    took: Vec<u64>,
}

/// Serves until standard input ends. The first line of its output is the address.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("http://{}/v1", listener.local_addr()?);
    let echo = Arc::new(Mutex::new(Echo::default()));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let echo = echo.clone();
            // A host that goes away in the middle of an answer ends only its connection.
            std::thread::spawn(move || converse(connection, &echo));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn converse(connection: TcpStream, echo: &Mutex<Echo>) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, connection.try_clone()?);
    let mut answer = Answer(connection);
    while !reader.fill_buf()?.is_empty() {
        let arrived = now();
        let model = read_request(&mut reader)?;
        answer.head()?;
        match model.as_str() {
            PACED => {
                for _ in 0..PACED_CHUNKS {
                    answer.text(&format!("@{};", now()))?;
                    std::thread::sleep(PACE);
                }
                answer.complete("done")?;
            }
            FLOOD => {
                for _ in 0..FLOOD_CHUNKS {
                    answer.text(FLOOD_TEXT)?;
                }
                answer.complete("done")?;
            }
            ECHO => echo_call(&mut answer, echo, arrived)?,
            _ => answer.complete(&arrived.to_string())?,
        }
        answer.end()?;
    }
    Ok(())
}

fn echo_call(answer: &mut Answer, echo: &Mutex<Echo>, arrived: u64) -> io::Result<()> {
    let mut echo = echo.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sent) = echo.sent.take() {
        echo.took.push(arrived - sent);
    }
    if echo.took.len() == ECHO_CALLS {
        let list: Vec<String> = std::mem::take(&mut echo.took).iter().map(u64::to_string).collect();
        return answer.complete(&list.join(" "));
    }
    let call = format!("<execute_command>\n<command>echo {}</command>\n</execute_command>", echo.took.len());
    echo.sent = Some(now());
    answer.text(&call)
}

/// Reads a request with a body of known length; gives the model it names.
fn read_request(reader: &mut impl BufRead) -> io::Result<String> {
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
    let request: Value = serde_json::from_slice(&body)?;
    Ok(request["model"].as_str().unwrap_or("").to_owned())
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

    /// The call that ends a task.
    fn complete(&mut self, result: &str) -> io::Result<()> {
        self.text(&format!("\n<attempt_completion>\n<result>{result}</result>\n</attempt_completion>"))
    }

    fn end(&mut self) -> io::Result<()> {
        self.event(&json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 10}}).to_string())?;
        self.event("[DONE]")?;
        self.0.write_all(b"0\r\n\r\n")
    }

    fn event(&mut self, data: &str) -> io::Result<()> {
        let event = format!("data: {data}\n\n");
        self.0.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
    }
}
