//! What keeps a method from giving an answer.

use thiserror::Error;

/// Why there is no answer. No method passes NaN on: bad input ends here.
#[derive(Clone, Copy, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// Fewer values than the method needs.
    #[error("{method} needs at least {least} values, and there are {n}")]
    TooFew {
        /// The method.
        method: &'static str,
        /// Values given.
        n: usize,
        /// Values needed.
        least: usize,
    },
    /// More values than the method can take in reasonable time or memory.
    #[error("{method} takes at most {most} values, and there are {n}")]
    TooMany {
        /// The method.
        method: &'static str,
        /// Values given.
        n: usize,
        /// Values allowed.
        most: usize,
    },
    /// A value is NaN or infinite.
    #[error("value number {index} is not a finite number")]
    NotFinite {
        /// Its place, from 0.
        index: usize,
    },
    /// The values are finite, but their sum, product or statistic is not.
    #[error("{method} leaves the range of numbers with these values")]
    Overflow {
        /// The method.
        method: &'static str,
    },
    /// A parameter lies outside its range.
    #[error("{name} is {value}, which is outside {range}")]
    OutOfRange {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// Two sets that belong together differ in size.
    #[error("{left} values on one side and {right} on the other, which belong together one by one")]
    DifferentLengths {
        /// Values on the left, or values expected.
        left: usize,
        /// Values on the right, or values given.
        right: usize,
    },
    /// Nothing varies, or so little that the method has no answer.
    #[error("{method} has no answer: {why}")]
    Degenerate {
        /// The method.
        method: &'static str,
        /// What is wrong, in words.
        why: &'static str,
    },
    /// A horizon that ends by itself has no warm-up to delete.
    #[error("the horizon is terminating: there is no warm-up to delete and no steady state to estimate")]
    Terminating,
    /// The warm-up takes more than half of the run.
    #[error("the warm-up takes more than half of the {n} observations: the run is too short")]
    WarmUpTooLong {
        /// Observations of the run.
        n: usize,
    },
    /// Batches of the longest possible length are still correlated.
    #[error("batch means of {n} observations are correlated (lag 1: {lag1:.3}): the run is too short")]
    Correlated {
        /// Observations of the run.
        n: usize,
        /// The estimated correlation of neighbouring batches.
        lag1: f64,
    },
}

/// Refuses sets that are too small, and numbers that are none.
pub(crate) fn check(method: &'static str, values: &[f64], least: usize) -> Result<(), StatisticsError> {
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(StatisticsError::NotFinite { index });
    }
    if values.len() < least {
        return Err(StatisticsError::TooFew {
            method,
            n: values.len(),
            least,
        });
    }
    Ok(())
}

/// Refuses sets of different sizes.
pub(crate) fn same_length(left: usize, right: usize) -> Result<(), StatisticsError> {
    if left == right {
        Ok(())
    } else {
        Err(StatisticsError::DifferentLengths { left, right })
    }
}

/// A result that must be a number.
pub(crate) fn finite(method: &'static str, value: f64) -> Result<f64, StatisticsError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(StatisticsError::Overflow { method })
    }
}
