//! How far a federation has got.

use std::collections::BTreeMap;

use longhaul_core::record::Progress;
use longhaul_core::time::{Instant, Span};
use longhaul_federation::{Event, Statistics};

use super::Stage;
use crate::run::federations::votes;
use crate::run::stopwatch::Stopwatch;
use crate::schema::Federation;

/// Partings that are told one by one; later ones are counted.
const MOST_PARTINGS: usize = 1_000;

/// A federation during the run.
pub struct FederationRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// Its clusters.
    pub members: Vec<MemberRun>,
    /// When all were equal and had nothing left to do.
    pub finished: Option<Instant>,
    /// Who leads the log.
    pub log: LogRun,
    /// Times in which two neighbours were without each other, the first of them.
    pub partings: Vec<Parting>,
    /// How many there were.
    pub partings_in_all: u64,
    /// For each cluster and neighbour, as the cluster has it: whether it is connected, and whether it agrees.
    sides: BTreeMap<(usize, usize), Side>,
    /// The parting of two neighbours that is not over, by its place in the list.
    open: BTreeMap<(usize, usize), Option<usize>>,
}

/// A cluster during the run.
pub struct MemberRun {
    /// Whether it votes in the log.
    pub votes: bool,
    /// How often it was started.
    pub lives: u32,
    /// While it is down.
    pub down: Stopwatch,
    /// When its clients were done.
    pub clients_done: Option<Instant>,
    /// Its state and its registry, while it has nothing left to do.
    settled: Option<(String, u64)>,
}

/// Who leads the log, over time.
#[derive(Default)]
pub struct LogRun {
    /// Who led each term.
    leaders: BTreeMap<u64, usize>,
    /// Who leads, and in which term; the newest.
    leader: Option<(u64, usize)>,
    /// When there first was one.
    pub first_leader: Option<Instant>,
    /// While there is none, if there was one before.
    without: Stopwatch,
    longest_without: Span,
    /// Elections that clusters began.
    pub elections: u64,
}

#[derive(Clone, Copy, Default)]
struct Side {
    connected: bool,
    agrees: bool,
}

/// A time in which two neighbours were without each other.
#[derive(Clone, Copy, Debug)]
pub struct Parting {
    /// The two, by their place in the list.
    pub between: (usize, usize),
    /// Since when one of them had not heard of the other.
    pub silent_since: Instant,
    /// When the first of them noticed.
    pub noticed: Instant,
    /// When both were connected again.
    pub reconnected: Option<Instant>,
    /// When both agreed again.
    pub agreed: Option<Instant>,
    /// Changes that waited on both sides when they were connected again.
    pub waiting: u64,
    /// Keys that were found to differ after these had been sent.
    pub differing_keys: u64,
}

impl FederationRun {
    /// A federation that has not started.
    pub fn new(spec: &Federation) -> FederationRun {
        let members = (0..spec.members.len()).map(|place| MemberRun {
            votes: votes(spec, place),
            lives: 1,
            down: Stopwatch::default(),
            clients_done: None,
            settled: None,
        });
        FederationRun {
            name: spec.name.clone(),
            stage: Stage::NOT_STARTED,
            members: members.collect(),
            finished: None,
            log: LogRun::default(),
            partings: Vec::new(),
            partings_in_all: 0,
            sides: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// When the clients of all clusters were done.
    pub fn clients_done(&self) -> Option<Instant> {
        let each: Option<Vec<Instant>> = self.members.iter().map(|member| member.clients_done).collect();
        each?.into_iter().max()
    }

    /// How far it got, if the run ends now and clusters have these counters. One that has lost a cluster for good never
    /// gets to its end, but those that are left can be in step.
    pub fn progress(&self, statistics: &[Option<Statistics>]) -> Progress {
        let is_lost = |member: &MemberRun| member.down.since().is_some();
        if *self.stage.progress() == Progress::Unfinished
            && self.members.iter().any(is_lost)
            && self.living_agree(statistics)
        {
            return Progress::Completed;
        }
        self.stage.progress().clone()
    }

    fn living_agree(&self, statistics: &[Option<Statistics>]) -> bool {
        let mut states: Vec<&str> = Vec::new();
        let mut registries: Vec<u64> = Vec::new();
        let pairs = self.members.iter().zip(statistics);
        for (member, statistics) in pairs.filter(|(member, _)| member.down.since().is_none()) {
            let Some(statistics) = statistics.as_ref().filter(|_| member.clients_done.is_some()) else {
                return false;
            };
            let log = statistics.consensus_log.as_ref();
            if log.is_some_and(|log| log.unanswered > 0) {
                return false;
            }
            states.push(&statistics.state_hash);
            registries.extend(log.and_then(|log| log.registry));
        }
        !states.is_empty()
            && states.windows(2).all(|pair| pair[0] == pair[1])
            && registries.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// The processes of a cluster have ended.
    pub fn killed(&mut self, now: Instant, place: usize) {
        let member = &mut self.members[place];
        member.down.start(now);
        member.settled = None;
        self.sides.retain(|(side, _), _| *side != place);
        if self.stage.under_way() {
            self.log.lost(now, |(_, leader)| leader == place);
        }
    }

    /// Takes in what a cluster reports; true if that ended the federation.
    pub fn observe(&mut self, now: Instant, place: usize, event: &Event) -> bool {
        if !self.stage.under_way() {
            return false;
        }
        match event {
            Event::Connected { peer, waiting, .. } => self.connected(now, (place, peer.0 as usize), *waiting),
            Event::Disconnected { peer, silent, .. } => {
                let since = now.as_ns().saturating_sub(silent.as_ns());
                self.parted(now, (place, peer.0 as usize), Instant::from_ns(since));
            }
            Event::Reconciled {
                peer, differing_keys, ..
            } => self.agrees(now, (place, peer.0 as usize), *differing_keys),
            Event::Campaigns { .. } => self.log.elections += 1,
            Event::Leads { term } => {
                let first = *self.log.leaders.entry(*term).or_insert(place);
                if first != place {
                    return self
                        .stage
                        .fail(format!("two clusters led term {term} of the log"));
                }
                self.log.leads(now, (*term, place));
            }
            Event::SteppedDown { term, .. } => self.log.lost(now, |leader| leader == (*term, place)),
            Event::WorkloadDone => {
                self.members[place].clients_done.get_or_insert(now);
            }
            Event::Settled {
                state_hash, registry, ..
            } => {
                self.members[place].settled = Some((state_hash.clone(), *registry));
                return self.is_over(now);
            }
            Event::Unsettled => self.members[place].settled = None,
            Event::DiskFailed { .. } => self.killed(now, place),
            Event::Restarted { .. } => {
                let member = &mut self.members[place];
                member.lives += 1;
                member.down.stop(now);
            }
            Event::OutOfReach { .. }
            | Event::Refused { .. }
            | Event::Overflow { .. }
            | Event::Synchronised { .. }
            | Event::SyncFailed { .. }
            | Event::RecoveryLate { .. }
            | Event::Rejected { .. }
            | Event::DictionaryTrained { .. }
            | Event::Follows { .. }
            | Event::NotAcknowledged { .. }
            | Event::CommandFailed { .. }
            | Event::Log { .. }
            | Event::DiskFull
            | Event::DiskHasSpace { .. }
            | Event::Objective { .. }
            | Event::Progress { .. } => {}
        }
        false
    }

    /// Whether all clusters are equal and have nothing left to do; if so, it ends.
    fn is_over(&mut self, now: Instant) -> bool {
        let (mut states, mut registries) = (Vec::new(), Vec::new());
        for member in &self.members {
            let Some((state, registry)) = &member.settled else {
                return false;
            };
            states.push(state);
            if member.votes {
                registries.push(registry);
            }
        }
        let all_equal = states.windows(2).all(|pair| pair[0] == pair[1])
            && registries.windows(2).all(|pair| pair[0] == pair[1]);
        if all_equal && self.stage.end(Progress::Completed) {
            self.finished = Some(now);
            return true;
        }
        false
    }

    fn connected(&mut self, now: Instant, (place, peer): (usize, usize), waiting: u64) {
        self.sides.entry((place, peer)).or_default().connected = true;
        let both = self.on_both_sides((place, peer), |side| side.connected);
        if let Some(parting) = self.open_parting((place, peer)) {
            parting.waiting += waiting;
            if both {
                parting.reconnected = Some(now);
            }
        }
    }

    fn parted(&mut self, now: Instant, (place, peer): (usize, usize), silent_since: Instant) {
        self.sides.remove(&(place, peer));
        if let Some(parting) = self.open_parting((place, peer)) {
            parting.silent_since = parting.silent_since.min(silent_since);
            // What was begun anew has come to nothing.
            (parting.reconnected, parting.waiting) = (None, 0);
        } else if !self.open.contains_key(&ordered(place, peer)) {
            self.partings_in_all += 1;
            let listed = (self.partings.len() < MOST_PARTINGS).then(|| {
                self.partings.push(Parting {
                    between: ordered(place, peer),
                    silent_since,
                    noticed: now,
                    reconnected: None,
                    agreed: None,
                    waiting: 0,
                    differing_keys: 0,
                });
                self.partings.len() - 1
            });
            self.open.insert(ordered(place, peer), listed);
        }
    }

    fn agrees(&mut self, now: Instant, (place, peer): (usize, usize), differing_keys: u64) {
        self.sides.entry((place, peer)).or_default().agrees = true;
        let both = self.on_both_sides((place, peer), |side| side.connected && side.agrees);
        if let Some(parting) = self.open_parting((place, peer)) {
            parting.differing_keys = parting.differing_keys.max(differing_keys);
            if both {
                parting.agreed = Some(now);
            }
        }
        if both {
            self.open.remove(&ordered(place, peer));
        }
    }

    fn on_both_sides(&self, (place, peer): (usize, usize), holds: fn(&Side) -> bool) -> bool {
        let sides = [(place, peer), (peer, place)];
        sides.iter().all(|side| self.sides.get(side).is_some_and(holds))
    }

    fn open_parting(&mut self, (place, peer): (usize, usize)) -> Option<&mut Parting> {
        let listed = (*self.open.get(&ordered(place, peer))?)?;
        self.partings.get_mut(listed)
    }
}

impl LogRun {
    /// Terms that had a leader, and how many of these a cluster led.
    pub fn terms(&self, place: Option<usize>) -> u64 {
        let led = self
            .leaders
            .values()
            .filter(|leader| place.is_none_or(|place| **leader == place));
        led.count() as u64
    }

    /// How long there was no leader by now after there had been one, and for how long at a time.
    pub fn without(&self, now: Instant) -> (Span, Span) {
        (
            self.without.total(now),
            self.longest_without.max(self.without.lap(now)),
        )
    }

    fn leads(&mut self, now: Instant, leader: (u64, usize)) {
        if self.leader.is_some_and(|(term, _)| term > leader.0) {
            return;
        }
        self.leader = Some(leader);
        self.first_leader.get_or_insert(now);
        if let Some(span) = self.without.stop(now) {
            self.longest_without = self.longest_without.max(span);
        }
    }

    fn lost(&mut self, now: Instant, is_lost: impl Fn((u64, usize)) -> bool) {
        if self.leader.take_if(|leader| is_lost(*leader)).is_some() {
            self.without.start(now);
        }
    }
}

fn ordered(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
