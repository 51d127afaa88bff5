//! The same server behind TLS, speaking HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{Connection, End, Plan, Reply, Request, Server, Side};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

/// Starts a server for `localhost` with a certificate of an authority made for it. Requests carry their HTTP version as the
/// header `x-version`.
pub async fn start(side: Side, plan: Plan) -> Server {
    let (config, authority) = certificates();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (mut server, connection) = Server::new(format!("https://localhost:{port}"), side, plan);
    let file = tempfile::Builder::new().suffix(".pem").tempfile().expect("a file");
    std::fs::write(file.path(), authority).expect("a file");
    server.authority_file = Some(file.into_temp_path());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, connection) = (acceptor.clone(), connection.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| respond(connection.clone(), request));
                let builder = auto::Builder::new(TokioExecutor::new());
                // A client that goes away is part of the tests.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    server
}

fn certificates() -> (ServerConfig, String) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate with its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (config, issuer.pem())
}

async fn respond(
    connection: Connection,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, std::io::Error> {
    let version = format!("{:?}", request.version());
    let (head, body) = request.into_parts();
    let mut headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.push(("x-version".into(), version));
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    let request = Request { method: head.method.to_string(), path, headers, body };
    let Reply::Answer(answer) = connection.reply(request) else {
        return Err(std::io::Error::other("the test closes the connection"));
    };
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let pieces = stream::iter(answer.pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))));
    let body: Body = match answer.end {
        End::Whole => BodyExt::boxed_unsync(StreamBody::new(pieces)),
        End::Cut => {
            let cut = stream::iter([Err(std::io::Error::other("the test cuts the body"))]);
            BodyExt::boxed_unsync(StreamBody::new(pieces.chain(cut)))
        }
        End::Silence => BodyExt::boxed_unsync(StreamBody::new(pieces.chain(stream::pending()))),
    };
    response.body(body).map_err(std::io::Error::other)
}
