//! What users read about replications.

use crate::read;

const BASE: &str = r#"Scenario(
    version: 1,
    name: "base",
    question: "Does it read?",
    expect: "It does.",
    horizon: "1 h",
    regions: [(name: "north"), (name: "south"), (name: "island")],
    links: [
        (between: ("north", "south"), rtt: "80 ms", rate: "100 Mbit/s"),
    ],
    vms: [
        (name: "db", region: "north", memory: Generated(pattern: RealWorld, size: "64 MiB", dirty: (rate: "100 pages/s"))),
        (name: "web", region: "north", memory: Generated(pattern: RealWorld, size: "64 MiB")),
        (name: "far", region: "south", memory: Generated(pattern: RealWorld, size: "64 MiB")),
    ],
    migrations: [(name: "move", vm: "far", to: "north")],
    replications: [
        (name: "dr", vms: ["db", "web"], to: "south", policy: Interval("30 s"), failover: Manual(after: "1 min")),
    ],
    assertions: [(metric: ReplicationRpoMax, statistic: Max, bound: AtMost("40 s"))],
)
"#;

/// The messages about the base with each of the changes.
fn messages(changes: &[(&str, &str)], doubts: bool) -> String {
    let mut out = String::new();
    for (from, to) in changes {
        assert!(BASE.contains(from), "{from}");
        let rendered = match read(&BASE.replacen(from, to, 1)) {
            Err(errors) if !doubts => errors.render(false),
            Ok(loaded) if doubts && !loaded.warnings.is_empty() => loaded.warnings.render(false),
            Ok(loaded) => panic!("{from} → {to}: accepted, {}", loaded.warnings),
            Err(errors) => panic!("{from} → {to}: {errors}"),
        };
        out.push_str(&format!("======== {from}  →  {to}\n{rendered}\n"));
    }
    out
}

#[test]
fn the_base_has_nothing_but_an_unused_region() {
    let loaded = read(BASE).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.warnings.items().len(), 1, "{}", loaded.warnings);
}

#[test]
fn mistakes_in_replications() {
    pinned!(messages(
        &[
            (r#"["db", "web"]"#, "[]"),
            (r#"["db", "web"]"#, r#"["db", "wep"]"#),
            (r#"["db", "web"]"#, r#"["db", "db"]"#),
            (r#"["db", "web"]"#, r#"["db", "far"]"#),
            (r#"to: "south""#, r#"to: "north""#),
            (r#"to: "south""#, r#"to: "island""#),
            (r#"name: "dr""#, r#"name: "move""#),
            (r#"policy: Interval("30 s")"#, r#"policy: Interval("0 s")"#),
            (r#"policy: Interval("30 s")"#, r#"policy: Every("30 s")"#),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Continuous(least: "1 s")"#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Adaptive(least: "1 min", most: "30 s"), rpo_target: "5 min""#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), rpo_target: "30 s""#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), snapshot_pause: "30 s""#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), encode_threads: 0"#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), heartbeat: (multiplier: 0)"#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), backoff: (first: "1 min")"#
            ),
            (r#"Manual(after: "1 min")"#, "Automatic()"),
            (r#"Manual(after: "1 min")"#, "Never"),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), at: "2 h""#
            ),
            (r#"bound: AtMost("40 s")"#, "bound: AtMost(40)"),
            (
                r#"statistic: Max, bound"#,
                r#"statistic: Max, scope: Only("rd"), bound"#
            ),
        ],
        false
    ));
}

#[test]
fn doubts_about_replications() {
    pinned!(messages(
        &[
            (
                r#"failover: Manual(after: "1 min")"#,
                r#"resume_time: "5 s", restore_rate: "1 Gbit/s""#
            ),
            (r#"["db", "web"]"#, r#"["db"], consistency: Group"#),
            (r#"Manual(after: "1 min")"#, r#"Manual(at: "1 h")"#),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), heartbeat: (interval: "20 ms", multiplier: 4)"#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), max_bandwidth: "10 kbit/s""#
            ),
            (
                r#"policy: Interval("30 s")"#,
                r#"policy: Interval("30 s"), transport: (streams: 1, tcp: (receive_buffer: "64 KiB"))"#
            ),
        ],
        true
    ));
}
