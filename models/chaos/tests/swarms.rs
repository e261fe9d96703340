//! Random schedules with few kinds of faults each.

use std::collections::BTreeSet;

use longhaul_chaos::{Action, Candidate, Direction, Impact, Kind, Swarm};
use longhaul_core::random::Streams;
use longhaul_core::time::Span;

use crate::histories::NORMAL;

const SWARM: Swarm = Swarm {
    from: Span::from_s(1),
    until: Span::from_s(9),
    shortest: Span::from_ms(10),
    longest: Span::from_s(10),
    most: 3,
};

fn candidates() -> Vec<Candidate<u8>> {
    let levels = Impact::Critical.magnitudes();
    let kinds = [
        ("cut", Kind::Partition(Direction::Both)),
        ("slow", levels.latency()),
        ("lossy", levels.loss()),
        ("narrow", levels.bandwidth()),
    ];
    let candidate = |(name, strongest): (&str, Kind)| Candidate {
        name: name.to_owned(),
        targets: vec![1, 2, 3],
        strongest,
        normal: NORMAL,
    };
    kinds.into_iter().map(candidate).collect()
}

#[test]
fn seeds_get_different_subsets_with_different_magnitudes() {
    let mut subsets = BTreeSet::new();
    let mut strengths = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for seed in 0..500 {
        let schedule = SWARM.draw(&candidates(), &Streams::new(seed, 0)).expect("valid");
        assert_eq!(
            schedule,
            SWARM.draw(&candidates(), &Streams::new(seed, 0)).expect("valid")
        );
        let subset: BTreeSet<String> = schedule
            .entries()
            .iter()
            .map(|entry| entry.fault.clone())
            .collect();
        assert!(!subset.is_empty());
        for entry in schedule.entries() {
            let Action::Inject { kind, duration, .. } = entry.action else {
                panic!("nothing is recovered by hand");
            };
            assert!((SWARM.from..SWARM.until).contains(&entry.at));
            assert!((SWARM.shortest..=SWARM.longest).contains(&duration.expect("it ends")));
            targets.insert(entry.target);
            if let Kind::Latency { extra, .. } = kind {
                strengths.insert(extra);
            }
        }
        for name in &subset {
            let times = schedule
                .entries()
                .iter()
                .filter(|entry| entry.fault == *name)
                .count();
            assert!((1..=3).contains(&times));
        }
        subsets.insert(subset);
    }
    // All but the empty one of four, all strengths, all targets.
    assert_eq!((subsets.len(), strengths.len(), targets.len()), (15, 16, 3));
}

#[test]
fn another_candidate_moves_nothing_of_those_that_take_part() {
    let few = &candidates()[..3];
    for seed in 0..100 {
        let streams = Streams::new(seed, 0);
        let all = SWARM.draw(&candidates(), &streams).expect("valid");
        let fewer = SWARM.draw(few, &streams).expect("valid");
        let old: Vec<_> = all
            .entries()
            .iter()
            .filter(|entry| entry.fault != "narrow")
            .collect();
        // Unless only the other one took part, so that without it one of the three has to.
        assert!(old.is_empty() || fewer.entries().iter().collect::<Vec<_>>() == old);
    }
}

#[test]
fn nothing_can_be_drawn_from_nothing() {
    let streams = Streams::new(1, 0);
    assert!(SWARM.draw::<u8>(&[], &streams).expect("valid").is_empty());
    let mut homeless = candidates();
    homeless
        .iter_mut()
        .for_each(|candidate| candidate.targets.clear());
    assert!(SWARM.draw(&homeless, &streams).expect("valid").is_empty());
}
