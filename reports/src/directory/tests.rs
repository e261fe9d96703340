//! A run directory is written whole or not at all, and nothing of anybody else is touched.

use std::os::unix::fs::symlink;

use longhaul_core::time::Instant;
use tempfile::TempDir;

use super::*;
use crate::fixture;
use crate::json::{ReadError, read_summary};

fn write(target: &Path, record: &RunRecord) -> Result<(), DirectoryError> {
    write_reserved(RunDirectory::reserve(target)?, record)
}

fn write_reserved(directory: RunDirectory, record: &RunRecord) -> Result<(), DirectoryError> {
    let argv = ["longhaul".to_owned(), "run".to_owned()];
    let checkpoint = Checkpoint {
        events: 4,
        at: Instant::from_ns(9),
        digest: 255,
    };
    directory.write(&RunContents {
        record,
        scenario: "(name: \"two-regions\")\n",
        faults: Some("[]\n"),
        series: &[],
        events: &[],
        checkpoints: &[checkpoint],
        trace: None,
        argv: &argv,
    })
}

#[expect(clippy::disallowed_methods, reason = "the names are sorted")]
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_directory_holds_what_its_manifest_lists() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("runs/nested/one");
    write(&target, &fixture::run()).unwrap();

    let manifest: Manifest = serde_json::from_slice(&fs::read(target.join(MANIFEST)).unwrap()).unwrap();
    for file in &manifest.files {
        assert_eq!(
            fs::metadata(target.join(&file.name)).unwrap().len(),
            file.bytes,
            "{}",
            file.name
        );
    }
    let mut listed: Vec<String> = manifest.files.into_iter().map(|file| file.name).collect();
    listed.push(MANIFEST.to_owned());
    listed.sort();
    assert_eq!(names(&target), listed);
    for file in ["series.csv", "series.parquet", "metrics.prom", "telemetry.om"] {
        assert!(listed.iter().any(|name| name == file), "{file}");
    }
    assert_eq!(
        read_summary(&target.join("summary.json")).unwrap(),
        fixture::run()
    );
    let digest: DigestFile = serde_json::from_slice(&fs::read(target.join("digest.json")).unwrap()).unwrap();
    assert_eq!(digest.checkpoints[0].digest, "00000000000000ff");
    assert_eq!(
        names(target.parent().unwrap()),
        ["one"],
        "nothing temporary is left"
    );
}

#[test]
fn an_older_run_is_replaced_whole() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("one");
    write(&target, &fixture::run()).unwrap();
    let mut newer = fixture::run();
    newer.seed = 5;
    write(&target, &newer).unwrap();
    assert_eq!(read_summary(&target.join("summary.json")).unwrap().seed, 5);
    assert_eq!(names(home.path()), ["one"]);
}

#[test]
fn an_empty_directory_is_taken() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("one");
    fs::create_dir(&target).unwrap();
    write(&target, &fixture::run()).unwrap();
    assert!(target.join(MANIFEST).exists());
}

#[test]
fn nothing_that_no_run_wrote_is_ever_replaced() {
    let home = TempDir::new().unwrap();
    let foreign = home.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    // A manifest of something else: web applications have them too.
    fs::write(foreign.join(MANIFEST), "{\"name\": \"app\"}").unwrap();
    let error = RunDirectory::reserve(&foreign).unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Foreign { entry, .. } if entry == MANIFEST),
        "{error}"
    );

    let own = home.path().join("own");
    write(&own, &fixture::run()).unwrap();
    fs::write(own.join("notes.txt"), "mine").unwrap();
    let error = RunDirectory::reserve(&own).unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Foreign { entry, .. } if entry == "notes.txt"),
        "{error}"
    );

    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        RunDirectory::reserve(&file),
        Err(DirectoryError::NotADirectory { .. })
    ));
    assert_eq!(names(home.path()), ["file", "foreign", "own"]);
}

#[test]
fn a_target_taken_during_the_run_is_left_alone() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("one");
    let directory = RunDirectory::reserve(&target).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("notes.txt"), "mine").unwrap();
    let error = write_reserved(directory, &fixture::run()).unwrap_err();
    assert!(matches!(error, DirectoryError::Foreign { .. }), "{error}");
    assert_eq!(names(home.path()), ["one"]);
    assert_eq!(names(&target), ["notes.txt"]);
}

#[test]
fn a_bad_path_fails_before_the_run() {
    for path in ["/", "/dev/null/one", "/proc/longhaul/one"] {
        let error = RunDirectory::reserve(Path::new(path)).unwrap_err();
        assert!(error.to_string().contains('/'), "{error}");
    }
    assert!(matches!(
        RunDirectory::reserve(Path::new("/dev")),
        Err(DirectoryError::MountPoint { .. } | DirectoryError::Foreign { .. })
    ));
    let home = TempDir::new().unwrap();
    let dangling = home.path().join("link");
    symlink(home.path().join("nowhere"), &dangling).unwrap();
    assert!(matches!(
        RunDirectory::reserve(&dangling),
        Err(DirectoryError::NotADirectory { .. })
    ));
}

#[test]
fn a_link_to_a_run_stays_a_link() {
    let home = TempDir::new().unwrap();
    let (target, link) = (home.path().join("one"), home.path().join("latest"));
    write(&target, &fixture::run()).unwrap();
    symlink(&target, &link).unwrap();
    let mut newer = fixture::run();
    newer.seed = 5;
    write(&link, &newer).unwrap();
    assert!(link.is_symlink());
    assert_eq!(read_summary(&target.join("summary.json")).unwrap().seed, 5);
}

#[test]
fn a_full_disk_leaves_the_older_run_and_nothing_else() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("one");
    write(&target, &fixture::run()).unwrap();
    let directory = RunDirectory::reserve(&target).unwrap();
    // Every write to /dev/full fails as on a full disk.
    symlink("/dev/full", directory.partial.join("summary.json")).unwrap();
    let mut newer = fixture::run();
    newer.seed = 5;
    let error = write_reserved(directory, &newer).unwrap_err();
    assert!(
        matches!(&error, DirectoryError::DiskFull { path } if path.ends_with("one/summary.json")),
        "{error}"
    );
    assert_eq!(
        read_summary(&target.join("summary.json")).unwrap(),
        fixture::run()
    );
    assert_eq!(names(home.path()), ["one"]);
}

#[test]
fn a_reservation_that_is_dropped_leaves_nothing() {
    let home = TempDir::new().unwrap();
    let first = RunDirectory::reserve(&home.path().join("one")).unwrap();
    let second = RunDirectory::reserve(&home.path().join("one")).unwrap();
    assert_eq!(
        names(home.path()).len(),
        2,
        "two runs do not share a temporary directory"
    );
    drop((first, second));
    assert!(names(home.path()).is_empty());
}

#[test]
fn summaries_that_are_newer_damaged_or_absent_are_told_apart() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("summary.json");
    assert!(matches!(read_summary(&path), Err(ReadError::Unreadable { .. })));
    fs::write(&path, "{\"format\": 99, \"all\": \"different\"}").unwrap();
    assert!(matches!(
        read_summary(&path),
        Err(ReadError::Newer { found: 99, .. })
    ));
    let text = json::summary(&fixture::run());
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(matches!(read_summary(&path), Err(ReadError::Malformed { .. })));
    let file = File::create(&path).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    assert!(matches!(read_summary(&path), Err(ReadError::TooLarge { .. })));
}

#[test]
fn a_replay_replaces_itself_with_all_its_tapes_and_nothing_else() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("replay");
    let record = fixture::replay();
    let write = |tapes: u32| {
        let mut files = vec![("outcome.json".to_owned(), "{}".to_owned())];
        files.extend((0..tapes).map(|peer| (format!("tapes/0-{peer}.jsonl"), peer.to_string())));
        RunDirectory::reserve(&target)?.write_replay(&ReplayContents {
            record: &record,
            files: &files,
            argv: &[],
        })
    };
    write(2).unwrap();
    assert_eq!(
        names(&target),
        [
            "distributions.svg",
            MANIFEST,
            "outcome.json",
            "replay.json",
            "tapes"
        ]
    );
    assert_eq!(names(&target.join("tapes")), ["0-0.jsonl", "0-1.jsonl"]);
    write(1).unwrap();
    assert_eq!(names(&target.join("tapes")), ["0-0.jsonl"]);
    fs::write(target.join("tapes/mine.txt"), "x").unwrap();
    let refused = write(1).unwrap_err();
    assert!(
        matches!(&refused, DirectoryError::Foreign { entry, .. } if entry == "tapes/mine.txt"),
        "{refused}"
    );
    assert!(target.join("tapes/mine.txt").exists());
    fs::remove_file(target.join("tapes/mine.txt")).unwrap();
    // An empty directory that no manifest names is somebody's, too.
    fs::create_dir(target.join("empty")).unwrap();
    assert!(write(1).is_err());
}
