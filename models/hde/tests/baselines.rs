//! Propagation of baselines: over a channel that loses, repeats, delays, reorders and damages, both sides come to
//! hold the same, and never anything else.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_hde::baseline::{
    Answer, BaselineReceiver, BaselineSender, Cadence, ReceiverOptions, Refusal, Reply, Says, SenderEvent,
    SenderOptions, SenderOutput, StoreOptions,
};
use longhaul_hde::dictionary::Dictionary;
use longhaul_hde::object::{FrameKind, Object, ObjectId};
use proptest::prelude::*;

fn id(text: &str) -> ObjectId {
    ObjectId::new(text).unwrap()
}

fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Streams::new(seed, 0).stream("object", "content").fill(&mut bytes);
    bytes
}

fn object(name: &str, version: u64, bytes: Vec<u8>) -> Object {
    Object::new(id(name), version, bytes).unwrap()
}

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// The frames and events of a sender until it has nothing to do.
fn drain(sender: &mut BaselineSender, now: Instant) -> (Vec<(FrameKind, Bytes)>, Vec<SenderEvent>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    loop {
        match sender.poll(now) {
            SenderOutput::Send { header, frame, .. } => frames.push((header.kind, frame)),
            SenderOutput::Event(event) => events.push(event),
            SenderOutput::WakeAt(at) => {
                assert!(at > now);
                return (frames, events);
            }
            SenderOutput::Idle => return (frames, events),
        }
    }
}

/// Carries everything at once until both sides are quiet; returns the kinds of the frames and the events.
fn settle(
    sender: &mut BaselineSender,
    receiver: &mut BaselineReceiver,
    now: Instant,
) -> (Vec<FrameKind>, Vec<SenderEvent>) {
    let (mut kinds, mut all_events) = (Vec::new(), Vec::new());
    loop {
        let (frames, events) = drain(sender, now);
        all_events.extend(events);
        if frames.is_empty() {
            return (kinds, all_events);
        }
        for (kind, frame) in frames {
            kinds.push(kind);
            if let Some(reply) = receiver.on_frame(now, &frame).reply {
                sender.on_reply(now, &reply).unwrap();
            }
        }
    }
}

fn pair(options: SenderOptions) -> (BaselineSender, BaselineReceiver) {
    (
        BaselineSender::new(options),
        BaselineReceiver::new(ReceiverOptions::default(), 0),
    )
}

#[test]
fn the_cadence_makes_every_fourth_frame_full() {
    let options = SenderOptions {
        cadence: Cadence {
            max_delta_chain: 3,
            ..Cadence::NEVER
        },
        ..SenderOptions::default()
    };
    let (mut sender, mut receiver) = pair(options);
    let mut kinds = Vec::new();
    for version in 1..=5 {
        sender.update(at_ms(0), object("state", version, content(1, 1000)));
        kinds.extend(settle(&mut sender, &mut receiver, at_ms(0)).0);
    }
    // The same state five times: what may be a delta is a reference to the version before.
    use FrameKind::{Full, Identical};
    assert_eq!(kinds, [Full, Identical, Identical, Identical, Full]);
    assert_eq!(sender.stats().full_by_cadence, 1);
}

#[test]
fn after_the_interval_a_frame_is_full() {
    let options = SenderOptions {
        cadence: Cadence {
            interval: Span::from_ms(100),
            ..Cadence::NEVER
        },
        ..SenderOptions::default()
    };
    let (mut sender, mut receiver) = pair(options);
    let mut kinds = Vec::new();
    for (version, ms) in [(1, 0), (2, 0), (3, 150)] {
        let mut bytes = content(1, 1000);
        bytes[7] = version as u8;
        sender.update(at_ms(ms), object("state", version, bytes));
        kinds.extend(settle(&mut sender, &mut receiver, at_ms(ms)).0);
    }
    assert_eq!(kinds, [FrameKind::Full, FrameKind::Delta, FrameKind::Full]);
}

#[test]
fn a_delta_builds_only_on_what_the_peer_has_acknowledged() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    let version = |n: u64| {
        let mut bytes = content(1, 5000);
        bytes[100] = n as u8;
        object("state", n, bytes)
    };
    sender.update(at_ms(0), version(1));
    let (lost, _) = drain(&mut sender, at_ms(0));
    assert_eq!(lost[0].0, FrameKind::Full);
    // The update waits for the answer, and then for the time at which that is given up.
    sender.update(at_ms(10), version(2));
    assert_eq!(drain(&mut sender, at_ms(999)).0, []);
    let (frames, _) = drain(&mut sender, at_ms(1000));
    assert_eq!(frames[0].0, FrameKind::Full);
    let answer = receiver.on_frame(at_ms(1040), &frames[0].1);
    assert_eq!(answer.delivered, Some(version(2)));
    sender.on_reply(at_ms(1080), &answer.reply.unwrap()).unwrap();
    assert_eq!(
        drain(&mut sender, at_ms(1080)).1,
        [SenderEvent::Converged(version(2).name().clone())]
    );
    sender.update(at_ms(2000), version(3));
    let (kinds, _) = settle(&mut sender, &mut receiver, at_ms(2000));
    assert_eq!(kinds, [FrameKind::Delta]);
    // The frame that was lost turns up after all: it is old, and the answer says what is held.
    let answer = receiver.on_frame(at_ms(3000), &lost[0].1);
    assert_eq!(answer.delivered, None);
    let reply = answer.reply.unwrap();
    assert_eq!(
        Reply::decode(&reply).unwrap().says,
        Says::Held(version(3).name().clone())
    );
    sender.on_reply(at_ms(3000), &reply).unwrap();
    assert_eq!(drain(&mut sender, at_ms(3000)), (vec![], vec![]));
}

#[test]
fn a_receiver_that_has_lost_the_baseline_gets_a_full_frame() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    sender.update(at_ms(0), object("state", 1, content(1, 5000)));
    settle(&mut sender, &mut receiver, at_ms(0));
    let mut receiver = BaselineReceiver::new(ReceiverOptions::default(), 0);
    sender.update(at_ms(0), object("state", 2, content(1, 5001)));
    let (kinds, events) = settle(&mut sender, &mut receiver, at_ms(0));
    assert_eq!(kinds, [FrameKind::Delta, FrameKind::Full]);
    assert_eq!(events.len(), 1);
    assert!(sender.is_converged());

    // One that says that it has begun anew gets everything again, changed or not.
    let mut receiver = BaselineReceiver::new(ReceiverOptions::default(), 1);
    sender.on_reply(at_ms(5), &receiver.hello()).unwrap();
    sender.on_reply(at_ms(5), &receiver.hello()).unwrap();
    assert_eq!(settle(&mut sender, &mut receiver, at_ms(5)).0, [FrameKind::Full]);
    assert_eq!(receiver.latest(&id("state")).unwrap().version, 2);
}

#[test]
fn what_an_earlier_life_of_the_peer_held_does_not_count() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    let state = object("state", 1, content(1, 500));
    sender.on_reply(at_ms(0), &receiver.hello()).unwrap();
    sender.update(at_ms(0), state.clone());
    let (frames, _) = drain(&mut sender, at_ms(0));
    let late = receiver.on_frame(at_ms(0), &frames[0].1).reply.unwrap();
    // The peer begins anew and says so before its answer comes.
    let receiver = BaselineReceiver::new(ReceiverOptions::default(), 1);
    sender.on_reply(at_ms(1), &receiver.hello()).unwrap();
    sender.on_reply(at_ms(2), &late).unwrap();
    assert_eq!((sender.held(state.id()), sender.peer()), (None, Some(1)));
    assert_eq!(drain(&mut sender, at_ms(2)).0.len(), 1, "sent again at once");
}

#[test]
fn a_receiver_without_room_for_baselines_still_gets_everything() {
    let mut sender = BaselineSender::new(SenderOptions::default());
    let mut receiver = BaselineReceiver::new(
        ReceiverOptions {
            store: StoreOptions {
                max_bytes: 0,
                ..StoreOptions::default()
            },
            ..ReceiverOptions::default()
        },
        0,
    );
    for version in 1..10 {
        sender.update(at_ms(version), object("state", version, content(version, 3000)));
        settle(&mut sender, &mut receiver, at_ms(version));
        assert_eq!(receiver.latest(&id("state")).unwrap().version, version);
    }
}

#[test]
fn what_the_peer_cannot_take_is_reported_and_not_repeated() {
    let mut sender = BaselineSender::new(SenderOptions::default());
    let mut receiver = BaselineReceiver::new(
        ReceiverOptions {
            max_object_bytes: 1000,
            max_objects: 1,
            ..ReceiverOptions::default()
        },
        0,
    );
    let large = object("state", 1, content(1, 1001));
    sender.update(at_ms(0), large.clone());
    let (_, events) = settle(&mut sender, &mut receiver, at_ms(0));
    let rejected = |object: &Object, why| SenderEvent::Rejected {
        object: object.name().clone(),
        why,
    };
    assert_eq!(events, [rejected(&large, Refusal::TooLarge { max_bytes: 1000 })]);
    assert_eq!(sender.poll(at_ms(100_000)), SenderOutput::Idle);
    // A smaller version is fine again; a second object is one too many.
    sender.update(at_ms(1), object("state", 2, content(1, 1000)));
    settle(&mut sender, &mut receiver, at_ms(1));
    assert!(sender.is_converged());
    let second = object("second", 1, content(2, 10));
    sender.update(at_ms(2), second.clone());
    let (_, events) = settle(&mut sender, &mut receiver, at_ms(2));
    assert_eq!(events, [rejected(&second, Refusal::TooManyObjects)]);
}

#[test]
fn a_sender_behind_its_peer_says_so() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    sender.update(at_ms(0), object("state", 7, content(1, 100)));
    settle(&mut sender, &mut receiver, at_ms(0));
    let mut restarted = BaselineSender::new(SenderOptions::default());
    restarted.update(at_ms(1), object("state", 1, content(2, 100)));
    let (_, events) = settle(&mut restarted, &mut receiver, at_ms(1));
    let held = object("state", 7, content(1, 100)).name().clone();
    assert_eq!(events, [SenderEvent::PeerAhead { held }]);
    assert_eq!(restarted.poll(at_ms(100_000)), SenderOutput::Idle);
    restarted.update(at_ms(2), object("state", 8, content(2, 100)));
    settle(&mut restarted, &mut receiver, at_ms(2));
    assert!(restarted.is_converged());
}

#[test]
fn old_versions_and_removed_objects_are_not_sent() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    assert!(sender.update(at_ms(0), object("state", 2, content(1, 100))));
    assert!(!sender.update(at_ms(0), object("state", 2, content(2, 100))));
    assert!(!sender.update(at_ms(0), object("state", 1, content(2, 100))));
    sender.remove(&id("state"));
    assert_eq!(sender.poll(at_ms(0)), SenderOutput::Idle);
    sender.update(at_ms(0), object("state", 1, content(1, 100)));
    settle(&mut sender, &mut receiver, at_ms(0));
    receiver.remove(&id("state"));
    assert!(receiver.store().is_empty() && receiver.latest(&id("state")).is_none());
}

/// Something like lines of state, which a dictionary shortens.
fn line(seed: u64) -> Vec<u8> {
    let mut random = Streams::new(seed, 0).stream("object", "line");
    format!(
        "{{\"node\":\"eu-west-{}\",\"cpu\":0.{},\"healthy\":true,\"labels\":{{\"zone\":\"{}\"}}}}",
        random.below(1000),
        random.below(1000),
        random.below(9)
    )
    .into_bytes()
}

#[test]
fn a_dictionary_is_used_once_the_peer_has_it_and_given_again_when_it_has_not() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    let sample: Vec<u8> = (0..40).flat_map(line).collect();
    let dictionary = Dictionary::new(3, 1, sample).unwrap();
    assert!(sender.offer_dictionary(at_ms(0), dictionary.clone()));
    sender.update(at_ms(0), object("a", 1, line(100)));
    settle(&mut sender, &mut receiver, at_ms(0));
    let used = |sender: &BaselineSender| sender.encoder_stats().with_dictionary;
    assert_eq!(used(&sender), 0, "not before it was acknowledged");
    sender.update(at_ms(1), object("b", 1, line(101)));
    settle(&mut sender, &mut receiver, at_ms(1));
    assert_eq!(used(&sender), 1);
    // The peer starts again with nothing.
    let mut receiver = BaselineReceiver::new(ReceiverOptions::default(), 0);
    sender.update(at_ms(2), object("c", 1, line(102)));
    let (kinds, _) = settle(&mut sender, &mut receiver, at_ms(2));
    assert_eq!(kinds.len(), 3, "refused, then both the dictionary and the object");
    assert!(sender.is_converged());
    sender.update(at_ms(3), object("d", 1, line(103)));
    settle(&mut sender, &mut receiver, at_ms(3));
    assert_eq!(used(&sender), 3);
    // Another dictionary takes its place.
    let second = Dictionary::new(3, 2, (50..90).flat_map(line).collect::<Vec<u8>>()).unwrap();
    sender.offer_dictionary(at_ms(4), second.clone());
    settle(&mut sender, &mut receiver, at_ms(4));
    sender.update(at_ms(5), object("e", 1, line(104)));
    settle(&mut sender, &mut receiver, at_ms(5));
    assert_eq!(used(&sender), 4);
    assert!(!sender.offer_dictionary(at_ms(6), dictionary));
}

#[test]
fn a_new_object_builds_on_the_most_similar_one_that_the_peer_holds() {
    let lines = |of: std::ops::Range<u64>| of.flat_map(line).collect::<Vec<u8>>();
    let run = |similar| {
        let (mut sender, mut receiver) = pair(SenderOptions {
            similar,
            ..SenderOptions::default()
        });
        sender.update(at_ms(0), object("a", 1, lines(0..100)));
        sender.update(at_ms(0), object("b", 1, lines(1000..1100)));
        settle(&mut sender, &mut receiver, at_ms(0));
        sender.update(at_ms(1), object("c", 1, lines(1005..1102)));
        let (kinds, _) = settle(&mut sender, &mut receiver, at_ms(1));
        assert!(sender.is_converged());
        (kinds, sender, receiver)
    };
    assert_eq!(run(false).0, [FrameKind::Full]);
    let (kinds, mut sender, _) = run(true);
    assert_eq!(kinds, [FrameKind::Delta]);
    // A receiver that does not have that other object any more gets the new one whole, and the other stays as it was.
    let mut empty = BaselineReceiver::new(ReceiverOptions::default(), 0);
    sender.update(at_ms(2), object("d", 1, lines(1010..1105)));
    let (kinds, _) = settle(&mut sender, &mut empty, at_ms(2));
    assert_eq!(kinds, [FrameKind::Delta, FrameKind::Full]);
    assert!(sender.is_converged());
}

#[test]
fn more_dictionaries_than_a_receiver_keeps_replace_each_other() {
    let (mut sender, mut receiver) = pair(SenderOptions::default());
    let sample: Vec<u8> = (0..40).flat_map(line).collect();
    for n in 0..70 {
        sender.offer_dictionary(at_ms(n), Dictionary::new(n as u32, 1, sample.clone()).unwrap());
        settle(&mut sender, &mut receiver, at_ms(n));
        sender.update(at_ms(n), object("a", n + 1, line(n)));
        settle(&mut sender, &mut receiver, at_ms(n));
    }
    assert_eq!(sender.stats().refusals, 0);
    // The first one was dropped: offered again under a later version it is new.
    assert_eq!(receiver.latest(&Dictionary::object_id(0)), None);
    assert!(receiver.latest(&Dictionary::object_id(69)).is_some());
}

#[test]
fn replies_are_refused_when_damaged() {
    let name = object("state", 3, vec![1]).name().clone();
    let dictionary = Dictionary::new(70_000, 3, content(1, 2000)).unwrap().name();
    let refused = |why| Says::Refused {
        object: name.clone(),
        why,
    };
    for says in [
        Says::Hello,
        Says::Held(name.clone()),
        refused(Refusal::Reference(object("other", 200, vec![2]).name().clone())),
        refused(Refusal::Dictionary(dictionary)),
        refused(Refusal::TooLarge { max_bytes: 1 << 40 }),
        refused(Refusal::TooManyObjects),
        refused(Refusal::Undecodable),
    ] {
        let reply = Reply {
            incarnation: 300,
            says,
        };
        let bytes = reply.encode();
        assert_eq!(Reply::decode(&bytes), Ok(reply));
        for len in 0..bytes.len() {
            Reply::decode(&bytes[..len]).unwrap_err();
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            Reply::decode(&damaged).unwrap_err();
        }
    }
}

/// A channel that does to messages what it likes.
struct Channel {
    random: Stream,
    /// Per thousand.
    loss: u64,
    repeat: u64,
    damage: u64,
    max_delay_ms: u64,
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
}

impl Channel {
    fn send(&mut self, now: Instant, message: &[u8]) {
        let copies = u64::from(self.random.below(1000) < self.repeat) + 1;
        for _ in 0..copies {
            if self.random.below(1000) < self.loss {
                continue;
            }
            let mut message = message.to_vec();
            if self.random.below(1000) < self.damage {
                let bit = self.random.below(message.len() as u64 * 8);
                message[bit as usize / 8] ^= 1 << (bit % 8);
            }
            let at = now + Span::from_ms(self.random.below(self.max_delay_ms + 1));
            self.sent += 1;
            self.under_way.insert((at, self.sent), message);
        }
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        (self.next()? <= now).then(|| self.under_way.pop_first().expect("there is one").1)
    }
}

#[derive(Clone, Debug)]
enum Act {
    Update {
        name: usize,
        seed: u64,
        len: usize,
        edit: bool,
    },
    LosesEverything,
    Dictionary(u64),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0usize..3, any::<u64>(), 0usize..3000, any::<bool>())
            .prop_map(|(name, seed, len, edit)| Act::Update { name, seed, len, edit }),
        1 => Just(Act::LosesEverything),
        1 => any::<u64>().prop_map(Act::Dictionary),
        6 => (0u64..3000).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_channel_brings_both_sides_to_the_same(
        seed in any::<u64>(),
        loss in 0u64..600,
        repeat in 0u64..500,
        damage in 0u64..200,
        max_delay_ms in 0u64..3000,
        budget in prop_oneof![Just(0u64), 2000u64..20_000, Just(1 << 30)],
        max_delta_chain in 0u32..5,
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let streams = Streams::new(seed, 0);
        let channel = |name: &str| Channel {
            random: streams.stream(name, "channel"),
            loss, repeat, damage, max_delay_ms,
            under_way: BTreeMap::new(),
            sent: 0,
        };
        let (mut there, mut back) = (channel("there"), channel("back"));
        let store = StoreOptions { max_bytes: budget, ttl: Span::from_s(20), ..StoreOptions::default() };
        let mut sender = BaselineSender::new(SenderOptions {
            cadence: Cadence { max_delta_chain, interval: Span::from_s(10) },
            retry: Span::from_ms(500),
            retry_max: Span::from_s(4),
            history: StoreOptions { max_bytes: 1 << 20, ..store },
            ..SenderOptions::default()
        });
        let receiver_options = ReceiverOptions { store, ..ReceiverOptions::default() };
        let mut incarnation = 0;
        let mut receiver = BaselineReceiver::new(receiver_options, incarnation);
        let mut next_hello = Instant::ZERO;
        let names = ["a", "b", "c"];
        // Every version ever given, to compare what is delivered with.
        let mut given: BTreeMap<(ObjectId, u64), Object> = BTreeMap::new();
        let mut latest: BTreeMap<usize, Object> = BTreeMap::new();
        let mut delivered: BTreeMap<ObjectId, u64> = BTreeMap::new();
        let mut dictionary_version = 0;
        let mut now = Instant::ZERO;
        let mut acts = acts.into_iter();
        let mut until = now;
        for steps in 0.. {
            prop_assert!(steps < 100_000, "no end in sight");
            if now >= until {
                match acts.next() {
                    Some(Act::Update { name, seed, len, edit }) => {
                        let version = latest.get(&name).map_or(1, |object| object.version() + 1 + seed % 2);
                        let bytes = match latest.get(&name) {
                            Some(object) if edit => {
                                let mut bytes = object.bytes().to_vec();
                                let at = seed as usize % (bytes.len() + 1);
                                bytes.splice(at..at, content(seed, len / 100));
                                bytes
                            }
                            _ => content(seed, len),
                        };
                        let object = object(names[name], version, bytes);
                        given.insert((object.id().clone(), version), object.clone());
                        latest.insert(name, object.clone());
                        prop_assert!(sender.update(now, object));
                    }
                    Some(Act::LosesEverything) => {
                        incarnation += 1;
                        receiver = BaselineReceiver::new(receiver_options, incarnation);
                        delivered.clear();
                    }
                    Some(Act::Dictionary(seed)) => {
                        dictionary_version += 1;
                        let dictionary = Dictionary::new(1, dictionary_version, content(seed, 2000)).unwrap();
                        let object = dictionary.to_object();
                        given.insert((object.id().clone(), object.version()), object);
                        prop_assert!(sender.offer_dictionary(now, dictionary));
                    }
                    Some(Act::Wait(ms)) => until = now + Span::from_ms(ms),
                    None => {
                        if sender.is_converged() && sender.peer() == Some(incarnation) {
                            break;
                        }
                        until = next_hello;
                    }
                }
            }
            if now >= next_hello {
                back.send(now, &receiver.hello());
                next_hello = now + Span::from_s(1);
            }
            let mut wake = until.min(next_hello);
            loop {
                match sender.poll(now) {
                    SenderOutput::Send { frame, .. } => there.send(now, &frame),
                    SenderOutput::Event(SenderEvent::Converged(_)) => {}
                    SenderOutput::Event(event) => prop_assert!(false, "{event:?}"),
                    SenderOutput::WakeAt(at) => { wake = wake.min(at); break }
                    SenderOutput::Idle => break,
                }
            }
            while let Some(frame) = there.receive(now) {
                let Answer { delivered: object, reply, .. } = receiver.on_frame(now, &frame);
                if let Some(object) = object {
                    let original = &given[&(object.id().clone(), object.version())];
                    prop_assert_eq!(&object, original);
                    prop_assert!(object.bytes() == original.bytes());
                    let before = delivered.insert(object.id().clone(), object.version());
                    prop_assert!(before.is_none_or(|before| before < object.version()));
                }
                prop_assert!(receiver.store().held_bytes() <= budget);
                if let Some(reply) = reply {
                    back.send(now, &reply);
                }
            }
            let mut heard = false;
            while let Some(reply) = back.receive(now) {
                heard |= sender.on_reply(now, &reply).is_ok();
            }
            prop_assert!(sender.history().held_bytes() <= 1 << 20);
            if heard {
                continue;
            }
            let next = [Some(wake), there.next(), back.next()].into_iter().flatten().min();
            now = next.expect("there is always a wake").max(now);
        }
        for object in latest.values() {
            prop_assert_eq!(receiver.latest(object.id()), Some(object.name()));
        }
    }
}
