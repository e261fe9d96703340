//! The consensus machine of one member: its doors, and what is common to all roles.

mod append;
mod election;
mod install;
mod leader;
mod output;
mod progress;
mod reads;
mod replication;
mod writes;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use self::install::Incoming;
use self::leader::Leader;
pub use self::output::{Output, ProposeError, ReadId, Role, StartError};
use self::writes::Writes;
use crate::entry::ENTRY_HEADER_BYTES;
use crate::event::{Refusal, SteppedDown};
use crate::log::{Log, Mark};
use crate::message::{Body, Message};
use crate::mistake::Mistakes;
use crate::stable::{HardState, Snapshot, Stable, WriteId};
use crate::{Config, EntryKind, Event, Index, LIMIT, NodeId, Term};

#[derive(Debug)]
enum State {
    Follower,
    Candidate(Campaign),
    Leader(Box<Leader>),
}

/// An attempt to be elected.
#[derive(Debug)]
struct Campaign {
    pre_vote: bool,
    granted: BTreeSet<NodeId>,
    /// With this write its own vote counts.
    own_vote: WriteId,
}

/// A member of the group. See the [crate] documentation.
#[derive(Debug)]
pub struct Node {
    config: Config,
    random: Stream,
    now: Instant,
    hard: HardState,
    log: Log,
    snapshot: Option<Snapshot>,
    state: State,
    leader: Option<NodeId>,
    /// When it last heard from a leader whose term was its own.
    leader_contact: Option<Instant>,
    election_due: Instant,
    commit: Index,
    /// Up to here entries were handed out.
    delivered: Index,
    writes: Writes,
    /// Messages that may not leave before a write is durable.
    guarded: VecDeque<(WriteId, Message)>,
    incoming: Option<Incoming>,
    /// A whole snapshot that nobody has taken yet, with the round to answer to its leader.
    offered: Option<(NodeId, u64, Snapshot)>,
    /// Its disk takes nothing for the time being.
    suspended: bool,
    outputs: VecDeque<Output>,
    pub(crate) mistakes: Mistakes,
}

impl Node {
    /// A member with what survived; on its first start that is nothing. If there is a snapshot, its first output is to
    /// restore it.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new(config: Config, stable: &Stable, random: Stream, now: Instant) -> Result<Node, StartError> {
        config.check()?;
        stable.check()?;
        let restored = stable.snapshot_mark();
        let mut node = Node {
            random,
            now,
            hard: stable.hard_state,
            log: stable.log.clone(),
            snapshot: stable.snapshot.clone(),
            state: State::Follower,
            leader: None,
            // Before a crash it may have promised a leader not to vote (see `Config::lease`).
            leader_contact: config.lease.map(|_| now),
            election_due: now,
            commit: restored.index,
            delivered: restored.index,
            writes: Writes::all_durable(stable.log.last().index),
            guarded: VecDeque::new(),
            incoming: None,
            offered: None,
            suspended: false,
            outputs: VecDeque::new(),
            mistakes: Mistakes::default(),
            config,
        };
        node.postpone_election();
        let snapshot = stable.snapshot.iter().cloned();
        node.outputs.extend(snapshot.map(Output::Restore));
        Ok(node)
    }

    /// How it works.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its term and vote, durable or about to be.
    pub fn hard_state(&self) -> HardState {
        self.hard
    }

    /// What it is.
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// Who leads, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Up to here it knows entries to be committed.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Up to here it has handed out entries.
    pub fn delivered(&self) -> Index {
        self.delivered
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A message arrived.
    pub fn on_message(&mut self, now: Instant, message: Message) {
        self.advance(now);
        let from = message.from;
        if message.to != self.config.id || from == self.config.id || !self.config.voters.contains(&from) {
            self.refuse(from, Refusal::Stranger);
        } else {
            self.receive(message);
        }
        self.finish();
    }

    /// The time that [`Node::wake_at`] named has come, or some other.
    pub fn on_wake(&mut self, now: Instant) {
        self.advance(now);
        if matches!(self.state, State::Leader(_)) {
            self.lead_on();
        } else if now >= self.election_due {
            if self.suspended {
                self.postpone_election();
            } else {
                self.campaign();
            }
        }
        self.finish();
    }

    /// Its disk takes nothing for the time being. A leader without a disk would commit with the others and never answer:
    /// it steps down at once, and until [`Node::resume`] this member neither tries to be elected nor says that it would
    /// vote. What it has decided stays on its way to the disk, and what depends on that stays with it.
    pub fn suspend(&mut self, now: Instant) {
        self.advance(now);
        self.suspended = true;
        match self.state {
            State::Leader(_) => {
                self.step_down(SteppedDown::NoDisk);
                self.state = State::Follower;
                self.leader = None;
            }
            State::Candidate(_) => self.state = State::Follower,
            State::Follower => {}
        }
        self.finish();
    }

    /// Its disk works again.
    pub fn resume(&mut self, now: Instant) {
        self.advance(now);
        self.suspended = false;
        self.finish();
    }

    /// All writes up to this one are durable.
    ///
    /// # Panics
    /// If there was no such write.
    pub fn on_persisted(&mut self, now: Instant, write: WriteId) {
        self.advance(now);
        self.writes.on_durable(write);
        match &mut self.state {
            State::Follower => {}
            State::Candidate(campaign) => {
                if !campaign.pre_vote && write >= campaign.own_vote {
                    campaign.granted.insert(self.config.id);
                    self.count_votes();
                }
            }
            State::Leader(_) => self.find_committed(),
        }
        self.deliver();
        self.finish();
    }

    /// Adds an entry to the log, as a leader. It is applied when it is committed; if it never is, because another leader
    /// replaces it, nobody says so: sessions make it safe to try again.
    ///
    /// # Errors
    /// [`ProposeError`]
    pub fn propose(&mut self, now: Instant, kind: EntryKind, data: Bytes) -> Result<Index, ProposeError> {
        self.advance(now);
        let bytes = data.len() as u64;
        if bytes > self.config.max_command_bytes {
            return Err(ProposeError::TooLong { bytes });
        }
        let leader = self.leader;
        let State::Leader(state) = &mut self.state else {
            return Err(ProposeError::NotLeader { leader });
        };
        let room = self
            .config
            .uncommitted_bytes
            .saturating_sub(state.uncommitted_bytes);
        if room < bytes + ENTRY_HEADER_BYTES || self.log.last().index.0 + 1 >= LIMIT {
            return Err(ProposeError::Busy);
        }
        let index = self.append_own(kind, data);
        self.finish();
        Ok(index)
    }

    /// The state after the last entry that was handed out: everything before it need not be kept, but for the last
    /// [`Config::snapshot_keep`] entries. Does nothing if nothing was applied since the last snapshot.
    ///
    /// # Panics
    /// If there are no bytes: what is sent in pieces has some.
    pub fn compact(&mut self, now: Instant, data: Bytes) {
        assert!(!data.is_empty(), "a snapshot without a byte");
        self.advance(now);
        let Some(at) = self
            .log
            .mark(self.delivered)
            .filter(|at| at.index > self.snapshot_mark().index)
        else {
            return;
        };
        let keep = at.index.0.saturating_sub(self.config.snapshot_keep);
        let to = Index(keep).max(self.log.base().index);
        let bytes = data.len() as u64;
        self.replace_snapshot(Snapshot { at, data });
        self.compact_log(to);
        self.event(Event::Compacted {
            index: at.index,
            bytes,
        });
        self.finish();
    }

    /// Whether a snapshot is due.
    pub fn wants_snapshot(&self) -> bool {
        self.delivered - self.snapshot_mark().index >= self.config.snapshot_after
    }

    /// What it wants done next.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let durable = self.writes.durable();
        self.guarded
            .pop_front_if(|(write, _)| *write <= durable)
            .map(|(_, message)| Output::Send(message))
    }

    /// When it wants to be woken, and why.
    pub fn wake_at(&self) -> (Instant, &'static str) {
        match &self.state {
            State::Leader(leader) => leader.wake_at(),
            State::Follower | State::Candidate(_) => (self.election_due, "election"),
        }
    }

    fn advance(&mut self, now: Instant) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
    }

    /// Ends each call from outside: what was changed goes to the disk in one write.
    fn finish(&mut self) {
        while let Some(write) = self.writes.take() {
            self.outputs.push_back(Output::Persist(write));
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn refuse(&mut self, from: NodeId, why: Refusal) {
        self.event(Event::Refused { from, why });
    }

    fn message(&self, to: NodeId, body: Body) -> Message {
        Message {
            from: self.config.id,
            to,
            term: self.hard.term,
            body,
        }
    }

    /// Sends at once: the message does not depend on what is being written.
    fn send(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, body);
        self.outputs.push_back(Output::Send(message));
    }

    /// Sends when all that has been decided so far is durable.
    fn send_when_durable(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, body);
        if self
            .mistakes
            .include(crate::mistake::Mistake::AnswersBeforeWriting)
        {
            self.outputs.push_back(Output::Send(message));
        } else {
            self.guarded.push_back((self.writes.newest(), message));
        }
    }

    /// Whatever term a message brings, then what it says.
    fn receive(&mut self, message: Message) {
        let Message { from, term, body, .. } = message;
        match &body {
            // These two ask about a term that nobody is in yet.
            Body::PreVote(candidacy) => return self.on_pre_vote(from, term, *candidacy),
            Body::PreVoteAnswer { granted: true } => return self.on_pre_vote_granted(from, term),
            // Who hears from a leader does not help to replace it (thesis 4.2.3).
            Body::Vote(_) if self.config.check_quorum && self.has_leader() => return,
            _ => {}
        }
        if term > self.hard.term {
            self.follow(term, None);
        }
        if term < self.hard.term {
            return self.answer_late(from, body);
        }
        match body {
            Body::PreVote(_) | Body::PreVoteAnswer { .. } => {}
            Body::Vote(candidacy) => self.on_vote(from, candidacy),
            Body::VoteAnswer { granted } => self.on_vote_answer(from, granted),
            Body::Append(append) => {
                if self.accept_leader(from) {
                    self.on_append(from, append);
                }
            }
            Body::Snapshot(chunk) => {
                if self.accept_leader(from) {
                    self.on_chunk(from, &chunk);
                }
            }
            Body::AppendAnswer(answer) => self.on_append_answer(from, answer),
            Body::SnapshotAnswer { index, received } => self.on_snapshot_answer(from, index, received),
        }
    }

    /// Lets somebody who is in an earlier term know of the newer one.
    fn answer_late(&mut self, from: NodeId, body: Body) {
        match body {
            Body::Vote(_) => self.send_when_durable(from, Body::VoteAnswer { granted: false }),
            Body::Append(append) => self.refuse_append(from, append.round, append.previous),
            Body::Snapshot(chunk) => self.refuse_append(from, chunk.round, Index::ZERO),
            _ => {}
        }
    }

    /// Becomes a follower in a term, which may be a new one.
    fn follow(&mut self, term: Term, leader: Option<NodeId>) {
        if matches!(self.state, State::Leader(_)) {
            let why = if term > self.hard.term {
                SteppedDown::LaterTerm
            } else {
                SteppedDown::LostQuorum
            };
            self.step_down(why);
        }
        if term > self.hard.term {
            self.hard = HardState { term, vote: None };
            self.writes.stage_hard_state(self.hard);
        }
        self.state = State::Follower;
        self.leader = leader;
        self.incoming = self.incoming.take().filter(|incoming| incoming.term() == term);
    }

    /// The snapshot's place.
    fn snapshot_mark(&self) -> Mark {
        self.snapshot
            .as_ref()
            .map_or(Mark::default(), |snapshot| snapshot.at)
    }

    fn replace_snapshot(&mut self, snapshot: Snapshot) {
        self.writes.stage_snapshot(snapshot.clone());
        self.snapshot = Some(snapshot);
    }

    fn compact_log(&mut self, to: Index) {
        self.log.compact(to);
        self.writes.stage_compaction(to);
    }

    /// Hands out what is committed and durable.
    fn deliver(&mut self) {
        let until = self.commit.min(self.writes.durable_index());
        while self.delivered < until {
            self.delivered = self.delivered.next();
            let entry = self.log.get(self.delivered);
            let entry = entry.expect("entries stay until they are delivered").clone();
            self.outputs.push_back(Output::Apply(entry));
        }
        self.finish_reads();
    }
}
