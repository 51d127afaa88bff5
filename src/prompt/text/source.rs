//! The format of catalogue files and of packs: a line `[[id]]` opens a text, which runs to the next such line.

/// A text as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id.
    pub id: &'a str,
    /// Line of the id, from 1.
    pub line: usize,
    /// Line in which the text begins.
    pub begins: usize,
    /// The text, without the line breaks around it.
    pub text: &'a str,
}

/// The texts of a file, in order. What stands before the first id is no text.
pub fn entries(source: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut open: Option<(&str, usize, usize)> = None;
    let mut at = 0;
    for (number, line) in source.split_inclusive('\n').enumerate() {
        let next = at + line.len();
        if let Some(id) = line.trim_end_matches('\n').strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            entries.extend(open.take().map(|(id, line, from)| entry(id, line, &source[from..at])));
            open = Some((id, number + 1, next));
        }
        at = next;
    }
    entries.extend(open.map(|(id, line, from)| entry(id, line, &source[from..])));
    entries
}

fn entry<'a>(id: &'a str, line: usize, text: &'a str) -> Entry<'a> {
    let blank = text.bytes().take_while(|byte| *byte == b'\n').count();
    Entry { id, line, begins: line + 1 + blank, text: text.trim_matches('\n') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_below_their_ids() {
        let found = entries("about\n[[a]]\none\n\ntwo\n\n[[b.c]]\n\n{{ x }}!\n[[d]]");
        let texts: Vec<_> = found.iter().map(|entry| (entry.id, entry.line, entry.begins, entry.text)).collect();
        assert_eq!(texts, [("a", 2, 3, "one\n\ntwo"), ("b.c", 7, 9, "{{ x }}!"), ("d", 10, 11, "")]);
        assert!(entries("[a]\n[[b\n").is_empty());
    }
}
