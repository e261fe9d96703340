//! What can be wrong with a table.

use std::io;

use thiserror::Error;

use super::{LARGEST_TABLE, MOST_ROWS};

/// Why a table cannot be used. Each message names the file and, where there is one, the line.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The file is too large.
    #[error("{path} is larger than {} MiB", LARGEST_TABLE >> 20)]
    TooLarge {
        /// The file.
        path: String,
    },
    /// Something in it is wrong.
    #[error("{path}{}: {trouble}", line.map_or(String::new(), |line| format!(":{line}")))]
    Wrong {
        /// The file.
        path: String,
        /// The line, counted from 1; `None` if it is the file as a whole.
        line: Option<u64>,
        /// What is wrong there.
        trouble: Trouble,
    },
}

/// A mistake in a table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Trouble {
    /// Not even a header.
    #[error("the table is empty; its first line names the columns, as `validation/README.md` says")]
    Empty,
    /// A header and nothing else.
    #[error("the table has columns and no rows")]
    NoRows,
    /// Beyond [`MOST_ROWS`].
    #[error("more than {MOST_ROWS} rows")]
    TooManyRows,
    /// A row of another length than the header, or bytes that are no UTF-8.
    #[error("{0}")]
    Malformed(String),
    /// A column that must be there.
    #[error("the column `{column}` is missing{}", other.map_or(String::new(), |other| format!(" (or `{other}`)")))]
    MissingColumn {
        /// Its name.
        column: &'static str,
        /// A column that may stand instead.
        other: Option<&'static str>,
    },
    /// A column that nothing reads.
    #[error("there is no column `{column}`; {help}. Columns of your own begin with `x_`")]
    UnknownColumn {
        /// Its name.
        column: String,
        /// What may be meant.
        help: String,
    },
    /// The same column twice.
    #[error("the column `{column}` stands twice")]
    RepeatedColumn {
        /// Its name.
        column: String,
    },
    /// A cell that cannot be understood.
    #[error("column `{column}`: {message}")]
    Cell {
        /// The column.
        column: &'static str,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// Rows of one configuration under different conditions.
    #[error(
        "column `{column}`: configuration {configuration} has another value in line {first}; rows of one \
         configuration differ in what was measured only"
    )]
    Contradiction {
        /// The column.
        column: &'static str,
        /// The configuration.
        configuration: String,
        /// Line of the configuration's first row.
        first: u64,
    },
}
