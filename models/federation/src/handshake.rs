//! Who speaks, what both sides can do, and why a connection is not taken.

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::wire::{FrameError, put_text, take_text, take_u8, take_u16, take_u32, take_u64};

/// Version of the protocol above the frames.
pub const PROTOCOL: u16 = 1;

/// Objects travel as differences to baselines.
pub const CAN_HDE: u32 = 1 << 0;
/// Data travels over several streams.
pub const CAN_AMST: u32 = 1 << 1;
/// The cluster takes part in the log.
pub const CAN_CONSENSUS: u32 = 1 << 2;
/// Differences are found by hash trees.
pub const CAN_RECONCILE: u32 = 1 << 3;

/// Without these two clusters cannot work together.
pub const REQUIRED: u32 = CAN_HDE | CAN_AMST | CAN_RECONCILE;

/// The first words of whoever connects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The oldest version of the protocol that it speaks.
    pub oldest: u16,
    /// The newest.
    pub newest: u16,
    /// The federation.
    pub federation: String,
    /// Who it is.
    pub from: ClusterId,
    /// Whom it wants.
    pub to: ClusterId,
    /// Which of its lives this is.
    pub incarnation: u64,
    /// The number of the connection, which rises with each attempt.
    pub connection: u64,
    /// What it can do.
    pub capabilities: u32,
    /// The largest value that it takes, in bytes.
    pub max_value_bytes: u64,
}

/// The answer of whoever takes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u16,
    /// Which of its lives this is.
    pub incarnation: u64,
    /// The number of the connection.
    pub connection: u64,
    /// What both can do.
    pub capabilities: u32,
    /// The largest value that it takes, in bytes.
    pub max_value_bytes: u64,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refused {
    /// No version of the protocol in common.
    #[error("no version of the protocol in common")]
    Version,
    /// Another federation.
    #[error("another federation")]
    Federation,
    /// Somebody else is meant.
    #[error("somebody else is meant")]
    Recipient,
    /// Not connected with it in this topology.
    #[error("not a neighbour")]
    Stranger,
    /// It cannot do what is needed.
    #[error("a needed capability is missing")]
    Capabilities,
}

impl Hello {
    /// What a cluster that has this to say answers to it.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn answer(&self, own: &Hello, is_neighbour: bool) -> Result<Welcome, Refused> {
        let version = self.newest.min(own.newest);
        if version < self.oldest.max(own.oldest) {
            return Err(Refused::Version);
        }
        if self.federation != own.federation {
            return Err(Refused::Federation);
        }
        if self.to != own.from {
            return Err(Refused::Recipient);
        }
        if !is_neighbour {
            return Err(Refused::Stranger);
        }
        let capabilities = self.capabilities & own.capabilities;
        if capabilities & REQUIRED != REQUIRED {
            return Err(Refused::Capabilities);
        }
        Ok(Welcome {
            version,
            incarnation: own.incarnation,
            connection: self.connection,
            capabilities,
            max_value_bytes: own.max_value_bytes,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.oldest);
        out.put_u16(self.newest);
        put_text(out, &self.federation);
        out.put_u32(self.from.0);
        out.put_u32(self.to.0);
        out.put_u64(self.incarnation);
        out.put_u64(self.connection);
        out.put_u32(self.capabilities);
        out.put_u64(self.max_value_bytes);
    }

    pub(crate) fn take(body: &mut Bytes) -> Result<Hello, FrameError> {
        Ok(Hello {
            oldest: take_u16(body)?,
            newest: take_u16(body)?,
            federation: take_text(body)?,
            from: ClusterId(take_u32(body)?),
            to: ClusterId(take_u32(body)?),
            incarnation: take_u64(body)?,
            connection: take_u64(body)?,
            capabilities: take_u32(body)?,
            max_value_bytes: take_u64(body)?,
        })
    }
}

impl Welcome {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        out.put_u64(self.incarnation);
        out.put_u64(self.connection);
        out.put_u32(self.capabilities);
        out.put_u64(self.max_value_bytes);
    }

    pub(crate) fn take(body: &mut Bytes) -> Result<Welcome, FrameError> {
        Ok(Welcome {
            version: take_u16(body)?,
            incarnation: take_u64(body)?,
            connection: take_u64(body)?,
            capabilities: take_u32(body)?,
            max_value_bytes: take_u64(body)?,
        })
    }
}

impl Refused {
    const ALL: [Refused; 5] = [
        Refused::Version,
        Refused::Federation,
        Refused::Recipient,
        Refused::Stranger,
        Refused::Capabilities,
    ];

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let place = Refused::ALL.iter().position(|reason| *reason == self);
        out.put_u8(place.expect("one of all") as u8);
    }

    pub(crate) fn take(body: &mut Bytes) -> Result<Refused, FrameError> {
        let place = usize::from(take_u8(body)?);
        Refused::ALL.get(place).copied().ok_or(FrameError::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(from: u32, to: u32) -> Hello {
        Hello {
            oldest: PROTOCOL,
            newest: PROTOCOL,
            federation: "federation".to_owned(),
            from: ClusterId(from),
            to: ClusterId(to),
            incarnation: 3,
            connection: 7,
            capabilities: REQUIRED | CAN_CONSENSUS,
            max_value_bytes: 100,
        }
    }

    #[test]
    fn both_agree_on_the_newest_version_and_what_both_can_do() {
        let mut newer = hello(0, 1);
        newer.newest = 9;
        newer.capabilities |= 1 << 31;
        let own = Hello {
            capabilities: REQUIRED,
            ..hello(1, 0)
        };
        let welcome = newer.answer(&own, true).expect("a welcome");
        assert_eq!((welcome.version, welcome.connection), (PROTOCOL, 7));
        assert_eq!(welcome.capabilities, REQUIRED);
    }

    #[test]
    fn whoever_does_not_fit_hears_why() {
        type Change = fn(&mut Hello);
        let wrong: [(Refused, Change); 4] = [
            (Refused::Version, |hello| hello.oldest = PROTOCOL + 1),
            (Refused::Federation, |hello| hello.federation.push('x')),
            (Refused::Recipient, |hello| hello.to = ClusterId(5)),
            (Refused::Capabilities, |hello| hello.capabilities = CAN_HDE),
        ];
        for (why, change) in wrong {
            let mut strange = hello(0, 1);
            strange.newest = PROTOCOL + 1;
            change(&mut strange);
            assert_eq!(strange.answer(&hello(1, 0), true), Err(why));
        }
        assert_eq!(hello(0, 1).answer(&hello(1, 0), false), Err(Refused::Stranger));
    }
}
