//! Slowing a guest down that writes too fast: QEMU's `auto-converge` (`migration/ram.c`, `system/cpu-throttle.c`) and
//! `dirty-limit` (`system/dirtylimit.c`).
//!
//! Both wait for the same sign: that the guest has dirtied more than a share of what was transferred, over periods of more
//! than a second between synchronisations, twice. QEMU's auto-converge lets the processors run 10 ms at a time and
//! sleep in between; here they run as much slower all the time. Its dirty limit puts them to sleep each time that they have
//! filled a ring of dirty pages; here, too, the share of sleep is spread over the time.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_hde::PAGE_SIZE;

use super::counters::Period;
use crate::{AutoConverge, DirtyLimit, Throttle};

/// A throttle of more than this is no migration's business any more.
const MAX_PERCENT: u64 = 99;

/// Entries of a processor's ring of dirty pages, as QEMU's users set `dirty-ring-size`.
const RING_PAGES: u64 = 4096;

/// QEMU's `DIRTYLIMIT_TOLERANCE_RANGE`: so near to the limit, nothing is adjusted.
const TOLERANCE: u64 = 25 << 20;

/// QEMU's `DIRTYLIMIT_LINEAR_ADJUSTMENT_PCT`: farther from the limit than this, sleep changes in proportion.
const LINEAR_PERCENT: u64 = 50;

/// The throttle of one migration.
#[derive(Debug)]
pub(super) struct Throttler {
    throttle: Throttle,
    /// Periods since the last measure in which the guest has dirtied too much.
    high_periods: u32,
    /// QEMU's `cpu-throttle-percentage`; 0 for none.
    percent: u8,
    limit: Option<Limit>,
    slowdown: Slowdown,
}

/// A dirty limit that applies.
#[derive(Clone, Copy, Debug)]
struct Limit {
    period_start: Instant,
    /// The highest rate of a processor seen so far, in bytes per second: what it does unhindered.
    highest_rate: u64,
    /// Sleep per full ring, in microseconds.
    sleep_us: u64,
}

impl Limit {
    /// How long an unhindered processor takes to fill its ring, in microseconds.
    fn ring_full_us(&self) -> u64 {
        RING_PAGES * PAGE_SIZE as u64 * 1_000_000 / self.highest_rate.max(1)
    }
}

impl Throttler {
    pub fn new(throttle: Throttle) -> Throttler {
        Throttler {
            throttle,
            high_periods: 0,
            percent: 0,
            limit: None,
            slowdown: Slowdown::default(),
        }
    }

    /// QEMU's `cpu-throttle-percentage`.
    pub fn percent(&self) -> u8 {
        self.percent
    }

    /// QEMU's `dirty-limit-throttle-time-per-round` and `dirty-limit-ring-full-time`, if a limit applies.
    pub fn dirty_limit_times(&self) -> Option<(Span, Span)> {
        let limit = self.limit?;
        let ring_full = if limit.highest_rate == 0 {
            0
        } else {
            limit.ring_full_us()
        };
        Some((Span::from_us(limit.sleep_us), Span::from_us(ring_full)))
    }

    /// Guest time lost so far, of one processor.
    pub fn lost(&self, now: Instant) -> Span {
        self.slowdown.lost(now)
    }

    /// QEMU's `migration_trigger_throttle`: a period is over. True if something was done about it.
    pub fn on_period(&mut self, now: Instant, period: Period) -> bool {
        let trigger = match self.throttle {
            Throttle::None => return false,
            Throttle::AutoConverge(it) => it.trigger,
            Throttle::DirtyLimit(it) => it.trigger,
        };
        let threshold = share_of(period.transferred_bytes, trigger);
        if period.dirtied_bytes <= threshold {
            return false;
        }
        self.high_periods += 1;
        if self.high_periods < 2 {
            return false;
        }
        self.high_periods = 0;
        match self.throttle {
            Throttle::AutoConverge(options) => {
                let before = self.percent;
                self.percent = self.next_percent(&options, threshold, period.dirtied_bytes);
                self.percent != before
            }
            Throttle::DirtyLimit(_) => {
                let first = self.limit.is_none();
                self.limit.get_or_insert(Limit {
                    period_start: now,
                    highest_rate: 0,
                    sleep_us: 0,
                });
                first
            }
            Throttle::None => false,
        }
    }

    /// QEMU's `mig_throttle_guest_down`.
    fn next_percent(&self, options: &AutoConverge, threshold: u64, dirtied: u64) -> u8 {
        if self.percent == 0 {
            return options.initial_percent;
        }
        let mut increment = u64::from(options.increment_percent);
        if options.tailslow {
            let speed = 100 - u64::from(self.percent);
            let ideal = (u128::from(speed) * u128::from(threshold) / u128::from(dirtied)) as u64;
            increment = increment.min(speed - ideal);
        }
        // At most 99 + 99.
        let percent = (u64::from(self.percent) + increment) as u8;
        percent.min(options.max_percent)
    }

    /// When the rate of dirtying is to be measured next, under a dirty limit.
    pub fn next_measurement(&self) -> Option<Instant> {
        match self.throttle {
            Throttle::DirtyLimit(options) => Some(self.limit?.period_start.saturating_add(options.period)),
            Throttle::None | Throttle::AutoConverge(_) => None,
        }
    }

    /// QEMU's `dirtylimit_process`: so many pages were dirtied by `vcpus` processors since the last measurement. True if
    /// their sleep has changed.
    pub fn on_measured(&mut self, now: Instant, pages: u64, vcpus: u32) -> bool {
        let (Throttle::DirtyLimit(DirtyLimit { bytes_per_s, .. }), Some(limit)) =
            (self.throttle, &mut self.limit)
        else {
            return false;
        };
        let elapsed = (now - limit.period_start).as_ns().max(1);
        limit.period_start = now;
        let bytes = u128::from(pages) * PAGE_SIZE as u128 / u128::from(vcpus);
        let rate = u64::try_from(bytes * 1_000_000_000 / u128::from(elapsed)).unwrap_or(u64::MAX);
        limit.highest_rate = limit.highest_rate.max(rate);
        if rate.abs_diff(bytes_per_s) <= TOLERANCE {
            return false;
        }
        let before = limit.sleep_us;
        let full = limit.ring_full_us();
        let (low, high) = (rate.min(bytes_per_s), rate.max(bytes_per_s));
        let percent = (u128::from(high - low) * 100 / u128::from(high)) as u64;
        let change = if rate == 0 {
            limit.sleep_us
        } else if percent > LINEAR_PERCENT {
            full * percent / (100 - percent).max(1)
        } else {
            full / 10
        };
        limit.sleep_us = if bytes_per_s < rate {
            limit.sleep_us.saturating_add(change)
        } else {
            limit.sleep_us.saturating_sub(change)
        };
        limit.sleep_us = limit.sleep_us.min(full * MAX_PERCENT);
        limit.sleep_us != before
    }

    /// At which share of its speed the guest is to run.
    pub fn speed(&self) -> Probability {
        match (self.throttle, self.limit) {
            (Throttle::DirtyLimit(_), Some(limit)) if limit.highest_rate > 0 => {
                let full = limit.ring_full_us().max(1);
                Probability::from_ratio(full, full.saturating_add(limit.sleep_us)).unwrap_or(Probability::ONE)
            }
            _ => Probability::from_ratio(100 - u64::from(self.percent), 100).unwrap_or(Probability::ONE),
        }
    }

    /// The guest runs at this share of its speed from now on; one of zero is a guest that stands still, which is not
    /// this module's doing.
    pub fn note_speed(&mut self, now: Instant, speed: Probability) {
        self.slowdown.change(now, speed);
    }
}

/// The time that a guest has lost by running slower.
#[derive(Clone, Copy, Debug, Default)]
struct Slowdown {
    lost_ns: u64,
    since: Instant,
    /// The share of the time that is lost, in parts of 10^12.
    lost_parts: u64,
}

impl Slowdown {
    fn lost(&self, now: Instant) -> Span {
        let elapsed = now.saturating_since(self.since).as_ns();
        let lost = u128::from(elapsed) * u128::from(self.lost_parts) / u128::from(Probability::PARTS);
        // A part of the elapsed time.
        Span::from_ns(self.lost_ns + lost as u64)
    }

    fn change(&mut self, now: Instant, speed: Probability) {
        self.lost_ns = self.lost(now).as_ns();
        self.since = now;
        self.lost_parts = Probability::PARTS - speed.as_parts();
    }
}

fn share_of(bytes: u64, share: Probability) -> u64 {
    (u128::from(bytes) * u128::from(share.as_parts()) / u128::from(Probability::PARTS)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    fn period(dirtied_bytes: u64) -> Period {
        Period {
            dirtied_bytes,
            transferred_bytes: 1_000,
        }
    }

    fn auto(options: AutoConverge) -> Throttler {
        Throttler::new(Throttle::AutoConverge(options))
    }

    fn two_periods(throttler: &mut Throttler, first: u64, dirtied: u64) {
        for second in first..first + 2 {
            throttler.on_period(at(second), period(dirtied));
        }
    }

    #[test]
    fn every_second_period_of_too_much_dirt_throttles_more() {
        let mut throttler = auto(AutoConverge::default());
        // Half of what was transferred is not more than half.
        assert!(!throttler.on_period(at(1), period(500)));
        assert!(!throttler.on_period(at(2), period(501)));
        assert_eq!(throttler.percent(), 0);
        assert!(throttler.on_period(at(3), period(501)));
        let mut percents = vec![throttler.percent()];
        for second in 4..22 {
            throttler.on_period(at(second), period(5_000));
            percents.push(throttler.percent());
        }
        percents.dedup();
        assert_eq!(percents, [20, 30, 40, 50, 60, 70, 80, 90, 99]);
        assert_eq!(throttler.speed(), Probability::from_ratio(1, 100).unwrap());
    }

    #[test]
    fn good_periods_in_between_do_not_reset_the_count() {
        let mut throttler = auto(AutoConverge::default());
        throttler.on_period(at(1), period(900));
        throttler.on_period(at(2), period(0));
        assert!(throttler.on_period(at(3), period(900)));
    }

    #[test]
    fn a_slow_tail_takes_no_more_than_should_be_enough() {
        let mut throttler = auto(AutoConverge {
            tailslow: true,
            ..AutoConverge::default()
        });
        two_periods(&mut throttler, 1, 550);
        assert_eq!(throttler.percent(), 20);
        two_periods(&mut throttler, 3, 550);
        // At 80 % of its speed it writes 550, at 72 % it would write 500.
        assert_eq!(throttler.percent(), 28);
    }

    #[test]
    fn a_dirty_limit_sleeps_until_the_rate_is_near_it() {
        let mib = 1u64 << 20;
        let mut throttler = Throttler::new(Throttle::DirtyLimit(DirtyLimit {
            bytes_per_s: 40 * mib,
            ..DirtyLimit::default()
        }));
        assert_eq!(throttler.next_measurement(), None);
        throttler.on_period(at(1), period(900));
        assert!(throttler.on_period(at(2), period(900)));
        assert_eq!(throttler.next_measurement(), Some(at(3)));
        let (natural, mut rates) = (400 * mib, Vec::new());
        for second in 3..20 {
            let speed = throttler.speed().as_f64();
            let rate = (natural as f64 * speed) as u64;
            rates.push(rate / mib);
            throttler.on_measured(at(second), 2 * rate / 4096, 2);
        }
        // Too fast by 90 % at first, which sleeps nine times as long as the ring takes to fill; then it is near enough.
        assert_eq!(rates[0], 400);
        assert!(
            rates[1..].iter().all(|rate| (39..=41).contains(rate)),
            "{rates:?}"
        );
        let (sleep, full) = throttler.dirty_limit_times().unwrap();
        assert_eq!((sleep.as_ns() / full.as_ns(), full), (9, Span::from_ms(40)));
    }

    #[test]
    fn a_guest_below_its_limit_wakes_up_again() {
        let mut throttler = Throttler::new(Throttle::DirtyLimit(DirtyLimit {
            bytes_per_s: 100 << 20,
            ..DirtyLimit::default()
        }));
        two_periods(&mut throttler, 1, 900);
        throttler.on_measured(at(3), 1_000 << 8, 1);
        assert!(throttler.speed() < Probability::from_ratio(1, 5).unwrap());
        for second in 4..10 {
            throttler.on_measured(at(second), 10 << 8, 1);
        }
        assert_eq!(throttler.speed(), Probability::ONE);
        throttler.on_measured(at(10), 0, 1);
        assert_eq!(throttler.speed(), Probability::ONE);
    }

    #[test]
    fn lost_time_is_the_integral_of_the_throttle() {
        let mut throttler = auto(AutoConverge::default());
        let percent = |percent| Probability::from_ratio(percent, 100).unwrap();
        throttler.note_speed(at(10), percent(80));
        throttler.note_speed(at(20), percent(50));
        assert_eq!(throttler.lost(at(24)), Span::from_s(4));
        throttler.note_speed(at(30), Probability::ONE);
        assert_eq!(throttler.lost(at(99)), Span::from_s(7));
    }
}
