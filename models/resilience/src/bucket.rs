//! The token bucket, exact: tokens are counted in parts of 10^-15, which is what a millionth of a call per second brings in
//! a nanosecond, so that no remainder is ever lost. It decides as the generic cell rate algorithm does (ITU-T I.371)
//! with exact arithmetic.

use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::check::{COUNT_MAX, Check, FieldError, Rate};
use crate::planted::Planted;

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

/// Parts of a token.
const TOKEN: u128 = 1_000_000_000 * Rate::PARTS as u128;

/// A token bucket.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: Rate,
    most: u128,
    level: u128,
    at: Instant,
    planted: Planted,
}

impl TokenBucket {
    /// A full bucket. The configuration should have passed its check.
    pub fn new(config: &BucketConfig) -> TokenBucket {
        TokenBucket::with_planted(config, Planted::Nothing)
    }

    /// With a bug, for tests.
    #[doc(hidden)]
    pub fn with_planted(config: &BucketConfig, planted: Planted) -> TokenBucket {
        let most = u128::from(config.burst) * TOKEN;
        TokenBucket {
            rate: config.rate,
            most,
            level: most,
            at: Instant::ZERO,
            planted,
        }
    }

    #[inline]
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_since(self.at).as_ns();
        if passed == 0 {
            return;
        }
        let mut came = u128::from(passed) * u128::from(self.rate.as_parts());
        if self.planted == Planted::LostRemainders {
            came -= came % TOKEN;
            if came == 0 {
                return;
            }
        }
        self.at = now;
        self.level = (self.level + came).min(self.most);
    }

    /// Takes a token if there is one.
    #[inline]
    pub fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let there = self.level >= TOKEN;
        if there {
            self.level -= TOKEN;
        }
        there
    }

    /// Whole tokens at hand.
    pub fn tokens(&mut self, now: Instant) -> u32 {
        self.refill(now);
        (self.level / TOKEN) as u32
    }

    /// When the next token is there if none is taken before: `now` if there is one already.
    pub fn ready_at(&mut self, now: Instant) -> Instant {
        self.refill(now);
        let missing = TOKEN.saturating_sub(self.level);
        let Some(wait) = missing.checked_add(u128::from(self.rate.as_parts()).saturating_sub(1)) else {
            return Instant::MAX;
        };
        let wait = wait.checked_div(u128::from(self.rate.as_parts()));
        match wait.and_then(|wait| u64::try_from(wait).ok()) {
            Some(wait) if missing > 0 => now.saturating_add(longhaul_core::time::Span::from_ns(wait)),
            Some(_) => now,
            None => Instant::MAX,
        }
    }

    /// Empties it.
    pub fn drain(&mut self, now: Instant) {
        self.refill(now);
        self.level = 0;
    }

    /// Changes the rate and the burst from now on. What is above the new burst is lost.
    pub fn set(&mut self, now: Instant, config: &BucketConfig) {
        self.refill(now);
        self.rate = config.rate;
        self.most = u128::from(config.burst) * TOKEN;
        self.level = self.level.min(self.most);
    }
}
