//! Studies of which axes matter: their designs, what is refused, and scenarios whose answer is known in closed form.

use std::fs;

use longhaul_sweeps::merge;
use longhaul_sweeps::sensitivity::{Effect, Findings};
use longhaul_sweeps::summary::SummaryFile;
use longhaul_sweeps::text;

use crate::common::{METRICS, Place, same, shard, text as sweep, threads};

/// Datagrams one after the other on an idle link: each takes half a round trip and the time in which the link sends it.
const DATAGRAMS: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long does a datagram take?",
    expect: "Half a round trip, and what the link needs.",
    horizon: "4 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "1 Mbit/s")],
    datagrams: [(name: "call", from: "north", to: "south", duration: "1 s", interval: "500 ms")],
)"#;

const DELAY: &str = r#"(name: "delay", metric: DatagramDelayMedian, statistic: Max)"#;

const SIZE: &str =
    r#"(name: "size", path: "datagrams[call].payload", values: Range(from: "100 B", to: "1400 B")),"#;
const RATE: &str =
    r#"(name: "rate", path: "links[0].rate", values: LogRange(from: "100 kbit/s", to: "1 Mbit/s")),"#;
const RTT: &str = r#"(name: "rtt", path: "links[0].rtt", values: Range(from: "20 ms", to: "200 ms")),"#;
/// Changes nothing: the horizon is long enough with any of them.
const HORIZON: &str = r#"(name: "horizon", path: "horizon", values: ["4 s", "5 s"]),"#;

fn findings(place: &Place, folder: &str) -> Findings {
    let text = fs::read_to_string(place.path(folder).join("summary.json")).unwrap();
    let summary: SummaryFile = serde_json::from_str(&text).unwrap();
    summary.sensitivity.expect("a study")
}

fn effect<'f>(findings: &'f Findings, axes: &str, measure: &str) -> &'f Effect {
    let mut effects = findings.metrics[0].effects.iter();
    let found = effects.find(|effect| effect.name() == axes && effect.measure == measure);
    found.unwrap_or_else(|| panic!("{axes} {measure}: {findings:?}"))
}

fn datagrams() -> Place {
    let place = Place::new();
    fs::write(place.path("small.ron"), DATAGRAMS).unwrap();
    place
}

#[test]
fn shares_of_the_variance_are_those_of_the_closed_form() {
    let place = datagrams();
    let axes = format!("{SIZE}{RATE}{RTT}{HORIZON}");
    let text = sweep(&axes, DELAY, "replications: 1, sensitivity: Sobol(samples: 300),");
    let ran = place.run(&text, "out", threads(2));
    assert_eq!(ran.index.points.len(), 300 * 6);
    let found = findings(&place, "out");
    assert_eq!((found.design.as_str(), found.points), ("sobol", 1_800));
    // D + P Q: half the round trip, even from 10 to 100 ms; bits with 42 bytes of headers, even; seconds for each bit, whose
    // logarithm is even. Var(P Q) = E[P²] E[Q²] − E[P]² E[Q]².
    let (low, high) = (8.0 * 142.0, 8.0 * 1442.0);
    let (p, var_p) = ((low + high) / 2.0, (high - low) * (high - low) / 12.0);
    let log = libm::log(10.0);
    let q = (1e-5 - 1e-6) / log;
    let var_q = (1e-10 - 1e-12) / (2.0 * log) - q * q;
    let var_d = 0.09 * 0.09 / 12.0;
    let (alone_p, alone_q, both) = (var_p * q * q, p * p * var_q, var_p * var_q);
    let all = alone_p + alone_q + both + var_d;
    for (axis, first, total) in [
        ("size", alone_p, alone_p + both),
        ("rate", alone_q, alone_q + both),
        ("rtt", var_d, var_d),
        ("horizon", 0.0, 0.0),
    ] {
        for (measure, truth) in [("first_order", first / all), ("total", total / all)] {
            let found = effect(&found, axis, measure);
            let (low, high) = (found.low.unwrap(), found.high.unwrap());
            // One hundredth for the classes of the delays' histogram, a hundredth of themselves wide.
            assert!(
                low - 0.01 <= truth && truth <= high + 0.01,
                "{axis} {measure} {truth}: {found:?}"
            );
            assert!(high - low < 0.35 && found.n == Some(300), "{found:?}");
        }
    }
    // What is not even read by the run is a share of zero, not a small one.
    assert_eq!(effect(&found, "horizon", "total").value, 0.0);
}

#[test]
fn elementary_effects_find_the_sum_and_the_product() {
    let place = datagrams();
    let axes = format!("{SIZE}{RATE}{RTT}{HORIZON}");
    let text = sweep(
        &axes,
        DELAY,
        "replications: 1, sensitivity: Morris(trajectories: 15, levels: 4),",
    );
    place.run(&text, "out", threads(2));
    let found = findings(&place, "out");
    assert_eq!((found.design.as_str(), found.points), ("morris", 15 * 5));
    // The distance adds half of its range whatever the others are, up to the classes of the histogram.
    let rtt = effect(&found, "rtt", "mu_star");
    assert!((rtt.value / 90e6 - 1.0).abs() < 0.03, "{rtt:?}");
    assert!(effect(&found, "rtt", "sigma").value < 0.05 * rtt.value);
    // Size and rate multiply: the effect of each varies with the other; a higher rate makes it shorter.
    for axis in ["size", "rate"] {
        assert!(effect(&found, axis, "sigma").value > 0.3 * effect(&found, axis, "mu_star").value);
    }
    assert!(effect(&found, "rate", "mu").value < 0.0);
    assert_eq!(effect(&found, "horizon", "mu_star").value, 0.0);
    let shown = text::findings(&found, 120);
    assert!(
        shown.lines().nth(1).unwrap().trim_start().starts_with("rtt"),
        "{shown}"
    );
    assert!(
        shown.lines().nth(4).unwrap().trim_start().starts_with("horizon"),
        "{shown}"
    );
}

#[test]
fn a_factorial_has_main_effects_and_interactions() {
    let place = datagrams();
    let axes = r#"(name: "size", path: "datagrams[call].payload", values: ["208 B", "1208 B"]),
        (name: "rate", path: "links[0].rate", values: ["100 kbit/s", "1 Mbit/s"]),
        (name: "rtt", path: "links[0].rtt", values: Range(from: "20 ms", to: "40 ms")),"#;
    let text = sweep(axes, DELAY, "replications: 2, sensitivity: Factorial,");
    let ran = place.run(&text, "out", threads(2));
    assert_eq!(ran.index.points.len(), 8);
    let found = findings(&place, "out");
    // Bits 2,000 and 10,000; seconds for each bit 10⁻⁵ and 10⁻⁶; half the round trip 10 and 20 ms.
    let close = |axes: &str, expected: f64| {
        let found = effect(&found, axes, "effect");
        assert!((found.value - expected).abs() < 1.5e6, "{axes}: {found:?}");
    };
    close("size", (80e6 + 8e6) / 2.0);
    close("rate", -(18e6 + 90e6) / 2.0);
    close("rtt", 10e6);
    close("size × rate", (8e6 - 80e6) / 2.0);
    close("size × rtt", 0.0);
    close("size × rate × rtt", 0.0);
    let shares: f64 = found.metrics[0]
        .effects
        .iter()
        .filter(|e| e.measure == "share")
        .map(|e| e.value)
        .sum();
    assert!((shares - 1.0).abs() < 1e-9);
    // Which axis changes fastest among the points has nothing to do with it.
    let turned = text.replace(
        "(name: \"size\"",
        "(name: \"x\", path: \"horizon\", values: [\"4 s\", \"5 s\"]), (name: \"size\"",
    );
    place.run(&turned, "turned", threads(2));
    let turned = findings(&place, "turned");
    for axes in ["size", "rate", "rtt", "size × rate"] {
        assert_eq!(
            effect(&turned, axes, "effect").value,
            effect(&found, axes, "effect").value
        );
    }
    assert_eq!(effect(&turned, "x", "effect").value, 0.0);
}

#[test]
fn a_study_has_tables_and_pictures_and_parts_that_merge_to_the_same() {
    let place = datagrams();
    let axes = format!("{SIZE}{RTT}");
    let text = sweep(
        &axes,
        DELAY,
        "replications: 1, sensitivity: Morris(trajectories: 4),",
    );
    place.run(&text, "whole", threads(2));
    let table = fs::read_to_string(place.path("whole/sensitivity.csv")).unwrap();
    assert!(
        table.starts_with("metric,unit,axes,measure,value,low,high,n,method\ndelay,ns,size,mu_star,"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1 + 2 * 3);
    for picture in ["sensitivity-delay.svg", "screening-delay.svg"] {
        let picture = fs::read_to_string(place.path("whole/plots").join(picture)).unwrap();
        assert!(picture.contains("What matters to delay"), "{picture}");
        assert!(
            picture.contains("n = 4 trajectories, through 12 points"),
            "{picture}"
        );
    }
    place.run(&text, "a", shard(1, 2));
    place.run(&text, "b", shard(2, 2));
    // A part has not all of the points.
    assert!(!place.path("a/sensitivity.csv").exists());
    merge::merge(
        &[place.path("a"), place.path("b")],
        &place.path("merged"),
        false,
        |_| {},
    )
    .unwrap();
    same(&place.path("whole"), &place.path("merged"));
    // The same directory without a study has nothing of it left.
    let plain = sweep(
        r#"(name: "rtt", path: "links[0].rtt", values: ["20 ms"]),"#,
        DELAY,
        "replications: 1,",
    );
    place.run(&plain, "whole", threads(1));
    assert!(!place.path("whole/sensitivity.csv").exists());
    assert!(!place.path("whole/plots/screening-delay.svg").exists());
}

#[test]
fn a_point_that_did_not_finish_leaves_no_answer_and_says_so() {
    let place = Place::new();
    let axes = r#"(name: "rate", path: "links[0].rate", values: ["100 kbit/s", "50 Mbit/s"]),
        (name: "rtt", path: "links[0].rtt", values: ["10 ms", "20 ms"]),"#;
    // Half a megabyte at 100 kbit/s takes 40 s, and the horizon is 20 s.
    place.run(
        &sweep(axes, METRICS, "replications: 2, sensitivity: Factorial,"),
        "out",
        threads(2),
    );
    let found = findings(&place, "out");
    let problem = found.metrics[0].problem.as_deref().unwrap();
    assert!(problem.contains("2 of 4 points have no mean"), "{problem}");
    assert!(found.metrics[0].effects.is_empty());
    assert_eq!(found.metrics[1].problem, None, "the loss has a value in all runs");
    assert!(text::findings(&found, 100).contains("time: no answer: 2 of 4"));
    assert!(!place.path("out/plots/sensitivity-time.svg").exists());
    let picture = fs::read_to_string(place.path("out/plots/sensitivity-loss.svg")).unwrap();
    assert!(picture.contains("n = 2 runs of each of 4 points"), "{picture}");
}

#[test]
fn designs_that_cannot_be_are_refused() {
    let place = datagrams();
    let refused = |axes: &str, more: &str, part: &str| {
        let text = sweep(axes, DELAY, more);
        let message = place.try_prepare(&text).expect_err(&text);
        assert!(
            message.contains(part),
            "{part:?} is not in\n{message}\nof\n{text}"
        );
    };
    let morris = "sensitivity: Morris(trajectories: 4, levels: 4),";
    let sobol = "sensitivity: Sobol(samples: 16),";
    let factorial = "sensitivity: Factorial,";
    let two = r#"(name: "rtt", path: "links[0].rtt", values: ["20 ms", "40 ms"]),"#;
    refused(
        two,
        "sensitivity: Moris(trajectories: 4),",
        "did you mean `Morris`?",
    );
    refused(
        two,
        "sensitivity: Morris(trajectories: 4, levels: 5),",
        "an even number of levels",
    );
    refused(two, "sensitivity: Morris(trajectories: 1),", "1 is out of range");
    refused(two, "sensitivity: Sobol(samples: 15),", "15 is out of range");
    refused(
        two,
        "sensitivity: Sobol(samples: 90000),",
        "270000 points for 1 axes; at most 100000",
    );
    refused(two, "sensitivity: Sobol(),", "`samples` is missing");
    refused("", sobol, "there is no axis: nothing can matter");
    refused(&format!("Zipped([{two}]),"), sobol, "each stands by itself");
    refused(
        r#"(name: "rtt", path: "links[0].rtt", values: Range(from: "1 ms", to: "9 ms", steps: 3)),"#,
        morris,
        "no `steps`",
    );
    refused(
        r#"(name: "rtt", path: "links[0].rtt", values: ["1 ms", "2 ms", "3 ms"]),"#,
        morris,
        "3 values do not divide 4 levels evenly",
    );
    refused(
        r#"(name: "packets", path: "links[0].queue", values: [Packets(10), Packets(20), Packets(30)]),"#,
        factorial,
        "3 values: a factorial takes two",
    );
    refused(
        r#"(name: "rtt", path: "links[0].rtt", values: ["1 ms"]),"#,
        sobol,
        "one value cannot matter",
    );
    refused(
        r#"(name: "port", path: "datagrams[call].port", values: Range(from: 1, to: 3)),"#,
        morris,
        "fall together once they are rounded",
    );
    let many: String = (0..11)
        .map(|n| format!(r#"(name: "a{n}", path: "x{n}", values: [1, 2]),"#))
        .collect();
    refused(&many, factorial, "11 axes make 2048 points: at most 10");
    refused(
        two,
        &format!(r#"{sobol} where: ["rtt < 30 ms"],"#),
        "there is no `where`",
    );
    refused(
        two,
        &format!(r#"{sobol} until: (relative_half_width: "5 %", metric: "delay", at_most: 50),"#),
        "there is no `until`",
    );
    refused(
        two,
        &format!("{factorial} replications: 1,"),
        "at least 2 replications",
    );
    refused(
        two,
        &format!(r#"{sobol} plots: [Line(name: "a", x: "rtt", y: "delay")],"#),
        "`a` would be one picture for each of the design's points",
    );
    refused(
        two,
        &format!(r#"{factorial} plots: [Line(name: "sensitivity-delay", x: "rtt", y: "delay")],"#),
        "the name of a picture of the study itself",
    );
    refused(&format!("{two}{two}"), sobol, "two axes are named `rtt`");
}
