//! Errors that a host owns.

use super::guard;
use super::status::{LAI_OK, lai_status};
use super::strings::lai_str;
use crate::engine::{OpenError, SubmitError};
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::RequestError;
use crate::transport::TransportError;

/// Why a call failed, on the Rust side.
pub(super) struct Failure {
    pub kind: ErrorKind,
    pub message: String,
    pub hint: Option<String>,
    pub place: Option<String>,
}

impl Failure {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None, place: None }
    }

    /// A wrong argument, by its name.
    pub fn argument(place: &str, message: impl Into<String>) -> Failure {
        Failure { place: Some(place.to_owned()), ..Failure::new(ErrorKind::InvalidArgument, message) }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Failure {
        Failure { place: Some(error.place), ..Failure::new(ErrorKind::InvalidRequest, error.message) }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        let message = error.to_string();
        match error {
            OpenError::Settings { place, message } => {
                Failure { place: Some(place), ..Failure::new(ErrorKind::Settings, message) }
            }
            OpenError::Capability(_) => Failure::argument("options.capabilities", message),
            OpenError::Transport(TransportError::Size { .. }) => Failure::argument("options", message),
            OpenError::Transport(_) | OpenError::System { .. } => Failure::new(ErrorKind::Io, message),
            OpenError::Closed => Failure::new(ErrorKind::Closed, message),
            OpenError::TooManyClients(_) => Failure::new(ErrorKind::Busy, message),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Failure {
        let kind = match error {
            SubmitError::Again => ErrorKind::Busy,
            SubmitError::TooLarge { .. } => ErrorKind::TooLarge,
            SubmitError::Closed => ErrorKind::Closed,
            SubmitError::Broken(_) => ErrorKind::Internal,
        };
        Failure::new(kind, error.to_string())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Failure {
        let kind = match error {
            // One that broke the ring is believed no more: for a host the same as one that is gone.
            TransportError::Lost | TransportError::Broken(_) => ErrorKind::Lost,
            TransportError::Closed { .. } => ErrorKind::Closed,
            _ => ErrorKind::Internal,
        };
        Failure::new(kind, error.to_string())
    }
}

/// An error that the host owns; free it with `lai_error_free`.
pub struct lai_error(Failure);

impl lai_error {
    pub(super) fn give(failure: Failure) -> *mut lai_error {
        Box::into_raw(Box::new(lai_error(failure)))
    }
}

/// The status the failed call returned; `LAI_OK` for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed. The same for all functions of errors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_status(error: *const lai_error) -> lai_status {
    // SAFETY: NULL or alive, as documented.
    unsafe { error.as_ref() }.map_or(LAI_OK, |error| error.0.kind.code())
}

/// The kind of failure as a word for programs, such as `invalid_request`.
///
/// # Safety
/// As `lai_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_kind(error: *const lai_error) -> lai_str {
    // SAFETY: NULL or alive, as documented.
    unsafe { error.as_ref() }.map_or(lai_str::EMPTY, |error| lai_str::of(error.0.kind.as_str()))
}

/// What happened, for people.
///
/// # Safety
/// As `lai_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_message(error: *const lai_error) -> lai_str {
    // SAFETY: NULL or alive, as documented.
    unsafe { error.as_ref() }.map_or(lai_str::EMPTY, |error| lai_str::of(&error.0.message))
}

/// What to do about it; absent if there is nothing to say.
///
/// # Safety
/// As `lai_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_hint(error: *const lai_error) -> lai_str {
    // SAFETY: NULL or alive, as documented.
    let hint = unsafe { error.as_ref() }.and_then(|error| error.0.hint.as_deref());
    hint.map_or(lai_str::EMPTY, lai_str::of)
}

/// The argument or field that is wrong, such as `task.start.images[2]`; absent if none is.
///
/// # Safety
/// As `lai_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_place(error: *const lai_error) -> lai_str {
    // SAFETY: NULL or alive, as documented.
    let place = unsafe { error.as_ref() }.and_then(|error| error.0.place.as_deref());
    place.map_or(lai_str::EMPTY, lai_str::of)
}

/// Milliseconds after which to try again; 0 when trying again is of no use.
///
/// # Safety
/// As `lai_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_retry_after_ms(error: *const lai_error) -> u64 {
    // SAFETY: NULL or alive, as documented.
    let is_busy = unsafe { error.as_ref() }.is_some_and(|error| error.0.kind == ErrorKind::Busy);
    if is_busy { 1 } else { 0 }
}

/// Frees the error; NULL is fine.
///
/// # Safety
/// As `lai_error_status`; the error is gone afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_error_free(error: *mut lai_error) {
    guard::quietly(|| {
        if !error.is_null() {
            // SAFETY: made by `Box::into_raw` in `lai_error::give`, freed once, as documented.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}
