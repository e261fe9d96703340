//! A sender and a receiver joined by streams whose speed, delay, cuts and deaths are drawn at random.

use std::collections::{BTreeMap, VecDeque};

use longhaul_amst::{
    MessageId, Priority, Receiver, ReceiverOptions, ReceiverOutput, Sender, SenderOptions, SenderOutput,
    StreamEnd,
};
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::random::{Stream as Random, Streams};
use longhaul_core::time::{Instant, Span};

/// A step of the world.
pub const STEP: Span = Span::from_ms(1);

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
    /// One in so many streams is refused instead of opened; 0 for none.
    pub refusal: u64,
    /// Whether the last stream may die as well.
    pub spares_one: bool,
}

/// One direction of a stream.
#[derive(Default)]
struct Pipe {
    outbox: PayloadBuffer,
    on_the_way: VecDeque<(u64, Payload)>,
}

impl Pipe {
    fn is_quiet(&self) -> bool {
        self.outbox.is_empty() && self.on_the_way.is_empty()
    }

    fn arrived(&mut self, now: u64) -> Option<Payload> {
        let (at, _) = self.on_the_way.front()?;
        (*at <= now).then(|| self.on_the_way.pop_front().unwrap().1)
    }
}

struct Connection {
    opened_at: u64,
    opened: bool,
    refused: bool,
    speed: u64,
    delay: u64,
    forth: Pipe,
    back: Pipe,
    /// Whether either side sends nothing more.
    finishing: [bool; 2],
    /// When each side (sender, receiver) learns of the death.
    death: Option<(u64, u64)>,
    sender_closed: bool,
    receiver_closed: bool,
}

impl Connection {
    fn is_over(&self) -> bool {
        self.sender_closed && (self.receiver_closed || self.refused)
    }
}

/// What came of a run.
#[derive(Default, Debug)]
pub struct Outcome {
    pub delivered: BTreeMap<Priority, Vec<PayloadBuffer>>,
    /// In which order, over both priorities, and when.
    pub deliveries: Vec<(u64, MessageId)>,
    pub acked: Vec<MessageId>,
    pub drained: bool,
    pub failed: bool,
    pub replies: Vec<bytes::Bytes>,
    pub malformed: u32,
    pub deaths: u32,
    pub opened: u32,
    /// The most streams that were open at the same time.
    pub most_open: u32,
    pub steps: u64,
}

impl Outcome {
    pub fn bulk(&mut self) -> Vec<PayloadBuffer> {
        self.delivered.remove(&Priority::Bulk).unwrap_or_default()
    }
}

pub struct World {
    pub sender: Sender,
    pub receiver: Receiver,
    window: u64,
    weather: Weather,
    random: Random,
    pub now: u64,
    connections: BTreeMap<StreamId, Connection>,
    pub outcome: Outcome,
}

impl World {
    pub fn new(options: SenderOptions, weather: Weather) -> World {
        let random = Streams::new(weather.seed, 0).stream("network", "weather");
        let mut sender = Sender::new(options).unwrap();
        sender.start();
        let mut world = World {
            sender,
            receiver: Receiver::new(ReceiverOptions {
                window_bytes: options.window_bytes,
            }),
            window: options.window_bytes + longhaul_amst::CONTROL_WINDOW_BYTES,
            weather,
            random,
            now: 0,
            connections: BTreeMap::new(),
            outcome: Outcome::default(),
        };
        world.drain();
        world
    }

    /// Sends `messages`, answers the last one with `reply`, closes, and runs until nothing is left to do.
    pub fn run(self, messages: Vec<PayloadBuffer>, reply: &'static [u8]) -> (Outcome, Sender, Receiver) {
        let messages = messages.into_iter().map(|message| (Priority::Bulk, message));
        self.run_prioritised(messages.collect(), reply)
    }

    /// The same with messages of both priorities. One of control is pushed as soon as it is the next.
    pub fn run_prioritised(
        mut self,
        messages: Vec<(Priority, PayloadBuffer)>,
        reply: &'static [u8],
    ) -> (Outcome, Sender, Receiver) {
        let total = messages.len();
        let mut messages = VecDeque::from(messages);
        while !self.over() {
            while let Some((priority, _)) = messages.front()
                && (*priority == Priority::Control || self.sender.wants_more())
            {
                let (priority, message) = messages.pop_front().unwrap();
                if !self.outcome.failed {
                    self.sender.push(message, priority).unwrap();
                }
            }
            if messages.is_empty() {
                self.sender.finish();
            }
            self.step();
            if self.outcome.deliveries.len() == total && self.outcome.steps == 0 {
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
            .values()
            .map(|connection| connection.speed)
            .collect()
    }

    fn over(&self) -> bool {
        let quiet = |c: &Connection| c.sender_closed || (c.forth.is_quiet() && c.back.is_quiet());
        self.outcome.failed
            || (self.outcome.drained
                && !self.outcome.replies.is_empty()
                && self.connections.values().all(quiet))
    }

    pub fn step(&mut self) {
        self.now += 1;
        self.sender.advance(Instant::ZERO + STEP * self.now);
        self.kill();
        let streams: Vec<StreamId> = self.connections.keys().copied().collect();
        for stream in streams {
            self.open(stream);
            self.advance(stream);
        }
        self.connections.retain(|_, connection| !connection.is_over());
        self.drain();
        assert!(self.receiver.held_bytes() <= self.window);
        self.outcome.most_open = self.outcome.most_open.max(self.sender.open_streams());
    }

    fn connect(&mut self, stream: StreamId) {
        let (slow, fast) = self.weather.speed;
        let refusal = self.weather.refusal;
        let connection = Connection {
            opened_at: self.now + self.random.below(self.weather.delay + 1) * 2,
            opened: false,
            refused: refusal > 0 && self.random.below(refusal) == 0,
            speed: slow + self.random.below(fast - slow + 1),
            delay: self.random.below(self.weather.delay + 1),
            forth: Pipe::default(),
            back: Pipe::default(),
            finishing: [false; 2],
            death: None,
            sender_closed: false,
            receiver_closed: false,
        };
        let before = self.connections.insert(stream, connection);
        assert!(before.is_none(), "{stream:?} twice");
    }

    fn open(&mut self, stream: StreamId) {
        let connection = self.connections.get_mut(&stream).unwrap();
        if connection.opened || connection.opened_at > self.now || connection.death.is_some() {
            return;
        }
        connection.opened = true;
        if connection.refused {
            connection.sender_closed = true;
            self.sender.on_closed(stream, CloseReason::Failed);
        } else {
            self.outcome.opened += 1;
            self.receiver.on_accepted(stream);
            self.sender.on_opened(stream);
        }
    }

    fn kill(&mut self) {
        if self.weather.death == 0 || self.random.below(self.weather.death) > 0 || self.connections.is_empty()
        {
            return;
        }
        let alive = self.connections.values().filter(|c| c.death.is_none()).count();
        let victim = self.random.below(self.connections.len() as u64) as usize;
        let later = (self.random.below(20), self.random.below(20));
        let victim = self.connections.values_mut().nth(victim).unwrap();
        if (alive > 1 || !self.weather.spares_one) && victim.death.is_none() {
            victim.death = Some((self.now + later.0, self.now + later.1));
            self.outcome.deaths += 1;
        }
    }

    fn advance(&mut self, id: StreamId) {
        let now = self.now;
        let connection = self.connections.get_mut(&id).unwrap();
        if let Some((sender_learns, receiver_learns)) = connection.death {
            // What was on the way is gone.
            if sender_learns <= now && !std::mem::replace(&mut connection.sender_closed, true) {
                self.sender.on_closed(id, CloseReason::Failed);
            }
            let accepted = connection.opened && !connection.refused;
            if receiver_learns <= now && !std::mem::replace(&mut connection.receiver_closed, true) && accepted
            {
                self.receiver.on_closed(id, CloseReason::Failed);
            }
            return;
        }
        if connection.refused {
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
            let arrival = now + connection.delay;
            connection.forth.on_the_way.push_back((arrival, piece));
        }
        if taken > 0 {
            self.sender.on_sent(id, taken);
        }
        let mut answered = 0;
        while let Some(piece) = connection.back.outbox.pop(1 + self.random.below(100)) {
            answered += piece.len();
            let arrival = now + connection.delay;
            connection.back.on_the_way.push_back((arrival, piece));
        }
        if answered > 0 {
            self.receiver.on_sent(id, answered);
        }
        while let Some(piece) = connection.forth.arrived(now) {
            self.receiver.on_received(id, piece);
        }
        while let Some(piece) = connection.back.arrived(now) {
            self.sender.on_received(id, piece);
        }
        let [forth, back] = connection.finishing;
        if forth && connection.forth.is_quiet() && !connection.receiver_closed && connection.opened {
            connection.receiver_closed = true;
            self.receiver.on_closed(id, CloseReason::Finished);
        }
        if back && connection.back.is_quiet() && !connection.sender_closed {
            connection.sender_closed = true;
            self.sender.on_closed(id, CloseReason::Finished);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.receiver.poll() {
            match output {
                ReceiverOutput::Send { stream, payload } => {
                    if let Some(connection) = self.connections.get_mut(&stream) {
                        connection.back.outbox.push(payload);
                    }
                }
                ReceiverOutput::Delivered { message, content } => {
                    let delivered = self.outcome.delivered.entry(message.priority).or_default();
                    assert_eq!(message.number, delivered.len() as u64, "out of order");
                    delivered.push(content);
                    self.outcome.deliveries.push((self.now, message));
                }
                ReceiverOutput::StreamEnded {
                    why: StreamEnd::Malformed(_) | StreamEnd::TooMany,
                    ..
                } => self.outcome.malformed += 1,
                ReceiverOutput::StreamEnded { .. } => {}
                ReceiverOutput::Close { stream } => self.finish(stream, 1),
            }
        }
        while let Some(output) = self.sender.poll() {
            match output {
                SenderOutput::Open { stream } => self.connect(stream),
                SenderOutput::Send { stream, payload } => {
                    if let Some(connection) = self.connections.get_mut(&stream) {
                        connection.forth.outbox.push(payload);
                    }
                }
                SenderOutput::Acked { message } => self.outcome.acked.push(message),
                SenderOutput::Drained => self.outcome.drained = true,
                SenderOutput::Failed { .. } => self.outcome.failed = true,
                SenderOutput::Reply { content } => self.outcome.replies.push(content),
                SenderOutput::StreamLost {
                    why: StreamEnd::Malformed(_) | StreamEnd::TooMany,
                    ..
                } => self.outcome.malformed += 1,
                SenderOutput::Close { stream } => self.finish(stream, 0),
                SenderOutput::Abort { stream } => {
                    if let Some(connection) = self.connections.get_mut(&stream) {
                        connection.sender_closed = true;
                        connection.death = Some((self.now, self.now + 1));
                    }
                }
                SenderOutput::Inspect { .. }
                | SenderOutput::Adapted { .. }
                | SenderOutput::StreamLost { .. } => {}
            }
        }
    }

    fn finish(&mut self, stream: StreamId, side: usize) {
        if let Some(connection) = self.connections.get_mut(&stream) {
            connection.finishing[side] = true;
        }
    }
}
