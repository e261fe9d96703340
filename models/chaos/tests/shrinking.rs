//! The causes of failures that were planted are found.

use std::collections::BTreeSet;

use longhaul_chaos::{Action, Entry, Impact, Kind, Recovery, Schedule, ShrinkError, Verdict, shrink};
use longhaul_core::time::Span;
use proptest::prelude::*;

use crate::histories::{NORMAL, ms, schedules};

fn names(schedule: &Schedule<u8>) -> BTreeSet<String> {
    let entries = schedule.entries().iter();
    entries.map(|entry| entry.fault.clone()).collect()
}

fn verdict(fails: bool) -> Verdict {
    if fails { Verdict::Fails } else { Verdict::Passes }
}

fn latency(number: u64) -> Entry<u8> {
    Entry {
        at: ms(number * 100),
        target: 0,
        fault: format!("f{number}"),
        action: Action::Inject {
            kind: Impact::High.magnitudes().latency(),
            duration: Some(Span::from_s(10)),
            recovery: Recovery::Automatic,
        },
    }
}

#[test]
fn magnitude_duration_and_run_become_as_small_as_the_failure_allows() {
    let schedule = Schedule::new((0..40).map(latency).collect()).expect("valid");
    // It fails if the 18th fault takes at least 120 ms for at least 1 s, and the run reaches its end.
    let oracle = |schedule: &Schedule<u8>, horizon: Span| {
        let fails = schedule.injections().iter().any(|injection| {
            let Kind::Latency { extra, .. } = injection.kind else {
                return false;
            };
            let until = injection.until.expect("it ends");
            let lasts = until.saturating_sub(injection.from) >= Span::from_s(1);
            injection.fault == "f17" && extra >= ms(120) && lasts && horizon >= ms(2700)
        });
        verdict(fails)
    };
    let shrunk = shrink(&schedule, Span::from_s(60), NORMAL, 1000, oracle).expect("fails");
    assert!(shrunk.is_complete && shrunk.calls < 100, "{}", shrunk.calls);
    assert!(
        (ms(2700)..ms(2760)).contains(&shrunk.horizon),
        "{}",
        shrunk.horizon
    );
    let [only] = &shrunk.schedule.injections()[..] else {
        panic!("one fault: {:?}", shrunk.schedule);
    };
    let Kind::Latency { extra, .. } = only.kind else {
        panic!("latency")
    };
    assert!((ms(120)..ms(130)).contains(&extra), "{extra}");
    let lasts = only.until.expect("it ends").saturating_sub(only.from);
    assert!((ms(1000)..ms(1020)).contains(&lasts), "{lasts}");
}

#[test]
fn what_fails_without_faults_is_shrunk_to_none() {
    let schedule = Schedule::new((0..5).map(latency).collect()).expect("valid");
    let shrunk = shrink(&schedule, Span::from_s(9), NORMAL, 100, |_, _| Verdict::Fails).expect("fails");
    assert!(shrunk.schedule.is_empty() && shrunk.is_complete);
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    let schedule = Schedule::new(vec![latency(1)]).expect("valid");
    for verdict in [Verdict::Passes, Verdict::Inconclusive] {
        let answer = shrink(&schedule, Span::from_s(9), NORMAL, 100, |_, _| verdict);
        assert_eq!(answer, Err(ShrinkError::DoesNotFail));
    }
}

#[test]
fn a_recovery_leaves_together_with_its_injection() {
    let manual = |number: u64, action| Entry {
        at: ms(number),
        target: 0,
        fault: format!("m{}", number % 2),
        action,
    };
    let inject = Action::Inject {
        kind: Impact::High.magnitudes().loss(),
        duration: None,
        recovery: Recovery::Manual,
    };
    let entries = vec![
        manual(1, inject),
        manual(2, inject),
        manual(3, Action::Recover),
        manual(4, Action::Recover),
    ];
    let schedule = Schedule::new(entries).expect("valid");
    let oracle = |schedule: &Schedule<u8>, _| verdict(names(schedule).contains("m1"));
    let shrunk = shrink(&schedule, Span::from_s(1), NORMAL, 100, oracle).expect("fails");
    let left: Vec<(u64, &str)> = shrunk
        .schedule
        .entries()
        .iter()
        .map(|entry| (entry.at.as_ns() / 1_000_000, &*entry.fault))
        .collect();
    assert_eq!(left, [(1, "m1"), (3, "m1")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// It fails if all of one set of faults are there, or all of another: not monotone in any single fault, and what is
    /// found is one of the sets, whichever.
    #[test]
    fn planted_causes_are_found(
        schedule in schedules(24),
        one in proptest::collection::btree_set(0..24_usize, 1..4),
        other in proptest::collection::btree_set(0..24_usize, 1..4),
    ) {
        let cause = |set: &BTreeSet<usize>| set.iter().map(|number| format!("f{number}")).collect::<BTreeSet<_>>();
        let (one, other) = (cause(&one), cause(&other));
        let fails = |schedule: &Schedule<u8>| {
            let there = names(schedule);
            one.is_subset(&there) || other.is_subset(&there)
        };
        let mut calls = 0;
        let answer = shrink(&schedule, Span::from_s(20), NORMAL, 5_000, |schedule, _| {
            calls += 1;
            verdict(fails(schedule))
        });
        if !fails(&schedule) {
            prop_assert_eq!(answer, Err(ShrinkError::DoesNotFail));
            return Ok(());
        }
        let shrunk = answer.expect("fails");
        prop_assert!(shrunk.is_complete);
        prop_assert_eq!(shrunk.calls, calls);
        let left = names(&shrunk.schedule);
        prop_assert!(left == one || left == other, "{:?}", left);
        let again = shrink(&schedule, Span::from_s(20), NORMAL, 5_000, |schedule, _| verdict(fails(schedule)));
        prop_assert_eq!(again, Ok(shrunk));
    }

    /// Whatever is asked and answered, what is left fails and the calls are kept to, and if it is complete nothing more
    /// can be left out.
    #[test]
    fn what_is_left_fails(schedule in schedules(12), salt in any::<u64>(), most in 1..200_u32) {
        let oracle = |schedule: &Schedule<u8>, horizon: Span| {
            let text = serde_json::to_string(&(schedule, horizon, salt)).expect("serialises");
            verdict(!fnv(&text).is_multiple_of(3))
        };
        let mut calls = 0;
        let answer = shrink(&schedule, Span::from_s(20), NORMAL, most, |schedule, horizon| {
            calls += 1;
            oracle(schedule, horizon)
        });
        prop_assert!(calls <= most);
        let Ok(shrunk) = answer else {
            prop_assert_eq!(oracle(&schedule, Span::from_s(20)), Verdict::Passes);
            return Ok(());
        };
        prop_assert_eq!(oracle(&shrunk.schedule, shrunk.horizon), Verdict::Fails);
        let left = names(&shrunk.schedule);
        for without in left.iter().filter(|_| shrunk.is_complete) {
            let kept = shrunk.schedule.entries().iter().filter(|entry| entry.fault != *without);
            let fewer = Schedule::new(kept.cloned().collect()).expect("valid");
            prop_assert_eq!(oracle(&fewer, shrunk.horizon), Verdict::Passes);
        }
    }
}

/// FNV-1a.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step) >> 32
}
