//! Reports of a small run directory, read back.

use std::fs;
use std::path::Path;

use longhaul_core::digest::Checkpoint;
use longhaul_core::record::{
    Ended, EventRecord, FaultEffectRecord, FaultOutcome, QuantileRecord, RunRecord, SampleRecord, Verdict,
};
use tempfile::TempDir;

use super::*;
use crate::console::Style;
use crate::directory::{RunContents, RunDirectory};
use crate::fixture;

const SCRIPT: &str = "<script>alert('x')</script>";

/// The fixture with a migration, a scenario and a link whose names are markup.
fn record() -> RunRecord {
    let mut record = fixture::run();
    record.scenario = format!("evil {SCRIPT} | name");
    record.simulated_ns = 100_000_000_000;
    let mut migration = record.migrations[0].clone();
    migration.name = format!("m{SCRIPT}");
    record.migrations.push(migration);
    let mut link = record.links[0].clone();
    link.name = format!("{SCRIPT}->b");
    record.links.push(link);
    record.warnings.push(format!("beware of {SCRIPT}"));
    record
}

fn event(at_ns: u64, entity: &str, kind: &str, detail: &str) -> EventRecord {
    EventRecord {
        at_ns,
        entity: entity.to_owned(),
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        during_event: at_ns,
    }
}

fn write_run(directory: &Path, record: &RunRecord) {
    let migration = record.migrations.last().unwrap().name.clone();
    let link = record.links[0].name.clone();
    let events = [
        event(0, &migration, "Started", ""),
        event(1_000_000_000, &migration, "RoundStarted", r#"{"round":1}"#),
        event(20_000_000_000, &link, "LinkDown", r#"{"lost_packets":1}"#),
        event(30_000_000_000, &link, "LinkUp", ""),
        event(
            40_000_000_000,
            &migration,
            "GuestPaused",
            r#"{"x":"</script><b>"}"#,
        ),
        event(41_000_000_000, &migration, "Resumed", ""),
        event(41_000_000_000, &migration, "Arrived", ""),
        event(42_000_000_000, &migration, "Completed", ""),
    ];
    let mut series = Vec::new();
    for second in 0..=100_u64 {
        for (index, link) in record.links.iter().enumerate() {
            for (metric, value) in [
                ("delivered_bytes", second * 1_000_000),
                ("queue_bytes", (second * 7) % 90_000),
            ] {
                series.push(SampleRecord {
                    at_ns: second * 1_000_000_000,
                    entity: link.name.clone(),
                    metric: metric.to_owned(),
                    value: value * (index as u64 + 1),
                });
            }
        }
        series.push(SampleRecord {
            at_ns: second * 1_000_000_000,
            entity: migration.clone(),
            metric: "remaining_bytes".to_owned(),
            value: 1_000_000_000 / (second + 1),
        });
    }
    let scenario = r#"Scenario(version: 1, name: "evil </pre><script>", regions: [(name: "a", location: (lat: 1.0, lon: 2.0))])"#;
    RunDirectory::reserve(directory)
        .unwrap()
        .write(&RunContents {
            record,
            scenario,
            series: &series,
            faults: None,
            events: &events,
            checkpoints: &[] as &[Checkpoint],
            trace: None,
            argv: &["longhaul".to_owned(), "run".to_owned()],
        })
        .unwrap();
}

fn run() -> (TempDir, std::path::PathBuf, RunRecord) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("run");
    let record = record();
    write_run(&directory, &record);
    (place, directory, record)
}

/// The page without what is no markup: the bodies of scripts and styles.
fn markup(html: &str) -> String {
    let mut rest = html;
    let mut kept = String::new();
    while let Some(start) = rest.find("<script").into_iter().chain(rest.find("<style")).min() {
        let open = start + rest[start..].find('>').unwrap() + 1;
        let name = if rest[start..].starts_with("<script") {
            "</script>"
        } else {
            "</style>"
        };
        let end = open + rest[open..].find(name).unwrap();
        kept.push_str(&rest[..open]);
        rest = &rest[end..];
        let after = rest.find('>').unwrap() + 1;
        kept.push_str(&rest[..after]);
        rest = &rest[after..];
    }
    kept + rest
}

#[test]
fn the_page_is_well_formed_needs_nothing_else_and_escapes_names() {
    let (_place, directory, record) = run();
    let story = load(&directory).unwrap();
    let html = html(&story).unwrap();
    assert!(html.len() < 5 << 20, "{}", html.len());
    for outside in ["http:", "https:", "src=", "@import", "url(h", "<link", "<iframe"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("<script>alert"), "a name became markup");
    assert!(html.contains("&lt;script&gt;alert"));
    let markup = markup(&html);
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..roxmltree::ParsingOptions::default()
    };
    let page =
        roxmltree::Document::parse_with_options(&markup, options).unwrap_or_else(|error| panic!("{error}"));
    let sections: Vec<&str> = page
        .descendants()
        .filter(|node| node.has_tag_name("section"))
        .filter_map(|node| node.attribute("id"))
        .collect();
    assert_eq!(
        sections,
        [
            "assertions",
            "timeline",
            "migrations",
            "links",
            "tails",
            "validation",
            "method",
            "scenario",
            "warnings"
        ]
    );
    let count = |name: &str| page.descendants().filter(|node| node.has_tag_name(name)).count();
    assert!(count("svg") >= 6, "{}", count("svg"));
    let class = |name: &str| {
        page.descendants()
            .filter(|node| node.attribute("class") == Some(name))
            .count()
    };
    assert_eq!(class("link"), record.links.len());
    assert!(class("fault") >= 4, "faults are on every plot over time");
    assert!(class("segment") >= 3);
    let text: String = page.descendants().filter_map(|node| node.text()).collect();
    assert!(
        text.contains(&record.reproduce)
            && text.contains("remaining (GB)")
            && text.contains("samples of one run")
    );
}

#[test]
fn data_in_the_page_is_json_that_cannot_end_its_element() {
    let (_place, directory, _) = run();
    let html = html(&load(&directory).unwrap()).unwrap();
    let mut found = 0;
    for part in html.split("type=\"application/json\"").skip(1) {
        let body = &part[part.find('>').unwrap() + 1..part.find("</script>").unwrap()];
        let data: serde_json::Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:.200}"));
        assert!(data.is_object());
        found += 1;
    }
    assert!(found >= 5, "{found}");
}

#[test]
fn a_report_joins_the_run_and_the_next_run_replaces_both() {
    let (_place, directory, record) = run();
    let story = load(&directory).unwrap();
    let written = write(&story, &directory, None).unwrap();
    assert_eq!(written, FILES.map(|name| directory.join(name)));
    // Again, and the same.
    let before = fs::read(directory.join("report.html")).unwrap();
    write(&load(&directory).unwrap(), &directory, None).unwrap();
    assert_eq!(before, fs::read(directory.join("report.html")).unwrap());
    write_run(&directory, &record);
    assert!(!directory.join("report.html").exists());
    // Elsewhere the run stays as it was.
    let manifest = fs::read(directory.join("manifest.json")).unwrap();
    let out = directory.with_file_name("elsewhere");
    write(&story, &directory, Some(&out)).unwrap();
    assert!(out.join("junit.xml").exists());
    assert_eq!(manifest, fs::read(directory.join("manifest.json")).unwrap());
}

#[test]
fn junit_counts_failures_errors_and_advice() {
    let (_place, directory, mut record) = run();
    record.assertions = [
        (Verdict::Pass, true),
        (Verdict::Fail, true),
        (Verdict::Inconclusive, true),
        (Verdict::Fail, false),
    ]
    .map(|(verdict, critical)| {
        let mut assertion = fixture::assertion(verdict);
        assertion.critical = critical;
        assertion.reason = format!("because {SCRIPT} & \"quotes\"");
        assertion
    })
    .to_vec();
    write_run(&directory, &record);
    let xml = junit(&load(&directory).unwrap());
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suite = document
        .descendants()
        .find(|node| node.has_tag_name("testsuite"))
        .unwrap();
    for (name, count) in [
        ("tests", "5"),
        ("failures", "1"),
        ("errors", "1"),
        ("skipped", "1"),
    ] {
        assert_eq!(suite.attribute(name), Some(count), "{name}");
    }
    assert_eq!(suite.attribute("name"), Some(record.scenario.as_str()));
    let failure = document
        .descendants()
        .find(|node| node.has_tag_name("failure"))
        .unwrap();
    assert!(failure.attribute("message").unwrap().contains(SCRIPT));
}

#[test]
fn markdown_holds_tables_and_no_markup_of_names() {
    let (_place, directory, record) = run();
    let text = markdown(&load(&directory).unwrap());
    assert!(!text.contains("<script") && text.contains("\\| name"));
    assert!(
        text.contains("### Assertions") && text.contains("### Faults") && text.contains(&record.reproduce)
    );
    for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
        let columns: Vec<usize> = table
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.replace("\\|", "").matches('|').count())
            .collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
}

#[test]
fn a_terminal_gets_lines_of_its_width_and_ascii_if_it_speaks_nothing_else() {
    let (_place, directory, _) = run();
    let story = load(&directory).unwrap();
    let style = Style {
        width: 80,
        colour: false,
    };
    let blocks = terminal(&story, style, Signs::Blocks);
    assert!(blocks.contains('█') && blocks.contains("memory not yet handed on") && blocks.contains('×'));
    let ascii = terminal(&story, style, Signs::Ascii);
    assert!(ascii.is_ascii() && ascii.contains('@'));
    for text in [blocks, ascii] {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn what_is_no_run_is_said() {
    let place = tempfile::tempdir().unwrap();
    let error = load(place.path()).unwrap_err().to_string();
    assert!(
        error.contains("is no directory of a run: manifest.json"),
        "{error}"
    );
    let (_place, directory, _) = run();
    let whole = fs::read_to_string(directory.join("series.csv")).unwrap();
    fs::write(directory.join("series.csv"), &whole[..whole.len() / 2]).unwrap();
    let error = load(&directory).unwrap_err().to_string();
    assert!(
        error.contains("series.csv: it has") && error.contains("bytes, and"),
        "{error}"
    );
    replace(
        &directory,
        "series.csv",
        "time_ns,entity,metric,value\n5,x->y,delivered_bytes,9\n",
    );
    assert!(
        load(&directory).is_ok(),
        "an entity that the summary does not know is passed over"
    );
    let link = record().links[0].name.clone();
    replace(
        &directory,
        "series.csv",
        &format!("time_ns,entity,metric,value\n5,{link},delivered_bytes,-9\n"),
    );
    let error = load(&directory).unwrap_err().to_string();
    assert!(
        error.contains("series.csv: line 2: no number in field 4"),
        "{error}"
    );
    fs::remove_file(directory.join("events.csv")).unwrap();
    assert!(load(&directory).unwrap_err().to_string().contains("events.csv"));
    fs::remove_file(directory.join("manifest.json")).unwrap();
    fs::write(directory.join("sweep.json"), "{}").unwrap();
    assert!(
        load(&directory)
            .unwrap_err()
            .to_string()
            .contains("holds a sweep")
    );
}

/// Another content of a file, as if the run had written it.
fn replace(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
    let file = crate::directory::ManifestFile {
        name: name.to_owned(),
        bytes: text.len() as u64,
    };
    crate::directory::amend(directory, &[file]).unwrap();
}

#[test]
fn only_a_run_that_its_horizon_ended_has_a_steady_state() {
    let (_place, directory, mut record) = run();
    record.ended = Ended::Done;
    write_run(&directory, &record);
    let error = load(&directory).unwrap().add_steady_state().unwrap_err();
    assert!(error.to_string().contains("ended by itself"), "{error}");
    record.ended = Ended::Horizon;
    write_run(&directory, &record);
    let mut story = load(&directory).unwrap();
    assert!(!markdown(&story).contains("Steady state"));
    story.add_steady_state().unwrap();
    // 101 samples are too few for batches, which the page says of each series.
    let text = markdown(&story);
    assert!(text.contains("no mean: throughput of"), "{text}");
}

#[test]
fn a_run_without_a_pass_is_none_for_ci_either() {
    let (_place, directory, mut record) = run();
    record.assertions.clear();
    for (verdict, elements) in [
        (Verdict::Pass, [0, 0]),
        (Verdict::Fail, [1, 0]),
        (Verdict::Inconclusive, [0, 1]),
    ] {
        record.verdict = verdict;
        write_run(&directory, &record);
        let xml = junit(&load(&directory).unwrap());
        let document = roxmltree::Document::parse(&xml).unwrap();
        let found = ["failure", "error"].map(|name| {
            let of = document.descendants().filter(|node| node.has_tag_name(name));
            of.count()
        });
        assert_eq!(found, elements, "{xml}");
        assert!(
            xml.contains("name=\"run\"") && xml.contains("tests=\"1\""),
            "{xml}"
        );
    }
}

#[test]
fn policies_have_strips_and_faults_have_what_became_of_goodput() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("run");
    let mut record = record();
    let mut client = fixture::client("shop");
    client.attempts = client.started + 1;
    client.request_quantiles = [(500_000, 5), (900_000, 9), (990_000, 90)]
        .map(|(share_parts, ms)| QuantileRecord {
            share_parts,
            value_ns: ms * 1_000_000,
        })
        .to_vec();
    client.fault_effects.push(FaultEffectRecord {
        fault: "slow-shop".to_owned(),
        from_ns: 40_000_000_000,
        to_ns: 50_000_000_000,
        before_mhz: 100_000,
        worst_mhz: 10_000,
        outcome: FaultOutcome::Recovered,
        recovered_after_ns: Some(10_000_000_000),
    });
    record.clients.push(client);
    let second = 1_000_000_000;
    let mut series = Vec::new();
    let (mut begun, mut in_time) = (0, 0);
    for at in 0..=100_u64 {
        begun += 100;
        in_time += if (41..=60).contains(&at) { 10 } else { 100 };
        for (metric, value) in [
            ("requests_started", begun),
            ("requests_succeeded", in_time),
            ("attempts", begun * 2),
        ] {
            series.push(SampleRecord {
                at_ns: at * second,
                entity: "shop".to_owned(),
                metric: metric.to_owned(),
                value,
            });
        }
    }
    let breaker = |at: u64, from: &str, to: &str| {
        let detail = format!(r#"{{"Breaker":{{"layer":1,"from":"{from}","to":"{to}","cause":"Forced"}}}}"#);
        event(at * second, "shop", "Policy", &detail)
    };
    let events = [
        event(40 * second, "slow-shop", "FaultInjected", ""),
        breaker(41, "Closed", "Open"),
        event(50 * second, "slow-shop", "FaultEnded", ""),
        breaker(55, "Open", "HalfOpen"),
        breaker(58, "HalfOpen", "Closed"),
    ];
    RunDirectory::reserve(&directory)
        .unwrap()
        .write(&RunContents {
            record: &record,
            scenario: "Scenario()",
            series: &series,
            faults: None,
            events: &events,
            checkpoints: &[] as &[Checkpoint],
            trace: None,
            argv: &["longhaul".to_owned()],
        })
        .unwrap();
    let html = html(&load(&directory).unwrap()).unwrap();
    for text in [
        "States of policies",
        "shop: breaker (layer 2)",
        "half-open for 3 s from 55 s",
        "Requests that succeeded in time",
        "Attempts of clients",
        "Latency of requests: tail",
        "one request in so many takes longer",
        "<td>slow-shop</td><td>shop</td><td class=\"right\">100&#x2f;s</td><td class=\"right\">10.0&#x2f;s</td><td>back after 10 s</td>",
    ] {
        assert!(html.contains(text), "{text} is not in the page");
    }
}
