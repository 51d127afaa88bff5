//! What the tests share: chance that can be repeated, and an engine's site with the work that is done there.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::workload::Workload;
use crate::served::Site;

/// Numbers that a seed repeats. Says its seed when the test fails.
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    pub fn new() -> Dice {
        let given = std::env::var("LAPCE_AI_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = given.unwrap_or_else(clock);
        Dice { seed, state: seed }
    }

    /// A number below `end` (splitmix64).
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// Lets up to half a millisecond pass without giving up the processor.
    pub fn spin(&mut self) {
        let end = Duration::from_nanos(self.below(500_000) as u64);
        let begin = Instant::now();
        while begin.elapsed() < end {
            std::hint::spin_loop();
        }
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Written past the capture of test output, which may be cut.
            let _ = writeln!(std::io::stderr(), "LAPCE_AI_KILL_SEED={}", self.seed);
        }
    }
}

/// An engine's site and the work of its sessions. Whatever serves there at the end is killed.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub site: Site,
    pub workload: Workload,
}

impl Scene {
    pub fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let workload = Workload::new(&root);
        let settings = json!({
            "apiProvider": "openai", "openAiBaseUrl": workload.serve(), "openAiApiKey": "k", "openAiModelId": "m",
            "alwaysAllowReadOnly": true, "allowedCommands": ["*"], "writeDelayMs": 0,
        });
        Scene { site: Site::new(&root, &settings), workload, folder }
    }

    pub fn kill_engine(&self) {
        if let Some(pid) = self.site.pid() {
            // It may be gone already.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kill_engine();
        if std::thread::panicking() {
            let stderr = std::fs::read_to_string(self.site.stderr()).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "the engine said: {stderr}");
        }
    }
}

/// How many deaths there are, of either side together.
pub fn rounds() -> usize {
    std::env::var("LAPCE_AI_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200)
}
