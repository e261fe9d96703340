//! Faults of disks and clocks: what may be written, and what they do to a run.

use longhaul_core::record::{EventRecord, FederationRecord, Verdict};
use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation};
use longhaul_scenarios::{Loaded, show};

use crate::{read, read_with};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

const SLOW_DISK: &str = include_str!("../../smoke/slow_disk.ron");
const SKEWED_CLOCK: &str = include_str!("../../smoke/skewed_clock.ron");

/// A federation and a replication that writes to a disk.
fn text(faults: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "f", question: "q", expect: "e", seed: 5, horizon: "2 min",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "20 ms", rate: "100 Mbit/s"),
                (between: ("b", "c"), rtt: "20 ms", rate: "100 Mbit/s"),
                (between: ("a", "c"), rtt: "20 ms", rate: "100 Mbit/s"),
            ],
            vms: [(name: "vm", region: "a", memory: Generated(pattern: RealWorld, size: "2 MiB", dirty: (rate: "50 pages/s")))],
            replications: [(name: "dr", vms: ["vm"], to: "b", policy: Interval("1 s"), write_rate: "50 Mbit/s")],
            federations: [(
                name: "log", members: ["a", "b", "c"], duration: "40 s",
                state: (every: "500 ms", keys: 20, value: "1 KiB"),
                commands: (every: "200 ms", value: "50 B", names: 4, reads: "50 %"),
                settings: (sync_interval: "1 s", retry_interval: "1 s"),
            )],
            faults: [{faults}],
        )"#
    )
}

fn run(loaded: &Loaded) -> RunOutput {
    let mut simulation = Simulation::build(loaded, RunOptions::default()).expect("a scenario that builds");
    while simulation.advance(u64::MAX) {}
    simulation.finish(false)
}

fn run_text(text: &str) -> RunOutput {
    run(&read(text).unwrap_or_else(|errors| panic!("{errors}")))
}

/// The events of a kind, whose entity begins so.
fn events<'r>(output: &'r RunOutput, entity: &'r str, kind: &'r str) -> Vec<&'r EventRecord> {
    let mut found: Vec<&EventRecord> = output.events.iter().collect();
    found.retain(|event| event.kind == kind && event.entity.starts_with(entity));
    found
}

fn number(event: &EventRecord, field: &str) -> u64 {
    let detail: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    detail[field].as_u64().expect("a number")
}

fn federation<'r>(output: &'r RunOutput, name: &str) -> &'r FederationRecord {
    let mut federations = output.record.federations.iter();
    federations
        .find(|federation| federation.name == name)
        .expect("a federation")
}

#[test]
fn an_epoch_on_a_slow_disk_takes_its_bytes_over_the_rate() {
    let output = run_text(SLOW_DISK);
    assert_eq!(output.record.verdict, Verdict::Pass);
    let epochs = events(&output, "dr", "EpochApplied");
    let (mut normal, mut slow) = (0, 0);
    for epoch in epochs {
        let (from, until) = (number(epoch, "snapshot_at"), epoch.at_ns);
        let times = match (from, until) {
            (_, ..41_000_000_000) | (71_000_000_000.., _) => 1,
            (41_000_000_000.., ..71_000_000_000) => 10,
            _ => continue,
        };
        let disk = number(epoch, "pages") * 4_096 * 8 * 1_000 / 200 * times;
        // The first frame is on its way for 10 ms, after a handshake for the seed, and may take a round trip more.
        let most = disk + 40 * MS;
        let took = until - from;
        assert!((disk..=most).contains(&took), "{took} ns for {disk} ns at {from}");
        if times > 1 { slow += 1 } else { normal += 1 }
    }
    assert!(normal >= 15 && slow == 5, "{normal} and {slow}");
    // Without the fault the target holds all the time.
    let well = read_with(SLOW_DISK, &["faults=[]"]).unwrap_or_else(|errors| panic!("{errors}"));
    let rpo = run(&well).record.replications[0].vms[0]
        .rpo
        .expect("a recovery point");
    assert!(
        rpo.within_target_ns == rpo.over_ns && rpo.max_ns < 5_600 * MS,
        "{rpo:?}"
    );
}

#[test]
fn reads_by_lease_are_stale_with_a_clock_that_drifts_too_far_and_only_then() {
    let output = run_text(SKEWED_CLOCK);
    assert_eq!(output.record.verdict, Verdict::Pass);
    let fits = |output: &RunOutput, name: &str| {
        let log = federation(output, name).log.as_ref().expect("a log");
        log.linearizable.expect("a verdict")
    };
    assert_eq!(
        (fits(&output, "trusting"), fits(&output, "careful")),
        (false, true)
    );
    let with =
        |changes: &[&str]| run(&read_with(SKEWED_CLOCK, changes).unwrap_or_else(|errors| panic!("{errors}")));
    // It is the bound that makes the difference.
    for seed in ["seed=2", "seed=11"] {
        let output = with(&[seed]);
        assert_eq!(
            (fits(&output, "trusting"), fits(&output, "careful")),
            (false, true),
            "{seed}"
        );
        let output = with(&[
            seed,
            "federations[trusting].settings.consensus.lease_drift_ppm=400000",
        ]);
        assert_eq!(
            (fits(&output, "trusting"), fits(&output, "careful")),
            (true, true),
            "{seed}"
        );
    }
    // A clock within its bound is no danger, however it is cut off, nor is one that is only ahead.
    for changes in [
        ["faults[0].drift_ppm=-100", "faults[1].drift_ppm=-400000"],
        ["faults[0].drift_ppm=400000", "faults[1].drift_ppm=400000"],
    ] {
        let output = with(&changes);
        assert!(
            fits(&output, "trusting") && fits(&output, "careful"),
            "{changes:?}"
        );
    }
    let skew = SKEWED_CLOCK.replace("drift_ppm: -400000", "ahead: \"1 h\"");
    let output = run_text(&skew);
    assert!(fits(&output, "trusting") && fits(&output, "careful"));
}

#[test]
fn a_member_whose_disk_fails_ends_and_comes_back_with_what_was_durable() {
    let fault = r#"Disk(federation: "log", member: "b", suffers: Failed, at: "10 s", for: "12 s")"#;
    let output = run_text(&text(fault));
    let failed = events(&output, "log/b", "DiskFailed");
    assert_eq!(failed.len(), 1, "it ends once");
    assert!(
        (10 * S..11 * S).contains(&failed[0].at_ns),
        "with the first write: {failed:?}"
    );
    let restarted = events(&output, "log/b", "Restarted");
    assert_eq!(
        restarted.iter().map(|event| event.at_ns).collect::<Vec<_>>(),
        [22 * S]
    );
    let record = federation(&output, "log");
    assert_eq!(record.clusters[1].lives, 2);
    assert_eq!(record.clusters[1].down_ns, 22 * S - failed[0].at_ns);
    assert!(
        record.total_time_ns.is_some(),
        "all are equal in the end: {record:?}"
    );
    assert_eq!(record.log.as_ref().and_then(|log| log.linearizable), Some(true));
    // A region that is killed meanwhile comes back before its disk works, and the cluster when it does.
    let both = format!(r#"{fault}, Kill(region: "b", at: "12 s", for: "3 s")"#);
    let output = run_text(&text(&both));
    let restarted = events(&output, "log/b", "Restarted");
    assert_eq!(
        restarted.iter().map(|event| event.at_ns).collect::<Vec<_>>(),
        [22 * S]
    );
    // And one that is killed when the disk begins to work hears of it when it is started.
    let both = format!(r#"{fault}, Kill(region: "b", at: "21 s", for: "5 s")"#);
    let output = run_text(&text(&both));
    let restarted = events(&output, "log/b", "Restarted");
    assert_eq!(
        restarted.iter().map(|event| event.at_ns).collect::<Vec<_>>(),
        [26 * S]
    );
    assert!(federation(&output, "log").total_time_ns.is_some());
}

#[test]
fn a_member_without_space_refuses_updates_and_goes_on_later() {
    let faults = r#"
        Disk(name: "fills", federation: "log", member: "a", suffers: Full, at: "8 s", for: "10 s"),
        Disk(name: "again", federation: "log", member: "a", suffers: Full, at: "15 s", for: "10 s"),
        Pause(region: "a", at: "24 s", for: "3 s"),
    "#;
    let output = run_text(&text(faults));
    let full: Vec<u64> = events(&output, "log/a", "DiskFull")
        .iter()
        .map(|event| event.at_ns)
        .collect();
    assert_eq!(full, [8 * S]);
    // It stands still when there is space, and hears of it when it goes on.
    let space = events(&output, "log/a", "DiskHasSpace");
    assert_eq!(
        space.iter().map(|event| event.at_ns).collect::<Vec<_>>(),
        [27 * S]
    );
    let refused = number(space[0], "refused");
    // Clients update every 500 ms in the mean, for 16 s.
    assert!((15..50).contains(&refused), "{refused}");
    let record = federation(&output, "log");
    assert_eq!(record.state.refused, refused);
    assert_eq!(record.clusters[0].lives, 1);
    assert!(record.total_time_ns.is_some());
    assert!(
        events(&output, "log", "Disconnected")
            .iter()
            .all(|event| event.at_ns > 24 * S)
    );
}

#[test]
fn a_replica_without_a_working_disk_acknowledges_nothing() {
    let fault = r#"Disk(replication: "dr", suffers: Full, at: "10500 ms", for: "20 s")"#;
    let output = run_text(&text(fault));
    let at: Vec<u64> = events(&output, "dr", "EpochApplied")
        .iter()
        .map(|event| event.at_ns)
        .collect();
    assert!(!at.iter().any(|at| (10_500 * MS..30_500 * MS).contains(at)));
    let rpo = output.record.replications[0].vms[0]
        .rpo
        .expect("a recovery point");
    // The newest epoch was of 10 s, and the one of 11 s waits for the disk.
    assert!((20_400 * MS..20_600 * MS).contains(&rpo.max_ns), "{rpo:?}");
    assert_eq!(events(&output, "dr", "DiskStalled")[0].at_ns, 10_500 * MS);
    assert_eq!(number(events(&output, "dr", "DiskWrites")[0], "after"), 20 * S);
}

/// Everything that disks and clocks can suffer, by chance.
const RANDOM: &str = r#"
    Disk(federation: "log", member: "a", suffers: Slow(times: 40.5), process: Poisson(every: "8 s", lasts: Exponential("3 s")), recovery: Gradual(steps: 3, step: "200 ms")),
    Disk(federation: "log", member: "b", suffers: Full, process: Poisson(every: "10 s", lasts: Constant("2 s"))),
    Disk(federation: "log", member: "c", suffers: Failed, process: Poisson(every: "12 s", lasts: Constant("1 s"))),
    Disk(replication: "dr", suffers: Slow(times: 8), process: Chance(every: "1 s", probability: "20 %"), recovery: Manual),
    Recover(fault: "slow-disk-dr", at: "20 s"),
    Clock(federation: "log", member: "a", ahead: "300 ms", process: Bursts(every: "9 s", more: "50 %", gap: Constant("1 s"), lasts: Constant("1 s"))),
    Clock(federation: "log", member: "b", behind: "200 ms", at: "3 s", for: "20 s"),
    Clock(federation: "log", member: "b", drift_ppm: -1500.125, process: Alternating(up: Exponential("5 s"), down: Exponential("5 s"))),
"#;

#[test]
fn what_was_drawn_gives_the_same_run_again() {
    let first = run_text(&text(RANDOM));
    let faults = first.faults.expect("a schedule");
    assert!(!faults.contains("process"), "{faults}");
    for kind in [
        "Slow(times: 40.5)",
        "suffers: Full",
        "suffers: Failed",
        "ahead: ",
        "behind: ",
        "drift_ppm: -1500.125",
    ] {
        assert!(faults.contains(kind), "{kind}: {faults}");
    }
    let list = faults[faults.find('[').expect("a list") + 1..]
        .trim_end()
        .trim_end_matches(']');
    let again = run_text(&text(list));
    assert_eq!(again.record.digest, first.record.digest);
    // Each of them changes something.
    for line in RANDOM
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("Disk") || line.starts_with("Clock"))
    {
        let mut fewer = RANDOM.replacen(line, "", 1);
        if line.contains("replication") {
            fewer = fewer.replacen(r#"Recover(fault: "slow-disk-dr", at: "20 s"),"#, "", 1);
        }
        assert_ne!(
            run_text(&text(&fewer)).record.digest,
            first.record.digest,
            "{line}"
        );
    }
}

#[test]
fn the_canonical_text_says_the_same() {
    let first = read(&text(RANDOM)).unwrap_or_else(|errors| panic!("{errors}"));
    let second = read(&show::canonical(&first.scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(first.scenario, second.scenario);
}

#[test]
fn what_is_not_there_or_does_nothing_is_refused() {
    let disk = |what: &str| format!(r#"Disk({what}, at: "2 s", for: "1 s")"#);
    let clock =
        |what: &str| format!(r#"Clock(federation: "log", member: "a", {what}, at: "2 s", for: "1 s")"#);
    let cases = [
        (
            disk(r#"federation: "lo", member: "a", suffers: Full"#),
            "no federation is named `lo`",
        ),
        (
            disk(r#"federation: "log", member: "d", suffers: Full"#),
            "no region is named `d`",
        ),
        (disk(r#"federation: "log", suffers: Full"#), "`member`"),
        (
            disk(r#"replication: "d", suffers: Full"#),
            "no replication is named `d`",
        ),
        (
            disk(r#"replication: "dr", federation: "log", member: "a", suffers: Full"#),
            "one disk",
        ),
        (
            disk(r#"replication: "dr", member: "a", suffers: Full"#),
            "no members",
        ),
        (disk("suffers: Full"), "`federation`"),
        (disk(r#"replication: "dr""#), "`suffers`"),
        (
            disk(r#"replication: "dr", suffers: Slow(times: -2)"#),
            "-2 is out of range: 1.0 to 1000000.0",
        ),
        (
            disk(r#"replication: "dr", suffers: Slow(times: 0.5)"#),
            "out of range",
        ),
        (
            disk(r#"replication: "dr", suffers: Slow(times: 1.0005)"#),
            "at most three decimals",
        ),
        (
            disk(r#"replication: "dr", suffers: Slow(times: 1)"#),
            "changes nothing",
        ),
        (disk(r#"replication: "dr", suffers: Broken"#), "Slow(times: 20)"),
        (clock("drift_ppm: 1000001"), "out of range"),
        (clock("drift_ppm: -1000000"), "stands still"),
        (clock("drift_ppm: 0"), "changes nothing"),
        (clock("drift_ppm: 0.0001"), "at most three decimals"),
        (clock(r#"ahead: "-1 s""#), "ahead"),
        (clock(r#"ahead: "0 s""#), "out of range"),
        (
            clock(r#"ahead: "1 s", drift_ppm: 5"#),
            "one of `ahead`, `behind` and `drift_ppm`",
        ),
        (clock(r#"name: "c""#), "`ahead`"),
    ];
    for (fault, message) in cases {
        let refused = read(&text(&fault)).map(|_| ()).expect_err(&fault).render(false);
        assert!(refused.contains(message), "{fault}: {refused}");
    }
    let two = text("").replacen(r#"["a", "b", "c"]"#, r#"["a", "b"]"#, 1);
    let fault = disk(r#"federation: "log", member: "c", suffers: Full"#);
    let refused = read(&two.replace("faults: []", &format!("faults: [{fault}]")));
    let refused = refused.map(|_| ()).expect_err("no cluster").render(false);
    assert!(refused.contains("`log` has no cluster in `c`"), "{refused}");
    let no_disk =
        text(&disk(r#"replication: "dr", suffers: Full"#)).replace(r#", write_rate: "50 Mbit/s""#, "");
    let refused = read(&no_disk).map(|_| ()).expect_err("no disk").render(false);
    assert!(
        refused.contains("`dr` writes to no disk: give it a `write_rate`"),
        "{refused}"
    );
    let at_once = text(&disk(
        r#"federation: "log", member: "a", suffers: Slow(times: 3)"#,
    ))
    .replace(
        r#"sync_interval: "1 s""#,
        r#"sync_interval: "1 s", durable_after: "0 s", consensus: Raft(disk_sync: "0 s")"#,
    );
    let refused = read(&at_once).map(|_| ()).expect_err("no time").render(false);
    assert!(refused.contains("writes of `log` take no time"), "{refused}");
}
