//! Bandwidth, dirty rate, and the threshold that follows from them.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_hde::PAGE_SIZE;

/// QEMU's `BUFFER_DELAY`: how long bandwidth is measured before it is used.
const BANDWIDTH_WINDOW: Span = Span::from_ms(100);

/// How long the dirty rate is measured at least (`migration_bitmap_sync`).
const DIRTY_RATE_WINDOW: Span = Span::from_s(1);

/// A window in which fewer bytes were sent says nothing about the downtime to expect.
const TELLING_BYTES: u64 = 10_000;

/// The counters of one migration.
#[derive(Debug)]
pub(super) struct Counters {
    downtime_limit: Span,
    // The current bandwidth window.
    window_start: Instant,
    taken_at_start: u64,
    pages_at_start: u64,
    // The last complete one.
    bandwidth: BitRate,
    pages_per_second: u64,
    threshold_bytes: u64,
    expected_downtime: Span,
    // Synchronisations.
    dirty_sync_count: u64,
    dirty_bytes_last_sync: u64,
    dirty_period_start: Instant,
    dirty_pages_in_period: u64,
    transferred_before_period: u64,
    dirty_pages_rate: u64,
}

/// What happened between two synchronisations that lie more than a second apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Period {
    /// Bytes of memory that were clean and became dirty.
    pub dirtied_bytes: u64,
    /// Bytes put on the streams.
    pub transferred_bytes: u64,
}

impl Counters {
    pub fn new(downtime_limit: Span) -> Counters {
        Counters {
            downtime_limit,
            window_start: Instant::ZERO,
            taken_at_start: 0,
            pages_at_start: 0,
            bandwidth: BitRate::default(),
            pages_per_second: 0,
            threshold_bytes: 0,
            expected_downtime: downtime_limit,
            dirty_sync_count: 0,
            dirty_bytes_last_sync: 0,
            dirty_period_start: Instant::ZERO,
            dirty_pages_in_period: 0,
            transferred_before_period: 0,
            dirty_pages_rate: 0,
        }
    }

    /// Begins the first bandwidth window.
    pub fn open_window(&mut self, now: Instant) {
        self.window_start = now;
    }

    /// When the current window ends at the earliest.
    pub fn window_end(&self) -> Instant {
        self.window_start.saturating_add(BANDWIDTH_WINDOW)
    }

    /// Bytes that the streams carried within the downtime limit at the measured bandwidth; 0 before the first
    /// measurement.
    pub fn threshold_bytes(&self) -> u64 {
        self.threshold_bytes
    }

    pub fn bandwidth(&self) -> BitRate {
        self.bandwidth
    }

    pub fn pages_per_second(&self) -> u64 {
        self.pages_per_second
    }

    pub fn expected_downtime(&self) -> Span {
        self.expected_downtime
    }

    pub fn dirty_sync_count(&self) -> u64 {
        self.dirty_sync_count
    }

    pub fn dirty_pages_rate(&self) -> u64 {
        self.dirty_pages_rate
    }

    /// QEMU's `migration_update_counters`: if the window is over, computes everything and begins the next.
    /// `taken` and `pages` count bytes taken over by the streams and pages sent since the start.
    pub fn on_time(&mut self, now: Instant, taken: u64, pages: u64) {
        if now < self.window_end() {
            return;
        }
        let elapsed = now - self.window_start;
        let transferred = taken - self.taken_at_start;
        self.bandwidth = BitRate::of(transferred, elapsed).expect("a window is not empty");
        self.pages_per_second = per_second(pages - self.pages_at_start, elapsed);
        // Not through the rounded rate.
        self.threshold_bytes = scaled(transferred, self.downtime_limit, elapsed);
        if self.dirty_pages_rate > 0 && transferred > TELLING_BYTES {
            self.expected_downtime = self.bandwidth.time_for(self.dirty_bytes_last_sync);
        }
        self.window_start = now;
        self.taken_at_start = taken;
        self.pages_at_start = pages;
    }

    /// The dirty bitmap was synchronised: QEMU's `migration_bitmap_sync` and `migration_update_rates`. `transferred`
    /// counts bytes put on the streams since the start. If a period is over, it is returned.
    pub fn on_synchronised(
        &mut self,
        now: Instant,
        newly_dirty: u64,
        remaining_bytes: u64,
        transferred: u64,
    ) -> Option<Period> {
        if self.dirty_sync_count == 0 {
            self.dirty_period_start = now;
            self.transferred_before_period = transferred;
        }
        self.dirty_sync_count += 1;
        self.dirty_bytes_last_sync = remaining_bytes;
        self.dirty_pages_in_period += newly_dirty;
        let elapsed = now - self.dirty_period_start;
        if elapsed <= DIRTY_RATE_WINDOW {
            return None;
        }
        let period = Period {
            dirtied_bytes: self.dirty_pages_in_period * PAGE_SIZE as u64,
            transferred_bytes: transferred - self.transferred_before_period,
        };
        self.dirty_pages_rate = per_second(self.dirty_pages_in_period, elapsed);
        self.dirty_pages_in_period = 0;
        self.dirty_period_start = now;
        self.transferred_before_period = transferred;
        Some(period)
    }
}

fn per_second(count: u64, elapsed: Span) -> u64 {
    scaled(count, Span::from_s(1), elapsed)
}

/// `amount` × `by` ÷ `per`, rounded down.
fn scaled(amount: u64, by: Span, per: Span) -> u64 {
    let exact = u128::from(amount) * u128::from(by.as_ns()) / u128::from(per.as_ns());
    u64::try_from(exact).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn the_threshold_is_what_the_window_would_carry_within_the_limit() {
        let mut counters = Counters::new(Span::from_ms(300));
        counters.open_window(at_ms(50));
        counters.on_time(at_ms(149), 1_000_000, 10);
        assert_eq!(counters.threshold_bytes(), 0);
        counters.on_time(at_ms(150), 1_000_000, 10);
        assert_eq!(counters.threshold_bytes(), 3_000_000);
        assert_eq!(counters.bandwidth().as_bits_per_s(), 80_000_000);
        assert_eq!(counters.pages_per_second(), 100);
        counters.on_time(at_ms(350), 1_000_000, 10);
        assert_eq!((counters.threshold_bytes(), counters.pages_per_second()), (0, 0));
    }

    #[test]
    fn the_dirty_rate_needs_more_than_a_second() {
        let mut counters = Counters::new(Span::from_ms(300));
        assert_eq!(counters.on_synchronised(at_ms(1_000), 100, 0, 7), None);
        assert_eq!(counters.on_synchronised(at_ms(2_000), 400, 0, 50), None);
        assert_eq!(counters.dirty_pages_rate(), 0);
        let period = Period {
            dirtied_bytes: 1_000 * 4096,
            transferred_bytes: 93,
        };
        assert_eq!(
            counters.on_synchronised(at_ms(3_000), 500, 8_000_000, 100),
            Some(period)
        );
        assert_eq!(
            (counters.dirty_pages_rate(), counters.dirty_sync_count()),
            (500, 3)
        );
        counters.open_window(at_ms(3_000));
        counters.on_time(at_ms(3_100), 100_000, 0);
        assert_eq!(counters.expected_downtime(), Span::from_s(8));
    }
}
