//! Classes of service.

use std::collections::BTreeMap;

use longhaul_core::units::BitRate;
use longhaul_routing::{Congestion, Demands, Objective, Topology, Weights};

use crate::TeError;
use crate::flows::Optimum;

/// What traffic needs, the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Control traffic and what everything else depends on.
    Critical,
    /// Voice, video, games: late is lost.
    Realtime,
    /// Somebody waits for the answer.
    Interactive,
    /// Replication, backups, migrations: as much as possible at the least cost.
    Bulk,
    /// What is left will do.
    BestEffort,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Class; 5] = [
        Class::Critical,
        Class::Realtime,
        Class::Interactive,
        Class::Bulk,
        Class::BestEffort,
    ];

    /// What makes a route good for the class.
    pub fn objective(self) -> Objective {
        match self {
            Class::Critical | Class::Realtime => Objective::Latency,
            // A point per 10 ms, per unit of cost, per unit of u/(1 − u) and per percent of loss.
            Class::Interactive => Objective::Balanced(Weights {
                latency_per_ms: 100_000,
                cost: 1_000_000,
                congestion: 1_000_000,
                price: Congestion::Convex,
                loss_per_percent: 1_000_000,
                width_at_gbit: 0,
            }),
            Class::Bulk => Objective::Cost,
            Class::BestEffort => Objective::Widest,
        }
    }
}

/// Gives every class what the classes before it have left, by the method that is handed in, such as [`crate::max_flow`].
///
/// # Errors
/// The first error of the method.
pub fn by_class(
    topology: &Topology,
    demands: &BTreeMap<Class, Demands>,
    mut method: impl FnMut(&Topology, &Demands) -> Result<Optimum, TeError>,
) -> Result<BTreeMap<Class, Optimum>, TeError> {
    let mut left = topology.clone();
    let mut solved = BTreeMap::new();
    for (class, demands) in demands {
        let optimum = method(&left, demands)?;
        let loads = optimum.flows.loads(&left);
        for link in topology.links() {
            let mut state = *left.state(link);
            let used = loads.by_link[link.index()].ceil() as u64;
            let rest = state.capacity.as_bits_per_s().saturating_sub(used);
            state.capacity = BitRate::from_bits_per_s(rest);
            let set = left.set_link(link, state);
            set.expect("weights that were accepted before");
        }
        solved.insert(*class, optimum);
    }
    Ok(solved)
}
