//! What an object's content is like, in a few numbers.

use crate::object::index::{Gear, WINDOW};

/// Numbers in a sketch.
pub(crate) const FEATURES: usize = 8;

/// The smallest hashes of all windows of some content (Broder, "On the resemblance and containment of documents", 1997):
/// contents that share a part of their windows share about that part of their sketches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sketch {
    /// Ascending and different.
    features: Vec<u64>,
}

impl Sketch {
    /// The sketch of `content`; empty for content shorter than a window.
    pub(crate) fn of(content: &[u8]) -> Sketch {
        let mut features: Vec<u64> = Vec::with_capacity(FEATURES + 1);
        let mut gear = Gear::default();
        for (position, byte) in content.iter().enumerate() {
            gear.roll(*byte);
            let mixed = gear.mixed();
            let full = features.len() == FEATURES;
            if position + 1 < WINDOW || full && mixed >= features[FEATURES - 1] {
                continue;
            }
            if let Err(place) = features.binary_search(&mixed) {
                features.insert(place, mixed);
                features.truncate(FEATURES);
            }
        }
        Sketch { features }
    }

    /// Its numbers, ascending.
    pub(crate) fn features(&self) -> &[u64] {
        &self.features
    }
}
