//! A table as columns of one kind each, written as Parquet and as comma-separated values with the same content.
//!
//! Integers are exact: times in ns, sizes in bytes, rates in bit/s, as the ends of the columns' names say. Shares (of
//! one) and plain numbers are doubles. What there is none of is null, or an empty field.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, IntType, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// Rows of a row group: what is in memory at a time.
const ROWS_IN_GROUP: usize = 1 << 12;

/// The kind of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// From −2^63 on.
    Signed,
    /// Up to 2^64 − 1.
    Unsigned,
    /// A double.
    Real,
    /// UTF-8.
    Text,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name, with the unit at its end.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A value in a column of its kind.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// In a signed column.
    Signed(i64),
    /// In an unsigned column.
    Unsigned(u64),
    /// In a column of doubles.
    Real(f64),
    /// In a column of text.
    Text(String),
    /// In any column.
    Null,
}

/// The head of a CSV file.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv_head(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    writeln!(out, "{}", names.join(","))
}

/// A row of a CSV file.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv_row(out: &mut impl Write, cells: &[Cell]) -> io::Result<()> {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match cell {
            Cell::Signed(value) => write!(out, "{value}")?,
            Cell::Unsigned(value) => write!(out, "{value}")?,
            // The shortest text that reads back as the same double.
            Cell::Real(value) => write!(out, "{value}")?,
            Cell::Text(text) => out.write_all(quoted(text).as_bytes())?,
            Cell::Null => {}
        }
    }
    out.write_all(b"\n")
}

/// A field as RFC 4180 quotes it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Writes a Parquet file row by row.
pub struct ParquetTable<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Buffer>,
    rows: usize,
}

/// What a column has collected for the next row group.
struct Buffer {
    kind: Kind,
    /// 1 for each value, 0 for each null.
    defined: Vec<i16>,
    integers: Vec<i64>,
    reals: Vec<f64>,
    texts: Vec<ByteArray>,
}

impl<W: Write + Send> ParquetTable<W> {
    /// Begins a file. `metadata` goes into its footer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(out: W, columns: &[Column], metadata: &[(&str, String)]) -> io::Result<ParquetTable<W>> {
        let metadata = metadata
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let level = ZstdLevel::try_new(3).map_err(io_error)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("longhaul {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(metadata.collect()))
            .build();
        let schema = schema(columns).map_err(io_error)?;
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(io_error)?;
        let columns = columns.iter().map(|column| Buffer {
            kind: column.kind,
            defined: Vec::new(),
            integers: Vec::new(),
            reals: Vec::new(),
            texts: Vec::new(),
        });
        Ok(ParquetTable {
            writer,
            columns: columns.collect(),
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Panics
    /// If a cell is not of its column's kind.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.columns.len(), "one cell for each column");
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.rows += 1;
        if self.rows == ROWS_IN_GROUP {
            self.flush().map_err(io_error)?;
        }
        Ok(())
    }

    /// Ends the file, and gives back what it was written to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush().map_err(io_error)?;
        self.writer.into_inner().map_err(io_error)
    }

    fn flush(&mut self) -> ParquetResult<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let mut writer = group
                .next_column()?
                .ok_or_else(|| ParquetError::General("fewer columns than the schema has".to_owned()))?;
            let defined = Some(&column.defined[..]);
            match column.kind {
                Kind::Signed | Kind::Unsigned => {
                    writer
                        .typed::<Int64Type>()
                        .write_batch(&column.integers, defined, None)?;
                }
                Kind::Real => {
                    writer
                        .typed::<DoubleType>()
                        .write_batch(&column.reals, defined, None)?;
                }
                Kind::Text => {
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&column.texts, defined, None)?;
                }
            }
            writer.close()?;
            column.clear();
        }
        group.close()?;
        Ok(())
    }
}

impl Buffer {
    fn push(&mut self, cell: &Cell) {
        self.defined.push(i16::from(*cell != Cell::Null));
        match (cell, self.kind) {
            (Cell::Null, _) => {}
            (Cell::Signed(value), Kind::Signed) => self.integers.push(*value),
            // Parquet keeps unsigned integers as the signed ones of the same bits.
            (Cell::Unsigned(value), Kind::Unsigned) => self.integers.push(value.cast_signed()),
            (Cell::Real(value), Kind::Real) => self.reals.push(*value),
            (Cell::Text(text), Kind::Text) => self.texts.push(ByteArray::from(text.as_bytes().to_vec())),
            (cell, kind) => panic!("{cell:?} in a column of {kind:?}"),
        }
    }

    fn clear(&mut self) {
        self.defined.clear();
        self.integers.clear();
        self.reals.clear();
        self.texts.clear();
    }
}

fn schema(columns: &[Column]) -> ParquetResult<Arc<Type>> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Signed => (Physical::INT64, None),
            Kind::Unsigned => {
                let unsigned = IntType {
                    bit_width: 64,
                    is_signed: false,
                };
                (Physical::INT64, Some(LogicalType::Integer(unsigned)))
            }
            Kind::Real => (Physical::DOUBLE, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    });
    let fields = fields.collect::<ParquetResult<Vec<Arc<Type>>>>()?;
    let schema = Type::group_type_builder("longhaul").with_fields(fields).build()?;
    Ok(Arc::new(schema))
}

/// What was wrong with the file below, or with what was asked of Parquet.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
