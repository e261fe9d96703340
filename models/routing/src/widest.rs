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
    let mut best = vec![0; topology.region_count()];
    best[from.index()] = u64::MAX;
    let mut heap = BinaryHeap::from([(u64::MAX, from)]);
    while let Some((width, region)) = heap.pop() {
        if best[region.index()] != width {
            continue;
        }
        if region == to {
            return Some(BitRate::from_bits_per_s(width));
        }
        for &(far, link) in topology.leaving(region) {
            if !topology.usable(link) {
                continue;
            }
            let through = width.min(topology.state(link).residual().as_bits_per_s());
            if through > best[far.index()] {
                best[far.index()] = through;
                heap.push((through, far));
            }
        }
    }
    None
}

pub(crate) fn route(topology: &Topology, from: RegionId, to: RegionId, spf: &mut Spf) -> Option<Vec<LinkId>> {
    let width = width(topology, from, to)?;
    let latency = topology.weights(Metric::Latency);
    let wide = topology.links().map(|link| {
        let thin = topology.state(link).residual() < width;
        if thin { UNUSABLE } else { latency[link.index()] }
    });
    // From a region to itself the width has no bound and no link is needed.
    let weights: Vec<u64> = wide.collect();
    let distances = spf.run_until(topology, &weights, to, from);
    descend(topology, &weights, distances, from, to)
}
