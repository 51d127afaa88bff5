//! Keys for AWS from everywhere they can come from: processes, SSO, STS, containers and machines, each service on the loopback.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use lapce_ai::providers::Surroundings;
use lapce_ai::providers::auth::aws::{Access, AwsAuth, AwsError, Credentials, Given};
use lapce_ai::providers::http::{Client, Http};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::redirect::{MEANT_FOR, Redirect};
use super::server::{Answer, Reply, Request, Server};

/// 2026-01-02T03:04:05Z.
const NOW: u64 = 1_767_323_045;
const LATER: &str = "2026-01-02T04:04:05Z";

/// A home folder, variables, a clock, and a server that stands for all of AWS's services.
struct World {
    home: tempfile::TempDir,
    server: Server,
    now: Arc<AtomicU64>,
}

impl World {
    async fn new(files: &[(&str, &str)], plan: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> World {
        let home = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let file = home.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("a file");
        }
        let server = Server::start(|_| None, Arc::new(plan)).await;
        World { home, server, now: Arc::new(AtomicU64::new(NOW)) }
    }

    fn auth(&self, given: Given, variables: &[(&str, &str)]) -> AwsAuth {
        let origin = self.server.origin.clone();
        let now = self.now.clone();
        let http = Http::new(
            Arc::new(Redirect { inner: Arc::new(Client::default()), origin }),
            Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed))),
            Arc::new(|| 0.0),
        );
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let surroundings = Surroundings {
            environment: Arc::new(move |name| {
                variables.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone())
            }),
            home: self.home.path().to_owned(),
            ..Surroundings::new(http, Arc::new(|id, _| id.to_owned()))
        };
        AwsAuth::new(given, Some("eu-west-1".into()), &surroundings)
    }

    /// Method, host and path of the requests so far.
    fn asked(&self) -> Vec<String> {
        let shown = |request: &Request| {
            format!("{} {}{}", request.method, request.header(MEANT_FOR).unwrap_or(""), request.path)
        };
        self.server.requests().iter().map(shown).collect()
    }
}

fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply::Answer(Answer { status, pieces: vec![body.into().into_bytes()], ..Answer::default() })
}

/// Keys as containers and machines serve them.
fn served(name: &str, expires: &str) -> Reply {
    let keys =
        json!({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": "s", "Token": "t", "Expiration": expires});
    reply(200, keys.to_string())
}

fn role_keys(action: &str) -> Reply {
    reply(
        200,
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>a/b+c&amp;d</SecretAccessKey><SessionToken>t==</SessionToken>\
             <Expiration>{LATER}</Expiration></Credentials></{action}Result></{action}Response>"
        ),
    )
}

fn keys(access: Result<Access, AwsError>) -> Credentials {
    match access {
        Ok(Access::Keys(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_container_serves_keys_for_its_token() {
    let world = World::new(&[("token", "first\n")], |request, _| {
        served(request.header("authorization").unwrap_or("none"), LATER)
    })
    .await;
    let token = world.home.path().join("token");
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/c"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().expect("text")),
    ];
    let auth = world.auth(Given::Nothing, &variables);
    let found = keys(auth.access().await);
    assert_eq!(
        (found.access_key.as_str(), found.session_token.map(|t| t.expose_secret().to_owned())),
        ("first", Some("t".into()))
    );
    assert_eq!(world.asked(), ["GET http://169.254.170.2/v2/c"]);

    let stranger = world.auth(Given::Nothing, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://any.example/c")]);
    assert_eq!(stranger.access().await.err(), Some(AwsError::UnsafeAddress { host: "any.example".into() }));
    assert_eq!(world.asked().len(), 1);
}

#[tokio::test]
async fn a_machine_serves_keys_of_its_role() {
    let world = World::new(&[], |request, _| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token") if request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
            reply(200, "session")
        }
        ("GET", _) if request.header("x-aws-ec2-metadata-token") != Some("session") => reply(401, ""),
        ("GET", "/latest/meta-data/iam/security-credentials/") => reply(200, "role-a\n"),
        ("GET", "/latest/meta-data/iam/security-credentials/role-a") => served("MACHINE", LATER),
        _ => reply(404, ""),
    })
    .await;
    assert_eq!(keys(world.auth(Given::Nothing, &[]).access().await).access_key, "MACHINE");
    assert_eq!(world.asked()[0], "PUT http://169.254.169.254/latest/api/token");
}

#[tokio::test]
async fn no_service_means_no_credentials() {
    for (plan, name) in [(Reply::Nothing, "closed"), (reply(404, ""), "no role")] {
        let world = World::new(&[], move |request, _| match request.method.as_str() {
            "PUT" if matches!(plan, Reply::Answer(_)) => reply(200, "session"),
            _ => plan.clone(),
        })
        .await;
        assert_eq!(world.auth(Given::Nothing, &[]).access().await.err(), Some(AwsError::NoCredentials), "{name}");
    }
}

const ROLE: &str = "[profile dev]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = e&f\n\
                    duration_seconds = 900\nrole_session_name = me\nregion = us-gov-west-1\n\
                    [profile base]\naws_access_key_id = BASE\naws_secret_access_key = s\n";

#[tokio::test]
async fn a_role_is_taken_by_other_keys() {
    let world = World::new(&[(".aws/config", ROLE)], |_, _| role_keys("AssumeRole")).await;
    let found = keys(world.auth(Given::Profile("dev".into()), &[]).access().await);
    assert_eq!((found.access_key.as_str(), found.secret_key.expose_secret()), ("ROLE", "a/b+c&d"));
    assert_eq!(found.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 3600)));
    let request = world.server.requests().remove(0);
    assert_eq!(world.asked(), ["POST https://sts.us-gov-west-1.amazonaws.com/"]);
    assert_eq!(
        request.text(),
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&ExternalId=e%26f\
         &DurationSeconds=900"
    );
    let signed = request.header("authorization").unwrap_or("");
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=BASE/20260102/us-gov-west-1/sts/aws4_request, "),
        "{signed}"
    );
}

#[tokio::test]
async fn a_role_that_is_refused_says_why() {
    let refusal = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
    let world = World::new(&[(".aws/config", ROLE)], move |_, _| reply(403, refusal)).await;
    let error = world.auth(Given::Profile("dev".into()), &[]).access().await.err();
    let (name, message) = ("AccessDenied".to_owned(), "not you".to_owned());
    assert_eq!(error, Some(AwsError::Refused { service: "STS", status: 403, name, message }));
}

#[tokio::test]
async fn a_token_stands_for_a_role() {
    let world = World::new(&[("token", "jwt\n")], |_, _| role_keys("AssumeRoleWithWebIdentity")).await;
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token"), ("AWS_ROLE_ARN", "arn:r")];
    assert_eq!(keys(world.auth(Given::Nothing, &variables).access().await).access_key, "ROLE");
    let request = world.server.requests().remove(0);
    assert_eq!(request.header("authorization"), None);
    assert!(request.text().ends_with("RoleArn=arn%3Ar&RoleSessionName=lapce-ai-1767323045&WebIdentityToken=jwt"));
}

const SSO: &str = "[profile dev]\nsso_session = work\nsso_account_id = 1\nsso_role_name = r\n\
                   [sso-session work]\nsso_region = eu-north-1\nsso_start_url = https://x\n";
/// The cache file of the session `work`: its SHA-1.
const LOGIN: &str = ".aws/sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json";

fn login(expires: &str) -> String {
    let login = json!({
        "accessToken": "old", "expiresAt": expires, "refreshToken": "r1", "clientId": "c", "clientSecret": "s", "kept": 1,
    });
    login.to_string()
}

/// SSO's two services; the first renews.
fn sso(request: &Request) -> Reply {
    let token = request.header("x-amz-sso_bearer_token");
    let keys =
        json!({"accessKeyId": token, "secretAccessKey": "s", "sessionToken": "t", "expiration": (NOW + 3600) * 1000});
    match request.method.as_str() {
        "POST" => reply(200, json!({"accessToken": "new", "expiresIn": 600, "refreshToken": "r2"}).to_string()),
        _ => reply(200, json!({"roleCredentials": keys}).to_string()),
    }
}

#[tokio::test]
async fn a_login_gives_keys_and_is_renewed() {
    let end = "2026-01-02T03:08:05Z";
    let world = World::new(&[(".aws/config", SSO), (LOGIN, &login(end))], |request, _| sso(request)).await;
    assert_eq!(keys(world.auth(Given::Profile("dev".into()), &[]).access().await).access_key, "new");
    assert_eq!(
        world.asked(),
        [
            "POST https://oidc.eu-north-1.amazonaws.com/token",
            "GET https://portal.sso.eu-north-1.amazonaws.com/federation/credentials?role_name=r&account_id=1",
        ]
    );
    let file = world.home.path().join(LOGIN);
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
    assert_eq!(
        stored,
        json!({
            "accessToken": "new", "expiresAt": "2026-01-02T03:14:05Z", "refreshToken": "r2", "clientId": "c",
            "clientSecret": "s", "kept": 1,
        })
    );
    only_for_its_owner(&file);
}

#[cfg(unix)]
fn only_for_its_owner(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn only_for_its_owner(_file: &Path) {}

#[tokio::test]
async fn a_login_lasts_as_long_as_it_says() {
    let gone = Err(AwsError::Login { profile: "dev".into() });
    for (expires, renews, expected) in [
        (Some(LATER), false, Ok("old".to_owned())),
        // The renewal fails, and the login still lasts a little.
        (Some("2026-01-02T03:05:05Z"), false, Ok("old".to_owned())),
        (Some("2026-01-02T03:04:05Z"), false, gone.clone()),
        (Some("2026-01-02T03:04:05Z"), true, Ok("new".to_owned())),
        (None, true, gone),
    ] {
        let cached = expires.map(login);
        let files = [(".aws/config", SSO)].into_iter().chain(cached.as_deref().map(|text| (LOGIN, text)));
        let world = World::new(&files.collect::<Vec<_>>(), move |request, _| match request.method.as_str() {
            "POST" if !renews => reply(400, r#"{"error":"invalid_grant"}"#),
            _ => sso(request),
        })
        .await;
        let found = world.auth(Given::Profile("dev".into()), &[]).access().await;
        assert_eq!(found.map(|access| keys(Ok(access)).access_key), expected, "{expires:?} {renews}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_prints_keys() {
    let printed = |document: &str| format!("[default]\ncredential_process = echo '{document}'\n");
    let keys_until = |end: &str| {
        printed(&format!(r#"{{"Version":1,"AccessKeyId":"P","SecretAccessKey":"s","Expiration":"{end}"}}"#))
    };
    let unusable = Err(AwsError::Unusable { service: "credential_process" });
    for (config, expected) in [
        (keys_until(LATER), Ok("P".to_owned())),
        (keys_until("2026-01-02T03:04:04Z"), unusable.clone()),
        (printed(r#"{"Version":2,"AccessKeyId":"P","SecretAccessKey":"s"}"#), unusable.clone()),
        (printed("no keys"), unusable),
        ("[default]\ncredential_process = exit 3\n".into(), Err(AwsError::Process { cause: "exit status: 3".into() })),
    ] {
        let world = World::new(&[(".aws/credentials", &config)], |_, _| Reply::Nothing).await;
        let found = world.auth(Given::Nothing, &[]).access().await;
        assert_eq!(found.map(|access| keys(Ok(access)).access_key), expected, "{config}");
    }
}

#[tokio::test]
async fn keys_are_fetched_once_while_they_last() {
    let world = World::new(&[], |_, number| match number {
        0 => served("FIRST", LATER),
        1 => served("SECOND", "2026-01-02T05:04:05Z"),
        _ => reply(403, "{}"),
    })
    .await;
    let variables = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c")];
    let auth = world.auth(Given::Nothing, &variables);
    let at_once = futures::future::join_all((0..8).map(|_| auth.access())).await;
    assert!(at_once.into_iter().all(|access| keys(access).access_key == "FIRST"));
    assert_eq!(world.asked().len(), 1);
    // Renewed in the last five minutes, kept when that fails, given up at the end.
    for (seconds, expected, requests) in [
        (3299, Some("FIRST"), 1),
        (3301, Some("SECOND"), 2),
        (6899, Some("SECOND"), 2),
        (6901, Some("SECOND"), 3),
        (7200, None, 4),
    ] {
        world.now.store(NOW + seconds, Ordering::Relaxed);
        let found = auth.access().await.ok().map(|access| keys(Ok(access)).access_key);
        assert_eq!((found.as_deref(), world.asked().len()), (expected, requests), "after {seconds} s");
    }
}

#[tokio::test]
async fn files_are_read_again_for_every_request() {
    let keys_of = |name: &str| format!("[dev]\naws_access_key_id = {name}\naws_secret_access_key = s\n");
    let world = World::new(&[(".aws/credentials", &keys_of("ONE"))], |_, _| Reply::Nothing).await;
    let auth = world.auth(Given::Profile("dev".into()), &[]);
    assert_eq!(keys(auth.access().await).access_key, "ONE");
    std::fs::write(world.home.path().join(".aws/credentials"), keys_of("TWO")).expect("a file");
    assert_eq!(keys(auth.access().await).access_key, "TWO");
}

#[tokio::test]
async fn a_bearer_key_of_the_environment_comes_before_keys() {
    let world = World::new(&[], |_, _| Reply::Nothing).await;
    let given = Given::Keys(Credentials::fixed("AKID", "s", None).expect("keys"));
    let bearer = |access| matches!(access, Ok(Access::Bearer(key)) if key.expose_secret() == "b");
    assert!(bearer(world.auth(given, &[("AWS_BEARER_TOKEN_BEDROCK", "b")]).access().await));
    assert!(bearer(world.auth(Given::Bearer("b".into()), &[("AWS_BEARER_TOKEN_BEDROCK", "c")]).access().await));
}
