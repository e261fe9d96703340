//! The safety properties of Raft (paper, figure 3), checked while a run goes on.
//!
//! | property | what is checked |
//! | --- | --- |
//! | election safety | no two leaders in a term; no member votes for two in a term |
//! | leader append-only, log matching | equal index and term mean equal entries up to there |
//! | leader completeness | a leader has everything that was committed in earlier terms |
//! | state machine safety | what one member holds for committed, all hold for committed; equal states after equally much |
//! | commitment | a leader finds entries committed by one of its own term, and what is committed is on the disks of a quorum |
//!
//! The checker sees members from outside and all at once, which nobody in the system can. It stands in the crate and not
//! with its tests so that simulations check every run with it.

use std::collections::BTreeMap;

use crate::log::{Log, Mark};
use crate::message::{Body, Message};
use crate::node::{Node, Role};
use crate::stable::Stable;
use crate::{Index, NodeId, Term};

/// A broken property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// Two leaders in a term.
    #[error("{0} and {1} both lead term {2}")]
    TwoLeaders(NodeId, NodeId, Term),
    /// Two votes in a term.
    #[error("{0} voted for {1} and for {2} in term {3}")]
    TwoVotes(NodeId, NodeId, NodeId, Term),
    /// A member that has forgotten in which term it was.
    #[error("{0} went from term {1} back to term {2}")]
    TermBack(NodeId, Term, Term),
    /// Logs with equal index and term, and different entries up to there.
    #[error("the log of {0} at {1} has the term of another log, and other entries")]
    LogMatching(NodeId, Index),
    /// A leader without something that was committed.
    #[error("{0} leads term {1} without entry {2}, which was committed in an earlier term")]
    Incomplete(NodeId, Term, Index),
    /// Something else is committed at an index.
    #[error("{0} holds something else for committed at {1}")]
    CommittedTwice(NodeId, Index),
    /// A leader that took entries of an earlier term for committed by themselves (paper, section 5.4.2).
    #[error("{0} leads term {1} and takes entry {2} for committed without one of its own term")]
    EarlierTerm(NodeId, Term, Index),
    /// A member holds less for committed than before.
    #[error("what {0} holds for committed went from {1} back to {2}")]
    CommitBack(NodeId, Index, Index),
    /// A committed entry is on too few disks.
    #[error("entry {0} is committed and on {1} disks, fewer than a quorum")]
    NotDurable(Index, usize),
    /// Equal logs and different states.
    #[error("the state of {0} after entry {1} differs from that of another member")]
    StatesDiffer(NodeId, Index),
}

/// What is remembered of a member.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    term: Term,
    /// The highest term that it has told others that it is in.
    told: Term,
    commit: Index,
    base: Index,
    /// The end of its log when it was last looked at.
    last: Mark,
    states_until: Index,
}

/// An index at which something was committed.
#[derive(Clone, Copy, Debug)]
struct Committed {
    mark: Mark,
    /// It was committed in this term or an earlier one.
    by: Term,
}

/// Watches a group. Show it every member after every step ([`Checker::observe`]), every message that is sent and every
/// crash.
#[derive(Clone, Debug)]
pub struct Checker {
    quorum: usize,
    seen: BTreeMap<NodeId, Seen>,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(Term, NodeId), NodeId>,
    places: BTreeMap<(Index, Term), u64>,
    committed: BTreeMap<Index, Committed>,
    last_committed: Option<Committed>,
    states: BTreeMap<Index, u64>,
    observations: u64,
}

impl Checker {
    /// For a group of `voters` members.
    pub fn new(voters: usize) -> Checker {
        Checker {
            quorum: voters / 2 + 1,
            seen: BTreeMap::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            places: BTreeMap::new(),
            committed: BTreeMap::new(),
            last_committed: None,
            states: BTreeMap::new(),
            observations: 0,
        }
    }

    /// The highest index that is known to be committed.
    pub fn committed(&self) -> Index {
        self.last_committed.map_or(Index::ZERO, |last| last.mark.index)
    }

    /// Terms that had a leader.
    pub fn terms_with_leader(&self) -> usize {
        self.leaders.len()
    }

    /// How often a member was looked at: the proof that there was something to check.
    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// Looks at a member, whose state machine and sessions have this digest after this entry.
    ///
    /// # Errors
    /// The first property that is broken.
    pub fn observe(&mut self, node: &Node, applied: Index, digest: u64) -> Result<(), Violation> {
        let id = node.config().id;
        self.observations += 1;
        let mut seen = self.seen.get(&id).copied().unwrap_or_default();
        let term = node.hard_state().term;
        if term < seen.term {
            return Err(Violation::TermBack(id, seen.term, term));
        }
        if node.commit() < seen.commit {
            return Err(Violation::CommitBack(id, seen.commit, node.commit()));
        }
        self.check_log(id, node.log(), seen.last)?;
        if node.commit() > seen.commit {
            self.check_commit(node)?;
        }
        if node.role() == Role::Leader {
            self.check_leader(node)?;
            // What it learned as a follower it knew before.
            let led_before = self.leaders.get(&seen.term) == Some(&id);
            if led_before && node.commit() > seen.commit && node.log().term(node.commit()) != Some(term) {
                return Err(Violation::EarlierTerm(id, term, node.commit()));
            }
        }
        if applied > seen.states_until {
            let known = *self.states.entry(applied).or_insert(digest);
            if known != digest {
                return Err(Violation::StatesDiffer(id, applied));
            }
            seen.states_until = applied;
        }
        seen.term = term;
        seen.commit = node.commit();
        seen.base = node.log().base().index;
        seen.last = node.log().last();
        self.seen.insert(id, seen);
        if self.observations.is_multiple_of(4_096) {
            self.forget_compacted();
        }
        Ok(())
    }

    /// Looks at a message that leaves a member.
    ///
    /// # Errors
    /// A second vote in a term.
    pub fn observe_message(&mut self, message: &Message) -> Result<(), Violation> {
        // Those that ask about a term that nobody is in yet promise nothing.
        if !matches!(message.body, Body::PreVote(_) | Body::PreVoteAnswer { .. }) {
            let seen = self.seen.entry(message.from).or_default();
            seen.told = seen.told.max(message.term);
        }
        if let Body::VoteAnswer { granted: true } = message.body {
            let (voter, term) = (message.from, message.term);
            let first = *self.votes.entry((term, voter)).or_insert(message.to);
            if first != message.to {
                return Err(Violation::TwoVotes(voter, first, message.to, term));
            }
        }
        Ok(())
    }

    /// A member crashed: it may forget a term of which it has told nobody, how far it knew entries to be committed, and
    /// the end of its log.
    pub fn on_crash(&mut self, id: NodeId) {
        if let Some(seen) = self.seen.get_mut(&id) {
            seen.term = seen.told;
            seen.commit = Index::ZERO;
            seen.last = Mark::default();
            seen.states_until = Index::ZERO;
        }
    }

    /// Looks at the disks of all members, also of those that do not run.
    ///
    /// # Errors
    /// What was committed is on fewer than a quorum.
    pub fn observe_disks<'a>(&self, disks: impl Iterator<Item = &'a Stable>) -> Result<(), Violation> {
        let Some(last) = self.last_committed else {
            return Ok(());
        };
        let with = disks.filter(|stable| stable.covers(last.mark)).count();
        if with < self.quorum {
            return Err(Violation::NotDurable(last.mark.index, with));
        }
        Ok(())
    }

    /// Walks back from the end of a log until something that was seen before: a chain stands for all before it.
    fn check_log(&mut self, id: NodeId, log: &Log, before: Mark) -> Result<(), Violation> {
        let mut mark = log.last();
        if mark == before {
            return Ok(());
        }
        while mark.index > log.base().index {
            match self.places.insert((mark.index, mark.term), mark.chain) {
                Some(chain) if chain == mark.chain => return Ok(()),
                Some(_) => return Err(Violation::LogMatching(id, mark.index)),
                None => mark = log.mark(mark.index.before()).expect("a log without gaps"),
            }
        }
        Ok(())
    }

    fn check_commit(&mut self, node: &Node) -> Result<(), Violation> {
        let (id, log, commit) = (node.config().id, node.log(), node.commit());
        let known = self.committed();
        // Where the log begins after what is known, its snapshot was taken by somebody whose log was checked.
        let first = known.next().max(log.base().index);
        for index in (first.0..=commit.0).map(Index) {
            let mark = log.mark(index).expect("committed entries after the base");
            let committed = Committed {
                mark,
                by: node.hard_state().term,
            };
            self.committed.insert(index, committed);
            self.last_committed = Some(committed);
        }
        // The chain at the highest index that both know stands for all before.
        let shared = commit.min(known);
        let theirs = self.committed.get(&shared).map(|committed| committed.mark);
        let own = log.mark(shared);
        if let (Some(theirs), Some(own)) = (theirs, own)
            && theirs != own
        {
            return Err(Violation::CommittedTwice(id, shared));
        }
        Ok(())
    }

    fn check_leader(&mut self, node: &Node) -> Result<(), Violation> {
        let (id, term) = (node.config().id, node.hard_state().term);
        let first = *self.leaders.entry(term).or_insert(id);
        if first != id {
            return Err(Violation::TwoLeaders(first, id, term));
        }
        if let Some(last) = self.last_committed
            && last.by < term
            && node.log().base().index <= last.mark.index
            && node.log().mark(last.mark.index) != Some(last.mark)
        {
            return Err(Violation::Incomplete(id, term, last.mark.index));
        }
        Ok(())
    }

    /// What all logs have compacted is not compared again.
    fn forget_compacted(&mut self) {
        let Some(base) = self.seen.values().map(|seen| seen.base).min() else {
            return;
        };
        self.places = self.places.split_off(&(base, Term(0)));
        self.committed = self.committed.split_off(&base);
        self.states = self.states.split_off(&base);
    }
}
