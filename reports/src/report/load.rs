//! Reads a run directory: the summary whole, events and time series in one pass each with bounded memory.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use longhaul_core::record::RunRecord;
use longhaul_core::replay::REPLAY_FORMAT;

use super::ReportError;
use super::events::Events;
use super::outline::Outline;
use super::rows::Rows;
use super::series::Series;
use super::steady;
use crate::console::Section;
use crate::directory::{MANIFEST, Manifest};
use crate::json;

/// Most of the resolved scenario that a page carries.
const LONGEST_SCENARIO: u64 = 1 << 20;
/// Largest manifest that is read.
const LARGEST_MANIFEST: u64 = 16 << 20;
/// What a report is made of, beside the manifest.
const READ: [&str; 4] = [
    "summary.json",
    "scenario.resolved.ron",
    "events.csv",
    "series.csv",
];
/// All that a report is made of.
#[derive(Debug)]
pub struct Story {
    /// `summary.json`.
    pub record: RunRecord,
    /// `manifest.json`.
    pub manifest: Manifest,
    pub(super) scenario: Scenario,
    pub(super) outline: Outline,
    /// What the long run was like, once it was asked for.
    pub(super) steady_state: Option<Section>,
    /// Whether the scenario can be replayed, if somebody has said it.
    pub replayable: Replayable,
    pub(super) series: Series,
    pub(super) events: Events,
}

/// Whether `longhaul replay` can run the scenario of a run on a real kernel. Who knows the language of scenarios says it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Replayable {
    /// Nobody has said it.
    #[default]
    Unknown,
    /// It can.
    Yes,
    /// It cannot, and why.
    No(String),
}

/// The resolved scenario as text.
#[derive(Debug)]
pub(super) struct Scenario {
    pub text: String,
    pub cut: bool,
}

impl Story {
    /// Adds the means of time series after their warm-up, with intervals by batch means. The series is taken for one of a run
    /// whose horizon is steady state, which only its author knows.
    ///
    /// # Errors
    /// [`ReportError::Terminating`] if the run ended by itself.
    pub fn add_steady_state(&mut self) -> Result<(), ReportError> {
        self.steady_state = Some(steady::section(self)?);
        Ok(())
    }
}

/// Reads a run directory.
///
/// # Errors
/// If it is none, or a file of it cannot be read.
pub fn load(directory: &Path) -> Result<Story, ReportError> {
    let not_a_run = |reason: String| ReportError::NotARun {
        path: directory.to_owned(),
        reason,
    };
    let path = directory.join(MANIFEST);
    if !path.exists() && directory.join("sweep.json").exists() {
        return Err(not_a_run(
            "it holds a sweep, which its own summary.json and plots tell of".to_owned(),
        ));
    }
    let text =
        read_start(&path, LARGEST_MANIFEST).map_err(|error| not_a_run(format!("{MANIFEST}: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| not_a_run(format!("{MANIFEST}: {error}")))?;
    check_sizes(directory, &manifest)?;
    let has = |name: &str| manifest.files.iter().any(|file| file.name == name);
    if has("replay.json") && !has("summary.json") {
        return Err(not_a_run(format!(
            "it holds a replay (format {REPLAY_FORMAT}), which replay.json and distributions.svg tell of"
        )));
    }
    let record = json::read_summary(&directory.join("summary.json"))?;
    let path = directory.join("scenario.resolved.ron");
    let unreadable = |path: &Path, reason: String| ReportError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let text = fs::read(&path).map_err(|error| unreadable(&path, error.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    let outline = Outline::read(&text);
    let mut end = text.len().min(LONGEST_SCENARIO as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let scenario = Scenario {
        text: text[..end].to_owned(),
        cut: end < text.len(),
    };

    let path = directory.join("events.csv");
    let events = Events::read(rows(&path, 5)?, &record).map_err(|reason| unreadable(&path, reason))?;
    let path = directory.join("series.csv");
    let series = Series::read(rows(&path, 4)?, &record).map_err(|reason| unreadable(&path, reason))?;
    Ok(Story {
        record,
        manifest,
        scenario,
        outline,
        steady_state: None,
        replayable: Replayable::default(),
        series,
        events,
    })
}

/// Whether the files are as long as they were written. What has been cut off or swapped since then would be taken for whole.
fn check_sizes(directory: &Path, manifest: &Manifest) -> Result<(), ReportError> {
    for name in READ {
        let Some(file) = manifest.files.iter().find(|file| file.name == name) else {
            continue;
        };
        let path = directory.join(name);
        let found = fs::metadata(&path).map(|metadata| metadata.len());
        let reason = match found {
            Ok(bytes) if bytes == file.bytes => continue,
            Ok(bytes) => format!("it has {bytes} bytes, and {} when it was written", file.bytes),
            Err(error) => error.to_string(),
        };
        return Err(ReportError::Unreadable { path, reason });
    }
    Ok(())
}

fn read_start(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

fn rows(path: &Path, width: usize) -> Result<Rows, ReportError> {
    Rows::open(path, width).map_err(|error| ReportError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
