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

mod manifest;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use longhaul_plots::{Drawing, PRINT};
use serde::Deserialize;
use thiserror::Error;

use manifest::Held;
pub use manifest::{MANIFEST, Manifest, Shard};

/// Version of everything in a sweep's directory but the cache.
pub const SWEEP_FORMAT: u32 = 1;

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
    /// There is another sweep.
    #[error("{path} holds the sweep `{found}`, which this is not: `{asked}`; name another directory")]
    OtherSweep {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What was to go on.
        asked: String,
    },
    /// There is another part of the sweep.
    #[error("{path} holds {} of the sweep, and not {}; name another directory", part(.found), part(.asked))]
    OtherPart {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: Option<Shard>,
        /// What was to go on.
        asked: Option<Shard>,
    },
    /// Parts are to be merged where there is a sweep that they do not belong to, or one that is finished.
    #[error("{path} holds a sweep; name another directory for what is merged")]
    Occupied {
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

/// A part in words.
fn part(shard: &Option<Shard>) -> String {
    shard.map_or("all points".to_owned(), |shard| {
        format!("part {}/{}", shard.index, shard.count)
    })
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

/// An error about what a file says.
pub fn unreadable(path: &Path, why: &dyn fmt::Display) -> DirectoryError {
    DirectoryError::Unreadable {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// What to do about a sweep that a directory holds already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// Leave it alone: only a new or empty directory is taken.
    New,
    /// Go on with it, if it is the same, whatever it has grown by.
    Resume,
    /// Begin again what was not finished, if it is the same to the last letter.
    Merge,
}

/// A sweep's directory that nobody else writes into.
#[derive(Debug)]
pub struct SweepDirectory {
    path: PathBuf,
    /// What it held before.
    held: Option<Manifest>,
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
    /// Takes a directory for a sweep.
    ///
    /// # Errors
    /// If it holds anything else than what is claimed, is in use, or cannot be written.
    pub fn take(path: &Path, sweep: &Manifest, claim: Claim) -> Result<SweepDirectory, DirectoryError> {
        fs::create_dir_all(path).map_err(|source| DirectoryError::of(path, source))?;
        // Nothing is written, not even a lock, among what is somebody's.
        refuse_foreign(path)?;
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
        // Whoever had the lock may have written since.
        let held = match refuse_foreign(path)? {
            Held::Sweep(held) => {
                claim.allows(path, sweep, &held)?;
                Some(*held)
            }
            Held::Cut if claim == Claim::New => return Err(taken(path)),
            Held::Cut | Held::Nothing => None,
        };
        remove_partial(path);
        Ok(SweepDirectory {
            path: path.to_owned(),
            held,
            png: false,
            lock,
        })
    }

    /// The sweep that was here before, if there was one.
    pub fn held(&self) -> Option<&Manifest> {
        self.held.as_ref()
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
        // Plots that are no longer asked for would stay for ever; those that still are will be drawn again.
        if fs::read(self.path.join("sweep.ron")).is_ok_and(|before| before != text.as_bytes()) {
            self.remove_listed_plots()?;
        }
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

    /// Removes the tables and pictures of plots that are not among `names`, which are stems of files: those of a plot that is,
    /// and those of studies. Of those that are, PNGs that nobody asked for this time: they would show what has been. What else is
    /// there is somebody's.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn only_plots(&self, names: &[String]) -> Result<(), DirectoryError> {
        self.remove_plots(|stem, extension| {
            let kept = names.iter().any(|name| name == stem) && (self.png || extension != "png");
            let study = stem.starts_with("sensitivity-") || stem.starts_with("screening-");
            !kept && (study || names.iter().any(|name| is_of_plot(stem, name)))
        })
    }

    /// Removes what `plots/index.json` lists, and then itself.
    fn remove_listed_plots(&self) -> Result<(), DirectoryError> {
        #[derive(Deserialize)]
        struct Listed {
            name: String,
        }
        let index = fs::read(self.path.join("plots/index.json")).unwrap_or_default();
        let Ok(listed) = serde_json::from_slice::<Vec<Listed>>(&index) else {
            return Ok(());
        };
        self.remove_plots(|stem, _| listed.iter().any(|plot| is_of_plot(stem, &plot.name)))?;
        self.remove("plots/index.json")
    }

    fn remove_plots(&self, wanted: impl Fn(&str, &str) -> bool) -> Result<(), DirectoryError> {
        for path in entries(&self.path.join("plots")) {
            let part =
                |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
            let (Some(stem), Some(extension)) = (part(path.file_stem()), part(path.extension())) else {
                continue;
            };
            let ours = ["csv", "svg", "png"].contains(&extension.as_str());
            if ours && path.is_file() && wanted(&stem, &extension) {
                fs::remove_file(&path).map_err(|source| DirectoryError::of(&path, source))?;
            }
        }
        Ok(())
    }
}

/// Whether a file of this stem is the table of a plot, or a picture of one of its facets.
fn is_of_plot(stem: &str, plot: &str) -> bool {
    [plot, &plot.replace('.', "_")].into_iter().any(|plot| {
        stem.strip_prefix(plot)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn taken(path: &Path) -> DirectoryError {
    DirectoryError::Taken {
        path: path.to_owned(),
    }
}

impl Claim {
    /// Whether a sweep may have the directory of what is in it.
    fn allows(self, path: &Path, sweep: &Manifest, held: &Manifest) -> Result<(), DirectoryError> {
        let path = path.to_owned();
        match self {
            Claim::New => Err(taken(&path)),
            Claim::Resume if held.sweep != sweep.sweep => Err(DirectoryError::OtherSweep {
                path,
                found: held.sweep.clone(),
                asked: sweep.sweep.clone(),
            }),
            Claim::Resume if held.shard != sweep.shard => Err(DirectoryError::OtherPart {
                path,
                found: held.shard,
                asked: sweep.shard,
            }),
            Claim::Resume => Ok(()),
            Claim::Merge => {
                let same = Manifest {
                    finished: false,
                    ..sweep.clone()
                };
                if *held == same {
                    Ok(())
                } else {
                    Err(DirectoryError::Occupied { path })
                }
            }
        }
    }
}

/// What a sweep writes, but for its manifest.
const OURS: [&str; 11] = [
    "cache",
    "components.csv",
    "index.json",
    "lock",
    "plots",
    "results.csv",
    "results.parquet",
    "scenario.ron",
    "sensitivity.csv",
    "summary.json",
    "sweep.ron",
];

/// What a directory holds. Without a manifest an unfinished sweep leaves a lock and no more; of a manifest that is cut nobody
/// can say whose it was, so nothing may be there that is not called like ours.
fn refuse_foreign(path: &Path) -> Result<Held, DirectoryError> {
    let held = Held::of(path)?;
    let known: &[&str] = match held {
        Held::Sweep(_) => return Ok(held),
        Held::Cut => &OURS,
        Held::Nothing => &["lock"],
    };
    for entry in entries(path) {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !known.contains(&name.as_str()) && !name.starts_with(PARTIAL) && name != MANIFEST {
            return Err(DirectoryError::Foreign {
                path: path.to_owned(),
                entry: name,
            });
        }
    }
    Ok(held)
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
    placed: bool,
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
            placed: false,
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
        self.placed = done.is_ok();
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
        if !self.placed {
            // An error is on its way, and on a full disk this makes room.
            let _ = fs::remove_file(&self.partial);
        }
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
