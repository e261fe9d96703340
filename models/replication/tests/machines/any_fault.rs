//! Random outages, streams that die, and a source that is lost at any moment: what the replica has is always the guests'
//! memory at one moment, and never a part of it.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_frames::PayloadMode;
use longhaul_memory::pattern::Pattern;
use longhaul_replication::{Failover, Policy, ReplicaEvent, SourceEvent};
use proptest::prelude::*;

use crate::support::{Setup, World, at_ms};

#[derive(Clone, Debug)]
struct Faults {
    /// How long after the last one the link fails, and for how long.
    outages: Vec<(u64, u64)>,
    deaths: Vec<(u64, u32)>,
    kill: Option<u64>,
    fail_over: Option<u64>,
}

fn faults() -> impl Strategy<Value = Faults> {
    let outages = prop::collection::vec((1u64..3_000, 1u64..2_500), 0..5);
    let deaths = prop::collection::vec((1u64..10_000, 0u32..12), 0..4);
    let moment = || prop::option::of(1u64..9_000);
    (outages, deaths, moment(), moment()).prop_map(|(outages, deaths, kill, fail_over)| Faults {
        outages,
        deaths,
        kill,
        fail_over,
    })
}

fn setups() -> impl Strategy<Value = Setup> {
    let policies = prop_oneof![
        (50u64..2_000).prop_map(|ms| Policy::Interval(Span::from_ms(ms))),
        (20u64..500).prop_map(|ms| Policy::Continuous {
            least: Span::from_ms(ms)
        }),
        (20u64..500).prop_map(|ms| Policy::Adaptive {
            least: Span::from_ms(ms),
            most: Span::from_s(3)
        }),
    ];
    let sets = prop::collection::vec((0u32..3, prop::collection::vec(1u64..300, 1..3)), 1..3);
    let traffic = (0u64..2_000, 1u64..40, 0u64..4, any::<bool>());
    (sets, policies, traffic, faults(), any::<bool>(), 0u64..20).prop_map(
        |(sets, policy, (dirty, mbit, pattern, sampled), faults, automatic, pause)| {
            let mut setup = Setup {
                sets,
                dirty_pages_per_s: dirty,
                rate: BitRate::from_bits_per_s(mbit * 1_000_000),
                pattern: [
                    Pattern::RealWorld,
                    Pattern::Constant,
                    Pattern::Bursty,
                    Pattern::Sinusoidal,
                ][pattern as usize],
                kill: faults.kill.map(at_ms),
                fail_over: faults.fail_over.map(at_ms),
                deaths: faults
                    .deaths
                    .iter()
                    .map(|(ms, stream)| (at_ms(*ms), *stream))
                    .collect(),
                ..Setup::default()
            };
            let mut ms = 0;
            for (after, lasts) in faults.outages {
                setup.outages.push((at_ms(ms + after), at_ms(ms + after + lasts)));
                ms += after + lasts;
            }
            setup.options.policy = policy;
            setup.options.rpo_target = Span::from_s(4);
            setup.options.snapshot_pause = Span::from_ms(pause);
            if automatic {
                setup.options.failover = Failover::Automatic;
            }
            if sampled {
                setup.options.payload = PayloadMode::Sampled {
                    share: Probability::from_ratio(1, 3).unwrap(),
                };
            }
            setup
        },
    )
}

/// What must hold whatever has happened.
fn check(world: &World) -> Result<(), TestCaseError> {
    // Page by page, the newest epoch is what the guests had at its snapshot.
    world.compare_pages();
    let kept_most: u64 = world
        .setup
        .sets
        .iter()
        .map(|(_, pages)| pages.iter().sum::<u64>())
        .max()
        .unwrap();
    for set in &world.source.statistics().sets {
        prop_assert_eq!(set.resyncs, 0);
        prop_assert!(set.kept_pages_max <= kept_most);
    }
    for (at, event) in &world.replica_events {
        match event {
            ReplicaEvent::Rejected { .. } => prop_assert!(false, "{event:?} at {at:?}"),
            ReplicaEvent::Promoted {
                set,
                epoch,
                snapshot_at,
                ..
            } => {
                let applied = world.applied(*set);
                prop_assert_eq!(
                    applied.last().map(|last| (last.1, last.2)),
                    Some((*epoch, *snapshot_at))
                );
                prop_assert!(applied.last().unwrap().0 <= *at);
            }
            _ => {}
        }
    }
    // Epochs come in order, none twice.
    for set in 0..world.setup.sets.len() as u32 {
        let applied = world.applied(set);
        prop_assert!(
            applied
                .windows(2)
                .all(|pair| pair[0].1 < pair[1].1 && pair[0].2 < pair[1].2)
        );
    }
    if world.setup.options.failover == Failover::Automatic && world.setup.fail_over.is_none() {
        no_two_run(world)?;
    }
    Ok(())
}

/// Guests that were started at the replica by itself do not run at the source at the same time.
fn no_two_run(world: &World) -> Result<(), TestCaseError> {
    let started = world
        .replica_events
        .iter()
        .find(|(_, event)| matches!(event, ReplicaEvent::Promoted { .. }));
    let Some((started, _)) = started else {
        return Ok(());
    };
    if world.setup.kill.is_some_and(|kill| kill <= *started) {
        return Ok(());
    }
    let mut stopped = None;
    for (_, event) in &world.source_events {
        match event {
            SourceEvent::GuestsStopped { at } => stopped = Some(*at),
            SourceEvent::GuestsResumed { .. } => stopped = None,
            _ => {}
        }
    }
    prop_assert!(
        stopped.is_some_and(|stopped| stopped <= *started),
        "{:?} after {:?}",
        stopped,
        started
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_replica_has_one_moment_of_the_guests_whatever_fails(setup in setups()) {
        check(&setup.run())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// `cargo test --release -p longhaul-replication --test machines -- --ignored`
    #[test]
    #[ignore = "takes minutes"]
    fn the_replica_has_one_moment_of_the_guests_in_thousands_of_runs(setup in setups()) {
        check(&setup.run())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Without faults the recovery point is never older than an interval and the longest epoch together.
    #[test]
    fn the_recovery_point_keeps_its_bound(interval in 100u64..1_500, dirty in 0u64..1_500, mbit in 2u64..60) {
        let mut setup = Setup {
            dirty_pages_per_s: dirty,
            rate: BitRate::from_bits_per_s(mbit * 1_000_000),
            ..Setup::default()
        };
        setup.options.policy = Policy::Interval(Span::from_ms(interval));
        setup.options.rpo_target = Span::from_ms(interval * 2);
        let world = setup.run();
        check(&world)?;
        if let Some(first) = world.rpo[0].first() {
            let longest = world.source.statistics().sets[0].longest_epoch;
            // An epoch that is not over at the end is the longest perhaps.
            let last = world.applied(0).last().unwrap().0;
            let bound = longest.max(Span::from_ms(interval)) + longest;
            let max = world.rpo[0].distribution(first, last).max();
            prop_assert!(max.is_none_or(|max| max <= bound), "{:?} above {:?}", max, bound);
        }
    }
}
