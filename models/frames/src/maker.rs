//! Making frames: of real pages by the codec, of synthetic ones by what it has reached on real ones.

use bytes::Bytes;
use longhaul_core::payload::PayloadBuffer;
use longhaul_hde::{EncodeWork, Encoder, EncoderOptions, EncoderStats, FrameHeader};

use crate::pages::{Contents, Page, cut, synthetic_frame};
use crate::{Amount, Before, CopyStatistics, Kind, Measurements, PageView, Picked, Sent};

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

/// Makes the frames for one receiver, and remembers what it has through them.
pub struct FrameMaker {
    encoder: Encoder,
    uses_baselines: bool,
    measurements: Measurements,
    next_sequence: u64,
    sent: Sent,
    statistics: CopyStatistics,
    contents: Contents,
}

impl FrameMaker {
    /// For page numbers below `pages`, of which the receiver has none.
    pub fn new(pages: u64, encoding: EncoderOptions) -> FrameMaker {
        FrameMaker {
            encoder: Encoder::new(encoding),
            uses_baselines: encoding.delta,
            measurements: Measurements::default(),
            next_sequence: 0,
            sent: Sent::new(pages),
            statistics: CopyStatistics::default(),
            contents: Contents::default(),
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

    /// Picks up a page as it is to be sent.
    pub fn pick(&self, page: u64, view: &impl PageView) -> (Kind, Picked) {
        let version = view.version(page);
        let sent = self.sent.version(page);
        let kind = Kind {
            again: sent.is_some(),
            class: view.class(page, version),
        };
        let picked = Picked {
            page,
            version,
            baseline: sent.filter(|_| self.uses_baselines),
        };
        (kind, picked)
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
        let (parts, known_zero) = cut(pages, view);
        for part in parts {
            self.contents.read(part, known_zero, view);
            for (place, picked) in part.iter().enumerate() {
                seen(picked.page, self.contents.content(place));
            }
            let (bytes, work) = self.encode(kind, part, view);
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
        let content = synthetic_frame(self.next_sequence, pages, estimate.body_bytes);
        self.statistics
            .count_synthetic(count, estimate.zero_pages, content.len());
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
        for before in before {
            self.encoder.forget(before.page);
            self.sent.take_back(*before);
        }
    }

    /// The receiver has nothing any more, and frames count from 0 again. Measurements and statistics stay.
    pub fn start_over(&mut self) {
        let FrameMaker { encoder, sent, .. } = self;
        sent.clear(|page| encoder.forget(page));
        self.next_sequence = 0;
    }

    /// Notes that the receiver has the pages of a frame now.
    fn finish(&mut self, pages: &[Picked], content: PayloadBuffer, work: EncodeWork) -> Frame {
        let added = |picked: &Picked| self.sent.add(picked.page, picked.version);
        let before = pages.iter().map(added).collect();
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Frame {
            sequence,
            content,
            before,
            work,
        }
    }

    fn encode(&mut self, kind: Kind, pages: &[Picked], view: &impl PageView) -> (Bytes, EncodeWork) {
        let inputs = self.contents.inputs(pages);
        let zero_before = self.encoder.stats().pages.zero;
        let held = self.sent.held(view);
        let frame = self.encoder.encode_with(self.next_sequence, &inputs, &held);
        let zero_pages = self.encoder.stats().pages.zero - zero_before;
        let header_len = FrameHeader::encoded_len(&frame).expect("a frame just encoded");
        let count = pages.len() as u64;
        let work = *self.encoder.last_work();
        let amount = Amount {
            body_bytes: (frame.len() - header_len) as u64,
            zero_pages,
            overflows: 0,
            work,
        };
        self.measurements.add(kind, count, amount);
        self.statistics.count_real(count, zero_pages, frame.len() as u64);
        (frame, work)
    }
}
