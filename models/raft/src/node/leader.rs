//! Leading: the rhythm of heartbeats, what is committed, and who is silent.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use super::progress::Progress;
use super::{Node, ReadId, State};
use crate::event::{NotAcknowledged, SteppedDown};
use crate::mistake::Mistake;
use crate::{Entry, EntryKind, Event, Index, NodeId};

/// Batches that are watched for being acknowledged by all. Later ones are watched when there is room again.
const MAX_WATCHED: usize = 1_024;

/// What only a leader has.
#[derive(Debug)]
pub(super) struct Leader {
    pub followers: BTreeMap<NodeId, Progress>,
    /// Entries from here on wait for their batch, until then at the latest.
    pub batch: Option<(Index, Instant)>,
    pub uncommitted_bytes: u64,
    pub heartbeat_due: Instant,
    quorum_due: Option<Instant>,
    /// The last entries of batches that not all have acknowledged, and when each was sent.
    watched: VecDeque<(Index, Instant)>,
    /// The last round of heartbeats.
    pub round: u64,
    /// Rounds since the last one that a quorum has answered, and when each began.
    pub rounds: VecDeque<(u64, Instant)>,
    /// When the last round that a quorum has answered began.
    pub confirmed: Option<(u64, Instant)>,
    /// Reads that wait for a round to begin, and when it will.
    pub new_reads: Vec<ReadId>,
    pub reads_due: Option<Instant>,
    /// Reads that wait for a round to be answered or for entries to be applied.
    pub reads: VecDeque<super::reads::Read>,
    acknowledgement_timeout: Span,
}

impl Leader {
    pub fn wake_at(&self) -> (Instant, &'static str) {
        let batch = self.batch.map(|(_, due)| (due, "batch"));
        let reads = self.reads_due.map(|due| (due, "reads"));
        let quorum = self.quorum_due.map(|due| (due, "quorum"));
        let watched = self.watched.front();
        let silent = watched.map(|(_, since)| (*since + self.acknowledgement_timeout, "acknowledgement"));
        [batch, reads, quorum, silent].into_iter().flatten().fold(
            (self.heartbeat_due, "heartbeat"),
            |first, other| {
                if other.0 < first.0 { other } else { first }
            },
        )
    }
}

impl Node {
    /// It was elected.
    pub(super) fn lead(&mut self) {
        let term = self.hard.term;
        let next = self.log.last().index.next();
        let followers = self
            .peers()
            .into_iter()
            .map(|peer| (peer, Progress::new(next, self.now)));
        self.state = State::Leader(Box::new(Leader {
            followers: followers.collect(),
            batch: None,
            uncommitted_bytes: 0,
            heartbeat_due: self.now + self.config.heartbeat,
            quorum_due: self
                .config
                .check_quorum
                .then(|| self.now + self.config.election_timeout),
            watched: VecDeque::new(),
            round: 0,
            rounds: VecDeque::new(),
            confirmed: None,
            new_reads: Vec::new(),
            reads_due: None,
            reads: VecDeque::new(),
            acknowledgement_timeout: self.config.acknowledgement_timeout,
        }));
        self.leader = Some(self.config.id);
        self.incoming = None;
        self.event(Event::Leads { term });
        // Entries of earlier terms are committed by one of this term (paper, section 5.4.2; thesis 6.4 for reads).
        self.begin_round();
        self.append_own(EntryKind::Noop, Bytes::new());
        self.flush_batch();
    }

    /// It leads no longer; the caller makes it a follower.
    pub(super) fn step_down(&mut self, why: SteppedDown) {
        // What is in the log in memory must be on its way to the disk.
        self.flush_batch();
        let term = self.hard.term;
        self.event(Event::SteppedDown { term, why });
        self.fail_reads();
        self.postpone_election();
    }

    /// Does what has become due.
    pub(super) fn lead_on(&mut self) {
        let now = self.now;
        let next_look = now + self.config.election_timeout;
        let Some(leader) = self.leading() else { return };
        if leader.quorum_due.is_some_and(|due| due <= now) {
            leader.quorum_due = Some(next_look);
            if !self.hears_quorum() {
                self.follow(self.hard.term, None);
                return;
            }
        }
        let Some(leader) = self.leading() else { return };
        if leader.batch.is_some_and(|(_, due)| due <= now) {
            self.flush_batch();
        }
        self.begin_due_reads();
        let Some(leader) = self.leading() else { return };
        if leader.heartbeat_due <= now {
            self.send_heartbeats();
        }
        self.name_the_silent();
    }

    pub(super) fn leading(&mut self) -> Option<&mut Leader> {
        match &mut self.state {
            State::Leader(leader) => Some(leader),
            State::Follower | State::Candidate(_) => None,
        }
    }

    /// Adds an entry of its own to the log; it leaves with its batch.
    pub(super) fn append_own(&mut self, kind: EntryKind, data: Bytes) -> Index {
        let entry = Entry::new(self.hard.term, self.log.last().index.next(), kind, data);
        let index = entry.index;
        let due = self.now + self.config.batch_interval;
        let full = self.config.batch_entries as u64;
        let leader = self.leading().expect("only a leader appends");
        leader.uncommitted_bytes += entry.encoded_len();
        let (first, _) = *leader.batch.get_or_insert((index, due));
        self.log.append(entry);
        if index.next() - first >= full || self.config.batch_interval == Span::ZERO {
            self.flush_batch();
        }
        index
    }

    /// The batch goes to the disk and to all followers.
    pub(super) fn flush_batch(&mut self) {
        let now = self.now;
        let last = self.log.last().index;
        let Some(leader) = self.leading() else { return };
        let Some((first, _)) = leader.batch.take() else {
            return;
        };
        if leader.watched.len() < MAX_WATCHED && !leader.followers.is_empty() {
            leader.watched.push_back((last, now));
        }
        let entries = self.log.slice(first, last, usize::MAX, u64::MAX);
        self.writes.stage_entries(entries);
        self.supply_all(false);
    }

    fn send_heartbeats(&mut self) {
        self.begin_round();
        let due = self.now + self.config.heartbeat;
        if let Some(leader) = self.leading() {
            leader.heartbeat_due = due;
        }
        self.supply_all(true);
    }

    /// What a quorum has, and has it durably, is committed; but only an entry of this term says so, and those before
    /// it are committed with it (paper, section 5.4.2).
    pub(super) fn find_committed(&mut self) {
        let quorum = self.config.quorum();
        let own = self.writes.durable_index();
        let State::Leader(leader) = &self.state else {
            return;
        };
        let mut matched: Vec<Index> = leader.followers.values().map(|f| f.matched).collect();
        matched.push(own);
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let mut index = matched[quorum - 1];
        if self.mistakes.include(Mistake::CommitsAlone) {
            index = matched[0];
        }
        let of_this_term = self.log.term(index) == Some(self.hard.term)
            || self.mistakes.include(Mistake::CommitsEarlierTerms);
        if index <= self.commit || !of_this_term {
            return;
        }
        let committed = self.log.slice(self.commit.next(), index, usize::MAX, u64::MAX);
        let bytes: u64 = committed.iter().map(Entry::encoded_len).sum();
        self.commit = index;
        self.event(Event::Committed { index });
        if let Some(leader) = self.leading() {
            // Entries of earlier leaders were never counted.
            leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(bytes);
        }
        self.deliver();
        // Followers learn of it with the next entries, or now.
        self.supply_all(true);
    }

    /// Whether a quorum has answered within an election timeout.
    fn hears_quorum(&self) -> bool {
        let State::Leader(leader) = &self.state else {
            return false;
        };
        let recent =
            |progress: &&Progress| self.now.saturating_since(progress.heard) < self.config.election_timeout;
        1 + leader.followers.values().filter(recent).count() >= self.config.quorum()
    }

    /// A follower has answered, whatever it says.
    pub(super) fn note_answer(&mut self, from: NodeId) {
        let now = self.now;
        let Some(leader) = self.leading() else { return };
        let Some(progress) = leader.followers.get_mut(&from) else {
            return;
        };
        progress.heard = now;
        if std::mem::take(&mut progress.named) {
            self.event(Event::Answers { member: from });
        }
    }

    /// Drops batches that all have from those that are watched.
    pub(super) fn unwatch(&mut self) {
        let Some(leader) = self.leading() else { return };
        let least = leader.followers.values().map(|f| f.matched).min();
        while leader
            .watched
            .pop_front_if(|(index, _)| least.is_some_and(|least| *index <= least))
            .is_some()
        {}
    }

    /// Reports members that have not acknowledged a batch in time, each once until it is heard again.
    fn name_the_silent(&mut self) {
        let (now, after, commit) = (self.now, self.config.acknowledgement_timeout, self.commit);
        let Some(leader) = self.leading() else { return };
        let mut overdue = None;
        while let Some((index, _)) = leader.watched.pop_front_if(|(_, since)| *since + after <= now) {
            overdue = Some(index);
        }
        let Some(index) = overdue else { return };
        let behind = leader.followers.iter_mut().filter(|(_, f)| f.matched < index);
        let mut silent = Vec::new();
        let mut news = false;
        for (id, progress) in behind {
            silent.push(*id);
            news |= !std::mem::replace(&mut progress.named, true);
        }
        if news {
            self.event(Event::NotAcknowledged(NotAcknowledged {
                index,
                committed: index <= commit,
                silent,
                after,
            }));
        }
    }
}
