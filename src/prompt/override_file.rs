//! The user's own system prompt for a mode, in place of the built one (spec 03 §9). It reads a file and may block.

use std::path::{Path, PathBuf};

use super::rules::{RulesError, is_file_name, text_of};

/// Values of the variables a file may use, `{{name}}` without inner spaces.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// `workspace`: the working directory, native separators.
    pub workspace: &'a str,
    /// `mode`: its slug.
    pub mode: &'a str,
    /// `language`: a locale such as `en`.
    pub language: &'a str,
    /// `shell`: path of the default shell.
    pub shell: &'a str,
    /// `operatingSystem`: `Linux`, `Darwin` or `Windows_NT`.
    pub operating_system: &'a str,
}

/// The file for the mode of this slug, which need not exist; `None` for a slug that cannot be part of a name.
pub fn path(cwd: &Path, mode: &str) -> Option<PathBuf> {
    is_file_name(mode).then(|| cwd.join(".kilocode").join(format!("system-prompt-{mode}")))
}

/// The text of the file with its variables filled in, in their order; unknown ones stay. `None` without a file, or when it is
/// blank.
///
/// # Errors
/// It is there and cannot be read, or `.kilocode` is a file (kept from the reference).
pub fn read(cwd: &Path, variables: &Variables<'_>) -> Result<Option<String>, RulesError> {
    let Some(path) = path(cwd, variables.mode) else { return Ok(None) };
    let text = text_of(&path)?;
    Ok((!text.is_empty()).then(|| fill(text, variables)))
}

fn fill(text: String, variables: &Variables<'_>) -> String {
    let Variables { workspace, mode, language, shell, operating_system } = *variables;
    [
        ("{{workspace}}", workspace),
        ("{{mode}}", mode),
        ("{{language}}", language),
        ("{{shell}}", shell),
        ("{{operatingSystem}}", operating_system),
    ]
    .into_iter()
    .fold(text, |text, (variable, value)| text.replace(variable, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: Variables<'static> =
        Variables { workspace: "/ws", mode: "code", language: "en", shell: "/bin/sh", operating_system: "Linux" };

    /// parity 03 §checklist.11: every known variable is replaced everywhere, unknown ones stay, a blank file counts as none
    #[test]
    fn variables_are_filled_in() {
        let root = tempfile::tempdir().unwrap();
        let read = || read(root.path(), &VARIABLES).unwrap();
        assert_eq!(read(), None);
        std::fs::create_dir_all(root.path().join(".kilocode")).unwrap();
        let file = root.path().join(".kilocode/system-prompt-code");
        for (text, expected) in [
            (" \n\t\u{feff}\n", None),
            ("\n a {{workspace}}{{workspace}} {{mode}} \n", Some("a /ws/ws code")),
            ("{{shell}} {{language}} {{operatingSystem}}", Some("/bin/sh en Linux")),
            ("{{unknown}} {{ mode }} {mode}", Some("{{unknown}} {{ mode }} {mode}")),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read().as_deref(), expected, "{text:?}");
        }
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(read(), None);
    }

    /// parity 03 §9: any other fault than absence names the file
    /// parity 03 §quirks.23: a file `.kilocode` is a fault
    #[test]
    fn what_cannot_be_read_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(".kilocode"), "a file").unwrap();
        let error = read(root.path(), &VARIABLES).unwrap_err();
        assert_eq!(error.cause.kind(), std::io::ErrorKind::NotADirectory);
        assert!(error.to_string().contains("system-prompt-code"));
        for slug in ["../x", "a/b", "a\\b", "", "c:d"] {
            assert!(read(root.path(), &Variables { mode: slug, ..VARIABLES }).unwrap().is_none(), "{slug}");
        }
        std::fs::remove_file(root.path().join(".kilocode")).unwrap();
        std::fs::create_dir(root.path().join(".kilocode")).unwrap();
        std::fs::write(root.path().join(".kilocode/system-prompt-code"), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(read(root.path(), &VARIABLES).is_err());
    }
}
