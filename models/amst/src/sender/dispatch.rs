//! Which stream gets which chunk.

use bytes::Bytes;
use longhaul_core::machine::StreamId;
use longhaul_core::payload::Payload;

use super::{Phase, Sender, SenderOutput};
use crate::Priority;
use crate::outbox::Next;

impl Sender {
    /// Gives the next chunk to the stream that has waited longest for one.
    pub(super) fn dispatch(&mut self) {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return;
        }
        let Some(stream) = self.pool.first_ready() else {
            return;
        };
        let chunk_bytes = self.controller.aim().chunk_bytes;
        for priority in Priority::ALL {
            if let Ok(next) = self.outbox.next(priority, chunk_bytes) {
                return self.put(stream, next);
            }
        }
    }

    fn put(&mut self, stream: StreamId, next: Next) {
        let Next { chunk, again } = next;
        let wire_bytes = chunk.wire_bytes();
        self.note_waiting();
        let chunk_bytes = self.controller.aim().chunk_bytes;
        self.pool
            .load(self.now, stream, chunk.name(), wire_bytes, chunk_bytes);
        let (header, pieces) = chunk.to_record();
        let header = Payload::Real(Bytes::copy_from_slice(&header.to_bytes()));
        for payload in std::iter::once(header).chain(pieces.iter().cloned()) {
            self.outputs.push_back(SenderOutput::Send { stream, payload });
        }
        self.flight.launch(self.now, chunk);
        self.stats.chunks += 1;
        self.stats.wire_bytes += wire_bytes;
        self.stats.retransmitted_chunks += u64::from(again);
    }
}
