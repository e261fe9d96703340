//! The machines of a region, built by the functions that the simulator uses, and where each of them runs.

use std::path::PathBuf;

use longhaul_core::machine::PeerId;
use longhaul_replay::Endpoint;
use longhaul_replay::coordinator::{Observer, Place, Work};
use longhaul_replay::driver::SocketOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::observer::Progress;
use crate::run::cast::Cast;
use crate::run::endpoint::Order;
use crate::run::machines::{Maker, SOCKET_WRITE, World};
use crate::schema::{Controller, Tcp};
use crate::source::Source;
use crate::{Loaded, load};

pub use crate::run::endpoint::{Event, Protocol};

/// Port of the first machine; the others count up. Below the ports that connections get by themselves.
const FIRST_PORT: u16 = 10_000;

impl Endpoint for Protocol {
    fn start_command(&self) -> Order {
        Order::Start { guest: None }
    }

    fn input_is_synthetic(&self) -> bool {
        match self {
            Protocol::MigrationSource(_)
            | Protocol::MigrationDestination(_)
            | Protocol::ReplicationSource(_)
            | Protocol::Replica(_) => false,
            // Records have headers to be read.
            Protocol::ObjectSender(_) | Protocol::ObjectReceiver(_) => false,
            Protocol::Cluster(_) | Protocol::Edge(_) => false,
            Protocol::Tunnel(_) | Protocol::PathMtu(_) => false,
            Protocol::DatagramSender(_) | Protocol::DatagramReceiver(_) => false,
            Protocol::Server(_) | Protocol::Client(_) => false,
            Protocol::BulkSender(_) | Protocol::BulkReceiver(_) => true,
        }
    }

    fn summary(&self) -> Value {
        let summary = match self {
            Protocol::MigrationSource(source) => serde_json::to_value(source.statistics()),
            Protocol::MigrationDestination(destination) => serde_json::to_value(destination.statistics()),
            Protocol::BulkSender(_) => Ok(Value::Null),
            Protocol::ObjectSender(sender) => serde_json::to_value(sender.statistics()),
            Protocol::ObjectReceiver(receiver) => serde_json::to_value(Received {
                received: receiver.received(),
                by_stream: vec![receiver.received()],
            }),
            Protocol::BulkReceiver(receiver) => serde_json::to_value(Received {
                received: receiver.received(),
                by_stream: receiver.received_by_stream().collect(),
            }),
            Protocol::ReplicationSource(source) => serde_json::to_value(source.statistics()),
            Protocol::Replica(replica) => serde_json::to_value(replica.statistics()),
            Protocol::Server(server) => serde_json::to_value(server.statistics()),
            Protocol::Client(client) => serde_json::to_value(client.statistics()),
            Protocol::Cluster(process) => serde_json::to_value(process.statistics()),
            Protocol::Edge(process) => serde_json::to_value(process.counters()),
            Protocol::Tunnel(_) | Protocol::PathMtu(_) | Protocol::DatagramSender(_) => Ok(Value::Null),
            Protocol::DatagramReceiver(receiver) => serde_json::to_value(receiver.report()),
        };
        summary.expect("statistics have a JSON form")
    }
}

/// Summary of the receiver of a transfer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Bytes on all streams.
    pub received: u64,
    /// Bytes on each stream, in the order in which they were accepted; of AMST what arrived in order, all together.
    #[serde(default)]
    pub by_stream: Vec<u64>,
}

/// What a node builds its machines from: all that a scenario is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Blueprint {
    /// The scenario's canonical text.
    scenario: String,
    /// What the paths in it are relative to.
    base_dir: PathBuf,
    /// Root of all random streams.
    seed: u64,
}

/// Builds the machines of a region; `machines` is what [`ScenarioWork`] made.
///
/// # Errors
/// What is wrong with the blueprint, or why a machine cannot be built.
pub fn build_region(machines: &Value, region: usize) -> Result<Vec<(PeerId, Protocol)>, String> {
    let blueprint = Blueprint::deserialize(machines).map_err(|error| error.to_string())?;
    let source = Source {
        name: "replay".to_owned(),
        text: blueprint.scenario,
        base_dir: blueprint.base_dir,
    };
    let loaded = load(&source, &[], Some(blueprint.seed)).map_err(|error| error.to_string())?;
    let cast = Cast::of(&loaded.scenario);
    let mut maker = Maker::new(World::Replayed, &loaded.scenario, &cast, &loaded.base_dir);
    let here = cast.parts().filter(|(_, part)| part.region.0 as usize == region);
    here.map(|(peer, part)| {
        let machine = maker
            .make(part, SOCKET_WRITE)
            .map_err(|error| error.to_string())?;
        Ok((peer, machine))
    })
    .collect()
}

/// The socket options of a scenario's connections.
///
/// The kernel doubles both sizes of buffers to make room for its own overhead. Half of a receive buffer becomes
/// window, so `SO_RCVBUF` is the window itself; with autotuning the buffer is left to the kernel, whose limits are
/// those of the network namespace. A send buffer is what it holds with its overhead.
pub fn socket_options(tcp: &Tcp) -> SocketOptions {
    let bytes = |bytes: u64| u32::try_from(bytes).unwrap_or(i32::MAX.cast_unsigned());
    let (send, receive) = (tcp.send_buffer.as_bytes(), tcp.receive_buffer.as_bytes());
    let lowat = tcp.notsent_lowat.as_bytes();
    let congestion = match tcp.controller {
        Controller::Reno => "reno",
        Controller::Cubic => "cubic",
        Controller::Bbr => "bbr",
    };
    SocketOptions {
        congestion: Some(congestion.to_owned()),
        receive_buffer: (!tcp.autotuning).then(|| bytes(receive)),
        send_buffer: Some(bytes(send / 2)),
        notsent_lowat: (lowat < send).then(|| bytes(lowat)),
        priority: (tcp.class > 0).then_some(u32::from(tcp.class)),
    }
}

/// A scenario as the coordinator of a replay sees it.
pub struct ScenarioWork<'a> {
    loaded: &'a Loaded,
}

impl<'a> ScenarioWork<'a> {
    /// That of a scenario.
    pub fn new(loaded: &'a Loaded) -> ScenarioWork<'a> {
        ScenarioWork { loaded }
    }
}

impl Work for ScenarioWork<'_> {
    fn places(&self) -> Vec<Place> {
        let cast = Cast::of(&self.loaded.scenario);
        let parts = (FIRST_PORT..).zip(cast.parts());
        parts
            .map(|(port, (_, part))| Place {
                region: part.region.0 as usize,
                port,
                options: socket_options(&part.tcp),
            })
            .collect()
    }

    fn paths(&self) -> Vec<(usize, usize)> {
        let cast = Cast::of(&self.loaded.scenario);
        let paths = cast
            .paths()
            .map(|(one, other)| (one.0 as usize, other.0 as usize));
        paths.collect()
    }

    fn machines(&self, replication: u32) -> Value {
        json!(Blueprint {
            scenario: self.loaded.canonical.clone(),
            base_dir: self.loaded.base_dir.clone(),
            seed: self.loaded.scenario.seed.wrapping_add(u64::from(replication)),
        })
    }

    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Progress::new(&self.loaded.scenario))
    }
}
