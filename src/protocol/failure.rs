//! Kinds of failure, as `request.failed` and the status codes of the C ABI name them.

use super::record::words;

words! {
    /// Why something failed. The word is for programs; what people read stands in the error's message.
    #[non_exhaustive]
    ErrorKind / ArchivedErrorKind {
        /// A bug of ours.
        #[default]
        Internal = "internal",
        /// A wrong argument: NULL, a bad size, an unknown flag.
        InvalidArgument = "invalid_argument",
        /// Text that is not UTF-8.
        InvalidUtf8 = "invalid_utf8",
        /// A request that is malformed, unknown, or has a wrong field.
        InvalidRequest = "invalid_request",
        /// Beyond a limit.
        TooLarge = "too_large",
        /// An id whose object is gone.
        Stale = "stale",
        /// No such task, file, mode or profile.
        NotFound = "not_found",
        /// Known, but not offered by this build or this host.
        NotSupported = "not_supported",
        /// The engine or client was closed.
        Closed = "closed",
        /// Called in a forked child.
        Forked = "forked",
        /// A panic was caught; the engine lives on.
        Panic = "panic",
        /// The engine's process is gone.
        Lost = "lost",
        /// Not possible in the present state; try again later.
        Busy = "busy",
        /// The AI provider failed or refused.
        Provider = "provider",
        /// The operating system refused.
        Io = "io",
        /// Settings are missing or wrong.
        Settings = "settings",
        /// Cancelled before it was done.
        Cancelled = "cancelled",
    }
}

impl ErrorKind {
    /// The status code of the C ABI (`LAI_ERR_…`); negative and stable.
    pub const fn code(self) -> i32 {
        match self {
            ErrorKind::InvalidArgument => -1,
            ErrorKind::InvalidUtf8 => -2,
            ErrorKind::InvalidRequest => -3,
            ErrorKind::TooLarge => -4,
            ErrorKind::Stale => -5,
            ErrorKind::NotFound => -6,
            ErrorKind::NotSupported => -7,
            ErrorKind::Closed => -8,
            ErrorKind::Forked => -9,
            ErrorKind::Panic => -10,
            ErrorKind::Lost => -11,
            ErrorKind::Busy => -12,
            ErrorKind::Provider => -13,
            ErrorKind::Io => -14,
            ErrorKind::Settings => -15,
            ErrorKind::Cancelled => -16,
            ErrorKind::Internal => -17,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes are part of the ABI: each kind keeps its own.
    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let codes: Vec<i32> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        let last = -(codes.len() as i32);
        assert!((last..0).all(|code| codes.contains(&code)), "{codes:?}");
        assert_eq!((ErrorKind::InvalidArgument.code(), ErrorKind::Internal.code()), (-1, -17));
    }
}
