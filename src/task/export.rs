//! A stored conversation as a text for people (spec 04 §10, spec 05 §3.5).

use serde_json::Value;

use super::calendar::Moment;
use crate::prompt::text::Texts;

/// Months as they stand in file names.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A name for the file, from the time of the task's last message and the offset of the local time from UTC in minutes.
pub fn file_name(ts: i64, minutes_east: i32, extension: &str) -> String {
    let at = Moment::of(ts.saturating_add(i64::from(minutes_east) * 60_000));
    let month = usize::try_from(at.month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
    let half = if at.hour < 12 { "am" } else { "pm" };
    let hour = if at.hour % 12 == 0 { 12 } else { at.hour % 12 };
    let Moment { year, day, minute, second, .. } = at;
    format!("kilo_code_task_{month}-{day}-{year}_{hour}-{minute:02}-{second:02}-{half}.{extension}")
}

/// The API conversation as Markdown.
pub fn markdown(conversation: &[Value], texts: &Texts) -> String {
    let message = |message: &Value| {
        let role = if message["role"] == "user" { "User" } else { "Assistant" };
        format!("**{role}:**\n\n{}\n\n", content(&message["content"], texts))
    };
    conversation.iter().map(message).collect::<Vec<_>>().join("---\n\n")
}

fn content(content: &Value, texts: &Texts) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(|one| block(one, texts)).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn block(block: &Value, texts: &Texts) -> String {
    match block["type"].as_str() {
        Some("text") => block["text"].as_str().unwrap_or_default().to_owned(),
        Some("image") => "[Image]".to_owned(),
        Some("tool_use") => {
            let name = block["name"].as_str().unwrap_or_default();
            let input = match &block["input"] {
                Value::Object(input) => input.iter().map(parameter).collect::<Vec<_>>().join("\n"),
                other => plain(other),
            };
            format!("[Tool Use: {name}]\n{input}")
        }
        Some("tool_result") => {
            let mark = if block["is_error"] == true { "[Tool (Error)]" } else { "[Tool]" };
            match &block["content"] {
                Value::Null => mark.to_owned(),
                given => format!("{mark}\n{}", content(given, texts)),
            }
        }
        _ => texts.get("export.other_block"),
    }
}

/// `Key: value`, the key with a capital letter.
fn parameter((key, value): (&String, &Value)) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}: {}", letters.as_str(), plain(value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 04 §checklist.18: midnight is `12` and `am`
    #[test]
    fn names_carry_the_local_time() {
        for (ts, east, name) in [
            (1_735_689_600_000, 0, "kilo_code_task_jan-1-2025_12-00-00-am.md"),
            (1_735_689_600_000, -60, "kilo_code_task_dec-31-2024_11-00-00-pm.md"),
            (1_735_734_309_000, 0, "kilo_code_task_jan-1-2025_12-25-09-pm.md"),
            (1_735_711_509_000, 330, "kilo_code_task_jan-1-2025_11-35-09-am.md"),
        ] {
            assert_eq!(file_name(ts, east, "md"), name);
        }
    }

    /// parity 04 §10: the forms of blocks
    #[test]
    fn every_kind_of_block_has_its_form() {
        let texts = Texts::builtin();
        let other = texts.get("export.other_block");
        for (content, expected) in [
            (json!("plain"), "plain".to_owned()),
            (json!([{"type": "text", "text": "a"}, {"type": "image", "source": {}}]), "a\n[Image]".to_owned()),
            (
                json!([{"type": "tool_use", "name": "f", "input": {"path": "x", "lines": [1], "deep": 2}}]),
                "[Tool Use: f]\nPath: x\nLines: [\n  1\n]\nDeep: 2".to_owned(),
            ),
            (json!([{"type": "tool_result", "content": "ok"}]), "[Tool]\nok".to_owned()),
            (
                json!([{"type": "tool_result", "is_error": true, "content": [{"type": "text", "text": "no"}]}]),
                "[Tool (Error)]\nno".to_owned(),
            ),
            (json!([{"type": "thinking"}]), other),
            (json!(null), String::new()),
        ] {
            let shown = markdown(&[json!({"role": "assistant", "content": content})], &texts);
            assert_eq!(shown, format!("**Assistant:**\n\n{expected}\n\n"));
        }
    }

    /// parity 04 §10: messages and what stands between them
    #[test]
    fn messages_are_apart() {
        let both = [json!({"role": "user", "content": "q"}), json!({"role": "assistant", "content": "a"})];
        assert_eq!(markdown(&both, &Texts::builtin()), "**User:**\n\nq\n\n---\n\n**Assistant:**\n\na\n\n");
    }
}
