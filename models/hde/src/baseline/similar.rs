//! Which of many objects is most like another.

use std::collections::BTreeMap;

use crate::object::{ObjectId, Sketch};

/// Objects with fewer features in common are not alike.
const LEAST_IN_COMMON: usize = 2;

/// Finds objects by what their content is like.
#[derive(Debug, Default)]
pub(super) struct SimilarObjects {
    /// The last object that was given with a feature stands for all that have it.
    by_feature: BTreeMap<u64, ObjectId>,
    sketches: BTreeMap<ObjectId, Sketch>,
}

impl SimilarObjects {
    /// This object is now like that.
    pub(super) fn insert(&mut self, id: &ObjectId, sketch: Sketch) {
        self.remove(id);
        for feature in sketch.features() {
            self.by_feature.insert(*feature, id.clone());
        }
        self.sketches.insert(id.clone(), sketch);
    }

    /// This object is not to be found any more.
    pub(super) fn remove(&mut self, id: &ObjectId) {
        let Some(sketch) = self.sketches.remove(id) else {
            return;
        };
        for feature in sketch.features() {
            if self.by_feature.get(feature) == Some(id) {
                self.by_feature.remove(feature);
            }
        }
    }

    /// Nothing is to be found any more.
    pub(super) fn clear(&mut self) {
        self.by_feature.clear();
        self.sketches.clear();
    }

    /// The object that has most in common with `sketch`, the first by id if several have; none if that is too little.
    pub(super) fn most_similar(&self, sketch: &Sketch) -> Option<&ObjectId> {
        let mut in_common: BTreeMap<&ObjectId, usize> = BTreeMap::new();
        let features = sketch.features().iter();
        for id in features.filter_map(|feature| self.by_feature.get(feature)) {
            *in_common.entry(id).or_default() += 1;
        }
        let (id, most) = in_common.into_iter().rev().max_by_key(|(_, count)| *count)?;
        (most >= LEAST_IN_COMMON).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ObjectId {
        ObjectId::new(text).unwrap()
    }

    fn text(of: std::ops::Range<u32>) -> Sketch {
        let lines: String = of.map(|n| format!("line {} of a text\n", n * n)).collect();
        Sketch::of(lines.as_bytes())
    }

    #[test]
    fn the_object_with_most_in_common_is_found_and_a_stranger_is_not() {
        let mut objects = SimilarObjects::default();
        objects.insert(&id("a"), text(0..100));
        objects.insert(&id("b"), text(1000..1100));
        assert_eq!(objects.most_similar(&text(5..110)), Some(&id("a")));
        assert_eq!(objects.most_similar(&text(990..1090)), Some(&id("b")));
        assert_eq!(objects.most_similar(&text(5000..5100)), None);
        assert_eq!(objects.most_similar(&Sketch::of(b"short")), None);
        objects.insert(&id("a"), text(5000..5100));
        assert_eq!(objects.most_similar(&text(5..110)), None);
        objects.remove(&id("a"));
        objects.remove(&id("b"));
        assert!(objects.by_feature.is_empty() && objects.sketches.is_empty());
    }
}
