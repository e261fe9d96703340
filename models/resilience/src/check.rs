//! Why a configuration is refused, and the few questions that most fields are asked.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

/// The longest time that a policy may be given: a year. Longer ones are typing errors.
pub const SPAN_MAX: Span = Span::from_s(365 * 86_400);
/// The largest count that a policy may be given. Windows and queues of this length are kept in memory.
pub const COUNT_MAX: u32 = 1_000_000;

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// Zero, where nothing would ever happen.
    #[error("must be above zero")]
    Zero,
    /// Larger than anything sensible.
    #[error("{value} is more than {most}")]
    TooLarge {
        /// The value.
        value: String,
        /// The largest one allowed.
        most: String,
    },
    /// Smaller than the field allows.
    #[error("{value} is less than {least}")]
    TooSmall {
        /// The value.
        value: String,
        /// The smallest one allowed.
        least: String,
    },
    /// Two fields contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// A field that was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field's name, with a dot before that of a field inside it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Check {
    pub errors: Vec<FieldError>,
}

impl Check {
    pub fn fail(&mut self, field: &'static str, problem: Problem) {
        self.errors.push(FieldError { field, problem });
    }

    pub fn contradiction(&mut self, field: &'static str, what: impl Into<String>) {
        self.fail(field, Problem::Contradiction(what.into()));
    }

    /// A count from 1 to `most`.
    pub fn count(&mut self, field: &'static str, value: u32, most: u32) {
        if value == 0 {
            self.fail(field, Problem::Zero);
        }
        self.at_most(field, value, most);
    }

    /// A count from 0 to `most`.
    pub fn at_most(&mut self, field: &'static str, value: u32, most: u32) {
        if value > most {
            let (value, most) = (value.to_string(), most.to_string());
            self.fail(field, Problem::TooLarge { value, most });
        }
    }

    /// A time above zero and of at most a year.
    pub fn span(&mut self, field: &'static str, value: Span) {
        if value == Span::ZERO {
            self.fail(field, Problem::Zero);
        }
        self.span_or_zero(field, value);
    }

    /// A time of at most a year.
    pub fn span_or_zero(&mut self, field: &'static str, value: Span) {
        if value > SPAN_MAX {
            let (value, most) = (value.to_string(), SPAN_MAX.to_string());
            self.fail(field, Problem::TooLarge { value, most });
        }
    }

    /// A probability above zero.
    pub fn positive(&mut self, field: &'static str, value: Probability) {
        if value == Probability::ZERO {
            self.fail(field, Problem::Zero);
        }
    }

    /// A probability strictly between zero and one.
    pub fn inside(&mut self, field: &'static str, value: Probability) {
        self.positive(field, value);
        if value == Probability::ONE {
            let (value, most) = ("100%".to_owned(), "just below 100%".to_owned());
            self.fail(field, Problem::TooLarge { value, most });
        }
    }

    /// A rate above zero and at most [`Rate::MAX`].
    pub fn rate(&mut self, field: &'static str, value: Rate) {
        if value == Rate(0) {
            self.fail(field, Problem::Zero);
        }
        if value > Rate::MAX {
            let (value, most) = (value.to_string(), Rate::MAX.to_string());
            self.fail(field, Problem::TooLarge { value, most });
        }
    }

    pub fn done(self) -> Result<(), Vec<FieldError>> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }
}

/// A rate of calls, in millionths of a call per second, so that a rate changed in steps of a tenth stays exact for a
/// while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(u64);

impl Rate {
    /// Parts of one call per second.
    pub const PARTS: u64 = 1_000_000;
    /// The highest rate that a policy may be given: 10^9 calls per second.
    pub const MAX: Rate = Rate(1_000_000_000 * Rate::PARTS);

    /// `calls` calls per second.
    ///
    /// # Panics
    /// Above 1.8 × 10^13.
    pub const fn per_s(calls: u64) -> Rate {
        Rate(calls * Rate::PARTS)
    }

    /// `parts` millionths of a call per second.
    pub const fn from_parts(parts: u64) -> Rate {
        Rate(parts)
    }

    /// Millionths of a call per second.
    #[inline]
    pub const fn as_parts(self) -> u64 {
        self.0
    }

    /// Whole calls per second, rounded down.
    pub const fn whole(self) -> u64 {
        self.0 / Rate::PARTS
    }

    /// `self × numerator / denominator`, rounded to the nearest part, at most [`Rate::MAX`].
    pub(crate) fn scaled(self, numerator: u64, denominator: u64) -> Rate {
        let denominator = u128::from(denominator);
        let parts = (u128::from(self.0) * u128::from(numerator) + denominator / 2) / denominator;
        Rate(u64::try_from(parts).map_or(Rate::MAX.0, |parts| parts.min(Rate::MAX.0)))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let (whole, parts) = (self.0 / Rate::PARTS, self.0 % Rate::PARTS);
        if parts == 0 {
            write!(f, "{whole}/s")
        } else {
            let text = format!("{whole}.{parts:06}");
            write!(f, "{}/s", text.trim_end_matches('0'))
        }
    }
}
