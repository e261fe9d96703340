//! A sender and a receiver with a pipe between them that keeps its own books.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::tape::Recorder;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_stream::wire::{Content, Message};
use longhaul_stream::{
    Command, Receiver, ReceiverEvent, ReceiverOptions, Sender, SenderEvent, SenderOptions,
};

pub const SENDER: PeerId = PeerId(0);
pub const RECEIVER: PeerId = PeerId(1);
pub const INTERVAL: Span = Span::from_ms(20);

pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

pub fn percent(share: u64) -> Probability {
    Probability::from_ratio(share, 100).expect("a percentage")
}

/// A datagram every 20 ms as of a telephone call, for so long.
pub fn call(duration: Span) -> SenderOptions {
    SenderOptions {
        peer: RECEIVER,
        interval: INTERVAL,
        payload_bytes: 172,
        duration,
    }
}

/// Both ends, and what the pipe between them does.
pub struct Pipe {
    pub sender: Recorder<Sender>,
    pub receiver: Recorder<Receiver>,
    pub now: Instant,
    pub delay: Span,
    /// Up to this is added to the delay at random, so datagrams overtake each other.
    pub jitter: Span,
    pub loss: Probability,
    pub duplication: Probability,
    /// Nothing that is sent in this time passes, in either direction.
    pub outage: Range<Instant>,
    /// These datagrams of the stream are lost.
    pub lost_sequences: BTreeSet<u32>,
    /// Between two things that happen, both ends are woken for nothing.
    pub restless: bool,
    /// When each datagram of the stream left, in order.
    pub sent: Vec<Instant>,
    /// When the ends of the stream left.
    pub ends: Vec<Instant>,
    /// Sequence number and time of each arrival of a datagram of the stream, in order.
    pub arrived: Vec<(u32, Instant)>,
    pub sender_events: Vec<(Instant, SenderEvent)>,
    pub receiver_events: Vec<(Instant, ReceiverEvent)>,
    wake: Option<Instant>,
    flying: BTreeMap<(Instant, u64), (PeerId, Payload)>,
    count: u64,
    random: Stream,
}

impl Pipe {
    /// 40 ms each way, nothing lost.
    pub fn new(options: SenderOptions, seed: u64) -> Pipe {
        Pipe {
            sender: Recorder::new("sender", Sender::new(options).expect("valid options")),
            receiver: Recorder::new("receiver", receiver(options.interval)),
            now: Instant::ZERO,
            delay: Span::from_ms(40),
            jitter: Span::ZERO,
            loss: Probability::ZERO,
            duplication: Probability::ZERO,
            outage: Instant::MAX..Instant::MAX,
            lost_sequences: BTreeSet::new(),
            restless: false,
            sent: Vec::new(),
            ends: Vec::new(),
            arrived: Vec::new(),
            sender_events: Vec::new(),
            receiver_events: Vec::new(),
            wake: None,
            flying: BTreeMap::new(),
            count: 0,
            random: Streams::new(seed, 0).stream("pipe", "test"),
        }
    }

    /// Sends the whole stream and runs until nothing more happens.
    pub fn run(mut self) -> Pipe {
        self.tell_sender(Input::Start);
        self.tell_receiver(Input::Start);
        self.tell_sender(Input::Command(Command::Start));
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [arrival, self.wake].into_iter().flatten().min() else {
                return self;
            };
            if self.restless {
                self.now = Instant::from_ns(self.now.as_ns().midpoint(next.as_ns()));
                self.wake_all();
            }
            self.now = next;
            if arrival == Some(next) {
                let (_, (from, payload)) = self.flying.pop_first().expect("an arrival");
                if from == SENDER {
                    if let Content::Datagram { sequence, .. } = content(&payload) {
                        self.arrived.push((sequence, next));
                    }
                    self.tell_receiver(Input::Datagram { from, payload });
                } else {
                    self.tell_sender(Input::Datagram { from, payload });
                }
            } else {
                self.tell_sender(Input::Wake);
            }
            if self.restless {
                self.wake_all();
            }
        }
    }

    fn wake_all(&mut self) {
        self.tell_sender(Input::Wake);
        self.tell_receiver(Input::Wake);
    }

    fn tell_sender(&mut self, input: Input<Command>) {
        self.sender.handle(self.now, input);
        self.wake = loop {
            match self.sender.poll() {
                Output::Datagram { to, payload } => {
                    assert_eq!(to, RECEIVER);
                    self.leave(&payload);
                    self.carry(SENDER, &payload);
                }
                Output::Event(event) => self.sender_events.push((self.now, event)),
                Output::WakeAt { at, .. } => {
                    assert!(at > self.now, "a wake that is due already");
                    break Some(at);
                }
                Output::Idle => break None,
                other => panic!("{other:?}"),
            }
        };
    }

    fn tell_receiver(&mut self, input: Input<Command>) {
        self.receiver.handle(self.now, input);
        loop {
            match self.receiver.poll() {
                Output::Datagram { to, payload } => {
                    assert_eq!(to, SENDER);
                    self.carry(RECEIVER, &payload);
                }
                Output::Event(event) => self.receiver_events.push((self.now, event)),
                Output::Idle => break,
                other => panic!("{other:?}"),
            }
        }
    }

    fn leave(&mut self, payload: &Payload) {
        match content(payload) {
            Content::Datagram { sequence, .. } => {
                assert_eq!(sequence as usize, self.sent.len());
                self.sent.push(self.now);
            }
            Content::End { count } => {
                assert_eq!(count as usize, self.sent.len());
                self.ends.push(self.now);
            }
            Content::Report(_) => panic!("a report of the sender"),
        }
    }

    fn carry(&mut self, from: PeerId, payload: &Payload) {
        let lost = matches!(content(payload), Content::Datagram { sequence, .. } if self.lost_sequences.contains(&sequence));
        if lost || self.outage.contains(&self.now) || self.random.chance(self.loss) {
            return;
        }
        for _ in 0..1 + u64::from(self.random.chance(self.duplication)) {
            let more = self.random.below(self.jitter.as_ns() + 1);
            let at = self.now + self.delay + Span::from_ns(more);
            self.count += 1;
            self.flying.insert((at, self.count), (from, payload.clone()));
        }
    }
}

pub fn receiver(interval: Span) -> Receiver {
    Receiver::new(ReceiverOptions {
        peer: SENDER,
        interval,
    })
}

fn content(payload: &Payload) -> Content {
    let Payload::Real(bytes) = payload else {
        panic!("a synthetic payload");
    };
    Message::parse(bytes).expect("a message").content
}
