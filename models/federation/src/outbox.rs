//! What waits for one peer: bounded, the most urgent first, otherwise in the order in which it came.
//!
//! When it is full, the oldest of the least urgent changes makes room; if the new one is less urgent than all others, it
//! is the one that goes. Whatever is dropped is still in the state: the outbox says that it
//! [overflowed](Outbox::take_overflow), and the peer must be reconciled with.

use std::collections::BTreeMap;

use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::Key;
use crate::record::Record;

/// What goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Priority {
    /// At once, without waiting for the next synchronisation.
    High,
    /// With the next synchronisation.
    Normal,
    /// After the others.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
}

/// A change that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its key.
    pub key: Key,
    /// What is known of the key with it.
    pub record: Record,
    /// What goes before it.
    pub priority: Priority,
    /// Whether it waits for the next synchronisation.
    pub at_once: bool,
    /// Since when.
    pub since: Instant,
}

impl Change {
    /// Bytes of its key and value, and a flat 100 for everything else.
    fn bytes(&self) -> u64 {
        self.key.as_str().len() as u64 + self.record.value_bytes() + 100
    }
}

/// What an outbox has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OutboxStatistics {
    /// Changes put in.
    pub queued: u64,
    /// Changes that a later one of the same key replaced.
    pub coalesced: u64,
    /// Changes that were dropped.
    pub dropped: u64,
    /// The most that waited at a time.
    pub longest: u64,
}

impl OutboxStatistics {
    /// Takes in those of another outbox.
    pub fn add(&mut self, other: &OutboxStatistics) {
        self.queued += other.queued;
        self.coalesced += other.coalesced;
        self.dropped += other.dropped;
        self.longest = self.longest.max(other.longest);
    }
}

/// A bounded queue of changes.
#[derive(Clone, Debug)]
pub struct Outbox {
    max_changes: usize,
    max_bytes: u64,
    coalesce: bool,
    waiting: BTreeMap<(Priority, u64), Change>,
    /// Where the change of a key waits; used only if changes replace each other.
    by_key: BTreeMap<Key, (Priority, u64)>,
    next: u64,
    bytes: u64,
    overflow: bool,
    statistics: OutboxStatistics,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(max_changes: usize, max_bytes: u64, coalesce: bool) -> Outbox {
        Outbox {
            max_changes,
            max_bytes,
            coalesce,
            waiting: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next: 0,
            bytes: 0,
            overflow: false,
            statistics: OutboxStatistics::default(),
        }
    }

    /// Puts a change in.
    pub fn push(&mut self, mut change: Change) {
        self.statistics.queued += 1;
        if self.coalesce
            && let Some(place) = self.by_key.get(&change.key).copied()
        {
            let replaced = self.remove(place).expect("it waits where it is said to");
            change.priority = change.priority.min(replaced.priority);
            change.at_once |= replaced.at_once;
            self.statistics.coalesced += 1;
        }
        let place = (change.priority, self.next);
        self.next += 1;
        self.bytes += change.bytes();
        if self.coalesce {
            self.by_key.insert(change.key.clone(), place);
        }
        self.waiting.insert(place, change);
        while self.waiting.len() > self.max_changes || self.bytes > self.max_bytes {
            self.drop_one();
        }
        self.statistics.longest = self.statistics.longest.max(self.waiting.len() as u64);
    }

    /// The change that goes next, and its place.
    pub fn first(&self) -> Option<(u64, &Change)> {
        self.waiting
            .first_key_value()
            .map(|((_, place), change)| (*place, change))
    }

    /// Takes the change that goes next.
    pub fn pop(&mut self) -> Option<Change> {
        let place = *self.waiting.first_key_value()?.0;
        self.remove(place)
    }

    /// The place that the next change will get: all that waits has a lower one.
    pub fn next_place(&self) -> u64 {
        self.next
    }

    /// Whether a change of a place below this waits.
    pub fn has_before(&self, place: u64) -> bool {
        // Within a priority the first is the oldest.
        Priority::ALL.iter().any(|priority| {
            let mut of_priority = self.waiting.range((*priority, 0)..(*priority, place));
            of_priority.next().is_some()
        })
    }

    /// How many changes wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something was dropped since this was last asked.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflow)
    }

    /// Empties it without a trace: the bug of [`Planted::OutboxForgets`](crate::planted::Planted).
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
        self.by_key.clear();
        self.bytes = 0;
    }

    /// What it has done so far.
    pub fn statistics(&self) -> &OutboxStatistics {
        &self.statistics
    }

    fn drop_one(&mut self) {
        let (least_urgent, _) = *self.waiting.last_key_value().expect("something is too much").0;
        let oldest = self.waiting.range((least_urgent, 0)..).next();
        let place = *oldest.expect("the last at least").0;
        self.remove(place);
        self.statistics.dropped += 1;
        self.overflow = true;
    }

    fn remove(&mut self, place: (Priority, u64)) -> Option<Change> {
        let change = self.waiting.remove(&place)?;
        self.bytes -= change.bytes();
        if self.coalesce {
            self.by_key.remove(&change.key);
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::{Stamp, VersionVector};

    fn change(key: &str, priority: Priority, value: u8) -> Change {
        Change {
            key: Key::new(key).expect("a short key"),
            record: Record {
                stamp: Stamp::default(),
                versions: VersionVector::default(),
                value: Some(Bytes::from(vec![value; 10])),
            },
            priority,
            at_once: priority == Priority::High,
            since: Instant::ZERO,
        }
    }

    fn keys(outbox: &mut Outbox) -> String {
        std::iter::from_fn(|| outbox.pop())
            .map(|change| change.key.as_str().to_owned())
            .collect()
    }

    #[test]
    fn the_urgent_go_first_and_otherwise_the_oldest() {
        let mut outbox = Outbox::new(10, 1 << 20, true);
        for (key, priority) in [
            ("a", Priority::Low),
            ("b", Priority::Normal),
            ("c", Priority::High),
            ("d", Priority::Normal),
        ] {
            outbox.push(change(key, priority, 0));
        }
        assert!(outbox.has_before(1) && outbox.has_before(4) && !outbox.has_before(0));
        assert_eq!(keys(&mut outbox), "cbda");
        assert!(outbox.is_empty() && outbox.bytes == 0 && outbox.by_key.is_empty());
    }

    #[test]
    fn a_later_change_of_a_key_takes_the_place_of_an_earlier_one_or_stands_beside_it() {
        for (coalesce, expected) in [(true, "ba"), (false, "aba")] {
            let mut outbox = Outbox::new(10, 1 << 20, coalesce);
            for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
                outbox.push(change(key, Priority::Normal, value));
            }
            assert_eq!(outbox.statistics().coalesced, u64::from(coalesce));
            assert_eq!(keys(&mut outbox), expected);
        }
        // The more urgent of both counts.
        let mut outbox = Outbox::new(10, 1 << 20, true);
        outbox.push(change("a", Priority::High, 1));
        outbox.push(change("a", Priority::Low, 2));
        assert_eq!(outbox.pop().map(|change| change.priority), Some(Priority::High));
    }

    #[test]
    fn the_oldest_of_the_least_urgent_makes_room() {
        let mut outbox = Outbox::new(3, 1 << 20, true);
        for (key, priority) in [
            ("a", Priority::Normal),
            ("b", Priority::Low),
            ("c", Priority::Low),
        ] {
            outbox.push(change(key, priority, 0));
        }
        assert!(!outbox.take_overflow());
        outbox.push(change("d", Priority::High, 0));
        assert!(outbox.take_overflow() && !outbox.take_overflow());
        outbox.push(change("e", Priority::Normal, 0));
        outbox.push(change("f", Priority::Low, 0));
        assert_eq!(outbox.statistics().dropped, 3);
        assert_eq!(keys(&mut outbox), "dae");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut outbox = Outbox::new(100, 350, false);
        (0..10).for_each(|n| outbox.push(change(&n.to_string(), Priority::Normal, 0)));
        assert_eq!((outbox.len(), outbox.statistics().dropped), (3, 7));
        assert_eq!(keys(&mut outbox), "789");
        // One that is larger than the whole outbox does not stay.
        let mut small = Outbox::new(100, 50, false);
        small.push(change("a", Priority::High, 0));
        assert!(small.is_empty() && small.take_overflow());
    }
}
