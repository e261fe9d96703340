//! What is in use and what will be.

use std::ops::Range;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_routing::LinkId;
use serde::Serialize;

use crate::calendar::Calendar;

/// How a link is used in an interval. Shares are of its capacity, above 1 where it is overloaded and 0 where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Usage {
    /// What it can carry.
    pub capacity: BitRate,
    /// What it carries now apart from what is reserved.
    pub background: BitRate,
    /// The most that is reserved at an instant of the interval.
    pub reserved: BitRate,
    /// The most that may be reserved: capacity less headroom less background.
    pub limit: BitRate,
}

impl Usage {
    /// The share of the capacity that is in use now, apart from what is reserved.
    pub fn current(&self) -> f64 {
        self.share(self.background.as_bits_per_s())
    }

    /// The share of the capacity that is reserved at the peak.
    pub fn reserved_share(&self) -> f64 {
        self.share(self.reserved.as_bits_per_s())
    }

    /// The share of the capacity that will be in use at the peak if reservations are used in full and the rest stays
    /// as it is now.
    pub fn projected(&self) -> f64 {
        let both = self
            .background
            .as_bits_per_s()
            .saturating_add(self.reserved.as_bits_per_s());
        self.share(both)
    }

    fn share(&self, rate: u64) -> f64 {
        match self.capacity.as_bits_per_s() {
            0 => 0.0,
            capacity => rate as f64 / capacity as f64,
        }
    }
}

/// All links together at an instant. A reservation counts once for each link of its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Totals {
    /// What all links can carry.
    pub capacity: BitRate,
    /// What they carry apart from what is reserved.
    pub background: BitRate,
    /// What is reserved.
    pub reserved: BitRate,
    /// Capacity less what is reserved; headroom and background included.
    pub available: BitRate,
    /// What may still be reserved: without headroom and background.
    pub reservable: BitRate,
    /// Reservations in force.
    pub active: usize,
    /// Reservations to come.
    pub scheduled: usize,
}

impl Calendar {
    /// How a link is used in an interval.
    pub fn usage(&self, link: LinkId, when: &Range<Instant>) -> Usage {
        let of_link = &self.links[link.index()];
        let rate = BitRate::from_bits_per_s;
        Usage {
            capacity: rate(of_link.capacity),
            background: rate(of_link.background),
            reserved: rate(of_link.peak(when)),
            limit: rate(of_link.limit()),
        }
    }

    /// All links together at an instant. Takes time in proportion to the number of links and reservations.
    pub fn totals(&self, now: Instant) -> Totals {
        let at = now..now.saturating_add(Span::from_ns(1));
        let mut totals = Totals::default();
        let add = |sum: &mut BitRate, more: u64| {
            *sum = BitRate::from_bits_per_s(sum.as_bits_per_s().saturating_add(more));
        };
        for link in &self.links {
            let reserved = link.peak(&at);
            add(&mut totals.capacity, link.capacity);
            add(&mut totals.background, link.background);
            add(&mut totals.reserved, reserved);
            add(&mut totals.available, link.capacity.saturating_sub(reserved));
            add(&mut totals.reservable, link.limit().saturating_sub(reserved));
        }
        for reservation in self.reservations() {
            let when = &reservation.demand.when;
            totals.active += usize::from(when.contains(&now));
            totals.scheduled += usize::from(when.start > now);
        }
        totals
    }

    /// How many reservations there are on a link, whenever they are in force.
    pub fn count(&self, link: LinkId) -> usize {
        self.links[link.index()].len()
    }
}
