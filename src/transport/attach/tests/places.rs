//! Folders, sockets and locks that are ours alone, and others.

use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether an engine and a client, given `path`, refuse it.
fn refused(path: &Path) -> (bool, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engine = runtime.block_on(async { matches!(Listener::bind(path), Err(PlaceError::Unsafe { .. })) });
    (engine, matches!(connect(path, &hello(), 0, LIMIT), Err(ConnectError::NotOurs(PlaceError::Unsafe { .. }))))
}

#[test]
fn a_listener_makes_its_place_and_leaves_nothing() {
    let (_folder, path) = place();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = Listener::bind(&path).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        // The next engine replaces it; the first one's end does not remove what is not its own.
        let second = Listener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    });
}

#[test]
fn a_socket_is_never_seen_open_to_others() {
    let (_folder, path) = place();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok(found) = fs::symlink_metadata(&path) {
                    assert_eq!(found.permissions().mode() & 0o777, 0o600);
                }
            }
        });
        for _ in 0..200 {
            drop(runtime.block_on(async { Listener::bind(&path) }).unwrap());
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        looks.join().unwrap();
    });
}

#[test]
fn a_folder_or_socket_that_others_could_be_behind_is_refused() {
    let (folder, path) = place();
    let ours = path.parent().unwrap();
    super::super::place::make_folder(ours).unwrap();
    for open in [0o755, 0o701, 0o770] {
        set_mode(ours, open);
        assert_eq!(refused(&path), (true, true), "{open:o}");
    }
    set_mode(ours, 0o700);

    let by_link = folder.path().join("link");
    symlink(ours, &by_link).unwrap();
    assert_eq!(refused(&by_link.join("engine.sock")), (true, true));

    let listener = UnixListener::bind(&path).unwrap();
    set_mode(&path, 0o666);
    assert_eq!(refused(&path), (true, true), "an open socket");
    let link = ours.join("link.sock");
    symlink(&path, &link).unwrap();
    assert_eq!(refused(&link), (true, true), "a link to a socket");
    drop(listener);

    let file = ours.join("file.sock");
    fs::write(&file, "mine").unwrap();
    set_mode(&file, 0o600);
    assert_eq!(refused(&file), (true, true), "a file");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(refused(Path::new("engine.sock")), (true, true), "no folder");
}

#[test]
fn a_path_too_long_for_a_socket_is_named() {
    let (folder, _) = place();
    let path = folder.path().join("x".repeat(120)).join("engine.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async { Listener::bind(&path) }).unwrap_err();
    assert!(error.to_string().contains("engine.sock"), "{error}");
}

#[test]
fn a_socket_made_by_others_must_listen() {
    let (_folder, path) = place();
    super::super::place::make_folder(path.parent().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listening: OwnedFd = UnixListener::bind(&path).unwrap().into();
        assert!(Listener::from_fd(listening).is_ok());
        let connected: OwnedFd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
        assert!(Listener::from_fd(connected).is_err());
        let other: OwnedFd = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into();
        assert!(Listener::from_fd(other).is_err());
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        assert!(Listener::from_fd(file).is_err());
    });
}

#[test]
fn one_holds_the_lock_and_the_next_gets_it_from_him() {
    let (folder, path) = place();
    let path = path.with_file_name("lock");
    let held = InstanceLock::try_acquire(&path).unwrap().unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
    assert!(InstanceLock::try_acquire(&path).unwrap().is_none());
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || InstanceLock::acquire(&path).unwrap().unwrap()
    });
    drop(held);
    let held = waiting.join().unwrap();
    assert!(InstanceLock::try_acquire(&path).unwrap().is_none());
    // The end of one that ends in order is nobody's beginning, unless somebody comes after it.
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || InstanceLock::acquire(&path).unwrap()
    });
    held.retire().unwrap();
    drop(held);
    // Too late to have waited, it is the next engine.
    assert!(waiting.join().unwrap().is_none_or(|next| next.retire().is_ok()));
    assert!(path.exists() && InstanceLock::try_acquire(&path).unwrap().is_some());

    set_mode(&path, 0o644);
    assert!(InstanceLock::try_acquire(&path).is_err(), "open to others");
    let pipe = path.with_file_name("pipe");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    let error = InstanceLock::try_acquire(&pipe).unwrap_err();
    assert!(error.to_string().contains("plain file"), "{error}");
    let link = path.with_file_name("link");
    symlink(folder.path().join("elsewhere"), &link).unwrap();
    assert!(InstanceLock::try_acquire(&link).is_err(), "a link");
    assert!(!folder.path().join("elsewhere").exists());
}
