//! The encoder: picks a class for every page and builds frames.

use std::ops::Add;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::body::{ClassCounts, ResultHash, ZERO_HASH, content_hash};
use crate::columns::Columns;
use crate::contents::{HeldPages, ImageId};
use crate::cost::EncodeWork;
use crate::dictionary::Dictionary;
use crate::header::{BodyForm, FrameHeader};
use crate::index::{ContentIndex, Place};
use crate::page::is_zero;
use crate::plan::Class;
use crate::similar::Surroundings;
use crate::{MAX_PAGES_PER_FRAME, PAGE_SIZE, anchor};

type Page = [u8; PAGE_SIZE];

/// What the encoder may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EncoderOptions {
    /// zstd level, 1 to 19; `None` stores bodies uncompressed. Bodies that are mostly changes are compressed at level 3
    /// even if this is lower.
    pub level: Option<i32>,
    /// Whether to send deltas against baselines.
    pub delta: bool,
    /// Whether to look for duplicates.
    pub duplicates: bool,
    /// Whether to look for similar content elsewhere.
    pub similar: bool,
    /// Most pages that the index remembers; about 75 bytes of memory each.
    pub index_pages: usize,
    /// Most anchors that the index remembers, rounded down to a power of two; 8 bytes of memory each. A page has about
    /// 100. Fewer than the pages remembered have is no loss for content that moves by whole pages, as long as a few
    /// of every page are left.
    pub index_anchors: usize,
}

impl EncoderOptions {
    /// Everything, at this zstd level (1 to 19).
    ///
    /// Level 1 is the one to begin with: whole pages are compressed by zstd's fastest strategy, changes at level 3 at least,
    /// since there is little left of them by then. Level 3 gives whole pages a ratio about 5 % better at three quarters of
    /// the speed; levels from 6 on win a few percent more for changes. The `hde` bench has the figures.
    pub fn hde(level: i32) -> EncoderOptions {
        EncoderOptions {
            level: Some(level),
            delta: true,
            duplicates: true,
            similar: true,
            index_pages: 1 << 20,
            index_anchors: 1 << 22,
        }
    }

    /// Zero pages are named, all others travel as they are.
    pub fn raw() -> EncoderOptions {
        EncoderOptions {
            level: None,
            delta: false,
            duplicates: false,
            similar: false,
            index_pages: 0,
            index_anchors: 0,
        }
    }
}

/// A page to encode.
#[derive(Clone, Copy, Debug)]
pub struct PageInput<'a> {
    /// Its number, below 2^52.
    pub number: u64,
    /// What the receiver is to hold afterwards.
    pub content: &'a [u8; PAGE_SIZE],
    /// What the receiver holds for this page now; `None` if it holds nothing or the caller does not know.
    pub baseline: Option<&'a [u8; PAGE_SIZE]>,
}

/// What an encoder has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EncoderStats {
    /// Frames encoded.
    pub frames: u64,
    /// Pages by class; times [`PAGE_SIZE`] their bytes of memory.
    pub pages: ClassCounts,
    /// Bytes that no copy covers, of pages that are put together from content that the receiver has.
    pub residual_bytes: u64,
    /// Bytes of memory encoded: all pages × [`PAGE_SIZE`].
    pub raw_bytes: u64,
    /// Bytes of frames produced, headers included.
    pub frame_bytes: u64,
    /// Bytes that went through each stage.
    pub work: EncodeWork,
}

/// What two encoders have done together.
impl Add for EncoderStats {
    type Output = EncoderStats;

    fn add(mut self, other: EncoderStats) -> EncoderStats {
        self.pages.add(&other.pages);
        EncoderStats {
            frames: self.frames + other.frames,
            pages: self.pages,
            residual_bytes: self.residual_bytes + other.residual_bytes,
            raw_bytes: self.raw_bytes + other.raw_bytes,
            frame_bytes: self.frame_bytes + other.frame_bytes,
            work: self.work + other.work,
        }
    }
}

/// Encodes pages into frames for one receiver.
///
/// **Order.** Frames are to be decoded in the order in which they are encoded, each exactly once.
///
/// **Memory.** The index takes what [`EncoderOptions`] say; buffers take at most 40 MiB, and the zstd context of a
/// large frame at most about 60 MiB more (levels above 12: up to 200 MiB).
///
/// **Trust in hashes.** Wherever both contents of a duplicate are at hand, they are compared. A duplicate of a page of an
/// earlier frame, encoded without [`HeldPages`], rests on 128 bits of XXH3, which is not cryptographic: chance
/// collisions are out of the question (2^-128 per pair), but a guest that forges two pages of equal hash would corrupt
/// one of them, its own.
pub struct Encoder {
    options: EncoderOptions,
    index: ContentIndex,
    /// Other images that the receiver holds; `None` are gone.
    images: Vec<Option<ImageId>>,
    dictionary: Option<Dictionary>,
    /// What the last frame has left for the next one.
    link: u64,
    stats: EncoderStats,
    last_work: EncodeWork,
    columns: Columns,
}

impl Encoder {
    /// An encoder for a receiver whose store it knows nothing about.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub fn new(options: EncoderOptions) -> Encoder {
        Encoder {
            options,
            index: ContentIndex::new(options.index_pages, options.index_anchors),
            images: Vec::new(),
            dictionary: None,
            link: 0,
            stats: EncoderStats::default(),
            last_work: EncodeWork::default(),
            columns: Columns::new(options.level),
        }
    }

    /// Counters since construction.
    pub fn stats(&self) -> &EncoderStats {
        &self.stats
    }

    /// Bytes that the last frame took through each stage, for a [cost model](crate::CostModel).
    pub fn last_work(&self) -> &EncodeWork {
        &self.last_work
    }

    /// The receiver holds this content for this page, from another source than a frame of this encoder.
    ///
    /// What it costs is part of the work in [`stats`](Self::stats).
    pub fn learn(&mut self, page: u64, content: &[u8; PAGE_SIZE]) {
        self.learn_at(Place { image: 0, page }, content);
    }

    /// The receiver holds this content for this page of another image.
    pub fn learn_of(&mut self, image: ImageId, page: u64, content: &[u8; PAGE_SIZE]) {
        let known = self.images.iter().position(|it| *it == Some(image));
        let number = known.unwrap_or_else(|| {
            self.images.push(Some(image));
            self.images.len() - 1
        });
        let image = u32::try_from(number + 1).expect("fewer than 2^32 images");
        self.learn_at(Place { image, page }, content);
    }

    /// The receiver's copy of this page has changed by other means than a frame of this encoder.
    pub fn forget(&mut self, page: u64) {
        self.index.forget(Place { image: 0, page });
    }

    /// The receiver no longer holds this image.
    pub fn forget_image(&mut self, image: ImageId) {
        if let Some(number) = self.images.iter().position(|it| *it == Some(image)) {
            self.images[number] = None;
            self.index.forget_image(number as u32 + 1);
        }
    }

    /// The receiver has this dictionary, or none: what small frames may refer to although no page holds it. Nothing of it
    /// is used without compression.
    pub fn set_dictionary(&mut self, dictionary: Option<Dictionary>) {
        self.dictionary = dictionary.filter(|_| self.options.level.is_some());
    }

    /// Encodes `pages` into one frame. From now on the encoder takes for granted that the receiver holds them.
    ///
    /// Similar content is looked for in the baselines and among the pages of the frame, no further.
    ///
    /// # Panics
    /// If page numbers do not strictly ascend or reach 2^52, or there are more than [`MAX_PAGES_PER_FRAME`].
    pub fn encode(&mut self, sequence: u64, pages: &[PageInput<'_>]) -> Bytes {
        self.encode_frame(sequence, pages, None)
    }

    /// The same, with access to all that the receiver holds, so that similar content is found wherever it is, and
    /// baselines that `pages` do not state are known, too.
    ///
    /// # Panics
    /// As [`encode`](Self::encode) does.
    pub fn encode_with(&mut self, sequence: u64, pages: &[PageInput<'_>], held: &dyn HeldPages) -> Bytes {
        self.encode_frame(sequence, pages, Some(held))
    }

    fn learn_at(&mut self, place: Place, content: &Page) {
        if is_zero(content) {
            self.index.forget(place);
            return;
        }
        self.stats.work.hashed += PAGE_SIZE as u64;
        let mut anchors = Vec::new();
        if self.options.similar {
            anchor::find_some(content, &mut anchors);
            self.stats.work.searched += PAGE_SIZE as u64;
        }
        self.index.remember(place, content_hash(content), &anchors);
    }

    fn encode_frame(
        &mut self,
        sequence: u64,
        pages: &[PageInput<'_>],
        held: Option<&dyn HeldPages>,
    ) -> Bytes {
        assert!(
            pages.len() <= MAX_PAGES_PER_FRAME,
            "{} pages in one frame, at most {MAX_PAGES_PER_FRAME}",
            pages.len()
        );
        let runs = FrameHeader::runs_of(pages.iter().map(|page| page.number));
        self.last_work = EncodeWork {
            frames: 1,
            scanned: (pages.len() * PAGE_SIZE) as u64,
            ..EncodeWork::default()
        };
        self.columns.clear();
        let mut counts = ClassCounts::default();
        let mut result = ResultHash::default();
        for (position, page) in pages.iter().enumerate() {
            let (class, hash) = if is_zero(page.content) {
                self.index.forget(Place::own(page.number));
                self.columns.add_zero();
                (Class::Zero, ZERO_HASH)
            } else {
                let around = Surroundings {
                    pages,
                    position,
                    held,
                    images: &self.images,
                };
                self.columns
                    .add(&around, self.options, &mut self.index, &mut self.last_work)
            };
            counts.count(class);
            result.add(page.number, hash);
        }
        self.stats.residual_bytes += self.columns.residual_bytes();
        let dictionary = self.dictionary.as_ref();
        let mut header = FrameHeader {
            sequence,
            runs,
            form: BodyForm::Pages,
            body_len: 0,
            body_checksum: 0,
            dictionary: dictionary.map(Dictionary::name),
            chain: self.link,
            result_hash: result.finish(),
        };
        // The body comes behind room for the longest header; what is not needed of it goes in the end.
        let room = header.len();
        let mut frame = vec![0; room];
        if !self
            .columns
            .finish(pages, dictionary, &mut self.last_work, &mut frame)
        {
            header.dictionary = None;
        }
        let body = &frame[room..];
        header.body_len = u32::try_from(body.len()).expect("a body within the page limit");
        header.body_checksum = xxh3_64(body);
        self.link = header.link();
        let header = header.encode();
        let start = room - header.len();
        frame[start..room].copy_from_slice(&header);
        let frame = Bytes::from(frame).slice(start..);

        self.stats.frames += 1;
        self.stats.pages.add(&counts);
        self.stats.raw_bytes += (pages.len() * PAGE_SIZE) as u64;
        self.stats.frame_bytes += frame.len() as u64;
        self.stats.work += self.last_work;
        frame
    }
}
