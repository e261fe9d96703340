//! Propagation of baselines between two sites.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};
use longhaul_hde::baseline::{
    BaselineReceiver, BaselineSender, Cadence, ReceiverOptions, Reply, SenderEvent, SenderOptions,
    SenderOutput, StoreOptions,
};
use longhaul_hde::dictionary::Dictionary;
use longhaul_hde::object::{Object, ObjectId, ObjectOptions};

use crate::bytes::{Decisions, noise};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Most messages under way in one direction; what is more is lost.
const MAX_UNDER_WAY: usize = 32;

/// Both sites, the messages between them, and what must be true.
struct World {
    now: Instant,
    sender: BaselineSender,
    receiver: BaselineReceiver,
    receiver_options: ReceiverOptions,
    incarnation: u64,
    there: Vec<Bytes>,
    back: Vec<Bytes>,
    /// Every version ever given.
    given: BTreeMap<(ObjectId, u64), Object>,
    latest: BTreeMap<ObjectId, Object>,
    delivered: BTreeMap<ObjectId, u64>,
}

impl World {
    fn new(decisions: &mut Decisions<'_>) -> World {
        let store = StoreOptions {
            max_bytes: [0, 3000, 20_000, 1 << 20][decisions.below(4)],
            max_entries: 1 + decisions.below(8),
            max_versions: 1 + decisions.below(3),
            ttl: Span::from_s(20),
        };
        let receiver_options = ReceiverOptions {
            max_object_bytes: 1 << 13,
            max_objects: 8,
            store,
        };
        World {
            now: Instant::ZERO,
            sender: BaselineSender::new(SenderOptions {
                encoding: ObjectOptions::with_level(1),
                cadence: Cadence {
                    max_delta_chain: decisions.below(5) as u32,
                    interval: Span::from_s(10),
                },
                similar: decisions.below(2) == 1,
                retry: Span::from_ms(500),
                retry_max: Span::from_s(4),
                history: store,
            }),
            receiver: BaselineReceiver::new(receiver_options, 0),
            receiver_options,
            incarnation: 0,
            there: Vec::new(),
            back: Vec::new(),
            given: BTreeMap::new(),
            latest: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn step(&mut self, decisions: &mut Decisions<'_>) {
        match decisions.below(12) {
            0 | 1 => self.update(decisions),
            2 | 3 => {
                if let Some(frame) = pick(decisions, &mut self.there) {
                    self.receive(&frame);
                }
            }
            4 | 5 => {
                if let Some(reply) = pick(decisions, &mut self.back) {
                    self.sender.on_reply(self.now, &reply).expect("a whole reply");
                }
            }
            // Lost, or damaged.
            6 => {
                pick(decisions, &mut self.there);
                pick(decisions, &mut self.back);
            }
            7 => {
                if let Some(frame) = pick(decisions, &mut self.there) {
                    let damaged = damage(decisions, &frame);
                    let answer = self.receiver.on_frame(self.now, &damaged);
                    assert!(answer.delivered.is_none() && answer.reply.is_none());
                }
            }
            8 => {
                if let Some(reply) = pick(decisions, &mut self.back) {
                    let damaged = damage(decisions, &reply);
                    self.sender.on_reply(self.now, &damaged).expect_err("damaged");
                }
            }
            9 => self.now += Span::from_ms(decisions.short() as u64),
            10 if decisions.below(4) == 0 => {
                self.incarnation += 1;
                self.receiver = BaselineReceiver::new(self.receiver_options, self.incarnation);
                self.delivered.clear();
            }
            10 => put(&mut self.back, self.receiver.hello()),
            _ => {
                let version = self.given.len() as u32 + 1;
                let content = noise(decisions.byte().into(), 1024 + decisions.below(2000));
                let dictionary = Dictionary::new(1, version, content).expect("content of a fitting size");
                self.give(dictionary.to_object());
                assert!(self.sender.offer_dictionary(self.now, dictionary));
            }
        }
        self.drain();
    }

    fn update(&mut self, decisions: &mut Decisions<'_>) {
        let id = ObjectId::new(NAMES[decisions.below(NAMES.len())]).expect("a short id");
        let old = self.latest.get(&id);
        let version = old.map_or(1, |old| old.version() + 1 + u64::from(decisions.byte() & 1));
        let mut bytes = old.map_or(Vec::new(), |old| old.bytes().to_vec());
        let at = decisions.short() % (bytes.len() + 1);
        match decisions.below(4) {
            0 => bytes = noise(decisions.byte().into(), decisions.below(6000)),
            1 => {
                let len = decisions.byte().into();
                bytes.splice(at..at, decisions.take(len).iter().copied());
            }
            2 => bytes.truncate(at),
            _ => bytes.rotate_left(at),
        }
        bytes.truncate(self.receiver_options.max_object_bytes);
        let object = Object::new(id, version, bytes).expect("a small object");
        self.give(object.clone());
        assert!(self.sender.update(self.now, object));
    }

    fn give(&mut self, object: Object) {
        self.given
            .insert((object.id().clone(), object.version()), object.clone());
        self.latest.insert(object.id().clone(), object);
    }

    fn receive(&mut self, frame: &[u8]) {
        let answer = self.receiver.on_frame(self.now, frame);
        if let Some(object) = answer.delivered {
            let original = &self.given[&(object.id().clone(), object.version())];
            assert!(object == *original && object.bytes() == original.bytes());
            let before = self.delivered.insert(object.id().clone(), object.version());
            assert!(
                before.is_none_or(|before| before < object.version()),
                "a version twice"
            );
        }
        assert!(self.receiver.store().held_bytes() <= self.receiver_options.store.max_bytes);
        let reply = answer.reply.expect("a whole frame is answered");
        Reply::decode(&reply).expect("a whole reply");
        put(&mut self.back, reply);
    }

    fn drain(&mut self) {
        for _ in 0..100 {
            match self.sender.poll(self.now) {
                SenderOutput::Send { frame, .. } => put(&mut self.there, frame),
                SenderOutput::Event(SenderEvent::Converged(_)) => {}
                SenderOutput::Event(event) => panic!("{event:?}"),
                SenderOutput::WakeAt(at) => {
                    assert!(at > self.now);
                    return;
                }
                SenderOutput::Idle => return,
            }
        }
        panic!("a sender that never has done");
    }

    /// From now on the channel is good.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.drain();
            if self.sender.is_converged() && self.sender.peer() == Some(self.incarnation) {
                break;
            }
            for frame in std::mem::take(&mut self.there) {
                self.receive(&frame);
            }
            put(&mut self.back, self.receiver.hello());
            for reply in std::mem::take(&mut self.back) {
                self.sender.on_reply(self.now, &reply).expect("a whole reply");
            }
            self.now += Span::from_s(1);
        }
        assert!(self.sender.is_converged(), "no convergence over a good channel");
        for object in self.latest.values() {
            assert_eq!(self.receiver.latest(object.id()), Some(object.name()));
        }
    }
}

/// Takes one of the messages under way, or a copy of it.
fn pick(decisions: &mut Decisions<'_>, messages: &mut Vec<Bytes>) -> Option<Bytes> {
    let choice = decisions.byte();
    let at = usize::from(choice >> 1) % messages.len().max(1);
    let message = messages.get(at)?.clone();
    if choice & 1 == 0 {
        messages.remove(at);
    }
    Some(message)
}

fn put(messages: &mut Vec<Bytes>, message: Bytes) {
    if messages.len() < MAX_UNDER_WAY {
        messages.push(message);
    }
}

/// A message with a bit flipped, or cut off.
fn damage(decisions: &mut Decisions<'_>, message: &[u8]) -> Vec<u8> {
    let at = decisions.short() % message.len();
    let mut damaged = message.to_vec();
    match decisions.byte() {
        bit @ 0..8 => damaged[at] ^= 1 << bit,
        _ => damaged.truncate(at),
    }
    damaged
}

/// A list of things that happen: updates, messages that arrive in any order, more than once, damaged or never, time
/// that passes, a receiver that loses everything, dictionaries. Then the channel is good, and both sides must agree.
/// The first half of the bytes that are left at the end are also tried as a reply.
pub fn propagation(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let mut world = World::new(&mut decisions);
    for _ in 0..decisions.byte() {
        if decisions.is_over() {
            break;
        }
        world.step(&mut decisions);
    }
    let rest = decisions.rest();
    if let Ok(reply) = Reply::decode(rest) {
        assert_eq!(reply.encode(), rest, "one reply, one encoding");
    }
    world.settle();
}

/// Long lists of anything.
pub fn propagation_seeds() -> Vec<Vec<u8>> {
    (0..12u64)
        .map(|seed| {
            let mut bytes = vec![seed as u8 % 4, 7, 2, seed as u8 % 5, seed as u8, 255];
            bytes.extend(noise(seed, 400));
            bytes
        })
        .collect()
}
