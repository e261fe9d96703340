//! `sweep.json`: what a sweep is, and whether it is finished.

use std::fs;
use std::io;
use std::path::Path;

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::RECORD_FORMAT;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DirectoryError, SWEEP_FORMAT, unreadable};
use crate::prepare::Prepared;

/// Name of the file that makes a directory that of a sweep.
pub const MANIFEST: &str = "sweep.json";

/// The program that writes it.
const TOOL: &str = "longhaul";

/// How each manifest begins.
const OPENING: &str = "{\n  \"tool\": \"longhaul\",";

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
    /// What [`Manifest::hash`] is of.
    pub fn hash_of(text: &str, base: &str, replications: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [text, base] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&replications.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// Of a sweep that is about to run.
    pub fn of(prepared: &Prepared, shard: Option<Shard>) -> Manifest {
        let sweep = &prepared.sweep;
        Manifest {
            tool: TOOL.to_owned(),
            format: SWEEP_FORMAT,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version: MODEL_VERSION,
            record_format: RECORD_FORMAT,
            sweep: sweep.name.clone(),
            question: sweep.question.clone(),
            hash: Manifest::hash_of(&prepared.text, &prepared.base, sweep.replications),
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
        match Held::of(directory)? {
            Held::Sweep(manifest) => Ok(*manifest),
            Held::Nothing => Err(DirectoryError::NoSweep {
                path: directory.to_owned(),
            }),
            Held::Cut => Err(unreadable(
                &directory.join(MANIFEST),
                &"its end is missing; `longhaul sweep … --resume` writes it again",
            )),
        }
    }
}

/// What a directory holds by its manifest.
pub(super) enum Held {
    /// No manifest.
    Nothing,
    /// One of ours, of which a crash of the machine has left the beginning.
    Cut,
    /// A sweep.
    Sweep(Box<Manifest>),
}

impl Held {
    /// Of a directory.
    ///
    /// # Errors
    /// If there is a manifest that no sweep wrote, or a newer program.
    pub(super) fn of(directory: &Path) -> Result<Held, DirectoryError> {
        let path = directory.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::Nothing),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let foreign = || DirectoryError::Foreign {
            path: directory.to_owned(),
            entry: MANIFEST.to_owned(),
        };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
            return if is_cut(&bytes) {
                Ok(Held::Cut)
            } else {
                Err(foreign())
            };
        };
        if value["tool"] != TOOL {
            return Err(foreign());
        }
        if value["format"] != SWEEP_FORMAT {
            let why = format!("format {}; this program reads {SWEEP_FORMAT}", value["format"]);
            return Err(unreadable(&path, &why));
        }
        let manifest = serde_json::from_value(value).map_err(|error| unreadable(&path, &error))?;
        Ok(Held::Sweep(Box::new(manifest)))
    }
}

/// Whether these are the first bytes of a manifest, if any: file systems leave the rest out, or zero.
fn is_cut(bytes: &[u8]) -> bool {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let begun = &bytes[..end];
    begun.starts_with(OPENING.as_bytes()) || OPENING.as_bytes().starts_with(begun)
}
