//! The named pipe by which clients find the engine: one name a user, open to that user alone, on this machine alone.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{
    ERROR_SUCCESS, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
    TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX,
    SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, GetNamedPipeClientProcessId, GetNamedPipeServerProcessId, PIPE_READMODE_BYTE,
    PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_DUP_HANDLE, PROCESS_SYNCHRONIZE,
};

/// Bytes that a pipe holds in each direction.
const BUFFER: u32 = 64 << 10;

/// Makes a pipe that waits for a client. The `first` of an engine fails when anyone has a pipe of this name.
pub(super) fn listen(first: bool) -> io::Result<OwnedHandle> {
    let sid = User::ours()?.text()?;
    // Owned by us, nothing inherited, everything allowed to us and nothing to anyone else.
    let descriptor = descriptor(&format!("O:{sid}D:P(A;;GA;;;{sid})"))?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    let open = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | if first { FILE_FLAG_FIRST_PIPE_INSTANCE } else { 0 };
    let mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
    let name = wide(&name(&sid));
    // SAFETY: a name that ends with 0 and attributes, both alive for the call.
    owned(unsafe {
        CreateNamedPipeW(name.as_ptr(), open, mode, PIPE_UNLIMITED_INSTANCES, BUFFER, BUFFER, 0, &attributes)
    })
}

/// Connects to the engine of our user.
///
/// # Errors
/// `NotFound` when none listens; `PermissionDenied` when the pipe is not of our own user.
pub(super) fn connect() -> io::Result<OwnedHandle> {
    let user = User::ours()?;
    let name = wide(&name(&user.text()?));
    // The other end may learn who we are, and do nothing in our name.
    let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
    let access = GENERIC_READ | GENERIC_WRITE;
    // SAFETY: a name that ends with 0, alive for the call; no attributes, no template.
    let pipe = unsafe { CreateFileW(name.as_ptr(), access, 0, null(), OPEN_EXISTING, flags, null_mut()) };
    let pipe = owned(pipe)?;
    if !is_owner(&pipe, &user)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the engine's pipe belongs to another user"));
    }
    Ok(pipe)
}

/// The process at the client's end of a pipe of ours, to fetch handles from and to see it end.
pub(super) fn client_process(pipe: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    let mut id = 0;
    // SAFETY: an open pipe, and room for the result.
    checked(unsafe { GetNamedPipeClientProcessId(pipe.as_raw_handle(), &mut id) })?;
    process(id)
}

/// The process at the engine's end, as [`client_process`].
pub(super) fn server_process(pipe: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    let mut id = 0;
    // SAFETY: an open pipe, and room for the result.
    checked(unsafe { GetNamedPipeServerProcessId(pipe.as_raw_handle(), &mut id) })?;
    process(id)
}

fn process(id: u32) -> io::Result<OwnedHandle> {
    // SAFETY: numbers only.
    let process = unsafe { OpenProcess(PROCESS_DUP_HANDLE | PROCESS_SYNCHRONIZE, 0, id) };
    owned(process)
}

fn name(sid: &str) -> String {
    format!(r"\\.\pipe\lapce-ai-{sid}")
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn checked(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Owns a new handle; functions say that there is none in one of two ways.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made for us.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A user, as a process's token names him.
struct User {
    /// A `TOKEN_USER` and the id that it points to, aligned for both; the longest id has 68 bytes.
    token: Box<[u64; 16]>,
}

impl User {
    fn ours() -> io::Result<User> {
        let mut token = null_mut();
        // SAFETY: this process, and room for the result.
        checked(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
        let token = owned(token)?;
        // On the heap, because it points into itself.
        let mut user = User { token: Box::new([0; 16]) };
        let (to, room) = (user.token.as_mut_ptr().cast::<c_void>(), size_of_val(&*user.token) as u32);
        let mut len = 0;
        // SAFETY: an open token, and `room` bytes for the result.
        checked(unsafe { GetTokenInformation(token.as_raw_handle(), TokenUser, to, room, &mut len) })?;
        Ok(user)
    }

    fn sid(&self) -> PSID {
        // SAFETY: `ours` filled it in.
        unsafe { (*self.token.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// `S-1-5-21-…`
    fn text(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: a valid id, and room for the result.
        checked(unsafe { ConvertSidToStringSidW(self.sid(), &mut text) })?;
        let text = Local(text.cast());
        // SAFETY: the system gives a text that ends with 0.
        let units = unsafe {
            let start = text.0.cast::<u16>();
            let len = (0..).take_while(|at| *start.add(*at) != 0).count();
            std::slice::from_raw_parts(start, len)
        };
        String::from_utf16(units).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// Who may do what with an object, from its text form.
fn descriptor(sddl: &str) -> io::Result<Local> {
    let sddl = wide(sddl);
    let mut descriptor = null_mut();
    // SAFETY: a text that ends with 0, room for the result, and no wish for its length.
    checked(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            sddl.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            null_mut(),
        )
    })?;
    Ok(Local(descriptor))
}

fn is_owner(object: &OwnedHandle, user: &User) -> io::Result<bool> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: an open handle, and room for the two results that are asked for; `owner` points into `descriptor`.
    let error = unsafe {
        GetSecurityInfo(
            object.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if error != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(error as i32));
    }
    let _descriptor = Local(descriptor);
    // SAFETY: two valid ids.
    Ok(!owner.is_null() && unsafe { EqualSid(owner, user.sid()) } != 0)
}

/// Memory that the system allocated for us.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: allocated by a function whose documentation asks for this.
        unsafe { LocalFree(self.0) };
    }
}

mod tests {
    use super::super::objects::{create_region, fetch, open_region};
    use super::*;
    use std::os::windows::io::AsHandle;

    /// One test, because the name is one a user.
    #[test]
    fn a_client_reaches_the_engine_of_its_user_and_both_fetch_objects() {
        assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::NotFound);
        let ours = listen(true).unwrap();
        assert!(listen(true).is_err(), "the name is taken");
        let theirs = connect().unwrap();
        for process in [client_process(ours.as_handle()).unwrap(), server_process(theirs.as_handle()).unwrap()] {
            let (object, _mapping) = create_region(4096).unwrap();
            let fetched = fetch(process.as_handle(), object.as_raw_handle() as u64).unwrap();
            open_region(fetched.as_handle(), 4096).unwrap();
            assert!(fetch(process.as_handle(), u64::MAX - 100).is_err());
        }
    }
}
