//! Which requests of a caller were begun before: a window of bits over their numbers, as IPsec keeps one against
//! replay (RFC 6479).

/// Requests that are remembered: those this far behind the newest.
const WINDOW: u64 = 1 << 20;
const WORD: u64 = 64;
const WORDS: usize = (WINDOW / WORD) as usize;

/// See the module. At most 128 KiB.
#[derive(Default)]
pub(crate) struct Seen {
    /// Words of bits, as a ring; grows to its full size as numbers do.
    bits: Vec<u64>,
    /// The word after the newest one.
    end: u64,
}

impl Seen {
    /// Notes a request. Whether it was noted before; `false` for one that is too old to tell.
    pub fn note(&mut self, number: u64) -> bool {
        let word = number / WORD;
        if word >= self.end {
            self.advance(word + 1);
        } else if word + (WORDS as u64) < self.end {
            return false;
        }
        let slot = &mut self.bits[(word % WORDS as u64) as usize];
        let bit = 1 << (number % WORD);
        let known = *slot & bit != 0;
        *slot |= bit;
        known
    }

    fn advance(&mut self, end: u64) {
        if end <= WORDS as u64 {
            // Doubling bounds what growing costs.
            let len = (end as usize).next_power_of_two().min(WORDS).max(self.bits.len());
            self.bits.resize(len, 0);
        } else {
            self.bits.resize(WORDS, 0);
            let fresh = (end - self.end).min(WORDS as u64);
            for word in end - fresh..end {
                self.bits[(word % WORDS as u64) as usize] = 0;
            }
        }
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use longhaul_core::random::Streams;

    use super::*;

    #[test]
    fn what_was_noted_within_the_window_is_known() {
        let mut random = Streams::new(1, 0).stream("seen", "test");
        let (mut seen, mut noted, mut newest) = (Seen::default(), BTreeSet::new(), 0u64);
        for _ in 0..20_000 {
            newest += random.below(400);
            let number = newest.saturating_sub(random.below(1_000));
            newest = newest.max(number);
            assert_eq!(seen.note(number), !noted.insert(number), "{number}");
        }
        assert!(newest > 3 * WINDOW);
        // Too old to tell, and a jump forgets everything.
        assert!(!seen.note(0));
        assert!(!seen.note(u64::MAX) && seen.note(u64::MAX));
        assert!(!seen.note(u64::MAX - WINDOW / 2));
    }
}
