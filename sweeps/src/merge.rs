//! The parts of a sweep that ran in different places, put together: the same bytes as if one had run all of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use longhaul_core::MODEL_VERSION;
use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::source::Source;
use rayon::prelude::*;
use thiserror::Error;

use crate::cache::{Cache, Found};
use crate::decode;
use crate::directory::{Claim, DirectoryError, MANIFEST, Manifest, Shard, SweepDirectory, unreadable};
use crate::entry::Entry;
use crate::execute::{Failure, Index, PointRuns};
use crate::points::{Points, PointsError};
use crate::schema::{ReplicateOver, Sweep};
use crate::summary::PointSummary;
use crate::tables::{self, key_of};

/// Why parts cannot be put together.
#[derive(Debug, Error)]
pub enum MergeError {
    /// A directory cannot be read or written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Parts of different sweeps, or by different versions.
    #[error("{one} and {other} are not parts of one sweep: {what} differs")]
    Different {
        /// A part.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// In what they differ.
        what: &'static str,
    },
    /// Parts whose runs have read different files.
    #[error(
        "{one} and {other} do not fit together: their runs have read different files `{file}`; run one of them again with --resume, beside the file that is meant"
    )]
    Inputs {
        /// A part.
        one: PathBuf,
        /// Another, or the same.
        other: PathBuf,
        /// As the scenario names it.
        file: String,
    },
    /// By another model version than this program's.
    #[error("{path} is of model version {found}, this program's is {MODEL_VERSION}: its runs cannot be read")]
    OtherModel {
        /// A part.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Not a part.
    #[error("{path} is no part of a sweep: it ran without --shard")]
    Whole {
        /// The directory.
        path: PathBuf,
    },
    /// A part is there twice.
    #[error("{one} and {other} are the same part, {}/{}", shard.index, shard.count)]
    Twice {
        /// A part.
        one: PathBuf,
        /// The same.
        other: PathBuf,
        /// Which.
        shard: Shard,
    },
    /// Parts are missing.
    #[error("parts are missing: {parts}")]
    Missing {
        /// Which, such as `2/3`.
        parts: String,
    },
    /// The sweep's file in a part does not read.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// The same, about its points.
    #[error(transparent)]
    Points(#[from] PointsError),
}

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Merged {
    /// That of the whole.
    pub manifest: Manifest,
    /// The failed runs of all parts.
    pub failures: Vec<Failure>,
    /// What could not be drawn, and why; points that stopped before they were known well enough.
    pub notes: Vec<String>,
}

/// Puts the parts of a sweep together in the directory `target`, with pictures as PNG, too, if `png`; calls `see` with each
/// point. Nothing is written before all parts are known to be sound; a merge that stopped after that is made again.
///
/// # Errors
/// If they are not all parts of one sweep, each once, whole and finished.
pub fn merge(
    parts: &[PathBuf],
    target: &Path,
    png: bool,
    see: impl FnMut(&PointSummary),
) -> Result<Merged, MergeError> {
    let manifests: Vec<Manifest> = parts
        .iter()
        .map(|part| Manifest::read(part))
        .collect::<Result<_, DirectoryError>>()?;
    check(parts, &manifests)?;
    let texts: Vec<(String, String)> = parts
        .iter()
        .zip(&manifests)
        .map(|(part, manifest)| texts_of(part, manifest))
        .collect::<Result<_, DirectoryError>>()?;
    let (first, (text, scenario)) = (&parts[0], &texts[0]);
    let mut sweep = decode::read(&Source {
        name: first.join("sweep.ron").display().to_string(),
        text: text.clone(),
        base_dir: first.clone(),
    })?
    .sweep;
    sweep.set_replications(manifests[0].replications);
    let points = Points::of(&sweep, true)?;
    let mut inputs = Inputs::new();
    let mut indices = Vec::new();
    for (part, manifest) in parts.iter().zip(&manifests) {
        let index = read_index(part)?;
        sound(&index, manifest.shard, &points, &sweep)
            .map_err(|why| unreadable(&part.join("index.json"), &why))?;
        let own = Cache::new(part, PathBuf::new());
        each(
            part,
            &own,
            &index,
            sweep.over(),
            |key| Ok(own.find(key, false)),
            &mut inputs,
        )?;
        indices.push(index);
    }

    let manifest = Manifest {
        shard: None,
        points: points.len(),
        finished: false,
        ..manifests[0].clone()
    };
    let target = SweepDirectory::take(target, &manifest, Claim::Merge)?.with_png(png);
    target.begin(&manifest, text, scenario)?;
    let cache = Cache::new(target.path(), PathBuf::new());
    let mut whole = Index::default();
    for (part, index) in parts.iter().zip(indices) {
        let own = Cache::new(part, PathBuf::new());
        each(
            part,
            &own,
            &index,
            sweep.over(),
            |key| cache.adopt(&own, key),
            &mut inputs,
        )?;
        whole.points.extend(index.points);
        whole.failures.extend(index.failures);
    }
    whole.points.sort_by_key(|point| point.point);
    whole.failures.sort();
    let written = tables::write(&target, &sweep, &points, &manifest, &whole, &cache, see)?;
    Ok(Merged {
        manifest,
        failures: whole.failures,
        notes: written.notes,
    })
}

/// The sweep's file and its scenario as a part keeps them, if they are what it says.
fn texts_of(part: &Path, manifest: &Manifest) -> Result<(String, String), DirectoryError> {
    let read = |name: &str| {
        let path = part.join(name);
        fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))
    };
    let (text, scenario) = (read("sweep.ron")?, read("scenario.ron")?);
    if Manifest::hash_of(&text, &scenario, manifest.replications) != manifest.hash {
        let why = "the hash is not that of sweep.ron, scenario.ron and the number of replications";
        return Err(unreadable(&part.join(MANIFEST), &why));
    }
    Ok((text, scenario))
}

/// Whether an index has the points of its part, all and once, each with its runs.
fn sound(index: &Index, shard: Option<Shard>, points: &Points, sweep: &Sweep) -> Result<(), String> {
    let mut expected = (0..points.len()).filter(|point| shard.is_none_or(|shard| shard.has(*point)));
    let runs = sweep.runs();
    for point in &index.points {
        let number = point.point;
        match expected.next() {
            Some(next) if next == number => {}
            Some(next) => return Err(format!("point {next} is expected where point {number} is")),
            None => return Err(format!("point {number} is none of this part")),
        }
        let found = point.replications;
        if found < runs || sweep.until.is_none() && found > runs {
            return Err(format!(
                "point {number} has {found} replications, and the sweep {runs}"
            ));
        }
    }
    if let Some(missing) = expected.next() {
        return Err(format!("point {missing} is missing"));
    }
    let mut last = None;
    for failure in &index.failures {
        let (number, replication) = (failure.point, failure.replication);
        let place = index.points.binary_search_by_key(&number, |point| point.point);
        let known = place.is_ok_and(|place| replication < index.points[place].replications);
        if !known || last >= Some((number, replication)) {
            return Err(format!(
                "the failure of replication {replication} of point {number} is of no run, or out of order"
            ));
        }
        last = Some((number, replication));
    }
    Ok(())
}

/// The files that runs have read, with their lengths and checksums, and which part it was.
type Inputs = BTreeMap<String, (u64, String, PathBuf)>;

/// Looks at each finished run of a part with `look`, and at what it has read.
fn each(
    part: &Path,
    own: &Cache,
    index: &Index,
    over: ReplicateOver,
    look: impl Fn(&str) -> Result<Found, DirectoryError> + Sync,
    inputs: &mut Inputs,
) -> Result<(), MergeError> {
    let failed = |point: &PointRuns, replication| {
        let place = (point.point, replication);
        let found = index
            .failures
            .binary_search_by_key(&place, |failure| (failure.point, failure.replication));
        found.is_ok()
    };
    let inputs = Mutex::new(inputs);
    index.points.par_iter().try_for_each(|point| {
        for replication in 0..point.replications {
            if failed(point, replication) {
                continue;
            }
            let Some(key) = key_of(point, replication, over) else {
                let why = "a point has neither a scenario nor a failure";
                return Err(unreadable(&part.join("index.json"), &why).into());
            };
            let gone = |why: &str| {
                let why = format!("{why}; run that part again with --resume");
                Err(unreadable(&own.path(&key), &why).into())
            };
            match look(&key)? {
                Found::Finished(entry) => same_inputs(part, &entry, &inputs)?,
                Found::Nothing => return gone("this finished run is gone"),
                Found::Unusable(why) => return gone(&why),
            }
        }
        Ok(())
    })
}

/// Whether a run has read the same files as those before.
fn same_inputs(part: &Path, entry: &Entry, inputs: &Mutex<&mut Inputs>) -> Result<(), MergeError> {
    if entry.inputs.is_empty() {
        return Ok(());
    }
    // A thread that panicked leaves nothing half done here.
    let mut inputs = inputs.lock().unwrap_or_else(PoisonError::into_inner);
    for input in &entry.inputs {
        let (bytes, checksum, first) = inputs
            .entry(input.file.clone())
            .or_insert_with(|| (input.bytes, input.blake3.clone(), part.to_owned()));
        if (*bytes, &*checksum) != (input.bytes, &input.blake3) {
            return Err(MergeError::Inputs {
                one: first.clone(),
                other: part.to_owned(),
                file: input.file.clone(),
            });
        }
    }
    Ok(())
}

/// What a part consists of.
fn read_index(part: &Path) -> Result<Index, DirectoryError> {
    let path = part.join("index.json");
    let text = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let index: Index = serde_json::from_slice(&text).map_err(|error| unreadable(&path, &error))?;
    Ok(index)
}

fn check(parts: &[PathBuf], manifests: &[Manifest]) -> Result<(), MergeError> {
    let (first, first_path) = (&manifests[0], &parts[0]);
    let mut shards: Vec<(Shard, &PathBuf)> = Vec::new();
    for (manifest, path) in manifests.iter().zip(parts) {
        if manifest.model_version != MODEL_VERSION {
            return Err(MergeError::OtherModel {
                path: path.clone(),
                found: manifest.model_version,
            });
        }
        let Some(shard) = manifest.shard else {
            return Err(MergeError::Whole { path: path.clone() });
        };
        let what = if manifest.sweep != first.sweep {
            Some("the sweep")
        } else if manifest.hash != first.hash {
            Some("the sweep's file, its scenario or the number of replications")
        } else if manifest.record_format != first.record_format || manifest.tool_version != first.tool_version
        {
            Some("the program")
        } else if Some(shard.count) != first.shard.map(|shard| shard.count) {
            Some("the number of parts")
        } else {
            None
        };
        if let Some(what) = what {
            return Err(MergeError::Different {
                one: first_path.clone(),
                other: path.clone(),
                what,
            });
        }
        if let Some((_, other)) = shards.iter().find(|(other, _)| *other == shard) {
            return Err(MergeError::Twice {
                one: (*other).clone(),
                other: path.clone(),
                shard,
            });
        }
        if !manifest.finished {
            return Err(DirectoryError::Unfinished { path: path.clone() }.into());
        }
        shards.push((shard, path));
    }
    let count = shards[0].0.count;
    let missing = (1..=count).filter(|index| !shards.iter().any(|(shard, _)| shard.index == *index));
    let missing: Vec<String> = missing.map(|index| format!("{index}/{count}")).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing {
            parts: missing.join(", "),
        });
    }
    Ok(())
}
