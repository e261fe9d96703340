//! A guest whose memory is generated and that touches it at random.
//!
//! **Writes** form a Poisson process for each virtual processor. Each picks a page of the
//! [working set](crate::locality) and overwrites a few bytes of it. Inter-arrival times are drawn one by one, so a
//! guest that is asked every millisecond writes the same as one that is asked once.
//!
//! **Reads** are another such process. They leave no trace; a guest that runs while pages are missing must wait for what
//! it reads, though.
//!
//! **Content.** A page at version *v* is its [base content](crate::pattern) with the writes *v*−15 to *v* applied
//! in order, each at a place and with bytes that follow from page and write number. This is the definition and
//! not an approximation: earlier writes are undone as they fall out of the sixteen, which bounds what a read
//! costs and keeps every version readable. It does not depend on which processor made which write.

use longhaul_core::random::Streams;
use longhaul_core::time::Instant;
use longhaul_core::units::{ByteSize, Probability};

use crate::access::{Access, Process, ReadOptions};
use crate::bitmap::DirtyBitmap;
use crate::locality::{Locality, WorkingSet};
use crate::noise::Noise;
use crate::pattern::{Content, Pattern, Region};
use crate::vcpus::{Reader, Vcpus};
use crate::{AccessError, CpuState, Fault, GuestMemory, PAGE_SIZE, RestoreError, Stratum, check_access};

/// Largest guest: 2^28 pages, 1 TiB.
pub const MAX_PAGES: u64 = 1 << 28;

/// How many of the latest writes a page shows.
const WRITES_SHOWN: u32 = 16;

/// What the guest's memory holds and how it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GeneratedOptions {
    /// Content before the first write.
    pub pattern: Pattern,
    /// Size: whole pages, at least one and at most [`MAX_PAGES`].
    pub size: ByteSize,
    /// Virtual processors, 1 to [`MAX_VCPUS`](crate::MAX_VCPUS); they share reads and writes evenly.
    pub vcpus: u32,
    /// How the guest writes.
    pub dirty: DirtyOptions,
    /// How it reads.
    pub reads: ReadOptions,
}

/// How a guest writes its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirtyOptions {
    /// Mean page writes per second of all processors, at most [`MAX_PAGES_PER_S`](crate::MAX_PAGES_PER_S).
    pub pages_per_s: u64,
    /// Share of the pages that is ever written; unless zero, at least one page is.
    pub working_set: Probability,
    /// Which of them.
    pub locality: Locality,
    /// Bytes that one write overwrites, 1 to [`PAGE_SIZE`].
    pub bytes_per_write: ByteSize,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GeneratedError {
    /// No memory, or not whole pages.
    #[error("memory of {0} bytes is not a whole number of 4 KiB pages")]
    NotWholePages(u64),
    /// More than [`MAX_PAGES`].
    #[error("memory of {0} pages; at most {MAX_PAGES} (1 TiB) are possible")]
    TooManyPages(u64),
    /// Processors, rates or localities.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Outside 1 to [`PAGE_SIZE`].
    #[error("{0} bytes per write; 1 to {PAGE_SIZE} are possible")]
    WriteSize(u64),
}

/// The memory of a guest, generated. Takes four bytes per page, and those of pages never written stay untouched.
#[derive(Clone, Debug)]
pub struct GeneratedMemory {
    content: Content,
    versions: Vec<u32>,
    bytes_per_write: usize,
    /// Key of the places and bytes of writes.
    write_key: u64,
    working_set: WorkingSet,
    vcpus: Vcpus<Process>,
}

impl GeneratedMemory {
    /// The memory of the guest named `vm`. Its content and its writes use different streams, so the same guest
    /// under another load holds the same memory.
    ///
    /// # Errors
    /// If an option lies outside its range.
    pub fn new(
        options: &GeneratedOptions,
        streams: &Streams,
        vm: &str,
    ) -> Result<GeneratedMemory, GeneratedError> {
        let size = options.size.as_bytes();
        let dirty = options.dirty;
        if size == 0 || !size.is_multiple_of(PAGE_SIZE as u64) {
            return Err(GeneratedError::NotWholePages(size));
        }
        let pages = size / PAGE_SIZE as u64;
        if pages > MAX_PAGES {
            return Err(GeneratedError::TooManyPages(pages));
        }
        check_access(options.vcpus, dirty.pages_per_s, dirty.locality)?;
        check_access(options.vcpus, options.reads.pages_per_s, options.reads.locality)?;
        let bytes_per_write = dirty.bytes_per_write.as_bytes();
        if !(1..=PAGE_SIZE as u64).contains(&bytes_per_write) {
            return Err(GeneratedError::WriteSize(bytes_per_write));
        }
        let content = Content::new(options.pattern, pages, &mut streams.stream(vm, "memory content"));
        let mut first = streams.stream(vm, "memory writes");
        let write_key = first.u64();
        let working_set = WorkingSet::new(pages, dirty.working_set, &mut first);
        let others = (1..options.vcpus).map(|turn| {
            let purpose = format!("memory writes of processor {turn}");
            streams.stream(vm, &purpose)
        });
        let writes = std::iter::once(first)
            .chain(others)
            .zip(0..)
            .map(|(stream, turn)| {
                let turns = (turn, options.vcpus);
                Process::new(
                    dirty.pages_per_s,
                    working_set,
                    dirty.locality,
                    turns,
                    true,
                    0,
                    stream,
                )
            });
        Ok(GeneratedMemory {
            content,
            versions: vec![0; pages as usize],
            bytes_per_write: bytes_per_write as usize,
            write_key,
            working_set,
            vcpus: Vcpus::new(
                writes.collect(),
                Reader::new(options.reads, &working_set, streams, vm),
            ),
        })
    }

    /// Number of pages that are ever written.
    pub fn working_set_pages(&self) -> u64 {
        self.working_set.size()
    }
}

impl GuestMemory for GeneratedMemory {
    fn pages(&self) -> u64 {
        self.content.pages()
    }

    fn vcpus(&self) -> u32 {
        self.vcpus.len()
    }

    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        let versions = &mut self.versions;
        self.vcpus.advance(now, |access| write(versions, access, dirty));
    }

    fn pause(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        self.advance(now, dirty);
        self.vcpus.pause(now);
    }

    fn resume(&mut self, now: Instant) {
        self.vcpus.resume(now);
    }

    fn set_speed(&mut self, now: Instant, speed: Probability, dirty: &mut DirtyBitmap) {
        self.advance(now, dirty);
        self.vcpus.set_speed(now, speed);
    }

    fn cpu_state(&mut self, now: Instant) -> CpuState {
        self.vcpus.state(now)
    }

    fn restore(&mut self, now: Instant, state: &CpuState) -> Result<(), RestoreError> {
        let versions = &mut self.versions;
        let mut dirty = DirtyBitmap::new(versions.len() as u64);
        self.vcpus
            .restore(now, state, |access| write(versions, access, &mut dirty))
    }

    fn run(&mut self, now: Instant, missing: &DirtyBitmap, dirty: &mut DirtyBitmap, faults: &mut Vec<Fault>) {
        let versions = &mut self.versions;
        let touch = |access| write(versions, access, dirty);
        self.vcpus.run(now, missing, touch, faults);
    }

    fn next_fault(&mut self, missing: &DirtyBitmap) -> Option<Instant> {
        self.vcpus.look_ahead(missing)
    }

    fn page_arrived(&mut self, now: Instant, page: u64) -> u32 {
        self.vcpus.arrived(now, page)
    }

    fn version(&self, page: u64) -> u32 {
        self.versions[page as usize]
    }

    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]) {
        assert!(
            version <= self.version(page),
            "version {version} of page {page} does not exist yet"
        );
        self.content.read(page, into);
        let places = (PAGE_SIZE - self.bytes_per_write + 1) as u64;
        for write in version.saturating_sub(WRITES_SHOWN)..version {
            let mut noise = Noise::new(self.write_key, page, u64::from(write));
            let place = noise.below(places) as usize;
            noise.fill(&mut into[place..place + self.bytes_per_write]);
        }
    }

    /// A stratum is a region of the pattern and, unless the region is random to begin with, how many writes show
    /// (0, 1, 2–3, 4–7, 8–15, 16).
    fn stratum(&self, page: u64, version: u32) -> Stratum {
        let region = self.content.region(page);
        let shown = version.min(WRITES_SHOWN);
        let depth = if region == Region::Random {
            0
        } else {
            u32::BITS - shown.leading_zeros()
        };
        region as u8 * 6 + depth as u8
    }

    fn next_change(&self) -> Option<Instant> {
        self.vcpus.next_access()
    }
}

fn write(versions: &mut [u32], access: Access, dirty: &mut DirtyBitmap) {
    if access.write {
        let version = &mut versions[access.page as usize];
        *version = version.saturating_add(1);
        dirty.set(access.page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stays_at_its_largest_value() {
        let options = GeneratedOptions {
            pattern: Pattern::Constant,
            size: ByteSize::from_bytes(PAGE_SIZE as u64),
            vcpus: 1,
            reads: ReadOptions::NONE,
            dirty: DirtyOptions {
                pages_per_s: 1000,
                working_set: Probability::ONE,
                locality: Locality::Uniform,
                bytes_per_write: ByteSize::from_bytes(8),
            },
        };
        let mut memory = GeneratedMemory::new(&options, &Streams::new(1, 0), "vm").unwrap();
        memory.versions[0] = u32::MAX - 1;
        let mut dirty = DirtyBitmap::new(1);
        memory.advance(Instant::from_ns(1_000_000_000), &mut dirty);
        assert_eq!(memory.version(0), u32::MAX);
        let mut page = [0; PAGE_SIZE];
        memory.read(0, u32::MAX, &mut page);
    }
}
