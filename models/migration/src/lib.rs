//! Live migration with QEMU's semantics, over [HDE](longhaul_hde) and [AMST](longhaul_amst): pre-copy, post-copy, and
//! one after the other.
//!
//! Two machines: a [`Source`], to which the guest belongs, and a [`Destination`]. They talk over byte streams
//! and know no network.
//!
//! # What follows QEMU
//! The decisions are those of `migration/migration.c` and `migration/ram.c` (QEMU 9):
//!
//! - Setup opens the streams and marks every page dirty: the first dirty-bitmap synchronisation.
//! - Dirty pages are sent in page order, over and over; the place in memory is kept when the bitmap is
//!   synchronised in between (`ram_find_and_save_block`).
//! - Every 100 ms the bandwidth is measured as bytes taken over by the streams over time, and the threshold is
//!   what it carries within the downtime limit (`migration_update_counters`). Like QEMU's, it compares bytes on
//!   the wire with bytes of memory, so pages that compress well make it cautious.
//! - When what remains is at most the threshold, the bitmap is synchronised exactly; if it still is, the guest is
//!   paused, the bitmap synchronised for the last time and the rest sent (`migration_iteration_run`). QEMU wants
//!   less than the threshold, or nothing known to be dirty; here at most the threshold will do, and the exact
//!   synchronisation decides in either case.
//! - What remains includes bytes that the streams have not taken over. QEMU's writes block, so at that point it
//!   has none.
//! - A guest that writes too fast can be slowed down by [`AutoConverge`] or [`DirtyLimit`].
//! - In [post-copy](Mode::PostCopy) the guest runs at the destination before its memory has come. It waits for each page
//!   that it touches too early, and the source sends that one first.
//! - [`Statistics`] carry QEMU's names.
//!
//! [Other rules](StopRule) are there to compare with what was published about other hypervisors.
//!
//! The destination checks everything before it says that the migration is complete: every page must have arrived, and
//! the hash of all pages that travelled as real bytes must be that of the guest's memory when it stood still. Its answer
//! carries the time at which the guest runs there, so downtime ends there and not when the answer arrives.
//!
//! # The guest runs on one side, always
//! The guest changes sides with one message: the last one of pre-copy, or the package of post-copy. Until the source
//! hands it to its transport, the guest is the source's: a lost transport or a cancellation leaves it running there.
//! From then on it may run at the destination, and the source will not run it, whatever happens, until the destination has
//! said that it does not run it; having said so, the destination never will. If the transport is lost in between, the
//! migration is paused (QEMU's `postcopy-paused`), and [`Recover`] says when the destination is called again and
//! asked. Then either post-copy goes on with the pages that the destination does not have, or the guest goes on at the
//! source. The price is that a guest whose destination cannot be reached at that very moment stands still until it can:
//! of two machines that cannot talk, none can know whether the other runs it. QEMU resumes it at the source and leaves it
//! to management to make sure that it does not run twice.
//!
//! # Real and synthetic pages
//! As [`longhaul_frames`] says, which replication uses, too; a class of pages is a stratum of the guest's memory. Processor
//! time of synthetic pages follows from the work that real ones take.
//!
//! # Not modelled
//! Disks. Device state is a length, and the time that the destination takes to load it is a number. Huge pages, which
//! make a guest wait for more than 4 KiB.

mod copier;
mod cost;
mod destination;
mod event;
mod frames;
mod options;
mod source;
mod statistics;
mod store;
mod wire;
mod xbzrle;

pub use longhaul_frames::{CopyStatistics, PayloadMode};

pub use cost::{Cost, MAX_THREADS};
pub use destination::{Destination, DestinationStatistics};
pub use event::{Command, DestinationEvent, DestinationFailure, GuestState, SourceEvent, SourceFailure};
pub use options::{
    AutoConverge, DEVICE_STATE, DestinationOptions, DirtyLimit, Encoding, Mode, OptionsError, Orchestration,
    Recover, STALL_AFTER, SourceOptions, StopRule, Switch, Throttle,
};
pub use source::Source;
pub use source::accounts::Bounds;
pub use statistics::{RamStatistics, Statistics, Status};
pub use xbzrle::cache::CacheStatistics;

/// Most attempts to recover.
pub const MAX_ATTEMPTS: u16 = 60;
