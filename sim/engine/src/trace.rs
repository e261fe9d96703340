//! What was scheduled, executed and cancelled, and what caused it.
//!
//! The event being handled is the cause of everything scheduled meanwhile; what is scheduled from outside the
//! run loop has the cause [`EventId::SETUP`].

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;

use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

use crate::engine::Event;

/// Is told what the engine does. Must not influence the run: it sees events, and no door to the engine.
pub trait TraceSink: Any + Send {
    /// `cause` scheduled `event` at the instant `now`.
    fn scheduled(&mut self, event: &Event, cause: EventId, now: Instant);
    /// `event` was handled, as number `index` of the run counted from 0; `digest` is that of the run
    /// afterwards, with everything the world mixed in.
    fn executed(&mut self, event: &Event, index: u64, digest: u64);
    /// `cause` took the timer `event` back at the instant `now`.
    fn cancelled(&mut self, event: EventId, cause: EventId, now: Instant);
}

/// An executed event with its cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceRecord {
    /// Its place in the run, counted from 0.
    pub index: u64,
    /// When it was executed.
    pub at: Instant,
    /// Its identity.
    pub id: EventId,
    /// Who handled it.
    pub target: EntityId,
    /// What it was about.
    pub token: u32,
    /// The event that scheduled it.
    pub cause: EventId,
    /// The digest of the run after it.
    pub digest: u64,
}

/// `event 17 at 3000000 ns: Arrival#12.3456 for 4, token 9, caused by setup, digest 00ff…`.
impl std::fmt::Display for TraceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "event {} at {} ns: {} for {}, token {}, caused by {}, digest {:016x}",
            self.index,
            self.at.as_ns(),
            self.id,
            self.target.index(),
            self.token,
            self.cause,
            self.digest
        )
    }
}

/// Keeps the executed events of a window of indices. Use it from the start of the run, since the cause of an
/// event is known when it is scheduled: its memory is that of the window and of the events pending.
#[derive(Debug)]
pub struct Recorder {
    window: Range<u64>,
    causes: BTreeMap<EventId, EventId>,
    records: Vec<TraceRecord>,
}

impl Recorder {
    /// Will keep the events whose index lies in `window`.
    pub fn new(window: Range<u64>) -> Recorder {
        Recorder {
            window,
            causes: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// What was kept, in the order of execution.
    pub fn records(&self) -> &[TraceRecord] {
        &self.records
    }
}

impl TraceSink for Recorder {
    fn scheduled(&mut self, event: &Event, cause: EventId, _now: Instant) {
        self.causes.insert(event.id, cause);
    }

    fn executed(&mut self, event: &Event, index: u64, digest: u64) {
        let cause = self
            .causes
            .remove(&event.id)
            .expect("a recorder sees every event from the start of the run");
        if self.window.contains(&index) {
            self.records.push(TraceRecord {
                index,
                at: event.at,
                id: event.id,
                target: event.target,
                token: event.token,
                cause,
                digest,
            });
        }
    }

    fn cancelled(&mut self, event: EventId, _cause: EventId, _now: Instant) {
        self.causes.remove(&event);
    }
}
