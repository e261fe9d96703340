//! How a sender is set up.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use serde::{Deserialize, Serialize};

use crate::record::HEADER_BYTES;
use crate::rules::{LEAST_SEED_CHUNK_BYTES, SEED_CHUNK_BYTES};
use crate::{MAX_CHUNK_BYTES, MAX_STREAMS};

/// Least size of a chunk that the sender chooses by itself, in bytes: its header and its acknowledgement are then
/// 0.165 % of it.
pub const LEAST_ADAPTIVE_CHUNK_BYTES: u32 = 64 << 10;

/// Largest size of a chunk that the sender chooses by itself, in bytes.
pub const MOST_ADAPTIVE_CHUNK_BYTES: u32 = 1 << 20;

/// How a [`Sender`](crate::Sender) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SenderOptions {
    /// How many streams there are.
    pub streams: Streams,
    /// How large a chunk is.
    pub chunk: ChunkSize,
    /// Most bytes of bulk on the streams, record headers included, from the start of the oldest message that is not
    /// completely acknowledged. At least one chunk and its header. The receiver must be given the same window.
    pub window_bytes: u64,
    /// How long the transport lives without any stream, and how long it waits for a peer that has something to
    /// acknowledge or to reply and does neither. With zero no stream is opened in place of a lost one, the loss of the
    /// last is the end, and a silent peer is waited for until the streams themselves give up.
    pub patience: Span,
}

/// How many streams there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Streams {
    /// So many, 1 to [`MAX_STREAMS`].
    Fixed(u32),
    /// As many as pay, by measured round trip, loss and goodput.
    Adaptive {
        /// At the start, 1 to `most`.
        initial: u32,
        /// At most, 1 to [`MAX_STREAMS`].
        most: u32,
        /// At most where the path is full, 1 to `most`: there, others wait in the same queue, and all share about equally
        /// by connections. The transport then takes as much as so many of others would, unless its streams' buffers
        /// need more of them. Where the path is not full nothing is taken from anybody.
        contending: u32,
    },
    /// The rule of the seed's specification, which falls with the latency ([`rules::spec_streams`]): from this rate
    /// and the round trip of the first handshake. It paces to 95 % of the rate.
    ///
    /// [`rules::spec_streams`]: crate::rules::spec_streams
    SpecRule {
        /// The rate that the path is said to have.
        rate: BitRate,
    },
    /// The rule of the seed's optimiser, every five seconds ([`rules::optimise`]): it begins with 16.
    ///
    /// [`rules::optimise`]: crate::rules::optimise
    SeedOptimiser,
}

/// How large a chunk is. A message's last may be smaller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ChunkSize {
    /// So many bytes, 1 to [`MAX_CHUNK_BYTES`].
    Fixed(u32),
    /// As the rule for the streams says; 64 KiB to 1 MiB by the goodput of a stream if that is
    /// [`Streams::Fixed`] or [`Streams::Adaptive`].
    Adaptive,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// A number of streams outside 1 to [`MAX_STREAMS`], or of an adaptive policy above the most.
    #[error("a transport has 1 to {MAX_STREAMS} streams")]
    Streams,
    /// A rate of zero.
    #[error("a path has a rate above zero")]
    Rate,
    /// A chunk outside 1 to [`MAX_CHUNK_BYTES`].
    #[error("a chunk has 1 to {MAX_CHUNK_BYTES} bytes")]
    Chunk,
    /// `window_bytes` below one chunk and its header.
    #[error("the window must have room for a chunk and its header of {HEADER_BYTES} bytes")]
    Window,
}

impl SenderOptions {
    /// How long a transport waits if nobody says otherwise.
    pub const PATIENCE: Span = Span::from_s(60);

    /// A fixed number of streams and size of chunks.
    pub fn fixed(streams: u32, chunk_bytes: u32, window_bytes: u64) -> SenderOptions {
        SenderOptions {
            streams: Streams::Fixed(streams),
            chunk: ChunkSize::Fixed(chunk_bytes),
            window_bytes,
            patience: SenderOptions::PATIENCE,
        }
    }

    /// As many streams as pay.
    pub fn adaptive(window_bytes: u64) -> SenderOptions {
        SenderOptions {
            streams: Streams::Adaptive {
                initial: 16,
                most: MAX_STREAMS,
                contending: MAX_STREAMS,
            },
            chunk: ChunkSize::Adaptive,
            window_bytes,
            patience: SenderOptions::PATIENCE,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        let in_range = |streams| (1..=MAX_STREAMS).contains(&streams);
        match self.streams {
            Streams::Fixed(streams) if !in_range(streams) => return Err(OptionsError::Streams),
            Streams::Adaptive {
                initial,
                most,
                contending,
            } if !(in_range(most) && (1..=most).contains(&initial) && (1..=most).contains(&contending)) => {
                return Err(OptionsError::Streams);
            }

            Streams::SpecRule { rate } if rate.as_bits_per_s() == 0 => return Err(OptionsError::Rate),
            _ => {}
        }
        let (_, largest) = self.chunk_range();
        if matches!(self.chunk, ChunkSize::Fixed(bytes) if !(1..=MAX_CHUNK_BYTES).contains(&bytes)) {
            Err(OptionsError::Chunk)
        } else if self.window_bytes < u64::from(largest) + u64::from(HEADER_BYTES) {
            Err(OptionsError::Window)
        } else {
            Ok(())
        }
    }

    /// The least and the largest size that a chunk can have which is not a message's last.
    pub(crate) fn chunk_range(&self) -> (u32, u32) {
        match (self.chunk, self.streams) {
            (ChunkSize::Fixed(bytes), _) => (bytes, bytes),
            (ChunkSize::Adaptive, Streams::Fixed(_) | Streams::Adaptive { .. }) => {
                (LEAST_ADAPTIVE_CHUNK_BYTES, MOST_ADAPTIVE_CHUNK_BYTES)
            }
            (ChunkSize::Adaptive, Streams::SpecRule { .. }) => (LEAST_SEED_CHUNK_BYTES, SEED_CHUNK_BYTES),
            (ChunkSize::Adaptive, Streams::SeedOptimiser) => {
                (LEAST_SEED_CHUNK_BYTES, MOST_ADAPTIVE_CHUNK_BYTES)
            }
        }
    }

    /// Length of the longest message that fits into the window, if no real bytes follow synthetic ones in it.
    pub fn longest_message(&self) -> u64 {
        let chunk = u64::from(self.chunk_range().0);
        let header = u64::from(HEADER_BYTES);
        let full_chunks = self.window_bytes / (chunk + header);
        full_chunks * chunk + (self.window_bytes % (chunk + header)).saturating_sub(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused() {
        let good = SenderOptions::fixed(1, 1, 45);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.longest_message(), 1);
        let streams = |streams| SenderOptions { streams, ..good }.check();
        let adaptive = |initial, most, contending| Streams::Adaptive {
            initial,
            most,
            contending,
        };
        for wrong in [
            Streams::Fixed(0),
            Streams::Fixed(257),
            adaptive(0, 4, 4),
            adaptive(5, 4, 4),
            adaptive(1, 257, 4),
            adaptive(1, 4, 5),
            adaptive(1, 4, 0),
        ] {
            assert_eq!(streams(wrong), Err(OptionsError::Streams), "{wrong:?}");
        }
        let rate = BitRate::from_bits_per_s(0);
        assert_eq!(streams(Streams::SpecRule { rate }), Err(OptionsError::Rate));
        for bytes in [0, MAX_CHUNK_BYTES + 1] {
            let wrong = SenderOptions::fixed(1, bytes, 1 << 30);
            assert_eq!(wrong.check(), Err(OptionsError::Chunk));
        }
        assert_eq!(SenderOptions::fixed(1, 1, 44).check(), Err(OptionsError::Window));
        assert_eq!(
            SenderOptions::adaptive(1 << 20).check(),
            Err(OptionsError::Window)
        );
        assert_eq!(SenderOptions::adaptive(2 << 20).check(), Ok(()));
    }
}
