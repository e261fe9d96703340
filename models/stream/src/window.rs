//! Which sequence numbers have arrived: exactly for the newest 4096, as runs of losses for those before.

/// Sequence numbers that are remembered one by one.
pub const WINDOW: u64 = 4096;

const WORDS: usize = (WINDOW / 64) as usize;

/// What an arrival is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Beyond all that have arrived.
    InOrder,
    /// For the first time, after one that was sent later.
    Reordered,
    /// Not for the first time.
    Duplicate,
    /// Too far behind to be remembered.
    TooLate,
}

/// The sequence numbers from 0 on.
pub struct Window {
    /// One above the highest that has arrived.
    next: u64,
    /// One bit per number in `first()..next`, at its remainder by [`WINDOW`].
    arrived: [u64; WORDS],
    /// What is before `first()`.
    before: Losses,
}

/// Runs of losses in a sequence that is read from its begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// How many runs there are.
    pub bursts: u64,
    /// Length of the longest.
    pub longest: u64,
    /// Length of the one that the sequence read so far ends in.
    run: u64,
}

impl Losses {
    fn arrived(&mut self) {
        self.run = 0;
    }

    fn lost(&mut self, count: u64) {
        if count > 0 {
            self.bursts += u64::from(self.run == 0);
            self.run += count;
            self.longest = self.longest.max(self.run);
        }
    }

    fn read(&mut self, arrived: bool) {
        if arrived {
            self.arrived();
        } else {
            self.lost(1);
        }
    }
}

impl Window {
    pub fn new() -> Window {
        Window {
            next: 0,
            arrived: [0; WORDS],
            before: Losses::default(),
        }
    }

    /// One above the highest that has arrived.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The lowest that is remembered.
    fn first(&self) -> u64 {
        self.next.saturating_sub(WINDOW)
    }

    /// Takes note of an arrival.
    pub fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            self.advance(sequence + 1);
            self.set(sequence);
            Arrival::InOrder
        } else if sequence < self.first() {
            Arrival::TooLate
        } else if self.has(sequence) {
            Arrival::Duplicate
        } else {
            self.set(sequence);
            Arrival::Reordered
        }
    }

    /// The losses among the first `end` numbers; those from [`Window::next`] on have not arrived.
    pub fn losses(&self, end: u64) -> Losses {
        let mut losses = self.before;
        for sequence in self.first()..self.next {
            losses.read(self.has(sequence));
        }
        losses.lost(end.saturating_sub(self.next));
        losses
    }

    /// Makes room for the numbers below `next`. Takes time by what is remembered, not by how far it goes.
    fn advance(&mut self, next: u64) {
        let first = next.saturating_sub(WINDOW);
        for sequence in self.first()..first.min(self.next) {
            let arrived = self.has(sequence);
            self.before.read(arrived);
        }
        self.before.lost(first.saturating_sub(self.next));
        for sequence in self.next.max(first)..next {
            self.arrived[word(sequence)] &= !bit(sequence);
        }
        self.next = next;
    }

    fn has(&self, sequence: u64) -> bool {
        self.arrived[word(sequence)] & bit(sequence) != 0
    }

    fn set(&mut self, sequence: u64) {
        self.arrived[word(sequence)] |= bit(sequence);
    }
}

fn word(sequence: u64) -> usize {
    (sequence % WINDOW / 64) as usize
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use proptest::prop_oneof;

    use super::*;

    #[test]
    fn what_is_too_far_behind_is_not_counted_twice_but_not_at_all() {
        let mut window = Window::new();
        assert_eq!(window.arrive(0), Arrival::InOrder);
        assert_eq!(window.arrive(WINDOW), Arrival::InOrder);
        assert_eq!(window.arrive(1), Arrival::Reordered);
        assert_eq!(window.arrive(1), Arrival::Duplicate);
        assert_eq!(window.arrive(0), Arrival::TooLate);
        let losses = window.losses(WINDOW + 1);
        assert_eq!((losses.bursts, losses.longest), (1, WINDOW - 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Against a set that remembers everything, with steps back within the window and leaps beyond it.
        #[test]
        fn the_window_agrees_with_a_memory_without_bounds(
            steps in proptest::collection::vec(prop_oneof![-40..40i64, -4096..9_000i64], 1..300),
        ) {
            let (mut window, mut all) = (Window::new(), BTreeSet::new());
            let mut at = 0u64;
            for step in steps {
                at = at.saturating_add_signed(step);
                let next = all.last().map_or(0, |last| last + 1);
                let expected = if at >= next {
                    Arrival::InOrder
                } else if at + WINDOW < next {
                    Arrival::TooLate
                } else if all.contains(&at) {
                    Arrival::Duplicate
                } else {
                    Arrival::Reordered
                };
                prop_assert_eq!(window.arrive(at), expected);
                if expected != Arrival::TooLate {
                    all.insert(at);
                }
            }
            let end = window.next() + 3;
            let (mut bursts, mut longest, mut last) = (0, 0, 0);
            for bound in all.iter().copied().chain([end]) {
                bursts += u64::from(bound > last);
                longest = longest.max(bound - last);
                last = bound + 1;
            }
            let losses = window.losses(end);
            prop_assert_eq!((losses.bursts, losses.longest), (bursts, longest));
        }
    }
}
