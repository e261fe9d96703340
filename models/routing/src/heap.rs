//! The queue of Dijkstra's algorithm: a heap of integers with four children to a node.
//!
//! A key holds all that decides: weight, hops and region, the first highest. Nearly every region that leaves the queue lets
//! another one in, which then takes the place at the top at once instead of being added behind a removal.

/// The smallest key is at the top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap<K>(Vec<K>);

const CHILDREN: usize = 4;

impl<K: Copy + Ord> Heap<K> {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(crate) fn top(&self) -> Option<K> {
        self.0.first().copied()
    }

    /// All keys, in no order that matters.
    pub(crate) fn keys(&self) -> &[K] {
        &self.0
    }

    #[inline]
    pub(crate) fn push(&mut self, key: K) {
        let mut place = self.0.len();
        self.0.push(key);
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if self.0[parent] <= key {
                break;
            }
            self.0[place] = self.0[parent];
            place = parent;
        }
        self.0[place] = key;
    }

    /// Removes the top.
    #[inline]
    pub(crate) fn pop(&mut self) {
        if let Some(last) = self.0.pop()
            && !self.0.is_empty()
        {
            self.replace(last);
        }
    }

    /// Puts a key in the place of the top.
    #[inline]
    pub(crate) fn replace(&mut self, key: K) {
        let keys = self.0.as_mut_slice();
        let mut place = 0;
        loop {
            let first = place * CHILDREN + 1;
            if first >= keys.len() {
                break;
            }
            // Selections instead of branches: which child is the least cannot be foretold.
            let mut least = (keys[first], first);
            let children = &keys[first..(first + CHILDREN).min(keys.len())];
            for (child, &other) in (first..).zip(children).skip(1) {
                let less = other < least.0;
                least.0 = if less { other } else { least.0 };
                least.1 = if less { child } else { least.1 };
            }
            if least.0 >= key {
                break;
            }
            keys[place] = least.0;
            place = least.1;
        }
        keys[place] = key;
    }
}
