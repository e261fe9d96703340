//! What has travelled so far.

use serde::{Deserialize, Serialize};

/// How pages travelled. Every copy of a page counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CopyStatistics {
    /// Frames.
    pub frames: u64,
    /// Pages that travelled as real bytes.
    pub real_pages: u64,
    /// Bytes of their frames.
    pub real_frame_bytes: u64,
    /// Pages that travelled as a length.
    pub synthetic_pages: u64,
    /// Bytes of their frames.
    pub synthetic_frame_bytes: u64,
    /// Zero pages among all.
    pub zero_pages: u64,
}

impl CopyStatistics {
    /// Pages sent.
    pub fn pages(&self) -> u64 {
        self.real_pages + self.synthetic_pages
    }

    /// Bytes of frames.
    pub fn frame_bytes(&self) -> u64 {
        self.real_frame_bytes + self.synthetic_frame_bytes
    }

    /// Counts a frame of real pages.
    pub fn count_real(&mut self, pages: u64, zero_pages: u64, frame_bytes: u64) {
        self.frames += 1;
        self.real_pages += pages;
        self.real_frame_bytes += frame_bytes;
        self.zero_pages += zero_pages;
    }

    /// Counts a frame of synthetic pages.
    pub fn count_synthetic(&mut self, pages: u64, zero_pages: u64, frame_bytes: u64) {
        self.frames += 1;
        self.synthetic_pages += pages;
        self.synthetic_frame_bytes += frame_bytes;
        self.zero_pages += zero_pages;
    }
}
