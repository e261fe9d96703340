//! How a sender is set up.

use serde::{Deserialize, Serialize};

use crate::record::HEADER_BYTES;
use crate::{MAX_CHUNK_BYTES, MAX_STREAMS};

/// How a [`Sender`](crate::Sender) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SenderOptions {
    /// Number of streams, 1 to [`MAX_STREAMS`]. They are numbered from 0.
    pub streams: u32,
    /// Largest chunk in bytes, 1 to [`MAX_CHUNK_BYTES`].
    pub chunk_bytes: u32,
    /// Most bytes on the streams, record headers included, from the start of the oldest message that is not
    /// completely acknowledged. At least one chunk and its header. The receiver must be given the same window.
    pub window_bytes: u64,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// `streams` outside 1 to [`MAX_STREAMS`].
    #[error("a transport has 1 to {MAX_STREAMS} streams")]
    Streams,
    /// `chunk_bytes` outside 1 to [`MAX_CHUNK_BYTES`].
    #[error("a chunk has 1 to {MAX_CHUNK_BYTES} bytes")]
    Chunk,
    /// `window_bytes` below one chunk and its header.
    #[error("the window must have room for a chunk and its header of {HEADER_BYTES} bytes")]
    Window,
}

impl SenderOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !(1..=MAX_STREAMS).contains(&self.streams) {
            Err(OptionsError::Streams)
        } else if !(1..=MAX_CHUNK_BYTES).contains(&self.chunk_bytes) {
            Err(OptionsError::Chunk)
        } else if self.window_bytes < u64::from(self.chunk_bytes) + u64::from(HEADER_BYTES) {
            Err(OptionsError::Window)
        } else {
            Ok(())
        }
    }

    /// Length of the longest message that fits into the window, if no real bytes follow synthetic ones in it.
    pub fn longest_message(&self) -> u64 {
        let chunk = u64::from(self.chunk_bytes);
        let header = u64::from(HEADER_BYTES);
        let full_chunks = self.window_bytes / (chunk + header);
        full_chunks * chunk + (self.window_bytes % (chunk + header)).saturating_sub(header)
    }
}
