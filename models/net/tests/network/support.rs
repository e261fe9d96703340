//! A hand-written event queue and a laboratory around the network: the models need no engine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::schedule::{Class, EntityId, EventId, Schedule, TimerId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_net::link::{LinkSpec, QueueLimit};
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::notice::{ConnectionId, Notice, Side, What};
use longhaul_net::routing::{LinkId, RegionId};

/// 100 Mbit/s, 40 ms, 1,000 frames.
pub const PLAIN: LinkSpec = LinkSpec::fifo(
    BitRate::from_bits_per_s(100_000_000),
    Span::from_ms(40),
    QueueLimit::Packets(1_000),
);

/// Time, identity, target, token, number of the timer.
type Pending = (Instant, EventId, u32, u32, Option<u32>);

/// Pending events in their order.
#[derive(Default)]
pub struct Queue {
    now: Instant,
    heap: BinaryHeap<Reverse<Pending>>,
    counters: BTreeMap<EntityId, u64>,
    timers: u32,
    cancelled: BTreeSet<u32>,
    pub executed: u64,
}

impl Queue {
    fn push(&mut self, at: Instant, class: Class, ids: (EntityId, EntityId), token: u32, timer: Option<u32>) {
        assert!(at >= self.now, "an event in the past");
        let counter = self.counters.entry(ids.0).or_default();
        let id = EventId::new(class, ids.0, *counter);
        *counter += 1;
        self.heap.push(Reverse((at, id, ids.1.index(), token, timer)));
    }

    fn pop(&mut self, until: Instant) -> Option<(EntityId, u32)> {
        while let Some(&Reverse((at, _, target, token, timer))) = self.heap.peek() {
            if at > until {
                self.now = until;
                return None;
            }
            self.heap.pop();
            if timer.is_some_and(|timer| self.cancelled.remove(&timer)) {
                continue;
            }
            self.now = at;
            self.executed += 1;
            return Some((EntityId::new(target), token));
        }
        None
    }

    /// Events that are pending and not cancelled.
    pub fn pending(&self) -> usize {
        self.heap.len() - self.cancelled.len()
    }
}

impl Schedule for Queue {
    fn now(&self) -> Instant {
        self.now
    }

    fn schedule(&mut self, at: Instant, class: Class, source: EntityId, target: EntityId, token: u32) {
        self.push(at, class, (source, target), token, None);
    }

    fn schedule_timer(
        &mut self,
        at: Instant,
        class: Class,
        source: EntityId,
        target: EntityId,
        token: u32,
    ) -> TimerId {
        let slot = self.timers;
        self.timers += 1;
        self.push(at, class, (source, target), token, Some(slot));
        TimerId { slot, generation: 0 }
    }

    fn cancel(&mut self, timer: TimerId) -> bool {
        let pending = self.heap.iter().any(|Reverse(event)| event.4 == Some(timer.slot));
        pending && self.cancelled.insert(timer.slot)
    }
}

/// A network, its events, and everything its applications were told.
pub struct Lab {
    pub network: Network,
    pub queue: Queue,
    pub heard: Vec<(Instant, Notice)>,
}

impl Lab {
    /// Regions `r0`, `r1`, … in a row, joined both ways by links of these kinds: forward, backward.
    pub fn line(seed: u64, hops: &[(LinkSpec, LinkSpec)]) -> Lab {
        let regions: Vec<String> = (0..=hops.len()).map(|i| format!("r{i}")).collect();
        let mut links = vec![];
        for (i, (forward, backward)) in (0u32..).zip(hops.iter().cloned()) {
            let (a, b) = (RegionId(i), RegionId(i + 1));
            links.push(NetworkLink {
                from: a,
                to: b,
                spec: forward,
            });
            links.push(NetworkLink {
                from: b,
                to: a,
                spec: backward,
            });
        }
        Lab {
            network: Network::new(100, &Streams::new(seed, 0), &regions, &links).unwrap(),
            queue: Queue::default(),
            heard: vec![],
        }
    }

    /// Opens a connection from the first region to the last.
    pub fn open(&mut self, config: longhaul_tcp::Config) -> ConnectionId {
        let last = RegionId(self.network.links().count() as u32 / 2);
        let id = self
            .network
            .open(&mut self.queue, RegionId(0), last, config)
            .unwrap();
        self.listen();
        id
    }

    pub fn write(&mut self, connection: ConnectionId, side: Side, payload: impl Into<Payload>) {
        self.network
            .write(&mut self.queue, connection, side, payload.into())
            .unwrap();
        self.listen();
    }

    pub fn shutdown(&mut self, connection: ConnectionId, side: Side) {
        self.network.shutdown(&mut self.queue, connection, side);
        self.listen();
    }

    pub fn abort(&mut self, connection: ConnectionId, side: Side) {
        self.network.abort(&mut self.queue, connection, side);
        self.listen();
    }

    pub fn resume(&mut self, region: RegionId) {
        self.network.resume(&mut self.queue, region);
        self.listen();
    }

    pub fn kill(&mut self, region: RegionId) {
        self.network.kill(&mut self.queue, region);
        self.listen();
    }

    /// Runs until nothing is pending up to `until`; checks conservation at the end and now and then.
    pub fn run(&mut self, until: Instant) {
        while self.step(until) {
            if self.queue.executed.is_multiple_of(1_000) {
                self.network.check();
            }
        }
        self.network.check();
    }

    /// Runs one event; `false` if none is left.
    pub fn step(&mut self, until: Instant) -> bool {
        let Some((target, token)) = self.queue.pop(until) else {
            return false;
        };
        self.network.handle(&mut self.queue, target, token);
        self.listen();
        true
    }

    fn listen(&mut self) {
        while let Some(notice) = self.network.poll_notice() {
            self.heard.push((self.queue.now, notice));
        }
    }

    /// When `side` first heard `what`.
    pub fn when(&self, side: Side, what: &What) -> Option<Instant> {
        let mut found = self
            .heard
            .iter()
            .filter(|(_, notice)| notice.side == side && notice.what == *what);
        found.next().map(|&(at, _)| at)
    }

    /// Pieces that `side` of `connection` received, in order.
    pub fn received(&self, connection: ConnectionId, side: Side) -> Vec<Payload> {
        let on_side = |notice: &&Notice| (notice.connection, notice.side) == (connection, side);
        let notices = self.heard.iter().map(|(_, notice)| notice).filter(on_side);
        notices
            .filter_map(|notice| match &notice.what {
                What::Received(piece) => Some(piece.clone()),
                _ => None,
            })
            .collect()
    }

    /// Packets that a link was offered.
    pub fn offered(&self, link: u32) -> u64 {
        self.network.link(LinkId(link)).stats().offered.packets
    }

    /// Bytes that `side` of `connection` received.
    pub fn received_bytes(&self, connection: ConnectionId, side: Side) -> u64 {
        self.received(connection, side).iter().map(Payload::len).sum()
    }
}
