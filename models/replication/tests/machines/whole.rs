//! Whole runs.

use longhaul_core::time::{Instant, Span};

use crate::support::Setup;

#[test]
fn every_epoch_arrives() {
    let world = Setup::default().run();
    for event in &world.source_events {
        println!("S {:?}", event);
    }
    for event in &world.replica_events {
        println!("R {:?}", event);
    }
    println!("{}", world.compare_pages());
    println!("{:?}", world.source.statistics());
    println!("{:?}", world.rpo[0].distribution(Instant::ZERO, world.setup.horizon).max());
    assert_eq!(world.applied(0).len(), 10);
    let _ = Span::ZERO;
}
