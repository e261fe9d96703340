//! Fields of which only a distribution is known: every replication draws.

use std::collections::BTreeMap;
use std::fs;

use longhaul_scenarios::load;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::read_file;
use longhaul_sweeps::compare::compare;
use longhaul_sweeps::merge::merge;
use longhaul_sweeps::schema::AxisValue;
use longhaul_sweeps::summary::SummaryFile;

use crate::common::{METRICS, Place, SCENARIO, same, shard, text, threads};

const STREAMS: &str = r#"(name: "streams", path: "transfers[bulk].streams", values: [1, 4]),"#;
const RTT: &str =
    r#"uncertain: [(name: "rtt", path: "links[0].rtt", values: Range(from: "10 ms", to: "90 ms"))],"#;

fn sweep(more: &str) -> String {
    text(STREAMS, METRICS, &format!("replications: 6, {RTT} {more}"))
}

/// The rows of `results.csv` by the names of their columns.
fn rows(place: &Place, folder: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(place.path(folder).join("results.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn exact(values: &[AxisValue]) -> Vec<i64> {
    values.iter().map(|value| value.exact.unwrap()).collect()
}

#[test]
fn every_replication_draws_and_its_row_says_how_to_run_it_again() {
    let place = Place::new();
    place.run(&sweep("replicate_over: [Uncertain]"), "out", threads(2));
    let rows = rows(&place, "out");
    assert_eq!(rows.len(), 12);
    let drawn: Vec<i64> = rows[..6]
        .iter()
        .map(|row| row["rtt_ns"].parse().unwrap())
        .collect();
    assert!(
        drawn.iter().all(|rtt| (10_000_000..=90_000_000).contains(rtt)),
        "{drawn:?}"
    );
    let source = read_file(&place.path("small.ron")).unwrap();
    for (index, row) in rows.iter().enumerate() {
        // All points see the same draws, and nothing else differs.
        assert_eq!(row["rtt_ns"], rows[index % 6]["rtt_ns"]);
        assert_eq!(row["uncertain_sample"], (index % 6).to_string());
        assert_eq!(row["seed"], "1");
        let set = [
            format!("transfers[bulk].streams={}", row["streams"]),
            format!("links[0].rtt=\"{} ns\"", row["rtt_ns"]),
        ];
        let mut simulation =
            Simulation::build(&load(&source, &set, None).unwrap(), RunOptions::default()).unwrap();
        while simulation.advance(1 << 14) {}
        assert_eq!(simulation.finish(false).record.digest, row["digest"]);
    }
    let summary = fs::read_to_string(place.path("out/summary.json")).unwrap();
    let summary: SummaryFile = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary.head.replicate_over, "uncertain");
    assert_eq!(summary.head.uncertain[0].column, "rtt_ns");
}

#[test]
fn neither_threads_nor_parts_nor_kills_change_what_is_drawn() {
    let place = Place::new();
    // Over all luck the seeds change as well.
    let text = sweep("");
    place.run(&text, "whole", threads(2));
    let seeds: Vec<String> = rows(&place, "whole")
        .into_iter()
        .map(|row| row["seed"].clone())
        .collect();
    assert_eq!(seeds[..6], ["1", "2", "3", "4", "5", "6"]);
    place.run(&text, "one", threads(1));
    same(&place.path("whole"), &place.path("one"));
    for index in 1..=2 {
        place.run(&text, &format!("part-{index}"), shard(index, 2));
    }
    let parts = [place.path("part-1"), place.path("part-2")];
    merge(&parts, &place.path("merged"), false, |_| {}).unwrap();
    same(&place.path("whole"), &place.path("merged"));
    // More replications use what is there: draw 3 is the same among 6 and among 8.
    let effort = place
        .run(
            &text.replace("replications: 6", "replications: 8"),
            "one",
            threads(2),
        )
        .effort;
    assert_eq!((effort.simulated, effort.reused), (4, 12));
}

#[test]
fn goals_draw_on() {
    let place = Place::new();
    let goal = r#"until: (relative_half_width: "20 %", metric: "time", at_most: 40)"#;
    let ran = place.run(&sweep(goal), "out", threads(2));
    let more = ran.index.points.iter().map(|point| point.replications);
    assert!(
        more.clone().any(|runs| runs > 6),
        "{:?}",
        more.collect::<Vec<u32>>()
    );
    let of_first = usize::try_from(ran.index.points[0].replications).unwrap();
    assert_eq!(ran.index.points[0].samples.len(), of_first - 1);
    let again = place.run(&sweep(goal), "out", threads(2)).effort;
    assert_eq!(again.simulated, 0);
}

#[test]
fn how_much_is_due_to_what_is_uncertain_and_how_much_to_luck() {
    let place = Place::new();
    let both = sweep("replicate_over: [Uncertain, Network]").replace("replications: 6", "replications: 4");
    // Without loss the round trip is all that matters.
    fs::write(
        place.path("small.ron"),
        SCENARIO.replace("Independent(mean: \"1 %\")", "None"),
    )
    .unwrap();
    place.run(
        &both.replace(
            METRICS,
            r#"(name: "time", metric: TransferCompletionTime, statistic: Max)"#,
        ),
        "out",
        threads(2),
    );
    let summary = fs::read_to_string(place.path("out/summary.json")).unwrap();
    let summary: SummaryFile = serde_json::from_str(&summary).unwrap();
    for point in &summary.points {
        let parts = &point.metrics[0].components;
        let shares: Vec<(&str, Option<f64>)> = parts
            .iter()
            .map(|part| (part.source.as_str(), part.share))
            .collect();
        assert_eq!(
            shares,
            [
                ("uncertain", Some(1.0)),
                ("network", Some(0.0)),
                ("together", Some(0.0))
            ]
        );
    }
    let picture = fs::read_to_string(place.path("out/plots/components-time.svg")).unwrap();
    assert!(
        picture.contains("uncertain") && picture.contains("streams = 4"),
        "{picture}"
    );
}

#[test]
fn draws_have_the_distributions_that_the_file_says() {
    let place = Place::new();
    let prepared = place.prepare(&text(
        STREAMS,
        METRICS,
        r#"uncertain: [
            (name: "even", path: "links[0].rtt", values: Range(from: "10 ms", to: "90 ms")),
            (name: "ratio", path: "links[0].rate", values: LogRange(from: "1 Mbit/s", to: "100 Mbit/s")),
            (name: "listed", path: "transfers[0].size", values: ["100 kB", "200 kB", "300 kB", "400 kB"]),
        ],"#,
    ));
    let draws: Vec<Vec<i64>> = (0..4000)
        .map(|sample| exact(&prepared.sweep.draws(sample)))
        .collect();
    let mean =
        |of: &dyn Fn(&[i64]) -> f64| draws.iter().map(|draw| of(draw)).sum::<f64>() / draws.len() as f64;
    // Five standard errors of a uniform variable of this width: 5 / √(12 × 4000) = 0.023.
    assert!((mean(&|draw| (draw[0] as f64 - 10e6) / 80e6) - 0.5).abs() < 0.023);
    assert!((mean(&|draw| libm::log10(draw[1] as f64 / 1e6) / 2.0) - 0.5).abs() < 0.023);
    for listed in [100_000, 200_000, 300_000, 400_000] {
        let share = mean(&|draw| f64::from(u8::from(draw[2] == listed)));
        assert!(
            (share - 0.25).abs() < 5.0 * (0.25f64 * 0.75 / 4000.0).sqrt(),
            "{listed}: {share}"
        );
    }
    // Fields draw by themselves: the correlation of independent ones has a standard deviation of 1/√4000.
    let product = mean(&|draw| {
        let one = (draw[0] as f64 - 50e6) / 80e6;
        let other = libm::log10(draw[1] as f64 / 1e7) / 2.0;
        one * other * 12.0
    });
    assert!(product.abs() < 5.0 / 4000.0f64.sqrt(), "{product}");
    // A field that comes before moves none of the others.
    let alone = place.prepare(&text(
        STREAMS,
        METRICS,
        r#"uncertain: [(name: "ratio", path: "links[0].rate", values: LogRange(from: "1 Mbit/s", to: "100 Mbit/s"))],"#,
    ));
    assert_eq!(exact(&alone.sweep.draws(17)), [draws[17][1]]);
}

#[test]
fn only_runs_with_the_same_draws_are_paired() {
    let place = Place::new();
    let text = sweep("replicate_over: [Uncertain]");
    place.run(&text, "a", threads(2));
    fs::write(place.path("small.ron"), SCENARIO.replace("500 kB", "600 kB")).unwrap();
    place.run(&text, "b", threads(2));
    place.run(
        &format!("{},\n    uncertain_seed: 2,\n)", text.trim_end_matches(')')),
        "c",
        threads(2),
    );
    let paired = |other: &str| compare(&place.path("a"), &place.path(other), &[]).unwrap().rows[0].clone();
    assert_eq!((paired("b").n, paired("b").unpaired), (6, 0));
    assert_eq!((paired("c").n, paired("c").unpaired), (0, 12));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let refused = |more: &str| {
        Place::new()
            .try_prepare(&text(STREAMS, METRICS, more))
            .unwrap_err()
    };
    for (more, words) in [
        (
            r#"uncertain: [(path: "links[0].rtt", values: Range(from: "10 ms", to: "20 ms", steps: 3))],"#,
            "chance chooses the values",
        ),
        (
            r#"uncertain: [(path: "links[0].rtt", values: ["10 ms"])],"#,
            "one value is not uncertain",
        ),
        (
            r#"uncertain: [(name: "s", path: "transfers[bulk].streams", values: [1, 2])],"#,
            "the axes or uncertain fields `streams` and `s` both set `transfers[bulk].streams`",
        ),
        (
            r#"uncertain: [(name: "s", path: "transfers[0].streams", values: [1, 2])],"#,
            "the fields `streams` and `s` both set one field",
        ),
        (
            r#"uncertain: [(path: "links[0].rtt", values: Range(from: "10 ms", to: "9 h"))],"#,
            "`links[0].rtt=\"9 h\"`",
        ),
        (
            r#"uncertain: [(path: "links[0].rrt", values: ["1 ms", "2 ms"])],"#,
            "did you mean `rtt`",
        ),
        ("replicate_over: [Uncertain],", "nothing is `uncertain` here"),
        ("uncertain_seed: 4,", "nothing is `uncertain` here"),
        (
            r#"uncertain: [(path: "links[0].rtt", values: ["1 ms", "2 ms"])], replicate_over: [Network],"#,
            "`replicate_over` has to name `Uncertain`",
        ),
        (
            r#"uncertain: [(path: "links[0].rtt", values: ["1 ms", "2 ms"])], replications: 1,"#,
            "one replication draws one value",
        ),
        (
            r#"uncertain: [(name: "time", path: "links[0].rtt", values: ["1 ms", "2 ms"])],"#,
            "two columns of `results.csv` would be called `time_ns`",
        ),
        (
            r#"uncertain: [(path: "links[0].rtt", values: ["1 ms", "2 ms"])],
               plots: [Line(name: "a", x: "streams", y: "time", bound: Mathis)],"#,
            "a law says something else of every draw",
        ),
    ] {
        let said = refused(more);
        assert!(said.contains(words), "{more}: {said}");
    }
}

#[test]
fn one_point_is_enough_where_something_is_uncertain() {
    let place = Place::new();
    let alone = text(
        "",
        METRICS,
        &format!(
            "replications: 8, {RTT} plots: [Cdf(name: \"times\", x: \"time\"), Pareto(name: \"both\", x: \"time\", y: \"loss\")],"
        ),
    );
    let ran = place.run(&alone, "out", threads(2));
    assert_eq!((ran.index.points.len(), ran.effort.simulated), (1, 8));
    assert!(ran.said.is_empty(), "{:?}", ran.said);
    assert!(place.path("out/plots/times.svg").exists() && place.path("out/plots/both.svg").exists());
    place.run(&alone, "again", threads(1));
    let same = compare(&place.path("out"), &place.path("again"), &[]).unwrap();
    assert_eq!(
        (same.rows[0].place.as_str(), same.rows[0].n),
        ("the only point", 8)
    );
    let said = place.try_prepare(&text("", METRICS, "")).unwrap_err();
    assert!(said.contains("a single point is a run"), "{said}");
}
