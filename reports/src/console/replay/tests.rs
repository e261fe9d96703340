//! What a terminal shows of a replay.

use super::*;
use crate::fixture;

#[test]
fn the_whole_page_at_80_columns() {
    let text = replay(
        &fixture::replay(),
        Some(Path::new("runs/bulk_loss-replay")),
        Style::PIPED,
    );
    assert!(
        text.lines()
            .all(|line| line.chars().count() <= 80 || line.starts_with("reproduce:")),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
    assert_eq!(text, include_str!("page.txt"), "{text}");
}

#[test]
fn the_short_report_says_why_it_is_no_pass() {
    let mut record = fixture::replay();
    let text = replay_verdict(&record, Style::PIPED);
    assert!(
        text.starts_with("INVALID: the replay is not trustworthy: timer slip\n"),
        "{text}"
    );
    assert!(text.contains("--scale 2") && !text.contains("FAIL"), "{text}");
    record.verdict = ReplayVerdict::Fail;
    let text = replay_verdict(&record, Style::PIPED);
    assert!(
        text.contains("FAIL delivered, north→south: the difference is larger"),
        "{text}"
    );
    assert!(
        text.contains("NOT COMPARABLE queue delay") && !text.contains("INVALID"),
        "{text}"
    );
}

#[test]
fn every_width_and_colour_shows_the_same_words() {
    let record = fixture::replay();
    for width in [40, 60, 80, 120] {
        let text = replay(&record, None, Style { width, colour: false });
        let wide = |line: &str| line.chars().count() > usize::from(width) && !line.starts_with("reproduce:");
        assert!(!text.lines().any(wide), "{width}\n{text}");
    }
    let painted = replay(
        &record,
        None,
        Style {
            width: 80,
            colour: true,
        },
    );
    assert!(
        painted.contains("\u{1b}[31mINVALID\u{1b}[0m: the replay"),
        "{painted}"
    );
    assert!(painted.contains("\u{1b}[32mPASS\u{1b}[0m"), "{painted}");
}
