//! Balanced routes: the least sum of weighted attributes of the whole path.
//!
//! A score is a count of points, in millionths and in integers. Latency and cost add up over a path. Loss does
//! not, but its logarithm does: a path loses 1 − Π(1 − pᵢ), which is 1 − e^−Σ for Σ = Σ −ln(1 − pᵢ), so Σ orders paths
//! as their loss does. Load counts by its price per link: u/(1 − u), which is what a queue makes of it, or
//! u itself. The width of the tightest link does not add up at all; routes are sought for every width that
//! could pay, which is exact and takes at most one search per distinct width.

use longhaul_core::units::{BitRate, Probability};

use crate::spf::{Distance, Spf, descend};
use crate::topology::{LinkId, MAX_WEIGHT, RegionId, Topology, UNUSABLE};

/// How the utilisation u of a link is priced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Congestion {
    /// u/(1 − u): the mean number of packets in an M/M/1 queue. Of a full link, as if one part in 10^6 were free.
    Convex,
    /// u: the same for the first percent as for the last.
    Linear,
}

/// What the attributes of a path weigh, in millionths of a point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Weights {
    /// Per millisecond of latency.
    pub latency_per_ms: u32,
    /// Per unit of cost.
    pub cost: u32,
    /// Per unit of the price of congestion, summed over the links.
    pub congestion: u32,
    /// What that price is.
    pub price: Congestion,
    /// Per percent of loss (per 0.01 of −ln(1 − loss)).
    pub loss_per_percent: u32,
    /// For a path whose tightest link has 1 Gbit/s left; twice as much for half of that, and so on.
    pub width_at_gbit: u32,
}

impl Weights {
    /// Latency alone.
    pub const LATENCY: Weights = Weights {
        latency_per_ms: 1_000_000,
        cost: 0,
        congestion: 0,
        price: Congestion::Convex,
        loss_per_percent: 0,
        width_at_gbit: 0,
    };

    /// What a link adds to the score of a path, at most [`MAX_WEIGHT`]. [`UNUSABLE`] for a link that is.
    pub fn link(&self, topology: &Topology, link: LinkId) -> u64 {
        if !topology.usable(link) {
            return UNUSABLE;
        }
        let state = topology.state(link);
        let latency = share(self.latency_per_ms, state.latency.as_ns(), 1_000_000);
        let cost = u128::from(self.cost) * u128::from(state.cost);
        let used = state.utilisation.as_parts();
        let congestion = match self.price {
            Congestion::Linear => share(self.congestion, used, Probability::PARTS),
            Congestion::Convex => {
                let free = (Probability::PARTS - used).max(Probability::PARTS / 1_000_000);
                share(self.congestion, used, free)
            }
        };
        let loss = share(self.loss_per_percent, attenuation(state.loss), 10_000_000_000);
        let sum = latency + cost + congestion + loss;
        u64::try_from(sum).map_or(MAX_WEIGHT, |sum| sum.min(MAX_WEIGHT))
    }

    /// What a path adds for the residual rate of its tightest link.
    pub fn width(&self, width: BitRate) -> u64 {
        let price = share(self.width_at_gbit, 1_000_000_000, width.as_bits_per_s().max(1));
        u64::try_from(price).map_or(MAX_WEIGHT, |price| price.min(MAX_WEIGHT))
    }

    /// The score of a path, in millionths of a point; 0 for one without links.
    pub fn score(&self, topology: &Topology, links: &[LinkId]) -> u64 {
        let additive: u64 = links
            .iter()
            .map(|&link| self.link(topology, link).min(MAX_WEIGHT))
            .sum();
        let width = links.iter().map(|&link| topology.state(link).residual()).min();
        additive + width.map_or(0, |width| self.width(width))
    }
}

/// What every link adds, for the present version of the topology and the last weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    of: Option<(u64, Weights)>,
    by_link: Vec<u64>,
}

impl Prices {
    pub(crate) fn of(&mut self, topology: &Topology, weights: &Weights) -> &[u64] {
        let now = Some((topology.version(), *weights));
        if self.of != now {
            self.by_link.clear();
            let prices = topology.links().map(|link| weights.link(topology, link));
            self.by_link.extend(prices);
            self.of = now;
        }
        &self.by_link
    }
}

/// `weight` × `amount` / `unit`, rounded down.
fn share(weight: u32, amount: u64, unit: u64) -> u128 {
    u128::from(weight) * u128::from(amount) / u128::from(unit)
}

/// −ln(1 − p) in parts of 10^12, at most 100.
fn attenuation(loss: Probability) -> u64 {
    if loss == Probability::ZERO {
        return 0;
    }
    // `libm` computes the same bits everywhere.
    let nepers = -libm::log1p(-loss.as_f64());
    (nepers.min(100.0) * 1e12) as u64
}

/// The best path by score, then hops, then names.
pub(crate) fn route(
    topology: &Topology,
    weights: &Weights,
    prices: &[u64],
    from: RegionId,
    to: RegionId,
    spf: &mut Spf,
) -> Option<Vec<LinkId>> {
    if from == to || weights.width_at_gbit == 0 {
        let distances = spf.run_until(topology, prices, to, from);
        return descend(topology, prices, distances, from, to);
    }
    let mut prices = prices.to_vec();
    // The best path over links of at least some width, for rising widths: what it costs to be so wide rises,
    // what width costs falls. It may be wider than asked for, and the next search asks for more than it has.
    let mut best: Option<(u64, Distance, Vec<LinkId>)> = None;
    loop {
        let distances = spf.run_until(topology, &prices, to, from);
        let distance = distances[from.index()];
        let Some(links) = descend(topology, &prices, distances, from, to) else {
            break;
        };
        let residual = |link: &LinkId| topology.state(*link).residual();
        let width = links.iter().map(residual).min().expect("a link");
        let score = distance.weight() + weights.width(width);
        let known = best.as_ref();
        let better = known.is_none_or(|(known, known_distance, known_links)| {
            (score, distance.hops()) < (*known, known_distance.hops())
                || ((score, distance.hops()) == (*known, known_distance.hops())
                    && crate::order::names(topology, &links) < crate::order::names(topology, known_links))
        });
        if better {
            best = Some((score, distance, links));
        }
        // No path is cheaper than this one; if even the widest price cannot make up for it, stop.
        if best
            .as_ref()
            .is_some_and(|(known, _, _)| distance.weight() > *known)
        {
            break;
        }
        for link in topology.links().filter(|link| residual(link) <= width) {
            prices[link.index()] = UNUSABLE;
        }
    }
    best.map(|(_, _, links)| links)
}
