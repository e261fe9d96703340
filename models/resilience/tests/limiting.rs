//! Token buckets, rate limiters and load shedding.

use longhaul_core::time::{Instant, Span};
use longhaul_resilience::bucket::{BucketConfig, TokenBucket};
use longhaul_resilience::limiter::{Answer, RateConfig, RateLimiter, RateRange};
use longhaul_resilience::named::Operation;
use longhaul_resilience::shedding::{Load, LoadSource, Shedder, SheddingConfig};
use longhaul_resilience::{Priority, Rate};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms, random, share};

fn percentile(start: u64, least: u64, most: u64, window: u32, interval: Span) -> RateConfig {
    RateConfig::Percentile {
        range: RateRange {
            start: Rate::per_s(start),
            least: Rate::per_s(least),
            most: Rate::per_s(most),
        },
        target: ms(100),
        window,
        interval,
    }
}

/// Acceptance case 23.
#[test]
fn case_23_the_rate_follows_the_percentile_step_by_step() {
    let mut small = RateLimiter::new(&percentile(100, 10, 1_000, 10, Span::ZERO));
    let rates: Vec<u64> = (0..10)
        .map(|_| {
            small.record(at(0), Answer::After(ms(200)));
            small.rate().as_parts()
        })
        .collect();
    let parts = [100, 100, 100, 100].map(|rate| rate * Rate::PARTS);
    assert_eq!(rates[..4], parts);
    let falling = [
        90_000_000, 81_000_000, 72_900_000, 65_610_000, 59_049_000, 53_144_100,
    ];
    assert_eq!(rates[4..], falling);

    let record = |limiter: &mut RateLimiter, latency| {
        limiter.record(at(0), Answer::After(ms(latency)));
        limiter.rate()
    };
    let mut slow = RateLimiter::new(&Operation::Send.rate());
    let rates: Vec<Rate> = (0..80).map(|_| record(&mut slow, 200)).collect();
    assert_eq!((rates[48], rates[49]), (Rate::per_s(1_000), Rate::per_s(900)));
    assert!(rates[69] > Rate::per_s(100));
    assert!(rates[70..].iter().all(|rate| *rate == Rate::per_s(100)));
    let mut fast = RateLimiter::new(&Operation::Send.rate());
    let rates: Vec<Rate> = (0..100).map(|_| record(&mut fast, 50)).collect();
    assert_eq!((rates[48], rates[49]), (Rate::per_s(1_000), Rate::per_s(1_050)));
    assert!(rates[95] < Rate::per_s(10_000) && rates[96] == Rate::per_s(10_000));
    for edge in [80, 120] {
        let mut limiter = RateLimiter::new(&Operation::Send.rate());
        assert!((0..200).all(|_| record(&mut limiter, edge) == Rate::per_s(1_000)));
    }
}

#[test]
fn case_23_with_an_interval_there_is_one_change_in_it_and_timeouts_count() {
    let mut limiter = RateLimiter::new(&percentile(100, 10, 1_000, 10, ms(50)));
    let changes = |limiter: &mut RateLimiter, from: u64| {
        let record = |i| limiter.record(at_ms(i), Answer::Congested).is_some();
        (from..from + 100).map(record).filter(|changed| *changed).count()
    };
    assert_eq!(changes(&mut limiter, 0), 2);
    assert_eq!(limiter.rate(), Rate::per_s(81));
}

/// Acceptance case 24.
#[test]
fn case_24_a_bucket_gives_its_burst_and_loses_no_remainder() {
    let bucket = |rate, burst| {
        let rate = Rate::per_s(rate);
        TokenBucket::new(&BucketConfig { rate, burst })
    };
    let mut burst = bucket(10, 5);
    assert_eq!((0..100).filter(|_| burst.take(at(0))).count(), 5);
    let mut single = bucket(1, 1);
    assert!(single.take(at(0)) && !single.take(at(0)));
    let mut polled = bucket(100, 100);
    polled.drain(at(0));
    let granted = (1..=1_000 / 15 + 1)
        .map(|poll| at_ms((poll * 15).min(1_000)))
        .map(|now| std::iter::from_fn(|| polled.take(now).then_some(())).count())
        .sum::<usize>();
    assert_eq!(granted, 100);
}

#[test]
fn a_bucket_says_to_the_nanosecond_when_there_is_a_token() {
    let rate = Rate::per_s(3);
    let mut bucket = TokenBucket::new(&BucketConfig { rate, burst: 1 });
    assert_eq!(bucket.ready_at(at(5)), at(5));
    assert!(bucket.take(at(5)));
    let ready = bucket.ready_at(at(5));
    assert_eq!(ready, at(5 + 333_333_334));
    assert!(!bucket.clone().take(at(ready.as_ns() - 1)));
    assert!(bucket.take(ready));
}

proptest! {
    #![proptest_config(histories())]

    /// The generic cell rate algorithm in exact arithmetic (ITU-T I.371): a theoretical arrival time for each token.
    #[test]
    fn a_bucket_decides_as_the_generic_cell_rate_algorithm(
        rate in prop_oneof![1..3_000_000_u64, 1_000_000..1_000_000_000_000_000_u64],
        burst in 1..6_u32,
        waits in prop::collection::vec((0..10_u64, 0..6_u32), 1..40),
    ) {
        let config = BucketConfig { rate: Rate::from_parts(rate), burst };
        prop_assert_eq!(config.check(), Ok(()));
        let mut bucket = TokenBucket::new(&config);
        // One token's time at this rate is 1; times are in (10^-15 of a call), as the rate is in 10^-6 and time in 10^-9.
        let token = 1_000_000_000_000_000_u128;
        // In each step about as much time passes as a few tokens take.
        let scale = (1_000_000_000_000_000 / rate / 2).max(1);
        let (mut now, mut arrival) = (0_u64, 0_u128);
        for (wait, calls) in waits {
            now += wait * scale + u64::from(calls);
            for _ in 0..calls {
                let time = u128::from(now) * u128::from(rate);
                let expected = arrival.max(time);
                let fits = expected + token <= time + u128::from(burst) * token;
                if fits {
                    arrival = expected + token;
                }
                prop_assert_eq!(bucket.take(at(now)), fits);
            }
        }
    }

    /// Percentiles by sorting everything, again and again.
    #[test]
    fn the_percentile_law_does_what_the_slow_model_does(
        window in 2..20_u32,
        interval in 0..20_u64,
        answers in prop::collection::vec((0..5_u64, 0..60_u64), 1..60),
    ) {
        let config = percentile(1_000, 900, 1_200, window, Span::from_ns(interval));
        let mut limiter = RateLimiter::new(&config);
        let (mut all, mut rate, mut now, mut changed) = (Vec::new(), 1_000_000_000_u64, 0, None);
        for (wait, fives) in answers {
            now += wait;
            let answer = if fives == 59 { Answer::Congested } else { Answer::After(ms(fives * 5)) };
            all.push(if fives == 59 { 200 } else { fives * 5 });
            let mut last: Vec<u64> = all.iter().rev().take(window as usize).copied().collect();
            last.sort_unstable();
            let p95 = last[((0.95 * last.len() as f64 - 1e-9).ceil() as usize).max(1) - 1];
            let mean = last.iter().sum::<u64>() as f64 / last.len() as f64;
            let due = changed.is_none_or(|changed| now - changed >= interval) && 2 * last.len() >= window as usize;
            let wanted = match p95 {
                121.. => (f64::from(rate as u32) * 0.9).round(),
                ..=79 if mean < 100.0 => (f64::from(rate as u32) * 1.05).round(),
                _ => rate as f64,
            };
            if due && wanted != rate as f64 {
                changed = Some(now);
                rate = (wanted as u64).clamp(900_000_000, 1_200_000_000);
            }
            limiter.record(at(now), answer);
            let off = limiter.rate().as_parts().abs_diff(rate);
            prop_assert!(off <= 1, "{} {rate}", limiter.rate());
            // Halves are rounded by doubles as by integers, but for what doubles cannot hold.
            rate = limiter.rate().as_parts();
        }
    }

    /// Every interval again from the list of all answers.
    #[test]
    fn additive_increase_and_gradient_do_what_the_slow_model_does(
        gradient in any::<bool>(),
        answers in prop::collection::vec((0..40_u64, 1..30_u64), 1..60),
    ) {
        let range = RateRange { start: Rate::per_s(100), least: Rate::per_s(20), most: Rate::per_s(130) };
        let interval = Span::from_ns(50);
        let config = if gradient {
            RateConfig::Gradient { range, headroom: Rate::per_s(4), tolerance: share(1, 2), interval }
        } else {
            RateConfig::Aimd { range, target: ms(20), increase: Rate::per_s(7), decrease: share(3, 4), interval }
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut limiter = RateLimiter::new(&config);
        let (mut now, mut begins, mut rate) = (0, None, 100.0_f64);
        let (mut seen, mut shortest): (Vec<Option<f64>>, Option<f64>) = (Vec::new(), None);
        for (wait, latency) in answers {
            now += wait;
            let begun = *begins.get_or_insert(now);
            let mut decide = None;
            if now - begun >= 50 {
                begins = Some(now);
                decide = Some(std::mem::take(&mut seen));
            }
            if let Some(seen) = decide {
                if gradient {
                    let known = seen.iter().flatten().copied().collect::<Vec<f64>>();
                    if let Some(shortest) = shortest && !known.is_empty() {
                        let mean = known.iter().sum::<f64>() / known.len() as f64;
                        rate = rate * (1.5 * shortest / mean).clamp(0.5, 1.0) + 4.0;
                    }
                } else if seen.iter().any(|latency| latency.is_none_or(|latency| latency > 20.0)) {
                    rate *= 0.75;
                } else {
                    rate += 7.0;
                }
                rate = rate.clamp(20.0, 130.0);
            }
            let answer = if latency == 29 {
                // A congested answer is twice what would still do, once that is known.
                seen.push(if gradient { shortest.map(|shortest| 3.0 * shortest) } else { None });
                Answer::Congested
            } else {
                seen.push(Some(latency as f64));
                shortest = Some(shortest.map_or(latency as f64, |shortest| shortest.min(latency as f64)));
                Answer::After(ms(latency))
            };
            limiter.record(at(now), answer);
            let is = limiter.rate().as_parts() as f64 / 1e6;
            prop_assert!((is - rate).abs() < 1e-4, "{is} {rate}");
        }
    }

    #[test]
    fn shedding_follows_its_formula_and_counts_who_is_inside(
        max_load in 1..=100_u64,
        cap in 1..=100_u64,
        steps in prop::collection::vec((any::<bool>(), 0..3_u8), 1..60),
    ) {
        let config = SheddingConfig {
            load: LoadSource::Inside { capacity: 10 },
            max_load: share(max_load, 100),
            cap: share(cap, 100),
            exempt: Some(Priority::Critical),
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut shedder = Shedder::new(&config);
        let mut draws = random(cap);
        let (mut inside, mut dropped) = (0_u64, 0);
        for (enter, priority) in steps {
            if !enter {
                if inside > 0 {
                    shedder.leave();
                    inside -= 1;
                }
                continue;
            }
            let priority = [Priority::Background, Priority::Normal, Priority::Critical][usize::from(priority)];
            let (load, max) = (inside as f64 / 10.0, max_load as f64 / 100.0);
            let p = ((load - max) / max).min(cap as f64 / 100.0).max(0.0);
            let is = config.probability(shedder.load()).as_f64();
            prop_assert!((is - p).abs() < 1e-9, "{is} {p}");
            let taken = shedder.enter(priority, &mut draws);
            prop_assert!(taken || (p > 1e-12 && priority < Priority::Critical));
            prop_assert!(!taken || p < 1.0 - 1e-9 || priority == Priority::Critical);
            inside += u64::from(taken);
            dropped += u64::from(!taken);
        }
        prop_assert_eq!(shedder.shed(), dropped);
        prop_assert_eq!(shedder.load(), Load(inside * 100_000));
    }
}

/// Acceptance case 35.
#[test]
fn case_35_calls_are_dropped_in_proportion_to_the_load_above_the_limit() {
    let config = SheddingConfig {
        load: LoadSource::Reported,
        max_load: share(4, 5),
        cap: share(9, 10),
        exempt: None,
    };
    for (load, percent) in [
        (800_000, 0),
        (1_000_000, 25),
        (1_200_000, 50),
        (1_600_000, 90),
        (2_000_000, 90),
    ] {
        assert_eq!(config.probability(Load(load)), share(percent, 100));
    }
    let mut shedder = Shedder::new(&config);
    shedder.report(Load(1_000_000));
    let mut draws = random(3);
    let taken = (0..10_000)
        .filter(|_| shedder.enter(Priority::Normal, &mut draws))
        .count();
    assert!((7_370..7_630).contains(&taken), "{taken}");
}

#[test]
fn a_change_of_rate_keeps_what_has_come_in() {
    let mut limiter = RateLimiter::new(&percentile(100, 10, 1_000, 2, Span::ZERO));
    while limiter.take(at(0)) {}
    // Half a token at 100 per second, then 90 per second.
    limiter.record(at_ms(5), Answer::Congested);
    assert_eq!(limiter.rate(), Rate::per_s(90));
    let ready: Instant = limiter.ready_at(at_ms(5));
    assert_eq!(ready, at(5_000_000 + 5_555_556));
}
