//! Random operations on a chain of links against a model that adds up rates second by second.

use std::collections::BTreeMap;
use std::ops::Range;

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_reservation::{Calendar, ExtendError, Priority, Reservation, ReservationId, ReserveError};
use longhaul_routing::{Builder, LinkId, LinkState, Topology};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseError;

use crate::{at, demand, mbit};

const LINKS: u32 = 4;
const SECONDS: u64 = 24;

fn chain() -> Topology {
    let mut builder = Builder::new();
    for region in 0..=LINKS {
        builder.region(&format!("r{region}")).expect("a new region");
    }
    for link in 0..LINKS {
        let state = LinkState::idle(Span::from_ms(10), mbit(10));
        let (from, to) = (format!("r{link}"), format!("r{}", link + 1));
        builder.link(&from, &to, "", state, &[]).expect("a new link");
    }
    builder.build()
}

#[derive(Clone, Debug)]
enum Operation {
    Reserve {
        rate: u64,
        when: Range<u64>,
        priority: u8,
        links: Range<u32>,
        preempt: bool,
    },
    Release(usize),
    Extend(usize, u64),
    Pass(u64),
    Capacity(u32, u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let reserve = (
        1..8u64,
        0..SECONDS,
        1..10u64,
        0..4u8,
        0..LINKS,
        1..LINKS + 1,
        any::<bool>(),
    );
    let reserve =
        reserve.prop_map(
            |(rate, start, length, priority, first, count, preempt)| Operation::Reserve {
                rate,
                when: start..(start + length).min(SECONDS),
                priority,
                links: first..(first + count).min(LINKS),
                preempt,
            },
        );
    prop_oneof![
        8 => reserve,
        1 => any::<usize>().prop_map(Operation::Release),
        2 => (any::<usize>(), 0..SECONDS + 1).prop_map(|(which, until)| Operation::Extend(which, until)),
        1 => (0..3u64).prop_map(Operation::Pass),
        1 => (0..LINKS, 0..14u64).prop_map(|(link, rate)| Operation::Capacity(link, rate)),
        1 => Just(Operation::Release(0)),
    ]
}

/// Reservations and the capacities of links, in Mbit/s.
struct Model {
    now: u64,
    capacities: [u64; LINKS as usize],
    held: BTreeMap<ReservationId, Reservation>,
}

impl Model {
    fn level<'a>(&'a self, link: LinkId, second: u64, others: impl Iterator<Item = &'a Reservation>) -> u64 {
        self.held
            .values()
            .chain(others)
            .filter(|held| held.links.contains(&link) && held.demand.when.contains(&at(second)))
            .map(|held| held.demand.rate.as_bits_per_s() / 1_000_000)
            .sum()
    }

    fn room(&self, links: &[LinkId], rate: u64, when: Range<u64>) -> bool {
        self.room_with(links, rate, when, None)
    }

    fn room_with(&self, links: &[LinkId], rate: u64, when: Range<u64>, also: Option<&Reservation>) -> bool {
        links.iter().all(|link| {
            let mut seconds = when.clone();
            seconds.all(|second| {
                self.level(*link, second, also.into_iter()) + rate <= self.capacities[link.index()]
            })
        })
    }

    fn agrees(&self, calendar: &Calendar) -> Result<(), TestCaseError> {
        prop_assert!(calendar.reservations().eq(self.held.values()));
        for link in (0..LINKS).map(LinkId) {
            for second in self.now..SECONDS {
                let level = self.level(link, second, std::iter::empty());
                prop_assert_eq!(
                    calendar.usage(link, &(at(second)..at(second + 1))).reserved,
                    mbit(level)
                );
                prop_assert!(level <= self.capacities[link.index()]);
            }
            for (from, until) in [(self.now, SECONDS), (self.now + 2, self.now + 7)] {
                let peak = (from..until)
                    .map(|second| self.level(link, second, std::iter::empty()))
                    .max();
                let left = self.capacities[link.index()] - peak.unwrap_or(0);
                prop_assert_eq!(calendar.available(link, &(at(from)..at(until))), mbit(left));
                // What priority 2 could have is what the others of at least 2 leave.
                let important = |second| {
                    self.held
                        .values()
                        .filter(|held| held.demand.priority >= Priority(2) && held.links.contains(&link))
                        .filter(|held| held.demand.when.contains(&at(second)))
                        .map(|held| held.demand.rate.as_bits_per_s() / 1_000_000)
                        .sum::<u64>()
                };
                let peak = (from..until).map(important).max().unwrap_or(0);
                let left = self.capacities[link.index()] - peak;
                prop_assert_eq!(
                    calendar.available_to(link, Priority(2), &(at(from)..at(until))),
                    mbit(left)
                );
            }
        }
        prop_assert_eq!(
            calendar.next_expiry(),
            self.held.values().map(|held| held.demand.when.end).min()
        );
        Ok(())
    }

    /// Takes the victims out, after checking each rule about them.
    fn displace(
        &mut self,
        victims: &[Reservation],
        below: Option<u8>,
        links: &[LinkId],
        rate: u64,
        when: Range<u64>,
    ) -> Result<(), TestCaseError> {
        let in_order = victims
            .windows(2)
            .all(|pair| (pair[0].demand.priority, pair[1].id) < (pair[1].demand.priority, pair[0].id));
        prop_assert!(in_order, "lowest priority first, then newest");
        for victim in victims {
            prop_assert!(below.is_none_or(|below| victim.demand.priority < Priority(below)));
            let held = self.held.remove(&victim.id);
            prop_assert_eq!(held.as_ref(), Some(victim));
        }
        prop_assert!(self.room(links, rate, when.clone()));
        for victim in victims {
            prop_assert!(
                !self.room_with(links, rate, when.clone(), Some(victim)),
                "one left for nothing"
            );
        }
        Ok(())
    }

    fn apply(&mut self, calendar: &mut Calendar, operation: &Operation) -> Result<(), TestCaseError> {
        let now = at(self.now);
        let nth = |which: &usize| match self.held.len() {
            0 => ReservationId(99_999),
            held => *self.held.keys().nth(which % held).expect("below the length"),
        };
        match operation {
            Operation::Reserve {
                rate,
                when,
                priority,
                links,
                preempt,
            } => {
                let links: Vec<LinkId> = links.clone().map(LinkId).collect();
                let asked = demand("f", *rate, when.start, when.end, *priority);
                let room = self.room(&links, *rate, when.clone());
                let done = if *preempt {
                    calendar
                        .reserve_preempting(now, asked.clone(), &links)
                        .map(|done| (done.id, done.victims))
                } else {
                    calendar
                        .reserve(now, asked.clone(), &links)
                        .map(|id| (id, Vec::new()))
                };
                match done {
                    Ok((id, victims)) => {
                        prop_assert!(when.start >= self.now && (room || *preempt));
                        prop_assert_eq!(victims.is_empty(), room);
                        self.displace(&victims, Some(*priority), &links, *rate, when.clone())?;
                        self.held.insert(
                            id,
                            Reservation {
                                id,
                                demand: asked,
                                links,
                            },
                        );
                    }
                    Err(ReserveError::Past { .. }) => prop_assert!(when.start < self.now),
                    Err(ReserveError::NoTime { .. }) => prop_assert!(when.is_empty()),
                    Err(ReserveError::Shortage(shortage)) => {
                        prop_assert!(!room && links.contains(&shortage.link));
                        if *preempt {
                            // Even without everybody who may be displaced there is no room.
                            let all = std::mem::take(&mut self.held);
                            let stay = |held: &Reservation| held.demand.priority >= Priority(*priority);
                            self.held = all.clone().into_iter().filter(|(_, held)| stay(held)).collect();
                            let room = self.room(&links, *rate, when.clone());
                            self.held = all;
                            prop_assert!(!room);
                        }
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
            Operation::Release(which) => {
                let id = nth(which);
                prop_assert_eq!(calendar.release(now, id).ok(), self.held.remove(&id));
            }
            Operation::Extend(which, until) => {
                let id = nth(which);
                let result = calendar.extend(now, id, at(*until));
                let Some(held) = self.held.get(&id).cloned() else {
                    prop_assert!(matches!(result, Err(ExtendError::Gone(_))));
                    return Ok(());
                };
                let end = held.demand.when.end.as_ns() / 1_000_000_000;
                let rate = held.demand.rate.as_bits_per_s() / 1_000_000;
                if *until <= end {
                    prop_assert_eq!(result, Err(ExtendError::NotLater { id, end: at(end) }));
                } else if self.room(&held.links, rate, end..*until) {
                    prop_assert_eq!(result, Ok(()));
                    self.held.get_mut(&id).expect("held").demand.when.end = at(*until);
                } else {
                    prop_assert!(matches!(result, Err(ExtendError::Shortage(_))));
                }
            }
            Operation::Pass(seconds) => {
                self.now += seconds;
                let expired = calendar.expire(at(self.now));
                prop_assert!(
                    expired
                        .iter()
                        .all(|gone| self.held.remove(&gone.id).as_ref() == Some(gone))
                );
                prop_assert!(self.held.values().all(|held| held.demand.when.end > at(self.now)));
            }
            Operation::Capacity(link, rate) => {
                self.capacities[*link as usize] = *rate;
                calendar.set_link(LinkId(*link), mbit(*rate), mbit(0));
                let shed = calendar.shed(now, LinkId(*link));
                self.displace(&shed, None, &[LinkId(*link)], 0, self.now..SECONDS)?;
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_calendar_does_what_adding_up_says(operations in proptest::collection::vec(operation(), 1..60)) {
        let mut calendar = Calendar::new(&chain(), Probability::ZERO);
        let mut model = Model { now: 0, capacities: [10; LINKS as usize], held: BTreeMap::new() };
        for operation in &operations {
            model.apply(&mut calendar, operation)?;
            model.agrees(&calendar)?;
        }
    }
}
