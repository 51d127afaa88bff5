//! Engines.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{Failure, lai_error};
use super::guard;
use super::handles::Handles;
use super::options::{self, lai_engine_options};
use super::status::{LAI_OK, lai_status};
use super::strings::{lai_str, lai_string};
use crate::engine::{Engine, EngineOptions};
use crate::protocol::failure::ErrorKind;

/// Version of the C ABI: the number in the soname.
pub const LAI_ABI_VERSION: u32 = 0;

/// An engine: a runtime with its sessions. Thread-safe.
pub enum lai_engine {}

pub(super) static ENGINES: Handles<Engine> = Handles::new("engine");

/// Version of the C ABI this library has; compare it with `LAI_ABI_VERSION` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn lai_abi_version() -> u32 {
    LAI_ABI_VERSION
}

/// Version of the library, such as `0.1.0`; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn lai_version() -> lai_str {
    lai_str::of(env!("CARGO_PKG_VERSION"))
}

/// Opens an engine. `options` may be NULL. Free it with `lai_engine_free`.
///
/// # Safety
/// `options` is NULL or holds `struct_size` readable bytes and texts; `engine` may be written; `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_engine_new(
    options: *const lai_engine_options,
    engine: *mut *mut lai_engine,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let engine = guard::output(engine, "engine")?;
        // SAFETY: as documented.
        let options = unsafe { engine_options(options) }?;
        guard::own_process();
        let handle = ENGINES.insert(Engine::open(options)?)?;
        // SAFETY: not NULL, writable as documented.
        unsafe { engine.write(handle) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Ends all sessions within `deadline_ms`. Events already sent stay readable; what is asked later is answered by
/// `LAI_ERR_CLOSED`. `sessions_left` (may be NULL) is the number of sessions that were cut off. May be called again.
///
/// # Safety
/// `sessions_left` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_engine_close(
    engine: *const lai_engine,
    deadline_ms: u64,
    sessions_left: *mut usize,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let report = ENGINES.get(engine)?.close(Duration::from_millis(deadline_ms.min(MAX_DEADLINE_MS)));
        if !sessions_left.is_null() {
            // SAFETY: not NULL, writable as documented.
            unsafe { sessions_left.write(report.sessions_left) };
        }
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// An hour; more is a mistake of the host, not a wish.
const MAX_DEADLINE_MS: u64 = 3_600_000;

/// Frees the engine, closing it first if need be. NULL and freed handles are fine.
#[unsafe(no_mangle)]
pub extern "C" fn lai_engine_free(engine: *mut lai_engine) {
    guard::quietly(|| {
        if guard::is_own_process() {
            drop(ENGINES.remove(engine));
        }
    });
}

/// Counters as a JSON object; free it with `lai_string_free`.
///
/// # Safety
/// `stats` may be written; `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_engine_stats(
    engine: *const lai_engine,
    stats: *mut *mut lai_string,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let stats = guard::output(stats, "stats")?;
        let counters = ENGINES.get(engine)?.stats().to_string();
        // SAFETY: not NULL, writable as documented.
        unsafe { stats.write(lai_string::give(counters)) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// # Safety
/// As `lai_engine_new`.
unsafe fn engine_options(given: *const lai_engine_options) -> Result<EngineOptions, Failure> {
    // SAFETY: as documented.
    let given = unsafe { options::read(given) }?;
    if given.reserved != 0 {
        return Err(Failure::argument("options.reserved", "must be 0"));
    }
    // SAFETY: as documented.
    let (storage, home, settings) = unsafe {
        (
            given.storage.get("options.storage")?,
            given.home.get("options.home")?,
            given.settings.get("options.settings")?,
        )
    };
    Ok(EngineOptions {
        storage: storage.map(PathBuf::from),
        home: home.map(PathBuf::from),
        workers: given.workers as usize,
        settings: settings_of(settings)?,
    })
}

/// The settings of options: a JSON object, empty when absent.
pub(super) fn settings_of(text: Option<String>) -> Result<Map<String, Value>, Failure> {
    let settings = text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
        let place = Some("options.settings".to_owned());
        Failure { place, ..Failure::new(ErrorKind::Settings, error.to_string()) }
    })?;
    Ok(settings.unwrap_or_default())
}
