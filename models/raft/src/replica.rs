//! A member with a state machine: requests come in, and answers go out when their entries are applied.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes};
use longhaul_core::digest::Digest;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::entry::CommandTag;
use crate::event::Refusal;
use crate::message::Message;
use crate::mistake::Mistake;
use crate::node::{Node, Output, ProposeError, ReadId, StartError};
use crate::request::{Answer, Ask, Origin, Reply, Request};
use crate::session::{Admission, SessionLimits, Sessions};
use crate::stable::{Stable, Write, WriteId};
use crate::{Config, Entry, EntryKind, Event, Index, Term};

/// What the log is for. Equal commands in equal order must lead to equal states and answers, on every machine.
pub trait StateMachine {
    /// Applies a command of a kind and answers it.
    fn apply(&mut self, kind: u8, command: &Bytes) -> Bytes;

    /// Answers a question without a change.
    fn query(&self, query: &Bytes) -> Bytes;

    /// A number that equal states have in common; it should not take long.
    fn digest(&self) -> u64;

    /// Appends the state's bytes.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Replaces the state.
    ///
    /// # Errors
    /// The bytes are no state; the old one stays.
    fn restore(&mut self, snapshot: Bytes) -> Result<(), RestoreError>;
}

/// Bytes that are no snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the snapshot is damaged")]
pub struct RestoreError;

/// What a replica wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub enum ReplicaOutput {
    /// Make this durable and tell with [`Replica::on_persisted`].
    Persist(Write),
    /// Send this to the member that it names.
    Send(Message),
    /// Bring this to where its request came from.
    Answer(Answer),
    /// A command was applied. Repeats are not.
    Applied {
        /// Its place.
        index: Index,
        /// What it was.
        tag: CommandTag,
        /// Its bytes.
        command: Bytes,
    },
    /// A command was not applied, for its session says that it must not be.
    Skipped {
        /// Its place.
        index: Index,
        /// What it was.
        tag: CommandTag,
    },
    /// Something worth telling.
    Event(Event),
}

/// Requests that wait at the member that leads.
#[derive(Debug, Default)]
struct Waiting {
    commands: BTreeMap<Index, (Term, Origin)>,
    reads: BTreeMap<ReadId, (Origin, Bytes)>,
    last_read: u64,
}

/// A [`Node`] with sessions and a state machine. Driven like a node.
#[derive(Debug)]
pub struct Replica<S> {
    node: Node,
    sessions: Sessions,
    limits: SessionLimits,
    machine: S,
    applied: Index,
    waiting: Waiting,
    outputs: VecDeque<ReplicaOutput>,
}

impl<S: StateMachine> Replica<S> {
    /// A member with what survived and a state machine in its first state.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new(
        config: Config,
        limits: SessionLimits,
        stable: &Stable,
        machine: S,
        random: Stream,
        now: Instant,
    ) -> Result<Replica<S>, StartError> {
        Ok(Replica {
            node: Node::new(config, stable, random, now)?,
            sessions: Sessions::new(limits),
            limits,
            machine,
            applied: Index::ZERO,
            waiting: Waiting::default(),
            outputs: VecDeque::new(),
        })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    #[cfg(test)]
    pub(crate) fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// The state machine.
    pub fn machine(&self) -> &S {
        &self.machine
    }

    /// Up to here everything has been applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// A number that replicas have in common that have applied equally much: state machine and sessions.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        digest.mix(self.machine.digest());
        digest.mix(self.sessions.len() as u64);
        digest.value()
    }

    /// A message arrived.
    pub fn on_message(&mut self, now: Instant, message: Message) {
        self.node.on_message(now, message);
        self.run(now);
    }

    /// The time has come that [`Node::wake_at`] named.
    pub fn on_wake(&mut self, now: Instant) {
        self.node.on_wake(now);
        self.run(now);
    }

    /// All writes up to this one are durable.
    pub fn on_persisted(&mut self, now: Instant, write: WriteId) {
        self.node.on_persisted(now, write);
        self.run(now);
    }

    /// See [`Node::suspend`].
    pub fn suspend(&mut self, now: Instant) {
        self.node.suspend(now);
        self.run(now);
    }

    /// See [`Node::resume`].
    pub fn resume(&mut self, now: Instant) {
        self.node.resume(now);
        self.run(now);
    }

    /// A client asks for something. If it cannot be done here, it is answered at once.
    pub fn on_request(&mut self, now: Instant, request: Request) {
        let Request { origin, ask } = request;
        let refused = match ask {
            Ask::Open => self.propose(now, origin, EntryKind::OpenSession, Bytes::new()),
            Ask::Command { tag, data } => self.propose(now, origin, EntryKind::Command(tag), data),
            Ask::Read { query } => self.read(now, origin, query),
        };
        if let Err(error) = refused {
            let reply = match error {
                ProposeError::NotLeader { leader } => Reply::NotLeader { leader },
                ProposeError::Busy => Reply::Busy,
                ProposeError::TooLong { .. } => Reply::TooLong,
            };
            self.answer(origin, reply);
        }
        self.run(now);
    }

    /// What it wants done next.
    pub fn poll(&mut self) -> Option<ReplicaOutput> {
        self.outputs.pop_front()
    }

    fn propose(
        &mut self,
        now: Instant,
        origin: Origin,
        kind: EntryKind,
        data: Bytes,
    ) -> Result<(), ProposeError> {
        let index = self.node.propose(now, kind, data)?;
        let term = self.node.hard_state().term;
        self.waiting.commands.insert(index, (term, origin));
        Ok(())
    }

    fn read(&mut self, now: Instant, origin: Origin, query: Bytes) -> Result<(), ProposeError> {
        let id = ReadId(self.waiting.last_read + 1);
        self.waiting.reads.insert(id, (origin, query));
        match self.node.read(now, id) {
            Ok(()) => self.waiting.last_read = id.0,
            Err(error) => {
                self.waiting.reads.remove(&id);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Does what the node wants done.
    fn run(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.node.poll() {
                self.on_output(now, output);
            }
            if !self.node.wants_snapshot() {
                break;
            }
            let snapshot = self.snapshot();
            self.node.compact(now, snapshot);
        }
    }

    fn on_output(&mut self, now: Instant, output: Output) {
        match output {
            Output::Persist(write) => self.outputs.push_back(ReplicaOutput::Persist(write)),
            Output::Send(message) => self.outputs.push_back(ReplicaOutput::Send(message)),
            Output::Apply(entry) => self.apply(&entry),
            Output::Restore(snapshot) => {
                self.restore(snapshot.data)
                    .expect("a snapshot that this member took or installed before");
                self.applied = snapshot.at.index;
            }
            Output::Offer { from, snapshot } => match self.restore(snapshot.data) {
                Ok(()) => {
                    self.applied = snapshot.at.index;
                    self.node.install(now);
                }
                Err(RestoreError) => {
                    let why = Refusal::SnapshotContent;
                    let event = Event::Refused { from, why };
                    self.outputs.push_back(ReplicaOutput::Event(event));
                }
            },
            Output::ReadReady(id) => {
                if let Some((origin, query)) = self.waiting.reads.remove(&id) {
                    let data = self.machine.query(&query);
                    self.answer(origin, Reply::Done { data });
                }
            }
            Output::ReadFailed(id) => {
                if let Some((origin, _)) = self.waiting.reads.remove(&id) {
                    self.answer_not_leader(origin);
                }
            }
            Output::Event(event) => {
                if matches!(event, Event::SteppedDown { .. }) {
                    // Its entries may be committed or not; sessions make it safe to ask again elsewhere.
                    for (_, origin) in std::mem::take(&mut self.waiting.commands).into_values() {
                        self.answer_not_leader(origin);
                    }
                }
                self.outputs.push_back(ReplicaOutput::Event(event));
            }
        }
    }

    fn apply(&mut self, entry: &Entry) {
        assert!(entry.is_intact(), "the entry at {} is damaged", entry.index);
        assert_eq!(entry.index, self.applied.next(), "entries are applied in order");
        self.applied = entry.index;
        let reply = match entry.kind {
            EntryKind::Noop => None,
            EntryKind::OpenSession => Some(Reply::Opened {
                session: self.sessions.open(entry.index),
            }),
            EntryKind::Command(tag) => Some(self.apply_command(entry, tag)),
        };
        if let Some((term, origin)) = self.waiting.commands.remove(&entry.index) {
            match reply {
                Some(reply) if term == entry.term => self.answer(origin, reply),
                _ => self.answer_not_leader(origin),
            }
        }
    }

    fn apply_command(&mut self, entry: &Entry, tag: CommandTag) -> Reply {
        let mut admission = self.sessions.admit(entry.index, &tag);
        if matches!(admission, Admission::Repeat(_)) && self.node.mistakes.include(Mistake::AppliesRepeats) {
            admission = Admission::Fresh;
        }
        if admission == Admission::Fresh {
            let data = self.machine.apply(tag.kind, &entry.data);
            self.sessions.note(&tag, &data);
            self.outputs.push_back(ReplicaOutput::Applied {
                index: entry.index,
                tag,
                command: entry.data.clone(),
            });
            return Reply::Done { data };
        }
        self.outputs.push_back(ReplicaOutput::Skipped {
            index: entry.index,
            tag,
        });
        match admission {
            Admission::Repeat(data) => Reply::Done { data },
            Admission::TooFarAhead => Reply::Busy,
            Admission::Fresh | Admission::Forgotten | Admission::Expired => Reply::Expired,
        }
    }

    fn answer_not_leader(&mut self, origin: Origin) {
        let leader = self.node.leader();
        self.answer(origin, Reply::NotLeader { leader });
    }

    fn answer(&mut self, to: Origin, reply: Reply) {
        self.outputs
            .push_back(ReplicaOutput::Answer(Answer { to, reply }));
    }

    fn snapshot(&self) -> Bytes {
        let mut out = Vec::new();
        if self.node.mistakes.include(Mistake::ForgetsSessions) {
            out.put_u64(0);
        } else {
            self.sessions.encode(&mut out);
        }
        self.machine.snapshot(&mut out);
        out.into()
    }

    fn restore(&mut self, mut snapshot: Bytes) -> Result<(), RestoreError> {
        let sessions = Sessions::take(self.limits, &mut snapshot).map_err(|_| RestoreError)?;
        self.machine.restore(snapshot)?;
        self.sessions = sessions;
        Ok(())
    }
}
