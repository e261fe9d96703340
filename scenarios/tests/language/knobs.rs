//! No field is idle: another value in any of them gives another scenario.

use longhaul_scenarios::diagnose::Sink;
use longhaul_scenarios::syntax::{Kind, Node, parse};

use crate::{CONTROLLED, DEMANDS, FULL, read, read_with};

/// Values that fit one field or another.
const CANDIDATES: &[&str] = &[
    "11",
    "2.5",
    "-3.5",
    "-74.5",
    "34.9",
    "-75.4",
    "\"13 ms\"",
    "\"17 s\"",
    "\"19 Mbit/s\"",
    "\"23 MiB\"",
    "\"29 KiB\"",
    "\"31 B\"",
    "\"37 %\"",
    "\"41 pages/s\"",
    "\"3 Gbit/s\"",
    "\"1 MiB\"",
    "\"2 GB\"",
    "\"7 %\"",
    "\"90 %\"",
    "LowestCost",
    "\"1300 B\"",
    "None",
    "LowestLatency",
    "\"silver\"",
    "Bulk",
    "55",
    "4",
    "6",
    "6005",
    "\"2 h\"",
    "(interval: \"5 s\")",
    "[\"orient\"]",
    "0.1",
    "Uniform",
    "Sequential",
    "PreCopy",
    "PostCopy",
    "Free",
    "AutoConverge()",
    "(delay: \"5 s\")",
    "Processors(threads: 3)",
    "\"north\"",
    "\"south\"",
    "\"alpine\"",
    "\"vm-d\"",
    "\"vm-u\"",
    "Group",
    "Each",
    "Only(\"shadow\")",
    "Manual(after: \"7 min\")",
    "\"vm-a\"",
    "\"move-c\"",
    "\"bulk\"",
    "\"another\"",
    "\"alpine->south\"",
    "true",
    "false",
    "Real",
    "None",
    "All",
    "Raw",
    "Reno",
    "Cubic",
    "Sinusoidal",
    "Critical",
    "Advisory",
    "Min",
    "Max",
    "MigrationDowntime",
    "MigrationDirtySyncCount",
    "TransferCompletionTime",
    "LinkQueueDrops",
    "ClientAmplification",
    "Only(\"storefront\")",
    "ServiceRefused",
    "true",
    "false",
    "Packet",
    "1",
    "4",
    "100000",
    "\"500 us\"",
    "\"50 s\"",
    "\"20 kB\"",
    "\"30 %\"",
    "\"0.3 %\"",
    "\"400 Mbit/s\"",
    "\"other.txt\"",
    "Poisson(rate: \"5 Mbit/s\")",
    "Packets(43)",
    "Independent(mean: \"47 %\")",
    "Uniform(max: \"53 us\")",
    "Hde(level: 2)",
    "SpecRule(\"3 Gbit/s\")",
    "Only(\"move-c\")",
    "Only(\"bulk\")",
    "Only(\"south->alpine\")",
    "\"hesper\"",
    "\"orient\"",
    "Nearest",
    "LeastOutstanding",
    "Mesh",
    "Failed",
    "Lifo",
    "Full",
    "Fifo",
    "Regular",
    "Poisson",
    "Fatal",
    "Refused",
    "Shed",
    "Low",
    "Automatic",
    "Inside(77)",
    "Crash",
    "BlackHole",
    "Stale(\"north\")",
    "Latency(\"400 ms\")",
    "Consensus",
    "Sync",
    "Sampled(share: \"3 %\")",
    "Auto",
];

/// Paths and values of everything that has no parts.
fn leaves(node: &Node, path: &str, out: &mut Vec<(String, String)>) {
    match &node.kind {
        Kind::List(items) | Kind::Tuple(_, items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), out);
            }
        }
        Kind::Struct(_, fields) => {
            let point = if path.is_empty() { "" } else { "." };
            for field in fields {
                leaves(&field.value, &format!("{path}{point}{}", field.name.text), out);
            }
        }
        Kind::Text(text) => out.push((path.to_owned(), text.clone())),
        Kind::Number(text) | Kind::Word(text) => out.push((path.to_owned(), text.clone())),
        Kind::Bool(value) => out.push((path.to_owned(), value.to_string())),
    }
}

/// The unit of a quantity, or what else a value is.
fn looks(value: &str) -> &str {
    match (
        value.starts_with(|c: char| c.is_ascii_digit()),
        value.split_once(' '),
    ) {
        (true, Some((_, unit))) => unit,
        (true, None) => "number",
        (false, _) if value == "true" || value == "false" => "truth",
        (false, _) if value.starts_with(|c: char| c.is_ascii_uppercase()) => "variant",
        (false, _) => "name",
    }
}

fn every_leaf_counts(text: &str) {
    let before = read(text).unwrap_or_else(|errors| panic!("{errors}")).canonical;
    let mut found = Vec::new();
    leaves(&parse(text, 0, 0, &mut Sink::default()).unwrap(), "", &mut found);
    for (path, value) in found.iter().filter(|(path, _)| path != "version") {
        let mut others: Vec<&str> = CANDIDATES.to_vec();
        others.retain(|other| other.trim_matches('"') != value);
        // What looks alike fits sooner.
        others.sort_by_key(|other| looks(other.trim_matches('"')) != looks(value));
        let mut accepted = others.into_iter().filter_map(|other| {
            let change = format!("{path}={other}");
            let loaded = read_with(text, &[&change]).ok()?;
            Some((change, loaded.canonical))
        });
        match accepted.next() {
            Some((change, after)) => assert!(after != before, "{change} changes nothing"),
            None if path.ends_with(".metric") => metric_counts(text, path.trim_end_matches(".metric")),
            None if path.contains(".objective.") => weights_count(text, path),
            // A fault that somebody recovers by hand cannot recover by itself, and one that has an end not by hand.
            None if path.ends_with(".recovery") => {
                let (other, reason) = match value.as_str() {
                    "Manual" => ("Automatic", "ends by itself"),
                    _ => ("Manual", "cannot have a duration"),
                };
                let message = match read_with(text, &[&format!("{path}={other}")]) {
                    Ok(_) => panic!("{path}={other} is accepted"),
                    Err(refused) => refused.render(false),
                };
                assert!(message.contains(reason), "{message}");
            }
            // The number of the default class can only change together with `default_class`, which has its turn.
            None if path.ends_with(".class") => assert!(path.contains(".classes[")),
            // A name that others refer to changes everywhere or nowhere.
            None => {
                let renamed = read(&text.replace(value.as_str(), "renamed"));
                let after = renamed
                    .unwrap_or_else(|errors| panic!("{path}: {errors}"))
                    .canonical;
                assert!(after != before, "{path} renamed changes nothing");
            }
        }
    }
}

/// A metric whose unit no other metric has changes together with its bound; so two others are compared.
fn metric_counts(text: &str, assertion: &str) {
    let with = |metric: &str| {
        let bound = match assertion.contains(".margins[") {
            true => "within=\"59 s\"",
            false => "bound=AtMost(\"59 s\")",
        };
        let changes = [
            format!("{assertion}.metric={metric}"),
            format!("{assertion}.{bound}"),
            format!("{assertion}.scope=All"),
        ];
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        read_with(text, &changes)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .canonical
    };
    assert!(with("MigrationDowntime") != with("LinkQueueDelay"));
}

/// Weights add up to one, so that two of them change together.
fn weights_count(text: &str, weight: &str) {
    let (objective, name) = weight.rsplit_once('.').expect("a field of an objective");
    let other = if name == "latency" { "jitter" } else { "latency" };
    let value = |name: &str| {
        let nodes = parse(text, 0, 0, &mut Sink::default()).unwrap();
        let mut found = Vec::new();
        leaves(&nodes, "", &mut found);
        let path = format!("{objective}.{name}");
        let (_, value) = found.into_iter().find(|(known, _)| *known == path).unwrap();
        value.parse::<f64>().unwrap()
    };
    let with = |by: f64| {
        let changes = [(name, value(name) + by), (other, value(other) - by)]
            .map(|(name, value)| format!("{objective}.{name}={value:.3}"));
        let changes = changes.each_ref().map(String::as_str);
        let loaded = read_with(text, &changes);
        loaded.unwrap_or_else(|errors| panic!("{errors}")).canonical
    };
    assert_ne!(with(0.01), with(0.02), "{weight}");
}

#[test]
fn every_field_of_the_language_changes_the_scenario() {
    every_leaf_counts(FULL);
    every_leaf_counts(DEMANDS);
    every_leaf_counts(CONTROLLED);
}

#[test]
fn every_field_of_the_canonical_text_changes_the_scenario() {
    every_leaf_counts(&read(FULL).unwrap().canonical);
    every_leaf_counts(&read(DEMANDS).unwrap().canonical);
    every_leaf_counts(&read(CONTROLLED).unwrap().canonical);
}

#[test]
fn the_full_scenario_has_every_field_and_every_variant() {
    let canonical = read(FULL).unwrap().canonical;
    for variant in [
        "Sampled(",
        "location: (lat",
        "Packets(",
        "Inside(",
        "Bytes(",
        "loss: None",
        "Independent(",
        "GilbertElliott(",
        "jitter: None",
        "Normal(",
        "Uniform(",
        "Generated(",
        "Images(",
        "At(",
        "After(",
        "locality: Uniform",
        "locality: Sequential",
        "HotCold(",
        "Zipf(",
        "mode: PreCopy",
        "mode: PostCopy",
        "Hybrid(after:",
        "Hybrid(rounds:",
        "downtime_limit: ",
        "stop: Xen(",
        "stop: DynamicRate(",
        "throttle: None",
        "AutoConverge(",
        "DirtyLimit(",
        "Raw",
        "Zstd(",
        "Hde(",
        "Adaptive(initial",
        "chunk: Adaptive",
        "SpecRule(",
        "SeedOptimiser",
        "Reset(",
        "Xbzrle(",
        "cost: Free",
        "Processors(",
        "consistency: Group",
        "consistency: Each",
        "consistency: Ranked",
        "Interval(",
        "Continuous(",
        "Adaptive(",
        "Automatic",
        "Manual(at: ",
        "Manual()",
        "objective: Balanced(",
        "InOrder(",
        "ByPolicy(",
        "objective: Weighted(",
        "WireGuard(",
        "Ipsec(",
        "Gre(",
        "Vxlan(",
        "bfd: None",
        "trains: None",
        "Exponential(mean",
        "LogNormal(",
        "Bimodal(",
        "Constant(time",
        "Uniform(min",
        "CoDel(target",
        "discipline: Lifo",
        "discipline: Fifo",
        "limit: None",
        "Open(",
        "Closed(",
        "Steady(",
        "Bursts(",
        "Sinusoidal(interval",
        "Steps(",
        "All([",
        "OneOf([",
        "[Rate(",
        "PercentileRate(",
        "AimdRate(",
        "GradientRate(",
        "load: Inside(",
        "load: Reported",
        "exempt: None",
        "Bulkhead(",
        "Breaker(",
        "Consecutive(",
        "CountWindow(",
        "TimeWindow(",
        "Retry(",
        "Linear(",
        "Fibonacci(",
        "Exponential(base",
        "jitter: Full",
        "jitter: Equal",
        "jitter: PlusMinusTenth",
        " Timeout(",
        "StepTimeout(",
        "HistoryTimeout(",
        "Rfc6298Timeout(",
        "Hedge(",
        "Percentile(percentile",
        "Degradation(",
        "ErrorBudget(",
        "LatencyBudget(",
        "suffers: Memory(",
        "suffers: Slow(",
        "suffers: Full",
        "suffers: Failed",
        "ahead: ",
        "behind: ",
        "drift_ppm: ",
        "Reno",
        "Cubic",
        "Only(",
        "All",
        "AtMost(",
        "AtLeast(",
        "Critical",
        "Advisory",
        "within: \"8 %\"",
        "within: 2.0",
    ] {
        assert!(canonical.contains(variant), "{variant}");
    }
    // What the canonical text has no more: the forms that it resolves.
    for sugar in [
        "rtt:",
        "Bdp(",
        "\n    transport: (",
        "policies: Sync",
        "policies: Consensus",
        "order: [",
        "Timeout(\"",
        "Consecutive(7",
    ] {
        assert!(FULL.contains(sugar), "{sugar}");
        assert!(!canonical.contains(sugar), "{sugar}");
    }
}

#[test]
fn the_seed_of_the_command_line_replaces_that_of_the_file() {
    let loaded = longhaul_scenarios::load(&crate::source(FULL), &[], Some(99)).unwrap();
    assert_eq!(loaded.scenario.seed, 99);
    assert_ne!(loaded.hash, read(FULL).unwrap().hash);
}

#[test]
fn the_reference_page_describes_every_field() {
    let page = include_str!("../../README.md");
    let mut found = Vec::new();
    for text in [FULL, DEMANDS, CONTROLLED] {
        leaves(&parse(text, 0, 0, &mut Sink::default()).unwrap(), "", &mut found);
    }
    for (path, _) in found {
        for field in path.split('.').map(|step| step.split('[').next().unwrap()) {
            let described = [format!("`{field}`"), format!(".{field}`"), format!("{field}: ")];
            assert!(described.iter().any(|form| page.contains(form)), "{field}");
        }
    }
}

#[test]
fn the_example_of_the_reference_page_reads() {
    let page = include_str!("../../README.md");
    let example = page
        .split("```ron\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let loaded = read(example).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}
