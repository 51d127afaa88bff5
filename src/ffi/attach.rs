//! Clients of an engine in another process.

use std::path::PathBuf;
use std::time::Duration;

use super::client::{Attached, CLIENTS, lai_client, ring_size};
use super::engine::settings_of;
use super::error::{Failure, lai_error};
use super::guard;
use super::options::{
    self, LAI_ATTACH_OBSERVE, LAI_ATTACH_SHARE, LAI_ATTACH_SPARE, LAI_ATTACH_START, lai_attach_options,
};
use super::status::{LAI_OK, lai_status};
use super::strings;
use crate::engine::{AttachError, AttachOptions, Client, ClientOptions, Start};
use crate::transport::RingSize;

/// Attaches to an engine that serves in another process (`lapce-ai serve`), and with `LAI_ATTACH_START` starts it when none
/// answers. `options` may be NULL. Free the client with `lai_client_free`.
///
/// # Safety
/// `options` is NULL or holds `struct_size` readable bytes and texts; `client` may be written; `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_attach(
    options: *const lai_attach_options,
    client: *mut *mut lai_client,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = guard::output(client, "client")?;
        // SAFETY: as documented.
        let options = unsafe { attach_options(options) }?;
        guard::own_process();
        let handle = CLIENTS.insert(Attached::new(Client::attach(options)?))?;
        // SAFETY: not NULL, writable as documented.
        unsafe { client.write(handle) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Goes on after `LAI_ERR_LOST`: attaches again, trying for `timeout_ms` and starting an engine if the client may. Events held
/// stay valid; what was left unread comes first, then what the engine kept; unanswered requests are sent again under their
/// ids. `restored` (may be NULL) becomes false when the engine lost its journal and knows nothing of this client. Does nothing
/// when nothing is lost; after an error it may be called again. Then read until 0 before sleeping on the same handle.
///
/// # Safety
/// `restored` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_reattach(
    client: *const lai_client,
    timeout_ms: u32,
    restored: *mut bool,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = CLIENTS.get(client)?;
        let _reading = client.read()?;
        let outcome = client.client.reattach(Duration::from_millis(timeout_ms.into()))?;
        if !restored.is_null() {
            // SAFETY: not NULL, writable as documented.
            unsafe { restored.write(outcome.restored) };
        }
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// # Safety
/// As `lai_client_attach`.
unsafe fn attach_options(given: *const lai_attach_options) -> Result<AttachOptions, Failure> {
    // SAFETY: as documented.
    let given = unsafe { options::read(given) }?;
    if given.reserved != 0 {
        return Err(Failure::argument("options.reserved", "must be 0"));
    }
    // SAFETY: as documented.
    let (capabilities, name, id, runtime_dir, program, storage, home, settings) = unsafe {
        (
            strings::list(given.capabilities, given.capability_count, "options.capabilities")?,
            given.name.get("options.name")?,
            given.id.get("options.id")?,
            given.runtime_dir.get("options.runtime_dir")?,
            given.program.get("options.program")?,
            given.storage.get("options.storage")?,
            given.home.get("options.home")?,
            given.settings.get("options.settings")?,
        )
    };
    let settings = settings_of(settings)?;
    let has = |flag| given.flags & flag != 0;
    let spare = has(LAI_ATTACH_SPARE).then(|| "--spare".into());
    let start = Start {
        program: program.map(PathBuf::from).or_else(program_beside_library),
        storage: storage.map(PathBuf::from),
        home: home.map(PathBuf::from),
        settings,
        arguments: ["--exit-when-unused".into()].into_iter().chain(spare).collect(),
    };
    Ok(AttachOptions {
        client: ClientOptions {
            capabilities,
            events: ring_size(given.event_slots, given.event_bytes, RingSize::EVENTS),
            requests: ring_size(given.request_slots, given.request_bytes, RingSize::REQUESTS),
        },
        name: name.unwrap_or_default(),
        id,
        share: has(LAI_ATTACH_SHARE),
        observe: has(LAI_ATTACH_OBSERVE),
        runtime_dir: runtime_dir.map(PathBuf::from),
        start: has(LAI_ATTACH_START).then_some(start),
        timeout: (given.timeout_ms != 0).then(|| Duration::from_millis(given.timeout_ms.into())),
    })
}

/// The program that was installed together with this library, if it lies beside it.
#[cfg(unix)]
fn program_beside_library() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;

    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: an address of our own code, and a struct that may be written.
    let found = unsafe { libc::dladdr(lai_client_attach as *const libc::c_void, &mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr gives a terminated name that lives as long as the object, which is never unloaded while we run.
    let library = OsStr::from_bytes(unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes());
    let program = PathBuf::from(library).with_file_name("lapce-ai");
    (program.is_absolute() && program.is_file()).then_some(program)
}

#[cfg(not(unix))]
fn program_beside_library() -> Option<PathBuf> {
    None
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Failure {
        let failure = Failure::new(error.kind(), error.to_string());
        match error {
            AttachError::Option { place, message } => Failure::argument(&format!("options.{place}"), message),
            AttachError::NoEngine { .. } => {
                let hint = "start `lapce-ai serve`, or attach with LAI_ATTACH_START";
                Failure { hint: Some(hint.to_owned()), ..failure }
            }
            AttachError::Version(_) => {
                let hint = "stop the engine of the other version, or use the library that belongs to it";
                Failure { hint: Some(hint.to_owned()), ..failure }
            }
            _ => failure,
        }
    }
}
