//! Scenarios in which links fail and machines stop: what happens is told, nothing hangs, and what cannot arrive is
//! reported so.

use longhaul_core::record::{Ended, Fidelity, Progress};
use longhaul_scenarios::run::RunOutput;

use crate::common::run_text;

/// 5 MB at 10 Mbit/s, 4.2 s, with these faults; `more` goes into the scenario.
fn copy(faults: &str, more: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "f", question: "q", expect: "e", horizon: "30 s", {more}
            regions: [(name: "a"), (name: "b")],
            links: [(between: ("a", "b"), rtt: "40 ms", rate: "10 Mbit/s", queue: Packets(100))],
            transfers: [(name: "t", from: "a", to: "b", size: "5 MB")],
            faults: [{faults}],
        )"#
    ))
}

fn told(output: &RunOutput) -> Vec<(u64, &str, &str)> {
    let faults = output.events.iter().filter(|event| event.entity != "t");
    let plain = faults.map(|event| {
        (
            event.at_ns / 1_000_000,
            event.entity.as_str(),
            event.kind.as_str(),
        )
    });
    plain.collect()
}

#[test]
fn faults_are_told_with_their_time_and_their_cause() {
    let output = copy(r#"LinkDown(from: "a", to: "b", at: "1 s", for: "500 ms")"#, "");
    let expected = [
        (1_000, "a->b", "LinkDown"),
        (1_200, "routing", "Rerouted"),
        (1_500, "a->b", "LinkUp"),
        (1_700, "routing", "Rerouted"),
    ];
    assert_eq!(told(&output), expected);
    let causes: Vec<u64> = output.events.iter().map(|event| event.during_event).collect();
    assert!(causes.is_sorted() && causes[1] > 0, "{causes:?}");
    let record = output.record;
    assert_eq!(record.transfers[0].progress, Progress::Completed);
    assert_eq!(record.transfers[0].received, 5_000_000);
    let lost = record.links[0].packets.expect("packets").down_lost_packets;
    assert!(lost > 16, "20 ms at 10 Mbit/s hold 16 frames: {lost}");
    let mut samples = output
        .series
        .iter()
        .filter(|s| s.entity == "a->b" && s.metric == "down_lost_packets");
    assert_eq!(samples.next_back().expect("a sample").value, lost);
}

#[test]
fn a_transfer_that_is_cut_off_for_good_is_unfinished_at_the_horizon() {
    let record = copy(r#"LinkDown(between: ("a", "b"), at: "1 s")"#, "").record;
    assert_eq!(record.ended, Ended::Horizon);
    assert_eq!(record.transfers[0].progress, Progress::Unfinished);
    // From 1.2 s on TCP's retransmissions find no route.
    assert!(record.unrouted_packets > 3, "{}", record.unrouted_packets);
}

#[test]
fn a_transfer_that_finds_no_route_at_its_start_begins_when_there_is_one() {
    let record = copy(
        r#"LinkDown(between: ("a", "b"), at: "0 s", for: "5 s")"#,
        r#"reroute_after: "0 s","#,
    )
    .record;
    assert_eq!(record.ended, Ended::Done);
    // SYNs at 0, 1 and 3 s are lost, that at 7 s (and the slack of the kernel's timers) is not.
    let handshake = record.transfers[0].handshake_ns.expect("a handshake");
    assert!((7_040_000_000..7_300_000_000).contains(&handshake), "{handshake}");
    assert_eq!(record.unrouted_packets, 3);
}

#[test]
fn what_would_fail_after_the_work_is_done_does_not() {
    let output = copy(r#"LinkDown(from: "a", to: "b", at: "20 s", for: "1 s")"#, "");
    assert_eq!((told(&output), output.record.ended), (vec![], Ended::Done));
    assert!(output.record.simulated_ns < 10_000_000_000);
}

#[test]
fn what_is_down_at_the_end_of_the_work_comes_back_so_that_all_can_close() {
    // The way back fails before the last ACKs, and stays so beyond the end of the sender's work.
    let whole = copy("", "").record;
    let end_ms = whole.transfers[0].completion_ns.expect("completed") / 1_000_000;
    let fault = format!(
        r#"LinkDown(from: "a", to: "b", at: "{} ms", for: "3 s")"#,
        end_ms - 10
    );
    let output = copy(&fault, "");
    assert_eq!(output.record.ended, Ended::Done);
    assert_eq!(told(&output).len(), 4, "{:?}", told(&output));
}

#[test]
fn auto_chooses_packets_where_links_fail() {
    let record = copy(
        r#"LinkDown(from: "a", to: "b", at: "1 s", for: "1 s")"#,
        "fidelity: Auto,",
    )
    .record;
    assert_eq!(record.fidelity, Fidelity::Packet);
    let reason = record.fidelity_reason.expect("a reason");
    assert!(reason.contains("a failure of a->b"), "{reason}");
}

#[test]
fn machines_that_stand_still_take_nothing_and_go_on_where_they_were() {
    for region in ["a", "b"] {
        let output = copy(
            &format!(r#"Pause(region: "{region}", at: "1 s", for: "9 s")"#),
            "",
        );
        assert_eq!(
            told(&output),
            [(1_000, region, "Paused"), (10_000, region, "Resumed")]
        );
        let received = |from_ms: u64, to_ms: u64| {
            let times = from_ms * 1_000_000..to_ms * 1_000_000;
            let samples = output
                .series
                .iter()
                .filter(|s| s.metric == "received_bytes" && times.contains(&s.at_ns));
            samples.map(|sample| sample.value).collect::<Vec<_>>()
        };
        let standing = received(3_000, 10_000);
        assert!(
            standing.windows(2).all(|pair| pair[0] == pair[1]),
            "{region}: {standing:?}"
        );
        let transfer = &output.record.transfers[0];
        assert_eq!(
            (transfer.progress.clone(), transfer.received),
            (Progress::Completed, 5_000_000)
        );
        let completion = transfer.completion_ns.expect("completed");
        // 4.2 s of work; the buffers take what they can in the meantime.
        assert!(
            (10_000_000_000..13_300_000_000).contains(&completion),
            "{region}: {completion}"
        );
    }
}

#[test]
fn a_start_that_is_due_meanwhile_comes_when_the_machines_go_on() {
    let output = copy(r#"Pause(region: "a", at: "0 s", for: "2 s")"#, "");
    let connected = output
        .events
        .iter()
        .find(|event| event.kind == "Connected")
        .expect("a connection");
    assert_eq!(connected.at_ns / 1_000_000, 2_040);
}

#[test]
fn a_peer_that_stands_still_is_connected_all_the_same() {
    // Its kernel completes the handshake.
    let output = copy(r#"Pause(region: "b", at: "0 s", for: "2 s")"#, "");
    let connected = output
        .events
        .iter()
        .find(|event| event.kind == "Connected")
        .expect("a connection");
    assert_eq!(connected.at_ns / 1_000_000, 40);
    assert_eq!(output.record.transfers[0].progress, Progress::Completed);
}

#[test]
fn what_is_killed_fails_at_once_and_its_peer_hears_of_it() {
    for region in ["a", "b"] {
        let output = copy(&format!(r#"Kill(region: "{region}", at: "1 s")"#), "");
        assert_eq!(told(&output), [(1_000, region, "Killed")]);
        let record = &output.record;
        assert_eq!(
            record.transfers[0].progress,
            Progress::Failed(format!("killed in {region}"))
        );
        assert_eq!(record.ended, Ended::Done);
        // Not much more than what TCP had taken, and the RST.
        assert!(
            record.simulated_ns < 4_000_000_000,
            "{region}: {}",
            record.simulated_ns
        );
    }
    // A sender whose receiver is gone is reset by what it sends next.
    let output = copy(r#"Kill(region: "b", at: "1 s")"#, "");
    let failed = output
        .events
        .iter()
        .find(|event| event.kind == "Failed")
        .expect("the sender is told");
    assert!((1_000..1_200).contains(&(failed.at_ns / 1_000_000)), "{failed:?}");
}

#[test]
fn who_calls_what_was_killed_is_refused() {
    let output = copy(r#"Kill(region: "b", at: "0 s")"#, "");
    let failed = output
        .events
        .iter()
        .find(|event| event.kind == "Failed")
        .expect("refused");
    assert_eq!(failed.at_ns / 1_000_000, 40);
}

#[test]
fn a_migration_whose_machines_are_killed_fails_at_both_ends() {
    for region in ["a", "b"] {
        let output = run_text(&format!(
            r#"Scenario(
                version: 1, name: "f", question: "q", expect: "e", horizon: "5 min",
                regions: [(name: "a"), (name: "b")],
                links: [(between: ("a", "b"), rtt: "40 ms", rate: "10 Mbit/s", queue: Packets(100))],
                vms: [(name: "v", region: "a", memory: Generated(pattern: Constant, size: "4 MiB"))],
                migrations: [(name: "t", vm: "v", to: "b", transport: (streams: 3))],
                faults: [Pause(region: "b", at: "800 ms", for: "5 s"), Kill(region: "{region}", at: "1 s")],
            )"#
        ));
        let record = output.record;
        assert_eq!(
            record.migrations[0].progress,
            Progress::Failed(format!("killed in {region}"))
        );
        // A source knocks for a minute at the door of a destination that is gone.
        assert!(
            record.simulated_ns < 90_000_000_000,
            "{region}: {}",
            record.simulated_ns
        );
    }
}
