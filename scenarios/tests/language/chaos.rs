//! Faults of the network: what is drawn, what overlaps, and what it does to a run.

use longhaul_core::record::{Progress, Verdict};
use longhaul_core::time::Span;
use longhaul_scenarios::chaos::{Concrete, concrete};
use longhaul_scenarios::hunt::{FaultClass, Hunt, HuntError, hunt};
use longhaul_scenarios::parallel::Unwatched;
use longhaul_scenarios::replay::plan::plan;
use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation};
use longhaul_scenarios::schema::{Fault, Loss, Scenario};
use longhaul_scenarios::show;

use crate::{read, read_with};

/// Links 0 and 1 join a and b, 2 and 3 join b and c, 4 and 5 join a and c the long way.
fn text(faults: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "f", question: "q", expect: "e", seed: 5, horizon: "1 min", reroute_after: "300 ms",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "20 ms", rate: "9 Mbit/s", queue: Packets(100), loss: Independent(mean: "0.1 %")),
                (between: ("b", "c"), rtt: "20 ms", rate: "9 Mbit/s", queue: Packets(100)),
                (between: ("a", "c"), rtt: "90 ms", rate: "9 Mbit/s", queue: Packets(100)),
            ],
            transfers: [(name: "t", from: "a", to: "b", size: "8 MB"), (name: "u", from: "c", to: "a", size: "4 MB")],
            faults: [{faults}],
        )"#
    )
}

fn laid_out(faults: &str) -> Concrete {
    let loaded = read(&text(faults)).unwrap_or_else(|errors| panic!("{errors}"));
    concrete(&loaded.scenario).expect("consistent faults")
}

/// Name, beginning and end in milliseconds of what is down.
fn down(concrete: &Concrete) -> Vec<(String, u64, Option<u64>)> {
    let ms = |span: Span| span.as_ns() / 1_000_000;
    let faults = concrete.scenario.faults.iter().map(|fault| match fault {
        Fault::LinkDown(down) => (down.link(), ms(down.at), down.end().map(ms)),
        Fault::Kill(kill) => (kill.region.clone(), ms(kill.at), kill.end().map(ms)),
        other => panic!("{other:?} is left"),
    });
    let mut found: Vec<_> = faults.collect();
    found.sort();
    found
}

fn run(text: &str) -> RunOutput {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a scenario that builds");
    while simulation.advance(u64::MAX) {}
    // Checks conservation in every link.
    simulation.finish(false)
}

fn digest(text: &str) -> String {
    run(text).record.digest.clone()
}

#[test]
fn without_such_faults_a_scenario_stays_as_it_is() {
    let plain = r#"LinkDown(between: ("a", "b"), at: "1 s", for: "2 s"), Pause(region: "b", at: "1 s")"#;
    let concrete = laid_out(plain);
    assert_eq!(concrete.scenario, read(&text(plain)).expect("valid").scenario);
    assert!(concrete.faults.is_empty() && concrete.told.is_empty());
    assert_eq!(run(&text(plain)).faults, None);
}

#[test]
fn a_partition_cuts_the_links_between_two_groups() {
    let cut = |more: &str| {
        down(&laid_out(&format!(
            r#"Partition(between: (["a"], ["b", "c"]), {more} at: "1 s", for: "2 s")"#
        )))
    };
    let at = |link: &str| (link.to_owned(), 1000, Some(3000));
    assert_eq!(cut(""), ["a->b", "a->c", "b->a", "c->a"].map(at));
    assert_eq!(cut("one_way: true,"), ["a->b", "a->c"].map(at));
}

#[test]
fn what_overlaps_is_down_until_the_last_cause_is_gone() {
    let faults = r#"
        LinkDown(from: "a", to: "b", at: "1 s", for: "2 s"),
        SharedRisk(name: "duct", links: [("a", "b")], at: "2 s", for: "3 s"),
        SharedRisk(name: "duct", links: [("a", "b")], at: "5 s", for: "1 s"),
        Partition(between: (["a"], ["b"]), one_way: true, at: "8 s", recovery: Manual),
        Recover(fault: "partition-a-from-b", at: "9 s"),
        RegionDown(region: "c", at: "20 s", for: "5 s"),
        Kill(region: "c", at: "22 s"),
    "#;
    let expected = [
        ("a->b", 1000, Some(6000)),
        ("a->b", 8000, Some(9000)),
        ("a->c", 20000, Some(25000)),
        ("b->a", 2000, Some(6000)),
        ("b->c", 20000, Some(25000)),
        ("c", 20000, None),
        ("c->a", 20000, Some(25000)),
        ("c->b", 20000, Some(25000)),
    ];
    let expected = expected.map(|(name, at, end)| (name.to_owned(), at, end));
    assert_eq!(down(&laid_out(faults)), expected);
}

#[test]
fn latency_fades_step_by_step_on_top_of_a_links_own_delay() {
    let faults = r#"LinkLatency(from: "a", to: "b", impact: High, at: "2 s", for: "3 s", recovery: Gradual()),
        LinkLatency(name: "within", from: "a", to: "b", extra: "700 ms", at: "3 s", for: "1 s")"#;
    let concrete = laid_out(faults);
    let changes = &concrete.scenario.links[0].changes;
    let steps: Vec<(u64, u64)> = changes
        .iter()
        .map(|step| {
            assert!(step.rate.is_none() && step.loss.is_none());
            let delay = step.delay.expect("a delay");
            (step.at.as_ns() / 1_000_000, delay.as_ns() / 1_000_000)
        })
        .collect();
    let expected = [
        (2_000, 510),
        (3_000, 710),
        (4_000, 510),
        (7_000, 410),
        (9_000, 310),
        (11_000, 210),
        (13_000, 110),
        (15_000, 10),
    ];
    assert_eq!(steps, expected);
    assert!(concrete.scenario.links[1].changes.is_empty());
    assert!(concrete.scenario.faults.is_empty());
}

#[test]
fn limits_and_losses_join_what_a_link_does_by_itself() {
    let faults = r#"LinkBandwidth(from: "a", to: "b", rate: "5 Mbit/s", at: "15 s", for: "20 s"),
        LinkLoss(from: "a", to: "b", probability: "50 %", at: "25 s", for: "1 s")"#;
    let changing = text(faults).replace(
        r#"loss: Independent(mean: "0.1 %")"#,
        r#"loss: Independent(mean: "20 %"), changes: [(at: "4 s", rate: "3 Mbit/s"), (at: "8 s", rate: "9 Mbit/s")], period: "10 s""#,
    );
    let scenario = read(&changing)
        .unwrap_or_else(|errors| panic!("{errors}"))
        .scenario;
    let concrete = concrete(&scenario).expect("consistent faults");
    let mut rates = Vec::new();
    let mut losses = Vec::new();
    for step in &concrete.scenario.links[0].changes {
        let at = step.at.as_ns() / 1_000_000_000;
        rates.extend(step.rate.map(|rate| (at, rate.as_bits_per_s() / 1_000_000)));
        losses.extend(step.loss.map(|loss| (at, loss)));
    }
    let expected = [
        (4, 3),
        (8, 9),
        (14, 3),
        (18, 5),
        (24, 3),
        (28, 5),
        (34, 3),
        (38, 9),
        (44, 3),
        (48, 9),
        (54, 3),
        (58, 9),
    ];
    assert_eq!(rates, expected);
    let law = |text: &str| Loss::Independent(text.parse().expect("a probability"));
    assert_eq!(losses, [(25, law("60 %")), (26, law("20 %"))]);
    assert_eq!(concrete.scenario.links[0].period, None);
}

/// All kinds, all processes, all recoveries.
const RANDOM: &str = r#"
    LinkLatency(between: ("a", "b"), extra: "60 ms", process: Poisson(every: "3 s", lasts: Exponential("1 s")), recovery: Gradual(steps: 3, step: "200 ms")),
    LinkLoss(from: "a", to: "b", impact: Low, process: Bursts(every: "5 s", more: "60 %", gap: Constant("500 ms"), lasts: Constant("200 ms"))),
    LinkBandwidth(from: "c", to: "a", rate: "2 Mbit/s", process: Alternating(up: Weibull(mean: "3 s", shape: 1.5), down: LogNormal(mean: "2 s", sigma: 0.5))),
    Partition(name: "cut", between: (["a"], ["b"]), process: Chance(every: "1 s", probability: "60 %"), recovery: Manual),
    Recover(fault: "cut", at: "2500 ms"),
    Recover(fault: "cut", at: "4 s"),
    Recover(fault: "cut", at: "4100 ms"),
    SharedRisk(links: [("b", "c")], process: Poisson(every: "4 s", lasts: Constant("700 ms"))),
    Pause(region: "c", at: "2 s", for: "300 ms"),
"#;

#[test]
fn the_schedule_that_was_drawn_gives_the_same_run_again() {
    let first = run(&text(RANDOM));
    let faults = first.faults.expect("a schedule");
    assert!(!faults.contains("process"), "{faults}");
    for kind in [
        "LinkLatency",
        "LinkLoss",
        "LinkBandwidth",
        "Partition",
        "SharedRisk",
        "Recover",
        "Pause",
    ] {
        assert!(faults.contains(kind), "{kind}: {faults}");
    }
    let again = text("").replace("faults: []", &format!("faults: {faults}"));
    // Nothing of the faults is left to the seed.
    let second = run(&again);
    assert_eq!(second.record.digest, first.record.digest);
    assert_eq!(second.events, first.events);
    assert_eq!(second.faults, Some(faults));
    let injected = first
        .events
        .iter()
        .filter(|event| event.kind == "FaultInjected")
        .count();
    assert!(injected > 5, "{injected}");
}

#[test]
fn a_schedule_depends_on_the_seed_and_on_no_other_fault() {
    let drawn = |faults: &str, seed: &str| {
        let loaded = read_with(&text(faults), &[seed]).unwrap_or_else(|errors| panic!("{errors}"));
        concrete(&loaded.scenario).expect("consistent faults").faults
    };
    let (one, other) = (drawn(RANDOM, "seed=5"), drawn(RANDOM, "seed=6"));
    assert_ne!(one, other);
    let loss = |faults: &[Fault]| {
        let losses = faults.iter().filter_map(Fault::network);
        let losses = losses.filter(|fault| fault.name == "loss-a-to-b");
        losses.map(|fault| fault.timing.clone()).collect::<Vec<_>>()
    };
    let alone = RANDOM
        .lines()
        .find(|line| line.contains("LinkLoss"))
        .expect("a fault");
    let alone = drawn(alone, "seed=5");
    assert!(alone.len() > 3);
    assert_eq!(loss(&alone), loss(&one));
    // A replication has a seed of its own.
    let loaded = read(&text(RANDOM)).expect("valid").replication(1);
    assert_eq!(
        concrete(&loaded.scenario).expect("consistent faults").faults,
        other
    );
}

#[test]
fn faults_are_felt_and_told() {
    let time = |faults: &str| {
        let output = run(&text(faults));
        let transfer = &output.record.transfers[0];
        assert_eq!(transfer.progress, Progress::Completed, "{faults}");
        let told: Vec<(u64, String)> = output
            .events
            .iter()
            .filter(|event| event.kind.starts_with("Fault"))
            .map(|event| {
                (
                    event.at_ns / 1_000_000,
                    format!("{} {}", event.entity, event.kind),
                )
            })
            .collect();
        (transfer.completion_ns.expect("completed") as f64 / 1e9, told)
    };
    let (whole, told) = time("");
    assert!(told.is_empty());
    let (narrow, told) = time(
        r#"LinkBandwidth(from: "a", to: "b", rate: "3 Mbit/s", at: "1 s", for: "6 s", recovery: Gradual(steps: 2, step: "100 ms"))"#,
    );
    let expected = [
        (1000, "bandwidth-a-to-b FaultInjected".to_owned()),
        (7000, "bandwidth-a-to-b FaultFades".to_owned()),
        (7200, "bandwidth-a-to-b FaultEnded".to_owned()),
    ];
    assert_eq!(told, expected);
    // Six seconds at a third of the rate cost four.
    assert!((3.0..5.5).contains(&(narrow - whole)), "{whole} {narrow}");
    let (lossy, _) = time(r#"LinkLoss(from: "a", to: "b", impact: Medium, at: "1 s", for: "6 s")"#);
    assert!(lossy > whole + 0.5, "{whole} {lossy}");
    let (late, _) = time(r#"LinkLatency(from: "b", to: "a", impact: High, at: "1 s", for: "6 s")"#);
    assert!(late > whole + 0.2, "{whole} {late}");
    // The way round over c is found after the routers know.
    let (cut, _) = time(r#"Partition(between: (["a"], ["b"]), at: "1 s", for: "3 s")"#);
    assert!(cut > whole + 0.3, "{whole} {cut}");
}

#[test]
fn a_region_without_power_loses_its_machines_and_its_links() {
    let output = run(&text(r#"RegionDown(region: "c", at: "1 s", for: "3 s")"#));
    let kinds: Vec<(&str, &str)> = output
        .events
        .iter()
        .filter(|event| event.at_ns == 1_000_000_000)
        .map(|event| (event.entity.as_str(), event.kind.as_str()))
        .collect();
    for expected in [
        ("region-c", "FaultInjected"),
        ("c", "Killed"),
        ("b->c", "LinkDown"),
        ("c->a", "LinkDown"),
    ] {
        assert!(kinds.contains(&expected), "{expected:?}: {kinds:?}");
    }
    assert!(matches!(output.record.transfers[1].progress, Progress::Failed(_)));
    assert_eq!(output.record.transfers[0].progress, Progress::Completed);
}

#[test]
fn every_field_changes_the_run() {
    let before = digest(&text(RANDOM));
    let changes = [
        ("extra: \"60 ms\"", "extra: \"61 ms\""),
        ("between: (\"a\", \"b\"), extra", "from: \"a\", to: \"b\", extra"),
        ("extra: \"60 ms\"", "impact: Low"),
        ("every: \"3 s\"", "every: \"2 s\""),
        ("Exponential(\"1 s\")", "Exponential(\"1100 ms\")"),
        ("Exponential(\"1 s\")", "Constant(\"1 s\")"),
        ("steps: 3", "steps: 4"),
        ("step: \"200 ms\"", "step: \"250 ms\""),
        ("impact: Low", "impact: Medium"),
        ("impact: Low", "probability: \"2 %\""),
        ("more: \"60 %\"", "more: \"90 %\""),
        ("gap: Constant(\"500 ms\")", "gap: Constant(\"400 ms\")"),
        ("lasts: Constant(\"200 ms\")", "lasts: Constant(\"300 ms\")"),
        ("rate: \"2 Mbit/s\"", "rate: \"1 Mbit/s\""),
        ("shape: 1.5", "shape: 0.8"),
        ("sigma: 0.5", "sigma: 0.9"),
        ("mean: \"3 s\"", "mean: \"2 s\""),
        ("mean: \"2 s\"", "mean: \"3 s\""),
        ("probability: \"60 %\"", "probability: \"10 %\""),
        ("every: \"1 s\"", "every: \"900 ms\""),
        ("([\"a\"], [\"b\"])", "([\"a\"], [\"c\"])"),
        (
            "between: ([\"a\"], [\"b\"])",
            "between: ([\"a\"], [\"b\"]), one_way: true",
        ),
        ("at: \"2500 ms\"", "at: \"2600 ms\""),
        ("[(\"b\", \"c\")]", "[(\"b\", \"c\"), (\"a\", \"c\")]"),
        ("name: \"cut\"", "name: \"other\""),
    ];
    for (from, to) in changes {
        let mut changed = RANDOM.replacen(from, to, 1);
        if to.contains("other") {
            changed = changed.replace("fault: \"cut\"", "fault: \"other\"");
        }
        assert_ne!(changed, RANDOM, "{from} is not there");
        assert_ne!(digest(&text(&changed)), before, "{from} -> {to}");
    }
}

#[test]
fn a_replay_refuses_them_by_name() {
    let loaded = read(&text(
        r#"LinkLoss(name: "worn", from: "a", to: "b", impact: Low, at: "1 s")"#,
    ))
    .expect("valid");
    let refusal = plan(&loaded).expect_err("refused").to_string();
    assert!(
        refusal.contains("faults[0]: `worn` is only simulated"),
        "{refusal}"
    );
}

/// A transfer that must be done in time, and that only a long failure of both ways can hold up so long.
fn prey(bound: &str) -> String {
    text("").replace(
        "faults: []",
        &format!(
            r#"assertions: [(metric: TransferCompletionTime, statistic: Max, bound: AtMost("{bound}"))]"#
        ),
    )
}

#[test]
fn a_hunt_finds_the_fewest_faults_that_make_a_scenario_fail() {
    let loaded = read(&prey("20 s")).unwrap_or_else(|errors| panic!("{errors}"));
    let how = |threads| Hunt {
        schedules: 200,
        threads,
        ..Hunt::default()
    };
    let hunted = hunt(&loaded, &how(1), &Unwatched).expect("a hunt");
    let found = hunted.found.expect("something that holds the transfers up");
    assert!(found.is_complete && (1..=3).contains(&found.faults), "{found:?}");
    assert!(found.faults <= found.faults_before);
    // What was written fails, and passes without any one of its faults.
    let small = read(&found.scenario).unwrap_or_else(|errors| panic!("{errors}"));
    let passes = |scenario: &Scenario| {
        let output = run(&show::canonical(scenario));
        output.record.verdict != Verdict::Fail
    };
    assert!(!passes(&small.scenario));
    assert_eq!(small.scenario.faults.len(), found.faults);
    for left_out in 0..found.faults {
        let mut fewer = small.scenario.clone();
        fewer.faults.remove(left_out);
        assert!(passes(&fewer), "{left_out}: {}", found.scenario);
    }
    // Threads change nothing.
    let again = hunt(&loaded, &how(2), &Unwatched)
        .expect("a hunt")
        .found
        .expect("the same");
    assert_eq!((again.number, again.scenario), (found.number, found.scenario));
}

#[test]
fn what_fails_by_its_seed_alone_is_passed_over() {
    let time = |number: u64| {
        let record = run(&prey("59 s").replace("seed: 5", &format!("seed: {}", 5 + number))).record;
        let times = record.transfers.iter().map(|transfer| transfer.completion_ns);
        times.max().flatten().expect("done")
    };
    let times: Vec<u64> = (0..12).map(time).collect();
    let bound = times[0];
    let slower = times.iter().filter(|time| **time > bound).count() as u32;
    assert!((1..11).contains(&slower), "{times:?}");
    let loaded = read(&prey(&format!("{bound} ns"))).unwrap_or_else(|errors| panic!("{errors}"));
    let how = Hunt {
        schedules: 12,
        vary_seed: true,
        ..Hunt::default()
    };
    let hunted = hunt(&loaded, &how, &Unwatched).expect("a hunt");
    assert!((1..=slower).contains(&hunted.fail_anyway), "{hunted:?}");
    let found = hunted.found.expect("faults that hold a transfer up");
    assert!(times[found.number as usize] <= bound, "{times:?} {found:?}");
    let small = read(&found.scenario).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(small.scenario.seed, 5 + u64::from(found.number));
}

#[test]
fn a_hunt_needs_something_that_can_fail() {
    let hunt = |text: &str, how: Hunt| {
        let loaded = read(text).unwrap_or_else(|errors| panic!("{errors}"));
        hunt(&loaded, &how, &Unwatched).map(|hunted| (hunted.tried, hunted.found.is_some()))
    };
    let few = Hunt {
        schedules: 3,
        ..Hunt::default()
    };
    assert!(matches!(
        hunt(&text(""), few.clone()),
        Err(HuntError::NothingToFail)
    ));
    assert!(matches!(
        hunt(&prey("1 s"), few.clone()),
        Err(HuntError::FailsAnyway(_))
    ));
    let mild = Hunt {
        classes: vec![FaultClass::Latency],
        ..few
    };
    assert_eq!(hunt(&prey("59 s"), mild).expect("a hunt"), (3, false));
}
