//! Delivery opportunities: mahimahi's packet-delivery traces (Winstein, Sivaraman, Balakrishnan, NSDI 2013).

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use super::{TraceError, shortened};

/// What one opportunity carries in mahimahi: an IP packet of 1,500 bytes and four bytes of its tun header.
/// An Ethernet frame of the same packet has 1,514 bytes, so that full frames need slightly more than one each.
pub const MAHIMAHI_BYTES: u32 = 1_504;

/// Moments at which a link may deliver some bytes. At the end the trace starts again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryTrace {
    /// Milliseconds from the start, never falling; the last one is above zero and is the period.
    at_ms: Vec<u32>,
    opportunity_bytes: u32,
}

impl DeliveryTrace {
    /// Most opportunities of one trace: it bounds the memory that a file can ask for.
    pub const MOST: usize = 1 << 24;
    /// Mean rates of [`DeliveryTrace::poisson`], in bit/s: milliseconds are too coarse for more.
    pub const POISSON_RATES: std::ops::RangeInclusive<u64> = 10_000..=1_000_000_000;

    /// Reads mahimahi's format: each line is the whole millisecond of one opportunity, lines never fall, and
    /// the last one is the period. Empty lines and lines that start with `#` are skipped.
    ///
    /// Each opportunity delivers `opportunity_bytes` of frames: [`MAHIMAHI_BYTES`] for the original.
    ///
    /// # Errors
    /// [`TraceError`], with the line.
    pub fn parse(text: &str, opportunity_bytes: u32) -> Result<DeliveryTrace, TraceError> {
        if opportunity_bytes == 0 {
            return Err(TraceError::NoBytes);
        }
        let mut at_ms: Vec<u32> = Vec::new();
        for (line, entry) in (1..).zip(text.lines().map(str::trim)) {
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            if !entry.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(TraceError::Malformed {
                    line,
                    expected: "a whole number of milliseconds",
                    found: shortened(entry),
                });
            }
            let Ok(ms) = entry.parse() else {
                return Err(TraceError::TooLarge { line });
            };
            if at_ms.last().is_some_and(|&last| ms < last) {
                return Err(TraceError::TimeGoesBack { line });
            }
            if at_ms.len() == DeliveryTrace::MOST {
                let most = DeliveryTrace::MOST;
                return Err(TraceError::TooLong { line, most });
            }
            at_ms.push(ms);
        }
        match at_ms.last() {
            None => Err(TraceError::Empty),
            Some(0) => Err(TraceError::NoTime),
            Some(_) => Ok(DeliveryTrace {
                at_ms,
                opportunity_bytes,
            }),
        }
    }

    /// Opportunities at the times of a Poisson process of this mean rate, in whole milliseconds as in a recorded
    /// trace: how the calibrated emulators of Pantheon (Yan et al., USENIX ATC 2018) stand for wireless links.
    /// The trace is a random one of 2^18 opportunities, so its own mean is off by some 0.2 %.
    ///
    /// `None` for a rate outside [`DeliveryTrace::POISSON_RATES`] or an opportunity of no bytes.
    pub fn poisson(rate: BitRate, opportunity_bytes: u32, mut stream: Stream) -> Option<DeliveryTrace> {
        let bits_per_s = rate.as_bits_per_s();
        if opportunity_bytes == 0 || !DeliveryTrace::POISSON_RATES.contains(&bits_per_s) {
            return None;
        }
        let mean_ms = f64::from(opportunity_bytes) * 8_000.0 / bits_per_s as f64;
        let mut ms = 0.0;
        let at_ms = (0..1 << 18).map(|_| {
            ms += stream.exponential(mean_ms);
            // Saturates for opportunities of a megabyte at the lowest rate.
            ms as u32
        });
        let mut at_ms: Vec<u32> = at_ms.collect();
        // The period is above zero, however short the gaps were.
        let last = at_ms.len() - 1;
        at_ms[last] = at_ms[last].max(1);
        Some(DeliveryTrace {
            at_ms,
            opportunity_bytes,
        })
    }

    /// After what time the trace starts again.
    pub fn period(&self) -> Span {
        Span::from_ms(u64::from(self.at_ms[self.at_ms.len() - 1]))
    }

    /// Opportunities in one period.
    pub fn opportunities(&self) -> usize {
        self.at_ms.len()
    }

    /// What one opportunity delivers.
    pub fn opportunity_bytes(&self) -> u32 {
        self.opportunity_bytes
    }

    /// What a link that always has something to send delivers in the mean, rounded down.
    pub fn mean_rate(&self) -> BitRate {
        let bytes = self.at_ms.len() as u64 * u64::from(self.opportunity_bytes);
        BitRate::of(bytes, self.period()).expect("the period is above zero")
    }

    /// Number of the first opportunity not before `at`, counted from the start of the run.
    pub(crate) fn first_from(&self, at: Instant) -> u128 {
        let period = self.period().as_ns();
        let (mut round, mut within) = (at.as_ns() / period, at.as_ns() % period);
        if within == 0 && round > 0 {
            // The last opportunities of a round come at the moment at which the next one starts.
            (round, within) = (round - 1, period);
        }
        let index = self
            .at_ms
            .partition_point(|&ms| u64::from(ms) * 1_000_000 < within);
        u128::from(round) * self.at_ms.len() as u128 + index as u128
    }

    /// When an opportunity comes; [`Instant::MAX`] beyond the range.
    pub(crate) fn time_of(&self, number: u128) -> Instant {
        let len = self.at_ms.len() as u128;
        let index = (number % len) as usize;
        let within = u128::from(self.at_ms[index]) * 1_000_000;
        let ns = (number / len)
            .saturating_mul(u128::from(self.period().as_ns()))
            .saturating_add(within);
        u64::try_from(ns).map_or(Instant::MAX, Instant::from_ns)
    }
}
