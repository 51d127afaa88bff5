//! Patterns of model ids.

use serde::Deserialize;

/// A pattern in which `*` stands for any characters, also none; everything else stands for itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Whether the whole of `id` fits. Linear in the id for each star.
    pub fn fits(&self, id: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == id };
        let Some(mut id) = id.strip_prefix(head) else { return false };
        let (middles, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for middle in middles.split('*') {
            match id.find(middle) {
                Some(at) => id = &id[at + middle.len()..],
                None => return false,
            }
        }
        id.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, id, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("*R1*", "x/R1-d", true),
            ("*R1*", "x/r1", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*b*b", "ab", false),
            ("*é*", "né", true),
            ("*", "", true),
        ] {
            assert_eq!(Pattern(pattern.into()).fits(id), expected, "{pattern} {id}");
        }
    }
}
