//! What real pages come to, in bytes and in work of the encoder, for the synthetic ones that they stand for.

use std::collections::BTreeMap;

use longhaul_hde::{EncodeWork, PAGE_SIZE};

use crate::{Class, PAGES_PER_FRAME, ZERO_PAGES_PER_FRAME};

/// What copies are alike: those of one class, apart by whether the receiver had the page before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Kind {
    /// Whether the page was sent before, or whatever else makes a codec shorten a copy by another one.
    pub again: bool,
    /// Its class.
    pub class: Class,
}

/// What some pages come to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Amount {
    /// Bytes of the bodies of their frames; headers are real on synthetic frames, too.
    pub body_bytes: u64,
    /// How many of them are zero.
    pub zero_pages: u64,
    /// How many of them a codec that compares pages could not shorten.
    pub overflows: u64,
    /// What the encoder did for them.
    pub work: EncodeWork,
}

/// What was measured on some real pages.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Measurement {
    pages: u64,
    amount: Amount,
}

impl Measurement {
    fn add(&mut self, more: Measurement) {
        self.pages += more.pages;
        self.amount.body_bytes += more.amount.body_bytes;
        self.amount.zero_pages += more.amount.zero_pages;
        self.amount.overflows += more.amount.overflows;
        self.amount.work += more.amount.work;
    }
}

/// All measurements for one receiver so far.
#[derive(Debug, Default)]
pub struct Measurements {
    kinds: BTreeMap<Kind, Measurement>,
    /// Over all classes: first copies, repeated copies.
    totals: [Measurement; 2],
}

impl Measurements {
    /// Records a frame of real pages.
    pub fn add(&mut self, kind: Kind, pages: u64, amount: Amount) {
        let measurement = Measurement { pages, amount };
        self.kinds.entry(kind).or_default().add(measurement);
        self.totals[usize::from(kind.again)].add(measurement);
    }

    /// Whether real pages of this very kind have been measured.
    pub fn knows(&self, kind: Kind) -> bool {
        self.of(kind).pages > 0
    }

    /// Whether all real pages of this kind so far were zero, and there were some.
    fn all_zero(&self, kind: Kind) -> bool {
        let known = self.of(kind);
        known.pages > 0 && known.amount.zero_pages == known.pages
    }

    /// How many pages of a kind make a frame.
    pub fn pages_per_frame(&self, kind: Kind) -> usize {
        if self.all_zero(kind) {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        }
    }

    /// What a frame of `pages` synthetic pages of this kind comes to, rounded to the nearest whole, by the first of these that
    /// has been measured: their kind, first copies of their class, copies of all classes as often made, all
    /// copies; else by nothing: their own size.
    pub fn estimate(&self, kind: Kind, pages: u64) -> Amount {
        let first_copies = Kind { again: false, ..kind };
        let mut all = self.totals[0];
        all.add(self.totals[1]);
        let candidates = [
            self.of(kind),
            self.of(first_copies),
            self.totals[usize::from(kind.again)],
            all,
        ];
        let nothing = Measurement {
            pages: 1,
            amount: Amount {
                body_bytes: PAGE_SIZE as u64,
                ..Amount::default()
            },
        };
        let by = candidates
            .into_iter()
            .find(|measured| measured.pages > 0)
            .unwrap_or(nothing);
        let part = |amount: u64| {
            let exact = u128::from(amount) * u128::from(pages) + u128::from(by.pages / 2);
            u64::try_from(exact / u128::from(by.pages)).unwrap_or(u64::MAX)
        };
        let Amount {
            body_bytes,
            zero_pages,
            overflows,
            work,
        } = by.amount;
        Amount {
            body_bytes: part(body_bytes),
            zero_pages: part(zero_pages),
            overflows: part(overflows),
            work: EncodeWork {
                frames: 1,
                scanned: part(work.scanned),
                hashed: part(work.hashed),
                compared: part(work.compared),
                searched: part(work.searched),
                entropy: part(work.entropy),
            },
        }
    }

    fn of(&self, kind: Kind) -> Measurement {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Kind = Kind {
        again: false,
        class: 3,
    };
    const AGAIN: Kind = Kind {
        again: true,
        class: 3,
    };

    fn amount(zero_pages: u64, body_bytes: u64) -> Amount {
        Amount {
            body_bytes,
            zero_pages,
            overflows: body_bytes / 50,
            work: EncodeWork {
                entropy: 2 * body_bytes,
                ..EncodeWork::default()
            },
        }
    }

    #[test]
    fn an_estimate_uses_the_nearest_measurement_there_is() {
        let bytes = |measurements: &Measurements| measurements.estimate(AGAIN, 10).body_bytes;
        let mut measurements = Measurements::default();
        assert_eq!(bytes(&measurements), 40_960);
        measurements.add(Kind { class: 9, ..FIRST }, 1, amount(0, 3_000));
        assert_eq!(bytes(&measurements), 30_000);
        measurements.add(Kind { class: 9, ..AGAIN }, 2, amount(0, 4_001));
        assert_eq!(bytes(&measurements), 20_005);
        measurements.add(FIRST, 1, amount(0, 1_000));
        assert_eq!(bytes(&measurements), 10_000);
        measurements.add(AGAIN, 3, amount(1, 100));
        let estimate = measurements.estimate(AGAIN, 10);
        assert_eq!((estimate.body_bytes, estimate.zero_pages), (333, 3));
        assert_eq!((estimate.work.frames, estimate.work.entropy), (1, 667));
        assert_eq!(estimate.overflows, 7);
        assert!(measurements.knows(AGAIN));
    }

    #[test]
    fn a_frame_is_large_as_long_as_all_pages_of_its_kind_were_zero() {
        let mut measurements = Measurements::default();
        assert_eq!(measurements.pages_per_frame(FIRST), PAGES_PER_FRAME);
        measurements.add(FIRST, 5, amount(5, 10));
        assert_eq!(measurements.pages_per_frame(FIRST), ZERO_PAGES_PER_FRAME);
        assert_eq!(measurements.pages_per_frame(AGAIN), PAGES_PER_FRAME);
        measurements.add(FIRST, 5, amount(4, 10));
        assert_eq!(measurements.pages_per_frame(FIRST), PAGES_PER_FRAME);
    }
}
