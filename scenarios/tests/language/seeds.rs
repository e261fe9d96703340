//! Seeds of single sources of chance: each moves the luck of its own source and of nothing else.

use longhaul_scenarios::chaos::concrete;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::schema::Fault;

use crate::read_with;

/// Calls that come by chance, over a link that loses by chance, which fails by chance.
const ALL: &str = r#"Scenario(
    version: 1, name: "luck", question: "q", expect: "e", seed: 5, horizon: "20 s",
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [
        (between: ("a", "b"), rtt: "20 ms", rate: "9 Mbit/s", loss: Independent(mean: "1 %"),
            background: Poisson(rate: "1 Mbit/s")),
        (between: ("b", "c"), rtt: "20 ms", rate: "9 Mbit/s"),
    ],
    transfers: [(name: "t", from: "a", to: "b", size: "1 MB")],
    vms: [(name: "v", region: "b", memory: Generated(pattern: Bursty, size: "2 MiB", dirty: (rate: "100 pages/s")))],
    migrations: [(name: "m", vm: "v", to: "c")],
    faults: [LinkLatency(between: ("b", "c"), extra: "60 ms", process: Poisson(every: "3 s", lasts: Exponential("1 s")))],
)"#;

fn digest(text: &str, changes: &[&str]) -> String {
    let loaded = read_with(text, changes).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a world");
    while simulation.advance(1 << 14) {}
    simulation.finish(false).record.digest
}

fn faults(changes: &[&str]) -> Vec<Fault> {
    let loaded = read_with(ALL, changes).expect("valid");
    concrete(&loaded.scenario).expect("consistent faults").faults
}

#[test]
fn a_source_without_a_seed_of_its_own_has_the_scenarios() {
    let own = ["seeds=(workload: 5, network: 5, faults: 5)"];
    assert_eq!(digest(ALL, &[]), digest(ALL, &own));
    let all = ["seed=8", "seeds=(workload: 5, network: 5, faults: 5)"];
    assert_eq!(digest(ALL, &[]), digest(ALL, &all));
    assert_ne!(digest(ALL, &[]), digest(ALL, &["seed=8"]));
}

#[test]
fn the_seed_of_each_source_moves_its_own_luck_alone() {
    for change in ["seeds.workload=6", "seeds.network=6", "seeds.faults=6"] {
        assert_ne!(digest(ALL, &[]), digest(ALL, &[change]), "{change}");
    }
    // Faults strike at the same times whoever asks for what over which network.
    assert_ne!(faults(&[]), faults(&["seeds.faults=6"]));
    assert_eq!(faults(&[]), faults(&["seeds.workload=6", "seeds.network=7"]));
    // Without loss nothing of the network is left to chance here, without guests and background nothing of the workload.
    let certain = ["links[0].loss=None", "faults=[]"];
    let network = [certain[0], certain[1], "seeds.network=6"];
    assert_eq!(digest(ALL, &certain), digest(ALL, &network));
    let quiet = ["links[0].background=None", "migrations=[]", "vms=[]", "faults=[]"];
    let workload = [quiet[0], quiet[1], quiet[2], quiet[3], "seeds.workload=6"];
    assert_eq!(digest(ALL, &quiet), digest(ALL, &workload));
    let network = [quiet[0], quiet[1], quiet[2], quiet[3], "seeds.network=6"];
    assert_ne!(digest(ALL, &quiet), digest(ALL, &network));
}

#[test]
fn seeds_stand_in_the_canonical_text_if_there_are_any() {
    let plain = read_with(ALL, &[]).unwrap();
    assert!(!plain.canonical.contains("seeds:"), "{}", plain.canonical);
    let own = read_with(ALL, &["seeds.network=6"]).unwrap();
    assert!(
        own.canonical.contains("    seeds: (network: 6),\n"),
        "{}",
        own.canonical
    );
    assert_ne!(plain.hash, own.hash);
    // A replication varies the others.
    let next = own.replication(3).scenario.seeds();
    assert_eq!((next.workload, next.network, next.faults), (8, 6, 8));
}
