//! Elections (paper, section 5.2 and 5.4.1; thesis 9.6 for the pre-vote).

use std::collections::BTreeSet;

use longhaul_core::time::Span;

use super::{Campaign, Node, State};
use crate::event::Refusal;
use crate::message::{Body, Candidacy};
use crate::mistake::Mistake;
use crate::stable::HardState;
use crate::{Event, Index, LIMIT, NodeId, Term};

impl Node {
    /// Draws anew when it will try to be elected.
    pub(super) fn postpone_election(&mut self) {
        let shortest = self.config.election_timeout;
        let extra = self.random.below(shortest.as_ns().max(1));
        self.election_due = self
            .now
            .saturating_add(shortest)
            .saturating_add(Span::from_ns(extra));
    }

    /// Whether it leads, or has heard from a leader so recently that the leader may rely on not being replaced.
    pub(super) fn has_leader(&self) -> bool {
        let since = |contact| self.now.saturating_since(contact);
        let recent = self
            .leader_contact
            .is_some_and(|contact| since(contact) < self.config.election_timeout);
        matches!(self.state, State::Leader(_)) || recent
    }

    /// Nobody leads: tries to be elected, or asks whether it could be.
    pub(super) fn campaign(&mut self) {
        self.begin_campaign(self.config.pre_vote);
    }

    fn begin_campaign(&mut self, pre_vote: bool) {
        self.postpone_election();
        let term = self.hard.term.next();
        if term.0 >= LIMIT {
            return;
        }
        self.leader = None;
        self.event(Event::Campaigns { term, pre_vote });
        let candidacy = self.candidacy();
        let own_vote = if pre_vote {
            self.writes.newest()
        } else {
            self.hard = HardState {
                term,
                vote: Some(self.config.id),
            };
            self.writes.stage_hard_state(self.hard);
            self.writes.newest()
        };
        // Its own vote counts when it is durable; a pre-vote promises nothing.
        let granted = if pre_vote || self.mistakes.include(Mistake::AnswersBeforeWriting) {
            BTreeSet::from([self.config.id])
        } else {
            BTreeSet::new()
        };
        self.state = State::Candidate(Campaign {
            pre_vote,
            granted,
            own_vote,
        });
        for peer in self.peers() {
            if pre_vote {
                let mut message = self.message(peer, Body::PreVote(candidacy));
                message.term = term;
                self.outputs.push_back(super::Output::Send(message));
            } else {
                self.send_when_durable(peer, Body::Vote(candidacy));
            }
        }
        self.count_votes();
    }

    /// Somebody asks whether it would get a vote: changes nothing here.
    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, candidacy: Candidacy) {
        let granted = term > self.hard.term && !self.has_leader() && self.may_lead(candidacy);
        // The vote itself could not be written down.
        let granted = granted && !self.suspended;
        let mut message = self.message(from, Body::PreVoteAnswer { granted });
        if granted {
            message.term = term;
        }
        self.outputs.push_back(super::Output::Send(message));
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: NodeId, term: Term) {
        if let State::Candidate(campaign) = &mut self.state
            && campaign.pre_vote
            && term == self.hard.term.next()
        {
            campaign.granted.insert(from);
            self.count_votes();
        }
    }

    /// Somebody asks for a vote in this node's term.
    pub(super) fn on_vote(&mut self, from: NodeId, candidacy: Candidacy) {
        let free = self.hard.vote.is_none_or(|vote| vote == from);
        let free = free || self.mistakes.include(Mistake::VotesTwice);
        let granted = free && !matches!(self.state, State::Leader(_)) && self.may_lead(candidacy);
        if granted {
            if self.hard.vote != Some(from) {
                self.hard.vote = Some(from);
                self.writes.stage_hard_state(self.hard);
            }
            self.postpone_election();
        }
        self.send_when_durable(from, Body::VoteAnswer { granted });
    }

    pub(super) fn on_vote_answer(&mut self, from: NodeId, granted: bool) {
        if let State::Candidate(campaign) = &mut self.state
            && !campaign.pre_vote
            && granted
        {
            campaign.granted.insert(from);
            self.count_votes();
        }
    }

    /// Goes on if it has the votes of a quorum.
    pub(super) fn count_votes(&mut self) {
        let State::Candidate(campaign) = &self.state else {
            return;
        };
        // Without its own vote on disk it may vote for somebody else in this term after a crash.
        if campaign.granted.len() < self.config.quorum() || !campaign.granted.contains(&self.config.id) {
            return;
        }
        if campaign.pre_vote {
            self.begin_campaign(false);
        } else {
            self.lead();
        }
    }

    /// Takes note of the leader of this node's term; whether that is possible.
    pub(super) fn accept_leader(&mut self, from: NodeId) -> bool {
        let leads = matches!(self.state, State::Leader(_));
        if leads || self.leader.is_some_and(|leader| leader != from) {
            self.refuse(from, Refusal::SecondLeader);
            return false;
        }
        if self.leader.is_none() {
            let term = self.hard.term;
            self.follow(term, Some(from));
            self.event(Event::Follows { term, leader: from });
        }
        self.leader_contact = Some(self.now);
        self.postpone_election();
        true
    }

    /// Whether a candidate has everything that may be committed: its log is at least as far as this one (5.4.1).
    fn may_lead(&self, candidacy: Candidacy) -> bool {
        let last = self.log.last();
        (candidacy.last_term, candidacy.last_index) >= (last.term, last.index)
            || self.mistakes.include(Mistake::VotesForShorterLogs)
    }

    fn candidacy(&self) -> Candidacy {
        let last = self.log.last();
        Candidacy {
            last_index: last.index,
            last_term: last.term,
        }
    }

    pub(super) fn peers(&self) -> Vec<NodeId> {
        self.config.peers().collect()
    }

    /// Tells a leader that its entries do not fit, with the end of this log as a hint.
    pub(super) fn refuse_append(&mut self, to: NodeId, round: u64, previous: Index) {
        let hint = self.log.last().index.next();
        self.answer_append(
            to,
            round,
            crate::message::Outcome::Differs {
                previous,
                hint,
                hint_term: None,
            },
        );
    }
}
