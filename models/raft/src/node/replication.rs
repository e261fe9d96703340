//! Leading: supplying followers with entries or a snapshot, and what they answer.

use super::progress::{Mode, Transfer};
use super::{Node, State};
use crate::event::Refusal;
use crate::message::{Append, AppendAnswer, Body, Chunk, Outcome};
use crate::{Event, Index, NodeId, Term};

impl Node {
    /// Sends what each follower lacks; `anyway` also where that is nothing, as a heartbeat.
    pub(super) fn supply_all(&mut self, anyway: bool) {
        for peer in self.peers() {
            self.supply(peer, anyway);
        }
    }

    /// Sends what a follower lacks, as far as there is room on the way.
    fn supply(&mut self, to: NodeId, mut anyway: bool) {
        loop {
            let State::Leader(leader) = &mut self.state else {
                return;
            };
            // What waits for its batch is not sent yet.
            let until = leader
                .batch
                .map_or(self.log.last().index, |(first, _)| first.before());
            let round = leader.round;
            let Some(progress) = leader.followers.get_mut(&to) else {
                return;
            };
            let room = match &progress.mode {
                Mode::Probing { asked } => usize::from(!asked),
                Mode::Streaming { in_flight } => self.config.in_flight.saturating_sub(in_flight.len()),
                Mode::Sending(_) => return self.supply_snapshot(to, anyway),
            };
            let previous = progress.next.before();
            let Some(previous_term) = self.log.term(previous) else {
                self.begin_transfer(to);
                continue;
            };
            let most = if room > 0 { self.config.batch_entries } else { 0 };
            let entries = self
                .log
                .slice(progress.next, until, most, self.config.batch_bytes);
            if entries.is_empty() && !anyway {
                return;
            }
            anyway = false;
            match &mut progress.mode {
                Mode::Probing { asked } => *asked = true,
                Mode::Streaming { in_flight } => {
                    if let Some(last) = entries.last() {
                        in_flight.push_back(last.index);
                        progress.next = last.index.next();
                    }
                }
                Mode::Sending(_) => {}
            }
            let append = Append {
                previous,
                previous_term,
                commit: self.commit,
                round,
                entries,
            };
            self.send(to, Body::Append(append));
        }
    }

    /// Sends a piece of the snapshot. The heartbeat beside it stands at the empty beginning of all logs, which always
    /// fits.
    fn supply_snapshot(&mut self, to: NodeId, heartbeat: bool) {
        self.send_chunks(to, heartbeat);
        let (commit, Some(round)) = (self.commit, self.leading().map(|leader| leader.round)) else {
            return;
        };
        if heartbeat {
            let append = Append {
                previous: Index::ZERO,
                previous_term: Term(0),
                commit,
                round,
                entries: Vec::new(),
            };
            self.send(to, Body::Append(append));
        }
    }

    pub(super) fn on_append_answer(&mut self, from: NodeId, answer: AppendAnswer) {
        if !matches!(self.state, State::Leader(_)) {
            // It may have led this term, and crashed.
            return;
        }
        self.note_answer(from);
        let last = self.log.last().index;
        if matches!(answer.outcome, Outcome::Matches(index) if index > last) {
            return self.refuse(from, Refusal::Nonexistent);
        }
        let next = self.next_after_difference(answer.outcome);
        let Some(leader) = self.leading() else { return };
        let Some(progress) = leader.followers.get_mut(&from) else {
            return;
        };
        progress.answered_round = progress.answered_round.max(answer.round.min(leader.round));
        match answer.outcome {
            Outcome::Matches(index) => {
                progress.on_match(index);
                self.unwatch();
                self.find_committed();
            }
            Outcome::Differs { previous, .. } => {
                progress.on_difference(previous, next);
            }
        }
        self.confirm_rounds();
        self.supply(from, false);
    }

    /// What a follower may be sent next, by its hint: the end of what this log has of the conflicting term, else the
    /// beginning of what the follower has of it, so that a term is skipped at a time.
    fn next_after_difference(&self, outcome: Outcome) -> Index {
        match outcome {
            Outcome::Matches(index) => index.next(),
            Outcome::Differs { hint, hint_term, .. } => {
                let ends = hint_term.map(|term| (term, self.log.last_up_to_term(term)));
                let shared = ends.filter(|(term, index)| self.log.term(*index) == Some(*term));
                shared.map_or(hint, |(_, index)| index.next())
            }
        }
    }

    /// The log does not go back far enough for this follower.
    fn begin_transfer(&mut self, to: NodeId) {
        let snapshot = self.snapshot.clone().expect("compaction leaves a snapshot");
        let (index, bytes) = (snapshot.at.index, snapshot.data.len() as u64);
        if let Some(leader) = self.leading()
            && let Some(progress) = leader.followers.get_mut(&to)
        {
            progress.mode = Mode::Sending(Transfer::new(snapshot));
        }
        self.event(Event::SendsSnapshot { to, index, bytes });
    }

    /// Sends chunks as far as there is room on the way. A heartbeat without an answer since the last one begins again
    /// where the follower is.
    fn send_chunks(&mut self, to: NodeId, heartbeat: bool) {
        let chunk_bytes = u64::from(self.config.snapshot_chunk);
        let window = chunk_bytes * u64::from(self.config.snapshot_window);
        let Some(leader) = self.leading() else { return };
        let round = leader.round;
        let Some(progress) = leader.followers.get_mut(&to) else {
            return;
        };
        let Mode::Sending(transfer) = &mut progress.mode else {
            return;
        };
        if heartbeat && !std::mem::take(&mut transfer.moved) {
            transfer.sent = transfer.received;
        }
        let mut chunks = Vec::new();
        while transfer.sent < transfer.total().min(transfer.received + window) {
            let end = transfer.total().min(transfer.sent + chunk_bytes);
            chunks.push(Chunk {
                at: transfer.snapshot.at,
                total: transfer.total(),
                hash: transfer.hash,
                offset: transfer.sent,
                round,
                data: transfer.snapshot.data.slice(transfer.sent as usize..end as usize),
            });
            transfer.sent = end;
        }
        for chunk in chunks {
            self.send(to, Body::Snapshot(chunk));
        }
    }

    pub(super) fn on_snapshot_answer(&mut self, from: NodeId, index: Index, received: u64) {
        self.note_answer(from);
        let Some(leader) = self.leading() else { return };
        if let Some(progress) = leader.followers.get_mut(&from)
            && let Mode::Sending(transfer) = &mut progress.mode
            && transfer.snapshot.at.index == index
            && received <= transfer.total()
        {
            transfer.moved |= received > transfer.received;
            // Less than before if the follower has begun anew, more than was sent if it has the beginning already.
            transfer.received = received;
            transfer.sent = transfer.sent.max(received);
        }
        self.supply(from, false);
    }
}
