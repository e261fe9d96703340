//! What users read about migrations and the guests that they move.

use longhaul_scenarios::schema::Start;

use crate::messages::{BASE, messages};
use crate::read;

const M1: &str = r#"(name: "m1", vm: "vm1", to: "south", start: After(migration: "m0")),"#;

/// The base with its first migration so.
fn with(fields: &str) -> (&'static str, String) {
    let m0 = r#"(name: "m0", vm: "vm0", to: "south"),"#;
    (m0, format!(r#"(name: "m0", vm: "vm0", to: "south", {fields}),"#))
}

/// The base with its first guest so.
fn guest(dirty: &str, more: &str) -> (&'static str, String) {
    let vm0 = r#"dirty: (rate: "100 pages/s"))),"#;
    (vm0, format!(r#"dirty: (rate: "100 pages/s"{dirty})){more}),"#))
}

fn told(changes: &[(&'static str, String)], doubts: bool) -> String {
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    messages(&changes, doubts)
}

#[test]
fn mistakes_about_migrations_and_guests() {
    let again = |to: &str| {
        (
            M1,
            format!(r#"(name: "m1", vm: "vm0", to: "{to}", start: At("1 min")),"#),
        )
    };
    let migrations = [
        "mode: Hybrid",
        "mode: Hybrid()",
        r#"mode: Hybrid(after: "1 s", rounds: 2)"#,
        "mode: Hybrid(rounds: 0)",
        "mode: Postcopy",
        r#"downtime_limit: "100 ms", stop: Xen()"#,
        r#"stop: Xen(rounds: 0)"#,
        r#"stop: DynamicRate(lowest: "0 bit/s", highest: "1 Mbit/s")"#,
        r#"stop: DynamicRate(lowest: "2 Mbit/s", highest: "1 Mbit/s")"#,
        r#"throttle: AutoConverge(initial: "20.5 %")"#,
        r#"throttle: AutoConverge(max: "100 %")"#,
        r#"throttle: AutoConverge(initial: "50 %", max: "40 %")"#,
        r#"throttle: DirtyLimit(period: "2 s")"#,
        r#"throttle: DirtyLimit(per_second: "0 B")"#,
        r#"max_bandwidth: "0 bit/s""#,
        "recover: (attempts: 0)",
        r#"stall_after: "0 s""#,
        r#"device_state: "65 GiB""#,
        "encoding: Xbzrle(), cost: Processors()",
        r#"encoding: Xbzrle(cache: "3 MiB")"#,
        r#"encoding: Zstd(level: 0)"#,
        r#"cost: Processors(threads: 0, entropy: "0 B")"#,
        "cost: Cheap",
    ];
    let guests = [
        guest(r#", locality: Zipf(exponent: 0)"#, ""),
        guest(r#", locality: HotCold(hot: "10 %")"#, ""),
        guest("", ", vcpus: 0"),
        guest("", r#", reads: (working_set: "50 %")"#),
        guest("", r#", reads: (rate: "20000000 pages/s")"#),
        guest("", r#", reads: (rate: "2 pages/s", working_set: "0 %")"#),
    ];
    let changes: Vec<_> = migrations.iter().map(|fields| with(fields)).collect();
    pinned!(told(
        &[&changes[..], &guests, &[again("north"), again("south")]].concat(),
        false
    ));
}

#[test]
fn settings_without_effect() {
    let migrations = [
        "preempt: false",
        r#"max_postcopy_bandwidth: "1 Mbit/s""#,
        r#"mode: PostCopy, downtime_limit: "1 s", throttle: AutoConverge(), max_bandwidth: "10 Mbit/s""#,
        "mode: PostCopy, stop: Xen()",
        "recover: ()",
    ];
    let idle = |list: &str| (M1, M1.replace("start", &format!("{list}, start")));
    let changes: Vec<_> = migrations.iter().map(|fields| with(fields)).collect();
    let others = [
        idle("mode: Hybrid(rounds: 1)"),
        idle("throttle: DirtyLimit()"),
        guest("", r#", reads: (rate: "5 pages/s")"#),
        guest(
            "",
            r#", reads: (rate: "0 pages/s", working_set: "50 %", locality: Uniform)"#,
        ),
        with(r#"max_bandwidth: "100 kbit/s""#),
        with(r#"orchestration: (before: "5 min", after: "5 min")"#),
    ];
    pinned!(told(&[&changes[..], &others].concat(), true));
}

#[test]
fn a_guest_may_migrate_again_once_it_has_arrived() {
    let back = r#"(name: "m1", vm: "vm0", to: "north", start: After(migration: "m0")), (name: "m2", vm: "vm1", to: "south", start: After(migration: "m1")),
        (name: "m3", vm: "vm0", to: "south", start: After(migration: "m2")),"#;
    let loaded = read(&BASE.replacen(M1, back, 1)).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let scenario = &loaded.scenario;
    let origins: Vec<&str> = (0..4).map(|index| scenario.origin(index)).collect();
    assert_eq!(origins, ["north", "south", "north", "north"]);
    let brought_by: Vec<Option<usize>> = (0..4).map(|index| scenario.brought_by(index)).collect();
    assert_eq!(brought_by, [None, Some(0), None, Some(1)]);
    assert!(matches!(&scenario.migrations[3].start, Start::After { migration, .. } if migration == "m2"));
}
