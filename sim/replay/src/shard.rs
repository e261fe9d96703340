//! A replay in parts: how replications are shared out over virtual machines, and their measurements put together.
//! The parts depend on the number of replications alone, so how many run side by side changes nothing.

use std::ops::Range;

use longhaul_core::random::Streams;
use thiserror::Error;

use crate::outcome::{OUTCOME_FORMAT, Outcome};

/// Replications of one virtual machine: the boot is then a small part of its work.
const REPLICATIONS: u32 = 5;

/// The replications of each part, in order.
pub fn shards(replications: u32) -> Vec<Range<u32>> {
    let starts = (0..replications).step_by(REPLICATIONS as usize);
    starts
        .map(|start| start..replications.min(start.saturating_add(REPLICATIONS)))
        .collect()
}

/// The seed of the virtual machine that replays a part of a scenario with this seed: what its kernel draws losses and
/// ports from.
pub fn boot_seed(seed: u64, shard: &Range<u32>) -> u64 {
    Streams::new(seed, shard.start).stream("kernel", "boot").u64()
}

/// Why parts do not make a whole.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MergeError {
    /// No part at all.
    #[error("nothing was replayed")]
    Nothing,
    /// Measurements of another version of this program.
    #[error("measurements of format {found}; this version reads {OUTCOME_FORMAT}")]
    Format {
        /// As found.
        found: u32,
    },
    /// Parts from different kernels.
    #[error("one part was replayed on {first}, another on {other}")]
    Kernels {
        /// Of the first part.
        first: String,
        /// Of another one.
        other: String,
    },
    /// A replication that is there twice or not at all.
    #[error("replication {0} was replayed twice or not at all")]
    Numbers(u32),
}

/// The parts of a replay in one, in the order of their replications.
///
/// # Errors
/// If they are not the parts of one replay.
pub fn merge(parts: Vec<Outcome>) -> Result<Outcome, MergeError> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next().ok_or(MergeError::Nothing)?;
    for part in parts {
        if part.kernel != whole.kernel {
            return Err(MergeError::Kernels {
                first: whole.kernel,
                other: part.kernel,
            });
        }
        if part.format != whole.format {
            return Err(MergeError::Format { found: part.format });
        }
        whole.replications.extend(part.replications);
    }
    if whole.format != OUTCOME_FORMAT {
        return Err(MergeError::Format { found: whole.format });
    }
    whole.replications.sort_by_key(|replication| replication.number);
    let numbers = whole.replications.iter().map(|replication| replication.number);
    match (0..).zip(numbers).find(|(expected, found)| expected != found) {
        None => Ok(whole),
        Some((expected, _)) => Err(MergeError::Numbers(expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Replication;

    fn part(numbers: Range<u32>) -> Outcome {
        Outcome {
            format: OUTCOME_FORMAT,
            kernel: "Linux 6.1".to_owned(),
            replications: numbers.map(Replication::new).collect(),
        }
    }

    #[test]
    fn parts_cover_every_replication_once_and_come_together_in_any_order() {
        for replications in [0, 1, 4, 5, 6, 10, 12] {
            let all: Vec<u32> = shards(replications).into_iter().flatten().collect();
            assert_eq!(all, (0..replications).collect::<Vec<_>>());
        }
        let parts: Vec<Outcome> = shards(12).into_iter().rev().map(part).collect();
        assert_eq!(merge(parts), Ok(part(0..12)));
    }

    #[test]
    fn each_part_has_a_seed_of_its_own() {
        let seeds: std::collections::BTreeSet<u64> = [1, 2]
            .iter()
            .flat_map(|&seed| shards(20).into_iter().map(move |s| boot_seed(seed, &s)))
            .collect();
        assert_eq!(seeds.len(), 8);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        assert_eq!(merge(Vec::new()), Err(MergeError::Nothing));
        assert_eq!(merge(vec![part(0..2), part(1..3)]), Err(MergeError::Numbers(2)));
        assert_eq!(merge(vec![part(0..2), part(3..4)]), Err(MergeError::Numbers(2)));
        let mut other = part(2..3);
        other.kernel = "Linux 6.6".to_owned();
        assert!(matches!(
            merge(vec![part(0..2), other]),
            Err(MergeError::Kernels { .. })
        ));
        let mut old = part(0..1);
        old.format = 0;
        assert_eq!(merge(vec![old]), Err(MergeError::Format { found: 0 }));
    }
}
