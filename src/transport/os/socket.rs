//! What differs between Unix systems at a socket: flags, and who is at the other end.

use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// How every message is sent: never blocking, never raising SIGPIPE (on Apple's systems an option of the socket).
#[cfg(not(target_vendor = "apple"))]
pub(in crate::transport) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// How every message is sent: never blocking.
#[cfg(target_vendor = "apple")]
pub(in crate::transport) const SEND: SendFlags = SendFlags::DONTWAIT;

/// How every message is received: never blocking, descriptors not inherited by children.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(in crate::transport) const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
/// How every message is received: never blocking.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(in crate::transport) const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;

/// What a received descriptor needs where [`RECEIVE`] cannot ask for it.
pub(in crate::transport) fn received_privately(file: OwnedFd) -> OwnedFd {
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    // It fails for no descriptor that is open.
    let _ = rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC);
    file
}

/// Makes a connected socket ours: it never raises SIGPIPE.
pub(in crate::transport) fn prepare(_socket: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    rustix::net::sockopt::set_socket_nosigpipe(_socket, true)?;
    Ok(())
}

/// User at the other end when the connection was made.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::transport) fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    // Not through rustix: a peer outside of our process namespace has the process id 0, which its type excludes.
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `peer` is writable and as long as said.
    let result = unsafe {
        let peer = std::ptr::from_mut(&mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, peer, &mut len)
    };
    if result == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

/// User at the other end when the connection was made.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::transport) fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (u32::MAX, u32::MAX);
    // SAFETY: the descriptor is open, and both words are writable.
    let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) };
    if result == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}
