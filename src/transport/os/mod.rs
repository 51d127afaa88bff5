//! What differs between systems: memory that both ends see, and a bell that a host can poll (ring §7). Each system
//! has the same items: `Mapping`, `Ringer`, `Bell`, `bell()`; where processes can share rings also `create_region`,
//! `open_region`, `create_blob`, `check_blob`, `BLOBS_ARE_FROZEN` and, for sockets, `SEND`, `RECEIVE`, `received_privately`, `peer_uid`.

#[cfg(unix)]
mod memory;
#[cfg(unix)]
pub(super) use memory::{Access, Mapping};

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) use linux::{Bell, Ringer, bell};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod memfd;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use memfd::{BLOBS_ARE_FROZEN, check_blob, create_blob, create_region, open_region};

// As with pipes below.
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android")))))]
mod shm;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(super) use shm::{BLOBS_ARE_FROZEN, check_blob, create_blob, create_region, open_region};

#[cfg(unix)]
mod socket;
#[cfg(unix)]
pub(super) use socket::{RECEIVE, SEND, peer_uid, prepare, received_privately};

#[cfg(unix)]
mod inherited;
#[cfg(unix)]
pub use inherited::inherited;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use watch::Watch;

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod kqueue;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub use kqueue::Watch;

// Pipes work on Linux too, so its tests run there.
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))))]
pub(super) mod macos;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android", target_os = "freebsd"))))]
pub(super) use macos::{Bell, Ringer, bell};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::{Bell, Mapping, Ringer, bell};
