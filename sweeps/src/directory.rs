//! The directory of a sweep: who may write into it, and what makes it one.
//!
//! ```text
//! sweep.json       what the sweep is, and whether it is finished
//! sweep.ron        its file, as it was read
//! scenario.ron     its scenario, with every default written out
//! index.json       which runs make up each point, and which failed
//! results.parquet  one row for each run; also results.csv
//! summary.json     one entry for each point: n, means, intervals
//! sensitivity.csv  what a study of the axes found
//! plots/*.csv      the data of each declared plot
//! cache/           the finished runs
//! lock             held while somebody writes
//! ```

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::RECORD_FORMAT;
use longhaul_plots::{Drawing, PRINT};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::prepare::Prepared;

/// Version of everything in a sweep's directory but the cache.
pub const SWEEP_FORMAT: u32 = 1;

/// Name of the file that makes a directory that of a sweep.
pub const MANIFEST: &str = "sweep.json";

/// What a temporary file is called before it is renamed.
const PARTIAL: &str = ".partial-";

/// Why a sweep's directory cannot be used.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// There is a sweep already.
    #[error(
        "{path} holds a sweep; --resume goes on with it, and uses every finished run that this sweep needs"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{path} holds {entry:?}, which no sweep wrote; name another directory")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// There is no sweep.
    #[error("{path} is not the directory of a sweep: {MANIFEST} is missing")]
    NoSweep {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else writes into it.
    #[error("{path} is in use: another sweep is writing into it")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// What is in it cannot be understood.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The sweep in it is not finished.
    #[error("{path} is not finished; go on with it by `longhaul sweep … --resume`")]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// No space, or the quota is used up.
    #[error("cannot write {path}: the disk is full; all runs finished so far are kept, and --resume goes on")]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DirectoryError {
    /// What a failed write means.
    pub fn of(path: &Path, source: io::Error) -> DirectoryError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DirectoryError::DiskFull { path },
            _ => DirectoryError::Unwritable { path, source },
        }
    }
}

/// Content of `sweep.json`: nothing in it depends on where, when or with how many threads the sweep ran.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// `longhaul`.
    pub tool: String,
    /// [`SWEEP_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`MODEL_VERSION`].
    pub model_version: u32,
    /// [`RECORD_FORMAT`] of the runs.
    pub record_format: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// What it asks.
    pub question: String,
    /// Hexadecimal BLAKE3 of its file, its scenario and the number of replications.
    pub hash: String,
    /// Points.
    pub points: u64,
    /// Runs of each point, at least.
    pub replications: u32,
    /// Which part of the points, if not all.
    pub shard: Option<Shard>,
    /// Whether everything has run and all tables are written.
    pub finished: bool,
}

/// Part `index` of `count`: every `count`-th point from the `index`-th on, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

impl Shard {
    /// Whether a point belongs to this part.
    pub fn has(self, point: u64) -> bool {
        point % u64::from(self.count) == u64::from(self.index - 1)
    }
}

impl Manifest {
    /// Of a sweep that is about to run.
    pub fn of(prepared: &Prepared, shard: Option<Shard>) -> Manifest {
        let sweep = &prepared.sweep;
        let mut hasher = blake3::Hasher::new();
        for part in [&prepared.text, &prepared.base] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&sweep.replications.to_le_bytes());
        Manifest {
            tool: "longhaul".to_owned(),
            format: SWEEP_FORMAT,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version: MODEL_VERSION,
            record_format: RECORD_FORMAT,
            sweep: sweep.name.clone(),
            question: sweep.question.clone(),
            hash: hasher.finalize().to_hex().to_string(),
            points: prepared.points().len(),
            replications: sweep.replications,
            shard,
            finished: false,
        }
    }

    /// The manifest of a sweep's directory.
    ///
    /// # Errors
    /// If there is none, or none that this program reads.
    pub fn read(directory: &Path) -> Result<Manifest, DirectoryError> {
        let path = directory.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DirectoryError::NoSweep {
                    path: directory.to_owned(),
                });
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| unreadable(&path, &error))?;
        if manifest.format != SWEEP_FORMAT {
            let why = format!("format {}; this program reads {SWEEP_FORMAT}", manifest.format);
            return Err(unreadable(&path, &why));
        }
        Ok(manifest)
    }
}

/// An error about what a file says.
pub fn unreadable(path: &Path, why: &dyn fmt::Display) -> DirectoryError {
    DirectoryError::Unreadable {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// A sweep's directory that nobody else writes into.
#[derive(Debug)]
pub struct SweepDirectory {
    path: PathBuf,
    /// Whether pictures are written as PNG, too.
    png: bool,
    /// Goes with the process, however that ends.
    lock: File,
}

impl Drop for SweepDirectory {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread has just forked holds it too until it runs its own
        // program. What cannot be unlocked is unlocked then.
        let _ = self.lock.unlock();
    }
}

impl SweepDirectory {
    /// Takes a directory for a sweep: a new or empty one, or with `resume` also one that holds a sweep.
    ///
    /// # Errors
    /// If it holds anything else, is in use, or cannot be written.
    pub fn take(path: &Path, resume: bool) -> Result<SweepDirectory, DirectoryError> {
        fs::create_dir_all(path).map_err(|source| DirectoryError::of(path, source))?;
        let holds_sweep = path.join(MANIFEST).exists();
        if !holds_sweep {
            refuse_foreign(path)?;
        }
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.map_err(|source| DirectoryError::of(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DirectoryError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(DirectoryError::of(&lock_path, source)),
        }
        let directory = SweepDirectory {
            path: path.to_owned(),
            png: false,
            lock,
        };
        if holds_sweep && !resume {
            return Err(DirectoryError::Taken {
                path: path.to_owned(),
            });
        }
        remove_partial(path);
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// If that is not possible; an older file of this name is then as it was.
    pub fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut Whole) -> io::Result<()>,
    ) -> Result<(), DirectoryError> {
        write_whole(&self.path.join(name), 0, write)
    }

    /// With pictures as PNG beside SVG, or without.
    #[must_use]
    pub fn with_png(mut self, png: bool) -> SweepDirectory {
        self.png = png;
        self
    }

    /// Writes a picture into the folder of plots, in every form that is asked for.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn picture(&self, name: &str, drawing: &Drawing) -> Result<(), DirectoryError> {
        write_picture(&self.path.join("plots"), name, drawing, self.png)
    }

    /// Begins a sweep: what is said about an older one does not hold any more.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, manifest: &Manifest, text: &str, scenario: &str) -> Result<(), DirectoryError> {
        self.manifest(manifest)?;
        self.write("sweep.ron", |out| out.write_all(text.as_bytes()))?;
        self.write("scenario.ron", |out| out.write_all(scenario.as_bytes()))
    }

    /// Writes the manifest.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn manifest(&self, manifest: &Manifest) -> Result<(), DirectoryError> {
        let text = serde_json::to_string_pretty(manifest).expect("a manifest is made of numbers and texts");
        self.write(MANIFEST, |out| writeln!(out, "{text}"))
    }

    /// Removes a file that an older sweep may have left.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DirectoryError::of(&path, source)),
            _ => Ok(()),
        }
    }

    /// Removes tables and pictures of plots that are not among `names`, and PNGs that nobody asked for this time: they would show
    /// what has been.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn only_plots(&self, names: &[String]) -> Result<(), DirectoryError> {
        let folder = self.path.join("plots");
        for path in entries(&folder) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let wanted = self.png || path.extension().is_none_or(|extension| extension != "png");
            if !wanted || !stem.is_some_and(|stem| names.iter().any(|name| name == stem)) {
                fs::remove_file(&path).map_err(|source| DirectoryError::of(&path, source))?;
            }
        }
        Ok(())
    }
}

/// An unfinished sweep leaves these names; anything else is somebody's.
fn refuse_foreign(path: &Path) -> Result<(), DirectoryError> {
    for entry in entries(path) {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name != "lock" && !name.starts_with(PARTIAL) {
            return Err(DirectoryError::Foreign {
                path: path.to_owned(),
                entry: name,
            });
        }
    }
    Ok(())
}

/// The entries of a directory, sorted; none if there is no such directory.
fn entries(path: &Path) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(path);
    let mut paths: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    paths
}

/// Removes what a killed program was writing, two levels deep into the cache.
fn remove_partial(path: &Path) {
    fn sweep(path: &Path, depth: u32) {
        for entry in entries(path) {
            let name = entry
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with(PARTIAL) {
                // What cannot be removed does no harm: nothing reads it.
                let _ = fs::remove_file(&entry);
            } else if depth > 0 && entry.is_dir() {
                sweep(&entry, depth - 1);
            }
        }
    }
    sweep(path, 1);
    for versions in entries(&path.join("cache")) {
        sweep(&versions, 1);
    }
}

/// A file that appears under its name once it is complete, so that nobody meets half of it.
#[derive(Debug)]
pub struct Whole {
    out: BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
}

impl Whole {
    /// Begins a file. `number` tells writers within one directory apart.
    ///
    /// # Errors
    /// If it cannot be created, or a folder around it.
    pub fn create(path: &Path, number: u64) -> Result<Whole, DirectoryError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = folder.join(format!("{PARTIAL}{number}-{name}"));
        let create = || match File::create(&partial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                File::create(&partial)
            }
            result => result,
        };
        let file = create().map_err(|source| DirectoryError::of(path, source))?;
        Ok(Whole {
            out: BufWriter::new(file),
            partial,
            path: path.to_owned(),
        })
    }

    /// What a failed write to it means.
    pub fn failed(&self, source: io::Error) -> DirectoryError {
        DirectoryError::of(&self.path, source)
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// If that is not possible; an older file of this name is then as it was.
    pub fn finish(mut self) -> Result<(), DirectoryError> {
        let done = self
            .out
            .flush()
            .and_then(|()| fs::rename(&self.partial, &self.path));
        done.map_err(|source| self.failed(source))
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // Gone if it was finished; otherwise an error is on its way, and on a full disk this makes room.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// If that is not possible; an older file of this name is then as it was.
pub fn write_whole(
    path: &Path,
    number: u64,
    write: impl FnOnce(&mut Whole) -> io::Result<()>,
) -> Result<(), DirectoryError> {
    let mut file = Whole::create(path, number)?;
    write(&mut file).map_err(|source| file.failed(source))?;
    file.finish()
}

/// Writes a picture as SVG and, if asked for, as PNG.
///
/// # Errors
/// If that is not possible.
pub fn write_picture(folder: &Path, name: &str, drawing: &Drawing, png: bool) -> Result<(), DirectoryError> {
    write_whole(&folder.join(format!("{name}.svg")), 0, |out| {
        out.write_all(drawing.svg().as_bytes())
    })?;
    if png {
        let path = folder.join(format!("{name}.png"));
        let bytes = drawing.png(PRINT);
        let bytes = bytes.map_err(|error| DirectoryError::of(&path, io::Error::other(error)))?;
        write_whole(&path, 0, |out| out.write_all(&bytes))?;
    }
    Ok(())
}
