//! Runs in processes of their own: which of their ends means what.

use std::fs;
use std::path::PathBuf;

use longhaul_sweeps::directory::{Claim, Manifest, SweepDirectory};
use longhaul_sweeps::execute::{ExecuteError, FailureKind, Options, Progress, Watch, execute};
use longhaul_sweeps::isolate::Isolation;

use crate::common::{METRICS, Place, same, text, threads, usual};

/// A program that stands for that of a run: a shell script, which is told `--key KEY --memory BYTES`.
fn children(script: &str, memory: u64) -> Options {
    Options {
        isolation: Some(Isolation {
            program: vec!["sh".into(), "-c".into(), script.into(), "run".into()],
            memory,
        }),
        ..threads(2)
    }
}

#[test]
fn a_run_that_takes_too_much_memory_is_tried_again_with_all_of_it_and_fails_alone() {
    let place = Place::new();
    // Two processes share a gigabyte; each dies as the standard library does when it gets nothing, and says what it had.
    let script = "cat > /dev/null; echo $4 >> ran; echo memory allocation of 8589934592 bytes failed >&2; kill -ABRT $$";
    let log = place.path("ran");
    let script = script.replace(">> ran", &format!(">> '{}'", log.display()));
    let ran = place.run(&usual(), "out", children(&script, 1_000_000_000));
    assert_eq!(ran.index.failures.len(), 24);
    for failure in &ran.index.failures {
        assert_eq!(failure.kind, FailureKind::OutOfMemory);
        assert!(
            failure.message.contains("memory that it needs within"),
            "{}",
            failure.message
        );
    }
    let told = fs::read_to_string(&log).unwrap();
    let count = |bytes: &str| told.lines().filter(|line| *line == bytes).count();
    assert_eq!((count("500000000"), count("1000000000")), (24, 24));
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert_eq!(table.matches("out_of_memory").count(), 24);
    // Nothing of it is kept, and nothing is left lying about.
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!((again.effort.simulated, again.effort.reused), (24, 0));
    place.run(&usual(), "clean", threads(2));
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn what_a_process_of_a_run_says_at_its_end_is_told() {
    let place = Place::new();
    let one = |script: &str| {
        let options = Options {
            timeout: Some(std::time::Duration::from_millis(300)),
            ..children(script, 1_000_000)
        };
        let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms"]),"#;
        let ran = place.run(&text(axes, METRICS, "replications: 1,"), "out", options);
        let failure = ran.index.failures[0].clone();
        (failure.kind, failure.message)
    };
    assert_eq!(one("kill -KILL $$").0, FailureKind::OutOfMemory);
    assert_eq!(one("sleep 60").0, FailureKind::TimedOut);
    assert_eq!(
        one("echo no such file >&2; exit 2"),
        (FailureKind::Unbuildable, "no such file".to_owned())
    );
    let (kind, message) = one("echo counters differ >&2; exit 1");
    assert_eq!(
        (kind, message.as_str()),
        (FailureKind::Panicked, "counters differ")
    );
    for said in [
        "panicked at entropy.rs:43:9: zstd: Allocation error : not enough memory",
        "t.img: Cannot allocate memory (os error 12)",
        "panicked at lib.rs:387:14: zstd returned null pointer when creating new context",
    ] {
        let (kind, message) = one(&format!("echo '{said}' >&2; exit 1"));
        assert_eq!(kind, FailureKind::OutOfMemory, "{message}");
    }
    assert!(one("exit 0").1.contains("something else than a run"));
    assert!(one("kill -SEGV $$").1.contains("signal 11"));
}

#[test]
fn a_run_that_dies_within_its_share_without_saying_why_is_tried_again_with_everything() {
    let place = Place::new();
    let log = place.path("ran");
    // What a library makes of a missing megabyte is up to it.
    let script = format!(
        "cat > /dev/null; echo $4 >> '{}'; [ $4 = 500 ] && kill -SEGV $$; echo broken >&2; exit 1",
        log.display()
    );
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms"]),"#;
    let ran = place.run(
        &text(axes, METRICS, "replications: 1,"),
        "out",
        children(&script, 1_000),
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "500\n1000\n");
    let failure = &ran.index.failures[0];
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Panicked, "broken")
    );
}

#[test]
fn a_process_may_say_as_much_as_it_likes_before_it_listens() {
    let place = Place::new();
    let script = "head -c 300000 /dev/zero | tr '\\0' x >&2; head -c 300000 /dev/zero; cat > /dev/null; echo the end >&2; exit 1";
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms"]),"#;
    let sweep = text(axes, METRICS, "replications: 1,");
    let ran = place.run(&sweep, "out", children(script, 1_000));
    let message = &ran.index.failures[0].message;
    assert!(
        message.ends_with("xxx\nthe end") || message.ends_with("xxxthe end"),
        "{message}"
    );
    assert!(message.len() <= 2_000, "{}", message.len());
}

#[test]
fn a_process_that_ends_with_the_sweep_says_nothing_about_its_run() {
    let place = Place::new();
    let mark = place.path("ends");
    let script = format!(
        "cat > /dev/null; touch '{}'; kill -INT $$; sleep 60",
        mark.display()
    );
    let prepared = place.prepare(&usual());
    let manifest = Manifest::of(&prepared, None);
    let directory = SweepDirectory::take(&place.path("out"), &manifest, Claim::New).unwrap();
    struct Ending(PathBuf);
    impl Watch for Ending {
        fn progress(&self, _progress: &Progress) {}
        fn note(&self, _message: &str) {}
        fn wants_end(&self) -> bool {
            self.0.exists()
        }
    }
    let ended = execute(&prepared, &directory, children(&script, 1_000), &Ending(mark));
    assert!(matches!(ended, Err(ExecuteError::Ended)), "{ended:?}");
}

#[test]
fn a_sweep_without_processes_ends_and_blames_no_run() {
    let place = Place::new();
    let options = Options {
        isolation: Some(Isolation {
            program: vec![place.path("nowhere")],
            memory: 1_000,
        }),
        ..threads(2)
    };
    let error = place.try_run(&usual(), "out", options).err().unwrap();
    assert!(error.to_string().contains("cannot run a process"), "{error}");
}
