//! The widest route, and of the widest the shortest: one pass finds the width, a second the least latency among
//! links of at least that width. (One pass that compares (width, latency) at each region would be wrong: a wide
//! and long beginning can hide a short one that is wide enough.)

use std::collections::BinaryHeap;

use longhaul_core::units::BitRate;

use crate::spf::{Spf, descend};
use crate::topology::{LinkId, Metric, RegionId, Topology, UNUSABLE};

/// The highest residual rate that some path offers on each of its links; `None` if no path of usable links leads
/// there, or if all have a link without any rate left.
pub fn width(topology: &Topology, from: RegionId, to: RegionId) -> Option<BitRate> {
    search(topology, from, to, &mut Work::default())
}

/// What a search needs, kept to save allocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    best: Vec<u64>,
    heap: BinaryHeap<(u64, RegionId)>,
    weights: Vec<u64>,
}

fn search(topology: &Topology, from: RegionId, to: RegionId, work: &mut Work) -> Option<BitRate> {
    let Work { best, heap, .. } = work;
    best.clear();
    best.resize(topology.region_count(), 0);
    best[from.index()] = u64::MAX;
    heap.clear();
    heap.push((u64::MAX, from));
    while let Some((width, region)) = heap.pop() {
        if best[region.index()] != width {
            continue;
        }
        if region == to {
            return Some(BitRate::from_bits_per_s(width));
        }
        for &(far, link) in topology.leaving(region) {
            // What cannot be used has nothing left.
            let through = width.min(topology.residuals()[link.index()]);
            if through > best[far.index()] {
                best[far.index()] = through;
                heap.push((through, far));
            }
        }
    }
    None
}

pub(crate) fn route(
    topology: &Topology,
    from: RegionId,
    to: RegionId,
    spf: &mut Spf,
    work: &mut Work,
) -> Option<Vec<LinkId>> {
    let width = search(topology, from, to, work)?;
    let latency = topology.weights(Metric::Latency);
    let width = width.as_bits_per_s();
    let wide = topology.residuals().iter().zip(latency);
    let wide = wide.map(|(residual, latency)| if *residual < width { UNUSABLE } else { *latency });
    // From a region to itself the width has no bound and no link is needed.
    work.weights.clear();
    work.weights.extend(wide);
    let distances = spf.run_until(topology, &work.weights, to, from);
    descend(topology, &work.weights, distances, from, to)
}
