//! `summary.json` and `digest.json`: exact integers, pretty-printed, with the format version inside.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use longhaul_core::MODEL_VERSION;
use longhaul_core::digest::Checkpoint;
use longhaul_core::record::{RECORD_FORMAT, RunRecord};
use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest summary that is read. One link or migration takes about a kilobyte.
const LARGEST_SUMMARY: u64 = 256 << 20;

/// What `longhaul doctor --json` prints.
pub fn doctor(record: &longhaul_core::doctor::DoctorRecord) -> String {
    pretty(record)
}

/// What `longhaul what-if --json` prints.
pub fn what_if(record: &longhaul_core::what_if::WhatIfRecord) -> String {
    pretty(record)
}

/// The text of `summary.json`.
pub fn summary(record: &RunRecord) -> String {
    pretty(record)
}

/// Content of `digest.json`: enough to tell whether, and between which checkpoints, two runs differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DigestFile {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// [`MODEL_VERSION`].
    pub model_version: u32,
    /// Digest of all events, 16 hexadecimal digits.
    pub digest: String,
    /// Rising in events.
    pub checkpoints: Vec<CheckpointLine>,
}

/// A [`Checkpoint`] with its digest as text, so that readers without 64-bit integers keep all of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckpointLine {
    /// Events executed so far.
    pub events: u64,
    /// Virtual time of the last of them.
    pub at_ns: u64,
    /// The digest after it, 16 hexadecimal digits.
    pub digest: String,
}

impl DigestFile {
    /// The file of a run with this final digest.
    pub fn new(digest: &str, checkpoints: &[Checkpoint]) -> DigestFile {
        DigestFile {
            format: RECORD_FORMAT,
            model_version: MODEL_VERSION,
            digest: digest.to_owned(),
            checkpoints: checkpoints.iter().map(CheckpointLine::from).collect(),
        }
    }

    /// The text of `digest.json`.
    pub fn text(&self) -> String {
        pretty(self)
    }
}

impl From<&Checkpoint> for CheckpointLine {
    fn from(checkpoint: &Checkpoint) -> CheckpointLine {
        let Checkpoint { events, at, digest } = *checkpoint;
        CheckpointLine {
            events,
            at_ns: Instant::as_ns(at),
            digest: format!("{digest:016x}"),
        }
    }
}

/// Why a summary cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Beyond every summary that a run writes.
    #[error("{path} is larger than {LARGEST_SUMMARY} bytes and thus no summary")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not a summary.
    #[error("{path} is not a summary of a run: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Written by a newer version.
    #[error("{path} has record format {found}; this version reads up to {RECORD_FORMAT}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// Reads a `summary.json`.
///
/// # Errors
/// If the file cannot be read, is no summary, or has a newer [`RECORD_FORMAT`] than this program knows.
pub fn read_summary(path: &Path) -> Result<RunRecord, ReadError> {
    /// Only the field that every version has, so that a newer summary is refused for what it is.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let text = read_at_most(path, LARGEST_SUMMARY)?;
    let malformed = |source| ReadError::Malformed {
        path: path.to_owned(),
        source,
    };
    let Format { format } = serde_json::from_slice(&text).map_err(malformed)?;
    if format > RECORD_FORMAT {
        return Err(ReadError::Newer {
            path: path.to_owned(),
            found: format,
        });
    }
    serde_json::from_slice(&text).map_err(malformed)
}

/// The whole file, unless it is larger than `limit` bytes.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let unreadable = |source| ReadError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limit {
        return Err(ReadError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// Pretty JSON with a newline at the end.
pub fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("records have a JSON form");
    text.push('\n');
    text
}
