//! What is on its way to the disk.

use std::collections::VecDeque;

use crate::log::Mark;
use crate::stable::{HardState, LogChange, Snapshot, Write, WriteId};
use crate::{Entry, Index};

/// Collects changes into writes and knows what of them is durable.
#[derive(Debug)]
pub(super) struct Writes {
    durable: WriteId,
    /// Up to here the log in memory is durable.
    durable_index: Index,
    /// The newest sealed write.
    sealed: WriteId,
    /// Sealed writes that are not durable, each with how far the log in memory is durable after it.
    pending: VecDeque<(WriteId, Index)>,
    /// Sealed writes that nobody has taken yet.
    ready: VecDeque<Write>,
    staged: Option<Write>,
}

impl Writes {
    /// Nothing on its way, and the log durable up to here.
    pub fn all_durable(last: Index) -> Writes {
        Writes {
            durable: WriteId(0),
            durable_index: last,
            sealed: WriteId(0),
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            staged: None,
        }
    }

    /// The newest write that is durable.
    pub fn durable(&self) -> WriteId {
        self.durable
    }

    /// How far the log in memory is durable.
    pub fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// The write that everything decided so far is in.
    pub fn newest(&self) -> WriteId {
        self.staged.as_ref().map_or(self.sealed, |write| write.id)
    }

    pub fn stage_hard_state(&mut self, hard_state: HardState) {
        self.staged().hard_state = Some(hard_state);
    }

    pub fn stage_snapshot(&mut self, snapshot: Snapshot) {
        self.staged().snapshot = Some(snapshot);
    }

    pub fn stage_entries(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.staged().entries.extend(entries);
    }

    pub fn stage_truncation(&mut self, from: Index) {
        self.change_log(LogChange::Truncate(from));
        self.forget_durable_after(from.before());
    }

    pub fn stage_compaction(&mut self, to: Index) {
        self.change_log(LogChange::Compact(to));
    }

    pub fn stage_reset(&mut self, mark: Mark) {
        self.change_log(LogChange::Reset(mark));
        // Nothing that was written before is part of the log now.
        self.forget_durable_after(Index::ZERO);
    }

    /// The next write to hand out.
    pub fn take(&mut self) -> Option<Write> {
        self.seal();
        self.ready.pop_front()
    }

    /// All writes up to this one are durable.
    pub fn on_durable(&mut self, write: WriteId) {
        assert!(write <= self.sealed, "a write that was never issued");
        self.durable = self.durable.max(write);
        while let Some((_, index)) = self.pending.pop_front_if(|(id, _)| *id <= write) {
            self.durable_index = index;
        }
    }

    fn staged(&mut self) -> &mut Write {
        let id = WriteId(self.sealed.0 + 1);
        self.staged.get_or_insert_with(|| Write {
            id,
            hard_state: None,
            snapshot: None,
            log: LogChange::Keep,
            entries: Vec::new(),
        })
    }

    /// A write changes the log once, before it appends.
    fn change_log(&mut self, change: LogChange) {
        let staged = self.staged();
        if staged.log != LogChange::Keep || !staged.entries.is_empty() {
            self.seal();
        }
        self.staged().log = change;
    }

    fn forget_durable_after(&mut self, index: Index) {
        self.durable_index = self.durable_index.min(index);
        for (_, durable) in &mut self.pending {
            *durable = (*durable).min(index);
        }
    }

    fn seal(&mut self) {
        let Some(write) = self.staged.take() else { return };
        let before = self
            .pending
            .back()
            .map_or(self.durable_index, |(_, index)| *index);
        let after = match (write.entries.last(), write.log) {
            (Some(entry), _) => entry.index,
            (None, LogChange::Reset(mark)) => mark.index,
            (None, LogChange::Truncate(_) | LogChange::Keep | LogChange::Compact(_)) => before,
        };
        self.sealed = write.id;
        self.pending.push_back((write.id, after));
        self.ready.push_back(write);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{EntryKind, Term};

    fn entry(term: u64, index: u64) -> Entry {
        Entry::new(Term(term), Index(index), EntryKind::Noop, Bytes::new())
    }

    #[test]
    fn entries_that_were_replaced_do_not_become_durable_again() {
        let mut writes = Writes::all_durable(Index(3));
        writes.stage_entries([entry(1, 4), entry(1, 5)]);
        let first = writes.take().expect("a write").id;
        writes.stage_truncation(Index(4));
        writes.stage_entries([entry(2, 4)]);
        let second = writes.take().expect("a write").id;
        writes.on_durable(first);
        assert_eq!(writes.durable_index(), Index(3));
        writes.on_durable(second);
        assert_eq!(writes.durable_index(), Index(4));
    }

    #[test]
    fn a_write_changes_the_log_only_before_it_appends() {
        let mut writes = Writes::all_durable(Index(3));
        writes.stage_entries([entry(1, 4)]);
        writes.stage_truncation(Index(4));
        writes.stage_entries([entry(2, 4)]);
        assert_eq!(writes.newest(), WriteId(2));
        let (first, second) = (writes.take().expect("one"), writes.take().expect("two"));
        assert_eq!((first.log, first.entries), (LogChange::Keep, vec![entry(1, 4)]));
        assert_eq!(second.log, LogChange::Truncate(Index(4)));
        assert_eq!(writes.take(), None);
    }

    #[test]
    fn after_a_reset_only_what_follows_counts() {
        let mut writes = Writes::all_durable(Index(30));
        let mark = Mark {
            index: Index(20),
            ..Mark::default()
        };
        writes.stage_reset(mark);
        assert_eq!(writes.durable_index(), Index(0));
        let id = writes.take().expect("a write").id;
        writes.on_durable(id);
        assert_eq!(writes.durable_index(), Index(20));
    }
}
