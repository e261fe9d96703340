//! Statistics in one place: what may be said about numbers that chance had a hand in.
//!
//! Every result carries its n, its level and the name of its method, so that no number stands without them. Values are
//! independent replications, never packets pooled over a run. Bad input (nothing, one value where two are needed, NaN,
//! infinity) is an error; what never varies has a defined answer; NaN is never passed on. Random draws come from
//! a stream that the caller names, and all arithmetic is `libm`'s, so results are the same bytes everywhere.
//!
//! | question | method |
//! | --- | --- |
//! | What does a set look like? | [`Summary`], [`Ecdf`] |
//! | The mean of replications? | [`mean::t_interval`]; skewed and few: [`bootstrap::studentised`], [`bootstrap::bca`] |
//! | The spread of replications? | [`deviation::deviation_interval`] |
//! | Which source of chance makes them vary? | [`TwoWay`](components::TwoWay), of all combinations of two |
//! | A quantile? | [`quantile::quantile_interval`] |
//! | A share, or no event at all? | [`Proportion::interval`], [`Proportion::exact`] |
//! | How many replications? | [`Sequential`] |
//! | Where does the warm-up end? | [`SteadyState::mser5`] |
//! | The mean of one long run? | [`SteadyState::batch_means`] |
//! | Is A better than B? | [`compare::paired`] under common random numbers; yes or no: [`compare::PairedProportions`]; of many: [`compare::holm`] |
//! | Are A and B equal? | [`equivalence::tost_paired`], [`equivalence::median_difference`] |
//! | How long, if some did not finish? | [`KaplanMeier`] |
//! | Which factors matter? | [`Morris`] to screen many, [`TwoLevel`] for interactions, [`Sobol`] for shares |
//! | Where to run? | [`design::latin_hypercube`], [`design::halton`] |
//! | Does it drift? | [`trend::trend`] |
//!
//! `tests/` draws from laws with known truth and counts how often intervals of 95 % cover it: between 93.5 and 96.5 %,
//! from the n on that each method's documentation names.

pub mod bootstrap;
pub mod compare;
pub mod components;
pub mod design;
pub mod deviation;
pub mod distribution;
pub mod equivalence;
mod error;
mod factorial;
mod interval;
pub mod mean;
mod morris;
mod proportion;
pub mod quantile;
pub mod resample;
mod sequential;
mod sobol;
mod special;
pub mod steady;
mod summary;
mod survival;
pub mod trend;

pub use error::StatisticsError;
pub use factorial::{Effect, MOST_FACTORS, TwoLevel};
pub use interval::{Interval, Level, Method};
pub use morris::{ElementaryEffect, Morris};
pub use proportion::Proportion;
pub use sequential::{Next, Precision, Sequential};
pub use sobol::{Indices, LEAST_ROWS, Sobol};
pub use steady::{BatchMeans, Horizon, SteadyState, Truncation};
pub use summary::{Ecdf, Summary};
pub use survival::{KaplanMeier, Lifetime, LifetimeQuantile, Step};
