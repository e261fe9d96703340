//! When an object travels whole although a delta would do.

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// How many deltas, and for how long, may follow a full frame.
///
/// Deltas are safe without this: each one names its baseline and hash. A regular full frame bounds how long a
/// receiver of the frames alone, such as a log of them, has to look back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cadence {
    /// Deltas after which the next frame is full; 0 makes every frame full.
    pub max_delta_chain: u32,
    /// A frame later than this after the last full one is full.
    pub interval: Span,
}

impl Cadence {
    /// A full frame only where there is no baseline.
    pub const NEVER: Cadence = Cadence {
        max_delta_chain: u32::MAX,
        interval: Span::MAX,
    };
}

impl Default for Cadence {
    /// Ten deltas and five minutes.
    fn default() -> Cadence {
        Cadence {
            max_delta_chain: 10,
            interval: Span::from_s(300),
        }
    }
}

/// The frames of one object so far, as far as a [`Cadence`] asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CadenceClock {
    /// Time of the last full frame, and the deltas since.
    last_full: Option<(Instant, u32)>,
}

impl CadenceClock {
    /// Whether a frame that is sent now may be a delta.
    pub fn allows_delta(&self, cadence: &Cadence, now: Instant) -> bool {
        self.last_full.is_some_and(|(at, deltas)| {
            deltas < cadence.max_delta_chain && now.saturating_since(at) <= cadence.interval
        })
    }

    /// A frame was sent.
    pub fn sent(&mut self, now: Instant, full: bool) {
        match &mut self.last_full {
            Some((_, deltas)) if !full => *deltas = deltas.saturating_add(1),
            _ => self.last_full = Some((now, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(cadence: Cadence, times_ms: &[u64]) -> Vec<&'static str> {
        let mut clock = CadenceClock::default();
        times_ms
            .iter()
            .map(|ms| {
                let now = Instant::ZERO + Span::from_ms(*ms);
                let delta = clock.allows_delta(&cadence, now);
                clock.sent(now, !delta);
                if delta { "delta" } else { "full" }
            })
            .collect()
    }

    #[test]
    fn a_chain_of_three_deltas_is_followed_by_a_full_frame() {
        let cadence = Cadence {
            max_delta_chain: 3,
            ..Cadence::NEVER
        };
        assert_eq!(
            kinds(cadence, &[0, 0, 0, 0, 0, 0]),
            ["full", "delta", "delta", "delta", "full", "delta"]
        );
        let always_full = Cadence {
            max_delta_chain: 0,
            ..Cadence::NEVER
        };
        assert_eq!(kinds(always_full, &[0, 0]), ["full", "full"]);
    }

    #[test]
    fn after_the_interval_a_frame_is_full() {
        let cadence = Cadence {
            interval: Span::from_ms(100),
            ..Cadence::NEVER
        };
        assert_eq!(kinds(cadence, &[0, 0, 150]), ["full", "delta", "full"]);
        assert_eq!(kinds(cadence, &[0, 100, 101]), ["full", "delta", "full"]);
    }
}
