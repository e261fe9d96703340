//! The encoder: picks a class for every page and builds frames.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::body::{Class, ClassCounts, FrameHashes, ZERO_HASH, content_hash};
use crate::cost::EncodeWork;
use crate::header::{BodyForm, FrameHeader, max_raw_len};
use crate::index::DuplicateIndex;
use crate::page::{changed_bytes, is_zero, xor_in_place};
use crate::{MAX_PAGES_PER_FRAME, PAGE_SIZE, varint};

/// A page in which more bytes differ from the baseline travels as a literal: what compression finds in the page
/// itself is then lost in the XOR. On the recorded guest of the `hde` bench, limits from a quarter to a half of the
/// page give ratios within three percent of each other; an eighth, or no limit, costs about a quarter.
const MAX_DELTA_BYTES: usize = PAGE_SIZE * 3 / 8;

/// What the encoder may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EncoderOptions {
    /// zstd level, 1 to 19; `None` stores bodies uncompressed.
    pub level: Option<i32>,
    /// Whether to send deltas against baselines.
    pub delta: bool,
    /// Whether to look for duplicates.
    pub duplicates: bool,
    /// Most pages that the duplicate index remembers; about 80 bytes of memory each.
    pub index_pages: usize,
}

impl EncoderOptions {
    /// Everything, at this zstd level (1 to 19).
    pub fn hde(level: i32) -> EncoderOptions {
        EncoderOptions {
            level: Some(level),
            delta: true,
            duplicates: true,
            index_pages: 1 << 20,
        }
    }

    /// Zero pages are named, all others travel as they are.
    pub fn raw() -> EncoderOptions {
        EncoderOptions {
            level: None,
            delta: false,
            duplicates: false,
            index_pages: 0,
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
    /// Bytes that differ from the baseline, over all deltas.
    pub delta_changed_bytes: u64,
    /// Bytes of memory encoded: all pages × [`PAGE_SIZE`].
    pub raw_bytes: u64,
    /// Bytes of frames produced, headers included.
    pub frame_bytes: u64,
    /// Bytes that went through each stage.
    pub work: EncodeWork,
}

/// Encodes pages into frames for one receiver.
///
/// Equal hashes alone do not make a duplicate of a page in the same frame: the bytes are at hand and compared.
/// Pages of earlier frames are not kept, so there a match of 128 bits of XXH3 decides, and the receiver, which
/// has both pages, checks the result against the frame's hashes. XXH3 is not cryptographic: chance collisions
/// are out of the question (2^-128 per pair), but a guest that forges two pages of equal hash would corrupt one of
/// them, its own.
pub struct Encoder {
    options: EncoderOptions,
    compressor: Option<Compressor<'static>>,
    index: DuplicateIndex,
    stats: EncoderStats,
    last_work: EncodeWork,
    // Columns of the frame under construction, kept for their capacity.
    references: Vec<u8>,
    deltas: Vec<u8>,
    literals: Vec<u8>,
    body: Vec<u8>,
    compressed: Vec<u8>,
}

impl Encoder {
    /// An encoder for a receiver whose store it knows nothing about.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub fn new(options: EncoderOptions) -> Encoder {
        let compressor = options.level.map(|level| {
            assert!((1..=19).contains(&level), "zstd level {level} outside 1 to 19");
            let mut compressor = Compressor::new(level).expect("memory for a zstd context");
            // zstd shrinks the window to the input, so this only makes it reach across the largest frame.
            let window = max_raw_len(MAX_PAGES_PER_FRAME).next_power_of_two().ilog2();
            compressor
                .set_parameter(CParameter::WindowLog(window))
                .expect("a window log that zstd supports on every target");
            compressor
        });
        Encoder {
            options,
            compressor,
            index: DuplicateIndex::new(options.index_pages),
            stats: EncoderStats::default(),
            last_work: EncodeWork::default(),
            references: Vec::new(),
            deltas: Vec::new(),
            literals: Vec::new(),
            body: Vec::new(),
            compressed: Vec::new(),
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

    /// The receiver's copy of this page has changed by other means than a frame of this encoder.
    pub fn forget(&mut self, page: u64) {
        self.index.forget(page);
    }

    /// Encodes `pages` into one frame. From now on the encoder takes for granted that the receiver holds them.
    ///
    /// # Panics
    /// If page numbers do not strictly ascend or reach 2^52, or there are more than [`MAX_PAGES_PER_FRAME`].
    pub fn encode(&mut self, sequence: u64, pages: &[PageInput<'_>]) -> Bytes {
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
        let (counts, hashes) = self.fill_columns(pages);
        self.body.append(&mut self.references);
        self.body.append(&mut self.deltas);
        self.body.append(&mut self.literals);

        let form = self.compress_body();
        let travelling = match form {
            BodyForm::Zstd => &self.compressed,
            BodyForm::Stored | BodyForm::Synthetic => &self.body,
        };
        let header = FrameHeader {
            sequence,
            runs,
            form,
            raw_len: len_u32(&self.body),
            body_len: len_u32(travelling),
            body_checksum: xxh3_64(travelling),
            baseline_hash: hashes.baseline_hash(),
            result_hash: hashes.result_hash(),
        }
        .encode();
        let mut frame = BytesMut::with_capacity(header.len() + travelling.len());
        frame.put_slice(&header);
        frame.put_slice(travelling);

        self.stats.frames += 1;
        self.stats.pages.add(&counts);
        self.stats.raw_bytes += (pages.len() * PAGE_SIZE) as u64;
        self.stats.frame_bytes += frame.len() as u64;
        self.stats.work += self.last_work;
        frame.freeze()
    }

    /// Classifies every page and fills the columns; the class column is the start of the body.
    fn fill_columns(&mut self, pages: &[PageInput<'_>]) -> (ClassCounts, FrameHashes) {
        self.body.clear();
        let mut counts = ClassCounts::default();
        let mut hashes = FrameHashes::default();
        for (position, page) in pages.iter().enumerate() {
            let class = if is_zero(page.content) {
                self.index.forget(page.number);
                hashes.result(page.number, ZERO_HASH);
                Class::Zero
            } else {
                let hash = content_hash(page.content);
                self.last_work.hashed += PAGE_SIZE as u64;
                let class = self.fill_page(&pages[..position], page, hash, &mut hashes);
                if self.options.duplicates {
                    self.index.remember(page.number, hash);
                }
                hashes.result(page.number, hash);
                class
            };
            self.body.push(class as u8);
            counts.count(class);
        }
        (counts, hashes)
    }

    /// Picks the class of one page that is not zero, and writes its data.
    fn fill_page(
        &mut self,
        earlier: &[PageInput<'_>],
        page: &PageInput<'_>,
        hash: u128,
        hashes: &mut FrameHashes,
    ) -> Class {
        if let Some(original) = self.index.find(hash) {
            match earlier.binary_search_by_key(&original, |page| page.number) {
                Ok(position) if earlier[position].content == page.content => {
                    varint::put(&mut self.references, (earlier.len() - position) as u64);
                    return Class::DuplicateInFrame;
                }
                // Two contents with one hash: the page finds another class.
                Ok(_) => {}
                Err(_) => {
                    // Page numbers lie below 2^52.
                    let distance = original.cast_signed() - page.number.cast_signed();
                    varint::put_signed(&mut self.references, distance);
                    hashes.baseline(hash);
                    return Class::DuplicateInStore;
                }
            }
        }
        if let Some(baseline) = page.baseline.filter(|_| self.options.delta) {
            let changed = changed_bytes(page.content, baseline);
            self.last_work.compared += PAGE_SIZE as u64;
            if changed <= MAX_DELTA_BYTES {
                let mut delta = *page.content;
                xor_in_place(&mut delta, baseline);
                self.deltas.extend_from_slice(&delta);
                self.stats.delta_changed_bytes += changed as u64;
                hashes.baseline(content_hash(baseline));
                return Class::Delta;
            }
        }
        self.literals.extend_from_slice(page.content);
        Class::Literal
    }

    /// Compresses the body if that is wanted and shortens it.
    fn compress_body(&mut self) -> BodyForm {
        let Some(compressor) = &mut self.compressor else {
            return BodyForm::Stored;
        };
        self.last_work.entropy = self.body.len() as u64;
        self.compressed.clear();
        self.compressed
            .reserve(zstd::zstd_safe::compress_bound(self.body.len()));
        compressor
            .compress_to_buffer(&self.body, &mut self.compressed)
            .expect("room for the worst case was reserved");
        if self.compressed.len() < self.body.len() {
            BodyForm::Zstd
        } else {
            BodyForm::Stored
        }
    }
}

/// The length of a body, which the page limit keeps far below 4 GiB.
fn len_u32(body: &[u8]) -> u32 {
    u32::try_from(body.len()).expect("a body within the page limit")
}
