//! Making frames: of real pages by the codec, of synthetic ones by what it has reached on real ones.

use bytes::Bytes;
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_hde::header::PageRun;
use longhaul_hde::{
    EncodeWork, Encoder, EncoderOptions, EncoderStats, FrameHeader, PAGE_SIZE, PageInput,
    encode_synthetic_header, is_zero,
};
use longhaul_memory::bitmap::DirtyBitmap;
use serde::{Deserialize, Serialize};

use crate::{Amount, Kind, Measurements, PAGES_PER_FRAME, PageView, ZERO_PAGES_PER_FRAME};

type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// A page as it was when it was picked up for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picked {
    /// Its number.
    pub page: u64,
    /// Its version.
    pub version: u32,
}

/// What the receiver had of a page before a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// The page.
    pub page: u64,
    /// The version that the receiver had; `None` if it had none. Of a synthetic page it means only that it had one.
    pub version: Option<u32>,
}

/// A frame, ready to be carried.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its number, counted from 0 for one receiver.
    pub sequence: u64,
    /// Its bytes.
    pub content: PayloadBuffer,
    /// Its pages, ascending, and what the receiver had of them before.
    pub before: Vec<Before>,
    /// What encoding it took, or would have taken.
    pub work: EncodeWork,
}

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
}

/// Makes the frames for one receiver, and remembers what it has through them.
pub struct FrameMaker {
    encoder: Encoder,
    uses_baselines: bool,
    measurements: Measurements,
    next_sequence: u64,
    /// Pages that the receiver has.
    sent: DirtyBitmap,
    /// The version of each page that the receiver has; meaningful for real pages that are in `sent`.
    sent_versions: Vec<u32>,
    statistics: CopyStatistics,
    // Pages of the frame under construction, kept for their capacity.
    contents: Vec<Page>,
    baselines: Vec<Page>,
}

impl FrameMaker {
    /// For page numbers below `pages`, of which the receiver has none.
    pub fn new(pages: u64, encoding: EncoderOptions) -> FrameMaker {
        FrameMaker {
            encoder: Encoder::new(encoding),
            uses_baselines: encoding.delta,
            measurements: Measurements::default(),
            next_sequence: 0,
            sent: DirtyBitmap::new(pages),
            sent_versions: vec![0; usize::try_from(pages).expect("pages that fit the address space")],
            statistics: CopyStatistics::default(),
            contents: Vec::new(),
            baselines: Vec::new(),
        }
    }

    /// What has travelled so far, frames that were taken back included.
    pub fn statistics(&self) -> &CopyStatistics {
        &self.statistics
    }

    /// What the codec has done so far.
    pub fn encoder_stats(&self) -> &EncoderStats {
        self.encoder.stats()
    }

    /// What it has reached.
    pub fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// The number of the next frame.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Whether the receiver has a page through the frames made so far.
    pub fn was_sent(&self, page: u64) -> bool {
        self.sent.test(page)
    }

    /// How many pages of a kind make a frame.
    pub fn pages_per_frame(&self, kind: Kind) -> usize {
        if self.measurements.all_zero(kind) {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        }
    }

    /// Makes frames of real pages, which must ascend, and hands each to `out`. `seen` gets the content of each page.
    pub fn real(
        &mut self,
        kind: Kind,
        pages: &[Picked],
        view: &impl PageView,
        seen: &mut impl FnMut(u64, &Page),
        mut out: impl FnMut(Frame),
    ) {
        // There are more only as long as their class looks all zero, which these pages may disprove.
        let zero = pages.len() > PAGES_PER_FRAME && pages.iter().all(|picked| is_zero_page(*picked, view));
        let pages_per_frame = if zero {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        };
        for part in pages.chunks(pages_per_frame) {
            self.read(kind, part, zero, view);
            for (position, picked) in part.iter().enumerate() {
                seen(picked.page, self.contents.get(position).unwrap_or(&ZERO_PAGE));
            }
            let (bytes, work) = self.encode(kind, part);
            let mut content = PayloadBuffer::default();
            content.push(bytes.into());
            let frame = self.finish(part, content, work);
            out(frame);
        }
    }

    /// Makes one frame of synthetic pages, which must ascend.
    pub fn synthetic(&mut self, kind: Kind, pages: &[Picked]) -> Frame {
        let count = pages.len() as u64;
        let estimate = self.measurements.estimate(kind, count);
        let header = encode_synthetic_header(&runs(pages), self.next_sequence, estimate.body_bytes);
        self.statistics.synthetic_pages += count;
        self.statistics.synthetic_frame_bytes += header.len() as u64 + estimate.body_bytes;
        self.statistics.zero_pages += estimate.zero_pages;
        let mut content = PayloadBuffer::default();
        content.push(header.into());
        content.push(Payload::Synthetic(estimate.body_bytes));
        self.finish(pages, content, estimate.work)
    }

    /// The receiver does not have a frame, nor any made after it: those must have been taken back before.
    ///
    /// # Panics
    /// If it is not the last one that was made and not taken back.
    pub fn take_back(&mut self, sequence: u64, before: &[Before]) {
        assert_eq!(
            sequence + 1,
            self.next_sequence,
            "frames are taken back from the last one on"
        );
        self.next_sequence = sequence;
        for &Before { page, version } in before {
            self.encoder.forget(page);
            match version {
                Some(version) => self.sent_versions[page as usize] = version,
                None => {
                    self.sent.clear(page);
                }
            }
        }
    }

    /// The receiver has nothing any more, and frames count from 0 again. Measurements and statistics stay.
    pub fn start_over(&mut self) {
        let mut from = 0;
        while let Some(page) = self.sent.take_next(from) {
            self.encoder.forget(page);
            from = page + 1;
        }
        self.next_sequence = 0;
    }

    /// Notes that the receiver has the pages of a frame now.
    fn finish(&mut self, pages: &[Picked], content: PayloadBuffer, work: EncodeWork) -> Frame {
        let before = pages.iter().map(|&Picked { page, version }| {
            let there = &mut self.sent_versions[page as usize];
            let had = !self.sent.set(page);
            let before = had.then_some(*there);
            // Memory of pages that stay at version 0 is not touched.
            if *there != version {
                *there = version;
            }
            Before {
                page,
                version: before,
            }
        });
        let before = before.collect();
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.statistics.frames += 1;
        Frame {
            sequence,
            content,
            before,
            work,
        }
    }

    /// Fills `contents` and `baselines`; pages known to be zero need neither.
    fn read(&mut self, kind: Kind, pages: &[Picked], zero: bool, view: &impl PageView) {
        self.contents.clear();
        self.baselines.clear();
        if zero {
            return;
        }
        for &Picked { page, version } in pages {
            view.read(page, version, added(&mut self.contents));
            if kind.again && self.uses_baselines {
                view.read(
                    page,
                    self.sent_versions[page as usize],
                    added(&mut self.baselines),
                );
            }
        }
    }

    fn encode(&mut self, kind: Kind, pages: &[Picked]) -> (Bytes, EncodeWork) {
        let inputs: Vec<PageInput<'_>> = pages
            .iter()
            .enumerate()
            .map(|(position, picked)| PageInput {
                number: picked.page,
                content: self.contents.get(position).unwrap_or(&ZERO_PAGE),
                baseline: self.baselines.get(position),
            })
            .collect();
        let zero_before = self.encoder.stats().pages.zero;
        let frame = self.encoder.encode(self.next_sequence, &inputs);
        let zero_pages = self.encoder.stats().pages.zero - zero_before;
        let header_len = FrameHeader::encoded_len(&frame).expect("a frame just encoded");
        let count = pages.len() as u64;
        let work = *self.encoder.last_work();
        let amount = Amount {
            body_bytes: (frame.len() - header_len) as u64,
            zero_pages,
            work,
        };
        self.measurements.add(kind, count, amount);
        self.statistics.real_pages += count;
        self.statistics.real_frame_bytes += frame.len() as u64;
        self.statistics.zero_pages += zero_pages;
        (frame, work)
    }
}

fn is_zero_page(picked: Picked, view: &impl PageView) -> bool {
    let mut content = ZERO_PAGE;
    view.read(picked.page, picked.version, &mut content);
    is_zero(&content)
}

fn added(pages: &mut Vec<Page>) -> &mut Page {
    pages.push(ZERO_PAGE);
    pages.last_mut().expect("just added")
}

/// Ascending pages as runs.
fn runs(pages: &[Picked]) -> Vec<PageRun> {
    let mut runs: Vec<PageRun> = Vec::new();
    for &Picked { page, .. } in pages {
        match runs.last_mut() {
            Some(run) if run.end() == page => run.count += 1,
            _ => runs.push(PageRun {
                start: page,
                count: 1,
            }),
        }
    }
    runs
}
