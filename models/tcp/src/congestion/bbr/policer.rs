//! Is there a token-bucket policer? The long-term bandwidth (`bbr_lt_bw_sampling`).
//!
//! A policer lets bursts pass and then drops everything above its rate, so the largest sample of the bandwidth
//! says too much. Two intervals in a row that deliver the same with more than a fifth lost mean a policer: for 48
//! rounds their mean is the bandwidth, and the sender does not probe for more.

use longhaul_core::time::{Instant, Span};

use super::{Bandwidth, GAIN_UNIT, Situation};
use crate::congestion::RateSample;

/// Fewest rounds of an interval; four times as many are too many.
const INTERVAL_ROUNDS: u32 = 4;
/// Packets lost for 256 delivered from which an interval is a lossy one (20 %).
const LOSS_THRESHOLD: u64 = 50;
/// Two intervals agree if they differ by at most an eighth …
const AGREEMENT: u64 = GAIN_UNIT / 8;
/// … or by so many bytes per second (4 kbit/s).
const AGREEMENT_BYTES_PER_S: u64 = 500;
/// Rounds for which the long-term bandwidth is believed.
const BELIEF_ROUNDS: u32 = 48;
/// Longest interval that is evaluated (2^32 µs).
const LONGEST: Span = Span::from_ms(4_294_967);

/// The detector.
#[derive(Clone, Debug, Default)]
pub(super) struct Policer {
    sampling: bool,
    /// Rounds in this interval, or since the bandwidth is believed.
    rounds: u32,
    bandwidth: Bandwidth,
    believed: bool,
    /// Where the interval began.
    since: Instant,
    delivered: u64,
    lost: u64,
}

/// What an ACK means for the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    Nothing,
    /// A policer is there: use [`Policer::bandwidth`].
    Policed,
    /// It may be gone: probe again.
    Over,
}

impl Policer {
    /// The long-term bandwidth while it is believed.
    pub(super) fn bandwidth(&self) -> Option<Bandwidth> {
        self.believed.then_some(self.bandwidth)
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self, situation: &Situation) {
        *self = Policer::default();
        self.start_interval(situation);
    }

    fn start_interval(&mut self, situation: &Situation) {
        self.since = situation.delivered_at;
        self.delivered = situation.delivered;
        self.lost = situation.lost;
        self.rounds = 0;
    }

    /// An ACK gave a sample. `probing` says whether the sender cycles its gains.
    pub(super) fn on_sample(
        &mut self,
        situation: &Situation,
        sample: &RateSample,
        round_start: bool,
        probing: bool,
    ) -> Finding {
        if self.believed {
            if probing && round_start {
                self.rounds += 1;
                if self.rounds >= BELIEF_ROUNDS {
                    self.reset(situation);
                    return Finding::Over;
                }
            }
            return Finding::Nothing;
        }
        // The first loss says that the tokens are used up.
        if !self.sampling {
            if sample.newly_lost == 0 {
                return Finding::Nothing;
            }
            self.start_interval(situation);
            self.sampling = true;
        }
        if sample.app_limited {
            self.reset(situation);
            return Finding::Nothing;
        }
        self.rounds += u32::from(round_start);
        if self.rounds < INTERVAL_ROUNDS {
            return Finding::Nothing;
        }
        if self.rounds > 4 * INTERVAL_ROUNDS {
            self.reset(situation);
            return Finding::Nothing;
        }
        // It ends with a loss as it began.
        if sample.newly_lost == 0 {
            return Finding::Nothing;
        }
        self.evaluate(situation)
    }

    fn evaluate(&mut self, situation: &Situation) -> Finding {
        let lost = situation.lost - self.lost;
        let delivered = situation.delivered - self.delivered;
        let span = situation.delivered_at.saturating_since(self.since);
        let whole_ms = Span::from_ms(span.as_ns() / 1_000_000);
        if delivered == 0 || lost * GAIN_UNIT < LOSS_THRESHOLD * delivered || whole_ms == Span::ZERO {
            return Finding::Nothing;
        }
        if whole_ms >= LONGEST {
            self.reset(situation);
            return Finding::Nothing;
        }
        let bandwidth = Bandwidth::of(delivered, whole_ms);
        let before = std::mem::replace(&mut self.bandwidth, bandwidth);
        if before != Bandwidth::ZERO {
            let difference = Bandwidth(bandwidth.0.abs_diff(before.0));
            let close = difference.0 * GAIN_UNIT <= AGREEMENT * before.0
                || difference.bytes_per_s(situation.mss, GAIN_UNIT) <= AGREEMENT_BYTES_PER_S;
            if close {
                self.bandwidth = Bandwidth(u64::midpoint(bandwidth.0, before.0));
                self.believed = true;
                self.rounds = 0;
                return Finding::Policed;
            }
        }
        self.start_interval(situation);
        Finding::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::Repair;

    /// Ten rounds of 100 ms that each deliver `delivered` packets and lose `lost`; tells in which it was found.
    fn found_after(
        policer: &mut Policer,
        situation: &mut Situation,
        delivered: u64,
        lost: u64,
    ) -> Option<u32> {
        for round in 0..10 {
            situation.delivered += delivered;
            situation.lost += lost;
            situation.delivered_at += Span::from_ms(100);
            let sample = RateSample {
                newly_lost: lost as u32,
                ..RateSample::default()
            };
            if policer.on_sample(situation, &sample, true, true) == Finding::Policed {
                return Some(round);
            }
        }
        None
    }

    fn situation() -> Situation {
        Situation {
            now: Instant::ZERO,
            delivered: 0,
            delivered_at: Instant::ZERO,
            lost: 0,
            in_flight: 0,
            srtt: None,
            repair: Repair::None,
            next_departure: Instant::ZERO,
            mss: 1448,
        }
    }

    #[test]
    fn two_equal_intervals_with_a_quarter_lost_are_a_policer() {
        let (mut policer, mut situation) = (Policer::default(), situation());
        assert_eq!(found_after(&mut policer, &mut situation, 100, 25), Some(7));
        let expected = Bandwidth::of(100, Span::from_ms(100));
        assert_eq!(policer.bandwidth(), Some(expected));
    }

    #[test]
    fn a_tenth_lost_is_no_policer() {
        let (mut policer, mut situation) = (Policer::default(), situation());
        assert_eq!(found_after(&mut policer, &mut situation, 100, 10), None);
    }

    #[test]
    fn after_48_rounds_the_sender_probes_again() {
        let (mut policer, mut situation) = (Policer::default(), situation());
        found_after(&mut policer, &mut situation, 100, 25);
        let sample = RateSample::default();
        for round in 1..=BELIEF_ROUNDS {
            let finding = policer.on_sample(&situation, &sample, true, true);
            assert_eq!(finding == Finding::Over, round == BELIEF_ROUNDS);
        }
        assert_eq!(policer.bandwidth(), None);
    }
}
