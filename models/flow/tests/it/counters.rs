//! What reports read from a network while it runs.

use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_engine::{Budget, Engine, Event, World};
use longhaul_flow::network::Network;
use longhaul_net::link::LinkSpec;
use longhaul_net::loss::Loss;
use longhaul_net::notice::{ConnectionId, Side, What};
use longhaul_net::routing::{LinkId, RegionId};

use crate::lab::{CUBIC, PLAIN, pair};

const BYTES: u64 = 100_000_000;
const FORTH: LinkId = LinkId(0);

/// Connections that write `BYTES` each in one piece.
struct Bulk(Network);

impl World for Bulk {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        self.0.handle(engine, event.target, event.token);
        while let Some(notice) = self.0.poll_notice() {
            let (connection, side) = (notice.connection, notice.side);
            if notice.what == What::Opened {
                let payload = Payload::Synthetic(BYTES);
                self.0.write(engine, connection, side, payload).expect("open");
                self.0.shutdown(engine, connection, side);
            } else if notice.what == What::PeerFinished && side == Side::Acceptor {
                self.0.shutdown(engine, connection, side);
            }
        }
    }
}

/// Runs `flows` connections, calling `look` every second for 400 s.
fn run(flows: u32, spec: &LinkSpec, mut look: impl FnMut(&mut Network, Instant)) -> Network {
    let names = ["a".to_owned(), "b".to_owned()];
    let network = Network::new(0, &Streams::new(1, 0), &names, &pair(0, 1, spec)).expect("a network");
    let mut bulk = Bulk(network);
    let mut engine = Engine::new();
    for _ in 0..flows {
        let opened = bulk.0.open(&mut engine, RegionId(0), RegionId(1), CUBIC);
        opened.expect("a route");
    }
    for second in 1..=400 {
        let now = Instant::ZERO + Span::from_s(second);
        engine.run(&mut bulk, Budget::until(now));
        look(&mut bulk.0, now);
    }
    bulk.0
}

fn lossy() -> LinkSpec {
    LinkSpec {
        loss: Loss::Independent(Probability::from_ratio(1, 1_000).expect("at most one")),
        ..PLAIN
    }
}

#[test]
fn a_link_has_carried_every_segment_that_was_not_lost_and_never_more_than_it_can() {
    for (flows, spec) in [(1, PLAIN), (1, lossy()), (4, PLAIN), (4, lossy())] {
        let mut last = 0;
        let mut network = run(flows, &spec, |network, now| {
            let carried = network.link_carried(FORTH, now);
            // When a flow ends, what is left of its round counts at once.
            assert!(
                (last..=last + 12_500_000 + 100_000).contains(&carried),
                "{flows} flows: {last} then {carried}"
            );
            last = carried;
        });
        let stats = (0..flows).map(|flow| network.stats(ConnectionId(flow), Side::Opener));
        let (mut arrived, mut lost, mut dropped) = (0, 0, 0);
        for stats in stats {
            assert_eq!(stats.delivered_bytes, BYTES);
            arrived += stats.segments_sent - stats.lost - stats.queue_drops;
            lost += stats.lost;
            dropped += stats.queue_drops;
        }
        let counters = network.link_counters(FORTH, Instant::ZERO + Span::from_s(400));
        assert_eq!(counters.carried_bytes, arrived * 1514);
        assert_eq!(counters.lost_segments, lost);
        assert_eq!(counters.dropped_segments, dropped);
        assert!(arrived >= u64::from(flows) * BYTES.div_ceil(1448), "{arrived}");
    }
}

#[test]
fn looking_changes_nothing() {
    for flows in [1, 3] {
        let watched = run(flows, &lossy(), |network, now| {
            network.link_carried(FORTH, now);
            network.received_so_far(ConnectionId(0), Side::Acceptor, now);
        });
        let unseen = run(flows, &lossy(), |_, _| {});
        for flow in (0..flows).map(ConnectionId) {
            assert_eq!(
                watched.stats(flow, Side::Opener),
                unseen.stats(flow, Side::Opener)
            );
        }
    }
}

#[test]
fn progress_within_a_write_follows_the_rate() {
    let mut seen = Vec::new();
    run(1, &PLAIN, |network, now| {
        seen.push(network.received_so_far(ConnectionId(0), Side::Acceptor, now));
        if now <= Instant::ZERO + Span::from_s(7) && now >= Instant::ZERO + Span::from_s(2) {
            let rate = network.link_rate(FORTH, now);
            assert!((0.9..=1.0).contains(&(rate / 12.5e6)), "{rate}");
        }
    });
    let payload_rate = 12.5e6 * 1448.0 / 1514.0;
    for second in 2..7 {
        let step = (seen[second] - seen[second - 1]) as f64;
        assert!(
            (0.95..1.05).contains(&(step / payload_rate)),
            "{second}: {step}, {seen:?}"
        );
    }
    assert_eq!(seen.last(), Some(&BYTES));
}
