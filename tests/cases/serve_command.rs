//! The command `lapce-ai serve`: one engine a folder, a standby that takes over, sockets of systemd.

use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use lapce_ai::engine::serve::STANDBY_LOCK;
use lapce_ai::engine::{AttachOptions, Client, ReceiveError};
use lapce_ai::transport::TransportError;
use lapce_ai::transport::attach::InstanceLock;
use rustix::process::Signal;
use serde_json::json;

use crate::attach::{Place, start, submit, tool_ask, until};
use crate::harness::DEADLINE;

/// Attaches to an engine that runs, or will.
fn attach_only(place: &Place) -> Client {
    Client::attach(AttachOptions { start: None, ..place.options() }).unwrap()
}

/// Waits for the answer to a question.
fn ask_for_info(client: &Client) {
    let request = submit(client, json!({"type": "engine.info"}));
    until(client, &mut Vec::new(), |received| (received.about == request).then_some(()));
}

/// Ends the engine in order: the client is told, and no standby takes over.
fn end(place: &Place, client: &Client) {
    rustix::process::kill_process(place.engine().unwrap(), Signal::TERM).unwrap();
    loop {
        match client.receive() {
            Ok(Some(_)) => {}
            Ok(None) => drop(client.wait(Some(DEADLINE), Duration::ZERO)),
            Err(ReceiveError::Ring(TransportError::Closed { .. })) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_second_engine_of_a_folder_says_that_one_runs() {
    let place = Place::new();
    let client = Client::attach(place.options()).unwrap();
    let mut second = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
    second.arg("serve").arg("--runtime-dir").arg(place.path("run")).args(["--ready-fd", "1"]);
    let output = second.arg("--storage").arg(place.path("storage")).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &[lapce_ai::engine::ALREADY_RUNNING][..]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("an engine runs already"));
    // The same storage from another folder: who waits there is told why nobody will answer.
    let mut second = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
    second.arg("serve").arg("--runtime-dir").arg(place.path("other")).args(["--ready-fd", "1"]);
    let output = second.arg("--storage").arg(place.path("storage")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("an engine runs already"));
    end(&place, &client);
}

#[test]
fn a_second_standby_of_a_folder_ends_at_once() {
    let place = Place::new();
    let _first = InstanceLock::try_acquire(&place.path("run").join(STANDBY_LOCK)).unwrap().unwrap();
    let mut second = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
    second.args(["serve", "--standby", "--runtime-dir"]).arg(place.path("run"));
    let output = second.arg("--storage").arg(place.path("storage")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_spare_takes_over_with_the_same_settings() {
    let place = Place::new();
    let mut options = place.options();
    options.start.as_mut().unwrap().arguments = vec!["--spare".into()];
    drop(Client::attach(options).unwrap());
    let client = attach_only(&place);
    // It answers, so its spare is started.
    ask_for_info(&client);
    let before = place.engine();
    place.kill();
    while client.receive().is_ok() {
        client.wait(Some(DEADLINE), Duration::ZERO);
    }
    // This client starts nobody.
    assert!(client.reattach(DEADLINE).unwrap().restored);
    assert_ne!(place.engine(), before);
    start(&client, &place.path("workspace"));
    until(&client, &mut Vec::new(), tool_ask);
    end(&place, &client);
}

#[test]
fn a_socket_of_systemd_is_served() {
    let place = Place::new();
    let (run, socket) = (place.path("run"), place.path("run/engine.sock"));
    DirBuilder::new().mode(0o700).create(&run).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).unwrap();
    let script = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_lapce-ai"), "serve", "--runtime-dir"]).arg(&run);
    command.arg("--storage").arg(place.path("storage")).stdin(OwnedFd::from(listener));
    let mut engine = command.spawn().unwrap();
    drop(command);
    // The socket takes connections before the engine does.
    let client = attach_only(&place);
    ask_for_info(&client);
    end(&place, &client);
    assert!(engine.wait().unwrap().success());
}
