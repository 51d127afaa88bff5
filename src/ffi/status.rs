//! What every function returns.

/// Outcome of a call: 0 done, above 0 nothing to do now, below 0 an error.
pub type lai_status = i32;

/// Done; outputs are written.
pub const LAI_OK: lai_status = 0;
/// No room now: try again after reading events.
pub const LAI_AGAIN: lai_status = 1;
/// The time is past.
pub const LAI_TIMEOUT: lai_status = 2;
/// The field is optional and has no value here.
pub const LAI_ABSENT: lai_status = 3;
/// A wrong argument: NULL, a bad size, an unknown flag or handle.
pub const LAI_ERR_INVALID_ARGUMENT: lai_status = -1;
/// Text that is not UTF-8.
pub const LAI_ERR_INVALID_UTF8: lai_status = -2;
/// A request that is malformed, unknown, or has a wrong field.
pub const LAI_ERR_INVALID_REQUEST: lai_status = -3;
/// Beyond a limit.
pub const LAI_ERR_TOO_LARGE: lai_status = -4;
/// An id whose object is gone.
pub const LAI_ERR_STALE: lai_status = -5;
/// No such thing; of a field: this event has none.
pub const LAI_ERR_NOT_FOUND: lai_status = -6;
/// Known, but not offered by this build.
pub const LAI_ERR_NOT_SUPPORTED: lai_status = -7;
/// The engine or client was closed or freed.
pub const LAI_ERR_CLOSED: lai_status = -8;
/// Called in a forked child.
pub const LAI_ERR_FORKED: lai_status = -9;
/// A panic was caught; this call did nothing useful, the engine lives on.
pub const LAI_ERR_PANIC: lai_status = -10;
/// The engine's process is gone, or broke the rings: attach again.
pub const LAI_ERR_LOST: lai_status = -11;
/// Another thread is reading this client.
pub const LAI_ERR_BUSY: lai_status = -12;
/// The AI provider failed or refused.
pub const LAI_ERR_PROVIDER: lai_status = -13;
/// The operating system refused.
pub const LAI_ERR_IO: lai_status = -14;
/// Settings are missing or wrong.
pub const LAI_ERR_SETTINGS: lai_status = -15;
/// Cancelled before it was done.
pub const LAI_ERR_CANCELLED: lai_status = -16;
/// A bug of the library.
pub const LAI_ERR_INTERNAL: lai_status = -17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::failure::ErrorKind;

    #[test]
    fn codes_are_those_of_the_protocol() {
        let codes: Vec<i32> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        let named = [
            LAI_ERR_INTERNAL,
            LAI_ERR_INVALID_ARGUMENT,
            LAI_ERR_INVALID_UTF8,
            LAI_ERR_INVALID_REQUEST,
            LAI_ERR_TOO_LARGE,
            LAI_ERR_STALE,
            LAI_ERR_NOT_FOUND,
            LAI_ERR_NOT_SUPPORTED,
            LAI_ERR_CLOSED,
            LAI_ERR_FORKED,
            LAI_ERR_PANIC,
            LAI_ERR_LOST,
            LAI_ERR_BUSY,
            LAI_ERR_PROVIDER,
            LAI_ERR_IO,
            LAI_ERR_SETTINGS,
            LAI_ERR_CANCELLED,
        ];
        assert_eq!(codes, named);
    }
}
