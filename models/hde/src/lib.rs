//! Hierarchical delta encoding (HDE): of 4 KiB memory pages, and of [objects](object) of any length.
//!
//! A sender encodes lists of pages into *frames*; a receiver that holds a store of pages decodes them. Each page travels
//! as the cheapest of these, from the top down:
//!
//! 1. **zero**: named, no data;
//! 2. **duplicate**: a reference to a page of equal content that the receiver holds, anywhere in its image or in another
//!    image that the caller has declared, or to an earlier page of the same frame;
//! 3. **delta**: those units of 16 bytes that differ from what the receiver holds for the same page;
//! 4. **similar**: put together from parts of pages that the receiver holds elsewhere, moved by any number of bytes, from
//!    earlier pages of the frame and, if there is one, from the same page; only the other units are data;
//! 5. **literal**: the page itself.
//!
//! What is left over is data, which zstd compresses at the level of the options, or better where there is little of it.
//! Changed units have their old counterparts as a *context*: zstd may refer back to them, although they do not travel,
//! because the receiver puts the same context together from what it holds. That is what makes the codec: on recorded
//! guests the data of an epoch is a ninth of its pages, and compresses four-fold in its context.
//!
//! The more of an epoch a frame carries, the more its data refers to itself: on the recorded guest of the bench, frames of
//! 64 pages reach nine tenths of the ratio of [`MAX_PAGES_PER_FRAME`]. Work per page does not grow with the frame.
//!
//! A frame is self-describing and checks itself twice: checksums over the bytes in transit, and a hash over the pages
//! that come out of the decoder, so that a wrong baseline or a corrupted store is an error and never a wrong page. Frames
//! form a chain, so that one that is repeated, lost or overtaken is an error too.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`encode`] | [`Encoder`], its options and its counters |
//! | [`contents`] | [`HeldPages`]: how the encoder looks into what the receiver holds |
//! | [`decode`] | [`Decoder`], the [`PageStore`] that it works on, and every reason to refuse a frame |
//! | [`header`] | [`FrameHeader`]: the frame format, and synthetic frames that have a header only |
//! | [`cost`] | [`CostModel`]: the processor time of encoding and decoding |
//! | [`object`] | the codec for byte objects of any size: cluster state, configuration |
//! | [`baseline`] | versions that both sites hold, and how they come to hold them |
//! | [`dictionary`] | trained dictionaries, shared like baselines |
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
//! # The encoder's view of the receiver
//! For a duplicate it suffices that the encoder remembers hashes, which it does for all pages that it has encoded or
//! [learned](Encoder::learn). Deltas and similar content need the bytes: [`PageInput::baseline`] for the page itself, and
//! [`Encoder::encode_with`] for everything else that the receiver holds. Without either, [`Encoder::encode`] still finds
//! what moves within a frame.
//!
//! # Determinism
//! The same calls give the same frames, on every processor and in every build.

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
