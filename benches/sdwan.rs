//! What edges cost and how soon they react: an hour of ten sites in a full mesh (median of three), and the times of a thousand failovers.
//! The links are those of the tests: delays only, no network model.

#![allow(missing_docs, reason = "a program, not a library")]

mod support;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../models/sdwan/tests/world.rs"]
mod world;

use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_sdwan::{Config, PathConfig, Routes, SiteId, bfd};
use support::{Stopwatch, median};
use world::{Link, World, at_ms, block, peer, web};

const SITES: u32 = 10;

fn sessions(interval_ms: u64) -> Option<bfd::Config> {
    Some(bfd::Config {
        interval: Span::from_ms(interval_ms),
        ..bfd::Config::default()
    })
}

/// Ten sites, each pair joined by so many paths.
fn mesh(paths: u32, bfd: Option<bfd::Config>) -> World {
    let number = |own: u32, other: u32, path: u32| PeerId((own * SITES + other) * 4 + path);
    let others = |own: u32| (0..SITES).filter(move |other| *other != own);
    let config = |own: u32| {
        let path = |other: u32, path: u32| {
            PathConfig::new(number(own, other, path), &format!("path-{path}"), SiteId(other))
        };
        let all = others(own).flat_map(|other| (0..paths).map(move |number| path(other, number)));
        let routes = Routes::new(others(own).map(|other| (block(SiteId(other)), SiteId(other))));
        let mut config = Config::new(all.collect(), routes.expect("no conflict"));
        config.bfd = bfd;
        config
    };
    let mut world = World::new((0..SITES).map(config).collect(), 1);
    for one in 0..SITES {
        for other in 0..one {
            for path in 0..paths {
                let link = Link::new(Span::from_ms(
                    10 + u64::from(one * 7 + other * 3 + path * 11) % 90,
                ));
                let ends =
                    [(one, other), (other, one)].map(|(own, to)| (own as usize, number(own, to, path)));
                world.join(ends[0], ends[1], link);
            }
        }
    }
    world
}

fn cost() {
    println!("an hour of {SITES} sites in a full mesh");
    for (name, paths, bfd) in [
        ("1 path, 300 ms × 3", 1, sessions(300)),
        ("1 path, 1 s × 3", 1, sessions(1_000)),
        ("1 path, probes alone", 1, None),
        ("3 paths, 300 ms × 3", 3, sessions(300)),
    ] {
        let run = || {
            let mut world = mesh(paths, bfd);
            let watch = Stopwatch::start();
            world.run_until(at_ms(3_600_000));
            let sent: u64 = world
                .edges
                .iter()
                .map(|edge| edge.counters().datagrams_sent)
                .sum();
            (watch.elapsed_ns(), sent)
        };
        let runs = [run(), run(), run()];
        let (ns, sent) = (median(runs.map(|(ns, _)| ns).to_vec()), runs[0].1);
        println!(
            "{name:>22}: {:>5.2} s, {:>5.2} M datagrams, {:>4.0} ns for each",
            ns / 1e9,
            sent as f64 / 1e6,
            ns / sent as f64
        );
    }
    println!();
}

fn failovers() {
    println!("from the break of a path of 100 ms to the move of its traffic, 1,000 random breaks, ms");
    for interval_ms in [50, 100, 300] {
        let configure = |config: &mut Config| config.bfd = sessions(interval_ms);
        let mut random = Streams::new(1, 0).stream("breaks", "times");
        let mut times: Vec<f64> = (0..1_000)
            .map(|seed| {
                let mut world = World::pair(&[100, 100], configure, seed);
                world.run_until(at_ms(8_000));
                world.classify(1, web());
                let broken_at = at_ms(8_000) + Span::from_us(random.below(2_000_000));
                world.run_until(broken_at);
                world.set_path(0, false);
                world.run_for(Span::from_s(3));
                let (at, from, to) = world.moves(0, broken_at)[0];
                assert_eq!((from, to), (peer(0), peer(1)));
                at.saturating_since(broken_at).as_s_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let [least, median, p99, most] = [0, 500, 990, 999].map(|place| times[place]);
        println!(
            "{interval_ms:>6} ms × 3: least {least:.0}, median {median:.0}, 99 % {p99:.0}, most {most:.0}"
        );
    }
}

fn main() {
    cost();
    failovers();
}
