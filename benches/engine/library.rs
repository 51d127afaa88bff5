//! The shared library as a C host has it: loaded at run time, spoken to through the C ABI.

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use lapce_ai::ffi::client::lai_client;
use lapce_ai::ffi::engine::lai_engine;
use lapce_ai::ffi::error::lai_error;
use lapce_ai::ffi::event::lai_event;
use lapce_ai::ffi::options::{lai_client_options, lai_engine_options};
use lapce_ai::ffi::strings::lai_str;
use lapce_ai::protocol::event::EventKind;
use tempfile::TempDir;

use crate::host::{settings, start};

type Errors = *mut *mut lai_error;
type EngineNew = unsafe extern "C" fn(*const lai_engine_options, *mut *mut lai_engine, Errors) -> i32;
type ClientNew =
    unsafe extern "C" fn(*const lai_engine, *const lai_client_options, *mut *mut lai_client, Errors) -> i32;
type Submit = unsafe extern "C" fn(*const lai_client, lai_str, *mut u64, Errors) -> i32;
type Wait = unsafe extern "C" fn(*const lai_client, i64, u32, Errors) -> i32;
type Next = unsafe extern "C" fn(*const lai_client, *mut lai_event, usize, *mut usize, Errors) -> i32;
type Release = unsafe extern "C" fn(*const lai_client, usize, Errors) -> i32;

/// A loaded library with an open engine and a client. Both live until the process ends.
pub struct Library {
    library: libloading::Library,
    client: *mut lai_client,
}

impl Library {
    /// Loads the library that was built with this program, opens an engine and attaches a client.
    pub fn open(server: &str, folder: &TempDir) -> Library {
        let file = std::env::current_exe().unwrap().with_file_name(libloading::library_filename("lapce_ai"));
        let storage = folder.path().join("storage").to_str().unwrap().to_owned();
        let home = folder.path().to_str().unwrap();
        let settings = settings(server).to_string();
        // SAFETY: the library is ours and does nothing when it is loaded; names and types are those of its header, and
        // every pointer lives through its call.
        unsafe {
            let library = libloading::Library::new(file).unwrap();
            let options = lai_engine_options {
                struct_size: size_of::<lai_engine_options>() as u32,
                flags: 0,
                workers: 0,
                reserved: 0,
                storage: text(&storage),
                home: text(home),
                settings: text(&settings),
            };
            let (mut engine, mut client) = (null_mut(), null_mut());
            let engine_new = library.get::<EngineNew>(b"lai_engine_new").unwrap();
            assert_eq!(engine_new(&options, &mut engine, null_mut()), 0);
            let client_new = library.get::<ClientNew>(b"lai_client_new").unwrap();
            assert_eq!(client_new(engine, null(), &mut client, null_mut()), 0);
            Library { library, client }
        }
    }

    /// Starts a task; returns when the engine has accepted it.
    pub fn start(&self, folder: &TempDir, model: &str) {
        let request = start(folder, model).to_string();
        // SAFETY: as above; events are released before the next ones are read, and zeros are a value of them.
        unsafe {
            let submit = self.library.get::<Submit>(b"lai_client_submit").unwrap();
            let wait = self.library.get::<Wait>(b"lai_client_wait").unwrap();
            let next = self.library.get::<Next>(b"lai_client_next").unwrap();
            let release = self.library.get::<Release>(b"lai_client_release").unwrap();
            let mut id = 0;
            assert_eq!(submit(self.client, text(&request), &mut id, null_mut()), 0);
            loop {
                let (mut event, mut count): (lai_event, usize) = (std::mem::zeroed(), 0);
                assert_eq!(next(self.client, &mut event, 1, &mut count, null_mut()), 0);
                if count == 0 {
                    assert_eq!(wait(self.client, 60_000, 0, null_mut()), 0, "no event for a minute");
                    continue;
                }
                assert_ne!(event.kind, u32::from(EventKind::RequestFailed.number()));
                release(self.client, 1, null_mut());
                if event.kind == u32::from(EventKind::RequestDone.number()) && event.subject == id {
                    return;
                }
            }
        }
    }
}

fn text(text: &str) -> lai_str {
    lai_str { ptr: text.as_ptr().cast::<c_char>(), len: text.len() }
}
