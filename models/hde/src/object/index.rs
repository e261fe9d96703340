//! Where in a byte string which content is found: a table of sampled positions.
//!
//! A rolling hash over the last 32 bytes (the gear hash of Xia et al., "Ddelta", 2014) runs over the content. Positions
//! at which it has a certain number of zero bits are *samples*: they depend on the content alone, so two strings
//! that share a long enough part sample it at the same places, wherever it lies. The table keeps the position
//! of each sample; the bytes themselves are at hand and decide, so a collision costs time and never correctness.

/// Bytes that a sample's hash covers.
pub(super) const WINDOW: usize = 32;

/// Most slots of a table: 16 MiB of memory.
const MAX_SLOTS: usize = 1 << 22;

/// Up to here, short copies pay.
pub(super) const SMALL: usize = 64 << 10;

/// Up to here, medium ones do.
const MEDIUM: usize = 1 << 20;

/// Content shorter than this has no samples worth a table.
const MIN_INDEXED: usize = 2 * WINDOW;

/// Sampled positions of one byte string.
#[derive(Debug)]
pub(super) struct SampleIndex {
    /// End of the window of a sample, or 0 for an empty slot.
    ends: Vec<u32>,
    sampling: Sampling,
}

/// Which hashes are samples: those whose top `bits` bits, after mixing, are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Sampling {
    bits: u32,
}

impl Sampling {
    /// Takes one position in 2^63.
    pub(super) const SPARSEST: Sampling = Sampling { bits: 63 };

    /// How densely content of this length is sampled: one position in `every` (a power of two), or fewer so that the
    /// table stays within its bound.
    fn for_len(len: usize, every: usize) -> Sampling {
        let bits = len.div_ceil(MAX_SLOTS).max(every).next_power_of_two().ilog2();
        Sampling { bits }
    }

    /// Slots for the samples of content of this length.
    fn slots(self, len: usize) -> usize {
        if len < MIN_INDEXED {
            1
        } else {
            (len >> self.bits).next_power_of_two().min(MAX_SLOTS)
        }
    }

    /// Whether content with this mixed hash is sampled. What a sparse sampling takes, a denser one takes as well.
    #[inline]
    pub(super) fn takes(self, mixed: u64) -> bool {
        mixed >> (64 - self.bits) == 0
    }
}

/// Large objects are sampled more sparsely: in them, only longer copies pay, and the table should stay in the
/// processor's caches.
fn sampled_every(len: usize) -> usize {
    if len <= SMALL {
        4
    } else if len <= MEDIUM {
        8
    } else {
        16
    }
}

impl SampleIndex {
    /// An index without samples for content that will have this length, of which one position in `every` is to be
    /// sampled.
    pub(super) fn empty(len: usize, every: usize) -> SampleIndex {
        let sampling = Sampling::for_len(len, every);
        SampleIndex {
            ends: vec![0; sampling.slots(len)],
            sampling,
        }
    }

    /// The index of `content`. Of equal windows the first counts.
    pub(super) fn of(content: &[u8]) -> SampleIndex {
        let mut index = SampleIndex::empty(content.len(), sampled_every(content.len()));
        if content.len() >= MIN_INDEXED {
            let mut gear = Gear::default();
            let mut last = None;
            for (position, byte) in content.iter().enumerate() {
                gear.roll(*byte);
                let mixed = gear.mixed();
                // A run of one byte has one hash: its first window stands for it.
                if index.sampling.takes(mixed) && position + 1 >= WINDOW && last != Some(mixed) {
                    index.insert(mixed, position + 1);
                    last = Some(mixed);
                }
            }
        }
        index
    }

    /// Bytes of memory of the index of content of this length.
    pub(super) fn memory_bytes(len: usize) -> u64 {
        let slots = Sampling::for_len(len, sampled_every(len)).slots(len);
        (slots * size_of::<u32>()) as u64
    }

    /// Which hashes it can know.
    pub(super) fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Remembers that a window of this mixed hash ends before `end`, unless its slot is taken.
    #[inline]
    pub(super) fn insert(&mut self, mixed: u64, end: usize) {
        let slot = self.slot(mixed);
        if self.ends[slot] == 0 {
            // Objects have fewer than 2^32 bytes.
            self.ends[slot] = end as u32;
        }
    }

    /// The end of a window that may have this mixed hash.
    #[inline]
    pub(super) fn find(&self, mixed: u64) -> Option<usize> {
        match self.ends[self.slot(mixed)] {
            0 => None,
            end => Some(end as usize),
        }
    }

    #[inline]
    fn slot(&self, mixed: u64) -> usize {
        // The top bits say whether it is a sample, the low bits where it belongs.
        mixed as usize & (self.ends.len() - 1)
    }
}

/// The rolling hash.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Gear(u32);

impl Gear {
    /// Takes in the next byte; the one 32 bytes earlier is shifted out.
    #[inline]
    pub(super) fn roll(&mut self, byte: u8) {
        self.0 = (self.0 << 1).wrapping_add(GEAR[usize::from(byte)]);
    }

    /// The hash, with every bit depending on every byte of the window.
    #[inline]
    pub(super) fn mixed(self) -> u64 {
        let product = u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 29)
    }
}

/// One random word per byte value (SplitMix64; Steele et al., OOPSLA 2014).
const GEAR: [u32; 256] = {
    let mut table = [0; 256];
    let mut state = 0u64;
    let mut i = 0;
    while i < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[i] = (z >> 32) as u32;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn the_hash_forgets_all_but_its_window() {
        let bytes = noise(1000);
        let hash = |bytes: &[u8]| {
            let mut gear = Gear::default();
            bytes.iter().for_each(|byte| gear.roll(*byte));
            gear.mixed()
        };
        assert_eq!(hash(&bytes), hash(&bytes[1000 - WINDOW..]));
        // The oldest bytes have only their last bits in it.
        assert_ne!(hash(&bytes), hash(&bytes[1008 - WINDOW..]));
    }

    #[test]
    fn samples_come_as_often_as_they_should_and_sparser_ones_are_among_them() {
        let bytes = noise(1 << 20);
        let mut gear = Gear::default();
        let (mut dense, mut sparse) = (0u32, 0u32);
        for byte in &bytes {
            gear.roll(*byte);
            let mixed = gear.mixed();
            dense += u32::from(Sampling { bits: 3 }.takes(mixed));
            if (Sampling { bits: 9 }).takes(mixed) {
                sparse += 1;
                assert!(Sampling { bits: 3 }.takes(mixed));
            }
        }
        assert!((120_000..142_000).contains(&dense), "{dense}");
        assert!((1_800..2_300).contains(&sparse), "{sparse}");
    }

    #[test]
    fn tables_stay_within_their_bound() {
        for len in [0, 1, 63, 64, 65, 64 << 10, 1 << 20, 1 << 30, u32::MAX as usize] {
            assert!(SampleIndex::memory_bytes(len) <= 16 << 20, "{len}");
            assert!(SampleIndex::memory_bytes(len) <= 4 + 4 * len as u64, "{len}");
        }
    }
}
