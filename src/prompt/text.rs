//! The text catalogue: every human-readable text of the engine by its id in the behaviour specification.
//!
//! Texts are minijinja templates in `src/prompt/text/*.txt`: a line `[[id]]` opens a text, which runs to the next such
//! line; the line breaks around it are not part of it. `build.rs` compresses them into the library. A [pack](pack::Pack) replaces
//! any of them by id, for other wordings and languages.
//!
//! *Layouts* (`src/prompt/layout/*.txt`, ids `layout.…`) hold the fixed structure of longer texts; `⟦id⟧` in them stands for
//! the text of that id, so that wording and structure change independently.

pub mod folder;
pub mod nearest;
pub mod pack;
pub mod source;
pub mod template;

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

pub use minijinja::context;
use minijinja::{Environment, Value};
use serde::Serialize;

use self::pack::{Fault, Pack, bounded, is_template};

/// All built-in texts, compressed by `build.rs`.
static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts.bin"));

/// A set of texts by id, and the packs over them.
pub struct Texts {
    catalogue: Arc<Catalogue>,
    /// The strongest first.
    packs: RwLock<Arc<[Arc<Pack>]>>,
}

struct Catalogue {
    entries: HashMap<String, String>,
    templates: Environment<'static>,
}

/// A text that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The catalogue does not have this id.
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

    /// The built-in texts with places for packs of their own.
    pub fn own() -> Arc<Texts> {
        Arc::new(Texts { catalogue: Texts::builtin().catalogue.clone(), packs: RwLock::default() })
    }

    /// These texts with those of `pack` (the format of the catalogue files) in their place, as a caller gives them who knows what
    /// they do: neither variables nor limits are checked.
    ///
    /// # Errors
    /// An id the catalogue does not have, or a text that is not a valid template; the first one found is named.
    pub fn with_pack(&self, pack: &str) -> Result<Texts, TextError> {
        let mut entries = self.catalogue.entries.clone();
        for (id, text) in parse(pack) {
            if !entries.contains_key(&id) {
                return Err(TextError::UnknownId(id));
            }
            if let Err(cause) = Environment::new().template_from_str(&text) {
                return Err(TextError::Syntax { id, cause: cause.to_string() });
            }
            entries.insert(id, text);
        }
        Ok(Texts::from_entries(entries))
    }

    /// Puts these packs in force, the strongest first, in the place of those that were.
    pub fn put(&self, packs: Vec<Arc<Pack>>) {
        *self.packs.write().unwrap_or_else(PoisonError::into_inner) = packs.into();
    }

    /// The texts of these files (name and content), as far as they can take the place of built-in ones, and what is wrong with
    /// the others.
    pub fn read_pack(&self, files: &[(String, String)]) -> (Pack, Vec<Fault>) {
        let entries = &self.catalogue.entries;
        Pack::read(files, |id| entries.get(id).map(String::as_str), entries.keys().map(String::as_str))
    }

    fn from_entries(entries: HashMap<String, String>) -> Texts {
        let mut templates = Environment::new();
        templates.set_keep_trailing_newline(true);
        for (id, text) in entries.iter().filter(|(_, text)| is_template(text)) {
            // A broken template is found by the catalogue test; here its text is then shown as it stands.
            let _ = templates.add_template_owned(id.clone(), text.clone());
        }
        Texts { catalogue: Arc::new(Catalogue { entries, templates }), packs: RwLock::default() }
    }

    /// The text of `id` without variables. An unknown id gives the id in brackets: a visible fault, never a panic.
    pub fn get(&self, id: &str) -> String {
        self.render(id, ())
    }

    /// The text of `id` with `variables` (see [`context!`]) filled in.
    pub fn render<S: Serialize>(&self, id: &str, variables: S) -> String {
        let packs = self.packs();
        if packs.is_empty() {
            return self.catalogue.render(id, variables);
        }
        let values = Value::from_serialize(variables);
        let of_pack = packs.iter().find_map(|pack| pack.render(id, &values));
        of_pack.unwrap_or_else(|| self.catalogue.render(id, values))
    }

    /// The layout `id` with every `⟦id⟧` replaced by that text and `variables` filled in.
    ///
    /// # Errors
    /// A built-in text that does not fit into a template any more: the layout and the cause are named.
    pub fn layout<S: Serialize>(&self, id: &str, variables: S) -> Result<String, TextError> {
        let packs = self.packs();
        if packs.is_empty() {
            return self.catalogue.layout(id, variables);
        }
        let values = Value::from_serialize(variables);
        let source = self.catalogue.compose(id, &packs)?;
        // Each text was found good by itself; should they not be so together, or run into a limit, the built-in ones count.
        let rendered = bounded().template_from_str(&source).ok().and_then(|template| pack::render(&template, &values));
        rendered.map_or_else(|| self.catalogue.layout(id, values), Ok)
    }

    /// Whether the catalogue has this id.
    pub fn has(&self, id: &str) -> bool {
        self.catalogue.entries.contains_key(id)
    }

    /// All ids, sorted.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.catalogue.entries.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    /// The text of `id` as it stands, before anything is filled in, and whether it is one of a pack.
    pub fn source(&self, id: &str) -> Option<(String, bool)> {
        let of_pack = self.packs().iter().find_map(|pack| pack.source(id).map(str::to_owned));
        match of_pack {
            Some(text) => Some((text, true)),
            None => self.catalogue.entries.get(id).map(|text| (text.clone(), false)),
        }
    }

    fn packs(&self) -> Arc<[Arc<Pack>]> {
        self.packs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Catalogue {
    fn render<S: Serialize>(&self, id: &str, variables: S) -> String {
        let Some(text) = self.entries.get(id) else {
            return format!("[{id}]");
        };
        match self.templates.get_template(id) {
            Ok(template) => template.render(variables).unwrap_or_else(|_| text.clone()),
            Err(_) => text.clone(),
        }
    }

    fn layout<S: Serialize>(&self, id: &str, variables: S) -> Result<String, TextError> {
        let error = |cause: minijinja::Error| TextError::Syntax { id: id.to_owned(), cause: cause.to_string() };
        let source = self.compose(id, &[])?;
        let mut templates = Environment::new();
        templates.set_keep_trailing_newline(true);
        templates.template_from_str(&source).map_err(error)?.render(variables).map_err(error)
    }

    /// The template of a layout with its texts in place.
    fn compose(&self, id: &str, packs: &[Arc<Pack>]) -> Result<String, TextError> {
        let Some(layout) = self.entries.get(id) else {
            return Err(TextError::UnknownId(id.to_owned()));
        };
        let mut source = String::with_capacity(layout.len() * 4);
        let mut rest = layout.as_str();
        while let Some((before, tail)) = rest.split_once('⟦') {
            let (name, after) = tail.split_once('⟧').unwrap_or((tail, ""));
            source.push_str(before);
            let of_pack = packs.iter().find_map(|pack| pack.source(name));
            match of_pack.or_else(|| self.entries.get(name).map(String::as_str)) {
                Some(text) => source.push_str(text),
                None => return Err(TextError::UnknownId(name.to_owned())),
            }
            rest = after;
        }
        source.push_str(rest);
        Ok(source)
    }
}

/// The texts of catalogue source by id.
fn parse(source: &str) -> HashMap<String, String> {
    source::entries(source).into_iter().map(|entry| (entry.id.to_owned(), entry.text.to_owned())).collect()
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

    fn packed(source: &str) -> Texts {
        let texts = Texts::from_entries(parse(
            "[[a]]\nhello {{ name }}\n[[b]]\nplain\n[[layout.l]]\n<{% if on %}⟦a⟧{% endif %}>⟦b⟧",
        ));
        let (pack, faults) = texts.read_pack(&[("f".to_owned(), source.to_owned())]);
        assert!(faults.is_empty(), "{faults:?}");
        texts.put(vec![Arc::new(pack)]);
        texts
    }

    #[test]
    fn texts_of_a_pack_count_also_in_layouts_and_others_fall_back() {
        let texts = packed("[[a]]\nbonjour {{ name }}");
        assert_eq!(texts.render("a", context! { name => "you" }), "bonjour you");
        assert_eq!(texts.get("b"), "plain");
        let layout = texts.layout("layout.l", context! { on => true, name => "you" });
        assert_eq!(layout.unwrap(), "<bonjour you>plain");
        assert_eq!(texts.source("a"), Some(("bonjour {{ name }}".into(), true)));
        assert_eq!(texts.source("b"), Some(("plain".into(), false)));
        texts.put(Vec::new());
        assert_eq!(texts.render("a", context! { name => "you" }), "hello you");
    }

    #[test]
    fn texts_that_do_not_fit_into_a_layout_give_way_to_the_built_in_ones() {
        // Before `{% endif %}` a `{` makes another tag of it.
        let texts = packed("[[a]]\n{{ name }}{\n[[b]]\nmine");
        assert_eq!(texts.layout("layout.l", context! { on => true, name => "you" }).unwrap(), "<hello you>plain");
        assert_eq!(texts.get("b"), "mine");
    }

    #[test]
    fn the_strongest_pack_counts() {
        let texts = packed("[[b]]\nweak");
        let (strong, _) = texts.read_pack(&[("f".to_owned(), "[[b]]\nstrong".to_owned())]);
        let (weak, _) = texts.read_pack(&[("f".to_owned(), "[[a]]\n{{ name }}\n[[b]]\nweak".to_owned())]);
        texts.put(vec![Arc::new(strong), Arc::new(weak)]);
        assert_eq!((texts.get("b"), texts.render("a", context! { name => "n" })), ("strong".into(), "n".into()));
    }

    #[test]
    fn every_builtin_text_is_what_a_pack_may_bring() {
        let texts = Texts::builtin();
        let ids = texts.ids();
        let replaceable = ids.iter().filter(|id| !id.starts_with(pack::LAYOUT));
        for id in replaceable.clone() {
            let (text, _) = texts.source(id).expect("a text");
            if let Err(refused) = template::variables(&text) {
                panic!("{id}: {refused:?}");
            }
        }
        let whole: String = replaceable.map(|id| format!("[[{id}]]\n{}\n", texts.source(id).unwrap().0)).collect();
        let (pack, faults) = texts.read_pack(&[("all".to_owned(), whole)]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(pack.ids().count(), ids.iter().filter(|id| !id.starts_with(pack::LAYOUT)).count());
    }

    /// Every text renders with the variables that it names, in each of its branches that they can switch, and with no others.
    #[test]
    fn every_builtin_text_renders() {
        let texts = Texts::builtin();
        let mut strict = Environment::new();
        strict.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        for id in texts.ids() {
            let text = texts.source(id).expect("a text").0;
            let template = strict.template_from_str(&text).unwrap_or_else(|cause| panic!("{id}: {cause}"));
            if id.starts_with(pack::LAYOUT) {
                continue;
            }
            let used = template::variables(&text).unwrap().used;
            for number in [0, 1, 7] {
                let values: serde_json::Map<String, serde_json::Value> = used
                    .iter()
                    .filter(|name| !name.contains('.'))
                    .map(|name| match name.strip_suffix("[]") {
                        Some(list) => (list.to_owned(), serde_json::json!([number])),
                        None if used.contains(&format!("{name}[]")) => (name.clone(), serde_json::json!([number])),
                        None => (name.clone(), serde_json::json!(number)),
                    })
                    .collect();
                let rendered = template.render(&values).unwrap_or_else(|cause| panic!("{id}: {cause}"));
                assert!(!rendered.contains("{{") && !rendered.contains("{%"), "{id}: {rendered}");
            }
        }
    }
}
