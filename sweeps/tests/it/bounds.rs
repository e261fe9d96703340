//! What laws say of the points of a sweep, and where they have nothing to say.

use std::fs;

use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::schema::{Metric, Scope};
use longhaul_scenarios::theory::{Law, NoBound, bound};
use longhaul_scenarios::{load, source::Source};

use crate::common::{Place, text, threads};

const METRICS: &str = r#"(name: "goodput", metric: TransferGoodput, statistic: Mean),
        (name: "time", metric: TransferCompletionTime, statistic: Max),"#;

/// The column of a table as numbers.
fn column(table: &str, name: &str) -> Vec<Option<f64>> {
    let mut lines = table.lines();
    let head = lines.next().expect("a head").split(',');
    let at = head.into_iter().position(|it| it == name).expect("a column");
    lines
        .map(|line| line.split(',').nth(at).unwrap().parse().ok())
        .collect()
}

#[test]
fn laws_are_worked_out_from_the_scenario_of_each_point() {
    let place = Place::new();
    let sweep = text(
        r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms", "40 ms"]),
        (name: "streams", path: "transfers[bulk].streams", values: [1, 4]),
        (name: "loss", path: "links[0].loss", values: [None, Independent(mean: "1 %")]),"#,
        METRICS,
        r#"replications: 2, plots: [
            Line(name: "rates", x: "rtt", y: "goodput", series: "streams", bound: [Mathis, LinkRate, "50 Mbit/s"]),
            Line(name: "times", x: "rtt", y: "time", series: "streams", bound: WindowOverRtt),
        ],"#,
    );
    place.run(&sweep, "out", threads(2));
    let table = fs::read_to_string(place.path("out/plots/rates.csv")).unwrap();
    let mathis = column(&table, "bound_Mathis_bits_per_s");
    // Without loss nothing; else 1,448 B in 10 ms times √150, for four connections four times, at 40 ms a quarter.
    let one = 1_448.0 * 8.0 / 0.01 * 150.0_f64.sqrt();
    let expected = [one, one * 4.0, one / 4.0, one];
    let (without, with): (Vec<_>, Vec<_>) = mathis.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    assert_eq!(without, [None; 4]);
    for (found, expected) in with.iter().zip(expected) {
        assert!((found.unwrap() / expected - 1.0).abs() < 1e-6, "{mathis:?}");
    }
    // 1,448 of 1,514 bytes.
    for rate in column(&table, "bound_LinkRate_bits_per_s") {
        assert!((rate.unwrap() / (50e6 * 1_448.0 / 1_514.0) - 1.0).abs() < 1e-6);
    }
    // Four connections have a window of 3 MiB each, and half a megabyte to send: it takes no round trip.
    let times = fs::read_to_string(place.path("out/plots/times.csv")).unwrap();
    let window = column(&times, "bound_WindowOverRtt_ns");
    assert!(
        (window[0].unwrap() / (5e5 * 10e6 / 3_145_728.0) - 1.0).abs() < 1e-6,
        "{window:?}"
    );
    assert!((window[2].unwrap() * 4.0 / window[0].unwrap() - 1.0).abs() < 1e-5);
    let index = fs::read_to_string(place.path("out/plots/index.json")).unwrap();
    assert!(
        index.contains("\"column\": \"bound_Mathis_bits_per_s\""),
        "{index}"
    );

    let pictures = crate::common::files(&place.path("out/plots"));
    let lossy = pictures.iter().find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("rates-Independent") && name.ends_with(".svg")
    });
    let lossy = fs::read_to_string(lossy.unwrap_or_else(|| panic!("{pictures:?}"))).unwrap();
    assert!(
        lossy.contains("bound: Mathis et al. (1997), of each line"),
        "{lossy}"
    );
    assert!(lossy.contains("bound: narrowest link</text>"));
    assert!(lossy.contains("bound: 50 Mbit/s"));
}

#[test]
fn a_law_that_says_nothing_is_refused_with_the_reason() {
    let place = Place::new();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms", "40 ms"]),"#;
    let with = |set: &str, y: &str, bound: &str| {
        let more = format!(
            "replications: 2, set: [{set}], plots: [Line(name: \"a\", x: \"rtt\", y: \"{y}\", bound: {bound})],"
        );
        place.try_prepare(&text(axes, METRICS, &more)).map(|_| ())
    };
    assert_eq!(with("", "goodput", "Mathis"), Ok(()));
    assert_eq!(with("", "time", "[\"1 s\", LinkRate, WindowOverRtt]"), Ok(()));
    for (set, y, bound, why) in [
        (
            "\"links[0].loss=None\"",
            "goodput",
            "Mathis",
            "nothing is lost at random from `north` to `south`",
        ),
        (
            "",
            "goodput",
            "Propagation",
            "it says nothing about TransferGoodput, but about delays",
        ),
        (
            "\"transfers[bulk].tcp.controller=Bbr\"",
            "goodput",
            "Mathis",
            "BBR does not slow down",
        ),
        ("", "goodput", "Matis", "did you mean `Mathis`?"),
        ("", "goodput", "[\"1 Mbit/s\", \"2 Mbit/s\"]", "one value at most"),
        ("", "goodput", "[Mathis, Mathis]", "bound 2 is there twice"),
        ("", "goodput", "7", "the name of a law, or"),
    ] {
        let mistakes = with(set, y, bound).expect_err(why);
        assert!(mistakes.contains(why), "{bound}: {mistakes}");
    }
    // Only a line has points to work laws out for.
    let more = "replications: 2, plots: [Cdf(name: \"a\", x: \"goodput\", bound: Mathis)],";
    place.try_prepare(&text(axes, METRICS, more)).unwrap_err();
}

#[test]
fn delays_cannot_be_below_the_ways_or_that_of_light() {
    let scenario = r#"Scenario(
    version: 1,
    name: "two_ways",
    question: "q",
    expect: "e",
    horizon: "20 s",
    regions: [
        (name: "a", location: (lat: 0, lon: 0)), (name: "b", location: (lat: 0, lon: 90)), (name: "c"),
    ],
    links: [
        (between: ("a", "b"), rtt: "160 ms", rate: "50 Mbit/s"), (between: ("b", "c"), rtt: "20 ms", rate: "10 Mbit/s"),
    ],
    transfers: [
        (name: "far", from: "a", to: "c", size: "500 kB"), (name: "near", from: "a", to: "b", size: "500 kB"),
    ],
    datagrams: [(name: "voice", from: "a", to: "c", duration: "1 s", interval: "20 ms", payload: "160 B")],
    services: [(name: "shop", replicas: ["b", "c"], cores: 1, service_time: Constant("1 ms"))],
    clients: [(name: "web", region: "a", service: "shop", duration: "1 s", load: Open(rate: Steady(10)))],
)"#;
    let source = Source {
        name: "two_ways".to_owned(),
        text: scenario.to_owned(),
        base_dir: std::path::PathBuf::new(),
    };
    let scenario = load(&source, &[], None)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
        .scenario;
    let of = |law, metric, scope: &str| {
        let scope = match scope {
            "" => Scope::All,
            name => Scope::Only(name.to_owned()),
        };
        bound(law, metric, &scope, &scenario)
    };
    assert_eq!(of(Law::Propagation, Metric::DatagramDelayMedian, ""), Ok(90e6));
    assert_eq!(of(Law::Propagation, Metric::ClientLatencyP99, ""), Ok(160e6));
    // A quarter of the Earth's circumference, 10,008 km, there and back; but nobody knows where c is.
    let light = of(Law::Light, Metric::ClientLatencyMedian, "");
    assert_eq!(light, Err(NoBound::NoLocation("c".to_owned())));
    let narrow = of(Law::LinkRate, Metric::TransferGoodput, "far").unwrap();
    assert!((narrow / (10e6 * 1_448.0 / 1_514.0) - 1.0).abs() < 1e-9);
    let different = of(Law::LinkRate, Metric::TransferGoodput, "");
    assert!(
        matches!(different, Err(NoBound::Different { .. })),
        "{different:?}"
    );
    let nothing = of(Law::LinkRate, Metric::TransferGoodput, "nobody");
    assert_eq!(nothing, Err(NoBound::Nothing));

    let mut located = scenario.clone();
    located.services[0].replicas = vec!["b".to_owned()];
    let light = bound(Law::Light, Metric::ClientLatencyMedian, &Scope::All, &located).unwrap();
    assert!((light / 100.075e6 - 1.0).abs() < 1e-3, "{light}");
    // Which routes there are is nothing to light.
    located.routing.multipath = true;
    let of = |law| bound(law, Metric::ClientLatencyMedian, &Scope::All, &located);
    assert_eq!(of(Law::Light), Ok(light));
    assert!(matches!(of(Law::Propagation), Err(NoBound::OtherWays(_))));
}

#[test]
fn no_routes_carry_more_than_the_smallest_cut() {
    let scenario = r#"Scenario(
    version: 1,
    name: "three_ways",
    question: "q",
    expect: "e",
    horizon: "1 min",
    regions: [(name: "a"), (name: "b"), (name: "c"), (name: "d")],
    links: [
        (between: ("a", "b"), rtt: "10 ms", rate: "20 Mbit/s"), (between: ("b", "d"), rtt: "10 ms", rate: "30 Mbit/s"),
        (between: ("a", "c"), rtt: "10 ms", rate: "20 Mbit/s"), (between: ("c", "d"), rtt: "10 ms", rate: "15 Mbit/s"),
    ],
    transfers: [(name: "bulk", from: "a", to: "d", size: "20 MB", streams: 64)],
    routing: (multipath: true),
)"#;
    let source = Source {
        name: "three_ways".to_owned(),
        text: scenario.to_owned(),
        base_dir: std::path::PathBuf::new(),
    };
    let loaded = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|it| (*it).to_owned()).collect();
        load(&source, &set, None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    let most = |loaded: &longhaul_scenarios::Loaded| {
        bound(
            Law::MaxFlow,
            Metric::TransferGoodput,
            &Scope::All,
            &loaded.scenario,
        )
    };
    let both = loaded(&[]);
    let one = bound(
        Law::LinkRate,
        Metric::TransferGoodput,
        &Scope::All,
        &both.scenario,
    );
    assert!(matches!(one, Err(NoBound::OtherWays(_))), "{one:?}");
    // 20 Mbit/s over b and 15 over c, of which 1,448 of 1,514 bytes are payload.
    let share = 1_448.0 / 1_514.0;
    assert!((most(&both).unwrap() / (35e6 * share) - 1.0).abs() < 1e-9);
    let goodput = |loaded: &longhaul_scenarios::Loaded| {
        let mut simulation = Simulation::build(loaded, RunOptions::default()).unwrap();
        while simulation.advance(1 << 14) {}
        let record = simulation.finish(false).record;
        let took = record.transfers[0].completion_ns.expect("a finished transfer") as f64 / 1e9;
        20e6 * 8.0 / took
    };
    // More than any one way carries, and never more than the cut.
    let reached = goodput(&both);
    assert!(reached > 21e6 && reached < 35e6 * share, "{reached}");
    // Jumbo frames have a smaller share of headers.
    let jumbo = most(&loaded(&["links[0].mtu=9000 B"])).unwrap();
    assert!((jumbo / (35e6 * 8_948.0 / 9_014.0) - 1.0).abs() < 1e-9, "{jumbo}");
    let varies = most(&loaded(&["links[0].changes=[(at: \"1 s\", rate: \"1 Mbit/s\")]"]));
    assert_eq!(varies, Err(NoBound::Varies("a->b".to_owned())));
}
