//! What is still to be sent, in which order, and what the window allows of it.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::payload::PayloadBuffer;

use crate::chunk::{Chunk, cut};
use crate::record::{ChunkName, HEADER_BYTES};
use crate::{MessageId, PushError, SenderOptions};

/// A message that is not completely acknowledged, or follows such a one.
#[derive(Debug)]
struct Message {
    unacknowledged_bytes: u64,
    /// What it occupies of the window.
    sent_wire_bytes: u64,
}

/// Chunks on their way from the application to the streams.
///
/// The window cannot lock up: a message is taken only if it fits, chunks leave in order, and so as long as the
/// oldest message is not completely sent, nothing but itself occupies the window.
#[derive(Debug)]
pub(crate) struct Outbox {
    chunk_bytes: u32,
    window_bytes: u64,
    /// Chunks never sent, in order.
    queue: VecDeque<Chunk>,
    queued_wire_bytes: u64,
    /// Chunks of lost streams; they go first, oldest first, and already count in the window.
    requeued: BTreeMap<ChunkName, Chunk>,
    requeued_wire_bytes: u64,
    /// From the oldest message that is not completely acknowledged to the newest.
    messages: VecDeque<Message>,
    next_message: u64,
    window_used: u64,
}

/// A chunk that may be sent now.
pub(crate) struct Next {
    pub chunk: Chunk,
    pub again: bool,
}

impl Outbox {
    pub fn new(options: &SenderOptions) -> Outbox {
        Outbox {
            chunk_bytes: options.chunk_bytes,
            window_bytes: options.window_bytes,
            queue: VecDeque::new(),
            queued_wire_bytes: 0,
            requeued: BTreeMap::new(),
            requeued_wire_bytes: 0,
            messages: VecDeque::new(),
            next_message: 0,
            window_used: 0,
        }
    }

    /// Bytes with headers that were never put on a stream.
    pub fn queued_wire_bytes(&self) -> u64 {
        self.queued_wire_bytes
    }

    /// Bytes with headers that wait to be put on a stream, for the first time or again.
    pub fn waiting_wire_bytes(&self) -> u64 {
        self.queued_wire_bytes + self.requeued_wire_bytes
    }

    /// Bytes of messages that the receiver is not known to have.
    pub fn unacknowledged_bytes(&self) -> u64 {
        self.messages
            .iter()
            .map(|message| message.unacknowledged_bytes)
            .sum()
    }

    /// Whether every message is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn push(&mut self, content: PayloadBuffer) -> Result<MessageId, PushError> {
        let unacknowledged_bytes = content.len();
        if unacknowledged_bytes == 0 {
            return Err(PushError::Empty);
        }
        let minimum = unacknowledged_bytes.saturating_add(u64::from(HEADER_BYTES));
        if minimum > self.window_bytes {
            // Refused before cutting: a synthetic message of any length is cheap to make.
            return Err(PushError::LongerThanWindow { wire_bytes: minimum });
        }
        let id = self.next_message;
        let chunks = cut(id, content, self.chunk_bytes);
        let wire_bytes = chunks.iter().map(Chunk::wire_bytes).sum();
        if wire_bytes > self.window_bytes {
            return Err(PushError::LongerThanWindow { wire_bytes });
        }
        self.next_message += 1;
        self.queued_wire_bytes += wire_bytes;
        self.queue.extend(chunks);
        self.messages.push_back(Message {
            unacknowledged_bytes,
            sent_wire_bytes: 0,
        });
        Ok(MessageId(id))
    }

    /// Takes out the next chunk, if there is one and the window has room for it.
    pub fn next(&mut self) -> Option<Next> {
        if let Some((_, chunk)) = self.requeued.pop_first() {
            self.requeued_wire_bytes -= chunk.wire_bytes();
            return Some(Next { chunk, again: true });
        }
        let wire_bytes = self.queue.front()?.wire_bytes();
        if self.window_used + wire_bytes > self.window_bytes {
            return None;
        }
        let chunk = self.queue.pop_front()?;
        self.window_used += wire_bytes;
        self.queued_wire_bytes -= wire_bytes;
        self.message(chunk.message).sent_wire_bytes += wire_bytes;
        Some(Next { chunk, again: false })
    }

    /// Takes back chunks whose stream is lost.
    pub fn requeue(&mut self, chunks: BTreeMap<ChunkName, Chunk>) {
        self.requeued_wire_bytes += chunks.values().map(Chunk::wire_bytes).sum::<u64>();
        self.requeued.extend(chunks);
    }

    /// The receiver has this chunk, which was out on a stream. Whether it has the whole message with it.
    pub fn acknowledge(&mut self, chunk: &Chunk) -> bool {
        let message = self.message(chunk.message);
        message.unacknowledged_bytes -= u64::from(chunk.name().length);
        let complete = message.unacknowledged_bytes == 0;
        while let Some(oldest) = self.messages.front()
            && oldest.unacknowledged_bytes == 0
        {
            self.window_used -= oldest.sent_wire_bytes;
            self.messages.pop_front();
        }
        complete
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.requeued.clear();
        self.messages.clear();
        self.queued_wire_bytes = 0;
        self.requeued_wire_bytes = 0;
        self.window_used = 0;
    }

    /// A message that is not completely acknowledged.
    fn message(&mut self, id: u64) -> &mut Message {
        let oldest = self.next_message - self.messages.len() as u64;
        &mut self.messages[(id - oldest) as usize]
    }
}
