//! What a terminal shows, at 80 columns and narrower, with and without colour.

use longhaul_core::record::{PostcopyRecord, SeedsRecord, XbzrleCacheRecord};
use proptest::prelude::*;

use super::*;
use crate::fixture;
use crate::human::MISSING;

fn plain(record: &RunRecord) -> String {
    report(record, Some(Path::new("runs/two-regions")), Style::PIPED)
}

fn longest_line(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Cells of the first row that contains `name`.
fn row<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.contains(name)).expect("a row");
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn a_piped_report_fits_80_columns_and_has_no_escapes() {
    let text = plain(&fixture::run());
    assert!(longest_line(&text) <= 80, "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
}

#[test]
fn a_wide_terminal_gets_each_table_in_one_block() {
    let style = Style {
        width: 140,
        colour: false,
    };
    let text = report(&fixture::run(), None, style);
    assert_eq!(text.matches("m1").count(), 1, "{text}");
    assert_eq!(
        row(&text, "m1"),
        [
            "completed",
            "m1",
            "frankfurt → new-york",
            "4.12 s",
            "212 ms",
            "5",
            "1.07 GB → 270 MB",
            "3.98×",
            "655",
            "1,234"
        ]
    );
}

#[test]
fn what_is_missing_is_a_dash_beside_its_state() {
    let style = Style {
        width: 140,
        colour: false,
    };
    let mut record = fixture::run();
    record.migrations[3].ram.transferred = 0;
    let text = report(&record, None, style);
    assert_eq!(
        row(&text, "m2")[..5],
        ["unfinished", "m2", "frankfurt → new-york", MISSING, MISSING]
    );
    assert_eq!(row(&text, "m4")[3..], [MISSING; 7]);
    assert!(text.contains("failed m3: every stream died"), "{text}");
}

#[test]
fn an_unused_link_has_no_loss_rather_than_a_loss_of_zero() {
    let mut record = fixture::run();
    let used = record.links[0].clone();
    let link = &mut record.links[0];
    (link.packets, link.busy_ns, link.active_ns) = (None, 0, 0);
    let style = Style {
        width: 140,
        colour: false,
    };
    // Where no link has any, there is no column.
    assert!(!report(&record, None, style).contains("max wait"));
    record.links.push(used);
    assert_eq!(row(&report(&record, None, style), "1 Gbit/s")[2..], [MISSING; 4]);
}

#[test]
fn the_payload_statement_says_what_was_real() {
    let mut record = fixture::run();
    assert_eq!(
        payload_statement(&record.payload),
        "1 % of the pages real: 10.7 MB generated, encoded, carried and decoded; 2,621 pages compared at the end, all equal; \
         the other 1.06 GB synthetic, at the ratios so measured"
    );
    record.payload.declared_share_parts = Probability::PARTS;
    record.payload.synthetic_bytes = 0;
    record.payload.verified_pages = 0;
    assert_eq!(
        payload_statement(&record.payload),
        "all pages real: 10.7 MB generated, encoded, carried and decoded; no page compared, since nothing \
         was completed"
    );
    assert_eq!(
        payload_statement(&PayloadRecord::default()),
        "no memory page was carried"
    );
}

#[test]
fn the_verdict_counts_by_level() {
    let mut record = fixture::run();
    record.assertions.push(fixture::assertion(Verdict::Fail));
    record.assertions[2].critical = false;
    record.verdict = Verdict::Fail;

    let text = verdict(
        &record,
        Style {
            width: 200,
            colour: false,
        },
    );
    assert_eq!(
        text.lines().next().unwrap(),
        "FAIL: 3 of 5 migrations and transfers did not \
         complete; 1 of 3 assertions hold; 1 advisory failed; 1 critical inconclusive"
    );
    assert!(text.contains("INCONCLUSIVE P95 MigrationTotalTime: 2 samples"));
}

#[test]
fn colour_adds_escapes_and_changes_nothing_else() {
    let record = fixture::run();
    let painted = report(
        &record,
        None,
        Style {
            width: 80,
            colour: true,
        },
    );
    let mut stripped = String::new();
    for (index, piece) in painted.split("\u{1b}[").enumerate() {
        stripped.push_str(if index == 0 {
            piece
        } else {
            piece.split_once('m').unwrap().1
        });
    }
    assert!(painted.contains("\u{1b}[32mcompleted\u{1b}[0m"));
    assert_eq!(stripped, report(&record, None, Style::PIPED));
}

#[test]
fn a_migration_with_a_story_tells_it_under_its_row() {
    let mut record = fixture::run();
    let eventless = plain(&record);
    for word in ["guest m1", "copy m1", "cache m1", "time m1", "state m2"] {
        assert!(!eventless.contains(word), "{word}");
    }
    let told = &mut record.migrations[0];
    told.began_ns = Some(500_000_000);
    told.job_time_ns = Some(5_000_000_000);
    told.throttle.lost_ns = 2_000_000_000;
    told.throttle.cpu_throttle_percentage = 40;
    told.postcopy = Some(PostcopyRecord {
        faults: 1_234,
        blocktime_ns: 300_000_000,
        longest_fault_ns: 90_000_000,
        ..PostcopyRecord::default()
    });
    told.bounds.network_ns = 3_000_000_000;
    told.bounds.processor_ns = 1_000_000_000;
    told.xbzrle_cache = Some(XbzrleCacheRecord {
        pages: 70,
        overflow: 3,
        cache_miss: 10,
        ..XbzrleCacheRecord::default()
    });
    let paused = &mut record.migrations[1];
    paused.status = "postcopy-paused".to_owned();
    paused.interruptions = 2;
    paused.stalls = 1;
    let style = Style {
        width: 200,
        colour: false,
    };
    let text = report(&record, None, style);
    for line in [
        "time m1: 5 s from the start to the end of the job, 500 ms before the migration itself",
        "guest m1: slowed down by 2 s per processor, 40 % at the end",
        "guest m1: waited 1,234 times for pages, 90 ms at the longest; all processors at once for 300 ms",
        "copy m1: held up by the network 75.00 %, processors 25.00 %",
        "cache m1: 70 pages found, 3 of them no shorter encoded, 10 not found",
        "state m2: postcopy-paused, interrupted twice, stalled once",
    ] {
        assert!(
            text.lines().any(|found| found.trim() == line),
            "{line}\nin\n{text}"
        );
    }
}

#[test]
fn the_reproduce_command_stays_in_one_piece() {
    let mut record = fixture::run();
    record.reproduce = format!("longhaul run {}", "--set 'a=b c' ".repeat(20));
    assert!(plain(&record).contains(&record.reproduce));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_can_drive_the_terminal_or_break_the_layout(
        name in "[\\x00-\\x7f]{0,120}", reason in "[ -~\\x1b\\n]{0,200}", width in 0..160_u16,
    ) {
        let mut record = fixture::run();
        record.migrations[0].name = name.clone();
        record.migrations[2].progress = Progress::Failed(reason);
        record.links[0].name = name.clone();
        record.assertions[1].scope = name;
        let text = report(&record, None, Style { width, colour: false });
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        let room = usize::from(width.max(Style::NARROWEST));
        for line in text.lines().filter(|line| !line.starts_with("reproduce:")) {
            prop_assert!(line.chars().count() <= room, "{width}: {line:?}");
        }
    }
}

#[test]
fn assertion_values_are_rounded_for_the_eye_by_their_unit() {
    for (text, exact, shown) in [
        ("30026404089 ns", 30_026_404_089, "30.0 s"),
        ("63429751 bit/s", 63_429_751, "63.4 Mbit/s"),
        ("269113 kB", 269_113_000, "269 MB"),
        ("6.2957540657 %", 62_957_540_657, "6.30 %"),
        ("3.966947", 3_966_947, "3.966947"),
    ] {
        let mut record = fixture::run();
        record.assertions[0].value = Some(text.to_owned());
        record.assertions[0].value_exact = Some(exact);
        assert_eq!(
            row(&plain(&record), "PASS"),
            ["PASS", "P95 MigrationTotalTime", shown, "≤ 300 s"]
        );
    }
}

#[test]
fn an_assertion_of_one_link_says_which_and_what_is_advisory_says_so() {
    let mut record = fixture::run();
    record.assertions[0].scope = "fra->nyc".to_owned();
    record.assertions[0].critical = false;
    let cells = [
        "PASS",
        "P95 MigrationTotalTime of fra->nyc",
        "4.12 s",
        "≤ 300 s (advisory)",
    ];
    assert_eq!(row(&plain(&record), "PASS"), cells);
}

#[test]
fn a_replication_tells_of_its_outages_and_its_fail_over() {
    let mut record = fixture::run();
    let mut lost = fixture::replication("lost");
    lost.progress = Progress::Unfinished;
    lost.seed_ns = None;
    lost.vms[1].rpo = None;
    lost.failover = None;
    lost.outages[0].reconnected_ns = None;
    record.replications = vec![fixture::replication("dr"), lost];
    let wide = Style {
        width: 220,
        colour: false,
    };
    let text = report(&record, None, wide);
    assert_eq!(
        row(&text, "dr "),
        [
            "completed",
            "dr",
            "frankfurt → new-york",
            "2",
            "8 s",
            "48",
            "6.5 s",
            "40 s",
            "61 s",
            "96.00 %",
            "2.4 GB → 600 MB",
            "4.00×"
        ]
    );
    // Of two VMs one was never protected, so nothing is said of both.
    assert_eq!(
        row(&text, "lost ")[4..10],
        [MISSING, "48", MISSING, MISSING, MISSING, MISSING]
    );
    for note in [
        "outage dr: noticed at 100 s, connected again after 50 s, caught up 12.5 s later",
        "fail-over dr: VMs stopped at 260 s, counted as lost after 5 s, decided at once, all running after 30.5 s; \
         without service for 35.5 s, work of the last 9 s lost",
        "epochs dr: 3 late, 2 interrupted",
        "VMs dr: stood still for 120 ms for snapshots",
        "outage lost: noticed at 100 s, never connected again",
        "unfinished lost: not all VMs are protected, or the source is lost and nobody took over",
    ] {
        assert!(text.contains(note), "{note}\n{text}");
    }
}

#[test]
fn a_federation_tells_of_its_partings_its_log_and_its_bytes() {
    let mut record = fixture::run();
    let mut lost = fixture::federation("lost");
    lost.progress = Progress::Unfinished;
    lost.convergence_ns = None;
    lost.log = None;
    lost.state.value_bytes = 1_000_000;
    lost.partings[0].reconnected_ns = None;
    record.federations = vec![fixture::federation("core"), lost];
    let wide = Style {
        width: 260,
        colour: false,
    };
    let text = report(&record, None, wide);
    assert_eq!(
        row(&text, "core "),
        [
            "completed",
            "core",
            "mesh",
            "168",
            "1.5 s",
            "6 s",
            "62.88 %",
            "266",
            "91 ms",
            "364 ms",
            "4",
            "5 s",
            "1.5 s"
        ]
    );
    // More travels than there is to say.
    assert_eq!(
        row(&text, "lost ")[6..],
        ["−147.57 %", MISSING, MISSING, MISSING, MISSING, MISSING, MISSING]
    );
    assert_eq!(
        row(&text, "core/new-york"),
        [
            "core/new-york",
            "30",
            "84",
            "80",
            "15",
            "133",
            "1",
            "1.13 MB",
            "691 kB",
            "0 ns"
        ]
    );
    for note in [
        "parting core: frankfurt and new-york, noticed at 20 s, connected again after 15.7 s with 45 changes waiting, in \
         step 660 ms later; 1 keys differed all the same",
        "log core: 2 voters, 3 terms with a leader, the first after 1.64 s; at most 3.5 s at a time without; 36 commands \
         and reads failed; all answers fit into one order",
        "bytes core: state 2.44 MB, acknowledgements 38.0 kB, log 406 kB; of 6.67 MB of keys and values sent 62.88 % saved, \
         90.00 % by the legacy estimate",
        "state core: 4 conflicts, the last writer won",
        "parting lost: frankfurt and new-york, noticed at 20 s, never connected again",
        "unfinished lost: clusters were not in step at the end",
    ] {
        assert!(text.contains(note), "{note}\n{text}");
    }
    assert!(
        text.contains("4 of 7 migrations, transfers and federations did not complete"),
        "{text}"
    );
}

#[test]
fn seeds_of_single_sources_stand_beside_that_of_the_run() {
    let mut record = fixture::run();
    record.seed = 1;
    assert!(plain(&record).contains("seed 1, "));
    record.seeds = Some(SeedsRecord {
        workload: 1,
        network: 7,
        faults: 1,
    });
    // The title is longer than a line.
    let text = plain(&record).split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(
        text.contains("seed 1 (workload 1, network 7, faults 1)"),
        "{text}"
    );
}
