//! Pictures of sweeps: their forms, and what they say of runs that did not finish.

use std::fs;

use longhaul_sweeps::directory::{Claim, Manifest, SweepDirectory};

use crate::common::{Place, SCENARIO, contents, text, threads, usual};

/// Width and height that the head of a PNG says.
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn every_picture_is_a_png_too_if_asked_for() {
    let place = Place::new();
    let with = |folder: &str, png: bool| {
        let manifest = Manifest::of(&place.prepare(&usual()), None);
        let directory = SweepDirectory::take(&place.path(folder), &manifest, Claim::Resume)
            .unwrap()
            .with_png(png);
        place.run_in(&usual(), &directory, threads(2)).unwrap();
    };
    with("one", true);
    with("two", true);
    let pngs = |folder: &str| {
        let mut all = contents(&place.path(folder));
        all.retain(|name, _| name.ends_with(".png"));
        all
    };
    let one = pngs("one");
    let names: Vec<&String> = one.keys().collect();
    assert_eq!(
        names,
        [
            "plots/spread-10_ms.png",
            "plots/spread-20_ms.png",
            "plots/spread-40_ms.png",
            "plots/times.png"
        ]
    );
    for (name, bytes) in &one {
        let svg = fs::read_to_string(place.path("one").join(name.replace(".png", ".svg"))).unwrap();
        let (width, height) = size(bytes);
        // Two dots to the pixel.
        let said = format!("width=\"{}\" height=\"{}\"", width / 2, height / 2);
        assert!(svg.contains(&said), "{name}: {said}");
    }
    assert_eq!(one, pngs("two"));
    // Those of an earlier time would show what has been.
    with("one", false);
    assert!(pngs("one").is_empty());
}

/// What takes longer than the horizon for some seeds and not for others.
fn censored() -> Place {
    let place = Place::new();
    let scenario = SCENARIO
        .replace("20 s", "1700 ms")
        .replace("mean: \"1 %\"", "mean: \"3 %\"");
    fs::write(place.path("small.ron"), scenario).unwrap();
    place
}

#[test]
fn a_distribution_of_rates_keeps_what_did_not_finish() {
    let place = censored();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["20 ms", "40 ms"]),"#;
    let metrics = r#"(name: "goodput", metric: TransferGoodput, statistic: Min),
        (name: "time", metric: TransferCompletionTime, statistic: Max),"#;
    let plots = r#"replications: 12, plots: [
        Cdf(name: "rates", x: "goodput", series: "rtt"), Cdf(name: "times", x: "time", series: "rtt"),
    ],"#;
    place.run(&text(axes, metrics, plots), "out", threads(2));
    let table = fs::read_to_string(place.path("out/plots/rates.csv")).unwrap();
    let unfinished = table.matches(",at_most").count();
    assert!(unfinished > 0 && table.contains(",exact"), "{table}");
    for (name, n) in [("rates", 12), ("times", 12)] {
        let svg = fs::read_to_string(place.path(&format!("out/plots/{name}.svg"))).unwrap();
        assert_eq!(svg.matches(&format!("(n = {n}")).count(), 2, "{name}: {svg}");
        assert!(
            svg.contains("unfinished)") && svg.contains("class=\"censored\""),
            "{name}"
        );
        assert!(svg.contains("Kaplan–Meier, pointwise"), "{name}");
        assert!(!svg.contains("known from above"), "{name}");
    }
}
