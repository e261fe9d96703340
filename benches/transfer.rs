//! What a packet costs: one CUBIC flow at 100 Mbit/s over 40 ms for 60 simulated seconds, through one, two and
//! three hops. A data packet's figure includes its share of the ACKs, all of TCP and the engine's queue.
//!
//! Times are CPU time of this thread where the kernel tells it (`/proc/thread-self/schedstat`), otherwise
//! wall time; the best of several runs.

#![allow(missing_docs, reason = "a program, not a library")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock"
)]

use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::{Budget, Engine, Event, World};
use longhaul_net::link::{LinkSpec, QueueLimit};
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::notice::Side;
use longhaul_net::routing::{LinkId, RegionId};

const SIMULATED: Span = Span::from_s(60);
const RUNS: usize = 7;

/// A network whose application reads and never writes again.
struct Bulk {
    network: Network,
    received: u64,
}

impl World for Bulk {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        self.network.handle(engine, event.target, event.token);
        while let Some(notice) = self.network.poll_notice() {
            if let longhaul_net::notice::What::Received(piece) = notice.what {
                self.received += piece.len();
            }
        }
    }
}

/// What one run did and took.
#[derive(Clone, Copy)]
struct Measured {
    ns: u64,
    /// Data packets delivered by the last hop.
    packets: u64,
    /// Frames delivered by all links, ACKs included.
    frames: u64,
    events: u64,
    received: u64,
}

fn cpu_ns(start: std::time::Instant) -> u64 {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|text| text.split(' ').next()?.parse().ok());
    on_cpu.unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

/// The bottleneck first; further hops are ten times as fast and share the delay.
fn run(hops: u32) -> Measured {
    let regions: Vec<String> = (0..=hops).map(|i| format!("r{i}")).collect();
    let mut links = vec![];
    for hop in 0..hops {
        let rate = BitRate::from_bits_per_s(if hop == 0 { 100_000_000 } else { 1_000_000_000 });
        let delay = Span::from_ms(40) / u64::from(hops);
        let spec = LinkSpec::fifo(rate, delay, QueueLimit::Packets(1_000));
        let (from, to) = (RegionId(hop), RegionId(hop + 1));
        links.push(NetworkLink {
            from,
            to,
            spec: spec.clone(),
        });
        links.push(NetworkLink {
            from: to,
            to: from,
            spec,
        });
    }
    let network = Network::new(0, &Streams::new(1, 0), &regions, &links).expect("a valid network");
    let mut bulk = Bulk { network, received: 0 };
    let mut engine = Engine::new();
    let config = longhaul_tcp::Config::default();
    let clock = std::time::Instant::now();
    let start = cpu_ns(clock);
    let connection = bulk
        .network
        .open(&mut engine, RegionId(0), RegionId(hops), config)
        .expect("a route");
    let endless = Payload::Synthetic(1 << 40);
    bulk.network
        .write(&mut engine, connection, Side::Opener, endless)
        .expect("an open connection");
    engine.run(&mut bulk, Budget::until(Instant::ZERO + SIMULATED));
    let ns = cpu_ns(clock) - start;
    let last = LinkId(2 * hops - 2);
    Measured {
        ns,
        packets: bulk.network.link(last).stats().delivered.packets,
        frames: bulk
            .network
            .links()
            .map(|(_, link)| link.stats().delivered.packets)
            .sum(),
        events: engine.executed(),
        received: bulk.received,
    }
}

fn main() {
    let best = |hops| {
        (0..RUNS)
            .map(|_| run(hops))
            .min_by_key(|run| run.ns)
            .expect("at least one run")
    };
    let measured = [best(1), best(2), best(3)];
    println!(
        "one CUBIC flow, 100 Mbit/s, 40 ms one way, 1,000 packets of queue, 60 s simulated; best of {RUNS}"
    );
    println!();
    println!(
        "hops   data packets     events   ms/run   goodput Mbit/s   ns/data packet   ns/event   ns/extra packet-hop"
    );
    for (index, run) in measured.iter().enumerate() {
        // An extra hop carries every data packet and every ACK once more.
        let extra = measured[0].ns;
        let extra_frames = run.frames.saturating_sub(measured[0].frames);
        let per_hop = run.ns.saturating_sub(extra).checked_div(extra_frames);
        println!(
            "{:>4} {:>14} {:>10} {:>8.1} {:>16.2} {:>16.1} {:>10.1} {:>21}",
            index + 1,
            run.packets,
            run.events,
            run.ns as f64 / 1e6,
            run.received as f64 * 8.0 / 60.0 / 1e6,
            run.ns as f64 / run.packets as f64,
            run.ns as f64 / run.events as f64,
            per_hop.map_or("-".to_owned(), |ns| ns.to_string()),
        );
    }
}
