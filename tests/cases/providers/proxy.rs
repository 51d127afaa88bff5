//! An HTTP proxy on the loopback: passes requests on, opens tunnels, and notes the heads it saw.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A running proxy. Ends with the runtime.
pub struct ProxyServer {
    /// Such as `127.0.0.1:1234`.
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ProxyServer {
    /// A proxy that answers every request itself with `refusal`, if there is one.
    pub async fn start(refusal: Option<&'static str>) -> ProxyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = ProxyServer { address, heads: Arc::default() };
        let heads = server.heads.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, heads.clone(), refusal));
            }
        });
        server
    }

    /// Heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic while locked").clone()
    }
}

/// One connection: a tunnel, or one request that is passed on and whose answer lasts until the other side closes.
async fn serve(client: TcpStream, heads: Arc<Mutex<Vec<String>>>, refusal: Option<&str>) -> Option<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    heads.lock().expect("no panic while locked").push(head.clone());
    if let Some(refusal) = refusal {
        return client.write_all(refusal.as_bytes()).await.ok();
    }
    let (method, rest) = head.split_once(' ')?;
    let target = rest.split(' ').next()?;
    if method == "CONNECT" {
        let mut server = TcpStream::connect(target).await.ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        copy_bidirectional(&mut client, &mut server).await.ok()?;
        return Some(());
    }
    let url = url::Url::parse(target).ok()?;
    let mut server = TcpStream::connect((url.host_str()?, url.port_or_known_default()?)).await.ok()?;
    let passed_on = head.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
    let passed_on = passed_on.collect::<String>().replacen(target, url.path(), 1);
    server.write_all(passed_on.as_bytes()).await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
