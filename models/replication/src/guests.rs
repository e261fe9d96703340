//! The guests of one consistency set, side by side in one numbering of pages.

use longhaul_core::time::Instant;
use longhaul_frames::{Class, EXTENT_PAGES, PageView};
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::{GuestMemory, Stratum};

/// Where the pages of each guest begin, and how many numbers there are in all. A guest begins at a whole extent, so
/// not every number is a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// First page and number of pages of each guest.
    parts: Vec<(u64, u64)>,
    end: u64,
}

impl Layout {
    pub fn new(pages: impl IntoIterator<Item = u64>) -> Layout {
        let mut end = 0;
        let parts = pages.into_iter().map(|pages| {
            let base = end;
            end += pages.next_multiple_of(EXTENT_PAGES);
            (base, pages)
        });
        let parts = parts.collect();
        Layout { parts, end }
    }

    /// Page numbers lie below this.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many pages there are.
    pub fn pages(&self) -> u64 {
        self.parts.iter().map(|(_, pages)| pages).sum()
    }

    /// The numbers of all pages, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.iter().flat_map(|&(base, pages)| base..base + pages)
    }

    /// First page and number of pages of each guest.
    pub fn parts(&self) -> &[(u64, u64)] {
        &self.parts
    }

    /// Whether all numbers of a run are pages.
    pub fn contains_run(&self, start: u64, count: u64) -> bool {
        let Some(end) = start.checked_add(count) else {
            return false;
        };
        let part = self.parts.partition_point(|(base, _)| *base <= start);
        // Between two guests there may be no gap at all.
        let mut from = start;
        for &(base, pages) in &self.parts[part.saturating_sub(1)..] {
            if from < base || from >= end {
                break;
            }
            from = from.max(end.min(base + pages));
        }
        from >= end
    }

    fn guest_of(&self, page: u64) -> usize {
        match self.parts.len() {
            1 => 0,
            _ => self.parts.partition_point(|(base, _)| *base <= page) - 1,
        }
    }
}

/// A guest and what it has written since the last snapshot.
struct Member<M> {
    memory: M,
    log: DirtyBitmap,
}

/// The guests of a consistency set.
pub(crate) struct Guests<M> {
    layout: Layout,
    members: Vec<Member<M>>,
}

impl<M: GuestMemory> Guests<M> {
    pub fn new(memories: Vec<M>) -> Guests<M> {
        let members: Vec<Member<M>> = memories
            .into_iter()
            .map(|memory| Member {
                log: DirtyBitmap::new(memory.pages()),
                memory,
            })
            .collect();
        Guests {
            layout: Layout::new(members.iter().map(|member| member.memory.pages())),
            members,
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn memories(&self) -> impl Iterator<Item = &M> {
        self.members.iter().map(|member| &member.memory)
    }

    /// Lets the guests write up to and including `now`.
    pub fn advance(&mut self, now: Instant) {
        for member in &mut self.members {
            member.memory.advance(now, &mut member.log);
        }
    }

    /// Stops the guests at `now`.
    pub fn pause(&mut self, now: Instant) {
        for member in &mut self.members {
            member.memory.pause(now, &mut member.log);
        }
    }

    /// Lets them go on.
    pub fn resume(&mut self, now: Instant) {
        for member in &mut self.members {
            member.memory.resume(now);
        }
    }

    /// Pages written since the last snapshot.
    pub fn written(&self) -> u64 {
        self.members.iter().map(|member| member.log.count()).sum()
    }

    /// Moves what was written since the last snapshot into a bitmap over all pages.
    pub fn move_written(&mut self, into: &mut DirtyBitmap) {
        for (member, (base, _)) in self.members.iter_mut().zip(&self.layout.parts) {
            into.absorb_at(*base, &mut member.log);
        }
    }

    /// How many pages were written since the last snapshot and are in this bitmap over all pages.
    pub fn written_among(&self, dirty: &DirtyBitmap) -> u64 {
        let members = self.members.iter().zip(&self.layout.parts);
        members
            .map(|(member, (base, _))| dirty.common_at(*base, &member.log))
            .sum()
    }

    /// The current version of a page.
    pub fn version(&self, page: u64) -> u32 {
        let (memory, page) = self.locate(page);
        memory.version(page)
    }

    fn locate(&self, page: u64) -> (&M, u64) {
        let guest = self.layout.guest_of(page);
        (&self.members[guest].memory, page - self.layout.parts[guest].0)
    }
}

/// The guests as they were at a snapshot.
pub(crate) struct Snapshot<'a, M> {
    pub guests: &'a Guests<M>,
    /// The version of each page then; meaningful for pages that are to be sent.
    pub versions: &'a [u32],
}

impl<M: GuestMemory> PageView for Snapshot<'_, M> {
    fn pages(&self) -> u64 {
        self.guests.layout.end
    }

    fn version(&self, page: u64) -> u32 {
        self.versions[page as usize]
    }

    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]) {
        let (memory, page) = self.guests.locate(page);
        memory.read(page, version, into);
    }

    /// The strata of one guest mean nothing to another.
    fn class(&self, page: u64, version: u32) -> Class {
        let guest = self.guests.layout.guest_of(page);
        let (memory, page) = self.guests.locate(page);
        guest as Class * (Class::from(Stratum::MAX) + 1) + Class::from(memory.stratum(page, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_begin_at_whole_extents() {
        let layout = Layout::new([100, 64, 1]);
        assert_eq!(layout.parts(), [(0, 100), (128, 64), (192, 1)]);
        assert_eq!((layout.end(), layout.pages()), (256, 165));
        assert_eq!(layout.numbers().count(), 165);
        assert_eq!(
            [99, 128, 191, 192].map(|page| layout.guest_of(page)),
            [0, 1, 1, 2]
        );
    }

    #[test]
    fn a_run_of_pages_has_no_gap_in_it() {
        let layout = Layout::new([100, 64, 1]);
        for (start, count, inside) in [
            (0, 100, true),
            (0, 101, false),
            (99, 1, true),
            (100, 1, false),
            (127, 2, false),
            (128, 65, true),
            (128, 66, false),
            (192, 1, true),
            (193, 1, false),
            (300, 1, false),
            (u64::MAX, 2, false),
            (7, 0, true),
        ] {
            assert_eq!(layout.contains_run(start, count), inside, "{start}+{count}");
        }
    }
}
