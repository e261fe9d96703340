//! `longhaul validate` as a user meets it: streams, exit codes, files, mistakes in tables.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");
const HEADER: &str = "rtt_ms,rate_mbit,controller,bytes,completion_s,netem_limit\n";

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/samples/linux_netem.csv")
}

fn validate(folder: &Path, args: &[&str]) -> Output {
    Command::new(LONGHAUL)
        .arg("validate")
        .args(args)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("a process")
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::copy(sample(), folder.path().join("sample.csv")).expect("a copy of the sample");
    folder
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[track_caller]
fn expect_exit(output: &Output, code: i32) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
}

#[test]
fn the_report_fits_80_columns_and_the_files_hold_every_configuration() {
    let folder = folder();
    let files = ["--json", "v.json", "--csv", "v.csv", "--plot", "v.svg"];
    let output = validate(
        folder.path(),
        &[&["sample.csv", "--seeds", "4"][..], &files].concat(),
    );
    expect_exit(&output, 0);
    let report = text(&output.stdout);
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
    assert!(!report.contains('\u{1b}'), "colour in a pipe");
    for part in [
        "Error of the median completion time",
        "host delay:",
        "Worst cases",
        "Tolerances",
        "PASS: 4 of 4",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("a written file");
    assert_eq!(read("v.csv").lines().count(), 18);
    let json: serde_json::Value = serde_json::from_str(&read("v.json")).expect("JSON");
    assert_eq!(json["configurations"].as_array().map(Vec::len), Some(17));
    assert!(read("v.svg").contains("<svg"));
    let drawn = |name: &str| {
        let output = validate(
            folder.path(),
            &["sample.csv", "-q", "--filter", "config=174", "--plot", name],
        );
        assert!(output.status.code().is_some_and(|code| code != 2), "{output:?}");
        fs::read(folder.path().join(name)).expect("a picture")
    };
    let png = drawn("one.png");
    assert!(png.starts_with(b"\x89PNG") && png == drawn("two.png"));
}

#[test]
fn the_exit_code_tells_whether_the_tolerances_hold() {
    let folder = folder();
    let with = |more: &[&str]| {
        validate(
            folder.path(),
            &[&["sample.csv", "--seeds", "2", "-q"][..], more].concat(),
        )
    };
    let passed = with(&["--filter", "loss=0,jitter=0,controller!=bbr"]);
    expect_exit(&passed, 0);
    assert_eq!(text(&passed.stdout), "PASS: 3 of 3 tolerances kept\n");
    assert_eq!(text(&passed.stderr), "");
    let missed = with(&[
        "--filter",
        "loss=0,jitter=0",
        "--tolerance",
        "worst=0%,median=none",
    ]);
    expect_exit(&missed, 3);
    assert_eq!(
        text(&missed.stdout),
        "FAIL: 2 of 3 tolerances kept; missed: worst\n"
    );
    let nothing = with(&["--tolerance", "median=none,p90=none,clean=none,inside=none"]);
    expect_exit(&nothing, 4);
}

#[test]
fn an_emitted_configuration_runs_to_the_time_in_the_report() {
    let folder = folder();
    let emitted = validate(folder.path(), &["sample.csv", "--emit", "174"]);
    expect_exit(&emitted, 0);
    fs::write(folder.path().join("case.ron"), &emitted.stdout).expect("a written scenario");
    expect_exit(
        &validate(
            folder.path(),
            &["sample.csv", "-q", "--filter", "config=174", "--json", "v.json"],
        ),
        0,
    );
    let run = Command::new(LONGHAUL)
        .args(["run", "case.ron", "--json"])
        .current_dir(folder.path())
        .output()
        .expect("a process");
    expect_exit(&run, 0);
    let run: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let report = fs::read(folder.path().join("v.json")).expect("a written file");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let reported = &report["configurations"][0]["simulated"]["median_ns"];
    assert!(reported.is_u64());
    assert_eq!(&run["transfers"][0]["completion_ns"], reported);
}

#[test]
fn mistakes_exit_with_2_and_say_where_they_are() {
    let folder = folder();
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a written table");
    write("empty.csv", b"");
    write("headed.csv", HEADER.as_bytes());
    write("column.csv", HEADER.replace("rtt_ms", "rtt_s").as_bytes());
    write(
        "unit.csv",
        format!("{HEADER}40 ms,50,cubic,1000,0.1,250\n").as_bytes(),
    );
    write(
        "negative.csv",
        format!("{HEADER}40,50,cubic,1000,-0.1,250\n").as_bytes(),
    );
    write(
        "control.csv",
        format!("{HEADER}40,50,caf\u{0},1000,0.1,250\n").as_bytes(),
    );
    write(
        "bytes.csv",
        &[HEADER.as_bytes(), b"40,50,\xff\xfe,1,1,1\n"].concat(),
    );
    for (args, message) in [
        (&["missing.csv"][..], "cannot read missing.csv"),
        (&["."], "cannot read ."),
        (&["empty.csv"], "empty.csv: the table is empty"),
        (&["headed.csv"], "headed.csv: the table has columns and no rows"),
        (
            &["column.csv"],
            "column.csv:1: there is no column `rtt_s`; did you mean `rtt_ms`?",
        ),
        (
            &["unit.csv"],
            "unit.csv:2: column `rtt_ms`: a plain decimal number of ms is expected, found `40 ms`",
        ),
        (&["negative.csv"], "negative.csv:2: column `completion_s`"),
        (&["control.csv"], "found `caf\\u{0}`"),
        (&["bytes.csv"], "bytes.csv:2: this line is not UTF-8"),
        (
            &["sample.csv", "--filter", "config=nowhere"],
            "no configuration of sample.csv satisfies `config=nowhere`",
        ),
        (
            &["sample.csv", "--filter", "speed=1"],
            "there is no field `speed`",
        ),
        (&["sample.csv", "--tolerance", "median=3"], "is not a percentage"),
        (
            &["sample.csv", "--emit", "nowhere"],
            "sample.csv has no configuration `nowhere`",
        ),
        (
            &["sample.csv", "--plot", "v.pdf"],
            "plots are written as SVG or PNG",
        ),
        (&["sample.csv", "--seeds", "0"], "0 is not in 1..=10000"),
        (
            &[
                "sample.csv",
                "-q",
                "--filter",
                "config=174",
                "--csv",
                "no/such/v.csv",
            ],
            "cannot write no/such/v.csv",
        ),
        (&["sample.csv", "--host-delay", "23"], "has no unit"),
    ] {
        let output = validate(folder.path(), args);
        expect_exit(&output, 2);
        assert!(
            text(&output.stderr).contains(message),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let mut child = Command::new(LONGHAUL)
        .args(["validate", "--seeds", "1"])
        .arg(sample())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    drop(child.stdout.take());
    let status = child.wait().expect("an end");
    let mut first = String::new();
    BufReader::new(child.stderr.take().expect("its standard error"))
        .read_line(&mut first)
        .expect("UTF-8");
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert_eq!(first, "");
}
