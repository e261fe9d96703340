//! Timers that can be cleared: a heap whose entries know where they are. Nothing is allocated once it has been as large
//! before.

use longhaul_core::time::Instant;

const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    at: Instant,
    /// The order of setting, for timers of one instant.
    set: u64,
    of: u32,
}

/// At most one timer for each frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: Vec<Entry>,
    places: Vec<u32>,
    set: u64,
}

impl Timers {
    /// Sets the timer of `of`, which must have none.
    #[inline]
    pub fn set(&mut self, of: u32, at: Instant) {
        if self.places.len() <= of as usize {
            self.places.resize(of as usize + 1, NOWHERE);
        }
        debug_assert_eq!(self.places[of as usize], NOWHERE, "one timer for each frame");
        self.set += 1;
        let entry = Entry {
            at,
            set: self.set,
            of,
        };
        self.heap.push(entry);
        self.rise(self.heap.len() - 1, entry);
    }

    /// Clears the timer of `of`, if it has one.
    #[inline]
    pub fn clear(&mut self, of: u32) {
        let Some(place) = self.places.get_mut(of as usize) else {
            return;
        };
        let place = std::mem::replace(place, NOWHERE);
        if place != NOWHERE {
            self.remove(place as usize);
        }
    }

    /// The earliest timer.
    #[inline]
    pub fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().map(|entry| (entry.at, entry.of))
    }

    /// Takes out the earliest timer if it is due.
    #[inline]
    pub fn due(&mut self, now: Instant) -> Option<u32> {
        let (_, of) = self.first().filter(|(at, _)| *at <= now)?;
        self.clear(of);
        Some(of)
    }

    fn remove(&mut self, place: usize) {
        let Some(last) = self.heap.pop() else { return };
        if place == self.heap.len() {
            return;
        }
        // The last one takes the place, and moves from there in the direction in which it must.
        if place > 0 && last < self.heap[(place - 1) / 2] {
            self.rise(place, last);
        } else {
            self.sink(place, last);
        }
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.of as usize] = place as u32;
    }

    fn rise(&mut self, mut place: usize, entry: Entry) {
        while place > 0 {
            let above = self.heap[(place - 1) / 2];
            if above < entry {
                break;
            }
            self.put(place, above);
            place = (place - 1) / 2;
        }
        self.put(place, entry);
    }

    fn sink(&mut self, mut place: usize, entry: Entry) {
        loop {
            let left = 2 * place + 1;
            let Some(&first) = self.heap.get(left) else { break };
            let (child, below) = match self.heap.get(left + 1) {
                Some(&right) if right < first => (left + 1, right),
                _ => (left, first),
            };
            if entry < below {
                break;
            }
            self.put(place, below);
            place = child;
        }
        self.put(place, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn timers_come_in_order_whatever_is_set_and_cleared(
            steps in prop::collection::vec((0..20_u32, 0..30_u64, 0..3_u8), 0..80)
        ) {
            let mut timers = Timers::default();
            let mut model: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
            for (step, (of, at, what)) in steps.into_iter().enumerate() {
                match what {
                    0 if !model.contains_key(&of) => {
                        timers.set(of, Instant::from_ns(at));
                        model.insert(of, (at, step));
                    }
                    1 => {
                        timers.clear(of);
                        model.remove(&of);
                    }
                    _ => {
                        let first = model.iter().min_by_key(|(_, key)| **key);
                        let expected = first.filter(|(_, (due, _))| *due <= at).map(|(of, _)| *of);
                        prop_assert_eq!(timers.due(Instant::from_ns(at)), expected);
                        expected.map(|of| model.remove(&of));
                    }
                }
                let first = model.values().min().map(|(at, _)| Instant::from_ns(*at));
                prop_assert_eq!(timers.first().map(|(at, _)| at), first);
            }
        }
    }
}
