//! The calendar of a network: reservations over paths, atomic over their links.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use longhaul_core::time::Instant;
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{LinkId, RegionId, Topology};

use crate::link::{Booking, LinkCalendar};
use crate::preemption::Preempted;
use crate::reservation::{
    Demand, ExtendError, Gone, Priority, Reservation, ReservationId, ReserveError, Shortage,
};

/// How many reservations that expired or were preempted are remembered as such. Of more, those with the lowest
/// numbers are forgotten.
pub const MAX_REMEMBERED: usize = 1 << 16;

/// How a reservation ended that was not released.
#[derive(Clone, Copy, Debug)]
enum End {
    Expired(Instant),
    Preempted(Instant),
}

/// Where a link leads, and how errors name it.
#[derive(Clone, Debug)]
struct Ends {
    from: RegionId,
    to: RegionId,
    name: String,
}

/// What is reserved on the links of a network, and when.
///
/// Operations take O(log n) for each link of the path, where n is the number of reservations on it; preemption and
/// [`Calendar::totals`] take longer.
#[derive(Clone, Debug)]
pub struct Calendar {
    pub(crate) links: Vec<LinkCalendar>,
    ends: Vec<Ends>,
    headroom: Probability,
    pub(crate) reservations: BTreeMap<ReservationId, Reservation>,
    starts: BTreeSet<(Instant, ReservationId)>,
    expiries: BTreeSet<(Instant, ReservationId)>,
    ended: BTreeMap<ReservationId, End>,
    next: u64,
}

impl Calendar {
    /// Nothing reserved on the links of this topology, whose capacity and utilisation become capacity and background
    /// load. `headroom` is the share of each link's capacity that is never reserved.
    pub fn new(topology: &Topology, headroom: Probability) -> Calendar {
        let ends = topology.links().map(|id| {
            let link = topology.link(id);
            let mut name = format!("{}->{}", topology.name(link.from), topology.name(link.to));
            if !link.name.is_empty() {
                name = format!("{name} \"{}\"", link.name);
            }
            Ends {
                from: link.from,
                to: link.to,
                name,
            }
        });
        let mut calendar = Calendar {
            links: vec![LinkCalendar::new(); topology.link_count()],
            ends: ends.collect(),
            headroom,
            reservations: BTreeMap::new(),
            starts: BTreeSet::new(),
            expiries: BTreeSet::new(),
            ended: BTreeMap::new(),
            next: 0,
        };
        for link in topology.links() {
            let state = topology.state(link);
            let used = state.capacity.as_bits_per_s() - state.residual().as_bits_per_s();
            calendar.set_link(link, state.capacity, BitRate::from_bits_per_s(used));
        }
        calendar
    }

    /// The share of each link's capacity that is never reserved.
    pub fn headroom(&self) -> Probability {
        self.headroom
    }

    /// Sets what a link can carry, and what it carries apart from what is reserved. If more is reserved than that leaves, it
    /// stays so until [`Calendar::shed`].
    ///
    /// # Panics
    /// If the link is not of the topology, as with every method that takes a link alone.
    pub fn set_link(&mut self, link: LinkId, capacity: BitRate, background: BitRate) {
        let parts = u128::from(Probability::PARTS - self.headroom.as_parts());
        let offered = u128::from(capacity.as_bits_per_s()) * parts / u128::from(Probability::PARTS);
        let offered = u64::try_from(offered).expect("a part of a rate");
        let of_link = &mut self.links[link.index()];
        of_link.capacity = capacity.as_bits_per_s();
        of_link.background = background.as_bits_per_s();
        of_link.set_limit(offered.saturating_sub(background.as_bits_per_s()));
    }

    /// What can still be reserved on a link throughout the interval; in an empty interval, what may be reserved at all.
    pub fn available(&self, link: LinkId, when: &Range<Instant>) -> BitRate {
        BitRate::from_bits_per_s(self.links[link.index()].available(when))
    }

    /// What a reservation of this priority can have on a link throughout the interval if it displaces those of
    /// strictly lower priority: the "unreserved bandwidth" at a priority of RFC 3630, section 2.5.8, ahead of time.
    pub fn available_to(&self, link: LinkId, priority: Priority, when: &Range<Instant>) -> BitRate {
        BitRate::from_bits_per_s(self.links[link.index()].available_to(priority, when))
    }

    /// How many reservations are in force, to come, or expired and not yet taken out by [`Calendar::expire`].
    pub fn len(&self) -> usize {
        self.reservations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.reservations.is_empty()
    }

    /// The reservations in force, to come, or not yet taken out, the oldest first.
    pub fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.reservations.values()
    }

    /// The reservations that overlap an interval on a link, by start, then by number.
    pub fn on_link(&self, link: LinkId, when: &Range<Instant>) -> Vec<&Reservation> {
        let mut found = Vec::new();
        self.links[link.index()].for_each(when, |_, id, _| found.push(&self.reservations[&id]));
        found
    }

    /// Reserves a rate on all links of a path, or on none.
    ///
    /// # Errors
    /// [`ReserveError`]; of several shortages the greatest is told.
    pub fn reserve(
        &mut self,
        now: Instant,
        demand: Demand,
        links: &[LinkId],
    ) -> Result<ReservationId, ReserveError> {
        self.check(now, &demand, links)?;
        self.fits(links, demand.rate.as_bits_per_s(), &demand.when)?;
        Ok(self.insert(demand, links.to_vec()))
    }

    /// Reserves as [`Calendar::reserve`] does and, where that is not enough, displaces reservations of strictly lower
    /// priority: see [`Calendar::preempt`].
    ///
    /// # Errors
    /// [`ReserveError`]; a shortage tells what the link could have. Then nobody is displaced.
    pub fn reserve_preempting(
        &mut self,
        now: Instant,
        demand: Demand,
        links: &[LinkId],
    ) -> Result<Preempted, ReserveError> {
        self.check(now, &demand, links)?;
        let rate = demand.rate.as_bits_per_s();
        let victims = self.displace(now, links, rate, &demand.when, Some(demand.priority))?;
        let id = self.insert(demand, links.to_vec());
        Ok(Preempted { id, victims })
    }

    /// Gives a reservation back before its end, or before its start.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn release(&mut self, now: Instant, id: ReservationId) -> Result<Reservation, Gone> {
        self.get(now, id)?;
        Ok(self.take(id))
    }

    /// Lets a reservation last until `until`, with the same rate on all of its links.
    ///
    /// # Errors
    /// [`ExtendError`]
    pub fn extend(&mut self, now: Instant, id: ReservationId, until: Instant) -> Result<(), ExtendError> {
        let demand = &self.get(now, id)?.demand;
        let (end, rate) = (demand.when.end, demand.rate.as_bits_per_s());
        if until <= end {
            return Err(ExtendError::NotLater { id, end });
        }
        self.fits(&self.reservations[&id].links, rate, &(end..until))?;
        let mut reservation = self.take(id);
        reservation.demand.when.end = until;
        self.put(reservation);
        Ok(())
    }

    /// A reservation that is in force or to come.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn get(&self, now: Instant, id: ReservationId) -> Result<&Reservation, Gone> {
        if let Some(reservation) = self.reservations.get(&id) {
            let at = reservation.demand.when.end;
            return if at > now {
                Ok(reservation)
            } else {
                Err(Gone::Expired { id, at })
            };
        }
        Err(match self.ended.get(&id) {
            Some(&End::Expired(at)) => Gone::Expired { id, at },
            Some(&End::Preempted(at)) => Gone::Preempted { id, at },
            None => Gone::NotFound(id),
        })
    }

    /// The next instant after `now` at which a reservation comes into force.
    pub fn next_start(&self, now: Instant) -> Option<Instant> {
        let later = (now, ReservationId(u64::MAX))..;
        self.starts.range(later).next().map(|(start, _)| *start)
    }

    /// The first end of those that [`Calendar::expire`] has not taken out; a driver calls it then.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(end, _)| *end)
    }

    /// Takes out what has ended by now: by end, then by number. Calling this late changes no answer but this.
    pub fn expire(&mut self, now: Instant) -> Vec<Reservation> {
        let mut expired = Vec::new();
        while let Some(&(end, id)) = self.expiries.first().filter(|(end, _)| *end <= now) {
            expired.push(self.take(id));
            self.remember(id, End::Expired(end));
        }
        expired
    }

    /// How errors name a link.
    pub(crate) fn name(&self, link: LinkId) -> &str {
        &self.ends[link.index()].name
    }

    /// Checks all of a demand but whether its rate is free.
    pub(crate) fn check(&self, now: Instant, demand: &Demand, links: &[LinkId]) -> Result<(), ReserveError> {
        let flow = || demand.flow.clone();
        if demand.rate.as_bits_per_s() == 0 {
            return Err(ReserveError::NoRate(flow()));
        }
        if demand.when.is_empty() {
            let when = demand.when.clone();
            return Err(ReserveError::NoTime { flow: flow(), when });
        }
        if demand.when.start < now {
            return Err(ReserveError::Past {
                flow: flow(),
                start: demand.when.start,
                now,
            });
        }
        self.check_path(&demand.flow, links)
    }

    fn check_path(&self, flow: &str, links: &[LinkId]) -> Result<(), ReserveError> {
        let flow = || flow.to_owned();
        if links.is_empty() {
            return Err(ReserveError::NoLinks(flow()));
        }
        let mut seen = BTreeSet::new();
        let mut before: Option<RegionId> = None;
        for &link in links {
            let Some(ends) = self.ends.get(link.index()) else {
                return Err(ReserveError::UnknownLink {
                    flow: flow(),
                    link,
                    links: self.ends.len(),
                });
            };
            let name = || ends.name.clone();
            if before.is_some_and(|before| before != ends.from) {
                return Err(ReserveError::Gap {
                    flow: flow(),
                    name: name(),
                });
            }
            if !seen.insert(link) {
                return Err(ReserveError::Twice {
                    flow: flow(),
                    name: name(),
                });
            }
            before = Some(ends.to);
        }
        Ok(())
    }

    /// Whether all links have a rate free throughout the interval.
    fn fits(&self, links: &[LinkId], rate: u64, when: &Range<Instant>) -> Result<(), Shortage> {
        let available = links
            .iter()
            .map(|&link| (self.links[link.index()].available(when), link));
        self.enough(available, rate)
    }

    /// Fails with the link that has least, if that is less than the rate.
    pub(crate) fn enough(
        &self,
        available: impl Iterator<Item = (u64, LinkId)>,
        rate: u64,
    ) -> Result<(), Shortage> {
        match available.min_by_key(|(available, _)| *available) {
            Some((available, link)) if available < rate => Err(Shortage {
                link,
                name: self.name(link).to_owned(),
                available: BitRate::from_bits_per_s(available),
                asked: BitRate::from_bits_per_s(rate),
            }),
            _ => Ok(()),
        }
    }

    /// Books a demand that was checked, under a new number.
    pub(crate) fn insert(&mut self, demand: Demand, links: Vec<LinkId>) -> ReservationId {
        let id = ReservationId(self.next);
        self.next += 1;
        self.put(Reservation { id, demand, links });
        id
    }

    /// Books a reservation on all of its links.
    pub(crate) fn put(&mut self, reservation: Reservation) {
        let (id, when) = (reservation.id, reservation.demand.when.clone());
        for link in &reservation.links {
            self.links[link.index()].insert(id, when.start, booking(&reservation));
        }
        self.starts.insert((when.start, id));
        self.expiries.insert((when.end, id));
        self.reservations.insert(id, reservation);
    }

    /// Takes a reservation off all of its links.
    pub(crate) fn take(&mut self, id: ReservationId) -> Reservation {
        let reservation = self.reservations.remove(&id).expect("a known reservation");
        let when = &reservation.demand.when;
        for link in &reservation.links {
            self.links[link.index()].remove(id, when.start, booking(&reservation));
        }
        self.starts.remove(&(when.start, id));
        self.expiries.remove(&(when.end, id));
        reservation
    }

    /// Remembers that a reservation which was taken was preempted.
    pub(crate) fn remember_preempted(&mut self, id: ReservationId, now: Instant) {
        self.remember(id, End::Preempted(now));
    }

    fn remember(&mut self, id: ReservationId, end: End) {
        self.ended.insert(id, end);
        if self.ended.len() > MAX_REMEMBERED {
            self.ended.pop_first();
        }
    }
}

fn booking(reservation: &Reservation) -> Booking {
    Booking {
        end: reservation.demand.when.end,
        rate: reservation.demand.rate.as_bits_per_s(),
        priority: reservation.demand.priority,
    }
}
