//! A model server: every request gets the same streamed answer, in which it tells when the request's first byte arrived.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Pieces of text in an answer, the time among them.
pub const PIECES: usize = 20;

/// Time since the epoch, on the clock that both processes read.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Serves for ever; prints its port.
pub fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(converse(connection));
        }
    });
}

async fn converse(connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut connection = BufReader::new(connection);
    loop {
        connection.fill_buf().await.ok()?;
        let arrived = now();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
        connection.read_exact(&mut vec![0; length]).await.ok()?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).await.ok()?;
        for number in 0..PIECES {
            let text = if number == 0 { arrived.as_nanos().to_string() } else { "x".to_owned() };
            let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
            chunk(&mut connection, &event).await?;
        }
        chunk(&mut connection, "data: [DONE]\n\n").await?;
        connection.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

async fn chunk(connection: &mut BufReader<TcpStream>, event: &str) -> Option<()> {
    connection.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.ok()
}
