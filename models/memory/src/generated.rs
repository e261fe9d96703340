//! A guest whose memory is generated and that writes it at random.
//!
//! **Writes** form a Poisson process. Each picks a page of the working set uniformly and overwrites a few bytes of
//! it. Inter-arrival times are drawn one by one, so a guest that is asked every millisecond writes the same as
//! one that is asked once.
//!
//! **The working set** is the first part of a keyed pseudo-random permutation of all pages. Every part of the
//! memory is represented in proportion, and no regular sample of the pages (every hundredth, say) can fall in
//! step with it.
//!
//! **Content.** A page at version *v* is its [base content](crate::pattern) with the writes *v*−15 to *v* applied
//! in order, each at a place and with bytes that follow from page and write number. This is the definition and
//! not an approximation: earlier writes are undone as they fall out of the sixteen, which bounds what a read
//! costs and keeps every version readable.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::Instant;
use longhaul_core::units::{ByteSize, Probability};

use crate::bitmap::DirtyBitmap;
use crate::clock::GuestClock;
use crate::noise::Noise;
use crate::pattern::{Content, Pattern, Region};
use crate::{GuestMemory, PAGE_SIZE, Stratum};

/// Largest guest: 2^28 pages, 1 TiB.
pub const MAX_PAGES: u64 = 1 << 28;

/// Most page writes per second: 40 GB/s of whole pages.
pub const MAX_PAGES_PER_S: u64 = 10_000_000;

/// How many of the latest writes a page shows.
const WRITES_SHOWN: u32 = 16;

/// What the guest's memory holds and how it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GeneratedOptions {
    /// Content before the first write.
    pub pattern: Pattern,
    /// Size: whole pages, at least one and at most [`MAX_PAGES`].
    pub size: ByteSize,
    /// How the guest writes.
    pub dirty: DirtyOptions,
}

/// How a guest writes its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirtyOptions {
    /// Mean page writes per second, at most [`MAX_PAGES_PER_S`].
    pub pages_per_s: u64,
    /// Share of the pages that is ever written; unless zero, at least one page is.
    pub working_set: Probability,
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
    /// More than [`MAX_PAGES_PER_S`].
    #[error("{0} page writes per second; at most {MAX_PAGES_PER_S} are possible")]
    TooManyWrites(u64),
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
    writes: Writes,
    clock: GuestClock,
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
        if dirty.pages_per_s > MAX_PAGES_PER_S {
            return Err(GeneratedError::TooManyWrites(dirty.pages_per_s));
        }
        let bytes_per_write = dirty.bytes_per_write.as_bytes();
        if !(1..=PAGE_SIZE as u64).contains(&bytes_per_write) {
            return Err(GeneratedError::WriteSize(bytes_per_write));
        }
        let content = Content::new(options.pattern, pages, &mut streams.stream(vm, "memory content"));
        let mut stream = streams.stream(vm, "memory writes");
        let write_key = stream.u64();
        let working_set = WorkingSet::new(pages, dirty.working_set, &mut stream);
        let rate = if working_set.size == 0 {
            0
        } else {
            dirty.pages_per_s
        };
        Ok(GeneratedMemory {
            content,
            versions: vec![0; pages as usize],
            bytes_per_write: bytes_per_write as usize,
            write_key,
            working_set,
            writes: Writes::new(rate, stream),
            clock: GuestClock::default(),
        })
    }

    /// Number of pages that are ever written.
    pub fn working_set_pages(&self) -> u64 {
        self.working_set.size
    }
}

impl GuestMemory for GeneratedMemory {
    fn pages(&self) -> u64 {
        self.content.pages()
    }

    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        let until = self.clock.advance(now);
        while let Some(choice) = self.writes.take(until, self.working_set.size) {
            let page = self.working_set.page(choice);
            let version = &mut self.versions[page as usize];
            *version = version.saturating_add(1);
            dirty.set(page);
        }
    }

    fn pause(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        self.advance(now, dirty);
        self.clock.pause(now);
    }

    fn resume(&mut self, now: Instant) {
        self.clock.resume(now);
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
        let next = self.writes.next_ns;
        if next == u64::MAX {
            None
        } else {
            self.clock.when(next)
        }
    }
}

/// The Poisson process of writes, in the guest's time.
#[derive(Clone, Debug)]
struct Writes {
    stream: Stream,
    mean_ns: f64,
    /// The next write; `u64::MAX` for never.
    next_ns: u64,
    /// What rounding `next_ns` down has left, in [0, 1): carried over, so that the rate does not drift.
    remainder_ns: f64,
}

impl Writes {
    fn new(per_s: u64, stream: Stream) -> Writes {
        let mut writes = Writes {
            stream,
            mean_ns: 1e9 / per_s as f64,
            next_ns: if per_s == 0 { u64::MAX } else { 0 },
            remainder_ns: 0.0,
        };
        writes.schedule();
        writes
    }

    /// Takes the next write if it happens until `until_ns`; returns which of `choices` it hits.
    fn take(&mut self, until_ns: u64, choices: u64) -> Option<u64> {
        if self.next_ns > until_ns || self.next_ns == u64::MAX {
            return None;
        }
        let choice = self.stream.below(choices);
        self.schedule();
        Some(choice)
    }

    fn schedule(&mut self) {
        if self.next_ns == u64::MAX {
            return;
        }
        let gap = self.remainder_ns + self.stream.exponential(self.mean_ns);
        // An exponential of 52 bits is at most 37 means: seconds at the rates allowed.
        let whole = gap as u64;
        self.remainder_ns = gap - whole as f64;
        self.next_ns = self.next_ns.saturating_add(whole);
    }
}

/// The first `size` elements of a keyed permutation of all pages.
#[derive(Clone, Debug)]
struct WorkingSet {
    pages: u64,
    size: u64,
    mask: u64,
    shift: u32,
    keys: [(u64, u64); 3],
}

impl WorkingSet {
    fn new(pages: u64, share: Probability, stream: &mut Stream) -> WorkingSet {
        let exact = u128::from(pages) * u128::from(share.as_parts()) / u128::from(Probability::PARTS);
        let at_least = u64::from(share != Probability::ZERO);
        let mask = pages.next_power_of_two() - 1;
        WorkingSet {
            pages,
            size: (exact as u64).max(at_least),
            mask,
            shift: (mask.count_ones() / 2).max(1),
            keys: std::array::from_fn(|_| (stream.u64() | 1, stream.u64())),
        }
    }

    /// Element `i` of the permutation.
    ///
    /// Multiplying by an odd number, adding and folding the upper half into the lower are all reversible modulo a
    /// power of two; what lands beyond the pages goes round again until it does not (cycle walking), which
    /// takes less than two rounds on average.
    fn page(&self, mut i: u64) -> u64 {
        loop {
            for (factor, offset) in self.keys {
                i = i.wrapping_mul(factor).wrapping_add(offset) & self.mask;
                i ^= i >> self.shift;
            }
            if i < self.pages {
                return i;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_set_has_its_size_and_no_page_twice() {
        for pages in [1, 2, 3, 7, 64, 1000, 4097] {
            let mut stream = Streams::new(pages, 0).stream("vm", "test");
            let set = WorkingSet::new(pages, Probability::ONE, &mut stream);
            let mut hit = DirtyBitmap::new(pages);
            assert!((0..set.size).all(|i| hit.set(set.page(i))));
            assert_eq!(hit.count(), pages);
        }
        let mut stream = Streams::new(0, 0).stream("vm", "test");
        let third = Probability::from_ratio(1, 3).unwrap();
        assert_eq!(WorkingSet::new(1000, third, &mut stream).size, 333);
        assert_eq!(WorkingSet::new(2, third, &mut stream).size, 1);
        assert_eq!(WorkingSet::new(2, Probability::ZERO, &mut stream).size, 0);
    }
    #[test]
    fn a_version_stays_at_its_largest_value() {
        let options = GeneratedOptions {
            pattern: Pattern::Constant,
            size: ByteSize::from_bytes(PAGE_SIZE as u64),
            dirty: DirtyOptions {
                pages_per_s: 1000,
                working_set: Probability::ONE,
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
