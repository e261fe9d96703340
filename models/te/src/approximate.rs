//! Nearly the least highest utilisation, in time that grows with destinations × links.
//!
//! The highest utilisation is replaced by a smooth function of all of them, Σ exp(η u), whose derivative is the price of a
//! link. Destination by destination, what is carried there is moved towards the shortest paths over these prices, by the
//! part that lowers the function most: block-coordinate descent on an exponential potential (M. D. Grigoriadis and L. G.
//! Khachiyan, "Coordination complexity of parallel price-directive decomposition", Math. Oper. Res. 21, 1996), which comes
//! within ε of the optimum after O(ε⁻² ln links) rounds, whatever the demands. The sharper η, the nearer the function is to
//! the highest utilisation and the smaller the steps; it is sharpened when progress slows.
//!
//! The prices also prove a bound after every round, so it ends as soon as the gap that was asked for is proved.

use std::collections::BTreeMap;

use longhaul_routing::{Demands, RegionId, Spf, Topology, next_hop};

use crate::TeError;
use crate::bound::{self, capacity};
use crate::exact::{open, unroutable};
use crate::flows::{Flows, Optimum};

/// What the prices of earlier rounds count in the mean, relative to those of the present one.
const FADE: f64 = 0.8;

/// How hard to try.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effort {
    /// The gap to the optimum that is good enough, such as 0.05.
    pub gap: f64,
    /// Rounds after which to stop in any case.
    pub rounds: u32,
}

impl Default for Effort {
    /// 5 %, 5,000 rounds.
    fn default() -> Effort {
        Effort {
            gap: 0.05,
            rounds: 5_000,
        }
    }
}

/// Routes all demands such that the highest utilisation of a link is nearly the least. [`Optimum::gap`] says how nearly;
/// it is at most what was asked for unless the rounds did not suffice.
///
/// # Errors
/// [`TeError::Unroutable`].
pub fn approximate_min_max(
    topology: &Topology,
    demands: &Demands,
    effort: &Effort,
) -> Result<Optimum, TeError> {
    let mut descent = Descent::new(topology, demands)?;
    // Then the potential is within a quarter of the gap of the highest utilisation.
    let sharpest = 4.0 * libm::log(topology.link_count().max(2) as f64) / effort.gap.max(1e-4);
    let mut bound: f64 = 0.0;
    let mut last = f64::INFINITY;
    for _ in 0..effort.rounds {
        descent.prices();
        // Prices swing from destination to destination; their mean is steadier and often proves more.
        for prices in [&descent.prices, &descent.mean] {
            bound = bound.max(bound::utilisation(topology, demands, prices));
        }
        let gap = descent.highest() / bound - 1.0;
        if gap <= effort.gap || descent.highest() == 0.0 {
            break;
        }
        if gap > last * 0.97 {
            descent.sharpness = (descent.sharpness * 1.25).min(sharpest);
        }
        last = last.min(gap);
        descent.mean.iter_mut().for_each(|mean| *mean *= FADE);
        for place in 0..descent.flows.len() {
            descent.improve(place);
        }
    }
    let destinations = demands.destinations().map(|(to, _)| to);
    let flows = Flows {
        to: destinations.zip(descent.flows).collect(),
    };
    let flows = flows.without_circles(topology);
    let busiest = flows.loads(topology).busiest(topology);
    Ok(Optimum {
        value: busiest.map_or(0.0, |(_, utilisation)| utilisation),
        bound,
        flows,
    })
}

struct Descent<'a> {
    topology: &'a Topology,
    demands: Vec<(RegionId, &'a BTreeMap<RegionId, f64>)>,
    capacities: Vec<f64>,
    /// By destination, by link.
    flows: Vec<Vec<f64>>,
    /// By link.
    used: Vec<f64>,
    prices: Vec<f64>,
    /// Sum of the prices that were met, each scaled such that the capacity is worth one.
    mean: Vec<f64>,
    /// η times the highest utilisation.
    sharpness: f64,
    spf: Spf,
    weights: Vec<u64>,
    passing: Vec<f64>,
    target: Vec<f64>,
}

impl<'a> Descent<'a> {
    /// Starts with the paths of the fewest links.
    fn new(topology: &'a Topology, demands: &'a Demands) -> Result<Descent<'a>, TeError> {
        let links = topology.link_count();
        let mut descent = Descent {
            topology,
            demands: demands.destinations().collect(),
            capacities: topology.links().map(|link| capacity(topology, link)).collect(),
            flows: Vec::new(),
            used: vec![0.0; links],
            prices: vec![0.0; links],
            mean: vec![0.0; links],
            sharpness: libm::log(links.max(2) as f64) * 4.0,
            spf: Spf::new(),
            weights: open(topology),
            passing: vec![0.0; topology.region_count()],
            target: vec![0.0; links],
        };
        for place in 0..descent.demands.len() {
            descent.aim(place);
            let (to, sources) = descent.demands[place];
            let lost = |from: &&RegionId| !descent.spf.distances()[from.index()].is_finite();
            if let Some(from) = sources.keys().find(lost) {
                return Err(unroutable(topology, *from, to));
            }
            descent.flows.push(descent.target.clone());
        }
        descent.sum();
        Ok(descent)
    }

    /// Adds up afresh what links carry, so that rounding does not pile up.
    fn sum(&mut self) {
        self.used.fill(0.0);
        for flow in &self.flows {
            for ((used, rate), capacity) in self.used.iter_mut().zip(flow).zip(&self.capacities) {
                if *rate > 0.0 {
                    *used += rate / capacity;
                }
            }
        }
    }

    fn highest(&self) -> f64 {
        self.used.iter().copied().fold(0.0, f64::max)
    }

    /// The derivative of the potential by what a link carries, relative to the dearest.
    fn prices(&mut self) {
        self.sum();
        self.price();
    }

    fn price(&mut self) {
        let highest = self.highest();
        let eta = if highest > 0.0 {
            self.sharpness / highest
        } else {
            0.0
        };
        for ((price, used), capacity) in self.prices.iter_mut().zip(&self.used).zip(&self.capacities) {
            *price = if *capacity > 0.0 {
                libm::exp(eta * (used - highest)) / capacity
            } else {
                0.0
            };
        }
    }

    /// What each link would carry if everything for a destination took the shortest path over the weights.
    fn aim(&mut self, place: usize) {
        let (to, sources) = self.demands[place];
        self.spf.run(self.topology, &self.weights, to);
        self.target.fill(0.0);
        self.passing.fill(0.0);
        for (from, rate) in sources {
            self.passing[from.index()] += rate;
        }
        let (distances, order) = self.spf.ordered();
        for &here in order.iter().rev() {
            let rate = self.passing[here.index()];
            if rate == 0.0 || here == to {
                continue;
            }
            let link = next_hop(self.topology, &self.weights, distances, here);
            let link = link.expect("a way on");
            self.passing[self.topology.link(link).to.index()] += rate;
            self.target[link.index()] = rate;
        }
    }

    /// Moves what is carried to one destination towards the shortest paths, as far as the potential falls.
    fn improve(&mut self, place: usize) {
        self.price();
        let pairs = self.prices.iter().zip(&self.capacities);
        let worth: f64 = pairs.map(|(price, capacity)| price * capacity).sum();
        for (mean, price) in self.mean.iter_mut().zip(&self.prices) {
            *mean += price / worth;
        }
        bound::weights(self.topology, &self.prices, &mut self.weights);
        self.aim(place);
        let flow = &self.flows[place];
        let change = |link: usize| (self.target[link] - flow[link]) / self.capacities[link];
        let moved = (0..flow.len()).filter(|link| self.target[*link] != flow[*link]);
        let moves: Vec<(usize, f64)> = moved.map(|link| (link, change(link))).collect();
        let highest = self.highest();
        let eta = self.sharpness / highest;
        // The slope of the potential after moving by a part. Exponents are capped: what is far above the highest is
        // far too much.
        let slope = |part: f64| -> f64 {
            let terms = moves.iter().map(|&(link, change)| {
                let exponent = eta * (self.used[link] + part * change - highest);
                change * libm::exp(exponent.min(500.0))
            });
            terms.sum()
        };
        if slope(0.0) >= 0.0 {
            return;
        }
        let (mut low, mut high) = (0.0, 1.0);
        if slope(1.0) <= 0.0 {
            low = 1.0;
        } else {
            // To a part in a thousand of what it has to be.
            for _ in 0..24 {
                let middle = (low + high) / 2.0;
                if slope(middle) < 0.0 {
                    low = middle;
                } else {
                    high = middle;
                }
                if high - low < low * 1e-3 {
                    break;
                }
            }
        }
        for (link, change) in moves {
            self.used[link] += low * change;
            let rate = &mut self.flows[place][link];
            *rate += low * (self.target[link] - *rate);
        }
    }
}
