//! Guest memory: what a virtual machine's pages hold at any moment, and which of them it writes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`bitmap`] | [`DirtyBitmap`]: the pages written since somebody last looked |
//! | [`pattern`] | the four content patterns of the workload generator, any page on its own |
//! | [`generated`] | a guest of such content that touches pages at random |
//! | [`images`] | a guest that goes through recorded images |
//! | [`locality`] | which pages a guest touches: uniform, hot and cold, Zipf, one after the other |
//!
//! Memory is not stored but described: a page at a *version* can be computed again at any time, so that a
//! migration remembers for every page only the version that it sent. A run over 43 GB of memory touches the
//! contents of those pages alone that it looks into.
//!
//! # A guest that moves
//! What a guest does is a function of its own time alone, and each of its virtual processors has its own. So a
//! [`CpuState`] is all that another computer needs beside the pages: with the same memory described there, it
//! [restores](GuestMemory::restore) that state and the guest goes on as if nothing had happened.
//!
//! # A guest that runs while pages are missing
//! In post-copy the guest runs where some of its pages are not yet. [`GuestMemory::run`] makes its accesses, reads as well
//! as writes, until a processor touches a missing page: that one stands still, with its own time, until
//! [`GuestMemory::page_arrived`]; the others go on. [`GuestMemory::next_fault`] says when that will next happen, by drawing
//! the accesses to come ahead of time.

use longhaul_core::time::Instant;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

pub mod bitmap;
pub mod generated;
pub mod images;
pub mod locality;
pub mod pattern;

mod access;
mod clock;
mod noise;
mod vcpus;

pub use access::ReadOptions;

use bitmap::DirtyBitmap;
use locality::{Locality, MAX_EXPONENT_MILLIONTHS};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// Most virtual processors of a guest.
pub const MAX_VCPUS: u32 = 1024;

/// Most page writes, and most page reads, per second: 40 GB/s of whole pages.
pub const MAX_PAGES_PER_S: u64 = 10_000_000;

/// What the processors of a guest hold at a moment: all that is needed, beside its memory, to go on elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CpuState {
    /// The time of each virtual processor, in nanoseconds of its own.
    pub vcpu_ns: Vec<u64>,
}

/// A virtual processor has touched a missing page and stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// When.
    pub at: Instant,
    /// Which processor.
    pub vcpu: u32,
    /// Which page.
    pub page: u64,
    /// Whether it wanted to write.
    pub write: bool,
}

/// Why a guest cannot take over a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// It has another number of processors.
    #[error("a state of {found} processors for a guest that has {expected}")]
    Processors {
        /// Processors of the guest.
        expected: usize,
        /// Processors of the state.
        found: usize,
    },
    /// A guest's time runs at most as fast as ours.
    #[error("a state that cannot have been reached yet")]
    Future,
}

/// Why a guest's processors or accesses were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccessError {
    /// Outside 1 to [`MAX_VCPUS`].
    #[error("{0} virtual processors; 1 to {MAX_VCPUS} are possible")]
    Processors(u32),
    /// More than [`MAX_PAGES_PER_S`].
    #[error("{0} page accesses per second; at most {MAX_PAGES_PER_S} are possible")]
    TooMany(u64),
    /// An exponent of Zipf's law outside its range.
    #[error("an exponent of {0} millionths; 1 to {MAX_EXPONENT_MILLIONTHS} are possible")]
    Exponent(u32),
}

/// Checks what all kinds of guests have in common.
fn check_access(vcpus: u32, pages_per_s: u64, locality: Locality) -> Result<(), AccessError> {
    if !(1..=MAX_VCPUS).contains(&vcpus) {
        return Err(AccessError::Processors(vcpus));
    }
    if pages_per_s > MAX_PAGES_PER_S {
        return Err(AccessError::TooMany(pages_per_s));
    }
    match locality {
        Locality::Zipf { exponent_millionths }
            if !(1..=MAX_EXPONENT_MILLIONTHS).contains(&exponent_millionths) =>
        {
            Err(AccessError::Exponent(exponent_millionths))
        }
        _ => Ok(()),
    }
}

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

    /// Number of virtual processors.
    fn vcpus(&self) -> u32;

    /// Lets the guest write up to and including `now`, and marks what it writes. A guest that stands still
    /// writes nothing.
    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap);

    /// Stops the guest at `now`, after the writes up to then. Its own time stands still until
    /// [`resume`](GuestMemory::resume). No effect on a guest that stands still already.
    fn pause(&mut self, now: Instant, dirty: &mut DirtyBitmap);

    /// Lets a stopped guest continue at `now` where it stopped. No effect on a running guest.
    fn resume(&mut self, now: Instant);

    /// Lets the guest run at this share of its full speed from `now` on, after the writes up to then. Its own time runs
    /// slower, which is what throttling its processors amounts to.
    fn set_speed(&mut self, now: Instant, speed: Probability, dirty: &mut DirtyBitmap);

    /// What its processors hold at `now`. Meant for a guest that stands still.
    fn cpu_state(&mut self, now: Instant) -> CpuState;

    /// Makes the guest one that has come to `state` and stands still there. For a guest that has not been used.
    ///
    /// # Errors
    /// If the state is not one that this guest can have at `now`.
    fn restore(&mut self, now: Instant, state: &CpuState) -> Result<(), RestoreError>;

    /// Lets the guest run up to and including `now` while the pages of `missing` are not there, and reports the
    /// processors that now wait for one, in the order of time. A page that is missing in one call must have been so
    /// in all before.
    fn run(&mut self, now: Instant, missing: &DirtyBitmap, dirty: &mut DirtyBitmap, faults: &mut Vec<Fault>);

    /// When [`run`](GuestMemory::run) next has a fault to report, or should be called to look further; `None` if no
    /// processor can run into one.
    fn next_fault(&mut self, missing: &DirtyBitmap) -> Option<Instant>;

    /// A page is no longer missing: the processors that wait for it go on at `now`. Returns how many do.
    fn page_arrived(&mut self, now: Instant, page: u64) -> u32;

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
