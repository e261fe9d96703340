//! Stacks for the operations of a distributed service: send, receive, sync and consensus.
//!
//! The constants are those with which these operations are usually configured. Three things differ, since stacks with the
//! usual values contradict themselves or say nothing:
//!
//! - **Consensus retries four times, not five.** Five waits of 500 ms that double take 15.5 s, and the call is ended after
//!   10 s, so that the last retry could never help anybody. Four take 7.5 s, with jitter 8.25 s at most.
//! - **The timeout of an attempt begins at the time of the call divided by the number of attempts** (7.5 s for send and
//!   receive, 1.6 s for sync, 2 s for consensus), not at 30 s: an attempt that hangs must leave time for another one. It
//!   follows the latencies from there ([`TimeoutConfig::History`]).
//! - **Breakers have three permits while half-open** beside the three successes that they need, and stay open for up to a
//!   tenth longer.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::breaker::BreakerConfig;
use crate::budget::ErrorBudgetConfig;
use crate::bulkhead::BulkheadConfig;
use crate::check::Rate;
use crate::config::{LayerConfig, Policy, StackConfig};
use crate::degradation::DegradationConfig;
use crate::hedge::{HedgeConfig, HedgeDelay};
use crate::latency::LatencyBudgetConfig;
use crate::limiter::{RateConfig, RateRange};
use crate::retry::RetryConfig;
use crate::shedding::{LoadSource, SheddingConfig};
use crate::timeout::TimeoutConfig;
use crate::{Priority, share};

/// Rate limit, bulkhead, breaker, the time of the call, retries, the time of an attempt: the breaker sees whole calls.
pub const ORIGINAL_ORDER: &[Policy] = &[
    Policy::Rate,
    Policy::Bulkhead,
    Policy::Breaker,
    Policy::Timeout,
    Policy::Retry,
    Policy::Timeout,
];

/// The same with the breaker inside the retries: it sees every attempt, and stops the retries of calls under way as well.
pub const BREAKER_INSIDE_ORDER: &[Policy] = &[
    Policy::Rate,
    Policy::Bulkhead,
    Policy::Timeout,
    Policy::Retry,
    Policy::Breaker,
    Policy::Timeout,
];

/// An operation with defaults of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Sending data.
    Send,
    /// Receiving data.
    Receive,
    /// Synchronising state.
    Sync,
    /// Agreeing.
    Consensus,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 4] = [
        Operation::Send,
        Operation::Receive,
        Operation::Sync,
        Operation::Consensus,
    ];

    /// 1000 calls per second at first, between 100 and 10,000, so that the 95th percentile of the last 100 latencies is
    /// about 100 ms. Used by send and receive; sync and consensus are not limited.
    pub const fn rate(self) -> RateConfig {
        RateConfig::Percentile {
            range: RateRange {
                start: Rate::per_s(1_000),
                least: Rate::per_s(100),
                most: Rate::per_s(10_000),
            },
            target: Span::from_ms(100),
            window: 100,
            interval: Span::ZERO,
        }
    }

    /// 100 at once, 200 waiting for at most 5 s; for sync 50, 100 and 10 s, for consensus 20, 50 and 15 s – of which the call's
    /// time is no part in the original order, since the bulkhead stands outside it.
    pub const fn bulkhead(self) -> BulkheadConfig {
        match self {
            Operation::Send | Operation::Receive => BulkheadConfig::queued(100, 200, Span::from_s(5)),
            Operation::Sync => BulkheadConfig::queued(50, 100, Span::from_s(10)),
            Operation::Consensus => BulkheadConfig::queued(20, 50, Span::from_s(15)),
        }
    }

    /// Five failures in a row, open for 60 s; for sync and consensus three and 30 s.
    pub const fn breaker(self) -> BreakerConfig {
        match self {
            Operation::Send | Operation::Receive => BreakerConfig::consecutive(5, Span::from_s(60)),
            Operation::Sync | Operation::Consensus => BreakerConfig::consecutive(3, Span::from_s(30)),
        }
    }

    /// The time of a call with all its attempts: 30 s, for sync and consensus 10 s.
    pub const fn time(self) -> Span {
        match self {
            Operation::Send | Operation::Receive => Span::from_s(30),
            Operation::Sync | Operation::Consensus => Span::from_s(10),
        }
    }

    /// Three retries after 100 ms and more, at most 5 s; for sync five, 200 ms and 10 s; for consensus four, 500 ms and 30 s.
    pub const fn retry(self) -> RetryConfig {
        match self {
            Operation::Send | Operation::Receive => {
                RetryConfig::exponential(3, Span::from_ms(100), Span::from_s(5))
            }
            Operation::Sync => RetryConfig::exponential(5, Span::from_ms(200), Span::from_s(10)),
            Operation::Consensus => RetryConfig::exponential(4, Span::from_ms(500), Span::from_s(30)),
        }
    }

    /// What an attempt takes at most, to begin with.
    pub const fn attempt_time(self) -> TimeoutConfig {
        TimeoutConfig::history(match self {
            Operation::Send | Operation::Receive => Span::from_ms(7_500),
            Operation::Sync => Span::from_ms(1_600),
            Operation::Consensus => Span::from_ms(2_000),
        })
    }

    /// 99.9 % for send and receive, 99.5 % for sync and consensus, over an hour.
    pub const fn error_budget(self) -> ErrorBudgetConfig {
        ErrorBudgetConfig::hourly(match self {
            Operation::Send | Operation::Receive => share(999, 1_000),
            Operation::Sync | Operation::Consensus => share(995, 1_000),
        })
    }

    /// A 95th percentile of 100 ms for send and receive, 500 ms for sync, 1 s for consensus.
    pub const fn latency_budget(self) -> LatencyBudgetConfig {
        LatencyBudgetConfig::of(match self {
            Operation::Send | Operation::Receive => Span::from_ms(100),
            Operation::Sync => Span::from_ms(500),
            Operation::Consensus => Span::from_s(1),
        })
    }

    /// From a load of 0.8 on, calls inside for each permit of the bulkhead and each place of its queue; critical ones never.
    pub const fn shedding(self) -> SheddingConfig {
        let bulkhead = self.bulkhead();
        SheddingConfig {
            load: LoadSource::Inside {
                capacity: bulkhead.permits + bulkhead.queue,
            },
            max_load: share(4, 5),
            cap: share(9, 10),
            exempt: Some(Priority::Critical),
        }
    }

    /// From an error rate above 1 % or a 95th percentile above the latency budget on; back at nine tenths after 10 s.
    pub const fn degradation(self) -> DegradationConfig {
        DegradationConfig {
            error_rate: share(1, 100),
            latency: self.latency_budget().p95,
            window: 1_000,
            minimum: 20,
            margin: crate::TENTH,
            hold: Span::from_s(10),
            emergency_admits: Priority::Critical,
            emergency_probe: Span::from_s(1),
        }
    }

    /// One hedge after the 95th percentile of the last 100 latencies, and after the latency budget until these are known.
    pub const fn hedge(self) -> HedgeConfig {
        HedgeConfig {
            delay: HedgeDelay::Percentile {
                percentile: share(95, 100),
                window: 100,
                until_then: self.latency_budget().p95,
            },
            hedges: 1,
            non_idempotent: false,
            budget: None,
        }
    }

    /// The layers in [`ORIGINAL_ORDER`].
    pub fn stack(self) -> StackConfig {
        self.stack_in(ORIGINAL_ORDER)
    }

    /// The layers in this order. The first timeout is that of the call, each other one that of an attempt. Sync and consensus
    /// have no rate limit, wherever it stands.
    pub fn stack_in(self, order: &[Policy]) -> StackConfig {
        let mut time = Some(self.time());
        let unlimited = matches!(self, Operation::Sync | Operation::Consensus);
        let layers = order
            .iter()
            .filter(|policy| !(unlimited && **policy == Policy::Rate))
            .map(|policy| match policy {
                Policy::Rate => LayerConfig::Rate(self.rate()),
                Policy::Shed => LayerConfig::Shed(self.shedding()),
                Policy::Bulkhead => LayerConfig::Bulkhead(self.bulkhead()),
                Policy::Breaker => LayerConfig::Breaker(self.breaker()),
                Policy::Retry => LayerConfig::Retry(self.retry()),
                Policy::Timeout => {
                    LayerConfig::Timeout(time.take().map_or(self.attempt_time(), TimeoutConfig::Fixed))
                }
                Policy::Hedge => LayerConfig::Hedge(self.hedge()),
                Policy::Degradation => LayerConfig::Degradation(self.degradation()),
                Policy::ErrorBudget => LayerConfig::ErrorBudget(self.error_budget()),
                Policy::LatencyBudget => LayerConfig::LatencyBudget(self.latency_budget()),
            })
            .collect();
        StackConfig { layers }
    }
}

/// The objective for a whole system of such operations.
pub const SYSTEM_OBJECTIVE: Probability = share(999, 1_000);
