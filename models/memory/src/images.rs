//! A guest that goes through recorded images of its memory.
//!
//! Image *k* becomes current when the guest has run for *k* intervals; the pages in which it differs from image
//! *k*−1 are written at that moment. After the last image the guest is idle.

use std::sync::Arc;

use longhaul_core::time::{Instant, Span};

use crate::bitmap::DirtyBitmap;
use crate::clock::GuestClock;
use crate::{GuestMemory, PAGE_SIZE, Stratum};

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
    #[error("{name}: {bytes} bytes, but {first} has {expected}")]
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
}

/// The memory of a guest, recorded. A page's version is the number of the image with which it last changed.
#[derive(Clone, Debug)]
pub struct ImageSeries {
    images: Vec<Arc<[u8]>>,
    interval: Span,
    current: usize,
    versions: Vec<u32>,
    clock: GuestClock,
}

impl ImageSeries {
    /// A guest that holds the first image at the start of the run and changes to the next one every `interval`.
    ///
    /// # Errors
    /// If there is no image, an image is empty, not whole pages or of another size than the first, or the
    /// interval is zero.
    pub fn new(images: &[Image], interval: Span) -> Result<ImageSeries, ImageError> {
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
        if interval == Span::ZERO {
            return Err(ImageError::NoInterval);
        }
        Ok(ImageSeries {
            images: images.iter().map(|image| image.content.clone()).collect(),
            interval,
            current: 0,
            versions: vec![0; first.content.len() / PAGE_SIZE],
            clock: GuestClock::default(),
        })
    }

    fn page(&self, image: usize, page: u64) -> &[u8; PAGE_SIZE] {
        &self.images[image].as_chunks().0[page as usize]
    }
}

impl GuestMemory for ImageSeries {
    fn pages(&self) -> u64 {
        self.versions.len() as u64
    }

    fn advance(&mut self, now: Instant, dirty: &mut DirtyBitmap) {
        let reached = self.clock.advance(now) / self.interval.as_ns();
        while self.current + 1 < self.images.len() && (self.current as u64) < reached {
            self.current += 1;
            let (old, _) = self.images[self.current - 1].as_chunks::<PAGE_SIZE>();
            let (new, _) = self.images[self.current].as_chunks::<PAGE_SIZE>();
            for (page, version) in self.versions.iter_mut().enumerate() {
                if old[page] != new[page] {
                    *version = u32::try_from(self.current).expect("images by the billion");
                    dirty.set(page as u64);
                }
            }
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
        *into = *self.page(version as usize, page);
    }

    /// Strata by the share of zero bytes: none to a quarter, to a half, to three quarters, to all but one, all.
    fn stratum(&self, page: u64, version: u32) -> Stratum {
        let content = self.page(version as usize, page);
        let zeros = content.iter().filter(|byte| **byte == 0).count();
        (zeros * 4 / PAGE_SIZE) as Stratum
    }

    fn next_change(&self) -> Option<Instant> {
        let next = self.current + 1;
        if next == self.images.len() {
            return None;
        }
        self.clock.when(self.interval.saturating_mul(next as u64).as_ns())
    }
}
