//! `series.parquet`: the content of `series.csv` for readers of columns, such as pandas, Polars and DuckDB.
//!
//! | column | kind | what it holds |
//! | --- | --- | --- |
//! | `time_ns` | unsigned, 64 bits | virtual time of the sample |
//! | `entity` | text | what was sampled: a link, a transfer, a client, … |
//! | `metric` | text | the quantity, with its unit at the end |
//! | `value` | unsigned, 64 bits | the sample |
//!
//! Rows are those of the CSV in the same order. The footer says which format this is (`longhaul.series.format`) and where it
//! comes from: `longhaul.scenario`, `longhaul.scenario_hash`, `longhaul.seed`, `longhaul.model_version`,
//! `longhaul.record_format`.

use std::io::{self, Write};

use longhaul_core::record::{RunRecord, SampleRecord};

use crate::columns::{Cell, Column, Kind, ParquetTable};

/// Version of the columns and their meaning.
pub const SERIES_FORMAT: u32 = 1;

/// Writes `series.parquet`.
///
/// # Errors
/// Those of `out`.
pub fn write_series<W: Write + Send>(out: W, record: &RunRecord, series: &[SampleRecord]) -> io::Result<W> {
    let columns = [
        ("time_ns", Kind::Unsigned),
        ("entity", Kind::Text),
        ("metric", Kind::Text),
        ("value", Kind::Unsigned),
    ];
    let columns = columns.map(|(name, kind)| Column {
        name: name.to_owned(),
        kind,
    });
    let metadata = [
        ("longhaul.series.format", SERIES_FORMAT.to_string()),
        ("longhaul.scenario", record.scenario.clone()),
        ("longhaul.scenario_hash", record.scenario_hash.clone()),
        ("longhaul.seed", record.seed.to_string()),
        ("longhaul.model_version", record.model_version.to_string()),
        ("longhaul.record_format", record.format.to_string()),
    ];
    let mut table = ParquetTable::new(out, &columns, &metadata)?;
    for sample in series {
        table.row(&[
            Cell::Unsigned(sample.at_ns),
            Cell::Text(sample.entity.clone()),
            Cell::Text(sample.metric.clone()),
            Cell::Unsigned(sample.value),
        ])?;
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::{csv, fixture};

    #[test]
    fn the_series_reads_back_as_the_csv_does() {
        let sample = |at_ns: u64| SampleRecord {
            at_ns,
            entity: if at_ns.is_multiple_of(2) {
                "m,1"
            } else {
                "fra->nyc"
            }
            .to_owned(),
            metric: "queued_bytes".to_owned(),
            value: u64::MAX - at_ns,
        };
        // More than one row group.
        let series: Vec<SampleRecord> = (0..40_000).map(sample).collect();
        let record = fixture::run();
        let written = write_series(Vec::new(), &record, &series).unwrap();
        assert_eq!(written, write_series(Vec::new(), &record, &series).unwrap());

        let reader = SerializedFileReader::new(Bytes::from(written)).unwrap();
        let metadata = reader
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .unwrap()
            .clone();
        let said = |key: &str| {
            metadata
                .iter()
                .find(|pair| pair.key == key)
                .unwrap()
                .value
                .clone()
        };
        assert_eq!(said("longhaul.series.format").as_deref(), Some("1"));
        assert_eq!(said("longhaul.scenario_hash"), Some(record.scenario_hash));
        let rows = reader.get_row_iter(None).unwrap().map(|row| {
            let row = row.unwrap();
            let cells = row.get_column_iter().map(|(name, field)| match field {
                Field::Str(text) => (name.clone(), text.clone()),
                Field::ULong(value) => (name.clone(), value.to_string()),
                other => panic!("{other:?}"),
            });
            cells.collect::<Vec<(String, String)>>()
        });

        let mut text = Vec::new();
        csv::write_series(&mut text, &series).unwrap();
        let mut reader = ::csv::Reader::from_reader(&text[..]);
        let head = reader.headers().unwrap().clone();
        let expected = reader.records().map(|record| {
            let record = record.unwrap();
            let cells = head.iter().zip(&record);
            cells
                .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
                .collect::<Vec<_>>()
        });
        let mut count = 0;
        for (row, expected) in rows.zip(expected) {
            assert_eq!(row, expected);
            count += 1;
        }
        assert_eq!(count, series.len());
    }

    #[test]
    fn a_run_without_samples_has_a_table_without_rows() {
        let written = write_series(Vec::new(), &fixture::run(), &[]).unwrap();
        let reader = SerializedFileReader::new(Bytes::from(written)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
        assert_eq!(reader.metadata().file_metadata().schema().get_fields().len(), 4);
    }
}
