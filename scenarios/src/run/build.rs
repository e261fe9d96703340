//! From a resolved scenario to the world that it describes.

use std::path::Path;
use std::sync::Arc;

use longhaul_amst::SenderOptions;
use longhaul_bulk as bulk;
use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::record::{Fidelity, InputRecord};
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::Engine;
use longhaul_flow as flow;
use longhaul_hde::EncoderOptions;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::images::{Image, ImageSeries};
use longhaul_memory::{GuestMemory, pattern};
use longhaul_migration as migration;
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::routing::{Graph, RegionId};
use longhaul_tcp as tcp;
use thiserror::Error;

use super::endpoint::{Endpoint, Protocol, Workload};
use super::faults::Faults;
use super::guest::Guest;
use super::links::{self, Files};
use super::sample::Sampler;
use super::scene::{SAMPLE, SCENE, Scene, digest_of};
use super::transit::{Flows, Transit};
use super::workload::{MigrationRun, TransferRun};
use crate::check;
use crate::fidelity::{self, Choice};
use crate::schema::{
    Amount, Controller, Encoding, Link, Memory, Migration, Pattern, PayloadMode, Scenario, Start, Tcp,
    Transfer, Vm,
};

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
        endpoints: Vec::new(),
        inputs: Vec::new(),
    };
    let migrations = (0..scenario.migrations.len())
        .map(|i| builder.migration(i, base_dir))
        .collect::<Result<Vec<_>, _>>()?;
    let transfers: Vec<TransferRun> = (0..scenario.transfers.len())
        .map(|i| builder.transfer(i))
        .collect();
    let mut files = Files::new(base_dir, builder.inputs);
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

/// What a write of a bulk sender hands to its socket.
const SOCKET_WRITE: u64 = 128 << 10;

struct Builder<'a> {
    scenario: &'a Scenario,
    graph: Graph,
    choice: Choice,
    streams: Streams,
    endpoints: Vec<Endpoint>,
    inputs: Vec<InputRecord>,
}

impl Builder<'_> {
    /// The number of the next machine plus `ahead`.
    fn peer(&self, ahead: usize) -> PeerId {
        PeerId((self.endpoints.len() + ahead) as u32)
    }

    fn add(&mut self, machine: Protocol, region: &str, workload: Workload, tcp: Tcp) -> PeerId {
        let name = match workload {
            Workload::Migration(index) => &self.scenario.migrations[index].name,
            Workload::Transfer(index) => &self.scenario.transfers[index].name,
        };
        let seeds = self.streams.stream(name, "tcp");
        let peer = self.peer(0);
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

    fn migration(&mut self, index: usize, base_dir: &Path) -> Result<MigrationRun, BuildError> {
        let scenario = self.scenario;
        let spec = &scenario.migrations[index];
        let vm = scenario
            .vms
            .iter()
            .find(|vm| vm.name == spec.vm)
            .expect("a VM of the scenario");
        let guest = self.guest(vm, base_dir)?;
        let pages = guest.pages();
        let random = self.streams.stream(&vm.name, "real extents");
        let (workload, tcp) = (Workload::Migration(index), spec.transport.tcp);
        let options = source_options(scenario, spec, self.peer(1));
        let source =
            migration::Source::new(options, guest, random).map_err(|error| BuildError::Migration {
                migration: spec.name.clone(),
                reason: error.to_string(),
            })?;
        let destination = migration::Destination::new(migration::DestinationOptions {
            pages,
            window_bytes: spec.transport.window.as_bytes(),
            keep_pages: false,
        });
        let source = self.add(
            Protocol::MigrationSource(Box::new(source)),
            &vm.region,
            workload,
            tcp,
        );
        self.add(
            Protocol::MigrationDestination(Box::new(destination)),
            &spec.to,
            workload,
            tcp,
        );
        let after = match &spec.start {
            Start::At(_) => None,
            Start::After { migration, pause } => {
                let before = scenario.migrations.iter().position(|m| m.name == *migration);
                Some((before.expect("a migration of the scenario"), *pause))
            }
        };
        Ok(MigrationRun::new(&spec.name, source, after))
    }

    fn transfer(&mut self, index: usize) -> TransferRun {
        let spec = &self.scenario.transfers[index];
        let (workload, tcp) = (Workload::Transfer(index), spec.tcp);
        let sender = bulk::Sender::new(bulk::SenderOptions {
            peer: self.peer(1),
            amount: match spec.amount {
                Amount::Size(size) => bulk::Amount::Bytes(size.as_bytes()),
                Amount::Duration(span) => bulk::Amount::Duration {
                    span,
                    ahead_bytes: self.ahead_bytes(spec, span),
                },
            },
            streams: spec.streams,
            call_time: spec.call_time,
        });
        let sender = self.add(Protocol::BulkSender(sender), &spec.from, workload, tcp);
        let receiver = self.add(
            Protocol::BulkReceiver(bulk::Receiver::default()),
            &spec.to,
            workload,
            tcp,
        );
        TransferRun::new(&spec.name, sender, receiver, spec.streams)
    }

    /// What each stream of a timed transfer keeps before TCP: a full write of a socket's. At flow fidelity every
    /// write is an event, so there it is a thousandth of what the path could carry in the time, if that is more.
    fn ahead_bytes(&self, spec: &Transfer, span: Span) -> u64 {
        match self.choice.fidelity {
            Fidelity::Packet => SOCKET_WRITE,
            Fidelity::Flow => {
                let (_, slowest) = path(self.scenario, &self.graph, &spec.from, &spec.to);
                let share = slowest.bytes_in(span) / 1_000 / u64::from(spec.streams);
                share.max(SOCKET_WRITE)
            }
        }
    }

    fn guest(&mut self, vm: &Vm, base_dir: &Path) -> Result<Guest, BuildError> {
        let refuse = |reason: String| BuildError::Memory {
            vm: vm.name.clone(),
            reason,
        };
        match &vm.memory {
            Memory::Generated { pattern, size, dirty } => {
                let options = GeneratedOptions {
                    pattern: match pattern {
                        Pattern::RealWorld => pattern::Pattern::RealWorld,
                        Pattern::Constant => pattern::Pattern::Constant,
                        Pattern::Bursty => pattern::Pattern::Bursty,
                        Pattern::Sinusoidal => pattern::Pattern::Sinusoidal,
                    },
                    size: *size,
                    dirty: DirtyOptions {
                        pages_per_s: dirty.pages_per_s,
                        working_set: dirty.working_set,
                        bytes_per_write: dirty.bytes_per_write,
                    },
                };
                GeneratedMemory::new(&options, &self.streams, &vm.name)
                    .map(|memory| Guest::Generated(Box::new(memory)))
                    .map_err(|error| refuse(error.to_string()))
            }
            Memory::Images { files, interval } => {
                let images = files
                    .iter()
                    .map(|file| self.image(base_dir, file))
                    .collect::<Result<Vec<_>, _>>()?;
                ImageSeries::new(&images, *interval)
                    .map(Guest::Recorded)
                    .map_err(|error| refuse(error.to_string()))
            }
        }
    }

    /// Reads a memory image and notes what was read.
    fn image(&mut self, base_dir: &Path, file: &str) -> Result<Image, BuildError> {
        let path = base_dir.join(file);
        let name = path.display().to_string();
        let unreadable = |error| BuildError::Unreadable {
            path: name.clone(),
            error,
        };
        let bytes = std::fs::metadata(&path).map_err(unreadable)?.len();
        if bytes > LARGEST_IMAGE {
            return Err(unreadable(std::io::Error::other("larger than 64 GiB")));
        }
        let content: Arc<[u8]> = std::fs::read(&path).map_err(unreadable)?.into();
        self.inputs.push(InputRecord {
            file: file.to_owned(),
            bytes: content.len() as u64,
            blake3: blake3::hash(&content).to_hex().to_string(),
        });
        Ok(Image { name, content })
    }
}

/// Largest image file: 64 GiB, more than fits in the memory of most computers.
const LARGEST_IMAGE: u64 = 64 << 30;

fn source_options(scenario: &Scenario, spec: &Migration, destination: PeerId) -> migration::SourceOptions {
    migration::SourceOptions {
        destination,
        downtime_limit: spec.downtime_limit,
        encoding: match spec.encoding {
            Encoding::Raw => EncoderOptions::raw(),
            // The check keeps the level within 1 to 19.
            Encoding::Hde { level } => EncoderOptions::hde(level.cast_signed()),
        },
        payload: match scenario.payload {
            PayloadMode::Real => migration::PayloadMode::Real,
            PayloadMode::Sampled { share } => migration::PayloadMode::Sampled { share },
        },
        transport: SenderOptions {
            streams: spec.transport.streams,
            // The check keeps the chunk within 16 MiB.
            chunk_bytes: spec.transport.chunk.as_bytes() as u32,
            window_bytes: spec.transport.window.as_bytes(),
        },
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
