//! From a resolved scenario to the world that it describes.

use std::path::Path;

use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::record::Fidelity;
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;
use longhaul_engine::Engine;
use longhaul_flow as flow;
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::routing::{Graph, RegionId};
use longhaul_tcp as tcp;
use thiserror::Error;

use super::endpoint::{Endpoint, Protocol, Workload};
use super::faults::Faults;
use super::links::{self, Files};
use super::machines::{self, Maker};
use super::sample::Sampler;
use super::scene::{SAMPLE, SCENE, Scene, digest_of};
use super::transit::{Flows, Transit};
use super::workload;
use crate::check;
use crate::fidelity::{self, Choice};
use crate::schema::{Amount, Controller, Link, Scenario, Start, Tcp, Transfer};

/// Why a scenario that passed its check cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A memory image cannot be read.
    #[error("cannot read the memory image {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A trace or a table cannot be read or means nothing.
    #[error("{0}")]
    File(String),
    /// The memory of a VM is impossible.
    #[error("the memory of {vm}: {reason}")]
    Memory {
        /// The VM.
        vm: String,
        /// What is wrong.
        reason: String,
    },
    /// The network is impossible.
    #[error("the network: {0}")]
    Network(#[from] longhaul_net::network::NetworkError),
    /// The network is impossible at flow fidelity.
    #[error("the network: {0}")]
    Flow(#[from] flow::limits::FlowError),
    /// A migration is impossible.
    #[error("{migration}: {reason}")]
    Migration {
        /// The migration.
        migration: String,
        /// What is wrong.
        reason: String,
    },
}

/// Builds the world and schedules what starts by itself. `base_dir` is where image files are looked for.
pub fn build(scenario: &Scenario, base_dir: &Path, engine: &mut Engine) -> Result<Scene, BuildError> {
    let graph = check::graph(scenario.regions.iter(), scenario.links.iter());
    let graph = graph.expect("the check found no contradiction");
    let choice = fidelity::choose(scenario, |from, to| path(scenario, &graph, from, to));
    let streams = Streams::new(scenario.seed, 0);
    let mut builder = Builder {
        scenario,
        graph,
        choice,
        streams,
        maker: Maker::new(scenario, base_dir),
        endpoints: Vec::new(),
    };
    for index in 0..scenario.migrations.len() {
        builder.migration(index)?;
    }
    for index in 0..scenario.transfers.len() {
        builder.transfer(index);
    }
    let (migrations, transfers) = workload::runs(scenario);
    let mut files = Files::new(base_dir, builder.maker.into_inputs());
    let (endpoints, choice) = (builder.endpoints, builder.choice);
    let links = scenario
        .links
        .iter()
        .map(|link| {
            Ok(NetworkLink {
                from: region_id(scenario, &link.from),
                to: region_id(scenario, &link.to),
                spec: links::spec(link, &mut files, &streams)?,
            })
        })
        .collect::<Result<Vec<_>, BuildError>>()?;
    let inputs = files.into_inputs();
    for input in &inputs {
        engine.mix(digest_of(&input.blake3));
    }
    // The scene is entity 0, then come the endpoints.
    let first_network_entity = 1 + endpoints.len() as u32;
    let names: Vec<String> = scenario
        .regions
        .iter()
        .map(|region| region.name.clone())
        .collect();
    let network = match choice.fidelity {
        Fidelity::Packet => {
            let network = Network::new(first_network_entity, &streams, &names, &links)?;
            Transit::Packet(Box::new(network))
        }
        Fidelity::Flow => {
            let network = flow::network::Network::new(first_network_entity, &streams, &names, &links)?;
            Transit::Flow(Flows::new(network, links.len()))
        }
    };

    // Before the starts: what fails at a moment has failed for what starts then.
    let faults = Faults::new(scenario, engine);
    for (run, migration) in migrations.iter().zip(&scenario.migrations) {
        if let Start::At(at) = migration.start {
            Scene::schedule_start(engine, Instant::ZERO + at, run.source);
        }
    }
    for (run, transfer) in transfers.iter().zip(&scenario.transfers) {
        Scene::schedule_start(engine, Instant::ZERO + transfer.at, run.sender);
    }
    engine.schedule(Instant::ZERO, Class::Observe, SCENE, SCENE, SAMPLE);
    let sampler = Sampler::new(
        scenario.sample_interval,
        scenario.links.iter().map(Link::name).collect(),
    );
    let mut scene = Scene::new(network, endpoints, migrations, transfers, faults, sampler);
    scene.inputs = inputs;
    scene.fidelity_reason = choice.reason;
    Ok(scene)
}

/// How many links the route between two regions has, and the rate of the slowest.
fn path(scenario: &Scenario, graph: &Graph, from: &str, to: &str) -> (usize, BitRate) {
    let route = check::route(graph, from, to).expect("the check found a route");
    let rates = route.links.iter().map(|link| {
        let rate = &scenario.links[link.0 as usize].rate;
        rate.constant().unwrap_or(BitRate::from_bits_per_s(u64::MAX))
    });
    let slowest = rates.min().expect("a route between two regions has links");
    (route.links.len(), slowest)
}

struct Builder<'a> {
    scenario: &'a Scenario,
    graph: Graph,
    choice: Choice,
    streams: Streams,
    maker: Maker<'a>,
    endpoints: Vec<Endpoint>,
}

impl Builder<'_> {
    fn add(&mut self, machine: Protocol, region: &str, workload: Workload, tcp: Tcp) -> PeerId {
        let name = match workload {
            Workload::Migration(index) => &self.scenario.migrations[index].name,
            Workload::Transfer(index) => &self.scenario.transfers[index].name,
        };
        let seeds = self.streams.stream(name, "tcp");
        let peer = PeerId(self.endpoints.len() as u32);
        let region = region_id(self.scenario, region);
        let entity = EntityId::new(1 + peer.0);
        self.endpoints.push(Endpoint::new(
            machine,
            region,
            workload,
            tcp_config(tcp),
            tcp.class,
            seeds,
            entity,
        ));
        peer
    }

    fn migration(&mut self, index: usize) -> Result<(), BuildError> {
        let spec = &self.scenario.migrations[index];
        let vm = machines::vm_of(self.scenario, spec);
        let (workload, tcp) = (Workload::Migration(index), spec.transport.tcp);
        let (source, destination) = machines::migration_peers(index);
        let machine = self.maker.migration_source(index)?;
        assert_eq!(self.add(machine, &vm.region, workload, tcp), source);
        let machine = self.maker.migration_destination(index)?;
        assert_eq!(self.add(machine, &spec.to, workload, tcp), destination);
        Ok(())
    }

    fn transfer(&mut self, index: usize) {
        let spec = &self.scenario.transfers[index];
        let (workload, tcp) = (Workload::Transfer(index), spec.tcp);
        let (sender, receiver) = machines::transfer_peers(self.scenario, index);
        let machine = self.maker.bulk_sender(index, self.ahead_bytes(spec));
        assert_eq!(self.add(machine, &spec.from, workload, tcp), sender);
        let machine = self.maker.bulk_receiver();
        assert_eq!(self.add(machine, &spec.to, workload, tcp), receiver);
    }

    /// What each stream of a timed transfer keeps before TCP: a full write of a socket's. At flow fidelity every
    /// write is an event, so there it is a thousandth of what the path could carry in the time, if that is more.
    fn ahead_bytes(&self, spec: &Transfer) -> u64 {
        match (self.choice.fidelity, spec.amount) {
            (Fidelity::Flow, Amount::Duration(span)) => {
                let (_, slowest) = path(self.scenario, &self.graph, &spec.from, &spec.to);
                let share = slowest.bytes_in(span) / 1_000 / u64::from(spec.streams);
                share.max(machines::SOCKET_WRITE)
            }
            _ => machines::SOCKET_WRITE,
        }
    }
}

/// # Panics
/// If the scenario has no such region: the check found it.
fn region_id(scenario: &Scenario, name: &str) -> RegionId {
    let index = scenario.regions.iter().position(|region| region.name == name);
    RegionId(index.expect("a region of the scenario") as u32)
}

fn tcp_config(settings: Tcp) -> tcp::Config {
    tcp::Config {
        controller: match settings.controller {
            Controller::Reno => tcp::Controller::Reno,
            Controller::Cubic => tcp::Controller::Cubic,
            Controller::Bbr => tcp::Controller::Bbr,
        },
        send_buffer: settings.send_buffer.as_bytes(),
        notsent_lowat: settings.notsent_lowat.as_bytes(),
        receive_buffer: settings.receive_buffer.as_bytes(),
        autotuning: settings.autotuning,
        ecn: settings.ecn,
        initial_window_segments: settings.initial_window,
        hystart: settings.hystart,
        segmentation_offload: settings.segmentation_offload,
        ..tcp::Config::default()
    }
}
