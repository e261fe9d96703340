//! How a migration is set up.

use longhaul_amst::SenderOptions;
use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use serde::{Deserialize, Serialize};

use crate::PAGES_PER_FRAME;

/// An upper bound of the length of a frame: whole pages that nothing shortens, a class byte each, and a header
/// of fewer than 64 bytes and 10 bytes per page run. A frame of zero pages is shorter.
pub(crate) const LONGEST_FRAME_BYTES: u64 = 64 + (PAGES_PER_FRAME * (PAGE_SIZE + 1 + 10)) as u64;

/// Which pages travel as real bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayloadMode {
    /// All.
    Real,
    /// About this share of the extents, and the first of every stratum.
    Sampled {
        /// Probability of an extent to be real.
        share: Probability,
    },
}

/// How a [`Source`](crate::Source) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// The machine of the destination.
    pub destination: PeerId,
    /// QEMU's `downtime-limit`; its default is 300 ms.
    pub downtime_limit: Span,
    /// How pages are encoded.
    pub encoding: EncoderOptions,
    /// Which pages are real.
    pub payload: PayloadMode,
    /// How frames are carried. The window must have room for a frame of 64 pages that nothing shortens, 257 KiB
    /// plus the headers of its chunks.
    pub transport: SenderOptions,
}

/// How a [`Destination`](crate::Destination) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DestinationOptions {
    /// Pages of the guest.
    pub pages: u64,
    /// Window of the transport, as at the source.
    pub window_bytes: u64,
    /// Whether to keep the contents of pages after they have been verified, for a comparison from outside.
    pub keep_pages: bool,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// The transport refuses its own.
    #[error(transparent)]
    Transport(#[from] longhaul_amst::OptionsError),
    /// The window has no room for a frame.
    #[error("the transport window has no room for a frame of {LONGEST_FRAME_BYTES} bytes and its headers")]
    Window,
    /// Level outside 1 to 19.
    #[error("compression level {0} is not in 1 to 19")]
    Level(i32),
}

impl SourceOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first option that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.transport.check()?;
        if self.transport.longest_message() < LONGEST_FRAME_BYTES {
            return Err(OptionsError::Window);
        }
        match self.encoding.level {
            Some(level) if !(1..=19).contains(&level) => Err(OptionsError::Level(level)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SourceOptions {
        SourceOptions {
            destination: PeerId(1),
            downtime_limit: Span::from_ms(300),
            encoding: EncoderOptions::hde(1),
            payload: PayloadMode::Real,
            transport: SenderOptions::fixed(1, 1 << 16, 1 << 20),
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        assert_eq!(options().check(), Ok(()));
        let mut wrong = options();
        wrong.transport.streams = longhaul_amst::Streams::Fixed(0);
        assert!(matches!(wrong.check(), Err(OptionsError::Transport(_))));
        for level in [0, 20] {
            let mut wrong = options();
            wrong.encoding.level = Some(level);
            assert_eq!(wrong.check(), Err(OptionsError::Level(level)));
        }
    }

    #[test]
    fn the_window_must_hold_a_frame_with_the_headers_of_its_chunks() {
        let mut narrow = options();
        let chunks = LONGEST_FRAME_BYTES.div_ceil(1 << 16);
        narrow.transport.window_bytes = LONGEST_FRAME_BYTES + chunks * 44;
        assert_eq!(narrow.check(), Ok(()));
        narrow.transport.window_bytes -= 1;
        assert_eq!(narrow.check(), Err(OptionsError::Window));
    }
}
