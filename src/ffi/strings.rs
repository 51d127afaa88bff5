//! Strings in and out.

use super::error::Failure;
use super::guard;
use crate::protocol::failure::ErrorKind;

/// A view of UTF-8 text, not terminated. Going in, `{NULL, 0}` is an absent text and the bytes are checked; coming out,
/// the view is valid as long as what it was taken from.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_str {
    /// First byte.
    pub ptr: *const std::ffi::c_char,
    /// Number of bytes.
    pub len: usize,
}

impl lai_str {
    pub(super) const EMPTY: lai_str = lai_str { ptr: std::ptr::null(), len: 0 };

    pub(super) fn of(text: &str) -> lai_str {
        lai_str { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// The text, `None` when absent.
    ///
    /// # Safety
    /// `ptr` is NULL or points to `len` readable bytes.
    pub(super) unsafe fn get(self, place: &str) -> Result<Option<String>, Failure> {
        if self.ptr.is_null() {
            return match self.len {
                0 => Ok(None),
                len => Err(Failure::argument(place, format!("NULL with a length of {len}"))),
            };
        }
        if self.len > isize::MAX as usize {
            return Err(Failure::argument(place, "a length beyond the address space"));
        }
        // SAFETY: not NULL, and the caller vouches for `len` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.len) };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => {
                let message = format!("not UTF-8 at byte {}", error.valid_up_to());
                Err(Failure { place: Some(place.to_owned()), ..Failure::new(ErrorKind::InvalidUtf8, message) })
            }
        }
    }

    /// The text, refused when absent.
    ///
    /// # Safety
    /// As [`lai_str::get`].
    pub(super) unsafe fn required(self, place: &str) -> Result<String, Failure> {
        // SAFETY: the caller's promise.
        unsafe { self.get(place) }?.ok_or_else(|| Failure::argument(place, "NULL"))
    }
}

/// The texts of an array; a NULL array must have no elements.
///
/// # Safety
/// `ptr` is NULL or points to `count` elements, each as [`lai_str::get`] wants it.
pub(super) unsafe fn list(ptr: *const lai_str, count: usize, place: &str) -> Result<Vec<String>, Failure> {
    if ptr.is_null() && count > 0 {
        return Err(Failure::argument(place, format!("NULL with {count} elements")));
    }
    if count > crate::protocol::limits::MAX_ITEMS {
        return Err(Failure::argument(place, format!("{count} elements")));
    }
    // SAFETY: the caller vouches for `count` elements; the address of each is within the array.
    (0..count).map(|at| unsafe { (*ptr.add(at)).required(&format!("{place}[{at}]")) }).collect()
}

/// An owned text; free it with `lai_string_free`.
pub struct lai_string(String);

impl lai_string {
    pub(super) fn give(text: String) -> *mut lai_string {
        Box::into_raw(Box::new(lai_string(text)))
    }
}

/// View of the text, valid until it is freed; empty for NULL.
///
/// # Safety
/// `string` is NULL or an owned text that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_string_view(string: *const lai_string) -> lai_str {
    // SAFETY: NULL or alive, as documented.
    unsafe { string.as_ref() }.map_or(lai_str::EMPTY, |string| lai_str::of(&string.0))
}

/// Frees the text; NULL is fine.
///
/// # Safety
/// `string` is NULL or an owned text that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_string_free(string: *mut lai_string) {
    guard::quietly(|| {
        if !string.is_null() {
            // SAFETY: made by `Box::into_raw` in `lai_string::give`, freed once, as documented.
            drop(unsafe { Box::from_raw(string) });
        }
    });
}
