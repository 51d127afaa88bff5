//! What a hook answers, and how it fails.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::verdict::Decision;
use crate::ecma;
use crate::prompt::text::{Texts, context};
use crate::protocol::tool::ParamName;
use crate::settings::hooks::HookEvent;
use crate::terminal::Exit;

/// Exit code that denies.
const DENIES: i32 = 2;
/// Longest reason in characters.
const REASON_LIMIT: usize = 4000;

/// What a hook said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Said {
    pub decision: Option<Decision>,
    pub reason: Option<String>,
    /// New values of parameters of the call.
    pub parameters: Option<BTreeMap<String, String>>,
    /// Text for the model.
    pub context: Option<String>,
}

/// Why a hook has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The system did not start it.
    NotStarted(String),
    /// It took too long.
    TimedOut { ms: u128 },
    /// It ended with this code and these words on its standard error.
    Ended { code: i32, errors: String },
    /// A signal ended it.
    Killed { signal: String },
    /// It printed more than is read.
    TooMuch,
    /// What it printed is no answer; where.
    NoAnswer(String),
    /// The host could not run it.
    Host(String),
}

impl Failure {
    /// In words.
    pub fn text(&self, texts: &Texts) -> String {
        match self {
            Failure::NotStarted(cause) => texts.render("hooks.cause.start", context! { cause }),
            Failure::TimedOut { ms } => texts.render("hooks.cause.timeout", context! { ms => *ms as u64 }),
            Failure::Ended { code, errors } => texts.render("hooks.cause.exit", context! { code, errors }),
            Failure::Killed { signal } => texts.render("hooks.cause.signal", context! { signal }),
            Failure::TooMuch => {
                texts.render("hooks.cause.too_much", context! { limit => super::run::OUTPUT_LIMIT >> 10 })
            }
            Failure::NoAnswer(cause) => texts.render("hooks.cause.no_answer", context! { cause }),
            Failure::Host(cause) => texts.render("hooks.cause.host", context! { cause }),
        }
    }
}

/// The answer of a program that has ended.
pub(super) fn of_program(event: HookEvent, exit: Exit, output: &[u8], errors: &str) -> Result<Said, Failure> {
    let errors = plain(errors);
    match exit {
        Exit { signal: Some(signal), .. } => Err(Failure::Killed { signal: signal.name() }),
        Exit { code: 0, .. } => of_text(event, output),
        Exit { code: DENIES, .. } => {
            let reason = Some(errors).filter(|reason| !reason.is_empty());
            Ok(Said { decision: Some(Decision::Deny), reason, ..Said::default() })
        }
        Exit { code, .. } => {
            Err(Failure::Ended { code, errors: errors.lines().next().unwrap_or_default().chars().take(200).collect() })
        }
    }
}

/// The answer in what was printed: nothing, or one JSON object.
fn of_text(event: HookEvent, output: &[u8]) -> Result<Said, Failure> {
    let text = std::str::from_utf8(output).map_err(|_| Failure::NoAnswer("UTF-8".into()))?;
    if ecma::trim(text).is_empty() {
        return Ok(Said::default());
    }
    of_object(event, serde_json::from_str(text).map_err(|cause| Failure::NoAnswer(cause.to_string()))?)
}

/// The answer of the host; `null` says nothing.
pub(super) fn of_host(event: HookEvent, answer: Value) -> Result<Said, Failure> {
    if answer.is_null() {
        return Ok(Said::default());
    }
    of_object(event, serde_json::from_value(answer).map_err(|cause| Failure::NoAnswer(cause.to_string()))?)
}

fn of_object(event: HookEvent, answer: Map<String, Value>) -> Result<Said, Failure> {
    let said = serde_json::from_value(Value::Object(answer));
    check(event, said.map_err(|cause| Failure::NoAnswer(cause.to_string()))?)
}

/// Whether it may be said at this event, with the texts made plain.
fn check(event: HookEvent, mut said: Said) -> Result<Said, Failure> {
    let known = |name: &String| ParamName::parse(name).is_none();
    let parameters = said.parameters.as_ref();
    if let Some(unknown) = parameters.and_then(|all| all.keys().find(|name| known(name))) {
        let name: String = unknown.chars().take(60).collect();
        return Err(Failure::NoAnswer(format!("parameters.{}", plain(&name))));
    }
    if parameters.is_some() && event != HookEvent::PreToolUse {
        return Err(Failure::NoAnswer("parameters".into()));
    }
    for text in [&mut said.reason, &mut said.context].into_iter().flatten() {
        *text = plain(text);
    }
    if let Some(reason) = &mut said.reason {
        *reason = reason.chars().take(REASON_LIMIT).collect();
    }
    said.reason.take_if(|reason| reason.is_empty());
    said.context.take_if(|context| context.is_empty());
    Ok(said)
}

/// Without control characters but line feeds and tabs, trimmed.
fn plain(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).take(64 << 10).collect();
    ecma::trim(&kept).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Signal;

    fn said(decision: Option<Decision>, reason: Option<&str>) -> Said {
        Said { decision, reason: reason.map(str::to_owned), ..Said::default() }
    }

    #[test]
    fn codes_and_outputs_are_answers_or_failures() {
        use HookEvent::{PostToolUse, PreToolUse};
        let code = |code| Exit { code, signal: None };
        let no_answer = |result: &Result<Said, Failure>| matches!(result, Err(Failure::NoAnswer(_)));
        let of = |exit, output: &str, errors| of_program(PreToolUse, exit, output.as_bytes(), errors);
        assert_eq!(of(code(0), "", "words"), Ok(Said::default()));
        assert_eq!(of(code(0), " \n", ""), Ok(Said::default()));
        assert_eq!(of(code(0), "{}", ""), Ok(Said::default()));
        assert_eq!(
            of(code(2), "{\"decision\":\"allow\"}", " no\u{1b}[1m \n"),
            Ok(said(Some(Decision::Deny), Some("no[1m")))
        );
        assert_eq!(of(code(2), "", ""), Ok(said(Some(Decision::Deny), None)));
        for (word, decision) in [("allow", Decision::Allow), ("deny", Decision::Deny), ("ask", Decision::Ask)] {
            let output = format!("{{\"decision\": \"{word}\", \"reason\": \"r\"}}\n");
            assert_eq!(of(code(0), &output, ""), Ok(said(Some(decision), Some("r"))));
        }
        assert_eq!(of(code(1), "{}", "one\ntwo"), Err(Failure::Ended { code: 1, errors: "one".into() }));
        let killed = Exit { code: 0, signal: Some(Signal(9)) };
        assert_eq!(of(killed, "{}", ""), Err(Failure::Killed { signal: "SIGKILL".into() }));
        for output in [
            "fine",
            "[]",
            "{\"decision\": \"maybe\"}",
            "{\"descision\": \"deny\"}",
            "{} {}",
            "{\"parameters\": {\"path\": 5}}",
            "{\"parameters\": {\"no_such\": \"x\"}}",
            "{\"reason\": 5}",
        ] {
            assert!(no_answer(&of(code(0), output, "")), "{output}");
        }
        assert!(no_answer(&of_program(PreToolUse, code(0), b"\xff\xfe", "")));
        let changed = "{\"parameters\": {\"path\": \"a\"}}";
        assert_eq!(of(code(0), changed, "").unwrap().parameters.unwrap()["path"], "a");
        assert!(no_answer(&of_program(PostToolUse, code(0), changed.as_bytes(), "")), "too late to change them");
    }

    #[test]
    fn every_failure_has_words() {
        let texts = Texts::builtin();
        for failure in [
            Failure::NotStarted("c".into()),
            Failure::TimedOut { ms: 5 },
            Failure::Ended { code: 7, errors: "e".into() },
            Failure::Killed { signal: "SIGKILL".into() },
            Failure::TooMuch,
            Failure::NoAnswer("n".into()),
            Failure::Host("h".into()),
        ] {
            let text = failure.text(&texts);
            assert!(text.len() > 10 && !text.contains("hooks."), "{text}");
        }
    }
}
