//! The pictures of a sweep: which there are, what they are called, what their captions say, and what is said of those that
//! there are none of.

use std::fs;

use serde_json::Value;

use crate::common::{AXES, METRICS, Place, text, threads};

/// The names of the pictures of a finished sweep, sorted.
fn pictures(place: &Place, folder: &str) -> Vec<String> {
    let files = crate::common::files(&place.path(folder).join("plots"));
    let names = files.iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(".svg").map(str::to_owned)
    });
    names.collect()
}

fn picture(place: &Place, folder: &str, name: &str) -> String {
    let path = place.path(folder).join("plots").join(format!("{name}.svg"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn index(place: &Place, folder: &str) -> Value {
    let text = fs::read(place.path(folder).join("plots/index.json")).expect("an index");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn values_of_facets_name_pictures_in_words_and_long_ones_do_not_end_the_sweep() {
    let place = Place::new();
    // Only its length matters: it is a text like any other.
    let question = format!("\"{}\"", "why ".repeat(100).trim_end());
    let axes = format!(
        r#"(name: "rtt", path: "links[0].rtt", values: ["100.1 ms", "100.2 ms"]),
        (name: "why", path: "question", values: ["short", {question}]),"#
    );
    assert!(question.len() > 255);
    let plots = r#"replications: 2, plots: [Cdf(name: "spread", x: "time")],"#;
    place.run(&text(&axes, METRICS, plots), "out", threads(2));
    let names = pictures(&place, "out");
    assert_eq!(names.len(), 4, "{names:?}");
    for name in ["spread-100_1_ms-short", "spread-100_2_ms-short"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(
        picture(&place, "out", "spread-100_1_ms-short").contains("rtt = 100.1 ms"),
        "titles tell pictures apart"
    );
    assert_eq!(
        index(&place, "out")[0]["pictures"].as_array().map(Vec::len),
        Some(4)
    );
}

#[test]
fn values_that_differ_in_their_fourth_digit_are_lines_of_their_own() {
    let place = Place::new();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["100.1 ms", "100.2 ms"]),
        (name: "streams", path: "transfers[bulk].streams", values: [1, 4]),"#;
    let plots = r#"replications: 2, plots: [
        Line(name: "times", x: "streams", y: "time", series: "rtt"),
        Line(name: "alone", x: "streams", y: "time"),
    ],"#;
    place.run(&text(axes, METRICS, plots), "out", threads(2));
    let times = picture(&place, "out", "times");
    assert!(
        times.contains(">rtt 100.1 ms<") && times.contains(">rtt 100.2 ms<"),
        "{times}"
    );
    // A single line is called what it shows, not nothing.
    let alone = picture(&place, "out", "alone-100_1_ms");
    assert!(alone.contains(">time<"), "{alone}");
}

#[test]
fn axes_that_change_together_with_one_that_is_shown_split_no_picture() {
    let place = Place::new();
    let axes = r#"Zipped([
            (name: "rtt", path: "links[0].rtt", values: ["10 ms", "20 ms", "40 ms"]),
            (name: "rate", path: "links[0].rate", values: ["50 Mbit/s", "25 Mbit/s", "10 Mbit/s"]),
        ]),
        LatinHypercube(points: 4, axes: [
            (name: "size", path: "transfers[bulk].size", values: Range(from: "100 kB", to: "500 kB")),
            (name: "streams", path: "transfers[bulk].streams", values: [1, 4]),
        ]),"#;
    let plots = r#"replications: 2, plots: [
        Line(name: "by_size", x: "size", y: "time", series: "rtt"),
        Box(name: "by_rate", x: "rate", y: "time"),
        Cdf(name: "by_streams", x: "time", series: "streams"),
        Heatmap(name: "both", x: "rtt", y: "size", value: "time"),
    ],"#;
    place.run(&text(axes, METRICS, plots), "out", threads(2));
    let index = index(&place, "out");
    let facets = |plot: usize| index[plot]["facets"].clone();
    assert_eq!(facets(0), serde_json::json!([]));
    assert_eq!(facets(1), serde_json::json!(["size_bytes", "streams"]));
    // Two of four points have the same number of streams: what else differs between them may not be mixed.
    assert_eq!(
        facets(2),
        serde_json::json!(["rtt_ns", "rate_bits_per_s", "size_bytes"])
    );
    assert_eq!(facets(3), serde_json::json!([]));
    let line = picture(&place, "out", "by_size");
    assert!(line.contains(">rtt 40 ms<"), "{line}");
    assert!(pictures(&place, "out").contains(&"both".to_owned()));
}

#[test]
fn what_cannot_be_drawn_is_said_with_its_reason() {
    let place = Place::new();
    // Nothing of half a terabyte arrives within the horizon.
    let axes = AXES.replace(
        "streams\", path: \"transfers[bulk].streams",
        "size\", path: \"transfers[bulk].size",
    );
    let axes = axes.replace("[1, 4]", r#"["500 kB", "500 GB"]"#);
    let plots = r#"replications: 2, plots: [Line(name: "times", x: "rtt", y: "time")],"#;
    let ran = place.run(&text(&axes, METRICS, plots), "out", threads(2));
    assert_eq!(pictures(&place, "out"), ["times-500_kB"]);
    let [note] = &ran.said[..] else {
        panic!("{:?}", ran.said);
    };
    assert!(
        note.starts_with("1 of 2 pictures of `times` could not be drawn: "),
        "{note}"
    );
    assert_eq!(index(&place, "out")[0]["notes"][0], note.as_str());
    let many = r#"(name: "rtt", path: "links[0].rtt", values: Range(from: "1 ms", to: "70 ms", steps: 70)),"#;
    let plots = r#"replications: 1, plots: [Cdf(name: "spread", x: "time")],"#;
    let ran = place.run(&text(many, METRICS, plots), "many", threads(2));
    assert_eq!(pictures(&place, "many").len(), 64);
    assert!(
        ran.said[0].contains("70 combinations of other axes"),
        "{:?}",
        ran.said
    );
}

#[test]
fn captions_say_how_many_runs_of_how_many_points_and_how_intervals_were_found() {
    let place = Place::new();
    let plots = r#"replications: 4, plots: [
        Line(name: "times", x: "rtt", y: "time", series: "streams"),
        Heatmap(name: "both", x: "rtt", y: "streams", value: "time"),
        Cdf(name: "spread", x: "time"),
        Box(name: "boxes", x: "rtt", y: "time"),
    ],"#;
    place.run(&text(AXES, METRICS, plots), "out", threads(2));
    let caption = |name: &str, parts: &[&str]| {
        // A caption is broken into lines.
        let picture = picture(&place, "out", name);
        for part in parts {
            assert!(picture.contains(part), "{name}: {part:?} is not in\n{picture}");
        }
    };
    caption(
        "times",
        &["n = 4 runs of each of 6 points", "95 % of means, Student t"],
    );
    caption("both", &["n = 4 runs of each of 6 points"]);
    caption("spread-10_ms-4", &["n = 4 runs; "]);
    caption("boxes-4", &["n = 4 runs of each of 3 points"]);
    let goal = r#"replications: 3, until: (relative_half_width: "30 %", metric: "time", at_most: 100),
        plots: [Line(name: "times", x: "rtt", y: "time", series: "streams")],"#;
    let ran = place.run(&text(AXES, METRICS, goal), "until", threads(2));
    let numbers = || ran.index.points.iter().map(|point| point.replications);
    let (all, least, most) = (numbers().sum::<u32>(), numbers().min(), numbers().max());
    let of = format!(
        "n = {all} runs of 6 points, {} to {} of each",
        least.unwrap(),
        most.unwrap()
    );
    let shown = picture(&place, "until", "times");
    assert!(least != most && shown.contains(&of), "{of}\n{shown}");
}

#[test]
fn ranges_of_equal_ratios_have_logarithmic_axes() {
    let place = Place::new();
    let axes = r#"(name: "rate", path: "links[0].rate", values: LogRange(from: "1 Mbit/s", to: "100 Mbit/s", steps: 3)),
        (name: "rtt", path: "links[0].rtt", values: Range(from: "10 ms", to: "30 ms", steps: 3)),"#;
    let plots = r#"replications: 1, plots: [
        Line(name: "by_rate", x: "rate", y: "time", series: "rtt"),
        Line(name: "by_rtt", x: "rtt", y: "time", series: "rate"),
    ],"#;
    place.run(&text(axes, METRICS, plots), "out", threads(2));
    let index = index(&place, "out");
    assert_eq!(
        (&index[0]["x_ratios"], &index[1]["x_ratios"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    // The places of the points of the first line: as far from the second to the third as from the first to the second.
    let picture = picture(&place, "out", "by_rate");
    assert!(
        picture.contains(">100<") && picture.contains(">10<") && picture.contains(">1<"),
        "{picture}"
    );
}

#[test]
fn what_is_better_is_known_of_the_metric_or_said_by_the_plot() {
    let place = Place::new();
    let metrics = format!(r#"{METRICS} (name: "busy", metric: LinkUtilisation, statistic: Max),"#);
    let plot = |more: &str| {
        let plots = format!(r#"replications: 2, plots: [Pareto(name: "front", x: "time", y: "{more})],"#);
        text(AXES, &metrics, &plots)
    };
    // A loss is no gain, though it is a share.
    place.run(&plot("loss\""), "loss", threads(2));
    assert_eq!(
        index(&place, "loss")[0]["better"],
        serde_json::json!(["lower", "lower"])
    );
    assert!(picture(&place, "loss", "front").contains("Better is less of time and less of loss"));
    let message = place.try_prepare(&plot("busy\"")).unwrap_err();
    assert!(
        message.contains(
            "plots[0].y: which values of `busy` are better depends on what is asked: `y_better: Lower`"
        ),
        "{message}"
    );
    place.run(
        &plot("busy\", x_better: Higher, y_better: Higher"),
        "said",
        threads(2),
    );
    assert_eq!(
        index(&place, "said")[0]["better"],
        serde_json::json!(["higher", "higher"])
    );
}

#[test]
fn what_is_beyond_a_value_is_drawn_on_a_logarithmic_axis() {
    let place = Place::new();
    let plots =
        r#"replications: 8, plots: [Ccdf(name: "beyond", x: "time", series: "streams", bound: "500 ms")],"#;
    place.run(&text(AXES, METRICS, plots), "out", threads(2));
    let svg = picture(&place, "out", "beyond-10_ms");
    assert!(svg.contains("share of values &gt; x"), "{svg}");
    assert!(svg.contains("bound: 500 ms"));
    // A value alone says nothing.
    assert!(svg.contains("streams 4 (n = 8)"), "{svg}");
}
