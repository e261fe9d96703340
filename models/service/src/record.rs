//! What clients and servers leave behind: events, counters, records of requests and series over time.

use longhaul_core::machine::{CloseReason, PeerId};
use longhaul_core::time::{Instant, Span};
use longhaul_resilience::{CallError, Event};
use serde::{Deserialize, Serialize};

use crate::wire::FrameError;

/// Why a connection was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum LostConnection {
    /// The transport or the peer ended it.
    Closed(CloseReason),
    /// It did not come about in time.
    ConnectTimeout,
    /// Answers were owed and nothing was heard.
    Silence,
    /// What came was not a frame, or none that a server sends.
    Unreadable(FrameError),
}

/// What happens to a caller.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum CallerEvent {
    /// A connection came about.
    Connected {
        /// To whom.
        peer: PeerId,
    },
    /// A connection was lost, or did not come about.
    Disconnected {
        /// To whom.
        peer: PeerId,
        /// Why.
        why: LostConnection,
        /// Attempts that were under way on it.
        open: u64,
    },
    /// The name was looked up.
    Resolved {
        /// The addresses.
        addresses: Vec<PeerId>,
    },
    /// The name could not be looked up.
    NameFailed,
    /// A replica is left out after failures.
    Ejected {
        /// Which one.
        peer: PeerId,
        /// For how long.
        span: Span,
    },
    /// A replica is no longer left out.
    Restored {
        /// Which one.
        peer: PeerId,
    },
    /// A replica's health changed.
    Health {
        /// Whose.
        peer: PeerId,
        /// Whether it is well now.
        healthy: bool,
    },
    /// A decision of a policy.
    Policy(Event),
}

/// Counters of a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CallerStatistics {
    /// Calls begun.
    pub calls: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Attempts begun: first ones, retries and hedges.
    pub attempts: u64,
    /// Attempts begun after an earlier one had ended.
    pub retries: u64,
    /// Attempts begun beside one that was under way.
    pub hedges: u64,
    /// Attempts that were given up because their time was over.
    pub timeouts: u64,
    /// Answers to attempts that nobody waited for any more.
    pub late_answers: u64,
    /// Those of them that were successes: work done in vain.
    pub late_successes: u64,
    /// Connections opened.
    pub connections: u64,
    /// Connections lost, or that did not come about.
    pub lost_connections: u64,
    /// Lookups that failed.
    pub failed_lookups: u64,
    /// Times that a replica was left out.
    pub ejections: u64,
    /// Times that a breaker opened, for the first time or again after a trial.
    pub breaker_openings: u64,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestResult {
    /// In time.
    Succeeded,
    /// Later than [`RequestOptions::late_after`](crate::RequestOptions::late_after).
    Late,
    /// Not with an answer that helps.
    Failed(CallError),
}

impl RequestResult {
    /// Whether it succeeded in time.
    pub fn is_good(self) -> bool {
        self == RequestResult::Succeeded
    }
}

/// A request that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Its number, from 0.
    pub number: u64,
    /// When it was to begin.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
    /// Attempts begun for it.
    pub attempts: u32,
    /// How it ended.
    pub result: RequestResult,
}

impl RequestRecord {
    /// From its begin to its end.
    pub fn latency(&self) -> Span {
        self.ended.saturating_since(self.started)
    }
}

/// Failures by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Failures {
    /// By a rate limiter.
    pub rate_limited: u64,
    /// No place in a bulkhead, or not in time.
    pub bulkhead: u64,
    /// A breaker was open.
    pub breaker_open: u64,
    /// Shed, or refused in an emergency.
    pub shed: u64,
    /// Timed out.
    pub timed_out: u64,
    /// The deadline passed.
    pub deadline: u64,
    /// The server's error, or that of one behind it.
    pub error: u64,
    /// The server had too much to do.
    pub overloaded: u64,
    /// No connection, or no address.
    pub unreachable: u64,
    /// A request that can never succeed.
    pub fatal: u64,
}

impl Failures {
    /// Counts one.
    pub(crate) fn count(&mut self, error: CallError) {
        use longhaul_resilience::Failure;
        let place = match error {
            CallError::RateLimited => &mut self.rate_limited,
            CallError::BulkheadFull | CallError::BulkheadTimeout => &mut self.bulkhead,
            CallError::BreakerOpen => &mut self.breaker_open,
            CallError::Shed | CallError::Emergency => &mut self.shed,
            CallError::TimedOut { .. } => &mut self.timed_out,
            CallError::DeadlineExceeded { .. } | CallError::Cancelled { .. } => &mut self.deadline,
            CallError::RetriesExhausted { last: failure, .. } | CallError::Failed { failure, .. } => {
                match failure {
                    Failure::Error => &mut self.error,
                    Failure::Overloaded => &mut self.overloaded,
                    Failure::Unreachable => &mut self.unreachable,
                    Failure::Fatal => &mut self.fatal,
                }
            }
        };
        *place += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        let refused = self.rate_limited + self.bulkhead + self.breaker_open + self.shed;
        let answered = self.error + self.overloaded + self.unreachable + self.fatal;
        refused + answered + self.timed_out + self.deadline
    }
}

/// Counters of a client. Every request that was started is one of succeeded, late, failed and in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClientStatistics {
    /// Requests begun.
    pub started: u64,
    /// Those that succeeded in time.
    pub succeeded: u64,
    /// Those that succeeded too late.
    pub late: u64,
    /// Those that failed.
    pub failures: Failures,
    /// Those under way.
    pub in_flight: u64,
    /// Attempts, connections and names.
    pub caller: CallerStatistics,
}

/// One interval of a client's series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Interval {
    /// Requests that began in it.
    pub started: u64,
    /// Requests that succeeded in it, in time: the goodput.
    pub succeeded: u64,
    /// Requests that succeeded in it, too late.
    pub late: u64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Attempts that began in it.
    pub attempts: u64,
}

/// A client's series: what happened in each interval of its life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Length of an interval.
    pub interval: Span,
    /// One after the other from the start of the run; those in which nothing happened at the end are missing.
    pub intervals: Vec<Interval>,
}

impl Series {
    /// Empty.
    pub fn new(interval: Span) -> Series {
        Series {
            interval,
            intervals: Vec::new(),
        }
    }

    /// The interval that a time falls into.
    pub(crate) fn at(&mut self, now: Instant) -> &mut Interval {
        // A run of 2^64 ns has as many intervals as fit into memory, or fails for want of it.
        let index = (now.as_ns() / self.interval.as_ns()) as usize;
        if index >= self.intervals.len() {
            self.intervals.resize(index + 1, Interval::default());
        }
        &mut self.intervals[index]
    }
}

/// Why a server's process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Death {
    /// Killed.
    Crash,
    /// A request made it panic.
    Panic,
    /// Out of memory.
    OutOfMemory,
}

/// What happens to a server.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum ServerEvent {
    /// The process ended.
    Died {
        /// Why.
        why: Death,
        /// Requests that waited and are lost.
        queued: u64,
        /// Requests that were worked on and are lost.
        running: u64,
    },
    /// The process has started again.
    Started,
    /// A connection carried what is not a frame, or none that a caller sends.
    Unreadable(FrameError),
    /// Something happened between it and a service behind it.
    Behind {
        /// Which service.
        service: u16,
        /// What.
        event: CallerEvent,
    },
    /// Memory became scarce enough to slow it down, or no longer is.
    Pressure {
        /// Whether it is.
        under_pressure: bool,
    },
}

/// Counters of a server.
///
/// Each request that came was refused, a duplicate, swallowed by a gray failure, or accepted. Each that was accepted
/// waits, is worked on, was answered, was cancelled, or was lost when the process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServerStatistics {
    /// Requests that came.
    pub received: u64,
    /// Refused by the admission or for want of a place in the queue.
    pub refused: u64,
    /// Duplicates of an idempotent request whose result was known, or that is still worked on.
    pub duplicates: u64,
    /// Swallowed by a gray failure.
    pub swallowed: u64,
    /// Taken in.
    pub accepted: u64,
    /// Those that wait now.
    pub queued: u64,
    /// Those that are worked on now.
    pub running: u64,
    /// Done with an answer, good or bad.
    pub answered: u64,
    /// Answered well.
    pub succeeded: u64,
    /// Given up because nobody waited any more.
    pub cancelled: u64,
    /// Lost when the process ended.
    pub lost: u64,
    /// Of the answered ones, those thrown out of the queue because they waited too long.
    pub dropped: u64,
    /// Of the answered ones, those thrown out of the queue because their deadline was over.
    pub expired: u64,
    /// Requests on which work was begun.
    pub begun: u64,
    /// Those of them on which work had been begun before, in an earlier attempt: done more than once.
    pub repeated: u64,
    /// Of the answered ones, those that were worked on although their deadline was over or their connection gone.
    pub in_vain: u64,
    /// Times that the process ended.
    pub deaths: u64,
    /// The most that ever waited.
    pub longest_queue: u64,
    /// Sum over accepted requests of the time in the queue.
    pub waited: Span,
    /// Work done: time of one core at full speed.
    pub worked: Span,
}

impl ServerStatistics {
    /// Whether every request is accounted for exactly once.
    pub fn is_conserved(&self) -> bool {
        let came = self.refused + self.duplicates + self.swallowed + self.accepted;
        let went = self.queued + self.running + self.answered + self.cancelled + self.lost;
        self.received == came && self.accepted == went
    }
}
