//! Clients that break every rule of the socket and of their memory: the engine lives, lets go of all they held, and other
//! clients' sessions go on.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lapce_ai::engine::Client;
use lapce_ai::protocol::abi::abi_hash;
use lapce_ai::protocol::hello::{HEAD_LEN, Hello, RingSizes};
use lapce_ai::transport::attach::connect;
use lapce_ai::transport::layout::*;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::json;

use crate::harness::{DEADLINE, Host, done, script};
use crate::served::Served;

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";
const SIZES: RingSizes = RingSizes { slots: 8, bytes: 4096 };
const REGION_LEN: usize = SLOTS + PAGE + SIZES.bytes as usize;
const ALL_SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);
/// Tells this binary to be the client that scribbles: the path of the socket.
const SOCKET: &str = "LAPCE_AI_SCRIBBLER";

/// An engine with an honest client, whose session waits for an answer.
struct Scene {
    served: Served,
    workspace: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let file = root.join("transcript.jsonl");
        std::fs::write(&file, script(&[ASK, &done("Unharmed.")])).unwrap();
        let settings = json!({"apiProvider": "replay", "replayFile": file});
        Scene { served: Served::start(&root, &settings, &[]), workspace: root, _folder: folder }
    }

    fn knock(&self) -> UnixStream {
        UnixStream::connect(self.served.site.socket()).unwrap()
    }

    /// Runs what a hostile client does, and then sees that nothing is left of it, nor of the honest client's trust.
    fn bear(&self, hostile: impl FnOnce(&Host)) {
        let honest = Host::new(Client::attach(self.served.site.options(None)).unwrap(), &self.workspace);
        honest.start("be honest");
        let ask = honest.ask("followup");
        let before = self.descriptors();
        hostile(&honest);
        let until = Instant::now() + DEADLINE;
        while self.descriptors() != before {
            assert!(Instant::now() < until, "{:?} instead of {before:?}", self.descriptors());
            honest.call(&json!({"type": "engine.info"})).unwrap();
        }
        honest.respond(ask, "yes").unwrap();
        assert_eq!(honest.completed(), "Unharmed.");
        assert_eq!(self.served.ended(), None);
    }

    /// What the engine holds of the kind that clients bring: sockets and memory.
    fn descriptors(&self) -> Vec<String> {
        let of = |entry: std::fs::DirEntry| Some(std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned());
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.served.pid())).unwrap();
        let mut all: Vec<String> =
            folder.flatten().filter_map(of).filter(|name| name.contains("socket") || name.contains("memfd")).collect();
        all.sort_unstable();
        all
    }
}

fn hello(id: usize) -> Hello {
    Hello {
        client: format!("{id:032x}"),
        name: "hostile".into(),
        number: 0,
        capabilities: Vec::new(),
        share: true,
        observe: true,
        events: SIZES,
        requests: SIZES,
        seen: Vec::new(),
        seen_own: None,
    }
}

/// Sends bytes with descriptors.
fn send(stream: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(files)));
    }
    // It may have been closed in our face.
    let _ = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
}

/// Reads until the other side closes. An honest end, as of a reset, is an end.
fn closed(stream: &UnixStream) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match (&mut &*stream).read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is not closed: {error}");
                return;
            }
        }
    }
}

fn memory(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let memory = memfd_create("hostile", MemfdFlags::ALLOW_SEALING).unwrap();
    let file = File::from(memory);
    file.write_all_at(bytes, 0).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file.into()
}

/// A requests region as it should be, all zeros behind its header.
fn region() -> Vec<u8> {
    let mut region = vec![0; REGION_LEN];
    let mut put = |at: usize, value: u64, len: usize| region[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    put(HEADER_MAGIC, MAGIC, 8);
    put(HEADER_LAYOUT_VERSION, LAYOUT_VERSION.into(), 4);
    put(HEADER_HEADER_LEN, HEADER_LEN as u64, 4);
    put(HEADER_ABI_HASH, abi_hash(), 8);
    put(HEADER_BYTE_ORDER, BYTE_ORDER.into(), 4);
    put(HEADER_FLAGS, REGION_REQUESTS.into(), 4);
    put(HEADER_REGION_LEN, REGION_LEN as u64, 8);
    put(HEADER_SLOT_COUNT, SIZES.slots.into(), 4);
    put(HEADER_SLOT_OFFSET, SLOTS as u64, 4);
    put(HEADER_ARENA_OFFSET, (SLOTS + PAGE) as u64, 8);
    put(HEADER_ARENA_LEN, SIZES.bytes.into(), 4);
    put(HEADER_MAX_RECORD, (SIZES.bytes / 4).into(), 4);
    put(HEADER_READY, 1, 4);
    region
}

/// Numbers without pattern (splitmix64).
fn noise(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn what_is_no_hello_is_turned_away() {
    let scene = Scene::new();
    scene.bear(|_| {
        let good = hello(1).to_bytes();
        let memory = memory(&region(), ALL_SEALS);
        let pipe = std::io::pipe().unwrap();
        let (good_fd, pipe_fd) = (memory.as_fd(), pipe.0.as_fd());
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= value;
            bytes
        };
        let mut long = good.clone();
        long[HEAD_LEN - 8..HEAD_LEN - 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let cases: [(&str, Vec<u8>, Vec<BorrowedFd<'_>>); 13] = [
            (
                "an HTTP request",
                b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: a browser that is lost\r\n\r\n".to_vec(),
                vec![],
            ),
            ("zeros", vec![0; 4096], vec![]),
            ("another magic", changed(0, 1), vec![good_fd]),
            ("a welcome", changed(8, 3), vec![good_fd]),
            ("another layout", changed(12, 1), vec![good_fd]),
            ("another ABI", changed(16, 1), vec![good_fd]),
            ("a body of 4 GiB", long, vec![good_fd]),
            ("a body that is no JSON", changed(HEAD_LEN, 0x20), vec![good_fd]),
            ("no region", good.clone(), vec![]),
            ("two regions", good.clone(), vec![good_fd, good_fd]),
            ("sixteen regions", good.clone(), vec![good_fd; 16]),
            ("a pipe for a region", good.clone(), vec![pipe_fd]),
            ("descriptors for garbage", vec![0xff; 100], vec![good_fd, pipe_fd]),
        ];
        for (name, bytes, files) in cases {
            let stream = scene.knock();
            send(&stream, &bytes, &files);
            println!("{name}");
            closed(&stream);
        }
    });
}

#[test]
fn a_region_that_could_change_or_is_no_region_is_refused() {
    let scene = Scene::new();
    scene.bear(|_| {
        let mut cases = Vec::new();
        for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE, SealFlags::SEAL] {
            cases.push((region(), ALL_SEALS.difference(missing)));
        }
        for len in [0, 1, PAGE, REGION_LEN - 1, REGION_LEN + 1, REGION_LEN + PAGE] {
            let mut bytes = region();
            bytes.resize(len, 0);
            cases.push((bytes, ALL_SEALS));
        }
        for at in (0..HEADER_LEN).filter(|at| !(HEADER_CREATED_UNIX_NS..HEADER_CREATED_UNIX_NS + 8).contains(at)) {
            let mut bytes = region();
            bytes[at] ^= 0x80;
            // The process that made it is for people.
            if !(HEADER_PID..HEADER_PID + 4).contains(&at) {
                cases.push((bytes, ALL_SEALS));
            }
        }
        for (bytes, seals) in cases {
            let stream = scene.knock();
            send(&stream, &hello(1).to_bytes(), &[memory(&bytes, seals).as_fd()]);
            closed(&stream);
        }
    });
}

#[test]
fn one_that_stops_in_the_middle_keeps_nobody_waiting() {
    let scene = Scene::new();
    scene.bear(|honest| {
        let good = hello(1).to_bytes();
        let mut silent = Vec::new();
        for len in [0, 1, HEAD_LEN - 1, HEAD_LEN, HEAD_LEN + 1, good.len() - 1] {
            let stream = scene.knock();
            send(&stream, &good[..len], &[]);
            silent.push(stream);
        }
        // Others come in and are served while these say nothing.
        let late = Host::new(Client::attach(scene.served.site.options(None)).unwrap(), &scene.workspace);
        assert!(late.call(&json!({"type": "engine.info"})).is_ok());
        assert!(honest.call(&json!({"type": "engine.info"})).is_ok());
        drop(late);
        for stream in silent.drain(..3) {
            // Nothing more will come, but the answer is still waited for.
            stream.shutdown(Shutdown::Write).unwrap();
            closed(&stream);
        }
    });
}

#[test]
fn one_that_dies_at_any_stage_leaves_nothing_behind() {
    let scene = Scene::new();
    scene.bear(|_| {
        let good = hello(1).to_bytes();
        let memory = memory(&region(), ALL_SEALS);
        for len in (0..good.len()).step_by(7).chain([good.len()]) {
            send(&scene.knock(), &good[..len], &[]);
            send(&scene.knock(), &good[..len], &[memory.as_fd()]);
        }
        for id in 0..20 {
            let connected = connect(&scene.served.site.socket(), &hello(id), 0, DEADLINE).unwrap();
            let socket = UnixStream::from(connected.end.events.as_fd().try_clone_to_owned().unwrap());
            // Dead before its goodbye, or in the middle of a frame.
            let tail: &[u8] = match id % 4 {
                0 => &[],
                1 => &[2],
                2 => &[2, 1, 0, 0, 0, 0, 0, 0, 0, 9],
                _ => &[3, 0],
            };
            send(&socket, tail, &[]);
            socket.shutdown(Shutdown::Both).unwrap();
        }
    });
}

#[test]
fn garbage_instead_of_frames_ends_the_connection() {
    let scene = Scene::new();
    scene.bear(|_| {
        let memory = memory(&region(), ALL_SEALS);
        let blob = |number: u64, len: u64| [&[2][..], &number.to_le_bytes(), &len.to_le_bytes()].concat();
        let cases: [(Vec<u8>, usize); 8] = [
            (vec![0], 0),
            (vec![4], 0),
            (vec![0xff; 10_000], 0),
            (vec![1], 1),
            (vec![3, 0, 0, 0, 0], 1),
            (blob(1, 100), 0),
            (blob(7, REGION_LEN as u64), 1),
            (blob(1, u64::MAX), 1),
        ];
        for (id, (bytes, files)) in cases.into_iter().enumerate() {
            let connected = connect(&scene.served.site.socket(), &hello(id), 0, DEADLINE).unwrap();
            let socket = UnixStream::from(connected.end.events.as_fd().try_clone_to_owned().unwrap());
            socket.set_nonblocking(false).unwrap();
            send(&socket, &bytes, &vec![memory.as_fd(); files]);
            closed(&socket);
        }
    });
}

#[test]
fn nonsense_in_the_region_ends_the_connection_or_is_answered() {
    let scene = Scene::new();
    scene.bear(|_| {
        let mut state = 4711;
        for id in 0..60 {
            let mut bytes = region();
            for _ in 0..=noise(&mut state) % 40 {
                let at = PAGE + noise(&mut state) as usize % (REGION_LEN - PAGE - 8);
                // Small numbers look more like slots than large ones.
                let value = if noise(&mut state).is_multiple_of(2) { noise(&mut state) } else { noise(&mut state) % 9 };
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            // The first slot says that it is committed.
            bytes[SLOTS] = 1;
            let stream = scene.knock();
            send(&stream, &hello(id).to_bytes(), &[memory(&bytes, ALL_SEALS).as_fd()]);
            send(&stream, &[1, 1, 1], &[]);
            stream.shutdown(Shutdown::Write).unwrap();
            closed(&stream);
        }
    });
}

#[test]
fn a_client_that_scribbles_over_its_memory_while_it_is_read_harms_only_itself() {
    let scene = Scene::new();
    scene.bear(|_| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["serve_hostile::scribbling", "--exact", "--ignored", "--nocapture"])
            .env(SOCKET, scene.served.site.socket())
            .status()
            .unwrap();
        assert!(status.success());
    });
}

#[test]
#[ignore = "the client of the test above, in a process of its own"]
fn scribbling() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let mut state = 815;
    for id in 0..40 {
        let Ok(connected) = connect(Path::new(&socket), &hello(id), 0, Duration::from_secs(60)) else {
            panic!("an engine that was only lied to refuses");
        };
        let bell = UnixStream::from(connected.end.events.as_fd().try_clone_to_owned().unwrap());
        let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
        let start = ring_of_ours();
        for _ in 0..50 {
            let at = SLOTS as u64 * (noise(&mut state) % 2) + noise(&mut state) % 0x400 * 4 % (PAGE as u64);
            let at = if noise(&mut state).is_multiple_of(3) {
                PAGE as u64 + noise(&mut state) % 0x200
            } else {
                at.max(HEADER_LEN as u64)
            };
            let value = noise(&mut state) >> (noise(&mut state) % 64);
            memory.write_all_at(&value.to_le_bytes(), start + at).unwrap();
            send(&bell, &[1], &[]);
        }
        drop(connected);
    }
}

/// Where the only ring that this process may write lies.
fn ring_of_ours() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut ours = maps.lines().filter(|line| line.contains(" rw-s ") && line.contains("memfd:lapce-ai"));
    let line = ours.next().expect("a ring of ours");
    assert_eq!(ours.next(), None, "several rings");
    u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
}
