//! Where two runs differ first.
//!
//! Two steps, as `run --verify` takes them: compare the checkpoints of two finished runs, which encloses the
//! first difference in a window of events; then run both again with a [`Recorder`](crate::trace::Recorder) on
//! that window, and compare event by event.

use std::cmp::Ordering;
use std::ops::Range;

use longhaul_core::digest::Checkpoint;

use crate::trace::TraceRecord;

/// The window of event indices that holds the first difference of two runs, or `None` if they are equal as
/// far as their checkpoints tell.
///
/// Each list must be in the order of events and end with the final
/// [position](crate::engine::Engine::position) of its run. The distances of the two may differ: only
/// checkpoints after the same number of events are compared. If all of those agree but one run is longer, the
/// window reaches from the last common checkpoint to the end of the longer run.
pub fn first_divergence(left: &[Checkpoint], right: &[Checkpoint]) -> Option<Range<u64>> {
    let mut agreed = 0;
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        match left[i].events.cmp(&right[j].events) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal if left[i] == right[j] => {
                agreed = left[i].events;
                i += 1;
                j += 1;
            }
            Ordering::Equal => return Some(agreed..left[i].events),
        }
    }
    let end = |list: &[Checkpoint]| list.last().map_or(0, |last| last.events);
    (end(left) != end(right)).then(|| agreed..end(left).max(end(right)))
}

/// The first event in which two runs differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Its place in the run, counted from 0.
    pub index: u64,
    /// What the left run did there; `None` if it had ended.
    pub left: Option<TraceRecord>,
    /// What the right run did there; `None` if it had ended.
    pub right: Option<TraceRecord>,
}

/// Compares two recordings of the same window. Records that agree in everything but the digest mean that the
/// same event was handled and the worlds mixed in different facts.
pub fn compare_windows(left: &[TraceRecord], right: &[TraceRecord]) -> Option<Divergence> {
    (0..left.len().max(right.len())).find_map(|i| {
        let (left, right) = (left.get(i).copied(), right.get(i).copied());
        let index = left.or(right)?.index;
        (left != right).then_some(Divergence { index, left, right })
    })
}
