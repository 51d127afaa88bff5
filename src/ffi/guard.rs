//! The way into every function: no panic leaves the library, nothing runs in a forked child, outputs are not NULL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{Failure, lai_error};
use super::status::{LAI_ERR_PANIC, lai_status};
use crate::protocol::failure::ErrorKind;

/// Process that opened the first engine; 0 before.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Makes this process the one that may use handles, unless there is one.
pub(super) fn own_process() {
    let _ = OWNER.compare_exchange(0, std::process::id(), Ordering::AcqRel, Ordering::Acquire);
}

/// Runs the body of a function that works on handles.
///
/// # Safety
/// `error` is NULL or may be written.
pub(super) unsafe fn enter(
    error: *mut *mut lai_error,
    body: impl FnOnce() -> Result<lai_status, Failure>,
) -> lai_status {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let owner = OWNER.load(Ordering::Acquire);
        if owner != 0 && owner != std::process::id() {
            return Err(Failure {
                hint: Some("open the engine after fork, or exec".to_owned()),
                ..Failure::new(ErrorKind::Forked, "the engine was opened in another process")
            });
        }
        body()
    }));
    let failure = match outcome {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(payload) => {
            // The payload may itself panic when dropped.
            std::mem::forget(payload);
            Failure::new(ErrorKind::Panic, "a panic was caught inside the library")
        }
    };
    let status = failure.kind.code();
    if !error.is_null() {
        // SAFETY: not NULL, writable as documented.
        unsafe { error.write(lai_error::give(failure)) };
    }
    status
}

/// Runs the body of a function that only reads what it is given and has no error object.
pub(super) fn plainly(body: impl FnOnce() -> lai_status) -> lai_status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        LAI_ERR_PANIC
    })
}

/// Runs the body of a function that frees.
pub(super) fn quietly(body: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        std::mem::forget(payload);
    }
}

/// Whether handles may be freed here: not in a forked child, whose copy of the threads' state means nothing.
pub(super) fn is_own_process() -> bool {
    matches!(OWNER.load(Ordering::Acquire), owner if owner == 0 || owner == std::process::id())
}

/// Refuses a NULL output.
pub(super) fn output<T>(pointer: *mut T, place: &str) -> Result<*mut T, Failure> {
    if pointer.is_null() { Err(Failure::argument(place, "NULL")) } else { Ok(pointer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{lai_error_free, lai_error_status};

    #[test]
    fn a_panic_becomes_a_status_and_an_error() {
        let mut error = std::ptr::null_mut();
        // SAFETY: a local variable; the error is freed once.
        unsafe {
            assert_eq!(enter(&mut error, || panic!("boom")), LAI_ERR_PANIC);
            assert_eq!(lai_error_status(error), LAI_ERR_PANIC);
            lai_error_free(error);
            assert_eq!(enter(std::ptr::null_mut(), || panic!("boom")), LAI_ERR_PANIC);
        }
        assert_eq!(plainly(|| panic!("boom")), LAI_ERR_PANIC);
        quietly(|| panic!("boom"));
    }
}
