//! The state of a cluster: keys with what is known of each, their hash tree, and what a crash would take back.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::{Instant, Span};

use crate::Key;
use crate::record::{Record, Relation};
use crate::tree::{HashTree, Sum};

/// All keys of a cluster.
#[derive(Clone, Debug)]
pub struct State {
    records: BTreeMap<Key, Held>,
    tree: HashTree,
    max_keys: usize,
    value_bytes: u64,
    durable_after: Span,
    disk: DiskCondition,
    /// What was there before changes that are not durable, and when these will be; oldest first, as they are written.
    undo: VecDeque<(Instant, Key, Option<Record>)>,
}

#[derive(Clone, Debug)]
struct Held {
    record: Record,
    hash: Sum,
}

/// There are as many keys as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no room for another key")]
pub struct Full;

/// What came of merging a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merged {
    /// How what was known before lay to the record.
    pub relation: Relation,
    /// Whether anything changed.
    pub changed: bool,
}

impl State {
    /// No keys yet. Changes are durable after so long.
    pub fn new(max_keys: usize, durable_after: Span) -> State {
        State {
            records: BTreeMap::new(),
            tree: HashTree::default(),
            max_keys,
            value_bytes: 0,
            durable_after,
            disk: DiskCondition::default(),
            undo: VecDeque::new(),
        }
    }

    /// What is known of a key.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.records.get(key).map(|held| &held.record)
    }

    /// All keys with what is known of them, removed ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Record)> {
        self.records.iter().map(|(key, held)| (key, &held.record))
    }

    /// Keys, removed ones included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all values.
    pub fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// Its hash tree.
    pub fn tree(&self) -> &HashTree {
        &self.tree
    }

    /// A number that states have in common that are the same.
    pub fn hash(&self) -> Sum {
        self.tree.root()
    }

    /// Takes in what somebody knows of a key.
    ///
    /// # Errors
    /// [`Full`]
    pub fn merge(&mut self, now: Instant, key: &Key, record: &Record) -> Result<Merged, Full> {
        let Some(held) = self.records.get(key) else {
            if self.records.len() >= self.max_keys {
                return Err(Full);
            }
            self.replace(now, key, Some(record.clone()));
            return Ok(Merged {
                relation: Relation::Before,
                changed: true,
            });
        };
        let mut merged = held.record.clone();
        let relation = merged.merge(record);
        let changed = matches!(relation, Relation::Before | Relation::Concurrent);
        if changed {
            self.replace(now, key, Some(merged));
        }
        Ok(Merged { relation, changed })
    }

    /// How well the disk does from now on. Writes under way go on at the new speed; without space none does, and when
    /// there is some they begin anew.
    pub fn set_disk(&mut self, now: Instant, condition: DiskCondition) {
        self.forget_undo(now);
        let before = std::mem::replace(&mut self.disk, condition);
        let anew = now.saturating_add(condition.takes(self.durable_after));
        let had_no_space = before.is_out_of_space() && !condition.is_out_of_space();
        for (due, ..) in &mut self.undo {
            *due = now.saturating_add(before.rescaled(due.saturating_since(now), condition));
            if had_no_space {
                *due = anew.max(*due);
            }
        }
    }

    /// When the first write fails, if the disk does as it does now.
    pub fn fails_at(&self) -> Option<Instant> {
        let (due, ..) = self.undo.front()?;
        self.disk.failed.then_some(*due)
    }

    /// The machine stopped: what was not durable is taken back. Returns how many changes.
    pub fn crash(&mut self, now: Instant) -> u64 {
        self.forget_undo(now);
        let mut taken_back = 0;
        while let Some((_, key, before)) = self.undo.pop_back() {
            self.exchange(&key, before);
            taken_back += 1;
        }
        taken_back
    }

    fn replace(&mut self, now: Instant, key: &Key, record: Option<Record>) {
        self.forget_undo(now);
        let before = self.exchange(key, record);
        let takes = self.disk.takes(self.durable_after);
        if takes > Span::ZERO || !self.disk.writes() {
            let last = self.undo.back().map_or(Instant::ZERO, |(due, ..)| *due);
            let due = now.saturating_add(takes).max(last);
            self.undo.push_back((due, key.clone(), before));
        }
    }

    fn exchange(&mut self, key: &Key, record: Option<Record>) -> Option<Record> {
        let held = record.map(|record| Held {
            hash: hash_of(key, &record),
            record,
        });
        let hash = held.as_ref().map(|held| held.hash);
        self.value_bytes += held.as_ref().map_or(0, |held| held.record.value_bytes());
        let before = match held {
            Some(held) => self.records.insert(key.clone(), held),
            None => self.records.remove(key),
        };
        self.value_bytes -= before.as_ref().map_or(0, |held| held.record.value_bytes());
        self.tree.change(key, before.as_ref().map(|held| held.hash), hash);
        before.map(|held| held.record)
    }

    fn forget_undo(&mut self, now: Instant) {
        if self.disk.writes() {
            while self.undo.pop_front_if(|(due, ..)| *due <= now).is_some() {}
        }
    }
}

fn hash_of(key: &Key, record: &Record) -> Sum {
    let mut head = Vec::new();
    record.encode_head(&mut head);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.as_str().len() as u64).to_le_bytes());
    hasher.update(key.as_str().as_bytes());
    hasher.update(&head);
    hasher.update(record.value.as_deref().unwrap_or_default());
    let hash = hasher.finalize();
    Sum(u128::from_le_bytes(
        *hash.as_bytes().first_chunk().expect("32 bytes"),
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ClusterId;
    use crate::record::{Stamp, VersionVector};

    fn key(n: u32) -> Key {
        Key::new(&format!("key-{n}")).expect("a short key")
    }

    fn record(ns: u64, writer: u32, writes: u64) -> Record {
        let mut versions = VersionVector::default();
        versions.raise(ClusterId(writer), writes);
        Record {
            stamp: Stamp {
                time: Instant::from_ns(ns),
                number: 0,
                writer: ClusterId(writer),
            },
            versions,
            value: Some(Bytes::from(vec![writer as u8; 10])),
        }
    }

    fn at(ns: u64) -> Instant {
        Instant::from_ns(ns)
    }

    #[test]
    fn states_with_the_same_writes_have_the_same_hash() {
        let writes = [
            (1, record(5, 0, 1)),
            (2, record(6, 1, 1)),
            (1, record(7, 1, 2)),
            (2, record(3, 0, 2)),
        ];
        let state = |order: &[usize]| {
            let mut state = State::new(10, Span::ZERO);
            for place in order {
                let (n, record) = &writes[*place];
                state.merge(at(9), &key(*n), record).expect("room");
            }
            state
        };
        let one = state(&[0, 1, 2, 3]);
        assert_eq!(one.hash(), state(&[3, 2, 1, 0, 0, 2]).hash());
        assert_ne!(one.hash(), state(&[0, 1, 2]).hash());
        assert_eq!((one.len(), one.value_bytes()), (2, 20));
    }

    #[test]
    fn what_is_not_durable_is_taken_back() {
        let mut state = State::new(10, Span::from_ns(10));
        state.merge(at(0), &key(1), &record(0, 0, 1)).expect("room");
        let before = state.hash();
        state.merge(at(95), &key(1), &record(95, 0, 2)).expect("room");
        state.merge(at(98), &key(2), &record(98, 0, 1)).expect("room");
        state.merge(at(99), &key(1), &record(99, 1, 1)).expect("room");
        assert_eq!(state.crash(at(100)), 3);
        assert_eq!((state.hash(), state.len(), state.value_bytes()), (before, 1, 10));
        assert_eq!(state.crash(at(100)), 0);
    }

    #[test]
    fn a_slow_disk_makes_durable_later_and_a_full_one_nothing() {
        let (well, ns) = (DiskCondition::default(), Span::from_ns);
        let write = |state: &mut State, time| {
            let changed = state.merge(at(time), &key(1), &record(time, 0, time));
            assert_eq!(changed.map(|merged| merged.changed), Ok(true));
        };
        // How many of four writes a crash takes back, if the disk is so from 100 on and well from 200 on.
        let taken_back = |condition: DiskCondition, crash| {
            let mut state = State::new(10, ns(10));
            write(&mut state, 80);
            write(&mut state, 95);
            state.set_disk(at(100), condition);
            write(&mut state, 110);
            write(&mut state, 190);
            let mut now = 200;
            if crash > 200 {
                state.set_disk(at(200), well);
                now = crash;
            }
            (state.crash(at(now)), state.fails_at())
        };
        assert_eq!(taken_back(well, 200), (0, None));
        // Half a write is left at 100 and takes 25 more; the others take 50 from 110 and 190 on, of which 40 are left
        // at 200: 8 at the normal speed.
        let slow = DiskCondition {
            slowdown: 5_000,
            ..well
        };
        assert_eq!(taken_back(slow, 200).0, 1);
        assert_eq!((taken_back(slow, 207).0, taken_back(slow, 208).0), (1, 0));
        let full = DiskCondition { full: true, ..well };
        assert_eq!(taken_back(full, 200).0, 3);
        assert_eq!((taken_back(full, 209).0, taken_back(full, 210).0), (3, 0));
        let failed = DiskCondition { failed: true, ..well };
        let mut state = State::new(10, ns(10));
        write(&mut state, 95);
        state.set_disk(at(100), failed);
        write(&mut state, 101);
        assert_eq!(state.fails_at(), Some(at(105)));
        assert_eq!(state.crash(at(105)), 2);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let mut state = State::new(1, Span::ZERO);
        state.merge(at(0), &key(1), &record(0, 0, 1)).expect("room");
        assert_eq!(state.merge(at(0), &key(2), &record(0, 0, 1)), Err(Full));
        let again = state.merge(at(0), &key(1), &record(0, 0, 1));
        assert_eq!(again.map(|merged| merged.changed), Ok(false));
    }
}
