//! The memory of a scenario's VM, generated or recorded, as one type.

use longhaul_core::time::Instant;
use longhaul_core::units::Probability;
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::generated::GeneratedMemory;
use longhaul_memory::images::ImageSeries;
use longhaul_memory::{CpuState, Fault, GuestMemory, PAGE_SIZE, RestoreError, Stratum};

/// One of the two kinds of guest. An enum rather than a trait object: a migration asks for versions and strata
/// of millions of pages.
pub enum Guest {
    /// Generated from the seed.
    Generated(Box<GeneratedMemory>),
    /// Recorded images.
    Recorded(Box<ImageSeries>),
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

    fn vcpus(&self) -> u32 {
        either!(self, memory => memory.vcpus())
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

    fn set_speed(&mut self, now: Instant, speed: Probability, dirty: &mut DirtyBitmap) {
        either!(self, memory => memory.set_speed(now, speed, dirty));
    }

    fn cpu_state(&mut self, now: Instant) -> CpuState {
        either!(self, memory => memory.cpu_state(now))
    }

    fn restore(&mut self, now: Instant, state: &CpuState) -> Result<(), RestoreError> {
        either!(self, memory => memory.restore(now, state))
    }

    fn run(&mut self, now: Instant, missing: &DirtyBitmap, dirty: &mut DirtyBitmap, faults: &mut Vec<Fault>) {
        either!(self, memory => memory.run(now, missing, dirty, faults));
    }

    fn next_fault(&mut self, missing: &DirtyBitmap) -> Option<Instant> {
        either!(self, memory => memory.next_fault(missing))
    }

    fn page_arrived(&mut self, now: Instant, page: u64) -> u32 {
        either!(self, memory => memory.page_arrived(now, page))
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
