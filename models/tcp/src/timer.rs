//! When a kernel timer really fires.
//!
//! Linux keeps its slow timers in jiffies and files them in a wheel (`kernel/time/timer.c`): the further away a
//! timer is, the coarser its slot, and it always fires at the *end* of the slot. A retransmission timeout of one
//! second therefore fires 1.000 to 1.032 s later. Transfers that meet a timeout show it, so it is modelled.

use longhaul_core::time::{Instant, Span};

/// One jiffy: 4 ms, as in kernels built with `HZ` = 250 (Debian, Ubuntu).
pub(crate) const JIFFY: Span = Span::from_ms(4);
/// Jiffies in a second.
pub(crate) const HZ: u64 = 250;

/// Slots of one level of the wheel, less one.
const LEVEL_REACH: u64 = 63;
/// Each level is 2^3 times coarser than the one below.
const LEVEL_SHIFT: u32 = 3;
/// The coarsest level; longer timers share its last slot's width.
const TOP_LEVEL: u32 = 8;

/// Whole jiffies that have passed.
pub(crate) fn jiffies(now: Instant) -> u64 {
    now.as_ns() / JIFFY.as_ns()
}

/// A span in jiffies, rounded up.
pub(crate) fn span_in_jiffies(span: Span) -> u64 {
    span.as_ns().div_ceil(JIFFY.as_ns())
}

/// `count` jiffies as a span.
pub(crate) fn jiffies_in_span(count: u64) -> Span {
    JIFFY.saturating_mul(count)
}

/// When a timer fires that is set at `now` to `delay` jiffies.
pub(crate) fn expiry(now: Instant, delay: u64) -> Instant {
    let mut level = 0;
    while level < TOP_LEVEL && delay >= LEVEL_REACH << (LEVEL_SHIFT * level) {
        level += 1;
    }
    let shift = LEVEL_SHIFT * level;
    let end_of_slot = (((jiffies(now) + delay) >> shift) + 1) << shift;
    Instant::ZERO.saturating_add(jiffies_in_span(end_of_slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_never_fires_early_and_at_most_an_eighth_late() {
        for start_us in [0, 1, 3_999, 4_000, 123_456] {
            let now = Instant::ZERO + Span::from_us(start_us);
            for delay in [0, 1, 10, 51, 62, 63, 250, 503, 504, 4_031, 30_000] {
                let asked = jiffies_in_span(delay);
                let waited = expiry(now, delay) - now;
                assert!(waited >= asked, "{delay} jiffies from {start_us} us");
                assert!(
                    waited <= asked + asked / 7 + JIFFY * 2,
                    "{delay} jiffies from {start_us} us"
                );
            }
        }
    }

    #[test]
    fn one_second_ends_in_a_slot_of_32_ms() {
        assert_eq!(expiry(Instant::ZERO, 250), Instant::ZERO + Span::from_ms(1024));
        assert_eq!(
            expiry(Instant::ZERO + Span::from_ms(23), 250),
            Instant::ZERO + Span::from_ms(1024)
        );
        assert_eq!(
            expiry(Instant::ZERO + Span::from_ms(24), 250),
            Instant::ZERO + Span::from_ms(1056)
        );
    }

    #[test]
    fn spans_round_up_to_jiffies() {
        assert_eq!(span_in_jiffies(Span::ZERO), 0);
        assert_eq!(span_in_jiffies(Span::from_ns(1)), 1);
        assert_eq!(span_in_jiffies(Span::from_ms(200)), 50);
    }
}
