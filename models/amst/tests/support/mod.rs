//! A sender and a receiver joined by streams whose speed, delay, cuts and deaths are drawn at random.

use std::collections::VecDeque;

use longhaul_amst::{
    MessageId, Receiver, ReceiverOptions, ReceiverOutput, Sender, SenderOptions, SenderOutput, StreamEnd,
};
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::random::{Stream as Random, Streams};

/// What may happen to the streams.
#[derive(Clone, Debug)]
pub struct Weather {
    pub seed: u64,
    /// Bytes per step of the slowest and the fastest stream.
    pub speed: (u64, u64),
    /// Longest one-way delay in steps.
    pub delay: u64,
    /// One in so many steps kills a stream; 0 for never.
    pub death: u64,
    /// Whether the last stream may die as well.
    pub spares_one: bool,
}

/// One direction of a stream.
#[derive(Default)]
struct Pipe {
    outbox: PayloadBuffer,
    on_the_way: VecDeque<(u64, Payload)>,
}

struct Connection {
    opened_at: u64,
    opened: bool,
    speed: u64,
    delay: u64,
    forth: Pipe,
    back: Pipe,
    /// When each side (sender, receiver) learns of the death.
    death: Option<(u64, u64)>,
    sender_closed: bool,
    receiver_closed: bool,
}

/// What came of a run.
#[derive(Default, Debug)]
pub struct Outcome {
    pub delivered: Vec<PayloadBuffer>,
    pub acked: Vec<MessageId>,
    pub drained: bool,
    pub failed: bool,
    pub replies: Vec<bytes::Bytes>,
    pub malformed: u32,
    pub deaths: u32,
    pub steps: u64,
}

pub struct World {
    pub sender: Sender,
    pub receiver: Receiver,
    window: u64,
    weather: Weather,
    random: Random,
    now: u64,
    connections: Vec<Connection>,
    pub outcome: Outcome,
}

fn stream(index: usize) -> StreamId {
    StreamId(index as u32)
}

impl World {
    pub fn new(options: SenderOptions, weather: Weather) -> World {
        let mut random = Streams::new(weather.seed, 0).stream("network", "weather");
        let (slow, fast) = weather.speed;
        let connections = (0..options.streams)
            .map(|_| Connection {
                opened_at: random.below(weather.delay + 1) * 2,
                opened: false,
                speed: slow + random.below(fast - slow + 1),
                delay: random.below(weather.delay + 1),
                forth: Pipe::default(),
                back: Pipe::default(),
                death: None,
                sender_closed: false,
                receiver_closed: false,
            })
            .collect();
        let mut sender = Sender::new(options).unwrap();
        sender.start();
        World {
            sender,
            receiver: Receiver::new(ReceiverOptions {
                window_bytes: options.window_bytes,
            }),
            window: options.window_bytes,
            weather,
            random,
            now: 0,
            connections,
            outcome: Outcome::default(),
        }
    }

    /// Sends `messages`, answers the last one with `reply`, closes, and runs until nothing is left to do.
    pub fn run(mut self, messages: Vec<PayloadBuffer>, reply: &'static [u8]) -> (Outcome, Sender, Receiver) {
        let total = messages.len();
        let mut messages = VecDeque::from(messages);
        while !self.over() {
            while self.sender.wants_more() {
                let Some(message) = messages.pop_front() else {
                    break;
                };
                self.sender.push(message).unwrap();
            }
            if messages.is_empty() {
                self.sender.finish();
            }
            self.step();
            if self.outcome.delivered.len() == total && self.outcome.steps == 0 {
                self.receiver.reply(reply.into());
                self.outcome.steps = self.now;
            }
            assert!(self.now < 4_000_000, "no progress: {:?}", self.outcome);
        }
        (self.outcome, self.sender, self.receiver)
    }

    /// Bytes per step of each stream.
    pub fn speeds(&self) -> Vec<u64> {
        self.connections
            .iter()
            .map(|connection| connection.speed)
            .collect()
    }

    fn over(&self) -> bool {
        let quiet = |pipe: &Pipe| pipe.outbox.is_empty() && pipe.on_the_way.is_empty();
        self.outcome.failed
            || (self.outcome.drained
                && !self.outcome.replies.is_empty()
                && self
                    .connections
                    .iter()
                    .all(|c| c.sender_closed || (quiet(&c.forth) && quiet(&c.back))))
    }

    fn step(&mut self) {
        self.now += 1;
        self.kill();
        for index in 0..self.connections.len() {
            self.open(index);
            self.advance(index);
        }
        self.drain();
        assert!(self.receiver.held_bytes() <= self.window);
    }

    fn open(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if !connection.opened && connection.opened_at <= self.now && connection.death.is_none() {
            connection.opened = true;
            self.receiver.on_accepted(stream(index));
            self.sender.on_opened(stream(index));
        }
    }

    fn kill(&mut self) {
        if self.weather.death == 0 || self.random.below(self.weather.death) > 0 {
            return;
        }
        let alive = self.connections.iter().filter(|c| c.death.is_none()).count();
        let victim = self.random.below(self.connections.len() as u64) as usize;
        if (alive > 1 || !self.weather.spares_one) && self.connections[victim].death.is_none() {
            let later = |random: &mut Random| random.below(20);
            let death = (
                self.now + later(&mut self.random),
                self.now + later(&mut self.random),
            );
            self.connections[victim].death = Some(death);
            self.outcome.deaths += 1;
        }
    }

    fn advance(&mut self, index: usize) {
        let id = stream(index);
        let connection = &mut self.connections[index];
        if let Some((sender_learns, receiver_learns)) = connection.death {
            // What was on the way is gone.
            if sender_learns <= self.now && !std::mem::replace(&mut connection.sender_closed, true) {
                self.sender.on_closed(id, CloseReason::Failed);
            }
            if receiver_learns <= self.now && !std::mem::replace(&mut connection.receiver_closed, true) {
                self.receiver.on_closed(id, CloseReason::Failed);
            }
            return;
        }
        let mut room = connection.speed;
        let mut taken = 0;
        while let Some(piece) = connection
            .forth
            .outbox
            .pop(room.min(1 + self.random.below(1_448)))
        {
            room -= piece.len();
            taken += piece.len();
            connection
                .forth
                .on_the_way
                .push_back((self.now + connection.delay, piece));
        }
        if taken > 0 {
            self.sender.on_sent(id, taken);
        }
        let mut answered = 0;
        while let Some(piece) = connection.back.outbox.pop(1 + self.random.below(100)) {
            answered += piece.len();
            connection
                .back
                .on_the_way
                .push_back((self.now + connection.delay, piece));
        }
        if answered > 0 {
            self.receiver.on_sent(id, answered);
        }
        while connection
            .forth
            .on_the_way
            .front()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            let (_, piece) = connection.forth.on_the_way.pop_front().unwrap();
            self.receiver.on_received(id, piece);
        }
        while connection
            .back
            .on_the_way
            .front()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            let (_, piece) = connection.back.on_the_way.pop_front().unwrap();
            self.sender.on_received(id, piece);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.receiver.poll() {
            match output {
                ReceiverOutput::Send { stream, payload } => {
                    self.connections[stream.0 as usize].back.outbox.push(payload);
                }
                ReceiverOutput::Delivered { message, content } => {
                    assert_eq!(message.0, self.outcome.delivered.len() as u64, "out of order");
                    self.outcome.delivered.push(content);
                }
                ReceiverOutput::StreamEnded {
                    why: StreamEnd::Malformed(_),
                    ..
                } => self.outcome.malformed += 1,
                ReceiverOutput::StreamEnded { .. } | ReceiverOutput::Close { .. } => {}
            }
        }
        while let Some(output) = self.sender.poll() {
            match output {
                SenderOutput::Send { stream, payload } => {
                    self.connections[stream.0 as usize].forth.outbox.push(payload);
                }
                SenderOutput::Acked { message } => self.outcome.acked.push(message),
                SenderOutput::Drained => self.outcome.drained = true,
                SenderOutput::Failed { .. } => self.outcome.failed = true,
                SenderOutput::Reply { content } => self.outcome.replies.push(content),
                SenderOutput::StreamLost {
                    why: StreamEnd::Malformed(_),
                    ..
                } => self.outcome.malformed += 1,
                SenderOutput::Open { .. } | SenderOutput::Close { .. } | SenderOutput::StreamLost { .. } => {}
            }
        }
    }
}
