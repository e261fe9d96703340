//! What a route is, and by what routes are compared.

use std::cmp::Reverse;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use thiserror::Error;

use crate::balanced::Weights;
use crate::topology::{LinkId, RegionId, Topology};

/// What makes one route better than another. Ties are broken by fewer hops, then by the names of the regions on
/// the way, compared one by one, then by the names of parallel links.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Objective {
    /// Least sum of latencies.
    Latency,
    /// Least sum of costs.
    Cost,
    /// Greatest residual rate of the tightest link; of those the least latency ("shortest widest").
    Widest,
    /// Least sum of weighted attributes.
    Balanced(Weights),
}

/// How good a route is by an objective: less is better. Values of different objectives do not compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Value {
    /// Nanoseconds, units of cost or millionths of a point.
    Least(u64),
    /// Residual bit/s of the tightest link, then nanoseconds.
    Widest(Reverse<u64>, u64),
}

impl Value {
    /// Whether this is better than `other` by at least `margin` of what `other` is.
    ///
    /// # Panics
    /// If they are of different objectives.
    pub fn improves(self, other: Value, margin: Probability) -> bool {
        let (parts, whole) = (u128::from(margin.as_parts()), u128::from(Probability::PARTS));
        let less =
            |new: u64, old: u64| new < old && u128::from(new) * whole <= u128::from(old) * (whole - parts);
        match (self, other) {
            (Value::Least(new), Value::Least(old)) => less(new, old),
            (Value::Widest(Reverse(new), new_ns), Value::Widest(Reverse(old), old_ns)) => {
                let wider = new > old && u128::from(new) * whole >= u128::from(old) * (whole + parts);
                // A detour that is only a little wider does not pay; an equally wide route that is shorter does.
                wider || (new >= old && less(new_ns, old_ns))
            }
            _ => panic!("values of different objectives"),
        }
    }
}

/// A way from one region to another with what it amounts to in the state for which it was computed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Where it starts.
    pub from: RegionId,
    /// Where it ends.
    pub to: RegionId,
    /// The links in the order in which they are crossed; empty from a region to itself.
    pub links: Vec<LinkId>,
    /// Sum of the latencies.
    pub latency: Span,
    /// Sum of the costs.
    pub cost: u64,
    /// Residual rate of the tightest link; the highest rate there is for a route without links.
    pub width: BitRate,
    /// Probability that a packet is lost on one of the links, if they lose independently.
    pub loss: Probability,
}

impl Route {
    /// The route over these links, with their present state.
    ///
    /// # Panics
    /// If the links do not lead from `from` to `to` one after the other.
    pub fn new(topology: &Topology, from: RegionId, to: RegionId, links: Vec<LinkId>) -> Route {
        let (mut latency, mut cost) = (0, 0);
        let mut width = BitRate::from_bits_per_s(u64::MAX);
        let mut kept = Probability::PARTS;
        let mut here = from;
        for &link in &links {
            assert_eq!(topology.link(link).from, here, "a link that starts elsewhere");
            here = topology.link(link).to;
            let state = topology.state(link);
            latency += state.latency.as_ns();
            cost += state.cost;
            width = width.min(state.residual());
            let passes = Probability::PARTS - state.loss.as_parts();
            if passes != Probability::PARTS {
                let product = u128::from(kept) * u128::from(passes);
                kept = (product / u128::from(Probability::PARTS)) as u64;
            }
        }
        assert_eq!(here, to, "a route that ends elsewhere");
        Route {
            from,
            to,
            links,
            latency: Span::from_ns(latency),
            cost,
            width,
            loss: Probability::from_parts(Probability::PARTS - kept).expect("a part of one"),
        }
    }

    /// The number of links.
    pub fn hops(&self) -> usize {
        self.links.len()
    }

    /// The region after `from`; `None` from a region to itself.
    pub fn next_hop(&self, topology: &Topology) -> Option<RegionId> {
        self.links.first().map(|&link| topology.link(link).to)
    }

    /// The regions on the way, both ends included.
    pub fn regions(&self, topology: &Topology) -> Vec<RegionId> {
        let ends = self.links.iter().map(|&link| topology.link(link).to);
        std::iter::once(self.from).chain(ends).collect()
    }

    /// Whether every link and region on the way works.
    pub fn usable(&self, topology: &Topology) -> bool {
        topology.region_up(self.from) && self.links.iter().all(|&link| topology.usable(link))
    }

    /// How good the route is now.
    pub fn value(&self, topology: &Topology, objective: &Objective) -> Value {
        let now = || Route::new(topology, self.from, self.to, self.links.clone());
        match objective {
            Objective::Latency => Value::Least(now().latency.as_ns()),
            Objective::Cost => Value::Least(now().cost),
            Objective::Widest => {
                let now = now();
                Value::Widest(Reverse(now.width.as_bits_per_s()), now.latency.as_ns())
            }
            Objective::Balanced(weights) => Value::Least(weights.score(topology, &self.links)),
        }
    }
}

/// Why there is no route.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RouteError {
    /// No sequence of usable links leads from one to the other.
    #[error("no path leads from \"{from}\" to \"{to}\"")]
    NoPath {
        /// Where the route should start.
        from: String,
        /// Where it should end.
        to: String,
    },
    /// One of the ends is down.
    #[error("region \"{0}\" is down")]
    RegionDown(String),
}
