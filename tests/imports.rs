//! `longhaul import` as a user meets it: what it writes is a scenario that runs, and says what it made of oddities.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longhaul_scenarios::load;
use longhaul_scenarios::source::Source;

use crate::common::{data_folder, run_text};

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// Three cities in a row, a fourth without a position, one that nobody reaches; an edge twice, and one to itself.
const ODD: &str = r#"graph [
  node [ id 0 label "São Paulo" Longitude -46.63611 Latitude -23.5475 ]
  node [ id 1 label "Rio" Longitude -43.2075 Latitude -22.90278 ]
  node [ id 2 label "Rio" Longitude -38.51083 Latitude -12.97111 ]
  node [ id 3 label "nowhere" ]
  node [ id 4 label "island" Longitude 0.0 Latitude 0.0 ]
  edge [ source 0 target 1 LinkSpeedRaw 1000000000.0 ]
  edge [ source 1 target 0 LinkSpeedRaw 2000000000.0 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 3 LinkSpeedRaw 155000000.0 ]
  edge [ source 3 target 3 ]
]
"#;

fn import(format: &str, file: &Path, more: &[&str]) -> Output {
    Command::new(LONGHAUL)
        .args(["import", format])
        .arg(file)
        .args(more)
        .output()
        .expect("a process")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_topology_with_oddities_becomes_a_scenario_that_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("odd net.gml");
    std::fs::write(&file, ODD).expect("a written file");
    let output = import("gml", &file, &["--rate", "100 Mbit/s"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let notes = text(&output.stderr);
    for note in [
        "left out",
        "a further edge between the same nodes",
        "several nodes have this label",
        "falls into 2 parts",
        "are one with the sum of their rates",
        "names have other letters than the file",
    ] {
        assert!(notes.contains(note), "{note}\n{notes}");
    }
    let scenario = text(&output.stdout);
    for line in [
        r#"    name: "odd-net","#,
        r#"        (name: "S-o-Paulo", location: (lat: -23.5475, lon: -46.63611)),"#,
        r#"        (name: "nowhere"),"#,
    ] {
        assert!(scenario.lines().any(|found| found == line), "{line}\n{scenario}");
    }
    assert!(scenario.contains(r#"rate: "3 Gbit/s")"#), "{scenario}");
    assert!(scenario.contains(r#"rate: "155 Mbit/s")"#), "{scenario}");
    // From the far end to the other, over the slowest link: 100 MB take 8 s at 100 Mbit/s and more with headers.
    let record = run_text(scenario).record;
    let transfer = &record.transfers[0];
    assert_eq!(
        (transfer.from.as_str(), transfer.to.as_str()),
        ("nowhere", "S-o-Paulo")
    );
    let took = transfer.completion_ns.expect("completed") as f64 / 1e9;
    assert!((8.2..9.5).contains(&took), "{took} s");
}

#[test]
fn a_file_is_written_once_and_never_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("odd.gml");
    std::fs::write(&file, ODD).expect("a written file");
    let out = folder.path().join("odd.ron");
    let write = || import("gml", &file, &["-o", out.to_str().expect("UTF-8")]);
    let output = write();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let first = std::fs::read_to_string(&out).expect("a written scenario");
    let again = write();
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("odd.ron"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read_to_string(&out).expect("still there"), first);
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_element() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.gml");
    for (text_of_file, message) in [
        ("", "empty"),
        ("graph [ node [ id 0 ]", "bad.gml: line 1"),
        (
            "graph [\n node [ id 0 ]\n edge [ source 0 target 7 ]\n]",
            "no node \"7\"",
        ),
        (
            "graph [\n node [ id 0 ]\n node [ id 0 ]\n]",
            "a second node of this id",
        ),
        (
            "graph [\n node [ id 0 ]\n node [ id 1 ]\n]",
            "no two regions reach each other",
        ),
    ] {
        std::fs::write(&file, text_of_file).expect("a written file");
        let output = import("gml", &file, &[]);
        assert_eq!(output.status.code(), Some(2), "{text_of_file}");
        assert_eq!(output.stdout.len(), 0, "{text_of_file}");
        let told = text(&output.stderr);
        assert!(told.contains(message), "{message}\n{told}");
    }
}

const GRAPH: &str = "NODES 3\nlabel x y\na 0 0\nb 1 0\nc 2 0\n\nEDGES 4\nlabel src dest weight bw delay\n\
    e0 0 1 1 1000000 1000\ne1 1 0 1 1000000 1000\ne2 1 2 1 1000000 1000\ne3 2 1 1 1000000 1000\n";

#[test]
fn demands_that_stand_in_a_file_of_their_own_come_along() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a written file");
        path
    };
    let graph = file("net.graph", GRAPH);
    let demands = file(
        "net.demands",
        "DEMANDS 2\nlabel src dest bw\nd0 0 2 7000\nd1 2 1 500\n",
    );
    let broken = file("broken.demands", "DEMANDS 1\nlabel src dest bw\nd0 0 9 7000\n");
    let with = |format: &str, more: &[&str]| import(format, &graph, more);
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let output = with("repetita", &["--demands", &path(&demands)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        r#"(from: "a", to: "c", rate: "7 Mbit/s")"#,
        r#"(from: "c", to: "b", rate: "500 kbit/s")"#,
    ] {
        assert!(
            text(&output.stdout).contains(line),
            "{line}\n{}",
            text(&output.stdout)
        );
    }
    let record = run_text(text(&output.stdout)).record;
    assert!(
        record
            .demands
            .iter()
            .all(|demand| demand.arrived_bytes == demand.offered_bytes)
    );
    for (format, more, message) in [
        (
            "repetita",
            vec!["--demands".to_owned(), path(&broken)],
            "broken.demands: line 3",
        ),
        (
            "repetita",
            vec![
                "--demands".to_owned(),
                path(&demands),
                "--matrix".to_owned(),
                "1".to_owned(),
            ],
            "has 1, from 0 on",
        ),
        (
            "rtt-matrix",
            vec!["--demands".to_owned(), path(&demands)],
            "rtt-matrix has no file of demands",
        ),
        (
            "repetita",
            vec!["--matrix".to_owned(), "1".to_owned()],
            "--demands",
        ),
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let output = with(format, &more);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{message}"
        );
        assert!(
            text(&output.stderr).contains(message),
            "{message}\n{}",
            text(&output.stderr)
        );
    }
}

/// Every published file of these kinds, where the data folder is.
#[test]
fn published_topologies_become_valid_scenarios() {
    let data = data_folder();
    if !data.join("topo-zoo").exists() {
        println!("skipped: no topologies at {} (set LONGHAUL_DATA)", data.display());
        return;
    }
    let mut imported = 0;
    for (format, files, ending) in [
        ("gml", "topo-zoo", "gml"),
        ("topohub", "topo-sndlib", "json"),
        ("rtt-matrix", "cloud-aws-cloudping", "json"),
        ("repetita", "te-repetita/2016TopologyZooUCL_unary", "graph"),
        ("teal", "te-teal", "json"),
    ] {
        #[expect(clippy::disallowed_methods, reason = "each file is judged on its own")]
        let entries = std::fs::read_dir(data.join(files)).expect("a folder of topologies");
        for entry in entries {
            let file = entry.expect("an entry").path();
            if file.extension().is_none_or(|found| found != ending) {
                continue;
            }
            let output = import(format, &file, &[]);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{}: {told}", file.display());
            let source = Source {
                name: file.display().to_string(),
                text: text(&output.stdout).to_owned(),
                base_dir: PathBuf::new(),
            };
            load(&source, &[], None).unwrap_or_else(|errors| panic!("{errors}"));
            imported += 1;
        }
    }
    assert!(imported > 20, "{imported} files");
}
