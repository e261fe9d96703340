//! Pre-copy live migration with QEMU's semantics, over [HDE](longhaul_hde) and [AMST](longhaul_amst).
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
//! - [`Statistics`] carry QEMU's names.
//!
//! The destination checks everything before it resumes the guest: every page must have arrived, and the hash of
//! all pages that travelled as real bytes must be that of the guest's memory when it stood still. Its answer
//! carries the time at which the guest runs again, so downtime ends there and not when the answer arrives.
//!
//! # Real and synthetic pages
//! In [`PayloadMode::Sampled`] the unit of choice is an extent of [`EXTENT_PAGES`] pages. Pages of real extents are
//! generated, encoded, carried, decoded and compared. A frame of synthetic pages carries its real header and a
//! body that is only a length: the bytes of its pages times the ratio of encoded to raw bytes that real pages of
//! the same stratum, also first or repeated copies, have had so far in this run. If there is none yet, it is the
//! ratio of the first copies of that stratum, else of all copies of that kind, else of all pages. The first extent
//! of every stratum is always real.
//!
//! # Not modelled
//! Auto-converge, dirty limits, XBZRLE's cache, post-copy, device state, disks, and the time that encoding,
//! decoding and hashing take. A guest that writes faster than the streams carry is copied until somebody ends
//! the run, as in QEMU. When all streams are lost the guest goes on at the source, even if the loss fell between
//! the resumption at the destination and its answer.

mod copier;
mod counters;
mod destination;
mod event;
mod frames;
mod measure;
mod message;
mod options;
mod sampling;
mod source;
mod statistics;
mod store;

pub use destination::{Destination, DestinationStatistics};
pub use event::{Command, DestinationEvent, DestinationFailure, SourceEvent, SourceFailure};
pub use options::{DestinationOptions, OptionsError, PayloadMode, SourceOptions};
pub use source::Source;
pub use statistics::{CopyStatistics, RamStatistics, Statistics};

/// Pages of an extent: 256 KiB, the unit of sampling.
pub const EXTENT_PAGES: u64 = 64;

/// Pages of a frame, unless all pages of its stratum have been zero so far.
pub const PAGES_PER_FRAME: usize = 64;

/// Pages of a frame of a stratum whose pages have all been zero so far.
pub const ZERO_PAGES_PER_FRAME: usize = 2048;
