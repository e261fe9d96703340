//! The pages of a frame under construction.

use std::slice::Chunks;

use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_hde::{FrameHeader, PAGE_SIZE, PageInput, encode_synthetic_header, is_zero};

use crate::{PAGES_PER_FRAME, PageView, ZERO_PAGES_PER_FRAME};

/// The bytes of a page.
pub type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// A page as it was when it was picked up for sending. If the guest writes it after that, it is dirty again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picked {
    /// Its number.
    pub page: u64,
    /// Its version.
    pub version: u32,
    /// The version of it that the receiver has and that the codec may build on, if there is one.
    pub baseline: Option<u32>,
}

/// Cuts pages that were taken for alike, and that ascend, into those of a frame each. Also says whether all are known to
/// be zero: there are more than [`PAGES_PER_FRAME`] only as long as their class looks all zero, which they may disprove.
pub fn cut<'a>(pages: &'a [Picked], view: &impl PageView) -> (Chunks<'a, Picked>, bool) {
    let zero = pages.len() > PAGES_PER_FRAME && pages.iter().all(|picked| is_zero_page(picked, view));
    let pages_per_frame = if zero {
        ZERO_PAGES_PER_FRAME
    } else {
        PAGES_PER_FRAME
    };
    (pages.chunks(pages_per_frame), zero)
}

fn is_zero_page(picked: &Picked, view: &impl PageView) -> bool {
    let mut content = ZERO_PAGE;
    view.read(picked.page, picked.version, &mut content);
    is_zero(&content)
}

/// A frame of synthetic pages, which must ascend: its real header, and a body that is a length.
pub fn synthetic_frame(sequence: u64, pages: &[Picked], body_bytes: u64) -> PayloadBuffer {
    let runs = FrameHeader::runs_of(pages.iter().map(|picked| picked.page));
    let header = encode_synthetic_header(&runs, sequence, body_bytes);
    let mut content = PayloadBuffer::default();
    content.push(header.into());
    content.push(Payload::Synthetic(body_bytes));
    content
}

/// What is in the pages of a frame, before and after; kept for its capacity.
#[derive(Debug, Default)]
pub struct Contents {
    contents: Vec<Page>,
    baselines: Vec<Page>,
}

impl Contents {
    /// Reads pages and what they build on. Those `known_zero` need neither.
    pub fn read(&mut self, pages: &[Picked], known_zero: bool, view: &impl PageView) {
        self.contents.clear();
        self.baselines.clear();
        if known_zero {
            return;
        }
        for picked in pages {
            view.read(picked.page, picked.version, added(&mut self.contents));
            if let Some(baseline) = picked.baseline {
                view.read(picked.page, baseline, added(&mut self.baselines));
            }
        }
    }

    /// The content of a page, by its place among those read last.
    pub fn content(&self, place: usize) -> &Page {
        self.contents.get(place).unwrap_or(&ZERO_PAGE)
    }

    /// The pages read last as the codec wants them.
    pub fn inputs<'a>(&'a self, pages: &[Picked]) -> Vec<PageInput<'a>> {
        let mut baselines = self.baselines.iter();
        let input = |(place, picked): (usize, &Picked)| PageInput {
            number: picked.page,
            content: self.content(place),
            baseline: picked.baseline.and_then(|_| baselines.next()),
        };
        pages.iter().enumerate().map(input).collect()
    }
}

fn added(pages: &mut Vec<Page>) -> &mut Page {
    pages.push(ZERO_PAGE);
    pages.last_mut().expect("just added")
}
