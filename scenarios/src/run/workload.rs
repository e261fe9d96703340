//! How far the workloads of a scenario have got. The simulator, the coordinator of a replay and the records of one
//! all follow them by this code, so that a completion time means the same in both worlds.

mod client;
mod datagrams;
mod federation;
mod migration;
mod replication;
mod stage;
mod transfer;

use longhaul_core::record::Progress;
use longhaul_core::time::{Instant, Span};
use longhaul_migration::GuestState;
use longhaul_net::routing::RegionId;

pub use client::ClientRun;
pub use datagrams::DatagramRun;
pub use federation::{FederationRun, Parting};
pub use migration::MigrationRun;
pub use replication::{Outage, ReplicationRun};
pub use stage::Stage;
pub use transfer::TransferRun;

use super::cast::{Cast, Part, Role, Workload};
use super::endpoint::Event;
use crate::schema::{Overlay, Scenario, Start};

/// An overlay during a run.
pub struct OverlayRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs.
    pub stage: Stage,
}

impl OverlayRun {
    fn new(spec: &Overlay) -> OverlayRun {
        OverlayRun {
            name: spec.name.clone(),
            stage: Stage::NOT_STARTED,
        }
    }
}

/// A service during a run.
pub struct ServiceRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs.
    pub stage: Stage,
}

/// The workloads of a scenario during a run.
pub struct Workloads {
    /// In the order of the scenario.
    pub migrations: Vec<MigrationRun>,
    /// In the order of the scenario.
    pub transfers: Vec<TransferRun>,
    /// In the order of the scenario.
    pub replications: Vec<ReplicationRun>,
    /// In the order of the scenario.
    pub federations: Vec<FederationRun>,
    /// In the order of the scenario.
    pub datagrams: Vec<DatagramRun>,
    /// In the order of the scenario.
    pub overlays: Vec<OverlayRun>,
    /// In the order of the scenario.
    pub services: Vec<ServiceRun>,
    /// In the order of the scenario.
    pub clients: Vec<ClientRun>,
    /// What starts at a time of the run.
    starts: Vec<(Span, Workload)>,
    /// What starts how long after another one has completed: the other one, itself, the pause.
    waiting: Vec<(Workload, Workload, Span)>,
    /// For each migration, the one that has brought its guest to where it starts.
    brought_by: Vec<Option<usize>>,
}

impl Workloads {
    /// Those of a scenario, before any has started.
    ///
    /// # Panics
    /// If one waits for a migration that the scenario does not have: the check found it.
    pub fn of(scenario: &Scenario) -> Workloads {
        let (mut starts, mut waiting) = (Vec::new(), Vec::new());
        for (index, spec) in scenario.migrations.iter().enumerate() {
            let workload = Workload::Migration(index);
            match &spec.start {
                Start::At(at) => starts.push((*at, workload)),
                Start::After { migration, pause } => {
                    let before = scenario.migrations.iter().position(|m| m.name == *migration);
                    let before = Workload::Migration(before.expect("a migration of the scenario"));
                    waiting.push((before, workload, *pause));
                }
            }
        }
        for (index, spec) in scenario.transfers.iter().enumerate() {
            starts.push((spec.at, Workload::Transfer(index)));
        }
        for (index, spec) in scenario.replications.iter().enumerate() {
            starts.push((spec.at, Workload::Replication(index)));
        }
        for (index, spec) in scenario.federations.iter().enumerate() {
            starts.push((spec.at, Workload::Federation(index)));
        }
        for (index, spec) in scenario.datagrams.iter().enumerate() {
            starts.push((spec.at, Workload::Datagrams(index)));
        }
        starts.extend((0..scenario.overlays.len()).map(|index| (Span::ZERO, Workload::Overlay(index))));
        starts.extend((0..scenario.services.len()).map(|index| (Span::ZERO, Workload::Service(index))));
        for (index, spec) in scenario.clients.iter().enumerate() {
            starts.push((spec.at, Workload::Client(index)));
        }
        let migrations = scenario.migrations.iter();
        let transfers = scenario.transfers.iter();
        Workloads {
            migrations: migrations.map(|spec| MigrationRun::new(&spec.name)).collect(),
            transfers: transfers
                .map(|spec| TransferRun::new(&spec.name, spec.carrier))
                .collect(),
            replications: scenario.replications.iter().map(ReplicationRun::new).collect(),
            federations: scenario.federations.iter().map(FederationRun::new).collect(),
            datagrams: scenario.datagrams.iter().map(DatagramRun::new).collect(),
            overlays: scenario.overlays.iter().map(OverlayRun::new).collect(),
            services: (scenario.services.iter())
                .map(|spec| ServiceRun {
                    name: spec.name.clone(),
                    stage: Stage::NOT_STARTED,
                })
                .collect(),
            clients: scenario.clients.iter().map(ClientRun::new).collect(),
            starts,
            waiting,
            brought_by: (0..scenario.migrations.len())
                .map(|index| scenario.brought_by(index))
                .collect(),
        }
    }

    /// What starts by itself, and when, in the order of the scenario.
    pub fn starts(&self) -> &[(Span, Workload)] {
        &self.starts
    }

    /// The guest of a migration that is about to start, if another one has brought it to where it starts.
    pub fn guest_for(&self, workload: Workload) -> Option<GuestState> {
        let Workload::Migration(index) = workload else {
            return None;
        };
        self.migrations[self.brought_by[index]?].guest.clone()
    }

    /// What starts because a workload has ended, and how long after it. One that failed releases nobody.
    pub fn dependents(&self, ended: Workload) -> Vec<(Workload, Span)> {
        if *self.stage(ended).progress() != Progress::Completed {
            return Vec::new();
        }
        let waiting = self.waiting.iter().filter(|(before, _, _)| *before == ended);
        waiting.map(|&(_, workload, pause)| (workload, pause)).collect()
    }

    /// The name of a workload in the scenario.
    pub fn name(&self, workload: Workload) -> &str {
        match workload {
            Workload::Migration(index) => &self.migrations[index].name,
            Workload::Transfer(index) => &self.transfers[index].name,
            Workload::Replication(index) => &self.replications[index].name,
            Workload::Federation(index) => &self.federations[index].name,
            Workload::Datagrams(index) => &self.datagrams[index].name,
            Workload::Overlay(index) => &self.overlays[index].name,
            Workload::Service(index) => &self.services[index].name,
            Workload::Client(index) => &self.clients[index].name,
        }
    }

    /// How far a workload has got.
    pub fn stage(&self, workload: Workload) -> &Stage {
        match workload {
            Workload::Migration(index) => &self.migrations[index].stage,
            Workload::Transfer(index) => &self.transfers[index].stage,
            Workload::Replication(index) => &self.replications[index].stage,
            Workload::Federation(index) => &self.federations[index].stage,
            Workload::Datagrams(index) => &self.datagrams[index].stage,
            Workload::Overlay(index) => &self.overlays[index].stage,
            Workload::Service(index) => &self.services[index].stage,
            Workload::Client(index) => &self.clients[index].stage,
        }
    }

    /// The same, to move it on.
    pub fn stage_mut(&mut self, workload: Workload) -> &mut Stage {
        match workload {
            Workload::Migration(index) => &mut self.migrations[index].stage,
            Workload::Transfer(index) => &mut self.transfers[index].stage,
            Workload::Replication(index) => &mut self.replications[index].stage,
            Workload::Federation(index) => &mut self.federations[index].stage,
            Workload::Datagrams(index) => &mut self.datagrams[index].stage,
            Workload::Overlay(index) => &mut self.overlays[index].stage,
            Workload::Service(index) => &mut self.services[index].stage,
            Workload::Client(index) => &mut self.clients[index].stage,
        }
    }

    /// Takes in what a machine reports; true if that ended its workload.
    pub fn observe(&mut self, now: Instant, part: &Part, event: &Event) -> bool {
        match part.workload {
            Workload::Federation(index) => match (part.role, event) {
                (Role::Cluster(place), Event::Cluster(event)) => {
                    self.federations[index].observe(now, place as usize, event)
                }
                _ => false,
            },
            Workload::Migration(index) => self.migrations[index].observe(now, event),
            Workload::Transfer(index) => self.transfers[index].observe(now, event),
            Workload::Replication(index) => self.replications[index].observe(now, event),
            Workload::Datagrams(index) => self.datagrams[index].observe(event),
            Workload::Client(index) => self.clients[index].observe(event),
            // What edges and servers report ends nothing.
            Workload::Overlay(_) | Workload::Service(_) => false,
        }
    }

    /// The machines of a region have ended, and what has one there has failed, except replications from there and
    /// federations: that is what they are for. Returns the workloads that this ended.
    pub fn kill(&mut self, now: Instant, cast: &Cast, region: RegionId, region_name: &str) -> Vec<Workload> {
        let mut ended = Vec::new();
        for (_, part) in cast.parts().filter(|(_, part)| part.region == region) {
            if let (Role::ReplicationSource, Workload::Replication(index)) = (part.role, part.workload) {
                self.replications[index].source_killed(now);
                continue;
            }
            if let (Role::Cluster(place), Workload::Federation(index)) = (part.role, part.workload) {
                self.federations[index].killed(now, place as usize);
                continue;
            }
            // They come back.
            if let Workload::Overlay(_) | Workload::Service(_) = part.workload {
                continue;
            }
            let stage = self.stage_mut(part.workload);
            if stage.fail(format!("killed in {region_name}")) {
                ended.push(part.workload);
            }
        }
        ended
    }

    /// The machines of a region stand still, or go on.
    pub fn halt(&mut self, now: Instant, cast: &Cast, region: RegionId, still: bool) {
        for (_, part) in cast.parts().filter(|(_, part)| part.region == region) {
            if let (Role::ReplicationSource, Workload::Replication(index)) = (part.role, part.workload) {
                let run = &mut self.replications[index];
                if still {
                    run.source_still(now);
                } else {
                    run.source_goes_on(now);
                }
            }
        }
    }

    /// Workloads that have neither completed nor failed. Overlays and services are there for the others, and have no
    /// end.
    pub fn outstanding(&self) -> usize {
        let migrations = self.migrations.iter().map(|run| &run.stage);
        let transfers = self.transfers.iter().map(|run| &run.stage);
        let replications = self.replications.iter().map(|run| &run.stage);
        let federations = self.federations.iter().map(|run| &run.stage);
        let datagrams = self.datagrams.iter().map(|run| &run.stage);
        let clients = self.clients.iter().map(|run| &run.stage);
        migrations
            .chain(transfers)
            .chain(replications)
            .chain(federations)
            .chain(datagrams)
            .chain(clients)
            .filter(|stage| stage.is_outstanding())
            .count()
    }
}
