//! A text pack: texts of the user's own that take the place of built-in ones.
//!
//! A pack is checked when it is read. What is wrong with a text leaves out that text, and the rest counts. Texts of a pack are
//! rendered with limits, since nobody of this project has seen them; one that runs into a limit gives way to the built-in text.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use minijinja::{Environment, Value};

use super::nearest::nearest;
use super::source::entries;
use super::template::{Refused, Variables, variables};

/// Largest text, in bytes.
pub const MAX_TEXT: usize = 48 << 10;
/// Largest rendered text, in bytes.
const MAX_OUTPUT: usize = 8 << 20;
/// Most steps of a template.
const FUEL: u64 = 1_000_000;
/// Layouts begin like this. Code and tests rely on what they make, so that a pack has none.
pub const LAYOUT: &str = "layout.";

/// Texts that were found good.
#[derive(Default)]
pub struct Pack {
    texts: BTreeMap<String, String>,
    templates: Environment<'static>,
}

/// What is wrong with a pack, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file's name.
    pub file: String,
    /// Line in it, from 1; 0: the file as a whole.
    pub line: usize,
    /// Which text.
    pub id: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.file)?;
        if self.line > 0 {
            write!(out, "{}:", self.line)?;
        }
        if let Some(id) = &self.id {
            write!(out, " `{id}`:")?;
        }
        write!(out, " {}", self.problem)
    }
}

/// A reason to leave out a text or a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A file is too large, or there are too many.
    #[error("there is more than {limit} {unit}")]
    TooMuch {
        /// How much may be.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The catalogue has no such id.
    #[error("there is no text of this id{}", near.as_ref().map(|near| format!("; is it `{near}`?")).unwrap_or_default())]
    UnknownId {
        /// One that is written nearly so.
        near: Option<String>,
    },
    /// The id is that of a layout.
    #[error("a layout cannot be replaced, only the texts in it")]
    Layout,
    /// There is another text of this id, which counts.
    #[error("the text stands in {file}:{line} already")]
    Twice {
        /// The file of that one.
        file: String,
        /// Its line.
        line: usize,
    },
    /// The text is no template, or uses more than texts may.
    #[error("{0}")]
    Template(String),
    /// The text uses a variable that it does not get.
    #[error("there is no variable `{name}` here, only: {known}")]
    UnknownVariable {
        /// Which.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The text does not show what the built-in text always shows.
    #[error("the variable `{0}` is not shown; where that is meant, write {{# without {0} #}} into the text")]
    MissingVariable(String),
}

impl Pack {
    /// The texts of these files (name and content, in order), as far as they are good, and what is wrong with the others.
    /// `builtin` gives the built-in text of an id, `ids` are all there are.
    pub fn read<'a>(
        files: &[(String, String)],
        builtin: impl Fn(&str) -> Option<&'a str>,
        ids: impl Iterator<Item = &'a str> + Clone,
    ) -> (Pack, Vec<Fault>) {
        let mut pack = Pack { templates: bounded(), ..Pack::default() };
        let mut faults = Vec::new();
        let mut places: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
        for (file, content) in files {
            for entry in entries(content) {
                let mut fault = |line: usize, problem: Problem| {
                    faults.push(Fault { file: file.clone(), line, id: Some(entry.id.to_owned()), problem });
                };
                let Some(own) = builtin(entry.id) else {
                    let near = nearest(entry.id, ids.clone().filter(|id| !id.starts_with(LAYOUT))).map(str::to_owned);
                    fault(entry.line, Problem::UnknownId { near });
                    continue;
                };
                if entry.id.starts_with(LAYOUT) {
                    fault(entry.line, Problem::Layout);
                    continue;
                }
                if let Some((file, line)) = places.get(entry.id) {
                    fault(entry.line, Problem::Twice { file: (*file).to_owned(), line: *line });
                    continue;
                }
                places.insert(entry.id, (file, entry.line));
                match check(entry.text, own) {
                    Ok(()) => pack.add(entry.id, entry.text),
                    Err((line, problem)) => fault(line.map_or(entry.line, |line| entry.begins + line - 1), problem),
                }
            }
        }
        (pack, faults)
    }

    fn add(&mut self, id: &str, text: &str) {
        // It was parsed before; should it not compile, it is not there and the built-in text counts.
        let known = !is_template(text) || self.templates.add_template_owned(id.to_owned(), text.to_owned()).is_ok();
        if known {
            self.texts.insert(id.to_owned(), text.to_owned());
        }
    }

    /// The text of this id as it stands in the pack.
    pub fn source(&self, id: &str) -> Option<&str> {
        self.texts.get(id).map(String::as_str)
    }

    /// The rendered text of this id; `None` when the pack has none, or it runs into a limit.
    pub(super) fn render(&self, id: &str, values: &Value) -> Option<String> {
        let text = self.texts.get(id)?;
        match self.templates.get_template(id) {
            Ok(template) => render(&template, values),
            Err(_) => Some(text.clone()),
        }
    }

    /// The ids it has texts of, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }
}

/// What is wrong with a text that is to take the place of `own`, and in which of its lines if in one.
fn check(text: &str, own: &str) -> Result<(), (Option<usize>, Problem)> {
    if text.len() > MAX_TEXT {
        return Err((None, Problem::TooMuch { limit: MAX_TEXT, unit: "bytes in a text" }));
    }
    let found = variables(text).map_err(|Refused { line, what }| (Some(line), Problem::Template(what)))?;
    let given = variables(own).unwrap_or_else(|_| Variables::default());
    let known = |name: &&String| !given.used.contains(*name);
    if let Some(name) = found.used.iter().find(known) {
        let line = text.lines().position(|line| line.contains(name.trim_end_matches("[]"))).map(|line| line + 1);
        let known: Vec<&str> = given.used.iter().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err((line, Problem::UnknownVariable { name: name.clone(), known }));
    }
    let missing = |name: &&String| !found.used.contains(*name) && !text.contains(&format!("{{# without {name} #}}"));
    match given.shown.iter().find(missing) {
        Some(name) => Err((None, Problem::MissingVariable(name.clone()))),
        None => Ok(()),
    }
}

/// Whether there is anything in a text to be rendered.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// An environment whose templates end.
pub(super) fn bounded() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_keep_trailing_newline(true);
    templates.set_fuel(Some(FUEL));
    templates
}

/// The rendered template, if it ends within the limits.
pub(super) fn render(template: &minijinja::Template<'_, '_>, values: &Value) -> Option<String> {
    let mut out = Bounded(Vec::new());
    template.render_captured_to(values, &mut out).ok()?;
    String::from_utf8(out.0).ok()
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    const BUILTIN: [(&str, &str); 4] = [
        ("a.plain", "plain"),
        ("a.path", "{{ path }} is {% if size %}{{ size }}{% endif %} large"),
        ("a.list", "{% for fault in faults %}{{ fault }}{% endfor %}"),
        ("layout.a", "⟦a.plain⟧"),
    ];

    fn read(files: &[(&str, &str)]) -> (Pack, Vec<String>) {
        let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let builtin = |id: &str| BUILTIN.iter().find(|(name, _)| *name == id).map(|(_, text)| *text);
        let (pack, faults) = Pack::read(&files, builtin, BUILTIN.iter().map(|(name, _)| *name));
        (pack, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        for (text, fault) in [
            ("[[a.plan]]\nx", "f:1: `a.plan`: there is no text of this id; is it `a.plain`?"),
            ("[[what.ever]]\nx", "f:1: `what.ever`: there is no text of this id"),
            ("\n[[layout.a]]\nx", "f:2: `layout.a`: a layout cannot be replaced, only the texts in it"),
            ("[[a.plain]]\nx\n[[a.plain]]\ny", "f:3: `a.plain`: the text stands in f:1 already"),
            ("[[a.plain]]\n\nx\n{{ b }}", "f:4: `a.plain`: there is no variable `b` here, only: none"),
            ("[[a.path]]\n{{ path }}\n{{ b }}", "f:3: `a.path`: there is no variable `b` here, only: path, size"),
            ("[[a.path]]\n{{ path.x }}", "f:2: `a.path`: there is no variable `path.x` here, only: path, size"),
            (
                "[[a.path]]\n{{ size }}",
                "f:1: `a.path`: the variable `path` is not shown; where that is meant, write {# without path #} into the text",
            ),
            ("[[a.path]]\nx\n\n{% set a = path %}", "f:4: `a.path`: the tag `set` is not available"),
        ] {
            assert_eq!(read(&[("f", text)]).1, [fault], "{text}");
        }
        let long = format!("[[a.plain]]\n{}", "x".repeat(MAX_TEXT + 1));
        assert!(read(&[("f", &long)]).1[0].contains("more than"), "size");
        assert!(read(&[("f", "[[a.plain]]\n{{ x")]).1[0].starts_with("f:2: `a.plain`: "), "syntax");
    }

    #[test]
    fn a_text_with_a_fault_is_left_out_and_the_rest_counts() {
        let (pack, faults) =
            read(&[("f", "# mine\n[[a.path]]\n{{ oops }}\n"), ("g", "[[a.plain]]\nmine\n[[a.list]]\n-")]);
        assert_eq!(faults.len(), 1);
        assert_eq!(pack.ids().collect::<Vec<_>>(), ["a.list", "a.plain"]);
        assert_eq!(pack.render("a.plain", &context! {}).as_deref(), Some("mine"));
        assert_eq!(pack.render("a.path", &context! {}), None);
    }

    #[test]
    fn a_variable_may_be_left_out_where_that_is_meant() {
        let (pack, faults) = read(&[("f", "[[a.path]]\nSomething{# without path #} is {{ size }} large")]);
        assert!(faults.is_empty(), "{faults:?}");
        let values = context! { path => "p", size => 3 };
        assert_eq!(pack.render("a.path", &values).as_deref(), Some("Something is 3 large"));
    }

    proptest::proptest! {
        #[test]
        fn any_pack_is_read_and_ends(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "[[a.path]]\n", "[[a.list]]\n", "\n", "{{", "}}", "{%", "%}", "{#", "#}", "-", " for a in ", "faults", " if ",
                    "endfor", "endif", " else ", "path", "size", ".", "[", "]", "0", " + ", "(", ")", "'", "\"", "é", "{", "}", "⟦a.plain⟧",
                ]),
                0..60,
            ),
        ) {
            let (pack, _) = read(&[("f", &pieces.concat())]);
            let values = context! { faults => vec!["x"; 20], path => "p", size => 1 };
            for id in ["a.path", "a.list"] {
                let rendered = pack.render(id, &values);
                proptest::prop_assert!(rendered.is_none_or(|text| text.len() <= MAX_OUTPUT));
            }
        }
    }

    #[test]
    fn loops_end_and_output_is_bounded() {
        let list = "{% for a in faults %}";
        let loops = format!("[[a.list]]\n{}{}", list.repeat(8), "{% endfor %}".repeat(8));
        let (pack, faults) = read(&[("f", &loops)]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(pack.render("a.list", &context! { faults => vec![0; 1000] }), None);
        let (pack, _) = read(&[("f", "[[a.list]]\n{% for a in faults %}{{ faults[0] }}{% endfor %}")]);
        let large = "x".repeat(1 << 20);
        assert_eq!(pack.render("a.list", &context! { faults => vec![large.as_str(); 100] }), None);
        assert!(pack.render("a.list", &context! { faults => vec![large.as_str(); 2] }).is_some());
    }
}
