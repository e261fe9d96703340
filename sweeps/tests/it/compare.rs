//! Two sweeps, or two runs, against each other.

use std::fs;

use longhaul_reports::directory::{RunContents, RunDirectory};
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::read_file;
use longhaul_sweeps::compare::{CompareError, Comparison, compare, pictures};
use longhaul_sweeps::text;

use crate::common::{ADMITTED, Place, SCENARIO, reserving, text as sweep_text, threads, usual};

#[test]
fn equal_sweeps_are_identical() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    place.run(&usual(), "b", threads(1));
    let comparison = compare(&place.path("a"), &place.path("b"), &[]).unwrap();
    let digest = comparison.identical.clone().expect("the same runs");
    assert_eq!(digest.len(), 16);
    assert!(text::comparison(&comparison, 100).ends_with(&format!("identical ({digest})\n")));
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| row.difference == Some(0.0) && row.p.is_none())
    );
}

#[test]
fn differences_are_paired_by_point_and_seed_and_corrected_for_their_number() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    // A fifth more to carry: slower for every seed.
    fs::write(place.path("small.ron"), SCENARIO.replace("500 kB", "600 kB")).unwrap();
    place.run(&usual(), "b", threads(2));
    let comparison = compare(&place.path("a"), &place.path("b"), &[]).unwrap();
    assert_eq!(comparison.identical, None);
    assert_eq!(comparison.rows.len(), 12, "6 points, 2 metrics");
    assert!(comparison.tests <= 12);
    let results = |name: &str| fs::read_to_string(place.path(name).join("results.csv")).unwrap();
    for row in &comparison.rows {
        assert_eq!((row.n, row.unpaired), (4, 0));
        if let (Some(p), Some(corrected)) = (row.p, row.p_holm) {
            assert!(p <= corrected && corrected <= 1.0, "{row:?}");
        }
    }
    // The first row by hand, from the tables.
    let times = |table: &str| -> Vec<f64> {
        let rows = table.lines().skip(1).take(4);
        rows.map(|line| line.split(',').nth(10).unwrap().parse().unwrap())
            .collect()
    };
    let (a, b) = (times(&results("a")), times(&results("b")));
    let differences: Vec<f64> = b.iter().zip(&a).map(|(b, a)| b - a).collect();
    let mean = differences.iter().sum::<f64>() / 4.0;
    let variance = differences.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 3.0;
    // Student's quantile of 97.5 % with three degrees of freedom.
    let half = 3.182_446 * (variance / 4.0).sqrt();
    let row = &comparison.rows[0];
    assert_eq!(
        (row.metric.as_str(), row.unit, row.place.as_str()),
        ("time", "ns", "rtt = 10 ms, streams = 1")
    );
    assert!((row.difference.unwrap() / mean - 1.0).abs() < 1e-9);
    assert!(
        ((row.high.unwrap() - row.low.unwrap()) / 2.0 / half - 1.0).abs() < 1e-5,
        "{row:?} {half}"
    );
    let shown = text::comparison(&comparison, 200);
    assert!(
        shown.contains("10 ms, 1 ") && shown.contains("Holm over"),
        "{shown}"
    );
}

#[test]
fn points_that_only_one_has_are_left_out_and_said_so() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    place.run(
        &usual().replace(r#""20 ms", "40 ms""#, r#""80 ms""#),
        "b",
        threads(2),
    );
    let comparison = compare(&place.path("a"), &place.path("b"), &[]).unwrap();
    assert_eq!(comparison.rows.len(), 4);
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("6 points are in one of the two"))
    );
    place.run(
        &usual().replace(r#""10 ms", "20 ms", "40 ms""#, r#""7 ms""#),
        "c",
        threads(2),
    );
    let error = compare(&place.path("a"), &place.path("c"), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no point with the same values"), "{error}");
    let error = compare(&place.path("a"), &place.path("d"), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds neither a run nor a sweep"), "{error}");
}

/// Two sweeps of which the second has a tenth more to carry.
fn tenth_more(place: &Place) {
    place.run(&usual(), "a", threads(2));
    fs::write(place.path("small.ron"), SCENARIO.replace("500 kB", "550 kB")).unwrap();
    place.run(&usual(), "b", threads(2));
}

fn with(place: &Place, margins: &[&str]) -> Result<Comparison, CompareError> {
    let margins: Vec<String> = margins.iter().map(|margin| (*margin).to_owned()).collect();
    compare(&place.path("a"), &place.path("b"), &margins)
}

#[test]
fn margins_say_what_is_equal_and_what_needs_more_runs() {
    let place = Place::new();
    tenth_more(&place);
    let wide = with(&place, &["time=10 s", "loss=50 %"]).unwrap();
    assert!(
        wide.rows
            .iter()
            .all(|row| row.equivalence.is_some_and(|equal| equal.verdict == "equal"))
    );
    assert!(text::comparison(&wide, 250).contains("equal (± 10 s)"));
    // Of a time a share is one of the first side's mean.
    let relative = with(&place, &["time=100 %"]).unwrap();
    for row in relative.rows.iter().filter(|row| row.metric == "time") {
        let equal = row.equivalence.unwrap();
        assert!((equal.margin / row.a.unwrap() - 1.0).abs() < 1e-12, "{row:?}");
        // Two one-sided tests at 5 % are the interval of 90 %, narrower than that of 95 %.
        assert!(equal.low > row.low.unwrap() && equal.high < row.high.unwrap());
    }
    assert!(
        relative
            .rows
            .iter()
            .all(|row| (row.metric == "time") == row.equivalence.is_some())
    );
    let narrow = with(&place, &["time=1 ns"]).unwrap();
    assert!(
        narrow
            .rows
            .iter()
            .filter_map(|row| row.equivalence)
            .all(|equal| equal.verdict != "equal" && equal.p.is_none_or(|p| p > 0.05)),
        "{narrow:?}"
    );
    for (margin, part) in [
        ("time", "written METRIC=VALUE"),
        ("tim=5 %", "no metric of both sweeps is named `tim`"),
        ("time=5 MB", "`time` is in ns"),
        ("time=0 s", "a positive amount"),
        ("loss=3", "`loss` is in share"),
    ] {
        let message = with(&place, &[margin]).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn effects_are_in_deviations_of_single_runs() {
    let place = Place::new();
    tenth_more(&place);
    let comparison = with(&place, &[]).unwrap();
    let row = &comparison.rows[0];
    let (a, b): (Vec<f64>, Vec<f64>) = row.pairs.iter().copied().unzip();
    let variance = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / 4.0;
        values
            .iter()
            .map(|value| (value - mean) * (value - mean))
            .sum::<f64>()
            / 3.0
    };
    let expected = row.difference.unwrap() / ((variance(&a) + variance(&b)) / 2.0).sqrt();
    assert!((row.effect_size.unwrap() - expected).abs() < 1e-9, "{row:?}");
    assert_eq!(row.larger + row.smaller + row.equal, 4);
    let folder = place.path("pictures");
    let (names, _) = pictures::all(&comparison, &folder, true).unwrap();
    assert!(names.contains(&"differences-time".to_owned()) && names.contains(&"pairs-time-1".to_owned()));
    for name in &names {
        let png = fs::read(folder.join(format!("{name}.png"))).unwrap();
        assert_eq!(png[..4], *b"\x89PNG", "{name}");
    }
    let picture = fs::read_to_string(folder.join("differences-time.svg")).unwrap();
    assert_eq!(picture.matches("class=\"interval\"").count() % 6, 0, "six points");
    assert!(picture.contains("rtt = 10 ms, streams = 1"), "{picture}");
}

#[test]
fn pairs_that_did_not_finish_have_a_larger_side_and_no_difference() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    // The same at 100 kbit/s does not finish within the horizon.
    fs::write(
        place.path("small.ron"),
        SCENARIO.replace("50 Mbit/s", "100 kbit/s"),
    )
    .unwrap();
    place.run(&usual(), "b", threads(2));
    let comparison = with(&place, &["time=10 s"]).unwrap();
    let row = &comparison.rows[0];
    assert_eq!(
        (row.metric.as_str(), row.n, row.unfinished, row.larger),
        ("time", 0, 4, 4)
    );
    assert_eq!(
        (row.a, row.b, row.difference, row.equivalence),
        (None, None, None, None)
    );
    // All four of four coins: 2 / 16.
    assert!(
        (row.p.unwrap() - 0.125).abs() < 1e-12 && row.test == Some("sign test"),
        "{row:?}"
    );
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("in 6 of 12 rows runs did not finish")),
        "{:?}",
        comparison.warnings
    );
    assert!(text::comparison(&comparison, 250).contains("b larger 4, smaller 0, unknown 0 (4 unfinished)"));
}

#[test]
fn answers_of_yes_and_no_have_an_interval_with_a_width_and_an_exact_test() {
    let place = Place::new();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms"]),"#;
    let sweep = |place: &Place, scenario: String, folder: &str| {
        fs::write(place.path("small.ron"), scenario).unwrap();
        place.run(
            &sweep_text(axes, ADMITTED, "replications: 5,"),
            folder,
            threads(2),
        );
    };
    sweep(&place, reserving(), "a");
    sweep(
        &place,
        reserving().replace("\"10 Mbit/s\"", "\"100 Mbit/s\""),
        "b",
    );
    let comparison = with(&place, &["admitted=0.6"]).unwrap();
    let row = &comparison.rows[0];
    assert_eq!((row.a, row.b, row.difference), (Some(1.0), Some(0.0), Some(-1.0)));
    assert_eq!(
        (row.low, row.method),
        (Some(-1.0), Some("paired proportions, Newcombe"))
    );
    // Squared and added: 1 − √2 × 0.4345.
    assert!((row.high.unwrap() + 0.3855).abs() < 5e-4, "{row:?}");
    assert!((row.p.unwrap() - 0.0625).abs() < 1e-12 && row.test == Some("McNemar, exact"));
    let equal = row.equivalence.unwrap();
    assert!(equal.verdict == "outside" && equal.p == Some(1.0), "{equal:?}");
    // The other metric is none of these.
    assert_eq!(comparison.rows[1].method, Some("paired t"));
    let shown = text::comparison(&comparison, 250);
    assert!(shown.contains("[−1, −0.3"), "{shown}");
}

#[test]
fn combinations_of_two_sources_are_compared_as_such_in_tables_pictures_and_margins() {
    let place = Place::new();
    let sweep = usual().replace(
        "replications: 4,",
        "replications: 3, replicate_over: [Workload, Network],",
    );
    place.run(&sweep, "a", threads(2));
    fs::write(place.path("small.ron"), SCENARIO.replace("500 kB", "550 kB")).unwrap();
    place.run(&sweep, "b", threads(2));
    let comparison = with(&place, &["time=10 s"]).unwrap();
    for row in comparison.rows.iter().filter(|row| row.metric == "time") {
        assert_eq!(row.method, Some("two-way random effects, Satterthwaite t"));
        let equal = row.equivalence.expect("a margin");
        assert!(
            equal.verdict == "equal" && equal.p_holm.unwrap() < 1e-3,
            "{equal:?}"
        );
    }
    let narrow = with(&place, &["time=1 ns"]).unwrap();
    assert!(
        narrow
            .rows
            .iter()
            .filter_map(|row| row.equivalence)
            .all(|equal| equal.verdict != "equal")
    );
    let folder = place.path("pictures");
    pictures::all(&comparison, &folder, false).unwrap();
    for name in ["differences-time.svg", "pairs-time-1.svg"] {
        let picture = fs::read_to_string(folder.join(name)).unwrap();
        assert!(
            picture.contains("Satterthwaite t") && !picture.contains("paired t"),
            "{picture}"
        );
    }
    let picture = fs::read_to_string(folder.join("differences-time.svg")).unwrap();
    assert!(picture.contains("n = 9 pairs at each of 6 points"), "{picture}");
}

#[test]
fn verdicts_about_many_margins_are_corrected_for_their_number() {
    let place = Place::new();
    tenth_more(&place);
    let wide = with(&place, &["time=10 s"]).unwrap();
    assert_eq!(wide.margins, 6);
    // Least of six, so six times itself, or that of one before.
    let mut p: Vec<(f64, f64)> = wide
        .rows
        .iter()
        .filter_map(|row| row.equivalence)
        .map(|equal| (equal.p.unwrap(), equal.p_holm.unwrap()))
        .collect();
    p.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!((p[0].1 / p[0].0 - 6.0).abs() < 1e-9, "{p:?}");
    // A margin within which the narrowest of the single intervals just lies: by itself that one is equal, among six it is not.
    let ends = wide.rows.iter().filter_map(|row| row.equivalence);
    let ends = ends.map(|equal| equal.high.abs().max(equal.low.abs()));
    let margin = format!("time={} ns", libm::ceil(ends.fold(f64::INFINITY, f64::min)));
    let just = with(&place, &[&margin]).unwrap();
    let verdicts: Vec<_> = just.rows.iter().filter_map(|row| row.equivalence).collect();
    let alone: Vec<_> = verdicts.iter().filter(|equal| equal.p.unwrap() <= 0.05).collect();
    assert_eq!(alone.len(), 1, "{verdicts:?}");
    assert!(alone[0].p_holm.unwrap() > 0.05, "{alone:?}");
    for equal in &verdicts {
        let decided = ["equal", "different"].contains(&equal.verdict);
        assert_eq!(decided, equal.p_holm.unwrap() <= 0.05, "{equal:?}");
    }
    assert!(text::comparison(&just, 250).contains("Holm over 6 margins"));
}

#[test]
fn a_comparison_in_eighty_columns_breaks_no_word() {
    let place = Place::new();
    tenth_more(&place);
    let comparison = with(&place, &["time=1 ms", "loss=1 %"]).unwrap();
    let shown = text::comparison(&comparison, 80);
    let words: Vec<&str> = shown.split_whitespace().collect();
    for row in &comparison.rows {
        let verdict = row.equivalence.unwrap().verdict;
        assert!(words.contains(&verdict), "{verdict}\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(shown.contains("10 ms, 1, time\n    a: "), "{shown}");
}

/// Runs a scenario into a folder.
fn single_run(place: &Place, scenario: &str, folder: &str) {
    fs::write(place.path("single.ron"), scenario).unwrap();
    let source = read_file(&place.path("single.ron")).unwrap();
    let loaded = longhaul_scenarios::load(&source, &[], None).unwrap();
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).unwrap();
    while simulation.advance(1 << 14) {}
    let ran = simulation.finish(false);
    let directory = RunDirectory::reserve(&place.path(folder)).unwrap();
    let contents = RunContents {
        record: &ran.record,
        scenario: &loaded.canonical,
        faults: ran.faults.as_deref(),
        series: &ran.series,
        events: &ran.events,
        checkpoints: &ran.checkpoints,
        trace: None,
        argv: &[],
    };
    directory.write(&contents).unwrap();
}

#[test]
fn what_one_of_two_runs_did_not_finish_is_known_within_bounds() {
    let place = Place::new();
    single_run(&place, SCENARIO, "a");
    single_run(&place, &SCENARIO.replace("50 Mbit/s", "100 kbit/s"), "b");
    let comparison = with(&place, &[]).unwrap();
    let row = |metric: &str| {
        let mut rows = comparison.rows.iter();
        rows.find(|row| row.metric == metric).unwrap()
    };
    let time = row("TransferCompletionTime");
    assert_eq!((time.n, time.unfinished, time.unpaired), (0, 1, 0));
    let bounds = time.bounds.unwrap();
    let a = bounds.a.low.unwrap();
    assert_eq!((bounds.a.high, bounds.b.high), (Some(a), None));
    // It began at once, and the run ended after 20 s.
    assert_eq!(bounds.b.low, Some(20e9));
    assert_eq!((bounds.difference.low, time.larger), (Some(20e9 - a), 1));
    // Half a megabyte in more than 20 s.
    let goodput = row("TransferGoodput");
    assert_eq!((goodput.bounds.unwrap().b.high, goodput.smaller), (Some(2e5), 1));
    let shown = text::comparison(&comparison, 250);
    assert!(
        shown.contains("≥ 20 s") && shown.contains("≤ 200 kbit/s"),
        "{shown}"
    );
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("in 2 of") && warning.contains("are bounds")),
        "{:?}",
        comparison.warnings
    );
}
