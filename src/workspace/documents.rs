//! Text of PDF, DOCX, XLSX and IPYNB files (spec 05 §3.4).
//!
//! The parsing crates meet hostile files here: what they unpack is bounded, and a panic inside them is an error of the file.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};
use quick_xml::events::Event;
use serde_json::Value;

use super::reading::{MAX_TEXT, extension};
use super::spreadsheets;

/// Most bytes that the parts of an archive may have unpacked.
pub(super) const MAX_UNPACKED: u64 = 256 << 20;

/// A kind of file whose text is not its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// Portable document format.
    Pdf,
    /// Word document.
    Docx,
    /// Jupyter notebook.
    Ipynb,
    /// Excel workbook.
    Xlsx,
}

/// Why a document has no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read it as {kind:?}: {cause}")]
pub struct DocumentError {
    /// What it was taken for.
    pub kind: Document,
    /// What is wrong with it.
    pub cause: String,
}

impl Document {
    /// The kind by the extension, in any case.
    pub fn of(path: &Path) -> Option<Document> {
        match extension(path).as_str() {
            ".pdf" => Some(Document::Pdf),
            ".docx" => Some(Document::Docx),
            ".ipynb" => Some(Document::Ipynb),
            ".xlsx" => Some(Document::Xlsx),
            _ => None,
        }
    }
}

/// The text of a document from its bytes.
pub fn text(kind: Document, bytes: Vec<u8>) -> Result<String, DocumentError> {
    let extracted = catch_unwind(AssertUnwindSafe(|| match kind {
        Document::Pdf => pdf(&bytes),
        Document::Docx => docx(bytes),
        Document::Ipynb => ipynb(&bytes),
        Document::Xlsx => spreadsheets::text(bytes),
    }));
    match extracted {
        Ok(Ok(text)) if text.len() as u64 <= MAX_TEXT => Ok(text),
        Ok(Ok(_)) => Err("too much text".to_owned()),
        Ok(Err(cause)) => Err(cause),
        Err(_) => Err("the file is damaged".to_owned()),
    }
    .map_err(|cause| DocumentError { kind, cause })
}

fn pdf(bytes: &[u8]) -> Result<String, String> {
    let document = pdf_extract::Document::load_mem(bytes).map_err(|error| error.to_string())?;
    if document.is_encrypted() {
        return Err("it is encrypted".to_owned());
    }
    let mut text = String::new();
    for page in document.get_pages().into_keys() {
        text.push_str("\n\n");
        let mut items = PageText::default();
        // A page that cannot be read contributes nothing, whatever it got as far as.
        let read = catch_unwind(AssertUnwindSafe(|| pdf_extract::output_doc_page(&document, &mut items, page)));
        if matches!(read, Ok(Ok(()))) {
            text.push_str(&items.text);
        }
    }
    Ok(text)
}

/// Collects a page's text: a line break where the baseline changes, a space where a gap is wide.
#[derive(Default)]
struct PageText {
    text: String,
    baseline: f64,
    end: f64,
    starts_item: bool,
}

impl OutputDev for PageText {
    fn begin_page(&mut self, _: u32, _: &MediaBox, _: Option<(f64, f64, f64, f64)>) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let size = font_size * (place.m11 * place.m22 - place.m12 * place.m21).abs().sqrt();
        if self.starts_item {
            // A baseline of 0 stands for "none yet".
            if self.baseline != 0.0 && self.baseline != place.m32 {
                self.text.push('\n');
            } else if place.m31 > self.end + size * 0.1 && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
            self.baseline = place.m32;
            self.starts_item = false;
        }
        self.text.push_str(text);
        self.end = place.m31 + width * size;
        Ok(())
    }
    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.starts_item = true;
        Ok(())
    }
    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Raw text of the body: runs joined, a tab for each tab, two line ends after each paragraph.
fn docx(bytes: Vec<u8>) -> Result<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let part = archive.by_name("word/document.xml").map_err(|error| error.to_string())?;
    let mut xml = Vec::new();
    part.take(MAX_UNPACKED).read_to_end(&mut xml).map_err(|error| error.to_string())?;
    let mut reader = quick_xml::Reader::from_reader(xml.as_slice());
    let (mut text, mut in_text) = (String::new(), false);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) if tag.name().as_ref() == b"w:t" => in_text = true,
            Event::End(tag) if tag.name().as_ref() == b"w:t" => in_text = false,
            Event::Empty(tag) if tag.name().as_ref() == b"w:tab" => text.push('\t'),
            Event::Empty(tag) if tag.name().as_ref() == b"w:p" => text.push_str("\n\n"),
            Event::End(tag) if tag.name().as_ref() == b"w:p" => text.push_str("\n\n"),
            Event::Text(piece) if in_text => text.push_str(&String::from_utf8_lossy(&piece)),
            Event::CData(piece) if in_text => text.push_str(&String::from_utf8_lossy(&piece)),
            Event::GeneralRef(reference) if in_text => match reference.resolve_char_ref() {
                Ok(Some(character)) => text.push(character),
                _ => {
                    let name = String::from_utf8_lossy(&reference).into_owned();
                    text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default());
                }
            },
            Event::Eof => return Ok(text),
            _ => {}
        }
    }
}

/// Sources of the markdown and code cells; outputs are left out.
fn ipynb(bytes: &[u8]) -> Result<String, String> {
    let notebook: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let cells = notebook.get("cells").and_then(Value::as_array).ok_or("it has no list of cells")?;
    let mut text = String::new();
    for cell in cells {
        let shown = matches!(cell.get("cell_type").and_then(Value::as_str), Some("markdown" | "code"));
        match cell.get("source") {
            Some(Value::Array(lines)) if shown => {
                let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap_or_default()).collect();
                text.push_str(&lines.join("\n"));
                text.push('\n');
            }
            Some(Value::Null) | None => {}
            Some(Value::String(source)) if source.is_empty() => {}
            Some(_) if shown => return Err("the source of a cell is no list of lines".to_owned()),
            Some(_) => {}
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn notebooks_show_the_source_of_cells() {
        let book =
            br##"{"cells":[{"cell_type":"code","source":["a = 1\n","b = 2"]},{"cell_type":"markdown","source":["# T"]},
            {"cell_type":"raw","source":["zz"]},{"cell_type":"code"}]}"##;
        assert_eq!(text(Document::Ipynb, book.to_vec()).expect("text"), "a = 1\n\nb = 2\n# T\n");
        assert!(text(Document::Ipynb, b"{}".to_vec()).is_err());
        assert!(text(Document::Ipynb, br#"{"cells":[{"cell_type":"code","source":"x"}]}"#.to_vec()).is_err());
    }

    #[test]
    fn word_documents_show_paragraphs() {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).expect("started");
        archive
            .write_all(b"<w:document><w:p><w:r><w:t>a &amp; b</w:t><w:tab/><w:t>c</w:t></w:r></w:p><w:p/></w:document>")
            .expect("written");
        let bytes = archive.finish().expect("finished").into_inner();
        assert_eq!(text(Document::Docx, bytes).expect("text"), "a & b\tc\n\n\n\n");
    }

    #[test]
    fn pages_of_a_pdf_show_lines() {
        let content = "BT /F1 12 Tf 50 700 Td (First line) Tj 0 -20 Td (second) Tj ET";
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
             /Resources << /Font << /F1 5 0 R >> >> >>"
                .to_owned(),
            format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        ];
        let (mut pdf, mut places) = ("%PDF-1.4\n".to_owned(), String::new());
        for (index, object) in objects.iter().enumerate() {
            places.push_str(&format!("{:010} 00000 n \n", pdf.len()));
            pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
        }
        let start = pdf.len();
        let table = format!("xref\n0 6\n0000000000 65535 f \n{places}trailer\n<< /Size 6 /Root 1 0 R >>\n");
        pdf.push_str(&format!("{table}startxref\n{start}\n%%EOF\n"));
        assert_eq!(text(Document::Pdf, pdf.into_bytes()).expect("text"), "\n\nFirst line\nsecond");
    }

    #[test]
    fn damaged_documents_are_errors() {
        for kind in [Document::Pdf, Document::Docx, Document::Xlsx, Document::Ipynb] {
            assert!(text(kind, b"%PDF-1.4 nothing of the kind".to_vec()).is_err(), "{kind:?}");
        }
    }
}
