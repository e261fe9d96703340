//! The largest sample of a moving window, in constant space (`lib/win_minmax.c`, after Kathleen Nichols).
//!
//! The best, second best and third best samples stand in the order of their age, each from a later part of the
//! window than the one before. When the best is too old the second takes its place. The answer is exact while the
//! samples rise, and otherwise that of a window between half and all of the nominal length.

/// A sample and the time at which it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sample {
    at: u64,
    value: u64,
}

/// The filter; time is whatever the caller counts in.
#[derive(Clone, Debug)]
pub(super) struct MaxFilter {
    length: u64,
    best: [Sample; 3],
}

impl MaxFilter {
    pub(super) fn new(length: u64) -> MaxFilter {
        MaxFilter {
            length,
            best: [Sample::default(); 3],
        }
    }

    /// The largest sample in the window, 0 if there was none.
    pub(super) fn get(&self) -> u64 {
        self.best[0].value
    }

    /// Takes a sample. Time does not go back.
    pub(super) fn insert(&mut self, at: u64, value: u64) {
        let sample = Sample { at, value };
        let [first, second, third] = self.best;
        if value >= first.value || at - third.at > self.length {
            self.best = [sample; 3];
            return;
        }
        if value >= second.value {
            self.best = [first, sample, sample];
        } else if value >= third.value {
            self.best[2] = sample;
        }
        self.age(sample);
    }

    /// Lets go of what is too old, and fills the later parts of the window as they begin.
    fn age(&mut self, newest: Sample) {
        let [first, second, third] = self.best;
        let elapsed = newest.at - first.at;
        if elapsed > self.length {
            self.best = [second, third, newest];
            if newest.at - second.at > self.length {
                self.best = [third, newest, newest];
            }
        } else if second.at == first.at && elapsed > self.length / 4 {
            self.best = [first, newest, newest];
        } else if third.at == second.at && elapsed > self.length / 2 {
            self.best[2] = newest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_sample_counts_at_once_and_a_smaller_one_when_the_larger_is_old() {
        let mut filter = MaxFilter::new(10);
        filter.insert(0, 100);
        filter.insert(1, 120);
        assert_eq!(filter.get(), 120);
        for at in 2..=11 {
            filter.insert(at, 80);
            assert_eq!(filter.get(), 120, "at {at}");
        }
        filter.insert(12, 80);
        assert_eq!(filter.get(), 80);
    }

    #[test]
    fn the_answer_is_the_largest_of_at_least_half_a_window_and_never_older_than_one() {
        let values: Vec<u64> = (0..500u64).map(|at| at * at * 7919 % 1009).collect();
        let mut filter = MaxFilter::new(10);
        for at in 0..values.len() {
            filter.insert(at as u64, values[at]);
            let largest = |length: usize| values[at.saturating_sub(length)..=at].iter().max().copied();
            assert!(Some(filter.get()) <= largest(10), "at {at}");
            assert!(Some(filter.get()) >= largest(4), "at {at}");
        }
    }

    #[test]
    fn a_long_silence_empties_the_window() {
        let mut filter = MaxFilter::new(10);
        filter.insert(0, 100);
        filter.insert(50, 1);
        assert_eq!(filter.get(), 1);
    }
}
