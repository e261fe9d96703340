//! Scenarios in which links fail: what happens is told, nothing hangs, and what cannot arrive is reported so.

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
    let samples = output
        .series
        .iter()
        .filter(|s| s.entity == "a->b" && s.metric == "down_lost_packets");
    assert_eq!(samples.last().expect("a sample").value, lost);
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
