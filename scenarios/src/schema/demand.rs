//! Demands: what regions send each other in the mean, and how it is spread over the network.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

/// Traffic of many from one region to another, known by its mean rate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Where it starts.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Mean rate, headers included.
    pub rate: BitRate,
}

impl Demand {
    /// `from->to`, as links are named: no two demands have the same ends.
    pub fn name(&self) -> String {
        format!("{}->{}", self.from, self.to)
    }
}

/// Who spreads the demands over the links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Engineering {
    /// How.
    pub method: Method,
    /// How long after a link has failed or come back the demands are spread anew. Routers take `reroute_after`.
    pub reaction: Span,
}

/// How demands are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// As routers route, in equal parts over routes that are equally good if they share flows.
    Routed,
    /// So that the highest utilisation of a link is as low as it can be, over all paths: a linear program.
    LeastUtilisation,
    /// On chosen paths, so that what is granted arrives whatever links fail, up to so many at once.
    Survive {
        /// Links, each with both directions.
        failures: usize,
        /// Paths of each pair at most.
        paths: usize,
    },
}
