//! Giving chunks out at a rate.

use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;

/// When the next chunk may go. Chunks are given out whole, each as long after the one before as that takes at the rate;
/// what was not used is not saved up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    rate: Option<BitRate>,
    next: Instant,
}

impl Pace {
    /// At this rate from now on; without limit if there is none.
    pub fn set(&mut self, now: Instant, rate: Option<BitRate>) {
        self.rate = rate;
        if rate.is_none() {
            self.next = now;
        }
    }

    /// When the next chunk may go, if not at once.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        (self.next > now).then_some(self.next)
    }

    /// A chunk of so many bytes goes.
    pub fn spend(&mut self, now: Instant, bytes: u64) {
        if let Some(rate) = self.rate {
            self.next = self.next.max(now).saturating_add(rate.time_for(bytes));
        }
    }
}
