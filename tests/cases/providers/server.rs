//! A server on the loopback that does with a request whatever a test wants, byte by byte where it matters.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The connection closes without a byte.
    Nothing,
    /// The connection closes within the answer's head.
    HalfHead,
    /// An answer.
    Answer(Answer),
}

/// Status, headers and the pieces of a body.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Each is written by itself.
    pub pieces: Vec<Vec<u8>>,
    pub end: End,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// As it should.
    #[default]
    Whole,
    /// The connection closes before the end of the body.
    Cut,
    /// Not at all: silence until the client goes.
    Silence,
}

/// Decides by the request and its number (from 0, side requests not counted).
pub type Plan = Arc<dyn Fn(&Request, usize) -> Reply + Send + Sync>;

/// Answers requests that are not the one in question: tokens, lists of models.
pub type Side = fn(&Request) -> Option<Answer>;

/// A running server. Ends with the runtime.
pub struct Server {
    /// Such as `http://127.0.0.1:1234`.
    pub origin: String,
    /// File with the certificate of the authority that vouches for it.
    pub authority_file: Option<tempfile::TempPath>,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Told when a client closes its connection during [`End::Silence`].
    pub client_left: Arc<Notify>,
}

impl Server {
    pub async fn start(side: Side, plan: Plan) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (server, state) = Server::new(origin, side, plan);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move { state.serve(stream).await });
            }
        });
        server
    }

    /// A server and what its connections share.
    pub fn new(origin: String, side: Side, plan: Plan) -> (Server, Connection) {
        let server = Server { origin, authority_file: None, requests: Arc::default(), client_left: Arc::default() };
        let (requests, client_left) = (server.requests.clone(), server.client_left.clone());
        (server, Connection { side, plan, requests, client_left })
    }

    /// Requests so far, side requests left out.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic while locked").clone()
    }
}

/// What a connection needs to answer.
#[derive(Clone)]
pub struct Connection {
    side: Side,
    plan: Plan,
    requests: Arc<Mutex<Vec<Request>>>,
    client_left: Arc<Notify>,
}

impl Connection {
    /// `None` when the connection is over.
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut stream = BufReader::new(stream);
        loop {
            let request = read_request(&mut stream).await?;
            let reply = self.reply(request);
            match reply {
                Reply::Nothing => return None,
                Reply::HalfHead => {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty").await.ok()?;
                    return None;
                }
                Reply::Answer(answer) => self.answer(&mut stream, answer).await?,
            }
        }
    }

    /// Notes the request and decides.
    pub fn reply(&self, request: Request) -> Reply {
        if let Some(answer) = (self.side)(&request) {
            return Reply::Answer(answer);
        }
        let mut requests = self.requests.lock().expect("no panic while locked");
        let number = requests.len();
        requests.push(request.clone());
        drop(requests);
        (self.plan)(&request, number)
    }

    async fn answer(&self, stream: &mut BufReader<TcpStream>, answer: Answer) -> Option<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("transfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        for piece in &answer.pieces {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&chunk).await.ok()?;
            stream.flush().await.ok()?;
        }
        match answer.end {
            End::Whole => stream.write_all(b"0\r\n\r\n").await.ok(),
            End::Cut => None,
            End::Silence => {
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                self.client_left.notify_one();
                None
            }
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let mut request =
        Request { method: words.next()?.to_owned(), path: words.next()?.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// Some vendors' libraries show it.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
