//! Machines that stand still, go on, end, or are started again, all those of a region together.

use longhaul_core::machine::{Input, PeerId};
use longhaul_core::schedule::Schedule;
use longhaul_engine::Engine;
use longhaul_net::routing::RegionId;
use longhaul_service::{ClientCommand, NameFault, ServerCommand};

use super::cast::{Role, Workload};
use super::endpoint::{Life, Order, Protocol};
use super::scene::{Scene, disarm};
use crate::chaos::Target;
use crate::chaos::services::{ChaosOrder, OrderAt};
use crate::schema::{Service, WrongAnswer};

impl Scene {
    /// The machines of a region stand still: what they would be told comes when they go on.
    pub(super) fn pause(&mut self, engine: &Engine, region: RegionId) {
        self.workloads.halt(engine.now(), &self.cast, region, true);
        self.network.pause(region);
        for peer in self.machines_in(region) {
            let life = &mut self.endpoints[peer.0 as usize].life;
            // What has ended and was not started again does not stand still.
            if *life == Life::Runs {
                *life = Life::Still {
                    start: false,
                    wake: false,
                };
            }
        }
    }

    /// They go on: first with what was due in the meantime, then with what the network has for them.
    pub(super) fn resume(&mut self, engine: &mut Engine, region: RegionId) {
        self.workloads.halt(engine.now(), &self.cast, region, false);
        for peer in self.machines_in(region) {
            let life = &mut self.endpoints[peer.0 as usize].life;
            let Life::Still { start, wake } = *life else {
                continue;
            };
            *life = Life::Runs;
            self.tell_of_disk(engine, peer);
            if start {
                self.start(engine, peer);
            }
            if wake {
                self.deliver(engine, peer, Input::Wake);
            }
            if self.wound_up {
                self.stop_machine(engine, peer);
            }
        }
        self.network.resume(engine, region);
    }

    /// They end, and what they worked for has failed; a cluster of a federation may come back.
    pub(super) fn kill(&mut self, engine: &mut Engine, region: RegionId) {
        for peer in self.machines_in(region) {
            let endpoint = &mut self.endpoints[peer.0 as usize];
            if matches!(endpoint.life, Life::Ended { .. }) {
                continue;
            }
            if let Protocol::Server(_) = endpoint.machine {
                let crash = ServerCommand::Crash { restart_after: None };
                self.deliver(engine, peer, Input::Command(Order::Server(crash)));
            }
            let endpoint = &mut self.endpoints[peer.0 as usize];
            let start = matches!(endpoint.life, Life::Still { start: true, .. });
            endpoint.life = Life::Ended { start };
            disarm(engine, endpoint);
            if let (Protocol::Cluster(process), Workload::Federation(index)) =
                (&mut endpoint.machine, endpoint.part.workload)
            {
                process.kill(engine.now());
                self.checkers[index].on_crash(process.id());
                self.check_disks(index);
            }
        }
        self.kill_edges(engine.now(), region);
        let name = self.network.region_name(region);
        for workload in self.workloads.kill(engine.now(), &self.cast, region, name) {
            self.end(engine, workload);
        }
        self.network.kill(engine, region);
    }

    /// Those that can come back are started again, with what was durable. The others stay away.
    pub(super) fn restart(&mut self, engine: &mut Engine, region: RegionId) {
        self.network.restart(region);
        if self.wound_up {
            return;
        }
        for peer in self.machines_in(region) {
            self.restart_edge(engine, peer);
            self.restart_server(engine, peer);
            let endpoint = &mut self.endpoints[peer.0 as usize];
            if let (Protocol::Cluster(process), Life::Ended { start }) =
                (&mut endpoint.machine, endpoint.life)
            {
                process.restart(engine.now(), endpoint.disk.take());
                endpoint.life = Life::Runs;
                if start {
                    self.start(engine, peer);
                } else {
                    self.deliver(engine, peer, Input::Wake);
                }
            }
        }
    }

    /// A server, a client or a disk suffers from now on, or no longer. A process that does not run hears of its disk when
    /// it does again, and a server or client that has ended nothing.
    pub(super) fn suffer(&mut self, engine: &mut Engine, next: OrderAt) {
        let (workload, role) = match next.target {
            Target::Server(service, place) => (Workload::Service(service), Role::Server(place)),
            Target::Client(client) => (Workload::Client(client), Role::Client),
            Target::Cluster(federation, place) => (Workload::Federation(federation), Role::Cluster(place)),
            Target::Replica(replication) => (Workload::Replication(replication), Role::Replica),
            Target::Link(_) | Target::Region(_) => unreachable!("nobody to be told"),
        };
        let peer = self.cast.peer(workload, role);
        let order = match next.order {
            ChaosOrder::Disk(condition) => {
                self.endpoints[peer.0 as usize].disk = Some(condition);
                return self.tell_of_disk(engine, peer);
            }
            ChaosOrder::Server(command) => Order::Server(command),
            ChaosOrder::Names(answer) => Order::Client(ClientCommand::Names(match answer {
                None => NameFault::None,
                Some(WrongAnswer::BlackHole) => NameFault::BlackHole,
                Some(WrongAnswer::Failed) => NameFault::Failed,
                Some(WrongAnswer::Stale(region)) => NameFault::Stale(vec![self.server_in(workload, &region)]),
            })),
        };
        if !matches!(self.endpoints[peer.0 as usize].life, Life::Ended { .. }) {
            self.deliver(engine, peer, Input::Command(order));
        }
    }

    /// Tells a machine how well its disk does, if that is news and its process runs.
    fn tell_of_disk(&mut self, engine: &mut Engine, peer: PeerId) {
        let endpoint = &mut self.endpoints[peer.0 as usize];
        if endpoint.life == Life::Runs
            && let Some(condition) = endpoint.disk.take()
            && !self.wound_up
        {
            self.deliver(engine, peer, Input::Command(Order::Disk(condition)));
        }
    }

    /// The server in a region of the service that a client calls.
    fn server_in(&self, client: Workload, region: &str) -> PeerId {
        let Workload::Client(client) = client else {
            unreachable!("only clients look names up")
        };
        let services = &self.scenario.services;
        let service = Service::place(services, &self.scenario.clients[client].service);
        let place = services[service].server_in(region);
        self.cast.peer(Workload::Service(service), Role::Server(place))
    }

    /// A server's process starts again, without what it knew.
    fn restart_server(&mut self, engine: &mut Engine, peer: PeerId) {
        let endpoint = &mut self.endpoints[peer.0 as usize];
        if let (Protocol::Server(_), Life::Ended { start }) = (&endpoint.machine, endpoint.life) {
            endpoint.life = Life::Runs;
            if start {
                self.start(engine, peer);
            }
            self.deliver(engine, peer, Input::Command(Order::Server(ServerCommand::Resume)));
        }
    }

    /// Tells a cluster of a federation that all is over. Servers, clients, edges and tunnels, who would go on to ask after
    /// each other, take in nothing more. Nobody else has to be told.
    pub(super) fn stop_machine(&mut self, engine: &mut Engine, peer: PeerId) {
        let endpoint = &mut self.endpoints[peer.0 as usize];
        match endpoint.machine {
            Protocol::Cluster(_) if endpoint.life == Life::Runs => {
                self.deliver(engine, peer, Input::Command(Order::Stop));
            }
            _ if endpoint.machine.asks_on() => {
                endpoint.life = Life::Ended { start: false };
                disarm(engine, endpoint);
            }
            _ => {}
        }
    }

    /// Whether it is a machine that takes in nothing more once all is over.
    pub(super) fn has_fallen_silent(&self, peer: PeerId) -> bool {
        let endpoint = &self.endpoints[peer.0 as usize];
        endpoint.machine.asks_on() && matches!(endpoint.life, Life::Ended { .. })
    }

    /// Holds a machine that has just done something against what must hold of its federation.
    ///
    /// # Panics
    /// If it does not.
    pub(super) fn check_cluster(&mut self, peer: PeerId) {
        let endpoint = &self.endpoints[peer.0 as usize];
        if let (Protocol::Cluster(process), Workload::Federation(index)) =
            (&endpoint.machine, endpoint.part.workload)
            && let Some(cluster) = process.cluster()
            && let Err(violation) = self.checkers[index].observe(cluster)
        {
            panic!("{}: {violation}", self.workloads.name(endpoint.part.workload));
        }
    }

    /// Whether what a federation has committed is on the disks of a quorum, those of clusters that are down included.
    ///
    /// # Panics
    /// If it is not.
    pub(super) fn check_disks(&self, index: usize) {
        let workload = Workload::Federation(index);
        let processes = self.cast.machines(workload).filter_map(|peer| {
            let machine = &self.endpoints[peer.0 as usize].machine;
            if let Protocol::Cluster(process) = machine {
                Some(process)
            } else {
                None
            }
        });
        let checker = &self.checkers[index];
        let voters = processes.filter(|process| checker.voters().contains(&process.id()));
        if let Err(violation) = checker.observe_disks(voters.filter_map(|process| process.disk())) {
            panic!("{}: {violation}", self.workloads.name(workload));
        }
    }

    pub(super) fn machines_in(&self, region: RegionId) -> Vec<PeerId> {
        let here = self.cast.parts().filter(|(_, part)| part.region == region);
        // Tunnels are the kernel's, which goes on.
        let here = here.filter(|(_, part)| !matches!(part.role, Role::Tunnel(_) | Role::PathMtu(_)));
        here.map(|(peer, _)| peer).collect()
    }
}
