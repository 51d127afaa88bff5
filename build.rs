//! Packs the text catalogue into one compressed file and sets the linker flags of the shared library.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    pack_texts(&["src/prompt/layout", "src/prompt/text"], &out.join("texts.bin"))?;
    link_arguments()
}

/// ELF: the soname carries the ABI version; the library stays loaded after `dlclose`, since its threads may still run.
fn link_arguments() -> Result<(), Box<dyn std::error::Error>> {
    if matches!(env::var("CARGO_CFG_TARGET_OS")?.as_str(), "linux" | "android" | "freebsd") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liblapce_ai.so.0");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
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
