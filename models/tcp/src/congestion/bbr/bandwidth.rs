//! Bandwidth in packets per microsecond, with the fixed point and the roundings of `tcp_bbr.c`.

use longhaul_core::time::Span;

/// Binary digits of the fraction.
const SHIFT: u32 = 24;
/// Gains count in 1/256.
pub(crate) const GAIN_UNIT: u64 = 256;
/// The pacing rate stays below the bandwidth, so that queues drain.
const PACING_PERCENT: u64 = 99;

/// Packets per microsecond in units of 2^-24: about 715 bit/s for full packets; at most 2^32 of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Bandwidth(pub(super) u64);

impl Bandwidth {
    pub(super) const ZERO: Bandwidth = Bandwidth(0);

    /// `packets` in `span`, which counts in whole microseconds and at least one.
    pub(super) fn of(packets: u64, span: Span) -> Bandwidth {
        let us = u128::from((span.as_ns() / 1000).max(1));
        let parts = (u128::from(packets) << SHIFT) / us;
        Bandwidth(parts.min(u128::from(u32::MAX)) as u64)
    }

    /// Payload bytes per second at `gain`, less the margin.
    pub(super) fn bytes_per_s(self, mss: u32, gain: u64) -> u64 {
        let scaled = u128::from(self.0) * u128::from(mss) * u128::from(gain) / u128::from(GAIN_UNIT);
        let rate = (scaled * u128::from(1_000_000 / 100 * PACING_PERCENT)) >> SHIFT;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Whole packets that pass in `span`.
    pub(super) fn packets_in(self, span: Span) -> u64 {
        let packets = (u128::from(self.0) * u128::from(span.as_ns() / 1000)) >> SHIFT;
        u64::try_from(packets).unwrap_or(u64::MAX)
    }

    /// `gain` times the packets that pass in `span`, rounded up.
    pub(super) fn bdp(self, span: Span, gain: u64) -> u32 {
        let product = u128::from(self.0) * u128::from(span.as_ns() / 1000);
        let parts = product * u128::from(gain) / u128::from(GAIN_UNIT);
        u32::try_from(parts.div_ceil(1 << SHIFT)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_is_that_of_packets_over_time() {
        // 100 Mbit/s of payload in packets of 1250 bytes: ten per millisecond.
        let bandwidth = Bandwidth::of(1_000, Span::from_ms(100));
        assert_eq!(bandwidth.packets_in(Span::from_s(1)), 9_999);
        assert_eq!(bandwidth.bdp(Span::from_ms(50), GAIN_UNIT), 500);
        assert_eq!(bandwidth.bdp(Span::from_ms(50), GAIN_UNIT * 2), 1_000);
        let rate = bandwidth.bytes_per_s(1_250, GAIN_UNIT);
        assert!(
            (12_374_900..=12_375_000).contains(&rate),
            "{rate} bytes per second"
        );
    }

    #[test]
    fn extremes_stay_in_range() {
        let most = Bandwidth::of(u64::MAX, Span::ZERO);
        assert_eq!(most, Bandwidth(u64::from(u32::MAX)));
        assert_eq!(most.bdp(Span::MAX, 739), u32::MAX);
        assert!(most.bytes_per_s(65_000, 739) > 1 << 40);
        assert_eq!(Bandwidth::ZERO.bdp(Span::MAX, 739), 0);
    }
}
