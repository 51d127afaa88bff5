//! Text of XLSX workbooks (spec 05 §3.4): a line a row, a tab between cells.
//!
//! Values come from `calamine` one cell at a time; its ranges would be as large as the outermost cells say, which a hostile file
//! sets to the far corner of the sheet. What it does not tell, or not within bounds (links, merged cells, formulas), is read
//! from the sheet's own XML here.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read};

use calamine::{Data, Reader as _, SheetType, SheetVisible, Xlsx};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::documents::MAX_UNPACKED;
use super::reading::MAX_TEXT;
use crate::ecma;

/// Rows of a sheet that are shown.
const MAX_ROWS: u32 = 50_000;

/// Cells that merged regions may fill in a sheet.
const MAX_MERGED: usize = 1 << 20;

/// Row and column, from 0.
type Place = (u32, u32);

type Archive = zip::ZipArchive<Cursor<Vec<u8>>>;

/// What a formula without result shows.
#[derive(Debug, PartialEq)]
enum Formula {
    Own(String),
    /// Follows the formula of another cell.
    Shared,
}

/// What the XML of a sheet says beside its values.
#[derive(Debug, Default)]
struct Markup {
    formulas: HashMap<Place, Formula>,
    /// Where a cell leads, as the id of a relation.
    links: HashMap<Place, String>,
    merged: Vec<(Place, Place)>,
}

/// All visible sheets.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes.clone())).map_err(in_words)?;
    check_size(&mut archive)?;
    let paths = sheet_paths(&mut archive)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(in_words)?;
    let shown = |sheet: &&calamine::Sheet| sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet;
    let names: Vec<String> = book.sheets_metadata().iter().filter(shown).map(|sheet| sheet.name.clone()).collect();
    let mut text = String::new();
    for name in names {
        let path = paths.get(&name).map(String::as_str).unwrap_or_default();
        let markup = part(&mut archive, path).map_or_else(|| Ok(Markup::default()), |xml| markup(&xml))?;
        let links = relations(&mut archive, path)?;
        let cells = cells(&mut book, &name, &markup, &links)?;
        text.push_str(&format!("--- Sheet: {name} ---\n"));
        add_rows(&mut text, &cells)?;
        text.push('\n');
    }
    Ok(ecma::trim(&text).to_owned())
}

/// Refuses an archive that unpacks to more than it should, by unpacking it: what it says of itself may be a lie.
fn check_size(archive: &mut Archive) -> Result<(), String> {
    let mut left = MAX_UNPACKED;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(in_words)?;
        left -= io::copy(&mut part.take(left), &mut io::sink()).map_err(in_words)?;
        if left == 0 {
            return Err("it is too large unpacked".to_owned());
        }
    }
    Ok(())
}

/// The part of the archive with the XML of each sheet.
fn sheet_paths(archive: &mut Archive) -> Result<HashMap<String, String>, String> {
    let targets = relations(archive, "xl/workbook.xml")?;
    let workbook = part(archive, "xl/workbook.xml").ok_or("it has no workbook")?;
    let mut paths = HashMap::new();
    each_tag(&workbook, |tag| {
        if tag.local_name().as_ref() == b"sheet"
            && let (Some(name), Some(target)) = (attribute(tag, "name"), attribute(tag, "r:id"))
            && let Some(target) = targets.get(&target)
        {
            let path = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
            paths.insert(name, path);
        }
    })?;
    Ok(paths)
}

/// Targets of the relations of a part by their ids.
fn relations(archive: &mut Archive, path: &str) -> Result<HashMap<String, String>, String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let mut targets = HashMap::new();
    if let Some(xml) = part(archive, &format!("{folder}/_rels/{file}.rels")) {
        each_tag(&xml, |tag| {
            if tag.local_name().as_ref() == b"Relationship" {
                targets.extend(attribute(tag, "Id").zip(attribute(tag, "Target")));
            }
        })?;
    }
    Ok(targets)
}

fn part(archive: &mut Archive, path: &str) -> Option<Vec<u8>> {
    let mut xml = Vec::new();
    archive.by_name(path).ok()?.take(MAX_UNPACKED).read_to_end(&mut xml).ok()?;
    Some(xml)
}

fn each_tag(xml: &[u8], mut take: impl FnMut(&BytesStart<'_>)) -> Result<(), String> {
    let mut reader = Reader::from_reader(xml);
    loop {
        match reader.read_event().map_err(in_words)? {
            Event::Start(tag) | Event::Empty(tag) => take(&tag),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let value = tag.try_get_attribute(name).ok()??;
    value.unescape_value().ok().map(|value| value.into_owned())
}

fn markup(xml: &[u8]) -> Result<Markup, String> {
    let mut found = Markup::default();
    let mut reader = Reader::from_reader(xml);
    // Cells and rows without a reference follow the one before them.
    let (mut at, mut next): (Place, Place) = ((0, 0), (0, 0));
    let mut formula: Option<(bool, String)> = None;
    loop {
        let event = reader.read_event().map_err(in_words)?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                b"row" => {
                    let row = attribute(tag, "r").and_then(|row| row.parse::<u32>().ok()?.checked_sub(1));
                    next = (row.unwrap_or(next.0), 0);
                }
                b"c" => {
                    at = attribute(tag, "r").and_then(|place| parse_place(&place)).unwrap_or(next);
                    next = (at.0, at.1.saturating_add(1));
                }
                b"f" => formula = Some((attribute(tag, "t").as_deref() == Some("shared"), String::new())),
                b"mergeCell" => found.merged.extend(attribute(tag, "ref").and_then(|region| parse_region(&region))),
                b"hyperlink" => {
                    let place = attribute(tag, "ref").and_then(|region| parse_region(&region));
                    found.links.extend(place.map(|(first, _)| first).zip(attribute(tag, "r:id")));
                }
                _ => {}
            },
            Event::Text(piece) => {
                if let Some((_, text)) = &mut formula {
                    text.push_str(&String::from_utf8_lossy(piece));
                }
            }
            Event::GeneralRef(reference) => {
                if let Some((_, text)) = &mut formula {
                    let name = String::from_utf8_lossy(reference);
                    text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default());
                }
            }
            Event::End(tag) if tag.local_name().as_ref() == b"row" => next = (next.0.saturating_add(1), 0),
            Event::Eof => return Ok(found),
            _ => {}
        }
        let ends = match &event {
            Event::Empty(tag) => tag.local_name().as_ref() == b"f",
            Event::End(tag) => tag.local_name().as_ref() == b"f",
            _ => false,
        };
        if ends && let Some((shared, text)) = formula.take() {
            match (shared, text.is_empty()) {
                (_, false) => drop(found.formulas.insert(at, Formula::Own(text))),
                (true, true) => drop(found.formulas.insert(at, Formula::Shared)),
                (false, true) => {}
            }
        }
    }
}

/// `B3` as row 2, column 1.
fn parse_place(reference: &str) -> Option<Place> {
    let digits = reference.find(|c: char| c.is_ascii_digit())?;
    let column = reference[..digits].bytes().try_fold(0u32, |column, letter| {
        let letter = letter.is_ascii_uppercase().then(|| u32::from(letter - b'A') + 1)?;
        Some(column * 26 + letter).filter(|column| *column <= 16_384)
    })?;
    let row: u32 = reference[digits..].parse().ok()?;
    Some((row.checked_sub(1).filter(|row| *row < 1_048_576)?, column.checked_sub(1)?))
}

/// `A1:B3`, or one cell.
fn parse_region(reference: &str) -> Option<(Place, Place)> {
    let (first, last) = reference.split_once(':').unwrap_or((reference, reference));
    Some((parse_place(first)?, parse_place(last)?))
}

/// What the cells of a sheet show, empty ones left out.
fn cells(
    book: &mut Xlsx<Cursor<Vec<u8>>>,
    sheet: &str,
    markup: &Markup,
    targets: &HashMap<String, String>,
) -> Result<BTreeMap<Place, String>, String> {
    let mut cells = BTreeMap::new();
    let mut left = MAX_TEXT as usize;
    let mut add = |cells: &mut BTreeMap<Place, String>, place: Place, shown: String| {
        // A text that many cells share is small in the file.
        left = left.checked_sub(shown.len()).ok_or("too much text")?;
        if !shown.is_empty() {
            cells.insert(place, shown);
        }
        Ok::<(), String>(())
    };
    let mut values = book.worksheet_cells_reader(sheet).map_err(in_words)?;
    while let Some(cell) = values.next_cell().map_err(in_words)? {
        let place = cell.get_position();
        let value = shown(&Data::from(cell.get_value().clone()));
        let target = markup.links.get(&place).and_then(|id| targets.get(id));
        let shown = match (markup.formulas.get(&place), target) {
            (_, Some(target)) => format!("{value} ({target})"),
            // What the reference makes of it (spec 05 §3.4).
            (Some(Formula::Shared), _) => "[object Object]".to_owned(),
            // A result of 0 counts as none.
            (Some(Formula::Own(formula)), _) if value.is_empty() || value == "0" => format!("[Formula: {formula}]"),
            _ => value,
        };
        add(&mut cells, place, shown)?;
    }
    let mut filled = 0;
    for &(first, last) in &markup.merged {
        let master = cells.get(&first).cloned().unwrap_or_default();
        if master.is_empty() {
            continue;
        }
        for row in first.0..=last.0 {
            for column in first.1..=last.1 {
                filled += 1;
                if filled > MAX_MERGED {
                    return Err("too many merged cells".to_owned());
                }
                if (row, column) != first {
                    add(&mut cells, (row, column), master.clone())?;
                }
            }
        }
    }
    Ok(cells)
}

fn shown(value: &Data) -> String {
    match value {
        Data::Error(code) => format!("[Error: {code}]"),
        Data::DateTime(when) => date(when.as_f64()),
        Data::DateTimeIso(text) => text.split('T').next().unwrap_or_default().to_owned(),
        value => value.to_string(),
    }
}

fn add_rows(text: &mut String, cells: &BTreeMap<Place, String>) -> Result<(), String> {
    let mut cells = cells.iter().peekable();
    while let Some(&(&(row, _), _)) = cells.peek() {
        let (mut line, mut at, mut blank) = (String::new(), 0, true);
        while let Some((&(_, column), shown)) = cells.next_if(|((of, _), _)| *of == row) {
            line.extend((at..column).map(|_| '\t'));
            line.push_str(shown);
            at = column;
            blank &= ecma::trim(shown).is_empty();
        }
        if row >= MAX_ROWS {
            text.push_str(&format!("[... truncated at row {} ...]\n", row + 1));
        } else if !blank {
            text.push_str(&line);
            text.push('\n');
        }
        if text.len() as u64 > MAX_TEXT {
            return Err("too much text".to_owned());
        }
    }
    Ok(())
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
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
    use std::io::Write;

    use super::*;

    const WORKBOOK: &str = r#"<workbook xmlns:r="r"><sheets><sheet name="One" sheetId="1" r:id="rId1"/>
        <sheet name="Gone" sheetId="2" state="hidden" r:id="rId1"/></sheets></workbook>"#;

    fn book(sheet: &str) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet";
        for (path, xml) in [
            ("xl/workbook.xml", WORKBOOK.to_owned()),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    r#"<Relationships><Relationship Id="rId1" Type="{kind}" Target="worksheets/sheet1.xml"/></Relationships>"#
                ),
            ),
            ("xl/worksheets/sheet1.xml", format!(r#"<worksheet xmlns:r="r">{sheet}</worksheet>"#)),
            (
                "xl/worksheets/_rels/sheet1.xml.rels",
                r#"<Relationships><Relationship Id="rId9" Target="https://x.y/?a=1&amp;b"/></Relationships>"#
                    .to_owned(),
            ),
        ] {
            archive.start_file(path, zip::write::SimpleFileOptions::default()).expect("started");
            archive.write_all(xml.as_bytes()).expect("written");
        }
        archive.finish().expect("finished").into_inner()
    }

    #[test]
    fn values_formulas_links_and_merged_cells() {
        let sheet = r#"<sheetData>
            <row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c><c r="C1"><v>1.5</v></c><c r="D1" t="b"><v>1</v></c></row>
            <row r="3"><c r="A3"><f>SUM(B1:B2)&lt;1</f></c><c r="B3"><f>1+1</f><v>2</v></c><c r="C3"><f>A1</f><v>0</v></c></row>
            <row r="4"><c r="A4"><f t="shared" ref="A4:A5" si="0">B4*2</f><v>8</v></c><c r="B4" t="e"><v>#DIV/0!</v></c></row>
            <row r="5"><c r="A5"><f t="shared" si="0"/><v>9</v></c></row>
            <row r="6"><c r="A6" t="inlineStr"><is><t>site</t></is></c><c r="B6" t="inlineStr"><is><t>m</t></is></c></row>
            <row r="7"><c r="A7" t="inlineStr"><is><t>  </t></is></c></row>
            </sheetData><mergeCells><mergeCell ref="B6:C7"/></mergeCells>
            <hyperlinks><hyperlink ref="A6" r:id="rId9"/></hyperlinks>"#;
        let expected = [
            "--- Sheet: One ---",
            "name\t\t1.5\ttrue",
            "[Formula: SUM(B1:B2)<1]\t2\t[Formula: A1]",
            "8\t[Error: #DIV/0!]",
            "[object Object]",
            "site (https://x.y/?a=1&b)\tm\tm",
            "  \tm\tm",
        ];
        assert_eq!(text(book(sheet)).expect("text"), expected.join("\n"));
    }

    #[test]
    fn what_a_hostile_sheet_says_of_its_size_costs_nothing() {
        let corners = r#"<dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1"><v>1</v></c></row>
            <row r="1048576"><c r="XFD1048576"><f t="shared" si="99999999999">A1</f><v>2</v></c></row></sheetData>"#;
        let shown = text(book(corners)).expect("text");
        assert_eq!(shown, "--- Sheet: One ---\n1\n[... truncated at row 1048576 ...]");
        let merged = r#"<sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData>
            <mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>"#;
        assert!(text(book(merged)).is_err());
    }

    #[test]
    fn places() {
        for (reference, place) in [
            ("A1", Some((0, 0))),
            ("AB12", Some((11, 27))),
            ("XFD1048576", Some((1_048_575, 16_383))),
            ("XFE1", None),
            ("A0", None),
            ("1", None),
            ("ZZZZZZZZZZ1", None),
            ("A9999999", None),
        ] {
            assert_eq!(parse_place(reference), place, "{reference}");
        }
    }

    #[test]
    fn dates_of_day_numbers() {
        for (serial, expected) in
            [(45_292.5, "2024-01-01"), (25_569.0, "1970-01-01"), (61.0, "1900-03-01"), (1.0, "1900-01-01")]
        {
            assert_eq!(date(serial), expected);
        }
    }
}
