//! BBR against closed forms: the rate it reaches, the queue it keeps, when it probes, what it ignores.

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Controller};

use crate::harness::{Link, Loss, Network, reno};

const RTT: Span = Span::from_ms(40);
const RATE_MBIT: u64 = 50;
const SEGMENT: u64 = 1448;
/// Packets that the path holds: rate times RTT.
const PIPE: u64 = RATE_MBIT * 40_000 / 8 / 1514;

fn bbr() -> Config {
    Config {
        controller: Controller::Bbr,
        seed: 1,
        ..reno()
    }
}

fn clean() -> Link {
    Link::new(Some(RATE_MBIT), RTT)
}

/// A flow without end over `link`, after `warm_up`.
fn flow(link: Link, config: Config, warm_up: Span) -> Network {
    let mut network = Network::new(link, config, config, 1, u64::MAX);
    network.run(warm_up);
    network
}

/// The share of the link's rate that arrives in the `span` from now on, headers included.
fn utilisation(network: &mut Network, span: Span) -> f64 {
    let before = network.server().received;
    let end = network.now + span;
    network.run(end - Instant::ZERO);
    let packets = (network.server().received - before) / SEGMENT;
    (packets * 1514 * 8) as f64 / (RATE_MBIT as f64 * 1e6 * span.as_s_f64())
}

#[test]
fn startup_doubles_the_rate_every_round_trip_as_slow_start_does() {
    // An infinite link: 10, 20, 40 … packets per round trip as in slow start, though paced. The last packet of a
    // round leaves up to a round trip after the first, so the end comes so much later, and no more with each round.
    for rounds in 3..=8u64 {
        let bytes = 10 * ((1 << rounds) - 1) * SEGMENT;
        let run = |config| {
            let mut network = Network::new(Link::new(None, RTT), config, config, 1, bytes);
            assert!(network.run(Span::from_s(10)));
            network.completion().expect("it ends") - Instant::ZERO
        };
        let (paced, unpaced) = (run(bbr()), run(reno()));
        assert!(paced > unpaced, "{rounds} rounds: {paced:?}, unpaced {unpaced:?}");
        assert!(
            paced < unpaced + RTT * 3 / 2,
            "{rounds} rounds: {paced:?}, unpaced {unpaced:?}"
        );
    }
}

#[test]
fn startup_ends_and_its_queue_is_drained_within_a_second() {
    let mut network = flow(clean(), bbr(), Span::from_ms(400));
    let deepest = network.client().tcp.stats().srtt;
    assert!(deepest > RTT + RTT / 4, "Startup fills the queue: {deepest:?}");
    network.run(Span::from_s(1));
    let drained = network.client().tcp.stats().srtt;
    assert!(drained < RTT + RTT / 4, "Drain empties it: {drained:?}");
}

#[test]
fn a_long_flow_fills_a_clean_link_and_keeps_the_queue_within_a_quarter_of_the_pipe() {
    let mut network = flow(clean(), bbr(), Span::from_s(2));
    let share = utilisation(&mut network, Span::from_s(7));
    // The pacing margin costs 1 %, and acknowledgements half a packet here and there.
    assert!((0.95..=1.0).contains(&share), "{share}");
    let mut most = Span::ZERO;
    for step in 1..100 {
        network.run(Span::from_s(9) + Span::from_ms(4) * step);
        most = most.max(network.client().tcp.stats().srtt);
    }
    // A quarter of the pipe while probing, and two bursts of a millisecond with their delayed acknowledgement.
    assert!(most > RTT && most <= RTT * 5 / 4 + Span::from_ms(3), "{most:?}");
}

#[test]
fn the_window_is_twice_the_pipe_and_a_budget_for_bursts() {
    let network = flow(clean(), bbr(), Span::from_s(5));
    let cwnd = u64::from(network.client().tcp.stats().cwnd_segments);
    // Three bursts of about a millisecond, two packets while probing, and what ACKs once came in heaps.
    let burst = RATE_MBIT * 1_000_000 / 8 / 1024 / SEGMENT;
    assert!(
        (2 * PIPE - 4..=2 * PIPE + 3 * burst + 40).contains(&cwnd),
        "{cwnd} segments, twice the pipe is {}",
        2 * PIPE
    );
}

#[test]
fn losses_of_one_percent_cost_bbr_nothing_and_reno_almost_everything() {
    let link = || Link {
        loss: Loss::Independent(
            Probability::from_ratio(1, 100).expect("below one"),
            Streams::new(5, 0).stream("forward", "loss"),
        ),
        ..clean()
    };
    let share = |config| utilisation(&mut flow(link(), config, Span::from_s(2)), Span::from_s(7));
    let (with_bbr, with_reno) = (share(bbr()), share(reno()));
    assert!(with_bbr > 0.93, "{with_bbr}");
    assert!(with_reno < 0.1, "{with_reno}");
}

#[test]
fn every_ten_seconds_the_window_is_four_for_a_fifth_of_a_second() {
    // A flow that finds the queue empty again has no need to: two flows keep one.
    let mut network = Network::new(clean(), bbr(), bbr(), 2, u64::MAX);
    let mut dips: Vec<(u64, u64)> = Vec::new();
    for ms in (1_000..65_000).step_by(4) {
        network.run(Span::from_ms(ms));
        if network.client().tcp.stats().cwnd_segments <= 4 {
            match dips.last_mut() {
                Some((_, last)) if ms - *last <= 8 => *last = ms,
                _ => dips.push((ms, ms)),
            }
        }
    }
    assert!((5..=6).contains(&dips.len()), "{dips:?}");
    for (start, end) in &dips {
        // 200 ms from the moment four are in flight, a round trip, and the queue before it.
        assert!((200..=340).contains(&(end - start)), "{dips:?}");
    }
    for pair in dips.windows(2) {
        assert!((10_000..=10_400).contains(&(pair[1].0 - pair[0].0)), "{dips:?}");
    }
}

#[test]
fn a_pause_does_not_shrink_the_window_and_what_follows_is_paced_at_the_known_rate() {
    let mut network = Network::new(clean(), bbr(), bbr(), 1, 0).recorded().left_open();
    network.run(Span::from_s(1));
    network.write(6_000 * SEGMENT);
    assert!(network.run(Span::from_s(8)));
    let before = network.client().tcp.stats().cwnd_segments;
    network.seen.clear();
    network.now = Instant::ZERO + Span::from_s(9);
    network.write(200 * SEGMENT);
    assert!(network.run(Span::from_s(20)));
    assert!(network.client().tcp.stats().cwnd_segments >= before);
    let times: Vec<Instant> = network.data().map(|sighting| sighting.sent_at).collect();
    let (first, last) = (times[0], times[times.len() - 1]);
    let rate = (times.len() as u64 * 1514 * 8) as f64 / (last - first).as_s_f64() / 1e6;
    assert!((45.0..53.0).contains(&rate), "{rate} Mbit/s");
}

#[test]
fn flows_share_a_link() {
    let mut network = Network::new(clean(), bbr(), bbr(), 4, u64::MAX);
    network.run(Span::from_s(30));
    let received: Vec<u64> = network.pairs.iter().map(|pair| pair[1].received).collect();
    let sum: u64 = received.iter().sum();
    let squares: f64 = received.iter().map(|&bytes| (bytes as f64) * bytes as f64).sum();
    let jain = (sum as f64) * sum as f64 / (4.0 * squares);
    assert!(jain > 0.85, "{received:?}");
}

#[test]
fn the_gap_between_bursts_is_their_size_over_the_rate() {
    for segmentation_offload in [false, true] {
        let config = Config {
            segmentation_offload,
            ..bbr()
        };
        let mut network = Network::new(
            Link::new(None, Span::from_ms(100)),
            config,
            config,
            1,
            30 * SEGMENT,
        );
        network = network.recorded();
        network.run(Span::from_ms(290));
        let mut bursts: Vec<(Instant, u64)> = Vec::new();
        for sighting in network.data() {
            match bursts.last_mut() {
                Some((at, packets)) if *at == sighting.sent_at => {
                    *packets += u64::from(sighting.segment.packets);
                }
                _ => bursts.push((sighting.sent_at, u64::from(sighting.segment.packets))),
            }
        }
        // Ten packets at once, then bursts of two at 2.885 times the initial window per round trip.
        assert_eq!(bursts[0].1, 10);
        let gaps: Vec<Span> = bursts[1..]
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .filter(|gap| *gap < Span::from_ms(20))
            .collect();
        assert!(gaps.len() >= 6, "{bursts:?}");
        let expected = 2.0 / (2.885 * 0.99 * 10.0) * 0.1;
        for gap in &gaps[1..] {
            let error = gap.as_s_f64() / expected - 1.0;
            assert!(error.abs() < 0.01, "{gap:?}, expected {expected} s");
        }
    }
}
