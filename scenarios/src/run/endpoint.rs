//! The machines of a scenario behind one type, with the driver's table of their streams.
//!
//! The simulator is one of three drivers (see [`longhaul_core::machine`]): it carries bytes between machines
//! over the packet network and wakes them in virtual time. It never looks inside.

use std::collections::BTreeMap;

use longhaul_amst::object;
use longhaul_bulk as bulk;
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{Input, Machine, Output, StreamId};
use longhaul_core::random::Stream;
use longhaul_core::schedule::{EntityId, TimerId};
use longhaul_core::time::Instant;
use longhaul_federation as federation;
use longhaul_migration as migration;
use longhaul_net::notice::{ConnectionId, Side};
use longhaul_replication as replication;
use longhaul_sdwan as sdwan;
use longhaul_service::{ClientCommand, Server, ServerCommand, ServerEvent};
use longhaul_stream as stream;
use longhaul_tcp as tcp;
use longhaul_tunnel as tunnel;
use serde::{Deserialize, Serialize};

use super::cast::Part;
use super::federations::ClusterProcess;
use super::guest::Guest;
use super::overlays::{EdgeProcess, Report};
use super::services::{ClientProcess, ClientReport};

/// One endpoint of the scenario.
pub struct Endpoint {
    /// The machine.
    pub machine: Protocol,
    /// What it does in the scenario, and where.
    pub part: Part,
    /// Settings of the connections that it opens.
    tcp: tcp::Config,
    /// Where each of them has its random choices from.
    seeds: Stream,
    /// Its entity in the event queue.
    pub entity: EntityId,
    /// The wake that it asked for last.
    pub wake: Option<(Instant, TimerId)>,
    /// Where its streams run.
    pub streams: BTreeMap<StreamId, (ConnectionId, Side)>,
    /// Whether its process runs.
    pub life: Life,
    /// How well its disk does, to be told when it runs again.
    pub disk: Option<DiskCondition>,
    accepted: u32,
}

/// Whether a machine's process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It runs.
    Runs,
    /// It stands still; what was due meanwhile comes when it goes on.
    Still {
        /// Its start was due.
        start: bool,
        /// A wake was due.
        wake: bool,
    },
    /// It has ended.
    Ended {
        /// Its start was due since.
        start: bool,
    },
}

/// Every kind of machine that a scenario can hold.
pub enum Protocol {
    /// The source of a live migration.
    MigrationSource(Box<migration::Source<Guest>>),
    /// Its destination.
    MigrationDestination(Box<migration::Destination<Guest>>),
    /// The sender of a bulk transfer.
    BulkSender(bulk::Sender),
    /// Its receiver.
    BulkReceiver(bulk::Receiver),
    /// The source of a continuous replication.
    ReplicationSource(Box<replication::Source<Guest>>),
    /// Its replica.
    Replica(Box<replication::Replica>),
    /// The sender of a transfer by AMST.
    ObjectSender(Box<object::ObjectSender>),
    /// Its receiver.
    ObjectReceiver(Box<object::ObjectReceiver>),
    /// A cluster of a federation.
    Cluster(Box<ClusterProcess>),
    /// The sender of a stream of datagrams.
    DatagramSender(stream::Sender),
    /// Its receiver.
    DatagramReceiver(Box<stream::Receiver>),
    /// The edge of an overlay.
    Edge(Box<EdgeProcess>),
    /// The end of a tunnel.
    Tunnel(Box<longhaul_tunnel::Tunnel>),
    /// What finds the MTU of a path.
    PathMtu(Box<longhaul_tunnel::PathMtu>),
    /// The server of a service.
    Server(Box<Server>),
    /// A client of a service.
    Client(Box<ClientProcess>),
}

/// What a machine reports.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// From the source of a live migration.
    MigrationSource(migration::SourceEvent),
    /// From its destination.
    MigrationDestination(migration::DestinationEvent),
    /// From the sender of a bulk transfer.
    BulkSender(bulk::SenderEvent),
    /// From its receiver.
    BulkReceiver(bulk::ReceiverEvent),
    /// From the source of a continuous replication.
    ReplicationSource(replication::SourceEvent),
    /// From its replica.
    Replica(replication::ReplicaEvent),
    /// From the sender of a transfer by AMST.
    ObjectSender(object::ObjectEvent),
    /// From its receiver.
    ObjectReceiver(object::ArrivalEvent),
    /// From a cluster of a federation.
    Cluster(federation::Event),
    /// From the sender of a stream of datagrams.
    DatagramSender(stream::SenderEvent),
    /// From its receiver.
    DatagramReceiver(stream::ReceiverEvent),
    /// From the edge of an overlay.
    Edge(sdwan::Event),
    /// From what finds the other edges.
    Discovery(sdwan::DiscoveryEvent),
    /// From the end of a tunnel.
    Tunnel(tunnel::Event),
    /// From what finds the MTU of a path.
    PathMtu(tunnel::path_mtu::PathMtuEvent),
    /// From the server of a service.
    Server(ServerEvent),
    /// From a client.
    Client(ClientReport),
}

/// What a scenario tells a machine to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Begin.
    Start {
        /// For the source of a migration: the guest, if another migration has brought it here.
        guest: Option<migration::GuestState>,
    },
    /// For a cluster of a federation or an edge, which would go on for ever: end.
    Stop,
    /// For an edge.
    Edge(sdwan::Command),
    /// For the end of a tunnel.
    Tunnel(tunnel::Command),
    /// For the server of a service.
    Server(ServerCommand),
    /// For a client.
    Client(ClientCommand),
    /// For a cluster of a federation or a replica: how well its disk does.
    Disk(DiskCondition),
}

impl Endpoint {
    /// An endpoint that has not started.
    pub fn new(machine: Protocol, part: Part, tcp: tcp::Config, seeds: Stream, entity: EntityId) -> Endpoint {
        Endpoint {
            machine,
            part,
            tcp,
            seeds,
            entity,
            wake: None,
            streams: BTreeMap::new(),
            life: Life::Runs,
            disk: None,
            accepted: 0,
        }
    }

    /// Settings of the next connection that it opens.
    pub fn next_tcp(&mut self) -> tcp::Config {
        tcp::Config {
            seed: self.seeds.u64(),
            ..self.tcp
        }
    }

    /// Numbers a stream that a peer opened.
    pub fn accept(&mut self, connection: ConnectionId) -> StreamId {
        let stream = StreamId(StreamId::FIRST_ACCEPTED + self.accepted);
        self.accepted += 1;
        self.streams.insert(stream, (connection, Side::Acceptor));
        stream
    }
}

impl Protocol {
    /// Whether it would go on to ask after others when all work is done.
    pub fn asks_on(&self) -> bool {
        matches!(
            self,
            Protocol::Server(_)
                | Protocol::Client(_)
                | Protocol::Edge(_)
                | Protocol::Tunnel(_)
                | Protocol::PathMtu(_)
        )
    }

    /// Whether it waits for the transport to take what it has sent. Clients and servers hand over all at once, and to
    /// hear of each small write would be a quarter of all that they hear.
    pub fn waits_for_room(&self) -> bool {
        !matches!(self, Protocol::Server(_) | Protocol::Client(_))
    }
}

impl Machine for Protocol {
    type Command = Order;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Order>) {
        match self {
            Protocol::MigrationSource(m) => {
                let start = |order| match order {
                    Order::Start { guest } => migration::Command::Start { guest },
                    _ => unreachable!("a migration ends by itself"),
                };
                m.handle(now, with_command(input, start));
            }
            Protocol::MigrationDestination(m) => m.handle(now, with_command(input, |_| ())),
            Protocol::BulkSender(m) => m.handle(now, with_command(input, |_| bulk::Command::Start)),
            Protocol::BulkReceiver(m) => m.handle(now, with_command(input, |_| bulk::Command::Start)),
            Protocol::ReplicationSource(m) => {
                m.handle(now, with_command(input, |_| replication::SourceCommand::Start));
            }
            // When it is to take over stands in its options.
            Protocol::Replica(m) => {
                let command = |order| match order {
                    Order::Disk(condition) => replication::ReplicaCommand::Disk(condition),
                    _ => unreachable!("no order for a replica"),
                };
                m.handle(now, with_command(input, command));
            }
            Protocol::ObjectSender(m) => m.handle(now, with_command(input, |_| object::Command::Start)),
            Protocol::ObjectReceiver(m) => m.handle(now, with_command(input, |_| ())),
            Protocol::Cluster(m) => {
                let command = |order| match order {
                    Order::Start { .. } => federation::Command::Start,
                    Order::Stop => federation::Command::Stop,
                    Order::Disk(condition) => federation::Command::Disk(condition),
                    _ => unreachable!("no order for a cluster"),
                };
                m.handle(now, with_command(input, command));
            }
            Protocol::DatagramSender(m) => m.handle(now, with_command(input, |_| stream::Command::Start)),
            Protocol::DatagramReceiver(m) => m.handle(now, with_command(input, |_| stream::Command::Start)),
            Protocol::Tunnel(m) => {
                let command = |order| match order {
                    Order::Tunnel(command) => command,
                    _ => unreachable!("no order for a tunnel"),
                };
                m.handle(now, with_start(input, command));
            }
            Protocol::PathMtu(m) => {
                m.handle(now, with_start(input, |_| unreachable!("no order for a search")));
            }
            Protocol::Server(m) => {
                let command = |order| match order {
                    Order::Server(command) => command,
                    _ => unreachable!("no order for a server"),
                };
                m.handle(now, with_start(input, command));
            }
            Protocol::Client(m) => {
                let command = |order| match order {
                    Order::Client(command) => command,
                    _ => unreachable!("no order for a client"),
                };
                m.handle(now, with_start(input, command));
            }
            Protocol::Edge(m) => {
                let command = |order| match order {
                    Order::Edge(command) => command,
                    _ => unreachable!("no order for an edge"),
                };
                m.handle(now, with_start(input, command));
            }
        }
    }

    fn poll(&mut self) -> Output<Event> {
        match self {
            Protocol::MigrationSource(m) => map_event(m.poll(), Event::MigrationSource),
            Protocol::MigrationDestination(m) => map_event(m.poll(), Event::MigrationDestination),
            Protocol::BulkSender(m) => map_event(m.poll(), Event::BulkSender),
            Protocol::BulkReceiver(m) => map_event(m.poll(), Event::BulkReceiver),
            Protocol::ReplicationSource(m) => map_event(m.poll(), Event::ReplicationSource),
            Protocol::Replica(m) => map_event(m.poll(), Event::Replica),
            Protocol::ObjectSender(m) => map_event(m.poll(), Event::ObjectSender),
            Protocol::ObjectReceiver(m) => map_event(m.poll(), Event::ObjectReceiver),
            Protocol::Cluster(m) => map_event(m.poll(), Event::Cluster),
            Protocol::DatagramSender(m) => map_event(m.poll(), Event::DatagramSender),
            Protocol::DatagramReceiver(m) => map_event(m.poll(), Event::DatagramReceiver),
            Protocol::Edge(m) => map_event(m.poll(), |report| match report {
                Report::Edge(event) => Event::Edge(event),
                Report::Discovery(event) => Event::Discovery(event),
            }),
            Protocol::Tunnel(m) => map_event(m.poll(), Event::Tunnel),
            Protocol::PathMtu(m) => map_event(m.poll(), Event::PathMtu),
            Protocol::Server(m) => map_event(m.poll(), Event::Server),
            Protocol::Client(m) => map_event(m.poll(), Event::Client),
        }
    }
}

/// What a machine is told, with the order as a command of its own.
fn with_command<C>(input: Input<Order>, command: impl FnOnce(Order) -> C) -> Input<C> {
    match input {
        Input::Command(order) => Input::Command(command(order)),
        Input::Start => Input::Start,
        Input::Wake => Input::Wake,
        Input::Opened { stream } => Input::Opened { stream },
        Input::Accepted { stream } => Input::Accepted { stream },
        Input::Received { stream, payload } => Input::Received { stream, payload },
        Input::Sent { stream, bytes } => Input::Sent { stream, bytes },
        Input::Closed { stream, reason } => Input::Closed { stream, reason },
        Input::Path { stream, info } => Input::Path { stream, info },
        Input::Datagram { from, payload } => Input::Datagram { from, payload },
    }
}

/// The same for machines that begin with [`Input::Start`].
fn with_start<C>(input: Input<Order>, command: impl FnOnce(Order) -> C) -> Input<C> {
    match input {
        Input::Command(Order::Start { .. }) => Input::Start,
        input => with_command(input, command),
    }
}

fn map_event<E>(output: Output<E>, wrap: impl FnOnce(E) -> Event) -> Output<Event> {
    match output {
        Output::Event(event) => Output::Event(wrap(event)),
        Output::Open { stream, peer } => Output::Open { stream, peer },
        Output::Send { stream, payload } => Output::Send { stream, payload },
        Output::Close { stream } => Output::Close { stream },
        Output::Abort { stream } => Output::Abort { stream },
        Output::Inspect { stream } => Output::Inspect { stream },
        Output::Datagram { to, payload } => Output::Datagram { to, payload },
        Output::WakeAt { at, why } => Output::WakeAt { at, why },
        Output::Idle => Output::Idle,
    }
}
