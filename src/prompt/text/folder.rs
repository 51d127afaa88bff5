//! A folder with a text pack: its files `*.txt`, read again when one of them has changed.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Texts;
use super::pack::{Fault, Pack, Problem};
use crate::workspace::reading;
use crate::workspace::stamp::Stamp;

/// Most files of a pack.
const MAX_FILES: usize = 64;
/// Largest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A folder that holds a pack, or will.
pub struct Folder {
    path: PathBuf,
    last: Mutex<Option<(Stamps, Arc<Loaded>)>>,
}

/// A pack as it was read.
#[derive(Default)]
pub struct Loaded {
    /// Its folder.
    pub path: PathBuf,
    /// Its texts, as far as they are good.
    pub pack: Arc<Pack>,
    /// What is wrong with the others, in the order of files and lines.
    pub faults: Vec<Fault>,
}

type Stamps = Vec<(PathBuf, Stamp)>;

impl Folder {
    /// A folder that nobody has read yet.
    pub fn new(path: PathBuf) -> Folder {
        Folder { path, last: Mutex::default() }
    }

    /// The pack as it is now. As long as nothing was written, it is the same one.
    pub fn read(&self) -> Arc<Loaded> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, mut faults) = list(&self.path);
        let stamps: Stamps = files.iter().map(|(path, data)| (path.clone(), Stamp::of(data.as_ref()))).collect();
        if let Some((known, loaded)) = &*last
            && *known == stamps
            && (!stamps.is_empty() || faults == loaded.faults)
        {
            return loaded.clone();
        }
        let mut texts = Vec::new();
        for (path, _) in files {
            let name = path.display().to_string();
            match content(&path) {
                Ok(content) => texts.push((name, content)),
                Err((line, problem)) => faults.push(Fault { file: name, line, id: None, problem }),
            }
        }
        let (pack, of_texts) = Texts::builtin().read_pack(&texts);
        faults.extend(of_texts);
        faults.sort();
        let loaded = Arc::new(Loaded { path: self.path.clone(), pack: Arc::new(pack), faults });
        *last = Some((stamps, loaded.clone()));
        loaded
    }
}

/// The files of the pack, by name.
fn list(folder: &Path) -> (Vec<(PathBuf, Option<Metadata>)>, Vec<Fault>) {
    let fault = |problem| vec![Fault { file: folder.display().to_string(), line: 0, id: None, problem }];
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) => return (Vec::new(), fault(Problem::Unreadable(cause.to_string()))),
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).take(MAX_FILES + 1).collect();
    let faults = match paths.len() {
        0..=MAX_FILES => Vec::new(),
        _ => fault(Problem::TooMuch { limit: MAX_FILES, unit: "files" }),
    };
    paths.truncate(if faults.is_empty() { MAX_FILES } else { 0 });
    paths.sort();
    let with_data = |path: PathBuf| {
        let data = fs::metadata(&path).ok();
        (path, data)
    };
    (paths.into_iter().map(with_data).collect(), faults)
}

/// The text of a file, its line ends `\n`, or what is wrong with it and in which line.
fn content(path: &Path) -> Result<String, (usize, Problem)> {
    let bytes = reading::read_at_most(path, MAX_FILE).map_err(|cause| (0, Problem::Unreadable(cause.to_string())))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n")),
        Err(error) => {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            Err((line, Problem::Unreadable("this is not UTF-8".into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_when_it_has_changed() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("texts"));
        let text = |id: &str| folder.read().pack.source(id).map(str::to_owned);
        let faults = || folder.read().faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(faults()[0].contains("texts: "), "{:?}", faults());
        fs::create_dir(&folder.path).unwrap();
        assert_eq!(faults(), Vec::<String>::new());
        fs::write(folder.path.join("a.txt"), "\u{feff}[[resp.denied]]\r\nNo.\r\nNever.\r\n").unwrap();
        assert_eq!(text("resp.denied").as_deref(), Some("No.\nNever."));
        assert!(Arc::ptr_eq(&folder.read(), &folder.read()), "unchanged, it is not read again");
        fs::write(folder.path.join("b.md"), "[[resp.denied]]\nnot of the pack").unwrap();
        fs::write(folder.path.join("b.txt"), "[[resp.denied]]\nsecond\n[[resp.no_tool]]\nTool?").unwrap();
        assert_eq!(
            (text("resp.denied").as_deref(), text("resp.no_tool").as_deref()),
            (Some("No.\nNever."), Some("Tool?"))
        );
        assert!(faults()[0].ends_with("already") && faults()[0].contains("b.txt:1: `resp.denied`"), "{:?}", faults());
        fs::remove_file(folder.path.join("a.txt")).unwrap();
        assert_eq!((text("resp.denied").as_deref(), faults()), (Some("second"), Vec::new()));
        fs::remove_dir_all(&folder.path).unwrap();
        assert_eq!((text("resp.denied"), faults().len()), (None, 1));
    }

    #[test]
    fn what_is_no_small_text_file_is_a_fault_and_the_rest_counts() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| home.path().join(name);
        fs::create_dir(file("folder.txt")).unwrap();
        fs::write(file("bytes.txt"), b"[[resp.denied]]\n\xff").unwrap();
        fs::write(file("large.txt"), vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        fs::write(file("good.txt"), "[[resp.no_tool]]\nTool?").unwrap();
        let loaded = Folder::new(home.path().to_owned()).read();
        let faults: Vec<String> = loaded.faults.iter().map(ToString::to_string).collect();
        let named = [("bytes.txt:2: ", "UTF-8"), ("folder.txt: ", ""), ("large.txt: ", "large")];
        assert_eq!(faults.len(), named.len(), "{faults:?}");
        for (fault, (place, problem)) in faults.iter().zip(named) {
            assert!(fault.contains(place) && fault.contains(problem), "{fault}");
        }
        assert_eq!(loaded.pack.ids().collect::<Vec<_>>(), ["resp.no_tool"]);
        for number in 0..MAX_FILES {
            fs::write(file(&format!("{number}.txt")), "").unwrap();
        }
        let loaded = Folder::new(home.path().to_owned()).read();
        assert_eq!((loaded.pack.ids().count(), loaded.faults.len()), (0, 1));
    }
}
