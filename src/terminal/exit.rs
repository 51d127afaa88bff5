//! How a command ended (spec 06 §D.3, signal names of §D.4).

use std::process::ExitStatus;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code of the shell; 0 when a signal ended the shell itself. A command of the shell that died of a signal gives
    /// the shell's own code for it, such as 137.
    pub code: i32,
    /// The signal that ended the shell.
    pub signal: Option<Signal>,
}

/// A signal by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Exit {
    /// The shell could not be started or waited for.
    pub const FAILED: Exit = Exit { code: 1, signal: None };

    pub(super) fn of(status: ExitStatus) -> Exit {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Exit { code: 0, signal: Some(Signal(signal)) };
        }
        Exit { code: status.code().unwrap_or(1), signal: None }
    }
}

impl Signal {
    /// Such as `SIGKILL`.
    pub fn name(self) -> String {
        #[cfg(unix)]
        if let Some((_, name)) = NAMES.iter().find(|(number, _)| *number == self.0) {
            return (*name).to_owned();
        }
        #[cfg(target_os = "linux")]
        match self.0 {
            34 => return "SIGRTMIN".into(),
            35..=49 => return format!("SIGRTMIN+{}", self.0 - 34),
            50..=63 => return format!("SIGRTMAX-{}", 64 - self.0),
            64 => return "SIGRTMAX".into(),
            _ => {}
        }
        format!("Unknown Signal ({})", self.0)
    }

    /// Whether it may leave a core dump.
    pub fn dumps_core(self) -> bool {
        #[cfg(unix)]
        return [libc::SIGQUIT, libc::SIGILL, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV]
            .contains(&self.0);
        #[cfg(not(unix))]
        return false;
    }
}

/// The numbers differ between systems.
#[cfg(unix)]
const NAMES: &[(i32, &str)] = &[
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGSYS, "SIGSYS"),
    #[cfg(target_os = "linux")]
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    #[cfg(target_os = "linux")]
    (libc::SIGPWR, "SIGPWR"),
];

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        let name = |number| Signal(number).name();
        for (number, expected) in [
            (1, "SIGHUP"),
            (9, "SIGKILL"),
            (16, "SIGSTKFLT"),
            (31, "SIGSYS"),
            (34, "SIGRTMIN"),
            (49, "SIGRTMIN+15"),
            (50, "SIGRTMAX-14"),
            (64, "SIGRTMAX"),
        ] {
            assert_eq!(name(number), expected);
        }
        assert_eq!(name(99), "Unknown Signal (99)");
        assert!(Signal(11).dumps_core() && !Signal(9).dumps_core());
    }
}
