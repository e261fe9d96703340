//! What moves: opening connections, payload in and out, events.

use longhaul_core::machine::CloseReason;
use longhaul_core::payload::Payload;
use longhaul_core::schedule::{EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_net::network::{OpenError, WriteError};
use longhaul_net::notice::{ConnectionId, Side, What};
use longhaul_net::routing::{LinkId, RegionId, RouteError};
use longhaul_tcp::{Config, Controller};

use super::half::{Half, Item};
use super::link::{Path, mean_jitter, mean_loss};
use super::{Flow, Network, Slot};
use crate::control::Governor;
use crate::losses::Losses;
use crate::pace::seconds;
use crate::sender::{Conditions, Line, Progress, Sawtooth, Sender};

/// Headers of a data segment, and a SYN, on the wire.
const HEADER_BYTES: u32 = 66;
const SYN_BYTES: f64 = 74.0;
/// First timeout of a SYN, and how often it is sent again (`tcp_syn_retries`).
const SYN_TIMEOUT: Span = Span::from_s(1);
const SYN_RETRIES: u32 = 6;

impl Network {
    /// Opens a connection between two regions; both sides have the same options. It keeps the routes of this
    /// moment, one there and one back.
    ///
    /// With [`Config::segmentation_offload`] the first link of a route is the sender's own device: bursts are one
    /// frame to its queue and loss law, and TCP hears at once of what its full queue refuses.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    ///
    /// # Panics
    /// If one of the regions is not of this network.
    pub fn open<S: Schedule>(
        &mut self,
        schedule: &mut S,
        from: RegionId,
        to: RegionId,
        config: Config,
    ) -> Result<ConnectionId, OpenError> {
        config.check()?;
        self.topology.admit(from, to, self.slots.len())?;
        let there = self.path(from, to)?;
        let back = self.path(to, from)?;
        let now = schedule.now();
        // Below 2^24, as just checked.
        let id = ConnectionId((self.slots.len() / 2) as u32);
        for (path, back) in [(there, back), (back, there)] {
            let half = self.half(path, back, &config, now);
            self.slots.push(Slot::Open(Box::new(half)));
        }
        self.shake_hands(schedule, Flow::new(id, Side::Opener), there, back);
        Ok(id)
    }

    /// The path between two regions; each is computed once and kept.
    fn path(&mut self, from: RegionId, to: RegionId) -> Result<u32, RouteError> {
        if let Some(&known) = self.by_ends.get(&(from.0, to.0)) {
            return Ok(known);
        }
        let route = self.topology.graph().route(from, to)?;
        let links: Box<[u32]> = route.links.iter().map(|link| link.0).collect();
        let spec = |link: &u32| &self.links[*link as usize].spec;
        let delay = links.iter().map(spec).fold(Span::ZERO, |sum, spec| {
            sum.saturating_add(spec.delay)
                .saturating_add(mean_jitter(&spec.jitter))
        });
        let slowest = links.iter().copied().min_by_key(|link| spec(link).rate);
        let losses = links.iter().map(|link| mean_loss(spec(link).loss)).collect();
        // Below 2^32: pairs of regions that have connections.
        let id = self.paths.len() as u32;
        self.paths.push(Path {
            slowest: slowest.expect("a route between two regions has a link"),
            links,
            delay,
            opened: 0,
            losses,
            closed: Progress::default(),
        });
        self.by_ends.insert((from.0, to.0), id);
        Ok(id)
    }

    fn half(&mut self, path: u32, back: u32, config: &Config, now: Instant) -> Half {
        let place = self.paths[path as usize].opened;
        self.paths[path as usize].opened += 1;
        let this = &self.paths[path as usize];
        let frame = f64::from(config.mss + HEADER_BYTES);
        let slowest = &self.links[this.slowest as usize];
        let at_slowest = seconds(frame / slowest.capacity);
        let one_way = self.crossing_time(path, frame).saturating_sub(at_slowest);
        let acknowledged = self.crossing_time(back, f64::from(HEADER_BYTES));
        let rtt = one_way.saturating_add(at_slowest).saturating_add(acknowledged);
        let limit = config.send_buffer.min(config.receive_buffer) / u64::from(config.mss);
        let line = Line {
            rtt: rtt.max(Span::from_us(1)),
            one_way,
            mss: config.mss,
            frame,
            // At most 2^30 / 64.
            limit: limit.max(1) as u32,
            offload: config.segmentation_offload,
        };
        let laws = this.links.iter().map(|link| self.links[*link as usize].spec.loss);
        let (first, last) = (this.links[0], this.links[this.links.len() - 1]);
        let losses = Losses::new(laws, || {
            let (first, last) = (
                self.topology.name(LinkId(first)),
                self.topology.name(LinkId(last)),
            );
            self.streams
                .stream(&format!("{first} .. {last} flow {place}"), "loss")
        });
        let governor = Governor::new(config, now, line.rtt);
        let sawtooth = match config.controller {
            Controller::Reno => Some(Sawtooth::Reno),
            Controller::Cubic => Some(Sawtooth::Cubic),
            Controller::Bbr => None,
        };
        let alone = Conditions {
            share: slowest.capacity,
            room: slowest.room(frame, 0.0, line.offload && this.slowest == first),
            interleaved: 1.0,
            between: 0.0,
            wait: Span::ZERO,
            crowd: None,
        };
        Half::new(
            Sender::new(line, governor, sawtooth, losses.map(Box::new)),
            path,
            alone,
            config,
        )
    }

    /// One way of a frame of this size on the idle path.
    fn crossing_time(&self, path: u32, bytes: f64) -> Span {
        let path = &self.paths[path as usize];
        let time = |link: &u32| seconds(bytes / self.links[*link as usize].capacity);
        path.links.iter().map(time).fold(path.delay, Span::saturating_add)
    }

    /// Plans when the handshake is over: SYNs until one arrives whose answer arrives.
    fn shake_hands<S: Schedule>(&mut self, schedule: &mut S, opener: Flow, there: u32, back: u32) {
        let way = self.crossing_time(there, SYN_BYTES);
        let round_trip = way.saturating_add(self.crossing_time(back, SYN_BYTES));
        let mut sent = schedule.now();
        let mut timeout = SYN_TIMEOUT;
        let mut retries = 0;
        let arrived = loop {
            let both = self.active(opener).sender.control_frame_arrives()
                && self.active(opener.peer()).sender.control_frame_arrives();
            if both {
                break true;
            }
            sent = sent.saturating_add(timeout);
            timeout = timeout.saturating_mul(2);
            retries += 1;
            if retries > SYN_RETRIES {
                break false;
            }
        };
        let entity = self.entity(opener);
        let half = self.active(opener);
        half.sender.stats.segments_sent += u64::from(retries);
        half.sender.stats.retransmits += u64::from(retries.min(SYN_RETRIES));
        if arrived {
            half.plan(sent.saturating_add(round_trip), Item::Opened);
        } else {
            half.plan(sent, Item::Unreachable);
        }
        half.arm(schedule, entity);
    }

    /// Hands payload over on one side, also before the connection is established. TCP takes what fits in its send
    /// buffer, the rest waits; [`What::Sent`] tells how many bytes TCP has taken.
    ///
    /// The end of each write is delivered at its own time; what lies between is delivered with the next such end, or
    /// every few thousand round trips.
    ///
    /// # Errors
    /// If the connection is closed or the side was shut down; the payload is gone then.
    ///
    /// # Panics
    /// If the connection was never opened, or more than 2^64 bytes are written on one.
    pub fn write<S: Schedule>(
        &mut self,
        schedule: &mut S,
        connection: ConnectionId,
        side: Side,
        payload: Payload,
    ) -> Result<(), WriteError> {
        let flow = Flow::new(connection, side);
        let Some(half) = self.half_mut(flow).filter(|half| !half.closed) else {
            return Err(WriteError::Closed);
        };
        if half.shutdown {
            return Err(WriteError::Shutdown);
        }
        let bytes = payload.len();
        if bytes == 0 {
            return Ok(());
        }
        half.outbox.push(payload);
        let moved = half.pump();
        if moved > 0 {
            self.notify(flow, What::Sent(moved));
        }
        self.send(schedule, flow, bytes);
        Ok(())
    }

    /// `bytes` more wait to be sent.
    fn send<S: Schedule>(&mut self, schedule: &mut S, flow: Flow, bytes: u64) {
        let entity = self.entity(flow);
        let now = schedule.now();
        let half = self.active(flow);
        if let Some(seat) = half.seat {
            half.sender.write(bytes);
            self.extend(schedule, flow, seat);
            self.update_potential(schedule, flow);
        } else if half.active {
            if half.write_alone(now, bytes) {
                half.run_ahead(now);
            }
            half.arm(schedule, entity);
            self.update_potential(schedule, flow);
        } else {
            half.write_alone(now, bytes);
            if half.established {
                self.activate(schedule, flow);
            }
        }
    }

    /// Handles an event that a connection of this network has scheduled.
    ///
    /// # Panics
    /// If the target is no side of a connection of this network.
    pub fn handle<S: Schedule>(&mut self, schedule: &mut S, target: EntityId, token: u32) {
        if let Some(group) = token.checked_sub(1) {
            self.step(schedule, group);
            return;
        }
        let flow = target.index().checked_sub(self.topology.side(0).index());
        let flow = Flow(flow.expect("an event for an entity before the connections"));
        let now = schedule.now();
        let Some(half) = self.half_mut(flow) else { return };
        half.fired();
        while let Some(item) = self.half_mut(flow).and_then(|half| half.due_item(now)) {
            self.happens(schedule, flow, item);
        }
        self.deliver(schedule, flow);
        let entity = self.entity(flow);
        let Some(half) = self.half_mut(flow) else { return };
        if half.sender.failed.is_some_and(|at| at <= now) {
            self.fail(schedule, flow);
            return;
        }
        if half.active && half.seat.is_none() {
            half.run_ahead(now);
        }
        if half.active && half.sender.is_done() {
            self.deactivate(schedule, flow);
        }
        if let Some(half) = self.half_mut(flow) {
            half.arm(schedule, entity);
        }
    }

    /// Passes on what reaches the peer now.
    fn deliver<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let now = schedule.now();
        while let Some(half) = self.half_mut(flow) {
            let Some(delivery) = half.sender.deliveries.front().copied() else {
                return;
            };
            if delivery.at > now {
                return;
            }
            half.sender.deliveries.pop_front();
            let mut pieces = Vec::new();
            let moved = half.arrived(delivery.upto, |piece| pieces.push(piece));
            let finished = half.shutdown && half.sender.is_done();
            for piece in pieces {
                self.notify(flow.peer(), What::Received(piece));
            }
            if moved > 0 {
                self.notify(flow, What::Sent(moved));
            }
            if finished {
                self.fin_arrives(schedule, flow);
            }
        }
    }

    fn happens<S: Schedule>(&mut self, schedule: &mut S, flow: Flow, item: Item) {
        match item {
            Item::Opened => {
                self.establish(schedule, flow, What::Opened);
                let path = self.active(flow).path;
                let at = schedule.now().saturating_add(self.paths[path as usize].delay);
                let entity = self.entity(flow.peer());
                let peer = self.active(flow.peer());
                peer.plan(at, Item::Accepted);
                peer.arm(schedule, entity);
            }
            Item::Accepted => self.establish(schedule, flow, What::Accepted),
            Item::Unreachable => self.fail(schedule, flow),
            Item::FinArrives => self.fin_arrives(schedule, flow),
            Item::FinAcked => {
                self.active(flow).fin_acked = true;
                self.close_if_over(schedule, flow);
            }
            Item::Reset => {
                if self.active(flow).established {
                    self.notify(flow, What::Closed(CloseReason::Failed));
                }
                self.give_up(schedule, flow);
            }
        }
    }

    fn establish<S: Schedule>(&mut self, schedule: &mut S, flow: Flow, what: What) {
        self.notify(flow, what);
        let half = self.active(flow);
        half.established = true;
        if half.sender.has_unsent() {
            self.activate(schedule, flow);
        } else if half.shutdown {
            self.send_fin(schedule, flow);
        }
    }
}
