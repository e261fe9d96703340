//! The digest at regular distances, in bounded memory.

use longhaul_core::digest::Checkpoint;

/// Checkpoints of a run, one every `distance` events. When there would be more than [`Checkpoints::LIMIT`],
/// every second one is given up and the distance doubles, so a run of any length keeps between half the limit
/// and the limit. The distance is a power of two and all kept checkpoints are at its multiples: those of two
/// runs of different length coincide where they can.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    distance: u64,
    kept: Vec<Checkpoint>,
}

impl Checkpoints {
    /// Most checkpoints kept.
    pub const LIMIT: usize = 4096;
    /// The distance a run starts with, in events.
    pub const DISTANCE: u64 = 1 << 16;

    /// No checkpoints yet; the first is due after `distance` events.
    ///
    /// # Panics
    /// If `distance` is not a power of two.
    pub fn every(distance: u64) -> Checkpoints {
        assert!(distance.is_power_of_two(), "a distance of {distance} events");
        Checkpoints {
            distance,
            kept: Vec::new(),
        }
    }

    /// How many events after `executed` the next checkpoint is due; at least 1.
    pub fn due_in(&self, executed: u64) -> u64 {
        self.distance - executed % self.distance
    }

    /// Keeps a checkpoint that is due.
    ///
    /// # Panics
    /// If it is not.
    pub fn keep(&mut self, checkpoint: Checkpoint) {
        assert!(
            checkpoint.events.is_multiple_of(self.distance),
            "a checkpoint after {} events, not at a multiple of {}",
            checkpoint.events,
            self.distance
        );
        if self.kept.len() == Checkpoints::LIMIT {
            self.distance *= 2;
            self.kept.retain(|kept| kept.events.is_multiple_of(self.distance));
        }
        if checkpoint.events.is_multiple_of(self.distance) {
            self.kept.push(checkpoint);
        }
    }

    /// The kept checkpoints, oldest first.
    pub fn as_slice(&self) -> &[Checkpoint] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_core::time::Instant;

    #[test]
    fn a_long_run_keeps_bounded_evenly_spaced_checkpoints() {
        let mut checkpoints = Checkpoints::every(4);
        let mut events = 0;
        while events < 100_000 {
            events += checkpoints.due_in(events);
            checkpoints.keep(Checkpoint {
                events,
                at: Instant::ZERO,
                digest: 0,
            });
            assert!(checkpoints.as_slice().len() <= Checkpoints::LIMIT);
        }
        // 100,000 / 4096 lies between 16 and 32.
        assert_eq!(checkpoints.due_in(0), 32);
        let kept: Vec<u64> = checkpoints.as_slice().iter().map(|kept| kept.events).collect();
        let expected: Vec<u64> = (1..=events / 32).map(|i| i * 32).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    #[should_panic(expected = "a distance of 3 events")]
    fn a_distance_is_a_power_of_two() {
        Checkpoints::every(3);
    }
}
