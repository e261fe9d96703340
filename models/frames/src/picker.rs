//! Dirty pages in their order, those together that encode alike.
//!
//! The picker walks the dirty bitmap in page order and sorts the pages into groups that encode alike: by class,
//! first or repeated copy, real or synthetic. A full group becomes a frame; at the end of a pass over the memory
//! all groups do. A page is thus in one group at most, and the pages of a group ascend.
//!
//! A page is sent as it was when it was picked up, however long its group takes to fill: otherwise a page that the
//! guest writes meanwhile would count as one of a class to which it no longer belongs.

use std::collections::VecDeque;

use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use longhaul_memory::bitmap::DirtyBitmap;

use crate::groups::{Group, Groups};
use crate::{Before, Frame, FrameMaker, PageView, Sampling};

/// Makes frames of dirty pages.
pub struct Picker {
    dirty: DirtyBitmap,
    /// The page from which to look for the next dirty one.
    cursor: u64,
    /// Pages picked up and in no frame yet.
    groups: Groups,
    /// At the end of a pass: all groups are to become frames.
    flushing: bool,
    /// Frames made and not asked for yet.
    frames: VecDeque<Frame>,
    sampling: Sampling,
    maker: FrameMaker,
}

impl Picker {
    /// For page numbers below `pages`, all of them clean.
    pub fn new(pages: u64, sampling: Sampling, encoding: EncoderOptions) -> Picker {
        Picker {
            dirty: DirtyBitmap::new(pages),
            cursor: 0,
            groups: Groups::default(),
            flushing: false,
            frames: VecDeque::new(),
            sampling,
            maker: FrameMaker::new(pages, encoding),
        }
    }

    /// The dirty pages that were not picked up yet.
    pub fn dirty(&self) -> &DirtyBitmap {
        &self.dirty
    }

    /// The same, to add some.
    pub fn dirty_mut(&mut self) -> &mut DirtyBitmap {
        &mut self.dirty
    }

    /// Pages picked up that are in no frame yet.
    pub fn grouped_pages(&self) -> u64 {
        self.groups.pages()
    }

    /// Pages that are dirty and in no frame that was handed out.
    pub fn remaining_pages(&self) -> u64 {
        let in_frames: usize = self.frames.iter().map(|frame| frame.before.len()).sum();
        self.dirty.count() + self.groups.pages() + in_frames as u64
    }

    /// What makes the frames.
    pub fn maker(&self) -> &FrameMaker {
        &self.maker
    }

    /// Which pages are real.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The same, to make more of them real before the first frame.
    pub fn sampling_mut(&mut self) -> &mut Sampling {
        &mut self.sampling
    }

    /// The next frame; `None` if no page is dirty. `seen` gets the content of every real page that goes into a frame.
    pub fn next_frame(
        &mut self,
        view: &impl PageView,
        seen: &mut impl FnMut(u64, &[u8; PAGE_SIZE]),
    ) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if self.flushing {
                self.flush_next(view, seen);
            } else if let Some(page) = self.dirty.take_next(self.cursor) {
                self.cursor = page + 1;
                self.add(page, view, seen);
            } else if self.groups.pages() > 0 {
                self.cursor = 0;
                self.flushing = true;
            } else if self.dirty.is_empty() {
                return None;
            } else {
                self.cursor = 0;
            }
        }
    }

    /// Makes every page dirty again that is in a group, or in a frame that was not handed out. Frames that were handed
    /// out can be [taken back](Picker::take_back) then.
    pub fn recall(&mut self) {
        let dirty = &mut self.dirty;
        self.groups.clear(|picked| {
            dirty.set(picked.page);
        });
        self.flushing = false;
        self.cursor = 0;
        while let Some(frame) = self.frames.pop_back() {
            self.take_back(frame.sequence, &frame.before);
        }
    }

    /// The receiver does not have the frame of this number, nor any after it: its pages are dirty again. `before` is
    /// what the frame came with.
    ///
    /// # Panics
    /// If later frames were not taken back before.
    pub fn take_back(&mut self, sequence: u64, before: &[Before]) {
        self.maker.take_back(sequence, before);
        for before in before {
            self.dirty.set(before.page);
        }
    }

    /// The receiver has nothing any more. What has to be sent is for the caller to say.
    pub fn start_over(&mut self) {
        self.recall();
        self.maker.start_over();
    }

    fn add(&mut self, page: u64, view: &impl PageView, seen: &mut impl FnMut(u64, &[u8; PAGE_SIZE])) {
        let (kind, picked) = self.maker.pick(page, view);
        let group = Group {
            synthetic: !self.sampling.is_real(page),
            kind,
        };
        if self.groups.add(group, picked) >= self.maker.measurements().pages_per_frame(kind) {
            self.flush(group, view, seen);
        }
    }

    /// Makes frames of the first group that has pages.
    fn flush_next(&mut self, view: &impl PageView, seen: &mut impl FnMut(u64, &[u8; PAGE_SIZE])) {
        match self.groups.first() {
            Some(group) => self.flush(group, view, seen),
            None => self.flushing = false,
        }
    }

    fn flush(&mut self, group: Group, view: &impl PageView, seen: &mut impl FnMut(u64, &[u8; PAGE_SIZE])) {
        if group.synthetic && !self.maker.measurements().knows(group.kind) {
            // Better a small sample of the very kind than none, if one is waiting.
            let real = Group {
                synthetic: false,
                ..group
            };
            self.make_frames(real, view, seen);
        }
        self.make_frames(group, view, seen);
    }

    fn make_frames(
        &mut self,
        group: Group,
        view: &impl PageView,
        seen: &mut impl FnMut(u64, &[u8; PAGE_SIZE]),
    ) {
        let Picker {
            groups,
            frames,
            maker,
            ..
        } = self;
        groups.empty(group, |pages| {
            if group.synthetic {
                // More than a frame holds if their class has looked all zero until just now.
                for part in pages.chunks(maker.measurements().pages_per_frame(group.kind)) {
                    frames.push_back(maker.synthetic(group.kind, part));
                }
            } else {
                maker.real(group.kind, pages, view, seen, |frame| frames.push_back(frame));
            }
        });
    }
}
