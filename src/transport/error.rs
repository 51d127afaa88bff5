use std::io;

/// What can go wrong between the two ends.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No room until the other side releases. Nothing was written; try again after the bell.
    #[error("the ring is full")]
    Full,
    /// The record is longer than the ring carries, or than was claimed. Larger bodies travel as blobs.
    #[error("a record of {len} bytes does not fit: at most {max} bytes")]
    TooLarge {
        /// Bytes asked for.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The other side wrote what no correct peer writes. The ring stays unusable; detach it.
    #[error("the other side broke the ring: {0}")]
    Broken(Breach),
    /// A ring size outside of its limits.
    #[error("{name} is {value}: must be a power of two from {min} to {max}")]
    Size {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u32,
        /// Smallest allowed.
        min: u32,
        /// Largest allowed.
        max: u32,
    },
    /// A region whose header does not say what it must.
    #[error("not a usable region: {field} is {found:#x}, expected {expected:#x}")]
    Header {
        /// The field.
        field: &'static str,
        /// What the region says.
        found: u64,
        /// What this build needs.
        expected: u64,
    },
    /// The other process is gone without a goodbye; everything it committed was read.
    #[error("the other process is gone")]
    Lost,
    /// The other side said goodbye; everything it committed was read.
    #[error("the other side closed the connection (reason {reason})")]
    Closed {
        /// Its reason, one of the protocol's.
        reason: u32,
    },
    /// The operating system refused memory or a bell.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// `released` moved back, or beyond what is reserved.
    #[error("released room that it does not hold")]
    Released,
    /// A slot describes a record that its producer cannot have claimed: too large, or beyond the room released to it.
    #[error("a slot describes an impossible record")]
    Slot,
    /// More empty records on end than any correct producer writes.
    #[error("a record never comes behind the padding")]
    Padding,
    /// Bytes on the socket that are no frame, or descriptors where none belong.
    #[error("sent what is no frame")]
    Frame,
    /// A large body whose object is not sealed, has another size, or came out of turn.
    #[error("sent a large body that is not what was announced")]
    Blob,
    /// The numbers of a session's events have a gap.
    #[error("left out an event")]
    Gap,
    /// More than a correct peer can have on its way.
    #[error("flooded the socket")]
    Flood,
}
