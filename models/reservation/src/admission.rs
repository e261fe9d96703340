//! Admission by path search: the best path of those whose links all have the rate free throughout the interval.
//!
//! Constrained shortest path first (the constraint-based routing of RFC 2702): links without enough left are pruned, then the
//! shortest path by latency is taken, ties by hops and names as everywhere. If nothing is free, links are pruned anew
//! by what they could have if lower priorities left.

use std::collections::BinaryHeap;

use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;
use longhaul_routing::{LinkId, Metric, RegionId, Route, RouteError, Spf, Topology, UNUSABLE, descend};

use crate::calendar::Calendar;
use crate::reservation::{AdmitError, Demand, Reservation, ReservationId, ReserveError};

/// A reservation on a path that was found for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Its number.
    pub id: ReservationId,
    /// Its path.
    pub route: Route,
    /// Those that it displaced.
    pub victims: Vec<Reservation>,
}

impl Calendar {
    /// Reserves a rate on the path of least latency of those that have it free.
    ///
    /// # Errors
    /// [`AdmitError`]
    ///
    /// # Panics
    /// If the topology has other links than the one for which the calendar was made, or lacks one of the regions.
    pub fn admit(
        &mut self,
        now: Instant,
        topology: &Topology,
        from: RegionId,
        to: RegionId,
        demand: Demand,
    ) -> Result<Admission, AdmitError> {
        self.check_demand(now, topology, from, to, &demand)?;
        let rate = demand.rate.as_bits_per_s();
        let available: Vec<u64> = self
            .links
            .iter()
            .map(|link| link.available(&demand.when))
            .collect();
        let links = search(topology, &available, from, to, rate)?;
        Ok(self.enter(topology, from, to, demand, links, Vec::new()))
    }

    /// Reserves as [`Calendar::admit`] does. If no path has the rate free, the one of least latency is taken that could
    /// have it if strictly lower priorities left, and of those as many are displaced as must be.
    ///
    /// # Errors
    /// [`AdmitError`]; then nobody is displaced.
    ///
    /// # Panics
    /// As [`Calendar::admit`].
    pub fn admit_preempting(
        &mut self,
        now: Instant,
        topology: &Topology,
        from: RegionId,
        to: RegionId,
        demand: Demand,
    ) -> Result<Admission, AdmitError> {
        match self.admit(now, topology, from, to, demand.clone()) {
            Err(AdmitError::Shortage { .. }) => {}
            admitted => return admitted,
        }
        let (rate, priority, when) = (demand.rate.as_bits_per_s(), demand.priority, &demand.when);
        let reach = self.links.iter().map(|link| link.available_to(priority, when));
        let reach: Vec<u64> = reach.collect();
        let links = search(topology, &reach, from, to, rate)?;
        let victims = self.displace(now, &links, rate, when, Some(priority));
        let victims = victims.map_err(ReserveError::from)?;
        Ok(self.enter(topology, from, to, demand, links, victims))
    }

    /// Checks what does not depend on the path.
    fn check_demand(
        &self,
        now: Instant,
        topology: &Topology,
        from: RegionId,
        to: RegionId,
        demand: &Demand,
    ) -> Result<(), AdmitError> {
        let (ours, theirs) = (self.links.len(), topology.link_count());
        assert_eq!(ours, theirs, "the topology for which the calendar was made");
        for end in [from, to] {
            if !topology.region_up(end) {
                return Err(RouteError::RegionDown(topology.name(end).to_owned()).into());
            }
        }
        match self.check(now, demand, &[]) {
            // The path is not known yet; from a region to itself it will have no links.
            Err(ReserveError::NoLinks(_)) if from != to => Ok(()),
            checked => Ok(checked?),
        }
    }

    fn enter(
        &mut self,
        topology: &Topology,
        from: RegionId,
        to: RegionId,
        demand: Demand,
        links: Vec<LinkId>,
        victims: Vec<Reservation>,
    ) -> Admission {
        let route = Route::new(topology, from, to, links.clone());
        let id = self.insert(demand, links);
        Admission { id, route, victims }
    }
}

/// The shortest path over usable links that have at least `rate`.
fn search(
    topology: &Topology,
    available: &[u64],
    from: RegionId,
    to: RegionId,
    rate: u64,
) -> Result<Vec<LinkId>, AdmitError> {
    let latency = topology.weights(Metric::Latency);
    let wide = available.iter().zip(latency);
    let wide = wide.map(|(available, latency)| if *available < rate { UNUSABLE } else { *latency });
    let weights: Vec<u64> = wide.collect();
    let mut spf = Spf::new();
    let distances = spf.run_until(topology, &weights, to, from);
    if let Some(links) = descend(topology, &weights, distances, from, to) {
        return Ok(links);
    }
    let (from_name, to_name) = (topology.name(from).to_owned(), topology.name(to).to_owned());
    Err(match widest(topology, available, from, to) {
        Some(widest) => AdmitError::Shortage {
            from: from_name,
            to: to_name,
            widest: BitRate::from_bits_per_s(widest),
            asked: BitRate::from_bits_per_s(rate),
        },
        None => RouteError::NoPath {
            from: from_name,
            to: to_name,
        }
        .into(),
    })
}

/// The most that some path over usable links has on each of its links, which may be nothing; `None` without a path.
fn widest(topology: &Topology, available: &[u64], from: RegionId, to: RegionId) -> Option<u64> {
    let mut best: Vec<Option<u64>> = vec![None; topology.region_count()];
    let mut heap = BinaryHeap::from([(u64::MAX, from)]);
    best[from.index()] = Some(u64::MAX);
    while let Some((width, region)) = heap.pop() {
        if region == to {
            return Some(width);
        }
        if best[region.index()] != Some(width) {
            continue;
        }
        for &(far, link) in topology.leaving(region) {
            let through = Some(width.min(available[link.index()]));
            if topology.usable(link) && through > best[far.index()] {
                best[far.index()] = through;
                heap.extend(through.map(|width| (width, far)));
            }
        }
    }
    None
}
