//! GRE with and without keepalives, VXLAN, configurations that are refused, and the shape of events in records.

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::random::Streams;
use longhaul_core::tape::{Recorder, feed};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tunnel::config::{IkeSizes, IpsecConfig};
use longhaul_tunnel::{
    Command, Config, Control, DownReason, Event, GreKeepalive, IpVersion, Role, Tunnel, WireGuardConfig,
};

use crate::pipe::{at_ms, tunnel};

const UP: Event = Event::Up { after: Span::ZERO };

#[test]
fn without_handshake_a_tunnel_is_up_at_once_whatever_the_path_does() {
    for control in [
        Control::Vxlan,
        Control::Gre {
            key: true,
            keepalive: None,
        },
    ] {
        let mut pipe = tunnel(control, 1);
        pipe.cut = true;
        pipe.start();
        pipe.run_until(at_ms(3_600_000));
        assert!(pipe.ends.iter().all(Tunnel::is_up) && pipe.sent.is_empty());
        pipe.tell(0, Input::Command(Command::Establish));
        pipe.tell(0, Input::Command(Command::Teardown));
        pipe.tell(0, Input::Command(Command::Teardown));
        let why = DownReason::TornDown;
        let seen: Vec<Event> = pipe.events.iter().map(|(_, _, event)| *event).collect();
        assert_eq!(seen, [UP, UP, Event::Down { why }]);
    }
}

#[test]
fn gre_keepalives_notice_a_dead_path_and_its_return() {
    let keepalive = Some(GreKeepalive::default());
    for (key, sent, returned) in [(false, 28, 4), (true, 36, 8)] {
        let mut pipe = tunnel(Control::Gre { key, keepalive }, 1);
        pipe.start();
        pipe.run_until(at_ms(15_000));
        let to_10_s: Vec<(u64, usize, u64)> = pipe
            .sent
            .iter()
            .map(|(at, end, bytes)| (at.as_ns() / 1_000_000, *end, *bytes))
            .collect();
        let expected = [
            (10_000, 0, sent),
            (10_000, 1, sent),
            (10_040, 1, returned),
            (10_040, 0, returned),
        ];
        assert_eq!(to_10_s, expected);
        pipe.cut = true;
        pipe.run_until(at_ms(49_999));
        assert!(pipe.ends.iter().all(Tunnel::is_up));
        // Those of 20, 30 and 40 s were lost.
        pipe.run_until(at_ms(50_000));
        let why = DownReason::PeerDead;
        assert_eq!(
            pipe.events[2..],
            [
                (at_ms(50_000), 0, Event::Down { why }),
                (at_ms(50_000), 1, Event::Down { why })
            ]
        );
        pipe.cut = false;
        pipe.run_until(at_ms(60_080));
        assert_eq!(pipe.events[4..], [(at_ms(60_080), 0, UP), (at_ms(60_080), 1, UP)]);
    }
}

#[test]
fn impossible_configurations_are_refused_by_field() {
    let told = |control, outer| {
        let config = Config {
            name: "t".to_owned(),
            outer,
            role: Role::Initiator,
            control,
        };
        let random = Streams::new(1, 0).stream("t", "t");
        Tunnel::new(config, PeerId(1), random)
            .expect_err("refused")
            .to_string()
    };
    let v4 = IpVersion::V4;
    let keepalive = Some(GreKeepalive::default());
    assert_eq!(
        told(
            Control::Gre {
                key: false,
                keepalive
            },
            IpVersion::V6
        ),
        "tunnel \"t\": keepalives of GRE exist over IPv4 only"
    );
    let keepalive = Some(GreKeepalive {
        retries: 0,
        ..GreKeepalive::default()
    });
    assert_eq!(
        told(
            Control::Gre {
                key: false,
                keepalive
            },
            v4
        ),
        "tunnel \"t\": retries is 0, allowed are 1 to 255"
    );
    let wireguard = WireGuardConfig {
        persistent_keepalive: Some(Span::ZERO),
    };
    assert_eq!(
        told(Control::WireGuard(wireguard), v4),
        "tunnel \"t\": persistent_keepalive is 0 ns, allowed are 1000000000 to 65535000000000 ns"
    );
    let good = IpsecConfig::default();
    let sizes = IkeSizes {
        auth_request: 56,
        ..good.sizes
    };
    for (bad, field) in [
        (IpsecConfig { sizes, ..good }, "auth_request"),
        (
            IpsecConfig {
                lifetime: Span::from_s(3_599),
                ..good
            },
            "lifetime",
        ),
        (
            IpsecConfig {
                retransmissions: 21,
                ..good
            },
            "retransmissions",
        ),
        (
            IpsecConfig {
                retransmit_after: Span::ZERO,
                ..good
            },
            "retransmit_after",
        ),
        (
            IpsecConfig {
                rekey_after: Span::MAX,
                ..good
            },
            "rekey_after",
        ),
        (
            IpsecConfig {
                dead_peer_detection: Some(Span::ZERO),
                ..good
            },
            "dead_peer_detection",
        ),
        (
            IpsecConfig {
                retry_after: Some(Span::MAX),
                ..good
            },
            "retry_after",
        ),
    ] {
        let told = told(Control::Ipsec(bad), v4);
        assert!(told.starts_with(&format!("tunnel \"t\": {field} is ")), "{told}");
    }
}

#[test]
fn events_have_a_form_in_records() {
    let text = serde_json::to_string(&Event::Up {
        after: Span::from_ms(80),
    })
    .expect("an event");
    assert_eq!(text, r#"{"Up":{"after":80000000}}"#);
}

#[test]
fn wakes_for_nothing_change_nothing() {
    let keepalive = Some(GreKeepalive::default());
    for control in [
        Control::WireGuard(WireGuardConfig::default()),
        Control::Ipsec(IpsecConfig::default()),
        Control::Gre {
            key: false,
            keepalive,
        },
    ] {
        let run = |restless| {
            let mut pipe = tunnel(control, 3);
            pipe.restless = restless;
            pipe.loss = Probability::from_ratio(20, 100).expect("a percentage");
            pipe.start();
            for second in 1..600 {
                pipe.run_until(at_ms(second * 1_000));
                pipe.tell(0, Input::Command(Command::Sent));
            }
            (pipe.sent, pipe.events)
        };
        assert_eq!(run(false), run(true), "{control:?}");
    }
}

#[test]
fn a_tunnel_can_be_taped_and_fed_back() {
    let end = || {
        let mut ends = tunnel(Control::WireGuard(WireGuardConfig::default()), 5)
            .ends
            .into_iter();
        ends.next().expect("an end")
    };
    let mut recorder = Recorder::new("tunnel", end());
    let mut input = Input::Start;
    let mut now = Instant::ZERO;
    for _ in 0..30 {
        recorder.handle(now, input);
        input = Input::Wake;
        loop {
            match recorder.poll() {
                Output::WakeAt { at, .. } => {
                    now = at;
                    break;
                }
                Output::Idle => panic!("a persistent keepalive never rests"),
                _ => {}
            }
        }
    }
    assert_eq!(feed(&mut end(), &recorder.tape()).expect("the same outputs"), 30);
}
