//! Degradation, flags, budgets, downtime and health.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_resilience::budget::{Burn, ErrorBudget, ErrorBudgetConfig};
use longhaul_resilience::degradation::{Degradation, DegradationConfig, Level, LevelCause, Variant};
use longhaul_resilience::downtime::{Downtime, Intervals};
use longhaul_resilience::flags::{Flag, Flags};
use longhaul_resilience::health::{HealthCause, HealthConfig, HealthOutput, Monitor, OutOf, Probe, Reply};
use longhaul_resilience::latency::{LatencyBudget, LatencyBudgetConfig};
use longhaul_resilience::{CallError, Priority};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms, share};

fn degradation(window: u32, minimum: u32, hold: Span) -> DegradationConfig {
    let config = DegradationConfig {
        error_rate: share(1, 100),
        latency: ms(100),
        window,
        minimum,
        margin: share(1, 10),
        hold,
        emergency_admits: Priority::Critical,
        emergency_probe: ms(1_000),
    };
    assert_eq!(config.check(), Ok(()));
    config
}

/// Acceptance case 30.
#[test]
fn case_30_levels_begin_strictly_above_their_thresholds() {
    let config = degradation(100, 10, Span::ZERO);
    let errors = |parts| config.level(Probability::from_parts(parts).expect("a share"), ms(50));
    for (parts, level) in [
        (10_000_000_000, Level::Normal),
        (10_000_100_000, Level::Degraded),
        (15_000_000_000, Level::Degraded),
        (15_100_000_000, Level::Severe),
        (20_000_000_000, Level::Severe),
        (20_100_000_000, Level::Emergency),
    ] {
        assert_eq!(errors(parts), level, "{parts}");
    }
    let latency = |us| config.level(Probability::ZERO, Span::from_us(us));
    for (us, level) in [
        (100_000, Level::Normal),
        (100_100, Level::Degraded),
        (150_100, Level::Severe),
        (200_000, Level::Severe),
        (200_100, Level::Emergency),
    ] {
        assert_eq!(latency(us), level, "{us}");
    }
    let of = |levels: &[Level]| Level::of_system(levels.iter().copied());
    assert_eq!(
        of(&[Level::Degraded, Level::Severe, Level::Normal]),
        Level::Severe
    );
    assert_eq!(of(&[]), Level::Normal);
    assert_eq!(Level::Degraded.variant(true, true), Ok(Variant::Normal));
    assert_eq!(Level::Severe.variant(true, false), Ok(Variant::Degraded));
    assert_eq!(Level::Severe.variant(false, false), Ok(Variant::Normal));
    assert_eq!(Level::Emergency.variant(true, true), Ok(Variant::Emergency));
    assert_eq!(Level::Emergency.variant(true, false), Err(CallError::Emergency));
}

#[test]
fn a_level_falls_with_a_margin_and_after_its_hold() {
    let mut degradation = Degradation::new(&degradation(10, 5, ms(100)));
    let mut feed = |from: u64, latency: u64| {
        let record = |i| degradation.record(at_ms(from + i), false, Some(ms(latency)));
        (0..20)
            .filter_map(record)
            .map(|change| change.to)
            .collect::<Vec<Level>>()
    };
    assert_eq!(feed(0, 120), [Level::Degraded]);
    // Below the threshold, and above what the margin asks for.
    assert_eq!(feed(1_000, 95), []);
    assert_eq!(feed(2_000, 90), []);
    assert_eq!(feed(2_090, 90), [Level::Normal]);
}

#[test]
fn an_emergency_lets_probes_through_and_ends() {
    let mut degradation = Degradation::new(&degradation(10, 5, Span::ZERO));
    for _ in 0..5 {
        degradation.record(at_ms(0), true, None);
    }
    assert_eq!(degradation.level(), Level::Emergency);
    assert!(degradation.admits(at_ms(1), Priority::Critical));
    assert!(!degradation.admits(at_ms(999), Priority::Normal));
    let mut admitted = 0;
    for i in 1_000..10_000 {
        if degradation.admits(at_ms(i), Priority::Normal) {
            admitted += 1;
            degradation.record(at_ms(i), false, Some(ms(10)));
        }
        if degradation.level() < Level::Emergency {
            break;
        }
    }
    assert_eq!((admitted, degradation.level()), (5, Level::Normal));
}

#[test]
fn what_others_ask_for_is_a_floor() {
    let mut degradation = Degradation::new(&degradation(10, 5, Span::ZERO));
    let change = degradation.set_floor(at(0), Level::Severe).expect("a change");
    assert_eq!(
        (change.to, change.cause),
        (Level::Severe, LevelCause::Floor { floor: Level::Severe })
    );
    assert_eq!(degradation.set_budget(at(0), true), None);
    let change = degradation.set_floor(at(1), Level::Normal).expect("a change");
    assert_eq!((change.from, change.to), (Level::Severe, Level::Degraded));
    let change = degradation.set_budget(at(2), false).expect("a change");
    assert_eq!(
        (change.to, change.cause),
        (Level::Normal, LevelCause::FloorLifted)
    );
}

#[test]
fn flags_follow_the_level_if_they_are_tied_to_it() {
    let mut flags = Flags::default();
    let up_to = |up_to| Flag { enabled: true, up_to };
    flags.set("search", up_to(Some(Level::Degraded)));
    flags.set("login", up_to(None));
    flags.set(
        "beta",
        Flag {
            enabled: false,
            up_to: None,
        },
    );
    assert!(flags.is_on("unheard of", Level::Emergency));
    assert!(flags.is_on("search", Level::Degraded) && !flags.is_on("search", Level::Severe));
    assert!(flags.is_on("login", Level::Emergency) && !flags.is_on("beta", Level::Normal));
    let switched: Vec<_> = flags.switched(Level::Normal, Level::Emergency).collect();
    assert_eq!(switched, [("search", false)]);
}

fn budget(objective: Probability, minimum: u32) -> ErrorBudget {
    let config = ErrorBudgetConfig {
        minimum,
        ..ErrorBudgetConfig::hourly(objective)
    };
    assert_eq!(config.check(), Ok(()));
    ErrorBudget::new(&config)
}

/// Acceptance case 31.
#[test]
fn case_31_a_budget_is_exhausted_by_one_failure_more_than_it_has() {
    let after = |objective: Probability, calls: u64, failures: u64| {
        let mut budget = budget(objective, 1);
        for i in 0..calls {
            budget.record(at(0), i < failures);
        }
        let left = budget.remaining(at(0));
        (left.share, left.allowed, left.exhausted)
    };
    assert_eq!(after(share(999, 1_000), 1_000, 0), (Probability::ONE, 1, false));
    assert_eq!(after(share(999, 1_000), 1_000, 1), (Probability::ZERO, 0, false));
    assert_eq!(after(share(999, 1_000), 1_000, 2), (Probability::ZERO, 0, true));
    assert_eq!(after(share(99, 100), 1_000, 5), (share(1, 2), 5, false));
    assert!(after(share(95, 100), 100, 10).2);
    assert!(after(share(9_999, 10_000), 1_000, 1).2);
}

/// Acceptance case 32.
#[test]
fn case_32_a_budget_tells_when_it_is_exhausted_and_when_it_has_recovered() {
    let mut budget = budget(share(9, 10), 1);
    let changes: Vec<_> = (0..10)
        .map(|i| budget.record(at_ms(i), i == 0).exhausted)
        .collect();
    assert_eq!(changes[0], Some(true));
    assert!(changes[1..9].iter().all(Option::is_none));
    assert_eq!(changes[9], Some(false));
}

#[test]
fn a_few_calls_decide_nothing_and_an_hour_later_all_is_forgotten() {
    let mut budget = budget(share(999, 1_000), 100);
    for i in 0..99 {
        assert_eq!(budget.record(at_ms(i), true).exhausted, None);
    }
    assert_eq!(budget.record(at_ms(99), true).exhausted, Some(true));
    let later = at_ms(3_600_000 + 60_000);
    assert_eq!(budget.remaining(later).calls, 0);
    assert!(!budget.remaining(later).exhausted);
}

#[test]
fn a_burn_is_told_when_both_windows_burn_and_ceases_with_the_short_one() {
    let mut budget = budget(share(999, 1_000), 100);
    let mut told = Vec::new();
    let mut minute = 0;
    let mut run = |minutes: u64, failures_in_1000: u64| {
        for _ in 0..minutes {
            for i in 0..1_000_u64 {
                let now = at_ms(minute * 60_000 + i * 60);
                // Spread evenly, so that no minute looks worse at its beginning.
                let failed = failures_in_1000 > 0 && (i + 1).is_multiple_of(1_000 / failures_in_1000.max(1));
                let change = budget.record(now, failed);
                told.extend(change.fast.map(|burning| (minute, burning)));
            }
            minute += 1;
        }
        (std::mem::take(&mut told), budget.burning(Burn::Fast))
    };
    // 1 % of failures is ten times what is allowed, 2 % twenty times.
    assert_eq!(run(60, 10), (vec![], false));
    let (told, burning) = run(60, 20);
    assert!(burning);
    let since = told[0].0;
    // 14.4 of 10 and 20 is reached after 26.4 minutes of the hour.
    assert!((86..=87).contains(&since), "{told:?}");
    let (told, burning) = run(10, 0);
    assert!(
        !burning && told.last().is_some_and(|(minute, _)| *minute <= 125),
        "{told:?}"
    );
}

/// Acceptance case 33.
#[test]
fn case_33_a_moment_of_downtime_counts_once() {
    let mut downtime = Downtime::default();
    downtime.record(at(0), false);
    for time in [20, 40, 60, 80, 100] {
        downtime.record(at_ms(time), true);
    }
    assert_eq!(downtime.down_since(), Some(at_ms(20)));
    downtime.record(at_ms(120), false);
    assert_eq!(downtime.total(at(0)..at_ms(120)), ms(100));
    let availability = downtime.availability(at(0)..at_ms(200));
    assert!((availability - 0.5).abs() < 1e-12);
}

/// Acceptance case 34.
#[test]
fn case_34_the_95th_percentile_of_a_hundred_is_the_95th() {
    let mut budget = LatencyBudget::new(&LatencyBudgetConfig::of(ms(100)));
    (1..=100).for_each(|i| {
        budget.record(ms(i));
    });
    assert_eq!(budget.p95(), Some(ms(95)));
    let mut budget = LatencyBudget::new(&LatencyBudgetConfig::of(ms(100)));
    for i in 0..100 {
        budget.record(ms(if i < 95 { 50 } else { 200 }));
    }
    assert_eq!((budget.p95(), budget.exceeded()), (Some(ms(50)), false));
    assert!((budget.compliance() - 0.95).abs() < 1e-12);
    assert_eq!(budget.record(ms(200)), Some(true));
}

/// Questions with their rounds, and changes with their causes.
type Asked = (Vec<(usize, u64)>, Vec<(usize, bool, HealthCause)>);

fn asked(monitor: &mut Monitor) -> Asked {
    let (mut asks, mut changes) = (Vec::new(), Vec::new());
    loop {
        match monitor.poll() {
            HealthOutput::Ask { check, round } => asks.push((check, round)),
            HealthOutput::Changed {
                check,
                healthy,
                cause,
            } => changes.push((check, healthy, cause)),
            HealthOutput::WakeAt { .. } | HealthOutput::Idle => return (asks, changes),
        }
    }
}

#[test]
fn checks_fall_and_rise_by_several_answers_and_a_composite_with_its_parts() {
    let load = Probe::Threshold {
        least: 0.0,
        most: 0.8,
    };
    let configs = [
        HealthConfig::new("server", Probe::Ping),
        HealthConfig::new("load", load),
        HealthConfig::new("service", Probe::Composite(vec![0, 1])),
    ];
    for (place, config) in configs.iter().enumerate() {
        assert_eq!(config.check(place), Ok(()));
    }
    let mut monitor = Monitor::new(at(0), configs);
    let mut changes = Vec::new();
    for (round, value) in [(1, f64::NAN), (2, 0.5), (3, 0.9), (4, 0.8), (5, 0.0)] {
        let now = at_ms((round - 1) * 10_000);
        monitor.wake(now);
        let (asks, _) = asked(&mut monitor);
        assert_eq!(asks, [(0, round), (1, round)]);
        monitor.answer(now, 1, round, Reply::Value(value));
        monitor.answer(now, 1, round, Reply::Value(9.0));
        changes.extend(asked(&mut monitor).1.into_iter().map(|change| (round, change)));
        // The server never answers: a failure after 5 s.
        monitor.wake(now + ms(5_000));
        changes.extend(asked(&mut monitor).1.into_iter().map(|change| (round, change)));
        monitor.answer(now + ms(5_000), 0, round, Reply::Alive);
    }
    let expected = [
        (2, (0, false, HealthCause::NoAnswer)),
        (2, (2, false, HealthCause::Part(0))),
        (3, (1, false, HealthCause::OutOfBounds(0.9))),
        (5, (1, true, HealthCause::Good)),
    ];
    assert_eq!(changes, expected);
    for round in [6, 7] {
        let now = at_ms((round - 1) * 10_000);
        monitor.answer(now, 0, round, Reply::Alive);
    }
    let (_, changes) = asked(&mut monitor);
    assert_eq!(
        changes,
        [(0, true, HealthCause::Good), (2, true, HealthCause::Parts)]
    );
    assert!(monitor.all_healthy());
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn levels_are_those_of_the_lists_of_what_was_seen(
        (window, minimum, hold) in (1..12_u32, 1..12_u32, 0..30_u64),
        steps in prop::collection::vec((0..10_u64, 0..40_u64, 0..4_u8), 1..80),
    ) {
        let minimum = minimum.min(window);
        let config = DegradationConfig { error_rate: share(1, 5), ..degradation(window, minimum, ms(hold)) };
        let mut degradation = Degradation::new(&config);
        let (mut outcomes, mut latencies): (Vec<bool>, Vec<u64>) = (Vec::new(), Vec::new());
        let (mut level, mut lower_since, mut now) = (Level::Normal, None, 0);
        for (wait, tens, failed) in steps {
            now += wait;
            let failed = failed == 0;
            outcomes.push(failed);
            if !failed {
                latencies.push(tens * 10);
            }
            degradation.record(at_ms(now), failed, (!failed).then_some(ms(tens * 10)));
            if outcomes.len() >= minimum as usize {
                let last: Vec<bool> = outcomes.iter().rev().take(window as usize).copied().collect();
                let rate = last.iter().filter(|failed| **failed).count() as f64 / last.len() as f64;
                let mut sorted: Vec<u64> = latencies.iter().rev().take(window as usize).copied().collect();
                sorted.sort_unstable();
                let rank = (sorted.len() * 95).div_ceil(100);
                let p95 = rank.checked_sub(1).map_or(0.0, |rank| sorted[rank] as f64);
                let of = |enlarged: f64| {
                    let worst = (rate / 0.2).max(p95 / 100.0) + enlarged;
                    // Further apart than the error of doubles, in these tests.
                    [1.0, 1.5, 2.0].iter().filter(|threshold| worst > **threshold + 1e-9).count()
                };
                let levels = [Level::Normal, Level::Degraded, Level::Severe, Level::Emergency];
                let (is, lower) = (levels[of(0.0)], levels[of(0.1)]);
                let next = if is > level {
                    Some(is)
                } else if lower < level {
                    let since = *lower_since.get_or_insert(now);
                    (now - since >= hold).then_some(lower)
                } else {
                    lower_since = None;
                    None
                };
                if let Some(next) = next {
                    (level, lower_since) = (next, None);
                    outcomes.clear();
                    latencies.clear();
                }
            }
            prop_assert_eq!(degradation.level(), level);
        }
    }

    #[test]
    fn error_budgets_are_those_of_the_list_of_all_calls(
        (nines, minimum, step) in (1..1_000_u64, 1..10_u32, 1..1_000_u64),
        steps in prop::collection::vec((0..40_u64, 0..4_u8), 1..60),
    ) {
        let config = ErrorBudgetConfig {
            objective: share(nines, 1_000),
            window: Span::from_ns(60 * step),
            minimum,
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut budget = ErrorBudget::new(&config);
        let (mut all, mut now, mut was): (Vec<(u64, bool)>, u64, bool) = (Vec::new(), 0, false);
        for (wait, failed) in steps {
            now += wait * step / 4;
            let failed = failed == 0;
            all.push((now, failed));
            let change = budget.record(at(now), failed);
            let recent: Vec<bool> =
                all.iter().filter(|(at, _)| now / step - at / step < 60).map(|(_, failed)| *failed).collect();
            let (n, f) = (recent.len() as u64, recent.iter().filter(|failed| **failed).count() as u64);
            let left = budget.remaining(at(now));
            prop_assert_eq!((left.calls, left.failed), (n, f));
            // In thousandths of a call.
            let (allowed, used) = (n * (1_000 - nines), f * 1_000);
            let exhausted = n >= u64::from(minimum) && used > allowed;
            prop_assert_eq!(left.exhausted, exhausted);
            prop_assert_eq!(left.allowed, allowed.saturating_sub(used) / 1_000);
            let share = allowed.saturating_sub(used) as f64 / allowed as f64;
            prop_assert!((left.share.as_f64() - share).abs() < 1e-9);
            prop_assert_eq!(change.exhausted, (exhausted != was).then_some(exhausted));
            was = exhausted;
            // All of these calls lie within five minutes, so that all windows hold all of them.
            let of = all.iter().filter(|(_, failed)| *failed).count() as u64;
            let burns = |tenths: u64| {
                all.len() as u64 >= u64::from(minimum)
                    && 10_000 * of >= tenths * all.len() as u64 * (1_000 - nines)
            };
            prop_assert_eq!(budget.burning(Burn::Fast), burns(144));
            prop_assert_eq!(budget.burning(Burn::Slow), burns(60));
        }
    }

    #[test]
    fn latency_budgets_are_those_of_the_sorted_list(
        (window, minimum) in (1..30_u32, 1..30_u32),
        latencies in prop::collection::vec(0..150_u64, 1..80),
    ) {
        let minimum = minimum.min(window);
        let mut budget = LatencyBudget::new(&LatencyBudgetConfig { p95: ms(100), window, minimum });
        for n in 1..=latencies.len() {
            budget.record(ms(latencies[n - 1]));
            let mut last: Vec<u64> = latencies[..n].iter().rev().take(window as usize).copied().collect();
            last.sort_unstable();
            let p95 = last[(last.len() * 95).div_ceil(100) - 1];
            prop_assert_eq!(budget.p95(), Some(ms(p95)));
            prop_assert_eq!(budget.exceeded(), last.len() >= minimum as usize && p95 > 100);
            let good = latencies[..n].iter().filter(|latency| **latency <= 100).count();
            prop_assert!((budget.compliance() - good as f64 / n as f64).abs() < 1e-9);
        }
    }

    /// Every moment for itself.
    #[test]
    fn downtime_is_the_number_of_moments_that_were_down(
        parts in prop::collection::vec((0..60_u64, 0..12_u64), 0..20),
        steps in prop::collection::vec((1..9_u64, any::<bool>()), 0..20),
        (from, to) in (0..80_u64, 0..80_u64),
    ) {
        let mut union = Intervals::default();
        let mut moments = [false; 80];
        for (start, length) in parts {
            union.add(at(start)..at(start + length));
            (start..start + length).for_each(|moment| moments[moment as usize] = true);
        }
        let total = (from..to).filter(|moment| moments[*moment as usize]).count() as u64;
        prop_assert_eq!(union.total(at(from)..at(to)), Span::from_ns(total));
        let parts: Vec<_> = union.iter().collect();
        prop_assert!(parts.windows(2).all(|two| two[0].end < two[1].start));

        let mut downtime = Downtime::default();
        let (mut now, mut down, mut expected) = (0, false, 0);
        for (wait, failed) in steps {
            expected += if down { wait } else { 0 };
            now += wait;
            down = failed;
            downtime.record(at(now), failed);
        }
        prop_assert_eq!(downtime.total(at(0)..at(now)), Span::from_ns(expected));
        let listed = downtime.intervals(at(now)).total(at(0)..at(now));
        prop_assert_eq!(listed, Span::from_ns(expected));
        let up = if now == 0 { 1.0 } else { 1.0 - expected as f64 / now as f64 };
        prop_assert!((downtime.availability(at(0)..at(now)) - up).abs() < 1e-9);
    }

    #[test]
    fn health_is_what_the_list_of_answers_says(
        (fall_n, fall_k, rise_n, rise_k) in (1..6_u32, 1..6_u32, 1..6_u32, 1..6_u32),
        answers in prop::collection::vec(0..3_u8, 1..40),
    ) {
        let fall = OutOf { k: fall_k.min(fall_n), n: fall_n };
        let rise = OutOf { k: rise_k.min(rise_n), n: rise_n };
        let config = HealthConfig { fall, rise, ..HealthConfig::new("x", Probe::Ping) };
        prop_assert_eq!(config.check(0), Ok(()));
        let mut monitor = Monitor::new(at(0), [config]);
        let (mut healthy, mut given, mut now) = (true, Vec::new(), at(0));
        for (round, answer) in (1..).zip(answers) {
            let (asks, _) = asked(&mut monitor);
            prop_assert_eq!(asks, vec![(0, round)]);
            // An answer in time, a refusal, or one too late.
            match answer {
                0 => monitor.answer(now + ms(4_999), 0, round, Reply::Alive),
                1 => monitor.answer(now, 0, round, Reply::Dead),
                _ => monitor.answer(now + ms(5_000), 0, round, Reply::Alive),
            }
            given.push(answer == 0);
            let last = |n: u32, good: bool| given.iter().rev().take(n as usize).filter(|one| **one == good).count();
            let change = if healthy {
                answer != 0 && last(fall.n, false) >= fall.k as usize
            } else {
                answer == 0 && last(rise.n, true) >= rise.k as usize
            };
            healthy ^= change;
            prop_assert_eq!(monitor.is_healthy(0), healthy);
            let (_, changes) = asked(&mut monitor);
            prop_assert_eq!(changes.len(), usize::from(change));
            now += ms(10_000);
            monitor.wake(now);
        }
    }
}
