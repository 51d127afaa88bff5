//! The form in which an editor keeps a text: the line ends most of its file has, and its byte-order mark (spec 05 §2.2).

/// What stays of a file when its text is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    byte_order_mark: bool,
    crlf: bool,
}

impl Form {
    /// The form of this text.
    pub fn of(text: &str) -> Form {
        Form { byte_order_mark: text.starts_with('\u{feff}'), crlf: uses_crlf(text) }
    }

    /// The text with the line ends of this form.
    pub fn line_ends(&self, text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        if self.crlf { text.replace('\n', "\r\n") } else { text }
    }

    /// What the file holds when the document has this text.
    pub fn file(&self, text: &str) -> String {
        format!("{}{text}", if self.byte_order_mark { "\u{feff}" } else { "" })
    }
}

/// Whether an editor would say that the text has CRLF line ends: most of its line ends contain CR. A text without any has
/// the platform's.
fn uses_crlf(text: &str) -> bool {
    let crlf = text.matches("\r\n").count();
    let with_cr = text.matches('\r').count();
    let all = with_cr + text.matches('\n').count() - crlf;
    if all == 0 { cfg!(windows) } else { with_cr * 2 > all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_follow_the_majority() {
        for (text, crlf) in [("a\r\nb\r\nc\n", true), ("a\r\nb\nc\n", false), ("a\nb\r\n", false), ("", cfg!(windows))]
        {
            assert_eq!(uses_crlf(text), crlf, "{text:?}");
        }
    }
}
