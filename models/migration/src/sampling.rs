//! Which pages travel as real bytes.

use longhaul_core::random::Stream;
use longhaul_memory::{GuestMemory, Stratum};

use crate::{EXTENT_PAGES, PayloadMode};

/// The real extents of one guest.
#[derive(Debug)]
pub(crate) struct Sampling {
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

    /// Makes the first extent of every stratum real, as the strata are now.
    pub fn cover_strata(&mut self, memory: &impl GuestMemory) {
        let mut seen = [false; Stratum::MAX as usize + 1];
        for page in 0..memory.pages() {
            let stratum = memory.stratum(page, memory.version(page));
            if !std::mem::replace(&mut seen[usize::from(stratum)], true) {
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
    use longhaul_core::units::{ByteSize, Probability};
    use longhaul_memory::ReadOptions;
    use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
    use longhaul_memory::locality::Locality;
    use longhaul_memory::pattern::Pattern;

    use super::*;

    fn sampling(parts_of_ten: u64, pages: u64) -> Sampling {
        let share = Probability::from_ratio(parts_of_ten, 10).unwrap();
        let random = Streams::new(1, 0).stream("migration", "sampling");
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
    fn the_first_extent_of_every_stratum_is_real() {
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
        let mut sampling = sampling(0, memory.pages());
        sampling.cover_strata(&memory);
        let (mut first, mut real) = ([false; 256], 0);
        for page in 0..memory.pages() {
            real += u64::from(sampling.is_real(page));
            let stratum = usize::from(memory.stratum(page, 0));
            if !std::mem::replace(&mut first[stratum], true) {
                assert!(sampling.is_real(page), "page {page}");
            }
        }
        assert!((64..=64 * 4).contains(&real), "{real}");
    }
}
