//! Points at which to run a model, in the unit cube: random, stratified, and of low discrepancy.
//!
//! A point has one coordinate in [0, 1) for each factor; what a coordinate means is the caller's affair.

use longhaul_core::random::Stream;

use crate::error::StatisticsError;

/// Numbers that a design may hold.
pub const MOST_NUMBERS: usize = 10_000_000;
/// Bases of Halton's sequence. In more dimensions neighbouring ones walk in step for thousands of points.
const BASES: [u32; 10] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29];

/// A Latin hypercube of `n` points (McKay, Beckman & Conover, Technometrics 21 (1979) 239): in each coordinate exactly
/// one point falls into each n-th of [0, 1), at random within it.
///
/// # Errors
/// No points, no factors, or more than [`MOST_NUMBERS`] numbers.
pub fn latin_hypercube(
    n: usize,
    factors: usize,
    stream: &mut Stream,
) -> Result<Vec<Vec<f64>>, StatisticsError> {
    check_size("a Latin hypercube", n, factors)?;
    let mut points = vec![vec![0.0; factors]; n];
    let mut strata: Vec<usize> = (0..n).collect();
    for factor in 0..factors {
        shuffle(&mut strata, stream);
        for (point, &stratum) in points.iter_mut().zip(&strata) {
            point[factor] = inside((stratum as f64 + stream.unit()) / n as f64, stratum, n);
        }
    }
    Ok(points)
}

/// The division may round up to the next stratum.
fn inside(value: f64, stratum: usize, n: usize) -> f64 {
    let end = (stratum as f64 + 1.0) / n as f64;
    if value < end {
        value
    } else {
        stratum as f64 / n as f64
    }
}

/// The first `n` points of Halton's sequence (Numer. Math. 2 (1960) 84), shifted modulo 1 by a random vector (Cranley &
/// Patterson, 1976), so that means over them are unbiased. More points of the same stream continue the same sequence.
///
/// # Errors
/// No points, no factors or more than ten, or more than [`MOST_NUMBERS`] numbers.
pub fn halton(n: usize, factors: usize, stream: &mut Stream) -> Result<Vec<Vec<f64>>, StatisticsError> {
    const METHOD: &str = "Halton's sequence";
    check_size(METHOD, n, factors)?;
    let Some(bases) = BASES.get(..factors) else {
        return Err(StatisticsError::TooMany {
            method: "the factors of Halton's sequence",
            n: factors,
            most: BASES.len(),
        });
    };
    let shifts: Vec<f64> = bases.iter().map(|_| stream.unit()).collect();
    let coordinate = |index: usize, (&base, shift): (&u32, &f64)| {
        let sum = radical_inverse(index, base) + shift;
        if sum < 1.0 { sum } else { sum - 1.0 }
    };
    Ok((1..=n)
        .map(|index| {
            bases
                .iter()
                .zip(&shifts)
                .map(|pair| coordinate(index, pair))
                .collect()
        })
        .collect())
}

/// The digits of a number, mirrored at the point.
fn radical_inverse(mut index: usize, base: u32) -> f64 {
    let mut value = 0.0;
    let mut weight = 1.0 / f64::from(base);
    while index > 0 {
        value += (index % base as usize) as f64 * weight;
        weight /= f64::from(base);
        index /= base as usize;
    }
    value
}

/// Puts a list into random order (Fisher & Yates; Knuth, The Art of Computer Programming, volume 2, algorithm P).
pub(crate) fn shuffle<T>(list: &mut [T], stream: &mut Stream) {
    for last in (1..list.len()).rev() {
        // Truncation: below the length.
        list.swap(last, stream.below(last as u64 + 1) as usize);
    }
}

pub(crate) fn check_size(method: &'static str, points: usize, factors: usize) -> Result<(), StatisticsError> {
    let numbers = points.saturating_mul(factors);
    if numbers == 0 {
        return Err(StatisticsError::TooFew {
            method,
            n: 0,
            least: 1,
        });
    }
    if numbers > MOST_NUMBERS {
        return Err(StatisticsError::TooMany {
            method,
            n: numbers,
            most: MOST_NUMBERS,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    #[test]
    fn digits_are_mirrored() {
        assert_eq!(
            (1..=4).map(|i| radical_inverse(i, 2)).collect::<Vec<_>>(),
            [0.5, 0.25, 0.75, 0.125]
        );
        assert!((radical_inverse(5, 3) - (2.0 / 3.0 + 1.0 / 9.0)).abs() < 1e-15);
    }

    #[test]
    fn a_design_belongs_to_its_stream_and_extends() {
        let stream = || Streams::new(1, 0).stream("design", "test");
        let few = halton(10, 3, &mut stream()).unwrap();
        let more = halton(20, 3, &mut stream()).unwrap();
        assert_eq!(few[..], more[..10]);
        assert_eq!(
            latin_hypercube(5, 2, &mut stream()),
            latin_hypercube(5, 2, &mut stream())
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let mut stream = Streams::new(1, 0).stream("design", "test");
        for (n, factors) in [(0, 1), (1, 0), (usize::MAX, 2), (10_000_001, 1)] {
            assert!(latin_hypercube(n, factors, &mut stream).is_err());
            assert!(halton(n, factors, &mut stream).is_err());
        }
        assert!(halton(5, 11, &mut stream).is_err());
    }
}
