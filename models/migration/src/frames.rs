//! Making frames: of real pages by the codec, of synthetic ones by what it has reached on real ones.

use bytes::Bytes;
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_hde::header::PageRun;
use longhaul_hde::{
    Encoder, EncoderOptions, EncoderStats, FrameHeader, PAGE_SIZE, PageInput, encode_synthetic_header,
    is_zero,
};
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::measure::{Kind, Measurements};
use crate::{CopyStatistics, PAGES_PER_FRAME, ZERO_PAGES_PER_FRAME};

type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// A page as it was when it was picked up for sending. If the guest writes it after that, it is dirty again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Picked {
    pub page: u64,
    pub version: u32,
}

/// Makes the frames of one migration, and remembers what the destination has through them.
pub(crate) struct FrameMaker {
    encoder: Encoder,
    uses_baselines: bool,
    measurements: Measurements,
    /// Pages sent at least once.
    sent: DirtyBitmap,
    /// The version of each page that the destination has; meaningful for real pages that are in `sent`.
    sent_versions: Vec<u32>,
    statistics: CopyStatistics,
    // Pages of the frame under construction, kept for their capacity.
    contents: Vec<Page>,
    baselines: Vec<Page>,
}

impl FrameMaker {
    /// For a guest of `pages` pages, of which the destination has none.
    pub fn new(pages: u64, encoding: EncoderOptions) -> FrameMaker {
        FrameMaker {
            encoder: Encoder::new(encoding),
            uses_baselines: encoding.delta,
            measurements: Measurements::new(),
            sent: DirtyBitmap::new(pages),
            sent_versions: vec![0; usize::try_from(pages).expect("pages that fit the address space")],
            statistics: CopyStatistics::default(),
            contents: Vec::new(),
            baselines: Vec::new(),
        }
    }

    pub fn statistics(&self) -> &CopyStatistics {
        &self.statistics
    }

    pub fn encoder_stats(&self) -> &EncoderStats {
        self.encoder.stats()
    }

    pub fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// Whether a page is in a frame made before.
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

    /// Makes frames of real pages, which must ascend, and hands each with the number of its pages to `out`.
    pub fn real(
        &mut self,
        kind: Kind,
        pages: &[Picked],
        memory: &impl GuestMemory,
        mut out: impl FnMut(u64, PayloadBuffer),
    ) {
        // There are more only as long as their stratum looks all zero, which these pages may disprove.
        let zero = pages.len() > PAGES_PER_FRAME && pages.iter().all(|picked| is_zero_page(*picked, memory));
        let pages_per_frame = if zero {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        };
        for part in pages.chunks(pages_per_frame) {
            self.read(kind, part, zero, memory);
            let frame = self.encode(kind, part);
            for picked in part {
                self.sent.set(picked.page);
                self.sent_versions[picked.page as usize] = picked.version;
            }
            let mut content = PayloadBuffer::default();
            content.push(frame.into());
            out(part.len() as u64, content);
        }
    }

    /// Makes one frame of synthetic pages, which must ascend.
    pub fn synthetic(&mut self, kind: Kind, pages: &[Picked]) -> PayloadBuffer {
        let count = pages.len() as u64;
        let estimate = self.measurements.estimate(kind, count);
        let header = encode_synthetic_header(&runs(pages), self.statistics.frames, estimate.body_bytes);
        self.statistics.frames += 1;
        self.statistics.synthetic_pages += count;
        self.statistics.synthetic_frame_bytes += header.len() as u64 + estimate.body_bytes;
        self.statistics.zero_pages += estimate.zero_pages;
        for picked in pages {
            self.sent.set(picked.page);
        }
        let mut content = PayloadBuffer::default();
        content.push(header.into());
        content.push(Payload::Synthetic(estimate.body_bytes));
        content
    }

    /// Fills `contents` and `baselines`; pages known to be zero need neither.
    fn read(&mut self, kind: Kind, pages: &[Picked], zero: bool, memory: &impl GuestMemory) {
        self.contents.clear();
        self.baselines.clear();
        if zero {
            return;
        }
        for &Picked { page, version } in pages {
            memory.read(page, version, added(&mut self.contents));
            if kind.again && self.uses_baselines {
                memory.read(
                    page,
                    self.sent_versions[page as usize],
                    added(&mut self.baselines),
                );
            }
        }
    }

    fn encode(&mut self, kind: Kind, pages: &[Picked]) -> Bytes {
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
        let frame = self.encoder.encode(self.statistics.frames, &inputs);
        let zero_pages = self.encoder.stats().pages.zero - zero_before;
        let header_len = FrameHeader::encoded_len(&frame).expect("a frame just encoded");
        let count = pages.len() as u64;
        self.measurements
            .add(kind, count, zero_pages, (frame.len() - header_len) as u64);
        self.statistics.frames += 1;
        self.statistics.real_pages += count;
        self.statistics.real_frame_bytes += frame.len() as u64;
        self.statistics.zero_pages += zero_pages;
        frame
    }
}

fn is_zero_page(picked: Picked, memory: &impl GuestMemory) -> bool {
    let mut content = ZERO_PAGE;
    memory.read(picked.page, picked.version, &mut content);
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
