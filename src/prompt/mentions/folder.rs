//! Layout of a folder's content (spec 03 §16.3).

use std::fmt::Write;

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// It is a folder.
    pub is_folder: bool,
    /// The ignore rules hide it.
    pub ignored: bool,
    /// Text of a file that is shown.
    pub text: Option<String>,
}

/// The entries as a tree of one level, then the contents of files, whose paths begin with `base`. `children` are all entries
/// in order; of those that are ignored, `show_ignored` leaves the names. The last entry has its mark whether it is shown or not,
/// so that there may be no mark.
pub fn layout(children: &[Child], base: &str, show_ignored: bool) -> String {
    let mut tree = String::new();
    for (index, child) in children.iter().enumerate().filter(|(_, child)| show_ignored || !child.ignored) {
        let branch = if index + 1 == children.len() { "└── " } else { "├── " };
        let lock = if child.ignored { "🔒 " } else { "" };
        let slash = if child.is_folder { "/" } else { "" };
        let _ = writeln!(tree, "{branch}{lock}{}{slash}", child.name);
    }
    let contents: Vec<String> = children
        .iter()
        .filter_map(|child| {
            let text = child.text.as_ref()?;
            let path = crate::workspace::paths::normalise(&std::path::Path::new(base).join(&child.name));
            let path = crate::workspace::paths::posix(&path.to_string_lossy());
            Some(format!("<file_content path=\"{path}\">\n{text}\n</file_content>"))
        })
        .collect();
    crate::ecma::trim(&format!("{tree}\n{}", contents.join("\n\n"))).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(name: &str, ignored: bool, text: Option<&str>) -> Child {
        let name = name.to_owned();
        Child { is_folder: name == "sub", name, ignored, text: text.map(str::to_owned) }
    }

    /// parity 03 §checklist.24: direct children, those that are ignored left out or locked
    /// parity 03 §16.3: the last entry has its mark by its place among all
    #[test]
    fn entries_then_contents() {
        let children = [child("a.md", false, Some("1 | a\n")), child("sub", false, None), child("z", true, None)];
        let contents = "<file_content path=\"d/a.md\">\n1 | a\n\n</file_content>";
        assert_eq!(layout(&children, "d/", false), format!("├── a.md\n├── sub/\n\n{contents}"));
        assert_eq!(layout(&children, "d/", true), format!("├── a.md\n├── sub/\n└── 🔒 z\n\n{contents}"));
        assert_eq!(layout(&[], "d/", true), "");
    }
}
