//! Quantiles: between values in proportion, by nearest rank, and with intervals that assume no distribution.

use longhaul_core::time::Span;

use crate::distribution::binomial_cdf;
use crate::error::{StatisticsError, check};
use crate::interval::{Interval, Level, Method};

/// Values that must lie beyond a quantile before it means anything.
const LEAST_BEYOND: f64 = 10.0;

/// The `q`-quantile, `q` in [0, 1], of values in rising order, between two of them in proportion (type 7 of
/// Hyndman and Fan, 1996). `None` of no values.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * q;
    // Truncation: the place is not negative.
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    if share == 0.0 {
        // Without this an infinite neighbour would make it not a number.
        return Some(sorted[below]);
    }
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

/// The `q`-quantile of values in any order.
pub fn quantile_of(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(&values, q)
}

/// Completion times in seconds in rising order, those of unfinished runs infinite.
pub fn sorted_seconds(times: impl IntoIterator<Item = Option<Span>>) -> Vec<f64> {
    let mut seconds: Vec<f64> = times
        .into_iter()
        .map(|time| time.map_or(f64::INFINITY, Span::as_s_f64))
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// Where the nearest-rank quantile of `n` values in rising order stands, from 0: the ⌈qn⌉-th smallest, with `q` in
/// per cent. `None` of no values.
pub fn nearest_rank(n: usize, percent: usize) -> Option<usize> {
    let last = n.checked_sub(1)?;
    Some((percent * n).div_ceil(100).saturating_sub(1).min(last))
}

/// The interval of the `q`-quantile between two order statistics, by the binomial distribution alone, with the
/// nearest-rank quantile as its estimate.
///
/// It covers for every continuous distribution at every n, and is the narrowest in ranks that errs by at most
/// half of alpha at either end, so that it covers somewhat more often than it claims: [`covered`] says how often.
///
/// # Errors
/// Too few values: where even the smallest or the largest of them is not beyond the quantile with this confidence
/// (for 95 %: below 6 for a median, below 368 for a 99th percentile). `q` outside (0, 1), or a number that is none.
pub fn quantile_interval(values: &[f64], q: f64, level: Level) -> Result<Interval, StatisticsError> {
    let method = Method::OrderStatistics;
    check(method.name(), values, 1)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = ranks(sorted.len(), q, level)?;
    // ⌈qn⌉, but for the rounding of a product that is whole.
    let rank = libm::ceil(q * sorted.len() as f64 - 1e-9).max(1.0) as usize;
    let ends = (sorted[low - 1], sorted[high - 1]);
    Interval::new(sorted[rank - 1], ends, level, sorted.len(), method)
}

/// How often [`quantile_interval`] of `n` values covers the quantile of a continuous distribution.
///
/// # Errors
/// As there.
pub fn covered(n: usize, q: f64, level: Level) -> Result<f64, StatisticsError> {
    let (low, high) = ranks(n, q, level)?;
    Ok(binomial_cdf(high as u64 - 1, n as u64, q) - binomial_cdf(low as u64 - 1, n as u64, q))
}

/// Ranks, from 1, of the ends. The number of values below the quantile is binomial; the `low`-th smallest exceeds it
/// if fewer than `low` are below, and the `high`-th falls short of it if at least `high` are.
fn ranks(n: usize, q: f64, level: Level) -> Result<(usize, usize), StatisticsError> {
    if !(q > 0.0 && q < 1.0) {
        return Err(StatisticsError::OutOfRange {
            name: "a quantile's share",
            value: q,
            range: "(0, 1)",
        });
    }
    let half = level.alpha() / 2.0;
    let below = |k: usize| binomial_cdf(k as u64, n as u64, q);
    // The first rank in 1..=n + 1 at which the lower tail exceeds what is allowed, by halving.
    let low = first(n + 1, |rank| below(rank - 1) > half) - 1;
    let high = first(n + 1, |rank| rank <= n && 1.0 - below(rank - 1) <= half);
    if low == 0 || high > n {
        let least = libm::ceil(libm::log(half) / libm::log(q.max(1.0 - q)));
        return Err(StatisticsError::TooFew {
            method: Method::OrderStatistics.name(),
            n,
            least: (least as usize).max(n + 1),
        });
    }
    Ok((low, high))
}

/// The first of 1..=`most` at which a condition that stays true holds, or `most`.
fn first(most: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Values without which the `q`-quantile should not be shown: ten must be expected beyond it, on the thinner side.
pub fn least_values(q: f64) -> usize {
    let thin = q.min(1.0 - q);
    // Truncation saturates: a minimum or maximum is never supported.
    libm::ceil(LEAST_BEYOND / thin.max(0.0) - 1e-6) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values_in_proportion() {
        let values = [1.0, 2.0, 4.0, 8.0];
        for (q, value) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.75, 5.0), (1.0, 8.0)] {
            assert_eq!(quantile(&values, q), Some(value));
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
    }

    #[test]
    fn an_unfinished_run_stands_after_all_others() {
        let times = sorted_seconds([None, Some(Span::from_s(2)), Some(Span::from_s(1))]);
        assert_eq!(times, [1.0, 2.0, f64::INFINITY]);
        assert_eq!(quantile(&times, 0.5), Some(2.0));
        assert_eq!(quantile(&times, 1.0), Some(f64::INFINITY));
        assert_eq!(quantile(&times, 0.6), Some(f64::INFINITY));
        assert_eq!(quantile(&[f64::INFINITY; 3], 0.5), Some(f64::INFINITY));
    }

    #[test]
    fn ranks_of_quantiles_are_those_of_the_binomial_table() {
        // David & Nagaraja (2003), section 7.1; Conover (1999), table A3: for a median of 10 the 2nd and 9th cover
        // 97.85 %, of 20 the 6th and 15th cover 95.86 %.
        assert_eq!(ranks(10, 0.5, Level::P95), Ok((2, 9)));
        assert_eq!(ranks(20, 0.5, Level::P95), Ok((6, 15)));
        assert!((covered(20, 0.5, Level::P95).unwrap() - 0.958_610_534_7).abs() < 1e-9);
        assert!((covered(10, 0.5, Level::P95).unwrap() - 0.978_515_625).abs() < 1e-12);
    }

    #[test]
    fn too_few_values_say_how_many_are_needed_and_those_are_enough() {
        for (q, least) in [(0.5, 6), (0.99, 368), (0.01, 368), (0.9, 36)] {
            let error = ranks(least - 1, q, Level::P95).unwrap_err();
            let expected = StatisticsError::TooFew {
                method: "order statistics",
                n: least - 1,
                least,
            };
            assert_eq!(error, expected);
            assert!(ranks(least, q, Level::P95).is_ok(), "{q}");
        }
        for q in [0.0, 1.0, f64::NAN] {
            assert!(matches!(
                quantile_interval(&[1.0; 50], q, Level::P95),
                Err(StatisticsError::OutOfRange { .. })
            ));
        }
    }

    #[test]
    fn nearest_ranks() {
        assert_eq!(nearest_rank(100, 95), Some(94));
        assert_eq!(nearest_rank(1, 50), Some(0));
        assert_eq!(nearest_rank(3, 0), Some(0));
        assert_eq!(nearest_rank(3, 200), Some(2));
        assert_eq!(nearest_rank(0, 50), None);
        assert_eq!(
            (least_values(0.99), least_values(0.5), least_values(0.9)),
            (1000, 20, 100)
        );
        assert_eq!(least_values(1.0), usize::MAX);
    }
}
