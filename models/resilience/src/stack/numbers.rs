//! From the callers' numbers to places: a hash table with open addresses and a fixed hash, which nobody ever walks
//! through, so that its order is of no consequence. Nothing is allocated once it has been as large before.

const EMPTY: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) struct Numbers {
    entries: Vec<(u64, u32)>,
    used: usize,
    shift: u32,
}

impl Numbers {
    pub fn new() -> Numbers {
        Numbers::with_bits(4)
    }

    fn with_bits(bits: u32) -> Numbers {
        Numbers {
            entries: vec![(0, EMPTY); 1 << bits],
            used: 0,
            shift: 64 - bits,
        }
    }

    /// Fibonacci hashing (Knuth, volume 3, section 6.4): neighbouring numbers come to lie apart.
    #[inline]
    fn home(&self, number: u64) -> usize {
        (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    #[inline]
    fn find(&self, number: u64) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(number);
        loop {
            let (other, place) = self.entries[at];
            if place == EMPTY {
                return None;
            }
            if other == number {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub fn get(&self, number: u64) -> Option<u32> {
        self.find(number).map(|at| self.entries[at].1)
    }

    /// Adds a number that is not there.
    #[inline]
    pub fn insert(&mut self, number: u64, place: u32) {
        if 2 * (self.used + 1) > self.entries.len() {
            self.grow();
        }
        self.put(number, place);
        self.used += 1;
    }

    #[inline]
    fn put(&mut self, number: u64, place: u32) {
        let mask = self.entries.len() - 1;
        let mut at = self.home(number);
        while self.entries[at].1 != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = (number, place);
    }

    #[cold]
    fn grow(&mut self) {
        let bits = 64 - self.shift + 1;
        let old = std::mem::replace(self, Numbers::with_bits(bits));
        self.used = old.used;
        for (number, place) in old.entries {
            if place != EMPTY {
                self.put(number, place);
            }
        }
    }

    /// Takes a number out, if it is there.
    #[inline]
    pub fn remove(&mut self, number: u64) {
        let Some(mut hole) = self.find(number) else {
            return;
        };
        self.used -= 1;
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let (other, place) = self.entries[at];
            if place == EMPTY {
                break;
            }
            // What lies at or before its home seen from the hole may not move over it.
            let home = self.home(other);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = (other, place);
                hole = at;
            }
        }
        self.entries[hole] = (0, EMPTY);
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
        fn it_holds_what_an_ordered_map_holds(
            steps in prop::collection::vec((prop_oneof![0..40_u64, any::<u64>()], any::<bool>()), 0..200)
        ) {
            let mut numbers = Numbers::new();
            let mut model = BTreeMap::new();
            for (step, (number, insert)) in steps.into_iter().enumerate() {
                if insert && !model.contains_key(&number) {
                    numbers.insert(number, step as u32);
                    model.insert(number, step as u32);
                } else {
                    numbers.remove(number);
                    model.remove(&number);
                }
                prop_assert_eq!(numbers.get(number), model.get(&number).copied());
            }
            for (number, place) in model {
                prop_assert_eq!(numbers.get(number), Some(place));
            }
        }
    }
}
