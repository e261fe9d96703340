//! Hierarchical delta encoding (HDE) of 4 KiB memory pages.
//!
//! A sender encodes lists of pages into *frames*; a receiver that holds a store of pages decodes them. Each
//! page travels as the cheapest of four classes, from the top down:
//!
//! 1. **zero**: named, no data;
//! 2. **duplicate**: a reference to a page that the receiver holds, or to an earlier page of the same frame;
//! 3. **delta**: the XOR with what the receiver holds for the same page, if few bytes differ;
//! 4. **literal**: the page itself.
//!
//! The frame lays classes and data out column by column and compresses the whole with one zstd context. It is
//! self-describing and checks itself twice: checksums over the bytes in transit, and hashes over the pages that
//! go in and come out of the decoder, so that a wrong baseline or a corrupted store is an error and never a
//! wrong page.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`encode`] | [`Encoder`], its options and its counters |
//! | [`decode`] | [`Decoder`], the [`PageStore`] that it works on, and every reason to refuse a frame |
//! | [`cost`] | [`CostModel`]: the processor time of encoding and decoding |
//! | [`header`] | [`FrameHeader`]: the frame format, and synthetic frames that have a header only |
//!
//! ```
//! use std::collections::BTreeMap;
//! use longhaul_hde::{Decoder, Encoder, EncoderOptions, PAGE_SIZE, PageInput};
//!
//! let content = [7; PAGE_SIZE];
//! let page = PageInput { number: 42, content: &content, baseline: None };
//! let frame = Encoder::new(EncoderOptions::hde(3)).encode(1, &[page]);
//!
//! let mut store = BTreeMap::new();
//! let decoded = Decoder::new().decode(&frame, &mut store).unwrap();
//! assert_eq!((decoded.sequence, decoded.counts.literal), (1, 1));
//! assert_eq!(*store[&42], content);
//! ```
//!
//! Frames must be decoded in the order in which one encoder produced them: deltas and duplicates refer to the
//! receiver's store as earlier frames left it. Anything else is refused as a wrong baseline.

pub mod baseline;
pub mod contents;
pub mod cost;
pub mod decode;
pub mod dictionary;
pub mod encode;
pub mod header;
pub mod object;

mod anchor;
mod body;
mod columns;
mod entropy;
mod index;
mod page;
mod plan;
mod similar;
mod slots;
mod units;
mod varint;

pub use contents::{HeldPages, ImageId};
pub use cost::{CostModel, DecodeCost, DecodeWork, EncodeCost, EncodeWork};
pub use decode::{DecodeError, DecodedFrame, Decoder, PageStore};
pub use encode::{Encoder, EncoderOptions, EncoderStats, PageInput};
pub use header::{BodyForm, FrameHeader, PageRun, encode_synthetic_header};

pub use body::ClassCounts;
pub use page::{changed_bytes, is_zero};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// Most pages that one frame can carry: 16 MiB, which bounds what a decoder holds.
pub const MAX_PAGES_PER_FRAME: usize = 4096;
