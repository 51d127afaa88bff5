//! Tree objects: what a commit says about each path.

use git2::{ObjectType, Oid};

use super::ShadowError;
use super::folder::Kind;
use super::objects::Objects;

/// What a path of a commit is. Folders have no entry of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file.
    File,
    /// A file its owner may execute.
    Executable,
    /// A symbolic link; its content is its target.
    Link,
}

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeFile {
    /// From the root, `/` between names.
    pub path: Vec<u8>,
    pub kind: FileKind,
    pub id: Oid,
}

/// Deepest folder that is looked at.
pub(super) const DEEPEST: usize = 256;

const FOLDER_MODE: u32 = 0o040000;

impl FileKind {
    /// `None`: no kind of file that checkpoints hold.
    pub(super) fn of(kind: Kind) -> Option<FileKind> {
        match kind {
            Kind::File { executable: false } => Some(FileKind::File),
            Kind::File { executable: true } => Some(FileKind::Executable),
            Kind::Link => Some(FileKind::Link),
            Kind::Folder | Kind::Special => None,
        }
    }

    pub(super) fn from_mode(mode: u32) -> Option<FileKind> {
        match mode {
            0o100644 | 0o100664 => Some(FileKind::File),
            0o100755 => Some(FileKind::Executable),
            0o120000 => Some(FileKind::Link),
            _ => None,
        }
    }

    pub(super) fn mode(self) -> u32 {
        match self {
            FileKind::File => 0o100644,
            FileKind::Executable => 0o100755,
            FileKind::Link => 0o120000,
        }
    }
}

/// Every file of a tree, sorted by path. What is no file, or has a name that no checkpoint may hold, is left out.
pub(super) fn files(objects: &Objects, tree: Oid) -> Result<Vec<TreeFile>, ShadowError> {
    let mut files = Vec::new();
    let mut pending = vec![(Vec::new(), tree, 0)];
    while let Some((prefix, tree, depth)) = pending.pop() {
        for node in nodes(&objects.read(tree, ObjectType::Tree)?)? {
            if !is_allowed(node.name) {
                continue;
            }
            let path = [&prefix, node.name].concat();
            if node.mode == FOLDER_MODE && depth < DEEPEST {
                pending.push(([&path[..], b"/"].concat(), node.id, depth + 1));
            } else if let Some(kind) = FileKind::from_mode(node.mode) {
                files.push(TreeFile { path, kind, id: node.id });
            }
        }
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Stores the trees of files sorted by path; answers the root.
pub(super) fn write(objects: &Objects, files: &[TreeFile]) -> Result<Oid, ShadowError> {
    write_below(objects, files, 0)
}

/// The tree of files that share the first `skip` bytes of their path.
fn write_below(objects: &Objects, files: &[TreeFile], skip: usize) -> Result<Oid, ShadowError> {
    let mut text = Vec::new();
    let mut rest = files;
    while let Some(first) = rest.first() {
        let path = first.path.get(skip..).unwrap_or(b"");
        let (mode, name, id, count) = match path.iter().position(|b| *b == b'/') {
            None => (first.kind.mode(), path, first.id, 1),
            Some(end) => {
                let folder = path.get(..=end).unwrap_or(path);
                let below = |file: &TreeFile| file.path.get(skip..).is_some_and(|path| path.starts_with(folder));
                let count = rest.partition_point(below);
                let id = write_below(objects, rest.get(..count).unwrap_or(&[]), skip + end + 1)?;
                (FOLDER_MODE, path.get(..end).unwrap_or(path), id, count)
            }
        };
        text.extend_from_slice(format!("{mode:o} ").as_bytes());
        text.extend_from_slice(name);
        text.push(0);
        text.extend_from_slice(id.as_bytes());
        rest = rest.get(count.max(1)..).unwrap_or(&[]);
    }
    objects.write(ObjectType::Tree, &text)
}

struct Node<'a> {
    mode: u32,
    name: &'a [u8],
    id: Oid,
}

/// The entries of one tree object.
fn nodes(text: &[u8]) -> Result<Vec<Node<'_>>, ShadowError> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let node = node(rest).ok_or_else(|| git2::Error::from_str("malformed tree"))?;
        rest = node.1;
        nodes.push(node.0);
    }
    Ok(nodes)
}

fn node(text: &[u8]) -> Option<(Node<'_>, &[u8])> {
    let space = text.iter().position(|b| *b == b' ')?;
    let mode = u32::from_str_radix(std::str::from_utf8(text.get(..space)?).ok()?, 8).ok()?;
    let text = text.get(space + 1..)?;
    let end = text.iter().position(|b| *b == 0)?;
    let id = Oid::from_bytes(text.get(end + 1..end + 21)?).ok()?;
    Some((Node { mode, name: text.get(..end)?, id }, text.get(end + 21..)?))
}

/// Whether a name may stand in a checkpoint: one path component, and by no file system's rules a `.git`.
pub(super) fn is_allowed(name: &[u8]) -> bool {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
        return false;
    }
    if name.eq_ignore_ascii_case(b".git") {
        return false;
    }
    if cfg!(windows) {
        let bare = name.split(|b| *b == b':').next().unwrap_or(name).trim_ascii_end();
        let bare = bare.strip_suffix(b".").unwrap_or(bare);
        return !name.contains(&b'\\')
            && !name.contains(&b':')
            && !bare.eq_ignore_ascii_case(b".git")
            && !bare.eq_ignore_ascii_case(b"git~1");
    }
    if cfg!(target_os = "macos") {
        // HFS+ ignores these characters in names.
        let plain: String = String::from_utf8_lossy(name)
            .chars()
            .filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
            .collect();
        return !plain.eq_ignore_ascii_case(".git");
    }
    true
}
