//! What identifies a run, in this sweep and in every other one.

use std::fmt;

use longhaul_core::MODEL_VERSION;
use longhaul_core::random::Source;
use longhaul_core::record::RECORD_FORMAT;
use longhaul_scenarios::schema::Scenario;
use longhaul_scenarios::show;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entry::ENTRY_FORMAT;
use crate::seeds::RunSeeds;

/// What identifies a scenario but for its seeds: BLAKE3 of its canonical text with seed 0 and no others. In files 64
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScenarioHash([u8; 32]);

impl ScenarioHash {
    /// That of a scenario.
    pub fn of(scenario: &Scenario) -> ScenarioHash {
        let mut scenario = scenario.clone();
        RunSeeds::default().apply(&mut scenario);
        ScenarioHash(*blake3::hash(show::canonical(&scenario).as_bytes()).as_bytes())
    }

    /// What identifies a run of it: the scenario, the seeds, and the versions that decide about results. Hexadecimal BLAKE3.
    pub fn run(&self, seeds: RunSeeds) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"longhaul run\0");
        hasher.update(&self.0);
        hasher.update(&seeds.seed.to_le_bytes());
        for source in Source::ALL {
            hasher.update(&seeds.resolved(source).to_le_bytes());
        }
        for version in [ENTRY_FORMAT, MODEL_VERSION, RECORD_FORMAT] {
            hasher.update(&version.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl fmt::Display for ScenarioHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl Serialize for ScenarioHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScenarioHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScenarioHash, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = blake3::Hash::from_hex(text).map_err(D::Error::custom)?;
        Ok(ScenarioHash(hash.into()))
    }
}
