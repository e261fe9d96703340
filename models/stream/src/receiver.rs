//! The receiving end: counts what arrives and answers the end of the stream.

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::arrivals::Arrivals;
use crate::report::Report;
use crate::sender::Command;
use crate::wire::{Content, Message};

/// Which stream to expect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiverOptions {
    /// From whom.
    pub peer: PeerId,
    /// The sender's interval, beyond which a time without a new datagram is a gap.
    pub interval: Span,
}

/// What a receiver reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReceiverEvent {
    /// The first datagram has arrived.
    First {
        /// Its sequence number, from 0.
        sequence: u32,
    },
    /// The end of the stream has become known. Datagrams that arrive after it still count in [`Receiver::report`].
    Ended {
        /// The report of this moment.
        report: Report,
    },
}

/// Datagrams that arrived and are not of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ignored {
    /// Those of another peer.
    pub foreign: u64,
    /// Those of the peer that are damaged, of another kind, or contradict what is known of the stream.
    pub invalid: u64,
}

/// The receiving end of one stream. Takes about 35 KiB whatever arrives, and knows no command.
pub struct Receiver {
    peer: PeerId,
    arrivals: Arrivals,
    ignored: Ignored,
    outputs: VecDeque<Output<ReceiverEvent>>,
}

impl Receiver {
    /// A receiver that waits for a stream.
    pub fn new(options: ReceiverOptions) -> Receiver {
        Receiver {
            peer: options.peer,
            arrivals: Arrivals::new(options.interval),
            ignored: Ignored::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Datagrams that have arrived so far, each counted once.
    pub fn received(&self) -> u64 {
        self.arrivals.received()
    }

    /// Whether the end of the stream is known.
    pub fn ended(&self) -> bool {
        self.arrivals.count().is_some()
    }

    /// What is known of the stream now. Looks through the 4096 sequence numbers that are remembered.
    pub fn report(&self) -> Report {
        self.arrivals.report()
    }

    /// What arrived and was ignored so far.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// Takes a message of the peer. Whether it can be of the stream.
    fn take(&mut self, now: Instant, message: &Message) -> bool {
        match message.content {
            Content::Datagram { sequence, .. } => {
                let first = self.arrivals.received() == 0;
                let taken = self.arrivals.arrive(now, u64::from(sequence), message.sent);
                if first && taken {
                    self.outputs
                        .push_back(Output::Event(ReceiverEvent::First { sequence }));
                }
                taken
            }
            Content::End { count } => {
                let known = self.ended();
                if !self.arrivals.end(u64::from(count)) {
                    return false;
                }
                let report = self.report();
                if !known {
                    self.outputs
                        .push_back(Output::Event(ReceiverEvent::Ended { report }));
                }
                let answer = Message {
                    sent: now,
                    content: Content::Report(report),
                };
                self.outputs.push_back(Output::Datagram {
                    to: self.peer,
                    payload: Payload::Real(answer.to_bytes()),
                });
                true
            }
            Content::Report(_) => false,
        }
    }
}

impl Machine for Receiver {
    type Command = Command;
    type Event = ReceiverEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        let Input::Datagram { from, payload } = input else {
            return;
        };
        if from != self.peer {
            self.ignored.foreign += 1;
            return;
        }
        let message = match &payload {
            Payload::Real(bytes) => Message::parse(bytes).ok(),
            Payload::Synthetic(_) => None,
        };
        if !message.is_some_and(|message| self.take(now, &message)) {
            self.ignored.invalid += 1;
        }
    }

    fn poll(&mut self) -> Output<ReceiverEvent> {
        self.outputs.pop_front().unwrap_or(Output::Idle)
    }
}
