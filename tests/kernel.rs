//! What a real kernel made of the scenarios that `.ci/replay` replays, against reviewed medians.
//!
//! A virtual machine repeats a replay byte for byte, but only with the same program and kernel: another build shifts
//! what netem loses. So a golden is a median with the range in which another build's median must lie: the range of the
//! replications, at least 5 % or one round of a migration to either side. `LONGHAUL_ACCEPT=1` writes the goldens anew, to be reviewed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use longhaul_core::replay::ReplayRecord;

use crate::common::root;

/// Millionths of the median by which another build may always differ.
const SLACK_MILLIONTHS: i64 = 50_000;
/// One round of a migration, by which another build may differ, too.
const ROUND: i64 = 1_000_000;

/// A median and the range of the next one.
#[derive(Debug, PartialEq, Eq)]
struct Golden {
    median: i64,
    low: i64,
    high: i64,
}

impl Golden {
    fn of(values: &[i64], median: i64, least_slack: i64) -> Golden {
        let share = median / 1_000_000 * SLACK_MILLIONTHS + median % 1_000_000 * SLACK_MILLIONTHS / 1_000_000;
        let slack = share.max(least_slack);
        let lowest = values.iter().copied().min().unwrap_or(median);
        let highest = values.iter().copied().max().unwrap_or(median);
        Golden {
            median,
            low: lowest.min(median - slack),
            high: highest.max(median + slack),
        }
    }

    fn holds(&self, median: i64) -> bool {
        (self.low..=self.high).contains(&median)
    }
}

/// Goldens of a replay by `metric,entity`.
fn goldens(record: &ReplayRecord) -> BTreeMap<String, Golden> {
    let measured = record.comparisons.iter().filter_map(|comparison| {
        let side = &comparison.replayed;
        let values: Vec<i64> = side
            .values
            .iter()
            .flatten()
            .map(|value| value.cast_signed())
            .collect();
        let least_slack = match comparison.metric.as_str() {
            "MigrationDirtySyncCount" => ROUND,
            _ => 0,
        };
        let golden = Golden::of(&values, side.median.as_ref()?.value, least_slack);
        Some((format!("{},{}", comparison.metric, comparison.entity), golden))
    });
    measured.collect()
}

fn write(goldens: &BTreeMap<String, Golden>) -> String {
    let mut text = "metric,entity,median,low,high\n".to_owned();
    for (name, Golden { median, low, high }) in goldens {
        writeln!(text, "{name},{median},{low},{high}").expect("a string");
    }
    text
}

fn read(text: &str) -> BTreeMap<String, Golden> {
    let lines = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let [metric, entity, median, low, high] = cells[..] else {
            panic!("five cells: {line}")
        };
        let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let golden = Golden {
            median: number(median),
            low: number(low),
            high: number(high),
        };
        (format!("{metric},{entity}"), golden)
    });
    lines.collect()
}

/// A folder that holds the run directories of replays, each named like its scenario.
#[expect(
    clippy::disallowed_methods,
    reason = "which replays to judge is up to the caller"
)]
fn replays() -> PathBuf {
    let folder =
        std::env::var_os("LONGHAUL_REPLAYS").expect("LONGHAUL_REPLAYS: where .ci/replay put its results");
    PathBuf::from(folder)
}

#[expect(clippy::disallowed_methods, reason = "a switch for people who review goldens")]
fn accepts() -> bool {
    std::env::var_os("LONGHAUL_ACCEPT").is_some()
}

#[test]
#[ignore = "judges what .ci/replay has replayed"]
fn a_real_kernel_gives_what_was_reviewed() {
    let mut wrong = String::new();
    for scenario in ["lossy_cubic", "migration", "link_failure"] {
        let path = replays().join(scenario).join("replay.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let record: ReplayRecord = serde_json::from_str(&text).expect("a record of a replay");
        let now = goldens(&record);
        assert!(!now.is_empty(), "{scenario} measured nothing");
        let golden = root()
            .join("tests/goldens/replay")
            .join(format!("{scenario}.csv"));
        if accepts() {
            fs::write(&golden, write(&now)).expect("a golden that can be written");
            continue;
        }
        compare(scenario, &read_file(&golden), &now, &mut wrong);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn read_file(path: &Path) -> BTreeMap<String, Golden> {
    read(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn compare(
    scenario: &str,
    before: &BTreeMap<String, Golden>,
    now: &BTreeMap<String, Golden>,
    wrong: &mut String,
) {
    let names = |goldens: &BTreeMap<String, Golden>| goldens.keys().cloned().collect::<Vec<_>>();
    if names(before) != names(now) {
        writeln!(
            wrong,
            "{scenario}: measured {:?}, reviewed {:?}",
            names(now),
            names(before)
        )
        .expect("a string");
    }
    for (name, golden) in before {
        if let Some(Golden { median, .. }) = now.get(name)
            && !golden.holds(*median)
        {
            writeln!(wrong, "{scenario}: {name} is {median}, reviewed {golden:?}").expect("a string");
        }
    }
}

#[test]
fn a_golden_has_room_for_another_build_and_survives_its_file() {
    let golden = Golden::of(&[95, 100, 130], 100, 0);
    assert_eq!(
        golden,
        Golden {
            median: 100,
            low: 95,
            high: 130
        }
    );
    assert!(golden.holds(95) && golden.holds(130) && !golden.holds(94) && !golden.holds(131));
    assert_eq!(Golden::of(&[1_000; 3], 1_000, 0).low, 950);
    assert_eq!(Golden::of(&[1_000; 3], 1_000, 70).high, 1_070);
    let all = BTreeMap::from([("Metric,a->b".to_owned(), golden)]);
    assert_eq!(read(&write(&all)), all);
    let mut wrong = String::new();
    let moved = BTreeMap::from([("Metric,a->b".to_owned(), Golden::of(&[131], 131, 0))]);
    compare("scenario", &all, &moved, &mut wrong);
    assert!(wrong.contains("Metric,a->b is 131"), "{wrong}");
}
