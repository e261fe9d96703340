//! From dirty pages to frames.
//!
//! The copier walks the dirty bitmap in page order and sorts the pages into groups that encode alike: by stratum,
//! first or repeated copy, real or synthetic. A full group becomes a frame; at the end of a pass over the memory
//! all groups do. A page is thus in one group at most, and the pages of a group ascend.
//!
//! A page is sent as it was when it was picked up, however long its group takes to fill: otherwise a page that the
//! guest writes meanwhile would count as one of a stratum to which it no longer belongs.

use std::collections::VecDeque;

use longhaul_core::payload::PayloadBuffer;
use longhaul_hde::{EncoderOptions, EncoderStats, PAGE_SIZE};
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::CopyStatistics;
use crate::frames::{FrameMaker, Picked};
use crate::measure::Kind;
use crate::message::{RealPages, RealPagesHasher};
use crate::sampling::Sampling;

/// Makes frames of dirty pages.
pub(crate) struct Copier {
    dirty: DirtyBitmap,
    /// The page from which to look for the next dirty one.
    cursor: u64,
    /// One list of pages per [`Group`].
    groups: Vec<Vec<Picked>>,
    grouped_pages: u64,
    /// At the end of a pass: the next group to make a frame of.
    flushing: Option<usize>,
    /// Frames made and not asked for yet, with the number of their pages.
    frames: VecDeque<(u64, PayloadBuffer)>,
    sampling: Sampling,
    maker: FrameMaker,
}

/// A group of pages that go into frames together.
#[derive(Clone, Copy)]
struct Group {
    kind: Kind,
    synthetic: bool,
}

impl Group {
    const COUNT: usize = 2 * Kind::COUNT;

    /// A number below [`Group::COUNT`]. Real groups come first, so that they are measured when synthetic ones
    /// need it.
    fn index(self) -> usize {
        usize::from(self.synthetic) * Kind::COUNT + self.kind.index()
    }

    fn from_index(index: usize) -> Group {
        Group {
            kind: Kind::from_index(index % Kind::COUNT),
            synthetic: index >= Kind::COUNT,
        }
    }
}

impl Copier {
    /// A copier for a guest of `pages` pages, all of them clean.
    pub fn new(pages: u64, sampling: Sampling, encoding: EncoderOptions) -> Copier {
        Copier {
            dirty: DirtyBitmap::new(pages),
            cursor: 0,
            groups: vec![Vec::new(); Group::COUNT],
            grouped_pages: 0,
            flushing: None,
            frames: VecDeque::new(),
            sampling,
            maker: FrameMaker::new(pages, encoding),
        }
    }

    /// Marks every page dirty, and makes the sample cover all strata that there are now.
    pub fn begin(&mut self, memory: &impl GuestMemory) {
        self.sampling.cover_strata(memory);
        self.dirty.set_all();
    }

    /// Adds the pages that the guest has written, and leaves `log` empty; returns how many were clean.
    pub fn synchronise(&mut self, log: &mut DirtyBitmap) -> u64 {
        self.dirty.absorb(log)
    }

    /// Pages that are dirty and in no frame that was handed out.
    pub fn remaining_pages(&self) -> u64 {
        let in_frames: u64 = self.frames.iter().map(|(pages, _)| pages).sum();
        self.dirty.count() + self.grouped_pages + in_frames
    }

    pub fn statistics(&self) -> &CopyStatistics {
        self.maker.statistics()
    }

    pub fn encoder_stats(&self) -> &EncoderStats {
        self.maker.encoder_stats()
    }

    /// The next frame; `None` if no page is dirty.
    pub fn next_frame(&mut self, memory: &impl GuestMemory) -> Option<PayloadBuffer> {
        loop {
            if let Some((_, frame)) = self.frames.pop_front() {
                return Some(frame);
            }
            if let Some(from) = self.flushing {
                self.flush_from(from, memory);
            } else if let Some(page) = self.dirty.take_next(self.cursor) {
                self.cursor = page + 1;
                self.add(page, memory);
            } else if self.grouped_pages > 0 {
                self.cursor = 0;
                self.flushing = Some(0);
            } else if self.dirty.is_empty() {
                return None;
            } else {
                self.cursor = 0;
            }
        }
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
        let version = memory.version(page);
        let kind = Kind {
            stratum: memory.stratum(page, version),
            again: self.maker.was_sent(page),
        };
        let group = Group {
            kind,
            synthetic: !self.sampling.is_real(page),
        };
        let pages = &mut self.groups[group.index()];
        pages.push(Picked { page, version });
        self.grouped_pages += 1;
        if pages.len() >= self.maker.pages_per_frame(kind) {
            self.flush(group, memory);
        }
    }

    /// Makes frames of the first group from this number on that has pages.
    fn flush_from(&mut self, from: usize, memory: &impl GuestMemory) {
        self.flushing = (from..Group::COUNT).find(|index| !self.groups[*index].is_empty());
        if let Some(index) = self.flushing {
            self.flush(Group::from_index(index), memory);
        }
    }

    fn flush(&mut self, group: Group, memory: &impl GuestMemory) {
        if group.synthetic && !self.maker.measurements().knows(group.kind) {
            // Better a small sample of the very kind than none, if one is waiting.
            let real = Group {
                synthetic: false,
                ..group
            };
            self.make_frames(real, memory);
        }
        self.make_frames(group, memory);
    }

    fn make_frames(&mut self, group: Group, memory: &impl GuestMemory) {
        let pages = &mut self.groups[group.index()];
        self.grouped_pages -= pages.len() as u64;
        if group.synthetic {
            // More than a frame holds if their stratum has looked all zero until just now.
            for part in pages.chunks(self.maker.pages_per_frame(group.kind)) {
                let frame = self.maker.synthetic(group.kind, part);
                self.frames.push_back((part.len() as u64, frame));
            }
        } else {
            let frames = &mut self.frames;
            self.maker.real(group.kind, pages, memory, |count, frame| {
                frames.push_back((count, frame));
            });
        }
        pages.clear();
    }
}
