//! What a transfer costs at flow fidelity: 16 regions, a full mesh of 1 Gbit/s, random transfers of 1 MB to 0.84 GB between
//! random regions, a fixed number of them at a time, each followed by the next when it has ended; and what a
//! simulated day of replication over three regions costs.
//!
//! Times are CPU time of this thread where the kernel tells it (`/proc/thread-self/schedstat`), otherwise wall time; the
//! best of several runs.

#![allow(missing_docs, reason = "a program, not a library")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock"
)]

use longhaul_core::payload::Payload;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_engine::{Budget, Engine, Event, World};
use longhaul_flow::network::Network;
use longhaul_net::link::{LinkSpec, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::network::NetworkLink;
use longhaul_net::notice::{ConnectionId, Notice, Side, What};
use longhaul_net::routing::RegionId;
use longhaul_tcp::Config;

const RUNS: usize = 2;

fn mesh(regions: u32, loss: Loss) -> (Vec<String>, Vec<NetworkLink>) {
    let names = (0..regions).map(|region| format!("r{region}")).collect();
    let rate = BitRate::from_bits_per_s(1_000_000_000);
    let spec = LinkSpec {
        loss,
        ..LinkSpec::fifo(rate, Span::from_ms(40), QueueLimit::Packets(6_600))
    };
    let mut links = Vec::new();
    for from in (0..regions).map(RegionId) {
        for to in (0..regions).map(RegionId).filter(|to| *to != from) {
            links.push(NetworkLink {
                from,
                to,
                spec: spec.clone(),
            });
        }
    }
    (names, links)
}

fn cpu_ns(start: std::time::Instant) -> u64 {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|text| text.split(' ').next()?.parse().ok());
    on_cpu.unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

/// A fixed number of transfers at a time.
struct Churn {
    network: Network,
    random: Stream,
    /// Bytes, by connection.
    sizes: Vec<u64>,
    left: u32,
    completed: u32,
}

impl Churn {
    fn start(&mut self, engine: &mut Engine) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let from = self.random.below(16) as u32;
        let to = (from + 1 + self.random.below(15) as u32) % 16;
        self.sizes.push(1_000_000 + self.random.below(839_000_000));
        self.network
            .open(engine, RegionId(from), RegionId(to), Config::default())
            .expect("a route");
    }

    fn notice(&mut self, engine: &mut Engine, notice: &Notice) {
        let Notice {
            connection,
            side,
            what,
        } = notice;
        match (side, what) {
            (Side::Opener, What::Opened) => {
                let payload = Payload::Synthetic(self.sizes[connection.0 as usize]);
                let written = self.network.write(engine, *connection, *side, payload);
                written.expect("an open connection");
                self.network.shutdown(engine, *connection, *side);
            }
            (Side::Acceptor, What::PeerFinished) => self.network.shutdown(engine, *connection, *side),
            (Side::Opener, What::PeerFinished) => {
                self.completed += 1;
                self.start(engine);
            }
            _ => {}
        }
    }
}

impl World for Churn {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        if event.target.index() == 0 {
            self.start(engine);
        } else {
            self.network.handle(engine, event.target, event.token);
        }
        while let Some(notice) = self.network.poll_notice() {
            self.notice(engine, &notice);
        }
    }
}

/// Nanoseconds and events per transfer.
fn churn(concurrent: u32) -> (f64, f64) {
    let (names, links) = mesh(16, Loss::None);
    let streams = Streams::new(1, 0);
    let total = (concurrent * 4).max(10_000);
    let mut churn = Churn {
        network: Network::new(1, &streams, &names, &links).expect("a valid network"),
        random: streams.stream("bench", "transfers"),
        sizes: Vec::with_capacity(total as usize),
        left: total,
        completed: 0,
    };
    let mut engine = Engine::new();
    let starter = EntityId::new(0);
    for place in 0..concurrent {
        // Spread over a second, so that they are not in step.
        let at = Instant::from_ns(u64::from(place) * 1_000_000_000 / u64::from(concurrent));
        engine.schedule(at, Class::World, starter, starter, place);
    }
    let clock = std::time::Instant::now();
    let start = cpu_ns(clock);
    engine.run(&mut churn, Budget::until(Instant::MAX));
    let ns = cpu_ns(clock) - start;
    assert_eq!(churn.completed, total, "every transfer ends");
    let total = f64::from(total);
    (ns as f64 / total, engine.executed() as f64 / total)
}

/// Streams that never end.
struct Replication {
    network: Network,
}

impl World for Replication {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        self.network.handle(engine, event.target, event.token);
        while let Some(Notice {
            connection,
            side,
            what,
        }) = self.network.poll_notice()
        {
            if what == What::Opened {
                let endless = Payload::Synthetic(1 << 50);
                let written = self.network.write(engine, connection, side, endless);
                written.expect("an open connection");
            }
        }
    }
}

/// Seconds of CPU for a simulated day of `streams` streams, spread evenly over the six directions between three regions, and
/// what they carried in bytes.
fn day(streams: u32, loss: Loss) -> (f64, u64, u64) {
    let (names, links) = mesh(3, loss);
    let network = Network::new(0, &Streams::new(1, 0), &names, &links).expect("a valid network");
    let mut world = Replication { network };
    let mut engine = Engine::new();
    for stream in 0..streams {
        let from = stream % 3;
        let to = (from + 1 + stream / 3 % 2) % 3;
        world
            .network
            .open(&mut engine, RegionId(from), RegionId(to), Config::default())
            .expect("a route");
    }
    let clock = std::time::Instant::now();
    let start = cpu_ns(clock);
    engine.run(&mut world, Budget::until(Instant::ZERO + Span::from_s(86_400)));
    let seconds = (cpu_ns(clock) - start) as f64 / 1e9;
    let stats = |stream| world.network.stats(ConnectionId(stream), Side::Opener);
    let carried = (0..streams).map(|stream| stats(stream).delivered_bytes).sum();
    (seconds, engine.executed(), carried)
}

fn main() {
    println!("16 regions, full mesh of 1 Gbit/s, 80 ms, transfers of 1 MB to 0.84 GB; best of {RUNS}");
    println!();
    println!("concurrent   µs/transfer   events/transfer");
    for concurrent in [16, 256, 4_096] {
        let best = (0..RUNS)
            .map(|_| churn(concurrent))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let (ns, events) = best.expect("at least one run");
        println!("{concurrent:>10} {:>13.2} {events:>17.1}", ns / 1e3);
    }
    println!();
    println!(
        "a day over three regions, 1 Gbit/s, 80 ms: streams, loss, CPU seconds, events, mean Gbit/s in all"
    );
    let parts = |parts| Loss::Independent(Probability::from_parts(parts).expect("a probability"));
    for (streams, name, loss) in [
        (64, "none", Loss::None),
        (64, "0.001 %", parts(10_000_000)),
        (64, "0.01 %", parts(100_000_000)),
        (384, "none", Loss::None),
    ] {
        let (seconds, events, carried) = day(streams, loss);
        let rate = carried as f64 * 8.0 / 86_400.0 / 1e9;
        println!("{streams:>7} {name:>8} {seconds:>10.2} {events:>12} {rate:>8.2}");
    }
}
