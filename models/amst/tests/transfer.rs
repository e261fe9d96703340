//! Messages over streams of every kind of weather.

mod support;

use bytes::Bytes;
use longhaul_amst::{CONTROL_WINDOW_BYTES, Priority, PushError, Sender, SenderOptions, Streams};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::random::Streams as RandomStreams;
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use proptest::prelude::*;
use support::{Weather, World};

const CALM: Weather = Weather {
    seed: 1,
    speed: (1_000, 1_000),
    delay: 5,
    death: 0,
    refusal: 0,
    spares_one: true,
};

/// The content of one message: lengths of alternating real and synthetic parts.
type Shape = Vec<(u16, u16)>;

fn message(shape: &Shape, seed: u64) -> PayloadBuffer {
    let mut random = RandomStreams::new(seed, 0).stream("message", "bytes");
    let mut content = PayloadBuffer::default();
    for &(real, synthetic) in shape {
        let mut bytes = vec![0; usize::from(real)];
        random.fill(&mut bytes);
        content.push(Bytes::from(bytes).into());
        content.push(Payload::Synthetic(u64::from(synthetic)));
    }
    content
}

/// Real parts joined, synthetic ones merged: equal for equal content however it was cut.
fn normal_form(mut content: PayloadBuffer) -> Vec<Result<Vec<u8>, u64>> {
    let mut parts: Vec<Result<Vec<u8>, u64>> = Vec::new();
    while let Some(piece) = content.pop(u64::MAX) {
        match (piece, parts.last_mut()) {
            (Payload::Real(more), Some(Ok(bytes))) => bytes.extend_from_slice(&more),
            (Payload::Real(bytes), _) => parts.push(Ok(bytes.to_vec())),
            (Payload::Synthetic(more), Some(Err(length))) => *length += more,
            (Payload::Synthetic(length), _) => parts.push(Err(length)),
        }
    }
    parts
}

fn assert_delivered(delivered: Vec<PayloadBuffer>, sent: Vec<PayloadBuffer>) {
    assert!(delivered.len() <= sent.len());
    for (got, sent) in delivered.into_iter().zip(sent) {
        assert_eq!(normal_form(got), normal_form(sent));
    }
}

fn synthetic(length: u64) -> PayloadBuffer {
    let mut content = PayloadBuffer::default();
    content.push(Payload::Synthetic(length));
    content
}

prop_compose! {
    fn any_weather()(
        seed in any::<u64>(), slow in 1u64..200, more in 0u64..3_000, delay in 0u64..50,
        death in prop_oneof![Just(0u64), 20u64..400], refusal in prop_oneof![Just(0u64), 3u64..10],
        spares_one in any::<bool>(),
    ) -> Weather {
        Weather { seed, speed: (slow, slow + more), delay, death, refusal, spares_one }
    }
}

prop_compose! {
    fn any_messages()(
        shapes in prop::collection::vec(
            (prop::bool::weighted(0.3), prop::collection::vec((0u16..3_000, 0u16..3_000), 1..4)), 1..16,
        )
    ) -> Vec<(Priority, Shape)> {
        let some = |shape: &Shape| shape.iter().any(|&(real, synthetic)| real + synthetic > 0);
        let shapes = shapes.into_iter().filter(|(_, shape)| some(shape));
        shapes.map(|(control, shape)| (if control { Priority::Control } else { Priority::Bulk }, shape)).collect()
    }
}

fn any_policy() -> impl Strategy<Value = Streams> {
    let adaptive = |(most, initial, contending): (u32, u32, u32)| Streams::Adaptive {
        initial: initial.min(most),
        most,
        contending: contending.min(most),
    };
    prop_oneof![
        3 => (1u32..12).prop_map(Streams::Fixed),
        2 => (1u32..24, 1u32..12, 1u32..12).prop_map(adaptive),
        1 => (1u64..100_000_000).prop_map(|bits| Streams::SpecRule { rate: BitRate::from_bits_per_s(bits) }),
        1 => Just(Streams::SeedOptimiser),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_message_arrives_exactly_once_in_order_and_intact(
        shapes in any_messages(), weather in any_weather(), streams in any_policy(),
        chunk_bytes in prop_oneof![4u32..64, 64u32..10_000], more_window in 0u64..40_000,
    ) {
        let messages: Vec<_> = (0..).zip(&shapes).map(|(seed, (priority, shape))| (*priority, message(shape, seed))).collect();
        // Every message must fit with its headers; real bytes after synthetic ones cost two more chunks.
        let fits = |m: &PayloadBuffer| m.len() + (m.len() / u64::from(chunk_bytes) + 4) * 44;
        let longest = messages.iter().map(|(_, message)| fits(message)).max().unwrap_or(0);
        let window_bytes = longest.max(u64::from(chunk_bytes) + 44) + more_window;
        let options = SenderOptions { streams, ..SenderOptions::fixed(1, chunk_bytes, window_bytes) };
        let world = World::new(options, weather.clone());
        let (mut outcome, sender, receiver) = world.run_prioritised(messages.clone(), b"done");

        prop_assert_eq!((outcome.malformed, outcome.failed), (0, false));
        prop_assert!(receiver.stats().held_bytes_max <= window_bytes + CONTROL_WINDOW_BYTES);
        prop_assert_eq!(&outcome.replies[..], [Bytes::from_static(b"done")]);
        let mut acked = outcome.acked.clone();
        acked.sort_unstable();
        acked.dedup();
        prop_assert_eq!(acked.len(), messages.len());
        let stats = sender.stats();
        prop_assert_eq!(stats.acknowledged_bytes, stats.message_bytes);
        let again = stats.retransmitted_chunks + stats.rescued_chunks;
        prop_assert_eq!(stats.chunks, stats.acknowledged_chunks + again);
        prop_assert_eq!(receiver.stats().message_bytes, stats.message_bytes);
        for priority in Priority::ALL {
            let sent = messages.iter().filter(|(it, _)| *it == priority).map(|(_, message)| message.clone());
            let delivered = outcome.delivered.remove(&priority).unwrap_or_default();
            prop_assert_eq!(delivered.len(), sent.clone().count());
            assert_delivered(delivered, sent.collect());
        }
    }
}

#[test]
fn control_overtakes_the_bulk_that_waits() {
    let options = SenderOptions::fixed(4, 10_000, 1 << 20);
    let mut world = World::new(options, CALM);
    let mut asked = Vec::new();
    for round in 0..2_000 {
        while world.sender.wants_more() {
            world.sender.push(synthetic(100_000), Priority::Bulk).unwrap();
        }
        if round % 100 == 50 {
            world.sender.push(synthetic(200), Priority::Control).unwrap();
            asked.push(world.now);
        }
        world.step();
    }
    let arrived = world.outcome.deliveries.iter();
    let control = arrived.filter(|(_, message)| message.priority == Priority::Control);
    let waits: Vec<u64> = control.zip(&asked).map(|((at, _), asked)| at - asked).collect();
    assert_eq!(waits.len(), asked.len());
    // Bulk of 4 × 10 kB waits in its chunks at any time. A stream takes 1 kB in a step, and carries on with what is left
    // of the chunk that it has begun, a quarter of one more, and itself: 13 steps, and the way of at most 5.
    assert!(waits.iter().all(|&steps| steps <= 18), "{waits:?}");
    assert!(world.outcome.deliveries.len() > 50);
}

#[test]
fn one_byte_chunks_carry_a_message() {
    let options = SenderOptions::fixed(3, 1, 45 * 100);
    let sent = vec![message(&vec![(50, 50)], 0); 3];
    let (mut outcome, sender, _) = World::new(options, CALM).run(sent.clone(), b"x");
    assert_eq!(sender.stats().chunks, 300);
    assert_delivered(outcome.bulk(), sent);
}

#[test]
fn bytes_on_the_streams_are_content_plus_one_header_per_chunk() {
    let options = SenderOptions::fixed(4, 1_000, 1 << 20);
    let sent: Vec<_> = (0..7).map(|_| synthetic(10_001)).collect();
    let (outcome, sender, _) = World::new(options, CALM).run(sent, b"x");
    assert_eq!(sender.stats().wire_bytes, 7 * (10_001 + 11 * 44));
    assert_eq!(sender.stats().taken_bytes, sender.stats().wire_bytes);
    let by_stream = sender.stream_wire_bytes().map(|(_, bytes)| bytes);
    assert_eq!(by_stream.sum::<u64>(), sender.stats().wire_bytes);
    assert_eq!(outcome.deliveries.len(), 7);
}

#[test]
fn streams_carry_in_proportion_to_their_speed() {
    let weather = Weather {
        speed: (100, 2_000),
        delay: 0,
        ..CALM
    };
    let options = SenderOptions::fixed(8, 10_000, 1 << 20);
    let sent: Vec<_> = (0..100).map(|_| synthetic(100_000)).collect();
    let world = World::new(options, weather);
    let speeds = world.speeds();
    let (outcome, sender, _) = world.run(sent, b"x");
    // A stream that finds no chunk at the end waits until the slowest has carried its last one.
    let idle_steps = 2 * 10_044 / speeds.iter().min().unwrap();
    for (speed, (_, carried)) in speeds.iter().zip(sender.stream_wire_bytes()) {
        let possible = speed * outcome.steps;
        // What was put on it last it may not have taken.
        assert!(carried <= possible + 10_044 * 5 / 4, "{carried} of {possible}");
        assert!(
            carried >= possible - speed * idle_steps,
            "{carried} of {possible}"
        );
    }
}

#[test]
fn the_loss_of_every_stream_is_told_once_and_refuses_messages() {
    let weather = Weather {
        death: 3,
        spares_one: false,
        ..CALM
    };
    let options = SenderOptions {
        patience: Span::ZERO,
        ..SenderOptions::fixed(4, 1_000, 1 << 20)
    };
    let sent: Vec<_> = (0..100).map(|_| synthetic(100_000)).collect();
    let (outcome, mut sender, _) = World::new(options, weather).run(sent, b"x");
    assert!(outcome.failed && !outcome.drained);
    assert_eq!(sender.stats().lost_streams, 4);
    assert!(!sender.wants_more());
    assert_eq!(sender.push(synthetic(1), Priority::Bulk), Err(PushError::Failed));
}

#[test]
fn a_message_longer_than_the_window_is_refused() {
    let options = SenderOptions::fixed(1, 100, 1_000);
    let longest = options.longest_message();
    assert_eq!(longest, 6 * 100 + (1_000 - 6 * 144 - 44));
    let mut sender = Sender::new(options).unwrap();
    assert!(sender.push(synthetic(longest), Priority::Bulk).is_ok());
    assert_eq!(
        sender.push(synthetic(longest + 1), Priority::Bulk),
        Err(PushError::LongerThanWindow { wire_bytes: 1_001 })
    );
    assert!(matches!(
        sender.push(synthetic(u64::MAX), Priority::Bulk),
        Err(PushError::LongerThanWindow { .. })
    ));
    assert_eq!(
        sender.push(PayloadBuffer::default(), Priority::Bulk),
        Err(PushError::Empty)
    );
}
