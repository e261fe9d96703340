//! Continuous replication over the simulated network: closed forms, and what is left when sites and links are lost.

use longhaul_core::record::{Ended, Progress, ReplicationRecord, RunRecord};
use longhaul_core::time::Span;
use longhaul_scenarios::run::RunOutput;

use crate::common::run_text;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Two sites 40 ms apart, a guest of 8 MiB, and a replication with these further fields.
fn world(guest: &str, fields: &str, rest: &str) -> RunOutput {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "world", question: "q", expect: "e", seed: 9, horizon: "60 s",
            regions: [(name: "here"), (name: "there")],
            links: [(between: ("here", "there"), rtt: "40 ms", rate: "100 Mbit/s")],
            vms: [(name: "vm", region: "here", memory: Generated(pattern: RealWorld, size: "8 MiB", {guest}))],
            transport: (streams: 2, chunk: "64 KiB", window: "4 MiB"),
            replications: [(name: "dr", vms: ["vm"], to: "there", {fields})],
            {rest}
        )"#
    ))
}

const WRITES: &str = r#"dirty: (rate: "100 pages/s", working_set: "20 %")"#;
const EVERY_SECOND: &str = r#"policy: Interval("1 s"), heartbeat: (interval: "200 ms", multiplier: 5)"#;

fn only(record: &RunRecord) -> &ReplicationRecord {
    assert_eq!(record.replications.len(), 1);
    &record.replications[0]
}

/// When a kind of event first came.
fn first(output: &RunOutput, kind: &str) -> Option<u64> {
    output
        .events
        .iter()
        .find(|event| event.kind == kind)
        .map(|event| event.at_ns)
}

#[test]
fn the_recovery_point_is_a_sawtooth_between_the_delay_and_the_interval_above_it() {
    let output = world(WRITES, EVERY_SECOND, "");
    let r = only(&output.record);
    assert_eq!(
        (r.progress.clone(), output.record.ended),
        (Progress::Completed, Ended::Horizon)
    );
    assert_eq!(
        (r.epochs.applied, r.epochs.resyncs, r.epochs.interrupted),
        (60, 0, 0)
    );
    // An epoch is some ten kilobytes, which fit into the initial windows of two connections: it takes the delay, and
    // what a hundred megabits a second need for it.
    let rpo = r.vms[0].rpo.unwrap();
    let epoch = 20 * MS..25 * MS;
    assert!(epoch.contains(&(rpo.max_ns - S)), "{rpo:?}");
    assert!(epoch.contains(&(rpo.median_ns - S / 2)), "{rpo:?}");
    assert!(epoch.contains(&(rpo.p99_ns - S * 99 / 100)), "{rpo:?}");
    assert!(epoch.contains(&(rpo.mean_ns - S / 2)), "{rpo:?}");
    assert_eq!(rpo.within_target_ns, rpo.over_ns);
    // 2,048 pages, all of them real, all in the hash of every epoch.
    assert_eq!(r.epochs.verified_pages, 2_048);
    assert_eq!(r.memory, 8 << 20);
}

#[test]
fn the_first_epochs_take_what_the_link_needs_for_their_bytes() {
    let fields = r#"policy: Interval("10 s"), max_bandwidth: "4 Mbit/s""#;
    let output = world("", fields, "");
    let r = only(&output.record);
    // 30 % of the memory are zeros, the text almost nothing, the rest 24 % of the whole.
    let seed = r.seed_ns.unwrap();
    let bytes = r.encoding.encoded_bytes;
    let expected = bytes * 8 * S / 4_000_000;
    assert!(seed.abs_diff(expected) < expected / 20, "{seed} and {expected}");
    assert_eq!(r.vms[0].epochs, 6);
}

#[test]
fn what_is_lost_and_how_long_it_takes_follows_from_the_settings() {
    let fields =
        format!(r#"{EVERY_SECOND}, failover: Automatic, restore_rate: "67108864 bit/s", resume_time: "3 s""#);
    let output = world(
        WRITES,
        &fields,
        r#"faults: [Kill(region: "here", at: "20500 ms")],"#,
    );
    let r = only(&output.record);
    assert_eq!(
        (r.progress.clone(), output.record.ended),
        (Progress::Completed, Ended::Done)
    );
    let failover = r.failover.as_ref().unwrap();
    assert_eq!(failover.stopped_ns, Some(20_500 * MS));
    // Five heartbeats of 200 ms after the last one, which was sent up to 200 ms before and under way for 20 ms.
    let detection = failover.detected_ns.unwrap() - 20_500 * MS;
    assert!((820 * MS..=1_021 * MS).contains(&detection), "{detection}");
    assert_eq!(Some(failover.decided_ns), failover.detected_ns);
    // 8 MiB at 8 MiB/s, and the boot.
    assert_eq!(failover.running_ns.unwrap() - failover.decided_ns, 4 * S);
    let vm = r.vms[0].resumed.unwrap();
    assert_eq!(vm.rto_ns, detection + 4 * S);
    // The last snapshot was taken half a second before, more or less the first handshakes.
    assert!((300 * MS..500 * MS).contains(&vm.lost_ns), "{vm:?}");
    assert_eq!(
        (vm.verified_pages, failover.overlap_ns, failover.lost_vms),
        (2_048, 0, 0)
    );
    // The age of the newest epoch counts until the loss.
    let rpo = r.vms[0].rpo.unwrap();
    assert_eq!(
        rpo.over_ns,
        20_500 * MS - r.started_ns.unwrap() - r.seed_ns.unwrap()
    );
}

#[test]
fn an_automatic_fail_over_from_a_source_that_is_cut_off_never_runs_a_vm_twice() {
    let fields = format!(r#"{EVERY_SECOND}, failover: Automatic, resume_time: "1 s""#);
    let down = r#"faults: [LinkDown(between: ("here", "there"), at: "10 s", for: "8 s")],"#;
    let output = world(WRITES, &fields, down);
    let r = only(&output.record);
    let failover = r.failover.as_ref().unwrap();
    // The source stopped its VM before the replica decided, and hears of it when the link is back.
    let stopped = failover.stopped_ns.unwrap();
    assert!((10_700 * MS..=11 * S).contains(&stopped), "{stopped}");
    assert!(
        stopped <= failover.decided_ns && failover.overlap_ns == 0,
        "{failover:?}"
    );
    let fenced = first(&output, "Fenced").unwrap();
    assert!((18 * S..30 * S).contains(&fenced), "{fenced}");
    assert!(first(&output, "GuestsResumed").is_none());
}

#[test]
fn an_operator_who_does_not_wait_has_vms_twice_until_the_source_hears_of_it() {
    let fields = format!(r#"{EVERY_SECOND}, failover: Manual(at: "12 s"), resume_time: "1 s""#);
    let down = r#"faults: [LinkDown(between: ("here", "there"), at: "10 s", for: "8 s")],"#;
    let output = world(WRITES, &fields, down);
    let r = only(&output.record);
    let failover = r.failover.as_ref().unwrap();
    assert_eq!((failover.decided_ns, failover.running_ns), (12 * S, Some(13 * S)));
    let fenced = first(&output, "Fenced").unwrap();
    assert_eq!(failover.overlap_ns, fenced - 13 * S);
    assert!(failover.overlap_ns > 5 * S, "{failover:?}");
    // What it did since the last epoch before the outage is lost, and nobody was without service.
    let vm = r.vms[0].resumed.unwrap();
    assert!(vm.rto_ns == 0 && vm.lost_ns > fenced - 10 * S, "{vm:?}");
}

#[test]
fn an_operator_with_a_rule_waits_for_the_link_and_then_takes_over_from_a_site_that_is_lost() {
    let fields = format!(r#"{EVERY_SECOND}, failover: Manual(after: "10 s"), resume_time: "1 s""#);
    let faults = r#"faults: [
        LinkDown(between: ("here", "there"), at: "10 s", for: "5 s"),
        Kill(region: "here", at: "30 s"),
    ],"#;
    let output = world(WRITES, &fields, faults);
    let r = only(&output.record);
    let [outage] = r.outages[..] else {
        panic!("{:?}", r.outages)
    };
    let reconnected = outage.reconnected_ns.unwrap();
    assert!((15 * S..25 * S).contains(&reconnected), "{outage:?}");
    assert!(outage.catch_up_ns.unwrap() < 300 * MS, "{outage:?}");
    assert_eq!(r.epochs.resyncs, 0);
    let failover = r.failover.as_ref().unwrap();
    assert_eq!(failover.decided_ns - failover.detected_ns.unwrap(), 10 * S);
    // Greatest in the outage: from the last snapshot before it until the epoch after it.
    let rpo = r.vms[0].rpo.unwrap();
    assert!(
        (reconnected - 10 * S..reconnected - 10 * S + 1_300 * MS).contains(&rpo.max_ns),
        "{rpo:?}"
    );
}

#[test]
fn a_region_that_stands_still_loses_its_vms_to_the_replica() {
    let fields = format!(r#"{EVERY_SECOND}, failover: Automatic, resume_time: "1 s""#);
    let output = world(
        WRITES,
        &fields,
        r#"faults: [Pause(region: "here", at: "20 s", for: "5 s")],"#,
    );
    let failover = only(&output.record).failover.clone().unwrap();
    assert_eq!((failover.stopped_ns, failover.overlap_ns), (Some(20 * S), 0));
    assert!(first(&output, "Fenced").unwrap() >= 25 * S);
    // One that is shorter than the detection is not noticed.
    let output = world(
        WRITES,
        &fields,
        r#"faults: [Pause(region: "here", at: "20 s", for: "600 ms")],"#,
    );
    let r = only(&output.record);
    assert!(r.failover.is_none() && r.progress == Progress::Completed, "{r:?}");
}

#[test]
fn a_replica_that_is_lost_fails_the_replication_and_nothing_else() {
    let rest = r#"
        transfers: [(name: "bulk", from: "here", to: "there", size: "1 MB")],
        faults: [Kill(region: "there", at: "20 s")],
        assertions: [(metric: ReplicationSuccess, statistic: Min, bound: AtLeast(1))],"#;
    let record = world(WRITES, EVERY_SECOND, rest).record;
    let r = only(&record);
    assert_eq!(r.progress, Progress::Failed("killed in there".to_owned()));
    assert_eq!(record.transfers[0].progress, Progress::Completed);
    assert_eq!(record.verdict, longhaul_core::record::Verdict::Fail);
    assert!(r.vms[0].epochs >= 19 && r.failover.is_none());
}

#[test]
fn a_source_that_is_lost_and_nobody_takes_over_is_unfinished() {
    let record = world(
        WRITES,
        EVERY_SECOND,
        r#"faults: [Kill(region: "here", at: "20 s")],"#,
    )
    .record;
    let r = only(&record);
    assert_eq!(
        (r.progress.clone(), record.ended),
        (Progress::Unfinished, Ended::Horizon)
    );
    assert_eq!(record.verdict, longhaul_core::record::Verdict::Inconclusive);
    // Nothing ages any more.
    assert!(r.vms[0].rpo.unwrap().max_ns < Span::from_ms(1_100).as_ns());
}

#[test]
fn sampled_payload_replicates_in_the_time_of_real_payload() {
    let text = |payload: &str| {
        format!(
            r#"Scenario(
            version: 1, name: "sampled", question: "q", expect: "e", seed: 9, horizon: "20 s", payload: {payload},
            regions: [(name: "here"), (name: "there")],
            links: [(between: ("here", "there"), rtt: "40 ms", rate: "20 Mbit/s")],
            vms: [
                (name: "one", region: "here", memory: Generated(pattern: RealWorld, size: "16 MiB",
                    dirty: (rate: "500 pages/s", working_set: "30 %"))),
                (name: "two", region: "here", memory: Generated(pattern: Bursty, size: "8 MiB",
                    dirty: (rate: "300 pages/s", working_set: "30 %"))),
            ],
            transport: (streams: 2, chunk: "64 KiB", window: "4 MiB"),
            replications: [(name: "dr", vms: ["one", "two"], to: "there", consistency: Group, policy: Interval("2 s"))],
        )"#
        )
    };
    let real = run_text(&text("Real")).record;
    let sampled = run_text(&text(r#"Sampled(share: "10 %")"#)).record;
    let within = |a: u64, b: u64, percent: u64| a.abs_diff(b) * 100 <= b * percent;
    let (of_real, of_sampled) = (only(&real), only(&sampled));
    assert_eq!(of_real.epochs.verified_pages, 6_144);
    assert!((600..2_000).contains(&of_sampled.epochs.verified_pages));
    assert!(within(of_sampled.seed_ns.unwrap(), of_real.seed_ns.unwrap(), 5));
    assert!(within(of_sampled.transferred, of_real.transferred, 5));
    assert_eq!(of_sampled.epochs.applied, of_real.epochs.applied);
    assert_eq!(real.payload.synthetic_bytes, 0);
    assert!(sampled.payload.synthetic_bytes > sampled.payload.real_bytes);
}
