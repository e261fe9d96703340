//! Random bytes that can be computed anywhere: a function of a key and two numbers.
//!
//! Page contents need random access at memory speed, which a stream cipher does not give. This is SplitMix64
//! (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), started for every page
//! at a point that its mixing function picks. It passes the usual batteries and no compressor finds anything in
//! it; that is all that memory content needs. The keys come from the guest's ChaCha streams.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A generator for one purpose.
pub(crate) struct Noise {
    state: u64,
}

impl Noise {
    /// The generator of this key for the pair (`a`, `b`).
    pub(crate) fn new(key: u64, a: u64, b: u64) -> Noise {
        let state = mix(key.wrapping_add(a.wrapping_mul(GAMMA)));
        Noise {
            state: mix(state ^ b.wrapping_mul(GAMMA).rotate_left(32)),
        }
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `n`; the bias of at most `n / 2^64` does not matter for positions in a page.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(n)) >> 64) as u64
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = self.u64().to_le_bytes();
        }
        if !rest.is_empty() {
            let last = self.u64().to_le_bytes();
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_the_published_generator() {
        // First outputs of SplitMix64 from state 1234567, from the reference implementation.
        let mut noise = Noise { state: 1_234_567 };
        assert_eq!(noise.u64(), 6_457_827_717_110_365_317);
        assert_eq!(noise.u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn each_of_key_and_pair_matters() {
        let first = |key, a, b| Noise::new(key, a, b).u64();
        let base = first(1, 2, 3);
        assert_eq!(base, first(1, 2, 3));
        for other in [first(2, 2, 3), first(1, 3, 3), first(1, 2, 4), first(1, 3, 2)] {
            assert_ne!(base, other);
        }
    }
}
