//! Which seeds a replication has, and which sample of what is uncertain.

use longhaul_core::random::Source;
use longhaul_scenarios::schema::{OwnSeeds, Scenario};
use serde::{Deserialize, Serialize};

use crate::schema::{Chance, ReplicateOver};

/// The luck of a run: its seeds, as its scenario has them, and its sample of what is uncertain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RunSeeds {
    /// Of all sources of chance without one of their own.
    pub seed: u64,
    /// Of the others.
    #[serde(flatten)]
    pub own: OwnSeeds,
    /// The sample of the sweep's uncertain fields, which has no effect where there are none.
    #[serde(default, skip_serializing_if = "is_first")]
    pub sample: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(sample: &u32) -> bool {
    *sample == 0
}

impl RunSeeds {
    /// Those of a scenario, with the first sample.
    pub fn of(scenario: &Scenario) -> RunSeeds {
        RunSeeds {
            seed: scenario.seed,
            own: scenario.own_seeds,
            sample: 0,
        }
    }

    /// Those of a replication of a point that begins with these.
    #[must_use]
    pub fn replication(self, over: ReplicateOver, replication: u32) -> RunSeeds {
        let mut seeds = self;
        match over {
            ReplicateOver::Seed => {
                seeds.seed = self.seed.wrapping_add(u64::from(replication));
                seeds.sample = self.sample.wrapping_add(replication);
            }
            ReplicateOver::One(source) => seeds.advance(source, replication),
            ReplicateOver::Both { sources, samples } => {
                let [first, second] = sources;
                seeds.advance(first, replication / samples);
                seeds.advance(second, replication % samples);
            }
        }
        seeds
    }

    fn advance(&mut self, chance: Chance, by: u32) {
        let Chance::Of(source) = chance else {
            self.sample = self.sample.wrapping_add(by);
            return;
        };
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

/// What replications differ in, in one word, as tables name it.
pub fn name(chance: Chance) -> &'static str {
    match chance {
        Chance::Of(Source::Workload) => "workload",
        Chance::Of(Source::Network) => "network",
        Chance::Of(Source::Faults) => "faults",
        Chance::Uncertain => "uncertain",
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
        sample: 0,
    };

    fn resolved(over: ReplicateOver, replication: u32) -> [u64; 3] {
        Source::ALL.map(|source| BASE.replication(over, replication).resolved(source))
    }

    #[test]
    fn only_what_is_replicated_over_varies() {
        // The network's own seed is not the scenario's.
        assert_eq!(resolved(ReplicateOver::Seed, 3), [10, 20, 10]);
        assert_eq!(
            resolved(ReplicateOver::One(Chance::Of(Source::Workload)), 3),
            [10, 20, 7]
        );
        assert_eq!(
            resolved(ReplicateOver::One(Chance::Of(Source::Network)), 3),
            [7, 23, 7]
        );
        let both = ReplicateOver::Both {
            sources: [Chance::Of(Source::Network), Chance::Of(Source::Faults)],
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

    #[test]
    fn samples_of_what_is_uncertain_count_like_seeds() {
        let sample = |over, replication| BASE.replication(over, replication).sample;
        assert_eq!(sample(ReplicateOver::Seed, 3), 3);
        assert_eq!(sample(ReplicateOver::One(Chance::Of(Source::Network)), 3), 0);
        let uncertain = ReplicateOver::One(Chance::Uncertain);
        assert_eq!(sample(uncertain, 3), 3);
        assert_eq!(resolved(uncertain, 3), resolved(uncertain, 0));
        let both = ReplicateOver::Both {
            sources: [Chance::Uncertain, Chance::Of(Source::Network)],
            samples: 4,
        };
        assert_eq!((sample(both, 5), resolved(both, 5)), (1, [7, 21, 7]));
    }
}
