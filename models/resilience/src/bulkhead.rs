//! The bulkhead: so many calls at once, and so many more that wait.

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};

use crate::check::{COUNT_MAX, Check, FieldError};

/// How a bulkhead works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkheadConfig {
    /// How many calls run at once; 1 to 10^6.
    pub permits: u32,
    /// How many more wait, first come, first served; up to 10^6. A call leaves the queue when it starts.
    pub queue: u32,
    /// The longest wait; above zero. Without it calls wait for as long as their own time limits let them.
    pub wait: Option<Span>,
}

impl BulkheadConfig {
    /// Permits and no queue.
    pub const fn semaphore(permits: u32) -> BulkheadConfig {
        BulkheadConfig {
            permits,
            queue: 0,
            wait: None,
        }
    }

    /// Permits, and a queue in which calls wait for at most `wait`.
    pub const fn queued(permits: u32, queue: u32, wait: Span) -> BulkheadConfig {
        BulkheadConfig {
            permits,
            queue,
            wait: Some(wait),
        }
    }

    /// Workers that take from a queue without a time limit of its own.
    pub const fn pool(workers: u32, queue: u32) -> BulkheadConfig {
        BulkheadConfig {
            permits: workers,
            queue,
            wait: None,
        }
    }

    /// # Errors
    /// No permits, a wait of zero or without a queue, and counts beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.count("permits", self.permits, COUNT_MAX);
        check.at_most("queue", self.queue, COUNT_MAX);
        if let Some(wait) = self.wait {
            check.span("wait", wait);
            if self.queue == 0 {
                check.contradiction("wait", "there is no queue to wait in");
            }
        }
        check.done()
    }
}

/// No place.
const NONE: u32 = u32::MAX;

/// A place in a queue, for as long as one waits there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u32);

/// What becomes of a newcomer.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// It runs; call [`Bulkhead::leave`] when it has ended.
    Admitted,
    /// It waits here, until `leave` names it, or [`Bulkhead::abandon`] or [`Bulkhead::expire`] takes it out.
    Queued(Place),
    /// No permit and no place.
    Full,
    /// The bulkhead takes nobody any more.
    Stopped,
}

/// One that waited and now runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// The number it came with.
    pub id: u32,
    /// How long it waited.
    pub waited: Span,
}

/// What a bulkhead has seen since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BulkheadCounters {
    /// Those that ran or run.
    pub admitted: u64,
    /// Those that found neither permit nor place, or came after the stop.
    pub rejected: u64,
    /// Those that had to wait.
    pub queued: u64,
    /// Those that left the queue without having run.
    pub abandoned: u64,
    /// Those that have run.
    pub completed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: u32,
    before: u32,
    after: u32,
    since: Instant,
}

/// A bulkhead: a semaphore with a queue, or a pool of workers. Who waits is served before who comes.
#[derive(Clone, Debug)]
pub struct Bulkhead {
    config: BulkheadConfig,
    running: u32,
    places: Vec<Waiting>,
    free: u32,
    first: u32,
    last: u32,
    waiting: u32,
    stopped: bool,
    counters: BulkheadCounters,
}

impl Bulkhead {
    /// An empty one. The configuration should have passed its check. The places of the queue are made when first used.
    pub fn new(config: &BulkheadConfig) -> Bulkhead {
        Bulkhead {
            config: *config,
            running: 0,
            places: Vec::new(),
            free: NONE,
            first: NONE,
            last: NONE,
            waiting: 0,
            stopped: false,
            counters: BulkheadCounters::default(),
        }
    }

    /// Someone comes, by a number of its own choice.
    #[inline]
    pub fn enter(&mut self, now: Instant, id: u32) -> Entry {
        if self.running < self.config.permits && !self.stopped {
            self.running += 1;
            self.counters.admitted += 1;
            return Entry::Admitted;
        }
        self.wait(now, id)
    }

    #[cold]
    fn wait(&mut self, now: Instant, id: u32) -> Entry {
        if self.stopped {
            self.counters.rejected += 1;
            return Entry::Stopped;
        }
        if self.waiting >= self.config.queue {
            self.counters.rejected += 1;
            return Entry::Full;
        }
        let waiting = Waiting {
            id,
            before: self.last,
            after: NONE,
            since: now,
        };
        let place = if self.free == NONE {
            self.places.push(waiting);
            self.places.len() as u32 - 1
        } else {
            let place = self.free;
            self.free = self.places[place as usize].after;
            self.places[place as usize] = waiting;
            place
        };
        match self.last {
            NONE => self.first = place,
            last => self.places[last as usize].after = place,
        }
        self.last = place;
        self.waiting += 1;
        self.counters.queued += 1;
        Entry::Queued(Place(place))
    }

    fn unlink(&mut self, place: u32) -> Waiting {
        let waiting = self.places[place as usize];
        match waiting.before {
            NONE => self.first = waiting.after,
            before => self.places[before as usize].after = waiting.after,
        }
        match waiting.after {
            NONE => self.last = waiting.before,
            after => self.places[after as usize].before = waiting.before,
        }
        self.places[place as usize].after = self.free;
        self.free = place;
        self.waiting -= 1;
        waiting
    }

    /// One that ran has ended; the one that has waited longest takes its permit.
    ///
    /// # Panics
    /// If nobody runs.
    #[inline]
    pub fn leave(&mut self, now: Instant) -> Option<Started> {
        assert!(self.running > 0, "nobody runs");
        self.counters.completed += 1;
        if self.first == NONE {
            self.running -= 1;
            return None;
        }
        let waiting = self.unlink(self.first);
        self.counters.admitted += 1;
        Some(Started {
            id: waiting.id,
            waited: now.saturating_since(waiting.since),
        })
    }

    /// One that waits gives up, and its number is told. The place must be one that was given out and is still waited in.
    pub fn abandon(&mut self, place: Place) -> u32 {
        self.counters.abandoned += 1;
        self.unlink(place.0).id
    }

    /// When the next one has waited for too long.
    pub fn expires_at(&self) -> Option<Instant> {
        let wait = self.config.wait?;
        (self.first != NONE).then(|| self.places[self.first as usize].since.saturating_add(wait))
    }

    /// Takes out one that has waited for the longest wait, and tells its number; call it until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        self.expires_at().filter(|at| *at <= now)?;
        Some(self.abandon(Place(self.first)))
    }

    /// Takes nobody any more. Those that wait are taken out and told, so that none of them is forgotten; those that run
    /// leave as usual.
    pub fn stop(&mut self) -> Vec<u32> {
        self.stopped = true;
        let mut waiting = Vec::new();
        while self.first != NONE {
            waiting.push(self.abandon(Place(self.first)));
        }
        waiting
    }

    /// How many run.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// The share of the permits in use.
    pub fn utilisation(&self) -> f64 {
        f64::from(self.running) / f64::from(self.config.permits)
    }

    /// The share of the queue in use; zero without a queue.
    pub fn queue_utilisation(&self) -> f64 {
        f64::from(self.waiting) / f64::from(self.config.queue.max(1))
    }

    /// What it has seen.
    pub fn counters(&self) -> BulkheadCounters {
        self.counters
    }

    /// The longest wait.
    pub(crate) fn longest_wait(&self) -> Option<Span> {
        self.config.wait
    }
}
