//! The virtual machine of a replay, for real: what is put in comes out, the same seed gives the same bytes, every
//! bad end is told, and nothing is left behind. Without QEMU or a kernel these tests say so and pass.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use longhaul_core::doctor::Availability;
use longhaul_replay::selftest::SelfTest;
use longhaul_replay::vm::{self, Answered, Boot, VmError, VmOptions};
use serde::Deserialize;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");
/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer of the self-test.
#[derive(Deserialize)]
struct SelfTestAnswer {
    test: SelfTest,
    host: Availability,
    echo: String,
}

/// Whether there is a virtual machine to test; says why not.
pub fn possible() -> bool {
    match vm::ready(None) {
        Ok(_) => true,
        Err(why) => {
            eprintln!("skipped: {why}");
            false
        }
    }
}

fn options(program: &str) -> VmOptions {
    VmOptions {
        program: PathBuf::from(program),
        kernel: None,
        parallel: 2,
        memory_mib: None,
        watchdog: None,
    }
}

fn self_test(echo: &str, seed: u64) -> Boot {
    let job = format!(r#"{{"SelfTest":{{"echo":"{echo}"}}}}"#).into_bytes();
    Boot { job, seed }
}

fn read(answered: &Answered) -> SelfTestAnswer {
    serde_json::from_slice(&answered.answer).expect("an answer in JSON")
}

#[test]
fn megabytes_come_back_whole_and_a_seed_decides_about_every_loss() {
    if !possible() {
        return;
    }
    let echo: String = (0..5_000_000_u32)
        .map(|n| char::from(b'a' + (n % 23) as u8))
        .collect();
    let boots = [self_test(&echo, 1), self_test(&echo, 2), self_test(&echo, 1)];
    let answers = vm::run(&options(LONGHAUL), &boots, &|| false).expect("answers");
    assert!(
        answers[0].answer == answers[2].answer,
        "the same seed gave another answer"
    );
    let [one, other] = [read(&answers[0]), read(&answers[1])];
    assert!(
        one.echo == echo && other.echo == echo,
        "the text came back changed"
    );
    assert_eq!(one.test.fault().or(other.test.fault()), None);
    assert_eq!(
        one.host.missing,
        Vec::<String>::new(),
        "the guest can replay on its own kernel"
    );
    let losses = |test: &SelfTest| {
        test.round_trips_ns
            .iter()
            .map(Option::is_none)
            .collect::<Vec<_>>()
    };
    assert_ne!(
        losses(&one.test),
        losses(&other.test),
        "another seed loses others"
    );
}

#[test]
fn every_bad_end_of_a_guest_is_told() {
    if !possible() {
        return;
    }
    let run = |options: &VmOptions, job: Vec<u8>| match vm::run(options, &[Boot { job, seed: 3 }], &|| false)
    {
        Err(error @ VmError::Guest { .. }) => error.to_string(),
        Err(other) => panic!("{options:?}: {other}"),
        Ok(_) => panic!("{options:?}: answered"),
    };
    // A first process that ends.
    let panic = run(&options("/bin/true"), vec![]);
    assert!(
        panic.contains("seed 3 failed: its kernel panicked; its last lines:"),
        "{panic}"
    );
    assert!(panic.contains("Attempted to kill init"), "{panic}");
    // One that waits for ever.
    let second = Some(Duration::from_secs(1));
    let hang = run(
        &VmOptions {
            watchdog: second,
            ..options("/bin/cat")
        },
        vec![],
    );
    assert!(hang.contains("it did not end within 1 s"), "{hang}");
    // A job that cannot be done.
    let refused = run(&options(LONGHAUL), b"nonsense".to_vec());
    assert!(refused.contains("seed 3 failed: an unknown job"), "{refused}");
    // Memory that its files alone would fill.
    let options = VmOptions {
        memory_mib: Some(1),
        ..options(LONGHAUL)
    };
    let refused = vm::run(&options, &[self_test("x", 3)], &|| false);
    assert!(matches!(refused, Err(VmError::Memory { .. })));
}

#[test]
fn a_stop_ends_all_guests() {
    if !possible() {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "stops after wall time"
    )]
    let begun = std::time::Instant::now();
    let stop = || begun.elapsed() > Duration::from_millis(500);
    let result = vm::run(
        &options(LONGHAUL),
        &[self_test("", 1), self_test("", 2), self_test("", 3)],
        &stop,
    );
    assert!(matches!(result, Err(VmError::Stopped)));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "the third was not to be booted"
    );
}

#[test]
fn no_emulator_outlives_the_program_however_it_ends() {
    if !possible() {
        return;
    }
    for (signal, code) in [("KILL", None), ("INT", Some(130)), ("TERM", Some(143))] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(LONGHAUL);
        command.args(["doctor", "--boot"]).env("TMPDIR", folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("a process");
        let emulator = wait_for(|| children(child.id()).into_iter().find(|&pid| boots(pid)));
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(killed.expect("kill").success());
        let output = ended(child);
        assert_eq!(output.status.code(), code, "{signal}");
        wait_for(|| (!boots(emulator)).then_some(()));
        #[expect(clippy::disallowed_methods, reason = "it is empty")]
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 0, "{signal}");
    }
}

#[test]
fn doctor_boots_the_machine_and_tells_how_long_it_took() {
    if !possible() {
        return;
    }
    let output = doctor(&["--boot", "--json", "--verbose"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let round_trip = record["boot"]["round_trip_ns"].as_u64().expect("a round trip");
    assert!((40_000_000..41_000_000).contains(&round_trip), "{round_trip}");
    assert!(record["boot"]["wall_ms"].as_u64().is_some_and(|ms| ms > 0));
    let console = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(console.contains("reboot: Power down"), "{console}");
}

#[test]
fn doctor_says_what_is_missing_and_exits_with_8_if_nothing_works() {
    let output = doctor(&["--kernel", "/nowhere"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("cannot read the kernel /nowhere"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let works = text.contains("replay uses: host");
    assert_eq!(output.status.code(), Some(if works { 0 } else { 8 }), "{text}");
    assert_eq!(
        doctor(&["--verbose"]).status.code(),
        Some(2),
        "it belongs to --boot"
    );
    assert_eq!(
        doctor(&["--fetch-kernel", "--kernel", "x"]).status.code(),
        Some(2)
    );
    // Outside of the virtual machine the hidden verb refuses.
    let output = Command::new(LONGHAUL).arg("guest").output().expect("a process");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not the virtual machine"));
}

fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(LONGHAUL);
    command
        .arg("doctor")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("a process")
}

/// Asks until there is an answer.
#[track_caller]
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "waits for a process"
    )]
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        #[expect(clippy::disallowed_methods, reason = "waits for a process")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ended(child: Child) -> Output {
    child.wait_with_output().expect("an end")
}

/// Processes that this one, or a thread of it, has started.
pub fn children(parent: u32) -> Vec<u32> {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let threads = fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<u32> = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect();
    found.sort_unstable();
    found
}

/// Whether this process boots a guest, rather than saying its version; not if it is gone or waits to be buried.
pub fn boots(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|&byte| byte == 0);
    words
        .next()
        .is_some_and(|name| name.ends_with(b"qemu-system-x86_64"))
        && words.any(|word| word == b"-icount")
}
