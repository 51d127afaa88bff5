//! Descriptors that whoever started this process left open for it.

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// First number that is not a standard stream.
const FIRST: RawFd = 3;

/// A duplicate of the open descriptor of this number. The original is no longer inherited by programs that we start, unless it
/// is a standard stream.
///
/// # Errors
/// There is none of that number.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} is no descriptor")));
    }
    // SAFETY: not -1, and used for the next calls only, which the system answers with an error when nothing is open there.
    let given = unsafe { BorrowedFd::borrow_raw(number) };
    if number >= FIRST {
        fcntl_setfd(given, FdFlags::CLOEXEC)?;
    }
    Ok(fcntl_dupfd_cloexec(given, FIRST)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn an_open_descriptor_can_be_used_by_its_number() {
        let (given, mut peer) = UnixStream::pair().unwrap();
        let mut ours = std::fs::File::from(inherited(given.as_raw_fd()).unwrap());
        ours.write_all(b"ready").unwrap();
        let mut said = [0; 5];
        peer.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready");
        assert!(inherited(-1).is_err() && inherited(RawFd::MAX).is_err());
    }
}
