//! Which stream is whose.
//!
//! A stream is unknown until its preface has come. Then it belongs to the transport, or it leads back, or it is refused.
//! The preface of a later attempt ends all streams of those before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use longhaul_amst::{Receiver, ReceiverOptions, ReceiverOutput};
use longhaul_core::machine::{CloseReason, Output, StreamId};
use longhaul_core::payload::Payload;
use longhaul_memory::GuestMemory;

use super::{Destination, State};
use crate::DestinationEvent;
use crate::cost::Pipeline;
use crate::wire::preface::{self, Preface, PrefaceReader, Role};
use crate::wire::return_path::{Answer, Record};

/// Most streams whose preface has not come.
const MOST_UNKNOWN: usize = 1024;

/// The streams of a destination.
#[derive(Debug, Default)]
pub(super) struct Streams {
    attempt: u16,
    unknown: BTreeMap<StreamId, PrefaceReader>,
    data: BTreeSet<StreamId>,
    /// The one that leads back.
    back: Option<StreamId>,
    /// The last word of this attempt was said.
    answered: bool,
    /// In this attempt the source has asked whether the guest runs here.
    pub queried: bool,
}

impl Streams {
    /// A stream of the transport has ended.
    pub fn forget(&mut self, stream: StreamId) {
        self.data.remove(&stream);
    }

    /// Whether any stream can bring something.
    pub fn is_connected(&self) -> bool {
        !self.data.is_empty()
    }

    /// The stream that leads back, if it is open.
    pub fn back(&self) -> Option<StreamId> {
        self.back
    }

    /// Says the last word, once in an attempt.
    pub fn answer(&mut self, receiver: &mut Receiver, answer: Answer) {
        if !std::mem::replace(&mut self.answered, true) {
            receiver.reply(answer.to_bytes());
        }
    }
}

impl<M: GuestMemory> Destination<M> {
    pub(super) fn on_accepted(&mut self, stream: StreamId) {
        if self.streams.unknown.len() >= MOST_UNKNOWN {
            return self.refuse_stream(stream);
        }
        self.streams.unknown.insert(stream, PrefaceReader::default());
    }

    pub(super) fn on_received(&mut self, stream: StreamId, mut payload: Payload) {
        if let Some(reader) = self.streams.unknown.get_mut(&stream) {
            match reader.read(&mut payload) {
                Ok(None) => return,
                Ok(Some(preface)) => self.on_preface(stream, preface),
                Err(preface::NotAPreface) => return self.refuse_stream(stream),
            }
        }
        if self.streams.data.contains(&stream) {
            self.receiver.on_received(stream, payload);
        }
        // The source has nothing to say on the stream that leads back, and nobody listens to streams of old attempts.
    }

    fn on_preface(&mut self, stream: StreamId, preface: Preface) {
        self.streams.unknown.remove(&stream);
        if preface.session != self.options.session || preface.attempt < self.streams.attempt {
            return self.refuse_stream(stream);
        }
        if preface.attempt > self.streams.attempt {
            self.begin_attempt(preface.attempt);
        }
        match preface.role {
            Role::Data => {
                self.streams.data.insert(stream);
                self.receiver.on_accepted(stream);
            }
            Role::ReturnPath => {
                if let Some(old) = self.streams.back.replace(stream) {
                    self.outputs.push_back(Output::Close { stream: old });
                }
                self.say_everything_again();
            }
        }
    }

    fn refuse_stream(&mut self, stream: StreamId) {
        self.streams.unknown.remove(&stream);
        self.outputs.push_back(Output::Close { stream });
        self.event(DestinationEvent::StreamRefused { stream });
    }

    /// Nothing of the attempts before matters any more, but for what was installed.
    fn begin_attempt(&mut self, attempt: u16) {
        // What the transport still has to say to its streams, acknowledgements above all, is not worth saying.
        while let Some(output) = self.receiver.poll() {
            if let ReceiverOutput::StreamEnded { stream, why } = output {
                self.streams.forget(stream);
                self.event(DestinationEvent::StreamEnded { stream, why });
            }
        }
        let old = std::mem::take(&mut self.streams);
        for stream in old.data.into_iter().chain(old.back) {
            self.outputs.push_back(Output::Close { stream });
        }
        self.streams.unknown = old.unknown;
        self.streams.attempt = attempt;
        self.receiver = Receiver::new(ReceiverOptions {
            window_bytes: self.options.window_bytes,
        });
        self.bulk
            .iter_mut()
            .chain(&mut self.urgent)
            .for_each(Pipeline::clear);
        self.sequences.restart();
        self.end = None;
        self.device_bytes = 0;
    }

    pub(super) fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        if self.streams.data.contains(&stream) {
            self.receiver.on_sent(stream, bytes);
        }
    }

    pub(super) fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        if self.streams.unknown.remove(&stream).is_some() {
            self.outputs.push_back(Output::Close { stream });
        } else if self.streams.back == Some(stream) {
            self.streams.back = None;
            self.outputs.push_back(Output::Close { stream });
        } else {
            self.receiver.on_closed(stream, reason);
        }
    }

    /// Sends a record back, if a stream leads there; whatever it says is said again on the next one.
    pub(super) fn send_back(&mut self, record: &Record) {
        if let Some(stream) = self.streams.back {
            let payload: Bytes = record.to_bytes();
            self.outputs.push_back(Output::Send {
                stream,
                payload: payload.into(),
            });
        }
    }

    /// The last stream of the transport may have ended while the guest waits for pages.
    pub(super) fn note_interruption(&mut self) {
        if matches!(self.state, State::Running { .. }) && !self.streams.is_connected() {
            let missing_pages = self.store.missing().count();
            self.event(DestinationEvent::SourceLost { missing_pages });
        }
    }
}
