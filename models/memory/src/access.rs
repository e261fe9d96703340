//! The accesses of one virtual processor, in its own time.

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::locality::{Chooser, Locality, WorkingSet};

/// How a guest reads its memory. Reads matter to a guest that runs while pages are missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadOptions {
    /// Mean page reads per second of all virtual processors, at most [`MAX_PAGES_PER_S`](crate::MAX_PAGES_PER_S).
    pub pages_per_s: u64,
    /// Share of the pages that is ever read; unless zero, at least one page is.
    pub working_set: Probability,
    /// Which of them.
    pub locality: Locality,
}

impl ReadOptions {
    /// No reads.
    pub const NONE: ReadOptions = ReadOptions {
        pages_per_s: 0,
        working_set: Probability::ONE,
        locality: Locality::Uniform,
    };
}

/// A page is touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Access {
    /// The processor's own time.
    pub guest_ns: u64,
    pub page: u64,
    pub write: bool,
}

/// What a processor does to the memory by itself, in the order of its time.
pub(crate) trait Accesses {
    /// The next one.
    fn peek(&mut self) -> Option<Access>;
    /// It has happened.
    fn advance(&mut self);
    /// When the next one is due, without drawing where it falls.
    fn next_ns(&self) -> Option<u64>;
}

/// Accesses of one kind at the moments of a Poisson process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    stream: Stream,
    set: WorkingSet,
    chooser: Option<Chooser>,
    write: bool,
    mean_ns: f64,
    /// The next one; `u64::MAX` for never.
    next_ns: u64,
    /// Where it falls, once somebody has asked.
    page: Option<u64>,
    /// What rounding `next_ns` down has left, in [0, 1): carried over, so that the rate does not drift.
    remainder_ns: f64,
}

impl Process {
    /// A process of `per_s` accesses per second, shared evenly by `turns` processors, of which this is number `turn`.
    /// It begins at `start_ns`.
    pub(crate) fn new(
        per_s: u64,
        set: WorkingSet,
        locality: Locality,
        (turn, turns): (u32, u32),
        write: bool,
        start_ns: u64,
        stream: Stream,
    ) -> Process {
        let never = per_s == 0 || set.size() == 0;
        let mut process = Process {
            stream,
            set,
            chooser: (!never).then(|| Chooser::new(locality, set.size(), turn, turns)),
            write,
            mean_ns: 1e9 / per_s as f64 * f64::from(turns),
            next_ns: if never { u64::MAX } else { start_ns },
            page: None,
            remainder_ns: 0.0,
        };
        process.schedule();
        process
    }

    fn schedule(&mut self) {
        if self.next_ns == u64::MAX {
            return;
        }
        let gap = self.remainder_ns + self.stream.exponential(self.mean_ns);
        // An exponential of 52 bits is at most 37 means: hours at the rates allowed.
        let whole = gap as u64;
        self.remainder_ns = gap - whole as f64;
        self.next_ns = self.next_ns.saturating_add(whole);
    }
}

impl Accesses for Process {
    fn peek(&mut self) -> Option<Access> {
        let chooser = self.chooser.as_mut().filter(|_| self.next_ns != u64::MAX)?;
        let page = match self.page {
            Some(page) => page,
            None => *self.page.insert(self.set.page(chooser.draw(&mut self.stream))),
        };
        Some(Access {
            guest_ns: self.next_ns,
            page,
            write: self.write,
        })
    }

    fn advance(&mut self) {
        // Drawn even if nobody has looked, so that what follows does not depend on who did.
        let _ = self.peek();
        self.page = None;
        self.schedule();
    }

    fn next_ns(&self) -> Option<u64> {
        (self.next_ns != u64::MAX).then_some(self.next_ns)
    }
}

/// Two kinds of accesses in one order; of two at the same time, a write comes first.
pub(crate) struct Merged<'a, W> {
    pub writes: &'a mut W,
    pub reads: &'a mut Process,
}

impl<W: Accesses> Merged<'_, W> {
    /// Takes out the next one.
    pub(crate) fn take(&mut self) -> Option<Access> {
        let write = self.writes.next_ns().unwrap_or(u64::MAX);
        let read = self.reads.next_ns().unwrap_or(u64::MAX);
        if write <= read {
            let access = self.writes.peek();
            if access.is_some() {
                self.writes.advance();
            }
            access
        } else {
            let access = self.reads.peek();
            self.reads.advance();
            access
        }
    }
}
