//! Who has to give way: reservations of strictly lower priority, the lowest first, of equals the newest first, each
//! from its whole path, and none whose leaving turns out not to be needed.
//!
//! The set is minimal in that none of its members could stay. It need not be the smallest: to find the fewest victims
//! over several links is a covering problem, and the order above is what operators expect.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;
use longhaul_routing::LinkId;

use crate::calendar::Calendar;
use crate::reservation::{Demand, Priority, Reservation, ReservationId, ReserveError, Shortage};

/// A new reservation and those that it displaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preempted {
    /// The new one.
    pub id: ReservationId,
    /// The displaced ones, in the order in which they were chosen. They are off all of their links.
    pub victims: Vec<Reservation>,
}

impl Calendar {
    /// Displaces as many reservations of a priority strictly below `below` as must leave for a rate to be free on all
    /// these links throughout the interval. Reserves nothing.
    ///
    /// # Errors
    /// [`ReserveError`]; a shortage tells what the link could have. Then nobody is displaced.
    pub fn preempt(
        &mut self,
        now: Instant,
        links: &[LinkId],
        rate: BitRate,
        when: &Range<Instant>,
        below: Priority,
    ) -> Result<Vec<Reservation>, ReserveError> {
        let demand = Demand {
            flow: "preemption".to_owned(),
            rate,
            when: when.clone(),
            priority: below,
        };
        self.check(now, &demand, links)?;
        Ok(self.displace(now, links, rate.as_bits_per_s(), when, Some(below))?)
    }

    /// Displaces reservations of any priority, in the same order, until on this link no more is reserved from now on than may
    /// be: what to do when a link has lost capacity for good.
    pub fn shed(&mut self, now: Instant, link: LinkId) -> Vec<Reservation> {
        self.displace(now, &[link], 0, &(now..Instant::MAX), None)
            .expect("without reservations nothing exceeds what may be reserved")
    }

    /// Makes room and says who had to go. Without `below` everybody may have to.
    pub(crate) fn displace(
        &mut self,
        now: Instant,
        links: &[LinkId],
        rate: u64,
        when: &Range<Instant>,
        below: Option<Priority>,
    ) -> Result<Vec<Reservation>, Shortage> {
        let mut tight: Vec<LinkId> = links.to_vec();
        tight.retain(|link| !self.has_room(*link, rate, when));
        if tight.is_empty() {
            return Ok(Vec::new());
        }
        let reach = |link: &LinkId| {
            let of_link = &self.links[link.index()];
            let could_have = below.map_or(of_link.limit(), |priority| of_link.available_to(priority, when));
            (could_have, *link)
        };
        self.enough(links.iter().map(reach), rate)?;
        let mut candidates = BTreeSet::new();
        for link in &tight {
            self.links[link.index()].for_each(when, |_, id, booking| {
                if below.is_none_or(|below| booking.priority < below) {
                    candidates.insert((booking.priority, Reverse(id)));
                }
            });
        }
        let mut victims: Vec<Reservation> = Vec::new();
        for (_, Reverse(id)) in candidates {
            if tight.is_empty() {
                break;
            }
            let candidate = &self.reservations[&id];
            let of = &candidate.demand.when;
            let common = of.start.max(when.start)..of.end.min(when.end);
            // One that is elsewhere, or there at another time than the excess, would leave for nothing.
            let helps =
                |link: &&LinkId| candidate.links.contains(link) && !self.has_room(**link, rate, &common);
            if tight.iter().find(helps).is_some() {
                victims.push(self.take(id));
                tight.retain(|link| !self.has_room(*link, rate, when));
            }
        }
        assert!(tight.is_empty(), "all candidates together make room");
        // Who was chosen early may be spared by one who was chosen later and holds more. The last chosen have the
        // highest priority, so they are the first to be asked whether they can stay.
        let mut leave = Vec::new();
        for victim in victims.into_iter().rev() {
            let (id, crossed) = (victim.id, victim.links.clone());
            self.put(victim);
            let stays = |link: &LinkId| !crossed.contains(link) || self.has_room(*link, rate, when);
            if !links.iter().all(stays) {
                leave.push(self.take(id));
                self.remember_preempted(id, now);
            }
        }
        leave.reverse();
        Ok(leave)
    }

    /// Whether a rate can be added on a link throughout the interval.
    fn has_room(&self, link: LinkId, rate: u64, when: &Range<Instant>) -> bool {
        let link = &self.links[link.index()];
        u128::from(link.peak(when)) + u128::from(rate) <= u128::from(link.limit())
    }
}
