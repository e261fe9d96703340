//! `longhaul replay` as a user meets it: plans, refusals, measurements of an earlier replay judged again, and, where
//! there are QEMU and a kernel, that the same seed gives the same bytes and that a signal leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::vm::{boots, children, possible, wait_for};

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

const SCENARIO: &str = r#"Scenario(
    version: 1, name: "small", question: "How long does a megabyte take?", expect: "A tenth of a second.",
    horizon: "5 s", sample_interval: "100 ms",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "100 Mbit/s", queue: Packets(1000))],
    transfers: [(name: "bulk", from: "north", to: "south", size: "1 MB")],
    assertions: [(metric: TransferCompletionTime, statistic: Max, bound: AtMost("5 s"))],
    replay: (replications: 5, simulations: 2, margins: [(metric: TransferCompletionTime, within: "5 %")]),
)"#;

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        fs::write(place.path("small.ron"), SCENARIO).expect("a written scenario");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn longhaul(&self, args: &[&str]) -> Output {
        let mut command = Command::new(LONGHAUL);
        command.args(args).current_dir(self.0.path());
        command.output().expect("a process")
    }

    /// What the simulator says the transfer takes, in nanoseconds.
    fn simulated(&self) -> u64 {
        let run = self.longhaul(&["run", "small.ron", "--json", "--out", "run"]);
        let summary: Value = serde_json::from_slice(&run.stdout).expect("JSON");
        summary["transfers"][0]["completion_ns"].as_u64().expect("a time")
    }

    /// Measurements in which the transfer takes so long, changed further by `change`.
    fn measured(&self, completion_ns: u64, change: impl Fn(&mut Value)) {
        let link = |name: &str| json!({ "name": name, "sent_bytes": 1_000_000, "sent_packets": 700, "dropped_by_law": 0, "dropped_by_queue": 0 });
        let event = |event: &Value| json!({ "at_ns": completion_ns, "peer": 0, "event": event });
        let mut outcome = json!({ "format": 1, "kernel": "Linux 6.1.0", "replications": [] });
        for number in 0..5 {
            let replication = json!({
                "number": number, "ended": "Done",
                "events": [event(&json!({ "StreamFinished": { "stream": 0 } })), event(&json!("Completed"))],
                "summaries": {}, "tcp": {}, "links": [link("north->south"), link("south->north")],
                "timeline": [], "tapes": { "0": "a tape" },
                "health": { "ceiling_bits_per_s": 800_000_000, "offloads_on": [], "latest_wake_ns": 1000, "busy_share": 0.1 },
            });
            outcome["replications"]
                .as_array_mut()
                .expect("a list")
                .push(replication);
        }
        change(&mut outcome);
        fs::write(self.path("outcome.json"), outcome.to_string()).expect("a written file");
    }

    fn judged(&self, args: &[&str]) -> Output {
        self.longhaul(&[&["replay", "small.ron", "--from", "outcome.json"], args].concat())
    }
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) {
    let text = [&output.stdout[..], &output.stderr[..]]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[test]
fn equal_measurements_pass_and_leave_a_directory_that_is_judged_again_alike() {
    let place = Place::new();
    place.measured(place.simulated(), |_| {});
    expect(
        &place.judged(&["--out", "kept"]),
        0,
        &["PASS", "0.00 %", "± 5 %", "5 of 5", "health: 8 of 8 checks"],
    );
    for file in [
        "replay.json",
        "scenario.resolved.ron",
        "plan.txt",
        "outcome.json",
        "distributions.svg",
        "tapes/4-0.jsonl",
    ] {
        assert!(place.path("kept").join(file).is_file(), "{file}");
    }
    let again = place.longhaul(&[
        "replay",
        "small.ron",
        "--from",
        "kept/outcome.json",
        "--json",
        "--out",
        "again",
    ]);
    expect(&again, 0, &[]);
    let read = |text: &[u8]| -> Value { serde_json::from_slice(text).expect("JSON") };
    let (mut first, mut second) = (
        read(&fs::read(place.path("kept/replay.json")).unwrap()),
        read(&again.stdout),
    );
    for record in [&mut first, &mut second] {
        record["reproduce"].take();
    }
    assert_eq!(first, second);
}

#[test]
fn a_missed_margin_exits_with_3_an_unhealthy_replay_with_7_and_too_little_with_4() {
    let place = Place::new();
    let time = place.simulated();
    place.measured(time * 11 / 10, |_| {});
    expect(
        &place.judged(&["--quiet"]),
        3,
        &["FAIL", "the difference is larger than the margin"],
    );
    place.measured(time, |outcome| {
        outcome["replications"][2]["health"]["busy_share"] = json!(0.9);
    });
    expect(
        &place.judged(&["--quiet"]),
        7,
        &["INVALID", "processors: 90 % busy", "--scale 2"],
    );
    place.measured(time, |outcome| outcome["replications"][2]["events"] = json!([]));
    expect(
        &place.judged(&[]),
        4,
        &["INCONCLUSIVE", "no value in 0 of 2 simulations and 1"],
    );
}

#[test]
fn measurements_that_are_none_or_of_another_scenario_are_refused_in_one_line() {
    let place = Place::new();
    expect(&place.judged(&[]), 2, &["error: cannot read outcome.json"]);
    fs::write(place.path("outcome.json"), "{}").unwrap();
    expect(&place.judged(&[]), 2, &["holds no measurements of a replay"]);
    place.measured(1_000_000, |outcome| {
        outcome["replications"][1]["links"] = json!([]);
    });
    expect(
        &place.judged(&[]),
        2,
        &["replication 1 has counters of the links "],
    );
    place.measured(1_000_000, |outcome| {
        outcome["replications"][1]["number"] = json!(7);
    });
    expect(
        &place.judged(&[]),
        2,
        &["replication 1 was replayed twice or not at all"],
    );
    assert!(!place.path("runs").exists() || fs::metadata(place.path("runs")).unwrap().is_dir());
}

#[test]
fn a_plan_needs_no_privilege_and_what_no_kernel_can_do_is_named_line_by_line() {
    let place = Place::new();
    expect(
        &place.longhaul(&["replay", "small.ron", "--plan"]),
        0,
        &["ip netns add longhaul-r0", "netem"],
    );
    let refused = place.longhaul(&[
        "replay",
        "small.ron",
        "--set",
        "links[0].background=Constant(rate: \"1 Mbit/s\")",
    ]);
    expect(
        &refused,
        8,
        &["error: not replayable: links[north->south].background: a replay has no traffic of others\n"],
    );
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("error: ")).count(),
        2,
        "{text}"
    );
    expect(&place.longhaul(&["replay"]), 2, &["SCENARIO"]);
    expect(
        &place.longhaul(&["replay", "small.ron", "--backend", "vm", "--kernel", "nowhere"]),
        8,
        &["error: "],
    );
}

/// The only error line of a refusal.
#[track_caller]
fn refused(mut command: Command) -> String {
    let output = command.output().expect("a process");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{text}");
    let mut errors = text.lines().filter(|line| line.starts_with("error: "));
    let error = errors.next().unwrap_or_else(|| panic!("no error: {text}"));
    assert_eq!(errors.next(), None, "{text}");
    error.to_owned()
}

fn replay_with(backend: &str, program: &Path, place: &Place) -> Command {
    let mut command = Command::new(program);
    command
        .args(["replay", "small.ron", "--backend", backend, "--out", "out"])
        .current_dir(place.0.path());
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("`id`");
    output.stdout == b"0\n"
}

/// The same command where these programs cannot be started: hidden for this process alone, for they are looked for
/// beside `PATH`, too.
fn without(tool: &str, plain: &Command) -> Command {
    let hide = r#"for directory in /sbin /usr/sbin /usr/local/sbin /bin /usr/bin /usr/local/bin; do
        if [ -e "$directory/$0" ]; then mount --bind /dev/null "$directory/$0" || exit 99; fi; done; exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", hide, tool])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(plain.get_current_dir().expect("a directory"));
    command
}

#[test]
fn a_machine_without_privilege_tools_or_emulator_refuses_in_a_line() {
    let place = Place::new();
    let on_host = replay_with("host", Path::new(LONGHAUL), &place);
    if !is_root() {
        let error = refused(on_host);
        assert!(
            error.contains("the backend host is not available here: "),
            "{error}"
        );
        eprintln!("skipped: hiding programs takes root");
        return;
    }
    // Where anyone can read and start it.
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    fs::copy(LONGHAUL, place.path("longhaul")).expect("a copy");
    let mut as_nobody = Command::new("setpriv");
    as_nobody
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(place.path("longhaul"))
        .args(on_host.get_args())
        .current_dir(place.0.path());
    let error = refused(as_nobody);
    assert!(
        error.contains("the backend host is not available here: "),
        "{error}"
    );
    assert!(error.contains("root"), "{error}");
    let error = refused(without("tc", &on_host));
    assert!(
        error.contains("there is no tc: ") && error.contains("iproute2"),
        "{error}"
    );
    let in_vm = replay_with("vm", Path::new(LONGHAUL), &place);
    let error = refused(without("qemu-system-x86_64", &in_vm));
    assert!(
        error.contains("the backend vm is not available here: "),
        "{error}"
    );
    assert!(error.contains("qemu-system-x86"), "{error}");
    assert!(!place.path("out").exists());
}

/// Some frames are lost, which ones is up to the seed.
const LOSSY: [&str; 2] = [
    r#"links[0].loss=Independent(mean: "5 %")"#,
    r#"transfers[bulk].size="100 kB""#,
];

#[test]
fn a_seed_decides_about_every_byte_whatever_runs_side_by_side() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let replay = |out: &str, more: &[&str]| {
        let usual = [
            "replay",
            "small.ron",
            "--backend",
            "vm",
            "--simulations",
            "5",
            "--quiet",
            "--out",
            out,
        ];
        let lossy = ["--set", LOSSY[0], "--set", LOSSY[1]];
        let output = place.longhaul(&[&usual, &lossy[..], more].concat());
        // Whether both worlds agree is not the question here.
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
        let read = |name: &str| fs::read_to_string(place.path(out).join(name)).expect("a file");
        (read("outcome.json"), read("replay.json"))
    };
    // Six replications are two virtual machines.
    let alone = replay("alone", &["--replications", "6", "--jobs", "1"]);
    let together = replay("together", &["--replications", "6", "--jobs", "2"]);
    assert!(alone == together, "the same seed gave something else");
    let other = replay("other", &["--replications", "1", "--seed", "77"]);
    let events = |outcome: &str, replication: usize| -> Value {
        let outcome: Value = serde_json::from_str(outcome).expect("JSON");
        outcome["replications"][replication]["events"].clone()
    };
    assert_ne!(events(&alone.0, 0), events(&other.0, 0), "another seed");
    assert_ne!(events(&alone.0, 0), events(&alone.0, 1), "another replication");
    assert_ne!(
        events(&alone.0, 0),
        events(&alone.0, 5),
        "another virtual machine"
    );
}

#[test]
fn a_signal_in_the_middle_leaves_nothing() {
    if !possible() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("temporary")).expect("a directory");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = replay_with("vm", Path::new(LONGHAUL), &place);
        command.env("TMPDIR", place.path("temporary"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("a process");
        let emulator = wait_for(|| children(child.id()).into_iter().find(|&pid| boots(pid)));
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        let output = child.wait_with_output().expect("an end");
        expect(&output, code, &["interrupted; there is no result"]);
        wait_for(|| (!boots(emulator)).then_some(()));
        #[expect(clippy::disallowed_methods, reason = "sorted at once")]
        let listed = |path: &Path| {
            let entries = fs::read_dir(path).expect("a directory");
            let mut names: Vec<_> = entries
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(listed(&place.path("temporary")).len(), 0, "{signal}");
        assert_eq!(listed(place.0.path()), ["small.ron", "temporary"], "{signal}");
    }
}
