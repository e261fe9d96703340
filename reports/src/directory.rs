//! The run directory: reserved before the long run, swapped in whole after it.
//!
//! A run writes into a temporary directory beside the target, so a bad path fails at once and not after an
//! hour, and a reader never meets half a run. An older run of the same name is replaced; anything that no run
//! wrote is not: a target is only replaced if its manifest names every file in it.

mod replace;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use longhaul_core::MODEL_VERSION;
use longhaul_core::digest::Checkpoint;
use longhaul_core::record::{Ended, EventRecord, RECORD_FORMAT, RunRecord, SampleRecord};
use longhaul_core::replay::{REPLAY_FORMAT, ReplayRecord};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::csv::{self, TraceRow};
use crate::json::{self, DigestFile};
use crate::{parquet, replay, telemetry};

/// Name of the file that makes a directory a run directory.
pub const MANIFEST: &str = "manifest.json";

/// What `manifest.json` says in its field `tool`.
const TOOL: &str = "longhaul";

/// Content of `manifest.json`. Nothing in it but `argv` depends on where or when the run was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// `longhaul`.
    pub tool: String,
    /// Version of the program.
    pub tool_version: String,
    /// [`MODEL_VERSION`].
    pub model_version: u32,
    /// [`RECORD_FORMAT`], or [`REPLAY_FORMAT`] of a replay.
    pub record_format: u32,
    /// Scenario name.
    pub scenario: String,
    /// BLAKE3 of the canonical resolved scenario, hexadecimal.
    pub scenario_hash: String,
    /// Root seed.
    pub seed: u64,
    /// The command line as it was given.
    pub argv: Vec<String>,
    /// Why the run ended.
    pub ended: Ended,
    /// Every file but the manifest itself, in the order of writing.
    pub files: Vec<ManifestFile>,
}

/// A file of a run directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Name within the directory, after the directories in it that it lies in: `tapes/0-1.jsonl`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Everything that goes into a run directory.
#[derive(Clone, Copy, Debug)]
pub struct RunContents<'a> {
    /// `summary.json`.
    pub record: &'a RunRecord,
    /// `scenario.resolved.ron`.
    pub scenario: &'a str,
    /// `faults.ron`, which is written only if the scenario has faults that may be left to chance.
    pub faults: Option<&'a str>,
    /// `series.csv` and `series.parquet`; with the events and the record, `metrics.prom` and `telemetry.om`.
    pub series: &'a [SampleRecord],
    /// `events.csv`.
    pub events: &'a [EventRecord],
    /// With the record's digest, `digest.json`.
    pub checkpoints: &'a [Checkpoint],
    /// `trace.csv`, which is written only if a trace was asked for.
    pub trace: Option<&'a [TraceRow]>,
    /// The command line, for the manifest.
    pub argv: &'a [String],
}

/// Everything that goes into the directory of a replay. `replay.json` and `distributions.svg` follow from the record.
#[derive(Clone, Copy, Debug)]
pub struct ReplayContents<'a> {
    /// What came out.
    pub record: &'a ReplayRecord,
    /// Further files by name, such as `scenario.resolved.ron`, `outcome.json`, `plan.txt`, `tapes/0-1.jsonl`.
    pub files: &'a [(String, String)],
    /// The command line, for the manifest.
    pub argv: &'a [String],
}

/// Why a run directory cannot be written. The target is as it was.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// A path such as `/` or `..`.
    #[error("{path} cannot name a run directory")]
    Nameless {
        /// As given.
        path: PathBuf,
    },
    /// The target is there and is a file or something else.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// The target.
        path: PathBuf,
    },
    /// The target is a file system of its own and cannot be replaced by a rename.
    #[error("{path} is a mount point; name a directory inside it")]
    MountPoint {
        /// The target.
        path: PathBuf,
    },
    /// The target holds something that would be lost.
    #[error("{path} holds {entry:?}, which no run of longhaul wrote; name another directory or move it away")]
    Foreign {
        /// The target.
        path: PathBuf,
        /// The first such entry in alphabetical order.
        entry: String,
    },
    /// The operating system refused.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No space, or the quota is used up.
    #[error("cannot write {path}: the disk is full")]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
}

impl DirectoryError {
    pub(crate) fn of(path: &Path, source: io::Error) -> DirectoryError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DirectoryError::DiskFull { path },
            _ => DirectoryError::Unwritable { path, source },
        }
    }
}

/// Puts files that were written into a finished run directory on its manifest, so that they count as its own.
///
/// # Errors
/// If there is no manifest, or it cannot be written; it is then as it was.
pub(crate) fn amend(directory: &Path, written: &[ManifestFile]) -> Result<(), DirectoryError> {
    let path = directory.join(MANIFEST);
    let mut manifest = replace::read_manifest(directory).ok_or_else(|| {
        let missing = io::Error::new(io::ErrorKind::NotFound, "not a manifest of longhaul");
        DirectoryError::of(&path, missing)
    })?;
    for file in written {
        match manifest.files.iter_mut().find(|known| known.name == file.name) {
            Some(known) => known.bytes = file.bytes,
            None => manifest.files.push(file.clone()),
        }
    }
    write_whole(&path, json::pretty(&manifest)).map_err(|source| DirectoryError::of(&path, source))
}

/// Writes a file that appears under its name once it is complete; an older one stays until then.
pub(crate) fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&fresh, content)
        .and_then(|()| fs::rename(&fresh, path))
        .inspect_err(|_| {
            // On a full disk this makes room; what cannot be removed has said why already.
            let _ = fs::remove_file(&fresh);
        })
}

/// A run directory to be. Dropping it unwritten removes every trace of it.
#[derive(Debug)]
pub struct RunDirectory {
    target: PathBuf,
    partial: PathBuf,
}

impl RunDirectory {
    /// Makes sure that `target` can be written, creating its parents and a temporary sibling.
    ///
    /// # Errors
    /// If the path names no directory, is taken by something that is not a replaceable run directory, or the
    /// operating system refuses.
    pub fn reserve(target: &Path) -> Result<RunDirectory, DirectoryError> {
        let target = replace::resolve(target)?;
        replace::check_replaceable(&target)?;
        if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|source| DirectoryError::of(parent, source))?;
        }
        let partial = replace::create_sibling(&target, "partial")?;
        Ok(RunDirectory { target, partial })
    }

    /// Where the run will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Writes all files and puts the directory in its place.
    ///
    /// # Errors
    /// If a file cannot be written, or the target has meanwhile been taken. The target is then untouched and
    /// the temporary directory is gone.
    pub fn write(self, contents: &RunContents<'_>) -> Result<(), DirectoryError> {
        let record = contents.record;
        let digest = DigestFile::new(&record.digest, contents.checkpoints);
        let mut files = vec![
            self.file("scenario.resolved.ron", |out| {
                out.write_all(contents.scenario.as_bytes())
            })?,
            self.file("summary.json", |out| {
                out.write_all(json::summary(record).as_bytes())
            })?,
            self.file("series.csv", |out| csv::write_series(out, contents.series))?,
            self.file("series.parquet", |out| {
                parquet::write_series(out, record, contents.series).map(|_| ())
            })?,
            self.file("events.csv", |out| csv::write_events(out, contents.events))?,
            self.file("digest.json", |out| out.write_all(digest.text().as_bytes()))?,
        ];
        let (series, events) = (contents.series, contents.events);
        files.push(self.file("metrics.prom", |out| {
            telemetry::write_prometheus(out, record, series, events)
        })?);
        files.push(self.file("telemetry.om", |out| {
            telemetry::write_openmetrics(out, record, series, events)
        })?);
        if let Some(faults) = contents.faults {
            files.push(self.file("faults.ron", |out| out.write_all(faults.as_bytes()))?);
        }
        if let Some(trace) = contents.trace {
            files.push(self.file("trace.csv", |out| csv::write_trace(out, trace))?);
        }
        let manifest = Manifest {
            tool: TOOL.to_owned(),
            tool_version: record.tool_version.clone(),
            model_version: MODEL_VERSION,
            record_format: RECORD_FORMAT,
            scenario: record.scenario.clone(),
            scenario_hash: record.scenario_hash.clone(),
            seed: record.seed,
            argv: contents.argv.to_vec(),
            ended: record.ended,
            files,
        };
        self.finish(&manifest)
    }

    /// Writes all files of a replay and puts the directory in its place.
    ///
    /// # Errors
    /// As [`RunDirectory::write`].
    pub fn write_replay(self, contents: &ReplayContents<'_>) -> Result<(), DirectoryError> {
        let record = contents.record;
        let mut files = vec![self.text("replay.json", &replay::json(record))?];
        // A replay without values of both worlds has no distributions to draw.
        if let Ok(plot) = replay::plot(record) {
            files.push(self.text("distributions.svg", &plot)?);
        }
        for (name, text) in contents.files {
            files.push(self.text(name, text)?);
        }
        let manifest = Manifest {
            tool: TOOL.to_owned(),
            tool_version: record.tool_version.clone(),
            model_version: record.model_version,
            record_format: REPLAY_FORMAT,
            scenario: record.scenario.clone(),
            scenario_hash: record.scenario_hash.clone(),
            seed: record.seed,
            argv: contents.argv.to_vec(),
            ended: Ended::Done,
            files,
        };
        self.finish(&manifest)
    }

    fn finish(self, manifest: &Manifest) -> Result<(), DirectoryError> {
        self.text(MANIFEST, &json::pretty(manifest))?;
        replace::swap_in(&self.partial, &self.target)
    }

    fn text(&self, name: &str, text: &str) -> Result<ManifestFile, DirectoryError> {
        if let Some((within, _)) = name.rsplit_once('/') {
            let within = self.partial.join(within);
            fs::create_dir_all(&within)
                .map_err(|source| DirectoryError::of(&self.target.join(name), source))?;
        }
        self.file(name, |out| out.write_all(text.as_bytes()))
    }

    fn file(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<ManifestFile, DirectoryError> {
        let path = self.partial.join(name);
        let bytes = File::create(&path)
            .and_then(|file| {
                let mut out = BufWriter::new(file);
                write(&mut out)?;
                out.flush()?;
                Ok(out.get_ref().metadata()?.len())
            })
            // The user knows the target; the temporary directory will be gone.
            .map_err(|source| DirectoryError::of(&self.target.join(name), source))?;
        Ok(ManifestFile {
            name: name.to_owned(),
            bytes,
        })
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // After a successful swap there is nothing left to remove; otherwise an error is already on its way.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

#[cfg(test)]
mod tests;
