//! Which files a task may read (`.kilocodeignore`) and which are write-protected (spec 03 §17–18, spec 05 §1.9).

/// Ignore and protect rules of one workspace. (Filled in with the workspace room.)
pub struct Access {}
