//! Options. Each begins with its size as the host knows it, so that it can grow; zero means default; what this build does
//! not know must be zero.

use super::error::Failure;
use super::strings::lai_str;

/// Options of an engine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_engine_options {
    /// `sizeof(lai_engine_options)`.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// Threads of the runtime; 0: two.
    pub workers: u32,
    /// 0.
    pub reserved: u32,
    /// Folder for tasks and history; absent: `lapce-ai` in the user's data folder.
    pub storage: lai_str,
    /// The user's home folder; absent: from the environment.
    pub home: lai_str,
    /// JSON object of settings that differ from the defaults.
    pub settings: lai_str,
}

/// Options of a client.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_client_options {
    /// `sizeof(lai_client_options)`.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// Slots of the event ring, a power of two; 0: 1,024.
    pub event_slots: u32,
    /// Bytes of the event ring, a power of two; 0: 1 MiB.
    pub event_bytes: u32,
    /// Slots of the request ring, a power of two; 0: 256.
    pub request_slots: u32,
    /// Bytes of the request ring, a power of two; 0: 256 KiB.
    pub request_bytes: u32,
    /// Host request methods this host answers.
    pub capabilities: *const lai_str,
    /// Number of them.
    pub capability_count: usize,
}

/// Other clients of the same user may see and answer this one's sessions.
pub const LAI_ATTACH_SHARE: u32 = 1;
/// See the sessions that others share.
pub const LAI_ATTACH_OBSERVE: u32 = 2;
/// Start an engine when none answers. It ends by itself a minute after its last client has left.
pub const LAI_ATTACH_START: u32 = 4;
/// A started engine keeps a process waiting that takes its place at once when it dies.
pub const LAI_ATTACH_SPARE: u32 = 8;

/// Options of a client of an engine in another process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_attach_options {
    /// `sizeof(lai_attach_options)`.
    pub struct_size: u32,
    /// `LAI_ATTACH_…` or 0.
    pub flags: u32,
    /// Slots of the event ring, a power of two; 0: 1,024.
    pub event_slots: u32,
    /// Bytes of the event ring, a power of two; 0: 1 MiB.
    pub event_bytes: u32,
    /// Slots of the request ring, a power of two; 0: 256.
    pub request_slots: u32,
    /// Bytes of the request ring, a power of two; 0: 256 KiB.
    pub request_bytes: u32,
    /// How long to try; 0: five seconds with `LAI_ATTACH_START`, otherwise once.
    pub timeout_ms: u32,
    /// 0.
    pub reserved: u32,
    /// Host request methods this host answers.
    pub capabilities: *const lai_str,
    /// Number of them.
    pub capability_count: usize,
    /// Name for people, such as that of the editor.
    pub name: lai_str,
    /// 32 lower-case hex digits. A host that keeps them gets its sessions back after it was restarted itself; absent: random.
    pub id: lai_str,
    /// Folder of the engine's socket; absent: the user's runtime folder.
    pub runtime_dir: lai_str,
    /// To start: the `lapce-ai` program; absent: beside this library, beside the executable, or on the search path.
    pub program: lai_str,
    /// To start: folder for tasks and history; absent: `lapce-ai` in the user's data folder.
    pub storage: lai_str,
    /// To start: the user's home folder; absent: from the environment.
    pub home: lai_str,
    /// To start: JSON object of settings that differ from the defaults. It reaches the engine through a socket only it holds.
    pub settings: lai_str,
}

/// Collect edits instead of writing them.
pub const LAI_TASK_DRY_RUN: u32 = 1;

/// A task to start.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_task_options {
    /// `sizeof(lai_task_options)`.
    pub struct_size: u32,
    /// `LAI_TASK_DRY_RUN` or 0.
    pub flags: u32,
    /// Absolute path of the workspace; required.
    pub workspace: lai_str,
    /// What the user wants; required.
    pub text: lai_str,
    /// Images as data URLs.
    pub images: *const lai_str,
    /// Number of them.
    pub image_count: usize,
    /// Slug of the mode to start in.
    pub mode: lai_str,
    /// Name of the provider profile.
    pub profile: lai_str,
    /// JSON object of settings that differ for this session.
    pub settings: lai_str,
    /// Todo list to start with, as Markdown check list.
    pub todos: lai_str,
}

/// A raw call of the model.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lai_completion_options {
    /// `sizeof(lai_completion_options)`.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// System prompt.
    pub system: lai_str,
    /// JSON list of messages, each `{role, content}`; required.
    pub messages: lai_str,
    /// JSON object of parameters of the provider.
    pub parameters: lai_str,
    /// Name of the provider profile; absent: the active one.
    pub profile: lai_str,
}

/// An options struct: only numbers and pointers, so that all zeros is a value.
///
/// # Safety
/// The type is `repr(C)`, begins with `struct_size: u32, flags: u32`, and zero bytes are a valid value.
pub(super) unsafe trait Options: Copy {
    /// Flags this build knows.
    const FLAGS: u32;
    /// Size of the first published version.
    const SMALLEST: usize;
}

// SAFETY: as the trait asks, see the definitions.
unsafe impl Options for lai_engine_options {
    const FLAGS: u32 = 0;
    const SMALLEST: usize = 64;
}
// SAFETY: as above.
unsafe impl Options for lai_client_options {
    const FLAGS: u32 = 0;
    const SMALLEST: usize = 40;
}
// SAFETY: as above.
unsafe impl Options for lai_attach_options {
    const FLAGS: u32 = LAI_ATTACH_SHARE | LAI_ATTACH_OBSERVE | LAI_ATTACH_START | LAI_ATTACH_SPARE;
    const SMALLEST: usize = 160;
}
// SAFETY: as above.
unsafe impl Options for lai_task_options {
    const FLAGS: u32 = LAI_TASK_DRY_RUN;
    const SMALLEST: usize = 120;
}
// SAFETY: as above.
unsafe impl Options for lai_completion_options {
    const FLAGS: u32 = 0;
    const SMALLEST: usize = 72;
}

/// Largest `struct_size` that is believed: a later version of us may know more, not this much more.
const LARGEST: usize = 4096;

/// Copies options of any version; NULL gives the defaults.
///
/// # Safety
/// `options` is NULL or points to as many readable bytes as its first word says.
pub(super) unsafe fn read<T: Options>(options: *const T) -> Result<T, Failure> {
    // SAFETY: zeros are a value of every `Options`.
    let mut known: T = unsafe { std::mem::zeroed() };
    if options.is_null() {
        return Ok(known);
    }
    // SAFETY: at least the first two words are there; they may lie unaligned.
    let [size, flags] = unsafe { options.cast::<[u32; 2]>().read_unaligned() };
    let size = size as usize;
    let smallest = if cfg!(target_pointer_width = "64") { T::SMALLEST.max(8) } else { 8 };
    if !(smallest..=LARGEST).contains(&size) {
        return Err(Failure::argument("options.struct_size", format!("{size}, expected {}", size_of::<T>())));
    }
    if flags & !T::FLAGS != 0 {
        return Err(Failure::argument("options.flags", format!("unknown flags {:#x}", flags & !T::FLAGS)));
    }
    // SAFETY: `size` bytes are readable by the caller's promise, and no more than `T` holds are written.
    unsafe {
        let to = std::ptr::from_mut(&mut known).cast::<u8>();
        std::ptr::copy_nonoverlapping(options.cast::<u8>(), to, size.min(size_of::<T>()));
    }
    for at in size_of::<T>()..size {
        // SAFETY: within the `size` bytes of the caller's promise.
        if unsafe { options.cast::<u8>().add(at).read() } != 0 {
            return Err(Failure::argument("options", format!("byte {at} is set and unknown to this version")));
        }
    }
    Ok(known)
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<lai_str>() == 16);
    assert!(size_of::<lai_engine_options>() == 64 && offset_of!(lai_engine_options, settings) == 48);
    assert!(size_of::<lai_client_options>() == 40 && offset_of!(lai_client_options, capabilities) == 24);
    assert!(size_of::<lai_attach_options>() == 160 && offset_of!(lai_attach_options, settings) == 144);
    assert!(size_of::<lai_task_options>() == 120 && offset_of!(lai_task_options, todos) == 104);
    assert!(size_of::<lai_completion_options>() == 72 && offset_of!(lai_completion_options, profile) == 56);
};
