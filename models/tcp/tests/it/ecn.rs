//! Explicit congestion notification: one reduction per window, and nothing sent again.

use longhaul_core::time::Span;
use longhaul_tcp::{Config, Controller, Ecn, Flags};

use crate::harness::{Link, Network, Side, reno};

const RTT: Span = Span::from_ms(40);

fn config(controller: Controller) -> Config {
    Config {
        controller,
        ecn: true,
        hystart: false,
        ..reno()
    }
}

/// A queue of 40 packets behind a pipe of as many; it marks where it would drop.
fn marking() -> Link {
    Link {
        mark_from: 80,
        ..Link::new(Some(12), RTT)
    }
}

#[test]
fn marks_replace_losses() {
    for controller in [Controller::Reno, Controller::Cubic] {
        let mut network = Network::new(marking(), config(controller), config(controller), 1, 20_000_000);
        assert!(network.run(Span::from_s(100)));
        assert!(network.marks > 0);
        let stats = network.client().tcp.stats();
        assert_eq!(
            (stats.retransmits, stats.fast_recoveries),
            (0, 0),
            "{controller:?}"
        );
        let seconds = network.completion().expect("it ends").as_ns() as f64 / 1e9;
        let ideal = 20e6 * 8.0 * 1514.0 / 1448.0 / 12e6;
        assert!(
            seconds < ideal * 1.05,
            "{controller:?}: {seconds} s, at best {ideal} s"
        );
    }
}

#[test]
fn a_window_is_reduced_once_however_many_marks_it_bears() {
    let mut network = Network::new(
        marking(),
        config(Controller::Reno),
        config(Controller::Reno),
        1,
        u64::MAX,
    )
    .recorded();
    network.run(Span::from_s(20));
    // Every reduction is told once, in new data.
    let told: Vec<_> = network
        .data()
        .filter(|sighting| sighting.segment.flags.has(Flags::CWR))
        .map(|sighting| sighting.sent_at)
        .collect();
    assert!(
        told.len() > 3 && network.marks > 2 * told.len() as u64,
        "{} marks, {told:?}",
        network.marks
    );
    for pair in told.windows(2) {
        assert!(pair[1] - pair[0] > RTT, "{told:?}");
    }
    // Slow start overshoots to 160 segments and more; half of a window of 80 to 100 is left afterwards.
    let ssthresh = network.client().tcp.stats().ssthresh;
    assert!((35..=60).contains(&ssthresh), "{ssthresh} segments");
}

#[test]
fn the_echo_stands_in_every_acknowledgement_from_the_mark_to_the_answer() {
    let mut network = Network::new(
        marking(),
        config(Controller::Reno),
        config(Controller::Reno),
        1,
        3_000_000,
    )
    .recorded();
    assert!(network.run(Span::from_s(20)));
    let told = network
        .data()
        .find(|sighting| sighting.segment.flags.has(Flags::CWR))
        .expect("the window is reduced");
    let heard_at = told.sent_at + RTT / 2;
    let acks: Vec<_> = network
        .acks()
        .map(|sighting| (sighting.sent_at, sighting.segment.flags.has(Flags::ECE)))
        .collect();
    let first = acks.iter().position(|&(_, echo)| echo).expect("a mark is echoed");
    let answered = acks.partition_point(|&(at, _)| at < heard_at);
    assert!(acks[first..answered].iter().all(|&(_, echo)| echo));
    // Half a round trip for the echo, half for the new data that answers it.
    assert!(answered - first > 10 && heard_at - acks[first].0 >= RTT);
    assert!(acks[answered..].iter().any(|&(_, echo)| !echo));
}

#[test]
fn nothing_is_capable_unless_both_ends_agree() {
    for (client, server) in [(true, false), (false, true), (false, false)] {
        let with = |ecn| Config {
            ecn,
            ..config(Controller::Cubic)
        };
        let mut network = Network::new(marking(), with(client), with(server), 1, 300_000).recorded();
        assert!(network.run(Span::from_s(20)));
        assert!(
            network
                .seen
                .iter()
                .all(|sighting| !sighting.segment.ecn_capable())
        );
    }
}

#[test]
fn only_new_data_is_capable() {
    let link = Link::new(Some(12), RTT).losing([30, 31, 60]);
    let mut network = Network::new(
        link,
        config(Controller::Cubic),
        config(Controller::Cubic),
        1,
        300_000,
    );
    network = network.recorded();
    assert!(network.run(Span::from_s(20)));
    let mut highest = 0;
    for sighting in &network.seen {
        let segment = &sighting.segment;
        let is_new = sighting.from == Side::Client && segment.len > 0 && segment.seq >= highest;
        assert_eq!(segment.ecn() == Ecn::Capable, is_new, "{segment:?}");
        if sighting.from == Side::Client && segment.len > 0 {
            highest = highest.max(segment.end());
        }
    }
}

#[test]
fn bbr_takes_no_notice_of_marks() {
    let run = |ecn| {
        let config = Config {
            ecn,
            ..config(Controller::Bbr)
        };
        let link = Link {
            mark_from: 30,
            ..marking()
        };
        let mut network = Network::new(link, config, config, 1, 5_000_000);
        assert!(network.run(Span::from_s(20)));
        (
            network.marks,
            network.completion().expect("it ends").as_ns() as f64,
        )
    };
    let ((marks, with), (none, without)) = (run(true), run(false));
    assert!(marks > 100 && none == 0);
    assert!(
        (with / without - 1.0).abs() < 0.01,
        "{with} ns with marks, {without} ns without"
    );
}
