//! How many streams pay, on small paths over the packet network. `benches/amst.rs` prints the whole tables.

mod lab;

use lab::{Outcome, Path};
use longhaul_amst::object::Amount;
use longhaul_amst::record::HEADER_BYTES;
use longhaul_amst::{ChunkSize, SenderOptions, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_net::course::Step;

fn options(streams: Streams) -> SenderOptions {
    SenderOptions {
        streams,
        chunk: ChunkSize::Adaptive,
        ..SenderOptions::adaptive(64 << 20)
    }
}

fn adaptive(contending: u32) -> SenderOptions {
    options(Streams::Adaptive {
        initial: 16,
        most: 256,
        contending,
    })
}

fn carry(path: &Path, megabytes: u64, options: SenderOptions) -> Outcome {
    let outcome = path.carry(Amount::Bytes(megabytes * 1_000_000), options, Span::from_s(600));
    assert!(!outcome.failed && outcome.received <= outcome.amount);
    if outcome.completed.is_some() {
        assert_eq!(outcome.received, outcome.amount);
    }
    outcome
}

/// The least that an adaptive number may bring of the best fixed one.
const NEARLY: f64 = 0.9;

fn is_close_to_the_best(path: &Path, megabytes: u64, fixed: &[u32]) -> Outcome {
    let rates: Vec<f64> = fixed
        .iter()
        .map(|&streams| carry(path, megabytes, options(Streams::Fixed(streams))).mbit_per_s())
        .collect();
    let best = rates.iter().copied().fold(0.0, f64::max);
    let outcome = carry(path, megabytes, adaptive(4));
    let rate = outcome.mbit_per_s();
    assert!(
        rate >= NEARLY * best,
        "{}: {rate:.1} Mbit/s; fixed {rates:.1?}",
        path.name
    );
    assert!(rate >= NEARLY * rates[0], "slower than one stream");
    outcome
}

#[test]
fn where_loss_limits_each_stream_as_many_as_may_be_are_used() {
    let path = Path::new("ocean with loss", 2_000, 80).gilbert_elliott(1_000, 3);
    let outcome = is_close_to_the_best(&path, 400, &[1, 16, 256]);
    let numbers = outcome.adapted.iter().map(|&(_, streams, _)| streams);
    assert_eq!(numbers.max(), Some(256));
    // Their slow starts fill the path for a moment, in which some may give way.
    assert!(outcome.final_streams() >= 128, "{:?}", outcome.adapted);
}

#[test]
fn where_a_few_fill_the_path_a_few_are_left() {
    let path = Path::new("branch", 20, 30).independent(1_000);
    let outcome = is_close_to_the_best(&path, 60, &[1, 2, 4, 16]);
    assert!(outcome.final_streams() <= 6, "{:?}", outcome.adapted);
}

#[test]
fn where_buffers_limit_each_stream_the_product_of_bandwidth_and_delay_is_filled() {
    let mut path = Path::new("small buffers", 100, 100);
    // 128 KiB in 100 ms are 10 Mbit/s: ten fill the path.
    path.tcp.receive_buffer = 128 << 10;
    let outcome = is_close_to_the_best(&path, 400, &[1, 4, 10, 16]);
    assert!(
        (9..=40).contains(&outcome.final_streams()),
        "{:?}",
        outcome.adapted
    );
}

#[test]
fn a_connection_that_is_reset_every_second_costs_little_and_loses_nothing() {
    let path = Path::new("regional", 200, 40).independent(100);
    let calm = carry(&path, 150, adaptive(4));
    let restless = Path {
        reset_every: Some(Span::from_s(1)),
        ..path
    };
    let outcome = carry(&restless, 150, adaptive(4));
    assert!(outcome.resets >= 5 && outcome.sender.lost_streams >= 5);
    assert!(outcome.sender.retransmitted_chunks > 0);
    let kept = outcome.mbit_per_s() / calm.mbit_per_s();
    assert!(kept >= 0.85, "{kept:.3}");
}

#[test]
fn headers_and_acknowledgements_are_less_than_a_five_hundredth() {
    let path = Path::new("metro", 100, 10);
    let outcome = carry(&path, 60, options(Streams::Fixed(8)));
    // Copies of late chunks are no overhead of a chunk: they are chunks again.
    let copies = outcome.sender.rescued_chunks * (u64::from(HEADER_BYTES) + (64 << 10));
    let overhead = (outcome.record_bytes - copies - outcome.amount) as f64 / outcome.amount as f64;
    assert!((0.0..=0.002).contains(&overhead), "{overhead:.5}");
}

#[test]
fn on_a_full_path_it_keeps_to_the_share_of_as_many_as_may_contend() {
    let share = |contending| {
        let path = Path {
            others: 1,
            ..Path::new("shared", 50, 20)
        };
        let seconds = Span::from_s(60);
        let outcome = path.carry(Amount::Duration(seconds), adaptive(contending), seconds);
        let (own, other) = (outcome.received as f64, outcome.others as f64);
        own / (own + other)
    };
    let (one, four) = (share(1), share(4));
    assert!((0.35..=0.65).contains(&one), "{one:.3}");
    assert!((0.6..=0.92).contains(&four), "{four:.3}");
}

#[test]
fn the_number_follows_the_path() {
    let at = |seconds| Step {
        at: Span::from_s(seconds),
        ..Step::default()
    };
    let lossy = Path::new("", 1, 1).independent(3_000).loss;
    let path = Path {
        changes: vec![
            Step {
                loss: Some(lossy),
                ..at(12)
            },
            Step {
                rate: Some(BitRate::from_bits_per_s(20_000_000)),
                loss: Some(longhaul_net::loss::Loss::None),
                ..at(30)
            },
        ],
        ..Path::new("restless", 200, 60)
    };
    let seconds = Span::from_s(55);
    let outcome = path.carry(Amount::Duration(seconds), adaptive(4), seconds);
    let streams_at = |second: u64| {
        let until = outcome
            .adapted
            .iter()
            .take_while(|(at, _, _)| at.as_ns() <= second * 1_000_000_000);
        until.last().unwrap().1
    };
    let clean = outcome.mbit_per_s_between(4, 12);
    let lossy = outcome.mbit_per_s_between(20, 30);
    let slow = outcome.mbit_per_s_between(40, 54);
    assert!(clean > 150.0, "{clean:.1}: {:?}", outcome.adapted);
    // One stream carries about 2 Mbit/s then.
    assert!(
        lossy > 120.0 && streams_at(30) > 40,
        "{lossy:.1}: {:?}",
        outcome.adapted
    );
    assert!(
        slow > 17.0 && streams_at(55) < streams_at(30),
        "{slow:.1}: {:?}",
        outcome.adapted
    );
}
