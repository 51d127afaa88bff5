//! Misuse: every wrong call is a status with an error object, never a crash.

use std::ptr::{null, null_mut, without_provenance_mut};

use super::attach::*;
use super::client::*;
use super::engine::*;
use super::error::*;
use super::event::*;
use super::options::*;
use super::request::*;
use super::status::*;
use super::strings::*;
use crate::protocol::event::{Event, RequestDone};
use crate::protocol::field::Field;
use crate::protocol::json::Json;

/// An engine with one client on a folder of its own.
struct Host {
    engine: *mut lai_engine,
    client: *mut lai_client,
    _home: tempfile::TempDir,
}

fn host() -> Host {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    let options = lai_engine_options {
        struct_size: size_of::<lai_engine_options>() as u32,
        workers: 1,
        storage: lai_str::of(&path),
        home: lai_str::of(&path),
        ..zeroed()
    };
    let (mut engine, mut client) = (null_mut(), null_mut());
    // SAFETY: valid options, outputs on the stack.
    unsafe {
        assert_eq!(lai_engine_new(&options, &mut engine, null_mut()), LAI_OK);
        assert_eq!(lai_client_new(engine, null(), &mut client, null_mut()), LAI_OK);
    }
    Host { engine, client, _home: home }
}

impl Drop for Host {
    fn drop(&mut self) {
        lai_client_free(self.client);
        lai_engine_free(self.engine);
    }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: only used for option structs, whose zeros are a value.
    unsafe { std::mem::zeroed() }
}

fn view(text: lai_str) -> String {
    // SAFETY: a view the library gave.
    unsafe { text.get("view") }.ok().flatten().unwrap_or_default()
}

/// Runs a call that must fail with `status`, and gives `place: message` of its error.
fn refused(status: lai_status, call: impl FnOnce(*mut *mut lai_error) -> lai_status) -> String {
    let mut error = null_mut();
    assert_eq!(call(&mut error), status);
    // SAFETY: the error the call gave, freed once.
    unsafe {
        assert_eq!(lai_error_status(error), status);
        assert!(!view(lai_error_kind(error)).is_empty());
        let text = format!("{}: {}", view(lai_error_place(error)), view(lai_error_message(error)));
        lai_error_free(error);
        text
    }
}

fn submit(client: *const lai_client, text: lai_str, error: *mut *mut lai_error) -> lai_status {
    // SAFETY: a readable text or NULL.
    unsafe { lai_client_submit(client, text, null_mut(), error) }
}

#[test]
fn null_is_refused_by_name() {
    let host = host();
    // SAFETY: NULL where the functions must check it.
    unsafe {
        assert_eq!(refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_engine_new(null(), null_mut(), e)), "engine: NULL");
        let mut client = null_mut();
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_new(null(), null(), &mut client, e)),
            "engine: NULL"
        );
        assert!(client.is_null());
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_next(host.client, null_mut(), 1, &mut 0, e)),
            "events: NULL"
        );
        assert_eq!(refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_fd(host.client, null_mut(), e)), "fd: NULL");
        assert_eq!(refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_engine_stats(host.engine, null_mut(), e)), "stats: NULL");
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_task_start(host.client, null(), null_mut(), e)),
            "options: NULL"
        );
        assert_eq!(refused(LAI_ERR_INVALID_ARGUMENT, |e| submit(host.client, lai_str::EMPTY, e)), "json: NULL");
        let lying = lai_str { ptr: null(), len: 5 };
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| submit(host.client, lying, e)),
            "json: NULL with a length of 5"
        );
        // Without an error object, and of functions that free or look.
        assert_eq!(lai_client_wait(null(), 0, 0, null_mut()), LAI_ERR_INVALID_ARGUMENT);
        assert_eq!(lai_event_str(null(), 1, null_mut()), LAI_ERR_INVALID_ARGUMENT);
        lai_error_free(null_mut());
        lai_string_free(null_mut());
        lai_engine_free(null_mut());
        lai_client_free(null_mut());
        assert_eq!(lai_error_status(null()), LAI_OK);
        assert_eq!(lai_string_view(null()).len, 0);
    }
}

#[test]
fn handles_that_were_freed_or_made_up_are_errors() {
    let host = host();
    let other = super::tests::host();
    let (engine, client) = (other.engine, other.client);
    drop(other);
    // SAFETY: handles are never followed.
    unsafe {
        assert_eq!(refused(LAI_ERR_CLOSED, |e| lai_client_wait(client, 0, 0, e)), "client: was freed");
        assert_eq!(refused(LAI_ERR_CLOSED, |e| lai_engine_close(engine, 0, null_mut(), e)), "engine: was freed");
        let made_up: *mut lai_client = without_provenance_mut(usize::MAX - 3);
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_wait(made_up, 0, 0, e)),
            "client: not a handle of this library"
        );
        lai_client_free(made_up);
        lai_client_free(client);
        lai_engine_free(engine);
        assert_eq!(lai_client_wait(host.client, 0, 0, null_mut()), LAI_TIMEOUT);
    }
}

#[test]
fn a_closed_engine_answers_closed() {
    let host = host();
    let mut left = 9;
    // SAFETY: outputs on the stack.
    unsafe {
        assert_eq!(lai_engine_close(host.engine, 2000, &mut left, null_mut()), LAI_OK);
        assert_eq!(left, 0);
        assert_eq!(lai_engine_close(host.engine, 2000, null_mut(), null_mut()), LAI_OK);
        let mut client = null_mut();
        refused(LAI_ERR_CLOSED, |e| lai_client_new(host.engine, null(), &mut client, e));
    }
    refused(LAI_ERR_CLOSED, |e| submit(host.client, lai_str::of(r#"{"type":"engine.info"}"#), e));
}

#[test]
fn texts_that_are_not_utf8_are_refused() {
    let host = host();
    let bytes = b"{\"type\":\"\xff\"}";
    let text = lai_str { ptr: bytes.as_ptr().cast(), len: bytes.len() };
    assert_eq!(refused(LAI_ERR_INVALID_UTF8, |e| submit(host.client, text, e)), "json: not UTF-8 at byte 9");
}

#[test]
fn options_of_other_versions_are_checked() {
    #[repr(C)]
    struct Later {
        known: lai_engine_options,
        new: u64,
    }
    let refuse = |options: *const lai_engine_options| {
        let mut engine = null_mut();
        // SAFETY: options of the size they name.
        let text = refused(LAI_ERR_INVALID_ARGUMENT, |e| unsafe { lai_engine_new(options, &mut engine, e) });
        assert!(engine.is_null());
        text
    };
    let size = size_of::<lai_engine_options>() as u32;
    let with = |struct_size: u32, flags: u32| lai_engine_options { struct_size, flags, ..zeroed() };
    assert_eq!(refuse(&with(0, 0)), "options.struct_size: 0, expected 64");
    assert_eq!(refuse(&with(12, 0)), "options.struct_size: 12, expected 64");
    assert_eq!(refuse(&with(u32::MAX, 0)), "options.struct_size: 4294967295, expected 64");
    assert_eq!(refuse(&with(size, 4)), "options.flags: unknown flags 0x4");
    assert_eq!(refuse(&lai_engine_options { reserved: 1, ..with(size, 0) }), "options.reserved: must be 0");
    let later = Later { known: with(size_of::<Later>() as u32, 0), new: 1 };
    let refusal = refuse(std::ptr::from_ref(&later).cast());
    assert_eq!(refusal, "options: byte 64 is set and unknown to this version");
}

#[test]
fn wrong_settings_sizes_and_capabilities_name_their_place() {
    let host = host();
    let mut engine = null_mut();
    let mut client = null_mut();
    let size = size_of::<lai_client_options>() as u32;
    // SAFETY: valid structs with wrong contents.
    unsafe {
        let settings = lai_engine_options {
            struct_size: size_of::<lai_engine_options>() as u32,
            settings: lai_str::of("[1]"),
            ..zeroed()
        };
        assert!(
            refused(LAI_ERR_SETTINGS, |e| lai_engine_new(&settings, &mut engine, e)).starts_with("options.settings")
        );
        let slots = lai_client_options { struct_size: size, event_slots: 3, ..zeroed() };
        refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_new(host.engine, &slots, &mut client, e));
        let names = [lai_str::of("teleport")];
        let capabilities =
            lai_client_options { struct_size: size, capabilities: names.as_ptr(), capability_count: 1, ..zeroed() };
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_new(host.engine, &capabilities, &mut client, e)),
            "options.capabilities: unknown capability `teleport`"
        );
    }
}

#[test]
fn wrong_requests_name_their_place() {
    let host = host();
    let refuse = |json: &str| refused(LAI_ERR_INVALID_REQUEST, |e| submit(host.client, lai_str::of(json), e));
    assert_eq!(refuse(r#"{"type":"task.fly"}"#), "type: unknown request type `task.fly`");
    assert!(refuse(r#"{"type":"task.start","workspace":"w","text":""}"#).starts_with("task.start.workspace: "));
    // SAFETY: valid arguments with wrong contents.
    unsafe {
        let respond = |e| lai_task_respond(host.client, 1, 9, lai_str::EMPTY, null_mut(), e);
        assert_eq!(refused(LAI_ERR_INVALID_ARGUMENT, respond), "response: unknown response 9");
        let both = |e| lai_host_respond(host.client, 1, lai_str::EMPTY, lai_str::EMPTY, null_mut(), e);
        assert_eq!(refused(LAI_ERR_INVALID_REQUEST, both), "host.respond: needs either `result` or `error`");
        assert_eq!(
            refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_client_release(host.client, 3, e)),
            "count: only 0 events were held"
        );
    }
}

/// Reads events until one of a request, and gives its JSON.
fn answer(host: &Host, request: u64) -> serde_json::Value {
    loop {
        let mut events = [zeroed::<lai_event>(); 8];
        let mut count = 0;
        // SAFETY: outputs on the stack; events are released after use.
        unsafe {
            assert_eq!(lai_client_wait(host.client, 20_000, 0, null_mut()), LAI_OK);
            assert_eq!(lai_client_next(host.client, events.as_mut_ptr(), 8, &mut count, null_mut()), LAI_OK);
            let found = events[..count].iter().find(|event| event.subject == request).map(|event| {
                let mut json = null_mut();
                assert_eq!(lai_event_json(event, &mut json, null_mut()), LAI_OK);
                let value = serde_json::from_str(&view(lai_string_view(json))).unwrap();
                lai_string_free(json);
                value
            });
            assert_eq!(lai_client_release(host.client, count, null_mut()), LAI_OK);
            if let Some(value) = found {
                return value;
            }
        }
    }
}

#[test]
fn requests_are_answered() {
    let host = host();
    let ask = |call: &dyn Fn(*mut u64) -> lai_status| {
        let mut request = 0;
        assert_eq!(call(&mut request), LAI_OK);
        answer(&host, request)
    };
    // SAFETY: valid arguments; some ids name nothing.
    unsafe {
        let submit = |json: &str, id: *mut u64| lai_client_submit(host.client, lai_str::of(json), id, null_mut());
        let info = ask(&|id| submit(r#"{"type":"engine.info"}"#, id));
        assert_eq!(info["result"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(ask(&|id| submit(r#"{"type":"index.search","query":"x"}"#, id))["kind"], "not_supported");
        assert_eq!(ask(&|id| lai_task_cancel(host.client, 77, id, null_mut()))["code"], LAI_ERR_STALE);
        assert_eq!(ask(&|id| lai_task_clear(host.client, 77, id, null_mut()))["code"], LAI_ERR_STALE);
        let set_mode = |id| lai_task_set_mode(host.client, 77, lai_str::of("ask"), id, null_mut());
        assert_eq!(ask(&set_mode)["code"], LAI_ERR_STALE);
        let none = lai_str::EMPTY;
        let list = |id| lai_task_list(host.client, none, 0, lai_str::of("nothing"), id, null_mut());
        assert_eq!(ask(&list)["result"], serde_json::json!({"tasks": []}));
        let resume = |id| lai_task_resume(host.client, lai_str::of("t-1"), none, none, id, null_mut());
        assert_eq!(ask(&resume)["kind"], "not_found");
        let respond = |id| lai_task_respond(host.client, 5, LAI_RESPONSE_YES, lai_str::EMPTY, id, null_mut());
        assert_eq!(ask(&respond)["code"], LAI_ERR_STALE);
    }
}

#[test]
fn one_thread_reads_at_a_time() {
    let host = host();
    let client = host.client.addr();
    let waiting = std::thread::spawn(move || {
        let client: *mut lai_client = without_provenance_mut(client);
        loop {
            // SAFETY: handles are never followed.
            match unsafe { lai_client_wait(client, -1, 0, null_mut()) } {
                LAI_ERR_BUSY => std::thread::yield_now(),
                status => return status,
            }
        }
    });
    let mut fd = -1;
    // SAFETY: outputs on the stack.
    unsafe {
        let mut status = LAI_TIMEOUT;
        while status == LAI_TIMEOUT && !waiting.is_finished() {
            status = lai_client_wait(host.client, 0, 0, null_mut());
            std::thread::yield_now();
        }
        assert_eq!(status, LAI_ERR_BUSY);
        lai_engine_close(host.engine, 2000, null_mut(), null_mut());
        assert_eq!(waiting.join().unwrap(), LAI_ERR_CLOSED);
        assert_eq!(lai_client_fd(host.client, &mut fd, null_mut()), LAI_OK);
    }
    assert!(fd >= 0);
}

#[test]
fn fields_are_typed() {
    let event = Event::RequestDone(RequestDone { result: Json::from(serde_json::json!([1])) });
    let mut bytes = vec![0; event.encoded_upper_bound()];
    let len = event.encode_into(&mut bytes).unwrap();
    let record = lai_event { data: bytes.as_ptr().cast(), len, kind: 1, ..zeroed() };
    let result = u32::from(Field::Result.number());
    let mut text = lai_str::EMPTY;
    // SAFETY: an event over a local buffer.
    unsafe {
        assert_eq!(lai_event_str(&record, result, &mut text), LAI_OK);
        assert_eq!(view(text), "[1]");
        assert_eq!(lai_event_str(&record, result, null_mut()), LAI_ERR_INVALID_ARGUMENT);
        assert_eq!(lai_event_int(&record, result, &mut 0), LAI_ERR_NOT_FOUND);
        assert_eq!(lai_event_float(&record, result, &mut 0.0), LAI_ERR_NOT_FOUND);
        assert_eq!(lai_event_bool(&record, result, &mut false), LAI_ERR_NOT_FOUND);
        assert_eq!(lai_event_count(&record, result, &mut 0), LAI_ERR_NOT_FOUND);
        assert_eq!(lai_event_str(&record, 60_000, &mut text), LAI_ERR_NOT_FOUND);
        let cut = lai_event { len: len - 1, ..record };
        assert_eq!(lai_event_str(&cut, result, &mut text), LAI_ERR_INVALID_ARGUMENT);
        let unknown = lai_event { kind: 999, ..record };
        assert_eq!(lai_event_str(&unknown, result, &mut text), LAI_ERR_NOT_SUPPORTED);
        let mut json = null_mut();
        refused(LAI_ERR_NOT_SUPPORTED, |e| lai_event_json(&unknown, &mut json, e));
        refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_event_json(&cut, &mut json, e));
    }
    assert_eq!(view(lai_event_kind_name(1)), "request.done");
    assert_eq!(lai_event_kind_name(70_000).len, 0);
}

#[cfg(unix)]
#[test]
fn attaching_is_checked_like_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").to_str().unwrap().to_owned();
    let size = size_of::<lai_attach_options>() as u32;
    let known = lai_attach_options { struct_size: size, runtime_dir: lai_str::of(&path), ..zeroed() };
    let refuse = |status: lai_status, options: lai_attach_options| {
        let mut client = null_mut();
        // SAFETY: valid structs with wrong contents.
        let text = refused(status, |e| unsafe { lai_client_attach(&options, &mut client, e) });
        assert!(client.is_null());
        text
    };
    let with = |change: &dyn Fn(&mut lai_attach_options)| {
        let mut options = known;
        change(&mut options);
        options
    };
    let invalid = LAI_ERR_INVALID_ARGUMENT;
    assert_eq!(refuse(invalid, with(&|o| o.struct_size = 8)), "options.struct_size: 8, expected 160");
    assert_eq!(refuse(invalid, with(&|o| o.flags = 16)), "options.flags: unknown flags 0x10");
    assert_eq!(refuse(invalid, with(&|o| o.reserved = 1)), "options.reserved: must be 0");
    assert_eq!(refuse(invalid, with(&|o| o.id = lai_str::of("x"))), "options.id: must be 32 lower-case hex digits");
    assert!(refuse(LAI_ERR_SETTINGS, with(&|o| o.settings = lai_str::of("[]"))).starts_with("options.settings: "));
    assert!(refuse(LAI_ERR_LOST, known).contains("no engine answers in "));
    let host = host();
    // SAFETY: handles are never followed; NULL where it is allowed or checked.
    unsafe {
        assert_eq!(refused(invalid, |e| lai_client_attach(&known, null_mut(), e)), "client: NULL");
        let own = |e| lai_client_reattach(host.client, 0, null_mut(), e);
        assert!(refused(LAI_ERR_NOT_SUPPORTED, own).contains("runs in this process"));
        assert_eq!(refused(invalid, |e| lai_client_reattach(null(), 0, null_mut(), e)), "client: NULL");
    }
}

#[test]
fn text_is_handed_on_as_it_lies() {
    let body = b"a\xffb";
    let record = lai_event { data: body.as_ptr().cast(), len: 3, kind: 11, ..zeroed() };
    let (field, mut text) = (u32::from(Field::Text.number()), lai_str::EMPTY);
    // SAFETY: an event over a local buffer.
    unsafe {
        assert_eq!(lai_event_str(&record, field, &mut text), LAI_OK);
        assert_eq!((text.ptr, text.len), (record.data, 3));
        assert_eq!(lai_event_int(&record, field, &mut 0), LAI_ERR_NOT_FOUND);
        assert_eq!(lai_event_str(&record, field, null_mut()), LAI_ERR_INVALID_ARGUMENT);
        let mut json = null_mut();
        assert!(refused(LAI_ERR_INVALID_ARGUMENT, |e| lai_event_json(&record, &mut json, e)).contains("byte 1"));
    }
}
