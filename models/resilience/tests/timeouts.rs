//! Timeouts.

use longhaul_core::time::Span;
use longhaul_resilience::timeout::{Timeout, TimeoutConfig};
use longhaul_resilience::{Call, CallError, LayerConfig, Outcome};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms, run, stack_of};

/// Acceptance case 29.
#[test]
fn case_29_both_rules_move_as_they_should() {
    let mut step = Timeout::new(&TimeoutConfig::step(ms(1_000)));
    step.succeeded(ms(10), true);
    assert_eq!(step.current(), ms(950));
    step.succeeded(ms(600), true);
    assert_eq!(step.current(), ms(1_200));
    step.failed();
    assert_eq!(step.current(), ms(1_320));
    for _ in 0..100 {
        step.expired(at(0), at(0));
    }
    assert_eq!(step.current(), Span::from_s(300));
    for _ in 0..1_000 {
        step.succeeded(Span::ZERO, true);
    }
    assert_eq!(step.current(), ms(10));

    let after = |start, latency, n: usize| {
        let mut history = Timeout::new(&TimeoutConfig::history(ms(start)));
        let learn = |_| {
            history.succeeded(ms(latency), true);
            history.current()
        };
        (0..n).map(learn).collect::<Vec<Span>>()
    };
    let falling = after(30_000, 100, 12);
    assert!(falling[..9].iter().all(|timeout| *timeout == ms(30_000)));
    assert_eq!(
        falling[9..],
        [Span::from_us(27_020_000), ms(24_338), Span::from_us(21_924_200)]
    );
    assert_eq!(after(100, 90, 12)[9..], [ms(140), ms(160), ms(170)]);
}

/// Acceptance case 29: a server that became slow gets more time again.
#[test]
fn case_29_a_timeout_that_is_too_short_grows_by_its_own_timeouts() {
    let mut stack = stack_of(&[LayerConfig::Timeout(TimeoutConfig::history(ms(100)))]);
    let mut results = Vec::new();
    for i in 0..60 {
        let answers_after = |_| Some((ms(400), Outcome::Success));
        let told = run(&mut stack, at_ms(i * 1_000), Call::new(i), answers_after);
        results.push(told.result.expect("a result").1);
    }
    assert!(
        results[..10]
            .iter()
            .all(|result| *result == Err(CallError::TimedOut { attempts: 1 }))
    );
    assert!(results[30..].iter().all(|result| *result == Ok(1)));
}

#[test]
fn the_rule_of_tcp_gives_the_values_of_its_standard() {
    let config = TimeoutConfig::Rfc6298 {
        start: ms(1_000),
        least: ms(1),
        most: ms(60_000),
        granularity: ms(1),
    };
    let mut timeout = Timeout::new(&config);
    assert_eq!(timeout.current(), ms(1_000));
    timeout.succeeded(ms(100), true);
    assert_eq!(timeout.current(), ms(300));
    timeout.succeeded(ms(120), true);
    assert_eq!(timeout.current(), Span::from_us(272_500));
    // By Karn's rule a later attempt is no sample.
    timeout.succeeded(ms(900), false);
    assert_eq!(timeout.current(), Span::from_us(272_500));
    timeout.expired(at_ms(1_000), at_ms(700));
    assert_eq!(timeout.current(), ms(545));
    // Of the same flight: it had begun before the timeout was doubled.
    timeout.expired(at_ms(1_001), at_ms(701));
    assert_eq!(timeout.current(), ms(545));
    for i in 1..20 {
        timeout.expired(at_ms(1_000 * (i + 1)), at_ms(1_000 * i));
    }
    assert_eq!(timeout.current(), ms(60_000));
    timeout.succeeded(ms(100), true);
    assert!(timeout.current() < ms(300));
    let mut floor = Timeout::new(&TimeoutConfig::rfc6298(ms(200)));
    (0..20).for_each(|_| floor.succeeded(ms(1), true));
    assert_eq!(floor.current(), ms(200));
}

proptest! {
    #![proptest_config(histories())]

    /// The rules in floating point, over the list of everything.
    #[test]
    fn adaptive_rules_do_what_the_slow_model_does(
        rule in 0..3_u8,
        steps in prop::collection::vec((0..8_u8, 1..400_u64), 1..150),
    ) {
        let (start, least, most) = (ms(50), ms(5), ms(1_000));
        let config = match rule {
            0 => TimeoutConfig::Step { start, least, most },
            1 => TimeoutConfig::History { start, least, most },
            _ => TimeoutConfig::Rfc6298 { start, least, most, granularity: ms(2) },
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut timeout = Timeout::new(&config);
        let (mut model, mut samples, mut smoothed) = (50e6_f64, Vec::new(), None::<(f64, f64)>);
        let (mut now, mut doubled) = (at(0), at(0));
        for (what, latency) in steps {
            let began = now;
            now += ms(latency);
            let sample = latency as f64 * 1e6;
            match what {
                0 => timeout.failed(),
                1 | 2 => timeout.expired(now, began),
                _ => timeout.succeeded(ms(latency), what != 3),
            }
            match (rule, what) {
                (0, 0..=2) => model *= 1.1,
                (0, _) => model = (0.95 * model).max(2.0 * sample),
                (1, 1..) => {
                    samples.push(sample);
                    let mut last: Vec<f64> = samples.iter().rev().take(100).copied().collect();
                    last.sort_by(f64::total_cmp);
                    if last.len() >= 10 {
                        let target = 2.0 * last[(last.len() * 95).div_ceil(100) - 1];
                        model += (target - model) * if target > model { 0.5 } else { 0.1 };
                    }
                }
                (2, 1 | 2) if began >= doubled => {
                    doubled = now;
                    model *= 2.0;
                }
                (2, 4..) => {
                    let (srtt, var) = smoothed.map_or((sample, sample / 2.0), |(srtt, var)| {
                        (0.875 * srtt + 0.125 * sample, 0.75 * var + 0.25 * (srtt - sample).abs())
                    });
                    smoothed = Some((srtt, var));
                    model = srtt + (4.0 * var).max(2e6);
                }
                _ => {}
            }
            model = model.clamp(5e6, 1e9);
            let is = timeout.current().as_ns() as f64;
            prop_assert!((is - model).abs() < 200.0, "{is} {model}");
        }
    }
}
