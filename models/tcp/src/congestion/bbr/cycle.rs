//! The gain cycle of ProbeBW: one phase to look for more bandwidth, one to drain what that queued, six to cruise.

use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use super::GAIN_UNIT;

/// Pacing gains of the phases.
const GAINS: [u64; 8] = [
    GAIN_UNIT * 5 / 4,
    GAIN_UNIT * 3 / 4,
    GAIN_UNIT,
    GAIN_UNIT,
    GAIN_UNIT,
    GAIN_UNIT,
    GAIN_UNIT,
    GAIN_UNIT,
];
/// A cycle begins in any phase but the draining one, so that flows do not probe in step.
const FIRST_PHASES: u64 = 7;

/// Where in the cycle the sender is.
#[derive(Clone, Debug)]
pub(super) struct Cycle {
    phase: usize,
    pub(super) since: Instant,
    stream: Stream,
}

impl Cycle {
    pub(super) fn new(stream: Stream) -> Cycle {
        Cycle {
            phase: 0,
            since: Instant::ZERO,
            stream,
        }
    }

    pub(super) fn gain(&self) -> u64 {
        GAINS[self.phase]
    }

    /// Whether this is the phase that looks for more bandwidth.
    pub(super) fn is_probing(&self) -> bool {
        self.phase == 0
    }

    /// Starts in a random phase.
    pub(super) fn start(&mut self, now: Instant) {
        self.phase = GAINS.len() - 1 - self.stream.below(FIRST_PHASES) as usize;
        self.advance(now);
    }

    pub(super) fn advance(&mut self, now: Instant) {
        self.phase = (self.phase + 1) % GAINS.len();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    #[test]
    fn a_cycle_starts_anywhere_but_with_the_drain() {
        let mut cycle = Cycle::new(Streams::new(1, 0).stream("tcp", "test"));
        let mut seen = [0; 8];
        for _ in 0..700 {
            cycle.start(Instant::ZERO);
            seen[cycle.phase] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!(
            seen.iter()
                .enumerate()
                .all(|(phase, &count)| phase == 1 || count > 50),
            "{seen:?}"
        );
    }

    #[test]
    fn the_gains_of_a_cycle_cancel_out() {
        assert_eq!(GAINS.iter().sum::<u64>(), 8 * GAIN_UNIT);
    }
}
