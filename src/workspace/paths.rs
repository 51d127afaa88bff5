//! Paths as tools show and compare them (spec 05 §1.8). Pure: no path need exist.

use std::path::{Component, Path, PathBuf};

/// `p` against `cwd`: an absolute `p` wins; the result is normalised (no `.`, `..`, double or final slashes).
pub fn resolve(cwd: &Path, p: impl AsRef<Path>) -> PathBuf {
    normalise(&cwd.join(p))
}

/// The path without `.`, `..`, double and final slashes, by its text alone.
pub fn normalise(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match parts.components().next_back() {
                Some(Component::Normal(_)) => {
                    parts.pop();
                }
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    if parts.as_os_str().is_empty() { PathBuf::from(".") } else { parts }
}

/// The path in the form shown to people and models: relative when `cwd` occurs in it, always with forward slashes.
pub fn readable(cwd: &Path, home: &Path, p: &str) -> String {
    let absolute = resolve(cwd, p);
    if normalise(cwd) == normalise(&home.join("Desktop")) {
        return posix(&absolute.to_string_lossy());
    }
    if absolute == normalise(cwd) {
        let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
        return posix(&name.unwrap_or_default());
    }
    // The text is searched, not the components: `/ws2/f` counts as near `/ws` and becomes `../ws2/f`.
    if absolute.to_string_lossy().contains(&*cwd.to_string_lossy()) {
        return posix(&relative_to(cwd, &absolute).to_string_lossy());
    }
    posix(&absolute.to_string_lossy())
}

/// `path` relative to `cwd` with forward slashes; a final slash stays.
pub fn relative(cwd: &Path, path: &str) -> String {
    let mut shown = posix(&relative_to(cwd, &resolve(cwd, path)).to_string_lossy());
    if path.ends_with('/') {
        shown.push('/');
    }
    shown
}

/// Every backslash as a slash, but for `\\?\` paths.
pub fn posix(path: &str) -> String {
    if path.starts_with(r"\\?\") { path.to_owned() } else { path.replace('\\', "/") }
}

/// Whether two paths are the same after normalising; two absent or empty ones are.
pub fn equal(a: Option<&str>, b: Option<&str>) -> bool {
    match (a.filter(|a| !a.is_empty()), b.filter(|b| !b.is_empty())) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let (a, b) = (normalise(Path::new(a)), normalise(Path::new(b)));
            if cfg!(windows) {
                a.to_string_lossy().to_lowercase() == b.to_string_lossy().to_lowercase()
            } else {
                a == b
            }
        }
        _ => false,
    }
}

/// Whether an absolute path lies in none of the workspace folders.
pub fn outside_workspace(folders: &[PathBuf], absolute: &Path) -> bool {
    let absolute = normalise(absolute);
    let inside = |path: &Path, place: &dyn Fn(&Path) -> Option<PathBuf>| {
        folders.iter().filter_map(|folder| place(&normalise(folder))).any(|folder| path.starts_with(folder))
    };
    if !inside(&absolute, &|folder| Some(folder.to_owned())) {
        return true;
    }
    // A link inside may lead out.
    real(&absolute).is_none_or(|absolute| !inside(&absolute, &real))
}

/// Where a path leads once all links on its way are followed; what does not exist yet stays as named. `None` when a link
/// leads nowhere.
pub fn real(path: &Path) -> Option<PathBuf> {
    for existing in path.ancestors() {
        if let Ok(resolved) = existing.canonicalize() {
            let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
            return Some(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) });
        }
        if existing.is_symlink() {
            return None;
        }
    }
    Some(path.to_owned())
}

/// `to` as seen from `from`, both absolute and compared after normalising; empty when they are equal.
pub fn relative_to(from: &Path, to: &Path) -> PathBuf {
    let (from, to) = (normalise(from), normalise(to));
    let from: Vec<_> = from.components().collect();
    let to: Vec<_> = to.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    up.chain(to[common..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_paths() {
        let shown = |p| readable(Path::new("/ws"), Path::new("/home/u"), p);
        for (path, expected) in [
            ("a.ts", "a.ts"),
            ("./b/../a.ts", "a.ts"),
            ("", "ws"),
            (".", "ws"),
            ("../out.txt", "/out.txt"),
            ("/ws2/f", "../ws2/f"),
            ("/etc/ws", "../etc/ws"),
            ("/x/ws/f", "../x/ws/f"),
            ("a\\b", "a/b"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
        assert_eq!(readable(Path::new("/h/Desktop"), Path::new("/h"), "a"), "/h/Desktop/a");
    }

    #[test]
    fn relative_paths_keep_a_final_slash() {
        for (path, expected) in [("/ws/a/", "a/"), ("/ws/", "/"), ("/ws/a/b", "a/b"), ("/x", "../x")] {
            assert_eq!(relative(Path::new("/ws"), path), expected, "{path}");
        }
    }

    #[test]
    fn outside_is_judged_by_whole_components() {
        let folders = [PathBuf::from("/ws")];
        for (path, outside) in [("/ws", false), ("/ws/a", false), ("/ws2", true), ("/ws/../x", true)] {
            assert_eq!(outside_workspace(&folders, Path::new(path)), outside, "{path}");
        }
        assert!(outside_workspace(&[], Path::new("/ws")));
    }
}
