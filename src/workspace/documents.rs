//! Text of PDF, DOCX, XLSX and IPYNB files (spec 05 §3.4).
//!
//! The parsing crates meet hostile files here: what they unpack is bounded, and a panic inside them is an error of the file.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{Data, Reader as _, SheetVisible, Xlsx};
use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};
use quick_xml::events::Event;
use serde_json::Value;

use super::reading::{MAX_TEXT, extension};

/// Rows of a sheet that are shown.
const MAX_ROWS: usize = 50_000;

/// Most bytes that the parts of an archive may have unpacked.
const MAX_UNPACKED: u64 = 256 << 20;

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
        Document::Xlsx => xlsx(bytes),
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

/// All visible sheets, a line a row and a tab between cells.
fn xlsx(bytes: Vec<u8>) -> Result<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).map_err(|error| error.to_string())?;
    let mut unpacked = 0u64;
    for index in 0..archive.len() {
        unpacked = unpacked.saturating_add(archive.by_index_raw(index).map_err(|error| error.to_string())?.size());
    }
    if unpacked > MAX_UNPACKED {
        return Err("it is too large unpacked".to_owned());
    }
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let sheets: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut text = String::new();
    for name in sheets {
        let values = book.worksheet_range(&name).map_err(|error| error.to_string())?;
        let formulas = book.worksheet_formula(&name).unwrap_or_default();
        text.push_str(&format!("--- Sheet: {name} ---\n"));
        let (Some((first, left)), Some((last, right))) =
            (bounds(&values, &formulas, true), bounds(&values, &formulas, false))
        else {
            text.push('\n');
            continue;
        };
        debug_assert!(left <= right);
        for row in first..=last {
            let cells: Vec<String> = (0..=right)
                .map(|column| cell(values.get_value((row, column)), formulas.get_value((row, column))))
                .collect();
            let Some(end) = cells.iter().rposition(|cell| !cell.is_empty()) else {
                continue;
            };
            if row as usize >= MAX_ROWS {
                text.push_str(&format!("[... truncated at row {} ...]\n", row + 1));
            } else if cells.iter().any(|cell| !crate::ecma::trim(cell).is_empty()) {
                text.push_str(&cells[..=end].join("\t"));
                text.push('\n');
            }
            if text.len() as u64 > MAX_TEXT {
                return Err("too much text".to_owned());
            }
        }
        text.push('\n');
    }
    Ok(crate::ecma::trim(&text).to_owned())
}

/// The first (or last) row and column that holds a value or a formula.
fn bounds(values: &calamine::Range<Data>, formulas: &calamine::Range<String>, first: bool) -> Option<(u32, u32)> {
    let corners = if first { [values.start(), formulas.start()] } else { [values.end(), formulas.end()] };
    let pick = if first { u32::min } else { u32::max };
    corners.into_iter().flatten().reduce(|a, b| (pick(a.0, b.0), pick(a.1, b.1)))
}

fn cell(value: Option<&Data>, formula: Option<&String>) -> String {
    let shown = match value {
        None | Some(Data::Empty) => String::new(),
        Some(Data::Error(code)) => format!("[Error: {code}]"),
        Some(Data::DateTime(when)) => date(when.as_f64()),
        Some(Data::DateTimeIso(text)) => text.split('T').next().unwrap_or_default().to_owned(),
        Some(value) => value.to_string(),
    };
    match formula.filter(|formula| !formula.is_empty()) {
        // A result of 0 counts as none (spec 05 §3.4).
        Some(formula) if shown.is_empty() || shown == "0" => format!("[Formula: {formula}]"),
        _ => shown,
    }
}

/// `YYYY-MM-DD` of a day number of a workbook: days since the end of 1899, with a 29 February 1900 that never was.
fn date(serial: f64) -> String {
    let serial = serial.floor() as i64;
    let day = serial + if serial < 60 { 1 } else { 0 } - 25_569;
    // Days since the Unix epoch to a date, by 400-year eras that start in March.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day_of_month:02}", era * 400 + year_of_era + carry)
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
    fn dates_of_day_numbers() {
        for (serial, expected) in
            [(45_292.5, "2024-01-01"), (25_569.0, "1970-01-01"), (61.0, "1900-03-01"), (1.0, "1900-01-01")]
        {
            assert_eq!(date(serial), expected);
        }
    }

    #[test]
    fn damaged_documents_are_errors() {
        for kind in [Document::Pdf, Document::Docx, Document::Xlsx, Document::Ipynb] {
            assert!(text(kind, b"%PDF-1.4 nothing of the kind".to_vec()).is_err(), "{kind:?}");
        }
    }
}
