//! A path that flaps does not drag traffic along.

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::{Config, Redundancy};

use crate::world::{World, at_ms, peer, web};

const MINUTES: u64 = 30;

fn by_policy(config: &mut Config) {
    config.bandwidth = None;
}

fn in_order(config: &mut Config) {
    config.bandwidth = None;
    let redundancy = Redundancy::new(peer(0), vec![peer(1)], Span::from_s(60)).unwrap();
    config.redundancy.insert(config.paths[0].site, redundancy);
}

/// Lets the better path flap and returns when traffic moved.
fn flap(change: fn(&mut Config), seed: u64, mut phase: impl FnMut(bool) -> Span) -> Vec<Instant> {
    let mut world = World::pair(&[10, 60], change, seed);
    world.run_until(at_ms(30_000));
    world.classify(1, web());
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)), "seed {seed}");
    let (begin, mut up) = (world.now, true);
    while world.now < begin + Span::from_s(60 * MINUTES) {
        up = !up;
        world.set_path(0, up);
        world.run_for(phase(up));
        // An idle flow is kept, because it is not idle.
        world.command(0, longhaul_sdwan::Command::Active { flow: 1 });
    }
    world.moves(0, begin).into_iter().map(|(at, ..)| at).collect()
}

#[test]
fn a_path_that_flaps_within_its_hold_time_causes_one_switch() {
    for change in [by_policy, in_order] {
        for seed in 0..8 {
            let mut random = Streams::new(seed, 0).stream("flaps", "phases");
            let moves = flap(change, seed, |_| Span::from_ms(500 + random.below(29_500)));
            assert_eq!(moves.len(), 1, "seed {seed}");
        }
    }
}

#[test]
fn a_path_that_flaps_slowly_still_causes_at_most_one_switch_a_minute() {
    for change in [by_policy, in_order] {
        // Down for 5 s, up for a little longer than it takes to be come back to.
        for up_s in [62, 66, 70, 90, 130, 200] {
            let moves = flap(change, up_s, |up| Span::from_s(if up { up_s } else { 5 }));
            assert!(
                moves.len() as u64 <= MINUTES,
                "{} moves, up for {up_s} s",
                moves.len()
            );
            // Returns are at least a hold time apart from whatever was before them.
            let returns = moves.windows(2).step_by(2);
            for pair in returns {
                assert!(
                    pair[1].saturating_since(pair[0]) >= Span::from_s(60),
                    "up for {up_s} s"
                );
            }
        }
    }
}
