//! The hash tree over all keys: two clusters find where they differ by comparing a few numbers from the root down.
//!
//! Keys fall into [`LEAVES`] ranges by their own hash. A node stands for a range and holds the sum of the hashes of the
//! items in it, so that a change costs one addition per level and the order of changes does not matter. Sums of 128 bits
//! do not agree by accident; they would not withstand somebody who looks for items with the same sum, which members of a
//! federation do not do.

use std::collections::BTreeSet;

use crate::Key;

/// Children of a node.
pub const FANOUT: usize = 16;

/// Levels below the root; the last is that of the leaves.
pub const LEVELS: u8 = 3;

/// Ranges of keys.
pub const LEAVES: usize = FANOUT.pow(LEVELS as u32);

/// The sum of the hashes of some items.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Sum(pub u128);

/// A node: its level, 0 for the root, and its place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeAt {
    /// 0 to [`LEVELS`].
    pub level: u8,
    /// 0 to [`FANOUT`] to the power of the level, less one.
    pub place: u16,
}

impl NodeAt {
    /// The node of everything.
    pub const ROOT: NodeAt = NodeAt { level: 0, place: 0 };

    /// Whether there is such a node.
    pub fn exists(self) -> bool {
        self.level <= LEVELS && usize::from(self.place) < FANOUT.pow(u32::from(self.level))
    }

    /// Whether it is a range of keys.
    pub fn is_leaf(self) -> bool {
        self.level == LEVELS
    }

    /// Its children; none if it is a leaf.
    pub fn children(self) -> impl Iterator<Item = NodeAt> {
        let children = if self.is_leaf() { 0 } else { FANOUT as u16 };
        (0..children).map(move |child| NodeAt {
            level: self.level + 1,
            place: self.place * FANOUT as u16 + child,
        })
    }
}

/// The tree, with the keys of each leaf.
#[derive(Clone, Debug)]
pub struct HashTree {
    /// By level.
    sums: Vec<Vec<Sum>>,
    keys: Vec<BTreeSet<Key>>,
}

impl Default for HashTree {
    fn default() -> HashTree {
        HashTree {
            sums: (0..=LEVELS)
                .map(|level| vec![Sum::default(); FANOUT.pow(u32::from(level))])
                .collect(),
            keys: vec![BTreeSet::new(); LEAVES],
        }
    }
}

impl HashTree {
    /// The leaf that a key falls into.
    pub fn leaf_of(key: &Key) -> u16 {
        let hash = blake3::hash(key.as_str().as_bytes());
        let first = u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]);
        first >> (16 - 4 * u32::from(LEVELS))
    }

    /// The sum of a node.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn sum(&self, node: NodeAt) -> Sum {
        self.sums[usize::from(node.level)][usize::from(node.place)]
    }

    /// The sum of everything.
    pub fn root(&self) -> Sum {
        self.sum(NodeAt::ROOT)
    }

    /// The keys in a leaf.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn keys(&self, leaf: u16) -> impl Iterator<Item = &Key> {
        self.keys[usize::from(leaf)].iter()
    }

    /// The item of a key changes from one hash to another; none where there is no item.
    pub fn change(&mut self, key: &Key, from: Option<Sum>, to: Option<Sum>) {
        let leaf = HashTree::leaf_of(key);
        match (from.is_some(), to.is_some()) {
            (false, true) => {
                self.keys[usize::from(leaf)].insert(key.clone());
            }
            (true, false) => {
                self.keys[usize::from(leaf)].remove(key);
            }
            _ => {}
        }
        let (less, more) = (from.unwrap_or_default(), to.unwrap_or_default());
        for (level, sums) in (0u32..).zip(&mut self.sums) {
            let place = usize::from(leaf) / FANOUT.pow(u32::from(LEVELS) - level);
            let sum = &mut sums[place].0;
            *sum = sum.wrapping_sub(less.0).wrapping_add(more.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::new(&format!("key-{n}")).expect("a short key")
    }

    fn item(n: u64) -> Sum {
        Sum(u128::from_le_bytes(
            *blake3::hash(&n.to_le_bytes())
                .as_bytes()
                .first_chunk()
                .expect("32 bytes"),
        ))
    }

    fn tree(items: impl Iterator<Item = u64>) -> HashTree {
        let mut tree = HashTree::default();
        items.for_each(|n| tree.change(&key(n), None, Some(item(n))));
        tree
    }

    #[test]
    fn the_order_of_changes_does_not_matter_and_one_difference_has_one_path() {
        let (one, other) = (tree(0..5_000), tree((0..5_000).rev()));
        assert_eq!(one.root(), other.root());
        let mut changed = one.clone();
        changed.change(&key(77), Some(item(77)), Some(item(78)));
        let mut node = NodeAt::ROOT;
        while !node.is_leaf() {
            let differ: Vec<NodeAt> = node
                .children()
                .filter(|child| one.sum(*child) != changed.sum(*child))
                .collect();
            assert_eq!(differ.len(), 1);
            node = differ[0];
        }
        assert_eq!(node.place, HashTree::leaf_of(&key(77)));
        assert!(one.keys(node.place).any(|found| *found == key(77)));
        changed.change(&key(77), Some(item(78)), Some(item(77)));
        assert_eq!(changed.root(), one.root());
    }

    #[test]
    fn a_parent_is_the_sum_of_its_children_and_keys_spread_evenly() {
        let tree = tree(0..40_000);
        for level in 0..LEVELS {
            for place in 0..FANOUT.pow(u32::from(level)) as u16 {
                let node = NodeAt { level, place };
                let sum = node
                    .children()
                    .fold(0u128, |sum, child| sum.wrapping_add(tree.sum(child).0));
                assert_eq!(tree.sum(node), Sum(sum));
            }
        }
        // About 10 keys per leaf; Poisson leaves more than 30 with probability below 1e-7.
        let most = (0..LEAVES as u16).map(|leaf| tree.keys(leaf).count()).max();
        assert!(most < Some(32));
    }

    #[test]
    fn nodes_exist_within_their_levels() {
        let at = |level, place| NodeAt { level, place }.exists();
        assert!(at(0, 0) && at(3, 4_095) && !at(0, 1) && !at(3, 4_096) && !at(4, 0));
    }
}
