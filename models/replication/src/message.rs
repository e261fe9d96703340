//! What the transport carries from the source to the replica: frames, and the end of each epoch.
//!
//! Integers are big endian. The transport below has checksums and delivers in order.
//!
//! | frame: bytes | field | commit: bytes | field |
//! | --: | --- | --: | --- |
//! | 4 | magic `LHRF` | 4 | magic `LHRC` |
//! | 4 | consistency set | 4 | consistency set |
//! | 4 | attempt | 4 | attempt |
//! | … | a frame of [`longhaul_hde`] | 8 | epoch |
//! | | | 8 | when the snapshot was taken, ns |
//! | | | 8 | frames of this attempt so far |
//! | | | 8 | pages that are real |
//! | | | 32 | their hash |
//!
//! An attempt begins with every page to be sent and its frames count from 0; only when both sides do not agree on
//! what the replica has is there another one.

use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::Fingerprint;

const FRAME_MAGIC: [u8; 4] = *b"LHRF";
const COMMIT_MAGIC: [u8; 4] = *b"LHRC";

/// Length of what stands before a frame.
pub const FRAME_HEADER_BYTES: usize = 12;

/// Length of a commit.
pub const COMMIT_BYTES: usize = 76;

/// A message, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A part of an epoch.
    Frame {
        /// The consistency set.
        set: u32,
        /// The attempt.
        attempt: u32,
        /// The frame, or as much of it as is real.
        frame: &'a [u8],
    },
    /// The epoch is complete.
    Commit(Commit),
}

/// The end of an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The consistency set.
    pub set: u32,
    /// The attempt.
    pub attempt: u32,
    /// The epoch, from 1.
    pub epoch: u64,
    /// When its snapshot was taken, on the source's clock.
    pub snapshot_at: Instant,
    /// Frames of this attempt so far.
    pub frames: u64,
    /// What the memory must be.
    pub fingerprint: Fingerprint,
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum MessageError {
    /// Neither magic number.
    #[error("not a message")]
    Magic,
    /// Too short for its kind, or too long.
    #[error("a message of the wrong length")]
    Length,
    /// An epoch, or an attempt, 0.
    #[error("a number out of range")]
    Range,
}

/// What stands before a frame.
pub(crate) fn frame_header(set: u32, attempt: u32) -> [u8; FRAME_HEADER_BYTES] {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    bytes[..4].copy_from_slice(&FRAME_MAGIC);
    bytes[4..8].copy_from_slice(&set.to_be_bytes());
    bytes[8..].copy_from_slice(&attempt.to_be_bytes());
    bytes
}

impl Commit {
    /// The commit on the wire.
    pub fn to_bytes(&self) -> [u8; COMMIT_BYTES] {
        let mut bytes = [0; COMMIT_BYTES];
        bytes[..4].copy_from_slice(&COMMIT_MAGIC);
        bytes[4..8].copy_from_slice(&self.set.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.attempt.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.snapshot_at.as_ns().to_be_bytes());
        bytes[28..36].copy_from_slice(&self.frames.to_be_bytes());
        bytes[36..44].copy_from_slice(&self.fingerprint.pages.to_be_bytes());
        bytes[44..].copy_from_slice(&self.fingerprint.hash);
        bytes
    }
}

impl Message<'_> {
    /// Reads the real part of a message. What a frame holds is the codec's to read.
    ///
    /// # Errors
    /// [`MessageError`]
    pub fn parse(bytes: &[u8]) -> Result<Message<'_>, MessageError> {
        let magic = bytes.first_chunk().ok_or(MessageError::Length)?;
        match *magic {
            FRAME_MAGIC => {
                let (header, frame) = bytes
                    .split_at_checked(FRAME_HEADER_BYTES)
                    .ok_or(MessageError::Length)?;
                let (set, attempt) = (u32_at(header, 4), u32_at(header, 8));
                in_range(attempt > 0)?;
                Ok(Message::Frame { set, attempt, frame })
            }
            COMMIT_MAGIC => {
                let bytes: &[u8; COMMIT_BYTES] = bytes.try_into().map_err(|_| MessageError::Length)?;
                let commit = Commit {
                    set: u32_at(bytes, 4),
                    attempt: u32_at(bytes, 8),
                    epoch: u64_at(bytes, 12),
                    snapshot_at: Instant::from_ns(u64_at(bytes, 20)),
                    frames: u64_at(bytes, 28),
                    fingerprint: Fingerprint {
                        pages: u64_at(bytes, 36),
                        hash: bytes[44..].try_into().expect("32 bytes"),
                    },
                };
                in_range(commit.attempt > 0 && commit.epoch > 0)?;
                Ok(Message::Commit(commit))
            }
            _ => Err(MessageError::Magic),
        }
    }
}

fn in_range(it_is: bool) -> Result<(), MessageError> {
    if it_is { Ok(()) } else { Err(MessageError::Range) }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Commit = Commit {
        set: 3,
        attempt: 2,
        epoch: 1 << 40,
        snapshot_at: Instant::from_ns(77),
        frames: 12,
        fingerprint: Fingerprint {
            pages: 99,
            hash: [5; 32],
        },
    };

    #[test]
    fn messages_survive_their_wire_form() {
        assert_eq!(Message::parse(&COMMIT.to_bytes()), Ok(Message::Commit(COMMIT)));
        let bytes = [&frame_header(7, 8)[..], b"LHDE and more"].concat();
        let frame = Message::Frame {
            set: 7,
            attempt: 8,
            frame: b"LHDE and more",
        };
        assert_eq!(Message::parse(&bytes), Ok(frame));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let commit = COMMIT.to_bytes();
        for len in 4..COMMIT_BYTES {
            assert_eq!(Message::parse(&commit[..len]), Err(MessageError::Length));
        }
        let header = frame_header(1, 1);
        for len in 0..FRAME_HEADER_BYTES {
            assert_eq!(Message::parse(&header[..len]), Err(MessageError::Length));
        }
        let longer = [&commit[..], &[0]].concat();
        assert_eq!(Message::parse(&longer), Err(MessageError::Length));
        assert_eq!(Message::parse(b"LHME...."), Err(MessageError::Magic));
        assert_eq!(Message::parse(&frame_header(1, 0)), Err(MessageError::Range));
        let epoch_0 = Commit { epoch: 0, ..COMMIT };
        assert_eq!(Message::parse(&epoch_0.to_bytes()), Err(MessageError::Range));
    }
}
