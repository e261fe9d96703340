//! Reservations of bandwidth at work: what is asked for when, what is admitted on which path, and the traffic on it.
//!
//! A reservation keeps others from reserving the same bandwidth; it does not hold back who sends without one, nor who
//! sends more than was reserved. That is what queues with classes are for. On a link whose rate varies nothing can be
//! reserved.

use std::collections::BTreeMap;

use longhaul_core::record::{ReservationOutcome, ReservationRecord};
use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_engine::Engine;
use longhaul_net::network::{Landed, Network};
use longhaul_net::routing::LinkId;
use longhaul_net::way::{Path, Way};
use longhaul_reservation::{AdmitError, Calendar, Demand, Priority, ReservationId};
use serde_json::json;

use super::assertions::Sample;
use super::cast::{Workload, region_id};
use super::faults::Happened;
use super::scene::{RESERVE, SCENE};
use super::stopwatch::Stopwatch;
use crate::planning::Planning;
use crate::schema::{MILLIONTHS, Metric, Scenario};

/// What happens to a reservation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    End,
    Request,
    Begin,
}

/// The reservations of a run.
pub struct Reservations {
    planning: Planning,
    calendar: Calendar,
    held: Vec<Held>,
    by_id: BTreeMap<ReservationId, usize>,
    /// In the order of time; ends before requests before starts.
    steps: Vec<(Instant, Step, usize)>,
    done: usize,
    /// The events that wake it, those that have been included.
    timers: Vec<TimerId>,
}

/// One reservation, and who travels on it.
struct Held {
    outcome: ReservationOutcome,
    id: Option<ReservationId>,
    path: Vec<LinkId>,
    ways: Option<[Way; 2]>,
    /// While it is in force.
    held: Stopwatch,
    reason: Option<String>,
    /// Who travels on it while it is in force, and by which way otherwise; for those that answer, the way back.
    travellers: Vec<(Landed, Way, bool)>,
}

impl Reservations {
    /// The reservations of a scenario, all of their steps scheduled.
    pub fn new(scenario: &Scenario, engine: &mut Engine) -> Reservations {
        let planning = Planning::of(scenario);
        let mut steps = Vec::new();
        for (place, spec) in scenario.reservations.iter().enumerate() {
            let at = |span| Instant::ZERO.saturating_add(span);
            steps.push((at(spec.requested), Step::Request, place));
            steps.push((at(spec.start), Step::Begin, place));
            steps.push((at(spec.end), Step::End, place));
        }
        steps.sort();
        let mut times: Vec<Instant> = steps.iter().map(|(at, _, _)| *at).collect();
        times.dedup();
        let timers = times
            .into_iter()
            .map(|at| engine.schedule_timer(at, Class::World, SCENE, SCENE, RESERVE));
        let timers = timers.collect();
        let held = scenario.reservations.iter().map(|_| Held {
            outcome: ReservationOutcome::NotRequested,
            id: None,
            path: Vec::new(),
            ways: None,
            held: Stopwatch::default(),
            reason: None,
            travellers: Vec::new(),
        });
        Reservations {
            calendar: Calendar::new(&planning.topology, scenario.headroom),
            planning,
            held: held.collect(),
            by_id: BTreeMap::new(),
            steps,
            done: 0,
            timers,
        }
    }

    /// Nothing more is to happen: nobody waits for it.
    pub fn cancel(&mut self, engine: &mut Engine) {
        for timer in self.timers.drain(..) {
            engine.cancel(timer);
        }
    }

    /// Lets happen what is due.
    pub fn happen(&mut self, now: Instant, scenario: &Scenario, network: &mut Network) -> Vec<Happened> {
        let mut happened = Vec::new();
        while let Some(&(_, step, place)) = self.steps.get(self.done).filter(|(at, _, _)| *at <= now) {
            self.done += 1;
            match step {
                Step::Request => self.request(now, place, scenario, network, &mut happened),
                Step::Begin => self.begin(now, place, scenario, network, &mut happened),
                Step::End => self.end(now, place, scenario, network, &mut happened),
            }
        }
        happened
    }

    fn request(
        &mut self,
        now: Instant,
        place: usize,
        scenario: &Scenario,
        network: &mut Network,
        happened: &mut Vec<Happened>,
    ) {
        let spec = &scenario.reservations[place];
        let at = |span| Instant::ZERO.saturating_add(span);
        let demand = Demand {
            flow: spec.name.clone(),
            rate: spec.rate,
            when: at(spec.start)..at(spec.end),
            priority: Priority(spec.priority),
        };
        let region = |name: &str| {
            self.planning
                .topology
                .region(name)
                .expect("a region of the scenario")
        };
        let (from, to) = (region(&spec.from), region(&spec.to));
        let admitted = self
            .calendar
            .admit_preempting(now, &self.planning.topology, from, to, demand);
        match admitted {
            Ok(admission) => {
                for victim in &admission.victims {
                    let other = self.by_id[&victim.id];
                    self.leave(now, other, network);
                    let held = &mut self.held[other];
                    held.outcome = ReservationOutcome::Displaced;
                    held.reason = Some(format!("displaced by {}", spec.name));
                    let name = scenario.reservations[other].name.clone();
                    happened.push((name, "Displaced", json!({ "by": spec.name }).to_string()));
                }
                let path: Vec<LinkId> = admission
                    .route
                    .links
                    .iter()
                    .map(|link| LinkId(self.planning.place(*link) as u32))
                    .collect();
                let names: Vec<String> = path
                    .iter()
                    .map(|link| scenario.links[link.0 as usize].name())
                    .collect();
                let (there, back) = (region_id(scenario, &spec.from), region_id(scenario, &spec.to));
                let mut lay = |from, to, links| {
                    let path = Path {
                        from,
                        to,
                        links: Some(links),
                        encapsulation: None,
                    };
                    network.lay(&path).expect("its links lead there")
                };
                let way = lay(there, back, path.clone());
                let home = super::overlays::reversed(scenario, &path);
                // Where a link leads one way only, what comes back is routed.
                let home = if home.len() == path.len() {
                    lay(back, there, home)
                } else {
                    Way::to(there)
                };
                let held = &mut self.held[place];
                held.outcome = ReservationOutcome::Admitted;
                held.id = Some(admission.id);
                held.path = path;
                held.ways = Some([way, home]);
                self.by_id.insert(admission.id, place);
                happened.push((
                    spec.name.clone(),
                    "Reserved",
                    json!({ "path": names }).to_string(),
                ));
            }
            Err(error) => {
                let reason = match &error {
                    AdmitError::Route(_) => "no path leads there".to_owned(),
                    other => other.to_string(),
                };
                let held = &mut self.held[place];
                held.outcome = ReservationOutcome::Refused;
                held.reason = Some(reason.clone());
                happened.push((spec.name.clone(), "Refused", json!({ "why": reason }).to_string()));
            }
        }
    }

    fn begin(
        &mut self,
        now: Instant,
        place: usize,
        scenario: &Scenario,
        network: &mut Network,
        happened: &mut Vec<Happened>,
    ) {
        let held = &mut self.held[place];
        let Some(ways) = held.ways.filter(|_| held.outcome == ReservationOutcome::Admitted) else {
            return;
        };
        held.held.start(now);
        for &(who, _, answers) in &held.travellers {
            who.steer(network, ways[usize::from(answers)]);
        }
        happened.push((scenario.reservations[place].name.clone(), "Began", String::new()));
    }

    fn end(
        &mut self,
        now: Instant,
        place: usize,
        scenario: &Scenario,
        network: &mut Network,
        happened: &mut Vec<Happened>,
    ) {
        if self.held[place].held.since().is_some() {
            self.leave(now, place, network);
            happened.push((scenario.reservations[place].name.clone(), "Ended", String::new()));
        }
        self.calendar.expire(now);
    }

    /// A reservation is in force no more; who travelled on it goes on by the routers' routes.
    fn leave(&mut self, now: Instant, place: usize, network: &mut Network) {
        let held = &mut self.held[place];
        if held.held.stop(now).is_some() {
            for &(who, home, _) in &held.travellers {
                who.steer(network, home);
            }
        }
    }

    /// The ways of traffic of a workload that starts to travel: those of its reservation, if that is in force.
    pub fn ways(&self, scenario: &Scenario, workload: Workload) -> Option<(usize, Option<[Way; 2]>)> {
        let name = match workload {
            Workload::Transfer(index) => scenario.transfers[index].reservation.as_ref(),
            Workload::Datagrams(index) => scenario.datagrams[index].reservation.as_ref(),
            _ => None,
        };
        let place = scenario
            .reservations
            .iter()
            .position(|known| Some(&known.name) == name)?;
        let held = &self.held[place];
        Some((place, held.ways.filter(|_| held.held.since().is_some())))
    }

    /// Somebody travels on a reservation from now on, and by the way `home` when it is not in force.
    pub fn travel(&mut self, place: usize, who: Landed, home: Way, answers: bool) {
        self.held[place].travellers.push((who, home, answers));
    }

    /// The records.
    pub fn records(&self, scenario: &Scenario, now: Instant) -> Vec<ReservationRecord> {
        let record = |(spec, held): (&crate::schema::Reservation, &Held)| ReservationRecord {
            name: spec.name.clone(),
            from: spec.from.clone(),
            to: spec.to.clone(),
            rate_bits_per_s: spec.rate.as_bits_per_s(),
            start_ns: spec.start.as_ns(),
            end_ns: spec.end.as_ns(),
            priority: spec.priority,
            outcome: held.outcome,
            path: held
                .path
                .iter()
                .map(|link| scenario.links[link.0 as usize].name())
                .collect(),
            reason: held.reason.clone(),
            held_ns: held.held.total(now).as_ns(),
        };
        scenario.reservations.iter().zip(&self.held).map(record).collect()
    }
}

/// The sample that a reservation gives a metric.
pub fn of_reservation(metric: Metric, reservation: &ReservationRecord) -> Sample {
    match metric {
        Metric::ReservationHeld => Sample::Exact(reservation.held_ns),
        _ => match reservation.outcome {
            ReservationOutcome::NotRequested => Sample::Missing,
            ReservationOutcome::Admitted => Sample::Exact(MILLIONTHS),
            ReservationOutcome::Refused | ReservationOutcome::Displaced => Sample::Exact(0),
        },
    }
}
