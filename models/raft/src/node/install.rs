//! Following: a snapshot from a leader, for a log that lacks what the leader has forgotten (paper, section 7).

use longhaul_core::time::Instant;

use super::{Node, Output};
use crate::event::Refusal;
use crate::log::{Log, Mark};
use crate::message::{Body, Chunk, Outcome};
use crate::stable::Snapshot;
use crate::{Event, NodeId, Term};

/// A snapshot of which something has arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    term: Term,
    at: Mark,
    total: u64,
    hash: [u8; 32],
    data: Vec<u8>,
}

impl Incoming {
    /// The term of the leader that sends it.
    pub fn term(&self) -> Term {
        self.term
    }

    fn is_of(&self, chunk: &Chunk) -> bool {
        (self.at, self.total, self.hash) == (chunk.at, chunk.total, chunk.hash)
    }
}

impl Node {
    pub(super) fn on_chunk(&mut self, from: NodeId, chunk: &Chunk) {
        if chunk.at.index <= self.commit {
            // It has all of that, and the leader has what it has.
            return self.answer_append(from, chunk.round, Outcome::Matches(self.commit));
        }
        if chunk.at.term > self.hard.term {
            return self.refuse(from, Refusal::Nonexistent);
        }
        if chunk.total > self.config.max_snapshot_bytes {
            return self.refuse(from, Refusal::SnapshotTooLong);
        }
        let begun = self.incoming.take().filter(|incoming| incoming.is_of(chunk));
        let mut incoming = begun.unwrap_or_else(|| Incoming {
            term: self.hard.term,
            at: chunk.at,
            total: chunk.total,
            hash: chunk.hash,
            data: Vec::new(),
        });
        if chunk.offset == incoming.data.len() as u64 {
            incoming.data.extend_from_slice(&chunk.data);
        }
        let received = incoming.data.len() as u64;
        if received < incoming.total {
            self.incoming = Some(incoming);
            let index = chunk.at.index;
            self.send_when_durable(from, Body::SnapshotAnswer { index, received });
        } else if *blake3::hash(&incoming.data).as_bytes() == incoming.hash {
            let snapshot = Snapshot {
                at: incoming.at,
                data: incoming.data.into(),
            };
            self.offered = Some((from, chunk.round, snapshot.clone()));
            self.outputs.push_back(Output::Offer { from, snapshot });
        } else {
            self.refuse(from, Refusal::SnapshotHash);
        }
    }

    /// The state was replaced by the snapshot that was offered last.
    pub fn install(&mut self, now: Instant) {
        self.advance(now);
        let Some((from, round, snapshot)) = self.offered.take() else {
            return;
        };
        let at = snapshot.at;
        self.replace_snapshot(snapshot);
        if self.log.mark(at.index) == Some(at) {
            self.compact_log(at.index);
        } else {
            self.log = Log::after(at);
            self.writes.stage_reset(at);
        }
        self.commit = self.commit.max(at.index);
        self.delivered = at.index;
        self.event(Event::Restored { index: at.index });
        self.answer_append(from, round, Outcome::Matches(at.index));
        self.finish();
    }
}
