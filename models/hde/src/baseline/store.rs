//! Objects held in bounded memory: the least recently used makes room, the long unused expires.

use std::collections::BTreeMap;

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::object::{Object, ObjectId, ObjectName};

/// What a [`BaselineStore`] may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoreOptions {
    /// Most bytes of memory, indices of the objects included.
    pub max_bytes: u64,
    /// Most objects, every version counted.
    pub max_entries: usize,
    /// Most versions of one object; the oldest go first.
    pub max_versions: usize,
    /// How long an object stays that nobody asks for.
    pub ttl: Span,
}

impl StoreOptions {
    /// The limits of the original system's regional cache: 1000 entries, 5 minutes.
    pub fn regional_cache() -> StoreOptions {
        StoreOptions {
            max_entries: 1000,
            ttl: Span::from_s(300),
            ..StoreOptions::default()
        }
    }
}

impl Default for StoreOptions {
    /// 1 GiB, three versions of each object, unused ones for ten minutes.
    fn default() -> StoreOptions {
        StoreOptions {
            max_bytes: 1 << 30,
            max_entries: usize::MAX,
            max_versions: 3,
            ttl: Span::from_s(600),
        }
    }
}

/// What a store has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreStats {
    /// Objects asked for and found.
    pub hits: u64,
    /// Objects asked for and not found.
    pub misses: u64,
    /// Objects that made room for others.
    pub evicted: u64,
    /// Objects that nobody asked for in time.
    pub expired: u64,
    /// Objects larger than the whole store.
    pub refused: u64,
    /// The most bytes held at once.
    pub held_bytes_max: u64,
}

/// Versions of objects. Time is what the caller says; it must not go back.
#[derive(Debug)]
pub struct BaselineStore {
    options: StoreOptions,
    entries: BTreeMap<(ObjectId, u64), Entry>,
    /// Keys by last use, least recent first.
    by_use: BTreeMap<u64, (ObjectId, u64)>,
    uses: u64,
    held_bytes: u64,
    stats: StoreStats,
}

#[derive(Debug)]
struct Entry {
    object: Object,
    bytes: u64,
    used: Instant,
    /// Its key in `by_use`.
    use_number: u64,
}

impl BaselineStore {
    /// An empty store.
    pub fn new(options: StoreOptions) -> BaselineStore {
        BaselineStore {
            options,
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            held_bytes: 0,
            stats: StoreStats::default(),
        }
    }

    /// Takes an object; one of the same id and version is replaced. Whether it is now held: not if it is larger
    /// than the store.
    pub fn insert(&mut self, now: Instant, object: Object) -> bool {
        self.prune(now);
        let key = (object.id().clone(), object.version());
        self.take(&key);
        let bytes = object.memory_bytes();
        if bytes > self.options.max_bytes || self.options.max_entries == 0 || self.options.max_versions == 0 {
            self.stats.refused += 1;
            return false;
        }
        while self.versions(&key.0).count() >= self.options.max_versions {
            let oldest = self.versions(&key.0).next().expect("there are some");
            self.evict(&(key.0.clone(), oldest));
        }
        while self.held_bytes + bytes > self.options.max_bytes
            || self.entries.len() >= self.options.max_entries
        {
            let (_, key) = self.by_use.first_key_value().expect("something takes the room");
            let key = key.clone();
            self.evict(&key);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        self.held_bytes += bytes;
        self.stats.held_bytes_max = self.stats.held_bytes_max.max(self.held_bytes);
        let entry = Entry {
            object,
            bytes,
            used: now,
            use_number: self.uses,
        };
        self.entries.insert(key, entry);
        true
    }

    /// The object of this id and version. Asking counts as use.
    pub fn get(&mut self, now: Instant, id: &ObjectId, version: u64) -> Option<Object> {
        self.prune(now);
        let key = (id.clone(), version);
        let Some(entry) = self.entries.get_mut(&key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        self.uses += 1;
        self.by_use.remove(&entry.use_number);
        self.by_use.insert(self.uses, key);
        entry.used = now;
        entry.use_number = self.uses;
        Some(entry.object.clone())
    }

    /// The object of this very name; another content under its id and version is a miss.
    pub fn get_exact(&mut self, now: Instant, name: &ObjectName) -> Option<Object> {
        self.get(now, &name.id, name.version)
            .filter(|object| object.hash() == name.hash)
    }

    /// Drops all versions of an object.
    pub fn remove(&mut self, id: &ObjectId) {
        let versions: Vec<u64> = self.versions(id).collect();
        for version in versions {
            self.take(&(id.clone(), version));
        }
    }

    /// Drops everything that nobody asked for in time. Every other operation does so too.
    pub fn prune(&mut self, now: Instant) {
        while let Some((_, key)) = self.by_use.first_key_value()
            && now.saturating_since(self.entries[key].used) > self.options.ttl
        {
            let key = key.clone();
            self.take(&key);
            self.stats.expired += 1;
        }
    }

    /// The versions held of an object, ascending.
    pub fn versions(&self, id: &ObjectId) -> impl Iterator<Item = u64> + '_ {
        let range = (id.clone(), 0)..=(id.clone(), u64::MAX);
        self.entries.range(range).map(|((_, version), _)| *version)
    }

    /// Number of objects held, every version counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory that its objects take; never above the limit.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// What it has done so far.
    pub fn stats(&self) -> &StoreStats {
        &self.stats
    }

    fn evict(&mut self, key: &(ObjectId, u64)) {
        self.take(key);
        self.stats.evicted += 1;
    }

    fn take(&mut self, key: &(ObjectId, u64)) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.use_number);
            self.held_bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ObjectId {
        ObjectId::new(text).unwrap()
    }

    fn object(name: &str, version: u64, len: usize) -> Object {
        Object::new(id(name), version, vec![version as u8; len]).unwrap()
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let options = StoreOptions {
            max_bytes: 3 * object("a", 1, 1000).memory_bytes(),
            ..StoreOptions::default()
        };
        let mut store = BaselineStore::new(options);
        for name in ["a", "b", "c"] {
            assert!(store.insert(at(0), object(name, 1, 1000)));
        }
        assert!(store.get(at(0), &id("a"), 1).is_some());
        assert!(store.insert(at(0), object("d", 1, 1000)));
        assert!(store.get(at(0), &id("b"), 1).is_none());
        assert!(
            ["a", "c", "d"]
                .iter()
                .all(|name| store.get(at(0), &id(name), 1).is_some())
        );
        assert_eq!(store.held_bytes(), options.max_bytes);
        assert_eq!(
            (store.stats().hits, store.stats().misses, store.stats().evicted),
            (4, 1, 1)
        );

        assert!(
            !store.insert(at(0), object("e", 1, 1 << 20)),
            "larger than the store"
        );
        assert_eq!((store.len(), store.stats().refused), (3, 1));
    }

    #[test]
    fn what_is_used_lives_on_and_what_is_not_expires() {
        let mut store = BaselineStore::new(StoreOptions::regional_cache());
        store.insert(at(0), object("a", 1, 10));
        store.insert(at(0), object("b", 1, 10));
        assert!(store.get(at(300), &id("a"), 1).is_some());
        assert!(store.get(at(301), &id("b"), 1).is_none());
        assert!(store.get(at(600), &id("a"), 1).is_some());
        store.prune(at(901));
        assert!(store.is_empty() && store.held_bytes() == 0);
        assert_eq!(store.stats().expired, 2);
    }

    #[test]
    fn old_versions_go_first_and_a_thousand_entries_are_enough() {
        let mut store = BaselineStore::new(StoreOptions::regional_cache());
        for version in 1..=5 {
            store.insert(at(0), object("a", version, 10));
        }
        assert!(store.versions(&id("a")).eq(3..=5));
        store.remove(&id("a"));
        assert!(store.is_empty());
        for n in 0..1500 {
            store.insert(at(0), object(&format!("{n}"), 1, 10));
        }
        assert_eq!(store.len(), 1000);
        assert!(store.get(at(0), &id("499"), 1).is_none() && store.get(at(0), &id("500"), 1).is_some());
    }

    #[test]
    fn another_content_under_the_same_version_is_not_the_object() {
        let mut store = BaselineStore::new(StoreOptions::default());
        store.insert(at(0), object("a", 1, 10));
        let other = object("a", 1, 11);
        assert_eq!(store.get_exact(at(0), other.name()), None);
        store.insert(at(0), other.clone());
        assert_eq!(store.get_exact(at(0), other.name()), Some(other));
        assert_eq!(store.len(), 1);
    }
}
