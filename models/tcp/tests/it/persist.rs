//! A reader that stands still: the window closes, and the sender looks after it (RFC 9293 section 3.8.6.1).

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::{Config, Failure};

use crate::harness::{Link, Loss, Network, Side, reno};

const RTT: Span = Span::from_ms(100);
const SEGMENT: u64 = 1448;
/// The timeout of a path whose RTT never varies: 100 ms and the least variance of 200 ms.
const RTO: Span = Span::from_ms(300);

/// 20 MB over 100 Mbit/s to a reader with this buffer, who stops after two seconds.
fn stopped(buffer: u64, loss: Loss) -> Network {
    let mut link = Link::new(Some(100), RTT);
    link.loss = loss;
    let server = Config {
        receive_buffer: buffer,
        ..reno()
    };
    let mut network = Network::new(link, reno(), server, 1, 20_000_000).recorded();
    network.stop_reading(Span::from_s(2));
    network
}

/// Bytes that the server's TCP has taken.
fn taken(network: &Network) -> u64 {
    network.server().tcp.stats().bytes_received
}

fn last_window(network: &Network) -> u32 {
    network.acks().last().unwrap().segment.window
}

#[test]
fn the_window_closes_by_what_is_not_read_and_not_a_byte_more_is_sent() {
    for autotuning in [false, true] {
        let server = Config {
            receive_buffer: 300 * SEGMENT,
            autotuning,
            ..reno()
        };
        let mut network = Network::new(Link::new(Some(100), RTT), reno(), server, 1, 20_000_000).recorded();
        network.stop_reading(Span::from_s(2));
        let read = network.server().received;
        assert!(read > 3_000_000, "{read}");
        network.run(Span::from_s(30));
        assert_eq!(network.server().received, read);
        let unread = taken(&network) - read;
        // With the scale of the window's field the edge may lie one unit beyond the buffer.
        let most = 300 * SEGMENT + if autotuning { 32 } else { 0 };
        assert!((290 * SEGMENT..=most).contains(&unread), "{unread}");
        assert_eq!(last_window(&network), 0);
        assert_eq!(network.client().tcp.stats().retransmits, 0);
    }
}

#[test]
fn probes_come_after_one_timeout_two_four_and_so_on_up_to_two_minutes_and_never_end_while_answered() {
    let mut network = stopped(300 * SEGMENT, Loss::None);
    network.run(Span::from_s(2_000));
    let last_data = network.data().last().unwrap().sent_at;
    let probes = network.probes();
    // The kernel's timers fire up to an eighth late, and count from the ACK of the last data or probe.
    let mut from = last_data + RTT;
    let mut wait = RTO;
    for &probe in &probes {
        let waited = probe - from;
        let late = waited.as_ns() as f64 / wait.as_ns() as f64;
        assert!((0.99..1.35).contains(&late), "{waited} in place of {wait}");
        from = probe + RTT;
        wait = (wait * 2).min(Span::from_s(120));
    }
    assert!(probes.len() > 20, "{}", probes.len());
    assert_eq!(network.client().failed, None);
}

#[test]
fn reading_again_opens_the_window_at_once() {
    let mut network = stopped(300 * SEGMENT, Loss::None);
    let stopped_at = network.server().received;
    network.read_again(Span::from_s(20), true);
    let now = Instant::ZERO + Span::from_s(20);
    assert!(network.server().received >= stopped_at + 290 * SEGMENT);
    let update = network.acks().last().unwrap();
    assert_eq!(
        (update.sent_at, u64::from(update.segment.window)),
        (now, 300 * SEGMENT)
    );
    assert!(network.run(Span::from_s(200)));
    let next = network.data().find(|data| data.sent_at >= now).unwrap();
    assert_eq!(next.sent_at, now + RTT / 2);
    assert_eq!(network.server().received, 20_000_000);
    assert!(network.completion().is_some());
}

#[test]
fn a_lost_window_update_is_made_up_for_by_a_probe() {
    let mut network = stopped(300 * SEGMENT, Loss::None);
    network.read_again(Span::from_s(20), false);
    let now = Instant::ZERO + Span::from_s(20);
    assert!(network.run(Span::from_s(200)));
    let probe = network
        .probes()
        .into_iter()
        .find(|&at| at > now)
        .expect("a probe");
    let next = network.data().find(|data| data.sent_at >= now).unwrap();
    assert_eq!(
        next.sent_at,
        probe + RTT + Link::new(Some(100), RTT).rate.unwrap().time_for(66)
    );
    assert_eq!(network.server().received, 20_000_000);
}

#[test]
fn a_rest_of_the_window_is_used_when_the_timeout_has_passed() {
    let mut network = stopped(300 * SEGMENT + 700, Loss::None);
    network.run(Span::from_s(10));
    let data: Vec<_> = network.data().collect();
    let [.., before, rest] = data[..] else {
        panic!("no data")
    };
    assert_eq!((u64::from(before.segment.len), rest.segment.len), (SEGMENT, 700));
    assert!(rest.sent_at - before.sent_at >= RTT + RTO);
    assert_eq!(last_window(&network), 0);
    assert!(network.probes().iter().all(|&probe| probe > rest.sent_at));
}

#[test]
fn a_peer_that_answers_no_probe_is_given_up() {
    let mut whole = stopped(300 * SEGMENT, Loss::None);
    whole.run(Span::from_s(10));
    let first_probe = whole.probes()[0];
    let sent = whole
        .seen
        .iter()
        .filter(|seen| seen.from == Side::Client && seen.sent_at < first_probe);
    let mut network = stopped(300 * SEGMENT, Loss::From(sent.count() as u64));
    network.run(Span::from_s(5_000));
    // Fifteen probes, after 0.3, 0.6, 1.2 s … and then every two minutes, and as long again for the last.
    assert_eq!(network.probes().len(), 15);
    let (at, failure) = network.client().failed.expect("it gives up");
    assert_eq!(failure, Failure::TimedOut);
    let after = at - first_probe;
    assert!(
        (Span::from_s(980)..Span::from_s(1_150)).contains(&after),
        "{after}"
    );
}

#[test]
fn a_reader_that_stops_for_a_moment_loses_no_time_beyond_it() {
    let completion = |pause: Option<Span>| {
        let server = Config {
            receive_buffer: 3 << 20,
            ..reno()
        };
        let mut network = Network::new(Link::new(Some(100), RTT), reno(), server, 1, 20_000_000).recorded();
        if let Some(pause) = pause {
            network.stop_reading(Span::from_s(1));
            network.read_again(Span::from_s(1) + pause, true);
        }
        assert!(network.run(Span::from_s(100)));
        network.completion().unwrap()
    };
    // 3 MiB hold 250 ms at 100 Mbit/s: nothing happens.
    assert_eq!(completion(Some(Span::from_ms(100))), completion(None));
    let late = completion(Some(Span::from_s(2))) - completion(None);
    assert!(
        (Span::from_ms(1_700)..Span::from_ms(2_200)).contains(&late),
        "{late}"
    );
}
