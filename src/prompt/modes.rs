//! The words of modes (spec 03 §8): those of the built-in modes are in the catalogue, a custom mode carries its own, and the
//! user may put others in their place (setting `customModePrompts`).
//!
//! The three places that use them differ in what may be overridden; each is a function here.

use serde::Serialize;
use serde_json::{Map, Value};

use super::text::Texts;
use crate::ecma;
use crate::settings::Settings;
use crate::settings::modes::{self, Mode};

/// The words of a mode; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Who the assistant is.
    pub role: String,
    /// When to use the mode.
    pub when_to_use: String,
    /// A few words about it.
    pub description: String,
    /// Instructions of the mode.
    pub instructions: String,
}

/// A mode as the MODES section shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeLine {
    /// Slug.
    pub slug: String,
    /// Name.
    pub name: String,
    /// When to use it, or the first sentence of its role.
    pub text: String,
}

/// The user's words for modes: the setting `customModePrompts`, fields by slug.
pub fn overrides(settings: &Settings) -> Map<String, Value> {
    settings.other.get("customModePrompts").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The words of a mode itself.
pub fn own(texts: &Texts, mode: &Mode) -> Words {
    if !mode.builtin {
        let words = |text: &Option<String>| text.clone().unwrap_or_default();
        return Words {
            role: words(&mode.role),
            when_to_use: words(&mode.when_to_use),
            description: words(&mode.description),
            instructions: words(&mode.instructions),
        };
    }
    let words = |field: &str| {
        let id = format!("mode.{}.{field}", mode.slug);
        let layout = format!("layout.{id}");
        match (texts.has(&id), texts.has(&layout)) {
            (true, _) => texts.get(&id),
            // A fault of a text shows, as one of `get` does.
            (_, true) => texts.layout(&layout, ()).unwrap_or_else(|error| error.to_string()),
            _ => String::new(),
        }
    };
    Words {
        role: words("role"),
        when_to_use: words("when"),
        description: words("description"),
        instructions: words("instructions"),
    }
}

/// The words for the system prompt (spec 03 §8.1): a custom mode has its own alone; those of a built-in mode give way to
/// overrides that are not empty. The description never does.
pub fn for_prompt(texts: &Texts, mode: &Mode, overrides: &Map<String, Value>) -> Words {
    let own = own(texts, mode);
    if !mode.builtin {
        return own;
    }
    Words { description: own.description.clone(), ..overlaid(own, overrides.get(&mode.slug), true) }
}

/// The list of the MODES section (spec 03 §8.2). `custom`: the modes last read, which may be others than the task's. Here empty
/// overrides count, and those of custom modes too (kept from the reference).
pub fn lines(texts: &Texts, custom: &[Value], overrides: &Map<String, Value>) -> Vec<ModeLine> {
    modes::all(custom)
        .into_iter()
        .map(|mode| {
            let words = overlaid(own(texts, &mode), overrides.get(&mode.slug), false);
            let text = if ecma::trim(&words.when_to_use).is_empty() {
                words.role.split('.').next().unwrap_or_default().to_owned()
            } else {
                words.when_to_use.replace('\n', "\n    ")
            };
            ModeLine { slug: mode.slug, name: mode.name, text }
        })
        .collect()
}

/// Mode and words for details about it (spec 03 §8.3): the first built-in mode for an unknown slug, with the overrides of the
/// slug that was asked for.
pub fn details(texts: &Texts, slug: &str, custom: &[Value], overrides: &Map<String, Value>) -> Option<(Mode, Words)> {
    let mode = modes::find(slug, custom).or_else(|| modes::builtin().into_iter().next())?;
    let words = overlaid(own(texts, &mode), overrides.get(slug), true);
    Some((mode, words))
}

/// `words` with the texts of an override in their place, if need be only those that are not empty.
fn overlaid(words: Words, fields: Option<&Value>, not_empty: bool) -> Words {
    let field = |name: &str, own: String| {
        let text = fields.and_then(|fields| fields.get(name)).and_then(Value::as_str);
        text.filter(|text| !not_empty || !text.is_empty()).map_or(own, str::to_owned)
    };
    Words {
        role: field("roleDefinition", words.role),
        when_to_use: field("whenToUse", words.when_to_use),
        description: field("description", words.description),
        instructions: field("customInstructions", words.instructions),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// parity 03 §8.1: overrides that are not empty replace the words of built-in modes, never those of custom ones
    #[test]
    fn overrides_are_for_built_in_modes() {
        let texts = Texts::builtin();
        let over = map(
            json!({"code": {"roleDefinition": "R", "customInstructions": "", "description": "D"}, "x": {"roleDefinition": "R"}}),
        );
        let code = for_prompt(&texts, &modes::find("code", &[]).unwrap(), &over);
        assert_eq!((code.role.as_str(), code.description), ("R", texts.get("mode.code.description")));
        let ask = for_prompt(&texts, &modes::find("ask", &[]).unwrap(), &over);
        assert_eq!(ask.instructions, texts.get("mode.ask.instructions"));
        let custom = [json!({"slug": "x", "name": "X", "roleDefinition": "own", "groups": []})];
        assert_eq!(for_prompt(&texts, &modes::find("x", &custom).unwrap(), &over).role, "own");
    }

    /// parity 03 §quirks.7: empty overrides count in the list, and those of custom modes
    /// parity 03 §8.2: an empty override falls back to the first sentence of the role; later lines of a text are indented
    /// parity 03 §8: where words of modes come from
    #[test]
    fn the_list_of_modes_takes_every_override() {
        let texts = Texts::builtin();
        let custom =
            [json!({"slug": "x", "name": "X", "roleDefinition": "One. Two.", "whenToUse": "a\nb", "groups": []})];
        let over = map(json!({"debug": {"whenToUse": "", "roleDefinition": "Hunts. Well."}, "x": {"whenToUse": " "}}));
        let text = |over: &Map<String, Value>, slug: &str| {
            lines(&texts, &custom, over).into_iter().find(|line| line.slug == slug).unwrap().text
        };
        assert_eq!(text(&Map::new(), "x"), "a\n    b");
        assert_eq!(text(&over, "x"), "One");
        assert_eq!(text(&over, "debug"), "Hunts");
    }

    /// parity 03 §quirks.11: details of an unknown mode are those of the first
    /// parity 03 §8.3: an unknown slug is the first mode with the overrides of that slug
    #[test]
    fn details_of_an_unknown_mode() {
        let texts = Texts::builtin();
        let over = map(json!({"nope": {"customInstructions": "I"}, "architect": {"roleDefinition": "A"}}));
        let (mode, words) = details(&texts, "nope", &[], &over).unwrap();
        assert_eq!((mode.slug.as_str(), words.instructions.as_str()), ("architect", "I"));
        assert_eq!(words.role, texts.get("mode.architect.role"));
    }
}
