//! Laid paths, what they wrap packets in, connections that move between them, and datagrams.

use std::sync::Arc;

use crate::support::{Lab, PLAIN};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::course::{Step, Steps};
use longhaul_net::link::{Changes, LinkSpec};
use longhaul_net::network::{Arrived, Landed, Network, NetworkLink, SocketId};
use longhaul_net::notice::Side;
use longhaul_net::routing::{LinkId, RegionId, RoutingPolicy};
use longhaul_net::tcp::Config;
use longhaul_net::way::{Encapsulation, Path, Way};

const A: RegionId = RegionId(0);
const B: RegionId = RegionId(2);
const HOUR: Instant = Instant::from_ns(3_600_000_000_000);

/// `a` and `b`, joined through `x` (10 ms a link) and through `y` (30 ms a link): links 0 to 3 are `a->x`, `x->b` and
/// back, 4 to 7 the same through `y`.
fn diamond(laws: impl Fn(u32, LinkSpec) -> LinkSpec) -> Lab {
    let hops = [
        (0, 1, 10),
        (1, 2, 10),
        (2, 1, 10),
        (1, 0, 10),
        (0, 3, 30),
        (3, 2, 30),
        (2, 3, 30),
        (3, 0, 30),
    ];
    let links = (0u32..).zip(hops).map(|(index, (from, to, ms))| NetworkLink {
        from: RegionId(from),
        to: RegionId(to),
        spec: laws(
            index,
            LinkSpec {
                delay: Span::from_ms(ms),
                ..PLAIN
            },
        ),
    });
    let links: Vec<NetworkLink> = links.collect();
    let regions = ["a", "x", "b", "y"].map(str::to_owned);
    Lab {
        network: Network::new(100, &Streams::new(1, 0), &regions, &links).unwrap(),
        ..Lab::line(1, &[(PLAIN, PLAIN)])
    }
}

fn pinned(from: RegionId, to: RegionId, links: &[u32]) -> Path {
    Path {
        from,
        to,
        links: Some(links.iter().copied().map(LinkId).collect()),
        encapsulation: None,
    }
}

fn routed(encapsulation: Option<Encapsulation>) -> Path {
    Path {
        from: A,
        to: B,
        links: None,
        encapsulation,
    }
}

impl Lab {
    fn arrivals(&mut self) -> Vec<(Instant, Arrived)> {
        let mut found = vec![];
        loop {
            while let Some(arrived) = self.network.poll_datagram() {
                found.push((self.queue.now(), arrived));
            }
            if !self.step(HOUR) {
                return found;
            }
        }
    }
}

#[test]
fn a_datagram_takes_its_time_and_arrives_whole() {
    let mut lab = diamond(|_, spec| spec);
    let way = lab.network.lay(&pinned(A, B, &[4, 5])).unwrap();
    let socket = lab.network.bind(A, way, 0);
    let payload = Payload::Synthetic(5);
    lab.network.send_datagram(&mut lab.queue, socket, payload.clone());
    let arrived = lab.arrivals();
    // 47 bytes at 100 Mbit/s are 3,760 ns, twice.
    let at = Instant::ZERO + Span::from_ms(60) + Span::from_ns(2 * 3_760);
    assert_eq!(
        arrived,
        [(
            at,
            Arrived {
                socket: SocketId(0),
                payload
            }
        )]
    );
    assert_eq!((lab.offered(4), lab.offered(5), lab.offered(0)), (1, 1, 0));
}

#[test]
fn a_routed_way_follows_the_routers_and_a_pinned_one_does_not() {
    let mut lab = diamond(|_, spec| spec);
    let free = lab.network.lay(&routed(None)).unwrap();
    let fixed = lab.network.lay(&pinned(A, B, &[0, 1])).unwrap();
    let sockets = [free, fixed].map(|way| lab.network.bind(A, way, 0));
    let usable: Vec<bool> = (0..8).map(|link| link > 3).collect();
    lab.network.converge(&usable);
    for socket in sockets {
        lab.network
            .send_datagram(&mut lab.queue, socket, Payload::Synthetic(100));
    }
    assert_eq!(lab.arrivals().len(), 2);
    assert_eq!((lab.offered(0), lab.offered(4)), (1, 1));
    assert_eq!(lab.network.unrouted().packets, 0);
}

#[test]
fn datagrams_are_lost_doubled_and_never_late() {
    let mut lab = diamond(|index, spec| LinkSpec {
        duplicate: if index == 0 {
            Probability::ONE
        } else {
            Probability::ZERO
        },
        ..spec
    });
    let way = lab.network.lay(&pinned(A, B, &[0, 1])).unwrap();
    let socket = lab.network.bind(A, way, 0);
    lab.network
        .send_datagram(&mut lab.queue, socket, Payload::Synthetic(10));
    assert_eq!(lab.arrivals().len(), 2, "one link doubles it");
    lab.network.fail(lab.queue.now(), LinkId(1));
    lab.network
        .send_datagram(&mut lab.queue, socket, Payload::Synthetic(10));
    assert_eq!(lab.arrivals(), [], "nobody hears of what is lost");
    lab.network.check();

    // Longer on its way than a datagram may be.
    let mut lab = diamond(|_, spec| LinkSpec {
        delay: Span::from_s(61),
        ..spec
    });
    let way = lab.network.lay(&pinned(A, B, &[0, 1])).unwrap();
    let socket = lab.network.bind(A, way, 0);
    lab.network
        .send_datagram(&mut lab.queue, socket, Payload::Synthetic(10));
    lab.queue_until(Span::from_s(121));
    lab.network
        .send_datagram(&mut lab.queue, socket, Payload::Synthetic(11));
    let lengths: Vec<u64> = lab
        .arrivals()
        .iter()
        .map(|(_, arrived)| arrived.payload.len())
        .collect();
    assert_eq!(lengths, [11]);
    assert_eq!(lab.network.discarded().packets, 1);
}

impl Lab {
    fn queue_until(&mut self, span: Span) {
        while self.step(Instant::ZERO + span) {}
    }
}

#[test]
fn what_a_tunnel_adds_is_on_the_wire() {
    let mut lab = diamond(|_, spec| spec);
    // WireGuard over IPv4: 20 + 8 + 16 + 16, padded to 16 within 1,420.
    let wireguard = Encapsulation {
        header_bytes: 60,
        trailer_bytes: 0,
        align_bytes: 16,
        pad_limit_bytes: 1_420,
    };
    assert_eq!(wireguard.wire_bytes(14 + 100, 1), 14 + 60 + 112);
    assert_eq!(wireguard.wire_bytes(14 + 1_420, 1), 14 + 60 + 1_420);
    assert_eq!(wireguard.wire_bytes(2 * (14 + 1_420), 2), 2 * (14 + 60 + 1_420));
    let way = lab.network.lay(&routed(Some(wireguard))).unwrap();
    let socket = lab.network.bind(A, way, 0);
    // 14 + 20 + 8 + 100: a packet of 128 bytes.
    lab.network
        .send_datagram(&mut lab.queue, socket, Payload::Synthetic(100));
    lab.arrivals();
    assert_eq!(lab.network.link(LinkId(0)).stats().offered.bytes, 14 + 60 + 128);
}

#[test]
fn a_connection_moves_to_another_path_and_back_without_losing_a_byte() {
    let mut lab = diamond(|_, spec| spec);
    let [near, far] = [[0, 1], [4, 5]].map(|links| lab.network.lay(&pinned(A, B, &links)).unwrap());
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    lab.network.steer(opened, Side::Opener, near);
    lab.write(opened, Side::Opener, Payload::Synthetic(20_000_000));
    let mut landed = vec![];
    for (at_ms, way) in [(500, far), (1_000, near), (1_500, near)] {
        lab.queue_until(Span::from_ms(at_ms));
        while let Some(side) = lab.network.poll_landed() {
            landed.push(side);
        }
        let before = [lab.offered(0), lab.offered(4)];
        lab.network.steer(opened, Side::Opener, way);
        lab.queue_until(Span::from_ms(at_ms + 100));
        let moved = [lab.offered(0) > before[0], lab.offered(4) > before[1]];
        assert_eq!(moved, [way == near, way == far], "at {at_ms} ms");
    }
    lab.shutdown(opened, Side::Opener);
    lab.run(HOUR);
    while let Some(side) = lab.network.poll_landed() {
        landed.push(side);
    }
    // Put on the near path before the first byte, then moved twice; the last time nothing changed.
    assert_eq!(landed, [Landed::Connection(opened, Side::Opener); 3]);
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 20_000_000);
}

#[test]
fn a_path_whose_links_fail_is_a_black_hole_until_the_connection_is_moved() {
    let mut lab = diamond(|_, spec| spec);
    let [near, far] = [[0, 1], [4, 5]].map(|links| lab.network.lay(&pinned(A, B, &links)).unwrap());
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    lab.network.steer(opened, Side::Opener, near);
    lab.write(opened, Side::Opener, Payload::Synthetic(50_000_000));
    lab.shutdown(opened, Side::Opener);
    lab.queue_until(Span::from_s(1));
    lab.network.fail(lab.queue.now(), LinkId(1));
    let before = lab.received_bytes(opened, Side::Acceptor);
    lab.queue_until(Span::from_s(3));
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), before);
    lab.network.steer(opened, Side::Opener, far);
    lab.run(HOUR);
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 50_000_000);
    let rate = BitRate::from_bits_per_s(100_000_000);
    assert!(lab.network.link(LinkId(5)).stats().delivered.bytes > rate.bytes_in(Span::from_s(1)) / 10);
}

#[test]
#[should_panic(expected = "a way to the peer")]
fn a_way_to_somewhere_else_is_refused() {
    let mut lab = diamond(|_, spec| spec);
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    let back = lab.network.lay(&pinned(B, A, &[2, 3])).unwrap();
    lab.network.steer(opened, Side::Opener, back);
}

#[test]
fn a_way_to_a_region_is_the_routers_own() {
    let mut lab = diamond(|_, spec| spec);
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    lab.network.steer(opened, Side::Opener, Way::to(B));
    lab.write(opened, Side::Opener, Payload::Synthetic(1_000));
    lab.queue_until(Span::from_s(1));
    assert_eq!(lab.network.poll_landed(), None, "it was on that way before");
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 1_000);
}

#[test]
fn packets_longer_than_a_link_carries_are_lost_without_a_word() {
    // `y->b` carries 1,400 bytes.
    let mut lab = diamond(|index, spec| LinkSpec {
        mtu: if index == 5 { 1_400 } else { 1_500 },
        ..spec
    });
    let way = lab.network.lay(&pinned(A, B, &[4, 5])).unwrap();
    let socket = lab.network.bind(A, way, 0);
    for length in [1_372, 1_373] {
        lab.network
            .send_datagram(&mut lab.queue, socket, Payload::Synthetic(length));
    }
    let lengths: Vec<u64> = lab
        .arrivals()
        .iter()
        .map(|(_, arrived)| arrived.payload.len())
        .collect();
    assert_eq!(lengths, [1_372]);
    assert_eq!(lab.network.oversized().packets, 1);

    // A connection that is put on a way whose links do not carry its segments is a black hole beyond its handshake;
    // shorter ones pass.
    for (mss, passes) in [(1_448, false), (1_348, true)] {
        let config = Config {
            mss,
            ..Config::default()
        };
        let opened = lab.network.open(&mut lab.queue, A, B, config).unwrap();
        lab.network.steer(opened, Side::Opener, way);
        lab.write(opened, Side::Opener, Payload::Synthetic(100_000));
        lab.queue_until(lab.queue.now().saturating_since(Instant::ZERO) + Span::from_s(20));
        assert_eq!(lab.received_bytes(opened, Side::Acceptor) == 100_000, passes);
    }
}

#[test]
fn the_mtu_of_a_link_changes_when_it_is_said_to() {
    // `y->b` carries 1,400 bytes from 2 s to 3 s of every 5 s.
    let step = |at_s, mtu| Step {
        at: Span::from_s(at_s),
        mtu: Some(mtu),
        ..Step::default()
    };
    let steps = Steps::new(vec![step(2, 1_400), step(3, 1_500)], Some(Span::from_s(5))).unwrap();
    let steps = Arc::new(steps);
    let mut lab = diamond(|index, spec| LinkSpec {
        changes: Changes {
            steps: (index == 5).then(|| steps.clone()),
            delivery: None,
        },
        ..spec
    });
    let way = lab.network.lay(&pinned(A, B, &[4, 5])).unwrap();
    let socket = lab.network.bind(A, way, 0);
    // Something is always pending, so that time passes.
    let nobody = EntityId::new(0);
    lab.queue.schedule(HOUR, Class::Wake, nobody, nobody, 0);
    // It takes 30 ms to `y`, whose look counts.
    let times_ms = [0, 1_900, 1_980, 2_500, 2_960, 2_980, 4_000, 6_980, 7_980];
    let arrive: Vec<bool> = times_ms
        .iter()
        .map(|ms| {
            lab.queue_until(Span::from_ms(*ms));
            lab.network
                .send_datagram(&mut lab.queue, socket, Payload::Synthetic(1_373));
            lab.queue_until(Span::from_ms(ms + 80));
            lab.network.poll_datagram().is_some()
        })
        .collect();
    assert_eq!(arrive, [true, true, false, false, false, true, true, false, true]);
    assert_eq!(lab.network.oversized().packets, 4);
    let at = |s| Instant::ZERO + Span::from_s(s);
    let mtu = [12, 13].map(|s| lab.network.mtu_by(at(s), A, way));
    assert_eq!(mtu, [Some(1_400), Some(1_500)]);
    assert_eq!(lab.network.first_mtu_by(at(12), A, way), Some(1_500));
}

#[test]
fn a_tunnel_takes_in_what_its_mtu_allows_and_segments_become_packets_that_do() {
    let mut lab = diamond(|index, spec| LinkSpec {
        mtu: if index == 4 { 1_300 } else { 1_500 },
        ..spec
    });
    let way = lab.network.lay(&pinned(A, B, &[4, 5])).unwrap();
    let header = Encapsulation {
        header_bytes: 60,
        trailer_bytes: 0,
        align_bytes: 1,
        pad_limit_bytes: u32::MAX,
    };
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    lab.network.steer(opened, Side::Opener, way);
    let mut at = Span::ZERO;
    let mut wait = |lab: &mut Lab| {
        at += Span::from_s(10);
        lab.queue_until(at);
    };
    wait(&mut lab);
    // Its segments of 1,448 bytes are too long for the first link, though nothing is said of the way.
    lab.write(opened, Side::Opener, Payload::Synthetic(14_480));
    wait(&mut lab);
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 0);
    let lost = lab.network.oversized().packets;
    assert!(lost > 0);
    // 1,240 bytes enter the tunnel: two packets for each segment, of 724 bytes of payload and 66 of headers.
    lab.network.set_tunnel(way, header, 1_240);
    wait(&mut lab);
    wait(&mut lab);
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 14_480);
    assert_eq!(lab.network.oversized().packets, lost);
    // Datagrams are not cut.
    let socket = lab.network.bind(A, way, 0);
    for length in [1_212, 1_213] {
        lab.network
            .send_datagram(&mut lab.queue, socket, Payload::Synthetic(length));
    }
    let lengths: Vec<u64> = lab.arrivals().iter().map(|(_, it)| it.payload.len()).collect();
    assert_eq!(lengths, [1_212]);
    assert_eq!(lab.network.oversized().packets, lost + 1);
    lab.network.check();
}

#[test]
fn equally_good_routes_share_flows_and_not_packets() {
    let regions = ["a", "x", "b", "y", "z"].map(str::to_owned);
    let hops = [(0, 1), (1, 2), (0, 3), (3, 2), (0, 4), (4, 2)];
    let both = hops.iter().flat_map(|&(from, to)| [(from, to), (to, from)]);
    let links = both.map(|(from, to)| NetworkLink {
        from: RegionId(from),
        to: RegionId(to),
        spec: PLAIN,
    });
    let links: Vec<NetworkLink> = links.collect();
    let policy = RoutingPolicy {
        multipath: true,
        ..RoutingPolicy::default()
    };
    let network = Network::with_routing(100, &Streams::new(1, 0), &regions, &links, policy).unwrap();
    let mut lab = Lab {
        network,
        ..Lab::line(1, &[(PLAIN, PLAIN)])
    };
    let firsts = [0, 4, 8];
    let mut flows = [0; 3];
    for _ in 0..90 {
        let before = firsts.map(|link| lab.offered(link));
        let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
        lab.write(opened, Side::Opener, Payload::Synthetic(20_000));
        lab.shutdown(opened, Side::Opener);
        lab.shutdown(opened, Side::Acceptor);
        lab.run(HOUR);
        let used: Vec<usize> = (0..3)
            .filter(|&at| lab.offered(firsts[at]) > before[at])
            .collect();
        assert_eq!(used.len(), 1, "one way for all packets of a flow");
        flows[used[0]] += 1;
    }
    // 30 each, give or take three standard deviations.
    assert!(flows.iter().all(|count| (17..=43).contains(count)), "{flows:?}");
}

#[test]
fn connections_begin_with_segments_that_their_route_carries() {
    let mut lab = diamond(|index, spec| LinkSpec {
        mtu: if index == 2 { 1_000 } else { 1_500 },
        ..spec
    });
    let opened = lab.network.open(&mut lab.queue, A, B, Config::default()).unwrap();
    lab.write(opened, Side::Opener, Payload::Synthetic(94_800));
    lab.shutdown(opened, Side::Opener);
    lab.shutdown(opened, Side::Acceptor);
    lab.run(HOUR);
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 94_800);
    assert_eq!(lab.network.oversized().packets, 0);
    // `b->x` carries 1,000 bytes, 52 of them headers: 100 segments of 948, besides the SYN, an ACK and the FIN.
    let sent = lab.network.tcp_stats(opened, Side::Opener).segments_sent;
    assert!((102..=104).contains(&sent), "{sent}");
}

#[test]
fn what_is_sent_by_a_closed_way_or_by_none_is_lost() {
    let mut lab = diamond(|_, spec| spec);
    let way = lab.network.lay(&pinned(A, B, &[4, 5])).unwrap();
    let back = lab.network.lay(&pinned(B, A, &[6, 7])).unwrap();
    let void = lab.network.lay_void(B);
    let opened = lab
        .network
        .open_by(&mut lab.queue, (A, B), Config::default(), 0, [void, back])
        .unwrap();
    lab.write(opened, Side::Opener, Payload::Synthetic(1_000));
    lab.queue_until(Span::from_ms(500));
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 0);
    assert_eq!(lab.network.unrouted().packets, 1, "the SYN");
    lab.network.set_open(way, false);
    lab.network.steer(opened, Side::Opener, way);
    lab.queue_until(Span::from_ms(1_500));
    assert_eq!(lab.network.unrouted().packets, 2, "the SYN again, after a second");
    lab.network.set_open(way, true);
    lab.queue_until(Span::from_s(4));
    assert_eq!(lab.received_bytes(opened, Side::Acceptor), 1_000);
    assert_eq!((lab.offered(0), lab.offered(2)), (0, 0));
    assert_eq!(lab.network.mtu_by(Instant::ZERO, A, void), None);
    assert_eq!(lab.network.mtu_by(Instant::ZERO, A, way), Some(1_500));
}

#[test]
fn a_socket_moves_to_another_path_and_its_first_datagram_there_is_noted() {
    let mut lab = diamond(|_, spec| spec);
    let [near, far] = [[0, 1], [4, 5]].map(|links| lab.network.lay(&pinned(A, B, &links)).unwrap());
    let socket = lab.network.bind_to(A, B, 0).unwrap();
    for (way, landed) in [(near, true), (near, false), (far, true)] {
        lab.network.steer_socket(socket, way);
        lab.network
            .send_datagram(&mut lab.queue, socket, Payload::Synthetic(100));
        assert_eq!(lab.arrivals().len(), 1);
        assert_eq!(
            lab.network.poll_landed(),
            landed.then_some(Landed::Socket(socket))
        );
    }
    assert_eq!((lab.offered(0), lab.offered(4)), (2, 1));
}
