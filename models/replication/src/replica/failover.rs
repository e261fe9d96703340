//! Who is lost, and what runs in its place.

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_hde::PAGE_SIZE;

use super::set::Set;

/// Notices that the source is silent.
#[derive(Debug)]
pub(super) struct Detector {
    detection_time: Span,
    /// When the source was heard last; `None` before it has ever been.
    heard: Option<Instant>,
    /// Whether it counts as lost.
    lost: bool,
}

impl Detector {
    pub fn new(detection_time: Span) -> Detector {
        Detector {
            detection_time,
            heard: None,
            lost: false,
        }
    }

    /// The source was heard; returns how long it was silent if it counted as lost.
    pub fn on_heard(&mut self, now: Instant) -> Option<Span> {
        let before = self.heard.replace(now);
        let was_lost = std::mem::take(&mut self.lost);
        before.filter(|_| was_lost).map(|before| now - before)
    }

    /// When the source will count as lost unless it is heard.
    pub fn deadline(&self) -> Option<Instant> {
        let heard = self.heard.filter(|_| !self.lost)?;
        Some(heard.saturating_add(self.detection_time))
    }

    /// Whether the source counts as lost from now on, and when it was heard last.
    pub fn detect(&mut self, now: Instant) -> Option<Instant> {
        let lost = self.deadline().is_some_and(|deadline| deadline <= now);
        self.lost |= lost;
        self.heard.filter(|_| lost)
    }
}

/// A guest on its way to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Starting {
    pub set: u32,
    pub guest: u32,
    /// When all of it is read.
    pub restored_at: Instant,
    /// How long restoring took, with those before it.
    pub restoring: Span,
}

/// When each guest of these sets is restored, in that order: the sets by priority, one guest after the other, from a disk
/// that does so.
pub(super) fn schedule(
    now: Instant,
    sets: &[Set],
    promoted: &[u32],
    restore_rate: Option<BitRate>,
    disk: DiskCondition,
) -> Vec<Starting> {
    let mut order = promoted.to_vec();
    order.sort_by_key(|number| std::cmp::Reverse(sets[*number as usize].priority));
    let mut restored_bytes = 0u64;
    let mut starting = Vec::new();
    for set in order {
        let parts = sets[set as usize].layout().parts();
        for (guest, (_, pages)) in (0..).zip(parts) {
            restored_bytes = restored_bytes.saturating_add(pages.saturating_mul(PAGE_SIZE as u64));
            let restoring = restore_rate.map_or(Span::ZERO, |rate| rate.time_for(restored_bytes));
            let restoring = disk.takes(restoring);
            starting.push(Starting {
                set,
                guest,
                restored_at: now.saturating_add(restoring),
                restoring,
            });
        }
    }
    starting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn silence_is_noticed_once_until_it_is_broken() {
        let mut detector = Detector::new(Span::from_ms(300));
        assert_eq!((detector.deadline(), detector.detect(at(9_999))), (None, None));
        assert_eq!(detector.on_heard(at(100)), None);
        assert_eq!(detector.detect(at(399)), None);
        assert_eq!(detector.detect(at(400)), Some(at(100)));
        assert_eq!((detector.deadline(), detector.detect(at(500))), (None, None));
        assert_eq!(detector.on_heard(at(700)), Some(Span::from_ms(600)));
        assert_eq!(detector.deadline(), Some(at(1_000)));
    }

    #[test]
    fn guests_are_restored_one_after_the_other_the_important_first() {
        let sets = [Set::new(&[256, 256], 1), Set::new(&[512], 7)];
        // A guest of 1 MiB takes 8.388608 ms at 1 Gbit/s.
        let rate = Some(BitRate::from_bits_per_s(1_000_000_000));
        let disk = DiskCondition::default();
        let starting = schedule(at(0), &sets, &[0, 1], rate, disk);
        let facts = starting
            .iter()
            .map(|starting| (starting.set, starting.guest, starting.restoring.as_ns() / 1_000));
        assert_eq!(
            facts.collect::<Vec<_>>(),
            [(1, 0, 16_777), (0, 0, 25_165), (0, 1, 33_554)]
        );
        assert!(starting.iter().all(|s| s.restored_at == at(0) + s.restoring));
        let at_once = schedule(at(3), &sets, &[0], None, disk);
        assert!(at_once.len() == 2 && at_once.iter().all(|s| s.restored_at == at(3)));
        let slow = DiskCondition {
            slowdown: 3_000,
            ..disk
        };
        let last = schedule(at(0), &sets, &[0, 1], rate, slow).pop();
        assert_eq!(last.map(|last| last.restoring), Some(starting[2].restoring * 3));
    }
}
