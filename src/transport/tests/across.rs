//! The suite over memory and a socket as two processes have them, with both ends in this one.
#![allow(clippy::duplicate_mod)] // The same tests with another `pair`: that is the point.

use super::*;
use crate::transport::attach::{Role, client_end, create_region, engine_end, open_region};
use crate::transport::channel::Foreign;
use crate::transport::pair::Pair;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;

#[path = "handles.rs"]
mod handles;
#[path = "queue.rs"]
mod queue;
#[path = "records.rs"]
mod records;
#[path = "room.rs"]
mod room;

/// Two connected sockets.
pub(in crate::transport) fn sockets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
}

/// Both regions as the engine and as the client maps them.
pub(in crate::transport) fn regions(size: RingSize, start: Position) -> (Pair, Pair) {
    let identity = Identity::default();
    let (events_file, events) = create_region(Role::Events, size, start, &identity).unwrap();
    let (requests_file, requests) = create_region(Role::Requests, size, start, &identity).unwrap();
    let seen = |role, file| open_region(role, Foreign::new(file), size, &identity).unwrap();
    let client = Pair { events: seen(Role::Events, events_file), requests: requests.clone(), start };
    (Pair { events, requests: seen(Role::Requests, requests_file), start }, client)
}

fn pair(size: RingSize, start: Position) -> (EngineEnd, ClientEnd) {
    let ((engine, client), (there, here)) = (regions(size, start), sockets());
    (engine_end(there, &engine), client_end(here, &client))
}
