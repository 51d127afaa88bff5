//! A secret that stands somewhere else: `${keyring:ENTRY}` or `${env:NAME}` in place of its text.

/// Where a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// In the system's keyring, under this entry of the service `lapce-ai`.
    Keyring(&'a str),
    /// In this environment variable, as it was when the engine was opened.
    Environment(&'a str),
}

impl<'a> Reference<'a> {
    /// Reads a text that is exactly a reference; every other text is a secret itself.
    pub fn parse(text: &'a str) -> Option<Reference<'a>> {
        let (kind, name) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
        match kind {
            _ if name.is_empty() || name.contains(['{', '}', '\0']) => None,
            "keyring" => Some(Reference::Keyring(name)),
            "env" => Some(Reference::Environment(name)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_reference_is_one() {
        for (text, expected) in [
            ("${keyring:work}", Some(Reference::Keyring("work"))),
            ("${keyring:a:b c}", Some(Reference::Keyring("a:b c"))),
            ("${env:MY_KEY}", Some(Reference::Environment("MY_KEY"))),
            ("${env:}", None),
            ("${file:x}", None),
            ("${env:X", None),
            (" ${env:X}", None),
            ("Bearer ${env:X}", None),
            ("${env:X}${env:Y}", None),
            ("", None),
        ] {
            assert_eq!(Reference::parse(text), expected, "{text}");
        }
    }
}
