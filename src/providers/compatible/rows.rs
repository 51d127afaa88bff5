//! Reads rows: the built-in ones once, the user's whenever a provider is made, so that a change takes effect at the next one.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::row::Row;
use crate::providers::Wording;
use crate::workspace::reading;

const BUILT_IN: &str = include_str!("compatible.toml");
/// Most files read of the user's folder, in the order of their names.
const FILE_LIMIT: usize = 256;
/// Most bytes of one of them.
const SIZE_LIMIT: u64 = 1 << 20;

/// A row that cannot be used, or a file without usable rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The provider; empty if the file as a whole is meant.
    pub provider: String,
    /// The user's file; empty for built-in rows.
    pub file: PathBuf,
    /// Line in it, from 1; 0 if no line is meant.
    pub line: usize,
    /// Key in the row; empty if none is meant.
    pub key: String,
    /// What is wrong.
    pub cause: String,
}

/// Rows by the provider's name.
#[derive(Debug, Default)]
pub struct Rows {
    /// Those that can be used.
    pub good: BTreeMap<String, Arc<Row>>,
    /// Those that cannot.
    pub bad: Vec<RowProblem>,
}

/// The rows of `compatible.toml`.
pub fn built_in() -> &'static Rows {
    static ROWS: OnceLock<Rows> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut rows = Rows::default();
        rows.read(BUILT_IN, Path::new(""));
        rows
    })
}

/// The rows of all `*.toml` in `folder`. A missing folder holds none. `is_native` tells names that a row may not take without
/// saying so.
pub fn of_user(folder: &Path, is_native: impl Fn(&str) -> bool) -> Rows {
    let mut rows = Rows::default();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    for file in files.iter().take(FILE_LIMIT) {
        match read_file(file) {
            Ok(text) => rows.read(&text, file),
            Err(cause) => rows.bad.push(RowProblem::of_file(file, 0, cause.to_string())),
        }
    }
    let taken: Vec<String> =
        rows.good.iter().filter(|(name, row)| is_native(name) && !row.replaces).map(|(name, _)| name.clone()).collect();
    for provider in taken {
        rows.good.remove(&provider);
        let cause = "a built-in provider has this name; `replaces = true` takes its place".to_owned();
        rows.bad.push(RowProblem { provider, file: folder.to_owned(), line: 0, key: "replaces".into(), cause });
    }
    rows
}

fn read_file(file: &Path) -> std::io::Result<String> {
    let bytes = reading::read_at_most(file, SIZE_LIMIT)?;
    String::from_utf8(bytes).map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error.utf8_error()))
}

impl RowProblem {
    /// The sentence for the user.
    pub fn in_words(&self, wording: &Wording) -> String {
        let (file, line) = (self.file.display().to_string(), self.line.to_string());
        let variables: [(&str, &str); 5] = [
            ("provider", &self.provider),
            ("file", &file),
            ("line", if self.line == 0 { "" } else { &line }),
            ("key", &self.key),
            ("cause", &self.cause),
        ];
        wording("provider.invalid_row", &variables)
    }

    fn of_file(file: &Path, line: usize, cause: String) -> RowProblem {
        RowProblem { provider: String::new(), file: file.to_owned(), line, key: String::new(), cause }
    }
}

impl Rows {
    /// Takes in the rows of one file. The first row of a name counts.
    fn read(&mut self, text: &str, file: &Path) {
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(text, span.start));
                return self.bad.push(RowProblem::of_file(file, line, error.message().to_owned()));
            }
        };
        for (name, value) in table {
            let line = line_of(text, name.span().start);
            let provider = name.into_inner().into_owned();
            let duplicate = self.good.contains_key(&provider);
            match sound_row(text, line, value) {
                Ok(row) if !duplicate => drop(self.good.insert(provider, Arc::new(row))),
                Ok(_) => {
                    let (file, key) = (file.to_owned(), String::new());
                    self.bad.push(RowProblem { provider, file, line, key, cause: "described before".to_owned() });
                }
                Err((line, key, cause)) => {
                    self.bad.push(RowProblem { provider, file: file.to_owned(), line, key, cause });
                }
            }
        }
    }
}

/// The row, or line, key and cause of the first thing wrong with it.
fn sound_row(text: &str, line: usize, value: Spanned<DeValue<'_>>) -> Result<Row, (usize, String, String)> {
    let row = read_row(value).map_err(|error| {
        let line = error.span().map_or(line, |span| line_of(text, span.start));
        // The place is told in no other way than in words.
        let words = error.to_string();
        let key = words.rsplit_once("in `").and_then(|(_, key)| key.trim_end().strip_suffix('`'));
        (line, key.unwrap_or("").to_owned(), error.message().to_owned())
    })?;
    match row.fault() {
        None => Ok(row),
        Some((key, cause)) => Err((line, key.to_owned(), cause.to_owned())),
    }
}

/// The row with the rules of its `ids` laid over its own.
fn read_row(value: Spanned<DeValue<'_>>) -> Result<Row, toml::de::Error> {
    #[derive(Deserialize)]
    struct Rules {
        #[serde(default)]
        request: toml::Table,
        #[serde(default)]
        answer: toml::Table,
        #[serde(default)]
        ids: Vec<Rules>,
    }
    let mut row = Row::deserialize(value.clone().into_deserializer())?;
    let rules = Rules::deserialize(value.into_deserializer())?;
    for (rule, own) in row.ids.iter_mut().zip(rules.ids) {
        rule.request = toml::Value::Table(laid_over(&rules.request, own.request)).try_into()?;
        rule.answer = toml::Value::Table(laid_over(&rules.answer, own.answer)).try_into()?;
    }
    Ok(row)
}

fn laid_over(base: &toml::Table, over: toml::Table) -> toml::Table {
    let mut merged = base.clone();
    merged.extend(over);
    merged
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Rows {
        let mut rows = Rows::default();
        rows.read(text, Path::new("f.toml"));
        rows
    }

    #[test]
    fn the_built_in_rows_are_sound() {
        assert_eq!(built_in().bad, []);
        assert!(built_in().good.len() >= 13);
    }

    #[test]
    fn rules_for_some_models_lie_over_the_row_s_own() {
        let row = &built_in().good["chutes"];
        for (id, temperature, finish_check) in
            [("deepseek-ai/DeepSeek-R1", 0.6, false), ("deepseek-ai/DeepSeek-V3", 0.5, true)]
        {
            let (request, answer) = row.rules(id);
            assert_eq!((request.temperature, answer.finish_check), (temperature, finish_check), "{id}");
        }
    }

    #[test]
    fn files_that_are_none_or_too_large_are_refused_by_name_and_the_others_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = "[good]\nname = 'G'\nbase-url = 'http://h/v1'\nkey-required = false\ndefault-model = 'm'\n";
        let large = format!("{good}# {}", "x".repeat(SIZE_LIMIT as usize)).replace("[good]", "[large]");
        fs::write(folder.path().join("a.toml"), large).expect("a file");
        fs::create_dir(folder.path().join("b.toml")).expect("a folder");
        fs::write(folder.path().join("c.toml"), good).expect("a file");
        let rows = of_user(folder.path(), |_| false);
        let bad: Vec<_> = rows.bad.iter().filter_map(|problem| problem.file.file_name()?.to_str()).collect();
        assert_eq!(
            (rows.good.keys().map(String::as_str).collect::<Vec<_>>(), bad),
            (vec!["good"], vec!["a.toml", "b.toml"])
        );
    }

    #[test]
    fn a_wrong_row_is_named_and_the_others_work() {
        let good = "[good]\nname = 'G'\nbase-url = 'http://h/v1'\nkey-required = false\ndefault-model = 'm'\n";
        for (bad, provider, line, key) in [
            ("[bad]\nname = 'B'\nbase-url = 'nowhere'\n", "bad", 1, "base-url"),
            ("[bad]\nname = 'B'\n\nbasse-url = 'http://h'\n", "bad", 4, "basse-url"),
            ("[bad]\nname = 'B'\nretries = 'many'\n", "bad", 3, "retries"),
            ("[bad]\nname = 'B'\n[bad.request]\nmessages = 'r2'\n", "bad", 4, "request.messages"),
            ("[bad]\nname = 'B'\n[[bad.ids]]\nmatch = 'x'\n", "bad", 4, "ids.match"),
            ("bad = 3\n", "bad", 1, ""),
            ("[bad]\nname = 'B'\nbase-url = 'http://h'\nkey-setting = 'plain'\n", "bad", 1, "key-setting"),
            ("[bad]\nname = 'B'\nbase-url = 'http://h'\nkey-required = false\n", "bad", 1, "default-model"),
        ] {
            // A key outside of any table must come first.
            let rows = read(&format!("{bad}{good}"));
            assert!(rows.good.contains_key("good"), "{bad}");
            let [problem] = rows.bad.as_slice() else { panic!("{bad}: {:?}", rows.bad) };
            assert_eq!((problem.provider.as_str(), problem.line), (provider, line), "{bad}: {problem:?}");
            assert!(problem.key.contains(key) || problem.cause.contains(key), "{bad}: {problem:?}");
        }
        let broken = read("[a\n");
        assert_eq!((broken.bad[0].line, broken.bad[0].provider.as_str()), (1, ""));
    }
}
