//! What differs between systems: memory that both ends see, and a bell that a host can poll (ring §7). Each file
//! has the same items: `Mapping`, `Ringer`, `Bell`, `bell()`.

#[cfg(unix)]
mod memory;
#[cfg(unix)]
pub(super) use memory::Mapping;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) use linux::{Bell, Ringer, bell};

// Pipes work on Linux too, so its tests run there.
#[cfg(all(unix, any(test, not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))))]
pub(super) mod macos;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android", target_os = "freebsd"))))]
pub(super) use macos::{Bell, Ringer, bell};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::{Bell, Mapping, Ringer, bell};
