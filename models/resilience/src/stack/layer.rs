//! The policies of a stack's layers at work.

use crate::breaker::Breaker;
use crate::budget::ErrorBudget;
use crate::bulkhead::Bulkhead;
use crate::config::LayerConfig;
use crate::degradation::Degradation;
use crate::hedge::Hedger;
use crate::latency::LatencyBudget;
use crate::limiter::RateLimiter;
use crate::planted::Planted;
use crate::retry::Retrier;
use crate::shedding::Shedder;
use crate::timeout::Timeout;

/// A layer at work, to be looked at.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A rate limiter.
    Rate(RateLimiter),
    /// Load shedding.
    Shed(Shedder),
    /// A bulkhead.
    Bulkhead(Bulkhead),
    /// A circuit breaker.
    Breaker(Breaker),
    /// Retries.
    Retry(Retrier),
    /// A timeout.
    Timeout(Timeout),
    /// Hedging.
    Hedge(Hedger),
    /// Degradation.
    Degradation(Box<Degradation>),
    /// An error budget.
    ErrorBudget(Box<ErrorBudget>),
    /// A latency budget.
    LatencyBudget(LatencyBudget),
}

impl Layer {
    pub(super) fn new(config: &LayerConfig, planted: Planted) -> Layer {
        match config {
            LayerConfig::Rate(config) => Layer::Rate(RateLimiter::with_planted(config, planted)),
            LayerConfig::Shed(config) => Layer::Shed(Shedder::new(config)),
            LayerConfig::Bulkhead(config) => Layer::Bulkhead(Bulkhead::new(config)),
            LayerConfig::Breaker(config) => Layer::Breaker(Breaker::with_planted(config, planted)),
            LayerConfig::Retry(config) => Layer::Retry(Retrier::new(config)),
            LayerConfig::Timeout(config) => Layer::Timeout(Timeout::new(config)),
            LayerConfig::Hedge(config) => Layer::Hedge(Hedger::new(config)),
            LayerConfig::Degradation(config) => Layer::Degradation(Box::new(Degradation::new(config))),
            LayerConfig::ErrorBudget(config) => Layer::ErrorBudget(Box::new(ErrorBudget::new(config))),
            LayerConfig::LatencyBudget(config) => Layer::LatencyBudget(LatencyBudget::new(config)),
        }
    }
}
