//! The way to the network end to end: proxies, certificates, redirections, and the limits a profile keeps.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use futures::StreamExt;
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, StreamChunk, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::dialect::{self, Part};
use super::proxy::ProxyServer;
use super::secure;
use super::server::{Answer, Plan, Reply, Server};

const KEY: &str = "sk-canary-Network-4711";
const PASSWORD: &str = "pass-canary-0815";

/// Variables of the environment.
type Variables = Vec<(&'static str, String)>;

fn provider(server: &Server, changes: &Value, variables: &Variables) -> Arc<dyn Provider> {
    provider_at(SystemTime::now, server, changes, variables)
}

/// A provider with a clock of its own.
fn provider_at(now: fn() -> SystemTime, server: &Server, changes: &Value, variables: &Variables) -> Arc<dyn Provider> {
    let mut settings = json!({
        "apiProvider": "openai", "openAiBaseUrl": format!("{}/v1", server.origin), "openAiApiKey": KEY,
        "openAiModelId": "m",
    });
    if let Some(authority) = &server.authority_file {
        settings["httpCaCertificates"] = json!(authority.display().to_string());
    }
    settings.as_object_mut().expect("an object").extend(changes.as_object().cloned().unwrap_or_default());
    let http = Http::new(Arc::new(Client::default()), Arc::new(now), Arc::new(|| 1.0));
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
    let variables = variables.clone();
    let environment = move |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
    let surroundings = Surroundings { environment: Arc::new(environment), ..Surroundings::new(http, wording) };
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    create(&settings, &surroundings).expect("a provider")
}

/// The text of an answer, or what is shown of its failure.
async fn ask(provider: &dyn Provider) -> Result<String, String> {
    let mut chunks = provider.stream(ChatRequest { system: "S".into(), ..ChatRequest::default() });
    let mut text = String::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(StreamChunk::Text(piece)) => text.push_str(&piece),
            Ok(_) => {}
            Err(error) => {
                let shown = format!("{error:?}");
                assert!(!shown.contains(KEY) && !shown.contains(PASSWORD), "{shown}");
                return Err(error.message);
            }
        }
    }
    Ok(text)
}

fn hello() -> Plan {
    Arc::new(|_, _| {
        let pieces = (dialect::CHAT.frames)(&[Part::Text("hello"), Part::Usage]);
        let headers = vec![("content-type", dialect::CHAT.content_type.into())];
        Reply::Answer(Answer { status: 200, headers, pieces, ..Answer::default() })
    })
}

fn none(_: &super::server::Request) -> Option<Answer> {
    None
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_is_set() {
    let (plain, secured) = (Server::start(none, hello()).await, secure::start(none, hello()).await);
    let login = base64::prelude::BASE64_STANDARD.encode(format!("user:{PASSWORD}"));
    let basic = format!("Basic {login}");
    let no_variables = |_: &str| Variables::new();
    let with = |names: &'static [&'static str]| {
        move |proxy: &str| -> Variables { names.iter().map(|name| (*name, format!("http://{proxy}"))).collect() }
    };
    let nowhere = with(&["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]);
    type Case<'a> = (&'a str, Value, &'a dyn Fn(&str) -> Variables, bool, bool);
    let cases: [Case<'_>; 9] = [
        ("no proxy", json!({}), &no_variables, false, false),
        ("a proxy with a login", json!({"httpProxy": "http://user:PASSWORD@PROXY"}), &no_variables, true, true),
        ("without a scheme", json!({"httpProxy": "PROXY"}), &no_variables, true, true),
        (
            "excepted hosts",
            json!({"httpProxy": "PROXY", "httpNoProxy": "127.0.0.0/8, localhost"}),
            &no_variables,
            false,
            false,
        ),
        (
            "other excepted hosts",
            json!({"httpProxy": "PROXY", "httpNoProxy": "example.org"}),
            &no_variables,
            true,
            true,
        ),
        ("variables", json!({}), &with(&["http_proxy", "HTTPS_PROXY"]), true, true),
        ("a variable for https", json!({}), &with(&["https_proxy"]), false, true),
        ("a variable for all", json!({}), &with(&["ALL_PROXY"]), true, true),
        ("direct", json!({"httpProxy": "direct"}), &nowhere, false, false),
    ];
    for (name, settings, variables, plain_by_proxy, secured_by_proxy) in cases {
        for (server, by_proxy) in [(&plain, plain_by_proxy), (&secured, secured_by_proxy)] {
            let proxy = ProxyServer::start(None).await;
            let mut settings = settings.clone();
            if let Some(template) = settings["httpProxy"].as_str() {
                settings["httpProxy"] = json!(template.replace("PROXY", &proxy.address).replace("PASSWORD", PASSWORD));
            } else {
                settings = json!({});
            }
            let before = server.requests().len();
            let place = format!("{name}: {} by {settings}", server.origin);
            assert_eq!(
                ask(&*provider(server, &settings, &variables(&proxy.address))).await,
                Ok("hello".into()),
                "{place}"
            );
            let [request] = &server.requests()[before..] else { panic!("{place}: not one request") };
            assert_eq!(request.header("authorization"), Some(&*format!("Bearer {KEY}")), "{place}");
            assert_eq!(request.header("proxy-authorization"), None, "{place}");
            let heads = proxy.heads();
            assert_eq!(heads.len(), usize::from(by_proxy), "{place}: {heads:?}");
            let Some(head) = heads.first() else { continue };
            let tunnel = server.authority_file.is_some();
            let address = server.origin.split("//").nth(1).unwrap_or_default();
            let line =
                if tunnel { format!("CONNECT {address} HTTP") } else { format!("POST http://{address}/v1/chat") };
            assert!(head.starts_with(&line), "{place}: {head}");
            let login = head.to_ascii_lowercase().contains("proxy-authorization") && head.contains(&basic);
            assert_eq!(login, name == "a proxy with a login", "{place}: {head}");
            assert!(!tunnel || !head.contains(KEY), "a tunnel's proxy sees no key: {head}");
        }
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_nothing_is_sent() {
    let server = Server::start(none, hello()).await;
    let wrong = format!("socks5://user:{PASSWORD}@127.0.0.1:1");
    for (settings, variables, key) in [
        (json!({"httpProxy": wrong}), vec![], "httpProxy"),
        (json!({"httpProxy": ""}), vec![], "httpProxy"),
        (json!({"httpProxy": 7}), vec![], "httpProxy"),
        (json!({"httpProxy": format!("http://user:{PASSWORD}@")}), vec![], "httpProxy"),
        (json!({"httpNoProxy": "a b"}), vec![], "httpNoProxy"),
        (json!({"httpCaCertificates": "ca.pem"}), vec![], "httpCaCertificates"),
        (json!({}), vec![("HTTPS_PROXY", wrong.clone())], "HTTPS_PROXY"),
        (json!({}), vec![("all_proxy", format!("http://user:{PASSWORD}@ho st"))], "all_proxy"),
    ] {
        let failure = ask(&*provider(&server, &settings, &variables)).await.expect_err("a wrong setting");
        assert!(failure.contains("provider.invalid_setting") && failure.contains(key), "{settings}: {failure}");
        assert!(server.requests().is_empty(), "{settings}");
    }
    // Nobody is asked in the place of a proxy that does not answer.
    let gone = json!({"httpProxy": format!("http://user:{PASSWORD}@127.0.0.1:1")});
    let failure = ask(&*provider(&server, &gone, &vec![])).await.expect_err("no proxy");
    assert!(failure.contains("provider.connection_error") && server.requests().is_empty(), "{failure}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_of() {
    let (plain, secured) = (Server::start(none, hello()).await, secure::start(none, hello()).await);
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for (server, says) in [(&plain, "407"), (&secured, "proxy")] {
        let proxy = ProxyServer::start(Some(refusal)).await;
        let settings = json!({"httpProxy": format!("http://user:{PASSWORD}@{}", proxy.address)});
        let failure = ask(&*provider(server, &settings, &vec![])).await.expect_err("refused");
        assert!(failure.contains(says), "{failure}");
        assert!(server.requests().is_empty());
    }
}

#[tokio::test]
async fn only_authorities_that_are_trusted_vouch_for_a_server() {
    let server = secure::start(none, hello()).await;
    let other = secure::start(none, hello()).await;
    let path = |server: &Server| json!(server.authority_file.as_ref().map(|file| file.display().to_string()));
    assert_eq!(ask(&*provider(&server, &json!({}), &vec![])).await, Ok("hello".into()));
    for authority in [Value::Null, path(&other)] {
        let settings = json!({"httpCaCertificates": authority});
        let failure = ask(&*provider(&server, &settings, &vec![])).await.expect_err("an unknown authority");
        assert!(failure.contains("provider.connection_error") && failure.contains("certificate"), "{failure}");
    }
    assert_eq!(server.requests().len(), 1, "nothing is sent to a server that nobody vouches for");
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let server = secure::start(none, hello()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let good = std::fs::read_to_string(server.authority_file.as_ref().expect("a file")).expect("PEM");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty"), "").expect("written");
    std::fs::write(path("text"), "no certificate").expect("written");
    std::fs::write(path("half"), &good[..good.len() / 2]).expect("written");
    std::fs::write(path("broken"), good.replace("MII", "AAA")).expect("written");
    std::fs::write(path("huge"), format!("{good}{}", " ".repeat(17 << 20))).expect("written");
    for (name, cause) in [
        ("missing", "No such file"),
        ("empty", "holds no certificates"),
        ("text", "holds no certificates"),
        ("half", "holds no certificates"),
        ("broken", "certificate"),
        ("huge", "larger than 16 MiB"),
        (".", "is no file"),
    ] {
        let settings = json!({"httpCaCertificates": path(name)});
        let failure = ask(&*provider(&server, &settings, &vec![])).await.expect_err(name);
        assert!(
            failure.contains("provider.invalid_setting")
                && failure.contains("httpCaCertificates")
                && failure.contains(cause),
            "{name}: {failure}"
        );
    }
    // A file that is mended is read with the next request.
    let settings = json!({"httpCaCertificates": path("missing")});
    let provider = provider(&server, &settings, &vec![]);
    ask(&*provider).await.expect_err("not there yet");
    std::fs::write(path("missing"), good).expect("written");
    assert_eq!(ask(&*provider).await, Ok("hello".into()));
}

#[tokio::test]
async fn redirections_are_followed_within_a_host_alone() {
    let other = Server::start(none, hello()).await;
    let elsewhere = format!("{}/v1/chat/completions", other.origin);
    let plan: Plan = Arc::new(move |request, _| {
        let to = match request.path.as_str() {
            "/v1/chat/completions" => "/moved/chat/completions".to_owned(),
            "/moved/chat/completions" => return hello()(request, 0),
            "/loop/chat/completions" => "/loop/chat/completions".to_owned(),
            _ => elsewhere.clone(),
        };
        Reply::Answer(Answer { status: 307, headers: vec![("location", to)], ..Answer::default() })
    });
    let server = Server::start(none, plan).await;
    assert_eq!(ask(&*provider(&server, &json!({}), &vec![])).await, Ok("hello".into()));
    let followed = server.requests();
    assert_eq!(followed.len(), 2);
    assert_eq!(followed[1].header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(followed[0].body, followed[1].body);
    for path in ["elsewhere", "loop"] {
        let settings = json!({"openAiBaseUrl": format!("{}/{path}", server.origin)});
        let failure = ask(&*provider(&server, &settings, &vec![])).await.expect_err(path);
        assert!(failure.contains("307"), "{path}: {failure}");
    }
    assert!(other.requests().is_empty(), "another host gets neither prompt nor key");
}

#[tokio::test]
async fn limits_are_kept_by_those_who_want_them_alone() {
    for (switch, status, after, requests, refusal) in [
        ("", 429, Some("90"), 8, "429 busy"),
        ("", 500, None, 8, "500 busy"),
        ("httpRateLimit", 429, Some("90"), 1, r#"provider.held.rate_limit [("seconds", "90")]"#),
        ("httpCircuitBreaker", 429, Some("90"), 8, "429 busy"),
        ("httpCircuitBreaker", 500, None, 5, r#"provider.held.failing [("seconds", "30")]"#),
        ("httpRateLimit", 500, None, 8, "500 busy"),
    ] {
        let mut headers = vec![("x-should-retry", "false".to_owned())];
        headers.extend(after.map(|seconds| ("retry-after", seconds.to_owned())));
        let answer = Answer { status, headers, pieces: vec![b"busy".to_vec()], ..Answer::default() };
        let server = Server::start(none, Arc::new(move |_, _| Reply::Answer(answer.clone()))).await;
        let settings = if switch.is_empty() { json!({}) } else { json!({ switch: true }) };
        let provider = provider_at(|| SystemTime::UNIX_EPOCH, &server, &settings, &vec![]);
        let mut last = String::new();
        for _ in 0..8 {
            last = ask(&*provider).await.expect_err("refused");
        }
        assert_eq!(server.requests().len(), requests, "{switch} {status}");
        // The words stand inside others, quoted.
        assert!(last.replace('\\', "").contains(refusal), "{switch}: {last}");
    }
}

#[tokio::test]
async fn a_limit_is_waited_for_and_changes_nothing_of_a_request() {
    let mut sent = Vec::new();
    for switch in [json!({}), json!({"httpRateLimit": true, "httpCircuitBreaker": true})] {
        let plan: Plan = Arc::new(|request, number| match number {
            0 => {
                let headers = vec![("x-should-retry", "false".into()), ("retry-after-ms", "20".into())];
                Reply::Answer(Answer { status: 429, headers, ..Answer::default() })
            }
            _ => hello()(request, number),
        });
        let server = Server::start(none, plan).await;
        let provider = provider(&server, &switch, &vec![]);
        ask(&*provider).await.expect_err("refused once");
        assert_eq!(ask(&*provider).await, Ok("hello".into()), "{switch}");
        sent.push(
            server.requests().into_iter().map(|request| (request.path.clone(), request.text())).collect::<Vec<_>>(),
        );
    }
    assert_eq!(sent[0], sent[1]);
}
