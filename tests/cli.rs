//! The program as a user meets it: streams, exit codes, the run directory, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// A directory to run in, with a small scenario whose assertion has the given bound.
struct Place(TempDir);

impl Place {
    fn new(assertion: &str) -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        let text = format!(
            r#"Scenario(
                version: 1,
                name: "small",
                question: "How long does a megabyte take?",
                expect: "About a tenth of a second.",
                horizon: "5 s",
                sample_interval: "100 ms",
                regions: [(name: "north"), (name: "south")],
                links: [(between: ("north", "south"), rtt: "20 ms", rate: "100 Mbit/s")],
                transfers: [(name: "bulk", from: "north", to: "south", size: "1 MB")],
                assertions: [({assertion})],
            )"#
        );
        fs::write(place.path("small.ron"), text).expect("a written scenario");
        place
    }

    fn passing() -> Place {
        Place::new(r#"metric: TransferCompletionTime, statistic: Max, bound: AtMost("5 s")"#)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LONGHAUL);
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    fn longhaul(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("a process")
    }

    /// Names in this directory, sorted.
    fn names(&self) -> Vec<String> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let entries = fs::read_dir(self.0.path()).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        names.sort();
        names
    }
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

#[track_caller]
fn expect_exit(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        stdout(output),
        stderr(output)
    );
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::passing();
    let help = place.longhaul(&["--help"]);
    expect_exit(&help, 0);
    assert!(stdout(&help).contains("Exit codes:") && stdout(&help).contains("longhaul run cross_region"));
    let version = place.longhaul(&["--version"]);
    expect_exit(&version, 0);
    let versions = format!(
        "longhaul {} (model version {}",
        env!("CARGO_PKG_VERSION"),
        longhaul_core::MODEL_VERSION
    );
    assert!(stdout(&version).starts_with(&versions), "{}", stdout(&version));
}

#[test]
fn a_wrong_command_line_exits_with_2_and_leaves_standard_output_alone() {
    let place = Place::passing();
    for args in [
        &["run"][..],
        &["run", "small.ron", "--no-such-option"],
        &["run", "small.ron", "--seed", "-1"],
        &["run", "small.ron", "--trace=5..5"],
        &["run", "small.ron", "--inject-divergence", "5"],
        &["run", "small.ron", "--quiet", "--json"],
        &["run", "no-such.ron"],
        &["run", "."],
        &["frobnicate"],
        &[],
    ] {
        let output = place.longhaul(args);
        expect_exit(&output, 2);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    assert_eq!(place.names(), ["small.ron"], "nothing was written");
}

#[test]
fn every_scenario_of_the_list_is_valid() {
    let place = Place::passing();
    let list = place.longhaul(&["list"]);
    expect_exit(&list, 0);
    let names: Vec<&str> = stdout(&list)
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert!(names.contains(&"cross_region"), "{names:?}");
    assert!(names.contains(&"streams_by_rtt (sweep)"), "{names:?}");
    for name in names.into_iter().filter(|name| !name.ends_with(" (sweep)")) {
        expect_exit(&place.longhaul(&["check", name]), 0);
    }
}

#[test]
fn check_points_at_every_mistake() {
    let place = Place::passing();
    let good = place.longhaul(&["check", "small.ron"]);
    expect_exit(&good, 0);
    assert!(stdout(&good).starts_with("small.ron: valid"), "{}", stdout(&good));
    let text = fs::read_to_string(place.path("small.ron")).expect("the scenario");
    let text = text.replace("rtt:", "rttt:").replace("100 Mbit/s", "100 Mbits");
    fs::write(place.path("bad.ron"), text).expect("a written scenario");
    let bad = place.longhaul(&["check", "bad.ron"]);
    expect_exit(&bad, 2);
    assert!(
        stderr(&bad).contains("bad.ron:9:55: links[0].rttt: "),
        "{}",
        stderr(&bad)
    );
    assert!(
        stderr(&bad).contains("bad.ron:9:76: links[0].rate: "),
        "{}",
        stderr(&bad)
    );
    assert!(bad.stdout.is_empty());
}

#[test]
fn what_show_prints_is_the_same_scenario() {
    let place = Place::passing();
    let shown = place.longhaul(&[
        "show",
        "small.ron",
        "--seed",
        "9",
        "--set",
        "transfers[bulk].size=2 MB",
    ]);
    expect_exit(&shown, 0);
    fs::write(place.path("shown.ron"), &shown.stdout).expect("a written scenario");
    assert_eq!(place.longhaul(&["show", "shown.ron"]).stdout, shown.stdout);
    assert!(stdout(&shown).contains("seed: 9"));
}

#[test]
fn a_run_leaves_its_directory_and_the_command_that_repeats_it() {
    let place = Place::passing();
    let run = place.longhaul(&[
        "run",
        "small.ron",
        "--out",
        "out",
        "--set",
        "horizon=4 s",
        "--trace=10..20",
    ]);
    expect_exit(&run, 0);
    let command = "reproduce: longhaul run small.ron --seed 1 --set 'horizon=4 s'\n";
    assert!(stdout(&run).contains(command), "{}", stdout(&run));
    let manifest = json(&place.path("out/manifest.json"));
    assert_eq!(manifest["argv"][3], "--out");
    for file in manifest["files"].as_array().expect("files") {
        let name = file["name"].as_str().expect("a name");
        let path = place.path("out").join(name);
        assert_eq!(
            fs::metadata(&path).expect(name).len(),
            file["bytes"].as_u64().expect("bytes")
        );
    }
    let metrics = fs::read_to_string(place.path("out/metrics.prom")).expect("metrics");
    assert!(metrics.contains("\nlonghaul_simulated_seconds "), "{metrics}");
    let telemetry = fs::read_to_string(place.path("out/telemetry.om")).expect("telemetry");
    assert!(telemetry.ends_with("\n# EOF\n"), "{telemetry}");
    let trace = fs::read_to_string(place.path("out/trace.csv")).expect("a trace");
    assert_eq!(trace.lines().count(), 11);
    let resolved = place.longhaul(&["show", "small.ron", "--set", "horizon=4 s"]);
    assert_eq!(
        fs::read(place.path("out/scenario.resolved.ron")).expect("the scenario"),
        resolved.stdout
    );
    assert_eq!(place.names(), ["out", "small.ron"]);
}

#[test]
#[ignore = "needs promtool on the path"]
fn promtool_reads_the_telemetry() {
    let place = Place::passing();
    expect_exit(
        &place.longhaul(&["run", "small.ron", "--out", "out", "--quiet"]),
        0,
    );
    let metrics = fs::File::open(place.path("out/metrics.prom")).expect("metrics");
    let check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(metrics)
        .output();
    let check = check.expect("promtool");
    // 3: it was read, and there is something to say about names.
    assert!(matches!(check.status.code(), Some(0 | 3)), "{check:?}");
    for line in String::from_utf8_lossy(&check.stderr).lines() {
        assert!(
            line.starts_with("dwcp_") || line.starts_with("patronus_sdwan_"),
            "{line}"
        );
    }
    let blocks = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([place.path("out/telemetry.om"), place.path("blocks")])
        .output();
    let blocks = blocks.expect("promtool");
    assert!(blocks.status.success(), "{blocks:?}");
}

#[test]
fn the_default_directory_is_named_after_scenario_seed_and_hash() {
    let place = Place::passing();
    expect_exit(
        &place.longhaul(&["run", "small.ron", "--seed", "7", "--quiet"]),
        0,
    );
    let summary = place.longhaul(&["run", "small.ron", "--seed", "7", "--json"]);
    let hash = serde_json::from_slice::<Value>(&summary.stdout).expect("JSON")["scenario_hash"].clone();
    let name = format!("runs/small-s7-{}", &hash.as_str().expect("a hash")[..8]);
    assert!(place.path(&name).join("manifest.json").exists(), "{name}");
}

#[test]
fn json_is_the_summary_and_nothing_else() {
    let place = Place::passing();
    let run = place.longhaul(&["run", "small.ron", "--out", "out", "--json"]);
    expect_exit(&run, 0);
    assert_eq!(
        run.stdout,
        fs::read(place.path("out/summary.json")).expect("the summary")
    );
    let summary: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(summary["verdict"], "Pass");
    assert_eq!(summary["transfers"][0]["received"], 1_000_000);
}

#[test]
fn the_verdict_decides_the_exit_code() {
    for (statistic, bound, level, code, verdict) in [
        ("Max", "5 s", "Critical", 0, "PASS"),
        ("Max", "1 ms", "Critical", 3, "FAIL"),
        ("Max", "1 ms", "Advisory", 0, "PASS"),
        ("P95", "5 s", "Critical", 4, "INCONCLUSIVE"),
    ] {
        let place = Place::new(&format!(
            r#"metric: TransferCompletionTime, statistic: {statistic}, bound: AtMost("{bound}"), level: {level}"#
        ));
        let run = place.longhaul(&["run", "small.ron", "--quiet"]);
        expect_exit(&run, code);
        assert!(stdout(&run).starts_with(verdict), "{}", stdout(&run));
    }
}

#[test]
fn an_unwritable_output_directory_exits_with_2_before_the_run() {
    let place = Place::passing();
    fs::create_dir(place.path("mine")).expect("a directory");
    fs::write(place.path("mine/notes.txt"), "mine").expect("a file");
    for out in ["/dev/null/out", "mine", "small.ron", "/"] {
        let run = place.longhaul(&["run", "small.ron", "--out", out]);
        expect_exit(&run, 2);
        assert!(
            run.stdout.is_empty() && stderr(&run).starts_with("error: "),
            "{}",
            stderr(&run)
        );
    }
    assert_eq!(
        fs::read_to_string(place.path("mine/notes.txt")).expect("the file"),
        "mine"
    );
    assert_eq!(place.names(), ["mine", "small.ron"]);
}

#[test]
fn piped_text_has_no_escapes_and_at_most_80_columns() {
    let place = Place::passing();
    let run = place.longhaul(&["run", "small.ron"]);
    expect_exit(&run, 0);
    for line in stdout(&run).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!stdout(&run).contains('\u{1b}') && !stderr(&run).contains('\u{1b}'));
    let coloured = place
        .command(&["run", "small.ron", "--color", "always"])
        .env("NO_COLOR", "1")
        .output();
    assert!(
        stdout(&coloured.expect("a process")).contains("\u{1b}["),
        "an option beats the environment"
    );
}

/// A pseudo-terminal, made by util-linux's `script`; what the program writes to it.
fn on_a_terminal(place: &Place, environment: &str) -> String {
    let inner = format!("{environment} {LONGHAUL} run small.ron");
    let mut command = Command::new("script");
    command
        .args(["-qec", &inner, "/dev/null"])
        .current_dir(place.0.path())
        .stdin(Stdio::null());
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    stdout(&command.output().expect("the `script` of util-linux")).to_owned()
}

#[test]
fn a_terminal_gets_colour_unless_the_environment_refuses() {
    let place = Place::passing();
    let green_pass = "\u{1b}[32mPASS";
    assert!(on_a_terminal(&place, "").contains(green_pass));
    assert!(
        on_a_terminal(&place, "NO_COLOR=").contains(green_pass),
        "an empty NO_COLOR does not count"
    );
    assert!(!on_a_terminal(&place, "NO_COLOR=1").contains(green_pass));
    assert!(!on_a_terminal(&place, "TERM=dumb").contains(green_pass));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::passing();
    for args in [
        &["run", "small.ron"][..],
        &["show", "cross_region"],
        &["list"],
        &["--help"],
    ] {
        // The read end is closed before the program writes its first byte.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = place
            .command(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .expect("a process");
        expect_exit(&output, 0);
        assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
    }
}

#[test]
fn a_full_device_is_an_error_and_no_panic() {
    let place = Place::passing();
    for args in [
        &["run", "small.ron"][..],
        &["show", "cross_region"],
        &["list"],
        &["--help"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let output = place
            .command(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("a process");
        expect_exit(&output, 2);
        assert!(
            stderr(&output).contains("cannot write to standard output"),
            "{}",
            stderr(&output)
        );
    }
    assert!(place.path("runs").exists(), "the results were kept all the same");
}

#[test]
fn verify_agrees_with_itself_and_finds_an_injected_divergence() {
    let place = Place::passing();
    let same = place.longhaul(&["run", "small.ron", "--verify", "--out", "out"]);
    expect_exit(&same, 0);
    assert!(
        stderr(&same).contains("verified: a second process did the same"),
        "{}",
        stderr(&same)
    );

    let args = [
        "run",
        "small.ron",
        "--verify",
        "--out",
        "out",
        "--inject-divergence",
        "123",
    ];
    let different = place.longhaul(&args);
    expect_exit(&different, 5);
    let message = stderr(&different);
    assert!(
        message.contains("the first event that differs is number 123 (counted from 0)"),
        "{message}"
    );
    assert!(
        message.contains("first run: event 123 at ") && message.contains("caused by"),
        "{message}"
    );
    assert!(
        message.ends_with("reproduce: longhaul run small.ron --seed 1 --verify\n"),
        "{message}"
    );

    let args = [
        "run",
        "small.ron",
        "--verify",
        "--out",
        "out",
        "--inject-divergence",
        "99999999999",
    ];
    expect_exit(&place.longhaul(&args), 2);
}

#[test]
fn an_event_budget_ends_the_run_and_is_part_of_the_command_that_repeats_it() {
    let place = Place::passing();
    let run = place.longhaul(&["run", "small.ron", "--events", "50", "--out", "out", "--verify"]);
    expect_exit(&run, 4);
    let summary = json(&place.path("out/summary.json"));
    assert_eq!(
        (&summary["events"], &summary["ended"]),
        (&Value::from(50), &Value::from("EventBudget"))
    );
    assert_eq!(
        summary["reproduce"],
        "longhaul run small.ron --seed 1 --events 50"
    );
}

/// A run that would take hours, once it is under way.
fn endless(place: &Place, args: &[&str]) -> Child {
    let long = [
        "run",
        "small.ron",
        "--out",
        "out",
        "--verbose",
        "--set",
        "horizon=960 h",
    ];
    let endless = [
        "--set",
        "transfers[bulk].size=40 TB",
        "--set",
        "sample_interval=1 h",
    ];
    let mut command = place.command(&[&long[..], &endless, args].concat());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    // It says what it runs once it is ready for signals.
    let mut said = BufReader::new(child.stderr.as_mut().expect("standard error"));
    let mut line = String::new();
    while !line.contains("results in") {
        line.clear();
        assert!(
            said.read_line(&mut line).expect("text") > 0,
            "the run ended early: {line}"
        );
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.expect("the kill program").success());
}

#[test]
fn an_interrupted_run_keeps_what_it_has() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::passing();
        let child = endless(&place, &[]);
        signal(&child, name);
        let output = child.wait_with_output().expect("an exit");
        expect_exit(&output, code);
        assert!(
            stdout(&output).contains("interrupted after"),
            "{}",
            stdout(&output)
        );
        let summary = json(&place.path("out/summary.json"));
        assert_eq!(summary["ended"], "Interrupted");
        assert_eq!(summary["transfers"][0]["progress"], "Unfinished");
        assert_eq!(
            place.names(),
            ["out", "small.ron"],
            "no partial directory is left"
        );
    }
}

#[test]
fn a_verification_can_be_interrupted_too() {
    let place = Place::passing();
    // Long enough to be caught in the second process, short enough for the first.
    let mut child = place
        .command(&[
            "run",
            "small.ron",
            "--verify",
            "--set",
            "transfers[bulk].size=1 GB",
            "--set",
            "horizon=10 min",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    // The report comes before the second process; reading to its end would wait for that, too.
    let mut report = BufReader::new(child.stdout.take().expect("standard output"));
    let mut line = String::new();
    while !line.starts_with("run directory:") {
        line.clear();
        assert!(report.read_line(&mut line).expect("text") > 0, "no report");
    }
    signal(&child, "-INT");
    let mut rest = String::new();
    report.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("an exit").code(), Some(130));
}

#[test]
fn a_report_is_made_of_a_run_directory_alone() {
    let place = Place::passing();
    expect_exit(
        &place.longhaul(&["run", "small.ron", "--quiet", "--out", "run"]),
        0,
    );
    let written = place.longhaul(&["report", "run"]);
    expect_exit(&written, 0);
    assert_eq!(
        stdout(&written),
        "run/report.html\nrun/report.md\nrun/junit.xml\n"
    );
    let page = place.longhaul(&["report", "run", "--print", "html"]);
    expect_exit(&page, 0);
    assert!(stdout(&page).contains("longhaul run small.ron") && stdout(&page).contains("</html>"));
    let lines = place.longhaul(&["report", "run", "--terminal", "--ascii"]);
    expect_exit(&lines, 0);
    assert!(
        stdout(&lines).starts_with("PASS") && stdout(&lines).is_ascii(),
        "{}",
        stdout(&lines)
    );
    // The report counts as the run's own: another run takes the place of both.
    expect_exit(
        &place.longhaul(&["run", "small.ron", "--quiet", "--out", "run"]),
        0,
    );
    let nothing = place.longhaul(&["report", "."]);
    expect_exit(&nothing, 2);
    assert!(
        stderr(&nothing).contains("is no directory of a run"),
        "{}",
        stderr(&nothing)
    );
    expect_exit(&place.longhaul(&["report", "run", "--ascii"]), 2);
}
