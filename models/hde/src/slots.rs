//! A hash table of small numbers whose keys lie elsewhere: open addressing, linear probing, no tombstones.
//!
//! The order of its slots depends on nothing but the calls made, and is never looked at.

/// Numbers, found by a hash of the key that the caller keeps for each.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Number plus one; 0 is free. A power of two of them, at most three quarters in use.
    slots: Vec<u32>,
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

    /// The slot at which a hash belongs if it is free.
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// The number with this hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut slot = self.home(hash);
        loop {
            match self.slots[slot].checked_sub(1) {
                None => return None,
                Some(number) if is_it(number) => return Some(number),
                Some(_) => slot = self.next(slot),
            }
        }
    }

    /// Enters a number that is not there; `hash_of` gives the hash of any number in the table.
    pub(crate) fn insert(&mut self, number: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let numbers = std::mem::take(&mut self.slots);
            self.slots = vec![0; numbers.len() * 2];
            for number in numbers.into_iter().filter(|number| *number > 0) {
                self.place(number, hash_of(number - 1));
            }
        }
        self.place(number + 1, hash_of(number));
        self.used += 1;
    }

    fn place(&mut self, entry: u32, hash: u64) {
        let mut slot = self.home(hash);
        while self.slots[slot] != 0 {
            slot = self.next(slot);
        }
        self.slots[slot] = entry;
    }

    /// Takes out a number that is there.
    ///
    /// # Panics
    /// If it is not.
    pub(crate) fn remove(&mut self, number: u32, hash_of: impl Fn(u32) -> u64) {
        let mut hole = self.home(hash_of(number));
        while self.slots[hole] != number + 1 {
            assert!(self.slots[hole] != 0, "number {number} is not in the table");
            hole = self.next(hole);
        }
        // Entries behind the hole move into it unless that would put them before their home.
        let mut slot = hole;
        loop {
            slot = self.next(slot);
            let Some(other) = self.slots[slot].checked_sub(1) else {
                break;
            };
            let mask = self.slots.len() - 1;
            let home = self.home(hash_of(other));
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
        }
        self.slots[hole] = 0;
        self.used -= 1;
    }
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
                    table.insert(number, hash_of);
                } else if !insert && reference.remove(&number) {
                    table.remove(number, hash_of);
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
