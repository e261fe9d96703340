//! scratch
use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation};
use crate::source;

fn run_seed(text: &str, seed: Option<u64>) -> RunOutput {
    let loaded = longhaul_scenarios::load(&source(text), &[], seed).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("builds");
    while simulation.advance(u64::MAX) {}
    simulation.finish(false)
}

#[test]
fn scratch_slow() {
    let out = run_seed(include_str!("../../smoke/slow_disk.ron"), None);
    for event in &out.events {
        if ["EpochApplied","DiskStalled","FaultInjected","FaultEnded"].contains(&&*event.kind) { println!("{} {} {}", event.at_ns as f64/1e9, event.kind, event.detail); }
    }
    println!("{:#?}", out.record.assertions);
    println!("{:?}", out.record.verdict);
}

#[test]
fn scratch_clock() {
    let text = include_str!("../../smoke/skewed_clock.ron");
    for seed in 1..40 {
        let out = run_seed(text, Some(seed));
        let logs: Vec<_> = out.record.federations.iter().map(|f| f.log.as_ref().unwrap().linearizable).collect();
        let leads: Vec<_> = out.events.iter().filter(|e| e.kind == "Leads").map(|e| (e.at_ns/1_000_000, e.entity.clone())).collect();
        println!("{seed} {logs:?} {:?} {leads:?} {:?}", out.record.verdict, out.record.bounds);
    }
}
