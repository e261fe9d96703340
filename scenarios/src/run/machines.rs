//! The machines of a scenario, made by the same functions for the simulator and for the replay.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use longhaul_amst::{ReceiverOptions, object};
use longhaul_bulk as bulk;
use longhaul_core::machine::PeerId;
use longhaul_core::random::{Source, Streams};
use longhaul_core::record::InputRecord;
use longhaul_hde::EncoderOptions;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::images::{Image, ImageSeries};
use longhaul_memory::{PAGE_SIZE, pattern};
use longhaul_migration as migration;
use longhaul_net::routing::Graph;

use super::Planted;
use super::build::BuildError;
use super::cast::{Cast, Part, Role, Workload, vm_of};
use super::endpoint::Protocol;
use super::guest::Guest;
use super::scene::digest_of;
use crate::check;
use crate::schema::{Amount, Carrier, Cost, Encoding, Memory, Migration, Mode, Pattern, Scenario, Vm};

/// What a write of a bulk sender hands to its socket.
pub const SOCKET_WRITE: u64 = 128 << 10;

/// Largest image file: 64 GiB, more than fits in the memory of most computers.
const LARGEST_IMAGE: u64 = 64 << 30;

/// Where machines are driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum World {
    /// In virtual time.
    Simulated,
    /// In real time, on a processor that takes its own.
    Replayed,
}

/// Makes the machines of a scenario, one at a time.
pub struct Maker<'a> {
    pub(super) world: World,
    pub(super) scenario: &'a Scenario,
    pub(super) cast: &'a Cast,
    /// Where image files are looked for.
    base_dir: &'a Path,
    pub(super) streams: Streams,
    inputs: Vec<InputRecord>,
    /// The images that were read, by file: a guest that moves is described on both sides.
    images: BTreeMap<String, Image>,
    /// The routes of the whole network, once somebody asks for them.
    graph: OnceCell<Graph>,
    /// Bugs on purpose.
    pub(super) planted: Planted,
}

impl<'a> Maker<'a> {
    /// Has made nothing yet.
    pub fn new(world: World, scenario: &'a Scenario, cast: &'a Cast, base_dir: &'a Path) -> Maker<'a> {
        Maker {
            world,
            scenario,
            cast,
            base_dir,
            streams: Streams::with(scenario.seeds(), Source::Workload),
            inputs: Vec::new(),
            images: BTreeMap::new(),
            graph: OnceCell::new(),
            planted: Planted::default(),
        }
    }

    /// The routes of the whole network.
    pub(super) fn graph(&self) -> &Graph {
        let scenario = self.scenario;
        self.graph.get_or_init(|| {
            let graph = check::graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing);
            graph.expect("the check found no contradiction")
        })
    }

    /// The files that were read.
    pub fn into_inputs(self) -> Vec<InputRecord> {
        self.inputs
    }

    /// The machine of a part. A timed transfer's sender keeps `ahead_bytes` before the transport.
    ///
    /// # Errors
    /// What the scenario asks for cannot be had, or a file of it cannot be read.
    pub fn make(&mut self, part: &Part, ahead_bytes: u64) -> Result<Protocol, BuildError> {
        match (part.role, part.workload) {
            (Role::MigrationSource, Workload::Migration(index)) => self.migration_source(index),
            (Role::MigrationDestination, Workload::Migration(index)) => self.migration_destination(index),
            (Role::BulkSender, Workload::Transfer(index)) => Ok(self.bulk_sender(index, ahead_bytes)),
            (Role::BulkReceiver, Workload::Transfer(_)) => {
                Ok(Protocol::BulkReceiver(bulk::Receiver::default()))
            }
            (Role::ReplicationSource, Workload::Replication(index)) => self.replication_source(index),
            (Role::Replica, Workload::Replication(index)) => self.replica(index),
            (Role::ObjectSender, Workload::Transfer(index)) => self.object_sender(index),
            (Role::ObjectReceiver, Workload::Transfer(index)) => Ok(self.object_receiver(index)),
            (Role::Cluster(place), Workload::Federation(index)) => self.cluster(index, place),
            (Role::DatagramSender, Workload::Datagrams(index)) => self.datagram_sender(index),
            (Role::DatagramReceiver, Workload::Datagrams(index)) => Ok(self.datagram_receiver(index)),
            (Role::Edge(place), Workload::Overlay(index)) => self.edge(index, place),
            (Role::Tunnel(end), Workload::Overlay(_)) => self.tunnel(end),
            (Role::PathMtu(end), Workload::Overlay(_)) => self.path_mtu(end),
            (Role::Server(place), Workload::Service(index)) => self.server(index, place),
            (Role::Client, Workload::Client(index)) => self.client(index),
            (role, workload) => unreachable!("the cast gives no {role:?} to {workload:?}"),
        }
    }

    /// The source of a migration, with its guest.
    fn migration_source(&mut self, index: usize) -> Result<Protocol, BuildError> {
        let scenario = self.scenario;
        let spec = &scenario.migrations[index];
        let vm = vm_of(scenario, spec);
        let guest = self.guest(vm)?;
        let random = self.streams.stream(&vm.name, "real extents");
        let destination = self
            .cast
            .peer(Workload::Migration(index), Role::MigrationDestination);
        let options = source_options(scenario, spec, destination, self.cost(spec));
        migration::Source::new(options, guest, random)
            .map(|source| Protocol::MigrationSource(Box::new(source)))
            .map_err(|error| BuildError::Migration {
                migration: spec.name.clone(),
                reason: error.to_string(),
            })
    }

    /// The destination of a migration, with the guest as it is described if it may run there before all of it has come.
    fn migration_destination(&mut self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.migrations[index];
        let vm = vm_of(self.scenario, spec);
        let options = migration::DestinationOptions {
            pages: self.pages(vm)?,
            session: session(spec),
            window_bytes: spec.transport.window.as_bytes(),
            cost: self.cost(spec),
            resume_time: spec.resume_time,
            keep_pages: false,
        };
        let guest = match spec.mode {
            Mode::PreCopy => None,
            Mode::PostCopy | Mode::Hybrid { .. } => Some(self.guest(vm)?),
        };
        let destination = migration::Destination::new(options, guest);
        Ok(Protocol::MigrationDestination(Box::new(destination)))
    }

    /// What encoding costs, unless the processor's own time is what passes.
    fn cost(&self, spec: &Migration) -> Option<Cost> {
        spec.cost.filter(|_| self.world == World::Simulated)
    }

    /// The sender of a transfer, which keeps `ahead_bytes` before the transport if it is a timed one.
    fn bulk_sender(&self, index: usize, ahead_bytes: u64) -> Protocol {
        let spec = &self.scenario.transfers[index];
        let (_, receiver) = self.cast.transfer(index);
        let Carrier::Plain {
            streams, call_time, ..
        } = spec.carrier
        else {
            unreachable!("a bulk sender carries over plain connections")
        };
        Protocol::BulkSender(bulk::Sender::new(bulk::SenderOptions {
            peer: receiver,
            amount: match spec.amount {
                Amount::Size(size) => bulk::Amount::Bytes(size.as_bytes()),
                Amount::Duration(span) => bulk::Amount::Duration { span, ahead_bytes },
            },
            streams,
            call_time,
        }))
    }

    /// The sender of a transfer by AMST.
    fn object_sender(&self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.transfers[index];
        let transport = spec.carrier.amst().expect("an object sender carries by AMST");
        let options = object::ObjectOptions {
            peer: self.cast.transfer(index).1,
            amount: match spec.amount {
                Amount::Size(size) => object::Amount::Bytes(size.as_bytes()),
                Amount::Duration(span) => object::Amount::Duration(span),
            },
            transport: transport.sender_options(),
        };
        object::ObjectSender::new(options)
            .map(|sender| Protocol::ObjectSender(Box::new(sender)))
            .map_err(|error| BuildError::Transfer {
                transfer: spec.name.clone(),
                reason: error.to_string(),
            })
    }

    /// Its receiver.
    fn object_receiver(&self, index: usize) -> Protocol {
        let carrier = self.scenario.transfers[index].carrier;
        let transport = carrier.amst().expect("an object receiver receives by AMST");
        let options = ReceiverOptions {
            window_bytes: transport.window.as_bytes(),
        };
        Protocol::ObjectReceiver(Box::new(object::ObjectReceiver::new(options)))
    }

    /// Pages of a guest, without its content.
    pub(super) fn pages(&self, vm: &Vm) -> Result<u64, BuildError> {
        let bytes = match &vm.memory {
            Memory::Generated { size, .. } => size.as_bytes(),
            Memory::Images { files, .. } => match files.first() {
                Some(file) => self.image_bytes(file)?,
                None => 0,
            },
        };
        Ok(bytes / PAGE_SIZE as u64)
    }

    pub(super) fn guest(&mut self, vm: &Vm) -> Result<Guest, BuildError> {
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
                    vcpus: vm.vcpus,
                    reads: vm.reads,
                    dirty: DirtyOptions {
                        pages_per_s: dirty.pages_per_s,
                        working_set: dirty.working_set,
                        locality: dirty.locality,
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
                    .map(|file| self.image(file))
                    .collect::<Result<Vec<_>, _>>()?;
                ImageSeries::new(&images, *interval, vm.vcpus, vm.reads, &self.streams, &vm.name)
                    .map(|series| Guest::Recorded(Box::new(series)))
                    .map_err(|error| refuse(error.to_string()))
            }
        }
    }

    /// A memory image; the first time it is read, and what was read noted.
    fn image(&mut self, file: &str) -> Result<Image, BuildError> {
        if let Some(image) = self.images.get(file) {
            return Ok(image.clone());
        }
        self.image_bytes(file)?;
        let path = self.base_dir.join(file);
        let content: Arc<[u8]> = std::fs::read(&path)
            .map_err(|error| unreadable(&path, error))?
            .into();
        self.inputs.push(InputRecord {
            file: file.to_owned(),
            bytes: content.len() as u64,
            blake3: blake3::hash(&content).to_hex().to_string(),
        });
        let image = Image {
            name: path.display().to_string(),
            content,
        };
        self.images.insert(file.to_owned(), image.clone());
        Ok(image)
    }

    /// Size of a memory image.
    fn image_bytes(&self, file: &str) -> Result<u64, BuildError> {
        let path = self.base_dir.join(file);
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, error))?;
        if metadata.len() > LARGEST_IMAGE {
            return Err(unreadable(&path, std::io::Error::other("larger than 64 GiB")));
        }
        Ok(metadata.len())
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> BuildError {
    BuildError::Unreadable {
        path: path.display().to_string(),
        error,
    }
}

fn source_options(
    scenario: &Scenario,
    spec: &Migration,
    destination: PeerId,
    cost: Option<Cost>,
) -> migration::SourceOptions {
    let encoding = match spec.encoding {
        Encoding::Xbzrle { cache } => migration::Encoding::Xbzrle { cache },
        encoding => migration::Encoding::Hde(encoder_options(encoding)),
    };
    migration::SourceOptions {
        destination,
        session: session(spec),
        mode: spec.mode,
        stop: spec.stop,
        throttle: spec.throttle,
        max_bandwidth: spec.max_bandwidth,
        max_postcopy_bandwidth: spec.max_postcopy_bandwidth,
        encoding,
        cost,
        payload: scenario.payload,
        device_state: spec.device_state,
        preempt: spec.preempt,
        recover: spec.recover,
        stall_after: spec.stall_after,
        cancel_after: spec.cancel_after,
        orchestration: spec.orchestration,
        transport: spec.transport.sender_options(),
    }
}

/// How pages are encoded.
///
/// # Panics
/// For XBZRLE, which is no form of HDE.
pub(super) fn encoder_options(encoding: Encoding) -> EncoderOptions {
    // The check keeps levels within 1 to 19.
    match encoding {
        Encoding::Raw => EncoderOptions::raw(),
        Encoding::Zstd { level } => EncoderOptions {
            level: Some(level.cast_signed()),
            ..EncoderOptions::raw()
        },
        Encoding::Hde { level } => EncoderOptions::hde(level.cast_signed()),
        Encoding::Xbzrle { .. } => panic!("XBZRLE is encoded by a codec of its own"),
    }
}

/// What tells the streams of a migration from those of others.
fn session(spec: &Migration) -> u64 {
    digest_of(&spec.name)
}
