//! What equal-cost routing makes of failures: the loads after every single and every double failure.
//!
//! A failure changes what is carried to a destination only if something of that was on a link that failed. Of all other
//! destinations the loads are kept; sums are formed in the same order, so the loads equal those of a computation from
//! scratch bit by bit.

use longhaul_routing::{Demands, GroupId, LinkId, Loads, Metric, Split, Topology, UNUSABLE};

/// What a failure does.
#[derive(Clone, PartialEq, Debug)]
pub struct Impact {
    /// What failed.
    pub down: Vec<GroupId>,
    /// The highest utilisation of a link that is left.
    pub utilisation: f64,
    /// The first link that has it; `None` if nothing is carried.
    pub busiest: Option<LinkId>,
    /// Demand for which there is no way left, bit/s.
    pub unrouted: f64,
}

/// The loads without failure, kept by destination.
#[derive(Clone, Debug)]
pub struct WhatIf<'a> {
    topology: &'a Topology,
    weights: Vec<u64>,
    split: Split,
    parts: Vec<Part>,
}

/// What is carried to one destination.
#[derive(Clone, Debug)]
struct Part {
    demands: Demands,
    loads: Vec<(LinkId, f64)>,
    unrouted: f64,
}

impl<'a> WhatIf<'a> {
    /// Routes the demands over the topology as it is.
    pub fn new(topology: &'a Topology, metric: Metric, demands: &Demands, split: Split) -> WhatIf<'a> {
        let mut what_if = WhatIf {
            topology,
            weights: topology.weights(metric).to_vec(),
            split,
            parts: Vec::new(),
        };
        for (to, sources) in demands.destinations() {
            let mut demands = Demands::new();
            sources
                .iter()
                .for_each(|(from, rate)| demands.add(*from, to, *rate));
            let part = what_if.part(&demands);
            what_if.parts.push(Part { demands, ..part });
        }
        what_if
    }

    fn part(&self, demands: &Demands) -> Part {
        let loads = Loads::equal_cost(self.topology, &self.weights, demands, self.split);
        let links = self.topology.links();
        let used = links.map(|link| (link, loads.by_link[link.index()]));
        Part {
            demands: Demands::new(),
            loads: used.filter(|(_, load)| *load > 0.0).collect(),
            unrouted: loads.unrouted,
        }
    }

    /// The loads while these links are down.
    pub fn loads(&mut self, down: &[LinkId]) -> Loads {
        let saved: Vec<u64> = down.iter().map(|link| self.weights[link.index()]).collect();
        for link in down {
            self.weights[link.index()] = UNUSABLE;
        }
        let mut failed = vec![false; self.topology.link_count()];
        down.iter().for_each(|link| failed[link.index()] = true);
        let mut loads = Loads::none(self.topology);
        for part in &self.parts {
            let affected = part.loads.iter().any(|(link, _)| failed[link.index()]);
            let anew = affected.then(|| self.part(&part.demands));
            let part = anew.as_ref().unwrap_or(part);
            for (link, load) in &part.loads {
                loads.by_link[link.index()] += load;
            }
            loads.unrouted += part.unrouted;
        }
        for (link, weight) in down.iter().zip(saved).rev() {
            self.weights[link.index()] = weight;
        }
        loads
    }

    /// What happens when these groups fail at once.
    pub fn fail(&mut self, groups: &[GroupId]) -> Impact {
        let topology = self.topology;
        let mut links: Vec<LinkId> = groups
            .iter()
            .flat_map(|group| topology.group(*group))
            .copied()
            .collect();
        links.sort_unstable();
        links.dedup();
        let loads = self.loads(&links);
        let (busiest, utilisation) = loads.busiest(topology).unzip();
        Impact {
            down: groups.to_vec(),
            utilisation: utilisation.unwrap_or(0.0),
            busiest: busiest.filter(|_| utilisation > Some(0.0)),
            unrouted: loads.unrouted,
        }
    }

    /// Every single failure of a shared-risk group, the worst first: by what is not routed, then by utilisation.
    pub fn singles(&mut self) -> Vec<Impact> {
        let groups: Vec<GroupId> = self.topology.groups().map(|(group, _, _)| group).collect();
        let mut impacts: Vec<Impact> = groups.iter().map(|group| self.fail(&[*group])).collect();
        worst_first(&mut impacts);
        impacts
    }

    /// Every failure of two groups at once, the worst first.
    pub fn doubles(&mut self) -> Vec<Impact> {
        let groups: Vec<GroupId> = self.topology.groups().map(|(group, _, _)| group).collect();
        let mut impacts = Vec::new();
        for (place, first) in groups.iter().enumerate() {
            for second in &groups[place + 1..] {
                impacts.push(self.fail(&[*first, *second]));
            }
        }
        worst_first(&mut impacts);
        impacts
    }
}

/// Orders failures by what they do, the worst first: by what is not routed, then by utilisation.
pub fn worst_first(impacts: &mut [Impact]) {
    impacts.sort_by(|a, b| {
        let worse = b.unrouted.total_cmp(&a.unrouted);
        worse
            .then(b.utilisation.total_cmp(&a.utilisation))
            .then_with(|| a.down.cmp(&b.down))
    });
}
