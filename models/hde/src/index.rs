//! The encoder's memory of what the receiver holds: whole pages by content hash, parts of pages by anchors.
//!
//! Whole pages are never stale: a page that is overwritten takes its old content out of the index. Anchors are hints
//! and may be stale; whoever follows one compares the bytes.
//!
//! The index holds no contents. A page takes about 75 bytes (its place and hash, and entries in two hash tables), an
//! anchor 8; both are bounded by capacities, and memory grows with what is entered.

use crate::anchor::{Anchor, KEY_BITS};
use crate::slots::Slots;

/// Largest number of pages that an index can hold.
const MAX_PAGES: usize = (1 << ID_BITS) - 1;

const ID_BITS: u32 = 26;
const OFFSET_BITS: u32 = 12;
const _: () = assert!(KEY_BITS + ID_BITS + OFFSET_BITS == u64::BITS);

/// A page that the receiver holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Of which image: 0 is the one that frames update, others are counted from 1 as the caller declares them.
    pub image: u32,
    /// Number of the page.
    pub page: u64,
}

impl Place {
    /// A page of the image that frames update.
    pub(crate) fn own(page: u64) -> Place {
        Place { image: 0, page }
    }
}

#[derive(Debug)]
struct Entry {
    place: Place,
    content: u128,
    /// Whether this page stands for all pages of its content.
    listed: bool,
}

/// Which page of the receiver holds which content.
#[derive(Debug)]
pub(crate) struct ContentIndex {
    entries: Vec<Entry>,
    /// Numbers of entries that are not in use.
    free: Vec<u32>,
    by_place: Slots,
    by_content: Slots,
    capacity: usize,
    anchors: Anchors,
}

impl ContentIndex {
    /// An index of at most `capacity` pages and about as many anchors as given; once full of pages, it takes in new
    /// ones only as others are forgotten.
    pub(crate) fn new(capacity: usize, anchors: usize) -> ContentIndex {
        ContentIndex {
            entries: Vec::new(),
            free: Vec::new(),
            by_place: Slots::new(),
            by_content: Slots::new(),
            capacity: capacity.min(MAX_PAGES),
            anchors: Anchors::new(anchors),
        }
    }

    /// A page that holds the content of this hash.
    pub(crate) fn find(&self, content: u128) -> Option<Place> {
        let entry = |id: u32| &self.entries[id as usize];
        self.by_content
            .find(content as u64, |id| entry(id).content == content)
            .map(|id| entry(id).place)
    }

    /// A page that perhaps has this anchor, and where in it.
    pub(crate) fn find_anchor(&self, key: u32) -> Option<(Place, usize)> {
        let (id, offset) = self.anchors.find(key)?;
        Some((self.entries[id as usize].place, offset))
    }

    /// The receiver's page no longer holds what it held.
    pub(crate) fn forget(&mut self, place: Place) {
        if let Some(id) = self.id_of(place) {
            self.unlist(id);
            self.by_place.remove(id, hash_of(place));
            self.free.push(id);
        }
    }

    /// All pages of an image are gone.
    pub(crate) fn forget_image(&mut self, image: u32) {
        let places: Vec<Place> = self.entries.iter().map(|entry| entry.place).collect();
        for place in places.into_iter().filter(|place| place.image == image) {
            self.forget(place);
        }
    }

    /// The receiver's page now holds the content of this hash, with these anchors among others.
    pub(crate) fn remember(&mut self, place: Place, content: u128, anchors: &[Anchor]) {
        let Some(id) = self.entry_for(place) else { return };
        if self.entries[id as usize].content != content || !self.entries[id as usize].listed {
            self.unlist(id);
            self.entries[id as usize].content = content;
            self.list(id);
        }
        for anchor in anchors {
            self.anchors.put(*anchor, id);
        }
    }

    fn id_of(&self, place: Place) -> Option<u32> {
        self.by_place
            .find(hash_of(place), |id| self.entries[id as usize].place == place)
    }

    /// The entry of a page, or a new one if there is room.
    fn entry_for(&mut self, place: Place) -> Option<u32> {
        if let Some(id) = self.id_of(place) {
            return Some(id);
        }
        let entry = Entry {
            place,
            content: 0,
            listed: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None if self.entries.len() < self.capacity => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
            None => return None,
        };
        self.by_place.insert(id, hash_of(place));
        Some(id)
    }

    /// Lists a page under its content, unless another one is: the first stands for all.
    fn list(&mut self, id: u32) {
        let content = self.entries[id as usize].content;
        if self.find(content).is_none() {
            self.entries[id as usize].listed = true;
            self.by_content.insert(id, content as u64);
        }
    }

    fn unlist(&mut self, id: u32) {
        if std::mem::take(&mut self.entries[id as usize].listed) {
            let content = self.entries[id as usize].content;
            self.by_content.remove(id, content as u64);
        }
    }
}

fn hash_of(place: Place) -> u64 {
    let hash = (place.page ^ u64::from(place.image).rotate_right(8)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}

/// Anchors by key: a table without chains, in which a later anchor takes the place of an earlier one.
#[derive(Debug)]
struct Anchors {
    /// Key, number of the entry plus one, offset; 0 is free. A power of two of them, or none.
    slots: Vec<u64>,
    used: usize,
    most: usize,
}

impl Anchors {
    fn new(capacity: usize) -> Anchors {
        let most = match capacity.checked_ilog2() {
            None => 0,
            Some(bits) => 1 << bits.min(KEY_BITS),
        };
        Anchors {
            slots: vec![0; most.min(1 << 8)],
            used: 0,
            most,
        }
    }

    fn slot(&self, key: u32) -> usize {
        key as usize & (self.slots.len() - 1)
    }

    fn find(&self, key: u32) -> Option<(u32, usize)> {
        if self.slots.is_empty() {
            return None;
        }
        let entry = self.slots[self.slot(key)];
        let (found, id, offset) = (
            entry >> (ID_BITS + OFFSET_BITS),
            (entry >> OFFSET_BITS) as u32 & ((1 << ID_BITS) - 1),
            entry as usize & ((1 << OFFSET_BITS) - 1),
        );
        (found == u64::from(key)).then_some((id.checked_sub(1)?, offset))
    }

    fn put(&mut self, anchor: Anchor, id: u32) {
        if self.used * 2 >= self.slots.len() && self.slots.len() < self.most {
            let entries = std::mem::take(&mut self.slots);
            self.slots = vec![0; (entries.len() * 4).min(self.most)];
            self.used = 0;
            for entry in entries.into_iter().filter(|entry| *entry != 0) {
                self.write((entry >> (ID_BITS + OFFSET_BITS)) as u32, entry);
            }
        }
        if !self.slots.is_empty() {
            let entry = u64::from(anchor.key) << (ID_BITS + OFFSET_BITS)
                | u64::from(id + 1) << OFFSET_BITS
                | u64::from(anchor.offset);
            self.write(anchor.key, entry);
        }
    }

    fn write(&mut self, key: u32, entry: u64) {
        let slot = self.slot(key);
        self.used += usize::from(self.slots[slot] == 0);
        self.slots[slot] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overwritten_page_is_not_found_by_its_old_content() {
        let mut index = ContentIndex::new(8, 0);
        index.remember(Place::own(1), 100, &[]);
        index.remember(Place::own(2), 100, &[]);
        assert_eq!(index.find(100), Some(Place::own(1)));
        index.remember(Place::own(1), 101, &[]);
        assert_eq!(index.find(100), None);
        assert_eq!(index.find(101), Some(Place::own(1)));
        index.forget(Place::own(1));
        assert_eq!(index.find(101), None);
        // The page that merely had the same content is found once it is written again.
        index.remember(Place::own(2), 100, &[]);
        assert_eq!(index.find(100), Some(Place::own(2)));
    }

    #[test]
    fn the_index_stays_within_its_capacity_and_reuses_room() {
        let mut index = ContentIndex::new(2, 0);
        for page in 0..10 {
            index.remember(Place::own(page), u128::from(page) + 100, &[]);
        }
        assert_eq!(index.entries.len(), 2);
        index.remember(Place::own(1), 200, &[]);
        assert_eq!((index.find(200), index.find(101)), (Some(Place::own(1)), None));
        index.forget(Place::own(0));
        index.remember(Place::own(7), 300, &[]);
        assert_eq!(index.find(300), Some(Place::own(7)));
        assert_eq!(index.entries.len(), 2);
    }

    #[test]
    fn images_are_apart_and_are_forgotten_as_a_whole() {
        let mut index = ContentIndex::new(8, 8);
        let other = |page| Place { image: 3, page };
        index.remember(Place::own(1), 100, &[]);
        index.remember(other(1), 101, &[Anchor { offset: 5, key: 9 }]);
        index.remember(other(2), 102, &[]);
        assert_eq!(index.find(101), Some(other(1)));
        assert_eq!(index.find_anchor(9), Some((other(1), 5)));
        index.forget_image(3);
        assert_eq!((index.find(101), index.find(102)), (None, None));
        assert_eq!(index.find(100), Some(Place::own(1)));
    }

    #[test]
    fn anchors_survive_growth_up_to_the_capacity() {
        let mut index = ContentIndex::new(8, 5000);
        let anchor = |n: u32| Anchor {
            offset: (n % 4096) as u16,
            // Keys that fall on slots of their own as long as there are more slots than keys.
            key: n.wrapping_mul(0x9e37_79b1) >> (32 - KEY_BITS),
        };
        for n in 0..40_000 {
            index.remember(Place::own(1), 1, &[anchor(n)]);
            assert_eq!(
                index.find_anchor(anchor(n).key),
                Some((Place::own(1), n as usize % 4096))
            );
            assert!(index.anchors.slots.len() <= 4096);
        }
        let mut none = ContentIndex::new(8, 0);
        none.remember(Place::own(1), 1, &[anchor(1)]);
        assert_eq!(none.find_anchor(anchor(1).key), None);
    }
}
