//! Leading: reads that see everything that was committed before they came (thesis, section 6.4).

use longhaul_core::time::{Instant, Span};

use super::{Node, Output, ProposeError, ReadId, State};
use crate::Index;
use crate::mistake::Mistake;

/// The most reads that wait at a time.
const MAX_READS: usize = 1 << 16;

/// A read that a round of heartbeats decides on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    id: ReadId,
    /// It sees everything up to here.
    index: Index,
    /// When a quorum has answered this round, nobody else led when the read came.
    round: u64,
}

impl Node {
    /// Asks for a read. It is answered with [`Output::ReadReady`] or [`Output::ReadFailed`].
    ///
    /// # Errors
    /// This member does not lead, or too many reads wait.
    pub fn read(&mut self, now: Instant, id: ReadId) -> Result<(), ProposeError> {
        self.advance(now);
        let (known, due) = (self.leader, self.now + self.config.batch_interval);
        let Some(leader) = self.leading() else {
            return Err(ProposeError::NotLeader { leader: known });
        };
        if leader.reads.len() + leader.new_reads.len() >= MAX_READS {
            return Err(ProposeError::Busy);
        }
        leader.new_reads.push(id);
        leader.reads_due.get_or_insert(due);
        if self.has_lease() {
            let now = self.now;
            self.leading().expect("it leads").reads_due = Some(now);
        }
        self.begin_due_reads();
        self.finish();
        Ok(())
    }

    /// A round for the reads that wait for one.
    pub(super) fn begin_due_reads(&mut self) {
        let now = self.now;
        // A leader knows what is committed when an entry of its term is.
        if self.log.term(self.commit) != Some(self.hard.term) {
            if let Some(leader) = self.leading() {
                leader.reads_due = None;
            }
            return;
        }
        let at_once = self.has_lease() || self.config.voters.len() == 1;
        let at_once = at_once || self.mistakes.include(Mistake::ReadsAlone);
        let commit = self.commit;
        let Some(leader) = self.leading() else { return };
        let due = leader.reads_due.get_or_insert(now);
        if leader.new_reads.is_empty() {
            leader.reads_due = None;
            return;
        }
        if *due > now {
            return;
        }
        leader.reads_due = None;
        let reads = std::mem::take(&mut leader.new_reads);
        if !at_once {
            self.begin_round();
        }
        let Some(leader) = self.leading() else { return };
        let round = if at_once { 0 } else { leader.round };
        let reads = reads.into_iter().map(|id| Read {
            id,
            index: commit,
            round,
        });
        leader.reads.extend(reads);
        if at_once {
            self.finish_reads();
        } else {
            self.supply_all(true);
        }
    }

    /// Heartbeats from here on belong to a new round.
    pub(super) fn begin_round(&mut self) {
        let now = self.now;
        let Some(leader) = self.leading() else { return };
        leader.round += 1;
        leader.rounds.push_back((leader.round, now));
        // Without a quorum nothing is ever confirmed; the oldest rounds would tell the least.
        if leader.rounds.len() > 4_096 {
            leader.rounds.pop_front();
        }
    }

    /// Which rounds a quorum has answered.
    pub(super) fn confirm_rounds(&mut self) {
        let quorum = self.config.quorum();
        let Some(leader) = self.leading() else { return };
        let mut answered: Vec<u64> = leader.followers.values().map(|f| f.answered_round).collect();
        answered.push(leader.round);
        answered.sort_unstable_by(|a, b| b.cmp(a));
        let confirmed = answered[quorum - 1];
        while let Some(round) = leader.rounds.pop_front_if(|(round, _)| *round <= confirmed) {
            leader.confirmed = Some(round);
        }
        self.finish_reads();
    }

    /// Reads that may be answered now.
    pub(super) fn finish_reads(&mut self) {
        let delivered = self.delivered;
        let Some(leader) = self.leading() else { return };
        let confirmed = leader.confirmed.map_or(0, |(round, _)| round);
        let mut ready = Vec::new();
        leader.reads.retain(|read| {
            let done = read.round <= confirmed && read.index <= delivered;
            ready.extend(done.then_some(read.id));
            !done
        });
        self.outputs.extend(ready.into_iter().map(Output::ReadReady));
    }

    pub(super) fn fail_reads(&mut self) {
        let Some(leader) = self.leading() else { return };
        let waiting = std::mem::take(&mut leader.reads);
        let new = std::mem::take(&mut leader.new_reads);
        let all = waiting.into_iter().map(|read| read.id).chain(new);
        self.outputs.extend(all.map(Output::ReadFailed));
    }

    /// Whether a quorum has promised not to vote for anybody for longer than this instant (thesis 6.4.1).
    fn has_lease(&self) -> bool {
        let (Some(lease), State::Leader(leader)) = (self.config.lease, &self.state) else {
            return false;
        };
        if self.log.term(self.commit) != Some(self.hard.term) {
            return false;
        }
        let Some((_, began)) = leader.confirmed else {
            return false;
        };
        // A follower's clock may be fast and this one slow; then the promise ends earlier here by both.
        let drift = if self.mistakes.include(Mistake::TrustsClocks) {
            0
        } else {
            u128::from(lease.drift_ppm)
        };
        let promised = u128::from(self.config.election_timeout.as_ns());
        let safe = promised * (1_000_000 - drift) / (1_000_000 + drift);
        let safe = u64::try_from(safe).expect("no longer than the promise");
        self.now < began.saturating_add(Span::from_ns(safe))
    }
}
