//! An edge is a machine: the same inputs give the same outputs.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Streams;
use longhaul_core::tape::{Recorder, feed};
use longhaul_core::time::Span;
use longhaul_sdwan::{Command, Config, Edge, PathConfig, Routes, SiteId};

use crate::world::{at_ms, block, peer, web};

fn edge(seed: u64) -> Edge {
    let site = SiteId(1);
    let paths = vec![
        PathConfig::new(peer(0), "mpls", site),
        PathConfig::new(peer(1), "lte", site),
    ];
    let config = Config::new(paths, Routes::new([(block(site), site)]).unwrap());
    Edge::new(config, Streams::new(seed, 0).stream("edge", "edge")).unwrap()
}

#[test]
fn an_edge_agrees_with_its_tape_also_when_it_is_woken_too_often() {
    // Two edges joined by one path without delay, one of them recorded.
    let (mut recorded, mut other) = (Recorder::new("edge", edge(1)), edge(2));
    let mut now = at_ms(0);
    recorded.handle(now, Input::Start);
    other.handle(now, Input::Start);
    let mut events = 0;
    for step in 0..3_000 {
        now += Span::from_ms(7);
        if step == 1_000 {
            recorded.handle(now, Input::Command(Command::Classify { flow: 1, key: web() }));
        }
        recorded.handle(now, Input::Wake);
        other.handle(now, Input::Wake);
        loop {
            let (one, two) = (recorded.poll(), other.poll());
            if one.ends_poll() && two.ends_poll() {
                break;
            }
            events += u32::from(matches!(one, Output::Event(_)));
            if let Output::Datagram { to, payload } = two {
                recorded.handle(now, Input::Datagram { from: to, payload });
            }
            if let Output::Datagram { to, payload } = one {
                other.handle(now, Input::Datagram { from: to, payload });
            }
        }
    }
    assert_eq!(recorded.machine().path_of(1), Some(peer(0)));
    assert!(events > 4);
    let tape = recorded.tape();
    assert!(feed(&mut edge(1), &tape).unwrap() > 3_100);
    // Another stream is another machine.
    assert!(feed(&mut edge(3), &tape).is_err());
}
