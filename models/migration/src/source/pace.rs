//! `max-bandwidth`: no more than so many bytes in any time, and one frame.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

/// Spreads frames over time. QEMU counts bytes in windows of 100 ms; here each frame has to wait until the ones before
/// it have had their time, which comes to the same and makes no bursts.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    limit: Option<BitRate>,
    free_at: Instant,
}

impl Pacer {
    /// From now on this is the limit.
    pub fn set_limit(&mut self, limit: Option<BitRate>) {
        self.limit = limit;
        if limit.is_none() {
            self.free_at = Instant::ZERO;
        }
    }

    /// Whether a frame may go now.
    pub fn is_free(&self, now: Instant) -> bool {
        self.free_at <= now
    }

    /// When the next frame may go.
    pub fn free_at(&self) -> Instant {
        self.free_at
    }

    /// A frame of so many bytes goes.
    pub fn sent(&mut self, now: Instant, bytes: u64) {
        let takes = self.limit.map_or(Span::ZERO, |limit| limit.time_for(bytes));
        self.free_at = self.free_at.max(now).saturating_add(takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_wait_for_the_time_of_those_before_and_idle_time_is_not_saved_up() {
        let at = |ms| Instant::ZERO + Span::from_ms(ms);
        let mut pacer = Pacer::default();
        pacer.sent(at(0), u64::MAX);
        assert!(pacer.is_free(at(0)), "there is no limit");
        pacer.set_limit(Some(BitRate::from_bits_per_s(8_000_000)));
        pacer.sent(at(10), 5_000);
        assert!(!pacer.is_free(at(14)));
        assert_eq!(pacer.free_at(), at(15));
        pacer.sent(at(100), 1_000);
        assert_eq!(pacer.free_at(), at(101));
        pacer.set_limit(None);
        assert!(pacer.is_free(at(100)));
    }
}
