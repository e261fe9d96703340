//! The transmitter of a link: one frame after another at a fixed rate, in exact rational time.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

/// Nanosecond-bits per byte: a frame of n bytes takes n · this / rate nanoseconds.
const NS_BITS_PER_BYTE: u128 = 8_000_000_000;

/// Sends frames back to back. Between them it keeps the fraction of a nanosecond that the end of the last one
/// is past a whole one, in units of 1/rate, so that the rounding of one frame never reaches the next.
#[derive(Clone, Debug)]
pub(crate) struct Serialiser {
    /// Bits per second, above zero.
    rate: u64,
    /// End of the last frame, rounded down.
    end: Instant,
    /// What the end is past `end`, in nanoseconds / `rate`; below `rate`.
    remainder: u64,
    /// Bytes of all frames.
    bytes: u64,
    /// Time that they would have taken and that cuts took away, with the pauses that jitter would have made in it.
    cut: Span,
    /// Time of the last frame size; nearly all frames of a link are of two sizes, and a division is dear.
    memo: FrameTime,
}

#[derive(Clone, Copy, Debug)]
struct FrameTime {
    frame_bytes: u32,
    /// Whole nanoseconds.
    whole: Span,
    /// The rest in nanoseconds / rate.
    part: u64,
}

impl Serialiser {
    /// An idle serialiser; `None` for a rate of zero.
    pub(crate) fn new(rate: BitRate) -> Option<Serialiser> {
        let rate = rate.as_bits_per_s();
        (rate > 0).then_some(Serialiser {
            rate,
            end: Instant::ZERO,
            remainder: 0,
            bytes: 0,
            cut: Span::ZERO,
            memo: FrameTime {
                frame_bytes: 0,
                whole: Span::ZERO,
                part: 0,
            },
        })
    }

    /// The first whole nanosecond at which the frames accepted so far are out.
    #[inline]
    pub(crate) fn free_at(&self) -> Instant {
        self.end
            .saturating_add(Span::from_ns(u64::from(self.remainder > 0)))
    }

    /// Sends a frame that is ready at `ready`; returns the first whole nanosecond at which it is out.
    #[inline]
    pub(crate) fn send(&mut self, ready: Instant, frame_bytes: u32) -> Instant {
        if ready >= self.free_at() {
            self.end = ready;
            self.remainder = 0;
        }
        if frame_bytes != self.memo.frame_bytes {
            self.memo = self.frame_time(frame_bytes);
        }
        self.bytes += u64::from(frame_bytes);
        let FrameTime { whole, part, .. } = self.memo;
        self.end = self.end.saturating_add(whole);
        if part >= self.rate - self.remainder {
            self.end = self.end.saturating_add(Span::from_ns(1));
            self.remainder = part - (self.rate - self.remainder);
        } else {
            self.remainder += part;
        }
        self.free_at()
    }

    /// Forgets what is not out at `now`: it is free from then on.
    pub(crate) fn cut(&mut self, now: Instant) {
        let left = self.free_at().saturating_since(now);
        if left > Span::ZERO {
            self.cut = self.cut.saturating_add(left);
            self.end = now;
            self.remainder = 0;
        }
    }

    /// How long frames have been in transmission by `now`, rounded down.
    pub(crate) fn busy_time(&self, now: Instant) -> Span {
        let ns = u128::from(self.bytes) * NS_BITS_PER_BYTE / u128::from(self.rate);
        let in_all = Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX));
        // Frames accepted and not yet out are sent without a pause, up to the end.
        in_all
            .saturating_sub(self.cut)
            .saturating_sub(self.free_at().saturating_since(now))
    }

    fn frame_time(&self, frame_bytes: u32) -> FrameTime {
        let ns_bits = u128::from(frame_bytes) * NS_BITS_PER_BYTE;
        let rate = u128::from(self.rate);
        FrameTime {
            frame_bytes,
            // At most 2^32 · 8·10^9 < 2^65: one bit per second and the largest frames leave the range.
            whole: Span::from_ns(u64::try_from(ns_bits / rate).unwrap_or(u64::MAX)),
            part: (ns_bits % rate) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialiser(rate: u64) -> Serialiser {
        Serialiser::new(BitRate::from_bits_per_s(rate)).unwrap()
    }

    #[test]
    fn rounding_does_not_drift_over_back_to_back_frames() {
        for rate in [
            1,
            3,
            999_999_937,
            10_000_000_000,
            400_000_000_000,
            1 << 40,
            u64::MAX,
        ] {
            let mut exact = serialiser(rate);
            let mut bytes = 0u64;
            for i in 0..10_000u32 {
                let frame = [1514, 66, 1514, 200][i as usize % 4];
                bytes += u64::from(frame);
                let end = exact.send(Instant::ZERO, frame);
                assert_eq!(
                    end - Instant::ZERO,
                    BitRate::from_bits_per_s(rate).time_for(bytes),
                    "{rate}"
                );
            }
        }
    }

    #[test]
    fn a_pause_clears_the_remainder() {
        let mut third = serialiser(24_000_000_000);
        // One byte takes a third of a nanosecond.
        assert_eq!(third.send(Instant::ZERO, 1), Instant::from_ns(1));
        assert_eq!(third.send(Instant::ZERO, 1), Instant::from_ns(1));
        assert_eq!(third.send(Instant::from_ns(10), 2), Instant::from_ns(11));
        assert_eq!(third.send(Instant::from_ns(10), 1), Instant::from_ns(11));
        assert_eq!(third.send(Instant::from_ns(10), 1), Instant::from_ns(12));
    }

    #[test]
    fn busy_time_counts_transmission_and_no_pause() {
        let mut slow = serialiser(8_000_000);
        slow.send(Instant::ZERO, 1_000);
        slow.send(Instant::from_ns(5_000_000), 1_000);
        slow.send(Instant::from_ns(5_000_000), 1_000);
        assert_eq!(slow.busy_time(Instant::from_ns(5_000_000)), Span::from_ms(1));
        assert_eq!(slow.busy_time(Instant::from_ns(6_500_000)), Span::from_us(2_500));
        assert_eq!(slow.busy_time(Instant::from_ns(90_000_000)), Span::from_ms(3));
    }

    #[test]
    fn a_cut_ends_what_is_in_transmission_and_its_time() {
        let mut slow = serialiser(8_000_000);
        for _ in 0..3 {
            slow.send(Instant::ZERO, 1_000);
        }
        slow.cut(Instant::from_ns(1_250_000));
        assert_eq!(slow.free_at(), Instant::from_ns(1_250_000));
        assert_eq!(slow.busy_time(Instant::from_ns(9_000_000)), Span::from_us(1_250));
        slow.send(Instant::from_ns(2_000_000), 1_000);
        slow.cut(Instant::from_ns(5_000_000));
        assert_eq!(slow.busy_time(Instant::from_ns(5_000_000)), Span::from_us(2_250));
    }

    #[test]
    fn a_frame_that_never_ends_ends_at_the_end_of_time() {
        let mut slow = serialiser(1);
        slow.send(Instant::ZERO, u32::MAX);
        assert_eq!(slow.send(Instant::ZERO, u32::MAX), Instant::MAX);
        assert_eq!(slow.send(Instant::ZERO, 1), Instant::MAX);
    }
}
