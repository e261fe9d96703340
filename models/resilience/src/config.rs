//! What a stack is made of: its layers in order.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;

use crate::breaker::BreakerConfig;
use crate::budget::ErrorBudgetConfig;
use crate::bulkhead::BulkheadConfig;
use crate::check::{FieldError, Problem};
use crate::degradation::DegradationConfig;
use crate::hedge::{HedgeConfig, HedgeDelay};
use crate::latency::LatencyBudgetConfig;
use crate::limiter::RateConfig;
use crate::retry::RetryConfig;
use crate::shedding::SheddingConfig;
use crate::timeout::TimeoutConfig;

/// The most layers of a stack.
pub const LAYERS_MAX: usize = 32;

/// One layer of a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LayerConfig {
    /// A rate limiter: takes a token or refuses.
    Rate(RateConfig),
    /// Drops calls by chance when there is too much load.
    Shed(SheddingConfig),
    /// So many at once, and so many more that wait.
    Bulkhead(BulkheadConfig),
    /// A circuit breaker.
    Breaker(BreakerConfig),
    /// Begins what is inside it again when it fails.
    Retry(RetryConfig),
    /// Ends what is inside it when it takes too long.
    Timeout(TimeoutConfig),
    /// Begins what is inside it a second time when it takes long, and takes the first answer.
    Hedge(HedgeConfig),
    /// Watches what is inside it, and lets only important calls through in an emergency.
    Degradation(DegradationConfig),
    /// Watches what is inside it. While it is used up, the degradation layers of the stack are at least degraded.
    ErrorBudget(ErrorBudgetConfig),
    /// Watches what is inside it.
    LatencyBudget(LatencyBudgetConfig),
}

/// The kinds of layers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// [`LayerConfig::Rate`].
    Rate,
    /// [`LayerConfig::Shed`].
    Shed,
    /// [`LayerConfig::Bulkhead`].
    Bulkhead,
    /// [`LayerConfig::Breaker`].
    Breaker,
    /// [`LayerConfig::Retry`].
    Retry,
    /// [`LayerConfig::Timeout`].
    Timeout,
    /// [`LayerConfig::Hedge`].
    Hedge,
    /// [`LayerConfig::Degradation`].
    Degradation,
    /// [`LayerConfig::ErrorBudget`].
    ErrorBudget,
    /// [`LayerConfig::LatencyBudget`].
    LatencyBudget,
}

impl Policy {
    /// Its name in messages, such as "retry".
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Rate => "rate",
            Policy::Shed => "shed",
            Policy::Bulkhead => "bulkhead",
            Policy::Breaker => "breaker",
            Policy::Retry => "retry",
            Policy::Timeout => "timeout",
            Policy::Hedge => "hedge",
            Policy::Degradation => "degradation",
            Policy::ErrorBudget => "error_budget",
            Policy::LatencyBudget => "latency_budget",
        }
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The layers of a stack, outermost first. Any order is allowed, and a kind may occur several times.
///
/// What a layer sees is what is inside it: a breaker inside a retry counts every attempt, one outside it counts the whole
/// call; a timeout outside a retry limits all attempts and the waits between them, one inside it each attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
    /// Outermost first; up to 32.
    pub layers: Vec<LayerConfig>,
}

/// Why a stack was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// More than [`LAYERS_MAX`].
    #[error("{0} layers: a stack has at most {LAYERS_MAX}")]
    TooManyLayers(usize),
    /// A field of a layer.
    #[error("layer {layer} ({policy}), {error}")]
    Field {
        /// Which layer, from 0.
        layer: usize,
        /// Its kind.
        policy: Policy,
        /// Which field, and what is wrong with it.
        error: FieldError,
    },
}

impl LayerConfig {
    /// Its kind.
    pub const fn policy(&self) -> Policy {
        match self {
            LayerConfig::Rate(_) => Policy::Rate,
            LayerConfig::Shed(_) => Policy::Shed,
            LayerConfig::Bulkhead(_) => Policy::Bulkhead,
            LayerConfig::Breaker(_) => Policy::Breaker,
            LayerConfig::Retry(_) => Policy::Retry,
            LayerConfig::Timeout(_) => Policy::Timeout,
            LayerConfig::Hedge(_) => Policy::Hedge,
            LayerConfig::Degradation(_) => Policy::Degradation,
            LayerConfig::ErrorBudget(_) => Policy::ErrorBudget,
            LayerConfig::LatencyBudget(_) => Policy::LatencyBudget,
        }
    }

    /// # Errors
    /// What the layer's own configuration refuses.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        match self {
            LayerConfig::Rate(config) => config.check(),
            LayerConfig::Shed(config) => config.check(),
            LayerConfig::Bulkhead(config) => config.check(),
            LayerConfig::Breaker(config) => config.check(),
            LayerConfig::Retry(config) => config.check(),
            LayerConfig::Timeout(config) => config.check(),
            LayerConfig::Hedge(config) => config.check(),
            LayerConfig::Degradation(config) => config.check(),
            LayerConfig::ErrorBudget(config) => config.check(),
            LayerConfig::LatencyBudget(config) => config.check(),
        }
    }

    /// What is never to happen because something further outside takes at most `limit`.
    fn outlasts(&self, limit: Span) -> Option<(&'static str, String)> {
        let (field, time, what) = match self {
            LayerConfig::Retry(retry) => ("retries", retry.longest_total(), "the waits between attempts"),
            LayerConfig::Timeout(TimeoutConfig::Fixed(after)) => ("after", *after, "this timeout"),
            LayerConfig::Bulkhead(bulkhead) => ("wait", bulkhead.wait?, "the wait for a permit"),
            LayerConfig::Hedge(hedge) => match hedge.delay {
                HedgeDelay::Fixed(after) => ("delay", after, "the delay of a hedge"),
                HedgeDelay::Percentile { .. } => return None,
            },
            _ => return None,
        };
        let text = || format!("{what} of up to {time} would outlast the timeout of {limit} outside");
        (time >= limit).then(|| (field, text()))
    }
}

impl StackConfig {
    /// Whether every layer can do what it is there for.
    ///
    /// # Errors
    /// All mistakes: what the layers refuse, and what contradicts an outer timeout – retries whose waits, jitter
    /// included, add up to it or more, and what could never come about before it: inner timeouts, longest waits for a permit
    /// and delays of hedges that are as long or longer.
    pub fn check(&self) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        if self.layers.len() > LAYERS_MAX {
            errors.push(ConfigError::TooManyLayers(self.layers.len()));
        }
        let mut limit = None;
        for (layer, config) in self.layers.iter().enumerate() {
            let policy = config.policy();
            let mut refuse = |error| {
                errors.push(ConfigError::Field { layer, policy, error });
            };
            if let Err(errors) = config.check() {
                errors.into_iter().for_each(&mut refuse);
                continue;
            }
            if let Some((field, text)) = limit.and_then(|limit| config.outlasts(limit)) {
                let problem = Problem::Contradiction(text);
                refuse(FieldError { field, problem });
            }
            if let LayerConfig::Timeout(timeout) = config {
                let longest = timeout.longest();
                limit = Some(limit.map_or(longest, |limit: Span| limit.min(longest)));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}
