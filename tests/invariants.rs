//! The right answers that a golden cannot know: closed forms, conservation, physical bounds.

use longhaul_core::record::{Progress, RunRecord};
use longhaul_core::units::BitRate;

use crate::common::{loaded, root, run, run_text, smoke_scenarios};

/// Ethernet, IPv4, TCP and timestamps around a segment's payload, as netem's rate counts them.
const OVERHEAD: u64 = 66;
/// A SYN with its options.
const SYN_FRAME: u64 = 74;
const MSS: u64 = 1448;

fn line(size: &str, rate: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "line", question: "q", expect: "e", seed: 1, horizon: "600 s",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "30 ms", rate: "{rate}", queue: Bytes("64 MiB")),
                (between: ("b", "c"), rtt: "50 ms", rate: "{rate}", queue: Bytes("64 MiB")),
            ],
            transfers: [(name: "t", from: "a", to: "c", size: "{size}", at: "0 s")],
        )"#
    )
}

fn completed(record: &RunRecord) -> u64 {
    assert_eq!(record.transfers[0].progress, Progress::Completed);
    record.transfers[0]
        .completion_ns
        .expect("a completed transfer has a time")
}

#[test]
fn an_unloaded_round_trip_is_exactly_the_sum_of_its_delays() {
    let record = run_text(&line("1448 B", "100 Mbit/s")).record;
    let syn = BitRate::from_bits_per_s(100_000_000).time_for(SYN_FRAME).as_ns();
    // Two hops there and two back: each propagates and serialises one SYN frame.
    assert_eq!(record.transfers[0].handshake_ns, Some(80_000_000 + 4 * syn));
}

#[test]
fn a_transfer_of_one_segment_is_a_handshake_a_frame_and_a_close() {
    let record = run_text(&line("1448 B", "100 Mbit/s")).record;
    let rate = BitRate::from_bits_per_s(100_000_000);
    let frame = |bytes| rate.time_for(bytes).as_ns();
    // SYN, SYN-ACK; the segment; the receiver's FIN.
    let expected =
        4 * frame(SYN_FRAME) + 80_000_000 + 2 * frame(MSS + OVERHEAD) + 80_000_000 + 2 * frame(OVERHEAD);
    let measured = completed(&record);
    // Three bare frames stand in the way: the handshake's ACK before the data, the FIN behind it (the write left
    // before the shutdown), and the ACK of that FIN before the receiver's own.
    assert_eq!(
        measured,
        expected + 3 * frame(OVERHEAD),
        "{measured} against {expected}"
    );
}

#[test]
fn a_long_loss_free_transfer_takes_serialisation_propagation_and_slow_start() {
    for (size, bytes) in [("3 MB", 3_000_000u64), ("30 MB", 30_000_000)] {
        let record = run_text(&line(size, "100 Mbit/s")).record;
        assert_eq!(record.transfers[0].retransmits, 0);
        let frames = bytes.div_ceil(MSS);
        let serialisation = BitRate::from_bits_per_s(100_000_000)
            .time_for(bytes + frames * OVERHEAD)
            .as_ns();
        // Handshake, and the last half round trip there and back; then the window doubles from ten segments each
        // round trip until it covers the pipe of 100 Mbit/s × 80 ms = 691 segments: at most seven idle round trips,
        // at least the three of which the transfer fills less than half.
        let least = serialisation + 2 * 80_000_000;
        let most = least + 7 * 80_000_000;
        let measured = completed(&record);
        assert!(
            (least..=most).contains(&measured),
            "{size}: {measured} not in {least}..={most}"
        );
    }
}

#[test]
fn nothing_is_faster_than_propagation_and_no_link_carries_more_than_its_rate() {
    for path in smoke_scenarios() {
        let record = run(&path, &[]).record;
        for link in &record.links {
            let span = longhaul_core::time::Span::from_ns(link.active_ns);
            let most = link
                .rate_bits_per_s
                .map_or(u64::MAX - 1, |rate| BitRate::from_bits_per_s(rate).bytes_in(span));
            // One frame's rounding at most.
            assert!(
                link.delivered_bytes <= most + 1,
                "{}: {} carried too much",
                path.display(),
                link.name
            );
            assert!(
                link.busy_ns <= link.active_ns,
                "{}: {} busier than time",
                path.display(),
                link.name
            );
        }
        for transfer in record.transfers.iter().filter(|t| t.completion_ns.is_some()) {
            let direct = record
                .links
                .iter()
                .find(|l| l.name == format!("{}->{}", transfer.from, transfer.to));
            if let Some(link) = direct {
                assert!(transfer.handshake_ns >= Some(2 * link.delay_ns));
                assert!(transfer.completion_ns >= Some(4 * link.delay_ns));
            }
        }
    }
}

#[test]
fn every_frame_is_delivered_lost_dropped_or_still_inside() {
    for path in smoke_scenarios() {
        let record = run(&path, &[]).record;
        for link in &record.links {
            let Some(packets) = link.packets else { continue };
            let gone = packets.delivered_packets
                + packets.corrupted_packets
                + packets.lost_packets
                + packets.queue_dropped_packets
                + packets.early_dropped_packets
                + packets.down_lost_packets;
            let came = packets.offered_packets + packets.duplicated_packets;
            assert!(gone <= came, "{}: {}", path.display(), link.name);
            // The engine asserts the exact ledger, with what is inside, at every checkpoint; when a run has drained,
            // nothing is inside.
            if record.ended == longhaul_core::record::Ended::Done {
                assert_eq!(gone, came, "{}: {}", path.display(), link.name);
            }
        }
    }
}

#[test]
fn everything_sent_arrives_once() {
    for path in smoke_scenarios() {
        let record = run(&path, &[]).record;
        for transfer in record
            .transfers
            .iter()
            .filter(|t| t.progress == Progress::Completed)
        {
            assert_eq!(
                transfer.received,
                transfer.size.unwrap_or(transfer.received),
                "{}: {}",
                path.display(),
                transfer.name
            );
        }
        for migration in record
            .migrations
            .iter()
            .filter(|m| m.progress == Progress::Completed)
        {
            assert!(
                migration.verified_pages > 0,
                "{}: {}",
                path.display(),
                migration.name
            );
        }
    }
}

#[test]
fn a_sampled_migration_costs_what_the_real_one_costs() {
    let path = root().join("scenarios/smoke/migration_real.ron");
    let real = run(&path, &["payload=Real"]).record;
    let sampled = run(&path, &[r#"payload=Sampled(share: "10 %")"#]).record;
    let (real, sampled) = (&real.migrations[0], &sampled.migrations[0]);
    assert!(
        sampled.encoding.real_raw_bytes < real.encoding.real_raw_bytes / 4,
        "not sampled"
    );
    let near = |a: u64, b: u64, percent: u64| a.abs_diff(b) * 100 <= a.max(b) * percent;
    assert!(
        near(real.ram.transferred, sampled.ram.transferred, 5),
        "{} {}",
        real.ram.transferred,
        sampled.ram.transferred
    );
    let (real, sampled) = (
        real.total_time_ns.expect("completed"),
        sampled.total_time_ns.expect("completed"),
    );
    assert!(near(real, sampled, 5), "{real} {sampled}");
}

#[test]
fn the_resolved_scenario_runs_to_the_same_digest() {
    for path in smoke_scenarios() {
        let (written, resolved) = (
            run(&path, &[]).record,
            run_text(&loaded(&path, &[]).canonical).record,
        );
        assert_eq!(written.digest, resolved.digest, "{}", path.display());
        assert_eq!(
            written.scenario_hash,
            resolved.scenario_hash,
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_path_that_loses_all_on_the_way_back_fails_the_transfer_and_nothing_else() {
    let scenario = line("3 MB", "100 Mbit/s").replace(
        r#"(between: ("b", "c"), rtt: "50 ms", rate: "100 Mbit/s", queue: Bytes("64 MiB"))"#,
        r#"(from: "b", to: "c", delay: "25 ms", rate: "100 Mbit/s"),
           (from: "c", to: "b", delay: "25 ms", rate: "100 Mbit/s", loss: Independent(mean: "99.99999 %"))"#,
    );
    let record = run_text(&scenario).record;
    // Both ends of the handshake repeat themselves in vain; the accepting one gives up first.
    assert!(
        matches!(record.transfers[0].progress, Progress::Failed(_)),
        "{:?}",
        record.transfers[0]
    );
    assert_eq!(record.transfers[0].received, 0);
}
