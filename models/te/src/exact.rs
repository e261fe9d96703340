//! The optimum over all paths, as a linear program: one variable per destination and link, flow conserved at every region.

use std::collections::BTreeMap;

use longhaul_routing::{Demands, LinkId, Metric, RegionId, Spf, Topology};

use crate::TeError;
use crate::bound::{self, capacity};
use crate::flows::{Flows, Optimum};
use crate::lp::Program;

/// Routes all demands such that the highest utilisation of a link is the least.
///
/// # Errors
/// [`TeError`].
pub fn min_max_utilisation(topology: &Topology, demands: &Demands) -> Result<Optimum, TeError> {
    let unit = unit(topology);
    let mut program = Program::default();
    let highest = program.variable(1.0);
    let columns = Columns::new(topology, demands, &mut program)?;
    for (to, sources) in demands.destinations() {
        for (region, row) in columns.conserved(topology, to) {
            let amount = sources.get(&region).copied().unwrap_or(0.0);
            program.equal(row, amount / unit);
        }
    }
    let mut bounds = BTreeMap::new();
    for (link, mut row) in columns.by_link() {
        row.push((highest, -capacity(topology, link) / unit));
        bounds.insert(link, program.at_most(row, 0.0));
    }
    let solution = program.solve()?;
    let prices = prices(topology, &bounds, &solution.prices);
    let flows = columns.flows(topology, &solution.values, unit);
    // What the solver left over or lost by rounding is made good: the demands are carried exactly.
    let flows = exactly(topology, demands, &flows)?;
    let busiest = flows.loads(topology).busiest(topology);
    Ok(Optimum {
        value: busiest.map_or(0.0, |(_, utilisation)| utilisation),
        bound: bound::utilisation(topology, demands, &prices),
        flows,
    })
}

/// Delivers as much of the demands as the links can carry, none above what is asked for.
///
/// # Errors
/// [`TeError::Solver`], [`TeError::TooLarge`]. Demands without a path get nothing.
pub fn max_flow(topology: &Topology, demands: &Demands) -> Result<Optimum, TeError> {
    let unit = unit(topology);
    let mut program = Program::default();
    let reachable = reachable(topology, demands);
    let columns = Columns::new(topology, &reachable, &mut program)?;
    for (to, sources) in reachable.destinations() {
        for (region, mut row) in columns.conserved(topology, to) {
            if let Some(amount) = sources.get(&region) {
                let granted = program.variable(-1.0);
                program.at_most([(granted, 1.0)], amount / unit);
                row.push((granted, -1.0));
            }
            program.equal(row, 0.0);
        }
    }
    let mut bounds = BTreeMap::new();
    for (link, row) in columns.by_link() {
        bounds.insert(link, program.at_most(row, capacity(topology, link) / unit));
    }
    let solution = program.solve()?;
    let prices = prices(topology, &bounds, &solution.prices);
    let mut flows = columns.flows(topology, &solution.values, unit);
    let granted = granted(topology, &reachable, &flows);
    flows = exactly(topology, &granted, &flows)?;
    // Rounding may overfill a link by a hair; nothing is promised that does not fit.
    let busiest = flows
        .loads(topology)
        .busiest(topology)
        .map_or(0.0, |(_, used)| used);
    let fits = 1.0 / busiest.max(1.0);
    for rate in flows.to.values_mut().flatten() {
        *rate *= fits;
    }
    Ok(Optimum {
        flows,
        value: granted.total() * fits,
        bound: bound::delivered(topology, demands, &prices),
    })
}

/// The highest capacity: the unit in which the program is written.
fn unit(topology: &Topology) -> f64 {
    let capacities = topology.links().map(|link| capacity(topology, link));
    capacities.fold(1.0, f64::max)
}

fn prices(topology: &Topology, bounds: &BTreeMap<LinkId, usize>, prices: &[f64]) -> Vec<f64> {
    let price = |link| bounds.get(&link).map_or(0.0, |bound| prices[*bound]);
    topology.links().map(price).collect()
}

/// The demands for which there is a path with capacity.
pub(crate) fn reachable(topology: &Topology, demands: &Demands) -> Demands {
    let weights = open(topology);
    let mut spf = Spf::new();
    let mut reachable = Demands::new();
    for (to, sources) in demands.destinations() {
        let distances = spf.run(topology, &weights, to);
        for (&from, &amount) in sources {
            if distances[from.index()].is_finite() {
                reachable.add(from, to, amount);
            }
        }
    }
    reachable
}

/// One per link with capacity.
pub(crate) fn open(topology: &Topology) -> Vec<u64> {
    let hops = topology.weights(Metric::Hops);
    let weight = |link: LinkId| {
        let open = capacity(topology, link) > 0.0;
        if open {
            hops[link.index()]
        } else {
            longhaul_routing::UNUSABLE
        }
    };
    topology.links().map(weight).collect()
}

/// What the flows deliver of each demand, at most all of it.
fn granted(topology: &Topology, demands: &Demands, flows: &Flows) -> Demands {
    let mut granted = Demands::new();
    for (from, to, amount) in demands.iter() {
        granted.add(from, to, flows.rate(topology, from, to).clamp(0.0, amount));
    }
    granted
}

/// The same flows without circles and rounding, carrying exactly the demands.
fn exactly(topology: &Topology, demands: &Demands, flows: &Flows) -> Result<Flows, TeError> {
    let paths = flows.paths(topology, demands);
    let mut exact = Flows::default();
    for (from, to, amount) in demands.iter() {
        let shares = paths.shares(from, to);
        // A demand that is tiny beside the others can drown in the solver's rounding: then any path will do.
        let mut fallback = None;
        if shares.is_empty() {
            let mut spf = Spf::new();
            let weights = open(topology);
            let distances = spf.run_until(topology, &weights, to, from);
            let links = longhaul_routing::descend(topology, &weights, distances, from, to);
            fallback = Some(links.ok_or_else(|| unroutable(topology, from, to))?);
        }
        let flow = exact
            .to
            .entry(to)
            .or_insert_with(|| vec![0.0; topology.link_count()]);
        for link in fallback.iter().flatten() {
            flow[link.index()] += amount;
        }
        for share in shares {
            for link in &share.links {
                flow[link.index()] += share.rate;
            }
        }
    }
    Ok(exact)
}

pub(crate) fn unroutable(topology: &Topology, from: RegionId, to: RegionId) -> TeError {
    TeError::Unroutable {
        from: topology.name(from).to_owned(),
        to: topology.name(to).to_owned(),
    }
}

/// The variables of a program: one for each destination and link that can lead there.
struct Columns {
    by_destination: BTreeMap<RegionId, Vec<(LinkId, usize)>>,
}

impl Columns {
    fn new(topology: &Topology, demands: &Demands, program: &mut Program) -> Result<Columns, TeError> {
        let weights = open(topology);
        let mut spf = Spf::new();
        let mut by_destination = BTreeMap::new();
        for (to, sources) in demands.destinations() {
            let distances = spf.run(topology, &weights, to);
            if let Some(from) = sources.keys().find(|from| !distances[from.index()].is_finite()) {
                return Err(unroutable(topology, *from, to));
            }
            let leads = |link: &LinkId| {
                let ends = topology.link(*link);
                capacity(topology, *link) > 0.0 && ends.from != to && distances[ends.to.index()].is_finite()
            };
            let links = topology.links().filter(leads);
            by_destination.insert(to, links.map(|link| (link, program.variable(0.0))).collect());
        }
        Ok(Columns { by_destination })
    }

    /// For each region but the destination: what leaves it less what arrives.
    fn conserved(&self, topology: &Topology, to: RegionId) -> BTreeMap<RegionId, Vec<(usize, f64)>> {
        let mut rows: BTreeMap<RegionId, Vec<(usize, f64)>> = BTreeMap::new();
        for &(link, variable) in &self.by_destination[&to] {
            let ends = topology.link(link);
            rows.entry(ends.from).or_default().push((variable, 1.0));
            if ends.to != to {
                rows.entry(ends.to).or_default().push((variable, -1.0));
            }
        }
        rows
    }

    /// For each link: the sum over the destinations.
    fn by_link(&self) -> BTreeMap<LinkId, Vec<(usize, f64)>> {
        let mut rows: BTreeMap<LinkId, Vec<(usize, f64)>> = BTreeMap::new();
        for &(link, variable) in self.by_destination.values().flatten() {
            rows.entry(link).or_default().push((variable, 1.0));
        }
        rows
    }

    fn flows(&self, topology: &Topology, values: &[f64], unit: f64) -> Flows {
        let mut flows = Flows::default();
        for (to, columns) in &self.by_destination {
            let mut flow = vec![0.0; topology.link_count()];
            for &(link, variable) in columns {
                flow[link.index()] = values[variable] * unit;
            }
            flows.to.insert(*to, flow);
        }
        flows
    }
}
