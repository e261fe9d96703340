//! Every field of a search for the MTU of a path, and of one for the sites of an overlay, does something.

use crate::knobs::changes_count;

/// A tunnel that looks for its MTU on a link that shrinks, and one on which not even the base passes.
const PROBED: &str = r#"Scenario(
    version: 1, name: "probed", question: "q", expect: "e", seed: 3, horizon: "8 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "z"), (name: "b")],
    links: [
        (between: ("a", "z"), rtt: "10 ms", rate: "20 Mbit/s"),
        (between: ("z", "b"), rtt: "30 ms", rate: "20 Mbit/s", mtu: "1400 B", changes: [
            (at: "40 s", mtu: "1300 B"), (at: "120 s", mtu: "600 B"), (at: "180 s", mtu: "1400 B"),
        ]),
    ],
    overlays: [(name: "wan", paths: [
        (name: "w", between: ("a", "b"), via: ["z"], tunnel: WireGuard(path_mtu: Discover(
            min_plpmtu: "576 B", base_plpmtu: "1200 B", max_plpmtu: None, probe_timer: "1 s", max_probes: 3,
            pmtu_raise_timer: "60 s", confirmation_timer: "10 s"))),
    ], selection: InOrder(), trains: None)],
    datagrams: [(name: "d", from: "a", to: "b", at: "1 s", duration: "260 s", interval: "100 ms", payload: "1000 B")],
    transfers: [
        (name: "early", from: "a", to: "b", size: "2 MB", at: "3 s"),
        (name: "late", from: "b", to: "a", size: "2 MB", at: "90 s"),
    ],
)"#;

/// Sites that find each other over a link that loses much.
const MET: &str = r#"Scenario(
    version: 1, name: "met", question: "q", expect: "e", seed: 3, horizon: "3 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [
        (between: ("a", "b"), rtt: "10 ms", rate: "20 Mbit/s", loss: Independent(mean: "60 %")),
        (between: ("b", "c"), rtt: "30 ms", rate: "20 Mbit/s"),
    ],
    overlays: [(name: "wan", paths: [
        (name: "near", between: ("a", "b"), via: []), (name: "far", between: ("b", "c"), via: []),
    ], selection: InOrder(), bfd: None, trains: None,
        discovery: (hubs: ["b"], interval: "2 s", timeout: "3 s", skew: "5 s", wrong_keys: []))],
    datagrams: [(name: "d", from: "a", to: "b", at: "1 s", duration: "60 s", interval: "100 ms")],
)"#;

#[test]
fn every_field_of_a_search_for_the_mtu_and_for_sites_moves_the_digest() {
    let search = "overlays[wan].paths[w].tunnel.path_mtu";
    let of = |field: &str| format!("{search}.{field}");
    let changes = [
        format!("{search}=Known"),
        of(r#"min_plpmtu="590 B""#),
        of(r#"base_plpmtu="1220 B""#),
        of(r#"max_plpmtu="1390 B""#),
        of(r#"probe_timer="2 s""#),
        of("max_probes=2"),
        of(r#"pmtu_raise_timer="70 s""#),
        of(r#"confirmation_timer="11 s""#),
        of("confirmation_timer=None"),
        r#"links[1].changes[0].mtu="1310 B""#.to_owned(),
    ];
    changes_count(PROBED, &changes.each_ref().map(String::as_str));
    changes_count(
        MET,
        &[
            "overlays[wan].discovery=None",
            r#"overlays[wan].discovery.hubs=["a"]"#,
            r#"overlays[wan].discovery.interval="1 s""#,
            r#"overlays[wan].discovery.timeout="4 s""#,
            r#"overlays[wan].discovery.wrong_keys=["c"]"#,
        ],
    );
}
