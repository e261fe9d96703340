//! The machines of a scenario, made by the same functions for the simulator and for the replay.

use std::path::Path;
use std::sync::Arc;

use longhaul_amst::SenderOptions;
use longhaul_bulk as bulk;
use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::record::InputRecord;
use longhaul_hde::EncoderOptions;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::images::{Image, ImageSeries};
use longhaul_memory::{PAGE_SIZE, pattern};
use longhaul_migration as migration;

use super::build::BuildError;
use super::cast::{Cast, Part, Role, Workload, vm_of};
use super::endpoint::Protocol;
use super::guest::Guest;
use crate::schema::{Amount, Encoding, Memory, Migration, Pattern, PayloadMode, Scenario, Transport, Vm};

/// What a write of a bulk sender hands to its socket.
pub const SOCKET_WRITE: u64 = 128 << 10;

/// Largest image file: 64 GiB, more than fits in the memory of most computers.
const LARGEST_IMAGE: u64 = 64 << 30;

/// Makes the machines of a scenario, one at a time.
pub struct Maker<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) cast: &'a Cast,
    /// Where image files are looked for.
    base_dir: &'a Path,
    pub(super) streams: Streams,
    inputs: Vec<InputRecord>,
}

impl<'a> Maker<'a> {
    /// Has made nothing yet.
    pub fn new(scenario: &'a Scenario, cast: &'a Cast, base_dir: &'a Path) -> Maker<'a> {
        Maker {
            scenario,
            cast,
            base_dir,
            streams: Streams::new(scenario.seed, 0),
            inputs: Vec::new(),
        }
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
        let options = source_options(scenario, spec, destination);
        migration::Source::new(options, guest, random)
            .map(|source| Protocol::MigrationSource(Box::new(source)))
            .map_err(|error| BuildError::Migration {
                migration: spec.name.clone(),
                reason: error.to_string(),
            })
    }

    /// The destination of a migration.
    fn migration_destination(&self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.migrations[index];
        let options = migration::DestinationOptions {
            pages: self.pages(vm_of(self.scenario, spec))?,
            window_bytes: spec.transport.window.as_bytes(),
            keep_pages: false,
        };
        let destination = migration::Destination::new(options);
        Ok(Protocol::MigrationDestination(Box::new(destination)))
    }

    /// The sender of a transfer, which keeps `ahead_bytes` before the transport if it is a timed one.
    fn bulk_sender(&self, index: usize, ahead_bytes: u64) -> Protocol {
        let spec = &self.scenario.transfers[index];
        let receiver = self.cast.peer(Workload::Transfer(index), Role::BulkReceiver);
        Protocol::BulkSender(bulk::Sender::new(bulk::SenderOptions {
            peer: receiver,
            amount: match spec.amount {
                Amount::Size(size) => bulk::Amount::Bytes(size.as_bytes()),
                Amount::Duration(span) => bulk::Amount::Duration { span, ahead_bytes },
            },
            streams: spec.streams,
            call_time: spec.call_time,
        }))
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
                    .map(|file| self.image(file))
                    .collect::<Result<Vec<_>, _>>()?;
                ImageSeries::new(&images, *interval)
                    .map(Guest::Recorded)
                    .map_err(|error| refuse(error.to_string()))
            }
        }
    }

    /// Reads a memory image and notes what was read.
    fn image(&mut self, file: &str) -> Result<Image, BuildError> {
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
        Ok(Image {
            name: path.display().to_string(),
            content,
        })
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

fn source_options(scenario: &Scenario, spec: &Migration, destination: PeerId) -> migration::SourceOptions {
    migration::SourceOptions {
        destination,
        downtime_limit: spec.downtime_limit,
        encoding: encoder_options(spec.encoding),
        payload: match scenario.payload {
            PayloadMode::Real => migration::PayloadMode::Real,
            PayloadMode::Sampled { share } => migration::PayloadMode::Sampled { share },
        },
        transport: sender_options(spec.transport),
    }
}

/// How pages are encoded.
pub(super) fn encoder_options(encoding: Encoding) -> EncoderOptions {
    match encoding {
        Encoding::Raw => EncoderOptions::raw(),
        // The check keeps the level within 1 to 19.
        Encoding::Hde { level } => EncoderOptions::hde(level.cast_signed()),
    }
}

/// How they are carried.
pub(super) fn sender_options(transport: Transport) -> SenderOptions {
    // The check keeps the chunk within 16 MiB.
    let chunk_bytes = transport.chunk.as_bytes() as u32;
    SenderOptions::fixed(transport.streams, chunk_bytes, transport.window.as_bytes())
}
