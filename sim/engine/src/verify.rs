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

#[cfg(test)]
mod tests {
    use longhaul_core::schedule::{EntityId, EventId};
    use longhaul_core::time::Instant;

    use super::*;

    /// Checkpoints after these numbers of events, of a run that goes wrong in event number `wrong`.
    fn list(events: &[u64], wrong: u64) -> Vec<Checkpoint> {
        events
            .iter()
            .map(|&events| Checkpoint {
                events,
                at: Instant::from_ns(events),
                digest: if events > wrong { !events } else { events },
            })
            .collect()
    }

    #[test]
    fn equal_runs_do_not_diverge_whatever_their_distances() {
        let fine = list(&[4, 8, 12, 16, 18], u64::MAX);
        let coarse = list(&[8, 16, 18], u64::MAX);
        assert_eq!(first_divergence(&fine, &fine), None);
        assert_eq!(first_divergence(&fine, &coarse), None);
        assert_eq!(first_divergence(&[], &[]), None);
    }

    #[test]
    fn the_window_holds_the_first_event_that_differs() {
        let sound = list(&[4, 8, 12, 16, 18], u64::MAX);
        for wrong in 0..18 {
            for events in [&[4, 8, 12, 16, 18][..], &[8, 16, 18], &[18]] {
                let window = first_divergence(&sound, &list(events, wrong)).expect("they differ");
                assert!(window.contains(&wrong), "{wrong} is not in {window:?}");
                let common = events.iter().filter(|&&events| events <= wrong).max();
                assert_eq!(
                    window.start,
                    common.copied().unwrap_or(0),
                    "it starts at the last agreement"
                );
            }
        }
    }

    #[test]
    fn a_longer_run_differs_after_the_last_agreement() {
        let short = list(&[4, 8, 9], u64::MAX);
        let long = list(&[4, 8, 12, 13], u64::MAX);
        assert_eq!(first_divergence(&short, &long), Some(8..13));
        assert_eq!(first_divergence(&long, &[]), Some(0..13));
    }

    fn record(index: u64) -> TraceRecord {
        TraceRecord {
            index,
            at: Instant::from_ns(index),
            id: EventId::from_u64(index),
            target: EntityId::new(0),
            token: 0,
            cause: EventId::SETUP,
            digest: index,
        }
    }

    #[test]
    fn windows_are_compared_event_by_event() {
        let left = [record(10), record(11), record(12)];
        assert_eq!(compare_windows(&left, &left), None);
        let mut right = left;
        right[1].digest = 0;
        let found = compare_windows(&left, &right).expect("a fact of the world differs");
        assert_eq!(
            (found.index, found.left, found.right),
            (11, Some(left[1]), Some(right[1]))
        );
        let found = compare_windows(&left[..2], &left).expect("one run has ended");
        assert_eq!((found.index, found.left, found.right), (12, None, Some(left[2])));
    }
}
