//! The sending side: pull-based striping over streams.

mod clock;
mod dispatch;
mod report;

use std::collections::VecDeque;

use longhaul_core::machine::{CloseReason, PathInfo, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};

use crate::controller::{Aim, Controller};
use crate::flight::Flight;
use crate::latency::Latency;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::reader::Record;
use crate::record::{self, ChunkName, Kind};
use crate::{MessageId, OptionsError, Priority, SenderOptions, StreamEnd};

pub use report::{Failure, PushError, SenderOutput, SenderStats};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Messages come.
    Running,
    /// No message will follow.
    Finished,
    /// The receiver has everything.
    Drained,
    /// The application has closed it.
    Closed,
    /// It cannot go on.
    Failed,
}

/// The sending side. See the [crate] documentation.
#[derive(Debug)]
pub struct Sender {
    options: SenderOptions,
    now: Instant,
    phase: Phase,
    pool: Pool,
    outbox: Outbox,
    flight: Flight,
    controller: Controller,
    /// What the application was told that the controller aims at.
    told: Aim,
    pace: Pace,
    latency: Latency,
    /// Bytes sent once more because they were late.
    rescued_bytes: u64,
    /// The last time that a stream took something over or something was acknowledged, or that something came to be
    /// waited for.
    last_progress: Instant,
    /// When stalled streams were looked for last.
    reviewed: Instant,
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
        let controller = Controller::new(&options);
        Ok(Sender {
            now: Instant::ZERO,
            phase: Phase::Running,
            pool: Pool::new(options.patience > Span::ZERO),
            outbox: Outbox::new(&options),
            flight: Flight::default(),
            told: controller.aim(),
            controller,
            pace: Pace::default(),
            latency: Latency::default(),
            rescued_bytes: 0,
            last_progress: Instant::ZERO,
            reviewed: Instant::ZERO,
            replied: false,
            outputs: VecDeque::new(),
            stats: SenderStats::default(),
            options,
        })
    }

    /// Asks for streams. Call it once, first.
    pub fn start(&mut self) {
        let streams = self.controller.aim().streams;
        self.stats.streams = streams;
        self.pool.want(self.now, streams);
    }

    /// Whether it would use another message of bulk now. Answers no while it has a chunk in reserve for every open
    /// stream, so the memory for messages stays bounded if the application pushes only when asked.
    pub fn wants_more(&self) -> bool {
        let reserve = u64::from(self.controller.aim().chunk_bytes) * u64::from(self.pool.open_count());
        self.phase == Phase::Running && self.outbox.queued_bytes(Priority::Bulk) < reserve
    }

    /// Takes a message.
    ///
    /// # Errors
    /// See [`PushError`].
    ///
    /// # Panics
    /// After [`Sender::finish`].
    pub fn push(&mut self, content: PayloadBuffer, priority: Priority) -> Result<MessageId, PushError> {
        match self.phase {
            Phase::Running => {}
            Phase::Finished | Phase::Drained => panic!("a message after the last one"),
            Phase::Closed | Phase::Failed => return Err(PushError::Failed),
        }
        let bytes = content.len();
        let id = self.outbox.push(content, priority)?;
        self.stats.messages += 1;
        self.stats.message_bytes += bytes;
        Ok(id)
    }

    /// Says that no message will follow. After [`SenderOutput::Drained`] it waits for a reply until it is closed.
    pub fn finish(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Finished;
        }
    }

    /// Closes all streams. From here on their end is not a loss.
    pub fn close(&mut self) {
        if self.phase != Phase::Failed {
            self.phase = Phase::Closed;
        }
        self.close_streams();
    }

    /// The driver has opened a stream.
    pub fn on_opened(&mut self, stream: StreamId) {
        if let Some(handshake) = self.pool.opened(self.now, stream) {
            self.note_waiting();
            self.stats.most_streams = self.stats.most_streams.max(self.pool.open_count());
            self.controller.on_opened(self.now, stream, handshake);
            self.follow();
        }
    }

    /// The transport took over bytes.
    ///
    /// # Panics
    /// If it took more than it was given.
    pub fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        let chunk_bytes = self.controller.aim().chunk_bytes;
        if self.pool.taken(self.now, stream, bytes, chunk_bytes) {
            self.stats.taken_bytes += bytes;
            self.last_progress = self.now;
        }
    }

    /// Bytes arrived from the receiver.
    pub fn on_received(&mut self, stream: StreamId, mut piece: Payload) {
        while let Some(it) = self.pool.get_mut(stream) {
            match it.reader.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(record)) => self.on_record(stream, record),
                Err(error) => self.end_stream(stream, StreamEnd::Malformed(error)),
            }
        }
    }

    /// The driver's answer to [`SenderOutput::Inspect`].
    pub fn on_path(&mut self, stream: StreamId, info: &PathInfo) {
        self.controller.on_path(self.now, stream, info);
        self.follow();
    }

    /// The driver says that a stream is over.
    pub fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        self.end_stream(stream, StreamEnd::Closed(reason));
    }

    /// The next thing to do, or `None` until something happens.
    pub fn poll(&mut self) -> Option<SenderOutput> {
        if self.outputs.is_empty() {
            self.tend_streams();
        }
        if self.outputs.is_empty() {
            self.dispatch();
        }
        if self.outputs.is_empty() && self.phase == Phase::Finished && self.outbox.is_settled() {
            self.phase = Phase::Drained;
            self.last_progress = self.now;
            return Some(SenderOutput::Drained);
        }
        self.outputs.pop_front()
    }

    /// Streams that have been opened, have not ended and are not to be closed.
    pub fn open_streams(&self) -> u32 {
        self.pool.open_count()
    }

    /// Streams that have neither been opened nor refused yet.
    pub fn opening_streams(&self) -> u32 {
        self.pool.opening_count()
    }

    /// Bytes that were pushed and that no stream has taken over yet; record headers are counted once their chunk is
    /// on a stream.
    pub fn untaken_bytes(&self) -> u64 {
        self.outbox.waiting_bytes() + self.pool.untaken_bytes()
    }

    /// What it has done so far.
    pub fn stats(&self) -> &SenderStats {
        &self.stats
    }

    /// Bytes put so far on each stream that has not ended, record headers included.
    pub fn stream_wire_bytes(&self) -> impl Iterator<Item = (StreamId, u64)> + '_ {
        self.pool.iter().map(|(stream, it)| (stream, it.wire_bytes))
    }

    /// Opens the streams that are missing and closes those that are not wanted.
    fn tend_streams(&mut self) {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return;
        }
        while let Some(stream) = self.pool.ask(self.now) {
            self.outputs.push_back(SenderOutput::Open { stream });
        }
        while let Some(stream) = self.pool.dismiss() {
            self.outputs.push_back(SenderOutput::Close { stream });
        }
    }

    fn close_streams(&mut self) {
        while let Some(stream) = self.pool.close_next() {
            self.outputs.push_back(SenderOutput::Close { stream });
        }
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
        let Some(taken) = self.pool.landed(self.now, stream, name) else {
            self.stats.needless_acknowledgements += 1;
            return;
        };
        self.last_progress = self.now;
        let bytes = u64::from(name.length);
        let Some(chunk) = self.flight.land(name) else {
            // Another copy was first.
            self.stats.needless_acknowledgements += 1;
            return;
        };
        self.latency.sample(taken);
        self.stats.acknowledged_chunks += 1;
        self.stats.acknowledged_bytes += bytes;
        if self.outbox.acknowledge(&chunk) {
            self.outputs.push_back(SenderOutput::Acked {
                message: chunk.message,
            });
        }
    }

    fn end_stream(&mut self, stream: StreamId, why: StreamEnd) {
        let Some(lost) = self.pool.end(self.now, stream) else {
            return;
        };
        self.controller.on_stream_ended(stream);
        let mut requeued_chunks = 0;
        for name in lost.carried.into_keys() {
            if let Some(chunk) = self.flight.lose(name) {
                self.outbox.requeue(chunk);
                requeued_chunks += 1;
            }
        }
        if !lost.early {
            return;
        }
        self.stats.lost_streams += 1;
        if !matches!(why, StreamEnd::Closed(_)) {
            self.outputs.push_back(SenderOutput::Abort { stream });
        }
        self.outputs.push_back(SenderOutput::StreamLost {
            stream,
            why,
            requeued_chunks,
        });
        if let Some((deadline, failure)) = self.deadline()
            && deadline <= self.now
        {
            self.fail(failure);
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.phase = Phase::Failed;
        let unacknowledged_bytes = self.outbox.unacknowledged_bytes();
        self.outputs.push_back(SenderOutput::Failed {
            why: failure,
            unacknowledged_bytes,
        });
        // What they have not delivered nobody waits for.
        while let Some(stream) = self.pool.close_next() {
            self.outputs.push_back(SenderOutput::Abort { stream });
        }
        self.outbox.clear();
        self.flight.clear();
    }
}
