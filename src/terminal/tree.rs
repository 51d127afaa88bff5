//! Killing a command with everything it started (spec 06 §D.3 "Abort").
//!
//! On Linux that is found in `/proc`: the process group of the shell, whoever still holds the output pipe of the command
//! (a child that made a session of its own and lost its parent has nothing else in common with it), and all descendants of
//! these. They are stopped first, so that none can start another one unseen, and then killed. Elsewhere the process group
//! is killed (on Windows the tree as `taskkill` sees it).

/// The command to kill.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Process id of the shell, which leads its process group; `None` once it was waited for and the number may be another's.
    pub shell: Option<u32>,
    /// Inode of the output pipe.
    pub pipe: u64,
}

/// Kills what is left of a command when whoever drives it is dropped before its end.
pub struct KillOnDrop(pub Option<Tree>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(tree) = self.0 {
            tree.kill();
        }
    }
}

#[cfg(unix)]
impl Tree {
    /// Kills everything. Blocks for some milliseconds; what has ended meanwhile is no error.
    pub fn kill(self) {
        #[cfg(target_os = "linux")]
        linux::kill(self);
        if let Some(group) = self.shell.and_then(pid) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(unix)]
fn pid(number: u32) -> Option<rustix::process::Pid> {
    // 1 and below would name the init process or whole sets of processes.
    i32::try_from(number).ok().filter(|number| *number > 1).and_then(rustix::process::Pid::from_raw)
}

#[cfg(windows)]
impl Tree {
    /// Kills everything. Blocks until it is done.
    pub fn kill(self) {
        if let Some(shell) = self.shell {
            let _ = std::process::Command::new("taskkill").args(["/T", "/F", "/PID", &shell.to_string()]).output();
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use rustix::process::{Signal, kill_process};

    use super::Tree;

    /// Rounds of looking for processes that were started meanwhile; each stops all it finds.
    const ROUNDS: usize = 16;

    pub fn kill(tree: Tree) {
        let mut found = BTreeSet::new();
        for _ in 0..ROUNDS {
            let members = members(tree);
            let new: Vec<u32> = members.difference(&found).copied().collect();
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|number| signal(*number, Signal::STOP));
            found.extend(new);
        }
        found.into_iter().for_each(|number| signal(number, Signal::KILL));
    }

    fn signal(number: u32, signal: Signal) {
        if let Some(pid) = super::pid(number) {
            let _ = kill_process(pid, signal);
        }
    }

    struct Entry {
        pid: u32,
        parent: u32,
        group: u32,
    }

    fn members(tree: Tree) -> BTreeSet<u32> {
        let own = std::process::id();
        let entries: Vec<Entry> = processes().into_iter().filter(|e| e.pid != own && e.pid > 1).collect();
        let belongs =
            |e: &Entry| tree.shell.is_some_and(|shell| e.pid == shell || e.group == shell) || holds(e.pid, tree.pipe);
        let mut members: BTreeSet<u32> = entries.iter().filter(|e| belongs(e)).map(|e| e.pid).collect();
        loop {
            let before = members.len();
            members.extend(entries.iter().filter(|e| members.contains(&e.parent)).map(|e| e.pid).collect::<Vec<_>>());
            if members.len() == before {
                return members;
            }
        }
    }

    fn processes() -> Vec<Entry> {
        let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
        let numbers = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        numbers.filter_map(entry).collect()
    }

    fn entry(pid: u32) -> Option<Entry> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain anything; after it come state, parent, group.
        let rest = stat.get(memchr::memrchr(b')', &stat)? + 1..)?;
        let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().skip(1).map(str::parse::<u32>);
        Some(Entry { pid, parent: fields.next()?.ok()?, group: fields.next()?.ok()? })
    }

    /// Whether the process has the writing end of the pipe open. The reading end does not count: it is ours, and a process
    /// that the host is just starting has a copy of it for a moment.
    fn holds(pid: u32, pipe: u64) -> bool {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let name = format!("pipe:[{pipe}]");
        files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == name.as_str())
                && fs::symlink_metadata(file.path()).is_ok_and(|data| data.mode() & 0o200 != 0)
        })
    }
}
