//! How an encoder works, and what it has done.

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

/// How an encoder looks for what the receiver holds already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Matching {
    /// Not at all: every frame is full.
    None,
    /// Blocks of [`BLOCK_SIZE`](crate::object::BLOCK_SIZE) at the same position of the baseline. Fast; an insertion
    /// shifts everything behind it out of place.
    Blocks,
    /// Any part of any reference, byte by byte, wherever it has moved, and parts that the object repeats.
    Content,
}

/// How an encoder works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ObjectOptions {
    /// zstd level, 1 to 19; `None` stores bodies as they are.
    pub level: Option<i32>,
    /// How to look for what the receiver holds.
    pub matching: Matching,
}

impl ObjectOptions {
    /// Within a site (below 1 ms): no compression and no delta; processor time is dearer than the network.
    pub fn local() -> ObjectOptions {
        ObjectOptions {
            level: None,
            matching: Matching::None,
        }
    }

    /// Within a region (10 to 50 ms): delta and zstd 3.
    pub fn regional() -> ObjectOptions {
        ObjectOptions::with_level(3)
    }

    /// Across regions (above 100 ms): delta and zstd 9.
    pub fn wan() -> ObjectOptions {
        ObjectOptions::with_level(9)
    }

    /// The tier for a path of this round trip: local below 1 ms, regional below 50 ms, across regions from there on.
    pub fn for_round_trip(round_trip: Span) -> ObjectOptions {
        if round_trip < Span::from_ms(1) {
            ObjectOptions::local()
        } else if round_trip < Span::from_ms(50) {
            ObjectOptions::regional()
        } else {
            ObjectOptions::wan()
        }
    }

    /// Delta at this zstd level, 1 to 19.
    pub fn with_level(level: i32) -> ObjectOptions {
        ObjectOptions {
            level: Some(level),
            matching: Matching::Content,
        }
    }
}

/// What an encoder has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ObjectStats {
    /// Frames that said "all zero".
    pub zero: u64,
    /// Frames that said "the same".
    pub identical: u64,
    /// Deltas.
    pub delta: u64,
    /// Full frames.
    pub full: u64,
    /// Frames of these that used a dictionary.
    pub with_dictionary: u64,
    /// Bytes of all objects.
    pub object_bytes: u64,
    /// Bytes of these that were copied from references or repeated.
    pub copied_bytes: u64,
    /// Bytes of all frames.
    pub frame_bytes: u64,
}
