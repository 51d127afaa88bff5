//! Clients: submit, next, release, wait.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use super::engine::{ENGINES, lai_engine};
use super::error::{Failure, lai_error};
use super::event::lai_event;
use super::guard;
use super::handles::Handles;
use super::options::{self, lai_client_options};
use super::status::{LAI_AGAIN, LAI_OK, LAI_TIMEOUT, lai_status};
use super::strings::{self, lai_str};
use crate::engine::{Client, ClientOptions, SubmitError};
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::Request;
use crate::transport::{RawEvent, RingSize, Waited};

/// What a host reads events from and submits requests to. Submit from any thread; next, release and wait from one
/// thread at a time.
pub enum lai_client {}

/// Most events one call of `lai_client_next` gives.
const BATCH: usize = 64;

pub(super) static CLIENTS: Handles<Attached> = Handles::new("client");

/// A client, and whether somebody reads it.
pub(super) struct Attached {
    pub client: Client,
    reading: Mutex<()>,
}

impl Attached {
    pub fn new(client: Client) -> Attached {
        Attached { client, reading: Mutex::new(()) }
    }

    /// Makes this thread the one that reads.
    pub fn read(&self) -> Result<MutexGuard<'_, ()>, Failure> {
        match self.reading.try_lock() {
            Ok(reading) => Ok(reading),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(ErrorKind::Busy, "another thread is reading this client"))
            }
        }
    }
}

/// Attaches a client to an engine. `options` may be NULL. Free it with `lai_client_free`.
///
/// # Safety
/// `options` is NULL or holds `struct_size` readable bytes and texts; `client` may be written; `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_new(
    engine: *const lai_engine,
    options: *const lai_client_options,
    client: *mut *mut lai_client,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = guard::output(client, "client")?;
        let engine = ENGINES.get(engine)?;
        // SAFETY: as documented.
        let options = unsafe { client_options(options) }?;
        let handle = CLIENTS.insert(Attached::new(engine.client(options)?))?;
        // SAFETY: not NULL, writable as documented.
        unsafe { client.write(handle) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Detaches and frees the client; its sessions end. NULL and freed handles are fine. Events it gave are gone.
#[unsafe(no_mangle)]
pub extern "C" fn lai_client_free(client: *mut lai_client) {
    guard::quietly(|| {
        if guard::is_own_process() {
            drop(CLIENTS.remove(client));
        }
    });
}

/// Submits a request in its JSON form. `request` (may be NULL) becomes the id that its `request.done` or `request.failed`
/// event carries. `LAI_AGAIN`: the engine is behind, nothing was queued. Never blocks.
///
/// # Safety
/// `json` is readable; `request` and `error` are NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_submit(
    client: *const lai_client,
    json: lai_str,
    request: *mut u64,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = CLIENTS.get(client)?;
        // SAFETY: as documented.
        let text = unsafe { json.required("json") }?;
        // SAFETY: as documented.
        unsafe { submit(&client, &Request::from_json(&text)?, request) }
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Submits a request and writes its id.
///
/// # Safety
/// `id` is NULL or may be written.
pub(super) unsafe fn submit(client: &Attached, request: &Request, id: *mut u64) -> Result<lai_status, Failure> {
    match client.client.submit(request) {
        Ok(number) => {
            if !id.is_null() {
                // SAFETY: not NULL, writable as documented.
                unsafe { id.write(number.raw()) };
            }
            Ok(LAI_OK)
        }
        Err(SubmitError::Again) => Ok(LAI_AGAIN),
        Err(error) => Err(error.into()),
    }
}

/// Gives up to `capacity` (at most 64) of the oldest unread events, without copying and without a system call; `count`
/// becomes their number, 0 when none waits. They stay valid until released. Read until 0 before sleeping on the handle
/// of `lai_client_fd`.
///
/// # Safety
/// `events` has room for `capacity` events; `count` may be written; `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_next(
    client: *const lai_client,
    events: *mut lai_event,
    capacity: usize,
    count: *mut usize,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let count = guard::output(count, "count")?;
        let events = guard::output(events, "events")?;
        if capacity == 0 {
            return Err(Failure::argument("capacity", "must not be 0"));
        }
        let client = CLIENTS.get(client)?;
        let _reading = client.read()?;
        let mut batch = [RawEvent::EMPTY; BATCH];
        let batch = &mut batch[..capacity.min(BATCH)];
        let found = client.client.next(batch)?;
        for (at, event) in batch.iter().take(found).enumerate() {
            let session = client.client.session_id(event).map_or(0, |id| id.raw());
            // SAFETY: `at` is below `capacity`, room the caller vouches for.
            unsafe { events.add(at).write(lai_event::of(event, session)) };
        }
        // SAFETY: not NULL, writable as documented.
        unsafe { count.write(found) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Gives back the oldest `count` events; nothing of them may be used afterwards. More than were given is an error.
///
/// # Safety
/// `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_release(
    client: *const lai_client,
    count: usize,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = CLIENTS.get(client)?;
        let _reading = client.read()?;
        match client.client.release(count) {
            released if released == count => Ok(LAI_OK),
            released => Err(Failure::argument("count", format!("only {released} events were held"))),
        }
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Waits until events wait: `LAI_OK`, `LAI_TIMEOUT`, or, when all was read, `LAI_ERR_CLOSED` if the engine is closed and
/// `LAI_ERR_LOST` if its process died.
/// A negative `timeout_ms` waits without limit. With `spin_us` it looks that long without sleeping first.
///
/// # Safety
/// `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_wait(
    client: *const lai_client,
    timeout_ms: i64,
    spin_us: u32,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let client = CLIENTS.get(client)?;
        let _reading = client.read()?;
        let timeout = u64::try_from(timeout_ms).ok().map(|ms| Duration::from_millis(ms.min(MAX_WAIT_MS)));
        match client.client.wait(timeout, Duration::from_micros(spin_us.min(MAX_SPIN_US).into())) {
            Waited::Ready => Ok(LAI_OK),
            Waited::TimedOut => Ok(LAI_TIMEOUT),
            Waited::Closed => Err(Failure::new(ErrorKind::Closed, "the engine is closed")),
            Waited::Lost => Err(Failure::new(ErrorKind::Lost, "the engine's process is gone")),
        }
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// A day: keeps deadline arithmetic far from its limits.
const MAX_WAIT_MS: u64 = 86_400_000;
/// A tenth of a second: a longer spin only burns a processor.
const MAX_SPIN_US: u32 = 100_000;

/// The handle to poll (a file descriptor; on Windows a HANDLE): readable when events wait that `lai_client_next` has not
/// told of. It belongs to the client: poll it, never read or close it.
///
/// # Safety
/// `fd` may be written; `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_client_fd(
    client: *const lai_client,
    fd: *mut isize,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let fd = guard::output(fd, "fd")?;
        let client = CLIENTS.get(client)?;
        #[cfg(unix)]
        let handle = client.client.fd() as isize;
        #[cfg(windows)]
        let handle = client.client.handle() as isize;
        // SAFETY: not NULL, writable as documented.
        unsafe { fd.write(handle) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// # Safety
/// As `lai_client_new`.
unsafe fn client_options(given: *const lai_client_options) -> Result<ClientOptions, Failure> {
    // SAFETY: as documented.
    let given = unsafe { options::read(given) }?;
    Ok(ClientOptions {
        // SAFETY: as documented.
        capabilities: unsafe { strings::list(given.capabilities, given.capability_count, "options.capabilities") }?,
        events: ring_size(given.event_slots, given.event_bytes, RingSize::EVENTS),
        requests: ring_size(given.request_slots, given.request_bytes, RingSize::REQUESTS),
    })
}

/// Sizes of a ring, 0 being the default's.
pub(super) fn ring_size(slots: u32, bytes: u32, default: RingSize) -> Option<RingSize> {
    let or = |value, default| if value == 0 { default } else { value };
    Some(RingSize { slots: or(slots, default.slots), arena_bytes: or(bytes, default.arena_bytes) })
}
