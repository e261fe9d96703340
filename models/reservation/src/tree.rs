//! A balanced tree of which every part knows its summary: what lies in a range is summed up in O(log n), however
//! much lies in it.
//!
//! An AVL tree (Adelson-Velsky and Landis, 1962), since its depth is bounded for every order of insertions: no draw
//! and no hash decides about its shape. Nodes live in one vector and are used again.

use std::ops::Bound;

/// What a part of a tree amounts to: an associative sum with a neutral element.
pub(crate) trait Summary: Copy + std::fmt::Debug {
    /// Of nothing.
    const EMPTY: Self;
    /// Of this and of what comes after it.
    fn then(self, next: Self) -> Self;
}

/// A value with its summary.
pub(crate) trait Value: Copy {
    type Summary: Summary;
    fn summary(&self) -> Self::Summary;
}

const NIL: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Node<K, V: Value> {
    key: K,
    value: V,
    /// Of the part below and including this node, in the order of keys.
    summary: V::Summary,
    left: u32,
    right: u32,
    height: u8,
}

/// Values by key.
#[derive(Clone, Debug)]
pub(crate) struct Tree<K, V: Value> {
    nodes: Vec<Node<K, V>>,
    free: Vec<u32>,
    root: u32,
}

impl<K: Ord + Copy, V: Value> Tree<K, V> {
    pub(crate) fn new() -> Tree<K, V> {
        Tree {
            nodes: Vec::new(),
            free: Vec::new(),
            root: NIL,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Replaces what stands at a key by what `change` makes of it; `None` is nothing.
    pub(crate) fn change(&mut self, key: K, mut change: impl FnMut(Option<V>) -> Option<V>) {
        self.root = self.change_below(self.root, key, &mut change);
    }

    /// The summary of what lies between two bounds.
    pub(crate) fn sum(&self, lower: Bound<K>, upper: Bound<K>) -> V::Summary {
        self.sum_below(self.root, lower, upper)
    }

    /// Shows what a walk in the order of keys meets. `enter` tells from a part's summary whether to look into it;
    /// `visit` tells whether to go on to greater keys.
    pub(crate) fn walk(&self, enter: impl Fn(V::Summary) -> bool, mut visit: impl FnMut(K, V) -> bool) {
        self.walk_below(self.root, &enter, &mut visit);
    }

    fn walk_below(
        &self,
        at: u32,
        enter: &impl Fn(V::Summary) -> bool,
        visit: &mut impl FnMut(K, V) -> bool,
    ) -> bool {
        if at == NIL {
            return true;
        }
        let node = &self.nodes[at as usize];
        !enter(node.summary)
            || (self.walk_below(node.left, enter, visit)
                && visit(node.key, node.value)
                && self.walk_below(node.right, enter, visit))
    }

    fn sum_below(&self, at: u32, lower: Bound<K>, upper: Bound<K>) -> V::Summary {
        if at == NIL {
            return V::Summary::EMPTY;
        }
        let node = &self.nodes[at as usize];
        let below = match lower {
            Bound::Included(bound) => node.key < bound,
            Bound::Excluded(bound) => node.key <= bound,
            Bound::Unbounded => false,
        };
        let above = match upper {
            Bound::Included(bound) => node.key > bound,
            Bound::Excluded(bound) => node.key >= bound,
            Bound::Unbounded => false,
        };
        match (below, above) {
            (true, _) => self.sum_below(node.right, lower, upper),
            (_, true) => self.sum_below(node.left, lower, upper),
            _ if matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded)) => node.summary,
            // From here on one side of each part is open, so only one of its two parts is entered further.
            _ => {
                let left = self.sum_below(node.left, lower, Bound::Unbounded);
                let right = self.sum_below(node.right, Bound::Unbounded, upper);
                left.then(node.value.summary()).then(right)
            }
        }
    }

    fn change_below(&mut self, at: u32, key: K, change: &mut impl FnMut(Option<V>) -> Option<V>) -> u32 {
        if at == NIL {
            return change(None).map_or(NIL, |value| self.leaf(key, value));
        }
        let Node {
            key: own,
            value,
            left,
            right,
            ..
        } = self.nodes[at as usize];
        match key.cmp(&own) {
            std::cmp::Ordering::Less => {
                self.nodes[at as usize].left = self.change_below(left, key, change);
            }
            std::cmp::Ordering::Greater => {
                self.nodes[at as usize].right = self.change_below(right, key, change);
            }
            std::cmp::Ordering::Equal => match change(Some(value)) {
                Some(value) => self.nodes[at as usize].value = value,
                None => return self.unlink(at),
            },
        }
        self.balance(at)
    }

    fn leaf(&mut self, key: K, value: V) -> u32 {
        let node = Node {
            key,
            value,
            summary: value.summary(),
            left: NIL,
            right: NIL,
            height: 1,
        };
        if let Some(at) = self.free.pop() {
            self.nodes[at as usize] = node;
            return at;
        }
        let at = u32::try_from(self.nodes.len()).expect("fewer than 2^32 boundaries");
        assert!(at != NIL, "fewer than 2^32 boundaries");
        self.nodes.push(node);
        at
    }

    /// Takes a node out; what stands in its place.
    fn unlink(&mut self, at: u32) -> u32 {
        let Node { left, right, .. } = self.nodes[at as usize];
        self.free.push(at);
        if left == NIL || right == NIL {
            return if left == NIL { right } else { left };
        }
        let (rest, first) = self.take_first(right);
        self.nodes[first as usize].left = left;
        self.nodes[first as usize].right = rest;
        self.balance(first)
    }

    /// Separates the node with the least key from a part: (what remains, that node).
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let Node { left, right, .. } = self.nodes[at as usize];
        if left == NIL {
            return (right, at);
        }
        let (rest, first) = self.take_first(left);
        self.nodes[at as usize].left = rest;
        (self.balance(at), first)
    }

    fn height(&self, at: u32) -> u8 {
        if at == NIL {
            0
        } else {
            self.nodes[at as usize].height
        }
    }

    /// Brings height and summary of a node up to date with its two parts.
    fn refresh(&mut self, at: u32) {
        let Node {
            value, left, right, ..
        } = self.nodes[at as usize];
        let part = |at: u32| {
            if at == NIL {
                V::Summary::EMPTY
            } else {
                self.nodes[at as usize].summary
            }
        };
        let summary = part(left).then(value.summary()).then(part(right));
        let height = 1 + self.height(left).max(self.height(right));
        let node = &mut self.nodes[at as usize];
        (node.summary, node.height) = (summary, height);
    }

    /// Brings a part up to date whose halves are balanced and differ in height by at most two; what stands at its
    /// top.
    fn balance(&mut self, at: u32) -> u32 {
        let Node { left, right, .. } = self.nodes[at as usize];
        let (of_left, of_right) = (self.height(left), self.height(right));
        if of_left > of_right + 1 {
            let node = &self.nodes[left as usize];
            if self.height(node.right) > self.height(node.left) {
                self.nodes[at as usize].left = self.rotate_left(left);
            }
            return self.rotate_right(at);
        }
        if of_right > of_left + 1 {
            let node = &self.nodes[right as usize];
            if self.height(node.left) > self.height(node.right) {
                self.nodes[at as usize].right = self.rotate_right(right);
            }
            return self.rotate_left(at);
        }
        self.refresh(at);
        at
    }

    fn rotate_left(&mut self, at: u32) -> u32 {
        let top = self.nodes[at as usize].right;
        self.nodes[at as usize].right = self.nodes[top as usize].left;
        self.nodes[top as usize].left = at;
        self.refresh(at);
        self.refresh(top);
        top
    }

    fn rotate_right(&mut self, at: u32) -> u32 {
        let top = self.nodes[at as usize].left;
        self.nodes[at as usize].left = self.nodes[top as usize].right;
        self.nodes[top as usize].right = at;
        self.refresh(at);
        self.refresh(top);
        top
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Concatenation does not commute, so a summary in the wrong order shows.
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Ends(Option<(u8, u8)>, u32);

    impl Summary for Ends {
        const EMPTY: Ends = Ends(None, 0);
        fn then(self, next: Ends) -> Ends {
            let ends = match (self.0, next.0) {
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (ends, None) | (None, ends) => ends,
            };
            Ends(ends, self.1 + next.1)
        }
    }

    #[derive(Clone, Copy, Debug)]
    struct Letter(u8);

    impl Value for Letter {
        type Summary = Ends;
        fn summary(&self) -> Ends {
            Ends(Some((self.0, self.0)), 1)
        }
    }

    /// The height, if every part is balanced and knows its height.
    fn check(tree: &Tree<u8, Letter>, at: u32) -> u8 {
        if at == NIL {
            return 0;
        }
        let node = &tree.nodes[at as usize];
        let (left, right) = (check(tree, node.left), check(tree, node.right));
        assert!(left.abs_diff(right) <= 1);
        assert_eq!(node.height, 1 + left.max(right));
        node.height
    }

    proptest! {
        #[test]
        fn a_tree_sums_like_an_ordered_map(
            changes in proptest::collection::vec((any::<u8>(), any::<bool>(), any::<u8>()), 0..200),
            lower in any::<u8>(),
            upper in any::<u8>(),
        ) {
            let (mut tree, mut map) = (Tree::new(), BTreeMap::new());
            for (key, insert, value) in changes {
                tree.change(key, |_| insert.then_some(Letter(value)));
                if insert {
                    map.insert(key, value);
                } else {
                    map.remove(&key);
                }
                check(&tree, tree.root);
            }
            prop_assert_eq!(tree.len(), map.len());
            let sum = |values: &mut dyn Iterator<Item = &u8>| {
                values.fold(Ends::EMPTY, |sum, value| sum.then(Letter(*value).summary()))
            };
            prop_assert_eq!(tree.sum(Bound::Unbounded, Bound::Unbounded), sum(&mut map.values()));
            prop_assert_eq!(
                tree.sum(Bound::Excluded(lower), Bound::Included(upper)),
                sum(&mut map.iter().filter(|(key, _)| **key > lower && **key <= upper).map(|(_, value)| value))
            );
            prop_assert_eq!(
                tree.sum(Bound::Included(lower), Bound::Excluded(upper)),
                sum(&mut map.iter().filter(|(key, _)| **key >= lower && **key < upper).map(|(_, value)| value))
            );
            let mut seen = Vec::new();
            tree.walk(|_| true, |key, value| {
                seen.push((key, value.0));
                key < upper
            });
            let first_beyond = map.range(upper..).next();
            let expected: Vec<_> = map.range(..upper).chain(first_beyond).map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
