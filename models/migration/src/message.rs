//! The messages besides frames: how the source ends, and how the destination answers.
//!
//! A frame begins with HDE's magic number `LHDE`; these two have their own. Integers are big endian. The transport
//! below has checksums.
//!
//! | end: bytes | field | reply: bytes | field |
//! | --: | --- | --: | --- |
//! | 4 | magic `LHME` | 4 | magic `LHMR` |
//! | 8 | frames sent | 1 | 1 resumed, 2 refused |
//! | 8 | real pages | 8 | when the guest resumed, ns (refused: 0) |
//! | 32 | BLAKE3 of them | | |

use longhaul_core::time::Instant;
use longhaul_hde::PAGE_SIZE;

const END_MAGIC: [u8; 4] = *b"LHME";
const END_LEN: usize = 4 + 8 + 8 + 32;
const REPLY_MAGIC: [u8; 4] = *b"LHMR";
const REPLY_LEN: usize = 4 + 1 + 8;

/// The last message of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct End {
    pub frames: u64,
    pub real: RealPages,
}

/// All real pages of a guest: their number, and the BLAKE3 hash over number (little endian) and content of each,
/// in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RealPages {
    pub pages: u64,
    pub hash: [u8; 32],
}

/// What is hashed at once: 128 chunks of BLAKE3, which processors with vectors hash side by side.
const HASHED_AT_ONCE: usize = 128 << 10;

/// Collects [`RealPages`].
#[derive(Default)]
pub(crate) struct RealPagesHasher {
    pages: u64,
    hasher: blake3::Hasher,
    /// What is not hashed yet.
    waiting: Vec<u8>,
}

/// The destination's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Resumed { at: Instant },
    Refused,
}

impl RealPagesHasher {
    pub fn add(&mut self, number: u64, content: &[u8; PAGE_SIZE]) {
        self.pages += 1;
        self.waiting.extend_from_slice(&number.to_le_bytes());
        self.waiting.extend_from_slice(content);
        if let Some((whole, _)) = self.waiting.split_at_checked(HASHED_AT_ONCE) {
            self.hasher.update(whole);
            self.waiting.drain(..HASHED_AT_ONCE);
        }
    }

    pub fn finish(mut self) -> RealPages {
        self.hasher.update(&self.waiting);
        RealPages {
            pages: self.pages,
            hash: *self.hasher.finalize().as_bytes(),
        }
    }
}

impl End {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(END_LEN);
        bytes.extend_from_slice(&END_MAGIC);
        bytes.extend_from_slice(&self.frames.to_be_bytes());
        bytes.extend_from_slice(&self.real.pages.to_be_bytes());
        bytes.extend_from_slice(&self.real.hash);
        bytes
    }

    /// Whether these bytes claim to be an end message.
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(&END_MAGIC)
    }

    pub fn parse(bytes: &[u8]) -> Option<End> {
        let bytes: &[u8; END_LEN] = bytes.try_into().ok()?;
        End::is_meant(bytes).then(|| End {
            frames: u64_at(bytes, 4),
            real: RealPages {
                pages: u64_at(bytes, 12),
                hash: bytes[20..].try_into().expect("32 bytes"),
            },
        })
    }
}

impl Reply {
    pub fn to_bytes(self) -> Vec<u8> {
        let (verdict, ns) = match self {
            Reply::Resumed { at } => (1, at.as_ns()),
            Reply::Refused => (2, 0),
        };
        [&REPLY_MAGIC[..], &[verdict], &ns.to_be_bytes()].concat()
    }

    pub fn parse(bytes: &[u8]) -> Option<Reply> {
        let bytes: &[u8; REPLY_LEN] = bytes.try_into().ok()?;
        let ns = u64_at(bytes, 5);
        match (bytes.starts_with(&REPLY_MAGIC), bytes[4], ns) {
            (true, 1, ns) => Some(Reply::Resumed {
                at: Instant::from_ns(ns),
            }),
            (true, 2, 0) => Some(Reply::Refused),
            _ => None,
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_wire_form_and_nothing_else_passes() {
        let mut hasher = RealPagesHasher::default();
        hasher.add(7, &[1; PAGE_SIZE]);
        let end = End {
            frames: 3,
            real: hasher.finish(),
        };
        assert_eq!(End::parse(&end.to_bytes()), Some(end));
        assert_eq!(End::parse(&end.to_bytes()[..END_LEN - 1]), None);
        let resumed = Reply::Resumed { at: Instant::MAX };
        for reply in [resumed, Reply::Refused] {
            assert_eq!(Reply::parse(&reply.to_bytes()), Some(reply));
            assert_eq!(End::parse(&reply.to_bytes()), None);
        }
        assert_eq!(Reply::parse(b"LHMR\x03\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn the_hash_depends_on_where_a_page_lies() {
        let hash_at = |number| {
            let mut hasher = RealPagesHasher::default();
            hasher.add(number, &[1; PAGE_SIZE]);
            hasher.finish().hash
        };
        assert_ne!(hash_at(0), hash_at(1));
    }
}
