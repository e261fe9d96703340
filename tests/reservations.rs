//! Reservations in the simulator: who is admitted, who gives way, and where the traffic goes meanwhile.

use longhaul_core::record::{ReservationOutcome, RunRecord};
use longhaul_scenarios::run::RunOutput;

use crate::common::run_text;

const S: u64 = 1_000_000_000;

/// `a` and `b`, joined by a short way through `x` and a longer one through `y`, of 100 Mbit/s each.
fn world(reservations: &str, rest: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "world", question: "q", expect: "e", horizon: "2 min",
            regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
            links: [
                (between: ("a", "x"), rtt: "10 ms", rate: "100 Mbit/s"),
                (between: ("x", "b"), rtt: "10 ms", rate: "100 Mbit/s"),
                (between: ("a", "y"), rtt: "30 ms", rate: "100 Mbit/s"),
                (between: ("y", "b"), rtt: "30 ms", rate: "100 Mbit/s"),
            ],
            reservations: [{reservations}],
            {rest}
        )"#
    ))
}

fn outcomes(record: &RunRecord) -> Vec<(&str, ReservationOutcome, usize)> {
    let records = record.reservations.iter();
    records
        .map(|r| (r.name.as_str(), r.outcome, r.path.len()))
        .collect()
}

const CALL: &str = r#"datagrams: [(name: "call", from: "a", to: "b", duration: "30 s", interval: "100 ms", reservation: "third")],"#;

#[test]
fn the_third_goes_round_the_fourth_is_refused_and_the_important_one_displaces_whom_it_must() {
    let all = r#"
        (name: "first", from: "a", to: "b", rate: "60 Mbit/s", start: "1 s", end: "60 s", priority: 3),
        (name: "second", from: "a", to: "b", rate: "30 Mbit/s", start: "1 s", end: "60 s", priority: 2),
        (name: "third", from: "a", to: "b", rate: "60 Mbit/s", start: "5 s", end: "20 s", priority: 4),
        (name: "fourth", from: "a", to: "b", rate: "60 Mbit/s", start: "10 s", end: "30 s"),
        (name: "later", from: "a", to: "b", rate: "60 Mbit/s", start: "20 s", end: "30 s"),
        (name: "vital", from: "a", to: "b", rate: "70 Mbit/s", requested: "8 s", start: "9 s", end: "15 s", priority: 9)"#;
    let output = world(all, CALL);
    use ReservationOutcome::{Admitted, Displaced, Refused};
    assert_eq!(
        outcomes(&output.record),
        [
            ("first", Displaced, 2),
            ("second", Admitted, 2),
            ("third", Admitted, 2),
            ("fourth", Refused, 0),
            ("later", Admitted, 2),
            ("vital", Admitted, 2),
        ]
    );
    let by_name = |name: &str| {
        output
            .record
            .reservations
            .iter()
            .find(|r| r.name == name)
            .expect("a record")
    };
    assert_eq!(by_name("third").path, ["a->y", "y->b"]);
    assert_eq!(by_name("vital").path, ["a->x", "x->b"]);
    // From its start until it gave way.
    assert_eq!(by_name("first").held_ns, 7 * S);
    assert_eq!(by_name("third").held_ns, 15 * S);
    assert!(
        by_name("fourth")
            .reason
            .as_deref()
            .expect("a reason")
            .contains("bit/s")
    );
    assert_eq!(by_name("first").reason.as_deref(), Some("displaced by vital"));
}

#[test]
fn traffic_is_on_the_reserved_path_while_the_reservation_is_in_force() {
    let all = r#"
        (name: "first", from: "a", to: "b", rate: "60 Mbit/s", start: "0 s", end: "60 s"),
        (name: "third", from: "a", to: "b", rate: "60 Mbit/s", start: "10 s", end: "20 s")"#;
    let output = world(all, CALL);
    let delivered = |link: &str| {
        let links = output.record.links.iter();
        let packets = links
            .filter(|known| known.name == link)
            .filter_map(|link| link.packets)
            .next();
        packets.expect("a link").delivered_packets
    };
    // A hundred of three hundred datagrams, and the end of the stream by the short way.
    assert!((99..=101).contains(&delivered("a->y")), "{}", delivered("a->y"));
    assert!((200..=206).contains(&delivered("a->x")), "{}", delivered("a->x"));
    let call = &output.record.datagrams[0];
    assert_eq!((call.lost, call.duplicates), (0, 0));
    // 30 ms by the long way, 10 by the short one.
    let delay = call.delay.expect("delays");
    assert!(delay.min_ns < S / 80 && delay.max_ns > 30 * S / 1_000);
    let kinds: Vec<(&str, u64)> = output
        .events
        .iter()
        .filter(|event| event.entity == "third")
        .map(|event| (event.kind.as_str(), event.at_ns / S))
        .collect();
    assert_eq!(kinds, [("Reserved", 0), ("Began", 10), ("Ended", 20)]);
}

#[test]
fn headroom_and_background_load_cannot_be_reserved() {
    let one = r#"(name: "third", from: "a", to: "b", rate: "91 Mbit/s", start: "0 s", end: "60 s")"#;
    let free = world(one, CALL);
    let held = world(one, &format!(r#"headroom: "10 %", {CALL}"#));
    use ReservationOutcome::{Admitted, Refused};
    assert_eq!(outcomes(&free.record), [("third", Admitted, 2)]);
    assert_eq!(outcomes(&held.record), [("third", Refused, 0)]);
}

#[test]
fn a_transfer_that_has_begun_moves_to_its_path_and_back() {
    let all = r#"
        (name: "first", from: "a", to: "b", rate: "60 Mbit/s", start: "0 s", end: "60 s"),
        (name: "gold", from: "a", to: "b", rate: "60 Mbit/s", start: "2 s", end: "4 s")"#;
    let transfer = r#"transfers: [(name: "t", from: "a", to: "b", size: "60 MB", reservation: "gold")],"#;
    let output = world(all, transfer);
    let bytes = |link: &str| {
        let found = output.record.links.iter().find(|known| known.name == link);
        found.expect("a link").delivered_bytes
    };
    // Two seconds of at most a hundred megabits by the long way, with a window of the short one to begin with;
    // acknowledgements come back the same way.
    assert!(
        (10_000_000..26_000_000).contains(&bytes("a->y")),
        "{}",
        bytes("a->y")
    );
    assert!(bytes("y->a") > 200_000);
    assert!(output.record.transfers[0].completion_ns.expect("completed") < 10 * S);
}
