//! How often intervals of independent values cover the truth.

use longhaul_core::random::Stream;
use longhaul_statistics::components::TwoWay;
use longhaul_statistics::deviation::deviation_interval;
use longhaul_statistics::equivalence::{Equivalence, tost_paired};
use longhaul_statistics::{
    KaplanMeier, Level, Lifetime, Morris, Next, Precision, Proportion, Sequential, Sobol, TwoLevel,
    bootstrap, compare, mean, quantile,
};

use crate::laws::{Law, covers, share};

const P95: Level = Level::P95;
const TRIALS: u32 = 4_000;

#[test]
fn t_intervals_of_means() {
    for (law, n) in [
        (Law::Normal, 2),
        (Law::Normal, 10),
        (Law::Exponential, 200),
        (Law::Lognormal, 100),
    ] {
        covers(&format!("t of {law:?}, n = {n}"), TRIALS, |stream| {
            mean::t_interval(&law.draw(n, stream), P95)
                .unwrap()
                .contains(law.mean())
        });
    }
    // What its documentation warns of.
    let few = share("t of few exponential values", TRIALS, |stream| {
        let values = Law::Exponential.draw(10, stream);
        mean::t_interval(&values, P95).unwrap().contains(1.0)
    });
    assert!((0.88..0.92).contains(&few), "{few}");
}

#[test]
fn welch_intervals_of_unequal_sets() {
    covers("Welch", TRIALS, |stream| {
        let left: Vec<f64> = (0..8).map(|_| 5.0 + 4.0 * stream.normal()).collect();
        let right: Vec<f64> = (0..20).map(|_| 2.0 + stream.normal()).collect();
        mean::welch_interval(&left, &right, P95).unwrap().contains(3.0)
    });
}

#[test]
fn percentile_bootstrap_of_means() {
    for (law, n) in [(Law::Normal, 100), (Law::Exponential, 200), (Law::Lognormal, 200)] {
        covers(
            &format!("percentile bootstrap of {law:?}, n = {n}"),
            TRIALS / 2,
            |stream| {
                let values = law.draw(n, stream);
                let found = bootstrap::percentile(&values, bootstrap::mean, P95, 800, stream);
                found.unwrap().contains(law.mean())
            },
        );
    }
}

#[test]
fn bca_bootstrap_of_means() {
    for (law, n) in [(Law::Normal, 100), (Law::Exponential, 200), (Law::Lognormal, 200)] {
        covers(
            &format!("BCa bootstrap of {law:?}, n = {n}"),
            TRIALS / 2,
            |stream| {
                let values = law.draw(n, stream);
                let found = bootstrap::bca(&values, bootstrap::mean, P95, 800, stream);
                found.unwrap().contains(law.mean())
            },
        );
    }
}

#[test]
fn studentised_bootstrap_of_means() {
    for (law, n) in [(Law::Normal, 30), (Law::Exponential, 30), (Law::Lognormal, 30)] {
        covers(
            &format!("studentised bootstrap of {law:?}, n = {n}"),
            TRIALS,
            |stream| {
                let values = law.draw(n, stream);
                let found = bootstrap::studentised(&values, P95, 800, stream);
                found.unwrap().contains(law.mean())
            },
        );
    }
}

#[test]
fn intervals_of_quantiles_cover_as_often_as_they_say() {
    for law in [Law::Normal, Law::Exponential, Law::Lognormal] {
        covers(&format!("median of {law:?}, n = 121"), TRIALS, |stream| {
            let values = law.draw(121, stream);
            quantile::quantile_interval(&values, 0.5, P95)
                .unwrap()
                .contains(law.median())
        });
        let truth = quantile::covered(15, 0.5, P95).unwrap();
        let found = share("median of few", TRIALS, |stream| {
            let values = law.draw(15, stream);
            quantile::quantile_interval(&values, 0.5, P95)
                .unwrap()
                .contains(law.median())
        });
        assert!((found - truth).abs() < 0.01, "{found} for {truth}");
    }
    // The 99th percentile of exponential values is ln 100.
    covers("99th percentile, n = 2000", TRIALS / 2, |stream| {
        let values = Law::Exponential.draw(2000, stream);
        let found = quantile::quantile_interval(&values, 0.99, P95).unwrap();
        found.contains(libm::log(100.0))
    });
}

#[test]
fn intervals_of_proportions() {
    for (p, n) in [(0.3, 200), (0.5, 150), (0.05, 400)] {
        covers(&format!("Wilson of {p}, n = {n}"), TRIALS, |stream| {
            let events = Law::Bernoulli(p).draw(n, stream).iter().sum::<f64>() as usize;
            Proportion::new(events, n)
                .unwrap()
                .wilson(P95)
                .unwrap()
                .contains(p)
        });
    }
}

/// The chance that the interval of each possible number of events contains p, by the binomial distribution: no draw.
fn exact_coverage(n: usize, p: f64, interval: impl Fn(Proportion) -> (f64, f64)) -> f64 {
    let mut probability = libm::pow(1.0 - p, n as f64);
    let mut covered = 0.0;
    for events in 0..=n {
        let (low, high) = interval(Proportion::new(events, n).unwrap());
        if low <= p && p <= high {
            covered += probability;
        }
        probability *= (n - events) as f64 / (events as f64 + 1.0) * p / (1.0 - p);
    }
    covered
}

#[test]
fn wilson_covers_the_level_on_average_and_clopper_pearson_always() {
    let ends = |found: longhaul_statistics::Interval| (found.low, found.high);
    let probabilities: Vec<f64> = (1..100).map(|i| f64::from(i) / 100.0).collect();
    for n in [20, 50, 100] {
        let wilson: Vec<f64> = probabilities
            .iter()
            .map(|&p| exact_coverage(n, p, |proportion| ends(proportion.wilson(P95).unwrap())))
            .collect();
        let average = wilson.iter().sum::<f64>() / wilson.len() as f64;
        assert!((0.945..=0.96).contains(&average), "n = {n}: {average}");
        for &p in &probabilities {
            let exact = exact_coverage(n, p, |proportion| ends(proportion.exact(P95).unwrap()));
            assert!(exact >= 0.95 - 1e-12, "n = {n}, p = {p}: {exact}");
        }
    }
    // The bound of no event, where no event is what is seen in five cases of a hundred.
    let p = Proportion::new(0, 60).unwrap().bound_of_none(P95).unwrap().high;
    assert!((libm::pow(1.0 - p, 60.0) - 0.05).abs() < 1e-12);
}

#[test]
fn differences_of_paired_proportions() {
    // Both, left only, right only, neither.
    for (shares, n) in [
        ([0.3, 0.2, 0.1, 0.4], 50),
        ([0.6, 0.15, 0.05, 0.2], 100),
        ([0.2, 0.2, 0.2, 0.4], 200),
    ] {
        let [both, left, right, _] = shares;
        covers(
            &format!("paired proportions {shares:?}, n = {n}"),
            TRIALS,
            |stream| {
                let mut counts = compare::PairedProportions::default();
                for _ in 0..n {
                    let drawn = stream.unit();
                    let cell = if drawn < both {
                        &mut counts.both
                    } else if drawn < both + left {
                        &mut counts.left_only
                    } else if drawn < both + left + right {
                        &mut counts.right_only
                    } else {
                        &mut counts.neither
                    };
                    *cell += 1;
                }
                counts.difference(P95).unwrap().contains(left - right)
            },
        );
    }
}

#[test]
fn sequential_replication_of_yes_and_no() {
    let precision = Precision {
        relative_half_width: 0.1,
        ..Precision::default()
    };
    covers("sequential Wilson", TRIALS / 2, |stream| {
        let mut sequential = Sequential::of_proportion(precision).unwrap();
        let mut events = 0;
        while let Next::NeedMore(more) = sequential.next().unwrap() {
            for value in Law::Bernoulli(0.4).draw(more, stream) {
                sequential.add(&[value]).unwrap();
                events += usize::from(value == 1.0);
            }
        }
        let found = Proportion::new(events, sequential.n())
            .unwrap()
            .wilson(P95)
            .unwrap();
        assert!(found.half_width() <= 0.1);
        found.contains(0.4)
    });
}

#[test]
fn paired_differences_and_the_gain_of_pairing() {
    let mut factors = Vec::new();
    covers("paired", TRIALS, |stream| {
        // Correlation 0.9, so the variance falls by 1 / (1 − 0.9) = 10.
        let shared: Vec<f64> = (0..20).map(|_| stream.normal()).collect();
        let mut side = |mean: f64| -> Vec<f64> {
            let own = f64::sqrt(1.0 - 0.9);
            shared
                .iter()
                .map(|s| mean + f64::sqrt(0.9) * s + own * stream.normal())
                .collect()
        };
        let (left, right) = (side(3.0), side(2.5));
        let paired = compare::paired(&left, &right, P95).unwrap();
        factors.push(paired.variance_reduction.unwrap());
        paired.difference.contains(0.5)
    });
    factors.sort_by(f64::total_cmp);
    let median = factors[factors.len() / 2];
    assert!((8.5..11.5).contains(&median), "{median}");
}

#[test]
fn a_family_of_true_hypotheses_is_rejected_in_one_of_twenty() {
    covers("family of ten without a false alarm", TRIALS, |stream| {
        let p: Vec<f64> = (0..10).map(|_| stream.unit()).collect();
        compare::holm(&p).unwrap().iter().all(|p| *p > 0.05)
    });
    covers("simultaneous intervals of five", TRIALS, |stream| {
        (0..5).all(|_| {
            let values = Law::Normal.draw(10, stream);
            mean::t_interval(&values, P95.of_each(5)).unwrap().contains(10.0)
        })
    });
}

#[test]
fn at_the_margin_sets_are_called_equal_in_one_of_twenty_and_inside_almost_always() {
    let called_equal = |name: &str, difference: f64| {
        share(name, TRIALS, |stream| {
            let right = Law::Normal.draw(20, stream);
            let left: Vec<f64> = right.iter().map(|x| x + difference + stream.normal()).collect();
            let tost = tost_paired(&left, &right, 1.0, 0.05).unwrap();
            assert_eq!(tost.verdict == Equivalence::Equal, tost.p.unwrap() <= 0.05);
            tost.verdict == Equivalence::Equal
        })
    };
    let at_the_margin = called_equal("TOST at the margin", 1.0);
    assert!((0.037..=0.063).contains(&at_the_margin), "{at_the_margin}");
    let inside = called_equal("TOST inside", 0.0);
    assert!(inside > 0.95, "{inside}");
}

#[test]
fn shares_and_medians_of_censored_times() {
    // Exponential with mean 1, watched for a uniform time up to 2.82: a third is not seen to finish.
    let draw = |n: usize, stream: &mut longhaul_core::random::Stream| -> Vec<Lifetime> {
        (0..n)
            .map(|_| {
                let (time, watched) = (stream.exponential(1.0), 2.82 * stream.unit());
                if time <= watched {
                    Lifetime::Finished(time)
                } else {
                    Lifetime::Unfinished(watched)
                }
            })
            .collect()
    };
    for (n, time) in [(50, 0.5), (100, 0.3), (100, 1.0)] {
        covers(&format!("Kaplan–Meier at {time}, n = {n}"), TRIALS, |stream| {
            let estimate = KaplanMeier::of(&draw(n, stream), P95).unwrap();
            let (low, high) = estimate.at(time).unwrap().interval.unwrap();
            let truth = libm::exp(-time);
            low <= truth && truth <= high
        });
    }
    for n in [50, 200] {
        covers(&format!("median of Kaplan–Meier, n = {n}"), TRIALS, |stream| {
            let median = KaplanMeier::of(&draw(n, stream), P95).unwrap().median();
            let truth = std::f64::consts::LN_2;
            median.low.is_some_and(|low| low <= truth) && median.high.is_none_or(|high| truth <= high)
        });
    }
}

#[test]
fn effects_of_a_factorial_design_under_common_random_numbers() {
    let design = TwoLevel::new(3).unwrap();
    let points = design.points();
    covers("2^3 interaction", TRIALS, |stream| {
        let mut responses = vec![Vec::new(); points.len()];
        for _ in 0..5 {
            let shared = 10.0 * stream.normal();
            for (point, responses) in points.iter().zip(&mut responses) {
                let on = |factor: usize| f64::from(u8::from(point[factor]));
                let model = 2.0 * on(0) - on(1) + 3.0 * on(0) * on(2);
                responses.push(model + shared + stream.normal());
            }
        }
        let effects = design.effects(&responses, P95).unwrap();
        let interaction = effects.iter().find(|effect| effect.factors == [0, 2]).unwrap();
        // The effect of 0 is 2 without and 5 with factor 2: half the change.
        interaction.effect.contains(1.5)
    });
}

#[test]
fn elementary_effects() {
    // |∂f/∂x₀| = 2 + 4 x₁ over a grid of four levels: mean 4.
    covers("Morris μ*", TRIALS, |stream| {
        let design = Morris::new(2, 4, 20, stream).unwrap();
        let outputs: Vec<f64> = design
            .points()
            .iter()
            .map(|x| (2.0 + 4.0 * x[1]) * x[0])
            .collect();
        design.effects(&outputs, P95).unwrap()[0].mu_star.contains(4.0)
    });
}

#[test]
fn sobol_indices() {
    // f = x₀ + 2 x₁ + 2 x₀ x₁ over the unit square, expanded around the means: 2 z₀ + 3 z₁ + 2 z₀ z₁ with variances 4/12,
    // 9/12 and 4/144.
    let total = 4.0 / 12.0 + 9.0 / 12.0 + 4.0 / 144.0;
    let (first, with_interaction) = (4.0 / 12.0 / total, (4.0 / 12.0 + 4.0 / 144.0) / total);
    let mut covered = 0;
    covers("total index of Sobol", TRIALS, |stream| {
        let design = Sobol::new(2, 200, stream).unwrap();
        let model = |x: &Vec<f64>| x[0] + 2.0 * x[1] + 2.0 * x[0] * x[1];
        let outputs: Vec<f64> = design.points().iter().map(model).collect();
        let indices = design.indices(&outputs, P95, 400, stream).unwrap()[0];
        covered += u32::from(indices.first_order.contains(first));
        indices.total.contains(with_interaction)
    });
    let covered = f64::from(covered) / f64::from(TRIALS);
    println!("first-order index of Sobol: {:.2} %", 100.0 * covered);
    assert!((0.935..=0.965).contains(&covered), "first order covers {covered}");
}

#[test]
fn a_mean_after_stopping_at_a_precision() {
    let mut most = 0;
    covers("sequential", TRIALS, |stream| {
        let mut sequential = Sequential::new(Precision::default(), 1).unwrap();
        let mut values = Vec::new();
        while let Next::NeedMore(more) = sequential.next().unwrap() {
            for value in Law::Normal.draw(more, stream) {
                sequential.add(&[value]).unwrap();
                values.push(value);
            }
        }
        most = most.max(values.len());
        let found = mean::t_interval(&values, P95).unwrap();
        assert!(found.relative_half_width().unwrap() <= 0.05 + 1e-9 && found.n >= 15);
        found.contains(10.0)
    });
    // 1.96 · 0.3 / 0.05 squared is 138.
    assert!((150..400).contains(&most), "{most}");
}

#[test]
fn intervals_of_deviations() {
    for n in [10, 30] {
        covers(
            &format!("deviation of normal values, n = {n}"),
            TRIALS,
            |stream| {
                let values = Law::Normal.draw(n, stream);
                deviation_interval(&values, P95).unwrap().contains(3.0)
            },
        );
        covers(
            &format!("deviation of uniform values, n = {n}"),
            TRIALS,
            |stream| {
                let values: Vec<f64> = (0..n).map(|_| stream.unit()).collect();
                deviation_interval(&values, P95)
                    .unwrap()
                    .contains((1.0_f64 / 12.0).sqrt())
            },
        );
    }
    covers("deviation of exponential values, n = 400", TRIALS, |stream| {
        let values = Law::Exponential.draw(400, stream);
        deviation_interval(&values, P95).unwrap().contains(1.0)
    });
}

/// Values of ten samples of each of two sources, whose effects alone and together have these standard deviations.
fn layout(deviations: [f64; 3], stream: &mut Stream) -> Vec<f64> {
    let mut effects =
        |n: usize, deviation: f64| -> Vec<f64> { (0..n).map(|_| deviation * stream.normal()).collect() };
    let (first, second) = (effects(10, deviations[0]), effects(10, deviations[1]));
    let together = effects(100, deviations[2]);
    let values = together.iter().enumerate();
    values
        .map(|(place, both)| 7.0 + first[place / 10] + second[place % 10] + both)
        .collect()
}

#[test]
fn means_and_components_of_two_sources() {
    for deviations in [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [2.0, 1.0, 4.0]] {
        let found = |stream: &mut Stream| TwoWay::of(&layout(deviations, stream), 10, 10, P95).unwrap();
        covers(&format!("mean of {deviations:?}"), TRIALS, |stream| {
            found(stream).mean.contains(7.0)
        });
        covers(&format!("first of {deviations:?}"), TRIALS, |stream| {
            found(stream).first.deviation.contains(deviations[0])
        });
        covers(&format!("second of {deviations:?}"), TRIALS, |stream| {
            found(stream).second.deviation.contains(deviations[1])
        });
        covers(&format!("together of {deviations:?}"), TRIALS, |stream| {
            found(stream).together.deviation.contains(deviations[2])
        });
    }
    // As replications by themselves, which they are not, they miss the mean more often than not.
    let wrong = share("t of crossed values", TRIALS, |stream| {
        let values = layout([3.0, 2.0, 1.0], stream);
        mean::t_interval(&values, P95).unwrap().contains(7.0)
    });
    assert!(wrong < 0.5, "{wrong}");
}
