//! Parts of a sweep put together.

use std::fs;
use std::path::PathBuf;

use longhaul_sweeps::execute::{Failure, FailureKind, Index, Options};
use longhaul_sweeps::merge::{MergeError, merge};

use crate::common::{Place, SCENARIO, files, same, shard, threads, usual};

fn merged(place: &Place, parts: &[&str], target: &str) -> Result<usize, MergeError> {
    let parts: Vec<PathBuf> = parts.iter().map(|part| place.path(part)).collect();
    merge(&parts, &place.path(target), false, |_| {}).map(|merged| merged.failures.len())
}

#[test]
fn parts_give_the_bytes_of_the_whole_in_any_order() {
    let place = Place::new();
    place.run(&usual(), "whole", threads(2));
    for index in 1..=4 {
        let part = place.run(&usual(), &format!("part{index}"), shard(index, 4));
        // 6 points: two parts of two, two of one.
        assert_eq!(part.effort.simulated, if index <= 2 { 8 } else { 4 });
    }
    assert_eq!(
        merged(&place, &["part3", "part1", "part4", "part2"], "merged").unwrap(),
        0
    );
    same(&place.path("whole"), &place.path("merged"));
    // A merged sweep goes on like any other.
    let again = place.run(&usual(), "merged", threads(2));
    assert_eq!((again.effort.simulated, again.effort.reused), (0, 24));
}

#[test]
fn failures_of_parts_are_merged_too() {
    let place = Place::new();
    let canary = |options: Options| Options {
        inject_panic: Some(3),
        ..options
    };
    place.run(&usual(), "whole", canary(threads(2)));
    for index in 1..=2 {
        place.run(&usual(), &format!("part{index}"), canary(shard(index, 2)));
    }
    assert_eq!(merged(&place, &["part1", "part2"], "merged").unwrap(), 4);
    same(&place.path("whole"), &place.path("merged"));
}

#[test]
fn what_is_no_set_of_parts_is_refused() {
    let place = Place::new();
    place.run(&usual(), "whole", threads(2));
    place.run(&usual(), "part1", shard(1, 2));
    place.run(&usual(), "part2", shard(2, 2));
    place.run(
        &usual().replace("replications: 4", "replications: 3"),
        "other2",
        shard(2, 2),
    );
    place.run(&usual(), "third", shard(3, 3));
    let refusal = |parts: &[&str]| {
        let target = format!("merged{}", parts.join("-"));
        merged(&place, parts, &target).unwrap_err().to_string()
    };
    assert_eq!(refusal(&["part2"]), "parts are missing: 1/2");
    assert!(refusal(&["part1", "part1"]).contains("are the same part, 1/2"));
    assert!(refusal(&["part1", "whole"]).contains("is no part of a sweep"));
    assert!(refusal(&["part1", "other2"]).contains("number of replications differs"));
    assert!(refusal(&["part1", "third"]).contains("the number of parts differs"));
    assert!(refusal(&["part1", "nowhere"]).contains("is not the directory of a sweep"));

    let manifest = place.path("part2/sweep.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace(r#""finished": true"#, r#""finished": false"#),
    )
    .unwrap();
    assert!(refusal(&["part1", "part2"]).contains("part2 is not finished"));
    let model = format!(r#""model_version": {}"#, longhaul_core::MODEL_VERSION);
    fs::write(&manifest, text.replace(&model, r#""model_version": 1"#)).unwrap();
    assert!(refusal(&["part2", "part1"]).contains("is of model version 1"));
    fs::write(&manifest, &text).unwrap();
    let entry = files(&place.path("part2/cache")).pop().unwrap();
    fs::write(&entry, "damage").unwrap();
    assert!(refusal(&["part1", "part2",]).contains("it is damaged"));
}

#[test]
fn parts_whose_runs_have_read_different_files_are_refused() {
    let place = Place::new();
    let scenario = SCENARIO.replace(
        r#"rate: "50 Mbit/s""#,
        r#"rate: Deliveries(file: "lte.down"), queue: Packets(100)"#,
    );
    fs::write(place.path("small.ron"), scenario).unwrap();
    fs::write(place.path("lte.down"), "1\n2\n3\n4\n").unwrap();
    place.run(&usual(), "part1", shard(1, 2));
    fs::write(place.path("lte.down"), "1\n2\n3\n3\n").unwrap();
    place.run(&usual(), "part2", shard(2, 2));
    let error = merged(&place, &["part1", "part2"], "merged").unwrap_err();
    assert!(matches!(error, MergeError::Inputs { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("different files `lte.down`"), "{message}");
    assert!(
        message.contains("part1 and ") && message.contains("part2 do"),
        "{message}"
    );
    assert!(!place.path("merged").exists(), "nothing was begun");
    place.run(&usual(), "part1", shard(1, 2));
    assert_eq!(merged(&place, &["part1", "part2"], "merged").unwrap(), 0);
}

#[test]
fn a_part_has_all_of_its_points_and_its_own_sweep() {
    let place = Place::new();
    place.run(&usual(), "part1", shard(1, 2));
    place.run(&usual(), "part2", shard(2, 2));
    let path = place.path("part2/index.json");
    let text = fs::read_to_string(&path).unwrap();
    let index: Index = serde_json::from_str(&text).unwrap();
    let refused = |change: &dyn Fn(&mut Index)| {
        let mut changed = index.clone();
        change(&mut changed);
        fs::write(&path, serde_json::to_string(&changed).unwrap()).unwrap();
        let message = merged(&place, &["part1", "part2"], "merged")
            .unwrap_err()
            .to_string();
        assert!(message.contains("part2/index.json: "), "{message}");
        message
    };
    let missing = refused(&|index| drop(index.points.remove(1)));
    assert!(
        missing.contains("point 3 is expected where point 5 is"),
        "{missing}"
    );
    let missing = refused(&|index| drop(index.points.pop()));
    assert!(missing.contains("point 5 is missing"), "{missing}");
    let twice = refused(&|index| index.points.insert(1, index.points[1].clone()));
    assert!(twice.contains("point 5 is expected where point 3 is"), "{twice}");
    let beyond = refused(&|index| index.points[2].point = 77);
    assert!(
        beyond.contains("point 5 is expected where point 77 is"),
        "{beyond}"
    );
    let fewer = refused(&|index| index.points[0].replications = 3);
    assert!(
        fewer.contains("point 1 has 3 replications, and the sweep 4"),
        "{fewer}"
    );
    let failure = Failure {
        point: 2,
        replication: 0,
        kind: FailureKind::Panicked,
        message: String::new(),
    };
    let strange = refused(&|index| index.failures.push(failure.clone()));
    assert!(
        strange.contains("replication 0 of point 2 is of no run"),
        "{strange}"
    );
    fs::write(&path, text).unwrap();

    // A file of another sweep, or another scenario, beside results that are not of it.
    for name in ["sweep.ron", "scenario.ron"] {
        let path = place.path("part1").join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("10 ms", "11 ms").replace("20 ms", "21 ms")).unwrap();
        let message = merged(&place, &["part1", "part2"], "merged")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("part1/sweep.json: the hash is not that of"),
            "{message}"
        );
        fs::write(&path, text).unwrap();
    }
    assert!(!place.path("merged").exists(), "nothing was begun");
    merged(&place, &["part1", "part2"], "merged").unwrap();
}

#[test]
fn a_merge_that_stopped_is_made_again_in_its_place() {
    let place = Place::new();
    place.run(&usual(), "whole", threads(2));
    place.run(&usual(), "part1", shard(1, 2));
    place.run(&usual(), "part2", shard(2, 2));
    merged(&place, &["part1", "part2"], "merged").unwrap();
    let manifest = place.path("merged/sweep.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace(r#""finished": true"#, r#""finished": false"#),
    )
    .unwrap();
    fs::remove_file(place.path("merged/results.csv")).unwrap();
    fs::remove_dir_all(place.path("merged/cache")).unwrap();
    merged(&place, &["part2", "part1"], "merged").unwrap();
    same(&place.path("whole"), &place.path("merged"));
    // A finished sweep is left alone, and so is another one.
    let finished = merged(&place, &["part1", "part2"], "merged")
        .unwrap_err()
        .to_string();
    assert!(
        finished.contains("holds a sweep; name another directory"),
        "{finished}"
    );
    let part = merged(&place, &["part1", "part2"], "part1")
        .unwrap_err()
        .to_string();
    assert!(part.contains("holds a sweep; name another directory"), "{part}");
}
