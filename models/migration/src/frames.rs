//! Making frames: of real pages by a codec, of synthetic ones by what it has reached on real ones.

mod codec;

use longhaul_core::payload::PayloadBuffer;
use longhaul_core::time::Span;
use longhaul_frames::pages::{Contents, cut, synthetic_frame};
use longhaul_frames::{Class, CopyStatistics, Kind, Measurements, PAGES_PER_FRAME, Picked, Sent};
use longhaul_hde::{EncodeWork, EncoderStats};
use longhaul_memory::GuestMemory;

use crate::Encoding;
use crate::cost::Cost;
use crate::xbzrle::cache::CacheStatistics;
use codec::{Codec, Encoded};

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
    /// What the destination has through the bulk lane.
    sent: Sent,
    /// Frames of the lane in which order matters, and of the other.
    next_sequence: [u64; 2],
    /// The guest has been stopped for post-copy.
    postcopy: bool,
    statistics: CopyStatistics,
    contents: Contents,
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
            codec: Codec::new(encoding),
            urgent: Codec::independent(encoding),
            trial: Codec::trial(encoding),
            cost,
            measurements: Measurements::default(),
            sent: Sent::new(pages),
            next_sequence: [0; 2],
            postcopy: false,
            statistics: CopyStatistics::default(),
            contents: Contents::default(),
        }
    }

    pub fn statistics(&self) -> &CopyStatistics {
        &self.statistics
    }

    /// Counters of the encoders; real pages only.
    pub fn encoder_stats(&self) -> EncoderStats {
        self.codec.stats() + self.urgent.stats()
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
        let baseline = self.codec.baseline(page, version, &self.sent, age, last_stage);
        let kind = Kind {
            again: match self.codec {
                Codec::Xbzrle { .. } => baseline.is_some(),
                Codec::Hde { .. } => self.sent.version(page).is_some(),
            },
            class: Class::from(memory.stratum(page, version)),
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
        self.codec.begin_postcopy();
    }

    /// The destination's pages are not known any more, except that those sent from here on will get there.
    pub fn forget_destination(&mut self) {
        self.sent.clear(|_| {});
        self.next_sequence = [0; 2];
        self.codec.restart();
    }

    /// Encodes some of these pages for the measurements alone: there are real ones of this kind, but none that travel.
    pub fn try_out(&mut self, kind: Kind, pages: &[Picked], memory: &impl GuestMemory) {
        let pages = &pages[..pages.len().min(PAGES_PER_FRAME)];
        self.contents.read(pages, false, memory);
        let encoded = self.trial.encode(0, &self.contents.inputs(pages), None);
        self.measurements.add(kind, pages.len() as u64, encoded.amount());
    }

    /// Makes frames of real pages for the bulk lane, which must ascend, and hands each to `out`.
    pub fn real(
        &mut self,
        kind: Kind,
        pages: &[Picked],
        memory: &impl GuestMemory,
        mut out: impl FnMut(Made),
    ) {
        let (parts, known_zero) = cut(pages, memory);
        for part in parts {
            self.contents.read(part, known_zero, memory);
            let encoded = self.encode(part, Lane::Bulk, memory);
            self.measurements.add(kind, part.len() as u64, encoded.amount());
            self.note_sent(part);
            out(self.finish_real(part.len() as u64, encoded));
        }
    }

    /// Makes one frame of synthetic pages for the bulk lane, which must ascend.
    pub fn synthetic(&mut self, kind: Kind, pages: &[Picked]) -> Made {
        self.note_sent(pages);
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
            self.contents.read(&picked, false, memory);
            let encoded = self.encode(&picked, Lane::Urgent, memory);
            self.finish_real(1, encoded)
        } else {
            let kind = Kind {
                again: false,
                class: Class::from(memory.stratum(page, version)),
            };
            self.finish_synthetic(kind, &picked, Lane::Urgent)
        }
    }

    fn note_sent(&mut self, pages: &[Picked]) {
        for picked in pages {
            self.sent.add(picked.page, picked.version);
        }
    }

    fn encode(&mut self, pages: &[Picked], lane: Lane, memory: &impl GuestMemory) -> Encoded {
        let sequence = self.next_number(lane);
        let inputs = self.contents.inputs(pages);
        match lane {
            // What overtakes is kept beside at the destination and changes nothing of what it has through this lane.
            Lane::Bulk => {
                let held = self.sent.held(memory);
                self.codec.encode(sequence, &inputs, Some(&held))
            }
            Lane::Urgent => self.urgent.encode(sequence, &inputs, None),
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

    /// Time of one thread for a frame.
    fn takes(&self, work: &EncodeWork, frame_bytes: u64) -> Span {
        self.cost
            .map_or(Span::ZERO, |cost| cost.encode(work, frame_bytes))
    }

    fn finish_real(&mut self, pages: u64, encoded: Encoded) -> Made {
        let frame_bytes = encoded.frame.len() as u64;
        self.statistics.count_real(pages, encoded.zero_pages, frame_bytes);
        let takes = self.takes(&encoded.work, frame_bytes);
        let mut content = PayloadBuffer::default();
        content.push(encoded.frame.into());
        Made {
            pages,
            content,
            takes,
        }
    }

    fn finish_synthetic(&mut self, kind: Kind, pages: &[Picked], lane: Lane) -> Made {
        let count = pages.len() as u64;
        let sequence = self.next_number(lane);
        let estimate = self.measurements.estimate(kind, count);
        self.codec.count_synthetic(kind, count, &estimate);
        let content = synthetic_frame(sequence, pages, estimate.body_bytes);
        self.statistics
            .count_synthetic(count, estimate.zero_pages, content.len());
        Made {
            pages: count,
            takes: self.takes(&estimate.work, content.len()),
            content,
        }
    }
}
