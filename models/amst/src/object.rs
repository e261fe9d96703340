//! Carrying one object: the smallest machines around a [`Sender`] and a [`Receiver`].
//!
//! The object is synthetic: a number of bytes, or whatever goes until a time is up. It travels as messages of up to
//! 1 MiB. The transfer is complete when the last of them is acknowledged.

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::{
    Failure, OptionsError, Priority, Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats, Sender,
    SenderOptions, SenderOutput, SenderStats, StreamEnd,
};

/// Length of a message in bytes, unless the window has no room for it.
pub const MESSAGE_BYTES: u64 = 1 << 20;

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectOptions {
    /// To whom.
    pub peer: PeerId,
    /// How much.
    pub amount: Amount,
    /// How.
    pub transport: SenderOptions,
}

/// How much to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many bytes, at least one.
    Bytes(u64),
    /// As much as goes for so long after the start.
    Duration(Span),
}

/// What the sender of an object can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Send it.
    Start,
}

/// What the sender of an object reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ObjectEvent {
    /// A stream is open.
    Connected {
        /// Which one.
        stream: StreamId,
    },
    /// The transport aims at something else.
    Adapted {
        /// Streams.
        streams: u32,
        /// Size of a chunk in bytes.
        chunk_bytes: u32,
    },
    /// A stream ended early; the others carry its chunks again.
    StreamLost {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
        /// Chunks to carry again.
        requeued_chunks: u64,
    },
    /// The time of a timed transfer is up: nothing more is pushed.
    TimeUp,
    /// The receiver has everything.
    Completed,
    /// The transfer cannot go on.
    Failed {
        /// Why.
        why: Failure,
        /// Bytes that the receiver is not known to have.
        unacknowledged_bytes: u64,
    },
}

/// What the receiver of an object reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ArrivalEvent {
    /// A stream ended.
    StreamEnded {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
    },
}

/// The sending end.
pub struct ObjectSender {
    options: ObjectOptions,
    message_bytes: u64,
    /// Bytes not pushed yet.
    left: u64,
    deadline: Option<Instant>,
    sender: Sender,
    over: bool,
    outputs: VecDeque<Output<ObjectEvent>>,
}

impl ObjectSender {
    /// A sender that waits for [`Command::Start`].
    ///
    /// # Errors
    /// [`SenderOptions::check`].
    pub fn new(options: ObjectOptions) -> Result<ObjectSender, OptionsError> {
        let left = match options.amount {
            Amount::Bytes(bytes) => bytes,
            Amount::Duration(_) => u64::MAX,
        };
        Ok(ObjectSender {
            sender: Sender::new(options.transport)?,
            message_bytes: options.transport.longest_message().min(MESSAGE_BYTES),
            options,
            left,
            deadline: None,
            over: false,
            outputs: VecDeque::new(),
        })
    }

    /// What the transport has done so far.
    pub fn statistics(&self) -> &SenderStats {
        self.sender.stats()
    }

    /// Streams that are open.
    pub fn open_streams(&self) -> u32 {
        self.sender.open_streams()
    }

    fn event(&mut self, event: ObjectEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn push_message(&mut self) {
        let bytes = self.left.min(self.message_bytes);
        self.left -= bytes;
        let mut message = PayloadBuffer::default();
        message.push(Payload::Synthetic(bytes));
        self.sender
            .push(message, Priority::Bulk)
            .expect("it fits into the window, and the transport runs");
        if self.left == 0 {
            self.sender.finish();
        }
    }

    fn watch_the_time(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.left = 0;
            self.sender.finish();
            self.event(ObjectEvent::TimeUp);
        }
    }

    fn on_output(&mut self, output: SenderOutput) {
        match output {
            SenderOutput::Open { stream } => {
                let peer = self.options.peer;
                self.outputs.push_back(Output::Open { stream, peer });
            }
            SenderOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            SenderOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            SenderOutput::Abort { stream } => self.outputs.push_back(Output::Abort { stream }),
            SenderOutput::Inspect { stream } => self.outputs.push_back(Output::Inspect { stream }),
            SenderOutput::Adapted { streams, chunk_bytes } => {
                self.event(ObjectEvent::Adapted { streams, chunk_bytes });
            }
            SenderOutput::StreamLost {
                stream,
                why,
                requeued_chunks,
            } => self.event(ObjectEvent::StreamLost {
                stream,
                why,
                requeued_chunks,
            }),
            SenderOutput::Drained => {
                self.over = true;
                self.event(ObjectEvent::Completed);
                self.sender.close();
            }
            SenderOutput::Failed {
                why,
                unacknowledged_bytes,
            } => {
                self.over = true;
                self.deadline = None;
                self.event(ObjectEvent::Failed {
                    why,
                    unacknowledged_bytes,
                });
            }
            SenderOutput::Acked { .. } | SenderOutput::Reply { .. } => {}
        }
    }
}

impl Machine for ObjectSender {
    type Command = Command;
    type Event = ObjectEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        self.sender.advance(now);
        self.watch_the_time(now);
        match input {
            Input::Command(Command::Start) => {
                if let Amount::Duration(span) = self.options.amount {
                    self.deadline = Some(now.saturating_add(span));
                }
                self.sender.start();
            }
            Input::Opened { stream } => {
                self.sender.on_opened(stream);
                self.event(ObjectEvent::Connected { stream });
            }
            Input::Received { stream, payload } => self.sender.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.sender.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.sender.on_closed(stream, reason),
            Input::Path { stream, info } => self.sender.on_path(stream, &info),
            Input::Start | Input::Wake | Input::Accepted { .. } | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<ObjectEvent> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(output) = self.sender.poll() {
                self.on_output(output);
            } else if self.left > 0 && !self.over && self.sender.wants_more() {
                self.push_message();
            } else {
                break;
            }
        }
        let deadline = self.deadline.map(|at| (at, "the time is up"));
        let wakes = [deadline, self.sender.next_wake()].into_iter().flatten();
        match wakes.min_by_key(|(at, _)| *at) {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}

/// The receiving end. It has no commands.
pub struct ObjectReceiver {
    receiver: Receiver,
    received: u64,
    outputs: VecDeque<Output<ArrivalEvent>>,
}

impl ObjectReceiver {
    /// A receiver that waits for streams.
    pub fn new(options: ReceiverOptions) -> ObjectReceiver {
        ObjectReceiver {
            receiver: Receiver::new(options),
            received: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Bytes of the object that have arrived, in order and without a gap.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// What the transport has done so far.
    pub fn statistics(&self) -> &ReceiverStats {
        self.receiver.stats()
    }
}

impl Machine for ObjectReceiver {
    type Command = ();
    type Event = ArrivalEvent;

    fn handle(&mut self, _now: Instant, input: Input<()>) {
        match input {
            Input::Accepted { stream } => self.receiver.on_accepted(stream),
            Input::Received { stream, payload } => self.receiver.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.receiver.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.receiver.on_closed(stream, reason),
            Input::Start
            | Input::Wake
            | Input::Command(())
            | Input::Opened { .. }
            | Input::Path { .. }
            | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<ArrivalEvent> {
        while self.outputs.is_empty()
            && let Some(output) = self.receiver.poll()
        {
            match output {
                ReceiverOutput::Send { stream, payload } => {
                    self.outputs.push_back(Output::Send { stream, payload });
                }
                ReceiverOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
                ReceiverOutput::StreamEnded { stream, why } => {
                    self.outputs
                        .push_back(Output::Event(ArrivalEvent::StreamEnded { stream, why }));
                }
                ReceiverOutput::Delivered { content, .. } => self.received += content.len(),
            }
        }
        self.outputs.pop_front().unwrap_or(Output::Idle)
    }
}
