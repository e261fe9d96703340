//! The receiving side: acknowledgement, reassembly and delivery in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use serde::{Deserialize, Serialize};

use crate::reader::{Direction, Record, RecordReader};
use crate::reassembly::{Reassembly, Taken};
use crate::record::{self, ChunkName, HEADER_BYTES, RecordError};
use crate::{CONTROL_WINDOW_BYTES, MAX_REPLY_BYTES, MAX_STREAMS, MessageId, Priority, StreamEnd};

/// Streams that a receiver has at most. The sender may open one in place of one that it has lost before the receiver
/// hears of that.
const MOST_STREAMS: usize = 2 * MAX_STREAMS as usize;

/// How a [`Receiver`] works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReceiverOptions {
    /// The sender's window: no more bulk than this is held for reassembly, a header's length counted for every chunk.
    /// Control has its own, [`CONTROL_WINDOW_BYTES`].
    pub window_bytes: u64,
}

/// What a [`Receiver`] wants done, or reports.
#[derive(Clone, Debug)]
pub enum ReceiverOutput {
    /// Send bytes.
    Send {
        /// On which stream.
        stream: StreamId,
        /// What.
        payload: Payload,
    },
    /// Send nothing more on this stream.
    Close {
        /// Which one.
        stream: StreamId,
    },
    /// A stream ended.
    StreamEnded {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
    },
    /// The next message of its priority, complete.
    Delivered {
        /// Which one; always one more than the last of its priority.
        message: MessageId,
        /// Its content.
        content: PayloadBuffer,
    },
}

/// What a [`Receiver`] has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ReceiverStats {
    /// Messages delivered.
    pub messages: u64,
    /// Their bytes.
    pub message_bytes: u64,
    /// Chunks received, duplicates included.
    pub chunks: u64,
    /// Chunks that were already there.
    pub duplicate_chunks: u64,
    /// The most that was held for reassembly, a header's length counted for every chunk.
    pub held_bytes_max: u64,
}

#[derive(Debug)]
struct Stream {
    reader: RecordReader,
    /// Number of the event on any stream when it was heard of last.
    heard: u64,
    /// Acknowledgements to send at the next poll.
    acknowledgements: Vec<ChunkName>,
    /// Bytes that the transport has not taken over.
    untaken: u64,
}

/// The receiving side. See the [crate] documentation.
#[derive(Debug)]
pub struct Receiver {
    options: ReceiverOptions,
    streams: BTreeMap<StreamId, Stream>,
    /// Streams with acknowledgements to send, in the order in which they got them.
    acknowledging: VecDeque<StreamId>,
    /// In the order of [`Priority::ALL`].
    lanes: [Reassembly; 2],
    /// Whether bulk is kept back, and the acknowledgements of what has arrived meanwhile.
    holding: bool,
    withheld: BTreeSet<(StreamId, ChunkName)>,
    /// Pieces and streams so far.
    events: u64,
    reply: Option<Bytes>,
    /// The stream that carries the reply.
    replied_on: Option<StreamId>,
    outputs: VecDeque<ReceiverOutput>,
    stats: ReceiverStats,
}

impl Receiver {
    /// A receiver without streams.
    pub fn new(options: ReceiverOptions) -> Receiver {
        Receiver {
            options,
            streams: BTreeMap::new(),
            acknowledging: VecDeque::new(),
            lanes: Priority::ALL.map(|priority| {
                Reassembly::new(match priority {
                    Priority::Control => CONTROL_WINDOW_BYTES,
                    Priority::Bulk => options.window_bytes,
                })
            }),
            holding: false,
            withheld: BTreeSet::new(),
            events: 0,
            reply: None,
            replied_on: None,
            outputs: VecDeque::new(),
            stats: ReceiverStats::default(),
        }
    }

    /// The peer has opened a stream.
    pub fn on_accepted(&mut self, stream: StreamId) {
        if self.streams.len() >= MOST_STREAMS {
            // One whose reset was lost says nothing any more, and would stay for ever.
            let silent = self.streams.iter().min_by_key(|(_, it)| it.heard);
            let silent = *silent.expect("there are many").0;
            self.give_up(silent, StreamEnd::TooMany);
        }
        self.events += 1;
        let heard = self.events;
        self.streams.entry(stream).or_insert_with(|| Stream {
            reader: RecordReader::new(Direction::ToReceiver),
            heard,
            acknowledgements: Vec::new(),
            untaken: 0,
        });
        self.send_reply();
    }

    /// Bytes arrived from the sender. Bytes of a stream that has ended are dropped.
    pub fn on_received(&mut self, stream: StreamId, mut piece: Payload) {
        self.events += 1;
        let heard = self.events;
        while let Some(it) = self.streams.get_mut(&stream) {
            it.heard = heard;
            let chunk = match it.reader.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk,
                Err(error) => return self.refuse(stream, error),
            };
            let name = ChunkName {
                message: chunk.header.message,
                offset: chunk.header.offset,
                length: chunk.header.length,
            };
            if let Err(error) = self.on_chunk(chunk) {
                return self.refuse(stream, error);
            }
            self.acknowledge(stream, name);
        }
    }

    /// The transport took over bytes.
    ///
    /// # Panics
    /// If it took more than it was given.
    pub fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        if let Some(it) = self.streams.get_mut(&stream) {
            assert!(
                bytes <= it.untaken,
                "the driver took {bytes} of {} bytes",
                it.untaken
            );
            it.untaken -= bytes;
        }
    }

    /// The driver says that a stream is over.
    pub fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        if self.streams.contains_key(&stream) {
            // A sender that finishes a stream has all the answers it wants from it. One that failed may have
            // taken the reply with it.
            if reason == CloseReason::Finished {
                self.flush_acknowledgements();
                self.outputs.push_back(ReceiverOutput::Close { stream });
            } else if self.replied_on == Some(stream) {
                self.replied_on = None;
            }
            self.end_stream(stream, StreamEnd::Closed(reason));
        }
    }

    /// Keeps bulk back, or hands it out again: while it is kept back none is delivered or acknowledged, so the sender stops
    /// once the window is full. Control passes. Beyond the sender's patience it takes this side for silent.
    pub fn hold(&mut self, holding: bool) {
        if std::mem::replace(&mut self.holding, holding) == holding || holding {
            return;
        }
        self.deliver(Priority::Bulk);
        for (stream, name) in std::mem::take(&mut self.withheld) {
            if self.streams.contains_key(&stream) {
                self.acknowledge(stream, name);
            }
        }
    }

    /// Answers the sender, once. The reply travels on the lowest open stream; if that one fails it is sent again
    /// on the next, and the sender reports it once.
    ///
    /// # Panics
    /// At the second reply, and for a content that is empty or longer than [`MAX_REPLY_BYTES`].
    pub fn reply(&mut self, content: Bytes) {
        assert!(self.reply.is_none(), "a second reply");
        assert!(
            (1..=MAX_REPLY_BYTES as usize).contains(&content.len()),
            "a reply of {} bytes",
            content.len()
        );
        self.reply = Some(content);
        self.send_reply();
    }

    /// The next thing to do, or `None` until something happens.
    pub fn poll(&mut self) -> Option<ReceiverOutput> {
        if self.outputs.is_empty() {
            self.flush_acknowledgements();
        }
        self.outputs.pop_front()
    }

    /// Streams that have not ended.
    pub fn open_streams(&self) -> u32 {
        self.streams.len() as u32
    }

    /// What is held for reassembly, a header's length counted for every chunk. Never above both windows together.
    pub fn held_bytes(&self) -> u64 {
        self.lanes.iter().map(Reassembly::held_bytes).sum()
    }

    /// What it has done so far.
    pub fn stats(&self) -> &ReceiverStats {
        &self.stats
    }

    fn on_chunk(&mut self, chunk: Record) -> Result<(), RecordError> {
        self.stats.chunks += 1;
        let priority = MessageId::from_wire(chunk.header.message).priority;
        let lane = &mut self.lanes[priority as usize];
        if lane.take(chunk)? == Taken::Duplicate {
            self.stats.duplicate_chunks += 1;
            return Ok(());
        }
        self.stats.held_bytes_max = self.stats.held_bytes_max.max(self.held_bytes());
        self.deliver(priority);
        Ok(())
    }

    /// Hands out the messages that are next and complete.
    fn deliver(&mut self, priority: Priority) {
        if self.holding && priority == Priority::Bulk {
            return;
        }
        while let Some((number, content)) = self.lanes[priority as usize].deliver() {
            self.stats.messages += 1;
            self.stats.message_bytes += content.len();
            let message = MessageId { priority, number };
            self.outputs
                .push_back(ReceiverOutput::Delivered { message, content });
        }
    }

    fn acknowledge(&mut self, stream: StreamId, name: ChunkName) {
        if self.holding && MessageId::from_wire(name.message).priority == Priority::Bulk {
            self.withheld.insert((stream, name));
            if self.withheld.len() as u64 * record::CHUNK_NAME_LEN as u64 > self.most_unread() {
                self.refuse(stream, RecordError::Backlog);
            }
            return;
        }
        let it = self.streams.get_mut(&stream).expect("it brought the chunk");
        if it.acknowledgements.is_empty() {
            self.acknowledging.push_back(stream);
        }
        it.acknowledgements.push(name);
        if it.acknowledgements.len() == record::MAX_NAMES_PER_RECORD {
            self.flush_acknowledgements();
        }
    }

    /// Sends all acknowledgements that have come together, one record per stream.
    fn flush_acknowledgements(&mut self) {
        let limit = self.most_unread();
        while let Some(stream) = self.acknowledging.pop_front() {
            let Some(it) = self.streams.get_mut(&stream) else {
                continue;
            };
            let record = record::acknowledgements(&std::mem::take(&mut it.acknowledgements));
            if it.untaken + record.len() as u64 > limit {
                self.refuse(stream, RecordError::Backlog);
                continue;
            }
            self.send(stream, record);
        }
    }

    /// Most bytes of acknowledgements and the reply that wait for the peer. An honest sender has at most a window in
    /// flight, in chunks that take more room than two thirds of an acknowledgement record. More than two windows unread
    /// is a peer that wants this side's memory.
    fn most_unread(&self) -> u64 {
        let reply = u64::from(HEADER_BYTES) + u64::from(MAX_REPLY_BYTES);
        let windows = self.options.window_bytes.saturating_add(CONTROL_WINDOW_BYTES);
        windows.saturating_mul(2).saturating_add(reply)
    }

    fn send_reply(&mut self) {
        if self.replied_on.is_none()
            && let Some(content) = &self.reply
            && let Some(&stream) = self.streams.keys().next()
        {
            self.replied_on = Some(stream);
            let record = record::reply(content);
            self.send(stream, record);
        }
    }

    fn send(&mut self, stream: StreamId, record: Bytes) {
        self.streams.get_mut(&stream).expect("an open stream").untaken += record.len() as u64;
        self.outputs.push_back(ReceiverOutput::Send {
            stream,
            payload: record.into(),
        });
    }

    fn refuse(&mut self, stream: StreamId, error: RecordError) {
        self.give_up(stream, StreamEnd::Malformed(error));
    }

    fn give_up(&mut self, stream: StreamId, why: StreamEnd) {
        self.outputs.push_back(ReceiverOutput::Close { stream });
        if self.replied_on == Some(stream) {
            self.replied_on = None;
        }
        self.end_stream(stream, why);
    }

    fn end_stream(&mut self, stream: StreamId, why: StreamEnd) {
        self.streams.remove(&stream);
        self.outputs
            .push_back(ReceiverOutput::StreamEnded { stream, why });
        self.send_reply();
    }
}
