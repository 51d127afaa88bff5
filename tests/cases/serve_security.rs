//! Other users and the serving engine: they find nothing open, are refused where they get through, and cannot stand in for
//! either side. What needs a second user is done as root and otherwise skipped by name.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lapce_ai::engine::{AttachError, Client};
use lapce_ai::protocol::hello::{Hello, RingSizes};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Host, contents};
use crate::loopback::{Reply, plain, server};
use crate::served::{Served, Site};

/// A user who owns nothing.
const NOBODY: u32 = 65534;
/// Tells this binary to be the intruder: a JSON object.
const JOB: &str = "LAPCE_AI_INTRUDER";

/// Whether other users can be played; says so when not.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        // Written past the capture of test output: what was skipped must be seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: only root can play another user");
    }
    is_root
}

/// A folder that others may enter, so that only what is in it keeps them out.
fn open_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    mode(&root, 0o755);
    (folder, root)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Runs this binary as another user. He must be able to reach it, so it is copied.
fn intruder(root: &Path, job: &Value) -> Child {
    let program = root.join("intruder");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        mode(&program, 0o755);
    }
    Command::new(program)
        .args(["serve_security::intruding", "--exact", "--ignored", "--nocapture"])
        .env(JOB, job.to_string())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn succeeds(mut child: Child) {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the other user of the tests below, in a process of its own"]
fn intruding() {
    let Ok(job) = std::env::var(JOB) else { return };
    assert_eq!(rustix::process::geteuid().as_raw(), NOBODY);
    let job: Value = serde_json::from_str(&job).unwrap();
    let path = |name: &str| PathBuf::from(job[name].as_str().unwrap());
    match job["does"].as_str().unwrap() {
        "look" => {
            for folder in job["folders"].as_array().unwrap() {
                fs::read_dir(folder.as_str().unwrap()).expect_err(folder.as_str().unwrap());
            }
            for file in job["files"].as_array().unwrap() {
                fs::File::open(file.as_str().unwrap()).expect_err(file.as_str().unwrap());
            }
            UnixStream::connect(path("socket")).expect_err("connected");
        }
        "connect" => {
            let mut stream = UnixStream::connect(path("socket")).unwrap();
            // It may be closed already.
            let _ = stream.write_all(&hello().to_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert_eq!(answer, b"", "a stranger was answered");
        }
        "listen" => {
            let listener = UnixListener::bind(path("socket")).unwrap();
            println!("listening");
            // Until the other side has seen who we are.
            let _ = std::io::stdin().read(&mut [0]);
            drop(listener);
        }
        other => panic!("{other}"),
    }
}

fn hello() -> Hello {
    let sizes = RingSizes { slots: 64, bytes: 1 << 16 };
    Hello {
        client: "0123456789abcdef0123456789abcdef".into(),
        name: "intruder".into(),
        number: 0,
        capabilities: Vec::new(),
        share: false,
        observe: true,
        events: sizes,
        requests: sizes,
        seen: Vec::new(),
        seen_own: None,
    }
}

#[test]
fn another_user_gets_at_nothing() {
    if !is_root() {
        return;
    }
    let (_folder, root) = open_folder();
    let served = Served::start(&root, &json!({}), &["--json"]);
    let site = &served.site;
    let client = Client::attach(site.options(None)).unwrap();
    let process = PathBuf::from(format!("/proc/{}", served.pid()));
    let below = |folder: &Path, names: &[&str]| names.iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    let journal = site.storage().join("serve/journal");
    assert!(journal.exists() && site.runtime().join("engine.lock").exists());
    let folders = [vec![site.runtime()], below(&process, &["fd", "map_files"])].concat();
    let files = [
        below(&process, &["mem", "environ", "maps"]),
        below(&site.runtime(), &["engine.lock"]),
        vec![journal, site.storage().join("serve/lock")],
    ]
    .concat();
    let look = json!({"does": "look", "socket": site.socket(), "folders": folders, "files": files});
    succeeds(intruder(&root, &look));
    succeeds(intruder(
        &root,
        &json!({"does": "look", "socket": site.runtime().join("json.sock"), "folders": [], "files": []}),
    ));

    // Somebody opens the doors by mistake: who knocks is asked for his name.
    mode(&site.runtime(), 0o777);
    for socket in ["engine.sock", "json.sock"] {
        let socket = site.runtime().join(socket);
        mode(&socket, 0o666);
        succeeds(intruder(&root, &json!({"does": "connect", "socket": socket})));
    }
    // Whoever was there before goes on; who comes now sees the open doors.
    let host = Host::new(client, &root);
    assert!(host.call(&json!({"type": "engine.info"})).is_ok());
    let refused = Client::attach(site.options(None)).err().expect("it is refused");
    assert!(refused.to_string().contains("is open to other users"), "{refused}");
}

#[test]
fn who_stands_in_for_the_engine_is_not_believed() {
    if !is_root() {
        return;
    }
    let (_folder, root) = open_folder();
    let site = Site::new(&root, &json!({}));
    fs::create_dir(site.runtime()).unwrap();
    mode(&site.runtime(), 0o777);
    let mut child = intruder(&root, &json!({"does": "listen", "socket": site.socket()}));
    let mut out = child.stdout.take().unwrap();
    let mut said = String::new();
    while !said.contains("listening") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{said}");
        said.push(byte[0].into());
    }
    let refused = || Client::attach(site.options(None)).err().expect("it is refused").to_string();
    assert!(refused().contains("is open to other users"), "{}", refused());
    mode(&site.runtime(), 0o700);
    assert!(refused().contains("belongs to another user"), "{}", refused());
    // As if it had been ours from the start; the kernel still knows who listens.
    chown(site.socket(), Some(0), Some(0)).unwrap();
    mode(&site.socket(), 0o600);
    assert!(refused().contains("65534"), "{}", refused());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Prepares a place that must not be used.
type Spoil = fn(&Site);

#[test]
fn a_place_that_others_could_use_is_refused_by_both_sides() {
    let folder = |site: &Site| fs::create_dir(site.runtime()).unwrap();
    let cases: [(&str, Spoil, &str); 6] = [
        ("open folder", |site| mode(&site.runtime(), 0o750), "is open to other users"),
        ("folder of another", |site| chown(site.runtime(), Some(NOBODY), None).unwrap(), "belongs to another user"),
        (
            "folder by a link",
            |site| {
                fs::rename(site.runtime(), site.runtime().with_extension("real")).unwrap();
                symlink(site.runtime().with_extension("real"), site.runtime()).unwrap();
            },
            "is not a folder",
        ),
        (
            "socket that is a file",
            |site| {
                fs::write(site.socket(), "").unwrap();
                mode(&site.socket(), 0o600);
            },
            "is not a socket",
        ),
        (
            "socket by a link",
            |site| {
                drop(UnixListener::bind(site.runtime().join("other")).unwrap());
                symlink(site.runtime().join("other"), site.socket()).unwrap();
            },
            "is not a socket",
        ),
        (
            "socket of another",
            |site| {
                drop(UnixListener::bind(site.socket()).unwrap());
                mode(&site.socket(), 0o600);
                chown(site.socket(), Some(NOBODY), None).unwrap();
            },
            "belongs to another user",
        ),
    ];
    for (name, spoil, problem) in cases {
        if name.ends_with("of another") && !is_root() {
            continue;
        }
        let (_folder, root) = open_folder();
        let site = Site::new(&root, &json!({}));
        folder(&site);
        mode(&site.runtime(), 0o700);
        spoil(&site);
        let refused = Client::attach(site.options(None)).err().expect(name);
        assert!(matches!(&refused, AttachError::Unusable(_)), "{name}: {refused}");
        assert!(refused.to_string().contains(problem), "{name}: {refused}");
        let (code, said) = site.serve(&[]).err().expect(name);
        assert!(code == Some(1) && said.contains(problem), "{name}: {code:?} {said}");
        // A client that would start one is told so too, instead of trying on.
        let refused = Client::attach(site.starting(None)).err().expect(name);
        assert!(refused.to_string().contains(problem), "{name}: {refused}");
    }
}

#[test]
fn a_lock_by_a_link_is_refused_and_its_target_left_alone() {
    let (_folder, root) = open_folder();
    let site = Site::new(&root, &json!({}));
    fs::create_dir(site.runtime()).unwrap();
    mode(&site.runtime(), 0o700);
    let target = root.join("precious");
    fs::write(&target, "precious").unwrap();
    symlink(&target, site.runtime().join("engine.lock")).unwrap();
    let (code, _) = site.serve(&[]).err().expect("it is refused");
    assert_eq!((code, fs::read_to_string(&target).unwrap().as_str()), (Some(1), "precious"));
}

#[test]
fn no_key_is_found_in_any_file_of_a_serving_engine() {
    const KEYS: [&str; 2] = ["sk-engine-4711", "sk-session-0815"];
    let (_folder, root) = open_folder();
    // Servers that send the key back, as some do in their error texts; after the restart they are not given it any more.
    let [engines, own] = KEYS.map(|key| {
        let said = |key: &str| format!(r#"{{"error":{{"message":"Incorrect API key provided: {key}"}}}}"#);
        let said = [said(key), said("none")];
        server(said.map(|said| Reply::Close(plain("401 Unauthorized", "application/json", &said))).into())
    });
    let settings =
        json!({"apiProvider": "openai", "openAiBaseUrl": engines, "openAiApiKey": KEYS[0], "openAiModelId": "m"});
    let served = Served::start(&root, &settings, &[]);
    let host = Host::new(Client::attach(served.site.options(None)).unwrap(), &root);
    host.start("engine's key");
    host.ask("api_req_failed");
    host.start_with("own key", json!({"openAiApiKey": KEYS[1], "openAiBaseUrl": own}));
    host.ask("api_req_failed");
    let _ = host.call(&json!({"type": "settings.set", "values": {"openAiApiKey": KEYS[1], "writeDelayMs": "x"}}));
    served.kill();
    let told = format!("{:?}", host.events());
    let next = served.site.serve(&["--resume"]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    host.client.reattach(DEADLINE).unwrap();
    host.call(&json!({"type": "engine.stats"})).unwrap();
    next.terminate();
    let mut all = [told.into_bytes(), format!("{:?}", host.events()).into_bytes()].concat();
    for folder in [served.site.storage(), served.site.runtime()] {
        all.extend(contents(&folder));
    }
    all.extend(fs::read(served.site.stderr()).unwrap());
    for key in KEYS {
        let found = all.windows(key.len()).position(|window| window == key.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&all[at.saturating_sub(200)..at]).into_owned());
        assert_eq!(around, None, "{key} was kept or told");
    }
}
