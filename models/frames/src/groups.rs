//! Pages picked up and in no frame yet, those together that encode alike.

use std::collections::BTreeMap;

use crate::{Kind, Picked};

/// A group of pages that go into frames together. Real groups come first, so that they are measured when synthetic
/// ones need it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Group {
    /// Whether its pages travel as a length.
    pub synthetic: bool,
    /// What they have in common.
    pub kind: Kind,
}

/// All groups. A page is in one of them at most, and the pages of a group ascend.
#[derive(Debug, Default)]
pub struct Groups {
    /// Lists that are empty stay for their capacity.
    lists: BTreeMap<Group, Vec<Picked>>,
    pages: u64,
}

impl Groups {
    /// How many pages there are in all groups.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The pages of a group.
    pub fn of(&self, group: Group) -> &[Picked] {
        self.lists.get(&group).map_or(&[], Vec::as_slice)
    }

    /// The first group that has pages.
    pub fn first(&self) -> Option<Group> {
        let mut lists = self.lists.iter();
        lists
            .find(|(_, pages)| !pages.is_empty())
            .map(|(group, _)| *group)
    }

    /// Adds a page to a group; returns how many it has now.
    pub fn add(&mut self, group: Group, picked: Picked) -> usize {
        let pages = self.lists.entry(group).or_default();
        // They come in order, except after a jump to a page that somebody waits for.
        let place = match pages.last() {
            Some(last) if last.page > picked.page => {
                pages.partition_point(|before| before.page < picked.page)
            }
            _ => pages.len(),
        };
        pages.insert(place, picked);
        self.pages += 1;
        pages.len()
    }

    /// Takes a page out of its group; whether it was in one.
    pub fn remove(&mut self, page: u64) -> bool {
        for pages in self.lists.values_mut() {
            if let Ok(place) = pages.binary_search_by_key(&page, |picked| picked.page) {
                pages.remove(place);
                self.pages -= 1;
                return true;
            }
        }
        false
    }

    /// Empties a group into what makes frames of its pages; there may be none.
    pub fn empty(&mut self, group: Group, make_frames: impl FnOnce(&[Picked])) {
        if let Some(pages) = self.lists.get_mut(&group) {
            self.pages -= pages.len() as u64;
            make_frames(pages);
            pages.clear();
        }
    }

    /// Empties all groups, and hands over the pages.
    pub fn clear(&mut self, mut dropped: impl FnMut(Picked)) {
        for pages in self.lists.values_mut() {
            pages.drain(..).for_each(&mut dropped);
        }
        self.pages = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_group_ascend_in_whatever_order_they_come() {
        let group = |synthetic| Group {
            synthetic,
            kind: Kind {
                again: false,
                class: 4,
            },
        };
        let picked = |page| Picked {
            page,
            version: 0,
            baseline: None,
        };
        let mut groups = Groups::default();
        assert_eq!(groups.first(), None);
        for page in [3, 9, 12, 1, 10] {
            groups.add(group(true), picked(page));
        }
        assert_eq!(groups.first(), Some(group(true)));
        assert_eq!(groups.add(group(false), picked(5)), 1);
        assert_eq!((groups.first(), groups.pages()), (Some(group(false)), 6));
        assert!(groups.remove(9) && groups.remove(5) && !groups.remove(9));
        let mut numbers = Vec::new();
        groups.empty(group(true), |pages| {
            numbers.extend(pages.iter().map(|picked| picked.page));
        });
        assert_eq!(numbers, [1, 3, 10, 12]);
        assert_eq!((groups.pages(), groups.first()), (0, None));
        groups.add(group(false), picked(7));
        groups.clear(|picked| numbers.push(picked.page));
        assert_eq!((numbers.last(), groups.pages()), (Some(&7), 0));
    }
}
