//! Bulk transfers over plain byte streams, the workload of most TCP measurements.
//!
//! The sender opens its streams at the same moment, writes an equal share on each as fast as the transport
//! takes it, finishes writing and waits until the receiver closes. The receiver reads to the end and closes.
//! The transfer is complete when the sender has seen the last close: handshake, data and the last half round
//! trip are in it. The payload is synthetic: nobody encodes or reads it.

use std::collections::VecDeque;

use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderOptions {
    /// To whom.
    pub peer: PeerId,
    /// Bytes in all.
    pub bytes: u64,
    /// Streams, at least one and at most one per byte.
    pub streams: u32,
}

/// The only command of a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Open the streams now.
    Start,
}

/// What a sender reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SenderEvent {
    /// A stream is ready.
    Connected {
        /// Which one.
        stream: StreamId,
    },
    /// The receiver has read all of a stream and closed it.
    StreamFinished {
        /// Which one.
        stream: StreamId,
    },
    /// All streams are finished.
    Completed,
    /// A stream failed; the transfer cannot complete.
    Failed {
        /// Which one.
        stream: StreamId,
    },
}

/// What a receiver reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReceiverEvent {
    /// A stream was read to its end.
    StreamRead {
        /// Which one.
        stream: StreamId,
        /// Bytes received on all streams so far.
        received: u64,
    },
}

/// The sending end.
pub struct Sender {
    options: SenderOptions,
    finished: u32,
    failed: bool,
    outputs: VecDeque<Output<SenderEvent>>,
}

impl Sender {
    /// A sender that waits for [`Command::Start`].
    ///
    /// # Panics
    /// Without streams, or with more streams than bytes.
    pub fn new(options: SenderOptions) -> Sender {
        assert!(
            options.streams > 0 && u64::from(options.streams) <= options.bytes,
            "a stream without a share"
        );
        Sender {
            options,
            finished: 0,
            failed: false,
            outputs: VecDeque::new(),
        }
    }

    /// The share of a stream: the first ones carry the remainder.
    fn share(&self, stream: StreamId) -> u64 {
        let streams = u64::from(self.options.streams);
        self.options.bytes / streams + u64::from(u64::from(stream.0) < self.options.bytes % streams)
    }
}

impl Machine for Sender {
    type Command = Command;
    type Event = SenderEvent;

    fn handle(&mut self, _now: Instant, input: Input<Command>) {
        match input {
            Input::Command(Command::Start) => {
                let peer = self.options.peer;
                let opens = (0..self.options.streams).map(|stream| Output::Open {
                    stream: StreamId(stream),
                    peer,
                });
                self.outputs.extend(opens);
            }
            Input::Opened { stream } => {
                let payload = Payload::Synthetic(self.share(stream));
                self.outputs.extend([
                    Output::Event(SenderEvent::Connected { stream }),
                    Output::Send { stream, payload },
                    Output::Close { stream },
                ]);
            }
            Input::Closed {
                stream,
                reason: CloseReason::Finished,
            } => {
                self.finished += 1;
                self.outputs
                    .push_back(Output::Event(SenderEvent::StreamFinished { stream }));
                if self.finished == self.options.streams {
                    self.outputs.push_back(Output::Event(SenderEvent::Completed));
                }
            }
            Input::Closed {
                stream,
                reason: CloseReason::Failed,
            } => {
                if !self.failed {
                    self.failed = true;
                    self.outputs
                        .push_back(Output::Event(SenderEvent::Failed { stream }));
                }
            }
            Input::Start
            | Input::Wake
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Sent { .. }
            | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<SenderEvent> {
        self.outputs.pop_front().unwrap_or(Output::Idle)
    }
}

/// The receiving end.
#[derive(Default)]
pub struct Receiver {
    received: u64,
    outputs: VecDeque<Output<ReceiverEvent>>,
}

impl Receiver {
    /// Bytes received on all streams so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl Machine for Receiver {
    type Command = Command;
    type Event = ReceiverEvent;

    fn handle(&mut self, _now: Instant, input: Input<Command>) {
        match input {
            Input::Received { payload, .. } => self.received += payload.len(),
            Input::Closed { stream, .. } => {
                let received = self.received;
                self.outputs.extend([
                    Output::Event(ReceiverEvent::StreamRead { stream, received }),
                    Output::Close { stream },
                ]);
            }
            Input::Start
            | Input::Wake
            | Input::Command(_)
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Sent { .. }
            | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<ReceiverEvent> {
        self.outputs.pop_front().unwrap_or(Output::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain<M: Machine>(machine: &mut M, input: Input<M::Command>) -> Vec<Output<M::Event>> {
        machine.handle(Instant::ZERO, input);
        std::iter::from_fn(|| Some(machine.poll()).filter(|output| !output.ends_poll())).collect()
    }

    #[test]
    fn the_shares_add_up_and_completion_waits_for_the_last_close() {
        let mut sender = Sender::new(SenderOptions {
            peer: PeerId(1),
            bytes: 10,
            streams: 3,
        });
        assert_eq!(drain(&mut sender, Input::Command(Command::Start)).len(), 3);
        let mut sent = 0;
        for stream in (0..3).map(StreamId) {
            for output in drain(&mut sender, Input::Opened { stream }) {
                if let Output::Send { payload, .. } = output {
                    sent += payload.len();
                }
            }
        }
        assert_eq!(sent, 10);
        let closed = |stream| Input::Closed {
            stream: StreamId(stream),
            reason: CloseReason::Finished,
        };
        assert_eq!(drain(&mut sender, closed(2)).len(), 1);
        assert_eq!(drain(&mut sender, closed(0)).len(), 1);
        let last = drain(&mut sender, closed(1));
        assert_eq!(last.last(), Some(&Output::Event(SenderEvent::Completed)));
    }

    #[test]
    fn a_receiver_closes_what_it_has_read() {
        let mut receiver = Receiver::default();
        let stream = StreamId(StreamId::FIRST_ACCEPTED);
        drain(&mut receiver, Input::Accepted { stream });
        drain(
            &mut receiver,
            Input::Received {
                stream,
                payload: Payload::Synthetic(7),
            },
        );
        let outputs = drain(
            &mut receiver,
            Input::Closed {
                stream,
                reason: CloseReason::Finished,
            },
        );
        assert_eq!(receiver.received(), 7);
        assert_eq!(outputs.last(), Some(&Output::Close { stream }));
    }
}
