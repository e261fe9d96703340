//! IKEv2: two round trips, retransmission, renewal, liveness, Delete.

use longhaul_core::machine::Input;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tunnel::config::IpsecConfig;
use longhaul_tunnel::{Command, Control, DownReason, Event, Tunnel};

use crate::pipe::{Pipe, at_ms, tunnel};

fn ipsec(config: IpsecConfig, seed: u64) -> Pipe<Tunnel> {
    tunnel(Control::Ipsec(config), seed)
}

fn events(pipe: &Pipe<Tunnel>, end: usize) -> Vec<(u64, Event)> {
    let of_end = pipe.events.iter().filter(|(_, by, _)| *by == end);
    of_end
        .map(|(at, _, event)| (at.as_ns() / 1_000_000, *event))
        .collect()
}

#[test]
fn it_takes_two_round_trips() {
    let mut pipe = ipsec(IpsecConfig::default(), 1);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    assert_eq!(
        events(&pipe, 0),
        [(
            160,
            Event::Up {
                after: Span::from_ms(160)
            }
        )]
    );
    assert_eq!(
        events(&pipe, 1),
        [(
            120,
            Event::Up {
                after: Span::from_ms(80)
            }
        )]
    );
    let lengths: Vec<u64> = pipe.sent.iter().map(|(_, _, bytes)| *bytes).collect();
    assert_eq!(lengths, [200, 200, 205, 193]);
}

#[test]
fn with_address_translation_a_marker_stands_before_all_but_the_first_exchange() {
    let mut pipe = ipsec(
        IpsecConfig {
            nat_traversal: true,
            ..IpsecConfig::default()
        },
        1,
    );
    pipe.start();
    pipe.run_until(at_ms(31_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
    let lengths: Vec<u64> = pipe.sent.iter().map(|(_, _, bytes)| *bytes).collect();
    // After 30 s without a message each end asks whether the other lives.
    assert_eq!(lengths, [200, 200, 209, 197, 61, 61, 61, 61]);
}

#[test]
fn requests_are_repeated_at_doubling_intervals_until_the_peer_counts_as_dead() {
    let mut pipe = ipsec(IpsecConfig::default(), 1);
    pipe.cut = true;
    pipe.start();
    pipe.run_until(at_ms(41_000));
    let times: Vec<u64> = pipe
        .sent
        .iter()
        .map(|(at, _, _)| at.as_ns() / 1_000_000)
        .collect();
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500]);
    let failed = Event::HandshakeFailed {
        attempts: 6,
        after: Span::from_ms(31_500),
    };
    assert_eq!(events(&pipe, 0).last(), Some(&(31_500, failed)));
    // Ten seconds later it begins anew.
    pipe.cut = false;
    pipe.run_until(at_ms(42_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}

#[test]
fn it_comes_up_whatever_is_lost_repeated_or_overtaken() {
    for seed in 0..40 {
        let mut pipe = ipsec(IpsecConfig::default(), seed);
        pipe.loss = Probability::from_ratio(30, 100).unwrap();
        pipe.duplication = Probability::from_ratio(20, 100).unwrap();
        pipe.jitter = Span::from_ms(200);
        pipe.start();
        pipe.run_until(at_ms(60_000));
        assert!(pipe.ends.iter().all(Tunnel::is_up), "seed {seed}");
    }
}

#[test]
fn keys_are_renewed_without_a_gap() {
    let config = IpsecConfig {
        rekey_after: Span::from_s(300),
        lifetime: Span::from_s(360),
        ..IpsecConfig::default()
    };
    let mut pipe = ipsec(config, 2);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    for second in 2..=3_600 {
        pipe.run_until(at_ms(second * 1_000));
        assert!(pipe.ends.iter().all(Tunnel::is_up), "second {second}");
    }
    let renewed = |end| {
        let events = events(&pipe, end);
        events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Rekeyed { .. }))
            .count()
    };
    assert!((12..=13).contains(&renewed(0)), "{}", renewed(0));
    assert_eq!(renewed(0), renewed(1));
    let first = events(&pipe, 0)[1];
    assert_eq!(
        first.1,
        Event::Rekeyed {
            after: Span::from_ms(80)
        }
    );
    assert!((270_160..=300_300).contains(&first.0), "{}", first.0);
}

#[test]
fn a_dead_peer_is_noticed_by_both_ends() {
    let mut pipe = ipsec(IpsecConfig::default(), 3);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    pipe.cut = true;
    pipe.run_until(at_ms(70_000));
    let why = DownReason::PeerDead;
    let at = |end| {
        events(&pipe, end)
            .iter()
            .find(|(_, event)| *event == Event::Down { why })
            .map(|(at, _)| *at)
    };
    // 30 s of silence and 31.5 s of questions.
    assert_eq!((at(0), at(1)), (Some(61_660), Some(61_620)));
    pipe.cut = false;
    pipe.run_until(at_ms(110_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}

#[test]
fn traffic_makes_questions_unnecessary() {
    let mut pipe = ipsec(IpsecConfig::default(), 3);
    pipe.start();
    for second in 1..120 {
        pipe.run_until(at_ms(second * 1_000));
        pipe.tell(0, Input::Command(Command::Received));
        pipe.tell(1, Input::Command(Command::Received));
    }
    assert_eq!(pipe.sent.len(), 4);
}

#[test]
fn delete_takes_both_ends_down() {
    let mut pipe = ipsec(IpsecConfig::default(), 4);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    pipe.tell(0, Input::Command(Command::Teardown));
    pipe.run_until(at_ms(100_000));
    let [torn, closed] = [DownReason::TornDown, DownReason::ClosedByPeer];
    assert_eq!(events(&pipe, 0)[1], (1_000, Event::Down { why: torn }));
    assert_eq!(events(&pipe, 1)[1..], [(1_040, Event::Down { why: closed })]);
    assert_eq!(pipe.sent[4], (at_ms(1_000), 0, 65));
    pipe.tell(0, Input::Command(Command::Establish));
    pipe.run_until(at_ms(100_160));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}

#[test]
fn an_initiator_that_forgot_everything_replaces_what_the_responder_remembers() {
    let mut pipe = ipsec(IpsecConfig::default(), 5);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    pipe.ends[0] = ipsec(IpsecConfig::default(), 6)
        .ends
        .into_iter()
        .next()
        .expect("an end");
    pipe.tell(0, Input::Start);
    pipe.run_until(at_ms(40_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
    assert_eq!(
        events(&pipe, 1)[1],
        (
            1_120,
            Event::Rekeyed {
                after: Span::from_ms(80)
            }
        )
    );
}
