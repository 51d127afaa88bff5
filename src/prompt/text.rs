//! The text catalogue: every human-readable text of the engine by its id in the behaviour specification.
//!
//! Texts are minijinja templates in `src/prompt/text/*.txt`: a line `[[id]]` opens a text, which runs to the next such
//! line; the line breaks around it are not part of it. `build.rs` compresses them into the library. A *pack* replaces any of
//! them by id, for other wordings and languages and for tests that compare codes instead of sentences.
//!
//! *Layouts* (`src/prompt/layout/*.txt`, ids `layout.…`) hold the fixed structure of longer texts; `⟦id⟧` in them stands for
//! the text of that id, so that wording and structure change independently.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, OnceLock};

pub use minijinja::context;
use serde::Serialize;

/// All built-in texts, compressed by `build.rs`.
static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts.bin"));

/// A set of texts by id.
pub struct Texts {
    entries: HashMap<String, String>,
    templates: minijinja::Environment<'static>,
}

/// What is wrong with a text pack.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The pack has an id that the catalogue does not know.
    #[error("text pack: unknown id `{0}`")]
    UnknownId(String),
    /// The text of this id is not a valid template.
    #[error("text pack: `{id}`: {cause}")]
    Syntax {
        /// Which text.
        id: String,
        /// What the template parser says, with the line.
        cause: String,
    },
}

impl Texts {
    /// The built-in texts. Unpacked once a process, at first use.
    pub fn builtin() -> Arc<Texts> {
        static BUILTIN: OnceLock<Arc<Texts>> = OnceLock::new();
        BUILTIN
            .get_or_init(|| {
                let mut source = String::new();
                // The archive is made by build.rs; a damaged one leaves an empty catalogue, which `render` tolerates.
                let _ = flate2::read::DeflateDecoder::new(COMPRESSED).read_to_string(&mut source);
                Arc::new(Texts::from_entries(parse(&source)))
            })
            .clone()
    }

    /// These texts with those of `pack` (the format of the catalogue files) in their place.
    ///
    /// # Errors
    /// An id the catalogue does not have, or a text that is not a valid template; the first one found is named.
    pub fn with_pack(&self, pack: &str) -> Result<Texts, TextError> {
        let mut entries = self.entries.clone();
        for (id, text) in parse(pack) {
            if !entries.contains_key(&id) {
                return Err(TextError::UnknownId(id));
            }
            if let Err(cause) = minijinja::Environment::new().template_from_str(&text) {
                return Err(TextError::Syntax { id, cause: cause.to_string() });
            }
            entries.insert(id, text);
        }
        Ok(Texts::from_entries(entries))
    }

    fn from_entries(entries: HashMap<String, String>) -> Texts {
        let mut templates = minijinja::Environment::new();
        templates.set_keep_trailing_newline(true);
        for (id, text) in entries.iter().filter(|(_, text)| is_template(text)) {
            // A broken template is found by the catalogue test; here its text is then shown as it stands.
            let _ = templates.add_template_owned(id.clone(), text.clone());
        }
        Texts { entries, templates }
    }

    /// The text of `id` without variables. An unknown id gives the id in brackets: a visible fault, never a panic.
    pub fn get(&self, id: &str) -> String {
        self.render(id, ())
    }

    /// The text of `id` with `variables` (see [`context!`]) filled in.
    pub fn render<S: Serialize>(&self, id: &str, variables: S) -> String {
        let Some(text) = self.entries.get(id) else {
            return format!("[{id}]");
        };
        match self.templates.get_template(id) {
            Ok(template) => template.render(variables).unwrap_or_else(|_| text.clone()),
            Err(_) => text.clone(),
        }
    }

    /// The layout `id` with every `⟦id⟧` replaced by that text and `variables` filled in.
    ///
    /// # Errors
    /// A text that does not fit into a template any more (a pack can cause this): the layout and the cause are named.
    pub fn layout<S: Serialize>(&self, id: &str, variables: S) -> Result<String, TextError> {
        let error = |cause: minijinja::Error| TextError::Syntax { id: id.to_owned(), cause: cause.to_string() };
        let Some(layout) = self.entries.get(id) else {
            return Err(TextError::UnknownId(id.to_owned()));
        };
        let mut source = String::with_capacity(layout.len() * 4);
        let mut rest = layout.as_str();
        while let Some((before, tail)) = rest.split_once('⟦') {
            let (name, after) = tail.split_once('⟧').unwrap_or((tail, ""));
            source.push_str(before);
            match self.entries.get(name) {
                Some(text) => source.push_str(text),
                None => return Err(TextError::UnknownId(name.to_owned())),
            }
            rest = after;
        }
        source.push_str(rest);
        let mut templates = minijinja::Environment::new();
        templates.set_keep_trailing_newline(true);
        templates.template_from_str(&source).map_err(error)?.render(variables).map_err(error)
    }

    /// Whether the catalogue has this id.
    pub fn has(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// All ids, sorted.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Splits catalogue source into texts by id.
fn parse(source: &str) -> HashMap<String, String> {
    let mut texts = HashMap::new();
    let mut current: Option<(String, Vec<&str>)> = None;
    for line in source.split('\n') {
        match line.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            Some(id) => {
                if let Some((id, lines)) = current.replace((id.to_owned(), Vec::new())) {
                    texts.insert(id, lines.join("\n").trim_matches('\n').to_owned());
                }
            }
            None => {
                if let Some((_, lines)) = &mut current {
                    lines.push(line);
                }
            }
        }
    }
    if let Some((id, lines)) = current {
        texts.insert(id, lines.join("\n").trim_matches('\n').to_owned());
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_files_become_texts_by_id() {
        let texts = parse("[[a]]\none\n\ntwo\n\n[[b.c]]\n{{ x }}!\n");
        assert_eq!(texts["a"], "one\n\ntwo");
        assert_eq!(texts["b.c"], "{{ x }}!");
    }

    #[test]
    fn a_pack_replaces_known_ids_only() {
        let base = Texts::from_entries(parse("[[a]]\nhello {{ name }}\n[[b]]\nplain"));
        assert_eq!(base.render("a", context! { name => "you" }), "hello you");
        let packed = base.with_pack("[[b]]\n<{{ n }}>").expect("a valid pack");
        assert_eq!(packed.render("b", context! { n => 3 }), "<3>");
        assert_eq!(packed.get("missing"), "[missing]");
        assert!(matches!(base.with_pack("[[z]]\nx"), Err(TextError::UnknownId(id)) if id == "z"));
        assert!(matches!(base.with_pack("[[a]]\n{{ x"), Err(TextError::Syntax { .. })));
    }

    #[test]
    fn every_builtin_text_is_a_valid_template() {
        let texts = Texts::builtin();
        for (id, text) in &texts.entries {
            if let Err(cause) = minijinja::Environment::new().template_from_str(text) {
                panic!("{id}: {cause}");
            }
        }
    }
}
