//! What real pages come to, in bytes and in processor time, for the synthetic ones that they stand for.

use longhaul_hde::PAGE_SIZE;
use longhaul_memory::Stratum;

/// What copies are alike: those of one stratum, apart by whether the destination had the page before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub stratum: Stratum,
    /// Whether the page was sent before; with XBZRLE, whether the cache has it.
    pub again: bool,
}

impl Kind {
    /// Number of kinds.
    pub const COUNT: usize = 2 * (Stratum::MAX as usize + 1);

    /// A number below [`Kind::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.again) * (Kind::COUNT / 2) + usize::from(self.stratum)
    }

    pub fn from_index(index: usize) -> Kind {
        Kind {
            stratum: (index % (Kind::COUNT / 2)) as Stratum,
            again: index >= Kind::COUNT / 2,
        }
    }
}

/// What some pages come to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Amount {
    /// Pages of zeros.
    pub zero_pages: u64,
    /// Bytes of frame bodies; headers are real on synthetic frames, too.
    pub body_bytes: u64,
    /// Pages that XBZRLE could not shorten.
    pub overflows: u64,
    /// Nanoseconds of one thread.
    pub cost_ns: u64,
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
        self.amount.zero_pages += more.amount.zero_pages;
        self.amount.body_bytes += more.amount.body_bytes;
        self.amount.overflows += more.amount.overflows;
        self.amount.cost_ns = self.amount.cost_ns.saturating_add(more.amount.cost_ns);
    }
}

/// All measurements of one migration so far.
#[derive(Debug)]
pub(crate) struct Measurements {
    kinds: Vec<Measurement>,
    /// Over all strata: first copies, repeated copies.
    totals: [Measurement; 2],
}

impl Measurements {
    pub fn new() -> Measurements {
        Measurements {
            kinds: vec![Measurement::default(); Kind::COUNT],
            totals: [Measurement::default(); 2],
        }
    }

    /// Records a frame of real pages.
    pub fn add(&mut self, kind: Kind, pages: u64, amount: Amount) {
        let measurement = Measurement { pages, amount };
        self.kinds[kind.index()].add(measurement);
        self.totals[usize::from(kind.again)].add(measurement);
    }

    /// Whether real pages of this very kind have been measured.
    pub fn knows(&self, kind: Kind) -> bool {
        self.kinds[kind.index()].pages > 0
    }

    /// Whether all real pages of this kind so far were zero, and there were some.
    pub fn all_zero(&self, kind: Kind) -> bool {
        let known = self.kinds[kind.index()];
        known.pages > 0 && known.amount.zero_pages == known.pages
    }

    /// What `pages` synthetic pages of this kind come to, rounded to the nearest whole, by the first of these that
    /// has been measured: their kind, first copies of their stratum, copies of all strata as often made, all
    /// copies; else by nothing: their own size.
    pub fn estimate(&self, kind: Kind, pages: u64) -> Amount {
        let first_copies = Kind { again: false, ..kind };
        let mut all = self.totals[0];
        all.add(self.totals[1]);
        let candidates = [
            self.kinds[kind.index()],
            self.kinds[first_copies.index()],
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
        Amount {
            zero_pages: part(by.amount.zero_pages),
            body_bytes: part(by.amount.body_bytes),
            overflows: part(by.amount.overflows),
            cost_ns: part(by.amount.cost_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Kind = Kind {
        stratum: 3,
        again: false,
    };
    const AGAIN: Kind = Kind {
        stratum: 3,
        again: true,
    };

    #[test]
    fn kinds_have_distinct_numbers() {
        for index in 0..Kind::COUNT {
            assert_eq!(Kind::from_index(index).index(), index);
        }
    }

    fn amount(zero_pages: u64, body_bytes: u64) -> Amount {
        Amount {
            zero_pages,
            body_bytes,
            overflows: 0,
            cost_ns: 2 * body_bytes,
        }
    }

    #[test]
    fn an_estimate_uses_the_nearest_measurement_there_is() {
        let bytes = |measurements: &Measurements| measurements.estimate(AGAIN, 10).body_bytes;
        let mut measurements = Measurements::new();
        assert_eq!(bytes(&measurements), 40_960);
        measurements.add(Kind { stratum: 9, ..FIRST }, 1, amount(0, 3_000));
        assert_eq!(bytes(&measurements), 30_000);
        measurements.add(Kind { stratum: 9, ..AGAIN }, 2, amount(0, 4_001));
        assert_eq!(bytes(&measurements), 20_005);
        measurements.add(FIRST, 1, amount(0, 1_000));
        assert_eq!(bytes(&measurements), 10_000);
        measurements.add(AGAIN, 3, amount(1, 100));
        assert_eq!(
            measurements.estimate(AGAIN, 10),
            Amount {
                body_bytes: 333,
                zero_pages: 3,
                overflows: 0,
                cost_ns: 667,
            }
        );
        assert!(measurements.knows(AGAIN) && !measurements.all_zero(AGAIN));
    }
}
