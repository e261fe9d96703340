//! A guest that goes through recorded images of its memory.
//!
//! Image *k* becomes current when the guest has run for *k* intervals; the pages in which it differs from image
//! *k*−1 are written at that moment, in page order, by the first virtual processor. After the last image the guest
//! writes nothing more. Reads, if it has any, are generated.
//!
//! All images have one size: a guest whose memory grows or shrinks while it is recorded (hot-plug) is refused, since
//! QEMU refuses to migrate while memory is being plugged, too.

use std::sync::Arc;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::access::{Access, Accesses, ReadOptions};
use crate::bitmap::DirtyBitmap;
use crate::locality::WorkingSet;
use crate::vcpus::{Reader, Vcpus};
use crate::{AccessError, CpuState, Fault, GuestMemory, PAGE_SIZE, RestoreError, Stratum, check_access};

/// One recorded image. Guests and runs can share the bytes.
#[derive(Clone, Debug)]
pub struct Image {
    /// What to call it in messages: its file.
    pub name: String,
    /// The whole memory, page 0 first.
    pub content: Arc<[u8]>,
}

/// Why a series of images was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    /// There is none.
    #[error("a recorded memory needs at least one image")]
    NoImages,
    /// An image without content.
    #[error("{name}: the image is empty")]
    Empty {
        /// The image.
        name: String,
    },
    /// An image that is not whole pages.
    #[error("{name}: {bytes} bytes are not a whole number of 4 KiB pages")]
    NotWholePages {
        /// The image.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// An image of another size than the first.
    #[error(
        "{name}: {bytes} bytes, but {first} has {expected}; memory that grows or shrinks (hot-plug) is not modelled"
    )]
    SizeDiffers {
        /// The image.
        name: String,
        /// Its size.
        bytes: u64,
        /// The first image.
        first: String,
        /// Its size.
        expected: u64,
    },
    /// Several images at the same moment.
    #[error("the interval between two images must be above zero")]
    NoInterval,
    /// Processors, rates or localities.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// The memory of a guest, recorded. A page's version is the number of the image with which it last changed.
#[derive(Clone, Debug)]
pub struct ImageSeries {
    images: Arc<[Arc<[u8]>]>,
    interval: Span,
    versions: Vec<u32>,
    vcpus: Vcpus<Changes>,
}

impl ImageSeries {
    /// The guest named `vm`, which holds the first image at the start of the run and changes to the next one every
    /// `interval`.
    ///
    /// # Errors
    /// If there is no image, an image is empty, not whole pages or of another size than the first, the
    /// interval is zero, or an option lies outside its range.
    pub fn new(
        images: &[Image],
        interval: Span,
        vcpus: u32,
        reads: ReadOptions,
        streams: &Streams,
        vm: &str,
    ) -> Result<ImageSeries, ImageError> {
        let pages = check_images(images)?;
        if interval == Span::ZERO {
            return Err(ImageError::NoInterval);
        }
        check_access(vcpus, reads.pages_per_s, reads.locality)?;
        let images: Arc<[Arc<[u8]>]> = images.iter().map(|image| image.content.clone()).collect();
        let order = WorkingSet::new(pages, Probability::ONE, &mut streams.stream(vm, "memory reads"));
        let writes = (0..vcpus).map(|turn| {
            let of_this = if turn == 0 { images.clone() } else { Arc::new([]) };
            Changes::new(of_this, interval)
        });
        Ok(ImageSeries {
            interval,
            versions: vec![0; pages as usize],
            vcpus: Vcpus::new(writes.collect(), Reader::new(reads, &order, streams, vm)),
            images,
        })
    }

    fn page(&self, image: usize, page: u64) -> &[u8; PAGE_SIZE] {
        &self.images[image].as_chunks().0[page as usize]
    }
}

/// How many pages every image has.
fn check_images(images: &[Image]) -> Result<u64, ImageError> {
    let first = images.first().ok_or(ImageError::NoImages)?;
    for Image { name, content } in images {
        let name = name.clone();
        let bytes = content.len() as u64;
        if content.is_empty() {
            return Err(ImageError::Empty { name });
        }
        if !content.len().is_multiple_of(PAGE_SIZE) {
            return Err(ImageError::NotWholePages { name, bytes });
        }
        if content.len() != first.content.len() {
            return Err(ImageError::SizeDiffers {
                name,
                bytes,
                first: first.name.clone(),
                expected: first.content.len() as u64,
            });
        }
    }
    Ok((first.content.len() / PAGE_SIZE) as u64)
}

/// The pages that change from one image to the next.
#[derive(Clone, Debug)]
struct Changes {
    images: Arc<[Arc<[u8]>]>,
    interval: Span,
    /// The image to which these pages lead, the next one last.
    image: usize,
    pages: Vec<u64>,
}

impl Changes {
    fn new(images: Arc<[Arc<[u8]>]>, interval: Span) -> Changes {
        let mut changes = Changes {
            images,
            interval,
            image: 0,
            pages: Vec::new(),
        };
        changes.fill();
        changes
    }

    /// Finds the next image that changes anything, once no page is left.
    fn fill(&mut self) {
        while self.pages.is_empty() && self.image + 1 < self.images.len() {
            self.image += 1;
            let (old, _) = self.images[self.image - 1].as_chunks::<PAGE_SIZE>();
            let (new, _) = self.images[self.image].as_chunks::<PAGE_SIZE>();
            let changed = (0..new.len()).rev().filter(|page| old[*page] != new[*page]);
            self.pages.extend(changed.map(|page| page as u64));
        }
    }
}

impl Accesses for Changes {
    fn peek(&mut self) -> Option<Access> {
        Some(Access {
            guest_ns: self.next_ns()?,
            page: *self.pages.last()?,
            write: true,
        })
    }

    fn advance(&mut self) {
        self.pages.pop();
        self.fill();
    }

    fn next_ns(&self) -> Option<u64> {
        let at = self.interval.saturating_mul(self.image as u64);
        (!self.pages.is_empty()).then_some(at.as_ns())
    }
}

/// Notes that a page has changed with the image that is due at the time of the access.
fn change(versions: &mut [u32], interval: Span, access: Access, dirty: &mut DirtyBitmap) {
    if access.write {
        let image = access.guest_ns / interval.as_ns();
        versions[access.page as usize] = u32::try_from(image).expect("images by the billion");
        dirty.set(access.page);
    }
}

impl GuestMemory for ImageSeries {
    fn pages(&self) -> u64 {
        self.versions.len() as u64
    }

    fn vcpus(&self) -> u32 {
        self.vcpus.len()
    }

    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        let (versions, interval) = (&mut self.versions, self.interval);
        self.vcpus
            .advance(now, |access| change(versions, interval, access, dirty));
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
        let (versions, interval) = (&mut self.versions, self.interval);
        let mut dirty = DirtyBitmap::new(versions.len() as u64);
        let touch = |access| change(versions, interval, access, &mut dirty);
        self.vcpus.restore(now, state, touch)
    }

    fn run(&mut self, now: Instant, missing: &DirtyBitmap, dirty: &mut DirtyBitmap, faults: &mut Vec<Fault>) {
        let (versions, interval) = (&mut self.versions, self.interval);
        let touch = |access| change(versions, interval, access, dirty);
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
        *into = *self.page(version as usize, page);
    }

    /// Strata by the share of zero bytes: none to a quarter, to a half, to three quarters, to all but one, all.
    fn stratum(&self, page: u64, version: u32) -> Stratum {
        let content = self.page(version as usize, page);
        let zeros = content.iter().filter(|byte| **byte == 0).count();
        (zeros * 4 / PAGE_SIZE) as Stratum
    }

    fn next_change(&self) -> Option<Instant> {
        self.vcpus.next_access()
    }
}
