//! What survives a crash, and the writes that make it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::log::{Log, Mark};
use crate::{Entry, Index, NodeId, Term};

/// Names a write, in the order in which writes become durable. 0 comes before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteId(pub u64);

/// The term that a node is in and whom it voted for in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    /// The highest term that it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
}

/// The state machine after the entry at a place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The place.
    pub at: Mark,
    /// The state machine's own bytes.
    pub data: Bytes,
}

/// What a write does to the log before it appends entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogChange {
    /// Nothing.
    Keep,
    /// Entries from this index on are removed: a leader has others there.
    Truncate(Index),
    /// Entries up to this index are forgotten: a snapshot covers them.
    Compact(Index),
    /// All entries are forgotten and the log goes on after this place.
    Reset(Mark),
}

/// One atomic change of [`Stable`], in the order of its fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Its name.
    pub id: WriteId,
    /// The new term and vote.
    pub hard_state: Option<HardState>,
    /// The new snapshot.
    pub snapshot: Option<Snapshot>,
    /// What happens to the log.
    pub log: LogChange,
    /// What is appended to it.
    pub entries: Vec<Entry>,
}

impl Write {
    /// Bytes of its entries and its snapshot, for a disk that takes time by the byte.
    pub fn bytes(&self) -> u64 {
        let entries: u64 = self.entries.iter().map(Entry::encoded_len).sum();
        let snapshot = self
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.data.len() as u64);
        entries + snapshot
    }
}

/// Everything that a node has when it comes back after a crash.
#[derive(Clone, Debug, Default)]
pub struct Stable {
    /// Term and vote.
    pub hard_state: HardState,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// The log, which may begin before the snapshot.
    pub log: Log,
}

/// Why a node does not start from what survived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StableError {
    /// An entry is not what was written.
    #[error("the entry at {0} is damaged")]
    Damaged(Index),
    /// The log begins after the end of the snapshot.
    #[error("entries up to {0} are missing")]
    Gap(Index),
    /// The log has a newer term than the node.
    #[error("the log has term {0}, which the node never saw")]
    Term(Term),
}

impl Stable {
    /// Makes one change.
    ///
    /// # Panics
    /// If it does not fit what is there: writes come in order.
    pub fn apply(&mut self, write: &Write) {
        if let Some(hard_state) = write.hard_state {
            assert!(
                hard_state.term >= self.hard_state.term,
                "a term that goes back on disk"
            );
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = &write.snapshot {
            self.snapshot = Some(snapshot.clone());
        }
        match write.log {
            LogChange::Keep => {}
            LogChange::Truncate(from) => self.log.truncate(from),
            LogChange::Compact(to) => self.log.compact(to),
            LogChange::Reset(mark) => self.log = Log::after(mark),
        }
        for entry in &write.entries {
            self.log.append(entry.clone());
        }
    }

    /// The place that the snapshot covers everything up to.
    pub fn snapshot_mark(&self) -> Mark {
        self.snapshot
            .as_ref()
            .map_or(Mark::default(), |snapshot| snapshot.at)
    }

    /// Whether everything up to this place is held, in the log or in the snapshot.
    pub fn covers(&self, place: Mark) -> bool {
        self.log.mark(place.index).map_or_else(
            || place.index < self.log.base().index,
            |mark| mark.chain == place.chain,
        )
    }

    /// Checks that a node can start from it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), StableError> {
        if self.log.base().index > self.snapshot_mark().index {
            return Err(StableError::Gap(self.log.base().index));
        }
        if self.log.last().term > self.hard_state.term {
            return Err(StableError::Term(self.log.last().term));
        }
        let mut index = self.log.base().index;
        while let Some(entry) = self.log.get(index.next()) {
            index = index.next();
            if !entry.is_intact() {
                return Err(StableError::Damaged(index));
            }
        }
        Ok(())
    }
}
