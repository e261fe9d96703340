//! What a sweep's file may say, and what is said about mistakes in it.

use longhaul_sweeps::library;

use crate::common::{AXES, METRICS, Place, SCENARIO, text, usual};

/// A client, to be put before the transfers.
const CLIENT: &str = r#"services: [(name: "shop", replicas: ["south"], cores: 4, service_time: Exponential("5 ms"))],
    clients: [(name: "web", region: "north", service: "shop", duration: "10 s", load: Open(rate: Steady(20)))],
    transfers: ["#;

/// Each text with a part of what must be said about it.
#[track_caller]
fn refused(cases: &[(String, &[&str])]) {
    let place = Place::new();
    for (text, parts) in cases {
        let message = place.try_prepare(text).expect_err(text);
        for part in *parts {
            assert!(
                message.contains(part),
                "{part:?} is not in\n{message}\nof\n{text}"
            );
        }
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let place = Place::new();
    let text = text(
        r#"(name: "rtt", path: "links[0].rtt", values: []),
        (name: "rate", path: "links[0].rate", values: Range(from: "1 Mbit/s", to: "10 ms", steps: 3)),"#,
        r#"(name: "time", metric: TransferCompletionTim, statistic: Max)"#,
        r#"replications: 0, tiemout: "1 s","#,
    );
    let message = place.try_prepare(&text).unwrap_err();
    for part in [
        "sweep.ron:7:56: axes[0].values: the axis is empty",
        "axes[1].values: the ends of a range are of one kind",
        "did you mean `TransferCompletionTime`?",
        "replications: 0 is out of range",
        "did you mean `timeout`?",
    ] {
        assert!(message.contains(part), "{part:?} is not in\n{message}");
    }
}

#[test]
fn an_axis_that_names_no_field_is_reported_at_the_axis() {
    let field = r#"(name: "x", path: "links[0].los", values: ["1 %", "2 %"]),"#;
    let item = r#"(name: "x", path: "transfers[bulc].streams", values: [1, 2]),"#;
    let value = r#"(name: "x", path: "links[0].rtt", values: ["10 ms", "20 MB", "9 h"]),"#;
    refused(&[
        (
            text(field, METRICS, ""),
            &["sweep.ron:7:30: links[0].los", "did you mean `loss`?"],
        ),
        (
            text(item, METRICS, ""),
            &["no item is named `bulc`", "did you mean `bulk`?"],
        ),
        (
            text(value, METRICS, ""),
            &[
                "sweep.ron:7:64: links[0].rtt",
                "sweep.ron:7:73: links[0].rtt",
                "out of range",
            ],
        ),
    ]);
}

#[test]
fn bad_axes_are_refused() {
    let axis = |values: &str| {
        text(
            &format!(r#"(name: "x", path: "links[0].rtt", values: {values}),"#),
            METRICS,
            "",
        )
    };
    let axes = |axes: &str| text(axes, METRICS, "");
    refused(&[
        (axes(""), &["there is no axis"]),
        (axis(r#"["10 ms", "10 ms"]"#), &["`10 ms` is in the list twice"]),
        (axis(r#"["1 ms", "1000 us"]"#), &["`1 ms` is in the list twice"]),
        (axis("[2, 1, 1.0]"), &["`1.0` is in the list twice"]),
        (
            axis(r#"[Independent(mean: "1 %"), Independent(mean:   "1 %")]"#),
            &["is in the list twice"],
        ),
        (
            axis(r#"Range(from: "9 ms", to: "1 ms", steps: 3)"#),
            &["the range is empty"],
        ),
        (
            axis(r#"Range(from: "1 ms", to: "9 ms")"#),
            &["`steps` is missing"],
        ),
        (
            axis(r#"Range(from: "1 ms", to: "9 ms", steps: 1)"#),
            &["at least 2 steps"],
        ),
        (
            axis(r#"Range(from: "1 ms", to: "9 ms", step: "3 ms")"#),
            &["does not lead"],
        ),
        (
            axis(r#"Range(from: "1 ms", to: "9 ms", step: "1 ms", steps: 2)"#),
            &["not both"],
        ),
        (
            axis(r#"Range(from: "1 m", to: "9 ms", steps: 2)"#),
            &["`1 m` is no quantity"],
        ),
        (
            axis(r#"LogRange(from: "0 s", to: "9 ms", steps: 3)"#),
            &["above zero"],
        ),
        (axis("LogRange(from: 1, to: 4, steps: 9)"), &["fall together"]),
        (axis("Rang(from: 1, to: 4, steps: 9)"), &["did you mean `Range`?"]),
        (
            axes(
                r#"(path: "links[0].rtt", values: ["1 ms"]), (name: "other", path: "links[0].rtt", values: ["2 ms"])"#,
            ),
            &["the axes `rtt` and `other` both set `links[0].rtt`"],
        ),
        (
            axes(
                r#"(path: "links[0].rtt", values: ["1 ms"]), (name: "rtt", path: "links[0].rate", values: ["2 Mbit/s"])"#,
            ),
            &["two axes are named `rtt`"],
        ),
        (
            axes(r#"(path: "seed", values: [1, 2])"#),
            &["replications differ in the seed"],
        ),
        (
            axes(r#"(path: "links[0", values: [1, 2])"#),
            &["is no path", "never closed"],
        ),
        (
            axes(r#"(name: "point", path: "links[0].rtt", values: ["1 ms"])"#),
            &["has a column `point`"],
        ),
        (
            axes(r#"(name: "a-b", path: "links[0].rtt", values: ["1 ms"])"#),
            &["`_` instead of `-`"],
        ),
        (
            axes(
                r#"Zipped([(path: "links[0].rtt", values: ["1 ms", "2 ms"]), (path: "links[0].rate", values: ["1 Mbit/s"])])"#,
            ),
            &["`rtt` has 2 values and `rate` has 1"],
        ),
        (
            axes(r#"LatinHypercube(points: 1, axes: [(path: "links[0].rtt", values: ["1 ms"])])"#),
            &["out of range"],
        ),
    ]);
}

#[test]
fn bad_conditions_metrics_goals_and_plots_are_refused() {
    let with = |more: &str| text(AXES, METRICS, more);
    let metrics = |metrics: &str| text(AXES, metrics, "");
    refused(&[
        (with(r#"where: ["rtt ~ 3"]"#), &["a comparison is written"]),
        (
            with(r#"where: ["rt < 20 ms"]"#),
            &["no axis is named `rt`", "did you mean `rtt`?"],
        ),
        (
            with(r#"where: ["rtt < 20 MB"]"#),
            &["`20 MB` is neither an axis nor a time"],
        ),
        (with(r#"where: ["rtt < streams"]"#), &["of different kinds"]),
        (with(r#"where: ["rtt < 1 ms"]"#), &["no point satisfies `where`"]),
        (metrics(""), &["measures nothing"]),
        (
            metrics(r#"(name: "x", metric: MigrationDowntime, statistic: Max)"#),
            &["metrics[0]", "there is no migration"],
        ),
        (
            metrics(r#"(name: "x", metric: LinkLoss, statistic: Max, scope: Only("a->b"))"#),
            &["no link is named `a->b`"],
        ),
        (
            metrics(r#"(name: "x", metric: LinkLoss, statistic: Sum)"#),
            &["a sum of shares"],
        ),
        (
            with(r#"until: (relative_half_width: "0 %", metric: "time", at_most: 50)"#),
            &["between 0 % and 100 %"],
        ),
        (
            with(r#"until: (relative_half_width: "5 %", metric: "tim", at_most: 50)"#),
            &["did you mean `time`?"],
        ),
        (
            with(r#"until: (relative_half_width: "5 %", metric: "time", at_most: 5)"#),
            &["5 is out of range: 10"],
        ),
        (
            with(r#"plots: [Line(name: "a", x: "time", y: "time")]"#),
            &["no axis is named `time`"],
        ),
        (
            with(r#"plots: [Line(name: "a", x: "rtt", y: "time", bound: "3 MB")]"#),
            &["plots[0].bound"],
        ),
        (with(r#"plots: [Pie(name: "a")]"#), &["a plot is expected"]),
        (
            with(r#"plots: [Heatmap(name: "a", x: "rtt", y: "rtt", value: "time")]"#),
            &["plots[0].y", "`rtt` is shown from left to right already"],
        ),
        (
            with(r#"plots: [Line(name: "a", x: "rtt", y: "time", series: "rtt")]"#),
            &["plots[0].series", "`rtt` is shown from left to right already"],
        ),
        (
            with(r#"plots: [Pareto(name: "a", x: "time", y: "time")]"#),
            &["plots[0].y", "`time` is shown from left to right already"],
        ),
        (
            text(
                r#"(name: "loss", path: "links[0].loss", values: [None, Independent(mean: "1 %")])"#,
                METRICS,
                r#"plots: [Line(name: "a", x: "loss", y: "time")]"#,
            ),
            &["plots[0].x", "the values of `loss` have no order", "`Box`"],
        ),
        (
            with(r#"plots: [Survival(name: "a", x: "loss")]"#),
            &["`loss` is no time: only what takes time can be unfinished"],
        ),
        (with("replicate_over: Workload"), &["what replications differ in"]),
        (with("replicate_over: [Luck]"), &["a source of chance"]),
        (with("replicate_over: []"), &["one source, or two"]),
        (
            with("replicate_over: [Workload, Network, Faults]"),
            &["one source, or two"],
        ),
        (
            with("replicate_over: [Network, Network]"),
            &["the same source twice"],
        ),
        (
            with(
                r#"replicate_over: [Workload, Network], until: (relative_half_width: "5 %", metric: "time", at_most: 50)"#,
            ),
            &["`until` needs replications that are independent"],
        ),
        (
            with(r#"replicate_over: [Workload, Network], plots: [Cdf(name: "components-time", x: "time")]"#),
            &["`components-time` is the name of a picture of the variance itself"],
        ),
        (
            with("replications: 1, replicate_over: [Workload, Network]"),
            &["two samples of each source"],
        ),
        (
            with("replications: 400, replicate_over: [Workload, Network]"),
            &["400 samples of each of two sources are 160000 runs of every point"],
        ),
        (
            with(r#"plots: [Tail(name: "a", client: "shop")]"#),
            &["no client is named `shop`"],
        ),
        (with("version: 2"), &["given twice"]),
    ]);
}

#[test]
fn columns_of_the_same_name_are_refused_where_they_come_from() {
    let client = SCENARIO.replace("transfers: [", CLIENT);
    let place = Place::new();
    std::fs::write(place.path("small.ron"), client).unwrap();
    let with = |axes: &str, more: &str| place.try_prepare(&text(axes, METRICS, more));
    let rtt = |name: &str| format!(r#"(name: "{name}", path: "links[0].rtt", values: ["10 ms", "20 ms"]),"#);
    let streams = |name: &str| format!(r#"(name: "{name}", path: "transfers[0].streams", values: [1, 4]),"#);
    let tail = r#"plots: [Tail(name: "slow", client: "web")],"#;
    let cdf = r#"plots: [Cdf(name: "spread", x: "time")],"#;
    let both = "replicate_over: [Workload, Network],";
    for (axes, more, parts) in [
        (
            rtt("time"),
            "",
            [
                "sweep.ron:7:",
                "two columns of `results.csv` would be called `time_ns`: `time` needs",
            ],
        ),
        (streams("time_state"), "", ["sweep.ron:7:", "`time_state`"]),
        (
            streams("workload_seed"),
            both,
            ["sweep.ron:7:", "`workload_seed`"],
        ),
        (streams("share"), both, ["`components.csv`", "`share`"]),
        (streams("n"), tail, ["the table of the plot `slow`", "`n`"]),
        (
            streams("one_in"),
            tail,
            ["the table of the plot `slow`", "`one_in`"],
        ),
    ] {
        let message = with(&axes, more).expect_err(&axes);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in\n{message}");
        }
    }
    // What only another table would have is allowed.
    for (axes, more) in [(streams("n"), cdf), (streams("share"), ""), (streams("time"), "")] {
        with(&axes, more).unwrap_or_else(|message| panic!("{message}"));
    }
    let metrics = format!(
        r#"{METRICS}
        (name: "time_state", metric: TransferFairness, statistic: Max),"#
    );
    let message = place.try_prepare(&text(AXES, &metrics, "")).unwrap_err();
    assert!(
        message.contains("sweep.ron:14:")
            && message.contains("would be called `time_state`: `time_state` needs"),
        "{message}"
    );
}

#[test]
fn too_many_points_are_refused_before_anything_runs() {
    let thousand = r#"(name: "a", path: "links[0].rtt", values: Range(from: "1 ms", to: "1000 ms", steps: 1000)),
        (name: "b", path: "links[0].rate", values: Range(from: "1 Mbit/s", to: "1000 Mbit/s", steps: 1000)),"#;
    refused(&[
        (
            text(thousand, METRICS, ""),
            &["1000000 points are more than the limit of 100000", "--yes"],
        ),
        (
            text(AXES, METRICS, "limit: 5,"),
            &["6 points are more than the limit of 5"],
        ),
    ]);
}

#[test]
fn axes_that_set_the_same_field_in_whatever_words_are_refused() {
    let axes = |one: &str, two: &str| text(&format!("{one}, {two}"), METRICS, "");
    let rtt = r#"(name: "a", path: "links[0].rtt", values: ["1 ms", "2 ms"])"#;
    let mean = r#"(name: "m", path: "links[0].loss.mean", values: ["1 %", "2 %"])"#;
    let loss = r#"(name: "l", path: "links[north<->south].loss", values: [Independent(mean: "1 %"), Independent(mean: "3 %")])"#;
    refused(&[
        (
            axes(
                rtt,
                &rtt.replace("[0]", "[ north <-> south ]")
                    .replace(r#""a""#, r#""b""#),
            ),
            &[
                "sweep.ron:7:",
                "the axes `a` and `b` both set one field, as `links[0].rtt` and as `links[ north <-> south ].rtt`",
            ],
        ),
        (
            axes(mean, loss),
            &["the axes `m` and `l` both set `links[0].loss.mean`: `links[north<->south].loss` is all of it"],
        ),
        (
            axes(loss, mean),
            &["the axes `l` and `m` both set `links[0].loss.mean`: `links[north<->south].loss` is all of it"],
        ),
        (
            text(
                r#"(name: "a", path: ["links[0].rtt", "links[north<->south].rtt"], values: ["1 ms", "2 ms"])"#,
                METRICS,
                "",
            ),
            &["the axis `a` twice sets one field"],
        ),
        (
            text(
                loss,
                METRICS,
                r#"set: ["horizon=30 s", "links[0].loss.mean=1 %"],"#,
            ),
            &[
                "sweep.ron:13:",
                "this is without effect: the axis `l` sets `links[north<->south].loss`",
            ],
        ),
    ]);
    // What all points share may be varied in part, and two parts of one thing are two things.
    let place = Place::new();
    let set = r#"set: ["links[0].loss=Independent(mean: \"5 %\")", "links[0].rate=9 Mbit/s"],"#;
    let prepared = place.prepare(&text(&format!("{rtt}, {mean}"), METRICS, set));
    assert_eq!(prepared.points().len(), 4);
}

#[test]
fn a_path_that_leads_nowhere_is_reported_at_the_path() {
    let axis = |path: &str, values: &str| {
        text(
            &format!(r#"(name: "x", path: "{path}", values: {values}),"#),
            METRICS,
            "",
        )
    };
    let place = Place::new();
    for (path, what) in [
        (
            "links[9].rtt",
            "`links[9].rtt`: there are 1 items, counted from 0",
        ),
        ("links[nope].rtt", "`links[nope].rtt`: no item is named `nope`"),
        ("name.x", "`name.x`: a string has no fields"),
    ] {
        let message = place.try_prepare(&axis(path, r#"["1 ms", "2 ms"]"#)).unwrap_err();
        assert!(message.contains("sweep.ron:7:30: "), "{message}");
        assert!(message.contains(what), "{message}");
        assert_eq!(message.matches("sweep.ron:").count(), 1, "{message}");
    }
    let small = std::fs::read_to_string(place.path("small.ron")).unwrap();
    std::fs::write(
        place.path("small.ron"),
        small.replace(r#"Independent(mean: "1 %")"#, "None"),
    )
    .unwrap();
    let message = place
        .try_prepare(&axis("links[0].loss.mean", r#"["1 %", "2 %"]"#))
        .unwrap_err();
    assert!(message.contains("sweep.ron:7:30: "), "{message}");
    assert!(message.contains("`None` has no fields"), "{message}");
}

#[test]
fn mistakes_of_a_whole_sweep_have_their_places_too() {
    let one = r#"(name: "rtt", path: "links[0].rtt", values: ["1 ms", "2 ms"]),"#;
    let many = r#"(name: "rtt", path: "links[0].rtt", values: Range(from: "1 ms", to: "400 ms", step: "1 ms")),
        (name: "rate", path: "links[0].rate", values: Range(from: "1 Mbit/s", to: "400 Mbit/s", step: "1 Mbit/s")),"#;
    refused(&[
        (
            text(one, METRICS, r#"set: ["horizon=30 s", "links[0].rat=1 Mbit/s"],"#),
            &["sweep.ron:13:27: ", "`links[0].rat`: a link has no field"],
        ),
        (
            text(one, METRICS, r#"set: ["links[0].rate=fast"],"#),
            &["sweep.ron:13:", "`links[0].rate=fast`: "],
        ),
        (
            text(one, METRICS, r#"where: ["rtt > 1 s"],"#),
            &["sweep.ron:13:", "where: no point satisfies `where`"],
        ),
        (
            text(many, METRICS, ""),
            &["sweep.ron:7:11: axes: 160000 points are more than the limit of 100000"],
        ),
    ]);
}

#[test]
fn values_that_only_exist_in_points_that_are_left_out_need_not_be_valid() {
    let place = Place::new();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms", "9 h"]),"#;
    let prepared = place.prepare(&text(axes, METRICS, r#"where: ["rtt < 1 h"],"#));
    assert_eq!(prepared.points().len(), 1);
}

#[test]
fn a_scenario_that_is_wrong_by_itself_is_told_in_its_own_terms() {
    let place = Place::new();
    std::fs::write(place.path("small.ron"), "Scenario(version: 1, name: 3)").unwrap();
    let message = place.try_prepare(&usual()).unwrap_err();
    assert!(message.contains("small.ron:1:28: name"), "{message}");
    std::fs::remove_file(place.path("small.ron")).unwrap();
    let message = place.try_prepare(&usual()).unwrap_err();
    assert!(
        message.contains("no such file, and no such scenario in the library"),
        "{message}"
    );
}

#[test]
fn every_sweep_of_the_library_is_valid_small_and_opens_with_its_question() {
    for entry in library::list() {
        let source = library::open(entry.name).unwrap();
        let file = longhaul_sweeps::decode::read(&source).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let prepared =
            longhaul_sweeps::prepare::prepare(&file, false).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let sweep = &prepared.sweep;
        assert_eq!(sweep.name, entry.name);
        assert!(!sweep.plots.is_empty() || sweep.sensitivity.is_some());
        // Points of designs are many and small.
        let most = if sweep.sensitivity.is_some() { 2_000 } else { 100 };
        assert!(prepared.points().len() <= most, "{}", entry.name);
        let head = format!("// Question: {}\n// Expected: ", sweep.question);
        assert!(entry.text.starts_with(&head), "{}", entry.name);
    }
    let error = library::open("streams_by_rt").unwrap_err().to_string();
    assert!(
        error.contains("no such sweep in the library; did you mean `streams_by_rtt`?"),
        "{error}"
    );
    let error = library::open("cross_region").unwrap_err().to_string();
    assert!(
        error.contains("`cross_region` is a scenario, not a sweep: `longhaul run cross_region`"),
        "{error}"
    );
}
