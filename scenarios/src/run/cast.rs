//! Who takes part in a scenario: every machine with its part, its number, its region and its connections. The simulator
//! and the replay both go by this list.

use longhaul_core::machine::PeerId;
use longhaul_net::routing::RegionId;

use super::overlays;
use crate::decode::transport;
use crate::schema::{Carrier, Migration, Replication, Scenario, Service, Tcp, Vm};

/// What machines work for, by index in the scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Workload {
    /// A live migration.
    Migration(usize),
    /// A bulk transfer.
    Transfer(usize),
    /// A continuous replication.
    Replication(usize),
    /// A federation of clusters.
    Federation(usize),
    /// A stream of datagrams.
    Datagrams(usize),
    /// An overlay, whose edges work for all others.
    Overlay(usize),
    /// A service, whose servers work for clients.
    Service(usize),
    /// A client of a service.
    Client(usize),
}

/// What a machine does in its workload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Where a guest leaves.
    MigrationSource,
    /// Where it arrives.
    MigrationDestination,
    /// The sender of a transfer.
    BulkSender,
    /// Its receiver.
    BulkReceiver,
    /// Where guests are protected.
    ReplicationSource,
    /// Where they are protected to.
    Replica,
    /// The sender of a transfer by AMST.
    ObjectSender,
    /// Its receiver.
    ObjectReceiver,
    /// A cluster of a federation, by its place in the list of members.
    Cluster(u32),
    /// The sender of a stream of datagrams.
    DatagramSender,
    /// Its receiver.
    DatagramReceiver,
    /// The edge of an overlay, by the place of its region in [`Overlay::sites`](crate::schema::Overlay::sites).
    Edge(u32),
    /// The server of a service, by the place of its region in the list of replicas.
    Server(u32),
    /// A client.
    Client,
    /// The tunnel at a path end, by its number among all path ends of the scenario.
    Tunnel(u32),
    /// What finds the MTU of the path from a path end, by the same number.
    PathMtu(u32),
}

impl Role {
    /// Whether it is the end of a transfer at which the bytes arrive.
    pub fn receives(self) -> bool {
        matches!(self, Role::BulkReceiver | Role::ObjectReceiver)
    }
}

/// One machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it works for.
    pub workload: Workload,
    /// What it does there.
    pub role: Role,
    /// Where it runs.
    pub region: RegionId,
    /// Settings of the connections that it opens or accepts.
    pub tcp: Tcp,
    /// The port where it accepts them.
    pub port: u16,
}

/// All machines of a scenario; the index is the [`PeerId`]. Workloads stand in the order of the scenario, kind by kind,
/// and the machines of each in the order of their roles. The first one of a workload is told to start; of a federation
/// every one is.
#[derive(Clone, Debug)]
pub struct Cast {
    parts: Vec<Part>,
    /// Who talks with whom.
    pairs: Vec<(PeerId, PeerId)>,
}

impl Cast {
    /// The machines of a scenario that passed its check.
    pub fn of(scenario: &Scenario) -> Cast {
        let mut cast = Cast {
            parts: Vec::new(),
            pairs: Vec::new(),
        };
        for (index, spec) in scenario.migrations.iter().enumerate() {
            let workload = Workload::Migration(index);
            let (from, tcp) = (scenario.origin(index), spec.transport.tcp);
            cast.add(scenario, workload, Role::MigrationSource, from, tcp);
            cast.add(scenario, workload, Role::MigrationDestination, &spec.to, tcp);
            cast.pair_last_two();
        }
        for (index, spec) in scenario.transfers.iter().enumerate() {
            let workload = Workload::Transfer(index);
            let (sender, receiver) = match spec.carrier {
                Carrier::Plain { .. } => (Role::BulkSender, Role::BulkReceiver),
                Carrier::Amst(_) => (Role::ObjectSender, Role::ObjectReceiver),
            };
            let tcp = spec.carrier.tcp();
            cast.add(scenario, workload, sender, &spec.from, tcp);
            cast.add(scenario, workload, receiver, &spec.to, tcp);
            cast.pair_last_two();
        }
        for (index, spec) in scenario.replications.iter().enumerate() {
            let workload = Workload::Replication(index);
            let (from, tcp) = (source_region(scenario, spec), spec.transport.tcp);
            cast.add(scenario, workload, Role::ReplicationSource, from, tcp);
            cast.add(scenario, workload, Role::Replica, &spec.to, tcp);
            cast.pair_last_two();
        }
        for (index, spec) in scenario.federations.iter().enumerate() {
            let first = cast.parts.len();
            for (place, region) in (0..).zip(&spec.members) {
                let workload = Workload::Federation(index);
                cast.add(scenario, workload, Role::Cluster(place), region, spec.tcp);
            }
            let peer = |place: usize| PeerId((first + place) as u32);
            let pairs = spec.neighbours().into_iter();
            cast.pairs
                .extend(pairs.map(|(one, other)| (peer(one), peer(other))));
        }
        for (index, spec) in scenario.datagrams.iter().enumerate() {
            let workload = Workload::Datagrams(index);
            let tcp = Tcp {
                class: spec.class,
                ..transport::DEFAULT.tcp
            };
            cast.add(scenario, workload, Role::DatagramSender, &spec.from, tcp);
            cast.add(scenario, workload, Role::DatagramReceiver, &spec.to, tcp);
            cast.pair_last_two();
        }
        for (index, spec) in scenario.overlays.iter().enumerate() {
            for (place, region) in (0..).zip(spec.sites()) {
                cast.add(
                    scenario,
                    Workload::Overlay(index),
                    Role::Edge(place),
                    region,
                    transport::DEFAULT.tcp,
                );
            }
        }
        for (number, end) in (0..).zip(overlays::ends(scenario)) {
            let path = &scenario.overlays[end.overlay].paths[end.path];
            let tunnel = path.has_tunnel().then_some(Role::Tunnel(number));
            let search = path.search().map(|_| Role::PathMtu(number));
            let region = &scenario.regions[end.from.0 as usize].name;
            let workload = Workload::Overlay(end.overlay);
            for role in tunnel.into_iter().chain(search) {
                cast.add(scenario, workload, role, region, transport::DEFAULT.tcp);
            }
        }
        for (index, spec) in scenario.services.iter().enumerate() {
            for (place, region) in (0..).zip(&spec.replicas) {
                let role = Role::Server(place);
                cast.add(scenario, Workload::Service(index), role, region, spec.tcp);
            }
        }
        for (index, spec) in scenario.clients.iter().enumerate() {
            cast.add(
                scenario,
                Workload::Client(index),
                Role::Client,
                &spec.region,
                spec.tcp,
            );
        }
        cast.pair_callers(scenario);
        cast
    }

    /// Everybody who calls a service talks with all of its servers.
    fn pair_callers(&mut self, scenario: &Scenario) {
        let servers =
            |name: &String| self.machines(Workload::Service(Service::place(&scenario.services, name)));
        let mut pairs = Vec::new();
        for (index, spec) in scenario.services.iter().enumerate() {
            for caller in self.machines(Workload::Service(index)) {
                for service in &spec.behind {
                    pairs.extend(servers(service).map(|server| (caller, server)));
                }
            }
        }
        for (index, spec) in scenario.clients.iter().enumerate() {
            let caller = self.first(Workload::Client(index));
            pairs.extend(servers(&spec.service).map(|server| (caller, server)));
        }
        self.pairs.extend(pairs);
    }

    /// The machines added last talk with each other.
    fn pair_last_two(&mut self) {
        let count = self.parts.len() as u32;
        self.pairs.push((PeerId(count - 2), PeerId(count - 1)));
    }

    fn add(&mut self, scenario: &Scenario, workload: Workload, role: Role, region: &str, tcp: Tcp) {
        let region = region_id(scenario, region);
        self.parts.push(Part {
            workload,
            role,
            region,
            tcp,
            port: port(scenario, workload),
        });
    }

    /// Every machine with its number, in the order of the numbers.
    pub fn parts(&self) -> impl Iterator<Item = (PeerId, &Part)> {
        (0..).map(PeerId).zip(&self.parts)
    }

    /// The part of a machine, if there is such a machine.
    pub fn part(&self, peer: PeerId) -> Option<&Part> {
        self.parts.get(peer.0 as usize)
    }

    /// The machine that has a role in a workload.
    ///
    /// # Panics
    /// If there is none.
    pub fn peer(&self, workload: Workload, role: Role) -> PeerId {
        let mut parts = self.parts();
        let found = parts.find(|(_, part)| part.workload == workload && part.role == role);
        found.expect("every workload has all machines of its kind").0
    }

    /// The sender and the receiver of a transfer.
    ///
    /// # Panics
    /// If there is no such transfer.
    pub fn transfer(&self, index: usize) -> (PeerId, PeerId) {
        let sender = self.first(Workload::Transfer(index));
        (sender, PeerId(sender.0 + 1))
    }

    /// The first machine of a workload.
    ///
    /// # Panics
    /// If there is no such workload.
    pub fn first(&self, workload: Workload) -> PeerId {
        let first = self.parts().find(|(_, part)| part.workload == workload);
        first.expect("every workload has machines").0
    }

    /// The machines that are told to start a workload.
    ///
    /// # Panics
    /// If there is no such workload.
    pub fn starters(&self, workload: Workload) -> Vec<PeerId> {
        match workload {
            Workload::Federation(_) | Workload::Overlay(_) | Workload::Service(_) => {
                self.machines(workload).collect()
            }
            _ => vec![self.first(workload)],
        }
    }

    /// The machines of a workload.
    pub fn machines(&self, workload: Workload) -> impl Iterator<Item = PeerId> + '_ {
        let own = self.parts().filter(move |(_, part)| part.workload == workload);
        own.map(|(peer, _)| peer)
    }

    /// Between which regions machines talk.
    pub fn paths(&self) -> impl Iterator<Item = (RegionId, RegionId)> + '_ {
        let region = |peer: PeerId| self.parts[peer.0 as usize].region;
        self.pairs
            .iter()
            .map(move |&(one, other)| (region(one), region(other)))
    }
}

/// Where the machines of a workload accept connections: QEMU's first port for migrations, that of NBD for replications,
/// and that of etcd for federations; edges and clients accept none.
fn port(scenario: &Scenario, workload: Workload) -> u16 {
    match workload {
        Workload::Migration(_) => 49_152,
        Workload::Transfer(index) => scenario.transfers[index].port,
        Workload::Replication(_) => 10_809,
        Workload::Federation(_) => 2_379,
        Workload::Datagrams(index) => scenario.datagrams[index].port,
        Workload::Overlay(_) | Workload::Client(_) => 0,
        Workload::Service(index) => scenario.services[index].port,
    }
}

/// The VM that a migration moves.
///
/// # Panics
/// If the scenario has no such VM: the check found it.
pub fn vm_of<'a>(scenario: &'a Scenario, spec: &Migration) -> &'a Vm {
    let vm = scenario.vms.iter().find(|vm| vm.name == spec.vm);
    vm.expect("a VM of the scenario")
}

/// The VMs of a replication, in its order.
///
/// # Panics
/// If the scenario has no such VM: the check found it.
pub fn vms_of<'a>(scenario: &'a Scenario, spec: &'a Replication) -> impl Iterator<Item = &'a Vm> {
    let named = |name: &String| scenario.vms.iter().find(move |vm| vm.name == *name);
    spec.vms
        .iter()
        .map(move |name| named(name).expect("a VM of the scenario"))
}

/// The region where the VMs of a replication run.
///
/// # Panics
/// If there is none: the check found one.
pub fn source_region<'a>(scenario: &'a Scenario, spec: &'a Replication) -> &'a String {
    let first = vms_of(scenario, spec).next();
    &first.expect("a replication has VMs").region
}

/// # Panics
/// If the scenario has no such region: the check found it.
pub fn region_id(scenario: &Scenario, name: &str) -> RegionId {
    let index = scenario.regions.iter().position(|region| region.name == name);
    RegionId(index.expect("a region of the scenario") as u32)
}
