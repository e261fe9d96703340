//! Handshake, FIN, RST, and giving up.

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::{Config, Connection, Event, Failure, Flags};

use crate::harness::{Link, Loss, Network, Side, reno};

const RTT: Span = Span::from_ms(80);

fn at(span: Span) -> Instant {
    Instant::ZERO + span
}

#[test]
fn the_client_is_connected_after_one_round_trip_and_the_server_half_a_round_trip_later() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 1448);
    assert!(network.run(Span::from_s(10)));
    assert_eq!(network.client().established_at, Some(at(RTT)));
    assert_eq!(network.server().established_at, Some(at(RTT + RTT / 2)));
    assert_eq!(network.client().tcp.stats().srtt, RTT);
    assert_eq!(network.client().tcp.stats().min_rtt, RTT);
}

#[test]
fn a_lost_syn_costs_a_second_and_the_slot_of_its_timer() {
    let mut network = Network::new(Link::new(None, RTT).losing([0]), reno(), reno(), 1, 1448);
    assert!(network.run(Span::from_s(10)));
    assert_eq!(
        network.client().established_at,
        Some(at(Span::from_ms(1024) + RTT))
    );
    assert_eq!(network.client().tcp.stats().retransmits, 1);
    assert_eq!(network.client().tcp.stats().srtt, RTT);
    assert_eq!(network.client().tcp.stats().rtos, 0);
}

#[test]
fn two_lost_syns_leave_a_window_of_one_segment() {
    let mut network = Network::new(Link::new(None, RTT).losing([0, 1]), reno(), reno(), 1, 14_480).recorded();
    assert!(network.run(Span::from_s(20)));
    let start = network.client().established_at.expect("the third SYN arrives");
    let first_flight = network
        .data()
        .filter(|sighting| sighting.sent_at == start)
        .count();
    assert_eq!(first_flight, 1);
}

#[test]
fn an_unanswered_syn_is_sent_seven_times_at_doubling_distances() {
    let link = Link {
        loss: Loss::From(0),
        ..Link::new(None, RTT)
    };
    let mut network = Network::new(link, reno(), reno(), 1, 1448).recorded();
    assert!(network.run(Span::from_s(200)));
    assert_eq!(network.seen.len(), 7);
    for (retry, pair) in network.seen.windows(2).enumerate() {
        let (asked, waited) = (Span::from_s(1 << retry), pair[1].sent_at - pair[0].sent_at);
        assert!(
            waited >= asked && waited <= asked + asked / 7 + Span::from_ms(8),
            "{waited:?}"
        );
    }
    let (failed_at, failure) = network.client().failed.expect("it gives up");
    assert_eq!(failure, Failure::TimedOut);
    assert!(
        (127..150).contains(&(failed_at.as_ns() / 1_000_000_000)),
        "{failed_at:?}"
    );
}

#[test]
fn data_completes_a_handshake_whose_last_ack_was_lost() {
    let mut network = Network::new(Link::new(None, RTT).losing([1]), reno(), reno(), 1, 14_480);
    assert!(network.run(Span::from_s(10)));
    assert_eq!(network.server().established_at, Some(at(RTT + RTT / 2)));
    assert_eq!(network.server().received, 14_480);
}

#[test]
fn both_ends_close_after_everything_was_delivered() {
    for bytes in [0, 1, 1447, 1448, 1449, 100_000] {
        let mut network = Network::new(Link::new(Some(100), RTT), reno(), reno(), 1, bytes);
        assert!(network.run(Span::from_s(10)));
        assert_eq!(network.server().received, bytes);
        assert_eq!(network.client().tcp.stats().bytes_acked, bytes);
        for end in &network.pairs[0] {
            assert!(end.closed_at.is_some() && end.peer_finished_at.is_some() && end.failed.is_none());
            assert_eq!(end.tcp.stats().retransmits, 0);
            assert_eq!(end.tcp.deadline(), None);
        }
    }
}

#[test]
fn the_fin_rides_on_the_last_segment() {
    let mut network = Network::new(Link::new(Some(100), RTT), reno(), reno(), 1, 50_000).recorded();
    assert!(network.run(Span::from_s(10)));
    let fins: Vec<u32> = (network.seen.iter())
        .filter(|sighting| sighting.from == Side::Client && sighting.segment.flags.has(Flags::FIN))
        .map(|sighting| sighting.segment.len)
        .collect();
    assert_eq!(fins, [50_000 % 1448]);
}

#[test]
fn a_lost_fin_is_sent_again() {
    let mut clean = Network::new(Link::new(None, RTT), reno(), reno(), 1, 14_480)
        .left_open()
        .recorded();
    assert!(clean.run(Span::from_s(10)));
    let sent = clean
        .seen
        .iter()
        .filter(|sighting| sighting.from == Side::Client)
        .count() as u64;
    let mut network =
        Network::new(Link::new(None, RTT).losing([sent]), reno(), reno(), 1, 14_480).left_open();
    assert!(network.run(Span::from_s(5)));
    let client = &mut network.pairs[0][0].tcp;
    client.shutdown(at(Span::from_s(5)));
    network.write(0);
    assert!(network.run(Span::from_s(20)));
    assert!(network.server().closed_at.is_some());
    assert_eq!(network.client().tcp.stats().retransmits, 1);
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_a_quarter_of_an_hour_of_doubling_timeouts() {
    let link = Link {
        loss: Loss::From(8),
        ..Link::new(None, RTT)
    };
    let mut network = Network::new(link, reno(), reno(), 1, 1 << 20).recorded();
    assert!(network.run(Span::from_s(2_000)));
    let (failed_at, failure) = network.client().failed.expect("it gives up");
    assert_eq!(failure, Failure::TimedOut);
    assert!(
        (924..1_100).contains(&(failed_at.as_ns() / 1_000_000_000)),
        "{failed_at:?}"
    );
    let last_new = network
        .data()
        .position(|sighting| sighting.lost)
        .expect("something is lost");
    let oldest = network.data().nth(last_new).expect("it was sent").segment.seq;
    let times: Vec<Instant> = (network.data())
        .filter(|sighting| sighting.segment.seq == oldest)
        .map(|sighting| sighting.sent_at)
        .collect();
    // The first copy, maybe an early repair, and then one copy per timeout.
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_ns() / 1_000_000)
        .collect();
    let backed_off = &gaps[3..9];
    for pair in backed_off.windows(2) {
        let ratio = pair[1] as f64 / pair[0] as f64;
        assert!((1.8..2.25).contains(&ratio), "{gaps:?}");
    }
    assert!(gaps[gaps.len() - 1] >= 120_000, "{gaps:?}");
}

#[test]
fn an_abort_resets_the_peer() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 1448).left_open();
    network.run(Span::from_s(1));
    let now = at(Span::from_s(1));
    let client = &mut network.pairs[0][0].tcp;
    client.abort(now);
    let reset = client.poll_segment(now).expect("an RST");
    assert!(reset.flags.has(Flags::RST));
    assert_eq!(client.poll_segment(now), None);
    assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Aborted)));
    assert_eq!(client.write(now, 1), 0);
    let server = &mut network.pairs[0][1].tcp;
    server.on_segment(now, &reset);
    assert_eq!(server.poll_event(), Some(Event::Failed(Failure::Reset)));
    assert_eq!((server.poll_segment(now), server.deadline()), (None, None));
}

/// The first RST may be lost, so whatever the peer sends later is answered by another one (`tcp_v4_send_reset`): it
/// must not wait for its own timeouts.
#[test]
fn a_peer_that_has_not_heard_of_an_abort_hears_of_it_when_it_sends() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 1448).left_open();
    network.run(Span::from_s(1));
    let now = at(Span::from_s(1));
    let client = &mut network.pairs[0][0].tcp;
    client.abort(now);
    client.poll_segment(now).expect("an RST, which is lost");
    let server = &mut network.pairs[0][1].tcp;
    server.write(now, 1);
    let data = server.poll_segment(now).expect("a segment");
    let client = &mut network.pairs[0][0].tcp;
    client.on_segment(now, &data);
    let reset = client.poll_segment(now).expect("another RST");
    assert!(reset.flags.has(Flags::RST));
    let server = &mut network.pairs[0][1].tcp;
    server.on_segment(now, &reset);
    assert_eq!(server.poll_event(), Some(Event::Failed(Failure::Reset)));
    // Nobody answers an RST.
    let client = &mut network.pairs[0][0].tcp;
    client.on_segment(now, &reset);
    assert_eq!(client.poll_segment(now), None);
}

#[test]
#[should_panic(expected = "send_buffer must hold one segment")]
fn a_configuration_out_of_range_is_refused() {
    Connection::listen(Config {
        send_buffer: 1,
        ..Config::default()
    });
}
