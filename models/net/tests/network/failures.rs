//! Links that fail under real TCP, and routes that go round them.

use crate::support::{Lab, PLAIN};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_net::link::LinkSpec;
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::notice::{ConnectionId, Side, What};
use longhaul_net::routing::{LinkId, RegionId};
use longhaul_net::tcp::Config;

const HOUR: Instant = Instant::from_ns(3_600_000_000_000);

/// Links of the square, both ways: a—b 10 ms, b—d 10 ms, a—c 20 ms, c—d 20 ms, b—c 5 ms.
const SQUARE: [(u32, u32, u64); 5] = [(0, 1, 10), (1, 3, 10), (0, 2, 20), (2, 3, 20), (1, 2, 5)];
/// `b->d`, `d->b`.
const B_D: [LinkId; 2] = [LinkId(2), LinkId(3)];
/// `a->b`, `b->a`, `a->c`, `c->a`: everything around a.
const AROUND_A: [LinkId; 4] = [LinkId(0), LinkId(1), LinkId(4), LinkId(5)];

fn square() -> Lab {
    let mut links = vec![];
    for (a, b, ms) in SQUARE {
        for (from, to) in [(a, b), (b, a)] {
            links.push(NetworkLink {
                from: RegionId(from),
                to: RegionId(to),
                spec: LinkSpec {
                    delay: Span::from_ms(ms),
                    ..PLAIN
                },
            });
        }
    }
    let regions = ["a", "b", "c", "d"].map(str::to_owned);
    Lab {
        network: Network::new(100, &Streams::new(1, 0), &regions, &links).unwrap(),
        ..Lab::line(1, &[(PLAIN, PLAIN)])
    }
}

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

impl Lab {
    fn open_across(&mut self) -> ConnectionId {
        let opened = self
            .network
            .open(&mut self.queue, RegionId(0), RegionId(3), Config::default());
        opened.unwrap()
    }

    fn fail(&mut self, links: &[LinkId]) {
        for &link in links {
            self.network.fail(self.queue.now(), link);
        }
    }

    fn restore(&mut self, links: &[LinkId]) {
        for &link in links {
            self.network.restore(self.queue.now(), link);
        }
    }

    /// Routes go round these links.
    fn avoid(&mut self, links: &[LinkId]) {
        let links: Vec<bool> = (0..10).map(|id| !links.contains(&LinkId(id))).collect();
        self.network.converge(&links);
    }
}

#[test]
fn a_transfer_goes_on_by_the_detour_and_comes_back() {
    let mut lab = square();
    let id = lab.open_across();
    lab.write(id, Side::Opener, Payload::Synthetic(60_000_000));
    lab.run(at_ms(2_000));
    lab.fail(&B_D);
    let lost = lab.network.link(B_D[0]).stats().lost_down.packets;
    assert!(lost > 80, "10 ms at 100 Mbit/s hold 82 frames: {lost}");
    lab.run(at_ms(2_200));
    let before = lab.received_bytes(id, Side::Acceptor);
    lab.avoid(&B_D);
    assert_eq!((lab.offered(8), lab.offered(6)), (0, 0));
    lab.run(at_ms(4_000));
    // The best way round is a, b, c, d: 35 ms against 40 ms.
    assert!(lab.received_bytes(id, Side::Acceptor) > before + 10_000_000);
    assert_eq!(lab.offered(4), 0);
    assert!(lab.offered(8) > 8_000, "{}", lab.offered(8));

    let delivered = |lab: &Lab| lab.network.link(B_D[0]).stats().delivered.packets;
    let until_now = delivered(&lab);
    lab.restore(&B_D);
    lab.run(at_ms(4_200));
    assert_eq!(delivered(&lab), until_now, "routes have not moved back yet");
    lab.avoid(&[]);
    lab.shutdown(id, Side::Opener);
    lab.run(HOUR);
    assert!(delivered(&lab) > until_now + 10_000);
    assert_eq!(lab.received_bytes(id, Side::Acceptor), 60_000_000);
    assert_eq!(lab.network.unrouted().packets, 0);
}

#[test]
fn a_packet_on_its_way_is_sent_on_by_the_routes_of_the_region_that_it_reaches() {
    let mut lab = square();
    lab.open_across();
    // The SYN leaves a at 0 and reaches b after 10 ms and its 5.92 µs.
    lab.run(at_ms(5));
    lab.fail(&B_D);
    lab.avoid(&B_D);
    lab.run(HOUR);
    // 10 + 5 + 20 ms there, and the same way back.
    let frame = Span::from_ns(5_920);
    let opened = Instant::ZERO + (Span::from_ms(35) + frame * 3) * 2;
    assert_eq!(lab.when(Side::Opener, &What::Opened), Some(opened));
}

#[test]
fn without_a_route_packets_are_lost_where_it_ends_and_a_handshake_is_tried_again() {
    let mut lab = square();
    lab.fail(&AROUND_A);
    lab.avoid(&AROUND_A);
    let id = lab.open_across();
    lab.run(at_ms(2_500));
    // Sent at 0 and 1 s (RFC 6298).
    let unrouted = lab.network.unrouted();
    assert_eq!((unrouted.packets, unrouted.bytes), (2, 2 * 74));
    assert_eq!((lab.offered(0), lab.offered(4)), (0, 0));
    // The link is back, but the routers do not know of it.
    lab.restore(&AROUND_A);
    lab.run(at_ms(3_500));
    assert_eq!(lab.network.unrouted().packets, 3);
    lab.avoid(&[]);
    lab.write(id, Side::Opener, Payload::Synthetic(5_000));
    lab.shutdown(id, Side::Opener);
    lab.run(HOUR);
    // The next is due at 7 s, as exactly as the kernel's timers are.
    let opened = lab.when(Side::Opener, &What::Opened).unwrap();
    assert!((at_ms(7_040)..at_ms(7_300)).contains(&opened), "{opened:?}");
    assert_eq!(lab.received_bytes(id, Side::Acceptor), 5_000);
}

#[test]
fn until_routers_know_packets_go_into_the_dead_link_and_are_lost() {
    let mut lab = square();
    lab.fail(&B_D);
    lab.open_across();
    lab.run(at_ms(1_500));
    assert_eq!(lab.network.link(B_D[0]).stats().lost_down.packets, 2);
    assert_eq!(lab.network.unrouted().packets, 0);
}

#[test]
fn a_connection_that_is_cut_off_for_good_ends_when_tcp_gives_up() {
    let mut lab = square();
    let id = lab.open_across();
    lab.write(id, Side::Opener, Payload::Synthetic(60_000_000));
    lab.run(at_ms(1_000));
    lab.fail(&AROUND_A);
    lab.avoid(&AROUND_A);
    lab.run(HOUR);
    let failed = What::Closed(longhaul_core::machine::CloseReason::Failed);
    let end = lab.when(Side::Opener, &failed).expect("TCP gives up");
    // tcp_retries2 = 15: 924.6 s at the least timeout of 200 ms, and more with a longer one.
    assert!((at_ms(900_000)..at_ms(1_200_000)).contains(&end), "{end:?}");
}
