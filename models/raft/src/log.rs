//! The log in memory: entries after a base, each with the digest of everything up to it.

use std::collections::VecDeque;

use longhaul_core::digest::Digest;

use crate::{Entry, Index, Term};

/// A place in a log and everything before it. Two logs with the same `chain` at an index hold the same entries up to
/// there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The place.
    pub index: Index,
    /// The term of the entry there.
    pub term: Term,
    /// Digest of all entries up to there.
    pub chain: u64,
}

impl Mark {
    /// The mark of the entry that follows here.
    fn then(self, entry: &Entry) -> Mark {
        let mut digest = Digest::new();
        digest.mix(self.chain);
        digest.mix(entry.term.0);
        digest.mix(u64::from(entry.checksum()));
        Mark {
            index: entry.index,
            term: entry.term,
            chain: digest.value(),
        }
    }
}

/// Entries in order without a gap, from the one after the base.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Mark,
    held: VecDeque<(Mark, Entry)>,
    bytes: u64,
}

impl Log {
    /// An empty log after a base.
    pub fn after(base: Mark) -> Log {
        Log {
            base,
            held: VecDeque::new(),
            bytes: 0,
        }
    }

    /// What the first entry follows: the last one that was compacted away.
    pub fn base(&self) -> Mark {
        self.base
    }

    /// The last entry, or the base.
    pub fn last(&self) -> Mark {
        self.held.back().map_or(self.base, |(mark, _)| *mark)
    }

    /// Entries in it.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes of its entries when written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The mark at an index: of the base or of an entry.
    pub fn mark(&self, index: Index) -> Option<Mark> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.position(index).map(|position| self.held[position].0)
    }

    /// The term at an index: of the base or of an entry.
    pub fn term(&self, index: Index) -> Option<Term> {
        self.mark(index).map(|mark| mark.term)
    }

    /// The entry at an index.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.position(index).map(|position| &self.held[position].1)
    }

    /// The entries from an index to another, both included, as far as `max_entries` and `max_bytes` allow; at least one
    /// if there is one.
    pub fn slice(&self, from: Index, to: Index, max_entries: usize, max_bytes: u64) -> Vec<Entry> {
        let Some(first) = self.position(from) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let wanted = self.held.iter().skip(first).take(max_entries);
        let within = wanted.take_while(|(mark, entry)| {
            let begins = bytes == 0;
            bytes += entry.encoded_len();
            mark.index <= to && (begins || bytes <= max_bytes)
        });
        within.map(|(_, entry)| entry.clone()).collect()
    }

    /// The first index of the term that stands at `index`, as far as the log goes back.
    pub fn first_of_term_at(&self, index: Index) -> Option<Index> {
        let term = self.term(index)?;
        let position = self.position(index)?;
        // Terms never fall along a log, so the entries of one term stand together.
        let first = self.held.partition_point(|(mark, _)| mark.term < term);
        Some(self.held[first.min(position)].0.index)
    }

    /// The last index whose term is at most `term`, if the log has that much.
    pub fn last_up_to_term(&self, term: Term) -> Index {
        match self.held.partition_point(|(mark, _)| mark.term <= term) {
            0 => self.base.index,
            after => self.held[after - 1].0.index,
        }
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// If it does not follow the last one.
    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.index, last.index.next(), "a gap in the log");
        assert!(entry.term >= last.term, "terms fall along the log");
        self.bytes += entry.encoded_len();
        self.held.push_back((last.then(&entry), entry));
    }

    /// Removes the entries from an index on.
    ///
    /// # Panics
    /// If some of them have been compacted.
    pub fn truncate(&mut self, from: Index) {
        assert!(from > self.base.index, "compacted entries cannot be taken back");
        while self.last().index >= from {
            let (_, entry) = self.held.pop_back().expect("entries after the base");
            self.bytes -= entry.encoded_len();
        }
    }

    /// Forgets the entries up to an index, which becomes the base. Does nothing if it is one already.
    ///
    /// # Panics
    /// If the log does not reach that far.
    pub fn compact(&mut self, to: Index) {
        assert!(to <= self.last().index, "compaction beyond the log");
        while self.base.index < to {
            let (mark, entry) = self.held.pop_front().expect("entries up to the last");
            self.bytes -= entry.encoded_len();
            self.base = mark;
        }
    }

    fn position(&self, index: Index) -> Option<usize> {
        let offset = index.0.checked_sub(self.base.index.0 + 1)?;
        usize::try_from(offset)
            .ok()
            .filter(|position| *position < self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::EntryKind;

    /// A log with an entry of each of these terms.
    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for (term, index) in terms.iter().zip(1..) {
            log.append(Entry::new(
                Term(*term),
                Index(index),
                EntryKind::Noop,
                Bytes::new(),
            ));
        }
        log
    }

    #[test]
    fn a_chain_stands_for_everything_before_it() {
        let (one, other) = (log(&[1, 1, 2]), log(&[1, 2, 2]));
        assert_eq!(one.mark(Index(1)), other.mark(Index(1)));
        assert_ne!(one.last().chain, other.last().chain);
        let mut compacted = log(&[1, 1, 2]);
        compacted.compact(Index(2));
        assert_eq!(compacted.last(), one.last());
        assert_eq!(
            (compacted.len(), compacted.mark(Index(2))),
            (1, one.mark(Index(2)))
        );
        assert_eq!(compacted.mark(Index(1)), None);
    }

    #[test]
    fn terms_are_found_by_their_ends() {
        let mut log = log(&[1, 1, 4, 4, 4, 6]);
        assert_eq!(log.first_of_term_at(Index(5)), Some(Index(3)));
        assert_eq!(log.last_up_to_term(Term(5)), Index(5));
        assert_eq!(log.last_up_to_term(Term(0)), Index(0));
        log.compact(Index(4));
        assert_eq!(log.first_of_term_at(Index(5)), Some(Index(5)));
        assert_eq!(log.last_up_to_term(Term(2)), Index(4));
    }

    #[test]
    fn slices_respect_their_limits_but_always_begin() {
        let log = log(&[1; 10]);
        assert_eq!(log.slice(Index(3), Index(9), 100, u64::MAX).len(), 7);
        assert_eq!(log.slice(Index(3), Index(9), 4, u64::MAX).len(), 4);
        assert_eq!(log.slice(Index(3), Index(9), 100, 1).len(), 1);
        assert_eq!(log.slice(Index(3), Index(9), 100, 2 * 52).len(), 2);
        assert_eq!(log.slice(Index(11), Index(12), 100, 1).len(), 0);
        assert_eq!(log.slice(Index(3), Index(2), 100, 1).len(), 0);
    }

    #[test]
    fn bytes_are_counted_through_all_changes() {
        let mut log = log(&[1; 10]);
        log.truncate(Index(9));
        log.compact(Index(3));
        assert_eq!((log.len(), log.bytes()), (5, 5 * 52));
    }
}
