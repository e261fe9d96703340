//! Following: entries from a leader (paper, section 5.3).

use super::Node;
use crate::event::Refusal;
use crate::message::{Append, AppendAnswer, Body, Outcome};
use crate::mistake::Mistake;
use crate::{Entry, Event, Index, NodeId};

impl Node {
    pub(super) fn on_append(&mut self, from: NodeId, append: Append) {
        let Append {
            mut previous,
            mut previous_term,
            commit,
            round,
            mut entries,
        } = append;
        if entries.last().is_some_and(|entry| entry.term > self.hard.term) {
            return self.refuse(from, Refusal::Nonexistent);
        }
        let base = self.log.base();
        if previous < base.index {
            // What was compacted is committed, so the leader has it too.
            entries.retain(|entry| entry.index > base.index);
            if entries.first().is_some_and(|entry| entry.term < base.term) {
                return self.refuse(from, Refusal::Contradiction);
            }
            (previous, previous_term) = (base.index, base.term);
        }
        let same = match self.log.term(previous) {
            Some(term) => term == previous_term || self.mistakes.include(Mistake::AppendsBlindly),
            None => false,
        };
        if !same {
            return self.tell_difference(from, round, previous);
        }
        let matches = previous + entries.len() as u64;
        if !self.take_entries(from, entries) {
            return;
        }
        self.commit = self.commit.max(commit.min(matches));
        self.deliver();
        self.answer_append(from, round, Outcome::Matches(matches));
    }

    /// Appends what the log does not have; false if that contradicts what is committed.
    fn take_entries(&mut self, from: NodeId, entries: Vec<Entry>) -> bool {
        let mut new = entries.into_iter().peekable();
        while new
            .next_if(|entry| self.log.term(entry.index) == Some(entry.term))
            .is_some()
        {}
        let Some(first) = new.peek() else { return true };
        let last = self.log.last().index;
        if first.index <= last {
            if first.index <= self.commit {
                self.refuse(from, Refusal::Contradiction);
                return false;
            }
            if self.mistakes.include(Mistake::KeepsConflicts) {
                new = new
                    .filter(|entry| entry.index > last)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .peekable();
            } else {
                let from = first.index;
                self.log.truncate(from);
                self.writes.stage_truncation(from);
                self.event(Event::Truncated {
                    from,
                    entries: last.next() - from,
                });
            }
        }
        for entry in new {
            self.log.append(entry.clone());
            self.writes.stage_entries([entry]);
        }
        true
    }

    /// Says where this log differs, so that the leader skips a whole term at a time (end of section 5.3).
    fn tell_difference(&mut self, from: NodeId, round: u64, previous: Index) {
        let hint_term = self.log.term(previous);
        match self.log.first_of_term_at(previous) {
            _ if hint_term.is_some() && previous <= self.commit => self.refuse(from, Refusal::Contradiction),
            None => self.refuse_append(from, round, previous),
            Some(first) => self.answer_append(
                from,
                round,
                Outcome::Differs {
                    previous,
                    hint: first.max(self.commit.next()),
                    hint_term,
                },
            ),
        }
    }

    pub(super) fn answer_append(&mut self, to: NodeId, round: u64, outcome: Outcome) {
        self.send_when_durable(to, Body::AppendAnswer(AppendAnswer { round, outcome }));
    }
}
