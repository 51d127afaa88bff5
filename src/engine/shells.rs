//! Which shell a prompt names (spec 03 §4.9): the first that is told, when it is a well-known one.

/// Where paths of shells are those of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Paths with backslashes, in any case.
    Windows,
    /// macOS.
    Mac,
    /// Linux and its like.
    Unix,
}

impl System {
    /// The one we run on.
    pub fn here() -> System {
        if cfg!(windows) {
            System::Windows
        } else if cfg!(target_os = "macos") {
            System::Mac
        } else {
            System::Unix
        }
    }

    fn fallback(self) -> &'static str {
        match self {
            System::Windows => r"C:\Windows\System32\cmd.exe",
            System::Mac => "/bin/zsh",
            System::Unix => "/bin/bash",
        }
    }
}

/// The first of `told` that says anything, if it is a well-known shell; else the usual one of the system.
pub fn named<'a>(system: System, told: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let first = told.into_iter().flatten().find(|path| !path.is_empty());
    first.filter(|path| is_known(system, path)).unwrap_or(system.fallback()).to_owned()
}

/// Whether a prompt may name this shell.
fn is_known(system: System, path: &str) -> bool {
    if system == System::Windows { is_known_on_windows(path) } else { is_known_on_unix(path) }
}

fn is_known_on_unix(path: &str) -> bool {
    const PLAIN: [&str; 12] =
        ["sh", "bash", "dash", "ash", "csh", "tcsh", "ksh", "ksh93", "mksh", "pdksh", "zsh", "busybox"];
    const RARE: [&str; 6] = ["fish", "elvish", "xonsh", "nu", "nushell", "ion"];
    let path = normal(path, '/');
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    match folder {
        "/bin" => PLAIN.contains(&name),
        "/usr/bin" => PLAIN.contains(&name) || RARE.contains(&name),
        "/usr/local/bin" => ["bash", "zsh", "tcsh"].contains(&name) || RARE.contains(&name),
        "/opt/homebrew/bin" | "/opt/local/bin" => ["bash", "zsh", "fish"].contains(&name),
        _ => false,
    }
}

fn is_known_on_windows(path: &str) -> bool {
    const KNOWN: [&str; 15] = [
        r"c:\windows\system32\windowspowershell\v1.0\powershell.exe",
        r"c:\program files\powershell\7\pwsh.exe",
        r"c:\program files\powershell\6\pwsh.exe",
        r"c:\program files\powershell\5\pwsh.exe",
        r"c:\windows\system32\cmd.exe",
        r"c:\windows\system32\wsl.exe",
        r"c:\program files\git\bin\bash.exe",
        r"c:\program files\git\usr\bin\bash.exe",
        r"c:\program files (x86)\git\bin\bash.exe",
        r"c:\program files (x86)\git\usr\bin\bash.exe",
        r"c:\msys64\usr\bin\bash.exe",
        r"c:\msys32\usr\bin\bash.exe",
        r"c:\mingw\msys\1.0\bin\bash.exe",
        r"c:\cygwin64\bin\bash.exe",
        r"c:\cygwin\bin\bash.exe",
    ];
    KNOWN.contains(&normal(&path.replace('/', r"\").to_lowercase(), '\\').as_str())
}

/// A path without empty steps, `.` and `..`.
fn normal(path: &str, separator: char) -> String {
    let mut steps = Vec::new();
    for step in path.split(separator) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    let rooted = if path.starts_with(separator) { separator.to_string() } else { String::new() };
    rooted + &steps.join(&separator.to_string())
}

/// The shell of a user's account in the text of `/etc/passwd`.
pub fn of_account(passwd: &str, user: u32) -> Option<&str> {
    let line = passwd.lines().find(|line| line.split(':').nth(2).and_then(|id| id.parse().ok()) == Some(user))?;
    line.split(':').nth(6).filter(|shell| !shell.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §4.9: the host's shell, the account's, the environment's; one that is not well known gives the system's usual one
    #[test]
    fn the_first_that_is_told_counts_if_it_is_well_known() {
        use System::{Mac, Unix, Windows};
        for (system, told, shell) in [
            (Unix, [Some("/usr/bin/fish"), Some("/bin/zsh"), Some("/bin/sh")], "/usr/bin/fish"),
            (Unix, [None, Some("/bin/zsh"), Some("/bin/sh")], "/bin/zsh"),
            (Unix, [Some(""), None, Some("/bin//sh")], "/bin//sh"),
            (Unix, [None, Some("/usr/sbin/nologin"), Some("/bin/zsh")], "/bin/bash"),
            (Mac, [None, None, None], "/bin/zsh"),
            (Mac, [Some("/opt/homebrew/bin/fish"), None, None], "/opt/homebrew/bin/fish"),
            (Windows, [None, None, Some(r"c:\WINDOWS\system32\CMD.exe")], r"c:\WINDOWS\system32\CMD.exe"),
            (Windows, [Some("C:/Program Files/Git/bin/bash.exe"), None, None], "C:/Program Files/Git/bin/bash.exe"),
            (Windows, [Some("/bin/bash"), None, None], r"C:\Windows\System32\cmd.exe"),
        ] {
            assert_eq!(named(system, told), shell, "{told:?}");
        }
    }

    #[test]
    fn only_well_known_shells_are_named() {
        for (path, known) in [
            ("/bin/bash", true),
            ("/usr/bin/fish", true),
            ("/usr/local/bin/zsh", true),
            ("/usr/../bin/./bash", true),
            ("/usr/local/bin/sh", false),
            ("/bin/fish", false),
            ("/tmp/bash", false),
            ("/bin/../tmp/bash", false),
            ("bash", false),
            ("bin/bash", false),
            ("/bin/rm", false),
        ] {
            assert_eq!(is_known(System::Unix, path), known, "{path}");
        }
    }

    #[test]
    fn an_account_has_the_shell_of_its_line() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# no account\nme:x:1000:1000:Me,,,:/home/me:/usr/bin/zsh\nnone:x:7:7::/:\n";
        for (user, shell) in [(0, Some("/bin/bash")), (1000, Some("/usr/bin/zsh")), (7, None), (8, None)] {
            assert_eq!(of_account(passwd, user), shell, "{user}");
        }
    }
}
