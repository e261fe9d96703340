//! What came of idempotent requests, so that a duplicate is answered without being done again.

use std::collections::{BTreeMap, VecDeque};

/// A request, by its origin and its number.
pub(crate) type RequestId = (u32, u64);

/// What is known of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Result {
    /// This job works on it, or will.
    Pending(u32),
    /// It was done.
    Done,
}

/// See the module. Bounded: the oldest results are forgotten.
pub(crate) struct Results {
    limit: usize,
    known: BTreeMap<RequestId, Result>,
    done: VecDeque<RequestId>,
}

impl Results {
    pub fn new(limit: u32) -> Results {
        Results {
            limit: limit as usize,
            known: BTreeMap::new(),
            done: VecDeque::new(),
        }
    }

    /// Whether anything is remembered at all.
    pub fn is_on(&self) -> bool {
        self.limit > 0
    }

    pub fn get(&self, id: RequestId) -> Option<Result> {
        self.known.get(&id).copied()
    }

    /// A job has it.
    pub fn begin(&mut self, id: RequestId, job: u32) {
        self.known.insert(id, Result::Pending(job));
    }

    /// It was done, or will not be.
    pub fn end(&mut self, id: RequestId, done: bool) {
        if !done {
            self.known.remove(&id);
            return;
        }
        self.known.insert(id, Result::Done);
        self.done.push_back(id);
        if self.done.len() > self.limit
            && let Some(oldest) = self.done.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.done.clear();
    }
}
