//! Guest memory: what a virtual machine's pages hold at any moment, and which of them it writes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`bitmap`] | [`DirtyBitmap`]: the pages written since somebody last looked |
//! | [`pattern`] | the four content patterns of the workload generator, any page on its own |
//! | [`generated`] | a guest of such content that writes pages at random |
//! | [`images`] | a guest that goes through recorded images |
//!
//! Memory is not stored but described: a page at a *version* can be computed again at any time, so that a
//! migration remembers for every page only the version that it sent. A run over 43 GB of memory touches the
//! contents of those pages alone that it looks into.

use longhaul_core::time::Instant;

pub mod bitmap;
pub mod generated;
pub mod images;
pub mod pattern;

mod clock;
mod noise;

use bitmap::DirtyBitmap;

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// A class of pages that compress alike; a sample of each stratum stands for all of it. The numbers mean
/// nothing beyond equality, and only within one guest.
pub type Stratum = u8;

/// The memory of one guest, as the guest writes it and as a migration reads it.
///
/// Time never goes back: the instants given to `advance`, `pause` and `resume` do not descend, or they panic.
/// What a guest has written at a given time does not depend on how often it was asked.
///
/// A page's version starts at 0 and grows with every change (it stays at its largest value rather than wrap).
/// The content at every version from 0 to the current one can be read at any time. Page numbers run from 0 to
/// `pages() - 1`; others panic.
pub trait GuestMemory {
    /// Number of pages.
    fn pages(&self) -> u64;

    /// Lets the guest write up to and including `now`, and marks what it writes. A guest that stands still
    /// writes nothing.
    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap);

    /// Stops the guest at `now`, after the writes up to then. Its own time stands still until
    /// [`resume`](GuestMemory::resume). No effect on a guest that stands still already.
    fn pause(&mut self, now: Instant, dirty: &mut DirtyBitmap);

    /// Lets a stopped guest continue at `now` where it stopped. No effect on a running guest.
    fn resume(&mut self, now: Instant);

    /// Current version of a page.
    fn version(&self, page: u64) -> u32;

    /// Content of a page at a version.
    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]);

    /// The stratum of a page at a version.
    fn stratum(&self, page: u64, version: u32) -> Stratum;

    /// When the guest next writes if nobody stops it; `None` if it stands still or never writes again. What it
    /// then writes may be what was there before.
    fn next_change(&self) -> Option<Instant>;
}
