//! Members, their disks and clocks, clients and the network between them, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use super::registers::{Call, Register, Registers};
use super::seat::Seat;
use super::weather::{Parcel, Weather};
use crate::check::{Checker, Violation};
use crate::disk::Disk;
use crate::history::{Timed, Verdict, linearizable};
use crate::mistake::Mistake;
use crate::node::Role;
use crate::replica::ReplicaOutput;
use crate::request::{Answer, Request};
use crate::session::SessionLimits;
use crate::stable::WriteId;
use crate::{Config, Event, Index, Message, NodeId, Replica};

/// What can be wrong with a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    Unsafe(Violation),
    NotLinearizable {
        calls: usize,
        explained: usize,
    },
    NotLive(String),
    /// Too many calls overlap to tell.
    Undecided,
}

#[derive(Debug)]
pub enum Happening {
    Arrival {
        to: NodeId,
        parcel: Parcel,
    },
    Wake(NodeId),
    Synced {
        member: NodeId,
        life: u32,
        write: WriteId,
    },
    ClientWake(usize),
    Call(usize),
}

/// A member and what is around it.
pub struct Member {
    pub config: Config,
    pub replica: Option<Replica<Registers>>,
    pub disk: Disk,
    /// How much faster than true time its clock runs, in parts per million.
    pub drift_ppm: i64,
    pub sync_time: Span,
    syncing: Option<WriteId>,
    life: u32,
    wake: Option<(Instant, u64)>,
    pub events: Vec<(Instant, Event)>,
}

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub configs: Vec<Config>,
    pub limits: SessionLimits,
    pub clients: u32,
    /// The first clients only read.
    pub readers: u32,
    pub calls: u32,
    pub window: usize,
    pub patience: Span,
    pub keys: u8,
    pub think: Span,
    pub mistake: Option<Mistake>,
}

pub struct World {
    pub plan: Plan,
    pub now: Instant,
    sequence: u64,
    pub queue: BTreeMap<(Instant, u64), Happening>,
    pub random: Stream,
    pub weather: Weather,
    pub members: BTreeMap<NodeId, Member>,
    pub seats: Vec<Seat>,
    pub calls: Vec<(u8, Timed<Call>)>,
    pub checker: Checker,
    pub failure: Option<Failure>,
    /// Messages that arrived undamaged.
    pub arrived: u64,
    pub steps: u64,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            now: Instant::ZERO,
            sequence: 0,
            queue: BTreeMap::new(),
            random: Streams::new(plan.seed, 0).stream("world", "faults"),
            weather: Weather {
                delay: (Span::from_ms(1), Span::from_ms(20)),
                loss: Probability::ZERO,
                duplication: Probability::ZERO,
                damage: Probability::ZERO,
                cut: BTreeSet::new(),
                slow: BTreeSet::new(),
            },
            members: BTreeMap::new(),
            seats: Vec::new(),
            calls: Vec::new(),
            checker: Checker::new(plan.configs.len()),
            failure: None,
            arrived: 0,
            steps: 0,
            plan,
        };
        for config in world.plan.configs.clone() {
            let id = config.id;
            let member = Member {
                config,
                replica: None,
                disk: Disk::default(),
                drift_ppm: 0,
                sync_time: Span::from_ms(2),
                syncing: None,
                life: 0,
                wake: None,
                events: Vec::new(),
            };
            world.members.insert(id, member);
            world.start(id);
        }
        world.seat_clients();
        world
    }

    /// A member starts, with what its disk has.
    pub fn start(&mut self, id: NodeId) {
        let (seed, mistake, limits, now) = (self.plan.seed, self.plan.mistake, self.plan.limits, self.now);
        let member = self.members.get_mut(&id).expect("a member");
        if member.replica.is_some() {
            return;
        }
        member.life += 1;
        let random = Streams::new(seed, member.life).stream(&id.to_string(), "elections");
        let local = member.local(now);
        let stable = member.disk.stable();
        let replica = Replica::new(
            member.config.clone(),
            limits,
            stable,
            Registers::default(),
            random,
            local,
        );
        let mut replica = replica.expect("what survived is sound");
        replica.node_mut().mistakes.mistake = mistake;
        member.replica = Some(replica);
        self.serve(id, |_, _| {});
    }

    /// A member stops; of its pending writes the first few happen to be on the disk.
    pub fn crash(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).expect("a member");
        if member.replica.take().is_none() {
            return;
        }
        let pending = member.disk.pending() as u64;
        let surviving = self.random.below(pending + 1);
        member.disk.crash(surviving as usize);
        member.syncing = None;
        if let Some(wake) = member.wake.take() {
            self.queue.remove(&wake);
        }
        self.checker.on_crash(id);
    }

    pub fn leaders(&self) -> Vec<NodeId> {
        let replicas = self.members.iter().filter_map(|(id, member)| {
            let replica = member.replica.as_ref()?;
            (replica.node().role() == Role::Leader).then_some(*id)
        });
        replicas.collect()
    }

    pub fn replica(&self, id: u32) -> &Replica<Registers> {
        let member = &self.members[&NodeId(id)];
        member.replica.as_ref().expect("a member that runs")
    }

    pub fn events(&self, id: u32) -> impl Iterator<Item = &Event> {
        self.members[&NodeId(id)].events.iter().map(|(_, event)| event)
    }

    /// Clients make as many calls more.
    pub fn more_calls(&mut self, calls: u32) {
        for number in 0..self.seats.len() {
            self.seats[number].calls_left += calls;
            self.schedule(self.now, Happening::Call(number));
        }
    }

    pub fn unanswered(&self) -> usize {
        let seats = self.seats.iter();
        seats
            .map(|seat| seat.client.unanswered() + seat.calls_left as usize)
            .sum()
    }

    /// Runs until then, or until something is wrong.
    pub fn run_until(&mut self, until: Instant) {
        while self.failure.is_none()
            && let Some((&(at, _), _)) = self.queue.first_key_value()
            && at <= until
        {
            let ((at, _), happening) = self.queue.pop_first().expect("the first");
            self.now = at;
            self.steps += 1;
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    pub fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Runs until everything is answered and all members agree, at most for so long.
    pub fn settle(&mut self, within: Span) {
        let end = self.now + within;
        while self.failure.is_none() && self.now < end {
            self.run_for(Span::from_ms(50));
            if self.unanswered() == 0 && self.agree() {
                return;
            }
        }
        if self.failure.is_none() {
            let why = format!("{} calls unanswered\n{}", self.unanswered(), self.picture());
            self.failure = Some(Failure::NotLive(why));
        }
    }

    /// Whether all members have the same state, and one leads.
    fn agree(&self) -> bool {
        let mut states = self.members.values().map(|member| {
            let replica = member.replica.as_ref()?;
            let last = replica.node().log().last();
            (last.index == replica.applied()).then_some((last, replica.digest()))
        });
        let first = states.next().flatten();
        first.is_some() && states.all(|state| state == first) && self.leaders().len() == 1
    }

    /// Where every member stands.
    fn picture(&self) -> String {
        let lines = self.members.iter().map(|(id, member)| match &member.replica {
            None => format!("{id}: down\n"),
            Some(replica) => {
                let node = replica.node();
                let log = node.log();
                format!(
                    "{id}: {:?} of {} in term {}, log {}..{}, committed {}, applied {}\n",
                    node.role(),
                    node.leader()
                        .map_or("nobody".to_owned(), |leader| leader.to_string()),
                    node.hard_state().term,
                    log.base().index,
                    log.last().index,
                    node.commit(),
                    replica.applied()
                )
            }
        });
        lines.collect()
    }

    /// Looks for an order of the calls on each register; returns how many registers have too many orders to try.
    pub fn check_history(&mut self, steps: u64) -> u64 {
        let mut undecided = 0;
        for key in 0..self.plan.keys {
            let calls = self.calls.iter().filter(|(of, _)| *of == key);
            let calls: Vec<Timed<Call>> = calls.map(|(_, call)| call.clone()).collect();
            match linearizable(&Register, &calls, steps) {
                Verdict::Linearizable => {}
                Verdict::Undecided => undecided += 1,
                Verdict::NotLinearizable { explained } => {
                    let calls = calls.len();
                    self.failure
                        .get_or_insert(Failure::NotLinearizable { calls, explained });
                }
            }
        }
        undecided
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { to, parcel } => self.arrive(to, parcel),
            Happening::Wake(id) => {
                self.members.get_mut(&id).expect("a member").wake = None;
                self.serve(id, Replica::on_wake);
            }
            Happening::Synced { member, life, write } => self.on_synced(member, life, write),
            Happening::ClientWake(number) => {
                let now = self.now;
                self.seats[number].wake = None;
                self.seats[number].client.on_wake(now);
                self.serve_client(number);
            }
            Happening::Call(number) => self.call(number),
        }
    }

    fn arrive(&mut self, to: NodeId, parcel: Parcel) {
        match parcel {
            Parcel::Message(bytes) => {
                if let Ok(message) = Message::parse(&bytes) {
                    self.arrived += 1;
                    self.serve(to, |replica, now| replica.on_message(now, message));
                }
            }
            Parcel::Request(bytes) => {
                if let Ok(request) = Request::parse(&bytes) {
                    self.serve(to, |replica, now| replica.on_request(now, request));
                }
            }
            Parcel::Answer(bytes) => {
                let now = self.now;
                if let Ok(answer) = Answer::parse(&bytes)
                    && let Some(seat) = self.seats.get_mut(answer.to.client as usize)
                {
                    let number = answer.to.client as usize;
                    seat.client.on_answer(now, answer);
                    self.serve_client(number);
                }
            }
        }
    }

    fn on_synced(&mut self, id: NodeId, life: u32, write: WriteId) {
        let member = self.members.get_mut(&id).expect("a member");
        if member.life != life || member.replica.is_none() {
            return;
        }
        while member.disk.oldest_pending().is_some_and(|oldest| oldest <= write) {
            member.disk.sync_one();
        }
        member.syncing = None;
        self.serve(id, |replica, now| replica.on_persisted(now, write));
    }

    /// Lets a member do something, and does what it wants done.
    pub fn serve(&mut self, id: NodeId, what: impl FnOnce(&mut Replica<Registers>, Instant)) {
        let now = self.now;
        let member = self.members.get_mut(&id).expect("a member");
        let local = member.local(now);
        let Some(replica) = &mut member.replica else {
            return;
        };
        what(replica, local);
        let mut sent = Vec::new();
        while let Some(output) = replica.poll() {
            match output {
                ReplicaOutput::Persist(write) => member.disk.push(write),
                ReplicaOutput::Send(message) => {
                    if let Err(violation) = self.checker.observe_message(&message) {
                        self.failure.get_or_insert(Failure::Unsafe(violation));
                    }
                    sent.push((message.to, Parcel::Message(message.to_bytes())));
                }
                ReplicaOutput::Answer(answer) => {
                    sent.push((answer.to.node, Parcel::Answer(answer.to_bytes())));
                }
                ReplicaOutput::Event(event) => member.events.push((now, event)),
                ReplicaOutput::Applied { .. } | ReplicaOutput::Skipped { .. } => {}
            }
        }
        let observed = self
            .checker
            .observe(replica.node(), replica.applied(), replica.digest());
        let (wake, _) = replica.node().wake_at();
        let wake = member.truth(wake).max(now);
        if let Err(violation) = observed {
            self.failure.get_or_insert(Failure::Unsafe(violation));
        }
        let disks = self.members.values().map(|member| member.disk.stable());
        if let Err(violation) = self.checker.observe_disks(disks) {
            self.failure.get_or_insert(Failure::Unsafe(violation));
        }
        self.sync(id);
        self.set_wake(id, wake);
        for (to, parcel) in sent {
            self.transmit(id, to, &parcel);
        }
    }

    fn sync(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).expect("a member");
        if member.syncing.is_some() || member.disk.pending() == 0 {
            return;
        }
        // Everything that is pending now shares one synchronisation.
        let newest = member.disk.newest_pending().expect("pending writes");
        member.syncing = Some(newest);
        let (life, at) = (member.life, self.now + member.sync_time);
        self.schedule(
            at,
            Happening::Synced {
                member: id,
                life,
                write: newest,
            },
        );
    }

    fn set_wake(&mut self, id: NodeId, at: Instant) {
        let member = self.members.get_mut(&id).expect("a member");
        if member.wake.is_some_and(|(before, _)| before == at) {
            return;
        }
        if let Some(before) = member.wake.take() {
            self.queue.remove(&before);
        }
        let key = self.schedule(at, Happening::Wake(id));
        self.members.get_mut(&id).expect("a member").wake = Some(key);
    }

    pub fn schedule(&mut self, at: Instant, happening: Happening) -> (Instant, u64) {
        self.sequence += 1;
        let key = (at, self.sequence);
        self.queue.insert(key, happening);
        key
    }

    /// The highest index that all members have applied.
    pub fn applied_by_all(&self) -> Index {
        let applied = self
            .members
            .values()
            .map(|member| member.replica.as_ref().map_or(Index::ZERO, Replica::applied));
        applied.min().unwrap_or_default()
    }
}

impl Member {
    /// What its clock says.
    pub fn local(&self, truth: Instant) -> Instant {
        let rate = u128::try_from(1_000_000 + self.drift_ppm).expect("a clock that goes forward");
        Instant::from_ns((u128::from(truth.as_ns()) * rate / 1_000_000) as u64)
    }

    /// When its clock says this, or a little later.
    fn truth(&self, local: Instant) -> Instant {
        let rate = u128::try_from(1_000_000 + self.drift_ppm).expect("a clock that goes forward");
        Instant::from_ns((u128::from(local.as_ns()) * 1_000_000).div_ceil(rate) as u64)
    }
}
