//! Support prompts (spec 03 §13): small jobs beside a task, each a template whose `${name}` are filled in. The user may replace
//! any of them by the setting `customSupportPrompts`.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::text::{TextError, Texts};
use crate::ecma;

/// Name that stands for a text made of the value `diagnostics`.
const DIAGNOSTICS: &str = "diagnosticText";

macro_rules! prompts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of support prompts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SupportPrompt {
            $($(#[$doc])* $variant,)*
        }

        impl SupportPrompt {
            /// All kinds.
            pub const ALL: &'static [SupportPrompt] = &[$(SupportPrompt::$variant,)*];

            /// The name in requests and settings.
            pub const fn as_str(self) -> &'static str {
                match self { $(SupportPrompt::$variant => $name,)* }
            }

            /// The kind of this name.
            pub fn parse(name: &str) -> Option<SupportPrompt> {
                match name { $($name => Some(SupportPrompt::$variant),)* _ => None }
            }
        }
    };
}

prompts! {
    /// Improves what the user has written: `userInput`.
    Enhance = "ENHANCE",
    /// The prompt that sums a conversation up, as a text to start one's own from.
    Condense = "CONDENSE",
    /// Explains code: `filePath`, `startLine`, `endLine`, `userInput`, `selectedText`.
    Explain = "EXPLAIN",
    /// Repairs code: those of [`SupportPrompt::Explain`], and `diagnostics`.
    Fix = "FIX",
    /// Improves code: those of [`SupportPrompt::Explain`].
    Improve = "IMPROVE",
    /// Shows code: those of [`SupportPrompt::Explain`] but `userInput`.
    AddToContext = "ADD_TO_CONTEXT",
    /// Shows a terminal's output: `userInput`, `terminalContent`.
    TerminalAddToContext = "TERMINAL_ADD_TO_CONTEXT",
    /// Repairs a command: `userInput`, `terminalContent`.
    TerminalFix = "TERMINAL_FIX",
    /// Explains a command: `userInput`, `terminalContent`.
    TerminalExplain = "TERMINAL_EXPLAIN",
    /// Writes a command: `userInput`, `operatingSystem`, `currentDirectory`, `shell`.
    TerminalGenerate = "TERMINAL_GENERATE",
    /// A task of the user's words alone: `userInput`.
    NewTask = "NEW_TASK",
    /// Writes a commit message: `customInstructions`, `gitContext`.
    CommitMessage = "COMMIT_MESSAGE",
}

impl SupportPrompt {
    /// The template: the user's own, else the built-in one.
    ///
    /// # Errors
    /// A text pack has broken the built-in one.
    pub fn template(self, texts: &Texts, own: Option<&Map<String, Value>>) -> Result<String, TextError> {
        if let Some(template) = own.and_then(|own| own.get(self.as_str())?.as_str()) {
            return Ok(template.to_owned());
        }
        let mut template = texts.layout(&format!("layout.support.{}", self.as_str()), ())?;
        if self == SupportPrompt::TerminalGenerate {
            template.push('\n');
        }
        Ok(template)
    }

    /// The prompt: the template with `values` filled in.
    ///
    /// # Errors
    /// As [`SupportPrompt::template`].
    pub fn create(
        self,
        texts: &Texts,
        own: Option<&Map<String, Value>>,
        values: &Map<String, Value>,
    ) -> Result<String, TextError> {
        Ok(fill(&self.template(texts, own)?, values, texts))
    }
}

/// The template with each `${name}` on one line replaced by the value of that name, by nothing if there is none. What was filled in
/// is not looked at again.
pub fn fill(template: &str, values: &Map<String, Value>, texts: &Texts) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once("${") {
        filled.push_str(before);
        // A name ends on its line. Where none ends, none begins before the line is over.
        let end = tail.find(['}', '\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        let Some(after) = after.strip_prefix('}') else {
            filled.push_str("${");
            filled.push_str(name);
            rest = after;
            continue;
        };
        match (name, values.get(name)) {
            (DIAGNOSTICS, _) => filled.push_str(&diagnostics(values.get("diagnostics"), texts)),
            (_, Some(Value::String(text))) => filled.push_str(text),
            (_, Some(other)) => filled.push_str(&ecma::text::text_of(other)),
            (_, None) => {}
        }
        rest = after;
    }
    filled + rest
}

/// The problems of an editor, a line each under a heading; nothing if there are none.
fn diagnostics(list: Option<&Value>, texts: &Texts) -> String {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}", texts.get("support.diagnostics.heading"));
    for diagnostic in list {
        let source = diagnostic["source"].as_str().filter(|source| !source.is_empty()).unwrap_or("Error");
        let _ = write!(text, "\n- [{source}] {}", diagnostic["message"].as_str().unwrap_or_default());
        match &diagnostic["code"] {
            Value::String(code) if !code.is_empty() => drop(write!(text, " ({code})")),
            Value::Number(code) if code.as_f64() != Some(0.0) => drop(write!(text, " ({code})")),
            _ => {}
        }
    }
    text
}

/// A command as a model answered [`SupportPrompt::TerminalGenerate`], without the fence it may have put around it (spec 03 §13.5).
pub fn command_of(answer: &str) -> String {
    let mut command = ecma::trim(answer);
    if let Some(fenced) = command.strip_prefix("```") {
        let is_language = |line: &str| line.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        command = fenced.split_once('\n').filter(|(line, _)| is_language(line)).map_or(fenced, |(_, rest)| rest);
    }
    if let Some(rest) = command.strip_suffix("```") {
        command = rest;
    }
    ecma::trim(command).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, values: Value) -> String {
        fill(template, values.as_object().expect("an object"), &Texts::builtin())
    }

    /// parity 03 §checklist.31: an unknown name is nothing, and values are not looked at again
    /// parity 03 §13.1: names are the shortest match on one line
    #[test]
    fn names_are_filled_in_once() {
        let values = json!({"a": "A${b}", "b": "B", "n": 7, "x${a": "odd", "": "empty"});
        for (template, expected) in [
            ("${a}|${b}|${c}|${n}", "A${b}|B||7"),
            ("$a {a} $ ${a", "$a {a} $ ${a"),
            ("${a\n}${b}", "${a\n}B"),
            ("${b\u{2028}${b}", "${b\u{2028}B"),
            ("${x${a}}", "odd}"),
            ("${}${constructor}", "empty"),
            ("äö${b}ü", "äöBü"),
        ] {
            assert_eq!(filled(template, values.clone()), expected, "{template:?}");
        }
        let unclosed = "${".repeat(200_000);
        assert_eq!(filled(&unclosed, values), unclosed);
    }

    /// parity 03 §13.1: problems stand under a heading, after a line end, with source and code
    #[test]
    fn problems_are_listed() {
        let list = json!({"diagnostics": [
            {"source": "rustc", "message": "mismatched types", "code": "E0308"},
            {"message": "no source", "code": 0},
            {"source": "", "message": "a number", "code": 12},
        ]});
        let heading = Texts::builtin().get("support.diagnostics.heading");
        let expected =
            format!("\n{heading}\n- [rustc] mismatched types (E0308)\n- [Error] no source\n- [Error] a number (12)");
        assert_eq!(filled("${diagnosticText}", list), expected);
        assert_eq!(filled("<${diagnosticText}>", json!({"diagnosticText": "given", "diagnostics": []})), "<>");
    }

    /// parity 03 §13.1: the user's own template goes before the built-in one, and may be empty
    #[test]
    fn the_users_template_goes_first() {
        let texts = Texts::builtin();
        let own = json!({"ENHANCE": "Better: ${userInput}", "NEW_TASK": "", "FIX": null});
        let own = own.as_object();
        let values = json!({"userInput": "do it", "filePath": "a.rs", "startLine": "1", "endLine": 2});
        let values = values.as_object().expect("an object");
        let create = |prompt: SupportPrompt| prompt.create(&texts, own, values).expect("valid texts");
        assert_eq!(create(SupportPrompt::Enhance), "Better: do it");
        assert_eq!(create(SupportPrompt::NewTask), "");
        assert!(create(SupportPrompt::Fix).lines().next().expect("a line").ends_with("a.rs:1-2"));
        let built_in = SupportPrompt::NewTask.create(&texts, None, values).expect("valid texts");
        assert_eq!(built_in, "do it");
    }

    #[test]
    fn every_kind_has_a_name_and_a_template() {
        for prompt in SupportPrompt::ALL {
            assert_eq!(SupportPrompt::parse(prompt.as_str()), Some(*prompt));
            let template = prompt.template(&Texts::builtin(), None).expect("valid texts");
            assert!(!template.contains(['⟦', '⟧']), "{template}");
        }
        assert_eq!(SupportPrompt::parse("enhance"), None);
    }

    /// parity 03 §13.5: a fence around the command goes
    #[test]
    fn commands_lose_their_fence() {
        for (answer, command) in [
            (" ls -l \n", "ls -l"),
            ("```bash\nls -l\n```\n", "ls -l"),
            ("```\nls\n```", "ls"),
            ("```ls```", "ls"),
            ("```ls -l\nls\n```", "ls -l\nls"),
            ("echo `date`", "echo `date`"),
            ("", ""),
        ] {
            assert_eq!(command_of(answer), command, "{answer:?}");
        }
    }
}
