//! What changed, in order, for those who want to know: the last changes are kept, and every subscriber reads them
//! at its own pace, each once.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::time::Instant;
use thiserror::Error;

use super::{IntentId, Reason};
use crate::route::Route;

/// What happened to a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A route was installed where there was none.
    Install,
    /// The route failed and another took its place; the old one is gone.
    Failover,
    /// A better route was installed. The old one still carries what is on the way until its release.
    Reroute,
    /// A route that had been replaced was removed.
    Release,
    /// The route was removed and there is none in its place.
    Delete,
}

/// One change of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Counts all changes of a table from 0.
    pub sequence: u64,
    /// When.
    pub at: Instant,
    /// Whose route.
    pub intent: IntentId,
    /// What happened.
    pub step: Step,
    /// Why.
    pub reason: Reason,
    /// The route that was in use or is removed.
    pub old: Option<Route>,
    /// The route that is in use from now on.
    pub new: Option<Route>,
}

/// Somebody who reads the changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubscriberId(pub u32);

/// A subscriber came too late: changes that it had not read are no longer kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{0} changes are no longer kept")]
pub struct Missed(pub u64);

/// The last changes and who has read how far.
#[derive(Clone, Debug)]
pub struct History {
    kept: VecDeque<Change>,
    capacity: usize,
    next: u64,
    /// The sequence number that each subscriber reads next.
    subscribers: BTreeMap<SubscriberId, u64>,
    next_subscriber: u32,
}

impl History {
    /// Keeps the last `capacity` changes.
    pub(super) fn new(capacity: usize) -> History {
        History {
            kept: VecDeque::new(),
            capacity,
            next: 0,
            subscribers: BTreeMap::new(),
            next_subscriber: 0,
        }
    }

    /// Adds a change and numbers it.
    pub(super) fn push(&mut self, mut change: Change) -> Change {
        change.sequence = self.next;
        self.next += 1;
        self.kept.push_back(change.clone());
        if self.kept.len() > self.capacity {
            self.kept.pop_front();
        }
        change
    }

    /// The changes that are kept, oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> + ExactSizeIterator {
        self.kept.iter()
    }

    /// How many changes there were since the table was made.
    pub fn count(&self) -> u64 {
        self.next
    }

    /// A new subscriber. It reads what changes from now on.
    pub fn subscribe(&mut self) -> SubscriberId {
        let id = SubscriberId(self.next_subscriber);
        self.next_subscriber += 1;
        self.subscribers.insert(id, self.next);
        id
    }

    /// Ends a subscription. Whether there was one.
    pub fn unsubscribe(&mut self, subscriber: SubscriberId) -> bool {
        self.subscribers.remove(&subscriber).is_some()
    }

    /// The next change for a subscriber; `None` when it has read all, or has not subscribed.
    ///
    /// # Errors
    /// [`Missed`] if changes were dropped that it had not read; then it goes on with the oldest that is kept.
    pub fn read(&mut self, subscriber: SubscriberId) -> Result<Option<&Change>, Missed> {
        let Some(cursor) = self.subscribers.get_mut(&subscriber) else {
            return Ok(None);
        };
        let oldest = self.next - self.kept.len() as u64;
        if *cursor < oldest {
            let missed = oldest - *cursor;
            *cursor = oldest;
            return Err(Missed(missed));
        }
        let change = self.kept.get((*cursor - oldest) as usize);
        if change.is_some() {
            *cursor += 1;
        }
        Ok(change)
    }
}
