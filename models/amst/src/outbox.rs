//! What is still to be sent, in which order, and what the windows allow of it.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::payload::{Payload, PayloadBuffer};

use crate::chunk::{Chunk, Cutter};
use crate::record::{ChunkName, HEADER_BYTES};
use crate::{CONTROL_WINDOW_BYTES, MessageId, Priority, PushError, SenderOptions};

/// Chunks on their way from the application to the streams, control first.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// In the order of [`Priority::ALL`].
    lanes: [Lane; 2],
}

/// A chunk that may be sent now.
pub(crate) struct Next {
    pub chunk: Chunk,
    pub again: bool,
}

/// What stands in the way of the next chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// There is none to send.
    Empty,
    /// The window is full.
    Window,
}

/// The messages of one priority.
///
/// The window cannot lock up: a message is taken only if it fits, chunks leave in order, and so as long as the
/// oldest message is not completely sent, nothing but itself occupies the window.
#[derive(Debug)]
struct Lane {
    priority: Priority,
    least_chunk_bytes: u32,
    window_bytes: u64,
    window_used: u64,
    /// Messages not completely cut, in order.
    uncut: VecDeque<Cutter>,
    /// The next chunk, for which the window had no room.
    cut: Option<Chunk>,
    /// Bytes of both.
    queued_bytes: u64,
    /// Chunks of lost streams; they go first, oldest first, and already count in the window.
    requeued: BTreeMap<ChunkName, Chunk>,
    requeued_bytes: u64,
    /// From the oldest message that is not completely acknowledged to the newest.
    messages: VecDeque<Message>,
    next_message: u64,
}

/// A message that is not completely acknowledged, or follows such a one.
#[derive(Debug)]
struct Message {
    unacknowledged_bytes: u64,
    /// What it occupies of the window.
    sent_wire_bytes: u64,
}

impl Outbox {
    pub fn new(options: &SenderOptions) -> Outbox {
        let least_chunk_bytes = options.chunk_range().0;
        let lane = |priority, window_bytes| Lane {
            priority,
            least_chunk_bytes,
            window_bytes,
            window_used: 0,
            uncut: VecDeque::new(),
            cut: None,
            queued_bytes: 0,
            requeued: BTreeMap::new(),
            requeued_bytes: 0,
            messages: VecDeque::new(),
            next_message: 0,
        };
        Outbox {
            lanes: Priority::ALL.map(|priority| match priority {
                Priority::Control => lane(priority, CONTROL_WINDOW_BYTES),
                Priority::Bulk => lane(priority, options.window_bytes),
            }),
        }
    }

    /// Bytes of messages of a priority that were never put on a stream.
    pub fn queued_bytes(&self, priority: Priority) -> u64 {
        self.lanes[priority as usize].queued_bytes
    }

    /// Bytes of messages that wait to be put on a stream, for the first time or again.
    pub fn waiting_bytes(&self) -> u64 {
        let waiting = |lane: &Lane| lane.queued_bytes + lane.requeued_bytes;
        self.lanes.iter().map(waiting).sum()
    }

    /// Bytes of messages that the receiver is not known to have.
    pub fn unacknowledged_bytes(&self) -> u64 {
        let messages = self.lanes.iter().flat_map(|lane| &lane.messages);
        messages.map(|message| message.unacknowledged_bytes).sum()
    }

    /// Whether every message is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.lanes.iter().all(|lane| lane.messages.is_empty())
    }

    pub fn push(&mut self, content: PayloadBuffer, priority: Priority) -> Result<MessageId, PushError> {
        self.lanes[priority as usize].push(content)
    }

    /// Takes out the next chunk of a priority, of `chunk_bytes` unless it was cut before.
    pub fn next(&mut self, priority: Priority, chunk_bytes: u32) -> Result<Next, Obstacle> {
        self.lanes[priority as usize].next(chunk_bytes)
    }

    /// What stands in the way of the next chunk, if something does.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let mut obstacles = self.lanes.iter().map(Lane::obstacle);
        let control = obstacles.next().flatten()?;
        let bulk = obstacles.next().flatten()?;
        Some(if control == Obstacle::Window {
            control
        } else {
            bulk
        })
    }

    /// Takes back a chunk whose stream is lost.
    pub fn requeue(&mut self, chunk: Chunk) {
        let lane = &mut self.lanes[chunk.message.priority as usize];
        lane.requeued_bytes += chunk.wire_bytes();
        lane.requeued.insert(chunk.name(), chunk);
    }

    /// The receiver has this chunk, which was out on a stream. Whether it has the whole message with it.
    pub fn acknowledge(&mut self, chunk: &Chunk) -> bool {
        self.lanes[chunk.message.priority as usize].acknowledge(chunk)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        for lane in &mut self.lanes {
            lane.uncut.clear();
            lane.cut = None;
            lane.requeued.clear();
            lane.messages.clear();
            lane.queued_bytes = 0;
            lane.requeued_bytes = 0;
            lane.window_used = 0;
        }
    }
}

impl Lane {
    fn push(&mut self, content: PayloadBuffer) -> Result<MessageId, PushError> {
        let bytes = content.len();
        if bytes == 0 {
            return Err(PushError::Empty);
        }
        // The most that it can take of the window: in the smallest chunks, and with one more wherever real bytes
        // follow synthetic ones.
        let chunks = bytes.div_ceil(u64::from(self.least_chunk_bytes));
        let chunks = chunks.saturating_add(breaks(&content));
        let wire_bytes = bytes.saturating_add(chunks.saturating_mul(u64::from(HEADER_BYTES)));
        if wire_bytes > self.window_bytes {
            return Err(PushError::LongerThanWindow { wire_bytes });
        }
        let id = MessageId {
            priority: self.priority,
            number: self.next_message,
        };
        self.next_message += 1;
        self.queued_bytes += bytes;
        self.uncut.push_back(Cutter::new(id, content));
        self.messages.push_back(Message {
            unacknowledged_bytes: bytes,
            sent_wire_bytes: 0,
        });
        Ok(id)
    }

    fn next(&mut self, chunk_bytes: u32) -> Result<Next, Obstacle> {
        if let Some((_, chunk)) = self.requeued.pop_first() {
            self.requeued_bytes -= chunk.wire_bytes();
            return Ok(Next { chunk, again: true });
        }
        let chunk = self.cut.take().or_else(|| self.cut_next(chunk_bytes));
        let chunk = chunk.ok_or(Obstacle::Empty)?;
        let wire_bytes = chunk.wire_bytes();
        if self.window_used + wire_bytes > self.window_bytes {
            self.cut = Some(chunk);
            return Err(Obstacle::Window);
        }
        self.window_used += wire_bytes;
        self.queued_bytes -= u64::from(chunk.name().length);
        self.message(chunk.message.number).sent_wire_bytes += wire_bytes;
        Ok(Next { chunk, again: false })
    }

    fn cut_next(&mut self, chunk_bytes: u32) -> Option<Chunk> {
        let cutter = self.uncut.front_mut()?;
        let chunk = cutter.cut(chunk_bytes);
        if cutter.left() == 0 {
            self.uncut.pop_front();
        }
        chunk
    }

    fn obstacle(&self) -> Option<Obstacle> {
        if !self.requeued.is_empty() {
            None
        } else if self.cut.is_some() {
            // It is kept only for want of room.
            let room = self.window_bytes - self.window_used;
            let needed = self.cut.as_ref().map_or(0, Chunk::wire_bytes);
            (needed > room).then_some(Obstacle::Window)
        } else if self.uncut.is_empty() {
            Some(Obstacle::Empty)
        } else {
            None
        }
    }

    fn acknowledge(&mut self, chunk: &Chunk) -> bool {
        let message = self.message(chunk.message.number);
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

    /// A message that is not completely acknowledged.
    fn message(&mut self, number: u64) -> &mut Message {
        let oldest = self.next_message - self.messages.len() as u64;
        &mut self.messages[(number - oldest) as usize]
    }
}

/// How often real bytes follow synthetic ones.
fn breaks(content: &PayloadBuffer) -> u64 {
    let mut after_synthetic = false;
    let mut breaks = 0;
    for piece in content.iter() {
        match piece {
            Payload::Real(_) => breaks += u64::from(std::mem::take(&mut after_synthetic)),
            Payload::Synthetic(_) => after_synthetic = true,
        }
    }
    breaks
}
