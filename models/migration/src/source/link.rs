//! The source's connections: AMST, the stream that leads back, and what tells one attempt from the next.
//!
//! Every attempt numbers its streams anew, so what a driver still has to say about the streams of an earlier one is
//! recognised and dropped.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_amst::{Failure, Priority, Sender, SenderOptions, SenderOutput, SenderStats, StreamEnd};
use longhaul_core::machine::{CloseReason, PathInfo, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};

use crate::OptionsError;
use crate::wire::preface::{self, Preface, Role};
use crate::wire::return_path::{Record, RecordReader};

/// Streams of an attempt are numbered from here times its number.
const STREAMS_PER_ATTEMPT: u32 = 1 << 24;

/// Within an attempt, the streams that lead back are numbered from here.
const RETURN_PATH: u32 = 1 << 23;

/// Before a stream that leads back is opened again.
const RETURN_PATH_PAUSE: Span = Span::from_ms(100);

/// What a link wants done, or reports.
#[derive(Debug)]
pub(super) enum LinkOutput {
    Open {
        stream: StreamId,
    },
    Send {
        stream: StreamId,
        payload: Payload,
    },
    Close {
        stream: StreamId,
    },
    Abort {
        stream: StreamId,
    },
    Inspect {
        stream: StreamId,
    },
    StreamLost {
        stream: StreamId,
        why: StreamEnd,
        requeued_chunks: u64,
    },
    Record(Record),
    Answer(Bytes),
    Failed {
        why: Failure,
        unacknowledged_bytes: u64,
    },
}

/// All connections of one migration, attempt after attempt.
#[derive(Debug)]
pub(super) struct Link {
    options: SenderOptions,
    session: u64,
    attempt: u16,
    sender: Sender,
    /// What earlier attempts have counted, and all prefaces.
    before: SenderStats,
    /// Bytes of prefaces that have not been taken over, by stream of the sender.
    prefaces: BTreeMap<u32, u64>,
    back: Option<Back>,
    outputs: VecDeque<LinkOutput>,
}

/// The stream that leads back.
#[derive(Debug)]
struct Back {
    number: u32,
    is_open: bool,
    reader: RecordReader,
    /// When it is opened again after a loss.
    retry_at: Option<Instant>,
}

/// Which stream of which attempt a number means.
enum Meaning {
    Data(StreamId),
    Back,
    Old,
}

impl Link {
    /// A link that has not been started. `back` is whether there is a stream that leads back.
    pub fn new(options: SenderOptions, session: u64, back: bool) -> Result<Link, OptionsError> {
        Ok(Link {
            options,
            session,
            attempt: 0,
            sender: Sender::new(options)?,
            before: SenderStats::default(),
            prefaces: BTreeMap::new(),
            back: back.then(Back::new),
            outputs: VecDeque::new(),
        })
    }

    /// Opens the streams.
    pub fn start(&mut self) {
        self.sender.start();
        if let Some(back) = &self.back {
            let stream = self.number(RETURN_PATH + back.number);
            self.outputs.push_back(LinkOutput::Open { stream });
        }
    }

    /// Begins the next attempt with nothing left of the one before.
    pub fn restart(&mut self, now: Instant) {
        self.close();
        let closing: Vec<LinkOutput> = std::iter::from_fn(|| self.poll_sender())
            .filter(|output| matches!(output, LinkOutput::Close { .. }))
            .collect();
        self.outputs.extend(closing);
        self.before = self.stats();
        self.attempt += 1;
        self.sender = Sender::new(self.options).expect("the options were checked");
        self.sender.advance(now);
        self.prefaces.clear();
        self.back = Some(Back::new());
        self.start();
    }

    /// The present attempt.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }

    /// Closes all streams; their end is of no interest any more.
    pub fn close(&mut self) {
        self.sender.close();
        if let Some(back) = self.back.take().filter(|back| back.retry_at.is_none()) {
            let stream = self.number(RETURN_PATH + back.number);
            self.outputs.push_back(LinkOutput::Close { stream });
        }
    }

    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Whether every stream that is wanted has been opened or refused, and at least one is open.
    pub fn is_set_up(&self) -> bool {
        self.sender.opening_streams() == 0
            && self.sender.open_streams() > 0
            && self.back.as_ref().is_none_or(|back| back.is_open)
    }

    /// The transport's counters over all attempts, with prefaces.
    pub fn stats(&self) -> SenderStats {
        self.before + *self.sender.stats()
    }

    /// # Panics
    /// If the message does not fit, which the options have made sure of.
    pub fn push(&mut self, content: PayloadBuffer, priority: Priority) {
        // A transport that has just failed says so by itself.
        match self.sender.push(content, priority) {
            Ok(_) | Err(longhaul_amst::PushError::Failed) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub fn push_bytes(&mut self, bytes: Bytes, priority: Priority) {
        let mut content = PayloadBuffer::default();
        content.push(bytes.into());
        self.push(content, priority);
    }

    /// No message will follow.
    pub fn finish(&mut self) {
        self.sender.finish();
    }

    pub fn advance(&mut self, now: Instant) {
        self.sender.advance(now);
        if let Some(back) = &mut self.back
            && back.retry_at.is_some_and(|at| at <= now)
        {
            back.retry_at = None;
            back.number += 1;
            let number = RETURN_PATH + back.number;
            let stream = self.number(number);
            self.outputs.push_back(LinkOutput::Open { stream });
        }
    }

    pub fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let retry = self.back.as_ref().and_then(|back| back.retry_at);
        let retry = retry.map(|at| (at, "the return path is opened again"));
        let wakes = [self.sender.next_wake(), retry];
        wakes.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub fn on_opened(&mut self, stream: StreamId) {
        let role = match self.meaning(stream) {
            Meaning::Data(number) => {
                self.prefaces.insert(number.0, preface::LEN as u64);
                self.sender.on_opened(number);
                Role::Data
            }
            Meaning::Back => {
                if let Some(back) = &mut self.back {
                    back.is_open = true;
                }
                Role::ReturnPath
            }
            Meaning::Old => return,
        };
        let preface = Preface {
            role,
            attempt: self.attempt,
            session: self.session,
        };
        self.before.wire_bytes += preface::LEN as u64;
        let payload = Bytes::copy_from_slice(&preface.to_bytes()).into();
        self.outputs.push_back(LinkOutput::Send { stream, payload });
    }

    pub fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        let Meaning::Data(number) = self.meaning(stream) else {
            return;
        };
        let mut rest = bytes;
        if let Some(preface) = self.prefaces.get_mut(&number.0) {
            let of_preface = rest.min(*preface);
            *preface -= of_preface;
            rest -= of_preface;
        }
        if rest > 0 {
            self.sender.on_sent(number, rest);
        }
    }

    pub fn on_received(&mut self, now: Instant, stream: StreamId, payload: Payload) {
        match self.meaning(stream) {
            Meaning::Data(number) => self.sender.on_received(number, payload),
            Meaning::Back => self.on_records(now, stream, &payload),
            Meaning::Old => {}
        }
    }

    fn on_records(&mut self, now: Instant, stream: StreamId, payload: &Payload) {
        let Some(back) = &mut self.back else { return };
        let mut read = back.reader.push(payload).and_then(|()| back.reader.next());
        while let Ok(Some(record)) = read {
            self.outputs.push_back(LinkOutput::Record(record));
            read = back.reader.next();
        }
        if read.is_err() {
            // Everything is said again on the next one.
            self.outputs.push_back(LinkOutput::Close { stream });
            self.lose_back(now);
        }
    }

    pub fn on_path(&mut self, stream: StreamId, info: &PathInfo) {
        if let Meaning::Data(number) = self.meaning(stream) {
            self.sender.on_path(number, info);
        }
    }

    pub fn on_closed(&mut self, now: Instant, stream: StreamId, reason: CloseReason) {
        match self.meaning(stream) {
            Meaning::Data(number) => self.sender.on_closed(number, reason),
            Meaning::Back => self.lose_back(now),
            Meaning::Old => {}
        }
    }

    fn lose_back(&mut self, now: Instant) {
        if let Some(back) = &mut self.back {
            back.is_open = false;
            back.reader = RecordReader::default();
            back.retry_at.get_or_insert(now.saturating_add(RETURN_PATH_PAUSE));
        }
    }

    pub fn poll(&mut self) -> Option<LinkOutput> {
        self.outputs.pop_front().or_else(|| self.poll_sender())
    }

    fn poll_sender(&mut self) -> Option<LinkOutput> {
        while let Some(output) = self.sender.poll() {
            return Some(match output {
                SenderOutput::Open { stream } => LinkOutput::Open {
                    stream: self.number(stream.0),
                },
                SenderOutput::Send { stream, payload } => LinkOutput::Send {
                    stream: self.number(stream.0),
                    payload,
                },
                SenderOutput::Close { stream } => LinkOutput::Close {
                    stream: self.number(stream.0),
                },
                SenderOutput::Abort { stream } => LinkOutput::Abort {
                    stream: self.number(stream.0),
                },
                SenderOutput::Inspect { stream } => LinkOutput::Inspect {
                    stream: self.number(stream.0),
                },
                SenderOutput::StreamLost {
                    stream,
                    why,
                    requeued_chunks,
                } => LinkOutput::StreamLost {
                    stream: self.number(stream.0),
                    why,
                    requeued_chunks,
                },
                SenderOutput::Reply { content } => LinkOutput::Answer(content),
                SenderOutput::Failed {
                    why,
                    unacknowledged_bytes,
                } => LinkOutput::Failed {
                    why,
                    unacknowledged_bytes,
                },
                SenderOutput::Adapted { .. } | SenderOutput::Acked { .. } | SenderOutput::Drained => continue,
            });
        }
        None
    }

    fn number(&self, in_attempt: u32) -> StreamId {
        StreamId(u32::from(self.attempt) * STREAMS_PER_ATTEMPT + in_attempt)
    }

    fn meaning(&self, stream: StreamId) -> Meaning {
        let (attempt, number) = (stream.0 / STREAMS_PER_ATTEMPT, stream.0 % STREAMS_PER_ATTEMPT);
        let back = self.back.as_ref().map(|back| RETURN_PATH + back.number);
        match number {
            _ if attempt != u32::from(self.attempt) => Meaning::Old,
            ..RETURN_PATH => Meaning::Data(StreamId(number)),
            _ if Some(number) == back => Meaning::Back,
            _ => Meaning::Old,
        }
    }
}

impl Back {
    fn new() -> Back {
        Back {
            number: 0,
            is_open: false,
            reader: RecordReader::default(),
            retry_at: None,
        }
    }
}
