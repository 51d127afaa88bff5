//! Where in a JSON text something stands.

use serde_json::value::RawValue;

/// The line, from 1, on which the value at `path` begins; that of the last step that is there.
pub fn line_of(text: &str, path: &[String]) -> usize {
    let mut at = text;
    for step in path {
        match inner(at, step) {
            Some(value) => at = value,
            None => break,
        }
    }
    let before = (at.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    1 + text.as_bytes().iter().take(before).filter(|byte| **byte == b'\n').count()
}

/// The value under a name or number, as it stands in the text.
fn inner<'a>(text: &'a str, step: &str) -> Option<&'a str> {
    if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.get(step.parse::<usize>().ok()?).map(|item| item.get());
    }
    // A key that is there twice counts by its last value.
    let fields: std::collections::HashMap<std::borrow::Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    fields.get(step).map(|field| field.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_value() {
        let text = "{\n \"a\": 1,\n \"b\": [\n  1,\n  {\"c\":\n 2}],\n \"\\u0064\": 4\n}";
        for (path, line) in [
            (&[][..], 1),
            (&["a"], 2),
            (&["b"], 3),
            (&["b", "0"], 4),
            (&["b", "1"], 5),
            (&["b", "1", "c"], 6),
            (&["b", "7"], 3),
            (&["d"], 7),
            (&["e", "f"], 1),
        ] {
            let path: Vec<String> = path.iter().map(|step| (*step).to_owned()).collect();
            assert_eq!(line_of(text, &path), line, "{path:?}");
        }
        assert_eq!(line_of("no JSON", &["a".to_owned()]), 1);
    }
}
