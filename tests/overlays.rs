//! Overlays in the simulator: what edges notice, decide and get wrong, and what that costs the traffic.

use longhaul_core::record::{DiscoveryRecord, OverlayRecord, PathMtuRecord, RunRecord, SwitchRecord};
use longhaul_scenarios::run::RunOutput;

use crate::common::run_text;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// `a` and `b`, joined through `x` and through `y` by paths of those names, with these links, fields of the overlay, and
/// the rest of the scenario.
fn diamond(seed: u64, near: &str, far: &str, overlay: &str, rest: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "diamond", question: "q", expect: "e", seed: {seed}, horizon: "10 min",
            regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
            links: [
                (between: ("a", "x"), {near}), (between: ("x", "b"), {near}),
                (between: ("a", "y"), {far}), (between: ("y", "b"), {far}),
            ],
            overlays: [(name: "wan", paths: [
                (name: "near", between: ("a", "b"), via: ["x"]),
                (name: "far", between: ("a", "b"), via: ["y"]),
            ], {overlay})],
            {rest}
        )"#
    ))
}

/// 200 ms there and back over either path, each of two links.
const LONG: &str = r#"rtt: "100 ms", rate: "100 Mbit/s""#;
const IN_ORDER: &str = r#"selection: InOrder(hold: "60 s"), trains: None,
    bfd: (interval: "100 ms", multiplier: 3, slow_start: false)"#;

fn wan(record: &RunRecord) -> &OverlayRecord {
    assert_eq!(record.overlays.len(), 1);
    &record.overlays[0]
}

/// Switches of the edge in a region.
fn switches<'r>(record: &'r RunRecord, region: &str) -> Vec<&'r SwitchRecord> {
    let switches = wan(record).switches.iter();
    switches.filter(|switch| switch.from == region).collect()
}

#[test]
fn in_a_thousand_random_failures_the_first_byte_by_the_other_path_comes_within_600_ms() {
    let (mut firsts, mut detections) = (Vec::new(), Vec::new());
    for seed in 0..1_000u64 {
        // Some time in a second, on one of the two links of the path, in one direction or in both.
        let at_us = 4_000_000 + seed.wrapping_mul(7_919_317) % 1_000_000;
        let (one, other) = if seed % 2 == 0 { ("a", "x") } else { ("x", "b") };
        let link = match seed % 3 {
            0 => format!(r#"between: ("{one}", "{other}")"#),
            1 => format!(r#"from: "{one}", to: "{other}""#),
            _ => format!(r#"from: "{other}", to: "{one}""#),
        };
        let rest = format!(
            r#"datagrams: [(name: "call", from: "a", to: "b", at: "2 s", duration: "5 s")],
               faults: [LinkDown({link}, at: "{at_us} us")],"#
        );
        let output = diamond(seed, LONG, LONG, IN_ORDER, &rest);
        let call = &output.record.datagrams[0];
        let moved = switches(&output.record, "a");
        assert_eq!(moved.len(), 1, "seed {seed}: {moved:?}");
        let first = moved[0].first_byte_ns.expect("the call goes on");
        assert!(first <= 600 * MS, "seed {seed}: {first}");
        firsts.push(first);
        detections.push(moved[0].detection_ns.expect("a failure"));
        // One hole, no second one, and nothing goes round: what is lost was sent before the switch.
        let there = seed % 3 != 2;
        assert_eq!(call.loss_bursts, u64::from(there), "seed {seed}");
        assert!(
            call.lost <= moved[0].decision_ns.expect("a failure") / (20 * MS) + 8,
            "seed {seed}"
        );
        assert_eq!(
            (call.duplicates, output.record.unrouted_packets),
            (0, 0),
            "seed {seed}"
        );
    }
    firsts.sort_unstable();
    detections.sort_unstable();
    // The detection time is three intervals, each shorter by up to a quarter (RFC 5880, 6.8.7), from the last message that
    // was heard; one that must be told of it by the other end hears 100 ms later.
    assert!(
        detections[0] >= 125 * MS && detections[999] <= 500 * MS,
        "{detections:?}"
    );
    println!(
        "first byte after {} ms at least, {} in the median, {} at most",
        firsts[0] / MS,
        firsts[500] / MS,
        firsts[999] / MS
    );
}

#[test]
fn a_flapping_link_moves_traffic_once_a_minute_at_most() {
    let faults: Vec<String> = (0..60)
        .map(|time| {
            format!(
                r#"LinkDown(between: ("a", "x"), at: "{} s", for: "2 s")"#,
                10 + 5 * time
            )
        })
        .collect();
    let rest = format!(
        r#"datagrams: [(name: "call", from: "a", to: "b", at: "2 s", duration: "400 s", interval: "100 ms")],
           faults: [{}],"#,
        faults.join(", ")
    );
    let output = diamond(1, LONG, LONG, IN_ORDER, &rest);
    let moved = switches(&output.record, "a");
    // Away at the first failure, and back a minute after the last repair.
    let paths: Vec<&str> = moved.iter().map(|switch| switch.new_path.as_str()).collect();
    assert_eq!(paths, ["far", "near"]);
    assert!(moved[1].at_ns >= 307 * S + 60 * S, "{}", moved[1].at_ns);
    // Sixty failures, of which the edge noticed every one.
    let near = wan(&output.record)
        .paths
        .iter()
        .find(|path| path.name == "near" && path.from == "a");
    assert_eq!(near.expect("the path").downs, 60);
    assert!(wan(&output.record).edges.iter().all(|edge| edge.flaps >= 59));
}

#[test]
fn traffic_that_begins_with_the_run_waits_for_the_first_path() {
    let rest = r#"datagrams: [(name: "call", from: "a", to: "b", at: "0 s", duration: "10 s")],"#;
    let record = diamond(1, LONG, LONG, IN_ORDER, rest).record;
    let call = &record.datagrams[0];
    assert_eq!(call.sent, 500);
    // The sessions are up after three passages of 100 ms and their jitter; what was sent before is lost, and nothing else.
    assert!((480..=488).contains(&call.received), "{call:?}");
}

#[test]
fn a_failure_of_one_direction_is_seen_at_both_ends() {
    let rest = r#"datagrams: [(name: "call", from: "a", to: "b", at: "2 s", duration: "8 s")],
                  faults: [LinkDown(from: "x", to: "b", at: "5 s")],"#;
    let output = diamond(3, LONG, LONG, IN_ORDER, rest);
    let downs = output.events.iter().filter(|event| event.kind == "PathDown");
    let told: Vec<(&str, bool, bool)> = downs
        .map(|event| {
            let cause = |name: &str| event.detail.contains(name);
            (event.entity.as_str(), cause("Silence"), cause("Neighbour"))
        })
        .collect();
    // The end that hears nothing finds out, and tells the other.
    assert_eq!(told, [("wan/b", true, false), ("wan/a", false, true)]);
}

/// 20 ms and 10 Mbit/s against 100 ms and 100 Mbit/s.
const QUICK: &str = r#"rtt: "10 ms", rate: "10 Mbit/s""#;
const WIDE: &str = r#"rtt: "50 ms", rate: "100 Mbit/s""#;

#[test]
fn traffic_takes_the_path_that_its_policy_wants() {
    let rest = r#"
        datagrams: [(name: "call", from: "a", to: "b", at: "15 s", duration: "10 s")],
        transfers: [(name: "bulk", from: "a", to: "b", size: "20 MB", at: "15 s", port: 21)],"#;
    let overlay = r#"trains: (interval: "10 s", assumed: "10 Mbit/s"), bfd: (slow_start: false)"#;
    let output = diamond(5, QUICK, WIDE, overlay, rest);
    let of = |kind: &str, flow: &str| {
        let assigned = output
            .events
            .iter()
            .filter(|event| event.kind == kind && event.entity == "wan/a");
        let found = assigned
            .map(|event| event.detail.clone())
            .find(|detail| detail.contains(flow));
        found.expect("an assignment")
    };
    // Flows of sockets have high numbers.
    assert!(
        of("Assigned", r#""flow":0"#).contains(r#""path":"far""#),
        "the transfer wants the rate"
    );
    assert!(
        of("Assigned", r#""flow":1099"#).contains(r#""path":"near""#),
        "the call wants the delay"
    );
    // Trains have measured the links within a tenth.
    for path in &wan(&output.record).paths {
        let rate = if path.name == "near" {
            10_000_000
        } else {
            100_000_000
        };
        let measured = path.measured_bits_per_s.expect("a rate");
        assert!(
            (rate * 9 / 10..rate * 11 / 10).contains(&measured),
            "{} {measured}",
            path.name
        );
    }
    assert_eq!(wan(&output.record).wrong_decision_samples, 0);
}

#[test]
fn a_path_that_loses_is_left_and_come_back_to_when_it_has_been_good_for_a_minute() {
    let ill = r#"rtt: "10 ms", rate: "50 Mbit/s",
        changes: [(at: "60 s", loss: Independent(mean: "30 %")), (at: "120 s", loss: None)]"#;
    let rest = r#"datagrams: [(name: "call", from: "a", to: "b", at: "5 s", duration: "400 s", interval: "100 ms")],"#;
    let output = diamond(
        7,
        ill,
        r#"rtt: "40 ms", rate: "50 Mbit/s""#,
        r#"bfd: None, trains: None"#,
        rest,
    );
    let moved = switches(&output.record, "a");
    let seen: Vec<(&str, &str)> = moved
        .iter()
        .map(|switch| (switch.new_path.as_str(), switch.why.as_str()))
        .collect();
    assert_eq!(seen[0].0, "far", "{seen:?}");
    assert!(moved[0].at_ns > 60 * S && moved[0].at_ns < 120 * S, "{moved:?}");
    assert_eq!(seen.last().expect("moves").0, "near", "{seen:?}");
    assert!(moved.last().expect("moves").at_ns > 180 * S, "{moved:?}");
    // Until the probes have shown it, the call was on a path that was worse than the other.
    let wan = wan(&output.record);
    assert!(wan.wrong_decision_samples > 0 && wan.wrong_decision_samples < wan.decision_samples / 2);
}

#[test]
fn hysteresis_trades_wrong_moments_for_fewer_moves() {
    let noisy = r#"rtt: "40 ms", rate: "50 Mbit/s", jitter: Normal(mean: "8 ms", sd: "6 ms"),
        loss: GilbertElliott(mean: "1 %", burst: 3)"#;
    let rest =
        r#"datagrams: [(name: "call", from: "a", to: "b", at: "10 s", duration: "580 s", interval: "1 s")],"#;
    let count = |hysteresis: &str| {
        let overlay = format!("bfd: None, trains: None, selection: ByPolicy(hysteresis: {hysteresis})");
        (0..5)
            .map(|seed| switches(&diamond(seed, noisy, noisy, &overlay, rest).record, "a").len())
            .sum::<usize>()
    };
    let (with, without) = (count("()"), count("None"));
    assert!(
        with * 10 <= without,
        "{with} moves with hysteresis, {without} without"
    );
}

#[test]
fn an_edge_that_is_killed_knows_nothing_when_it_is_back_and_its_flows_stay_where_they_were() {
    let rest = r#"datagrams: [(name: "call", from: "a", to: "b", at: "5 s", duration: "40 s")],
                  faults: [Kill(region: "x", at: "20 s", for: "1 s")],"#;
    let calm = diamond(9, LONG, LONG, IN_ORDER, rest);
    // No edge is in `x`, and forwarding is no process.
    assert_eq!(
        (calm.record.datagrams[0].lost, wan(&calm.record).switches.len()),
        (0, 0)
    );
    // In `b` the receiver ends with the edge, and so does the stream.
    let killed = diamond(
        9,
        LONG,
        LONG,
        IN_ORDER,
        &rest.replace(r#"region: "x""#, r#"region: "b""#),
    );
    assert!(matches!(
        killed.record.datagrams[0].progress,
        longhaul_core::record::Progress::Failed(_)
    ));
}

#[test]
fn tunnels_come_up_in_their_round_trips_and_make_segments_shorter() {
    let output = run_text(
        r#"Scenario(
            version: 1, name: "wrapped", question: "q", expect: "e", horizon: "10 min",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "80 ms", rate: "20 Mbit/s"),
                (between: ("a", "c"), rtt: "80 ms", rate: "20 Mbit/s"),
            ],
            overlays: [(name: "wan", paths: [
                (name: "wg", between: ("a", "b"), via: [], tunnel: WireGuard(keepalive: "25 s")),
                (name: "ike", between: ("a", "c"), via: [], tunnel: Ipsec(rekey_after: "2 min", lifetime: "3 min")),
            ], selection: InOrder(hold: "5 s"), trains: None)],
            transfers: [(name: "t", from: "a", to: "b", size: "13.68 MB", at: "5 s")],
            datagrams: [
                (name: "d", from: "a", to: "b", at: "5 s", duration: "400 s", interval: "1 s"),
                (name: "e", from: "a", to: "c", at: "5 s", duration: "400 s", interval: "1 s"),
            ],
        )"#,
    );
    let tunnel = |path: &str, from: &str| {
        let paths = wan(&output.record).paths.iter();
        let mut own = paths.filter(|known| known.name == path && known.from == from);
        own.next().and_then(|path| path.tunnel.clone()).expect("a tunnel")
    };
    let up = |path, from| tunnel(path, from).established_ns.expect("up") / MS;
    assert_eq!(
        [up("wg", "a"), up("wg", "b"), up("ike", "a"), up("ike", "c")],
        [80, 120, 160, 120]
    );
    // Keys of WireGuard last two minutes, those of the other as long as asked: three renewals each, and no gap.
    for (path, from) in [("wg", "a"), ("wg", "b"), ("ike", "a"), ("ike", "c")] {
        let tunnel = tunnel(path, from);
        assert_eq!(
            (tunnel.rekeys, tunnel.downs, tunnel.refused),
            (3, 0, 0),
            "{path} {from}"
        );
    }
    assert!(output.record.datagrams.iter().all(|stream| stream.lost == 0));
    // 1,420 bytes inside, of which 52 are headers: 10,000 segments of 1,368.
    let transfer = &output.record.transfers[0];
    let sent = transfer.segments - transfer.retransmits;
    assert!((10_000..10_020).contains(&sent), "{sent}");
    assert_eq!(output.record.oversized_packets, 0);
}

/// A WireGuard tunnel from `a` to `b` over two links of 40 ms there and back, of which the second carries 1,400 bytes; what
/// follows is the rest of the scenario. Both ends look for the MTU.
fn probed(second: &str, search: &str, rest: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "probed", question: "q", expect: "e", horizon: "20 min",
            regions: [(name: "a"), (name: "x"), (name: "b")],
            links: [
                (between: ("a", "x"), rtt: "40 ms", rate: "1 Gbit/s"),
                (between: ("x", "b"), rtt: "40 ms", rate: "1 Gbit/s", {second}),
            ],
            overlays: [(name: "wan", paths: [
                (name: "w", between: ("a", "b"), via: ["x"], tunnel: WireGuard(path_mtu: Discover({search}))),
            ], selection: InOrder(hold: "5 s"), trains: None)],
            {rest}
        )"#
    ))
}

/// What was found from a region on.
fn found(output: &RunOutput, from: &str) -> PathMtuRecord {
    let mut paths = wan(&output.record).paths.iter();
    let path = paths.find(|path| path.from == from).expect("a path");
    path.path_mtu.clone().expect("a search")
}

#[test]
fn the_mtu_of_a_path_is_found_to_the_byte_in_three_round_trips_and_nine_timers() {
    let rest = r#"datagrams: [(name: "d", from: "a", to: "b", at: "1 s", duration: "140 s", interval: "1 s")],
        transfers: [
            (name: "early", from: "a", to: "b", size: "10.88 MB", at: "3 s"),
            (name: "late", from: "a", to: "b", size: "12.88 MB", at: "139 s"),
        ],"#;
    let output = probed(r#"mtu: "1400 B""#, "", rest);
    let (there, back) = (found(&output, "a"), found(&output, "b"));
    for end in [&there, &back] {
        // 1,400 bytes of which WireGuard over IPv4 takes 60.
        assert_eq!((end.plpmtu_bytes, end.inner_mtu_bytes), (1_400, 1_340));
        assert_eq!((end.searches, end.black_holes, end.refused), (1, 0, 0));
    }
    // From `a`, 1,200, 1,280 and 1,400 bytes pass at once; 1,500, 1,420 and 1,401 are each lost three times, with timers of
    // 15 s. At `b` the first link carries 1,400 bytes, which are tried right after the base; they are confirmed four times
    // until the end.
    assert_eq!(
        (there.sizes_passed, there.sizes_lost, there.probes_sent),
        (3, 3, 12)
    );
    assert_eq!((back.sizes_passed, back.sizes_lost, back.probes_sent), (2, 0, 6));
    // A round trip is 80 ms and what 1,200 to 1,400 bytes and an acknowledgement take on two links, about 23 us.
    for (end, round_trips, timers) in [(there, 3, 9), (back, 2, 0)] {
        let time = end.found_ns.expect("found");
        let least = timers * 15 * S + round_trips * (80 * MS + 20_000);
        assert!((least..least + 20_000).contains(&time), "{time}");
    }
    // What `a` has lost is lost before the second link.
    assert_eq!(output.record.oversized_packets, 9);
    // The base leaves 1,140 bytes inside, of which 52 are headers: 10,000 segments of 1,088. Later it is 1,288.
    for transfer in &output.record.transfers {
        let sent = transfer.segments - transfer.retransmits;
        assert!((10_000..10_030).contains(&sent), "{}: {sent}", transfer.name);
    }
    let kinds = |kind: &str| output.events.iter().filter(|event| event.kind == kind).count();
    // The MTU rises over 1,280 bytes to 1,400 at one end, and at once at the other.
    assert_eq!(
        (kinds("Passed"), kinds("Lost"), kinds("Changed"), kinds("Found")),
        (5, 3, 3, 2)
    );
}

#[test]
fn a_link_that_shrinks_is_a_black_hole_until_the_confirmation_fails() {
    let rest = r#"transfers: [
            (name: "across", from: "a", to: "b", size: "200 MB", at: "19500 ms"),
        ],
        datagrams: [(name: "d", from: "a", to: "b", at: "1 s", duration: "80 s", interval: "1 s")],"#;
    let search = r#"probe_timer: "1 s", confirmation_timer: "10 s""#;
    let second = r#"mtu: "1400 B", changes: [(at: "20 s", mtu: "1250 B")]"#;
    let output = probed(second, search, rest);
    let there = found(&output, "a");
    assert_eq!((there.plpmtu_bytes, there.inner_mtu_bytes), (1_250, 1_190));
    assert_eq!((there.black_holes, there.searches, there.base_losses), (1, 2, 0));
    let at = |kind: &str| {
        let mut own = output
            .events
            .iter()
            .filter(|event| event.kind == kind && event.entity.ends_with(" a"));
        own.next().expect("one").at_ns
    };
    // The search was over after nine timers and three round trips. What was found is confirmed 10 s later, and not 10 s after
    // that: three more timers.
    let hole = at("BlackHole");
    let expected = (9 + 10 + 10 + 3) * S + 4 * 80 * MS;
    assert!(hole.abs_diff(expected) < MS, "{hole}");
    // Segments that were cut for 1,340 bytes go on as two packets each, and everything arrives.
    let transfer = &output.record.transfers[0];
    assert_eq!(transfer.progress, longhaul_core::record::Progress::Completed);
    assert!(output.record.oversized_packets > 20);
}

#[test]
fn routers_that_change_onto_a_smaller_link_make_a_black_hole_too() {
    let output = run_text(
        r#"Scenario(
            version: 1, name: "detour", question: "q", expect: "e", horizon: "5 min", reroute_after: "500 ms",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "40 ms", rate: "1 Gbit/s"),
                (between: ("a", "c"), rtt: "40 ms", rate: "1 Gbit/s"),
                (between: ("c", "b"), rtt: "40 ms", rate: "1 Gbit/s", mtu: "1280 B"),
            ],
            overlays: [(name: "wan", paths: [
                (name: "w", between: ("a", "b"), tunnel: Gre(path_mtu: Discover(probe_timer: "1 s", confirmation_timer: "5 s"))),
            ], selection: InOrder(hold: "5 s"), trains: None)],
            datagrams: [(name: "d", from: "a", to: "b", at: "1 s", duration: "60 s")],
            faults: [LinkDown(between: ("a", "b"), at: "20 s")],
        )"#,
    );
    let found = found(&output, "a");
    // GRE takes 24 bytes. Before, 1,500 bytes pass after two round trips.
    assert_eq!((found.plpmtu_bytes, found.inner_mtu_bytes), (1_280, 1_256));
    assert_eq!((found.black_holes, found.searches), (1, 2));
    assert!(found.found_ns.expect("found") < 81 * MS);
}

#[test]
fn a_path_below_the_base_has_the_least_size() {
    let rest = r#"datagrams: [(name: "d", from: "a", to: "b", at: "5 s", duration: "20 s", interval: "1 s", payload: "400 B")],"#;
    let output = probed(r#"mtu: "1000 B""#, r#"probe_timer: "1 s""#, rest);
    let found = found(&output, "a");
    assert_eq!(
        (found.plpmtu_bytes, found.base_losses, found.found_ns),
        (576, 1, None)
    );
    // What fits into that goes on all the time.
    assert_eq!(output.record.datagrams[0].lost, 0);
}

/// A hub and sites around it, with a round trip to each; all paths begin at the hub, but for one between `b` and `c`.
fn strangers(loss: &str, discovery: &str, rest: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "strangers", question: "q", expect: "e", horizon: "5 min",
            regions: [(name: "hub"), (name: "b"), (name: "c"), (name: "d")],
            links: [
                (between: ("hub", "b"), rtt: "60 ms", rate: "1 Gbit/s" {loss}),
                (between: ("hub", "c"), rtt: "20 ms", rate: "1 Gbit/s" {loss}),
                (between: ("hub", "d"), rtt: "140 ms", rate: "1 Gbit/s" {loss}),
            ],
            overlays: [(name: "wan", paths: [
                (name: "b", between: ("hub", "b"), via: []),
                (name: "c", between: ("hub", "c"), via: []),
                (name: "d", between: ("hub", "d"), via: []),
                (name: "bc", between: ("b", "c"), via: ["hub"]),
            ], selection: InOrder(hold: "5 s"), bfd: None, trains: None, discovery: ({discovery}))],
            {rest}
        )"#
    ))
}

/// How an edge has found the others.
fn acquainted(output: &RunOutput, region: &str) -> DiscoveryRecord {
    let mut edges = wan(&output.record).edges.iter();
    let edge = edges.find(|edge| edge.region == region).expect("an edge");
    edge.discovery.clone().expect("a discovery")
}

#[test]
fn without_loss_sites_know_each_other_after_the_longest_round_trip() {
    let rest =
        r#"datagrams: [(name: "t", from: "b", to: "c", at: "0 s", duration: "9 s", interval: "10 ms")],"#;
    let output = strangers("", r#"hubs: ["hub"]"#, rest);
    // One way it is 30, 10 and 70 ms: the hub knows all after 70 ms, the others when d has become known to the hub and they
    // hear of it.
    for (region, ms) in [("hub", 70), ("b", 100), ("c", 80), ("d", 140)] {
        let edge = acquainted(&output, region);
        let at = edge.complete_ns.expect("complete");
        // 174 bytes take 1.4 us on a link.
        assert!((ms * MS..ms * MS + 20_000).contains(&at), "{region}: {at}");
        assert_eq!((edge.sites_known, edge.refused(), edge.expired), (3, 0, 0));
    }
    // The path between b and c is first probed when both know of each other, 60 ms after the start.
    let up = output
        .events
        .iter()
        .find(|event| event.kind == "PathUp")
        .expect("a path");
    assert!(up.at_ns > 60 * MS, "{}", up.at_ns);
    let joined = output
        .events
        .iter()
        .filter(|event| event.kind == "Joined")
        .count();
    assert_eq!(joined, 12);
}

#[test]
fn lost_announcements_come_again_and_a_wrong_key_is_refused() {
    let rest = r#"datagrams: [
            (name: "t", from: "b", to: "c", at: "1 min", duration: "5 s"),
            (name: "u", from: "hub", to: "d", at: "1 min", duration: "5 s"),
        ],"#;
    let discovery = r#"hubs: ["hub"], interval: "1 s", timeout: "20 s", skew: "5 s""#;
    let lossy = r#", loss: Independent(mean: "30 %")"#;
    let output = strangers(lossy, discovery, rest);
    for region in ["hub", "b", "c", "d"] {
        let edge = acquainted(&output, region);
        assert!(edge.complete_ns.expect("complete") < 20 * S, "{region}");
        assert_eq!(edge.refused_signature, 0);
    }
    let output = strangers("", &format!(r#"{discovery}, wrong_keys: ["d"]"#), rest);
    let hub = acquainted(&output, "hub");
    // One each second until the streams are over, 65 s after the start, and their receivers have waited for the rest.
    assert!(
        (65..=75).contains(&hub.refused_signature),
        "{}",
        hub.refused_signature
    );
    assert_eq!((hub.refused(), hub.sites_known), (hub.refused_signature, 2));
    let d = acquainted(&output, "d");
    assert_eq!(
        (d.sites_known, d.complete_ns, d.believed_by_others),
        (0, None, false)
    );
    let reason = r#"{"reason":"Signature","site":"d"}"#;
    assert!(
        output
            .events
            .iter()
            .any(|event| event.kind == "Refused" && event.detail == reason)
    );
    // Nobody goes there, and the others do not mind.
    let lost: Vec<bool> = output
        .record
        .datagrams
        .iter()
        .map(|stream| stream.received == 0)
        .collect();
    assert_eq!(lost, [false, true]);
}

#[test]
fn a_site_that_falls_silent_is_forgotten_and_found_again() {
    let rest = r#"datagrams: [(name: "t", from: "b", to: "c", at: "5 s", duration: "60 s")],
        faults: [Kill(region: "d", at: "10 s", for: "30 s")],"#;
    let discovery = r#"hubs: ["hub"], interval: "1 s", timeout: "10 s", skew: "5 s""#;
    let output = strangers("", discovery, rest);
    for region in ["hub", "b", "c"] {
        let edge = acquainted(&output, region);
        assert_eq!((edge.expired, edge.sites_known), (1, 3), "{region}");
    }
    // It knows nobody when it comes back, and everybody in the end.
    assert_eq!(acquainted(&output, "d").sites_known, 3);
    let events = output.events.iter();
    let down: Vec<&str> = events
        .filter(|event| event.kind == "PathDown")
        .map(|event| event.detail.as_str())
        .collect();
    assert!(
        down.iter().any(|detail| detail.contains("MissedProbes")),
        "{down:?}"
    );
}
