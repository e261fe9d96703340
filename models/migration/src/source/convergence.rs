//! Will it ever end? A forecast at every synchronisation, and a word when nothing gets better.
//!
//! The forecast takes the round that has just ended for the next ones: while it sent *s* pages, *d* clean ones became
//! dirty, so that each round leaves d/s of the one before (Liu et al., "Performance and energy modeling for live
//! migration of virtual machines", HPDC 2011). If that is less than one, rounds shrink until what is left may be sent with
//! the guest standing still, and the time that they take is a geometric sum.

use longhaul_core::time::{Instant, Span};

/// What is to be expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Forecast {
    /// The guest can be stopped after this time.
    Converges { copying: Span },
    /// Rounds do not shrink.
    Diverges,
}

/// What is known of the rounds so far.
#[derive(Debug)]
pub(super) struct Convergence {
    stall_after: Span,
    round_start: Instant,
    pages_sent_before: u64,
    /// The fewest pages with which a round has begun, and when.
    fewest_pages: u64,
    fewest_at: Instant,
    /// The last time that the transport has got something across.
    last_progress: Instant,
    acknowledged_bytes: u64,
    /// Something is on its way.
    waits: bool,
    stalled: bool,
}

impl Convergence {
    pub fn new(stall_after: Span) -> Convergence {
        Convergence {
            stall_after,
            round_start: Instant::ZERO,
            pages_sent_before: 0,
            fewest_pages: u64::MAX,
            fewest_at: Instant::ZERO,
            last_progress: Instant::ZERO,
            acknowledged_bytes: 0,
            waits: false,
            stalled: false,
        }
    }

    /// Copying begins.
    pub fn begin(&mut self, now: Instant) {
        self.round_start = now;
        self.last_progress = now;
        self.fewest_at = now;
    }

    /// A round has begun with so many dirty pages, of which `newly_dirty` are from the last round. `pages_sent` counts
    /// from the start; `few_pages` may be sent with the guest standing still.
    pub fn on_round(
        &mut self,
        now: Instant,
        dirty_pages: u64,
        newly_dirty: u64,
        pages_sent: u64,
        few_pages: u64,
    ) -> Option<Forecast> {
        if dirty_pages < self.fewest_pages {
            self.fewest_pages = dirty_pages;
            self.fewest_at = now;
            self.stalled = false;
        }
        let elapsed = now - self.round_start;
        let sent = pages_sent - self.pages_sent_before;
        if elapsed == Span::ZERO || sent == 0 {
            return None;
        }
        self.round_start = now;
        self.pages_sent_before = pages_sent;
        let rest = dirty_pages.saturating_sub(few_pages);
        if rest == 0 {
            return Some(Forecast::Converges { copying: Span::ZERO });
        }
        let gain = sent.checked_sub(newly_dirty).filter(|gain| *gain > 0);
        Some(gain.map_or(Forecast::Diverges, |gain| {
            // Σ V λⁱ / P from V to what may be left: (V − left) / (P − D).
            let ns = u128::from(rest) * u128::from(elapsed.as_ns()) / u128::from(gain);
            Forecast::Converges {
                copying: Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX)),
            }
        }))
    }

    /// The transport has got so many of the bytes across that it was given since the start.
    pub fn on_acknowledged(&mut self, now: Instant, bytes: u64, given: u64) {
        let waited = std::mem::replace(&mut self.waits, bytes < given);
        if bytes != self.acknowledged_bytes || !waited {
            self.acknowledged_bytes = bytes;
            self.last_progress = now;
        }
    }

    /// Whether there has been no progress for long enough, and nobody was told yet: no round has begun with fewer pages,
    /// or the transport has got nothing across.
    pub fn stalls(&mut self, now: Instant) -> bool {
        // Rounds that get no smaller are a stall only once there has been a second one.
        let rounds = (self.round_start > self.fewest_at).then_some(self.fewest_at);
        let across = self.waits.then_some(self.last_progress);
        let since = rounds.into_iter().chain(across).min();
        let stalls = since.is_some_and(|since| since.saturating_add(self.stall_after) <= now);
        stalls && !std::mem::replace(&mut self.stalled, stalls)
    }

    /// When the transport will have stood still for too long.
    pub fn deadline(&self) -> Option<Instant> {
        let waits = self.waits && !self.stalled;
        waits.then(|| self.last_progress.saturating_add(self.stall_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    fn begun() -> Convergence {
        let mut convergence = Convergence::new(Span::from_s(10));
        convergence.begin(at(100));
        convergence
    }

    #[test]
    fn the_forecast_is_the_geometric_sum() {
        let mut convergence = begun();
        assert_eq!(convergence.on_round(at(100), 1_000, 0, 0, 10), None);
        // 1,000 pages in 10 s, half as many dirtied: 5 s, 2.5 s, … until 10 are left.
        let copying = Span::from_ns(9_800_000_000);
        assert_eq!(
            convergence.on_round(at(110), 500, 500, 1_000, 10),
            Some(Forecast::Converges { copying })
        );
        assert_eq!(
            convergence.on_round(at(115), 500, 500, 1_500, 10),
            Some(Forecast::Diverges)
        );
        let copying = Span::ZERO;
        assert_eq!(
            convergence.on_round(at(120), 10, 600, 2_000, 10),
            Some(Forecast::Converges { copying })
        );
    }

    #[test]
    fn rounds_that_do_not_shrink_are_a_stall_once() {
        let mut convergence = begun();
        for second in 100..=140 {
            convergence.on_acknowledged(at(second), second, 1_000);
            if second % 5 == 0 {
                let dirty = 1_000 - 100 * (second - 100).min(10);
                convergence.on_round(at(second), dirty.max(500), 10, second, 0);
            }
            // The last smaller round began at 105.
            assert_eq!(convergence.stalls(at(second)), second == 115, "{second}");
        }
        convergence.on_round(at(141), 499, 10, 1_000, 0);
        convergence.on_acknowledged(at(150), 1, 1_000);
        assert!(!convergence.stalls(at(151)));
        convergence.on_round(at(152), 600, 10, 1_100, 0);
        assert!(convergence.stalls(at(152)));
    }

    #[test]
    fn a_transport_that_gets_nothing_across_is_a_stall() {
        let mut convergence = begun();
        convergence.on_round(at(100), 1_000, 0, 0, 10);
        convergence.on_acknowledged(at(103), 7, 7);
        convergence.on_acknowledged(at(104), 7, 9);
        convergence.on_acknowledged(at(108), 7, 9);
        assert_eq!(convergence.deadline(), Some(at(114)));
        assert!(!convergence.stalls(at(113)));
        assert!(convergence.stalls(at(114)));
        assert_eq!(convergence.deadline(), None);
    }
}
