//! Reads the XML fragments in tool parameters (`args`, `follow_up`; spec 01 §8): lenient as the reference's reader, into maps.
//!
//! An element with only text is its trimmed text; attributes are `@_name`, text beside them or beside children `#text`, repeated
//! siblings an array. What is unclosed or mismatched is tolerated; cut-off markup is an error.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::ecma;

/// Deepest nesting taken; the result is walked recursively by others.
const DEEPEST: usize = 128;

/// Key of text beside attributes or children.
const TEXT: &str = "#text";

/// Why a fragment cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// A tag, comment, CDATA section, declaration or stop element without its end, at this byte.
    #[error("byte {at}: {what} without its end")]
    Unclosed {
        /// What began there.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// Something stands after a closing tag that nothing had opened.
    #[error("byte {at}: content after a closing tag that nothing had opened")]
    AfterEnd {
        /// Where.
        at: usize,
    },
    /// Elements are nested too deeply.
    #[error("elements are nested more than {DEEPEST} deep")]
    TooDeep,
}

/// Reads a fragment and decodes entities. The inner text of the elements at `stop_paths` (names from the root, joined by dots) is
/// taken as it stands.
///
/// # Errors
/// [`XmlError`] for cut-off markup.
pub fn parse(xml: &str, stop_paths: &[&str]) -> Result<Map<String, Value>, XmlError> {
    Reader::new(xml, stop_paths, true).read()
}

/// As [`parse`], but leaves entities as they are.
///
/// # Errors
/// [`XmlError`] for cut-off markup.
pub fn parse_for_diff(xml: &str, stop_paths: &[&str]) -> Result<Map<String, Value>, XmlError> {
    Reader::new(xml, stop_paths, false).read()
}

struct Reader<'a> {
    /// With LF line ends.
    xml: Cow<'a, str>,
    stop_paths: &'a [&'a str],
    decode: bool,
}

/// An element whose end has not come.
#[derive(Default)]
struct Element {
    name: String,
    has_attributes: bool,
    entries: Map<String, Value>,
    text: String,
}

impl Element {
    fn new(name: &str, attributes: Map<String, Value>) -> Element {
        let has_attributes = !attributes.is_empty();
        Element { name: name.to_owned(), has_attributes, entries: attributes, text: String::new() }
    }

    fn add(&mut self, child: Element) {
        let (name, value) = (child.name.clone(), child.into_value());
        match self.entries.get_mut(&name) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                self.entries.insert(name, value);
            }
        }
    }

    fn into_map(mut self) -> Map<String, Value> {
        if !self.text.is_empty() {
            self.entries.insert(TEXT.to_owned(), Value::String(self.text));
        }
        self.entries
    }

    fn into_value(self) -> Value {
        if self.entries.is_empty() && !self.has_attributes {
            Value::String(self.text)
        } else {
            Value::Object(self.into_map())
        }
    }
}

/// What stands between `<` and `>`.
struct Tag<'a> {
    name: &'a str,
    /// What follows the name.
    rest: &'a str,
    /// Position of the end.
    end: usize,
}

impl<'a> Reader<'a> {
    fn new(xml: &'a str, stop_paths: &'a [&'a str], decode: bool) -> Reader<'a> {
        let xml = if xml.contains('\r') {
            Cow::Owned(xml.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            Cow::Borrowed(xml)
        };
        Reader { xml, stop_paths, decode }
    }

    fn read(&self) -> Result<Map<String, Value>, XmlError> {
        let xml: &str = &self.xml;
        let mut root = Element::default();
        let mut open: Vec<Element> = Vec::new();
        // Nothing may follow once more was closed than opened.
        let mut ended = false;
        let mut path = String::new();
        let (mut at, mut pending) = (0, String::new());
        while let Some(offset) = memchr::memchr(b'<', &xml.as_bytes()[at..]) {
            let tag_start = at + offset;
            pending.push_str(&xml[at..tag_start]);
            let markup = &xml[tag_start..];
            let after_end = || if ended { Err(XmlError::AfterEnd { at: tag_start }) } else { Ok(()) };
            if markup.starts_with("<!--") {
                // Text goes on after a comment as if it were not there.
                at = self.find("-->", tag_start + 4, "a comment", tag_start)? + 3;
                continue;
            }
            if markup.starts_with("<!D") {
                at = document_type_end(xml, tag_start)
                    .ok_or(XmlError::Unclosed { what: "a document type", at: tag_start })?;
                continue;
            }
            let text = std::mem::take(&mut pending);
            if markup.starts_with("</") {
                let end = self.find(">", tag_start, "a closing tag", tag_start)?;
                if !ended {
                    self.add_text(open.last_mut().unwrap_or(&mut root), &text);
                }
                match open.pop() {
                    Some(element) => open.last_mut().unwrap_or(&mut root).add(element),
                    None => ended = true,
                }
                pop(&mut path);
                at = end + 1;
            } else if markup.starts_with("<?") {
                let tag = tag_ending(xml, tag_start + 1, "?>")
                    .ok_or(XmlError::Unclosed { what: "a declaration", at: tag_start })?;
                after_end()?;
                let parent = open.last_mut().unwrap_or(&mut root);
                self.add_text(parent, &text);
                parent.add(Element::new(tag.name, self.attributes(tag.rest)));
                at = tag.end + 2;
            } else if markup.starts_with("<![") {
                let end = self.find("]]>", tag_start, "a CDATA section", tag_start)?;
                after_end()?;
                let parent = open.last_mut().unwrap_or(&mut root);
                self.add_text(parent, &text);
                parent.text.push_str(xml.get(tag_start + 9..end).unwrap_or_default());
                at = end + 3;
            } else {
                let tag =
                    tag_ending(xml, tag_start + 1, ">").ok_or(XmlError::Unclosed { what: "a tag", at: tag_start })?;
                after_end()?;
                if let Some(element) = open.last_mut() {
                    self.add_text(element, &text);
                }
                at = self.open_tag(&tag, &mut root, &mut open, &mut path)?;
            }
        }
        while let Some(element) = open.pop() {
            open.last_mut().unwrap_or(&mut root).add(element);
        }
        Ok(root.into_map())
    }

    /// Takes in an element; gives where to go on.
    fn open_tag(
        &self,
        tag: &Tag<'_>,
        root: &mut Element,
        open: &mut Vec<Element>,
        path: &mut String,
    ) -> Result<usize, XmlError> {
        let closed = if tag.rest.is_empty() { tag.name.ends_with('/') } else { tag.rest.ends_with('/') };
        let name = if closed { tag.name.strip_suffix('/').unwrap_or(tag.name) } else { tag.name };
        let rest = if closed { tag.rest.strip_suffix('/').unwrap_or(tag.rest) } else { tag.rest };
        let mut element = Element::new(name, self.attributes(rest));
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(tag.name);
        if closed {
            pop(path);
            open.last_mut().unwrap_or(root).add(element);
            return Ok(tag.end + 1);
        }
        if self.stop_paths.contains(&path.as_str()) {
            let (inner_end, end) = self
                .stop_end(tag.name, tag.end + 1)?
                .ok_or(XmlError::Unclosed { what: "a stop element", at: tag.end })?;
            element.text = self.xml[tag.end + 1..inner_end].to_owned();
            pop(path);
            open.last_mut().unwrap_or(root).add(element);
            return Ok(end + 1);
        }
        if open.len() >= DEEPEST {
            return Err(XmlError::TooDeep);
        }
        open.push(element);
        Ok(tag.end + 1)
    }

    /// Where the content and the closing tag of a stop element end; elements of the same name inside are balanced.
    fn stop_end(&self, name: &str, from: usize) -> Result<Option<(usize, usize)>, XmlError> {
        let xml: &str = &self.xml;
        let last_end = memchr::memrchr(b'>', xml.as_bytes()).unwrap_or(0);
        let (mut at, mut depth) = (from, 1usize);
        while let Some(offset) = memchr::memchr(b'<', &xml.as_bytes()[at..]) {
            let start = at + offset;
            let markup = &xml[start..];
            at = if markup.starts_with("</") {
                let end = self.find(">", start, "a closing tag", start)?;
                if ecma::trim(&xml[start + 2..end]) == name {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(Some((start, end)));
                    }
                }
                end + 1
            } else if markup.starts_with("<?") {
                self.find("?>", start + 1, "a declaration", start)? + 2
            } else if markup.starts_with("<!--") {
                self.find("-->", start + 3, "a comment", start)? + 3
            } else if markup.starts_with("<![") {
                self.find("]]>", start, "a CDATA section", start)? + 1
            } else if start < last_end
                && let Some(tag) = tag_ending(xml, start + 1, ">")
            {
                let inner_name = tag.name.split_once(':').map_or(tag.name, |(_, name)| name);
                let closed = if tag.rest.is_empty() { inner_name.ends_with('/') } else { tag.rest.ends_with('/') };
                if inner_name == name && !closed {
                    depth += 1;
                }
                tag.end + 1
            } else {
                start + 1
            };
        }
        Ok(None)
    }

    fn find(&self, end: &str, from: usize, what: &'static str, at: usize) -> Result<usize, XmlError> {
        let rest = self.xml.get(from..).unwrap_or_default();
        rest.find(end).map(|offset| from + offset).ok_or(XmlError::Unclosed { what, at })
    }

    fn add_text(&self, element: &mut Element, text: &str) {
        let text = ecma::trim(text);
        if !text.is_empty() {
            element.text.push_str(&self.decoded(text));
        }
    }

    /// Quoted attributes; others are dropped.
    fn attributes(&self, text: &str) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(|c| ecma::is_space(c) || c == '=');
            let end = rest.find(|c| ecma::is_space(c) || c == '=').unwrap_or(rest.len());
            if end == 0 {
                return attributes;
            }
            let (name, after) = rest.split_at(end);
            rest = after;
            let Some(value) = ecma::trim_start(after).strip_prefix('=').map(ecma::trim_start) else { continue };
            let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
            let Some((value, after)) = value[1..].split_once(quote) else { continue };
            attributes.insert(format!("@_{name}"), Value::String(self.decoded(ecma::trim(value)).into_owned()));
            rest = after;
        }
    }

    fn decoded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.decode || !text.contains('&') {
            return Cow::Borrowed(text);
        }
        const ENTITIES: [([&str; 3], &str); 5] = [
            (["&apos;", "&#39;", "&#x27;"], "'"),
            (["&gt;", "&#62;", "&#x3E;"], ">"),
            (["&lt;", "&#60;", "&#x3C;"], "<"),
            (["&quot;", "&#34;", "&#x22;"], "\""),
            (["&amp;", "&#38;", "&#x26;"], "&"),
        ];
        let mut decoded = Cow::Borrowed(text);
        for (spellings, character) in ENTITIES {
            if spellings.iter().any(|spelling| decoded.contains(spelling)) {
                decoded = Cow::Owned(replace_any(&decoded, &spellings, character));
            }
        }
        decoded
    }
}

/// Replaces every one of `spellings`, in one pass.
fn replace_any(text: &str, spellings: &[&str], by: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('&') {
        replaced.push_str(&rest[..position]);
        rest = &rest[position..];
        match spellings.iter().find_map(|spelling| rest.strip_prefix(spelling)) {
            Some(after) => {
                replaced.push_str(by);
                rest = after;
            }
            None => {
                replaced.push('&');
                rest = &rest[1..];
            }
        }
    }
    replaced + rest
}

/// The path without its last name.
fn pop(path: &mut String) {
    path.truncate(path.rfind('.').unwrap_or(0));
}

/// The tag from `start` to the first `end` outside quotes.
fn tag_ending<'a>(xml: &'a str, start: usize, end: &str) -> Option<Tag<'a>> {
    let bytes = xml.as_bytes();
    let mut at = start;
    loop {
        at += memchr::memchr3(b'"', b'\'', end.as_bytes()[0], bytes.get(at..)?)?;
        if matches!(bytes[at], b'"' | b'\'') {
            let quote = bytes[at];
            at += 1;
            at += memchr::memchr(quote, bytes.get(at..)?)? + 1;
        } else if bytes[at..].starts_with(end.as_bytes()) {
            break;
        } else {
            at += 1;
        }
    }
    let expression = &xml[start..at];
    let name_end = expression.find(ecma::is_space).unwrap_or(expression.len());
    let rest = expression[name_end..].strip_prefix(ecma::is_space).map_or("", ecma::trim_start);
    Some(Tag { name: &expression[..name_end], rest, end: at })
}

/// Where to go on after a document type, with its internal subset.
fn document_type_end(xml: &str, start: usize) -> Option<usize> {
    let bytes = xml.as_bytes();
    let (mut at, mut depth) = (start + 1, 1usize);
    while depth > 0 {
        at += memchr::memchr2(b'<', b'>', bytes.get(at..)?)?;
        if bytes[at..].starts_with(b"<!--") {
            at += memchr::memmem::find(&bytes[at..], b"-->")? + 3;
            continue;
        }
        if bytes[at] == b'<' {
            depth += 1
        } else {
            depth -= 1
        }
        at += 1;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fragments_become_maps() {
        let table = [
            ("<a>1<b>2</b>3</a>", json!({"a": {"b": "2", "#text": "13"}})),
            ("<a x='1' y>t</a><a/>", json!({"a": [{"@_x": "1", "#text": "t"}, ""]})),
            ("<a>1</b>", json!({"a": "1"})),
            ("<a>unclosed", json!({"a": ""})),
            ("<a>x<!-- c -->y &amp;lt;</a>", json!({"a": "xy &lt;"})),
            ("<s>a <s>b</s> <![CDATA[</s>]]></s>", json!({"s": "a <s>b</s> <![CDATA[</s>]]>"})),
            ("text</x>", json!({"#text": "text"})),
        ];
        for (xml, value) in table {
            assert_eq!(parse(xml, &["s"]).map(Value::Object), Ok(value), "{xml}");
        }
        for xml in ["<a", "<a>x</a", "<!-- x", "<s>", "x</a><b>", &"<a>".repeat(1000)] {
            assert!(parse(xml, &["s"]).is_err(), "{xml}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(parts in prop::collection::vec(prop::sample::select(&[
            "<a", ">", "</a>", "<s>", "</s>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!D", "\"", "'", "=", " ", "é", "&amp;", "/",
        ][..]), 0..30)) {
            let xml = parts.concat();
            let _ = (parse(&xml, &["a", "a.s"]), parse_for_diff(&xml, &["s"]));
        }
    }
}
