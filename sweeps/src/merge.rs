//! The parts of a sweep that ran in different places, put together: the same bytes as if one had run all of it.

use std::fs;
use std::path::{Path, PathBuf};

use longhaul_core::MODEL_VERSION;
use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::source::Source;
use rayon::prelude::*;
use thiserror::Error;

use crate::cache::{Cache, Found};
use crate::decode;
use crate::directory::{DirectoryError, Manifest, Shard, SweepDirectory, unreadable};
use crate::execute::{Failure, Index, PointRuns};
use crate::points::{Points, PointsError};
use crate::schema::ReplicateOver;
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

/// Puts the parts of a sweep together in `target`, calling `see` with each point.
///
/// # Errors
/// If they are not all parts of one sweep, each once and finished.
pub fn merge(
    parts: &[PathBuf],
    target: &SweepDirectory,
    see: impl FnMut(&PointSummary),
) -> Result<Merged, MergeError> {
    let manifests: Vec<Manifest> = parts
        .iter()
        .map(|part| Manifest::read(part))
        .collect::<Result<_, DirectoryError>>()?;
    check(parts, &manifests)?;
    let first = &parts[0];
    let path = first.join("sweep.ron");
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    let scenario_path = first.join("scenario.ron");
    let scenario = fs::read_to_string(&scenario_path).map_err(|error| unreadable(&scenario_path, &error))?;
    let mut sweep = decode::read(&Source {
        name: path.display().to_string(),
        text: text.clone(),
        base_dir: first.clone(),
    })?
    .sweep;
    sweep.set_replications(manifests[0].replications);
    let points = Points::of(&sweep, true)?;

    let manifest = Manifest {
        shard: None,
        ..manifests[0].clone()
    };
    target.begin(
        &Manifest {
            finished: false,
            ..manifest.clone()
        },
        &text,
        &scenario,
    )?;
    let cache = Cache::new(target.path(), PathBuf::new());
    let mut index = Index::default();
    for part in parts {
        let of_part = read_index(part)?;
        adopt(&cache, part, &of_part, sweep.over())?;
        index.points.extend(of_part.points);
        index.failures.extend(of_part.failures);
    }
    index.points.sort_by_key(|point| point.point);
    index.failures.sort();
    let written = tables::write(target, &sweep, &points, &manifest, &index, &cache, see)?;
    Ok(Merged {
        manifest,
        failures: index.failures,
        notes: written.notes,
    })
}

/// Takes over all finished runs of a part.
fn adopt(cache: &Cache, part: &Path, index: &Index, over: ReplicateOver) -> Result<(), MergeError> {
    let own = Cache::new(part, PathBuf::new());
    let failed = |point: &PointRuns, replication| {
        let place = (point.point, replication);
        let found = index
            .failures
            .binary_search_by_key(&place, |failure| (failure.point, failure.replication));
        found.is_ok()
    };
    index.points.par_iter().try_for_each(|point| {
        for replication in 0..point.replications {
            if failed(point, replication) {
                continue;
            }
            let Some(key) = key_of(point, replication, over) else {
                let why = "a point has neither a scenario nor a failure";
                return Err(unreadable(&part.join("index.json"), &why));
            };
            let gone = |why: &str| {
                let why = format!("{why}; run that part again with --resume");
                Err(unreadable(&own.path(&key), &why))
            };
            match cache.adopt(&own, &key)? {
                Found::Finished(_) => {}
                Found::Nothing => return gone("this finished run is gone"),
                Found::Unusable(why) => return gone(&why),
            }
        }
        Ok(())
    })?;
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
