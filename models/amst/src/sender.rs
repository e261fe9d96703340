//! The sending side: pull-based striping over streams.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use serde::{Deserialize, Serialize};

use crate::chunk::Chunk;
use crate::outbox::{Next, Outbox};
use crate::reader::{Direction, Record, RecordReader};
use crate::record::{self, ChunkName, Kind};
use crate::{MessageId, OptionsError, SenderOptions, StreamEnd};

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PushError {
    /// It has no bytes.
    #[error("a message has at least one byte")]
    Empty,
    /// With its record headers it is longer than the window, so it could never be delivered.
    #[error("a message of {wire_bytes} bytes with its headers does not fit into the window")]
    LongerThanWindow {
        /// Its length on the streams.
        wire_bytes: u64,
    },
    /// [`SenderOutput::Failed`] was reported.
    #[error("all streams are lost")]
    Failed,
}

/// What a [`Sender`] wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub enum SenderOutput {
    /// Open this stream.
    Open {
        /// Its number.
        stream: StreamId,
    },
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
    /// A stream ended before [`Sender::close`]; its chunks go to the others.
    StreamLost {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
        /// How many chunks will be sent again.
        requeued_chunks: u64,
    },
    /// The receiver has all of this message.
    Acked {
        /// Which one.
        message: MessageId,
    },
    /// The receiver has everything and nothing more will come ([`Sender::finish`] was called).
    Drained,
    /// The receiving application's answer.
    Reply {
        /// Its content.
        content: Bytes,
    },
    /// The last stream is lost.
    Failed {
        /// Bytes of messages that the receiver is not known to have.
        unacknowledged_bytes: u64,
    },
}

/// What a [`Sender`] has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SenderStats {
    /// Messages taken.
    pub messages: u64,
    /// Their bytes.
    pub message_bytes: u64,
    /// Chunks put on streams, those sent again included.
    pub chunks: u64,
    /// Bytes put on streams, record headers included.
    pub wire_bytes: u64,
    /// Bytes that the streams have taken over, as [`Sender::on_sent`] told.
    pub taken_bytes: u64,
    /// Chunks that were sent again because their stream was lost.
    pub retransmitted_chunks: u64,
    /// Chunks acknowledged.
    pub acknowledged_chunks: u64,
    /// Bytes of messages acknowledged.
    pub acknowledged_bytes: u64,
    /// Acknowledgements of chunks that were not waiting for one.
    pub needless_acknowledgements: u64,
    /// Streams that ended early.
    pub lost_streams: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StreamState {
    Opening,
    Open,
    /// Closed by us; the peer may still have something to say.
    Finishing,
    Ended,
}

#[derive(Debug)]
struct Stream {
    state: StreamState,
    /// Bytes that the transport has not taken over.
    untaken: u64,
    /// Total bytes put on this stream.
    wire_bytes: u64,
    /// Whether it stands in the queue of streams with room.
    ready: bool,
    in_flight: BTreeMap<ChunkName, Chunk>,
    reader: RecordReader,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    Finished,
    Drained,
    Failed,
}

/// The sending side. See the [crate] documentation.
#[derive(Debug)]
pub struct Sender {
    options: SenderOptions,
    streams: Vec<Stream>,
    /// Open streams with room for a chunk, in the order in which they got it.
    ready: VecDeque<u32>,
    outbox: Outbox,
    opening_streams: u32,
    open_streams: u32,
    /// Bytes given to streams that the transport has not taken over.
    untaken_bytes: u64,
    phase: Phase,
    replied: bool,
    outputs: VecDeque<SenderOutput>,
    stats: SenderStats,
}

impl Sender {
    /// A sender that has not asked for anything yet.
    ///
    /// # Errors
    /// [`SenderOptions::check`].
    pub fn new(options: SenderOptions) -> Result<Sender, OptionsError> {
        options.check()?;
        let stream = || Stream {
            state: StreamState::Opening,
            untaken: 0,
            wire_bytes: 0,
            ready: false,
            in_flight: BTreeMap::new(),
            reader: RecordReader::new(Direction::ToSender),
        };
        Ok(Sender {
            options,
            streams: (0..options.streams).map(|_| stream()).collect(),
            ready: VecDeque::new(),
            outbox: Outbox::new(&options),
            opening_streams: options.streams,
            open_streams: 0,
            untaken_bytes: 0,
            phase: Phase::Running,
            replied: false,
            outputs: VecDeque::new(),
            stats: SenderStats::default(),
        })
    }

    /// Asks for all streams to be opened. Call it once, first.
    pub fn start(&mut self) {
        for stream in 0..self.options.streams {
            self.outputs.push_back(SenderOutput::Open {
                stream: StreamId(stream),
            });
        }
    }

    /// Whether it would use another message now. Answers no while it has a chunk in reserve for every open
    /// stream, so the memory for messages stays bounded if the application pushes only when asked.
    pub fn wants_more(&self) -> bool {
        let reserve = u64::from(self.options.chunk_bytes) * u64::from(self.open_streams);
        self.phase == Phase::Running && self.outbox.queued_wire_bytes() < reserve
    }

    /// Takes a message.
    ///
    /// # Errors
    /// See [`PushError`].
    ///
    /// # Panics
    /// After [`Sender::finish`].
    pub fn push(&mut self, content: PayloadBuffer) -> Result<MessageId, PushError> {
        match self.phase {
            Phase::Running => {}
            Phase::Finished | Phase::Drained => panic!("a message after the last one"),
            Phase::Failed => return Err(PushError::Failed),
        }
        let bytes = content.len();
        let id = self.outbox.push(content)?;
        self.stats.messages += 1;
        self.stats.message_bytes += bytes;
        Ok(id)
    }

    /// Says that no message will follow.
    pub fn finish(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Finished;
        }
    }

    /// Closes all streams. From here on their end is not a loss.
    pub fn close(&mut self) {
        for (stream, number) in self.streams.iter_mut().zip(0..) {
            if matches!(stream.state, StreamState::Opening | StreamState::Open) {
                stream.state = StreamState::Finishing;
                self.outputs.push_back(SenderOutput::Close {
                    stream: StreamId(number),
                });
            }
        }
        self.ready.clear();
        self.opening_streams = 0;
        self.open_streams = 0;
    }

    /// The driver has opened a stream.
    pub fn on_opened(&mut self, stream: StreamId) {
        if let Some(it) = self.streams.get_mut(stream.0 as usize)
            && it.state == StreamState::Opening
        {
            it.state = StreamState::Open;
            it.ready = true;
            self.ready.push_back(stream.0);
            self.opening_streams -= 1;
            self.open_streams += 1;
        }
    }

    /// The transport took over bytes.
    ///
    /// # Panics
    /// If it took more than it was given.
    pub fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        let Some(it) = self.streams.get_mut(stream.0 as usize) else {
            return;
        };
        if it.state == StreamState::Ended {
            return;
        }
        assert!(
            bytes <= it.untaken,
            "the driver took {bytes} of {} bytes",
            it.untaken
        );
        it.untaken -= bytes;
        self.untaken_bytes -= bytes;
        self.stats.taken_bytes += bytes;
        if it.state == StreamState::Open && !it.ready && it.untaken < u64::from(self.options.chunk_bytes) {
            it.ready = true;
            self.ready.push_back(stream.0);
        }
    }

    /// Bytes arrived from the receiver.
    pub fn on_received(&mut self, stream: StreamId, mut piece: Payload) {
        while let Some(it) = self.streams.get_mut(stream.0 as usize)
            && it.state != StreamState::Ended
        {
            match it.reader.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(record)) => self.on_record(stream, record),
                Err(error) => self.end_stream(stream, StreamEnd::Malformed(error)),
            }
        }
    }

    /// The driver says that a stream is over.
    pub fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        self.end_stream(stream, StreamEnd::Closed(reason));
    }

    /// The next thing to do, or `None` until something happens.
    pub fn poll(&mut self) -> Option<SenderOutput> {
        if self.outputs.is_empty() {
            self.dispatch();
        }
        if self.outputs.is_empty() && self.phase == Phase::Finished && self.outbox.is_settled() {
            self.phase = Phase::Drained;
            return Some(SenderOutput::Drained);
        }
        self.outputs.pop_front()
    }

    /// Streams that have been opened and not ended.
    pub fn open_streams(&self) -> u32 {
        self.open_streams
    }

    /// Streams that have neither been opened nor refused yet.
    pub fn opening_streams(&self) -> u32 {
        self.opening_streams
    }

    /// Bytes, record headers included, that were pushed and that no stream has taken over yet.
    pub fn untaken_bytes(&self) -> u64 {
        self.outbox.waiting_wire_bytes() + self.untaken_bytes
    }

    /// What it has done so far.
    pub fn stats(&self) -> &SenderStats {
        &self.stats
    }

    /// Bytes put on each stream so far, record headers included.
    pub fn stream_wire_bytes(&self) -> impl Iterator<Item = u64> + '_ {
        self.streams.iter().map(|stream| stream.wire_bytes)
    }

    /// Gives the next chunk to the stream that has waited longest for one.
    fn dispatch(&mut self) {
        let Some(&number) = self.ready.front() else { return };
        let Some(Next { chunk, again }) = self.outbox.next() else {
            return;
        };
        self.ready.pop_front();
        let stream = &mut self.streams[number as usize];
        let wire_bytes = chunk.wire_bytes();
        stream.untaken += wire_bytes;
        stream.wire_bytes += wire_bytes;
        stream.ready = stream.untaken < u64::from(self.options.chunk_bytes);
        if stream.ready {
            self.ready.push_back(number);
        }
        let (header, pieces) = chunk.to_record();
        let header = Payload::Real(Bytes::copy_from_slice(&header.to_bytes()));
        for payload in std::iter::once(header).chain(pieces.iter().cloned()) {
            self.outputs.push_back(SenderOutput::Send {
                stream: StreamId(number),
                payload,
            });
        }
        stream.in_flight.insert(chunk.name(), chunk);
        self.untaken_bytes += wire_bytes;
        self.stats.chunks += 1;
        self.stats.wire_bytes += wire_bytes;
        self.stats.retransmitted_chunks += u64::from(again);
    }

    fn on_record(&mut self, stream: StreamId, mut record: Record) {
        let body = record
            .body
            .pop_real(record.header.length as usize)
            .expect("only chunks have synthetic bytes");
        if record.header.kind == Kind::Acknowledgements {
            for name in record::chunk_names(&body) {
                self.on_acknowledgement(stream, name);
            }
        } else if !self.replied {
            self.replied = true;
            self.outputs.push_back(SenderOutput::Reply { content: body });
        }
    }

    fn on_acknowledgement(&mut self, stream: StreamId, name: ChunkName) {
        let Some(chunk) = self.streams[stream.0 as usize].in_flight.remove(&name) else {
            self.stats.needless_acknowledgements += 1;
            return;
        };
        self.stats.acknowledged_chunks += 1;
        self.stats.acknowledged_bytes += u64::from(name.length);
        if self.outbox.acknowledge(&chunk) {
            self.outputs.push_back(SenderOutput::Acked {
                message: MessageId(name.message),
            });
        }
    }

    fn end_stream(&mut self, stream: StreamId, why: StreamEnd) {
        let Some(it) = self.streams.get_mut(stream.0 as usize) else {
            return;
        };
        let before = std::mem::replace(&mut it.state, StreamState::Ended);
        self.untaken_bytes -= std::mem::take(&mut it.untaken);
        match before {
            StreamState::Opening => self.opening_streams -= 1,
            StreamState::Open => self.open_streams -= 1,
            StreamState::Finishing | StreamState::Ended => return,
        }
        if std::mem::take(&mut it.ready) {
            self.ready.retain(|&number| number != stream.0);
        }
        let lost = std::mem::take(&mut it.in_flight);
        let requeued_chunks = lost.len() as u64;
        self.outbox.requeue(lost);
        self.stats.lost_streams += 1;
        if matches!(why, StreamEnd::Malformed(_)) {
            self.outputs.push_back(SenderOutput::Close { stream });
        }
        self.outputs.push_back(SenderOutput::StreamLost {
            stream,
            why,
            requeued_chunks,
        });
        if self.opening_streams + self.open_streams == 0 {
            self.phase = Phase::Failed;
            let unacknowledged_bytes = self.outbox.unacknowledged_bytes();
            self.outputs
                .push_back(SenderOutput::Failed { unacknowledged_bytes });
            self.outbox.clear();
        }
    }
}
