//! From dirty pages to frames.
//!
//! The copier walks the dirty bitmap in page order and sorts the pages into groups that encode alike: by stratum,
//! first or repeated copy, real or synthetic. A full group becomes a frame; at the end of a pass over the memory
//! all groups do. A page is thus in one group at most, and the pages of a group ascend.
//!
//! A page is sent as it was when it was picked up, however long its group takes to fill: otherwise a page that the
//! guest writes meanwhile would count as one of a stratum to which it no longer belongs.

use std::collections::VecDeque;

use longhaul_frames::{CopyStatistics, Group, Groups, Sampling};
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::Encoding;
use crate::cost::Cost;
use crate::frames::{FrameMaker, Made};
use crate::wire::data::{RealPages, RealPagesHasher};

/// Makes frames of dirty pages.
pub(crate) struct Copier {
    dirty: DirtyBitmap,
    /// The page from which to look for the next dirty one.
    cursor: u64,
    /// Pages picked up and in no frame yet.
    groups: Groups,
    /// At the end of a pass: all groups are to become frames.
    flushing: bool,
    /// Frames made and not asked for yet.
    frames: VecDeque<Made>,
    /// How often the bitmap was synchronised.
    age: u64,
    /// The guest stands still.
    last_stage: bool,
    sampling: Sampling,
    maker: FrameMaker,
}

impl Copier {
    /// A copier for a guest of `pages` pages, all of them clean.
    pub fn new(pages: u64, sampling: Sampling, encoding: Encoding, cost: Option<Cost>) -> Copier {
        Copier {
            dirty: DirtyBitmap::new(pages),
            cursor: 0,
            groups: Groups::default(),
            flushing: false,
            frames: VecDeque::new(),
            age: 0,
            last_stage: false,
            sampling,
            maker: FrameMaker::new(pages, encoding, cost),
        }
    }

    /// Marks every page dirty, and makes the sample cover all strata that there are now.
    pub fn begin(&mut self, memory: &impl GuestMemory) {
        self.sampling.cover_classes(memory, 0..memory.pages());
        self.dirty.set_all();
    }

    /// Adds the pages that the guest has written, and leaves `log` empty; returns how many were clean.
    pub fn synchronise(&mut self, log: &mut DirtyBitmap) -> u64 {
        self.age += 1;
        self.dirty.absorb(log)
    }

    /// The guest stands still from now on.
    pub fn begin_last_stage(&mut self) {
        self.last_stage = true;
    }

    /// Pages that are dirty and in no frame that was handed out.
    pub fn remaining_pages(&self) -> u64 {
        let in_frames: u64 = self.frames.iter().map(|made| made.pages).sum();
        self.dirty.count() + self.groups.pages() + in_frames
    }

    /// Pages of all frames that were handed out.
    pub fn pages_handed_out(&self) -> u64 {
        let in_frames: u64 = self.frames.iter().map(|made| made.pages).sum();
        self.statistics().pages() - in_frames
    }

    pub fn statistics(&self) -> &CopyStatistics {
        self.maker.statistics()
    }

    pub fn maker(&self) -> &FrameMaker {
        &self.maker
    }

    /// The next frame; `None` if no page is dirty.
    pub fn next_frame(&mut self, memory: &impl GuestMemory) -> Option<Made> {
        loop {
            if let Some(made) = self.frames.pop_front() {
                return Some(made);
            }
            if self.flushing {
                match self.groups.first() {
                    Some(group) => self.flush(group, memory),
                    None => self.flushing = false,
                }
            } else if let Some(page) = self.dirty.take_next(self.cursor) {
                self.cursor = page + 1;
                self.add(page, memory);
            } else if self.groups.pages() > 0 {
                self.end_pass();
                self.flushing = true;
            } else if self.dirty.is_empty() {
                return None;
            } else {
                self.end_pass();
            }
        }
    }

    fn end_pass(&mut self) {
        self.cursor = 0;
        self.maker.end_first_pass();
    }

    /// The guest was stopped for post-copy: pages that are in no frame are dirty again, and every frame from now on has
    /// their last content.
    pub fn begin_postcopy(&mut self) {
        let dirty = &mut self.dirty;
        self.groups.clear(|picked| {
            dirty.set(picked.page);
        });
        self.flushing = false;
        self.maker.begin_postcopy();
    }

    /// Pages that are dirty and in no group and no frame.
    pub fn dirty(&self) -> &DirtyBitmap {
        &self.dirty
    }

    /// A frame of one page that overtakes all others, if the page is in no frame since the guest was stopped.
    pub fn urgent_frame(&mut self, page: u64, memory: &impl GuestMemory) -> Option<Made> {
        let is_real = self.sampling.is_real(page);
        self.take(page).then(|| self.maker.urgent(page, is_real, memory))
    }

    /// Makes the next frame one of this page alone and goes on from there, if the page is in no frame since the guest was
    /// stopped.
    pub fn go_to(&mut self, page: u64, memory: &impl GuestMemory) {
        if self.take(page) {
            self.cursor = page + 1;
            let (kind, picked) = self.maker.pick(page, memory, self.age, self.last_stage);
            if self.sampling.is_real(page) {
                let frames = &mut self.frames;
                self.maker
                    .real(kind, &[picked], memory, |made| frames.push_back(made));
            } else {
                self.frames.push_back(self.maker.synthetic(kind, &[picked]));
            }
        }
    }

    /// Takes a page out of the dirty ones or out of its group; whether it was there.
    fn take(&mut self, page: u64) -> bool {
        self.dirty.clear(page) || self.groups.remove(page)
    }

    /// The transport was lost with everything in it: all pages but these are to be sent, and nothing is known of what the
    /// destination has of them.
    pub fn restart(&mut self, received: &DirtyBitmap) {
        self.groups.clear(|_| {});
        self.flushing = false;
        self.frames.clear();
        self.cursor = 0;
        for page in 0..self.dirty.pages() {
            if received.test(page) {
                self.dirty.clear(page);
            } else {
                self.dirty.set(page);
            }
        }
        self.maker.forget_destination();
    }

    /// The real pages as they are in the guest's memory now.
    pub fn hash_real_pages(&self, memory: &impl GuestMemory) -> RealPages {
        let mut hasher = RealPagesHasher::default();
        let mut content = [0; PAGE_SIZE];
        for page in (0..memory.pages()).filter(|page| self.sampling.is_real(*page)) {
            memory.read(page, memory.version(page), &mut content);
            hasher.add(page, &content);
        }
        hasher.finish()
    }

    fn add(&mut self, page: u64, memory: &impl GuestMemory) {
        let (kind, picked) = self.maker.pick(page, memory, self.age, self.last_stage);
        let group = Group {
            kind,
            synthetic: !self.sampling.is_real(page),
        };
        if self.groups.add(group, picked) >= self.maker.measurements().pages_per_frame(kind) {
            self.flush(group, memory);
        }
    }

    fn flush(&mut self, group: Group, memory: &impl GuestMemory) {
        if group.synthetic && !self.maker.measurements().knows(group.kind) {
            // Better a small sample of the very kind than none.
            let real = Group {
                synthetic: false,
                ..group
            };
            if self.groups.of(real).is_empty() {
                let pages = self.groups.of(group);
                self.maker.try_out(group.kind, pages, memory);
            } else {
                self.make_frames(real, memory);
            }
        }
        self.make_frames(group, memory);
    }

    fn make_frames(&mut self, group: Group, memory: &impl GuestMemory) {
        let Copier {
            groups,
            frames,
            maker,
            ..
        } = self;
        groups.empty(group, |pages| {
            if group.synthetic {
                // More than a frame holds if their stratum has looked all zero until just now.
                for part in pages.chunks(maker.measurements().pages_per_frame(group.kind)) {
                    frames.push_back(maker.synthetic(group.kind, part));
                }
            } else {
                maker.real(group.kind, pages, memory, |made| frames.push_back(made));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;
    use longhaul_core::time::{Instant, Span};
    use longhaul_frames::PayloadMode;
    use longhaul_hde::{Decoder, EncoderOptions};
    use longhaul_memory::ReadOptions;
    use longhaul_memory::images::{Image, ImageSeries};

    use super::*;
    use crate::frames::MADE_AFTER_STOP;
    use crate::store::{Alone, Store};

    const PAGES: u64 = 512;

    /// A content that nothing shortens, then twice with its lower half copied over the upper one, by no whole number of
    /// pages.
    fn guest() -> ImageSeries {
        let streams = Streams::new(3, 0);
        let mut content = vec![0; PAGES as usize * PAGE_SIZE];
        streams.stream("vm", "content").fill(&mut content);
        let half = content.len() / 2;
        let images = [0, 1_111, 2_222].map(|away| {
            if away > 0 {
                content.copy_within(..half - away, half + away);
            }
            Image {
                name: format!("moved by {away}"),
                content: content.as_slice().into(),
            }
        });
        ImageSeries::new(&images, Span::from_s(1), 1, ReadOptions::NONE, &streams, "vm").unwrap()
    }

    /// Real bytes of a frame.
    fn bytes(mut made: Made) -> bytes::Bytes {
        let len = usize::try_from(made.content.len()).unwrap();
        made.content.pop_real(len).unwrap()
    }

    #[test]
    fn copied_content_costs_a_fraction_also_while_pages_overtake_it() {
        let mut memory = guest();
        let random = Streams::new(3, 0).stream("vm", "sampling");
        let sampling = Sampling::new(PayloadMode::Real, PAGES, random);
        let encoding = Encoding::Hde(EncoderOptions::hde(1));
        let mut copier = Copier::new(PAGES, sampling, encoding, None);
        let (mut store, mut decoder) = (Store::new(PAGES), Decoder::new());
        copier.begin(&memory);
        let mut log = DirtyBitmap::new(PAGES);
        let (mut sent, mut overtaking) = ([0; 3], 0);
        for (image, sent) in sent.iter_mut().enumerate() {
            memory.advance(Instant::ZERO + Span::from_s(image as u64), &mut log);
            copier.synchronise(&mut log);
            if image == 2 {
                copier.begin_postcopy();
                store.begin_postcopy(copier.dirty().clone());
            }
            let mut wanted = (PAGES / 2..PAGES).rev().step_by(7);
            loop {
                if image == 2
                    && let Some(page) = wanted.next()
                    && let Some(urgent) = copier.urgent_frame(page, &memory)
                {
                    let mut alone = Alone::default();
                    Decoder::new().decode(&bytes(urgent), &mut alone).unwrap();
                    let [(number, content)] = &alone.0[..] else {
                        panic!("a frame of one page")
                    };
                    store.install_overtaking(*number, Some(content));
                    overtaking += 1;
                }
                let Some(made) = copier.next_frame(&memory) else {
                    break;
                };
                *sent += made.content.len();
                let frame = bytes(made);
                let decoded = decoder.decode(&frame, &mut store).unwrap();
                assert_eq!(decoded.sequence & MADE_AFTER_STOP != 0, image == 2);
            }
            assert_eq!(copier.remaining_pages(), 0);
            assert_eq!(store.hash_real_pages(), copier.hash_real_pages(&memory));
        }
        assert!(overtaking > 3, "{overtaking}");
        let [first, copied, after_stop] = sent;
        assert!(first > PAGES * PAGE_SIZE as u64);
        assert!(copied.max(after_stop) < first / 50, "{sent:?}");
    }
}
