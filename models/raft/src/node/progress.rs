//! What a leader knows of a follower.

use std::collections::VecDeque;

use longhaul_core::time::Instant;

use crate::Index;
use crate::stable::Snapshot;

/// How far a follower is, and what is on its way to it.
#[derive(Debug)]
pub(super) struct Progress {
    /// Up to here its log is this one.
    pub matched: Index,
    /// What it is sent next.
    pub next: Index,
    pub mode: Mode,
    /// When its last answer came, or when this term began.
    pub heard: Instant,
    /// The newest round of heartbeats that it has answered.
    pub answered_round: u64,
    /// It was named for not acknowledging in time, and has not been heard since.
    pub named: bool,
}

/// How a follower is being supplied.
#[derive(Debug)]
pub(super) enum Mode {
    /// It is not known where its log differs: one message at a time.
    Probing {
        /// The message is on its way.
        asked: bool,
    },
    /// One message after the other, without waiting for answers.
    Streaming {
        /// The last entry of each message on the way.
        in_flight: VecDeque<Index>,
    },
    /// What it lacks is in the snapshot alone.
    Sending(Transfer),
}

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub snapshot: Snapshot,
    pub hash: [u8; 32],
    /// Bytes that the follower has without a gap.
    pub received: u64,
    /// Bytes that were sent.
    pub sent: u64,
    /// Whether an answer has brought it forward since the last heartbeat.
    pub moved: bool,
}

impl Progress {
    /// Of a follower of which nothing is known when a leader with this log begins.
    pub fn new(next: Index, now: Instant) -> Progress {
        Progress {
            matched: Index::ZERO,
            next,
            mode: Mode::Probing { asked: false },
            heard: now,
            answered_round: 0,
            named: false,
        }
    }

    /// Its log is the leader's up to here.
    pub fn on_match(&mut self, index: Index) {
        self.matched = self.matched.max(index);
        match &mut self.mode {
            Mode::Probing { .. } => {
                self.next = self.matched.next();
                self.mode = Mode::streaming();
            }
            Mode::Streaming { in_flight } => {
                self.next = self.next.max(self.matched.next());
                while in_flight.pop_front_if(|last| *last <= index).is_some() {}
            }
            Mode::Sending(transfer) => {
                if transfer.snapshot.at.index <= self.matched {
                    self.next = self.matched.next();
                    self.mode = Mode::streaming();
                }
            }
        }
    }

    /// Its log differs at `previous`, and may agree up to the entry before `next`.
    pub fn on_difference(&mut self, previous: Index, next: Index) {
        let news = match &self.mode {
            Mode::Probing { .. } => previous == self.next.before(),
            Mode::Streaming { .. } => previous > self.matched && previous < self.next,
            Mode::Sending(_) => false,
        };
        if news {
            // `previous` itself differs, and everything up to `matched` is the same.
            self.next = next.min(previous).max(self.matched.next());
            self.mode = Mode::Probing { asked: false };
        }
    }
}

impl Mode {
    fn streaming() -> Mode {
        Mode::Streaming {
            in_flight: VecDeque::new(),
        }
    }
}

impl Transfer {
    pub fn new(snapshot: Snapshot) -> Transfer {
        Transfer {
            hash: *blake3::hash(&snapshot.data).as_bytes(),
            snapshot,
            received: 0,
            sent: 0,
            moved: true,
        }
    }

    pub fn total(&self) -> u64 {
        self.snapshot.data.len() as u64
    }
}
