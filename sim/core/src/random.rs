//! One root seed, many named streams.
//!
//! A stream belongs to one entity *name* and one purpose of one replication: `("us-east->eu-west", "loss")`.
//! Its ChaCha key is a BLAKE3 hash of the four parts, so adding a link or another draw moves no other stream,
//! and two variants of a scenario see the same random numbers wherever they have the same entities. The root seed may be
//! another for each [`Source`].
//!
//! The draws are our own few lines over `libm` rather than `rand_distr`: whether that crate calls `libm` or the
//! C library depends on which features *other* crates of the build switch on, and results must not.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use crate::units::Probability;

/// Hash context of stream keys. Changing it changes every result.
const CONTEXT: &str = "longhaul 2026 random stream v1";

/// What draws random numbers. A run has a seed for each, so that the luck of one can vary while that of the others stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// What is asked of the network: arrivals, thinking and service times, what guests write and hold, values and commands of
    /// federations, background load; and the hosts' own choices, such as those of retries and balancers.
    Workload,
    /// The network: loss, jitter, duplication and corruption, hashes of flows, deliveries by chance, probes and tunnels.
    Network,
    /// When and where faults strike, and what those that act by chance hit.
    Faults,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Workload, Source::Network, Source::Faults];
}

/// The root seeds of a run, one for each [`Source`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeds {
    /// Of [`Source::Workload`].
    pub workload: u64,
    /// Of [`Source::Network`].
    pub network: u64,
    /// Of [`Source::Faults`].
    pub faults: u64,
}

impl Seeds {
    /// The same for all.
    pub fn all(seed: u64) -> Seeds {
        Seeds {
            workload: seed,
            network: seed,
            faults: seed,
        }
    }

    /// That of a source.
    pub fn of(&self, source: Source) -> u64 {
        match source {
            Source::Workload => self.workload,
            Source::Network => self.network,
            Source::Faults => self.faults,
        }
    }
}

/// All streams of one run. It hands out those of one source; [`Streams::of`] gives those of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Streams {
    seeds: Seeds,
    source: Source,
    replication: u32,
}

impl Streams {
    /// The streams of this root seed and replication, whatever their source.
    pub fn new(seed: u64, replication: u32) -> Streams {
        Streams {
            seeds: Seeds::all(seed),
            source: Source::Workload,
            replication,
        }
    }

    /// The streams of a source under these root seeds.
    pub fn with(seeds: Seeds, source: Source) -> Streams {
        Streams {
            seeds,
            source,
            replication: 0,
        }
    }

    /// The streams of another source of the same run.
    #[must_use]
    pub fn of(&self, source: Source) -> Streams {
        Streams { source, ..*self }
    }

    /// The stream of `entity` (a unique name in the scenario) for `purpose`. Equal names give equal streams.
    pub fn stream(&self, entity: &str, purpose: &str) -> Stream {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.seeds.of(self.source).to_le_bytes());
        hasher.update(&self.replication.to_le_bytes());
        for part in [entity, purpose] {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Stream {
            rng: ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()),
            spare_normal: None,
        }
    }
}

/// A random stream, owned by one entity for one purpose.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Stream {
    /// 64 random bits.
    #[inline]
    pub fn u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// 32 random bits.
    #[inline]
    pub fn u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// Uniform in `0..n` without bias (Lemire, "Fast random integer generation in an interval", 2019).
    ///
    /// # Panics
    /// If `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a choice among nothing");
        loop {
            let product = u128::from(self.u64()) * u128::from(n);
            let low = product as u64;
            // The exact threshold needs a division; `low >= n` settles almost every draw without it.
            if low >= n || low >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// Whether an event of probability `p` happens: an integer comparison, exact to 1 in 10^12.
    #[inline]
    pub fn chance(&mut self, p: Probability) -> bool {
        self.below(Probability::PARTS) < p.as_parts()
    }

    /// Uniform in the open interval (0, 1), on a grid of 2^-52.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        ((self.u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Exponential with this mean.
    #[inline]
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -libm::log(self.unit()) * mean
    }

    /// Standard normal, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * libm::log(s) / s).sqrt();
                self.spare_normal = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(mut draw: impl FnMut() -> f64, n: u32) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = draw();
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        (mean, squares / f64::from(n) - mean * mean)
    }

    #[test]
    fn a_stream_depends_on_each_of_its_four_names_and_on_nothing_else() {
        let first = |seed, replication, entity: &str, purpose: &str| {
            Streams::new(seed, replication).stream(entity, purpose).u64()
        };
        let base = first(1, 0, "ab", "c");
        assert_eq!(base, first(1, 0, "ab", "c"));
        for other in [
            first(2, 0, "ab", "c"),
            first(1, 1, "ab", "c"),
            first(1, 0, "a", "bc"),
            first(1, 0, "ab", "d"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn sources_have_seeds_of_their_own() {
        let seeds = Seeds {
            network: 2,
            ..Seeds::all(1)
        };
        let streams = Streams::with(seeds, Source::Workload);
        let first = |streams: Streams| streams.stream("ab", "c").u64();
        assert_eq!(first(streams), first(Streams::new(1, 0)));
        assert_eq!(first(streams.of(Source::Faults)), first(Streams::new(1, 0)));
        assert_eq!(first(streams.of(Source::Network)), first(Streams::new(2, 0)));
        // Of one seed for all, the source makes no difference.
        for source in Source::ALL {
            assert_eq!(first(Streams::new(1, 3).of(source)), first(Streams::new(1, 3)));
        }
    }

    #[test]
    fn a_stream_is_the_same_on_every_machine_and_release() {
        // Pinned: a change here changes every result of every scenario.
        assert_eq!(
            Streams::new(42, 0).stream("us-east->eu-west", "loss").u64(),
            0xf4f28ecb45db2bf8
        );
    }

    #[test]
    fn streams_are_uncorrelated() {
        // 64 streams, every pair: the correlation of 4,096 draws has standard deviation 1/64, so the largest of
        // 2,016 pairs stays below 4.5 standard deviations with probability above 0.98 for one seed, and the seed is fixed.
        let streams = Streams::new(7, 0);
        let series: Vec<Vec<f64>> = (0..64)
            .map(|i| {
                let mut stream = streams.stream(&format!("link-{i}"), "loss");
                (0..4096).map(|_| stream.unit() - 0.5).collect()
            })
            .collect();
        for i in 0..64 {
            for j in 0..i {
                let product: f64 = series[i].iter().zip(&series[j]).map(|(x, y)| x * y).sum();
                let correlation = product / 4096.0 * 12.0;
                assert!(
                    correlation.abs() < 4.5 / 64.0,
                    "streams {i} and {j}: {correlation}"
                );
            }
        }
    }

    #[test]
    fn draws_have_the_moments_of_their_laws() {
        let mut stream = Streams::new(3, 0).stream("x", "moments");
        let n = 200_000;
        let (mean, variance) = mean_and_variance(|| stream.unit(), n);
        assert!((mean - 0.5).abs() < 0.003 && (variance - 1.0 / 12.0).abs() < 0.002);
        let (mean, variance) = mean_and_variance(|| stream.exponential(3.0), n);
        assert!((mean - 3.0).abs() < 0.03 && (variance - 9.0).abs() < 0.3);
        let (mean, variance) = mean_and_variance(|| stream.normal(), n);
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02);
        let (mean, _) = mean_and_variance(|| stream.below(10) as f64, n);
        assert!((mean - 4.5).abs() < 0.03);
        let p = Probability::from_ratio(1, 1000).unwrap();
        let (mean, _) = mean_and_variance(|| f64::from(u8::from(stream.chance(p))), n);
        assert!((mean - 0.001).abs() < 0.0003);
    }

    #[test]
    fn certain_and_impossible_chances_are_exact() {
        let mut stream = Streams::new(3, 0).stream("x", "edges");
        assert!((0..1000).all(|_| stream.chance(Probability::ONE) && !stream.chance(Probability::ZERO)));
        assert_eq!(stream.below(1), 0);
    }
}
