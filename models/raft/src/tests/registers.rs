//! The state machine of the tests: a few registers of numbers, and what calls on one of them mean.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use longhaul_core::digest::Digest;

use crate::history::Model;
use crate::replica::{RestoreError, StateMachine};

/// What a client may ask of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Becomes this; returns what it was.
    Put(u64),
    /// Grows by this; returns what it is then. Done twice, it shows.
    Add(u64),
    /// Becomes the second if it is the first; returns what it was.
    Swap(u64, u64),
    /// Returns what it is.
    Get,
}

impl Operation {
    /// The new value and what is returned.
    fn apply(self, value: u64) -> (u64, u64) {
        match self {
            Operation::Put(new) => (new, value),
            Operation::Add(more) => (value.wrapping_add(more), value.wrapping_add(more)),
            Operation::Swap(expected, new) if expected == value => (new, value),
            Operation::Swap(..) | Operation::Get => (value, value),
        }
    }

    /// Kind and bytes of a command; a read has kind 0.
    pub fn encode(self, key: u8) -> (u8, Bytes) {
        let mut bytes = vec![key];
        let kind = match self {
            Operation::Get => 0,
            Operation::Put(value) => {
                bytes.put_u64(value);
                1
            }
            Operation::Add(more) => {
                bytes.put_u64(more);
                2
            }
            Operation::Swap(expected, new) => {
                bytes.put_u64(expected);
                bytes.put_u64(new);
                3
            }
        };
        (kind, bytes.into())
    }

    fn decode(kind: u8, mut bytes: &[u8]) -> (u8, Operation) {
        let key = bytes.get_u8();
        let operation = match kind {
            1 => Operation::Put(bytes.get_u64()),
            2 => Operation::Add(bytes.get_u64()),
            3 => Operation::Swap(bytes.get_u64(), bytes.get_u64()),
            _ => Operation::Get,
        };
        (key, operation)
    }
}

/// The registers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    values: BTreeMap<u8, u64>,
}

impl StateMachine for Registers {
    fn apply(&mut self, kind: u8, command: &Bytes) -> Bytes {
        let (key, operation) = Operation::decode(kind, command);
        let value = self.values.entry(key).or_default();
        let (new, returned) = operation.apply(*value);
        *value = new;
        Bytes::copy_from_slice(&returned.to_be_bytes())
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let value = self.values.get(&query[0]).copied().unwrap_or_default();
        Bytes::copy_from_slice(&value.to_be_bytes())
    }

    fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        for (key, value) in &self.values {
            digest.mix(u64::from(*key));
            digest.mix(*value);
        }
        digest.value()
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.values {
            out.put_u8(*key);
            out.put_u64(*value);
        }
    }

    fn restore(&mut self, snapshot: Bytes) -> Result<(), RestoreError> {
        if !snapshot.len().is_multiple_of(9) {
            return Err(RestoreError);
        }
        let pairs = snapshot.chunks(9).map(|mut pair| (pair.get_u8(), pair.get_u64()));
        self.values = pairs.collect();
        Ok(())
    }
}

/// A call on one register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    pub operation: Operation,
    pub returned: Option<u64>,
}

/// What calls on one register mean.
pub struct Register;

impl Model for Register {
    type State = u64;
    type Call = Call;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, call: &Call) -> Option<u64> {
        let (new, returned) = call.operation.apply(*state);
        call.returned.is_none_or(|seen| seen == returned).then_some(new)
    }
}
