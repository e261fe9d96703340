//! What watching paths costs.

use longhaul_core::time::Span;
use longhaul_sdwan::bfd;

use crate::world::{World, at_ms, web};

#[test]
fn an_edge_sends_and_wakes_as_often_as_its_intervals_say_and_idle_flows_cost_nothing() {
    let run = |flows: u64| {
        let change = |config: &mut longhaul_sdwan::Config| {
            config.bandwidth = None;
            config.report = None;
            config.idle_timeout = None;
            config.bfd = config.bfd.map(|bfd| bfd::Config {
                interval: Span::from_ms(1_000),
                ..bfd
            });
        };
        let mut world = World::pair(&[10, 30, 50], change, 3);
        world.run_until(at_ms(20_000));
        for flow in 0..flows {
            world.classify(flow, web());
        }
        let (before, woken) = (world.edges[0].counters(), world.woken);
        world.run_for(Span::from_s(1_000));
        let after = world.edges[0].counters();
        (after.datagrams_sent - before.datagrams_sent, world.woken - woken)
    };
    let (sent, woken) = run(1);
    // Each second and path: a probe, an echo, and a message of the session every 0.875 s on average.
    let expected = 3.0 * 1_000.0 * (2.0 + 1.0 / 0.875);
    assert!((sent as f64 / expected - 1.0).abs() < 0.01, "{sent} datagrams");
    // A wake for each probe and each message of a session, at either edge, and one for each review.
    let expected = 2.0 * 3.0 * 1_000.0 * (1.0 + 1.0 / 0.875) + 200.0;
    assert!((woken as f64 / expected - 1.0).abs() < 0.01, "{woken} wakes");
    assert_eq!(run(10_000), (sent, woken));
}
