//! A topology with the routes that were asked for: each is computed once per version of the topology.

use crate::balanced::{self, Prices};
use crate::route::{Objective, Route, RouteError};
use crate::spf::{Spf, descend};
use crate::topology::{LinkId, Metric, RegionId, Topology};
use crate::widest;

/// Answers are kept up to this number; then all are forgotten. Bounds memory, not correctness.
const MAX_CACHED: usize = 1 << 20;

/// Finds routes and remembers them.
#[derive(Clone, Debug)]
pub struct Router {
    topology: Topology,
    work: Work,
    cache: Cache,
}

/// What searches need, kept to save allocations.
#[derive(Clone, Debug, Default)]
struct Work {
    spf: Spf,
    widest: widest::Work,
    prices: Prices,
}

/// Routes by objective, start and end, for one version.
#[derive(Clone, Debug, Default)]
struct Cache {
    version: u64,
    kept: usize,
    /// By objective; there are few. Rows by start, cells by end, made when first needed.
    tables: Vec<(Objective, Vec<Row>)>,
}

/// The answers from one region, by end; empty before the first is asked for.
type Row = Vec<Option<Box<Answer>>>;

type Answer = Result<Route, RouteError>;

impl Router {
    /// No routes yet.
    pub fn new(topology: Topology) -> Router {
        Router {
            topology,
            work: Work::default(),
            cache: Cache::default(),
        }
    }

    /// The topology as it is now.
    #[inline]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The topology, to change its state. What was remembered of another version is not used again.
    #[inline]
    pub fn topology_mut(&mut self) -> &mut Topology {
        &mut self.topology
    }

    /// The best route, which is unique. From a region to itself it has no links.
    ///
    /// # Errors
    /// [`RouteError`].
    ///
    /// # Panics
    /// If one of the regions is not of this topology.
    #[inline]
    pub fn route(
        &mut self,
        from: RegionId,
        to: RegionId,
        objective: &Objective,
    ) -> Result<&Route, &RouteError> {
        let version = self.topology.version();
        if self.cache.version != version || self.cache.kept >= MAX_CACHED {
            self.cache.tables.clear();
            self.cache.version = version;
            self.cache.kept = 0;
        }
        let tables = &self.cache.tables;
        let known = tables.iter().position(|(known, _)| known == objective);
        let table = known.unwrap_or_else(|| {
            let rows = vec![Vec::new(); self.topology.region_count()];
            self.cache.tables.push((*objective, rows));
            self.cache.tables.len() - 1
        });
        let row = &mut self.cache.tables[table].1[from.index()];
        if row.is_empty() {
            row.resize(self.topology.region_count(), None);
        }
        let cell = &mut row[to.index()];
        if cell.is_none() {
            self.cache.kept += 1;
        }
        let answer = cell
            .get_or_insert_with(|| Box::new(compute(&self.topology, from, to, objective, &mut self.work)));
        (**answer).as_ref()
    }

    /// The best route, computed anew.
    ///
    /// # Errors
    /// [`RouteError`].
    ///
    /// # Panics
    /// If one of the regions is not of this topology.
    pub fn compute(
        &mut self,
        from: RegionId,
        to: RegionId,
        objective: &Objective,
    ) -> Result<Route, RouteError> {
        compute(&self.topology, from, to, objective, &mut self.work)
    }
}

fn compute(
    topology: &Topology,
    from: RegionId,
    to: RegionId,
    objective: &Objective,
    work: &mut Work,
) -> Result<Route, RouteError> {
    for end in [from, to] {
        if !topology.region_up(end) {
            return Err(RouteError::RegionDown(topology.name(end).to_owned()));
        }
    }
    match links(topology, from, to, objective, work) {
        Some(links) => Ok(Route::new(topology, from, to, links)),
        None => Err(RouteError::NoPath {
            from: topology.name(from).to_owned(),
            to: topology.name(to).to_owned(),
        }),
    }
}

fn links(
    topology: &Topology,
    from: RegionId,
    to: RegionId,
    objective: &Objective,
    work: &mut Work,
) -> Option<Vec<LinkId>> {
    let mut shortest = |metric| {
        let weights = topology.weights(metric);
        let distances = work.spf.run_until(topology, weights, to, from);
        descend(topology, weights, distances, from, to)
    };
    match objective {
        Objective::Latency => shortest(Metric::Latency),
        Objective::Cost => shortest(Metric::Cost),
        Objective::Widest => widest::route(topology, from, to, &mut work.spf, &mut work.widest),
        Objective::Balanced(weights) => {
            let prices = work.prices.of(topology, weights);
            balanced::route(topology, weights, prices, from, to, &mut work.spf)
        }
    }
}
