//! Bounds from link prices. Any prices give a valid bound by duality; good prices give a tight one. Prices are turned into
//! integers, so that shortest paths over them are exact.

use longhaul_routing::{Demands, Distance, Spf, Topology, UNUSABLE};

/// Highest price as an integer.
const TOP: f64 = (1u64 << 40) as f64;

/// Prices as integer weights, and what one unit of price is.
pub(crate) fn weights(topology: &Topology, prices: &[f64], weights: &mut Vec<u64>) -> f64 {
    let highest = prices.iter().copied().fold(0.0, f64::max);
    let scale = if highest > 0.0 { TOP / highest } else { 1.0 };
    weights.clear();
    weights.extend(topology.links().map(|link| {
        // Rounding down keeps the bounds valid.
        let open = capacity(topology, link) > 0.0;
        if open {
            (prices[link.index()].max(0.0) * scale) as u64
        } else {
            UNUSABLE
        }
    }));
    scale
}

/// The capacity of a link in bit/s, 0 if it cannot be used.
pub(crate) fn capacity(topology: &Topology, link: longhaul_routing::LinkId) -> f64 {
    let rate = topology.state(link).capacity.as_bits_per_s();
    if topology.usable(link) { rate as f64 } else { 0.0 }
}

/// What the whole capacity is worth.
fn worth(topology: &Topology, prices: &[f64]) -> f64 {
    let links = topology.links();
    links
        .map(|link| capacity(topology, link) * prices[link.index()].max(0.0))
        .sum()
}

/// No way of routing the demands has a highest utilisation below this: the cost of the cheapest paths over what the
/// capacity is worth.
pub(crate) fn utilisation(topology: &Topology, demands: &Demands, prices: &[f64]) -> f64 {
    let worth = worth(topology, prices);
    if worth <= 0.0 {
        return 0.0;
    }
    let cost = cost(topology, demands, prices, |rate, distance| rate * distance);
    cost / worth
}

/// No way of routing delivers more than this of the demands: the worth of the capacity plus, for each demand, what it gains
/// by a price below one.
pub(crate) fn delivered(topology: &Topology, demands: &Demands, prices: &[f64]) -> f64 {
    let gain = cost(topology, demands, prices, |rate, distance| {
        rate * (1.0 - distance).max(0.0)
    });
    (worth(topology, prices) + gain).min(demands.total())
}

/// Sum over the demands of a function of the rate and the price of the cheapest path.
fn cost(topology: &Topology, demands: &Demands, prices: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    let mut spf = Spf::new();
    let mut integers = Vec::new();
    let scale = weights(topology, prices, &mut integers);
    let mut sum = 0.0;
    for (to, sources) in demands.destinations() {
        let distances = spf.run(topology, &integers, to);
        for (from, rate) in sources {
            let distance: Distance = distances[from.index()];
            if distance.is_finite() {
                sum += of(*rate, distance.weight() as f64 / scale);
            }
        }
    }
    sum
}
