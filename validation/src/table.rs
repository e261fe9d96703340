//! A table of measured bulk transfers: one row per transfer, several rows per configuration.
//!
//! `validation/README.md` describes the columns. Quantities are plain decimal numbers in the unit that the
//! column's name ends in, and are read through the exact text forms of [`longhaul_core::text`].

mod cell;
mod error;
mod read;

use std::fmt;
use std::path::Path;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};

pub use error::{TableError, Trouble};

/// Largest table that is read, in bytes.
pub const LARGEST_TABLE: u64 = 64 << 20;
/// Most rows of a table.
pub const MOST_ROWS: usize = 100_000;

/// A table of measurements.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// The name of its file, without folders.
    pub name: String,
    /// BLAKE3 of its bytes, hexadecimal.
    pub blake3: String,
    /// In the order of their first rows; at least one.
    pub configurations: Vec<Configuration>,
}

/// What was measured one or more times under equal conditions.
#[derive(Clone, PartialEq, Debug)]
pub struct Configuration {
    /// Its name: what the column `config` says, else its number counted from 1. Unique.
    pub name: String,
    /// Line of its first row.
    pub line: u64,
    /// Path and transfer.
    pub parameters: Parameters,
    /// In the order of the rows; at least one.
    pub measurements: Vec<Measurement>,
}

/// Path and transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// Round trip, half of it each way.
    pub rtt: Span,
    /// Rate of the way of the data, above zero; counts whole frames.
    pub rate: BitRate,
    /// Mean share of the data's frames lost, below one.
    pub loss: Probability,
    /// How losses come.
    pub loss_model: LossModel,
    /// Standard deviation of the normal jitter on the way of the data.
    pub jitter: Span,
    /// Congestion control.
    pub controller: Controller,
    /// Connections, opened at the same moment.
    pub streams: u32,
    /// Bytes over all connections, at least one for each.
    pub bytes: ByteSize,
    /// How much can queue.
    pub room: Room,
    /// Sizes of the socket buffers.
    pub buffers: Buffers,
}

/// How losses come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossModel {
    /// Not at all.
    None,
    /// Each frame independently.
    Independent,
    /// Gilbert–Elliott, everything lost in the bad state.
    Bursts {
        /// Mean burst in frames, at least 1.
        mean: u32,
    },
}

/// Congestion control of a measured transfer, whether or not the simulator has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Controller {
    /// Linux `reno`.
    Reno,
    /// Linux `cubic`.
    Cubic,
    /// Linux `bbr` (version 1).
    Bbr,
}

/// How much can queue on the way of the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// `limit` of a netem on the sender's own device: it counts what waits out its delay too, takes a burst of
    /// segmentation offload for one packet, and tells TCP what it drops.
    Netem(u32),
    /// The queue in front of a router's link: separate packets, dropped in silence.
    Router(u32),
}

/// Sizes of the socket buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffers {
    /// Linux's: `tcp_wmem` to 4 MiB, `tcp_rmem` to 6 MiB.
    Default,
    /// Both to 256 MiB.
    Big,
    /// Both to this many bytes, 8 KiB to 1 GiB.
    Bytes(ByteSize),
}

/// One measured transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measurement {
    /// From the first `connect` until the last stream has seen the peer's close; above zero.
    pub completion: Span,
    /// The slowest handshake, where it was measured.
    pub handshake: Option<Span>,
}

impl Table {
    /// Reads the table in a file.
    ///
    /// # Errors
    /// A file that cannot be read, or the first mistake in it.
    pub fn open(path: &Path) -> Result<Table, TableError> {
        read::open(path)
    }

    /// Reads a table; `name` stands for its file in messages.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Table, TableError> {
        read::parse(name, bytes)
    }

    /// The configuration of this name.
    pub fn find(&self, name: &str) -> Option<&Configuration> {
        self.configurations
            .iter()
            .find(|configuration| configuration.name == name)
    }
}

impl Parameters {
    /// Whether chance plays a part in what is measured.
    pub fn is_random(&self) -> bool {
        self.loss_model != LossModel::None || self.jitter > Span::ZERO
    }
}

impl LossModel {
    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            LossModel::None => "none",
            LossModel::Independent => "iid",
            LossModel::Bursts { .. } => "gemodel",
        }
    }
}

impl Controller {
    /// Every controller that a table may name.
    pub const ALL: [Controller; 3] = [Controller::Reno, Controller::Cubic, Controller::Bbr];

    /// As in the table and in `TCP_CONGESTION`.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Reno => "reno",
            Controller::Cubic => "cubic",
            Controller::Bbr => "bbr",
        }
    }
}

impl fmt::Display for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Buffers::Default => f.write_str("default"),
            Buffers::Big => f.write_str("big"),
            Buffers::Bytes(size) => write!(f, "{}", size.as_bytes()),
        }
    }
}
