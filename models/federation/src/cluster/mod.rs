//! The machine of one cluster: its doors, its clients, and what is common to all that it does.

mod dial;
mod disk;
mod frames;
mod recover;
mod sync;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{Input, Machine, Output, StreamId};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_hde::dictionary::DictionaryTrainer;
use longhaul_raft::disk::Disk;

use self::dial::Use;
use crate::connection::StreamNumbers;
use crate::consensus::Consensus;
use crate::event::{Command, Event};
use crate::options::MAX_VALUE_BYTES;
use crate::outbox::{Change, Priority};
use crate::peer::Peer;
use crate::planted::Planted;
use crate::record::{Clock, Record, Relation, VersionVector};
use crate::state::State;
use crate::statistics::Statistics;
use crate::topology::RegionManager;
use crate::workload::{Act, Workload, WorkloadOptions};
use crate::{ClusterId, Key, Options, OptionsError};

/// Who a cluster is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How it works; all clusters of a federation should work alike.
    pub options: Options,
    /// The federation.
    pub federation: String,
    /// Which of the members it is.
    pub id: ClusterId,
    /// The members.
    pub regions: RegionManager,
    /// What its clients do, if it has any.
    pub workload: Option<WorkloadOptions>,
    /// Where its random choices come from.
    pub streams: Streams,
    /// A bug, for tests.
    #[doc(hidden)]
    pub planted: Planted,
}

/// What is left of a cluster that crashed.
#[derive(Clone, Debug)]
pub struct Survivor {
    state: State,
    disk: Disk,
    incarnation: u64,
    clock: Clock,
    clients: Option<Workload>,
    taken_back: u64,
    started: bool,
}

/// A cluster. See the [crate] documentation.
pub struct Cluster {
    setup: Setup,
    name: String,
    incarnation: u64,
    now: Instant,
    started: bool,
    stopped: bool,
    disk: DiskCondition,
    /// A write to its disk has failed.
    failed: bool,
    /// Updates that it had refused before its disk was full.
    refused_before: u64,
    state: State,
    clock: Clock,
    /// By how many nanoseconds its wall clock is ahead.
    ahead_ns: i64,
    /// Own writes of this life.
    writes: u64,
    peers: BTreeMap<ClusterId, Peer>,
    /// What each stream is for.
    streams: BTreeMap<StreamId, Use>,
    numbers: StreamNumbers,
    consensus: Option<Consensus>,
    workload: Option<Workload>,
    workload_done: bool,
    next_sync: Instant,
    next_metrics: Instant,
    /// Until then the processor encodes.
    processor_busy_until: Instant,
    trainer: Option<DictionaryTrainer>,
    dictionary: Option<longhaul_hde::dictionary::Dictionary>,
    next_training: Instant,
    unmet: BTreeMap<&'static str, bool>,
    settled: Option<Event>,
    outputs: VecDeque<Output<Event>>,
    statistics: Statistics,
}

impl Survivor {
    /// What its replica of the log has on disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }
}

impl Cluster {
    /// A cluster that waits for [`Command::Start`].
    ///
    /// # Errors
    /// [`OptionsError`]
    pub fn new(setup: Setup) -> Result<Cluster, OptionsError> {
        Cluster::with(setup, Instant::ZERO, None)
    }

    /// A cluster that comes back after a crash, and begins at once if it had begun before.
    ///
    /// # Errors
    /// [`OptionsError`]
    pub fn restart(setup: Setup, now: Instant, survivor: Survivor) -> Result<Cluster, OptionsError> {
        Cluster::with(setup, now, Some(survivor))
    }

    fn with(setup: Setup, now: Instant, survivor: Option<Survivor>) -> Result<Cluster, OptionsError> {
        let (options, id) = (&setup.options, setup.id);
        options.check()?;
        let member = setup.regions.member(id).ok_or(OptionsError::Id)?;
        if setup.federation.is_empty() || setup.federation.len() > 255 {
            return Err(OptionsError::Id);
        }
        let neighbours = setup.regions.neighbours(id);
        let most = options.connection.max_connections;
        if neighbours.len() > most as usize {
            let peers = neighbours.len();
            return Err(OptionsError::Connections { peers, most });
        }
        let incarnation = survivor.as_ref().map_or(1, |survivor| survivor.incarnation + 1);
        // Each life has random choices of its own.
        let random = |purpose: &str| {
            setup
                .streams
                .stream(&format!("{}#{incarnation}", member.name), purpose)
        };
        let disk = survivor
            .as_ref()
            .map_or_else(Disk::default, |survivor| survivor.disk.clone());
        let consensus = match &options.consensus {
            None => None,
            Some(consensus) => {
                let voters = voters(&setup, &consensus.voters)?;
                Some(Consensus::new(
                    options,
                    consensus,
                    id,
                    &voters,
                    disk,
                    random("elections"),
                    now,
                )?)
            }
        };
        let trainer = options.encoding.dictionary_bytes.map(|bytes| {
            let bytes = bytes as usize;
            DictionaryTrainer::new(bytes, 16 * bytes).expect("checked with the options")
        });
        let peers = neighbours.into_iter().map(|neighbour| {
            let machine = setup.regions.member(neighbour).expect("a member").peer;
            (
                neighbour,
                Peer::new(options, id, neighbour, machine, incarnation, now),
            )
        });
        let peers = peers.collect();
        // Clusters take turns, so that not all send at the same moment.
        let place = setup.regions.members().iter().position(|member| member.id == id);
        let share = options.sync.interval / setup.regions.members().len() as u64;
        let first_sync = options.sync.interval + share * place.unwrap_or(0) as u64;
        let name = member.name.clone();
        let workload = match &survivor {
            // Clients are no part of the machine.
            Some(survivor) => survivor.clients.clone(),
            None => setup
                .workload
                .clone()
                .map(|workload| Workload::new(workload, &name, &setup.streams)),
        };
        let taken_back = survivor.as_ref().map(|survivor| survivor.taken_back);
        let started = survivor.as_ref().is_some_and(|survivor| survivor.started);
        let (state, clock) = match survivor {
            Some(mut survivor) => {
                // How its disk does now it is told.
                survivor.state.set_disk(now, DiskCondition::default());
                (survivor.state, survivor.clock)
            }
            None => (
                State::new(options.sync.max_keys, options.durable_after),
                Clock::new(id),
            ),
        };
        let mut cluster = Cluster {
            workload,
            workload_done: false,
            name,
            incarnation,
            now,
            started: false,
            stopped: false,
            disk: DiskCondition::default(),
            failed: false,
            refused_before: 0,
            state,
            clock,
            ahead_ns: 0,
            writes: 0,
            peers,
            streams: BTreeMap::new(),
            // Streams of an earlier life keep their numbers.
            numbers: StreamNumbers(u32::try_from((incarnation - 1) << 20).unwrap_or(0)),
            consensus,
            next_sync: now.saturating_add(first_sync),
            next_metrics: now.saturating_add(options.metrics_interval),
            processor_busy_until: now,
            trainer,
            dictionary: None,
            next_training: now.saturating_add(options.encoding.baseline_interval),
            unmet: BTreeMap::new(),
            settled: None,
            outputs: VecDeque::new(),
            statistics: Statistics::default(),
            setup,
        };
        if let Some(taken_back) = taken_back {
            cluster.event(Event::Restarted {
                incarnation,
                taken_back,
            });
        }
        if started {
            cluster.start();
        }
        Ok(cluster)
    }

    /// The machine stops; what is left is what was durable.
    pub fn crash(mut self, now: Instant) -> Survivor {
        let taken_back = self.state.crash(now);
        Survivor {
            taken_back,
            disk: self.consensus.map_or_else(Disk::default, Consensus::into_disk),
            state: self.state,
            incarnation: self.incarnation,
            clock: self.clock,
            clients: self.workload,
            started: self.started,
        }
    }

    /// Which of the members it is.
    pub fn id(&self) -> ClusterId {
        self.setup.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it works, and in which federation.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its replica of the log, if it votes.
    pub fn replica(&self) -> Option<&longhaul_raft::Replica<crate::registry::Registry>> {
        self.consensus.as_ref().and_then(Consensus::replica)
    }

    /// What its replica has on disk.
    pub fn disk(&self) -> Option<&Disk> {
        self.consensus.as_ref().map(Consensus::disk)
    }

    /// What its clients asked of the log and were answered.
    pub fn history(&self) -> &[(String, longhaul_raft::history::Timed<crate::registry::Call>)] {
        self.consensus
            .as_ref()
            .map_or(&[], |consensus| &consensus.history()[..])
    }

    /// Changes that wait for peers.
    pub fn waiting(&self) -> u64 {
        self.peers.values().map(Peer::waiting).sum()
    }

    /// Peers that it is connected with.
    pub fn connections(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_up()).count()
    }

    /// Its counters.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        for peer in self.peers.values() {
            statistics.outbox.add(peer.outbox.statistics());
            statistics.baseline_refreshes += peer.sender.stats().full_by_cadence;
        }
        statistics.keys = self.state.len() as u64;
        statistics.waiting = self.waiting();
        statistics.state_hash = hash_text(&self.state);
        statistics.consensus_log = self.consensus.as_ref().map(Consensus::statistics);
        statistics
    }

    /// What its wall clock says; never before the beginning of time.
    fn wall_clock(&self) -> Instant {
        Instant::from_ns(self.now.as_ns().saturating_add_signed(self.ahead_ns))
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let now = self.now;
        for peer in self.peers.values_mut() {
            if let crate::peer::Phase::Waiting { dial_at } = &mut peer.phase {
                *dial_at = now;
            }
        }
        if let Some(workload) = &mut self.workload {
            workload.start(now);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        for stream in std::mem::take(&mut self.streams).into_keys() {
            self.outputs.push_back(Output::Close { stream });
        }
    }

    /// A client sets a value or removes a key.
    fn write(&mut self, key: &Key, value: Option<Bytes>, priority: Priority) {
        let too_long = value
            .as_ref()
            .is_some_and(|value| value.len() as u64 > MAX_VALUE_BYTES);
        let refused = too_long || self.disk.is_out_of_space();
        let mut versions = self
            .state
            .get(key)
            .map_or_else(VersionVector::default, |record| record.versions.clone());
        // Rises over all lives, also over writes that a crash took back and peers may have seen.
        self.writes += 1;
        versions.raise(self.setup.id, (self.incarnation << 40) + self.writes);
        let record = Record {
            stamp: self.clock.stamp(self.wall_clock()),
            versions,
            value,
        };
        if refused || self.state.merge(self.now, key, &record).is_err() {
            self.statistics.refused_updates += 1;
            self.statistics.errors += 1;
            return;
        }
        self.statistics.updates += 1;
        if let (Some(trainer), Some(value)) = (&mut self.trainer, &record.value) {
            trainer.add(value);
        }
        self.spread(key, &record, priority, None);
    }

    /// Puts a change into the outboxes of all neighbours but one.
    fn spread(&mut self, key: &Key, record: &Record, priority: Priority, except: Option<ClusterId>) {
        let now = self.now;
        let mut overflows = Vec::new();
        for peer in self.peers.values_mut().filter(|peer| Some(peer.id) != except) {
            peer.outbox.push(Change {
                key: key.clone(),
                record: record.clone(),
                priority,
                at_once: priority == Priority::High,
                since: now,
            });
            if peer.outbox.take_overflow() {
                overflows.push((peer.id, peer.outbox.statistics().dropped));
            }
        }
        for (peer, dropped) in overflows {
            self.overflowed(peer, dropped);
        }
    }

    /// What a peer knows of a key has arrived.
    fn learn(&mut self, from: ClusterId, key: &Key, record: &Record, priority: Priority) {
        self.clock.see(record.stamp);
        let Ok(merged) = self.state.merge(self.now, key, record) else {
            self.statistics.errors += 1;
            return;
        };
        if merged.relation == Relation::Concurrent {
            self.statistics.conflicts += 1;
        }
        if !merged.changed {
            return;
        }
        self.statistics.changes_applied += 1;
        if let Some(age) = self
            .wall_clock()
            .as_ns()
            .checked_sub(record.stamp.time.as_ns())
            .filter(|_| record.stamp.writer != self.setup.id)
        {
            self.statistics.propagation.add(Span::from_ns(age));
        }
        if self.setup.regions.relays() {
            let known = self.state.get(key).expect("just merged").clone();
            self.spread(key, &known, priority, Some(from));
        }
    }

    /// Lets clients do what they want to do now.
    fn serve_clients(&mut self) {
        loop {
            let now = self.now;
            let Some(workload) = &mut self.workload else { break };
            let Some(act) = workload.next(now) else { break };
            match act {
                Act::Update {
                    key,
                    changed,
                    value_bytes,
                    priority,
                } => {
                    let known = self.state.get(&key).and_then(|record| record.value.clone());
                    let value = workload.change(known.as_ref(), changed, value_bytes);
                    self.write(&key, Some(value), priority);
                }
                Act::Remove { key, priority } => self.write(&key, None, priority),
                Act::Propose { name, value } => {
                    if let Some(consensus) = &mut self.consensus {
                        consensus.propose(now, &name, &value);
                    }
                }
                Act::Read { name } => {
                    if let Some(consensus) = &mut self.consensus {
                        consensus.read(now, &name);
                    }
                }
            }
        }
        let done = self.started && self.workload.as_ref().is_none_or(Workload::is_done);
        if done && !std::mem::replace(&mut self.workload_done, true) {
            self.event(Event::WorkloadDone);
        }
    }

    /// Does whatever is due, until there is nothing more to do now.
    fn serve(&mut self) {
        if !self.started || self.stopped {
            return;
        }
        self.serve_clients();
        self.dial_and_listen();
        self.synchronise();
        self.serve_log();
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.serve_peer(peer);
        }
        if self.now >= self.next_metrics {
            self.report_progress();
        }
        self.report_settled();
    }

    fn report_progress(&mut self) {
        self.next_metrics = self.now.saturating_add(self.setup.options.metrics_interval);
        let committed = self.replica().map_or(0, |replica| replica.node().commit().0);
        let progress = Event::Progress {
            keys: self.state.len() as u64,
            waiting: self.waiting(),
            committed,
            state_hash: hash_text(&self.state),
        };
        self.event(progress);
        let objectives = self.setup.options.objectives;
        let wanted = u64::from(objectives.compression_ratio) * 1_000_000;
        let ratio = self.statistics.compression_ratio_millionths();
        self.report_objective("compression", ratio, |ratio| ratio >= wanted);
        let latency = self.statistics.round_trip.quantile_thousandths(500);
        let allowed = objectives.latency.as_ns();
        self.report_objective("latency", latency.map(Span::as_ns), |latency| latency <= allowed);
    }

    /// Says whether an objective is met when that is another thing than before; at first it is taken to be.
    fn report_objective(&mut self, what: &'static str, measured: Option<u64>, is_met: impl Fn(u64) -> bool) {
        let Some(measured) = measured else { return };
        let met = is_met(measured);
        if self.unmet.insert(what, !met).unwrap_or(false) == met {
            let what = what.to_owned();
            self.event(Event::Objective { what, met, measured });
        }
    }

    fn report_settled(&mut self) {
        let busy = |peer: &Peer| !peer.is_up() || peer.waiting() > 0 || peer.reconciler.is_busy();
        let settled = self.workload_done
            && !self.peers.values().any(busy)
            && self
                .consensus
                .as_ref()
                .is_none_or(|consensus| consensus.unanswered() == 0);
        let settled = settled.then(|| {
            let replica = self.replica();
            Event::Settled {
                state_hash: hash_text(&self.state),
                applied: replica.map_or(0, |replica| replica.applied().0),
                registry: replica.map_or(0, longhaul_raft::Replica::digest),
            }
        });
        if settled != self.settled {
            self.event(settled.clone().unwrap_or(Event::Unsettled));
            self.settled = settled;
        }
    }

    /// The first thing that time brings.
    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        if !self.started || self.stopped {
            return None;
        }
        let clients = self.workload.as_ref().and_then(Workload::wake_at);
        let log = self.consensus.as_ref().and_then(Consensus::wake_at);
        let peers = self.peers.values().filter_map(|peer| self.peer_wake(peer));
        let first = [
            Some((self.next_sync, "synchronisation")),
            Some((self.next_metrics, "metrics")),
            clients.map(|at| (at, "clients")),
            log,
            self.strangers_wake(),
            self.disk_wake(),
        ];
        first.into_iter().flatten().chain(peers).min_by_key(|(at, _)| *at)
    }
}

impl Machine for Cluster {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        if self.stopped {
            if let Input::Accepted { stream } = input {
                self.outputs.push_back(Output::Close { stream });
            }
            return;
        }
        match input {
            Input::Command(Command::Start) => self.start(),
            Input::Command(Command::Stop) => return self.stop(),
            Input::Command(Command::Put { key, value, priority }) => {
                self.write(&key, Some(value.into()), priority);
            }
            Input::Command(Command::Remove { key, priority }) => self.write(&key, None, priority),
            Input::Command(Command::Propose { name, value }) => {
                if let Some(consensus) = &mut self.consensus {
                    consensus.propose(now, &name, &value);
                }
            }
            Input::Command(Command::Read { name }) => {
                if let Some(consensus) = &mut self.consensus {
                    consensus.read(now, &name);
                }
            }
            Input::Command(Command::Disk(condition)) => self.set_disk(condition),
            Input::Command(Command::WallClock { ahead_ns }) => self.ahead_ns = ahead_ns,
            Input::Opened { stream } => self.on_opened(stream),
            Input::Accepted { stream } => self.on_accepted(stream),
            Input::Received { stream, payload } => self.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.on_closed(stream, reason),
            Input::Path { stream, info } => self.on_path(stream, &info),
            Input::Start | Input::Wake | Input::Datagram { .. } => {}
        }
        if let Some(consensus) = &mut self.consensus
            && self.started
        {
            consensus.on_wake(now);
        }
        self.fail_with_disk();
        self.serve();
        self.fail_with_disk();
    }

    fn poll(&mut self) -> Output<Event> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}

/// Who votes: those named, or all members.
fn voters(setup: &Setup, named: &[ClusterId]) -> Result<Vec<ClusterId>, OptionsError> {
    let members = setup.regions.members();
    if named.is_empty() {
        return Ok(members.iter().map(|member| member.id).collect());
    }
    if named
        .iter()
        .any(|voter| members.iter().all(|member| member.id != *voter))
    {
        return Err(crate::topology::TopologyError::Voter.into());
    }
    Ok(named.to_vec())
}

/// The hash of a state, 32 hexadecimal digits.
pub(crate) fn hash_text(state: &State) -> String {
    format!("{:032x}", state.hash().0)
}
