//! Timers that can be cleared. Most timers of a layer come in the order in which they are due, since its time is always the
//! same or changes slowly: those stand in a list of the layer, where setting and clearing take one step. Those that come out
//! of order stand in a heap whose entries know where they are. Nothing is allocated once as many have been set before.

use longhaul_core::time::Instant;

const NOWHERE: u32 = u32::MAX;
/// For a timer that is not expected to come in order.
pub(super) const UNORDERED: u32 = u32::MAX - 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    at: Instant,
    /// The order of setting, for timers of one instant.
    set: u64,
    of: u32,
}

/// Where the timer of a frame stands.
#[derive(Clone, Copy, Debug)]
struct Node {
    entry: Entry,
    /// The list; [`UNORDERED`] for the heap, [`NOWHERE`] if it is not set.
    list: u32,
    /// In a list the one before; in the heap its place.
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// At most one timer for each frame.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    nodes: Vec<Node>,
    lists: Vec<List>,
    heap: Vec<Entry>,
    set: u64,
    /// The earliest, unless it was cleared and has not been looked for since.
    first: Option<Entry>,
    stale: bool,
}

impl Timers {
    /// With so many lists.
    pub fn new(lists: usize) -> Timers {
        let empty = List {
            first: NOWHERE,
            last: NOWHERE,
        };
        Timers {
            nodes: Vec::new(),
            lists: vec![empty; lists],
            heap: Vec::new(),
            set: 0,
            first: None,
            stale: false,
        }
    }

    /// Sets the timer of `of`, which must have none. `list` is a list in which most timers come in order, or [`UNORDERED`].
    #[inline]
    pub fn set(&mut self, of: u32, at: Instant, list: u32) {
        self.set += 1;
        let set = self.set;
        let entry = Entry { at, set, of };
        let node = Node {
            entry,
            list: NOWHERE,
            before: NOWHERE,
            after: NOWHERE,
        };
        if self.nodes.len() <= of as usize {
            self.nodes.resize(of as usize + 1, node);
        }
        debug_assert_eq!(self.nodes[of as usize].list, NOWHERE, "one timer for each frame");
        self.nodes[of as usize] = node;
        if !self.append(entry, list) {
            self.nodes[of as usize].list = UNORDERED;
            self.heap.push(entry);
            self.rise(self.heap.len() - 1, entry);
        }
        if !self.stale && self.first.is_none_or(|first| entry < first) {
            self.first = Some(entry);
        }
    }

    /// Puts a timer at the end of its list, if it comes after all others there.
    #[inline]
    fn append(&mut self, entry: Entry, list: u32) -> bool {
        let Some(ends) = self.lists.get_mut(list as usize) else {
            return false;
        };
        let last = ends.last;
        if last == NOWHERE {
            ends.first = entry.of;
        } else if self.nodes[last as usize].entry.at <= entry.at {
            self.nodes[last as usize].after = entry.of;
        } else {
            return false;
        }
        ends.last = entry.of;
        let node = &mut self.nodes[entry.of as usize];
        node.list = list;
        node.before = last;
        true
    }

    /// Clears the timer of `of`, if it has one.
    #[inline]
    pub fn clear(&mut self, of: u32) {
        let Some(slot) = self.nodes.get_mut(of as usize) else {
            return;
        };
        let node = *slot;
        slot.list = NOWHERE;
        match node.list {
            NOWHERE => return,
            UNORDERED => self.remove(node.before as usize),
            list => {
                let list = &mut self.lists[list as usize];
                match node.before {
                    NOWHERE => list.first = node.after,
                    before => self.nodes[before as usize].after = node.after,
                }
                match node.after {
                    NOWHERE => list.last = node.before,
                    after => self.nodes[after as usize].before = node.before,
                }
            }
        }
        if self.first.is_some_and(|first| first.of == of) {
            self.stale = true;
        }
    }

    /// The earliest timer.
    #[inline]
    pub fn first(&mut self) -> Option<(Instant, u32)> {
        if self.stale {
            self.stale = false;
            let firsts = self.lists.iter().map(|list| list.first);
            let firsts = firsts.filter(|first| *first != NOWHERE);
            let firsts = firsts.map(|first| self.nodes[first as usize].entry);
            self.first = firsts.chain(self.heap.first().copied()).min();
        }
        self.first.map(|entry| (entry.at, entry.of))
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
        self.nodes[entry.of as usize].before = place as u32;
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
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn timers_come_in_order_whatever_is_set_and_cleared(
            steps in prop::collection::vec((0..20_u32, 0..30_u64, 0..5_u8), 0..80)
        ) {
            let mut timers = Timers::new(2);
            let mut model: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
            for (step, (of, at, what)) in steps.into_iter().enumerate() {
                match what {
                    0..=2 if !model.contains_key(&of) => {
                        // The lists get mostly what comes in order.
                        let (at, list) = if what == 2 { (at, UNORDERED) } else { (at / 3 + step as u64, what.into()) };
                        timers.set(of, Instant::from_ns(at), list);
                        model.insert(of, (at, step));
                    }
                    3 => {
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
