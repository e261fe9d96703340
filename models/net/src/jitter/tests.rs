//! Every jitter law against its moments and quantiles.

use longhaul_core::random::Streams;

use super::*;

const DRAWS: u32 = 200_000;

/// Mean and standard deviation in microseconds of many draws.
fn moments(law: Jitter) -> (f64, f64) {
    let mut process = JitterProcess::new(law, Streams::new(5, 0).stream("a->b", "jitter"));
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..DRAWS {
        let us = process.draw().as_ns() as f64 / 1e3;
        sum += us;
        squares += us * us;
    }
    let mean = sum / f64::from(DRAWS);
    (mean, (squares / f64::from(DRAWS) - mean * mean).sqrt())
}

#[test]
fn normal_jitter_far_from_zero_has_its_moments() {
    let (mean, sd) = moments(Jitter::Normal {
        mean: Span::from_ms(10),
        sd: Span::from_ms(1),
    });
    assert!((mean - 10_000.0).abs() < 10.0, "{mean}");
    assert!((sd - 1_000.0).abs() < 8.0, "{sd}");
}

#[test]
fn normal_jitter_is_cut_at_zero() {
    // A normal law of mean 0 with its negative half at zero: mean σ/√(2π), variance σ²(1/2 − 1/(2π)).
    let (mean, sd) = moments(Jitter::Normal {
        mean: Span::ZERO,
        sd: Span::from_ms(1),
    });
    assert!((mean - 398.94).abs() < 6.0, "{mean}");
    assert!((sd - 583.8).abs() < 6.0, "{sd}");
}

#[test]
fn uniform_jitter_has_its_moments_and_its_ends() {
    let (mean, sd) = moments(Jitter::Uniform {
        max: Span::from_ms(12),
    });
    assert!((mean - 6_000.0).abs() < 36.0, "{mean}");
    assert!((sd - 12_000.0 / 12f64.sqrt()).abs() < 30.0, "{sd}");

    let mut two = JitterProcess::new(
        Jitter::Uniform {
            max: Span::from_ns(1),
        },
        Streams::new(5, 0).stream("a->b", "jitter"),
    );
    let ones = (0..1_000).filter(|_| two.draw() == Span::from_ns(1)).count();
    assert!((430..570).contains(&ones), "{ones}");
}

#[test]
fn extreme_laws_stay_in_range() {
    let longest = Span::MAX;
    for law in [
        Jitter::Normal {
            mean: longest,
            sd: longest,
        },
        Jitter::Normal {
            mean: Span::ZERO,
            sd: longest,
        },
        Jitter::Uniform { max: longest },
    ] {
        let (mean, sd) = moments(law.clone());
        assert!(mean.is_finite() && sd > 0.0, "{law:?}");
    }
}

#[test]
fn the_normal_table_is_the_one_of_iproute2() {
    let table = Table::normal();
    let first = [-32768, -28307, -26871, -25967, -25298, -24765, -24320, -23937];
    assert_eq!((table.entries().len(), &table.entries()[..8]), (4096, &first[..]));
}
