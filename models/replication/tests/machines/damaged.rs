//! Recorded runs, damaged on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::Instant;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;
use longhaul_replication::ReplicaEvent;
use proptest::prelude::*;

use crate::hostile::Talker;
use crate::support::{Setup, World, at_ms};

/// What is done to what a machine receives.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize),
    Truncate(usize),
    Drop,
    Twice,
    Swap,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => any::<usize>().prop_map(Damage::Flip),
        1 => any::<usize>().prop_map(Damage::Truncate),
        1 => Just(Damage::Drop),
        1 => Just(Damage::Twice),
        1 => Just(Damage::Swap),
    ]
}

/// The inputs of a tape, with damage done to some of what was received.
fn damaged<C: Clone, O>(
    tape: &[(Instant, Input<C>, O)],
    damages: &[(usize, Damage)],
) -> Vec<(Instant, Input<C>)> {
    let mut inputs: Vec<(Instant, Input<C>)> =
        tape.iter().map(|(at, input, _)| (*at, input.clone())).collect();
    for &(which, damage) in damages {
        let received: Vec<usize> = (0..inputs.len())
            .filter(|i| matches!(inputs[*i].1, Input::Received { .. }))
            .collect();
        let Some(&index) = received.get(which % received.len().max(1)) else {
            continue;
        };
        let (
            at,
            Input::Received {
                stream,
                payload: Payload::Real(bytes),
            },
        ) = inputs[index].clone()
        else {
            continue;
        };
        if bytes.is_empty() {
            continue;
        }
        let mut changed = bytes.to_vec();
        match damage {
            Damage::Flip(bit) => changed[bit / 8 % bytes.len()] ^= 1 << (bit % 8),
            Damage::Truncate(length) => changed.truncate(length % bytes.len()),
            Damage::Drop => changed.clear(),
            Damage::Twice => changed.extend_from_slice(&bytes),
            Damage::Swap => {
                // The content changes places with the next that comes; times stay.
                let next = received.get(received.iter().position(|i| *i == index).unwrap() + 1);
                if let Some(&next) = next
                    && let (here, there) = (inputs[index].1.clone(), inputs[next].1.clone())
                {
                    (inputs[index].1, inputs[next].1) = (there, here);
                }
                continue;
            }
        }
        let payload = Bytes::from(changed).into();
        inputs[index] = (at, Input::Received { stream, payload });
    }
    inputs
}

fn recorded() -> World {
    Setup {
        sets: vec![(0, vec![70, 10]), (1, vec![33])],
        outages: vec![(at_ms(1_100), at_ms(2_300))],
        horizon: at_ms(4_000),
        ..Setup::default()
    }
    .run()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// A replica that is told something else than what was sent has the memory of an epoch all the same, or none.
    #[test]
    fn damage_on_the_way_forth_is_never_taken_for_an_epoch(
        damages in prop::collection::vec((any::<usize>(), damage()), 1..6),
    ) {
        let world = recorded();
        let mut replica = world.setup.replica();
        let mut expected = [0; PAGE_SIZE];
        for (now, input) in damaged(&world.replica_tape, &damages) {
            if matches!(input, Input::Sent { .. }) {
                continue;
            }
            replica.handle(now, input);
            let mut applied = Vec::new();
            loop {
                match replica.poll() {
                    Output::Send { stream, payload } => {
                        replica.handle(now, Input::Sent { stream, bytes: payload.len() });
                    }
                    Output::Event(ReplicaEvent::EpochApplied { set, epoch, .. }) => applied.push((set, epoch)),
                    Output::WakeAt { .. } | Output::Idle => break,
                    _ => {}
                }
            }
            for (set, epoch) in applied {
                let versions = &world.snapshots[&(set, epoch)];
                for (guest, (memory, versions)) in world.source.memories(set as usize).zip(versions).enumerate() {
                    for (page, &version) in (0..).zip(versions) {
                        memory.read(page, version, &mut expected);
                        prop_assert_eq!(replica.page(set as usize, guest, page), Some(&expected));
                    }
                }
            }
        }
    }

    /// A source that is told something else than what was said goes on, with typed reasons.
    #[test]
    fn damage_on_the_way_back_does_not_harm_the_source(
        damages in prop::collection::vec((any::<usize>(), damage()), 1..6),
    ) {
        let world = recorded();
        let mut source = world.setup.source();
        let mut untold: BTreeMap<StreamId, u64> = BTreeMap::new();
        for (now, input) in damaged(&world.source_tape, &damages) {
            if matches!(input, Input::Sent { .. }) {
                continue;
            }
            source.handle(now, input);
            loop {
                match source.poll() {
                    Output::Send { stream, payload } => *untold.entry(stream).or_default() += payload.len(),
                    Output::WakeAt { .. } | Output::Idle => break,
                    _ => {}
                }
            }
            for (stream, bytes) in std::mem::take(&mut untold) {
                source.handle(now, Input::Sent { stream, bytes });
                while !source.poll().ends_poll() {}
            }
        }
    }

    /// Bytes of anybody on any stream are refused with a reason, and nothing is kept of them.
    #[test]
    fn arbitrary_bytes_are_refused(
        pieces in prop::collection::vec((0u32..4, prop::collection::vec(any::<u8>(), 0..60)), 1..40),
        welcome in any::<bool>(),
    ) {
        let mut talker = if welcome { Talker::welcome() } else { Talker::new() };
        for stream in 0..4 {
            talker.accept(StreamId(StreamId::FIRST_ACCEPTED + 10 + stream));
        }
        for (stream, bytes) in pieces {
            talker.say(StreamId(StreamId::FIRST_ACCEPTED + 10 + stream), &bytes);
        }
        prop_assert_eq!(talker.replica.held_pages(), (0, 0));
        let applied = talker.events.iter().any(|event| matches!(event, ReplicaEvent::EpochApplied { .. }));
        prop_assert!(!applied);
    }
}
