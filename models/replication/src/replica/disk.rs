//! The disk at the replica: it writes pages in the order in which they come, at a rate, and an epoch is in place when the
//! last of its pages is written.
//!
//! A disk that is full or has failed writes nothing, and what is to be written waits in memory until it does again, as
//! behind a thin pool that queues while it has no space (dm-thin, `no_space_timeout`) and a multipath device that queues
//! while it has no path (dm-multipath, `queue_if_no_path`). The source is told nothing: it misses the acknowledgement.

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

/// A disk.
#[derive(Debug)]
pub(super) struct Disk {
    rate: BitRate,
    condition: DiskCondition,
    /// Bits that it was given so far.
    given: u128,
    /// How many of them were written then; from then on it writes at an even rate.
    written: u128,
    since: Instant,
    /// Since when it writes nothing.
    stalled_since: Option<Instant>,
}

impl Disk {
    /// A disk that is well; `rate` is above zero.
    pub fn new(rate: BitRate) -> Disk {
        Disk {
            rate,
            condition: DiskCondition::default(),
            given: 0,
            written: 0,
            since: Instant::ZERO,
            stalled_since: None,
        }
    }

    pub fn condition(&self) -> DiskCondition {
        self.condition
    }

    /// How well it does from now on; returns how long it had written nothing if it writes again.
    pub fn set(&mut self, now: Instant, condition: DiskCondition) -> Option<Span> {
        if self.condition.writes() {
            let (ns, bits) = (now.saturating_since(self.since), self.rate.as_bits_per_s());
            // Less than a bit is lost.
            let done = u128::from(ns.as_ns()) * u128::from(bits) * 1_000
                / (u128::from(self.condition.slowdown) * 1_000_000_000);
            self.written = (self.written + done).min(self.given);
        }
        self.since = now;
        self.condition = condition;
        if condition.writes() {
            return self.stalled_since.take().map(|since| now.saturating_since(since));
        }
        self.stalled_since.get_or_insert(now);
        None
    }

    /// Something is to be written after all that it was given before; returns how much that is by now.
    pub fn give(&mut self, now: Instant, bytes: u64) -> u128 {
        if self.written_at(self.given).is_some_and(|at| at <= now) {
            (self.written, self.since) = (self.given, now);
        }
        self.given += u128::from(bytes) * 8;
        self.given
    }

    /// When so much of what it was given is written, if it goes on as it does now.
    pub fn written_at(&self, given: u128) -> Option<Instant> {
        let left = given.saturating_sub(self.written);
        if left == 0 {
            return Some(self.since);
        }
        if !self.condition.writes() {
            return None;
        }
        let ns = left * u128::from(self.condition.slowdown) * 1_000_000;
        let ns = ns.div_ceil(u128::from(self.rate.as_bits_per_s().max(1)));
        Some(
            self.since
                .saturating_add(Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn bytes_over_rate_is_the_time_whatever_happens_in_between() {
        let well = DiskCondition::default();
        // A byte in a microsecond.
        let mut disk = Disk::new(BitRate::from_bits_per_s(8_000_000));
        let first = disk.give(at(10), 2_000);
        let second = disk.give(at(11), 1_000);
        assert_eq!(
            (disk.written_at(first), disk.written_at(second)),
            (Some(at(12)), Some(at(13)))
        );
        // Idle until 20, then five milliseconds' worth, of which 2 are done at a tenth of the speed and 1 not at all.
        let third = disk.give(at(20), 5_000);
        assert_eq!(disk.written_at(third), Some(at(25)));
        let slow = DiskCondition {
            slowdown: 10_000,
            ..well
        };
        assert_eq!(disk.set(at(22), slow), None);
        assert_eq!(disk.written_at(third), Some(at(52)));
        let full = DiskCondition { full: true, ..slow };
        assert_eq!((disk.set(at(32), full), disk.written_at(third)), (None, None));
        let failed = DiskCondition { failed: true, ..well };
        assert_eq!((disk.set(at(40), failed), disk.written_at(third)), (None, None));
        // What was written before is.
        assert!(disk.written_at(second).is_some());
        assert_eq!(disk.set(at(42), well), Some(Span::from_ms(10)));
        assert_eq!(disk.written_at(third), Some(at(44)));
        // More comes while it is busy: after what is there.
        let fourth = disk.give(at(43), 3_000);
        assert_eq!(disk.written_at(fourth), Some(at(47)));
    }

    #[test]
    fn what_is_given_while_it_stalls_is_written_afterwards() {
        let full = DiskCondition {
            full: true,
            ..DiskCondition::default()
        };
        let mut disk = Disk::new(BitRate::from_bits_per_s(8_000));
        disk.set(at(1_000), full);
        let all = disk.give(at(2_000), 3);
        assert_eq!(disk.written_at(all), None);
        assert_eq!(
            disk.set(at(5_000), DiskCondition::default()),
            Some(Span::from_s(4))
        );
        assert_eq!(disk.written_at(all), Some(at(5_003)));
    }
}
