//! Tables that are read while a scenario is decoded, each once: their numbers become part of the resolved scenario.

use std::collections::BTreeMap;
use std::path::PathBuf;

use longhaul_net::rtt::RttTable;

use crate::source;

/// Where files are looked for, and those that were read.
#[derive(Debug)]
pub struct Files {
    base_dir: PathBuf,
    round_trips: BTreeMap<String, Result<RttTable, String>>,
}

impl Files {
    /// Files relative to `base_dir`.
    pub fn new(base_dir: PathBuf) -> Files {
        Files {
            base_dir,
            round_trips: BTreeMap::new(),
        }
    }

    /// The matrix of round trips in a file.
    ///
    /// # Errors
    /// Why it cannot be read or is no matrix.
    pub fn round_trips(&mut self, file: &str) -> Result<&RttTable, String> {
        let path = self.base_dir.join(file);
        let read = || {
            let text = source::read_text(&path).map_err(|error| error.to_string())?;
            RttTable::parse_matrix(&text).map_err(|error| format!("{file}: {error}"))
        };
        let entry = self.round_trips.entry(file.to_owned());
        entry.or_insert_with(read).as_ref().map_err(Clone::clone)
    }
}
