//! The sending end: a datagram every interval, then the end of the stream until it is answered.

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::wire::{COUNT_MAX, Content, DATAGRAM_BYTES_MAX, HEADER_BYTES, Message};

/// Pauses before each of the datagrams that end a stream, the first after the last of the stream.
pub const END_PAUSES: [Span; 3] = [Span::from_ms(500), Span::from_s(1), Span::from_s(2)];
/// How long after the last of them the sender still waits for the receiver's answer.
pub const ANSWER_TIMEOUT: Span = Span::from_s(4);

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderOptions {
    /// To whom.
    pub peer: PeerId,
    /// From one datagram to the next, above zero.
    pub interval: Span,
    /// Payload of each datagram in bytes, [`HEADER_BYTES`] to [`DATAGRAM_BYTES_MAX`]; headers of UDP and below come
    /// on top.
    pub payload_bytes: u32,
    /// How long the stream is, above zero: datagrams leave at the start and every interval after it, as long as that
    /// is before the end of this time. At most [`COUNT_MAX`] datagrams.
    pub duration: Span,
}

/// Why a stream cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// No time between datagrams.
    #[error("interval: must be above zero")]
    Interval,
    /// No time to send anything in.
    #[error("duration: must be above zero")]
    Duration,
    /// Datagrams too short for their header or too long for a packet.
    #[error("payload_bytes: {0} is not within {HEADER_BYTES} to {DATAGRAM_BYTES_MAX}")]
    Payload(u32),
    /// More datagrams than there are sequence numbers.
    #[error("duration: {0} datagrams are more than {COUNT_MAX}")]
    Count(u64),
}

/// The only command of a sender. A second one does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Send now.
    Start,
}

/// What a sender reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SenderEvent {
    /// The stream begins.
    Started,
    /// The last datagram has left.
    Finished {
        /// How many there were.
        sent: u32,
    },
    /// The receiver has answered: the stream is complete.
    Completed {
        /// Its answer.
        report: Report,
    },
    /// The receiver has not answered in time: the stream is complete too, and may be lost altogether. A later answer
    /// is ignored.
    Unanswered {
        /// How many datagrams there were.
        sent: u32,
    },
}

/// The sending end.
///
/// The datagram with sequence number k leaves at start + k × interval, or as soon as the machine is woken if that is
/// later; the time in it is when it left.
pub struct Sender {
    options: SenderOptions,
    count: u32,
    now: Instant,
    state: State,
    outputs: VecDeque<Output<SenderEvent>>,
}

enum State {
    Waiting,
    Sending {
        start: Instant,
        sent: u32,
    },
    /// All are sent, and so many ends.
    Ending {
        ends: usize,
        /// When the next end leaves or, after the last, waiting is over.
        due: Instant,
    },
    Over,
}

impl Sender {
    /// A sender that waits for [`Command::Start`].
    ///
    /// # Errors
    /// The first option that is out of its range.
    pub fn new(options: SenderOptions) -> Result<Sender, OptionsError> {
        if options.interval == Span::ZERO {
            return Err(OptionsError::Interval);
        }
        if options.duration == Span::ZERO {
            return Err(OptionsError::Duration);
        }
        // A usize holds 32 bits at least.
        if !(HEADER_BYTES..=DATAGRAM_BYTES_MAX).contains(&(options.payload_bytes as usize)) {
            return Err(OptionsError::Payload(options.payload_bytes));
        }
        let count = options.duration.as_ns().div_ceil(options.interval.as_ns());
        let in_range = u32::try_from(count).ok().filter(|count| *count <= COUNT_MAX);
        Ok(Sender {
            options,
            count: in_range.ok_or(OptionsError::Count(count))?,
            now: Instant::ZERO,
            state: State::Waiting,
            outputs: VecDeque::new(),
        })
    }

    /// How many datagrams the stream has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many of them have left so far.
    pub fn sent(&self) -> u32 {
        match self.state {
            State::Waiting => 0,
            State::Sending { sent, .. } => sent,
            State::Ending { .. } | State::Over => self.count,
        }
    }

    fn message(&self, content: Content) -> Output<SenderEvent> {
        let sent = self.now;
        Output::Datagram {
            to: self.options.peer,
            payload: Payload::Real(Message { sent, content }.to_bytes()),
        }
    }

    fn answered(&mut self, from: PeerId, payload: &Payload) {
        let Payload::Real(bytes) = payload else {
            return;
        };
        if from != self.options.peer || !matches!(self.state, State::Ending { .. }) {
            return;
        }
        if let Ok(Message {
            content: Content::Report(report),
            ..
        }) = Message::parse(bytes)
            && report.expected == u64::from(self.count)
        {
            self.state = State::Over;
            self.outputs
                .push_back(Output::Event(SenderEvent::Completed { report }));
        }
    }
}

impl Machine for Sender {
    type Command = Command;
    type Event = SenderEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        self.now = now;
        match input {
            Input::Command(Command::Start) => {
                if matches!(self.state, State::Waiting) {
                    self.state = State::Sending { start: now, sent: 0 };
                    self.outputs.push_back(Output::Event(SenderEvent::Started));
                }
            }
            Input::Datagram { from, payload } => self.answered(from, &payload),
            Input::Start
            | Input::Wake
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Sent { .. }
            | Input::Closed { .. }
            | Input::Path { .. } => {}
        }
    }

    /// What is due is made here, one by one: after a late wake there may be many, and none of them waits in memory.
    fn poll(&mut self) -> Output<SenderEvent> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.state {
            State::Sending { start, sent } => {
                let due = start.saturating_add(self.options.interval.saturating_mul(u64::from(sent)));
                if due > self.now {
                    let why = "the next datagram";
                    return Output::WakeAt { at: due, why };
                }
                self.state = State::Sending {
                    start,
                    sent: sent + 1,
                };
                if sent + 1 == self.count {
                    let due = self.now.saturating_add(END_PAUSES[0]);
                    self.state = State::Ending { ends: 0, due };
                    let sent = self.count;
                    self.outputs
                        .push_back(Output::Event(SenderEvent::Finished { sent }));
                }
                self.message(Content::Datagram {
                    sequence: sent,
                    // At most `DATAGRAM_BYTES_MAX`, by the constructor.
                    bytes: self.options.payload_bytes as u16,
                })
            }
            State::Ending { due, .. } if due > self.now => Output::WakeAt {
                at: due,
                why: "the answer to the end",
            },
            State::Ending { ends, .. } if ends < END_PAUSES.len() => {
                let ends = ends + 1;
                let pause = END_PAUSES.get(ends).copied().unwrap_or(ANSWER_TIMEOUT);
                let due = self.now.saturating_add(pause);
                self.state = State::Ending { ends, due };
                self.message(Content::End { count: self.count })
            }
            State::Ending { .. } => {
                self.state = State::Over;
                Output::Event(SenderEvent::Unanswered { sent: self.count })
            }
            State::Waiting | State::Over => Output::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: SenderOptions = SenderOptions {
        peer: PeerId(1),
        interval: Span::from_ms(20),
        payload_bytes: 172,
        duration: Span::from_s(1),
    };

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refused = |change: fn(&mut SenderOptions)| {
            let mut options = OPTIONS;
            change(&mut options);
            Sender::new(options).err()
        };
        assert_eq!(refused(|_| {}), None);
        assert_eq!(
            refused(|options| options.interval = Span::ZERO),
            Some(OptionsError::Interval)
        );
        assert_eq!(
            refused(|options| options.duration = Span::ZERO),
            Some(OptionsError::Duration)
        );
        for bytes in [0, 15, 1473, u32::MAX] {
            let mut options = OPTIONS;
            options.payload_bytes = bytes;
            assert_eq!(Sender::new(options).err(), Some(OptionsError::Payload(bytes)));
        }
        assert_eq!(
            refused(|options| (options.interval, options.duration) = (Span::from_ns(1), Span::from_s(2))),
            Some(OptionsError::Count(2_000_000_000))
        );
    }

    #[test]
    fn a_stream_has_a_datagram_per_interval_that_begins_before_its_end() {
        let count = |duration_ns| {
            let duration = Span::from_ns(duration_ns);
            Sender::new(SenderOptions { duration, ..OPTIONS })
                .unwrap()
                .count()
        };
        assert_eq!(
            [1, 20_000_000, 20_000_001, 1_000_000_000].map(count),
            [1, 1, 2, 50]
        );
    }

    #[test]
    fn what_is_due_leaves_at_a_late_wake_and_the_pace_is_kept_after_it() {
        let mut sender = Sender::new(OPTIONS).unwrap();
        let start = Instant::ZERO + Span::from_ms(7);
        assert_eq!(sender.poll(), Output::Idle);
        sender.handle(start, Input::Command(Command::Start));
        assert_eq!(sender.poll(), Output::Event(SenderEvent::Started));
        let mut leave = |now| {
            sender.handle(now, Input::Wake);
            let mut sequences = Vec::new();
            loop {
                match sender.poll() {
                    Output::Datagram {
                        payload: Payload::Real(bytes),
                        ..
                    } => {
                        let message = Message::parse(&bytes).unwrap();
                        assert_eq!((message.sent, bytes.len()), (now, 172));
                        let Content::Datagram { sequence, .. } = message.content else {
                            panic!("{message:?}");
                        };
                        sequences.push(sequence);
                    }
                    Output::WakeAt { at, .. } => return (sequences, at - start),
                    other => panic!("{other:?}"),
                }
            }
        };
        let ms = Span::from_ms;
        assert_eq!(leave(start), (vec![0], ms(20)));
        assert_eq!(leave(start), (vec![], ms(20)));
        assert_eq!(leave(start + ms(19)), (vec![], ms(20)));
        assert_eq!(leave(start + ms(65)), (vec![1, 2, 3], ms(80)));
        assert_eq!(leave(start + ms(80)), (vec![4], ms(100)));
    }
}
