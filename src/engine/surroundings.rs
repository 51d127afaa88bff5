//! The one place that reads clock, environment, home folder and operating system; everything else gets values.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(unix)]
use super::shells;

/// Bytes of a list of accounts that are read.
#[cfg(unix)]
const MAX_PASSWD: u64 = 1 << 20;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// A fresh UUID v4.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Nanoseconds since the Unix epoch.
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as u64)
}

/// 32 lower-case hex digits, random.
pub fn random_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A random number of 0 to 1.
pub fn random() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u64 >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// The user's home folder; the root folder when the environment does not tell.
pub fn home() -> PathBuf {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|home| home.is_absolute())
        .unwrap_or_else(|| PathBuf::from("/"))
}

/// Folder for tasks and settings when the host names none: the user's data folder.
pub fn default_storage(home: &Path) -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|data| data.is_absolute());
    if cfg!(target_os = "macos") {
        home.join("Library/Application Support/lapce-ai")
    } else if cfg!(windows) {
        std::env::var_os("APPDATA").map_or_else(|| home.join("AppData/Roaming"), PathBuf::from).join("lapce-ai")
    } else {
        data.unwrap_or_else(|| home.join(".local/share")).join("lapce-ai")
    }
}

/// Folder of the sockets of engines in processes of their own (ring §8): of the session's runtime folder, else one of this
/// user's in the folder for temporary files. Whoever uses it checks owner and mode.
#[cfg(unix)]
pub fn default_runtime_dir() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let usual = PathBuf::from(format!("/run/user/{user}"));
    match given.or_else(|| usual.is_dir().then_some(usual)) {
        Some(runtime) => runtime.join("lapce-ai"),
        None => std::env::temp_dir().join(format!("lapce-ai-{user}")),
    }
}

/// The environment for child processes.
pub fn environment() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    std::env::vars_os().collect()
}

/// The environment as providers see it: variables whose name and value are text.
pub fn environment_text() -> std::collections::HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The `lapce-ai` program: beside the running executable, else the first on the search path, else by its bare name.
pub fn program() -> PathBuf {
    let name = format!("lapce-ai{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A relative folder on the search path would make it depend on where the host happens to stand.
    let folders = beside.into_iter().chain(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    folders.map(|folder| folder.join(&name)).find(|program| program.is_file()).unwrap_or_else(|| name.into())
}

/// Shells that prompts may name (spec 03 §4.9), the first counts: of the user's account, of the environment.
pub fn shells() -> [Option<String>; 2] {
    let variable = if cfg!(windows) { "COMSPEC" } else { "SHELL" };
    [login_shell(), std::env::var(variable).ok()]
}

/// The shell of the user's account, where a file tells.
fn login_shell() -> Option<String> {
    #[cfg(unix)]
    {
        let mut passwd = String::new();
        let file = std::fs::File::open("/etc/passwd").ok()?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_PASSWD), &mut passwd).ok()?;
        shells::of_account(&passwd, rustix::process::getuid().as_raw()).map(str::to_owned)
    }
    #[cfg(not(unix))]
    None
}

/// The locale of the user's messages as the environment gives it, such as `de_DE.UTF-8`; empty when it does not tell.
pub fn locale() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default()
}

/// Operating system for the prompt: `Linux <major.minor>`, `macOS`, `Windows`.
pub fn operating_system() -> String {
    #[cfg(unix)]
    {
        let release = rustix::system::uname();
        if cfg!(target_os = "linux") {
            let version: Vec<&str> = release.release().to_str().unwrap_or("").split('.').take(2).collect();
            return format!("Linux {}", version.join(".")).trim_end().to_owned();
        }
    }
    if cfg!(target_os = "macos") { "macOS".into() } else { "Windows".into() }
}

/// Name of the system's kind as its kernel gives it: `Linux`, `Darwin`, `Windows_NT`.
pub fn system_name() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows_NT",
        other => other,
    }
}

/// Name of the system's kind as support prompts have it: `linux`, `darwin`, `win32`.
pub fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

/// The shell of the user's terminals: that of the environment, else the usual one of the system.
pub fn terminal_shell() -> String {
    let usual = if cfg!(windows) { "cmd" } else { "bash" };
    std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| usual.to_owned())
}

/// IANA name of the time zone and its offset in minutes east of UTC; UTC when the system does not tell.
pub fn time_zone() -> (String, i32) {
    #[cfg(unix)]
    {
        let zone = std::env::var("TZ").ok().filter(|zone| !zone.is_empty()).or_else(|| {
            let link = std::fs::read_link("/etc/localtime").ok()?;
            link.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
        });
        if let Some(zone) = zone.filter(|zone| !zone.starts_with([':', '/']) && !zone.contains("..")) {
            let file = std::fs::read(Path::new("/usr/share/zoneinfo").join(&zone)).unwrap_or_default();
            if let Some(minutes) = current_offset(&file, now_ms() / 1000) {
                return (zone, minutes);
            }
        }
    }
    ("UTC".into(), 0)
}

/// Offset in minutes that a TZif file (RFC 8536) gives for `now` (seconds since the epoch), from its version 1 block or the
/// version 2 block behind it.
#[cfg(unix)]
fn current_offset(file: &[u8], now: i64) -> Option<i32> {
    let word = |at: usize| file.get(at..at + 4).map(|b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let long = |at: usize| {
        let bytes: [u8; 8] = file.get(at..at + 8)?.try_into().ok()?;
        Some(i64::from_be_bytes(bytes))
    };
    let counts = |at: usize| -> Option<[usize; 6]> {
        let mut counts = [0; 6];
        for (i, count) in counts.iter_mut().enumerate() {
            *count = usize::try_from(word(at + 20 + 4 * i)?).ok().filter(|n| *n < 100_000)?;
        }
        Some(counts)
    };
    if file.get(..4)? != b"TZif" {
        return None;
    }
    let [utc, standard, leaps, times, types, letters] = counts(0)?;
    let second = 44 + times * 5 + types * 6 + letters + leaps * 8 + standard + utc;
    let (header, size) = if file.get(second..second + 4) == Some(b"TZif") { (second, 8) } else { (0, 4) };
    let [_, _, _, times, types, _] = counts(header)?;
    let first = header + 44;
    let mut kind = 0;
    for i in 0..times {
        let at = if size == 8 { long(first + 8 * i)? } else { i64::from(word(first + 4 * i)?) };
        if at > now {
            break;
        }
        kind = usize::from(*file.get(first + times * size + i)?);
    }
    if kind >= types {
        return None;
    }
    Some(word(first + times * (size + 1) + 6 * kind)? / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn zone_files_give_the_offset_in_force() {
        let mut file = b"TZif\0".to_vec();
        file.resize(20, 0);
        for count in [0u32, 0, 0, 1, 2, 8] {
            file.extend(count.to_be_bytes());
        }
        file.extend(1000i32.to_be_bytes()); // from then on type 1
        file.push(1);
        for offset in [3600i32, 7200] {
            file.extend(offset.to_be_bytes());
            file.extend([0, 0]);
        }
        file.extend(b"CET\0CES\0");
        assert_eq!(current_offset(&file, 999), Some(60));
        assert_eq!(current_offset(&file, 1000), Some(120));
        for cut in 0..file.len() {
            let _ = current_offset(&file[..cut], 1000);
        }
        assert_eq!(current_offset(b"TZif", 0), None);
    }
}
