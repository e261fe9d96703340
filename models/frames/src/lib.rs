//! From dirty pages to frames of [HDE](longhaul_hde): what live migration and continuous replication share.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`view`] | [`PageView`]: pages as they are to be sent, now or as they were |
//! | [`sampling`] | [`Sampling`]: which pages travel as real bytes, and which as a length |
//! | [`measure`] | [`Measurements`]: what the codec reaches on the real ones |
//! | [`sent`] | [`Sent`]: what the receiver has of each page |
//! | [`groups`] | [`Groups`]: pages picked up and in no frame yet |
//! | [`pages`] | the pages of a frame under construction |
//! | [`statistics`] | [`CopyStatistics`]: what has travelled |
//! | [`maker`] | [`FrameMaker`]: frames of either sort, in one sequence that can be taken back |
//! | [`picker`] | [`Picker`]: dirty pages in their order, those together that encode alike |
//!
//! Replication uses all of it. Migration has a maker of its own, with two lanes and other codecs.
//!
//! # Real and synthetic pages
//! In [`PayloadMode::Sampled`] the unit of choice is an extent of [`EXTENT_PAGES`] pages. Pages of real extents are
//! generated, encoded, carried, decoded and compared. A frame of synthetic pages carries its real header and a
//! body that is only a length: the bytes of its pages times the ratio of encoded to raw bytes that real pages of
//! the same class, also first or repeated copies, have had so far in this run. If there is none yet, it is the
//! ratio of the first copies of that class, else of all copies of that kind, else of all pages. The first extent
//! of every class is always real.
//!
//! Real pages can copy content only from real pages, so where much of the content is found elsewhere in memory a small
//! sample overstates what the whole would come to: by 4 % of the bytes with an eighth of the extents of memory whose
//! pages are all alike (`a_sample_predicts_the_whole` in the tests of migration, the sinusoidal pattern).

pub mod groups;
pub mod maker;
pub mod measure;
pub mod pages;
pub mod picker;
pub mod sampling;
pub mod sent;
pub mod statistics;
pub mod view;

pub use groups::{Group, Groups};
pub use maker::{Frame, FrameMaker};
pub use measure::{Amount, Kind, Measurements};
pub use pages::Picked;
pub use picker::Picker;
pub use sampling::{PayloadMode, Sampling};
pub use sent::{Before, Sent};
pub use statistics::CopyStatistics;
pub use view::{Class, PageView};

use longhaul_hde::PAGE_SIZE;

/// Pages of an extent: 256 KiB, the unit of sampling.
pub const EXTENT_PAGES: u64 = 64;

/// Pages of a frame, unless all pages of its class have been zero so far.
pub const PAGES_PER_FRAME: usize = 64;

/// Pages of a frame of a class whose pages have all been zero so far.
pub const ZERO_PAGES_PER_FRAME: usize = 2048;

/// An upper bound of the length of a frame: whole pages that nothing shortens, a class byte each, and a header
/// of fewer than 64 bytes and 10 bytes per page run. A frame of zero pages is shorter.
pub const LONGEST_FRAME_BYTES: u64 = 64 + (PAGES_PER_FRAME * (PAGE_SIZE + 1 + 10)) as u64;
