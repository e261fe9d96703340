//! The report of a run: one page that needs nothing else, Markdown, JUnit XML and a few lines for a terminal, from what lies
//! in a run directory alone.

mod events;
mod figures;
mod junit;
mod load;
mod markdown;
mod outline;
mod page;
mod rows;
mod series;
mod steady;
mod strips;
mod terminal;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::console::{self, Section};
use crate::directory::{DirectoryError, ManifestFile, amend, write_whole};
use crate::human;
use crate::json::ReadError;
use crate::table::Align;

pub use junit::junit;
pub use load::{Replayable, Story, load};
pub use markdown::markdown;
pub use page::html;
pub use terminal::{Signs, terminal};

/// Names of the files that a report is, in the order of writing.
pub const FILES: [&str; 3] = ["report.html", "report.md", "junit.xml"];

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// No summary.
    #[error(transparent)]
    Summary(#[from] ReadError),
    /// Not a run directory.
    #[error("{path} is no directory of a run: {reason}")]
    NotARun {
        /// As given.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file of the directory that cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A long run of what ended by itself.
    #[error(
        "the run ended by itself after {at}: its beginning belongs to the answer, and it has no steady state; a shorter \
         `horizon` ends it while work goes on"
    )]
    Terminating {
        /// When.
        at: String,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Unwritable(#[from] DirectoryError),
    /// The template: a bug.
    #[error("cannot lay out the page: {0}")]
    Page(String),
}

/// The tables of the console, with the number of samples beside each assertion: a page has room for it. Also the long run,
/// if that was asked for.
fn sections(story: &Story) -> Vec<Section> {
    let record = &story.record;
    let mut sections = console::sections(record);
    sections.extend(story.steady_state.clone());
    for section in sections
        .iter_mut()
        .filter(|section| section.heading == "Assertions")
    {
        let table = &mut section.table;
        if table.rows.len() == record.assertions.len() {
            table.columns.push(("n", Align::Right));
            for (row, assertion) in table.rows.iter_mut().zip(&record.assertions) {
                row.push(human::count(assertion.samples));
            }
        }
    }
    sections
}

/// Writes all [`FILES`] into the run's own directory, whose manifest then names them, or into another one, which is made if
/// there is none. Returns their paths.
///
/// # Errors
/// If the page cannot be laid out, or a file cannot be written.
pub fn write(story: &Story, run: &Path, out: Option<&Path>) -> Result<Vec<PathBuf>, ReportError> {
    let texts = [html(story)?, markdown(story), junit(story)];
    let directory = out.unwrap_or(run);
    fs::create_dir_all(directory).map_err(|source| DirectoryError::of(directory, source))?;
    let mut paths = Vec::new();
    let mut written = Vec::new();
    for (name, text) in FILES.into_iter().zip(&texts) {
        let path = directory.join(name);
        write_whole(&path, text).map_err(|source| DirectoryError::of(&path, source))?;
        written.push(ManifestFile {
            name: name.to_owned(),
            bytes: text.len() as u64,
        });
        paths.push(path);
    }
    if out.is_none() {
        // Otherwise the next run would take them for something of the user's, and refuse to replace the directory.
        amend(run, &written)?;
    }
    Ok(paths)
}
