//! `lapce-ai text`: the catalogue of texts, and packs that replace some of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Failure, call};
use crate::engine::surroundings;
use crate::prompt::text::folder::{Folder, Loaded};
use crate::prompt::text::nearest::nearest;
use crate::prompt::text::pack::LAYOUT;
use crate::prompt::text::{Texts, template};
use crate::settings::transfer::auto_import_path;

/// What is to be done.
#[derive(Args)]
pub struct Text {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List texts: id, bytes, `*` for one of the pack, variables.
    List {
        /// Only ids that begin so.
        prefix: Option<String>,
        #[command(flatten)]
        pack: PackInForce,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a text as it stands, before its variables are filled in.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        pack: PackInForce,
    },
    /// Check a text pack; prints what is wrong with it, a line each.
    Check {
        /// Its folder.
        folder: PathBuf,
    },
    /// Write built-in texts into a folder, to make a pack of.
    Export {
        /// The folder. No file in it is overwritten.
        folder: PathBuf,
        /// Only ids that begin with one of these.
        prefixes: Vec<String>,
    },
}

#[derive(Args)]
struct PackInForce {
    /// Folder of a text pack, in place of the one that the setting `textPack` names.
    #[arg(long)]
    pack: Option<PathBuf>,
}

impl Text {
    /// Does it. Exit code 1 when there is no such text, or a pack has faults.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        match &self.what {
            What::List { prefix, pack, json } => {
                let texts = pack.texts()?;
                list(&texts, prefix.as_deref().unwrap_or(""), *json)?;
            }
            What::Show { id, pack } => {
                let texts = pack.texts()?;
                let Some((text, _)) = texts.source(id) else {
                    let near = nearest(id, texts.ids().into_iter()).map(|near| format!("; is it `{near}`?"));
                    return Err(format!("there is no text `{id}`{}", near.unwrap_or_default()).into());
                };
                println!("{text}");
            }
            What::Check { folder } => {
                let loaded = Folder::new(folder.clone()).read();
                loaded.faults.iter().for_each(|fault| println!("{fault}"));
                if !loaded.faults.is_empty() {
                    return Ok(ExitCode::FAILURE);
                }
                println!("{} texts, no faults", loaded.pack.ids().count());
            }
            What::Export { folder, prefixes } => export(folder, prefixes)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl PackInForce {
    fn texts(&self) -> Result<Arc<Texts>, Failure> {
        let texts = Texts::own();
        let folder = match &self.pack {
            Some(folder) => Some(folder.clone()),
            None => in_force()?,
        };
        if let Some(folder) = folder {
            let loaded: Arc<Loaded> = Folder::new(folder).read();
            loaded.faults.iter().for_each(|fault| eprintln!("{fault}"));
            texts.put(vec![loaded.pack.clone()]);
        }
        Ok(texts)
    }
}

/// The folder that the setting `textPack` names.
fn in_force() -> Result<Option<PathBuf>, Failure> {
    let found = call::call(Map::new(), &json!({"type": "settings.get", "keys": ["textPack"]}))?;
    let setting = found["values"]["textPack"].as_str().unwrap_or_default();
    Ok(auto_import_path(setting, &surroundings::home()))
}

fn list(texts: &Texts, prefix: &str, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for id in texts.ids().into_iter().filter(|id| id.starts_with(prefix) && !id.starts_with(LAYOUT)) {
        let Some((text, of_pack)) = texts.source(id) else { continue };
        let builtin = Texts::builtin().source(id).map(|(text, _)| text).unwrap_or_default();
        let variables = template::variables(&builtin).unwrap_or_default().used;
        rows.push(json!({"id": id, "bytes": text.len(), "pack": of_pack, "variables": variables}));
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    for row in &rows {
        let variables: Vec<&str> =
            row["variables"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mark = if row["pack"] == true { "*" } else { "" };
        let id = row["id"].as_str().unwrap_or_default();
        println!("{}", format!("{id:<48} {:>6} {mark:1} {}", row["bytes"], variables.join(", ")).trim_end());
    }
    Ok(())
}

/// Writes one file for each first part of an id.
fn export(folder: &Path, prefixes: &[String]) -> Result<(), Failure> {
    let texts = Texts::builtin();
    let wanted = |id: &&str| prefixes.is_empty() || prefixes.iter().any(|prefix| id.starts_with(prefix.as_str()));
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let ids = texts.ids();
    for id in ids.iter().copied().filter(|id| !id.starts_with(LAYOUT)).filter(wanted) {
        let (text, _) = texts.source(id).unwrap_or_default();
        let file = files.entry(id.split('.').next().unwrap_or(id)).or_default();
        file.push_str(&format!("[[{id}]]\n{text}\n\n"));
    }
    if files.is_empty() {
        return Err("there are no such texts".into());
    }
    fs::create_dir_all(folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    let path = |name: &str| folder.join(format!("{name}.txt"));
    if let Some(there) = files.keys().map(|name| path(name)).find(|path| path.exists()) {
        return Err(format!("{} is there already; nothing was written", there.display()).into());
    }
    for (name, content) in &files {
        let path = path(name);
        fs::write(&path, content.trim_end().to_owned() + "\n")
            .map_err(|cause| format!("{}: {cause}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
