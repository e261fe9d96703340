//! What cannot be replayed is named, all of it at once.

use longhaul_scenarios::replay::plan::{PlanError, plan};

use super::scenario;

/// What is refused of a scenario of two regions whose link from `a` to `b` has this in it.
fn refused(link: &str, rest: &str) -> Vec<String> {
    let links = format!(
        r#"(from: "a", to: "b", delay: "20 ms", {link}), (from: "b", to: "a", delay: "20 ms", rate: "10 Mbit/s")"#
    );
    match plan(&scenario("a b", &links, rest)) {
        Ok(_) => Vec::new(),
        Err(PlanError::NotReplayable(list)) => list.iter().map(ToString::to_string).collect(),
        Err(error) => panic!("{error}"),
    }
}

const TRANSFER: &str = r#"transfers: [(name: "t", from: "a", to: "b", size: "1 MB")]"#;
const PLAIN: &str = r#"rate: "10 Mbit/s""#;

#[test]
fn of_links() {
    let links = [
        r#"rate: "10 Mbit/s", queue: CoDel()"#,
        r#"rate: "10 Mbit/s", queue: FqCoDel()"#,
        r#"rate: "10 Mbit/s", queue: Htb(rate: "10 Mbit/s", default_class: 0, classes: [(class: 0, rate: "10 Mbit/s")])"#,
        r#"rate: Poisson(mean: "3 Mbit/s"), queue: Packets(10)"#,
        r#"rate: "10 Mbit/s", background: Constant(rate: "1 Mbit/s"), jitter: Uniform(max: "5 s")"#,
        r#"rate: "10 Mbit/s", jitter: Uniform(max: "5 ms"), reorder: true, duplicate: "1 %", changes: [(at: "1 s", rate: "1 Mbit/s")]"#,
        r#"rate: "10 Mbit/s", changes: [(at: "1 s", rate: "0 bit/s"), (at: "2 s", rate: "10 Mbit/s")]"#,
        r#"rate: "10 Mbit/s", changes: [(at: "1 s", rate: "1 Mbit/s"), (at: "1.01 s", rate: "10 Mbit/s")]"#,
        r#"rate: "999 bit/s", queue: Packets(1)"#,
    ];
    let all: Vec<String> = links.iter().flat_map(|link| refused(link, TRANSFER)).collect();
    pinned!(all.join("\n"));
}

#[test]
fn of_tcp_and_payload() {
    let migration = r#"vms: [(name: "v", region: "a", memory: Generated(pattern: RealWorld, size: "1 MiB"))],
        migrations: [(name: "m", vm: "v", to: "b")], payload: Sampled(share: "10 %")"#;
    let two = |one: &str, other: &str| {
        let transfer = |name: &str, tcp: &str| {
            format!(r#"(name: "{name}", from: "a", to: "b", size: "1 MB", tcp: ({tcp}))"#)
        };
        format!("transfers: [{}, {}]", transfer("t", one), transfer("u", other))
    };
    let cases = [
        migration.to_owned(),
        two("segmentation_offload: true", "hystart: false"),
        two("ecn: true", "initial_window: 20"),
        two(r#"receive_buffer: "1 MiB""#, r#"receive_buffer: "2 MiB""#),
    ];
    let all: Vec<String> = cases.iter().flat_map(|rest| refused(PLAIN, rest)).collect();
    pinned!(all.join("\n"));
    // Buffers that sockets hold by themselves do not meet.
    let fixed = |size: &str| format!(r#"receive_buffer: "{size}", autotuning: false"#);
    assert_eq!(
        refused(PLAIN, &two(&fixed("1 MiB"), &fixed("2 MiB"))),
        Vec::<String>::new()
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_its_own() {
    let links =
        r#"(between: ("a", "b"), rtt: "20 ms", rate: Recorded(file: "missing.txt"), queue: Packets(10))"#;
    let error = plan(&scenario("a b", links, TRANSFER)).unwrap_err();
    assert!(
        matches!(&error, PlanError::File(text) if text.contains("missing.txt")),
        "{error}"
    );
}
