//! Rates on tunnels, chosen before anything fails: when tunnels fail, their pair goes on with what it has on the others, and
//! nobody has to be told.
//!
//! [`survive`] grants only what arrives whatever fails, up to a number of failures at once (H. H. Liu et al., "Traffic
//! engineering with forward fault correction", SIGCOMM 2014). [`least_risk`] knows how likely failures are and makes the
//! loss in the worst share of all times the least (J. Bogle et al., "TEAVAR", SIGCOMM 2019).

use std::collections::{BTreeMap, BTreeSet};

use longhaul_routing::{Demands, LinkId, Topology};

use crate::TeError;
use crate::allocation::Allocation;
use crate::bound::capacity;
use crate::failure::Scenarios;
use crate::lp::Program;
use crate::tunnel::{Exposure, Mask, Tunnels, places};

/// What is promised and the rates that keep the promise.
#[derive(Clone, PartialEq, Debug)]
pub struct Grant {
    /// What each pair may send, at most its demand.
    pub granted: Demands,
    /// The rate that is set aside on each tunnel; in all at least what is granted, more where paths may fail.
    pub allocation: Allocation,
}

/// Grants as much of the demands in all as arrives even if any `failures` shared-risk groups fail at once, without any link
/// carrying more than its capacity. A pair all of whose tunnels may fail together gets nothing.
///
/// # Errors
/// [`TeError::Solver`], [`TeError::TooLarge`].
pub fn survive(
    topology: &Topology,
    demands: &Demands,
    tunnels: &Tunnels,
    failures: usize,
) -> Result<Grant, TeError> {
    let mut model = Model::new(topology, demands, tunnels);
    let mut wanted = Vec::new();
    for pair in 0..model.pairs.len() {
        let granted = model.program.variable(-1.0);
        wanted.push(granted);
        let demand = model.pairs[pair].rate;
        model.program.at_most([(granted, 1.0)], demand);
        for left in model.pairs[pair].exposure.worst(failures) {
            let mut row = model.row(pair, left, -1.0);
            row.push((granted, 1.0));
            model.program.at_most(row, 0.0);
        }
    }
    let solved = model.solve()?;
    let mut granted = Demands::new();
    for pair in &solved.pairs {
        let least = |left: Mask| -> f64 { places(left).map(|place| pair.rates[place]).sum() };
        let worst = pair.exposure.worst(failures).into_iter().map(least);
        let worst = worst.fold(pair.demand, f64::min);
        // Rounding is no promise.
        if worst > pair.demand * 1e-6 {
            granted.add(pair.from, pair.to, worst);
        }
    }
    Ok(Grant {
        granted,
        allocation: solved.allocation(tunnels),
    })
}

/// Makes the expected loss in the worst 1 − `target` of all times the least (the conditional value at risk of the part of the
/// total demand that is not delivered), and of such rates those with the least expected loss over all times.
/// What the scenarios do not cover counts as times in which nothing is delivered.
///
/// # Errors
/// [`TeError::Solver`], [`TeError::TooLarge`].
///
/// # Panics
/// If `target` is not in [0, 1).
pub fn least_risk(
    topology: &Topology,
    demands: &Demands,
    tunnels: &Tunnels,
    scenarios: &Scenarios,
    target: f64,
) -> Result<Allocation, TeError> {
    /// What the expected loss counts beside that of the worst times.
    const EXPECTED: f64 = 1e-3;
    assert!((0.0..1.0).contains(&target), "an availability of {target}");
    let total = demands.total();
    let mut model = Model::new(topology, demands, tunnels);
    let at_risk = model.program.variable(1.0);
    model.program.at_most([(at_risk, 1.0)], 1.0);
    let tail = 1.0 / (1.0 - target);
    let beyond = model
        .program
        .variable(tail * (1.0 - scenarios.covered()).max(0.0));
    model.program.at_most([(beyond, -1.0), (at_risk, -1.0)], -1.0);
    // What arrives depends on which tunnels are left, and few different sets of them are.
    let mut arrives: BTreeMap<(usize, Mask), usize> = BTreeMap::new();
    let mut likely: BTreeMap<(usize, Mask), f64> = BTreeMap::new();
    for scenario in scenarios.iter() {
        for pair in 0..model.pairs.len() {
            let left = model.pairs[pair].exposure.left(&scenario.down);
            *likely.entry((pair, left)).or_default() += scenario.probability;
        }
    }
    for (&(pair, left), &probability) in &likely {
        let part = model.pairs[pair].demand / total;
        let fraction = model.program.variable(-EXPECTED * probability * part);
        model.program.at_most([(fraction, 1.0)], 1.0);
        let mut row = model.row(pair, left, -1.0);
        row.push((fraction, model.pairs[pair].rate));
        model.program.at_most(row, 0.0);
        arrives.insert((pair, left), fraction);
    }
    for scenario in scenarios.iter() {
        let excess = model.program.variable(tail * scenario.probability);
        let mut row = vec![(excess, -1.0), (at_risk, -1.0)];
        for (pair, model) in model.pairs.iter().enumerate() {
            let fraction = arrives[&(pair, model.exposure.left(&scenario.down))];
            row.push((fraction, -model.demand / total));
        }
        model.program.at_most(row, -1.0);
    }
    Ok(model.solve()?.allocation(tunnels))
}

/// A program with one variable per tunnel, in which no link carries more than its capacity.
struct Model<'a> {
    topology: &'a Topology,
    tunnels: &'a Tunnels,
    program: Program,
    unit: f64,
    pairs: Vec<Pair>,
}

struct Pair {
    from: longhaul_routing::RegionId,
    to: longhaul_routing::RegionId,
    /// bit/s.
    demand: f64,
    /// The demand in the unit of the program.
    rate: f64,
    exposure: Exposure,
    /// By tunnel: its variable.
    variables: Vec<usize>,
    /// By tunnel, bit/s, once solved.
    rates: Vec<f64>,
}

impl<'a> Model<'a> {
    fn new(topology: &'a Topology, demands: &Demands, tunnels: &'a Tunnels) -> Model<'a> {
        let capacities = topology.links().map(|link| capacity(topology, link));
        let unit = capacities.fold(1.0, f64::max);
        let mut program = Program::default();
        let mut pairs = Vec::new();
        let mut loads: BTreeMap<LinkId, Vec<(usize, f64)>> = BTreeMap::new();
        for (from, to, demand) in demands.iter() {
            let paths = tunnels.of(from, to);
            let mut variables = Vec::new();
            for path in paths {
                let variable = program.variable(0.0);
                variables.push(variable);
                for link in path.iter().copied().collect::<BTreeSet<LinkId>>() {
                    loads.entry(link).or_default().push((variable, 1.0));
                }
            }
            pairs.push(Pair {
                from,
                to,
                demand,
                rate: demand / unit,
                exposure: Exposure::new(topology, paths),
                variables,
                rates: Vec::new(),
            });
        }
        for (link, row) in loads {
            program.at_most(row, capacity(topology, link) / unit);
        }
        Model {
            topology,
            tunnels,
            program,
            unit,
            pairs,
        }
    }

    /// The tunnels of a pair that are left, each with this coefficient.
    fn row(&self, pair: usize, left: Mask, coefficient: f64) -> Vec<(usize, f64)> {
        let variables = &self.pairs[pair].variables;
        places(left)
            .map(|place| (variables[place], coefficient))
            .collect()
    }

    fn solve(mut self) -> Result<Solved, TeError> {
        let solution = std::mem::take(&mut self.program).solve()?;
        for pair in &mut self.pairs {
            let rates = pair
                .variables
                .iter()
                .map(|variable| solution.values[*variable] * self.unit);
            pair.rates = rates.collect();
        }
        let capacities = self.topology.links().map(|link| capacity(self.topology, link));
        let mut solved = Solved {
            capacities: capacities.collect(),
            pairs: self.pairs,
        };
        solved.fit(self.tunnels);
        Ok(solved)
    }
}

struct Solved {
    pairs: Vec<Pair>,
    capacities: Vec<f64>,
}

impl Solved {
    fn allocation(&self, tunnels: &Tunnels) -> Allocation {
        let mut allocation = Allocation::new();
        for pair in &self.pairs {
            let paths = tunnels.of(pair.from, pair.to).iter().zip(&pair.rates);
            for (path, rate) in paths.filter(|(_, rate)| **rate > pair.demand * 1e-9) {
                allocation.add(pair.from, pair.to, path.clone(), *rate);
            }
        }
        allocation
    }

    /// Scales the rates down where rounding overfilled a link by a hair.
    fn fit(&mut self, tunnels: &Tunnels) {
        let mut loads = vec![0.0; self.capacities.len()];
        for pair in &self.pairs {
            for (path, rate) in tunnels.of(pair.from, pair.to).iter().zip(&pair.rates) {
                path.iter().for_each(|link| loads[link.index()] += rate);
            }
        }
        let used = loads
            .iter()
            .zip(&self.capacities)
            .filter(|(load, _)| **load > 0.0);
        let most = used.map(|(load, rate)| load / rate).fold(1.0, f64::max);
        for rate in self.pairs.iter_mut().flat_map(|pair| &mut pair.rates) {
            *rate /= most;
        }
    }
}
