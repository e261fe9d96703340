//! The envelope of the guest's answer: its kind, length and checksum, so that a truncated or garbled one is an error.
//!
//! `LONGHAUL`, kind (1 byte), length (8 bytes, little endian), CRC-32C of the content (4 bytes, little endian), content.

use thiserror::Error;

const MAGIC: &[u8; 8] = b"LONGHAUL";
const HEAD: usize = MAGIC.len() + 1 + 8 + 4;

/// What came out of the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The answer to the job.
    Done(Vec<u8>),
    /// Why there is none.
    Failed(String),
}

/// Bytes that are no whole answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// Nothing came.
    #[error("it ended without an answer")]
    Empty,
    /// Not all came.
    #[error("its answer is cut off: {got} of {all} bytes")]
    Short {
        /// Bytes that came.
        got: u64,
        /// Bytes that were announced.
        all: u64,
    },
    /// Something else came.
    #[error("its answer is garbled")]
    Garbled,
}

/// Wraps an answer.
pub fn wrap(answer: &Answer) -> Vec<u8> {
    let (kind, content) = match answer {
        Answer::Done(bytes) => (0, bytes.as_slice()),
        Answer::Failed(why) => (1, why.as_bytes()),
    };
    let mut frame = Vec::with_capacity(HEAD + content.len());
    frame.extend_from_slice(MAGIC);
    frame.push(kind);
    frame.extend_from_slice(&(content.len() as u64).to_le_bytes());
    frame.extend_from_slice(&crc32c::crc32c(content).to_le_bytes());
    frame.extend_from_slice(content);
    frame
}

/// Unwraps an answer.
///
/// # Errors
/// If it is not whole.
pub fn unwrap(frame: &[u8]) -> Result<Answer, FrameError> {
    if frame.is_empty() {
        return Err(FrameError::Empty);
    }
    let Some((head, content)) = frame.split_at_checked(HEAD) else {
        let (got, all) = (frame.len() as u64, HEAD as u64);
        return Err(FrameError::Short { got, all });
    };
    let (magic, head) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(FrameError::Garbled);
    }
    let length = u64::from_le_bytes(head[1..9].try_into().expect("eight bytes"));
    let checksum = u32::from_le_bytes(head[9..].try_into().expect("four bytes"));
    let got = content.len() as u64;
    if got < length {
        return Err(FrameError::Short { got, all: length });
    }
    if got > length || crc32c::crc32c(content) != checksum {
        return Err(FrameError::Garbled);
    }
    match head[0] {
        0 => Ok(Answer::Done(content.to_vec())),
        1 => Ok(Answer::Failed(String::from_utf8_lossy(content).into_owned())),
        _ => Err(FrameError::Garbled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_out_again() {
        for answer in [
            Answer::Done(vec![]),
            Answer::Done((0..=255).collect()),
            Answer::Failed("no netem".to_owned()),
        ] {
            assert_eq!(unwrap(&wrap(&answer)), Ok(answer));
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let whole = Answer::Done(b"some answer".to_vec());
        let frame = wrap(&whole);
        assert_eq!(unwrap(&[]), Err(FrameError::Empty));
        for end in 1..frame.len() {
            assert!(
                matches!(unwrap(&frame[..end]), Err(FrameError::Short { .. })),
                "{end}"
            );
        }
        for bit in 0..frame.len() * 8 {
            let mut wrong = frame.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            // The kind is not covered by the checksum; its two values differ in their type.
            assert_ne!(unwrap(&wrong), Ok(whole.clone()), "{bit}");
        }
        let mut longer = frame;
        longer.push(0);
        assert_eq!(unwrap(&longer), Err(FrameError::Garbled));
    }
}
