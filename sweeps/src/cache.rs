//! Finished runs on disk, one file each, named by what identifies [the run](crate::identity::ScenarioHash::run). A file
//! appears by a rename, so it is there whole or not at all, whenever the program is killed; a checksum catches what happens
//! to it later.
//!
//! Entries of each model version and record format have a folder of their own, and say in themselves what they are:
//! those of others are never found, and never taken if they are put in the way.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::{InputRecord, RECORD_FORMAT};

use crate::directory::{DirectoryError, write_whole};
use crate::entry::{ENTRY_FORMAT, Entry};

/// First word of an entry's file, before the checksum of the rest.
const MAGIC: &str = "longhaul-run";

/// What the cache knows of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It has run.
    Finished(Box<Entry>),
    /// It has not.
    Nothing,
    /// Something is there that cannot be used, and why.
    Unusable(String),
}

/// The finished runs of a sweep.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    /// What the files that scenarios name are relative to.
    base_dir: PathBuf,
    /// Checksums of those files, so that each is read once.
    inputs: Mutex<BTreeMap<String, Option<(u64, String)>>>,
    /// Distinguishes temporary files.
    counter: AtomicU64,
}

impl Cache {
    /// The cache in a sweep's directory, for scenarios whose files are relative to `base_dir`.
    pub fn new(directory: &Path, base_dir: PathBuf) -> Cache {
        Cache {
            root: directory.join("cache"),
            base_dir,
            inputs: Mutex::new(BTreeMap::new()),
            counter: AtomicU64::new(0),
        }
    }

    /// Where the entry of a key is.
    pub fn path(&self, key: &str) -> PathBuf {
        let versions = format!("model-{MODEL_VERSION}-record-{RECORD_FORMAT}-entry-{ENTRY_FORMAT}");
        self.root.join(versions).join(&key[..2]).join(key)
    }

    /// Looks a run up. Without `inputs` whether the files that it read are still the same is not asked.
    pub fn find(&self, key: &str, inputs: bool) -> Found {
        let bytes = match fs::read(self.path(key)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Unusable(error.to_string()),
        };
        match parse(&bytes, key) {
            Ok(entry) if !inputs || self.inputs_hold(&entry.inputs) => Found::Finished(Box::new(entry)),
            Ok(_) => Found::Unusable("a file that it has read is another one now".to_owned()),
            Err(why) => Found::Unusable(why.to_owned()),
        }
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    /// If it cannot be written; nothing that was there is harmed.
    pub fn keep(&self, entry: &Entry) -> Result<(), DirectoryError> {
        let path = self.path(&entry.key);
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let bytes = text(entry);
        write_whole(&path, number, |out| out.write_all(&bytes))
    }

    /// Takes over an entry of another cache, if it is sound.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn adopt(&self, other: &Cache, key: &str) -> Result<Found, DirectoryError> {
        let found = other.find(key, false);
        if let Found::Finished(entry) = &found {
            self.keep(entry)?;
        }
        Ok(found)
    }

    /// Size of an entry's file.
    pub fn size(entry: &Entry) -> u64 {
        text(entry).len() as u64
    }

    fn inputs_hold(&self, inputs: &[InputRecord]) -> bool {
        // A thread that panicked leaves nothing half done here.
        let known = self.inputs.lock();
        let mut known = known.unwrap_or_else(std::sync::PoisonError::into_inner);
        inputs.iter().all(|input| {
            let now = known.entry(input.file.clone());
            let now = now.or_insert_with(|| checksum(&self.base_dir.join(&input.file)));
            now.as_ref() == Some(&(input.bytes, input.blake3.clone()))
        })
    }
}

fn checksum(path: &Path) -> Option<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut File::open(path).ok()?, &mut hasher).ok()?;
    Some((bytes, hasher.finalize().to_hex().to_string()))
}

fn text(entry: &Entry) -> Vec<u8> {
    let body = serde_json::to_vec(entry).expect("an entry is made of numbers and texts");
    let checksum = blake3::hash(&body).to_hex();
    let mut bytes = format!("{MAGIC} {checksum}\n").into_bytes();
    bytes.extend(body);
    bytes.push(b'\n');
    bytes
}

fn parse(bytes: &[u8], key: &str) -> Result<Entry, &'static str> {
    let newline = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = bytes.split_at(newline.ok_or("it is damaged: it has no first line")?);
    let body = &body[1..];
    let body = body
        .strip_suffix(b"\n")
        .ok_or("it is damaged: its end is missing")?;
    let expected = format!("{MAGIC} {}", blake3::hash(body).to_hex());
    if head != expected.as_bytes() {
        return Err("it is damaged: its checksum does not hold");
    }
    let entry: Entry = serde_json::from_slice(body).map_err(|_| "it is of another form")?;
    if (entry.format, entry.record_format) != (ENTRY_FORMAT, RECORD_FORMAT) {
        return Err("it is of another form");
    }
    if entry.model_version != MODEL_VERSION {
        return Err("it is of another model version");
    }
    if entry.key != key {
        return Err("it is of another run");
    }
    Ok(entry)
}
