//! A workspace of the size of a real project, the same in every run.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

pub const FILES: usize = 10_000;
const FOLDERS: usize = 500;
/// Files that a change touches.
pub const CHANGED: usize = FILES / 100;

pub struct Workspace {
    pub root: PathBuf,
    pub bytes: usize,
    random: u64,
    round: usize,
}

impl Workspace {
    pub fn create(root: PathBuf) -> Workspace {
        let mut workspace = Workspace { root, bytes: 0, random: 0x9e37_79b9_7f4a_7c15, round: 0 };
        for file in 0..FILES {
            let path = workspace.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = workspace.text();
            workspace.bytes += text.len();
            fs::write(path, text).unwrap();
        }
        workspace
    }

    /// Lets the clock of the file system go on, so that no file looks as if it had just been written.
    pub fn rest(&self) {
        thread::sleep(Duration::from_millis(200));
    }

    /// Writes every hundredth file anew, other ones each time.
    pub fn change(&mut self) {
        self.round += 1;
        for file in (self.round % 100..FILES).step_by(FILES / CHANGED) {
            fs::write(self.path(file), self.text()).unwrap();
        }
        self.rest();
    }

    pub fn change_one(&mut self) {
        self.round += 1;
        fs::write(self.path(self.round % FILES), self.text()).unwrap();
        self.rest();
    }

    fn path(&self, file: usize) -> PathBuf {
        let folder = file % FOLDERS;
        self.root.join(format!("crate-{}/module-{}/file-{}.rs", folder / 25, folder % 25, file / FOLDERS))
    }

    /// A source text of 100 bytes to 20 KiB; most are short.
    fn text(&mut self) -> String {
        let draw = self.next() % 1000;
        let length = 100 + 20 * draw * draw / 1000;
        let mut text = String::new();
        while text.len() < length as usize {
            let number = self.next();
            text.push_str(&format!(
                "    let value_{:x} = compute({}, {});\n",
                number >> 48,
                number & 0xff,
                number >> 40 & 0xff
            ));
        }
        text
    }

    /// xorshift
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
