//! What the system knows of time and of this process.

use std::fs;

/// Nanoseconds of the monotonic clock, the same in all processes.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` may be written; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Seconds of CPU this process has used, in user and kernel mode.
pub fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds of CPU all threads but the first have used. The first only measures, and its own sleep costs something.
pub fn cpu_beside_main() -> f64 {
    let first = std::process::id().to_string();
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten().filter(|thread| *thread.file_name() != *first);
    let nanos = threads.filter_map(|thread| {
        let used = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        used.split(' ').next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

/// Memory of this process now, in MB: resident, and the part of it that is not backed by a file.
pub fn memory() -> (f64, f64) {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    (megabytes(&rollup, "Rss:"), megabytes(&rollup, "Anonymous:"))
}

/// Forgets the peak so far.
pub fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The most that was resident since the last reset, in MB.
pub fn peak() -> f64 {
    megabytes(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

fn megabytes(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap() / 1024.0
}
