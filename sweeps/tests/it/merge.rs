//! Parts of a sweep put together.

use std::fs;
use std::path::PathBuf;

use longhaul_sweeps::directory::SweepDirectory;
use longhaul_sweeps::execute::Options;
use longhaul_sweeps::merge::{MergeError, merge};

use crate::common::{Place, files, same, shard, threads, usual};

fn merged(place: &Place, parts: &[&str], target: &str) -> Result<usize, MergeError> {
    let parts: Vec<PathBuf> = parts.iter().map(|part| place.path(part)).collect();
    let directory = SweepDirectory::take(&place.path(target), false)?;
    merge(&parts, &directory, |_| {}).map(|merged| merged.failures.len())
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
