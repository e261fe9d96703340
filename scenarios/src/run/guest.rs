//! The memory of a scenario's VM, generated or recorded, as one type.

use longhaul_core::time::Instant;
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::generated::GeneratedMemory;
use longhaul_memory::images::ImageSeries;
use longhaul_memory::{GuestMemory, PAGE_SIZE, Stratum};

/// One of the two kinds of guest. An enum rather than a trait object: a migration asks for versions and strata
/// of millions of pages.
pub enum Guest {
    /// Generated from the seed.
    Generated(Box<GeneratedMemory>),
    /// Recorded images.
    Recorded(ImageSeries),
}

macro_rules! either {
    ($guest:expr, $memory:ident => $call:expr) => {
        match $guest {
            Guest::Generated($memory) => $call,
            Guest::Recorded($memory) => $call,
        }
    };
}

impl GuestMemory for Guest {
    fn pages(&self) -> u64 {
        either!(self, memory => memory.pages())
    }

    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        either!(self, memory => memory.advance(now, dirty));
    }

    fn pause(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        either!(self, memory => memory.pause(now, dirty));
    }

    fn resume(&mut self, now: Instant) {
        either!(self, memory => memory.resume(now));
    }

    fn version(&self, page: u64) -> u32 {
        either!(self, memory => memory.version(page))
    }

    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]) {
        either!(self, memory => memory.read(page, version, into));
    }

    fn stratum(&self, page: u64, version: u32) -> Stratum {
        either!(self, memory => memory.stratum(page, version))
    }

    fn next_change(&self) -> Option<Instant> {
        either!(self, memory => memory.next_change())
    }
}
