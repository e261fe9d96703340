//! How every stream of a migration begins.
//!
//! | bytes | field |
//! | --: | --- |
//! | 4 | magic `LHMS` |
//! | 1 | version, 1 |
//! | 1 | role: 0 data (AMST follows), 1 return path |
//! | 2 | attempt: 0, and one more for every recovery |
//! | 8 | session |
//!
//! The session tells the streams of one guest's migration from those of another's, the attempt those of a recovery
//! from those that it replaces and that may still be on their way.

use longhaul_core::payload::Payload;

use super::Reader;

const MAGIC: [u8; 4] = *b"LHMS";
const VERSION: u8 = 1;

/// Length of a preface.
pub const LEN: usize = 16;

/// What a stream carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// AMST.
    Data,
    /// Records from the destination; nothing but the preface from the source.
    ReturnPath,
}

/// The first bytes of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preface {
    pub role: Role,
    pub attempt: u16,
    pub session: u64,
}

impl Preface {
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.role {
            Role::Data => 0,
            Role::ReturnPath => 1,
        };
        bytes[6..8].copy_from_slice(&self.attempt.to_be_bytes());
        bytes[8..].copy_from_slice(&self.session.to_be_bytes());
        bytes
    }

    pub fn parse(bytes: &[u8; LEN]) -> Option<Preface> {
        let mut reader = Reader::new(bytes);
        if reader.take(4)? != MAGIC || reader.u8()? != VERSION {
            return None;
        }
        let role = match reader.u8()? {
            0 => Role::Data,
            1 => Role::ReturnPath,
            _ => return None,
        };
        Some(Preface {
            role,
            attempt: reader.u16()?,
            session: reader.u64()?,
        })
    }
}

/// A stream that begins with something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAPreface;

/// Collects the preface of a stream.
#[derive(Clone, Debug, Default)]
pub struct PrefaceReader {
    bytes: Vec<u8>,
}

impl PrefaceReader {
    /// Takes what belongs to the preface off the front of a piece; says what it is once it is complete.
    pub fn read(&mut self, piece: &mut Payload) -> Result<Option<Preface>, NotAPreface> {
        let missing = (LEN - self.bytes.len()) as u64;
        let Payload::Real(bytes) = piece.split_to(piece.len().min(missing)) else {
            return Err(NotAPreface);
        };
        self.bytes.extend_from_slice(&bytes);
        match self.bytes.as_slice().try_into() {
            Ok(complete) => Preface::parse(complete).map(Some).ok_or(NotAPreface),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_preface_survives_whole_and_in_parts_and_nothing_else_passes() {
        let preface = Preface {
            role: Role::ReturnPath,
            attempt: 7,
            session: u64::MAX - 1,
        };
        let bytes = preface.to_bytes();
        let mut reader = PrefaceReader::default();
        for byte in &bytes[..LEN - 1] {
            let mut piece = Payload::from(Bytes::copy_from_slice(&[*byte]));
            assert_eq!(reader.read(&mut piece), Ok(None));
        }
        let mut piece = Payload::from(Bytes::from([&bytes[LEN - 1..], b"rest"].concat()));
        assert_eq!(reader.read(&mut piece), Ok(Some(preface)));
        assert_eq!(piece, Bytes::from_static(b"rest").into());
        for (at, wrong) in [(0, b'X'), (4, 2), (5, 2)] {
            let mut damaged = bytes;
            damaged[at] = wrong;
            assert_eq!(Preface::parse(&damaged), None);
        }
        assert_eq!(
            PrefaceReader::default().read(&mut Payload::Synthetic(3)),
            Err(NotAPreface)
        );
    }
}
