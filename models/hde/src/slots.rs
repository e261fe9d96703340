//! A hash table of small numbers whose keys lie elsewhere: open addressing, linear probing, no tombstones.
//!
//! The order of its slots depends on nothing but the calls made, and is never looked at. Part of the hash lies beside
//! each number, so that keys are looked at only where they are likely to be the right ones.

/// Bits of a hash that are kept; the rest of an entry is the number plus one.
const TAG_BITS: u32 = 32;

/// Numbers, found by a hash of the key that the caller keeps for each.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Hash and number; 0 is free. A power of two of them, at most 2^32 and at most three quarters in use.
    slots: Vec<u64>,
    used: usize,
}

impl Slots {
    /// An empty table.
    pub(crate) fn new() -> Slots {
        Slots {
            slots: vec![0; 16],
            used: 0,
        }
    }

    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// The slot at which an entry belongs if it is free.
    fn home(&self, entry: u64) -> usize {
        (entry >> TAG_BITS) as usize & (self.slots.len() - 1)
    }

    /// The number with this hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = entry(hash, 0);
        let mut slot = self.home(wanted);
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                return None;
            }
            if entry >> TAG_BITS == wanted >> TAG_BITS && is_it(number(entry)) {
                return Some(number(entry));
            }
            slot = self.next(slot);
        }
    }

    /// Enters a number that is not there.
    pub(crate) fn insert(&mut self, number: u32, hash: u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let entries = std::mem::take(&mut self.slots);
            self.slots = vec![0; entries.len() * 2];
            for entry in entries.into_iter().filter(|entry| *entry != 0) {
                self.place(entry);
            }
        }
        self.place(entry(hash, number));
        self.used += 1;
    }

    fn place(&mut self, entry: u64) {
        let mut slot = self.home(entry);
        while self.slots[slot] != 0 {
            slot = self.next(slot);
        }
        self.slots[slot] = entry;
    }

    /// Takes out a number that is there.
    ///
    /// # Panics
    /// If it is not.
    pub(crate) fn remove(&mut self, number: u32, hash: u64) {
        let removed = entry(hash, number);
        let mut hole = self.home(removed);
        while self.slots[hole] != removed {
            assert!(self.slots[hole] != 0, "number {number} is not in the table");
            hole = self.next(hole);
        }
        // Entries behind the hole move into it unless that would put them before their home.
        let mut slot = hole;
        loop {
            slot = self.next(slot);
            let other = self.slots[slot];
            if other == 0 {
                break;
            }
            let mask = self.slots.len() - 1;
            let home = self.home(other);
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = other;
                hole = slot;
            }
        }
        self.slots[hole] = 0;
        self.used -= 1;
    }
}

/// The low bits of a hash, and a number.
fn entry(hash: u64, number: u32) -> u64 {
    hash << TAG_BITS | (u64::from(number) + 1)
}

fn number(entry: u64) -> u32 {
    entry as u32 - 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_an_ordered_set_holds(
            steps in proptest::collection::vec((any::<bool>(), 0u32..200), 0..600),
            crowding in 0u64..40,
        ) {
            // Few distinct hashes, so that chains are long and wrap around.
            let hash_of = |number: u32| u64::from(number) * 7 / (crowding + 1);
            let (mut table, mut reference) = (Slots::new(), BTreeSet::new());
            for (insert, number) in steps {
                if insert && reference.insert(number) {
                    table.insert(number, hash_of(number));
                } else if !insert && reference.remove(&number) {
                    table.remove(number, hash_of(number));
                }
                for number in 0..200 {
                    let found = table.find(hash_of(number), |it| it == number);
                    prop_assert_eq!(found.is_some(), reference.contains(&number));
                }
            }
            prop_assert_eq!(table.used, reference.len());
        }
    }
}
