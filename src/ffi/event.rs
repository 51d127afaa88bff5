//! Events and the fields of their records.

use std::borrow::Cow;

use super::error::{Failure, lai_error};
use super::guard;
use super::status::{
    LAI_ABSENT, LAI_ERR_INVALID_ARGUMENT, LAI_ERR_NOT_FOUND, LAI_ERR_NOT_SUPPORTED, LAI_OK, lai_status,
};
use super::strings::{lai_str, lai_string};
use crate::protocol::event::{self, EventKind};
use crate::protocol::failure::ErrorKind;
use crate::protocol::field::Field;
use crate::protocol::record::FieldView;
use crate::transport::RawEvent;

/// The text was merged from several events of the same kind.
pub const LAI_EVENT_COALESCED: u32 = crate::transport::FLAG_COALESCED as u32;

/// One event. Filled by `lai_client_next`; `data` is valid until it is released.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_event {
    /// The body: UTF-8 text for `…_DELTA` and `…_OUTPUT`, else a record to be read by the functions below. Text of an attached
    /// client lies in memory that the engine's process can still change: take it as bytes, and check what you rely on.
    pub data: *const std::ffi::c_char,
    /// Bytes of the body.
    pub len: usize,
    /// The session; 0 for events of the engine itself.
    pub session: u64,
    /// What it is about: the id of the request, message, call, ask or host request; else 0.
    pub subject: u64,
    /// Number of the event at this client; grows.
    pub sequence: u64,
    /// `LAI_EVENT_…`. Skip what you do not know.
    pub kind: u32,
    /// `LAI_EVENT_COALESCED` or 0.
    pub flags: u32,
    /// Number of the event in its session, without gaps; 0: may be merged, not numbered. Wraps. Events of no session are
    /// numbered by client.
    pub session_sequence: u32,
    /// 0.
    pub reserved: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<lai_event>() == 56 && std::mem::offset_of!(lai_event, kind) == 40);

impl lai_event {
    pub(super) fn of(raw: &RawEvent, session: u64) -> lai_event {
        lai_event {
            data: raw.ptr.cast(),
            len: raw.len,
            session,
            subject: raw.correlation,
            sequence: raw.sequence,
            kind: u32::from(raw.kind),
            flags: u32::from(raw.flags),
            session_sequence: raw.session_sequence,
            reserved: 0,
        }
    }

    /// The body of a structured event.
    ///
    /// # Safety
    /// The event came from `lai_client_next` and was not released, and is not one of text.
    unsafe fn record(&self) -> &[u8] {
        if self.data.is_null() || self.len > isize::MAX as usize {
            return &[];
        }
        // SAFETY: the bytes of an unreleased event are readable. Those of a structured one lie in memory of this process, of an
        // attached client in its copy or in a sealed object, and do not change.
        unsafe { std::slice::from_raw_parts(self.data.cast(), self.len) }
    }

    /// A copy of the body: another process may change the text of an attached client.
    ///
    /// # Safety
    /// The event came from `lai_client_next` and was not released.
    unsafe fn copy(&self) -> Vec<u8> {
        if self.data.is_null() || self.len > isize::MAX as usize {
            return Vec::new();
        }
        let mut bytes = Vec::with_capacity(self.len);
        // SAFETY: readable as above, and no reference is formed over it; the copy has the capacity, and all of it is written.
        unsafe {
            std::ptr::copy_nonoverlapping(self.data.cast(), bytes.as_mut_ptr(), self.len);
            bytes.set_len(self.len);
        }
        bytes
    }
}

/// A text field. `LAI_ABSENT` when it has no value; `LAI_ERR_NOT_FOUND` when this event has no such text field.
/// Free-form values are given as their JSON text.
///
/// # Safety
/// `event` came from `lai_client_next` and was not released; `value` may be written. The same for all fields.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_str(event: *const lai_event, field: u32, value: *mut lai_str) -> lai_status {
    // SAFETY: as documented.
    unsafe { plain_text(event, field, value).unwrap_or_else(|| get(event, field, value, text)) }
}

/// An integer field (ids, counts, milliseconds, tokens).
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_int(event: *const lai_event, field: u32, value: *mut i64) -> lai_status {
    // SAFETY: as documented.
    unsafe { get(event, field, value, integer) }
}

/// A floating-point field (cost).
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_float(event: *const lai_event, field: u32, value: *mut f64) -> lai_status {
    let float = |view: FieldView<'_>| match view {
        FieldView::Float(number) => Some(number),
        _ => None,
    };
    // SAFETY: as documented.
    unsafe { get(event, field, value, float) }
}

/// A field that is true or false.
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_bool(event: *const lai_event, field: u32, value: *mut bool) -> lai_status {
    let truth = |view: FieldView<'_>| match view {
        FieldView::Bool(truth) => Some(truth),
        _ => None,
    };
    // SAFETY: as documented.
    unsafe { get(event, field, value, truth) }
}

/// Number of rows of a list field.
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_count(event: *const lai_event, list: u32, value: *mut usize) -> lai_status {
    let count = |view: FieldView<'_>| match view {
        FieldView::List(rows) => Some(rows.count()),
        _ => None,
    };
    // SAFETY: as documented.
    unsafe { get(event, list, value, count) }
}

/// A text of one row of a list field; `field` is of no matter for lists of plain texts. `LAI_ABSENT` beyond the last row.
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_item_str(
    event: *const lai_event,
    list: u32,
    row: usize,
    field: u32,
    value: *mut lai_str,
) -> lai_status {
    // SAFETY: as documented.
    unsafe { cell(event, list, row, field, value, text) }
}

/// An integer of one row of a list field.
///
/// # Safety
/// As `lai_event_str`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_item_int(
    event: *const lai_event,
    list: u32,
    row: usize,
    field: u32,
    value: *mut i64,
) -> lai_status {
    // SAFETY: as documented.
    unsafe { cell(event, list, row, field, value, integer) }
}

/// The event as one JSON object; free it with `lai_string_free`.
///
/// # Safety
/// As `lai_event_str`; `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lai_event_json(
    event: *const lai_event,
    json: *mut *mut lai_string,
    error: *mut *mut lai_error,
) -> lai_status {
    let body = || {
        let json = guard::output(json, "json")?;
        // SAFETY: NULL or readable, as documented.
        let event = unsafe { event.as_ref() }.ok_or_else(|| Failure::argument("event", "NULL"))?;
        let kind = u16::try_from(event.kind).unwrap_or(0);
        let is_text = EventKind::from_number(kind).is_some_and(EventKind::is_text);
        // SAFETY: as documented, and of its kind.
        let bytes: Cow<'_, [u8]> = unsafe { if is_text { event.copy().into() } else { event.record().into() } };
        let text = event::event_to_json(kind, event.session, event.subject, &bytes).map_err(|error| {
            let known = EventKind::from_number(kind).is_some();
            let kind = if known { ErrorKind::InvalidArgument } else { ErrorKind::NotSupported };
            Failure { place: Some("event".to_owned()), ..Failure::new(kind, error.to_string()) }
        })?;
        // SAFETY: not NULL, writable as documented.
        unsafe { json.write(lai_string::give(text)) };
        Ok(LAI_OK)
    };
    // SAFETY: as documented.
    unsafe { guard::enter(error, body) }
}

/// Name of an event kind, such as `message.delta`; absent when unknown. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn lai_event_kind_name(kind: u32) -> lai_str {
    let known = u16::try_from(kind).ok().and_then(EventKind::from_number);
    known.map_or(lai_str::EMPTY, |kind| lai_str::of(kind.as_str()))
}

fn text(view: FieldView<'_>) -> Option<lai_str> {
    match view {
        FieldView::Str(text) => Some(lai_str::of(text)),
        _ => None,
    }
}

fn integer(view: FieldView<'_>) -> Option<i64> {
    match view {
        FieldView::Int(number) => Some(number),
        _ => None,
    }
}

/// The text of an event that is nothing else: handed on as it lies, without a look at the bytes.
///
/// # Safety
/// As `lai_event_str`.
unsafe fn plain_text(event: *const lai_event, field: u32, value: *mut lai_str) -> Option<lai_status> {
    // SAFETY: NULL or readable, as documented.
    let event = unsafe { event.as_ref() }?;
    let kind = u16::try_from(event.kind).ok().and_then(EventKind::from_number)?;
    if value.is_null() || !kind.is_text() || Field::from_number(field) != Some(Field::Text) {
        return None;
    }
    // SAFETY: not NULL, writable as documented.
    unsafe { value.write(lai_str { ptr: event.data, len: event.len }) };
    Some(LAI_OK)
}

/// # Safety
/// As `lai_event_str`.
unsafe fn get<T>(
    event: *const lai_event,
    field: u32,
    value: *mut T,
    read: impl Fn(FieldView<'_>) -> Option<T>,
) -> lai_status {
    // SAFETY: as documented.
    guard::plainly(|| unsafe { with_field(event, field, value.is_null(), |view| write(view, value, &read)) })
}

/// # Safety
/// As `lai_event_str`.
unsafe fn cell<T>(
    event: *const lai_event,
    list: u32,
    row: usize,
    field: u32,
    value: *mut T,
    read: impl Fn(FieldView<'_>) -> Option<T>,
) -> lai_status {
    let inner = |view: FieldView<'_>| match view {
        // SAFETY: as documented.
        FieldView::List(rows) => unsafe {
            write(rows.cell(row, Field::from_number(field).unwrap_or(Field::Text)), value, &read)
        },
        FieldView::Absent => LAI_ABSENT,
        _ => LAI_ERR_NOT_FOUND,
    };
    // SAFETY: as documented.
    guard::plainly(|| unsafe { with_field(event, list, value.is_null(), inner) })
}

/// # Safety
/// As `lai_event_str`.
unsafe fn with_field(
    event: *const lai_event,
    field: u32,
    is_null: bool,
    then: impl FnOnce(FieldView<'_>) -> lai_status,
) -> lai_status {
    // SAFETY: NULL or readable, as documented.
    let Some(event) = (unsafe { event.as_ref() }) else { return LAI_ERR_INVALID_ARGUMENT };
    if is_null {
        return LAI_ERR_INVALID_ARGUMENT;
    }
    let Some(kind) = u16::try_from(event.kind).ok().and_then(EventKind::from_number) else {
        return LAI_ERR_NOT_SUPPORTED;
    };
    let Some(field) = Field::from_number(field) else { return LAI_ERR_NOT_FOUND };
    // The one field of a text is given by `plain_text`; the others are told apart without its bytes.
    // SAFETY: as documented, and not of text.
    let record = if kind.is_text() { &[] } else { unsafe { event.record() } };
    match kind.field(record, field) {
        Ok(view) => then(view),
        Err(_) => LAI_ERR_INVALID_ARGUMENT,
    }
}

/// # Safety
/// `value` may be written.
unsafe fn write<T>(view: FieldView<'_>, value: *mut T, read: &impl Fn(FieldView<'_>) -> Option<T>) -> lai_status {
    if matches!(view, FieldView::Absent) {
        return LAI_ABSENT;
    }
    match read(view) {
        Some(found) => {
            // SAFETY: the caller's promise.
            unsafe { value.write(found) };
            LAI_OK
        }
        None => LAI_ERR_NOT_FOUND,
    }
}
