//! The token bucket.

use serde::{Deserialize, Serialize};

use crate::check::{COUNT_MAX, Check, FieldError, Rate};

/// How a token bucket works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// How fast tokens come in; above zero, at most 10^9 per second.
    pub rate: Rate,
    /// How many tokens it holds; it starts full. 1 to 10^6.
    pub burst: u32,
}

impl BucketConfig {
    /// # Errors
    /// A rate or burst of zero or beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.rate("rate", self.rate);
        check.count("burst", self.burst, COUNT_MAX);
        check.done()
    }
}
