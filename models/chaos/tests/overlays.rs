//! Several faults at once.

use longhaul_chaos::{
    Action, Direction, Effective, Entry, Gradual, Kind, Loses, Overlay, Recovery, Schedule,
};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use proptest::prelude::*;

use crate::histories::{NORMAL, ms, percent, schedules};

fn at(at: u64, duration: u64, kind: Kind) -> Entry<u8> {
    Entry {
        at: ms(at),
        target: 0,
        fault: format!("{kind:?}"),
        action: Action::Inject {
            kind,
            duration: Some(ms(duration)),
            recovery: Recovery::Automatic,
        },
    }
}

fn overlay(entries: Vec<Entry<u8>>) -> Overlay<u8> {
    Overlay::new(&Schedule::new(entries).expect("valid"))
}

fn felt(overlay: &Overlay<u8>, at: u64) -> Effective {
    overlay.effective(&0, ms(at), NORMAL)
}

#[test]
fn of_levels_the_strongest_wins() {
    let loss = |percentage| Kind::Loss {
        probability: percent(percentage),
    };
    let nested = overlay(vec![
        at(0, 100, loss(5)),
        at(20, 30, loss(50)),
        at(60, 80, loss(1)),
    ]);
    let losses: Vec<u64> = [0, 20, 49, 50, 99, 100, 139, 140]
        .map(|at| felt(&nested, at).loss.as_parts() / percent(1).as_parts())
        .to_vec();
    assert_eq!(losses, [5, 50, 50, 5, 5, 1, 1, 0]);
    let times: Vec<u64> = nested
        .changes(&0)
        .iter()
        .map(|at| at.as_ns() / 1_000_000)
        .collect();
    assert_eq!(times, [0, 20, 50, 60, 100, 140]);
    assert_eq!(nested.changes(&1), []);
}

#[test]
fn cuts_and_outages_are_counted() {
    let both = overlay(vec![
        at(0, 100, Kind::Partition(Direction::Outbound)),
        at(50, 100, Kind::Partition(Direction::Both)),
        at(140, 100, Kind::RegionOutage),
    ]);
    let state = |at| {
        (
            felt(&both, at).is_silent(),
            felt(&both, at).is_deaf(),
            felt(&both, at).is_down(),
        )
    };
    assert_eq!(state(10), (true, false, false));
    assert_eq!(state(60), (true, true, false));
    assert_eq!(felt(&both, 60).outbound_cuts, 2);
    assert_eq!(state(120), (true, true, false));
    assert_eq!(state(160), (true, true, true));
    assert_eq!(state(240), (false, false, false));
}

#[test]
fn what_crashes_takes_its_time_to_start_again() {
    let crash = Kind::Crash {
        loses: Loses::Unflushed,
        restart: ms(40),
    };
    let down = |recovery, at| {
        let entry = Entry {
            at: Span::ZERO,
            target: 0,
            fault: "crash".to_owned(),
            action: Action::Inject {
                kind: crash,
                duration: Some(ms(10)),
                recovery,
            },
        };
        felt(&overlay(vec![entry]), at).is_down()
    };
    assert!(down(Recovery::Automatic, 49) && !down(Recovery::Automatic, 50));
    assert!(down(Recovery::Immediate, 9) && !down(Recovery::Immediate, 10));
}

#[test]
fn clocks_go_wrong_by_the_larger_error() {
    let drift = at(0, 10_000, Kind::ClockDrift { ppb: -1_000_000 });
    let skew = at(1_000, 2_000, Kind::ClockSkew { ns: 2_000_000 });
    let clocks = overlay(vec![drift, skew]);
    // A drift of a thousandth loses a millisecond in each second.
    let wrong = [0, 500, 1_000, 1_999, 2_001, 3_000, 10_000].map(|at| felt(&clocks, at).clock_ns / 1_000);
    assert_eq!(wrong, [0, -500, 2_000, 2_000, -2_001, -3_000, 0]);
    let apart = [500, 1_500, 4_000].map(|at| (felt(&clocks, at).skew_ns, felt(&clocks, at).drift_ppb));
    assert_eq!(apart, [(0, -1_000_000), (2_000_000, -1_000_000), (0, -1_000_000)]);
}

/// Whether nothing of one is weaker than of the other.
fn covers(more: &Effective, less: &Effective) -> bool {
    let rate = |felt: &Effective| felt.bandwidth.unwrap_or(BitRate::from_bits_per_s(u64::MAX));
    let stale = |felt: &Effective| felt.dns_stale_since.unwrap_or(Span::MAX);
    more.outbound_cuts >= less.outbound_cuts
        && more.inbound_cuts >= less.inbound_cuts
        && more.crashes >= less.crashes
        && more.loses >= less.loses
        && more.outages >= less.outages
        && more.latency >= less.latency
        && more.jitter >= less.jitter
        && more.loss >= less.loss
        && rate(more) <= rate(less)
        && more.full_disks >= less.full_disks
        && more.failed_disks >= less.failed_disks
        && more.disk >= less.disk
        && more.memory >= less.memory
        && more.cpu >= less.cpu
        && more.clock_ns.unsigned_abs() >= less.clock_ns.unsigned_abs()
        && more.skew_ns.unsigned_abs() >= less.skew_ns.unsigned_abs()
        && more.drift_ppb.unsigned_abs() >= less.drift_ppb.unsigned_abs()
        && more.dns_failures >= less.dns_failures
        && stale(more) <= stale(less)
        && more.errors >= less.errors
        && more.timeouts >= less.timeouts
        && more.timeout_after >= less.timeout_after
        && more.panics >= less.panics
        && more.leaked >= less.leaked
        && more.gray >= less.gray
        && more.gray_extra >= less.gray_extra
}

/// As it is, but for what grows with time.
fn without_growth(mut felt: Effective) -> Effective {
    (felt.clock_ns, felt.leaked) = (0, 0);
    felt
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn more_faults_are_never_felt_less(schedule in schedules(10), at in 0..16_000_u64, target in 0..3_u8) {
        let whole = Overlay::new(&schedule).effective(&target, ms(at), NORMAL);
        for fault in 0..10 {
            let name = format!("f{fault}");
            let kept = |entry: &&Entry<u8>| entry.fault != name;
            let fewer = schedule.entries().iter().filter(kept).cloned().collect();
            let fewer = Overlay::new(&Schedule::new(fewer).expect("valid"));
            prop_assert!(covers(&whole, &fewer.effective(&target, ms(at), NORMAL)));
        }
    }

    #[test]
    fn a_fault_twice_is_felt_as_once_but_for_counts(schedule in schedules(10), at in 0..16_000_u64, target in 0..3_u8) {
        let mut entries = schedule.entries().to_vec();
        let again = |entry: &Entry<u8>| Entry { fault: format!("{} again", entry.fault), ..entry.clone() };
        entries.extend(schedule.entries().iter().map(again));
        let twice = Overlay::new(&Schedule::new(entries).expect("valid")).effective(&target, ms(at), NORMAL);
        let mut once = Overlay::new(&schedule).effective(&target, ms(at), NORMAL);
        for count in [
            &mut once.outbound_cuts,
            &mut once.inbound_cuts,
            &mut once.crashes,
            &mut once.outages,
            &mut once.full_disks,
            &mut once.failed_disks,
            &mut once.dns_failures,
        ] {
            *count *= 2;
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn nothing_changes_between_changes(schedule in schedules(10), at in 0..16_000_000_u64, target in 0..3_u8) {
        let overlay = Overlay::new(&schedule);
        let at = Span::from_us(at);
        let felt = |at| without_growth(overlay.effective(&target, at, NORMAL));
        match overlay.changes(&target).into_iter().rfind(|change| *change <= at) {
            Some(last) if !drifts(&schedule) => prop_assert_eq!(felt(last), felt(at)),
            Some(_) => {}
            None => prop_assert_eq!(felt(at), Effective::default()),
        }
    }

    #[test]
    fn after_the_last_change_all_is_well_unless_something_never_ends(schedule in schedules(10), target in 0..3_u8) {
        let overlay = Overlay::new(&schedule);
        let mut injections = schedule.injections().into_iter();
        let ends = injections.all(|injection| injection.target != target || injection.until.is_some());
        if let Some(last) = overlay.changes(&target).last() {
            let is_well = overlay.effective(&target, *last, NORMAL) == Effective::default();
            prop_assert!(is_well || !ends);
        }
    }
}

/// Which of a skew and a drift wins may change at any time.
fn drifts(schedule: &Schedule<u8>) -> bool {
    let mut injections = schedule.injections().into_iter();
    injections.any(|injection| matches!(injection.kind, Kind::ClockDrift { .. }))
}

#[test]
fn all_end_at_once_when_they_are_told_to() {
    let loss = Kind::Loss {
        probability: percent(5),
    };
    let latency = Kind::Latency {
        extra: ms(50),
        jitter: Span::ZERO,
    };
    let fading = Entry {
        action: Action::Inject {
            kind: latency,
            duration: Some(ms(10)),
            recovery: Recovery::Gradual(Gradual {
                steps: 5,
                step: ms(20),
            }),
        },
        ..at(10, 1, latency)
    };
    let entries = vec![
        at(0, 100, loss),
        fading,
        at(80, 10, Kind::Partition(Direction::Both)),
    ];
    let whole = overlay(entries.clone());
    let ended = overlay(entries).ending_at(ms(50));
    for time in 0..50 {
        assert_eq!(felt(&ended, time), felt(&whole, time), "{time} ms");
    }
    for time in 50..200 {
        assert_eq!(felt(&ended, time), Effective::default(), "{time} ms");
    }
    assert_eq!(ended.changes(&0), [0, 10, 40, 50].map(ms));
    // The earlier end counts, and one before everything leaves nothing.
    assert_eq!(ended.clone().ending_at(ms(70)).changes(&0), ended.changes(&0));
    assert!(ended.ending_at(Span::ZERO).changes(&0).is_empty());
}
