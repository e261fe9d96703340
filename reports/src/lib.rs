//! From the records of a run to what people and programs read.
//!
//! | module | what it makes |
//! | --- | --- |
//! | [`console`] | the text of a finished run for a terminal |
//! | [`json`] | `summary.json`, `digest.json` and the way back |
//! | [`csv`] | `series.csv`, `events.csv` and `trace.csv` |
//! | [`columns`] | tables as Parquet and CSV with the same content |
//! | [`parquet`] | `series.parquet` |
//! | [`telemetry`] | `metrics.prom` and `telemetry.om` for Prometheus |
//! | [`directory`] | the run directory, written whole or not at all |
//! | [`validation`] | the results of a validation as JSON, CSV and a plot |
//! | [`replay`] | the results of a replay as JSON and a plot |
//! | [`report`] | a page in HTML, Markdown, JUnit XML and a terminal's text of a run directory |
//! | [`picture`] | a plot in a file, as SVG or PNG |
//! | [`human`] | quantities as people read them |
//! | [`wrap`] | text in lines of a width |
//!
//! Reports see only records (`longhaul_core::record`), so everything here can be made again later without
//! simulating. Nothing depends on the clock, the environment or the machine; only line breaks on a terminal
//! depend on its width.

pub mod columns;
pub mod console;
pub mod csv;
pub mod directory;
#[cfg(test)]
mod fixture;
pub mod human;
pub mod json;
pub mod parquet;
pub mod picture;
pub mod replay;
pub mod report;
mod table;
pub mod telemetry;
pub mod validation;
pub mod wrap;
