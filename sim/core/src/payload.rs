//! Bytes in transit: real ones, or a synthetic length that stands for bytes nobody needs to look at.
//!
//! Both travel behind one type, so protocol code cannot tell them apart except where it must look inside.
//! Real bytes move by reference and are never copied on their way.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A piece of a byte stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// Bytes that are encoded, carried, decoded and compared.
    Real(Bytes),
    /// A number of bytes with no content. Its size was measured on real bytes by the real codec.
    Synthetic(u64),
}

impl Payload {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Payload::Real(bytes) => bytes.len() as u64,
            Payload::Synthetic(len) => *len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts off and returns the first `at` bytes; `self` keeps the rest.
    ///
    /// # Panics
    /// If `at` exceeds the length.
    pub fn split_to(&mut self, at: u64) -> Payload {
        assert!(at <= self.len(), "split at {at} of {} bytes", self.len());
        match self {
            // The assertion above bounds `at` by a `usize`.
            Payload::Real(bytes) => Payload::Real(bytes.split_to(at as usize)),
            Payload::Synthetic(len) => {
                *len -= at;
                Payload::Synthetic(at)
            }
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        Payload::Real(bytes)
    }
}

/// The text form on a tape: `"s:4096"` or `"r:00ff…"`.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Payload::Synthetic(len) => serializer.collect_str(&format_args!("s:{len}")),
            Payload::Real(bytes) => {
                let mut text = String::with_capacity(2 + 2 * bytes.len());
                text.push_str("r:");
                for byte in bytes {
                    text.push(char::from_digit(u32::from(byte >> 4), 16).expect("a nibble"));
                    text.push(char::from_digit(u32::from(byte & 15), 16).expect("a nibble"));
                }
                serializer.serialize_str(&text)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        match text.split_at_checked(2) {
            Some(("s:", len)) => len.parse().map(Payload::Synthetic).map_err(D::Error::custom),
            Some(("r:", hex)) if hex.len() % 2 == 0 && hex.is_ascii() => {
                let mut bytes = BytesMut::with_capacity(hex.len() / 2);
                for pair in hex.as_bytes().chunks_exact(2) {
                    let nibble = |c: u8| {
                        char::from(c)
                            .to_digit(16)
                            .ok_or_else(|| D::Error::custom("not hex"))
                    };
                    bytes.extend_from_slice(&[(nibble(pair[0])? << 4 | nibble(pair[1])?) as u8]);
                }
                Ok(Payload::Real(bytes.freeze()))
            }
            _ => Err(D::Error::custom("a payload is written \"s:LENGTH\" or \"r:HEX\"")),
        }
    }
}

/// A first-in first-out queue of payload, cut at any byte.
#[derive(Clone, Debug, Default)]
pub struct PayloadBuffer {
    pieces: VecDeque<Payload>,
    len: u64,
}

impl PayloadBuffer {
    /// Bytes in the queue.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a piece. Neighbouring synthetic pieces merge, so their number does not grow with their size.
    pub fn push(&mut self, piece: Payload) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len();
        if let (Payload::Synthetic(more), Some(Payload::Synthetic(last))) = (&piece, self.pieces.back_mut()) {
            *last += more;
            return;
        }
        self.pieces.push_back(piece);
    }

    /// The pieces, from the front.
    pub fn iter(&self) -> impl Iterator<Item = &Payload> {
        self.pieces.iter()
    }

    /// Takes up to `limit` bytes of one piece from the front; `None` if the queue is empty or `limit` is 0.
    #[inline]
    pub fn pop(&mut self, limit: u64) -> Option<Payload> {
        match self.pieces.front_mut() {
            // Almost always a piece is cut off something large.
            Some(Payload::Synthetic(len)) if *len > limit && limit > 0 => {
                *len -= limit;
                self.len -= limit;
                Some(Payload::Synthetic(limit))
            }
            _ => self.pop_piece(limit),
        }
    }

    fn pop_piece(&mut self, limit: u64) -> Option<Payload> {
        let front = self.pieces.front_mut().filter(|_| limit > 0)?;
        let piece = if front.len() <= limit {
            self.pieces.pop_front()?
        } else {
            front.split_to(limit)
        };
        self.len -= piece.len();
        Some(piece)
    }

    /// Takes exactly `len` bytes as real bytes: copies only if they span several pieces.
    ///
    /// Returns `None`, and takes nothing, if fewer bytes are queued or any of them is synthetic.
    pub fn pop_real(&mut self, len: usize) -> Option<Bytes> {
        if self.len < len as u64 {
            return None;
        }
        let mut found = 0;
        for piece in &self.pieces {
            if found >= len {
                break;
            }
            let Payload::Real(bytes) = piece else { return None };
            found += bytes.len();
        }
        let mut joined = BytesMut::new();
        let mut missing = len;
        while missing > 0 {
            let Some(Payload::Real(bytes)) = self.pop(missing as u64) else {
                unreachable!("checked above")
            };
            if bytes.len() == len {
                return Some(bytes);
            }
            missing -= bytes.len();
            joined.extend_from_slice(&bytes);
        }
        Some(joined.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_gives_back_what_was_put_in() {
        let mut buffer = PayloadBuffer::default();
        buffer.push(Bytes::from_static(b"abc").into());
        buffer.push(Bytes::from_static(b"defg").into());
        assert_eq!(buffer.pop_real(8), None);
        assert_eq!(buffer.pop_real(5).unwrap(), "abcde");
        assert_eq!(buffer.pop(10), Some(Bytes::from_static(b"fg").into()));
        assert!(buffer.is_empty());
        assert_eq!(buffer.pop_real(0).unwrap(), "");
    }

    #[test]
    fn synthetic_pieces_merge_and_refuse_to_be_read() {
        let mut buffer = PayloadBuffer::default();
        buffer.push(Payload::Synthetic(1_000));
        buffer.push(Payload::Synthetic(24));
        assert_eq!(buffer.pop_real(1), None);
        assert_eq!(buffer.pop(2_000), Some(Payload::Synthetic(1_024)));
        assert_eq!(buffer.pop(1), None);
    }

    #[test]
    fn payload_survives_its_text_form() {
        for payload in [
            Payload::Synthetic(u64::MAX),
            Bytes::from_static(&[0, 0xff, 0x7a]).into(),
        ] {
            let text = serde_json::to_string(&payload).unwrap();
            assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
        }
        for bad in ["\"r:0\"", "\"r:zz\"", "\"x:1\"", "\"s:-1\"", "\"\"", "\"r:€\""] {
            assert!(serde_json::from_str::<Payload>(bad).is_err(), "{bad}");
        }
    }
}
