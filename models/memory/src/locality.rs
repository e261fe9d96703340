//! Where a guest's accesses fall: which page of the working set each of them touches.
//!
//! The **working set** is the first part of a keyed pseudo-random permutation of all pages. Every part of the
//! memory is represented in proportion, and no regular sample of the pages (every hundredth, say) can fall in
//! step with it. Reads and writes of one guest share the permutation: the smaller set lies in the larger, and what
//! is hot for the one is hot for the other.

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

/// How accesses are spread over a working set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Locality {
    /// Every page alike.
    Uniform,
    /// A hot part takes more than its share: "90 % of the accesses to 10 % of the pages".
    HotCold {
        /// Share of the working set that is hot. At least one page is.
        hot: Probability,
        /// Share of the accesses that go there.
        accesses: Probability,
    },
    /// The page of rank *k* is touched in proportion to *k*^−s (Zipf's law).
    Zipf {
        /// The exponent s in millionths, above 0 and at most [`MAX_EXPONENT_MILLIONTHS`].
        exponent_millionths: u32,
    },
    /// One page after the other, again from the first after the last: a loop over an array.
    Sequential,
}

/// Largest exponent of Zipf's law: 10, which all but fixes the page.
pub const MAX_EXPONENT_MILLIONTHS: u32 = 10_000_000;

/// Draws places of a set of a fixed size: numbers from 0 to its size - 1, the hottest first.
#[derive(Clone, Debug)]
pub(crate) enum Chooser {
    Uniform {
        size: u64,
    },
    HotCold {
        size: u64,
        hot: u64,
        accesses: Probability,
    },
    Zipf(Zipf),
    Sequential {
        size: u64,
        next: u64,
    },
}

impl Chooser {
    /// For a set of `size` places, at least one. The `turn`-th of `turns` who go through the set one after the other
    /// begins in its own part.
    pub(crate) fn new(locality: Locality, size: u64, turn: u32, turns: u32) -> Chooser {
        match locality {
            Locality::Uniform => Chooser::Uniform { size },
            Locality::HotCold { hot, accesses } => {
                let exact = u128::from(size) * u128::from(hot.as_parts()) / u128::from(Probability::PARTS);
                let hot = (exact as u64).max(1);
                // If all is hot, so are all accesses.
                let accesses = if hot == size { Probability::ONE } else { accesses };
                Chooser::HotCold { size, hot, accesses }
            }
            Locality::Zipf { exponent_millionths } => {
                Chooser::Zipf(Zipf::new(size, f64::from(exponent_millionths) / 1e6))
            }
            Locality::Sequential => Chooser::Sequential {
                size,
                next: (u128::from(size) * u128::from(turn) / u128::from(turns)) as u64,
            },
        }
    }

    /// The next place.
    #[inline]
    pub(crate) fn draw(&mut self, stream: &mut Stream) -> u64 {
        match self {
            Chooser::Uniform { size } => stream.below(*size),
            Chooser::HotCold { size, hot, accesses } => {
                if stream.chance(*accesses) {
                    stream.below(*hot)
                } else {
                    *hot + stream.below(*size - *hot)
                }
            }
            Chooser::Zipf(zipf) => zipf.draw(stream),
            Chooser::Sequential { size, next } => {
                let place = *next;
                *next = (place + 1) % *size;
                place
            }
        }
    }
}

/// Zipf's law by rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
/// discrete distributions", ACM TOMACS 6(3), 1996): constant time for any size, without a table.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    size: u64,
    exponent: f64,
    /// The integral of x^−s at 1.5, less the first term; and at size + 0.5.
    low: f64,
    high: f64,
    /// How far below its upper end an inversion is accepted without looking.
    sure: f64,
}

impl Zipf {
    fn new(size: u64, exponent: f64) -> Zipf {
        let mut zipf = Zipf {
            size,
            exponent,
            low: 0.0,
            high: 0.0,
            sure: 0.0,
        };
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(size as f64 + 0.5);
        zipf.sure = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.term(2.0));
        zipf
    }

    fn draw(&self, stream: &mut Stream) -> u64 {
        loop {
            let u = self.high + stream.unit() * (self.low - self.high);
            let x = self.inverse(u);
            let rank = libm::floor(x + 0.5).clamp(1.0, self.size as f64);
            if rank - x <= self.sure || u >= self.integral(rank + 0.5) - self.term(rank) {
                return (rank as u64).clamp(1, self.size) - 1;
            }
        }
    }

    /// x^−s.
    fn term(&self, x: f64) -> f64 {
        libm::exp(-self.exponent * libm::log(x))
    }

    /// (x^(1−s) − 1) / (1 − s), which is ln x for s = 1.
    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let t = (1.0 - self.exponent) * log;
        // The quotient tends to 1 where it is 0 / 0.
        if t.abs() > 1e-8 {
            libm::expm1(t) / t * log
        } else {
            (1.0 + t / 2.0) * log
        }
    }

    /// The x of which `y` is the integral.
    fn inverse(&self, y: f64) -> f64 {
        // Rounding may lead just below -1, where there is no logarithm.
        let t = (y * (1.0 - self.exponent)).max(-1.0);
        let log = if t.abs() > 1e-8 {
            libm::log1p(t) / t * y
        } else {
            (1.0 - t / 2.0) * y
        };
        libm::exp(log)
    }
}

/// The first `size` elements of a keyed permutation of all pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkingSet {
    pages: u64,
    size: u64,
    mask: u64,
    shift: u32,
    keys: [(u64, u64); 3],
}

impl WorkingSet {
    /// A share of all pages: unless it is zero, at least one.
    pub(crate) fn new(pages: u64, share: Probability, stream: &mut Stream) -> WorkingSet {
        let mask = pages.next_power_of_two() - 1;
        WorkingSet {
            pages,
            size: size_of(pages, share),
            mask,
            shift: (mask.count_ones() / 2).max(1),
            keys: std::array::from_fn(|_| (stream.u64() | 1, stream.u64())),
        }
    }

    /// Another share in the same order.
    pub(crate) fn resized(&self, share: Probability) -> WorkingSet {
        WorkingSet {
            size: size_of(self.pages, share),
            ..*self
        }
    }

    /// Its pages.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Element `i` of the permutation.
    ///
    /// Multiplying by an odd number, adding and folding the upper half into the lower are all reversible modulo a
    /// power of two; what lands beyond the pages goes round again until it does not (cycle walking), which
    /// takes less than two rounds on average.
    pub(crate) fn page(&self, mut i: u64) -> u64 {
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

fn size_of(pages: u64, share: Probability) -> u64 {
    let exact = u128::from(pages) * u128::from(share.as_parts()) / u128::from(Probability::PARTS);
    (exact as u64).max(u64::from(share != Probability::ZERO))
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;
    use crate::bitmap::DirtyBitmap;

    fn stream() -> Stream {
        Streams::new(5, 0).stream("vm", "locality")
    }

    fn counts(locality: Locality, size: u64, draws: u64) -> Vec<u64> {
        let (mut chooser, mut stream) = (Chooser::new(locality, size, 0, 1), stream());
        let mut counts = vec![0; size as usize];
        (0..draws).for_each(|_| counts[chooser.draw(&mut stream) as usize] += 1);
        counts
    }

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
        let set = WorkingSet::new(1000, third, &mut stream);
        assert_eq!(set.size, 333);
        assert_eq!(
            set.resized(Probability::ONE).page(332),
            set.page(332),
            "one order for all"
        );
        assert_eq!(WorkingSet::new(2, third, &mut stream).size, 1);
        assert_eq!(WorkingSet::new(2, Probability::ZERO, &mut stream).size, 0);
    }

    #[test]
    fn zipf_draws_every_rank_in_proportion() {
        for exponent_millionths in [300_000, 1_000_000, 1_500_000] {
            let (size, draws) = (50, 200_000);
            let exponent = f64::from(exponent_millionths) / 1e6;
            let weight = |rank: usize| libm::pow(rank as f64, -exponent);
            let all: f64 = (1..=size as usize).map(weight).sum();
            let counts = counts(Locality::Zipf { exponent_millionths }, size, draws);
            // Pearson's statistic has mean 49 and deviation √98; three of them lie above 79.
            let statistic: f64 = counts
                .iter()
                .enumerate()
                .map(|(place, count)| {
                    let expected = draws as f64 * weight(place + 1) / all;
                    (*count as f64 - expected) * (*count as f64 - expected) / expected
                })
                .sum();
            assert!(statistic < 79.0, "s = {exponent}: {statistic}");
        }
    }

    #[test]
    fn zipf_works_at_the_ends_of_its_range() {
        for (size, exponent_millionths) in
            [(1, 1), (1, 1_000_000), (2, MAX_EXPONENT_MILLIONTHS), (1 << 28, 1)]
        {
            let mut chooser = Chooser::new(Locality::Zipf { exponent_millionths }, size, 0, 1);
            let mut stream = stream();
            assert!((0..1_000).all(|_| chooser.draw(&mut stream) < size));
        }
    }

    #[test]
    fn the_hot_part_gets_its_share_and_every_page_some() {
        let percent = |percent| Probability::from_ratio(percent, 100).unwrap();
        let (hot, accesses) = (percent(10), percent(90));
        let counted = counts(Locality::HotCold { hot, accesses }, 100, 100_000);
        let hot_accesses: u64 = counted[..10].iter().sum();
        assert!(hot_accesses.abs_diff(90_000) < 300, "{hot_accesses}");
        assert!(counted[10..].iter().all(|count| (50..200).contains(count)));
        let everything_hot = Locality::HotCold {
            hot: Probability::ONE,
            accesses: percent(10),
        };
        assert!(counts(everything_hot, 4, 1_000).iter().all(|count| *count > 150));
        let nothing_hot = Locality::HotCold {
            hot: Probability::ZERO,
            accesses: percent(50),
        };
        assert!(counts(nothing_hot, 4, 1_000)[0] > 400, "one page is hot at least");
    }

    #[test]
    fn loops_take_turns() {
        assert_eq!(counts(Locality::Sequential, 7, 21), [3; 7]);
        let first = |turn| Chooser::new(Locality::Sequential, 10, turn, 3).draw(&mut stream());
        assert_eq!([0, 1, 2].map(first), [0, 3, 6]);
    }
}
