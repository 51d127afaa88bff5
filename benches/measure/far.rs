//! The other side of a figure: this program again, in a process of its own.

use std::process::{Child, Command, Stdio};

/// A process that belongs to one figure; it is gone when this is dropped.
pub struct Far(pub Child);

impl Far {
    /// Starts this program as `far <arguments>`, `input` as its standard input.
    pub fn spawn(arguments: &[&str], input: impl Into<Stdio>) -> Far {
        Far::of(Command::new(std::env::current_exe().unwrap()).arg("far").args(arguments).stdin(input))
    }

    /// Starts another program.
    pub fn of(command: &mut Command) -> Far {
        Far(command.spawn().unwrap())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}
