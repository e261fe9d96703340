//! Which pages travel as real bytes.

use std::collections::BTreeSet;

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::{EXTENT_PAGES, PageView};

/// Which pages of guests travel as real bytes: are generated, encoded, carried, decoded and compared byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayloadMode {
    /// All.
    Real,
    /// About this share of the extents, and the first of every class. The rest is synthetic, at the ratios measured on
    /// the real ones in the same run.
    Sampled {
        /// Probability of an extent to be real.
        share: Probability,
    },
}

/// The real extents of one guest, or of several one after the other.
#[derive(Clone, Debug, Default)]
pub struct Sampling {
    /// One entry per extent.
    real: Vec<bool>,
}

impl Sampling {
    /// One draw per extent, in order, so that a larger guest or another share changes no other draw.
    pub fn new(mode: PayloadMode, pages: u64, mut random: Stream) -> Sampling {
        let extents = 0..pages.div_ceil(EXTENT_PAGES);
        let real = match mode {
            PayloadMode::Real => extents.map(|_| true).collect(),
            PayloadMode::Sampled { share } => extents.map(|_| random.chance(share)).collect(),
        };
        Sampling { real }
    }

    /// Adds the extents of another guest, which begins at the next whole extent.
    pub fn append(&mut self, mut other: Sampling) {
        self.real.append(&mut other.real);
    }

    /// Makes the first extent of every class real, as the classes of these pages are now.
    pub fn cover_classes(&mut self, view: &impl PageView, pages: impl Iterator<Item = u64>) {
        let mut seen = BTreeSet::new();
        let mut last = None;
        for page in pages {
            let class = view.class(page, view.version(page));
            // Neighbours are mostly alike.
            if last.replace(class) != Some(class) && seen.insert(class) {
                self.real[(page / EXTENT_PAGES) as usize] = true;
            }
        }
    }

    /// Whether a page travels as real bytes.
    pub fn is_real(&self, page: u64) -> bool {
        self.real[(page / EXTENT_PAGES) as usize]
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;
    use longhaul_core::units::ByteSize;
    use longhaul_memory::ReadOptions;
    use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
    use longhaul_memory::locality::Locality;
    use longhaul_memory::pattern::Pattern;

    use super::*;

    fn sampling(parts_of_ten: u64, pages: u64) -> Sampling {
        let share = Probability::from_ratio(parts_of_ten, 10).unwrap();
        let random = Streams::new(1, 0).stream("guest", "sampling");
        Sampling::new(PayloadMode::Sampled { share }, pages, random)
    }

    #[test]
    fn extents_are_real_as_a_whole_and_about_as_often_as_asked() {
        let sampling = sampling(3, 64 * 1_000);
        let real = (0..1_000).filter(|extent| sampling.is_real(extent * 64)).count();
        assert!((250..350).contains(&real), "{real}");
        assert!((0..64_000).all(|page| sampling.is_real(page) == sampling.is_real(page / 64 * 64)));
    }

    #[test]
    fn a_larger_guest_or_share_changes_no_other_draw() {
        let (small, large, more) = (sampling(3, 640), sampling(3, 64_000), sampling(6, 640));
        for page in 0..640 {
            assert_eq!(small.is_real(page), large.is_real(page));
            assert!(more.is_real(page) || !small.is_real(page));
        }
    }

    #[test]
    fn a_second_guest_begins_at_the_next_whole_extent() {
        let mut both = sampling(0, 65);
        both.append(sampling(10, 1));
        assert!((0..128).all(|page| !both.is_real(page)) && both.is_real(128));
    }

    #[test]
    fn the_first_extent_of_every_class_is_real() {
        let options = GeneratedOptions {
            pattern: Pattern::RealWorld,
            size: ByteSize::from_mib(8),
            vcpus: 1,
            reads: ReadOptions::NONE,
            dirty: DirtyOptions {
                pages_per_s: 0,
                working_set: Probability::ZERO,
                locality: Locality::Uniform,
                bytes_per_write: ByteSize::from_bytes(1),
            },
        };
        let memory = GeneratedMemory::new(&options, &Streams::new(1, 0), "vm").unwrap();
        let pages = PageView::pages(&memory);
        let mut sampling = sampling(0, pages);
        sampling.cover_classes(&memory, 0..pages);
        let (mut first, mut real) = (BTreeSet::new(), 0);
        for page in 0..pages {
            real += u64::from(sampling.is_real(page));
            if first.insert(memory.class(page, 0)) {
                assert!(sampling.is_real(page), "page {page}");
            }
        }
        assert!((64..=64 * 4).contains(&real), "{real}");
    }
}
