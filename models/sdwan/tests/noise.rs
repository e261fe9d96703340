//! Decisions under noise, with hysteresis and without.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_sdwan::{Command, Config};

use crate::world::{World, at_ms, web};

/// Switches in an hour between two paths that are equally good on average, and noisy.
fn switches(hysteresis: bool, seed: u64) -> u64 {
    let change = |config: &mut Config| {
        config.bandwidth = None;
        config.report = None;
        if !hysteresis {
            config.hysteresis = None;
        }
    };
    let mut world = World::pair(&[40, 40], change, seed);
    for path in 0..2 {
        for edge in 0..2 {
            let link = world.link(edge, path);
            link.jitter = Span::from_ms(20);
            link.loss = Probability::from_ratio(1, 100).unwrap();
        }
    }
    world.run_until(at_ms(30_000));
    world.classify(1, web());
    for _ in 0..60 {
        world.run_for(Span::from_s(60));
        world.command(0, Command::Active { flow: 1 });
    }
    world.edges[0].counters().switches
}

#[test]
fn hysteresis_saves_most_of_the_switches_that_noise_causes() {
    let sum = |hysteresis| (0..4).map(|seed| switches(hysteresis, seed)).sum::<u64>();
    let (with, without) = (sum(true), sum(false));
    assert!(without > 400, "{without} without hysteresis");
    assert!(with * 10 < without, "{with} with, {without} without");
}
