//! Measured round trips between named places.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use thiserror::Error;

use crate::trace::shortened;

/// Round-trip times by ordered pair. A pair may be missing, and the two directions may differ.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RttTable {
    round_trips: BTreeMap<(String, String), Span>,
}

/// Why a table is refused. Lines and columns count from 1.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RttError {
    /// No header, or no row.
    #[error("the table is empty")]
    Empty,
    /// A row with fewer or more cells than the header.
    #[error("line {line}: {found} cells, but the header has {expected}")]
    Cells {
        /// Where.
        line: usize,
        /// How many the header has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A cell that is neither empty nor a number of milliseconds.
    #[error("line {line}, column {column}: expected milliseconds, found \"{found}\"")]
    NoNumber {
        /// Line of the cell.
        line: usize,
        /// Its column.
        column: usize,
        /// What stands there, cut if it is long.
        found: String,
    },
    /// A row or column without a name.
    #[error("line {line}, column {column}: a name is missing")]
    NoName {
        /// Line of the cell.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// A pair that was given before.
    #[error("line {line}, column {column}: \"{from}\" to \"{to}\" stands there twice")]
    Twice {
        /// Line of the second one.
        line: usize,
        /// Its column.
        column: usize,
        /// Where the round trip starts.
        from: String,
        /// Where it turns.
        to: String,
    },
    /// A column that the header does not have.
    #[error("no column is named \"{0}\"")]
    NoColumn(String),
    /// More cells than the table may have.
    #[error("line {line}: more than {} round trips", RttTable::MOST)]
    TooLong {
        /// The first line too many.
        line: usize,
    },
}

impl RttTable {
    /// Most round trips of one table.
    pub const MOST: usize = 1 << 20;

    /// Reads a matrix of comma-separated values: a header with the names of the columns (its first cell is the
    /// corner, whatever stands in it), then per row a name and the round trips from it to each column in
    /// milliseconds. An empty cell is a pair that was not measured; empty lines are skipped. Cells may be in
    /// double quotes, but hold no comma.
    ///
    /// # Errors
    /// [`RttError`], with line and column.
    pub fn parse_matrix(text: &str) -> Result<RttTable, RttError> {
        let mut rows = rows(text);
        let (header_line, header) = rows.next().ok_or(RttError::Empty)?;
        let mut table = RttTable::default();
        for (line, row) in rows {
            expect_cells(line, &row, header.len())?;
            let from = name(row[0], line, 1)?;
            for (column, (&to, &cell)) in (2..).zip(header[1..].iter().zip(&row[1..])) {
                let to = name(to, header_line, column)?;
                table.insert(from, to, cell, line, column)?;
            }
        }
        table.unless_empty()
    }

    /// Reads a list of pairs of comma-separated values: a header, and per line one pair; `from`, `to` and
    /// `round_trip_ms` are the names of the columns that hold it. Other columns are not looked at.
    ///
    /// # Errors
    /// [`RttError`], with line and column.
    pub fn parse_pairs(text: &str, from: &str, to: &str, round_trip_ms: &str) -> Result<RttTable, RttError> {
        let mut rows = rows(text);
        let (_, header) = rows.next().ok_or(RttError::Empty)?;
        let index = |wanted: &str| {
            let found = header.iter().position(|&cell| cell == wanted);
            found.ok_or_else(|| RttError::NoColumn(wanted.to_owned()))
        };
        let (from, to, value) = (index(from)?, index(to)?, index(round_trip_ms)?);
        let mut table = RttTable::default();
        for (line, row) in rows {
            expect_cells(line, &row, header.len())?;
            let start = name(row[from], line, from + 1)?;
            let end = name(row[to], line, to + 1)?;
            table.insert(start, end, row[value], line, value + 1)?;
        }
        table.unless_empty()
    }

    /// The round trip that starts at `from`, if it was measured.
    pub fn round_trip(&self, from: &str, to: &str) -> Option<Span> {
        self.round_trips.get(&(from.to_owned(), to.to_owned())).copied()
    }

    /// Half of it, rounded down: the delay of one direction, as far as a round trip can tell.
    pub fn one_way(&self, from: &str, to: &str) -> Option<Span> {
        self.round_trip(from, to).map(|round_trip| round_trip / 2)
    }

    /// All pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Span)> {
        let pairs = self.round_trips.iter();
        pairs.map(|((from, to), &round_trip)| (from.as_str(), to.as_str(), round_trip))
    }

    fn insert(
        &mut self,
        from: &str,
        to: &str,
        cell: &str,
        line: usize,
        column: usize,
    ) -> Result<(), RttError> {
        if cell.is_empty() {
            return Ok(());
        }
        // A day: beyond it a round trip is a mistake.
        let ms = cell.parse().ok().filter(|ms| (0.0..=86_400_000.0).contains(ms));
        let Some(ms): Option<f64> = ms else {
            let found = shortened(cell);
            return Err(RttError::NoNumber { line, column, found });
        };
        if self.round_trips.len() == RttTable::MOST {
            return Err(RttError::TooLong { line });
        }
        let key = (from.to_owned(), to.to_owned());
        let round_trip = Span::from_ns((ms * 1e6 + 0.5) as u64);
        if self.round_trips.insert(key, round_trip).is_some() {
            return Err(RttError::Twice {
                line,
                column,
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        Ok(())
    }

    fn unless_empty(self) -> Result<RttTable, RttError> {
        if self.round_trips.is_empty() {
            return Err(RttError::Empty);
        }
        Ok(self)
    }
}

/// The lines that hold something, with their numbers, cut into cells.
fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, line.split(',').map(unquoted).collect()))
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(cell)
}

fn expect_cells(line: usize, row: &[&str], expected: usize) -> Result<(), RttError> {
    let found = row.len();
    if found == expected {
        return Ok(());
    }
    Err(RttError::Cells {
        line,
        expected,
        found,
    })
}

fn name(cell: &str, line: usize, column: usize) -> Result<&str, RttError> {
    if cell.is_empty() {
        return Err(RttError::NoName { line, column });
    }
    Ok(cell)
}
