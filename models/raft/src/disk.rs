//! A disk that makes writes durable in order, some time after it was given them.

use std::collections::VecDeque;

use crate::stable::{Stable, Write, WriteId};

/// What has been written, and what a crash would lose.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    stable: Stable,
    pending: VecDeque<Write>,
}

impl Disk {
    /// A disk with this on it.
    pub fn new(stable: Stable) -> Disk {
        Disk {
            stable,
            pending: VecDeque::new(),
        }
    }

    /// Takes a write, which is not durable yet.
    pub fn push(&mut self, write: Write) {
        self.pending.push_back(write);
    }

    /// Writes that are not durable.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest write that is not durable.
    pub fn oldest_pending(&self) -> Option<WriteId> {
        self.pending.front().map(|write| write.id)
    }

    /// The newest write that is not durable.
    pub fn newest_pending(&self) -> Option<WriteId> {
        self.pending.back().map(|write| write.id)
    }

    /// The oldest pending write becomes durable.
    pub fn sync_one(&mut self) -> Option<WriteId> {
        let write = self.pending.pop_front()?;
        self.stable.apply(&write);
        Some(write.id)
    }

    /// What is durable.
    pub fn stable(&self) -> &Stable {
        &self.stable
    }

    /// The machine stops: of the pending writes the first `surviving` happened to reach the disk, the others are lost.
    pub fn crash(&mut self, surviving: usize) {
        for _ in 0..surviving {
            self.sync_one();
        }
        self.pending.clear();
    }
}
