//! Which stream gets which chunk, and when.

use bytes::Bytes;
use longhaul_core::machine::StreamId;
use longhaul_core::payload::Payload;
use longhaul_core::time::Instant;

use super::{Phase, Sender, SenderOutput};
use crate::Priority;
use crate::chunk::Chunk;
use crate::outbox::{Next, Obstacle};
use crate::record::ChunkName;

/// Of so many bytes one may be a copy of a chunk that is late, where the path is full or nobody knows: there, waiting is
/// cheaper than doubling what waits in a queue.
const RESCUE_SHARE: u64 = 100;
/// And where no queue stands, so that a copy takes nobody's place.
const FREE_RESCUE_SHARE: u64 = 8;
/// So many bytes may be copies whatever the share: the first messages are small, and everything waits for them.
const SMALL_BYTES: u64 = 16 << 10;

impl Sender {
    /// Gives the next chunk to the stream that has waited longest for one, or a late one once more.
    pub(super) fn dispatch(&mut self) {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return;
        }
        let chunk_bytes = self.controller.aim().chunk_bytes;
        if let Some(stream) = self.pool.soonest()
            && let Ok(next) = self.outbox.next(Priority::Control, chunk_bytes)
        {
            return self.put(stream, next);
        }
        let Some(stream) = self.pool.first_ready() else {
            return;
        };
        if self.pace.next(self.now).is_some() {
            return;
        }
        if self.rescue() {
            return;
        }
        if let Ok(next) = self.outbox.next(Priority::Bulk, chunk_bytes) {
            self.put(stream, next);
        }
    }

    /// When the pace lets the next chunk go, if one waits for that.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.pool.first_ready()?;
        let waits = self.outbox.obstacle().is_none();
        self.pace.next(self.now).filter(|_| waits)
    }

    /// The chunk that would be sent once more, on which stream, and when it is late enough for that: its own stream may
    /// have stalled, and others wait for it. Copies stay within a share of all that was sent.
    pub(super) fn next_rescue(&self) -> Option<(ChunkName, StreamId, Instant)> {
        let chunk = u64::from(self.controller.aim().chunk_bytes);
        let copies = self.rescued_bytes.saturating_add(chunk);
        let share = match self.controller.path_is_free() {
            true => FREE_RESCUE_SHARE,
            false => RESCUE_SHARE,
        };
        let within_share = copies <= self.stats.wire_bytes / share;
        if !within_share && self.rescued_bytes >= SMALL_BYTES {
            return None;
        }
        let waits = match self.outbox.obstacle() {
            Some(Obstacle::Window) => true,
            Some(Obstacle::Empty) => self.phase == Phase::Finished,
            None => false,
        };
        let (stream, patience) = if waits {
            // All that is left waits for it: late is what another stream would have brought by now.
            let (stream, latency) = self.pool.quickest_ready()?;
            let round_trip = self.controller.round_trip();
            (stream, latency.max(round_trip).saturating_mul(3) / 2)
        } else {
            let idle = self.outbox.obstacle().is_some();
            (self.pool.first_ready()?, self.latency.late_after(idle)?)
        };
        let (name, sent_at) = self.flight.oldest(|name| !self.pool.carries(stream, name))?;
        if !within_share && self.rescued_bytes + self.flight.wire_bytes(name) > SMALL_BYTES {
            return None;
        }
        // Copies keep to the pace as well.
        let released = self.pace.next(self.now).unwrap_or(self.now);
        let late_at = sent_at.saturating_add(patience);
        Some((name, stream, if late_at > self.now { late_at } else { released }))
    }

    /// Sends a chunk that is late once more; whether there was one.
    fn rescue(&mut self) -> bool {
        let Some((name, stream, _)) = self.next_rescue().filter(|&(_, _, late_at)| late_at <= self.now)
        else {
            return false;
        };
        let (_, pieces) = record(self.flight.again(self.now, name));
        self.pace.spend(self.now, pieces.iter().map(Payload::len).sum());
        self.rescued_bytes += pieces.iter().map(Payload::len).sum::<u64>();
        self.load(stream, name, pieces);
        self.stats.rescued_chunks += 1;
        true
    }

    fn put(&mut self, stream: StreamId, next: Next) {
        let Next { chunk, again } = next;
        self.note_waiting();
        if chunk.is_bulk() {
            self.pace.spend(self.now, chunk.wire_bytes());
        }
        self.stats.retransmitted_chunks += u64::from(again);
        let (name, pieces) = record(&chunk);
        self.load(stream, name, pieces);
        self.flight.launch(self.now, chunk);
    }

    fn load(&mut self, stream: StreamId, name: ChunkName, pieces: Vec<Payload>) {
        let wire_bytes = pieces.iter().map(Payload::len).sum();
        let chunk_bytes = self.controller.aim().chunk_bytes;
        self.pool.load(self.now, stream, name, wire_bytes, chunk_bytes);
        for payload in pieces {
            self.outputs.push_back(SenderOutput::Send { stream, payload });
        }
        self.stats.chunks += 1;
        self.stats.wire_bytes += wire_bytes;
    }
}

/// The record that carries a chunk, piece by piece.
fn record(chunk: &Chunk) -> (ChunkName, Vec<Payload>) {
    let (header, pieces) = chunk.to_record();
    let header = Payload::Real(Bytes::copy_from_slice(&header.to_bytes()));
    let pieces = std::iter::once(header).chain(pieces.iter().cloned());
    (chunk.name(), pieces.collect())
}
