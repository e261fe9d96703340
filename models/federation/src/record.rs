//! What a cluster knows of a key: the value that was written last, and which writes are in it.
//!
//! Integers are big endian.
//!
//! | bytes | field |
//! | --: | --- |
//! | 1 | 1 if there is a value, 0 if the key was removed |
//! | 8 | time of the write, ns |
//! | 4 | its number among the writes of that time |
//! | 4 | who wrote it |
//! | 2 | clusters in the version vector |
//! | each: 4, 8 | cluster, and how many of its writes are in this |
//! | … | the value |

use bytes::{Buf, BufMut, Bytes};
use longhaul_core::time::Instant;

use crate::ClusterId;

/// When something was written: a hybrid logical clock (Kulkarni and others, "Logical Physical Clocks", 2014). A write
/// that has seen another has the later stamp; stamps of different writes differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Stamp {
    /// The writer's clock, or that of a write that it had seen.
    pub time: Instant,
    /// Which of the writes of that time.
    pub number: u32,
    /// Who wrote it. The last resort: of two writes that know nothing of each other at the same time, that of the higher
    /// number counts.
    pub writer: ClusterId,
}

/// A clock that gives stamps.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    writer: ClusterId,
    last: Stamp,
}

impl Clock {
    /// The clock of a cluster that has seen nothing.
    pub fn new(writer: ClusterId) -> Clock {
        Clock {
            writer,
            last: Stamp::default(),
        }
    }

    /// The stamp of a write that is made now: later than all that were seen.
    pub fn stamp(&mut self, now: Instant) -> Stamp {
        let stamp = if now > self.last.time {
            Stamp {
                time: now,
                number: 0,
                writer: self.writer,
            }
        } else {
            Stamp {
                time: self.last.time,
                number: self.last.number + 1,
                writer: self.writer,
            }
        };
        self.last = stamp;
        stamp
    }

    /// A write was seen.
    pub fn see(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp);
    }
}

/// How many writes of each cluster are in something, in the order of the clusters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionVector(Vec<(ClusterId, u64)>);

/// How two version vectors lie to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// The same writes are in both.
    Equal,
    /// All writes of the other are in this one, and more.
    After,
    /// All writes of this one are in the other, and more.
    Before,
    /// Each has writes that the other has not.
    Concurrent,
}

impl VersionVector {
    /// How many writes of a cluster are in it.
    pub fn of(&self, cluster: ClusterId) -> u64 {
        let found = self.0.binary_search_by_key(&cluster, |(id, _)| *id);
        found.map_or(0, |place| self.0[place].1)
    }

    /// Takes in that there are so many writes of a cluster.
    pub fn raise(&mut self, cluster: ClusterId, writes: u64) {
        match self.0.binary_search_by_key(&cluster, |(id, _)| *id) {
            Ok(place) => self.0[place].1 = self.0[place].1.max(writes),
            Err(place) => self.0.insert(place, (cluster, writes)),
        }
    }

    /// Takes in all writes of another.
    pub fn join(&mut self, other: &VersionVector) {
        for (cluster, writes) in &other.0 {
            self.raise(*cluster, *writes);
        }
    }

    /// How it lies to another.
    pub fn relation(&self, other: &VersionVector) -> Relation {
        let ahead = self
            .0
            .iter()
            .any(|(cluster, writes)| *writes > other.of(*cluster));
        let behind = other
            .0
            .iter()
            .any(|(cluster, writes)| *writes > self.of(*cluster));
        match (ahead, behind) {
            (false, false) => Relation::Equal,
            (true, false) => Relation::After,
            (false, true) => Relation::Before,
            (true, true) => Relation::Concurrent,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // A federation has at most 256 clusters.
        out.put_u16(self.0.len() as u16);
        for (cluster, writes) in &self.0 {
            out.put_u32(cluster.0);
            out.put_u64(*writes);
        }
    }

    /// Cuts one off the front of `bytes`.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn take(bytes: &mut Bytes) -> Result<VersionVector, RecordError> {
        let count = bytes.try_get_u16().map_err(|_| RecordError)?;
        let mut entries: Vec<(ClusterId, u64)> = Vec::new();
        for _ in 0..count {
            let cluster = ClusterId(bytes.try_get_u32().map_err(|_| RecordError)?);
            let writes = bytes.try_get_u64().map_err(|_| RecordError)?;
            if writes == 0 || entries.last().is_some_and(|(last, _)| *last >= cluster) {
                return Err(RecordError);
            }
            entries.push((cluster, writes));
        }
        Ok(VersionVector(entries))
    }
}

/// Bytes that are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a record of a key")]
pub struct RecordError;

/// What is known of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When the value was written.
    pub stamp: Stamp,
    /// Which writes are in it, also those that lost.
    pub versions: VersionVector,
    /// The value; none if the key was removed.
    pub value: Option<Bytes>,
}

impl Record {
    /// Takes in what somebody else knows of the key. The last write wins, and the writes of both are in it: it does not
    /// matter in which order, and how often, records are merged.
    pub fn merge(&mut self, other: &Record) -> Relation {
        let relation = self.versions.relation(&other.versions);
        self.versions.join(&other.versions);
        if other.stamp > self.stamp {
            self.stamp = other.stamp;
            self.value = other.value.clone();
        }
        relation
    }

    /// Bytes of the value.
    pub fn value_bytes(&self) -> u64 {
        self.value.as_ref().map_or(0, |value| value.len() as u64)
    }

    /// Everything but the value.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(self.value.is_some()));
        out.put_u64(self.stamp.time.as_ns());
        out.put_u32(self.stamp.number);
        out.put_u32(self.stamp.writer.0);
        self.versions.encode(out);
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode_head(&mut out);
        out.extend_from_slice(self.value.as_deref().unwrap_or_default());
        out.into()
    }

    /// Reads a record that fills all of `bytes`; the value shares their memory.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn parse(mut bytes: Bytes) -> Result<Record, RecordError> {
        let record = Record::take_head(&mut bytes)?;
        match (record.value.is_some(), bytes.is_empty()) {
            (true, _) => Ok(Record {
                value: Some(bytes),
                ..record
            }),
            (false, true) => Ok(record),
            (false, false) => Err(RecordError),
        }
    }

    /// Cuts everything but the value off the front of `bytes`; where there is a value it is empty.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn take_head(bytes: &mut Bytes) -> Result<Record, RecordError> {
        let present = match bytes.try_get_u8() {
            Ok(0) => false,
            Ok(1) => true,
            _ => return Err(RecordError),
        };
        let stamp = Stamp {
            time: Instant::from_ns(bytes.try_get_u64().map_err(|_| RecordError)?),
            number: bytes.try_get_u32().map_err(|_| RecordError)?,
            writer: ClusterId(bytes.try_get_u32().map_err(|_| RecordError)?),
        };
        // A stamp must leave room for later ones.
        if stamp.time > Instant::from_ns(u64::MAX / 2) || stamp.number > u32::MAX / 2 {
            return Err(RecordError);
        }
        Ok(Record {
            stamp,
            versions: VersionVector::take(bytes)?,
            value: present.then(Bytes::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(writes: &[(u32, u64)]) -> VersionVector {
        let mut vector = VersionVector::default();
        for (cluster, count) in writes {
            vector.raise(ClusterId(*cluster), *count);
        }
        vector
    }

    fn record(ns: u64, writer: u32, writes: &[(u32, u64)], value: &'static str) -> Record {
        Record {
            stamp: Stamp {
                time: Instant::from_ns(ns),
                number: 0,
                writer: ClusterId(writer),
            },
            versions: vector(writes),
            value: Some(Bytes::from_static(value.as_bytes())),
        }
    }

    #[test]
    fn stamps_rise_with_everything_that_was_seen() {
        let mut clock = Clock::new(ClusterId(1));
        let first = clock.stamp(Instant::from_ns(50));
        let same_time = clock.stamp(Instant::from_ns(50));
        clock.see(Stamp {
            time: Instant::from_ns(90),
            number: 7,
            writer: ClusterId(9),
        });
        let clock_behind = clock.stamp(Instant::from_ns(60));
        let clock_ahead = clock.stamp(Instant::from_ns(100));
        assert!(first < same_time && same_time < clock_behind && clock_behind < clock_ahead);
        assert_eq!(
            (clock_behind.time, clock_behind.number),
            (Instant::from_ns(90), 8)
        );
    }

    #[test]
    fn vectors_tell_before_from_beside() {
        let (a, b) = (vector(&[(0, 1)]), vector(&[(0, 1), (2, 5)]));
        let c = vector(&[(0, 2), (1, 1)]);
        assert_eq!(a.relation(&a), Relation::Equal);
        assert_eq!(
            (a.relation(&b), b.relation(&a)),
            (Relation::Before, Relation::After)
        );
        assert_eq!(b.relation(&c), Relation::Concurrent);
        assert_eq!(VersionVector::default().relation(&a), Relation::Before);
    }

    #[test]
    fn records_merge_to_the_same_in_any_order_and_however_often() {
        let records = [
            record(5, 0, &[(0, 1)], "a"),
            record(5, 1, &[(1, 1)], "b"),
            record(9, 2, &[(0, 1), (2, 1)], "c"),
            record(7, 0, &[(0, 2)], "d"),
        ];
        let merged = |order: &[usize]| {
            let mut result = records[order[0]].clone();
            order.iter().for_each(|place| {
                result.merge(&records[*place]);
            });
            result
        };
        let first = merged(&[0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            assert_eq!(merged(&order), first);
        }
        assert_eq!(first.value.as_deref(), Some(&b"c"[..]));
        assert_eq!(first.versions, vector(&[(0, 2), (1, 1), (2, 1)]));
        // At the same time, the higher number of the writer decides.
        let mut tie = records[0].clone();
        assert_eq!(tie.merge(&records[1]), Relation::Concurrent);
        assert_eq!(tie.value.as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn a_record_survives_its_bytes_and_less_is_an_error() {
        let removed = Record {
            value: None,
            ..record(5, 0, &[(0, 1)], "")
        };
        let empty = record(5, 0, &[(0, 1)], "");
        for record in [record(5, 3, &[(0, 1), (7, 9)], "value"), removed, empty] {
            assert_eq!(Record::parse(record.to_bytes()), Ok(record));
        }
        let bytes = record(5, 3, &[(0, 1), (7, 9)], "").to_bytes();
        for len in 0..bytes.len() {
            assert_eq!(Record::parse(bytes.slice(..len)), Err(RecordError));
        }
        let mut unordered = bytes.to_vec();
        unordered[22] = 8;
        assert_eq!(Record::parse(unordered.into()), Err(RecordError));
    }
}
