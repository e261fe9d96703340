//! Which seeds a replication has.

use longhaul_core::random::Source;
use longhaul_scenarios::schema::{OwnSeeds, Scenario};
use serde::{Deserialize, Serialize};

use crate::schema::ReplicateOver;

/// The seeds of a run, as its scenario has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RunSeeds {
    /// Of all sources of chance without one of their own.
    pub seed: u64,
    /// Of the others.
    #[serde(flatten)]
    pub own: OwnSeeds,
}

impl RunSeeds {
    /// Those of a scenario.
    pub fn of(scenario: &Scenario) -> RunSeeds {
        RunSeeds {
            seed: scenario.seed,
            own: scenario.own_seeds,
        }
    }

    /// Those of a replication of a point that begins with these.
    #[must_use]
    pub fn replication(self, over: ReplicateOver, replication: u32) -> RunSeeds {
        let mut seeds = self;
        match over {
            ReplicateOver::Seed => seeds.seed = self.seed.wrapping_add(u64::from(replication)),
            ReplicateOver::One(source) => seeds.advance(source, replication),
            ReplicateOver::Both { sources, samples } => {
                let [first, second] = sources;
                seeds.advance(first, replication / samples);
                seeds.advance(second, replication % samples);
            }
        }
        seeds
    }

    fn advance(&mut self, source: Source, by: u32) {
        let next = self.resolved(source).wrapping_add(u64::from(by));
        *self.own.of(source) = Some(next);
    }

    /// The seed that a source has.
    pub fn resolved(&self, source: Source) -> u64 {
        self.own.with(self.seed).of(source)
    }

    /// The scenario with these seeds.
    pub fn apply(self, scenario: &mut Scenario) {
        scenario.seed = self.seed;
        scenario.own_seeds = self.own;
    }
}

/// A source in one word, as tables name it.
pub fn name(source: Source) -> &'static str {
    match source {
        Source::Workload => "workload",
        Source::Network => "network",
        Source::Faults => "faults",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: RunSeeds = RunSeeds {
        seed: 7,
        own: OwnSeeds {
            workload: None,
            network: Some(20),
            faults: None,
        },
    };

    fn resolved(over: ReplicateOver, replication: u32) -> [u64; 3] {
        Source::ALL.map(|source| BASE.replication(over, replication).resolved(source))
    }

    #[test]
    fn only_what_is_replicated_over_varies() {
        // The network's own seed is not the scenario's.
        assert_eq!(resolved(ReplicateOver::Seed, 3), [10, 20, 10]);
        assert_eq!(resolved(ReplicateOver::One(Source::Workload), 3), [10, 20, 7]);
        assert_eq!(resolved(ReplicateOver::One(Source::Network), 3), [7, 23, 7]);
        let both = ReplicateOver::Both {
            sources: [Source::Network, Source::Faults],
            samples: 4,
        };
        let all: Vec<[u64; 3]> = (0..16).map(|replication| resolved(both, replication)).collect();
        assert_eq!(
            (all[0], all[1], all[4], all[15]),
            ([7, 20, 7], [7, 20, 8], [7, 21, 7], [7, 23, 10])
        );
        let mut different = all.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 16);
    }
}
