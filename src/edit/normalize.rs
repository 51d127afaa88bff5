//! *normalize* of spec 05 §1.12: texts that differ only in quotes, dashes or white space become equal.

use crate::ecma;

/// What to make alike; all by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Curly quotes become straight ones.
    pub smart_quotes: bool,
    /// An ellipsis becomes three dots, long dashes hyphens, a no-break space a space.
    pub typographic: bool,
    /// Every run of white space becomes one space.
    pub extra_whitespace: bool,
    /// White space at both ends goes.
    pub trim: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { smart_quotes: true, typographic: true, extra_whitespace: true, trim: true }
    }
}

/// The text with what `options` name made alike.
pub fn normalize(text: &str, options: Options) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut in_space = false;
    for character in text.chars() {
        if options.extra_whitespace && ecma::is_space(character) {
            if !in_space {
                normal.push(' ');
            }
            in_space = true;
            continue;
        }
        in_space = false;
        match character {
            '\u{201c}' | '\u{201d}' if options.smart_quotes => normal.push('"'),
            '\u{2018}' | '\u{2019}' if options.smart_quotes => normal.push('\''),
            '\u{2026}' if options.typographic => normal.push_str("..."),
            '\u{2014}' | '\u{2013}' if options.typographic => normal.push('-'),
            '\u{a0}' if options.typographic => normal.push(' '),
            other => normal.push(other),
        }
    }
    if options.trim { ecma::trim(&normal).to_owned() } else { normal }
}

/// Appends `text` with everything made alike, in UTF-16 units.
pub(super) fn append_units(text: &str, units: &mut Vec<u16>) {
    let mut pending_space = false;
    let begin = units.len();
    let mut push = |unit: &[u16], pending_space: &mut bool| {
        if std::mem::take(pending_space) && units.len() > begin {
            units.push(u16::from(b' '));
        }
        units.extend_from_slice(unit);
    };
    for character in text.chars() {
        match character {
            c if ecma::is_space(c) => pending_space = true,
            '\u{201c}' | '\u{201d}' => push(&[u16::from(b'"')], &mut pending_space),
            '\u{2018}' | '\u{2019}' => push(&[u16::from(b'\'')], &mut pending_space),
            '\u{2026}' => push(&[u16::from(b'.'); 3], &mut pending_space),
            '\u{2014}' | '\u{2013}' => push(&[u16::from(b'-')], &mut pending_space),
            other => push(other.encode_utf16(&mut [0; 2]), &mut pending_space),
        }
    }
}
