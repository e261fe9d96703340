//! What the log in common is for: a registry of names and values that all clusters see in the same order.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use longhaul_raft::history::Model;
use longhaul_raft::replica::{RestoreError, StateMachine};

/// Kind of the command that sets a value; it answers with the [print](print_of) of the value before.
pub const PUT: u8 = 1;

/// Names and values. Commands and queries begin with the length of the name in two bytes, and the name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    values: BTreeMap<Bytes, Bytes>,
    digest: u64,
}

/// The command that sets a value.
pub fn put(name: &str, value: &[u8]) -> Bytes {
    let mut out = query(name).to_vec();
    out.put_slice(value);
    out.into()
}

/// The question what a name stands for. It is answered with the print of the value.
///
/// # Panics
/// If the name is longer than 64 KiB.
pub fn query(name: &str) -> Bytes {
    let mut out = Vec::new();
    out.put_u16(u16::try_from(name.len()).expect("a short name"));
    out.put_slice(name.as_bytes());
    out.into()
}

/// A number that stands for a value: the first eight bytes of its BLAKE3 hash; 0 for none.
pub fn print_of(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| {
        u64::from_le_bytes(*blake3::hash(value).as_bytes().first_chunk().expect("32 bytes"))
    })
}

impl Registry {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.values.get(name.as_bytes())
    }

    fn set(&mut self, name: Bytes, value: Bytes) -> Option<Bytes> {
        // A sum of the items' hashes: equal registries have equal sums, however they came about.
        let item = |value: &Bytes| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(&name);
            hasher.update(value);
            u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes"))
        };
        let before = self.values.get(&name).map_or(0, item);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(item(&value));
        self.values.insert(name, value)
    }
}

/// A name off the front of `bytes`; none if they are too short.
fn take_name(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::from(bytes.try_get_u16().ok()?);
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

impl StateMachine for Registry {
    fn apply(&mut self, kind: u8, command: &Bytes) -> Bytes {
        let mut rest = command.clone();
        // What makes no sense changes nothing, and is answered with nothing, everywhere.
        match (kind, take_name(&mut rest)) {
            (PUT, Some(name)) => {
                let before = self.set(name, rest);
                Bytes::copy_from_slice(&print_of(before.as_deref()).to_be_bytes())
            }
            _ => Bytes::new(),
        }
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let name = take_name(&mut query.clone()).unwrap_or_default();
        let value = self.values.get(&name).map(|value| &value[..]);
        Bytes::copy_from_slice(&print_of(value).to_be_bytes())
    }

    fn digest(&self) -> u64 {
        self.digest
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.values {
            for part in [name, value] {
                out.put_u32(u32::try_from(part.len()).expect("commands are short"));
                out.put_slice(part);
            }
        }
    }

    fn restore(&mut self, mut snapshot: Bytes) -> Result<(), RestoreError> {
        let mut restored = Registry::default();
        let mut part = || {
            let length = usize::try_from(snapshot.try_get_u32().ok()?).ok()?;
            (snapshot.len() >= length).then(|| snapshot.split_to(length))
        };
        let mut parts = Vec::new();
        while let Some(next) = part() {
            parts.push(next);
        }
        if !snapshot.is_empty() || parts.len() % 2 != 0 {
            return Err(RestoreError);
        }
        for pair in parts.chunks_exact(2) {
            restored.set(pair[0].clone(), pair[1].clone());
        }
        *self = restored;
        Ok(())
    }
}

/// What clients ask of one name, for [`linearizable`](longhaul_raft::history::linearizable).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// The print of the value that is set; none for a question.
    pub put: Option<u64>,
    /// The print that was answered, if there was an answer: of the value before or of the value.
    pub answer: Option<u64>,
}

/// What calls on one name mean.
pub struct Name;

impl Model for Name {
    type State = u64;
    type Call = Call;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, call: &Call) -> Option<u64> {
        let explained = call.answer.is_none_or(|answer| answer == *state);
        explained.then_some(call.put.unwrap_or(*state))
    }

    fn is_read(&self, call: &Call) -> bool {
        call.put.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_with_the_same_values_have_the_same_digest() {
        let (mut one, mut other) = (Registry::default(), Registry::default());
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            one.apply(PUT, &put(name, value.as_bytes()));
        }
        for (name, value) in [("b", "2"), ("a", "3")] {
            other.apply(PUT, &put(name, value.as_bytes()));
        }
        assert_eq!(one, other);
        let mut snapshot = Vec::new();
        one.snapshot(&mut snapshot);
        let mut restored = Registry::default();
        assert_eq!(restored.restore(snapshot.clone().into()), Ok(()));
        assert_eq!(restored, one);
        snapshot.pop();
        assert_eq!(restored.restore(snapshot.into()), Err(RestoreError));
        assert_eq!(restored, one);
    }

    #[test]
    fn answers_are_prints_and_nonsense_changes_nothing() {
        let mut registry = Registry::default();
        assert_eq!(registry.apply(PUT, &put("a", b"x")), &0u64.to_be_bytes()[..]);
        let print = print_of(Some(b"x")).to_be_bytes();
        assert_eq!(registry.query(&query("a")), &print[..]);
        assert_eq!(registry.apply(PUT, &put("a", b"")), &print[..]);
        let before = registry.clone();
        for (kind, command) in [(9, put("a", b"y")), (PUT, Bytes::from_static(b"\0\x09a"))] {
            assert_eq!(registry.apply(kind, &command), Bytes::new());
        }
        assert_eq!(registry, before);
    }
}
