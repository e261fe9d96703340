//! Bulkheads.

use std::collections::VecDeque;

use longhaul_core::time::Span;
use longhaul_resilience::bulkhead::{Bulkhead, BulkheadConfig, Entry, Place};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms};

/// Acceptance case 25.
#[test]
fn case_25_who_finds_no_permit_waits_and_who_finds_no_place_is_refused() {
    let mut alone = Bulkhead::new(&BulkheadConfig::semaphore(1));
    assert_eq!(alone.enter(at(0), 1), Entry::Admitted);
    assert_eq!(alone.enter(at(0), 2), Entry::Full);
    assert_eq!(alone.queue_utilisation(), 0.0);
    assert_eq!(alone.utilisation(), 1.0);

    let mut queued = Bulkhead::new(&BulkheadConfig::queued(2, 1, ms(1_000)));
    assert_eq!(queued.enter(at(0), 1), Entry::Admitted);
    assert_eq!(queued.enter(at(0), 2), Entry::Admitted);
    assert!(matches!(queued.enter(at(0), 3), Entry::Queued(_)));
    assert_eq!(queued.enter(at(0), 4), Entry::Full);
    assert_eq!(queued.expire(at_ms(999)), None);
    assert_eq!(queued.expire(at_ms(1_000)), Some(3));
    // One that starts leaves its place in the queue at once.
    assert!(matches!(queued.enter(at_ms(1_000), 5), Entry::Queued(_)));
    let started = queued.leave(at_ms(1_200)).expect("one that waited");
    assert_eq!((started.id, started.waited), (5, ms(200)));
    assert!(matches!(queued.enter(at_ms(1_200), 6), Entry::Queued(_)));
    assert_eq!((queued.running(), queued.waiting()), (2, 1));
}

#[test]
fn a_stopped_pool_forgets_nobody_and_takes_nobody() {
    let mut pool = Bulkhead::new(&BulkheadConfig::pool(1, 3));
    for id in 0..4 {
        let _ = pool.enter(at(0), id);
    }
    assert_eq!(pool.stop(), [1, 2, 3]);
    assert_eq!(pool.enter(at(0), 9), Entry::Stopped);
    assert_eq!(pool.leave(at(0)), None);
    assert_eq!(pool.enter(at(0), 9), Entry::Stopped);
    assert_eq!(pool.running(), 0);
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn it_does_what_a_list_of_names_does(
        (permits, queue, wait) in (1..4_u32, 0..5_u32, 1..40_u64),
        steps in prop::collection::vec((0..5_u8, 0..8_u64, 0..8_usize), 1..60),
    ) {
        let config = BulkheadConfig { permits, queue, wait: (queue > 0).then_some(Span::from_ns(wait)) };
        prop_assert_eq!(config.check(), Ok(()));
        let mut bulkhead = Bulkhead::new(&config);
        let (mut running, mut waiting): (u32, VecDeque<(u32, u64, Place)>) = (0, VecDeque::new());
        let mut now = 0;
        for (id, (what, later, which)) in steps.into_iter().enumerate() {
            now += later;
            let id = id as u32;
            match what {
                0 | 1 => match bulkhead.enter(at(now), id) {
                    Entry::Admitted => {
                        prop_assert!(running < permits && waiting.is_empty());
                        running += 1;
                    }
                    Entry::Queued(place) => {
                        prop_assert!(running == permits && waiting.len() < queue as usize);
                        waiting.push_back((id, now, place));
                    }
                    other => prop_assert!(running == permits && waiting.len() == queue as usize && other == Entry::Full),
                },
                2 if running > 0 => {
                    let started = bulkhead.leave(at(now));
                    let first = waiting.pop_front();
                    prop_assert_eq!(started.map(|started| started.id), first.map(|(id, ..)| id));
                    let waited = first.map(|(_, since, _)| Span::from_ns(now - since));
                    prop_assert_eq!(started.map(|started| started.waited), waited);
                    running -= u32::from(first.is_none());
                }
                3 if !waiting.is_empty() => {
                    let (id, _, place) = waiting.remove(which % waiting.len()).expect("one of them");
                    prop_assert_eq!(bulkhead.abandon(place), id);
                }
                _ => {
                    while let Some(id) = bulkhead.expire(at(now)) {
                        let (first, since, _) = waiting.pop_front().expect("one that waits");
                        prop_assert!(id == first && now - since >= wait);
                    }
                    prop_assert!(waiting.front().is_none_or(|(_, since, _)| now - since < wait));
                }
            }
            prop_assert_eq!((bulkhead.running(), bulkhead.waiting()), (running, waiting.len() as u32));
        }
        let seen = bulkhead.counters();
        prop_assert_eq!(seen.admitted, seen.completed + u64::from(running));
    }
}
