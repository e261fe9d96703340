//! Whether what clients saw is linearizable: as if each command and read had happened at one moment between its call and
//! its return (Herlihy and Wing, 1990).
//!
//! The search is that of Wing and Gong (1993) with the memory of Lowe (2017): it tries to order the calls one after the
//! other, those that returned first before the others, and remembers which sets of calls with which state led nowhere. It
//! knows nothing of logs and terms.

use std::collections::BTreeSet;

use longhaul_core::time::Instant;

/// What a call means.
pub trait Model {
    /// The state that calls change.
    type State: Clone + Ord;
    /// A call, with what it returned if it returned.
    type Call;

    /// The state before all calls.
    fn initial(&self) -> Self::State;

    /// The state after a call, or nothing if it cannot have returned what it did.
    fn step(&self, state: &Self::State, call: &Self::Call) -> Option<Self::State>;

    /// Whether it leaves every state as it is. The search need not know, but is faster if it does.
    fn is_read(&self, call: &Self::Call) -> bool {
        let _ = call;
        false
    }
}

/// A call and when it was under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed<C> {
    /// When it was made.
    pub called: Instant,
    /// When it returned; never, if its outcome is not known.
    pub returned: Option<Instant>,
    /// The call.
    pub call: C,
}

/// What the search came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is an order that explains everything.
    Linearizable,
    /// There is none.
    NotLinearizable {
        /// The most calls of one order that can be explained.
        explained: usize,
    },
    /// Too many calls overlap to try all orders.
    Undecided,
}

/// Looks for an order of the calls, and gives up after `steps` attempts to put a call next. Fast where few calls overlap;
/// exponential in the number of those that do, and of those that never returned.
pub fn linearizable<M: Model>(model: &M, calls: &[Timed<M::Call>], steps: u64) -> Verdict {
    let mut search = Search::new(model, calls, steps);
    match search.run() {
        Some(true) => Verdict::Linearizable,
        Some(false) => Verdict::NotLinearizable {
            explained: search.deepest,
        },
        None => Verdict::Undecided,
    }
}

/// A call's beginning or end, in order of time. A call that ends when another begins overlaps with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Begins(usize),
    Ends(usize),
}

/// A call that was put next, the state after it and what may follow it.
struct Step<S> {
    chosen: Option<usize>,
    state: S,
    candidates: std::vec::IntoIter<usize>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Timed<M::Call>],
    edges: Vec<Edge>,
    /// Doubly linked list of the edges that are left: next and previous, with the head at the end.
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Where the edges of each call are.
    begins: Vec<usize>,
    ends: Vec<usize>,
    done: Vec<u64>,
    tried: BTreeSet<(Vec<u64>, M::State)>,
    deepest: usize,
    steps_left: u64,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Timed<M::Call>], steps: u64) -> Search<'a, M> {
        let mut edges = Vec::with_capacity(2 * calls.len());
        for (number, call) in calls.iter().enumerate() {
            edges.push((call.called, Edge::Begins(number)));
            edges.push((call.returned.unwrap_or(Instant::MAX), Edge::Ends(number)));
        }
        edges.sort_unstable();
        let edges: Vec<Edge> = edges.into_iter().map(|(_, edge)| edge).collect();
        let (mut begins, mut ends) = (vec![0; calls.len()], vec![0; calls.len()]);
        for (place, edge) in edges.iter().enumerate() {
            match edge {
                Edge::Begins(number) => begins[*number] = place,
                Edge::Ends(number) => ends[*number] = place,
            }
        }
        let head = edges.len();
        Search {
            model,
            calls,
            next: (1..=head).chain([0]).collect(),
            previous: [head].into_iter().chain(0..head).collect(),
            edges,
            begins,
            ends,
            done: vec![0; calls.len().div_ceil(64)],
            tried: BTreeSet::new(),
            deepest: 0,
            steps_left: steps,
        }
    }

    /// Whether there is an order, if that can be found out.
    fn run(&mut self) -> Option<bool> {
        let mut path = vec![Step {
            chosen: None,
            state: self.model.initial(),
            candidates: self.candidates(&self.model.initial()).into_iter(),
        }];
        while let Some(step) = path.last_mut() {
            if let Some(number) = step.candidates.next() {
                self.steps_left = self.steps_left.checked_sub(1)?;
                let Some(state) = self.attempt(number, &step.state) else {
                    continue;
                };
                self.take_out(number);
                self.deepest = self.deepest.max(path.len());
                if path.len() == self.calls.len() {
                    return Some(true);
                }
                let candidates = self.candidates(&state).into_iter();
                path.push(Step {
                    chosen: Some(number),
                    state,
                    candidates,
                });
            } else if let Some(number) = path.pop().and_then(|step| step.chosen) {
                self.put_back(number);
            }
        }
        Some(self.calls.is_empty())
    }

    /// The calls that may come next: all that were made before the first of those left returned. If one of them is a read
    /// that this state explains, it alone: whatever order there is, it can be moved here and nobody notices.
    fn candidates(&self, state: &M::State) -> Vec<usize> {
        let mut found = Vec::new();
        let mut place = self.next[self.edges.len()];
        while let Some(Edge::Begins(number)) = self.edges.get(place) {
            let call = &self.calls[*number].call;
            if self.model.is_read(call) && self.model.step(state, call).is_some() {
                return vec![*number];
            }
            found.push(*number);
            place = self.next[place];
        }
        found.sort_by_key(|number| self.calls[*number].returned.unwrap_or(Instant::MAX));
        found
    }

    /// The state after a call, unless that is impossible or was tried.
    fn attempt(&mut self, number: usize, state: &M::State) -> Option<M::State> {
        let after = self.model.step(state, &self.calls[number].call)?;
        let mut done = self.done.clone();
        done[number / 64] |= 1 << (number % 64);
        self.tried.insert((done, after.clone())).then_some(after)
    }

    fn take_out(&mut self, number: usize) {
        self.done[number / 64] |= 1 << (number % 64);
        for place in [self.begins[number], self.ends[number]] {
            let (next, previous) = (self.next[place], self.previous[place]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    fn put_back(&mut self, number: usize) {
        self.done[number / 64] &= !(1 << (number % 64));
        for place in [self.ends[number], self.begins[number]] {
            let (next, previous) = (self.next[place], self.previous[place]);
            self.next[previous] = place;
            self.previous[next] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register of numbers; a write that did not return may have happened.
    struct Register;

    #[derive(Clone, Copy)]
    enum Call {
        Write(u64),
        Read(u64),
    }

    impl Model for Register {
        type State = u64;
        type Call = Call;
        fn initial(&self) -> u64 {
            0
        }
        fn step(&self, state: &u64, call: &Call) -> Option<u64> {
            match call {
                Call::Write(value) => Some(*value),
                Call::Read(value) => (value == state).then_some(*state),
            }
        }
        fn is_read(&self, call: &Call) -> bool {
            matches!(call, Call::Read(_))
        }
    }

    fn check(calls: &[(u64, u64, Call)]) -> Verdict {
        let timed = |(called, returned, call): &(u64, u64, Call)| Timed {
            called: Instant::from_ns(*called),
            returned: (*returned > 0).then(|| Instant::from_ns(*returned)),
            call: *call,
        };
        let calls: Vec<_> = calls.iter().map(timed).collect();
        linearizable(&Register, &calls, 1_000)
    }

    #[test]
    fn overlapping_calls_may_happen_in_any_order() {
        use Call::{Read, Write};
        let any_order = [(1, 9, Write(1)), (2, 8, Write(2)), (10, 11, Read(1))];
        assert_eq!(check(&any_order), Verdict::Linearizable);
        let seen_early = [(1, 9, Write(1)), (2, 3, Read(1)), (4, 5, Read(1))];
        assert_eq!(check(&seen_early), Verdict::Linearizable);
    }

    #[test]
    fn a_read_does_not_go_back_in_time() {
        use Call::{Read, Write};
        let stale = [(1, 2, Write(1)), (3, 4, Write(2)), (5, 6, Read(1))];
        let flicker = [(1, 9, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))];
        for calls in [stale, flicker] {
            assert_eq!(check(&calls), Verdict::NotLinearizable { explained: 2 });
        }
    }

    #[test]
    fn a_write_without_a_return_may_happen_late_or_never() {
        use Call::{Read, Write};
        let late = [(1, 0, Write(1)), (2, 3, Read(0)), (50, 51, Read(1))];
        let never = [(1, 0, Write(1)), (50, 51, Read(0))];
        assert_eq!(check(&late), Verdict::Linearizable);
        assert_eq!(check(&never), Verdict::Linearizable);
        let undone = [(1, 0, Write(1)), (2, 3, Read(1)), (50, 51, Read(0))];
        assert_eq!(check(&undone), Verdict::NotLinearizable { explained: 2 });
    }

    #[test]
    fn too_many_orders_are_no_verdict() {
        let writes = (0..40).map(|value| (1, 1_000, Call::Write(value)));
        let calls: Vec<_> = writes.chain([(2_000, 2_001, Call::Read(99))]).collect();
        assert_eq!(check(&calls), Verdict::Undecided);
    }

    #[test]
    fn reads_that_overlap_do_not_multiply_the_orders() {
        use Call::{Read, Write};
        // Twenty reads of each of two writes, all at once, and one of neither afterwards.
        let reads = (0..40).map(|number| (1, 1_000, Read(1 + number % 2)));
        let writes = [(1, 900, Write(1)), (1, 900, Write(2))];
        let both: Vec<_> = reads.chain(writes).collect();
        assert_eq!(check(&both), Verdict::Linearizable);
        let stale: Vec<_> = both.into_iter().chain([(2_000, 2_001, Read(0))]).collect();
        assert_eq!(check(&stale), Verdict::NotLinearizable { explained: 42 });
    }
}
