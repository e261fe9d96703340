//! `longhaul validate`: holds the simulator against a table of measured transfers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longhaul_core::validation::ValidationRecord;
use longhaul_reports::console::{self, Style};
use longhaul_reports::human;
use longhaul_reports::picture::{self, Form, PictureError};
use longhaul_reports::validation as files;
use longhaul_scenarios::parallel::Aborted;
use longhaul_validation::simulate::SimulateError;
use longhaul_validation::table::{Table, TableError};
use longhaul_validation::tolerance::Tolerances;
use longhaul_validation::{Options, testbed, testbed_of, validate as compare};
use thiserror::Error;

use crate::args::ValidateArgs;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};
use crate::watch::{Watcher, processors};

/// Why there is no validation.
#[derive(Debug, Error)]
pub enum ValidateError {
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// No configuration of this name.
    #[error("{table} has no configuration `{name}`")]
    NoConfiguration {
        /// The table.
        table: String,
        /// As asked for.
        name: String,
    },
    /// A configuration that the simulator cannot run.
    #[error("the simulator does not model configuration {name}: its controller is {controller}")]
    NotModelled {
        /// As asked for.
        name: String,
        /// What it lacks.
        controller: &'static str,
    },
    /// The filter leaves nothing.
    #[error("no configuration of {table} satisfies `{filter}`")]
    Nothing {
        /// The table.
        table: String,
        /// As given.
        filter: String,
    },
    /// The simulation.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The plot.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A result that cannot be written.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Validates against the table that the command line names, or prints the scenario of one of its configurations.
pub fn validate(args: &ValidateArgs, colour: Colour) -> Result<Exit, Failure> {
    if let Some(path) = &args.plot {
        // Before the work, not after it.
        Form::of(path).map_err(ValidateError::from)?;
    }
    let table = Table::open(&args.table).map_err(ValidateError::from)?;
    if let Some(name) = &args.emit {
        output::print(&emit(args, &table, name)?)?;
        return Ok(Exit::Passed);
    }
    let options = Options {
        filter: args.filter.clone().unwrap_or_default(),
        seeds: args.seeds,
        host_delay: args.host_delay,
        call_time: args.call_time,
        threads: args.threads.map_or_else(processors, usize::from),
        fidelity: args.fidelity,
        tolerances: args
            .tolerance
            .clone()
            .unwrap_or_default()
            .over(Tolerances::promised(args.fidelity)),
    };
    if options.filter.select(&table).is_empty() {
        let (table, filter) = (table.name, options.filter.to_string());
        return Err(ValidateError::Nothing { table, filter }.into());
    }
    let interrupt = Interrupt::install().map_err(Failure::Signals)?;
    let watch = Watcher::new(&interrupt, args.quiet);
    let result = compare(&table, &options, &watch);
    drop(watch);
    let record = match result {
        Ok(record) => record,
        Err(SimulateError::Aborted(Aborted::Ended)) => {
            output::note("longhaul: interrupted; there is no result\n");
            return Ok(interrupt.requested().unwrap_or(Exit::Interrupted));
        }
        Err(error) => return Err(ValidateError::from(error).into()),
    };
    let style = Style::of_stdout(output::colour_of_stdout(colour));
    output::print(&if args.quiet {
        console::validation_verdict(&record, style)
    } else {
        console::validation(&record, style)
    })?;
    write_files(args, &record)?;
    Ok(record.verdict.into())
}

/// The scenario of one configuration.
fn emit(args: &ValidateArgs, table: &Table, name: &str) -> Result<String, ValidateError> {
    let shown = || human::printable(name);
    let configuration = table.find(name).ok_or_else(|| ValidateError::NoConfiguration {
        table: table.name.clone(),
        name: shown(),
    })?;
    let (testbed, _) = testbed_of(table, args.host_delay, args.call_time, args.fidelity);
    testbed::scenario(configuration, &testbed).ok_or_else(|| ValidateError::NotModelled {
        name: shown(),
        controller: configuration.parameters.controller.name(),
    })
}

fn write_files(args: &ValidateArgs, record: &ValidationRecord) -> Result<(), ValidateError> {
    if let Some(path) = &args.json {
        write(path, &files::json(record))?;
    }
    if let Some(path) = &args.csv {
        write(path, &files::csv(record))?;
    }
    if let Some(path) = &args.plot {
        picture::write(path, &files::plot(record).map_err(PictureError::from)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), ValidateError> {
    fs::write(path, text).map_err(|error| ValidateError::Unwritable {
        path: path.to_owned(),
        error,
    })
}
