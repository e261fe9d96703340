//! WireGuard: the handshake, its repetition, the renewal of keys without a gap, and acceptance case 19.

use longhaul_core::machine::{Input, PeerId};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tunnel::config::WireGuardConfig;
use longhaul_tunnel::plan::Entry;
use longhaul_tunnel::{Command, Control, DownReason, Event, IpVersion, Plan, PlanError, Tunnel, WireError};

use crate::pipe::{Pipe, at_ms, tunnel};

fn wireguard(seed: u64) -> Pipe<Tunnel> {
    tunnel(Control::WireGuard(WireGuardConfig::default()), seed)
}

fn without_keepalive(seed: u64) -> Pipe<Tunnel> {
    tunnel(
        Control::WireGuard(WireGuardConfig {
            persistent_keepalive: None,
        }),
        seed,
    )
}

fn events(pipe: &Pipe<Tunnel>, end: usize) -> Vec<(u64, Event)> {
    let of_end = pipe.events.iter().filter(|(_, by, _)| *by == end);
    of_end
        .map(|(at, _, event)| (at.as_ns() / 1_000_000, *event))
        .collect()
}

fn count(pipe: &Pipe<Tunnel>, end: usize, is: fn(&Event) -> bool) -> usize {
    events(pipe, end).iter().filter(|(_, event)| is(event)).count()
}

#[test]
fn a_tunnel_is_planned_once_and_up_after_one_round_trip() {
    let mut plan = Plan::new();
    assert!(plan.add_endpoint("us-east-1") && plan.add_endpoint("eu-west-1"));
    assert!(!plan.add_endpoint("eu-west-1"));
    let entry = |from: &str, to: &str| Entry {
        from: from.to_owned(),
        to: to.to_owned(),
        outer: IpVersion::V4,
        control: Control::WireGuard(WireGuardConfig::default()),
    };
    plan.establish(entry("us-east-1", "eu-west-1")).unwrap();
    plan.establish(entry("us-east-1", "eu-west-1")).unwrap();
    let same = plan.establish(entry("eu-west-1", "us-east-1")).unwrap().clone();
    assert_eq!(
        (plan.tunnels().len(), same.name().as_str()),
        (1, "tunnel-us-east-1-eu-west-1")
    );
    assert_eq!(
        plan.establish(entry("us-east-1", "moon")),
        Err(PlanError::NoEndpoint("moon".to_owned()))
    );
    assert!(matches!(
        plan.establish(entry("us-east-1", "us-east-1")),
        Err(PlanError::SameRegion(_))
    ));
    let [first, second] = same.ends([PeerId(0), PeerId(1)], &Streams::new(1, 0)).unwrap();
    assert_eq!((first.peer(), second.peer()), (PeerId(1), PeerId(0)));
    assert_eq!(first.encapsulation().customary_mtu(1_500), Ok(1_420));
    let mut pipe = Pipe::new([first, second], 1);
    pipe.start();
    pipe.run_until(at_ms(79));
    assert!(!pipe.ends[0].is_up());
    // Asked again on the way and when it is up: nothing more happens.
    pipe.tell(0, Input::Command(Command::Establish));
    pipe.run_until(at_ms(80));
    assert!(pipe.ends[0].is_up() && !pipe.ends[1].is_up());
    pipe.tell(0, Input::Command(Command::Establish));
    pipe.run_until(at_ms(120));
    assert!(pipe.ends[1].is_up());
    let after = Span::from_ms(80);
    assert_eq!(events(&pipe, 0), [(80, Event::Up { after })]);
    assert_eq!(events(&pipe, 1), [(120, Event::Up { after })]);
    let lengths: Vec<(u64, usize, u64)> = pipe
        .sent
        .iter()
        .map(|(at, end, bytes)| (at.as_ns() / 1_000_000, *end, *bytes))
        .collect();
    assert_eq!(lengths, [(0, 0, 148), (40, 1, 92), (80, 0, 32)]);
    // With IP and UDP: 176, 120 and 60 bytes.
    assert_eq!(pipe.ends[0].config().datagram_header_bytes(), 28);
    plan.teardown("tunnel-us-east-1-eu-west-1").unwrap();
    assert_eq!(plan.tunnels().len(), 0);
    assert!(matches!(
        plan.teardown("tunnel-us-east-1-eu-west-1"),
        Err(PlanError::UnknownTunnel(_))
    ));
    pipe.tell(0, Input::Command(Command::Teardown));
    let why = DownReason::TornDown;
    assert_eq!(events(&pipe, 0).last(), Some(&(120, Event::Down { why })));
    assert!(!pipe.ends[0].is_up());
}

#[test]
fn names_that_cannot_be_told_apart_are_refused() {
    let mut plan = Plan::new();
    for region in ["a", "b-c", "a-b", "c"] {
        plan.add_endpoint(region);
    }
    let entry = |from: &str, to: &str| Entry {
        from: from.to_owned(),
        to: to.to_owned(),
        outer: IpVersion::V4,
        control: Control::Vxlan,
    };
    plan.establish(entry("a", "b-c")).unwrap();
    let taken = plan.establish(entry("a-b", "c"));
    assert_eq!(taken, Err(PlanError::NameTaken("tunnel-a-b-c".to_owned())));
}

#[test]
fn initiations_are_repeated_every_five_seconds_and_a_little() {
    let mut pipe = wireguard(2);
    pipe.cut = true;
    pipe.start();
    pipe.run_until(at_ms(20_000));
    let times: Vec<Instant> = pipe.sent.iter().map(|(at, _, _)| *at).collect();
    assert_eq!(times.len(), 4);
    for pair in times.windows(2) {
        let wait = pair[1] - pair[0];
        assert!(
            (Span::from_ms(5_000)..=Span::from_ms(5_333)).contains(&wait),
            "{wait:?}"
        );
    }
    pipe.cut = false;
    pipe.run_until(at_ms(22_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
    let (at, _, up) = pipe
        .events
        .iter()
        .rfind(|(_, end, _)| *end == 0)
        .expect("an event");
    assert_eq!(
        *up,
        Event::Up {
            after: *at - Instant::ZERO
        }
    );
    assert_eq!(
        count(&pipe, 0, |event| matches!(event, Event::Retransmitted { .. })),
        4
    );
}

#[test]
fn a_dead_path_is_given_up_after_90_seconds_and_tried_again() {
    let mut pipe = wireguard(3);
    pipe.cut = true;
    pipe.start();
    pipe.run_until(at_ms(95_400));
    let failed = events(&pipe, 0).into_iter().find_map(|(_, event)| match event {
        Event::HandshakeFailed { attempts, after } => Some((attempts, after)),
        _ => None,
    });
    let (attempts, after) = failed.expect("a failure");
    assert!((17..=18).contains(&attempts), "{attempts}");
    assert!(
        after >= Span::from_s(90) && after <= Span::from_ms(95_333),
        "{after:?}"
    );
    // The persistent keepalive begins anew.
    pipe.cut = false;
    pipe.run_until(at_ms(120_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}

#[test]
fn it_comes_up_whatever_is_lost() {
    for seed in 0..40 {
        let mut pipe = wireguard(seed);
        pipe.loss = Probability::from_ratio(30, 100).unwrap();
        pipe.start();
        pipe.run_until(at_ms(120_000));
        assert!(pipe.ends[0].is_up(), "seed {seed}");
    }
}

#[test]
fn keys_are_renewed_without_a_gap() {
    for traffic in [false, true] {
        let mut pipe = wireguard(4);
        pipe.start();
        pipe.run_until(at_ms(1_000));
        for second in 2..=3_600 {
            pipe.run_until(at_ms(second * 1_000));
            assert!(pipe.ends.iter().all(Tunnel::is_up), "second {second}");
            if traffic {
                for end in [0, 1] {
                    pipe.tell(end, Input::Command(Command::Sent));
                    pipe.tell(end, Input::Command(Command::Received));
                }
            }
        }
        let renewed = count(&pipe, 0, |event| matches!(event, Event::Rekeyed { .. }));
        // Every 120 s with traffic; with keepalives alone at the first one after that.
        assert!((26..=29).contains(&renewed), "{renewed}");
        assert_eq!(count(&pipe, 0, |event| matches!(event, Event::Down { .. })), 0);
        let at_peer = count(&pipe, 1, |event| matches!(event, Event::Rekeyed { .. }));
        assert_eq!(
            (
                at_peer,
                count(&pipe, 1, |event| !matches!(event, Event::Rekeyed { .. }))
            ),
            (renewed, 1)
        );
        let took = |(_, _, event): &(Instant, usize, Event)| match event {
            Event::Rekeyed { after } => *after == Span::from_ms(80),
            _ => true,
        };
        assert!(pipe.events.iter().all(took));
    }
}

#[test]
fn an_outage_that_is_shorter_than_the_keys_live_is_survived_and_a_longer_one_is_not() {
    let mut pipe = wireguard(5);
    pipe.start();
    pipe.run_until(at_ms(100_000));
    pipe.cut = true;
    pipe.run_until(at_ms(170_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
    pipe.cut = false;
    pipe.run_until(at_ms(300_000));
    assert_eq!(count(&pipe, 0, |event| matches!(event, Event::Down { .. })), 0);
    pipe.cut = true;
    pipe.run_until(at_ms(600_000));
    for end in [0, 1] {
        let why = DownReason::KeysExpired;
        let down = events(&pipe, end)
            .into_iter()
            .find(|(_, event)| *event == Event::Down { why });
        let (at, _) = down.expect("down");
        assert!(at <= 300_000 + 180_000, "{at}");
        assert!(!pipe.ends[end].is_up());
    }
    pipe.cut = false;
    pipe.run_until(at_ms(640_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}

#[test]
fn an_idle_tunnel_without_keepalive_sleeps_and_wakes_when_something_is_sent() {
    let mut pipe = without_keepalive(6);
    pipe.start();
    pipe.run_until(at_ms(1_000_000));
    let why = DownReason::KeysExpired;
    assert_eq!(events(&pipe, 0).last(), Some(&(180_080, Event::Down { why })));
    assert_eq!(pipe.sent.len(), 3);
    pipe.tell(0, Input::Command(Command::Sent));
    pipe.run_until(at_ms(1_000_080));
    assert!(pipe.ends[0].is_up());
}

#[test]
fn data_is_answered_by_a_keepalive_and_silence_by_a_handshake() {
    let mut pipe = without_keepalive(7);
    pipe.start();
    pipe.run_until(at_ms(1_000));
    pipe.sent.clear();
    pipe.tell(0, Input::Command(Command::Sent));
    pipe.tell(1, Input::Command(Command::Received));
    pipe.run_until(at_ms(60_000));
    // Ten seconds after the data, and nothing else.
    assert_eq!(pipe.sent, [(at_ms(11_000), 1, 32)]);
    pipe.cut = true;
    pipe.tell(0, Input::Command(Command::Sent));
    pipe.run_until(at_ms(75_400));
    let (at, end, bytes) = pipe.sent[1];
    assert_eq!((end, bytes), (0, 148));
    assert!(at >= at_ms(75_000) && at <= at_ms(75_333));
    assert!(pipe.ends[0].is_up());
}

#[test]
fn both_ends_may_begin() {
    for seed in 0..10 {
        let mut pipe = wireguard(seed);
        pipe.start();
        pipe.tell(1, Input::Command(Command::Establish));
        // The two initiations cross and come to nothing; who repeats first by jitter is answered.
        pipe.run_until(at_ms(4_999));
        assert!(!pipe.ends.iter().any(Tunnel::is_up), "seed {seed}");
        pipe.run_until(at_ms(12_000));
        assert!(pipe.ends.iter().all(Tunnel::is_up), "seed {seed}");
    }
}

#[test]
fn a_replayed_initiation_and_a_damaged_one_are_refused() {
    let mut pipe = wireguard(8);
    pipe.start();
    pipe.duplication = Probability::ONE;
    pipe.tell(0, Input::Command(Command::Teardown));
    pipe.tell(0, Input::Command(Command::Establish));
    pipe.run_until(at_ms(1_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
    let error = WireError::Replayed;
    assert!(
        events(&pipe, 1)
            .iter()
            .any(|(_, event)| *event == Event::Refused { error })
    );
    let error = WireError::Stranger;
    let payload = bytes::Bytes::from_static(&[1, 2, 3]).into();
    pipe.tell(
        1,
        Input::Datagram {
            from: PeerId(7),
            payload,
        },
    );
    assert_eq!(events(&pipe, 1).last(), Some(&(1_000, Event::Refused { error })));
}

#[test]
fn a_torn_down_end_stays_down() {
    let mut pipe = wireguard(9);
    pipe.start();
    pipe.run_until(at_ms(10_000));
    pipe.tell(1, Input::Command(Command::Teardown));
    pipe.tell(1, Input::Command(Command::Sent));
    pipe.run_until(at_ms(400_000));
    assert!(!pipe.ends[0].is_up() && !pipe.ends[1].is_up());
    assert!(
        pipe.sent
            .iter()
            .all(|(at, end, _)| *end == 0 || *at < at_ms(10_000))
    );
    pipe.tell(1, Input::Command(Command::Establish));
    pipe.run_until(at_ms(412_000));
    assert!(pipe.ends.iter().all(Tunnel::is_up));
}
