//! Live migrations.

use longhaul_core::time::Span;

use super::Transport;

/// One live migration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Unique among migrations and transfers.
    pub name: String,
    /// The VM.
    pub vm: String,
    /// The region where it goes.
    pub to: String,
    /// When it starts.
    pub start: Start,
    /// QEMU's `downtime-limit`.
    pub downtime_limit: Span,
    /// How pages are encoded.
    pub encoding: Encoding,
    /// How they are carried.
    pub transport: Transport,
}

/// When something starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// At this time of the run.
    At(Span),
    /// This long after another migration has completed.
    After {
        /// Its name.
        migration: String,
        /// How long after.
        pause: Span,
    },
}

/// Encoding of memory pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Zero pages are named, all others sent as they are.
    Raw,
    /// Hierarchical delta encoding.
    Hde {
        /// zstd level, 1 to 19.
        level: u32,
    },
}
