//! What a schedule refuses, and what it makes of its entries.

use longhaul_chaos::{Action, Direction, Entry, Error, Impact, Kind, Recovery, Schedule};
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use proptest::prelude::*;

use crate::histories::{ms, schedules};

fn entry(at: u64, action: Action) -> Entry<&'static str> {
    Entry {
        at: ms(at),
        target: "a->b",
        fault: "cut".to_owned(),
        action,
    }
}

fn cut(duration: Option<u64>, recovery: Recovery) -> Action {
    Action::Inject {
        kind: Kind::Partition(Direction::Both),
        duration: duration.map(ms),
        recovery,
    }
}

fn refused(entries: Vec<Entry<&'static str>>) -> Error {
    Schedule::new(entries).expect_err("refused")
}

#[test]
fn a_recovery_needs_something_to_recover() {
    let manual = cut(None, Recovery::Manual);
    let nothing = |at| Error::NothingToRecover {
        fault: "cut".to_owned(),
        at: ms(at),
    };
    assert_eq!(refused(vec![entry(5, Action::Recover)]), nothing(5));
    // Before it, and at its own moment: recoveries come first.
    assert_eq!(
        refused(vec![entry(5, Action::Recover), entry(6, manual)]),
        nothing(5)
    );
    assert_eq!(
        refused(vec![entry(5, Action::Recover), entry(5, manual)]),
        nothing(5)
    );
    let twice = vec![
        entry(5, manual),
        entry(6, Action::Recover),
        entry(7, Action::Recover),
    ];
    assert_eq!(refused(twice), nothing(7));
    let automatic = cut(Some(9), Recovery::Automatic);
    let ends_itself = vec![entry(5, automatic), entry(6, Action::Recover)];
    assert_eq!(refused(ends_itself), Error::NotManual("cut".to_owned()));
    assert!(Schedule::new(vec![entry(6, Action::Recover), entry(5, manual)]).is_ok());
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(
        refused(vec![entry(1, cut(Some(3), Recovery::Manual))]),
        Error::ManualEnds("cut".to_owned())
    );
    assert_eq!(
        refused(vec![entry(1, cut(Some(0), Recovery::Automatic))]),
        Error::NoDuration("cut".to_owned())
    );
    let nothing = Kind::Loss {
        probability: Probability::ZERO,
    };
    let inject = Action::Inject {
        kind: nothing,
        duration: None,
        recovery: Recovery::Automatic,
    };
    assert_eq!(refused(vec![entry(1, inject)]), Error::NoEffect("Loss"));
}

#[test]
fn a_recovery_by_hand_ends_what_it_names_and_nothing_else() {
    let mut other = entry(2, cut(None, Recovery::Manual));
    other.fault = "other".to_owned();
    let entries = vec![
        entry(1, cut(None, Recovery::Manual)),
        other,
        entry(4, Action::Recover),
        entry(6, cut(None, Recovery::Manual)),
    ];
    let ends: Vec<_> = Schedule::new(entries)
        .expect("valid")
        .injections()
        .into_iter()
        .map(|injection| (injection.from, injection.until))
        .collect();
    assert_eq!(ends, [(ms(1), Some(ms(4))), (ms(2), None), (ms(6), None)]);
}

#[test]
fn a_schedule_can_be_written_and_read() {
    let entries = vec![Entry {
        at: Span::from_s(3),
        target: "eu".to_owned(),
        fault: "slow".to_owned(),
        action: Action::Inject {
            kind: Impact::High.magnitudes().latency(),
            duration: Some(Span::from_s(1)),
            recovery: Recovery::Immediate,
        },
    }];
    let schedule = Schedule::new(entries).expect("valid");
    let text = serde_json::to_string(&schedule).expect("serialises");
    assert_eq!(
        serde_json::from_str::<Schedule<String>>(&text).expect("parses"),
        schedule
    );
}

proptest! {
    #[test]
    fn the_order_of_entries_does_not_matter(schedule in schedules(12), rotation in 0..12_usize) {
        let mut entries = schedule.entries().to_vec();
        let middle = rotation.min(entries.len());
        entries.rotate_left(middle);
        entries.reverse();
        prop_assert_eq!(Schedule::new(entries).expect("valid"), schedule);
    }
}
