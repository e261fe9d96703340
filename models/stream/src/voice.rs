//! What a telephone call over a stream would sound like: the E-model, as far as the network decides it.
//!
//! R = 93.2 - Id - Ie,eff, all else at its default (ITU-T G.107, section 7.7), for G.711 without packet-loss
//! concealment:
//!
//! - Ie,eff = 95 × Ppl / (Ppl + 4.3) with Ppl the loss in per cent (G.107, section 7.5, with Ie = 0; Bpl = 4.3 from
//!   G.113, Appendix I). This takes losses as random (BurstR = 1); longer bursts sound worse.
//! - Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3) with d the one-way delay from mouth to ear in ms, and H(x) one
//!   above zero and zero otherwise (R. G. Cole and J. H. Rosenbluth, "Voice over IP performance monitoring", ACM
//!   SIGCOMM Computer Communication Review 31(2), 2001). Fitted to the E-model below 400 ms, and too mild beyond.
//! - MOS = 1 + 0.035 R + 0.000007 R (R - 60) (100 - R) (G.107, Annex B), not below 1.
//!
//! # Play-out
//! The receiver's jitter buffer is taken to be just large enough that 99 of 100 datagrams are in time: it plays what
//! was sent one 99th percentile of the one-way delay ago, for the whole call. What takes longer is too late and
//! counts as lost. d is that delay and one packet time, because a packet cannot leave before its last sample was
//! spoken.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// R without any impairment, in thousandths.
const R_DEFAULT: i128 = 93_200;

/// What a telephone call over a stream would sound like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoiceQuality {
    /// The transmission rating factor R in thousandths, 0 to 93200: from 80 people are satisfied, below 60 nearly
    /// all are dissatisfied (ITU-T G.107, Annex B).
    pub r_thousandths: u32,
    /// The mean opinion score in thousandths, 1000 (bad) to 4409, the score of R = 93.2.
    pub mos_thousandths: u32,
    /// One-way delay from mouth to ear; `None` if nothing arrived.
    pub mouth_to_ear: Option<Span>,
    /// Share of the datagrams that cannot be played: lost or too late.
    pub unplayed: Probability,
}

impl VoiceQuality {
    /// The quality of a call whose packets of `packet_time` of speech each fared as in the report. For a stream that
    /// stands for a call, that is its interval. If nothing arrived, R is zero.
    ///
    /// `None` if nothing was expected.
    pub fn of(report: &Report, packet_time: Span) -> Option<VoiceQuality> {
        let above = report.delays.map_or(0, |delays| delays.above_p99);
        let unplayed = Probability::from_ratio(report.lost.saturating_add(above), report.expected)?;
        let mouth_to_ear = report.delays.map(|delays| delays.p99.saturating_add(packet_time));
        let r = match mouth_to_ear {
            Some(delay) => rating(delay, unplayed),
            None => 0,
        };
        Some(VoiceQuality {
            r_thousandths: r,
            mos_thousandths: mean_opinion_score(r),
            mouth_to_ear,
            unplayed,
        })
    }
}

/// R in thousandths, not below zero.
fn rating(delay: Span, unplayed: Probability) -> u32 {
    let ns = i128::from(delay.as_ns());
    // 0.024 per ms is 24 thousandths per 10^6 ns.
    let beyond = (ns - 177_300_000).max(0);
    let delay_impairment = (24 * ns + 110 * beyond) / 1_000_000;
    // With Ppl = 100 p: 95 × 100 p / (100 p + 4.3), in thousandths and with p in its parts.
    let parts = i128::from(unplayed.as_parts());
    let loss_impairment = 95_000 * 1_000 * parts / (1_000 * parts + 43 * i128::from(Probability::PARTS));
    let r = R_DEFAULT - delay_impairment - loss_impairment;
    // Between zero and the default.
    r.max(0) as u32
}

/// The MOS in thousandths of an R in thousandths up to [`R_DEFAULT`], rounded down.
fn mean_opinion_score(r: u32) -> u32 {
    let r = i64::from(r);
    // In units of 10^-15.
    let mos = 1_000_000_000_000_000 + 35_000_000_000 * r + 7 * r * (r - 60_000) * (100_000 - r);
    // Below R = 6.5 the polynomial falls below one. At most 4409 after the division.
    (mos / 1_000_000_000_000).max(1_000) as u32
}

#[cfg(test)]
mod tests {
    use crate::report::Delays;

    use super::*;

    fn report(expected: u64, lost: u64, above_p99: u64, p99: Span) -> Report {
        Report {
            expected,
            received: expected - lost,
            lost,
            delays: (lost < expected).then_some(Delays {
                min: p99,
                mean: p99,
                max: p99,
                p50: p99,
                p95: p99,
                p99,
                above_p99,
            }),
            ..Report::default()
        }
    }

    fn r_and_mos(report: &Report) -> (u32, u32) {
        let quality = VoiceQuality::of(report, Span::from_ms(20)).unwrap();
        (quality.r_thousandths, quality.mos_thousandths)
    }

    #[test]
    fn the_rating_and_the_score_follow_the_formulas() {
        let ms = Span::from_ms;
        // Computed by hand: R = 93.2 - 0.024 × 100.
        assert_eq!(r_and_mos(&report(1_000, 0, 0, ms(80))), (90_800, 4_358));
        // 93.2 - 0.024 × 300 - 0.11 × 122.7 = 72.503.
        assert_eq!(r_and_mos(&report(1_000, 0, 0, ms(280))), (72_503, 3_712));
        // 1 % lost, and 1 % too late: 93.2 - 2.4 - 95 × 2 / 6.3 = 60.641..., rounded up by the impairment's cut.
        assert_eq!(r_and_mos(&report(1_000, 10, 10, ms(80))), (60_642, 3_133));
        // At no delay and no loss the score is the known 4.41.
        assert_eq!(mean_opinion_score(93_200), 4_409);
        assert_eq!(mean_opinion_score(50_000), 2_575);
    }

    #[test]
    fn it_cannot_get_worse_than_bad() {
        let nothing = report(1_000, 1_000, 0, Span::ZERO);
        assert_eq!(r_and_mos(&nothing), (0, 1_000));
        let quality = VoiceQuality::of(&nothing, Span::from_ms(20)).unwrap();
        assert_eq!((quality.mouth_to_ear, quality.unplayed), (None, Probability::ONE));
        assert_eq!(r_and_mos(&report(10, 0, 0, Span::MAX)), (0, 1_000));
        assert_eq!(VoiceQuality::of(&Report::default(), Span::from_ms(20)), None);
    }

    #[test]
    fn more_delay_and_more_loss_never_sound_better() {
        let mut last = u32::MAX;
        for ms in 0..1_200 {
            let r = rating(Span::from_ms(ms), Probability::ZERO);
            assert!(r <= last);
            last = r;
        }
        let (mut last_r, mut last_mos) = (u32::MAX, u32::MAX);
        for lost in 0..=1_000 {
            let r = rating(Span::ZERO, Probability::from_ratio(lost, 1_000).unwrap());
            let mos = mean_opinion_score(r);
            assert!(r <= last_r && mos <= last_mos);
            (last_r, last_mos) = (r, mos);
        }
    }
}
