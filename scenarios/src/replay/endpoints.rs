//! The machines of a region, built by the functions that the simulator uses, and where each of them runs.

use std::path::PathBuf;

use longhaul_core::machine::PeerId;
use longhaul_replay::Endpoint;
use longhaul_replay::coordinator::{Observer, Place, Work};
use longhaul_replay::driver::SocketOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::observer::Progress;
use crate::run::endpoint::StartCommand;
use crate::run::machines::{Maker, SOCKET_WRITE, migration_peers, transfer_peers, vm_of};
use crate::schema::{Controller, Scenario, Tcp};
use crate::source::Source;
use crate::{Loaded, load};

pub use crate::run::endpoint::{Event, Protocol};

/// Port of the first machine; the others count up. Below the ports that connections get by themselves.
const FIRST_PORT: u16 = 10_000;

impl Endpoint for Protocol {
    fn start_command(&self) -> StartCommand {
        StartCommand
    }

    fn input_is_synthetic(&self) -> bool {
        match self {
            Protocol::MigrationSource(_) | Protocol::MigrationDestination(_) => false,
            Protocol::BulkSender(_) | Protocol::BulkReceiver(_) => true,
        }
    }

    fn summary(&self) -> Value {
        let summary = match self {
            Protocol::MigrationSource(source) => serde_json::to_value(source.statistics()),
            Protocol::MigrationDestination(destination) => serde_json::to_value(destination.statistics()),
            Protocol::BulkSender(_) => Ok(Value::Null),
            Protocol::BulkReceiver(receiver) => serde_json::to_value(Received {
                received: receiver.received(),
                by_stream: receiver.received_by_stream().collect(),
            }),
        };
        summary.expect("statistics have a JSON form")
    }
}

/// Summary of the receiver of a transfer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Bytes on all streams.
    pub received: u64,
    /// Bytes on each stream, in the order in which they were accepted.
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
    let scenario = &loaded.scenario;
    let mut maker = Maker::new(scenario, &loaded.base_dir);
    let mut built = Vec::new();
    let places = places(scenario);
    let is_here = |peer: PeerId| places[peer.0 as usize].region == region;
    for index in 0..scenario.migrations.len() {
        let (source, destination) = migration_peers(index);
        if is_here(source) {
            let machine = maker.migration_source(index);
            built.push((source, machine.map_err(|error| error.to_string())?));
        }
        if is_here(destination) {
            let machine = maker.migration_destination(index);
            built.push((destination, machine.map_err(|error| error.to_string())?));
        }
    }
    for index in 0..scenario.transfers.len() {
        let (sender, receiver) = transfer_peers(scenario, index);
        if is_here(sender) {
            built.push((sender, maker.bulk_sender(index, SOCKET_WRITE)));
        }
        if is_here(receiver) {
            built.push((receiver, maker.bulk_receiver()));
        }
    }
    Ok(built)
}

/// Regions and connections of each workload, in the order of the machines.
pub(super) fn ends(scenario: &Scenario) -> impl Iterator<Item = (usize, usize, Tcp)> + '_ {
    let region = |name: &str| {
        let index = scenario.regions.iter().position(|region| region.name == name);
        index.expect("a region of the scenario")
    };
    let migrations = scenario.migrations.iter().map(move |spec| {
        let from = &vm_of(scenario, spec).region;
        (region(from), region(&spec.to), spec.transport.tcp)
    });
    let transfers = scenario
        .transfers
        .iter()
        .map(move |spec| (region(&spec.from), region(&spec.to), spec.tcp));
    migrations.chain(transfers)
}

/// Where each machine runs.
fn places(scenario: &Scenario) -> Vec<Place> {
    let machines = ends(scenario).flat_map(|(from, to, tcp)| [(from, tcp), (to, tcp)]);
    (FIRST_PORT..)
        .zip(machines)
        .map(|(port, (region, tcp))| Place {
            region,
            port,
            options: socket_options(&tcp),
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
        places(&self.loaded.scenario)
    }

    fn paths(&self) -> Vec<(usize, usize)> {
        let ends = ends(&self.loaded.scenario);
        ends.map(|(from, to, _)| (from, to)).collect()
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
