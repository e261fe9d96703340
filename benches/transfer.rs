//! What a packet costs: one CUBIC flow at 100 Mbit/s over 40 ms for 60 simulated seconds, through one, two and
//! three hops. A data packet's figure includes its share of the ACKs, all of TCP and the engine's queue.
//!
//! And what it takes in memory: resident bytes per packet in flight on a long, fast path, and the peak after 60 and
//! after 600 simulated seconds, each in a process of its own (`VmHWM`; nothing where the kernel does not tell it).
//!
//! Times are CPU time of this thread where the kernel tells it (`/proc/thread-self/schedstat`), otherwise
//! wall time; the best of several runs.

#![allow(missing_docs, reason = "a program, not a library")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock"
)]

#[path = "support/peak.rs"]
mod peak;

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

/// A path whose memory is measured: the window is the bandwidth-delay product, and nothing queues.
struct Path {
    mbit_per_s: u64,
    one_way_ms: u64,
    seconds: u64,
}

impl Path {
    /// Runs in this process; returns the packets in flight at the end and the peak in KiB.
    fn fill(&self) -> Option<(u64, u64)> {
        let window = self.mbit_per_s * 1_000 / 8 * 2 * self.one_way_ms;
        let config = longhaul_tcp::Config {
            send_buffer: 4 * window,
            receive_buffer: window,
            autotuning: false,
            hystart: false,
            ..longhaul_tcp::Config::default()
        };
        let rate = BitRate::from_bits_per_s(self.mbit_per_s * 1_000_000);
        let spec = LinkSpec::fifo(rate, Span::from_ms(self.one_way_ms), QueueLimit::Packets(1 << 20));
        let (here, there) = (RegionId(0), RegionId(1));
        let link = |from, to| NetworkLink {
            from,
            to,
            spec: spec.clone(),
        };
        let links = [link(here, there), link(there, here)];
        let regions = ["a".to_owned(), "b".to_owned()];
        let network = Network::new(0, &Streams::new(1, 0), &regions, &links).expect("a valid network");
        let mut bulk = Bulk { network, received: 0 };
        let mut engine = Engine::new();
        let connection = bulk.network.open(&mut engine, here, there, config).ok()?;
        let endless = Payload::Synthetic(1 << 50);
        let written = bulk.network.write(&mut engine, connection, Side::Opener, endless);
        written.expect("an open connection");
        let end = Instant::ZERO + Span::from_s(self.seconds);
        engine.run(&mut bulk, Budget::until(end));
        let stats = bulk.network.tcp_stats(connection, Side::Opener);
        Some((stats.segments_sent - stats.delivered, peak::peak_kib()?))
    }

    /// Runs in a process of its own.
    fn measure(&self) -> Option<(u64, u64)> {
        let words = [self.mbit_per_s, self.one_way_ms, self.seconds].map(|number| number.to_string());
        let child = std::process::Command::new(std::env::current_exe().ok()?)
            .arg("memory")
            .args(words)
            .output()
            .ok()?;
        let text = String::from_utf8(child.stdout).ok()?;
        let (packets, kib) = text.trim().split_once(' ')?;
        Some((packets.parse().ok()?, kib.parse().ok()?))
    }
}

/// The child's part of [`Path::measure`], if this is the child.
fn is_child() -> bool {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verb, numbers @ ..] = &words[..] else {
        return false;
    };
    let numbers: Vec<u64> = numbers.iter().filter_map(|word| word.parse().ok()).collect();
    let [mbit_per_s, one_way_ms, seconds] = numbers[..] else {
        return false;
    };
    let path = Path {
        mbit_per_s,
        one_way_ms,
        seconds,
    };
    if let Some((packets, kib)) = path.fill() {
        println!("{packets} {kib}");
    }
    verb == "memory"
}

fn print_memory() {
    let path = |mbit_per_s, one_way_ms, seconds| Path {
        mbit_per_s,
        one_way_ms,
        seconds,
    };
    let idle = path(10_000, 100, 0).measure();
    let full = path(10_000, 100, 6).measure();
    if let (Some((_, before)), Some((packets, peak))) = (idle, full) {
        println!();
        println!(
            "10 Gbit/s, 100 ms one way: {packets} packets in flight, {:.1} MiB more than at rest: {:.0} bytes each",
            (peak - before) as f64 / 1024.0,
            (peak - before) as f64 * 1024.0 / packets.max(1) as f64,
        );
    }
    let lasting = [60, 600].map(|seconds| path(100, 40, seconds).measure());
    if let [Some((_, short)), Some((_, long))] = lasting {
        println!("100 Mbit/s, 40 ms one way: peak {short} KiB after 60 s simulated, {long} KiB after 600 s");
    }
}

fn main() {
    if is_child() {
        return;
    }
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
    print_memory();
}
