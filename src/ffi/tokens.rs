//! Counting tokens without an engine.

use super::error::lai_error;
use super::guard;
use super::status::{LAI_OK, lai_status};
use super::strings::lai_str;
use crate::providers::tokens;

/// Counts the tokens of a text as the engine does for models that bring no counter of their own: by the vocabulary
/// `o200k_base`, spellings of special tokens as ordinary text. An absent text has none. Needs no engine, may be called from
/// any thread, and works on it: some milliseconds a megabyte, and as many to unpack the vocabulary at the first call. A
/// thread that must not wait sends the request `tokens.count`.
///
/// # Safety
/// `text` is as `lai_str` says; `count` may be written; `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_count_tokens(text: lai_str, count: *mut u64, error: *mut *mut lai_error) -> lai_status {
    let body = || {
        let count = guard::output(count, "count")?;
        // SAFETY: as documented.
        let text = unsafe { text.get("text") }?.unwrap_or_default();
        // SAFETY: not NULL, writable as documented.
        unsafe { count.write(tokens::count(&text) as u64) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{lai_error_free, lai_error_status};
    use crate::ffi::status::{LAI_ERR_INVALID_ARGUMENT, LAI_ERR_INVALID_UTF8};

    fn counted(text: lai_str) -> (lai_status, u64) {
        let (mut count, mut error) = (7, std::ptr::null_mut());
        // SAFETY: a valid text, local variables; the error is freed once.
        unsafe {
            let status = lai_count_tokens(text, &mut count, &mut error);
            if !error.is_null() {
                assert_eq!(lai_error_status(error), status);
                lai_error_free(error);
            }
            (status, count)
        }
    }

    #[test]
    fn texts_are_counted_and_bad_ones_refused() {
        for (text, expected) in [("", 0), ("Hello, world!", 4), ("hello <|endoftext|> x", 9), ("日本語テスト", 4)]
        {
            assert_eq!(counted(lai_str::of(text)), (LAI_OK, expected), "{text}");
        }
        assert_eq!(counted(lai_str::EMPTY), (LAI_OK, 0));
        let bytes = b"a\xff";
        assert_eq!(counted(lai_str { ptr: bytes.as_ptr().cast(), len: 2 }), (LAI_ERR_INVALID_UTF8, 7));
        // SAFETY: a valid text; NULL outputs are refused.
        let status = unsafe { lai_count_tokens(lai_str::of("a"), std::ptr::null_mut(), std::ptr::null_mut()) };
        assert_eq!(status, LAI_ERR_INVALID_ARGUMENT);
    }
}
