//! The part of a cluster in the log in common: its replica with a disk that takes time, and its client.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use longhaul_core::disk::DiskCondition;
use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_raft as raft;
use longhaul_raft::client::{ClientConfig, ClientError, ClientOutput, Ticket};
use longhaul_raft::disk::Disk;
use longhaul_raft::history::Timed;
use longhaul_raft::message::Body;
use longhaul_raft::replica::ReplicaOutput;
use longhaul_raft::request::{Answer, Request};
use longhaul_raft::session::SessionLimits;
use longhaul_raft::stable::WriteId;
use longhaul_raft::{Client, Message, Replica};

use crate::registry::{Call, PUT, Registry, print_of, put, query};
use crate::statistics::ConsensusStatistics;
use crate::{ClusterId, ConsensusOptions, Options};

/// Calls whose history is kept; later ones are not looked at.
const MAX_HISTORY: usize = 200_000;

/// What is to be brought to another cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Parcel {
    /// `asks` says whether its receiver must answer.
    Message {
        bytes: Bytes,
        asks: bool,
    },
    Request(Bytes),
    Answer(Bytes),
}

/// What consensus wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ConsensusOutput {
    Send { to: ClusterId, parcel: Parcel },
    Event(raft::Event),
    Failed(ClientError),
}

/// The calls of one cluster's client, by name.
pub type History = Vec<(String, Timed<Call>)>;

pub(crate) struct Consensus {
    id: ClusterId,
    replica: Option<Replica<Registry>>,
    disk: Disk,
    disk_sync: Span,
    condition: DiskCondition,
    /// A write that was due has failed.
    disk_failed: bool,
    syncing: Option<(Instant, WriteId)>,
    client: Client,
    under_way: BTreeMap<Ticket, (Instant, Option<usize>)>,
    history: History,
    outputs: VecDeque<ConsensusOutput>,
    statistics: ConsensusStatistics,
}

/// The clients' sessions; all voters have the same limits.
const SESSIONS: SessionLimits = SessionLimits {
    sessions: 1_024,
    window: 1_024,
};

impl Consensus {
    /// The part of cluster `id`; it votes if it is one of `voters`.
    pub fn new(
        options: &Options,
        consensus: &ConsensusOptions,
        id: ClusterId,
        voters: &[ClusterId],
        disk: Disk,
        random: Stream,
        now: Instant,
    ) -> Result<Consensus, raft::ConfigError> {
        let replica = if voters.contains(&id) {
            let config = options.raft_config(consensus, id, voters);
            let registry = Registry::default();
            match Replica::new(config, SESSIONS, disk.stable(), registry, random, now) {
                Ok(replica) => Some(replica),
                Err(raft::node::StartError::Config(error)) => return Err(error),
                Err(raft::node::StartError::Stable(error)) => panic!("the disk of {id}: {error}"),
            }
        } else {
            // The rules of the log hold whoever looks at them.
            let first = *voters.first().ok_or(raft::ConfigError::Voters)?;
            options.raft_config(consensus, first, voters).check()?;
            None
        };
        let client = Client::new(ClientConfig {
            home: id,
            client: 0,
            members: voters.to_vec(),
            patience: consensus.election_timeout,
            give_up: Some(consensus.timeout),
            window: 512,
            room: 10_000,
        });
        let mut new = Consensus {
            id,
            replica,
            disk,
            disk_sync: consensus.disk_sync,
            condition: DiskCondition::default(),
            disk_failed: false,
            syncing: None,
            client,
            under_way: BTreeMap::new(),
            history: History::new(),
            outputs: VecDeque::new(),
            statistics: ConsensusStatistics::default(),
        };
        new.pump(now);
        Ok(new)
    }

    pub fn replica(&self) -> Option<&Replica<Registry>> {
        self.replica.as_ref()
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn statistics(&self) -> ConsensusStatistics {
        ConsensusStatistics {
            retries: self.client.retries(),
            unanswered: self.unanswered() as u64,
            registry: self.replica.as_ref().map(Replica::digest),
            ..self.statistics.clone()
        }
    }

    /// Commands and reads without an answer.
    pub fn unanswered(&self) -> usize {
        self.client.unanswered()
    }

    /// What is on the disk when the machine stops now.
    pub fn into_disk(mut self) -> Disk {
        self.disk.crash(0);
        self.disk
    }

    /// How well the disk does from now on. A write under way goes on at the new speed; without space none does, and the
    /// member stands still until there is some.
    pub fn set_disk(&mut self, now: Instant, condition: DiskCondition) {
        let before = std::mem::replace(&mut self.condition, condition);
        if let Some((due, _)) = &mut self.syncing {
            *due = now.saturating_add(before.rescaled(due.saturating_since(now), condition));
        }
        if condition.is_out_of_space() {
            self.syncing = None;
        }
        if let Some(replica) = &mut self.replica {
            match (before.is_out_of_space(), condition.is_out_of_space()) {
                (false, true) => replica.suspend(now),
                (true, false) => replica.resume(now),
                _ => {}
            }
        }
        self.pump(now);
    }

    /// Whether a write has failed: nothing that was not durable may ever be taken for durable.
    pub fn has_disk_failed(&self) -> bool {
        self.disk_failed
    }

    /// A client of this cluster sets a value.
    pub fn propose(&mut self, now: Instant, name: &str, value: &[u8]) {
        let call = Call {
            put: Some(print_of(Some(value))),
            answer: None,
        };
        let given = self.client.command(now, PUT, put(name, value));
        self.given(now, name, call, given);
    }

    /// A client of this cluster asks for a value.
    pub fn read(&mut self, now: Instant, name: &str) {
        let call = Call {
            put: None,
            answer: None,
        };
        let given = self.client.read(now, query(name));
        self.given(now, name, call, given);
    }

    fn given(&mut self, now: Instant, name: &str, call: Call, ticket: Result<Ticket, ClientError>) {
        self.statistics.proposals += u64::from(call.put.is_some());
        self.statistics.reads += u64::from(call.put.is_none());
        match ticket {
            Ok(ticket) => {
                let place = (self.history.len() < MAX_HISTORY).then(|| {
                    let timed = Timed {
                        called: now,
                        returned: None,
                        call,
                    };
                    self.history.push((name.to_owned(), timed));
                    self.history.len() - 1
                });
                self.under_way.insert(ticket, (now, place));
            }
            Err(error) => {
                self.statistics.failed += 1;
                self.outputs.push_back(ConsensusOutput::Failed(error));
            }
        }
        self.pump(now);
    }

    /// Something of the log arrived from another cluster. Whether it made sense.
    pub fn on_parcel(&mut self, now: Instant, parcel: &Parcel) -> Result<(), raft::wire::WireError> {
        match parcel {
            Parcel::Message { bytes, .. } => {
                let message = Message::parse(bytes)?;
                if let Some(replica) = &mut self.replica {
                    replica.on_message(now, message);
                }
            }
            Parcel::Request(bytes) => {
                let request = Request::parse(bytes)?;
                if let Some(replica) = &mut self.replica {
                    replica.on_request(now, request);
                }
            }
            Parcel::Answer(bytes) => self.client.on_answer(now, Answer::parse(bytes)?),
        }
        self.pump(now);
        Ok(())
    }

    pub fn on_wake(&mut self, now: Instant) {
        if let Some((_, write)) = self.syncing.take_if(|(due, _)| *due <= now) {
            if self.condition.failed {
                self.disk_failed = true;
                return;
            }
            while self.disk.oldest_pending().is_some_and(|oldest| oldest <= write) {
                self.disk.sync_one();
            }
            if let Some(replica) = &mut self.replica {
                replica.on_persisted(now, write);
            }
        }
        if let Some(replica) = &mut self.replica
            && replica.node().wake_at().0 <= now
        {
            replica.on_wake(now);
        }
        if self.client.wake_at().is_some_and(|at| at <= now) {
            self.client.on_wake(now);
        }
        self.pump(now);
    }

    pub fn wake_at(&self) -> Option<(Instant, &'static str)> {
        let disk = self.syncing.map(|(due, _)| (due, "disk"));
        let replica = self.replica.as_ref().map(|replica| replica.node().wake_at());
        let client = self.client.wake_at().map(|at| (at, "client"));
        [disk, replica, client]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    pub fn poll(&mut self) -> Option<ConsensusOutput> {
        self.outputs.pop_front()
    }

    /// Does what replica and client want done, until both are silent.
    fn pump(&mut self, now: Instant) {
        loop {
            if let Some(output) = self.replica.as_mut().and_then(Replica::poll) {
                self.on_replica(now, output);
            } else if let Some(output) = self.client.poll() {
                self.on_client(now, output);
            } else {
                break;
            }
        }
        if self.syncing.is_none()
            && !self.condition.is_out_of_space()
            && let Some(newest) = self.disk.newest_pending()
        {
            // Everything that is pending now shares one synchronisation.
            let takes = self.condition.takes(self.disk_sync);
            self.syncing = Some((now.saturating_add(takes), newest));
        }
    }

    fn on_replica(&mut self, now: Instant, output: ReplicaOutput) {
        match output {
            ReplicaOutput::Persist(write) => self.disk.push(write),
            ReplicaOutput::Send(message) => {
                let asks = matches!(
                    message.body,
                    Body::PreVote(_) | Body::Vote(_) | Body::Append(_) | Body::Snapshot(_)
                );
                let parcel = Parcel::Message {
                    bytes: message.to_bytes(),
                    asks,
                };
                let to = message.to;
                self.outputs.push_back(ConsensusOutput::Send { to, parcel });
            }
            ReplicaOutput::Answer(answer) if answer.to.node == self.id => self.client.on_answer(now, answer),
            ReplicaOutput::Answer(answer) => {
                let parcel = Parcel::Answer(answer.to_bytes());
                let to = answer.to.node;
                self.outputs.push_back(ConsensusOutput::Send { to, parcel });
            }
            ReplicaOutput::Applied { .. } => self.statistics.applied += 1,
            ReplicaOutput::Skipped { .. } => self.statistics.repeats += 1,
            ReplicaOutput::Event(event) => self.on_event(event),
        }
    }

    fn on_event(&mut self, event: raft::Event) {
        let statistics = &mut self.statistics;
        match &event {
            raft::Event::Campaigns { pre_vote: false, .. } => statistics.elections += 1,
            raft::Event::Leads { .. } => statistics.terms_led += 1,
            raft::Event::Restored { .. } => statistics.snapshots_installed += 1,
            raft::Event::NotAcknowledged(_) => statistics.not_acknowledged += 1,
            _ => {}
        }
        self.outputs.push_back(ConsensusOutput::Event(event));
    }

    fn on_client(&mut self, now: Instant, output: ClientOutput) {
        match output {
            ClientOutput::Send { to, request } if to == self.id => {
                if let Some(replica) = &mut self.replica {
                    replica.on_request(now, request);
                }
            }
            ClientOutput::Send { to, request } => {
                let parcel = Parcel::Request(request.to_bytes());
                self.outputs.push_back(ConsensusOutput::Send { to, parcel });
            }
            ClientOutput::Done { ticket, mut data } => {
                let Some((given, place)) = self.under_way.remove(&ticket) else {
                    return;
                };
                let latency = now.saturating_since(given);
                let is_read = place.is_some_and(|place| self.history[place].1.call.put.is_none());
                if is_read {
                    self.statistics.read_latency.add(latency);
                } else {
                    self.statistics.commit_latency.add(latency);
                    self.statistics.committed += 1;
                }
                if let Some(place) = place {
                    let timed = &mut self.history[place].1;
                    timed.returned = Some(now);
                    timed.call.answer = data.try_get_u64().ok();
                }
            }
            ClientOutput::Failed { ticket, error } => {
                self.under_way.remove(&ticket);
                self.statistics.failed += 1;
                self.outputs.push_back(ConsensusOutput::Failed(error));
            }
        }
    }
}
