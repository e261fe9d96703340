//! Reductions of the window that turn out needless.

use longhaul_core::time::Span;
use longhaul_tcp::Stats;

use crate::harness::{Link, Network, reno};

const RTT: Span = Span::from_ms(80);
const SEGMENT: u64 = 1448;

/// Sends `segments` while the packets with these numbers are late.
fn transfer(late: impl IntoIterator<Item = (u64, Span)>, segments: u64) -> Stats {
    let link = Link {
        late: late.into_iter().collect(),
        ..Link::new(None, RTT)
    };
    let mut network = Network::new(link, reno(), reno(), 1, segments * SEGMENT);
    assert!(network.run(Span::from_s(1_000)));
    assert_eq!(network.server().received, segments * SEGMENT);
    network.client().tcp.stats()
}

#[test]
fn a_late_packet_reduces_the_window_only_until_it_arrives() {
    let stats = transfer([(40, RTT / 2)], 500);
    assert_eq!((stats.fast_recoveries, stats.undone_reductions), (1, 1));
    // The threshold is as if nothing had happened.
    assert_eq!(stats.ssthresh, u32::MAX);
    // A packet that is lost in the same place is another matter.
    let mut network = Network::new(
        Link::new(None, RTT).losing([40]),
        reno(),
        reno(),
        1,
        500 * SEGMENT,
    );
    assert!(network.run(Span::from_s(1_000)));
    let stats = network.client().tcp.stats();
    assert_eq!((stats.fast_recoveries, stats.undone_reductions), (1, 0));
    assert!(stats.ssthresh < 50, "{}", stats.ssthresh);
}

#[test]
fn a_timeout_before_a_late_flight_is_taken_back() {
    // The third flight, 32 to 71, is a second late, and so are the probe and two timeouts' packets.
    let stats = transfer((32..75).map(|number| (number, Span::from_s(1))), 500);
    assert!(stats.rtos >= 1 && stats.undone_reductions >= 1, "{stats:?}");
    assert_eq!(stats.ssthresh, u32::MAX);
    // The oldest packet on each timeout, and a probe; not the flight.
    assert!(stats.retransmits <= 4, "{stats:?}");
}

#[test]
fn a_timeout_after_a_lost_flight_stands() {
    let mut network = Network::new(
        Link::new(None, RTT).losing(32..75),
        reno(),
        reno(),
        1,
        500 * SEGMENT,
    );
    assert!(network.run(Span::from_s(1_000)));
    let stats = network.client().tcp.stats();
    assert!(stats.rtos >= 1 && stats.ssthresh < 50, "{stats:?}");
    assert_eq!(stats.undone_reductions, 0);
}

#[test]
fn after_reordering_the_sender_waits_longer_before_it_sends_again() {
    // Every fortieth packet is late by less than a quarter of the RTT: the first teaches.
    let stats = transfer((1..50).map(|place| (40 * place, RTT / 5)), 2_000);
    assert_eq!(stats.delivered - stats.retransmits, 2_000);
    assert!(stats.retransmits <= 2, "{stats:?}");
}
