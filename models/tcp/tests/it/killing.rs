//! What the kernel does with the connections of a process that is killed.

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::{Config, Failure, Flags, Segment};

use crate::harness::{Link, Loss, Network, Side, reno};

const RTT: Span = Span::from_ms(100);
const KILLED: Span = Span::from_s(1);

fn network(loss: Loss) -> Network {
    let mut link = Link::new(Some(100), RTT);
    link.loss = loss;
    let client = Config {
        send_buffer: 1 << 20,
        ..reno()
    };
    Network::new(link, client, reno(), 1, 20_000_000).recorded()
}

/// Segments of one side from the kill on.
fn after(network: &Network, side: Side) -> Vec<(Instant, Segment)> {
    let from = Instant::ZERO + KILLED;
    let seen = network
        .seen
        .iter()
        .filter(|seen| seen.from == side && seen.sent_at >= from);
    seen.map(|seen| (seen.sent_at, seen.segment)).collect()
}

#[test]
fn a_killed_sender_delivers_what_tcp_had_taken_and_a_fin() {
    let mut network = network(Loss::None);
    network.run(KILLED);
    let taken = 20_000_000 - network.client().left_to_write();
    network.kill(KILLED, Side::Client);
    assert!(network.run(Span::from_s(300)));
    let server = network.server();
    assert!(server.peer_finished_at.is_some());
    assert_eq!(server.received, taken);
    assert!(
        after(&network, Side::Client)
            .iter()
            .all(|(_, segment)| !segment.flags.has(Flags::RST))
    );
    // Nobody is left to tell.
    assert_eq!(
        (network.client().closed_at, network.client().failed),
        (None, None)
    );
    assert_eq!(server.failed, None);
}

#[test]
fn a_killed_reader_finishes_and_resets_what_is_sent_to_it() {
    let mut network = network(Loss::None);
    network.kill(KILLED, Side::Server);
    assert!(network.run(Span::from_s(300)));
    let [(first_at, first), rest @ ..] = &after(&network, Side::Server)[..] else {
        panic!("silence")
    };
    assert!(first.flags.has(Flags::FIN) && *first_at == Instant::ZERO + KILLED);
    // Data was on its way: the next packet is answered by a reset, and so is every other.
    assert!(rest.len() > 10 && rest.iter().all(|(_, segment)| segment.flags.has(Flags::RST)));
    let (at, failure) = network.client().failed.expect("it hears of it");
    assert_eq!(failure, Failure::Reset);
    assert_eq!(at, rest[0].0 + RTT / 2);
}

#[test]
fn a_reader_killed_with_something_unread_resets_at_once() {
    let mut network = network(Loss::None);
    network.stop_reading(Span::from_ms(900));
    network.kill(KILLED, Side::Server);
    assert!(network.run(Span::from_s(300)));
    let sent = after(&network, Side::Server);
    assert!(sent[0].1.flags.has(Flags::RST) && sent[0].0 == Instant::ZERO + KILLED);
    let failed = (Instant::ZERO + KILLED + RTT / 2, Failure::Reset);
    assert_eq!(network.client().failed, Some(failed));
}

#[test]
fn a_call_to_a_process_that_has_ended_is_refused() {
    let mut network = network(Loss::None);
    network.pairs[0][1].tcp.kill();
    assert!(network.run(Span::from_s(300)));
    let (at, failure) = network.client().failed.expect("it hears of it");
    assert_eq!(failure, Failure::Reset);
    assert!(
        (RTT..RTT + Span::from_us(10)).contains(&(at - Instant::ZERO)),
        "{at:?}"
    );
}

#[test]
fn a_caller_killed_before_its_call_is_answered_answers_by_a_reset() {
    let mut network = network(Loss::None);
    network.kill(Span::from_ms(60), Side::Client);
    assert!(network.run(Span::from_s(300)));
    assert_eq!(network.server().established_at, None);
    assert_eq!(
        network.server().failed.map(|(_, failure)| failure),
        Some(Failure::Reset)
    );
}

#[test]
fn what_was_killed_gives_up_on_a_silent_peer_sooner() {
    let lost_from = {
        let mut whole = network(Loss::None);
        whole.run(KILLED);
        whole.seen.iter().filter(|seen| seen.from == Side::Client).count() as u64
    };
    let last_retransmission = |kill: bool| {
        let mut network = network(Loss::From(lost_from));
        if kill {
            network.kill(KILLED, Side::Client);
        }
        network.run(Span::from_s(5_000));
        assert!(network.client().tcp.deadline().is_none());
        after(&network, Side::Client).last().expect("it tries").0 - (Instant::ZERO + KILLED)
    };
    // Eight timeouts in place of fifteen.
    let orphan = last_retransmission(true);
    assert!(
        (Span::from_s(50)..Span::from_s(200)).contains(&orphan),
        "{orphan}"
    );
    let alive = last_retransmission(false);
    assert!(alive > Span::from_s(700), "{alive}");
}
