//! `longhaul import`: a published topology as a scenario file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use longhaul_import::{Defaults, Demands, Import, ImportError, Note};
use longhaul_scenarios::import::{self, WriteError};
use longhaul_scenarios::source::read_text;
use thiserror::Error;

use crate::args::{Format, ImportArgs};
use crate::exit::{Exit, Failure};
use crate::output;

/// Why there is no scenario.
#[derive(Debug, Error)]
pub enum ImportFailure {
    /// The file is not of its format.
    #[error("{}: {error}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it, and where.
        error: Box<ImportError>,
    },
    /// The format has no files of demands.
    #[error("--demands: {} has no file of demands of its own", name(*_0))]
    NoDemands(Format),
    /// The file of demands has no such matrix.
    #[error("--matrix {wanted}: {} has {known}, from 0 on", file.display())]
    NoMatrix {
        /// The file of demands.
        file: PathBuf,
        /// Which one was asked for.
        wanted: usize,
        /// How many there are.
        known: usize,
    },
    /// The topology makes no scenario.
    #[error("{}: {error}", file.display())]
    Topology {
        /// Which file.
        file: PathBuf,
        /// Why not.
        error: WriteError,
    },
    /// The scenario cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Unwritable {
        /// Where to.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Writes the scenario to a file that must not exist yet, or prints it; says on standard error what was made of
/// oddities.
pub fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let demands = match (&args.demands, reader_of_demands(args.format)) {
        (None, _) => None,
        (Some(file), Some(reader)) => Some((file, reader)),
        (Some(_), None) => return Err(ImportFailure::NoDemands(args.format).into()),
    };
    let text = read_text(&args.file)?;
    let mut imported = read(args, &text).map_err(|error| bad(&args.file, error))?;
    if let Some((file, reader)) = demands {
        let matrices = reader(&read_text(file)?, &imported, &args.defaults());
        let matrices = matrices.map_err(|error| bad(file, error))?;
        let known = matrices.len();
        let missing = || ImportFailure::NoMatrix {
            file: file.clone(),
            wanted: args.matrix,
            known,
        };
        imported.demands = matrices.into_iter().nth(args.matrix).ok_or_else(missing)?;
    }
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy());
    let name = args.file.file_name().map(|name| name.to_string_lossy());
    let origin = format!("Imported from {}", name.unwrap_or_default());
    let written = import::scenario(&imported, &stem.unwrap_or_default(), &origin).map_err(|error| {
        ImportFailure::Topology {
            file: args.file.clone(),
            error,
        }
    })?;
    match &args.out {
        Some(file) => write_new(file, &written.text).map_err(|error| ImportFailure::Unwritable {
            file: file.clone(),
            error,
        })?,
        None => output::print(&written.text)?,
    }
    for note in &imported.notes {
        output::note(&format!("note: {}\n", told(&args.file, note)));
    }
    for remark in &written.remarks {
        output::note(&format!("note: {}: {remark}\n", args.file.display()));
    }
    Ok(Exit::Passed)
}

/// What a format is called on the command line.
fn name(format: Format) -> String {
    let value = format.to_possible_value();
    value.expect("none of them is hidden").get_name().to_owned()
}

fn bad(file: &Path, error: ImportError) -> ImportFailure {
    ImportFailure::File {
        file: file.to_path_buf(),
        error: Box::new(error),
    }
}

/// Reads a file of demands for a topology, which may have several matrices.
type ReaderOfDemands = fn(&str, &Import, &Defaults) -> Result<Vec<Demands>, ImportError>;

/// What reads the files of demands of a format that has them.
fn reader_of_demands(format: Format) -> Option<ReaderOfDemands> {
    match format {
        Format::Repetita => Some(|text, graph, _| Ok(vec![longhaul_import::repetita_demands(text, graph)?])),
        Format::Teal => Some(longhaul_import::teal_demands),
        Format::Teavar => Some(longhaul_import::teavar_demands),
        Format::Gml | Format::Graphml | Format::Sndlib | Format::Topohub | Format::RttMatrix => None,
    }
}

fn read(args: &ImportArgs, text: &str) -> Result<Import, ImportError> {
    let defaults = args.defaults();
    match args.format {
        Format::Gml => longhaul_import::gml(text, &defaults),
        Format::Graphml => longhaul_import::graphml(text, &defaults),
        Format::Sndlib => longhaul_import::sndlib(text, &defaults),
        Format::Topohub => longhaul_import::topohub(text, &defaults),
        Format::Repetita => longhaul_import::repetita(text, &defaults),
        Format::RttMatrix => longhaul_import::rtt_matrix(text, &defaults),
        Format::Teal => longhaul_import::teal(text, &defaults),
        Format::Teavar => longhaul_import::teavar(text, &defaults),
    }
}

/// A file that is there stays as it is; one that cannot be written whole does not stay.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let result = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if result.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(path);
    }
    result
}

fn told(file: &Path, note: &Note) -> String {
    let place = match note.line {
        0 => file.display().to_string(),
        line => format!("{}:{line}", file.display()),
    };
    format!("{place}: {}: {}", note.element, note.remark)
}
