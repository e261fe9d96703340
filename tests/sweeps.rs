//! `longhaul sweep`, `merge` and `compare` as a user meets them: exit codes, kills, full disks.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// 4 points of 5 runs, each of some milliseconds.
const SWEEP: &str = r#"Sweep(
    version: 1,
    name: "few",
    question: "Do more streams pay?",
    expect: "Where frames are lost.",
    scenario: "small.ron",
    axes: [
        (name: "rtt", path: "links[0].rtt", values: ["10 ms", "40 ms"]),
        (name: "streams", path: "transfers[bulk].streams", values: [1, 4]),
    ],
    replications: 5,
    metrics: [(name: "time", metric: TransferCompletionTime, statistic: Max)],
    plots: [Line(name: "times", x: "rtt", y: "time", series: "streams")],
)"#;

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        place.write(
            "small.ron",
            r#"Scenario(
                version: 1,
                name: "small",
                question: "How long does a megabyte take?",
                expect: "Some tenths of a second.",
                horizon: "30 s",
                regions: [(name: "north"), (name: "south")],
                links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s", loss: Independent(mean: "1 %"))],
                transfers: [(name: "bulk", from: "north", to: "south", size: "1 MB")],
            )"#,
        );
        place.write("few.ron", SWEEP);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a written file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LONGHAUL);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn longhaul(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("a process")
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
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
}

/// All tables of a sweep by their names.
fn tables(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = [
        "sweep.json",
        "sweep.ron",
        "scenario.ron",
        "index.json",
        "results.csv",
        "results.parquet",
        "summary.json",
        "plots/times.csv",
        "plots/index.json",
    ];
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    names
        .iter()
        .map(|name| ((*name).to_owned(), read(name)))
        .collect()
}

#[track_caller]
fn same(one: &Path, other: &Path) {
    let (one, other) = (tables(one), tables(other));
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}

#[test]
fn a_sweep_prints_its_points_and_keeps_everything() {
    let place = Place::new();
    let run = place.longhaul(&["sweep", "few.ron", "-o", "out"]);
    expect_exit(&run, 0);
    let text = stdout(&run);
    assert!(text.starts_with("Do more streams pay?\n"), "{text}");
    assert!(text.contains("20 runs simulated, 0 used again"), "{text}");
    assert!(
        text.lines()
            .filter(|line| line.contains("10 ms") || line.contains("40 ms"))
            .count()
            >= 4,
        "{text}"
    );
    assert_eq!(tables(&place.path("out")).len(), 9);

    let json = place.longhaul(&["sweep", "few.ron", "-o", "out", "--resume", "--json"]);
    expect_exit(&json, 0);
    assert_eq!(json.stdout, fs::read(place.path("out/summary.json")).unwrap());
    let summary: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(summary["points"].as_array().unwrap().len(), 4);

    let usual = place.longhaul(&["sweep", "few.ron", "--quiet", "--threads", "1"]);
    expect_exit(&usual, 0);
    assert_eq!((stdout(&usual), stderr(&usual)), ("", ""));
    same(&place.path("out"), &place.path("runs/sweep-few"));
}

#[test]
fn a_plan_says_what_it_takes_and_writes_nothing() {
    let place = Place::new();
    let plan = place.longhaul(&["sweep", "few.ron", "--plan", "-o", "out", "--replications", "50"]);
    expect_exit(&plan, 0);
    let text = stdout(&plan);
    assert!(text.starts_with("4 points, 200 runs\nabout "), "{text}");
    assert!(text.contains("of disk"), "{text}");
    assert!(!place.path("out").exists());
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "out", "-q"]), 0);
    let plan = place.longhaul(&["sweep", "few.ron", "--plan", "-o", "out", "--replications", "50"]);
    assert!(
        stdout(&plan).starts_with("4 points, 200 runs, 20 of them already done\n"),
        "{}",
        stdout(&plan)
    );
}

#[test]
fn a_panicking_point_exits_with_9_and_loses_nothing_else() {
    let place = Place::new();
    let run = place.longhaul(&["sweep", "few.ron", "-o", "out", "--inject-panic", "1"]);
    expect_exit(&run, 9);
    let message = "failed: point 1, replication 0: panicked: ";
    assert!(stderr(&run).contains(message), "{}", stderr(&run));
    assert!(!stderr(&run).contains("bug:"), "{}", stderr(&run));
    let results = fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert_eq!(results.lines().filter(|line| line.contains(",done,")).count(), 15);
    let again = place.longhaul(&["sweep", "few.ron", "-o", "out", "--resume"]);
    expect_exit(&again, 0);
    assert!(
        stdout(&again).contains("5 runs simulated, 15 used again"),
        "{}",
        stdout(&again)
    );
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "clean", "-q"]), 0);
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn what_cannot_run_exits_with_2_and_says_why() {
    let place = Place::new();
    place.write("wrong.ron", &SWEEP.replace("links[0].rtt", "links[0].rt"));
    place.write("large.ron", &SWEEP.replace("replications: 5", "limit: 3"));
    place.write("other.ron", &SWEEP.replace(r#"name: "few""#, r#"name: "other""#));
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "out", "-q"]), 0);
    for (args, parts) in [
        (
            &["sweep", "wrong.ron"][..],
            &["wrong.ron:8:29: links[0].rt", "did you mean `rtt`?"][..],
        ),
        (
            &["sweep", "large.ron"],
            &["4 points are more than the limit of 3"],
        ),
        (
            &["sweep", "nowhere.ron"],
            &["no such file, and no such sweep in the library"],
        ),
        (
            &["sweep", "cross_region"],
            &[
                "is a scenario, not a sweep",
                "`longhaul run cross_region` runs it",
            ],
        ),
        (
            &["sweep", "few.ron", "--timeout", "1 ns"],
            &["1 ns is out of range: 1 ms to 168 h"],
        ),
        (
            &["sweep", "other.ron", "-o", "out", "--resume"],
            &["out holds the sweep `few`, which this is not: `other`"],
        ),
        (
            &["sweep", "few.ron", "-o", "out"],
            &["out holds a sweep; --resume"],
        ),
        (
            &["sweep", "few.ron", "--shard", "3/2"],
            &["parts are counted from 1 to 2"],
        ),
        (&["merge", "out", "-o", "merged"], &["out is no part of a sweep"]),
        (
            &["compare", "out", "nowhere"],
            &["nowhere holds neither a run nor a sweep"],
        ),
    ] {
        let output = place.longhaul(args);
        expect_exit(&output, 2);
        for part in parts {
            assert!(
                stderr(&output).contains(part),
                "{part:?} is not in\n{}",
                stderr(&output)
            );
        }
        assert_eq!(stdout(&output), "");
    }
    assert!(!place.path("runs").exists(), "nothing was begun");
    expect_exit(
        &place.longhaul(&["sweep", "large.ron", "--yes", "--replications", "1", "-q"]),
        0,
    );
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let place = Place::new();
    place.write("many.ron", &SWEEP.replace("replications: 5", "replications: 30"));
    expect_exit(&place.longhaul(&["sweep", "many.ron", "-o", "whole", "-q"]), 0);
    let mut killed = 0;
    // No clock decides whether this passes: it only chooses the moments.
    for delay in [5, 40, 90, 15, 150, 60, 30, 120, 10, 75] {
        let mut child = place
            .command(&["sweep", "many.ron", "-o", "out", "--resume", "-q"])
            .spawn()
            .expect("a process");
        #[expect(clippy::disallowed_methods, reason = "chooses when to kill")]
        std::thread::sleep(Duration::from_millis(delay));
        let running = child.try_wait().expect("a child").is_none();
        child.kill().expect("a signal");
        child.wait().expect("an end");
        killed += u32::from(running);
    }
    assert!(killed >= 3, "only {killed} were killed");
    expect_exit(
        &place.longhaul(&["sweep", "many.ron", "-o", "out", "--resume", "-q"]),
        0,
    );
    same(&place.path("whole"), &place.path("out"));
}

#[test]
fn an_interrupted_sweep_exits_with_130_and_goes_on() {
    let place = Place::new();
    place.write(
        "many.ron",
        &SWEEP.replace("replications: 5", "replications: 2000"),
    );
    let mut child = place
        .command(&["sweep", "many.ron", "-o", "out"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let versions = place.path("out/cache");
    while !versions.exists() {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it ended before it kept anything"
        );
        std::thread::yield_now();
    }
    let locked = place.longhaul(&["sweep", "many.ron", "-o", "out", "--resume"]);
    expect_exit(&locked, 2);
    assert!(stderr(&locked).contains("out is in use"), "{}", stderr(&locked));
    let signal = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(signal.expect("a signal").success());
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let mut message = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut message)
        .expect("UTF-8");
    assert!(
        message.contains("all finished runs are kept, and --resume goes on"),
        "{message}"
    );
    let manifest: Value = serde_json::from_slice(&fs::read(place.path("out/sweep.json")).unwrap()).unwrap();
    assert_eq!(manifest["finished"], false);
    let compared = place.longhaul(&["compare", "out", "out"]);
    expect_exit(&compared, 2);
    assert!(
        stderr(&compared).contains("is not finished"),
        "{}",
        stderr(&compared)
    );
    let more = place.longhaul(&["sweep", "few.ron", "-o", "out", "--resume"]);
    expect_exit(&more, 0);
    assert!(!stdout(&more).contains(" 0 used again"), "{}", stdout(&more));
}

#[test]
fn parts_are_merged_to_the_bytes_of_the_whole() {
    let place = Place::new();
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "whole", "-q"]), 0);
    for part in ["1/3", "2/3", "3/3"] {
        expect_exit(&place.longhaul(&["sweep", "few.ron", "--shard", part, "-q"]), 0);
    }
    let parts = [
        "runs/sweep-few-3of3",
        "runs/sweep-few-1of3",
        "runs/sweep-few-2of3",
    ];
    let merged = place.longhaul(&[&["merge"], &parts[..], &["-o", "merged"]].concat());
    expect_exit(&merged, 0);
    assert_eq!(stdout(&merged), "few: 4 points, 20 runs, in merged\n");
    same(&place.path("whole"), &place.path("merged"));
    let missing = place.longhaul(&["merge", parts[0], parts[1], "-o", "other"]);
    expect_exit(&missing, 2);
    assert!(
        stderr(&missing).contains("parts are missing: 2/3"),
        "{}",
        stderr(&missing)
    );
}

#[test]
fn two_runs_are_identical_or_differ_by_so_much() {
    let place = Place::new();
    for (out, set) in [
        ("a", "transfers[0].streams=1"),
        ("b", "transfers[0].streams=1"),
        ("c", "transfers[0].streams=4"),
    ] {
        let run = place.longhaul(&["run", "small.ron", "-o", out, "--set", set, "-q"]);
        assert!(matches!(run.status.code(), Some(0)), "{}", stderr(&run));
    }
    let equal = place.longhaul(&["compare", "a", "b"]);
    expect_exit(&equal, 0);
    assert!(stdout(&equal).contains("identical ("), "{}", stdout(&equal));
    let other = place.longhaul(&["compare", "a", "c"]);
    expect_exit(&other, 0);
    assert!(!stdout(&other).contains("identical"), "{}", stdout(&other));
    assert!(
        stdout(&other).contains("TransferGoodput") && stdout(&other).contains(" %)"),
        "{}",
        stdout(&other)
    );
    let json = place.longhaul(&["compare", "a", "c", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["of"], &json["rows"][0]["n"]),
        (&Value::from("runs"), &Value::from(1))
    );
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "sweep", "-q"]), 0);
    let mixed = place.longhaul(&["compare", "a", "sweep"]);
    expect_exit(&mixed, 2);
    assert!(
        stderr(&mixed).contains("compare two of a kind"),
        "{}",
        stderr(&mixed)
    );
}

#[test]
fn processes_of_runs_change_no_byte_and_die_alone_of_too_little_memory() {
    let place = Place::new();
    // With one connection a run has room in what a process has from the start, with two hundred it has not.
    place.write("many.ron", &SWEEP.replace("values: [1, 4]", "values: [1, 200]"));
    place.write(
        "small.ron",
        &fs::read_to_string(place.path("small.ron"))
            .unwrap()
            .replace("1 MB", "20 MB"),
    );
    expect_exit(&place.longhaul(&["sweep", "many.ron", "-o", "plain", "-q"]), 0);
    let apart = ["sweep", "many.ron", "-o", "apart", "-q", "--memory", "8 GiB"];
    expect_exit(&place.longhaul(&apart), 0);
    same(&place.path("plain"), &place.path("apart"));
    let starved = place.longhaul(&["sweep", "many.ron", "-o", "starved", "-q", "--memory", "1 MB"]);
    expect_exit(&starved, 9);
    assert!(
        stderr(&starved).contains("it did not get the memory that it needs"),
        "{}",
        stderr(&starved)
    );
    let results = fs::read_to_string(place.path("starved/results.csv")).unwrap();
    assert_eq!(results.lines().count(), 21, "{results}");
    for (streams, status) in [("1", "done"), ("200", "out_of_memory")] {
        assert_eq!(
            results.matches(&format!(",{streams},{status},")).count(),
            10,
            "{results}"
        );
    }
    let again = [
        "sweep", "many.ron", "-o", "starved", "-q", "--resume", "--memory", "8 GiB",
    ];
    expect_exit(&place.longhaul(&again), 0);
    same(&place.path("plain"), &place.path("starved"));
    let wrong = place.longhaul(&["sweep", "few.ron", "-o", "x", "--memory", "8 s"]);
    expect_exit(&wrong, 2);
}

#[test]
fn sweeps_are_compared_with_margins_and_pictures() {
    let place = Place::new();
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "a", "-q"]), 0);
    let slower = SWEEP.replace(
        "scenario: \"small.ron\",",
        "scenario: \"small.ron\", set: [\"transfers[0].size=1.1 MB\"],",
    );
    place.write("slower.ron", &slower);
    expect_exit(&place.longhaul(&["sweep", "slower.ron", "-o", "b", "-q"]), 0);
    let compared = place.longhaul(&[
        "compare",
        "a",
        "b",
        "--margin",
        "time=1 min",
        "--plots",
        "pictures",
    ]);
    expect_exit(&compared, 0);
    assert!(stdout(&compared).contains("equal (±"), "{}", stdout(&compared));
    assert!(
        stderr(&compared).contains("5 pictures in pictures"),
        "{}",
        stderr(&compared)
    );
    assert!(place.path("pictures/differences-time.svg").exists());
    let wrong = place.longhaul(&["compare", "a", "b", "--margin", "time=1 MB"]);
    expect_exit(&wrong, 2);
    assert!(
        stderr(&wrong).contains("the margin `time=1 MB`"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn a_sweep_of_another_model_version_says_that_all_runs_are_made_again() {
    let place = Place::new();
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "out", "-q"]), 0);
    let manifest = place.path("out/sweep.json");
    let mut old: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    old["model_version"] = 1.into();
    fs::write(&manifest, old.to_string()).unwrap();
    let again = place.longhaul(&["sweep", "few.ron", "-o", "out", "--resume"]);
    expect_exit(&again, 0);
    let note = "out was of model version 1, this program's is ";
    assert!(stderr(&again).contains(note), "{}", stderr(&again));
}

/// A run that takes minutes.
fn endless(place: &Place) {
    let text = fs::read_to_string(place.path("small.ron")).expect("the scenario");
    place.write(
        "small.ron",
        &text.replace("1 MB", "9 TB").replace("30 s", "300 h"),
    );
    let axes = SWEEP.replace("[\"10 ms\", \"40 ms\"]", "[\"10 ms\"]");
    let axes = axes.replace("values: [1, 4]", "values: [1]");
    place.write("endless.ron", &axes.replace("replications: 5", "replications: 1"));
}

/// The process of a run of this sweep, once there is one.
fn process_of_a_run(sweep: u32) -> u32 {
    loop {
        let status = fs::read_to_string(format!("/proc/{sweep}/stat")).unwrap_or_default();
        assert!(
            !status.is_empty() && !status.contains(") Z "),
            "the sweep ended: {status}"
        );
        let found = Command::new("pgrep")
            .args(["-P", &sweep.to_string()])
            .output()
            .expect("pgrep");
        if let Ok(child) = stdout(&found).trim().parse() {
            let command = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if command.contains("\0single\0") {
                return child;
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn ctrl_c_ends_a_sweep_of_processes_and_blames_no_run() {
    let place = Place::new();
    endless(&place);
    let mut sweep = place
        .command(&["sweep", "endless.ron", "-o", "out", "--memory", "4 GiB"])
        .process_group(0)
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    process_of_a_run(sweep.id());
    // As a terminal does it: to all processes of the group.
    let group = format!("-{}", sweep.id());
    let signal = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(signal.expect("a signal").success());
    let mut said = String::new();
    let mut stderr = sweep.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("UTF-8");
    assert_eq!(sweep.wait().expect("an end").code(), Some(130), "{said}");
    assert!(said.contains("all finished runs are kept"), "{said}");
    let manifest: Value = serde_json::from_slice(&fs::read(place.path("out/sweep.json")).unwrap()).unwrap();
    assert_eq!(manifest["finished"], false);
}

#[test]
fn the_process_of_a_run_dies_with_its_sweep() {
    let place = Place::new();
    endless(&place);
    let mut sweep = place
        .command(&["sweep", "endless.ron", "-o", "out", "--memory", "4 GiB", "-q"])
        .spawn()
        .expect("a process");
    let run = process_of_a_run(sweep.id());
    sweep.kill().expect("a signal");
    sweep.wait().expect("an end");
    let mut looks = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{run}/stat")).unwrap_or_default();
        // Gone, or dead and waited for by nobody.
        if status.is_empty() || status.contains(") Z ") {
            return;
        }
        looks += 1;
        assert!(looks < 500, "the process of the run goes on: {status}");
        #[expect(clippy::disallowed_methods, reason = "waits for the end of a process")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn runs_fail_in_the_same_words_in_processes_and_without() {
    let place = Place::new();
    let text = fs::read_to_string(place.path("small.ron")).expect("the scenario");
    let rate = r#"rate: Deliveries(file: "t.txt"), queue: Packets(100)"#;
    place.write("small.ron", &text.replace(r#"rate: "50 Mbit/s""#, rate));
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "plain", "-q"]), 9);
    let apart = ["sweep", "few.ron", "-o", "apart", "-q", "--memory", "4 GiB"];
    expect_exit(&place.longhaul(&apart), 9);
    let summary = fs::read_to_string(place.path("plain/summary.json")).unwrap();
    assert!(summary.contains("t.txt: "), "{summary}");
    same(&place.path("plain"), &place.path("apart"));
}

/// Needs a mount of its own, which not every machine gives.
#[test]
fn a_full_disk_is_a_clear_error_and_what_was_finished_is_used_again() {
    on_a_full_disk("");
}

/// The same of runs in processes of their own: no run is to blame for the disk.
#[test]
fn a_full_disk_is_no_failure_of_the_processes_of_runs() {
    on_a_full_disk("--memory 4GiB");
}

fn on_a_full_disk(options: &str) {
    let place = Place::new();
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "clean", "-q"]), 0);
    fs::create_dir(place.path("disk")).expect("a directory");
    // Twenty entries take a block each, and the tables some more: forty blocks of 4 KiB do, twelve do not.
    let script = format!(
        "mount -t tmpfs -o size=48k none disk || exit 77\n\
         {LONGHAUL} sweep few.ron -o disk/out -q {options}; echo \"first: $?\"\n\
         mount -o remount,size=4m disk\n\
         {LONGHAUL} sweep few.ron -o disk/out --resume {options}; echo \"second: $?\"\n\
         cp -r disk/out full"
    );
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", &script])
        .current_dir(place.0.path());
    let Ok(output) = command.output() else {
        return;
    };
    if !stdout(&output).contains("first: ") {
        return;
    }
    assert!(
        stdout(&output).contains("first: 2\n"),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    // The first run that cannot be kept ends the sweep.
    assert!(
        stderr(&output).contains("cannot write disk/out/cache/")
            && stderr(&output).contains("the disk is full; all runs finished so far are kept"),
        "{}",
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("second: 0\n"),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(!stdout(&output).contains(" 0 used again"), "{}", stdout(&output));
    same(&place.path("clean"), &place.path("full"));
}

/// Whether another reader of Parquet than ours agrees, where Python has one: `pip install duckdb`.
#[test]
fn duckdb_reads_the_results() {
    let place = Place::new();
    expect_exit(&place.longhaul(&["sweep", "few.ron", "-o", "out", "-q"]), 0);
    let script = "\
import duckdb, sys
same = duckdb.sql(\"\"\"select count(*) from
  (select point, replication, seed, rtt_ns, streams, digest, time_ns from 'out/results.parquet'
   except select point, replication, seed, rtt_ns, streams, digest, time_ns from 'out/results.csv')\"\"\").fetchall()[0]
rows = duckdb.sql(\"select count(*), count(distinct rtt_ns), min(time_ns) > 0 from 'out/results.parquet'\").fetchall()[0]
print(same, rows)
";
    let mut command = Command::new("python3");
    command.args(["-c", script]).current_dir(place.0.path());
    let Ok(output) = command.output() else {
        return;
    };
    if stderr(&output).contains("ModuleNotFoundError") {
        return;
    }
    assert_eq!(stdout(&output), "(0,) (20, 2, True)\n", "{}", stderr(&output));
}
