//! Bulk transfers over a network of either fidelity.

use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::{Budget, Engine, Event, World};
use longhaul_net::jitter::Jitter;
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::network::NetworkLink;
use longhaul_net::notice::{ConnectionId, Notice, Side, What};
use longhaul_net::routing::RegionId;
use longhaul_tcp::{Config, Controller};

/// 100 Mbit/s, 40 ms one way, room for 1,000 packets.
pub const PLAIN: LinkSpec = LinkSpec::fifo(
    BitRate::from_bits_per_s(100_000_000),
    Span::from_ms(40),
    QueueLimit::Packets(1_000),
);

pub const RENO: Config = Config {
    controller: Controller::Reno,
    ..CUBIC
};

pub const CUBIC: Config = Config {
    mss: 1448,
    initial_window_segments: 10,
    send_buffer: 256 << 20,
    notsent_lowat: u64::MAX,
    receive_buffer: 128 << 20,
    controller: Controller::Cubic,
    hystart: true,
    segmentation_offload: false,
    autotuning: false,
    ecn: false,
    seed: 0,
};

/// The first entity of the network; the one before it starts transfers.
const FIRST: u32 = 1;

/// What the two fidelities have in common.
pub trait Fidelity: Sized {
    fn new(streams: &Streams, regions: &[String], links: &[NetworkLink]) -> Self;
    fn open(&mut self, engine: &mut Engine, transfer: &Transfer) -> ConnectionId;
    fn write(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side, bytes: u64);
    fn shutdown(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side);
    fn handle(&mut self, engine: &mut Engine, event: &Event);
    fn poll(&mut self) -> Option<Notice>;
    fn check(&self);
}

macro_rules! fidelity {
    ($network:ty) => {
        impl Fidelity for $network {
            fn new(streams: &Streams, regions: &[String], links: &[NetworkLink]) -> Self {
                <$network>::new(FIRST, streams, regions, links).expect("a valid network")
            }
            fn open(&mut self, engine: &mut Engine, transfer: &Transfer) -> ConnectionId {
                let (from, to) = (RegionId(transfer.from), RegionId(transfer.to));
                <$network>::open(self, engine, from, to, transfer.config).expect("a route")
            }
            fn write(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side, bytes: u64) {
                <$network>::write(self, engine, connection, side, Payload::Synthetic(bytes)).expect("open");
            }
            fn shutdown(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side) {
                <$network>::shutdown(self, engine, connection, side);
            }
            fn handle(&mut self, engine: &mut Engine, event: &Event) {
                <$network>::handle(self, engine, event.target, event.token);
            }
            fn poll(&mut self) -> Option<Notice> {
                self.poll_notice()
            }
            fn check(&self) {
                <$network>::check(self);
            }
        }
    };
}

fidelity!(FlowNetwork);
fidelity!(PacketNetwork);

/// A transfer and what became of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transfer {
    pub from: u32,
    pub to: u32,
    pub bytes: u64,
    pub start: Instant,
    pub config: Config,
    pub opened: Option<Instant>,
    pub received: u64,
    /// When the receiver had read everything.
    pub read: Option<Instant>,
    /// When the sender saw the receiver's close.
    pub completed: Option<Instant>,
    pub failed: bool,
}

impl Transfer {
    pub fn new(from: u32, to: u32, bytes: u64, config: Config) -> Transfer {
        Transfer {
            from,
            to,
            bytes,
            start: Instant::ZERO,
            config,
            opened: None,
            received: 0,
            read: None,
            completed: None,
            failed: false,
        }
    }

    pub fn at(mut self, start: Span) -> Transfer {
        self.start = Instant::ZERO + start;
        self
    }

    pub fn seconds(&self) -> f64 {
        self.completed
            .map_or(f64::INFINITY, |end| end.saturating_since(self.start).as_s_f64())
    }
}

/// A network with transfers on it.
pub struct Lab<N> {
    pub network: N,
    pub transfers: Vec<Transfer>,
    /// Events of the last run.
    pub executed: u64,
    /// Transfer by connection.
    index: Vec<usize>,
}

/// A directed link and its way back without limits.
pub fn pair(from: u32, to: u32, spec: &LinkSpec) -> [NetworkLink; 2] {
    let back = LinkSpec {
        rate: BitRate::from_bits_per_s(1_000_000_000_000),
        queue: Queue::Fifo(QueueLimit::Packets(1_000_000)),
        loss: Loss::None,
        jitter: Jitter::None,
        ..spec.clone()
    };
    let (from, to) = (RegionId(from), RegionId(to));
    [
        NetworkLink {
            from,
            to,
            spec: spec.clone(),
        },
        NetworkLink {
            from: to,
            to: from,
            spec: back,
        },
    ]
}

impl<N: Fidelity> Lab<N> {
    pub fn new(seed: u64, replication: u32, regions: u32, links: &[NetworkLink]) -> Lab<N> {
        let names: Vec<String> = (0..regions).map(|region| format!("r{region}")).collect();
        Lab {
            network: N::new(&Streams::new(seed, replication), &names, links),
            transfers: Vec::new(),
            executed: 0,
            index: Vec::new(),
        }
    }

    /// Runs all transfers to their end, at most until `until`.
    pub fn run(&mut self, transfers: &[Transfer], until: Span) {
        self.transfers = transfers.to_vec();
        let mut engine = Engine::new();
        let starter = EntityId::new(0);
        for (token, transfer) in (0..).zip(transfers) {
            engine.schedule(transfer.start, Class::World, starter, starter, token);
        }
        engine.run(self, Budget::until(Instant::ZERO + until));
        self.network.check();
        self.executed = engine.executed();
    }

    fn notice(&mut self, engine: &mut Engine, notice: Notice) {
        let Notice {
            connection,
            side,
            what,
        } = notice;
        let transfer = &mut self.transfers[self.index[connection.0 as usize]];
        match (side, what) {
            (Side::Opener, What::Opened) => {
                transfer.opened = Some(engine.now());
                self.network.write(engine, connection, side, transfer.bytes);
                self.network.shutdown(engine, connection, side);
            }
            (Side::Acceptor, What::Received(piece)) => transfer.received += piece.len(),
            (Side::Acceptor, What::PeerFinished) => {
                transfer.read = Some(engine.now());
                assert_eq!(transfer.received, transfer.bytes, "the end before the data");
                self.network.shutdown(engine, connection, side);
            }
            (Side::Opener, What::PeerFinished) => transfer.completed = Some(engine.now()),
            (_, What::Closed(longhaul_core::machine::CloseReason::Failed)) => transfer.failed = true,
            _ => {}
        }
    }
}

impl<N: Fidelity> World for Lab<N> {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        if event.target.index() == 0 {
            let transfer = self.transfers[event.token as usize];
            self.network.open(engine, &transfer);
            self.index.push(event.token as usize);
        } else {
            self.network.handle(engine, event);
        }
        while let Some(notice) = self.network.poll() {
            self.notice(engine, notice);
        }
    }
}

/// One transfer over one link and back.
pub fn single<N: Fidelity>(spec: &LinkSpec, config: Config, bytes: u64, replication: u32) -> Transfer {
    let mut lab: Lab<N> = Lab::new(3, replication, 2, &pair(0, 1, spec));
    lab.run(&[Transfer::new(0, 1, bytes, config)], Span::from_s(40_000));
    lab.transfers[0]
}

pub type FlowLab = Lab<longhaul_flow::network::Network>;
pub type FlowNetwork = longhaul_flow::network::Network;
pub type PacketNetwork = longhaul_net::network::Network;

pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() - 1) as f64 * q;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    if low == high || values[low] == values[high] {
        return values[low];
    }
    values[low] + (values[high] - values[low]) * (place - place.floor())
}
