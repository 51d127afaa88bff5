//! What is shown of a terminal's text (spec 03 §16.3).

use crate::ecma;

/// The text of the active terminal without the prompt it waits at. If the last line is a prompt that stands higher up too, what
/// follows there (the last command and its output) is what counts.
pub fn last_command(text: &str) -> String {
    let mut lines: Vec<&str> = ecma::trim(text).split('\n').collect();
    let prompt = lines.last().map(|line| ecma::trim(line)).filter(|line| !line.is_empty());
    let Some(prompt) = prompt else { return String::new() };
    lines.pop();
    let start = lines.iter().rposition(|line| ecma::trim(line).starts_with(prompt)).unwrap_or(0);
    lines.split_off(start).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §16.3: the last command of a terminal
    #[test]
    fn the_last_command_with_its_output_is_shown() {
        for (text, expected) in [
            ("", ""),
            ("  \n", ""),
            ("$", ""),
            ("$ make\nok\n$", "$ make\nok"),
            ("$ a\n1\n$ b\n2\n$ ", "$ b\n2"),
            ("one\ntwo\n> ", "one\ntwo"),
        ] {
            assert_eq!(last_command(text), expected, "{text:?}");
        }
    }
}
