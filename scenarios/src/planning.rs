//! A scenario's network as planning sees it: reservations, traffic engineering and the question what a failure would do.
//!
//! The library numbers regions and links by name, a scenario in the order of its lists. Both directions of a link fail
//! together, so they are one shared-risk group.

use std::collections::BTreeMap;

use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{
    Builder, Demands, GroupId, LinkId, LinkState, MAX_WEIGHT, Metric, Objective, Topology, UNUSABLE,
};

use crate::schema::{Link, Scenario};

/// The network of a scenario for planning.
#[derive(Clone, Debug)]
pub struct Planning {
    /// Regions and links; what background traffic takes of a link is its utilisation. A link whose rate varies has none.
    pub topology: Topology,
    /// Its links by the scenario's order.
    by_scenario: Vec<LinkId>,
    /// The scenario's links by its order.
    by_plan: Vec<usize>,
}

impl Planning {
    /// The network of a scenario that passed its check.
    ///
    /// # Panics
    /// If it did not.
    pub fn of(scenario: &Scenario) -> Planning {
        let mut builder = Builder::new();
        for region in &scenario.regions {
            builder
                .region(&region.name)
                .expect("the check found no second one");
        }
        for link in &scenario.links {
            let group = group_of(link);
            let state = state_of(link);
            builder
                .link(&link.from, &link.to, "", state, &[group.as_str()])
                .expect("the check found no contradiction");
        }
        let topology = builder.build();
        let links = scenario.links.iter().enumerate();
        let places: BTreeMap<(&str, &str), usize> = links
            .map(|(place, link)| ((link.from.as_str(), link.to.as_str()), place))
            .collect();
        let place = |link: LinkId| {
            let link = topology.link(link);
            places[&(topology.name(link.from), topology.name(link.to))]
        };
        let by_plan: Vec<usize> = topology.links().map(place).collect();
        let mut by_scenario: Vec<(usize, LinkId)> = by_plan.iter().copied().zip(topology.links()).collect();
        by_scenario.sort_unstable();
        Planning {
            by_scenario: by_scenario.into_iter().map(|(_, link)| link).collect(),
            by_plan,
            topology,
        }
    }

    /// The same with the capacities that background traffic leaves.
    pub fn without_background(&self) -> Topology {
        let mut left = self.topology.clone();
        for link in self.topology.links() {
            let mut state = *self.topology.state(link);
            (state.capacity, state.utilisation) = (state.residual(), Probability::ZERO);
            left.set_link(link, state)
                .expect("a link that was accepted before");
        }
        left
    }

    /// The planned link that is the scenario's at this place.
    pub fn link(&self, place: usize) -> LinkId {
        self.by_scenario[place]
    }

    /// The place in the scenario of a planned link.
    pub fn place(&self, link: LinkId) -> usize {
        self.by_plan[link.index()]
    }

    /// What the routers' routes minimise, link by link, over the links that `usable` has by their places; `None` if
    /// their objective is not a sum over links.
    pub fn weights(&self, scenario: &Scenario, usable: impl Fn(usize) -> bool) -> Option<Vec<u64>> {
        let weight = |link: LinkId| match scenario.routing.objective {
            Objective::Latency => Some(self.topology.weights(Metric::Latency)[link.index()]),
            Objective::Cost => Some(self.topology.weights(Metric::Cost)[link.index()]),
            Objective::Balanced(weights) => Some(weights.link(&self.topology, link).min(MAX_WEIGHT)),
            Objective::Widest => None,
        };
        let usable = |link| usable(self.place(link));
        let weight = |link| {
            if usable(link) {
                weight(link)
            } else {
                Some(UNUSABLE)
            }
        };
        self.topology.links().map(weight).collect()
    }

    /// The demands of a scenario.
    pub fn demands(&self, scenario: &Scenario) -> Demands {
        let mut demands = Demands::new();
        let region = |name: &str| self.topology.region(name).expect("a region of the scenario");
        for demand in &scenario.demands {
            let rate = demand.rate.as_bits_per_s() as f64;
            demands.add(region(&demand.from), region(&demand.to), rate);
        }
        demands
    }

    /// The name of a shared-risk group.
    pub fn group_name(&self, group: GroupId) -> &str {
        let mut groups = self.topology.groups();
        let found = groups.find(|(known, _, _)| *known == group);
        found.expect("a group of this topology").1
    }
}

/// Both directions of a link.
fn group_of(link: &Link) -> String {
    let (one, other) = (link.from.as_str(), link.to.as_str());
    format!("{}<->{}", one.min(other), one.max(other))
}

fn state_of(link: &Link) -> LinkState {
    let constant = link.rate.constant().filter(|_| link.changes.is_empty());
    let capacity = constant.unwrap_or(BitRate::from_bits_per_s(0));
    let background = link.background.as_ref().map_or(0, |it| it.rate.as_bits_per_s());
    let used = background.min(capacity.as_bits_per_s());
    LinkState {
        cost: link.cost,
        loss: link.loss.mean(),
        utilisation: Probability::from_ratio(used, capacity.as_bits_per_s().max(1))
            .unwrap_or(Probability::ZERO),
        ..LinkState::idle(link.delay, capacity)
    }
}
