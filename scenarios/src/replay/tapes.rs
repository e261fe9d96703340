//! The tapes of a replay, fed back offline: the same machines must give the same outputs again.

use longhaul_core::tape;
use longhaul_replay::coordinator::Work;
use longhaul_replay::outcome::Outcome;

use super::endpoints::{ScenarioWork, build_region};
use crate::Loaded;

/// Feeds every tape of a replay to a machine built like the one that was recorded; returns how many there were.
///
/// # Errors
/// The first machine that cannot be built, or whose outputs differ: a machine that looked at something else than its
/// inputs.
pub fn repeat(loaded: &Loaded, outcome: &Outcome) -> Result<usize, String> {
    let work = ScenarioWork::new(loaded);
    let mut repeated = 0;
    for replication in outcome.replications.iter().filter(|one| !one.tapes.is_empty()) {
        let machines = work.machines(replication.number);
        for region in 0..loaded.scenario.regions.len() {
            for (peer, mut machine) in build_region(&machines, region)? {
                // A machine that was killed has left no tape.
                let Some(text) = replication.tapes.get(&peer.0) else {
                    continue;
                };
                let number = replication.number;
                tape::feed(&mut machine, text)
                    .map_err(|error| format!("machine {} of replication {number}: {error}", peer.0))?;
                repeated += 1;
            }
        }
    }
    Ok(repeated)
}
