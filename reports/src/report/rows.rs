//! Rows of the tables that a run leaves. These may have ten million of them, so a row is split where it lies, and quoted fields stay
//! as the file has them until somebody wants their text: what is asked of most rows is whether it is like one before.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use memchr::memchr;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// The rows of a table after its head, as RFC 4180 quotes them.
pub(super) struct Rows {
    file: BufReader<File>,
    line: Vec<u8>,
    /// Fields of the head, which all rows have.
    width: usize,
    fields: Vec<Range<usize>>,
    /// The line at which the row begins, and how many it takes.
    number: u64,
    lines: u64,
}

/// A row.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    line: &'r [u8],
    fields: &'r [Range<usize>],
    number: u64,
}

impl Rows {
    /// Opens a table and reads its head, which needs so many fields.
    pub fn open(path: &Path, width: usize) -> io::Result<Rows> {
        let mut rows = Rows {
            file: BufReader::with_capacity(BUFFER, File::open(path)?),
            line: Vec::new(),
            width,
            fields: Vec::new(),
            number: 0,
            lines: 1,
        };
        rows.next().map_err(io::Error::other)?;
        Ok(rows)
    }

    /// The next row.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, String> {
        loop {
            self.number += self.lines;
            self.line.clear();
            self.lines = 0;
            self.append()?;
            if self.line.is_empty() {
                return Ok(None);
            }
            // A quoted field may go on in the next line.
            while !split(&self.line, &mut self.fields) {
                if !self.append()? {
                    return Err(format!("line {}: a quoted field has no end", self.number));
                }
            }
            let empty = matches!(&self.fields[..], [only] if only.is_empty());
            if !empty {
                break;
            }
        }
        if self.fields.len() != self.width {
            let found = self.fields.len();
            return Err(format!(
                "line {}: {found} fields instead of {}",
                self.number, self.width
            ));
        }
        Ok(Some(Row {
            line: &self.line,
            fields: &self.fields,
            number: self.number,
        }))
    }

    /// Reads one line more; whether there was one.
    fn append(&mut self) -> Result<bool, String> {
        let read = self.file.read_until(b'\n', &mut self.line);
        self.lines += 1;
        Ok(read.map_err(|error| error.to_string())? > 0)
    }
}

/// Finds the fields of a row, without the quotes around them; `false` if the row goes on in the next line.
fn split(line: &[u8], fields: &mut Vec<Range<usize>>) -> bool {
    fields.clear();
    let mut end = line.len();
    for ending in [b'\n', b'\r'] {
        if line[..end].last() == Some(&ending) {
            end -= 1;
        }
    }
    let mut at = 0;
    loop {
        if line[at..end].first() != Some(&b'"') {
            let to = memchr(b',', &line[at..end]).map_or(end, |comma| at + comma);
            fields.push(at..to);
            at = to;
        } else {
            let from = at + 1;
            let mut to = from;
            loop {
                // JSON is full of quotes, so that the next one is not worth a search by the word.
                let Some(quote) = line[to..end].iter().position(|byte| *byte == b'"') else {
                    return false;
                };
                to += quote;
                // Twice stands for one of the text.
                if line[to + 1..end].first() != Some(&b'"') {
                    break;
                }
                to += 2;
            }
            fields.push(from..to);
            // What follows the closing quote belongs to no field.
            at = memchr(b',', &line[to..end]).map_or(end, |comma| to + comma);
        }
        if at == end {
            return true;
        }
        at += 1;
    }
}

impl<'r> Row<'r> {
    /// A field as the file has it between its quotes, each of its own quotes twice.
    pub fn raw(&self, field: usize) -> &'r [u8] {
        &self.line[self.fields[field].clone()]
    }

    /// A field as text.
    pub fn text(&self, field: usize) -> Cow<'r, str> {
        text(self.raw(field))
    }

    /// A field as a number; the line is named where it is none.
    pub fn number(&self, field: usize) -> Result<u64, String> {
        let none = || format!("line {}: no number in field {}", self.number, field + 1);
        let digits = self.raw(field);
        if digits.is_empty() || digits.len() > 20 {
            return Err(none());
        }
        digits
            .iter()
            .try_fold(0_u64, |sum, digit| {
                let value = digit.wrapping_sub(b'0');
                let next = sum.checked_mul(10)?.checked_add(value.into())?;
                (value < 10).then_some(next)
            })
            .ok_or_else(none)
    }
}

/// What a field says, whose own quotes stand twice.
pub(super) fn text(raw: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(raw) {
        Cow::Borrowed(text) if !text.contains("\"\"") => Cow::Borrowed(text),
        text => Cow::Owned(text.replace("\"\"", "\"")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn read(content: &[u8], width: usize) -> Result<Vec<Vec<String>>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        fs::write(&path, content).unwrap();
        let mut rows = Rows::open(&path, width).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((0..width).map(|field| row.text(field).into_owned()).collect());
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn rows_are_those_of_another_reader(
            table in prop::collection::vec(prop::collection::vec("[a,\"\r\n é]{0,6}", 3), 0..8),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["one", "two", "three"]).unwrap();
            for row in &table {
                writer.write_record(row).unwrap();
            }
            prop_assert_eq!(read(&writer.into_inner().unwrap(), 3).unwrap(), table);
        }
    }

    #[test]
    fn damage_is_told_with_its_line() {
        let of = |rest: &str| read(format!("a,b\n{rest}").as_bytes(), 2);
        assert_eq!(of("1,2\r\n\n3,4").unwrap(), [["1", "2"], ["3", "4"]]);
        assert_eq!(of("1,2\n3\n").unwrap_err(), "line 3: 1 fields instead of 2");
        assert_eq!(
            of("1,\"2\n3,4\n").unwrap_err(),
            "line 2: a quoted field has no end"
        );
        // The line after a field of two lines is the fourth.
        assert_eq!(
            of("1,\"2\n3\"\n4\n").unwrap_err(),
            "line 4: 1 fields instead of 2"
        );
        assert!(read(b"", 2).unwrap().is_empty());
    }
}
