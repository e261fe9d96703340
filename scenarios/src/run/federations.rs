//! Federations: their machines, their records and the metrics that are read from those.

mod metrics;
mod process;
mod record;

use longhaul_federation as federation;
use longhaul_federation::check::Checker;
use longhaul_federation::outbox::Priority;
use longhaul_federation::{ClusterId, Member, RegionManager, Setup, Topology};

use super::build::BuildError;
use super::cast::{Role, Workload};
use super::endpoint::Protocol;
use super::machines::{Maker, World};
use crate::schema::{CommandLoad, Federation, FederationTopology, StateLoad, UpdatePriority};

pub use metrics::of_federation;
pub use process::ClusterProcess;
pub use record::{Counted, federation_record};

impl Maker<'_> {
    /// A cluster of a federation.
    pub(super) fn cluster(&self, index: usize, place: u32) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.federations[index];
        let refuse = |reason: String| BuildError::Federation {
            federation: spec.name.clone(),
            reason,
        };
        let workload = Workload::Federation(index);
        let members = (0..).zip(&spec.members).map(|(place, region)| Member {
            id: ClusterId(place),
            // Several federations may have a cluster in a region.
            name: format!("{}/{region}", spec.name),
            region: region.clone(),
            peer: self.cast.peer(workload, Role::Cluster(place)),
        });
        let regions = RegionManager::new(members.collect(), topology(spec));
        let mut options = spec.settings.clone();
        // A replay encodes as fast as its computer does.
        options.encoding.costs_time &= self.world == World::Simulated;
        let setup = Setup {
            options,
            federation: spec.name.clone(),
            id: ClusterId(place),
            regions: regions.map_err(|error| refuse(error.to_string()))?,
            workload: Some(federation::WorkloadOptions {
                duration: spec.duration,
                updates: spec.state.map(updates),
                commands: spec.commands.map(commands),
            }),
            streams: self.streams,
            planted: self.planted.clusters,
        };
        ClusterProcess::new(setup)
            .map(|process| Protocol::Cluster(Box::new(process)))
            .map_err(|error| refuse(error.to_string()))
    }
}

/// What must hold of a federation.
pub(super) fn checker(spec: &Federation) -> Checker {
    Checker::new(voters(spec))
}

/// Whether a member votes in the log.
pub(super) fn votes(spec: &Federation, place: usize) -> bool {
    voters(spec).iter().any(|voter| voter.0 as usize == place)
}

/// Who votes in the log, if there is one.
fn voters(spec: &Federation) -> Vec<ClusterId> {
    match &spec.settings.consensus {
        None => Vec::new(),
        Some(log) if log.voters.is_empty() => (0..spec.members.len() as u32).map(ClusterId).collect(),
        Some(log) => log.voters.clone(),
    }
}

fn topology(spec: &Federation) -> Topology {
    match &spec.topology {
        FederationTopology::Mesh => Topology::Mesh,
        FederationTopology::Ring => Topology::Ring,
        FederationTopology::Star { hub } => {
            let place = spec.members.iter().position(|member| member == hub);
            Topology::Star {
                hub: ClusterId(place.expect("the hub is a member") as u32),
            }
        }
    }
}

fn updates(load: StateLoad) -> federation::UpdateOptions {
    federation::UpdateOptions {
        every: load.every,
        keys: load.keys,
        shared: load.shared,
        value_bytes: load.value.as_bytes() as u32,
        changed: load.changed,
        hot_keys: load.hot_keys,
        hot_updates: load.hot_updates,
        removals: load.removals,
        priority: match load.priority {
            UpdatePriority::High => Priority::High,
            UpdatePriority::Normal => Priority::Normal,
            UpdatePriority::Low => Priority::Low,
        },
    }
}

fn commands(load: CommandLoad) -> federation::CommandOptions {
    federation::CommandOptions {
        every: load.every,
        value_bytes: load.value.as_bytes() as u32,
        names: load.names,
        reads: load.reads,
    }
}
