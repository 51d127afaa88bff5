//! The figures.

use std::io::BufRead;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use futures::future::join_all;
use lapce_ai::protocol::message::{ApiMessage, MessageContent, Role};
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, StreamChunk, Surroundings, create, names};
use lapce_ai::settings::Settings;
use serde_json::json;

use super::server::{self, PIECES, now};

/// Requests at once.
const CONCURRENT: usize = 1000;
/// Waves of them, after one that opens the connections.
const WAVES: usize = 5;
/// Requests one after the other.
const SINGLE: usize = 500;

pub fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("server") => server::main(),
        Some("memory") => println!("{:.2}", memory()),
        _ => measure(),
    }
}

fn child(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(role).stdout(Stdio::piped());
    command
}

/// A server, ended with the measurement.
struct Server(Child, String);

impl Server {
    fn start() -> Server {
        let mut child = child("server").spawn().unwrap();
        let mut port = String::new();
        std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Server(child, format!("http://127.0.0.1:{}/v1", port.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure() {
    println!("# load {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    allow_many_files();
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::default();
        let provider = provider(&client, &server.1);
        let mut ours = Vec::new();
        let mut plain = Vec::new();
        let peer = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
        for _ in 0..SINGLE {
            ours.push(dispatch(provider.as_ref()).await);
            plain.push(dispatch_plainly(&peer, &server.1).await);
        }
        // The first ones open a connection.
        let (mut ours, mut plain) = (ours.split_off(10), plain.split_off(10));
        println!("figure provider.dispatch_overhead {:.3} ms", at(&mut ours, 0.5));
        // The whole way to the server's socket: getting the connection is a part of it.
        println!("figure provider.acquire_p99 {:.3} ms", at(&mut ours, 0.99));
        println!("figure reqwest.dispatch_overhead {:.3} ms", at(&mut plain, 0.5));
        println!("figure reqwest.acquire_p99 {:.3} ms", at(&mut plain, 0.99));
        wave(&provider).await;
        let before = client.counts();
        let mut whole = 0;
        for _ in 0..WAVES {
            whole += wave(&provider).await;
        }
        let after = client.counts();
        let (answers, made) = (after.answers - before.answers, after.connections - before.connections);
        println!("figure provider.pool_reuse {:.2} %", 100.0 * answers.saturating_sub(made) as f64 / answers as f64);
        println!("figure provider.whole_streams {whole} of {}", CONCURRENT * WAVES);
    });
    let memory = child("memory").output().unwrap().stdout;
    println!("figure provider.memory_all {} MB", String::from_utf8_lossy(&memory).trim());
}

/// The value below which this part of the values lies.
fn at(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn surroundings(client: &Client) -> Surroundings {
    let http = Http::new(Arc::new(client.clone()), Arc::new(SystemTime::now), Arc::new(|| 0.0));
    Surroundings::new(http, Arc::new(|id, variables| format!("{id} {variables:?}")))
}

fn provider(client: &Client, base: &str) -> Arc<dyn Provider> {
    let profile = json!({"apiProvider": "openai", "openAiBaseUrl": base, "openAiApiKey": "k", "openAiModelId": "m"});
    let settings: Settings = serde_json::from_value(profile).unwrap();
    create(&settings, &surroundings(client)).unwrap()
}

fn request() -> ChatRequest {
    let content = MessageContent::Text("q".into());
    let message = ApiMessage { role: Role::User, content, ts: None, is_summary: None };
    ChatRequest { system: "S".into(), messages: Arc::new(vec![message]), metadata: None }
}

/// Milliseconds from the call to the request's first byte at the server.
async fn dispatch(provider: &dyn Provider) -> f64 {
    let begun = now();
    let mut chunks = provider.stream(request());
    let mut arrived = None;
    while let Some(chunk) = chunks.next().await {
        if let Ok(StreamChunk::Text(text)) = chunk {
            arrived = arrived.or_else(|| text.parse().ok().map(Duration::from_nanos));
        }
    }
    (arrived.unwrap().as_secs_f64() - begun.as_secs_f64()) * 1000.0
}

async fn dispatch_plainly(peer: &reqwest::Client, base: &str) -> f64 {
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "q"}]}).to_string();
    let begun = now();
    let answer = peer.post(format!("{base}/chat/completions")).body(body).send().await.unwrap().text().await.unwrap();
    let text = answer.split("content\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    (Duration::from_nanos(text.parse().unwrap()).as_secs_f64() - begun.as_secs_f64()) * 1000.0
}

/// Streams at once; how many of them were whole.
async fn wave(provider: &Arc<dyn Provider>) -> usize {
    let one = || {
        let provider = provider.clone();
        tokio::spawn(async move {
            let texts = provider.stream(request()).filter(|chunk| {
                let is_text = matches!(chunk, Ok(StreamChunk::Text(_)));
                async move { is_text }
            });
            texts.count().await == PIECES
        })
    };
    let outcomes = join_all((0..CONCURRENT).map(|_| one())).await;
    outcomes.into_iter().filter(|whole| matches!(whole, Ok(true))).count()
}

/// Megabytes that all providers together add to a fresh process.
fn memory() -> f64 {
    let client = Client::default();
    let surroundings = surroundings(&client);
    let before = resident();
    let profile = |name: &str| json!({"apiProvider": name, "apiModelId": "m", "awsRegion": "us-east-1"});
    let settings = names().map(|name| serde_json::from_value::<Settings>(profile(name)).unwrap());
    let providers: Vec<_> = settings.filter_map(|settings| create(&settings, &surroundings).ok()).collect();
    let after = resident();
    drop(providers);
    after - before
}

/// Megabytes in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}
