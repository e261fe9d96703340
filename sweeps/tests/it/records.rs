//! The tables of a sweep: what they say, and that the forms agree.

use std::fs::{self, File};

use longhaul_sweeps::columns::{Cell, Column, Kind, ParquetTable};
use longhaul_sweeps::entry::Known;
use longhaul_sweeps::estimate::estimate;
use longhaul_sweeps::summary::SummaryFile;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

use crate::common::{Place, text, threads, usual};

#[test]
fn parquet_and_csv_have_the_same_content() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    let reader = SerializedFileReader::new(File::open(place.path("out/results.parquet")).unwrap()).unwrap();
    let rows: Vec<Vec<(String, String)>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            let row = row.unwrap();
            let cells = row.get_column_iter().map(|(name, field)| {
                let text = match field {
                    Field::Null => String::new(),
                    Field::Str(text) => text.clone(),
                    Field::Long(value) => value.to_string(),
                    Field::ULong(value) => value.to_string(),
                    Field::Double(value) => value.to_string(),
                    other => panic!("{other:?}"),
                };
                (name.clone(), text)
            });
            cells.collect()
        })
        .collect();
    let mut csv = csv::Reader::from_path(place.path("out/results.csv")).unwrap();
    let head = csv.headers().unwrap().clone();
    let expected: Vec<Vec<(String, String)>> = csv
        .records()
        .map(|row| {
            let row = row.unwrap();
            head.iter()
                .zip(row.iter())
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .collect()
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(rows.len(), 24);
    let names: Vec<&str> = head.iter().collect();
    assert_eq!(
        names,
        [
            "point",
            "replication",
            "seed",
            "rtt_ns",
            "streams",
            "status",
            "verdict",
            "digest",
            "events",
            "simulated_ns",
            "time_ns",
            "time_state",
            "loss_share",
            "loss_state"
        ]
    );
    let metadata = reader.metadata().file_metadata();
    let format = metadata
        .key_value_metadata()
        .unwrap()
        .iter()
        .find(|pair| pair.key == "longhaul.sweep.format");
    assert_eq!(format.unwrap().value.as_deref(), Some("1"));
}

#[test]
fn nulls_extremes_and_many_rows_survive_parquet() {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let columns = [
        column("s", Kind::Signed),
        column("u", Kind::Unsigned),
        column("r", Kind::Real),
        column("t", Kind::Text),
    ];
    let row = |index: u64| -> Vec<Cell> {
        match index % 3 {
            0 => vec![const { Cell::Null }; 4],
            1 => vec![
                Cell::Signed(i64::MIN),
                Cell::Unsigned(u64::MAX),
                Cell::Real(0.1),
                Cell::Text("ä \"x\", y".to_owned()),
            ],
            _ => vec![
                Cell::Signed(7),
                Cell::Unsigned(index),
                Cell::Real(-1e300),
                Cell::Text(String::new()),
            ],
        }
    };
    // More than one row group.
    let rows = 40_000;
    let mut table = ParquetTable::new(Vec::new(), &columns, &[]).unwrap();
    for index in 0..rows {
        table.row(&row(index)).unwrap();
    }
    let bytes = table.finish().unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    assert!(reader.num_row_groups() > 1);
    let mut read = 0;
    for (index, found) in (0..).zip(reader.get_row_iter(None).unwrap()) {
        let found = found.unwrap();
        let fields: Vec<Cell> = found
            .get_column_iter()
            .map(|(_, field)| match field {
                Field::Null => Cell::Null,
                Field::Long(value) => Cell::Signed(*value),
                Field::ULong(value) => Cell::Unsigned(*value),
                Field::Double(value) => Cell::Real(*value),
                Field::Str(text) => Cell::Text(text.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(fields, row(index));
        read += 1;
    }
    assert_eq!(read, rows);
}

#[test]
fn the_summary_says_what_the_rows_say() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    let text = fs::read_to_string(place.path("out/summary.json")).unwrap();
    let summary: SummaryFile = serde_json::from_str(&text).unwrap();
    assert_eq!(summary.head.format, 1);
    assert_eq!(summary.head.model_version, longhaul_core::MODEL_VERSION);
    assert_eq!(summary.points.len(), 6);
    let mut csv = csv::Reader::from_path(place.path("out/results.csv")).unwrap();
    let times: Vec<f64> = csv
        .records()
        .map(|row| row.unwrap()[10].parse().unwrap())
        .collect();
    for (point, times) in summary.points.iter().zip(times.chunks(4)) {
        let known = &point.metrics[0];
        let mean = times.iter().sum::<f64>() / 4.0;
        assert!((known.mean.unwrap() / mean - 1.0).abs() < 1e-12);
        assert_eq!((known.n, known.unfinished, known.missing), (4, 0, 0));
        assert!(known.low.unwrap() < mean && mean < known.high.unwrap());
        assert_eq!(known.method.as_deref(), Some("Student t"));
        assert_eq!(point.passed, 4);
    }
    assert_eq!(summary.points[3].values, ["20 ms", "4"]);
}

#[test]
fn plots_have_tables_and_say_what_these_are_for() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    let lines = fs::read_to_string(place.path("out/plots/times.csv")).unwrap();
    let mut lines = lines.lines();
    assert_eq!(
        lines.next(),
        Some(
            "point,rtt_ns,streams,time_n,time_unfinished,time_missing,time_mean_ns,time_low_ns,time_high_ns"
        )
    );
    assert!(lines.next().unwrap().starts_with("0,10000000,1,4,0,0,"));
    assert_eq!(lines.count(), 5);
    let spread = fs::read_to_string(place.path("out/plots/spread.csv")).unwrap();
    assert_eq!(
        spread.lines().next(),
        Some("point,rtt_ns,streams,replication,time_ns,time_state")
    );
    assert_eq!(spread.lines().count(), 25);
    let index: Value =
        serde_json::from_slice(&fs::read(place.path("out/plots/index.json")).unwrap()).unwrap();
    assert_eq!(index[0]["kind"], "line");
    assert_eq!(index[0]["y"], "time_mean_ns");
    assert_eq!(index[0]["bound"], 1e9);
    assert_eq!(index[1]["series"], "streams");
    assert_eq!(index[1]["facets"], serde_json::json!(["rtt_ns"]));
}

#[test]
fn what_is_unfinished_or_missing_is_not_averaged_away() {
    let prepared = Place::new().prepare(&usual());
    let measure = &prepared.sweep.measures[0];
    let all = estimate(measure, &[Known::Exact(10), Known::Exact(20), Known::Exact(30)]);
    assert_eq!(
        (all.mean, all.median, all.max),
        (Some(20.0), Some(20.0), Some(30.0))
    );
    assert_eq!((all.median_low, all.watched), (None, None));
    let unfinished = estimate(measure, &[Known::Exact(10), Known::Exact(20), Known::AtLeast(30)]);
    assert_eq!(
        (unfinished.mean, unfinished.median, unfinished.max),
        (None, Some(20.0), None)
    );
    assert_eq!(
        (unfinished.n, unfinished.unfinished, unfinished.watched),
        (2, 1, Some(30.0))
    );
    assert_eq!(unfinished.median_low, Some(10.0));
    assert_eq!(unfinished.median_high, None, "open to above");
    assert_eq!(
        unfinished.median_method.as_deref(),
        Some("Kaplan–Meier, Greenwood log-log")
    );
    // One that was given up early says nothing about later.
    let early = [
        Known::AtLeast(5),
        Known::Exact(10),
        Known::Exact(20),
        Known::Exact(30),
        Known::Exact(40),
    ];
    // Of those still watched after 5, a quarter finish at 10, and half of them by 20.
    assert_eq!(estimate(measure, &early).median, Some(20.0));
    let most = estimate(
        measure,
        &[Known::Exact(10), Known::AtLeast(30), Known::AtLeast(30)],
    );
    assert_eq!((most.mean, most.median, most.min), (None, None, Some(10.0)));
    let none = estimate(measure, &[Known::AtLeast(30), Known::AtLeast(40)]);
    assert_eq!((none.median, none.watched, none.min), (None, Some(40.0), None));
    let missing = estimate(measure, &[Known::Exact(10), Known::Exact(20), Known::Missing]);
    assert_eq!((missing.mean, missing.median, missing.missing), (None, None, 1));
    let single = estimate(measure, &[Known::Exact(10)]);
    assert_eq!((single.mean, single.low, single.method), (Some(10.0), None, None));
    assert_eq!(estimate(measure, &[]).n, 0);
}

#[test]
fn rates_of_what_is_unfinished_are_bounded_from_above() {
    let prepared = Place::new().prepare(&usual());
    let measure = &prepared.sweep.measures[0];
    // The mirror image of 10, 20 and at least 30.
    let bounded = estimate(measure, &[Known::Exact(30), Known::Exact(20), Known::AtMost(10)]);
    assert_eq!((bounded.n, bounded.unfinished, bounded.missing), (2, 1, 0));
    assert_eq!(
        (bounded.mean, bounded.median, bounded.min),
        (None, Some(20.0), None)
    );
    assert_eq!((bounded.median_low, bounded.median_high), (None, Some(30.0)));
    assert!(bounded.from_above);
    let none = estimate(measure, &[Known::AtMost(30), Known::AtMost(40)]);
    assert_eq!((none.median, none.watched), (None, Some(30.0)));
}

#[test]
fn what_did_not_finish_is_on_the_curve_and_not_in_the_boxes() {
    let place = Place::new();
    // Half a megabyte at 150 kbit/s takes longer than the horizon, at 1 Mbit/s it does not.
    let axes = r#"(name: "rate", path: "links[0].rate", values: ["150 kbit/s", "1 Mbit/s"]),"#;
    let metrics = r#"(name: "time", metric: TransferCompletionTime, statistic: Max),"#;
    let plots = r#"replications: 5, plots: [
        Survival(name: "curve", x: "time", series: "rate", bound: "10 s"),
        Box(name: "boxes", x: "rate", y: "time"),
        Line(name: "means", x: "rate", y: "time"),
    ],"#;
    place.run(&text(axes, metrics, plots), "out", threads(2));
    let summary = fs::read_to_string(place.path("out/summary.json")).unwrap();
    let summary: SummaryFile = serde_json::from_str(&summary).unwrap();
    let slow = &summary.points[0].metrics[0];
    assert_eq!(
        (slow.n, slow.unfinished, slow.mean, slow.median),
        (0, 5, None, None)
    );
    let watched = slow.watched.unwrap();
    assert!((19e9..=20e9).contains(&watched), "{watched}");
    let picture = |name: &str| fs::read_to_string(place.path("out/plots").join(name)).unwrap();
    let curve = picture("curve.svg");
    assert!(
        curve.contains("n = 5, 5 unfinished") && curve.contains("n = 5)"),
        "{curve}"
    );
    assert!(picture("boxes.svg").contains("Not drawn: 1 of 2 boxes"));
    let means = picture("means.svg");
    assert!(means.contains("Not drawn: 1 of 2 points"), "{means}");
    let table = picture("means.csv");
    assert!(
        table.starts_with("point,rate_bits_per_s,time_n,time_unfinished,time_missing,time_mean_ns,time_low_ns,time_high_ns\n0,150000,0,5,0,,,\n"),
        "{table}"
    );
    let index: Value = serde_json::from_str(&picture("index.json")).unwrap();
    assert_eq!(
        (&index[0]["kind"], &index[0]["x"]),
        (&Value::from("survival"), &Value::from("time_ns"))
    );
    let shown = longhaul_sweeps::text::points(
        &place.prepare(&text(axes, metrics, plots)).sweep,
        &summary.points,
        2,
        120,
    );
    assert!(
        shown.contains("median > 20 s (5 of 5 unfinished)") || shown.contains("median > 19"),
        "{shown}"
    );
}
