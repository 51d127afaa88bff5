//! Packs the text catalogue into one compressed file and sets the linker flags of the shared library.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    pack_texts(&["src/prompt/layout", "src/prompt/text"], &out.join("texts.bin"))?;
    Ok(())
}

/// Concatenates all catalogue files of the folders in name order and deflates them.
fn pack_texts(folders: &[&str], to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    for folder in folders {
        println!("cargo::rerun-if-changed={folder}");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
        files.sort();
        for file in files {
            encoder.write_all(fs::read_to_string(&file)?.as_bytes())?;
            encoder.write_all(b"\n")?;
        }
    }
    fs::write(to, encoder.finish()?)?;
    Ok(())
}
