//! Bulk transfers over plain byte streams, the workload of most TCP measurements.
//!
//! The sender opens its streams at the same moment and writes on each as fast as the transport takes it: an equal
//! share of a given size, or whatever goes until a given time is up (as `iperf3 -t` does). Then it finishes
//! writing and waits until the receiver closes. The receiver reads to the end and closes. The transfer is
//! complete when the sender has seen the last close: handshake, data and the last half round trip are in it. The
//! payload is synthetic: nobody encodes or reads it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Calls};

mod calls;

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderOptions {
    /// To whom.
    pub peer: PeerId,
    /// How much.
    pub amount: Amount,
    /// Streams, at least one and at most one per byte.
    pub streams: u32,
    /// Time that each call of the application takes: it opens, writes (in pieces of 128 KiB) and finishes its
    /// streams one after another. With zero, everything that can be done at one moment is, and each stream gets
    /// all its bytes at once.
    pub call_time: Span,
}

/// How much to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many bytes in all.
    Bytes(u64),
    /// As much as goes until the time is up.
    Duration {
        /// So long after the start.
        span: Span,
        /// Bytes that each stream keeps before the transport, above zero: enough that the transport never waits
        /// for the application. They are sent even when the time is up, as a socket's buffer is.
        ahead_bytes: u64,
    },
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
    /// The time of a timed transfer is up: nothing more is written.
    TimeUp,
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
    /// When a timed transfer that has started stops writing, until it has.
    deadline: Option<Instant>,
    time_up: bool,
    /// Streams that may still be written on.
    open: BTreeSet<StreamId>,
    finished: u32,
    failed: bool,
    /// `None` if they take no time.
    calls: Option<Calls>,
    outputs: VecDeque<Output<SenderEvent>>,
}

impl Sender {
    /// A sender that waits for [`Command::Start`].
    ///
    /// # Panics
    /// Without streams, with more streams than bytes, or with nothing ahead.
    pub fn new(options: SenderOptions) -> Sender {
        let most = match options.amount {
            Amount::Bytes(bytes) => bytes,
            Amount::Duration { ahead_bytes, .. } => {
                assert!(ahead_bytes > 0, "a stream without anything to send");
                u64::MAX
            }
        };
        assert!(
            options.streams > 0 && u64::from(options.streams) <= most,
            "a stream without a share"
        );
        Sender {
            options,
            deadline: None,
            time_up: false,
            open: BTreeSet::new(),
            finished: 0,
            failed: false,
            calls: (options.call_time > Span::ZERO).then(|| Calls::new(options.call_time)),
            outputs: VecDeque::new(),
        }
    }

    fn open(&mut self, stream: StreamId) {
        match &mut self.calls {
            Some(calls) => calls.open(stream),
            None => self.carry_out(Call::Open(stream)),
        }
    }

    fn write(&mut self, stream: StreamId, bytes: u64) {
        match &mut self.calls {
            Some(calls) => calls.write(stream, bytes),
            None => self.carry_out(Call::Write(stream, bytes)),
        }
    }

    fn close(&mut self, stream: StreamId) {
        match &mut self.calls {
            Some(calls) => calls.close(stream),
            None => self.carry_out(Call::Close(stream)),
        }
    }

    fn carry_out(&mut self, call: Call) {
        let peer = self.options.peer;
        self.outputs.push_back(match call {
            Call::Open(stream) => Output::Open { stream, peer },
            Call::Write(stream, bytes) => Output::Send {
                stream,
                payload: Payload::Synthetic(bytes),
            },
            Call::Close(stream) => Output::Close { stream },
        });
    }

    /// Writes on a stream that is ready: its share, of which the first streams carry the remainder, or as much
    /// as the transport should have before it.
    fn begin(&mut self, stream: StreamId) {
        let written = match self.options.amount {
            Amount::Bytes(bytes) => {
                let streams = u64::from(self.options.streams);
                bytes / streams + u64::from(u64::from(stream.0) < bytes % streams)
            }
            Amount::Duration { .. } if self.time_up => 0,
            Amount::Duration { ahead_bytes, .. } => ahead_bytes,
        };
        if written > 0 {
            self.write(stream, written);
        }
        if matches!(self.options.amount, Amount::Bytes(_)) || self.time_up {
            self.close(stream);
        } else {
            self.open.insert(stream);
        }
    }

    /// Stops a timed transfer once its time is up.
    fn watch_the_time(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.time_up = true;
            self.outputs.push_back(Output::Event(SenderEvent::TimeUp));
            self.close_open_streams();
        }
    }

    fn close_open_streams(&mut self) {
        for stream in std::mem::take(&mut self.open) {
            self.close(stream);
        }
    }
}

impl Machine for Sender {
    type Command = Command;
    type Event = SenderEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        self.watch_the_time(now);
        match input {
            Input::Command(Command::Start) => {
                if let Amount::Duration { span, .. } = self.options.amount {
                    self.deadline = Some(now.saturating_add(span));
                }
                for stream in 0..self.options.streams {
                    self.open(StreamId(stream));
                }
            }
            Input::Opened { stream } => {
                self.outputs
                    .push_back(Output::Event(SenderEvent::Connected { stream }));
                self.begin(stream);
            }
            Input::Sent { stream, bytes } => {
                if let Some(calls) = &mut self.calls {
                    calls.taken(stream, bytes);
                }
                if self.open.contains(&stream) {
                    self.write(stream, bytes);
                }
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
                self.open.remove(&stream);
                if let Some(calls) = &mut self.calls {
                    calls.forget(stream);
                }
                if !self.failed {
                    self.failed = true;
                    // The transfer is over: the streams that are left carry nothing more.
                    self.close_open_streams();
                    self.deadline = None;
                    self.outputs
                        .push_back(Output::Event(SenderEvent::Failed { stream }));
                }
            }
            Input::Start
            | Input::Wake
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Path { .. }
            | Input::Datagram { .. } => {}
        }
        if let Some(call) = self.calls.as_mut().and_then(|calls| calls.begin(now)) {
            self.carry_out(call);
        }
    }

    fn poll(&mut self) -> Output<SenderEvent> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let call = self.calls.as_ref().and_then(Calls::due);
        let wakes = [
            (self.deadline, "the time is up"),
            (call, "the application's next call"),
        ];
        let wakes = wakes.into_iter().filter_map(|(at, why)| Some((at?, why)));
        match wakes.min_by_key(|(at, _)| *at) {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}

/// The receiving end.
#[derive(Default)]
pub struct Receiver {
    received: u64,
    by_stream: BTreeMap<StreamId, u64>,
    outputs: VecDeque<Output<ReceiverEvent>>,
}

impl Receiver {
    /// Bytes received on all streams so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes received on each stream so far, in the order in which they were accepted.
    pub fn received_by_stream(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_stream.values().copied()
    }
}

impl Machine for Receiver {
    type Command = Command;
    type Event = ReceiverEvent;

    fn handle(&mut self, _now: Instant, input: Input<Command>) {
        match input {
            Input::Accepted { stream } => {
                self.by_stream.insert(stream, 0);
            }
            Input::Received { stream, payload } => {
                self.received += payload.len();
                *self.by_stream.entry(stream).or_default() += payload.len();
            }
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
            | Input::Sent { .. }
            | Input::Path { .. }
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
            amount: Amount::Bytes(10),
            streams: 3,
            call_time: Span::ZERO,
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
    fn a_timed_sender_refills_until_its_time_is_up_and_then_closes() {
        let mut sender = Sender::new(SenderOptions {
            peer: PeerId(1),
            amount: Amount::Duration {
                span: Span::from_s(5),
                ahead_bytes: 9_000,
            },
            streams: 2,
            call_time: Span::ZERO,
        });
        drain(&mut sender, Input::Command(Command::Start));
        assert!(matches!(sender.poll(), Output::WakeAt { at, .. } if at == Instant::ZERO + Span::from_s(5)));
        let stream = StreamId(0);
        let begun = drain(&mut sender, Input::Opened { stream });
        assert!(begun.contains(&Output::Send {
            stream,
            payload: Payload::Synthetic(9_000)
        }));
        let refill = drain(&mut sender, Input::Sent { stream, bytes: 700 });
        let payload = Payload::Synthetic(700);
        assert_eq!(refill, [Output::Send { stream, payload }]);

        sender.handle(Instant::ZERO + Span::from_s(5), Input::Wake);
        assert_eq!(sender.poll(), Output::Event(SenderEvent::TimeUp));
        assert_eq!(sender.poll(), Output::Close { stream });
        assert_eq!(sender.poll(), Output::Idle);
        assert_eq!(drain(&mut sender, Input::Sent { stream, bytes: 700 }), []);
        // A stream that comes too late carries nothing, and still ends.
        let late = drain(&mut sender, Input::Opened { stream: StreamId(1) });
        assert_eq!(late.last(), Some(&Output::Close { stream: StreamId(1) }));
        assert_eq!(late.len(), 2);
    }

    #[test]
    fn calls_that_take_time_leave_one_by_one_and_carry_the_same_bytes() {
        let call_time = Span::from_us(20);
        let mut sender = Sender::new(SenderOptions {
            peer: PeerId(1),
            amount: Amount::Bytes(300_001),
            streams: 2,
            call_time,
        });
        sender.handle(Instant::ZERO, Input::Command(Command::Start));
        // A transport that opens at once and takes everything.
        let (mut now, mut calls, mut sent) = (Instant::ZERO, Vec::new(), 0);
        loop {
            let input = match sender.poll() {
                Output::Open { stream, .. } => Input::Opened { stream },
                Output::Send { stream, payload } => {
                    sent += payload.len();
                    let bytes = payload.len();
                    Input::Sent { stream, bytes }
                }
                Output::Close { stream } => Input::Closed {
                    stream,
                    reason: CloseReason::Finished,
                },
                Output::WakeAt { at, .. } => {
                    now = at;
                    sender.handle(now, Input::Wake);
                    continue;
                }
                Output::Idle => break,
                Output::Event(_)
                | Output::Abort { .. }
                | Output::Inspect { .. }
                | Output::Datagram { .. } => continue,
            };
            calls.push(now);
            sender.handle(now, input);
        }
        // Two opens, two pieces for each half, two closes.
        assert_eq!((sent, calls.len()), (300_001, 8));
        let apart = |pair: &[Instant]| pair[1].saturating_since(pair[0]) == call_time;
        assert!(calls.windows(2).all(apart), "{calls:?}");
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
        assert!(receiver.received_by_stream().eq([7]));
        assert_eq!(outputs.last(), Some(&Output::Close { stream }));
    }
}
