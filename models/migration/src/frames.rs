//! Making frames: of real pages by a codec, of synthetic ones by what it has reached on real ones.

mod codec;

use bytes::Bytes;
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Span;
use longhaul_hde::header::PageRun;
use longhaul_hde::{EncoderStats, PAGE_SIZE, encode_synthetic_header, is_zero};
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::cost::Cost;
use crate::measure::{Amount, Kind, Measurements};
use crate::xbzrle::cache::CacheStatistics;
use crate::{CopyStatistics, Encoding, PAGES_PER_FRAME, ZERO_PAGES_PER_FRAME};
use codec::{Codec, Encoded, Input};

type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// A page as it was when it was picked up for sending. If the guest writes it after that, it is dirty again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Picked {
    pub page: u64,
    pub version: u32,
    /// The version of it that the destination has and that the codec may build on.
    pub baseline: Option<u32>,
}

/// A frame, and what it took to make it.
pub(crate) struct Made {
    /// Pages in it.
    pub pages: u64,
    pub content: PayloadBuffer,
    /// Time of one thread.
    pub takes: Span,
}

/// Makes the frames of one migration, and remembers what the destination has through them.
pub(crate) struct FrameMaker {
    codec: Codec,
    /// For pages that overtake others: builds on nothing.
    urgent: Codec,
    /// For measurements alone: knows nothing of other frames.
    trial: Codec,
    cost: Option<Cost>,
    measurements: Measurements,
    /// Pages sent at least once.
    sent: DirtyBitmap,
    /// Frames of the lane in which order matters, and of the other.
    next_sequence: [u64; 2],
    /// The guest has been stopped for post-copy.
    postcopy: bool,
    statistics: CopyStatistics,
    // Pages of the frame under construction, kept for their capacity.
    contents: Vec<Page>,
    baselines: Vec<Page>,
}

/// Set in the numbers of frames that were made after the guest was stopped for post-copy: they have the last content of
/// their pages. Without it, a page may have been written since.
pub(crate) const MADE_AFTER_STOP: u64 = 1 << 63;

/// Which of the two lanes a frame travels in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// One after the other.
    Bulk = 0,
    /// Ahead of bulk.
    Urgent = 1,
}

impl FrameMaker {
    /// For a guest of `pages` pages, of which the destination has none.
    pub fn new(pages: u64, encoding: Encoding, cost: Option<Cost>) -> FrameMaker {
        FrameMaker {
            codec: Codec::new(pages, encoding),
            urgent: Codec::independent(encoding),
            trial: Codec::trial(encoding),
            cost,
            measurements: Measurements::new(),
            sent: DirtyBitmap::new(pages),
            next_sequence: [0; 2],
            postcopy: false,
            statistics: CopyStatistics::default(),
            contents: Vec::new(),
            baselines: Vec::new(),
        }
    }

    pub fn statistics(&self) -> &CopyStatistics {
        &self.statistics
    }

    /// Counters of the encoders; real pages only.
    pub fn encoder_stats(&self) -> EncoderStats {
        codec::sum(self.codec.stats(), self.urgent.stats())
    }

    pub fn cache_statistics(&self) -> Option<CacheStatistics> {
        self.codec.cache_statistics()
    }

    pub fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// Frames made of a lane since the last recovery.
    pub fn frames(&self, lane: Lane) -> u64 {
        self.next_sequence[lane as usize]
    }

    /// How many pages of a kind make a frame.
    pub fn pages_per_frame(&self, kind: Kind) -> usize {
        if self.measurements.all_zero(kind) {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        }
    }

    /// Picks up a page for the bulk lane as it is now. `age` counts synchronisations; `last_stage` is when the guest
    /// stands still.
    pub fn pick(
        &mut self,
        page: u64,
        memory: &impl GuestMemory,
        age: u64,
        last_stage: bool,
    ) -> (Kind, Picked) {
        let version = memory.version(page);
        let was_sent = self.sent.test(page);
        let baseline = self.codec.baseline(page, version, was_sent, age, last_stage);
        let kind = Kind {
            stratum: memory.stratum(page, version),
            again: match self.codec {
                Codec::Xbzrle { .. } => baseline.is_some(),
                Codec::Hde { .. } => was_sent,
            },
        };
        let picked = Picked {
            page,
            version,
            baseline,
        };
        (kind, picked)
    }

    /// The first pass over memory is over.
    pub fn end_first_pass(&mut self) {
        self.codec.end_first_pass();
    }

    /// The guest has been stopped for post-copy. Like QEMU, XBZRLE is of no more use.
    pub fn begin_postcopy(&mut self) {
        self.postcopy = true;
        self.codec.begin_postcopy(self.sent.pages());
    }

    /// The destination's pages are not known any more, except that those sent from here on will get there.
    pub fn forget_destination(&mut self) {
        self.sent = DirtyBitmap::new(self.sent.pages());
        self.next_sequence = [0; 2];
        self.codec.restart();
    }

    /// Encodes some of these pages for the measurements alone: there are real ones of this kind, but none that travel.
    pub fn try_out(&mut self, kind: Kind, pages: &[Picked], memory: &impl GuestMemory) {
        let pages = &pages[..pages.len().min(PAGES_PER_FRAME)];
        self.read(pages, false, memory);
        let inputs = inputs(pages, &self.contents, &self.baselines);
        let encoded = self.trial.encode(0, &inputs);
        let amount = self.amount(&encoded);
        self.measurements.add(kind, pages.len() as u64, amount);
    }

    /// Makes frames of real pages for the bulk lane, which must ascend, and hands each to `out`.
    pub fn real(
        &mut self,
        kind: Kind,
        pages: &[Picked],
        memory: &impl GuestMemory,
        mut out: impl FnMut(Made),
    ) {
        // There are more only as long as their stratum looks all zero, which these pages may disprove.
        let zero = pages.len() > PAGES_PER_FRAME && pages.iter().all(|picked| is_zero_page(*picked, memory));
        let pages_per_frame = if zero {
            ZERO_PAGES_PER_FRAME
        } else {
            PAGES_PER_FRAME
        };
        for part in pages.chunks(pages_per_frame) {
            self.read(part, zero, memory);
            let encoded = self.encode(part, Lane::Bulk);
            let amount = self.amount(&encoded);
            self.measurements.add(kind, part.len() as u64, amount);
            for picked in part {
                self.sent.set(picked.page);
                self.codec.sent(picked.page, picked.version);
            }
            out(self.finish_real(part.len() as u64, encoded.frame, amount));
        }
    }

    /// Makes one frame of synthetic pages for the bulk lane, which must ascend.
    pub fn synthetic(&mut self, kind: Kind, pages: &[Picked]) -> Made {
        for picked in pages {
            self.sent.set(picked.page);
        }
        self.finish_synthetic(kind, pages, Lane::Bulk)
    }

    /// Makes a frame of one page that does not build on anything and may overtake all others.
    pub fn urgent(&mut self, page: u64, real: bool, memory: &impl GuestMemory) -> Made {
        let version = memory.version(page);
        let picked = [Picked {
            page,
            version,
            baseline: None,
        }];
        if real {
            self.read(&picked, false, memory);
            let encoded = self.encode(&picked, Lane::Urgent);
            let amount = self.amount(&encoded);
            self.finish_real(1, encoded.frame, amount)
        } else {
            let kind = Kind {
                stratum: memory.stratum(page, version),
                again: false,
            };
            self.finish_synthetic(kind, &picked, Lane::Urgent)
        }
    }

    /// Fills `contents` and `baselines`; pages known to be zero need neither.
    fn read(&mut self, pages: &[Picked], zero: bool, memory: &impl GuestMemory) {
        self.contents.clear();
        self.baselines.clear();
        if zero {
            return;
        }
        for picked in pages {
            memory.read(picked.page, picked.version, added(&mut self.contents));
            if let Some(baseline) = picked.baseline {
                memory.read(picked.page, baseline, added(&mut self.baselines));
            }
        }
    }

    fn encode(&mut self, pages: &[Picked], lane: Lane) -> Encoded {
        let sequence = self.next_number(lane);
        let inputs = inputs(pages, &self.contents, &self.baselines);
        match lane {
            Lane::Bulk => self.codec.encode(sequence, &inputs),
            Lane::Urgent => self.urgent.encode(sequence, &inputs),
        }
    }

    /// The number of the next frame of a lane, as it travels.
    fn next_number(&mut self, lane: Lane) -> u64 {
        let number = self.next_sequence[lane as usize];
        self.next_sequence[lane as usize] += 1;
        if self.postcopy {
            number | MADE_AFTER_STOP
        } else {
            number
        }
    }

    fn amount(&self, encoded: &Encoded) -> Amount {
        let header_len = encoded.header_len as u64;
        let frame_bytes = encoded.frame.len() as u64;
        let takes = self
            .cost
            .map_or(Span::ZERO, |cost| cost.encode(&encoded.work, frame_bytes));
        Amount {
            zero_pages: encoded.zero_pages,
            body_bytes: frame_bytes - header_len,
            overflows: encoded.overflows,
            cost_ns: takes.as_ns(),
        }
    }

    fn finish_real(&mut self, pages: u64, frame: Bytes, amount: Amount) -> Made {
        self.statistics.frames += 1;
        self.statistics.real_pages += pages;
        self.statistics.real_frame_bytes += frame.len() as u64;
        self.statistics.zero_pages += amount.zero_pages;
        let mut content = PayloadBuffer::default();
        content.push(frame.into());
        Made {
            pages,
            content,
            takes: Span::from_ns(amount.cost_ns),
        }
    }

    fn finish_synthetic(&mut self, kind: Kind, pages: &[Picked], lane: Lane) -> Made {
        let count = pages.len() as u64;
        let sequence = self.next_number(lane);
        let estimate = self.measurements.estimate(kind, count);
        let header = encode_synthetic_header(&runs(pages), sequence, estimate.body_bytes);
        self.codec.count_synthetic(kind, count, &estimate);
        self.statistics.frames += 1;
        self.statistics.synthetic_pages += count;
        self.statistics.synthetic_frame_bytes += header.len() as u64 + estimate.body_bytes;
        self.statistics.zero_pages += estimate.zero_pages;
        let mut content = PayloadBuffer::default();
        content.push(header.into());
        content.push(Payload::Synthetic(estimate.body_bytes));
        Made {
            pages: count,
            content,
            takes: Span::from_ns(estimate.cost_ns),
        }
    }
}

/// Pages with their contents, which are zero where there are none, and the baselines of those that have one.
fn inputs<'a>(pages: &[Picked], contents: &'a [Page], baselines: &'a [Page]) -> Vec<Input<'a>> {
    let mut baselines = baselines.iter();
    let input = |(position, picked): (usize, &Picked)| Input {
        number: picked.page,
        content: contents.get(position).unwrap_or(&ZERO_PAGE),
        baseline: picked.baseline.and_then(|_| baselines.next()),
    };
    pages.iter().enumerate().map(input).collect()
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
