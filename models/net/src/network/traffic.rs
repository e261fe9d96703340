//! What moves: opening and closing connections, payload in and out, events of links and timers.

use longhaul_core::machine::CloseReason;
use longhaul_core::payload::Payload;
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::Instant;
use longhaul_tcp::{Config, Connection, Event};

use crate::endpoint::{Endpoint, Shutdown};
use crate::link::{Link, Offer};
use crate::network::datagrams::FIRST_SOCKET;
use crate::network::{Flow, Network, OpenError, Origin, Packet, Slot, WriteError};
use crate::notice::{ConnectionId, Side, What};
use crate::routing::{LinkId, RegionId};
use crate::way::Way;

impl Network {
    /// Opens a connection between two regions; both sides have the same options.
    ///
    /// With [`Config::segmentation_offload`] the first link of a route is the sender's own device, so TCP
    /// hears at once of what its full queue drops, and how long it holds what it took; otherwise a router is in
    /// between and TCP has to find out.
    ///
    /// Segments are no longer than the links of both routes carry at the moment, as path MTU discovery (RFC 1191) has found
    /// out before. ICMP is not modelled: what a later route does not carry is lost.
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
        self.open_in_class(schedule, from, to, config, 0)
    }

    /// The same for a connection whose packets belong to a traffic class, which HTB queues on the way sort them
    /// by. [`Network::open`] opens in class 0.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    ///
    /// # Panics
    /// If one of the regions is not of this network.
    pub fn open_in_class<S: Schedule>(
        &mut self,
        schedule: &mut S,
        from: RegionId,
        to: RegionId,
        config: Config,
        class: u8,
    ) -> Result<ConnectionId, OpenError> {
        self.admit(from, to, &config)?;
        self.forwarding.serve(self.topology.graph(), from, to)?;
        self.forwarding.serve(self.topology.graph(), to, from)?;
        let config = Config {
            mss: config.mss.min(self.mss_between(schedule.now(), from, to)),
            ..config
        };
        let ways = [Way::to(to), Way::to(from)];
        Ok(self.connect(schedule, (from, to), config, class, ways))
    }

    /// The same for a connection whose two sides, the opener's first, send by these ways.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    ///
    /// # Panics
    /// If one of the regions is not of this network, or a way does not end at the other.
    pub fn open_by<S: Schedule>(
        &mut self,
        schedule: &mut S,
        (from, to): (RegionId, RegionId),
        config: Config,
        class: u8,
        ways: [Way; 2],
    ) -> Result<ConnectionId, OpenError> {
        assert_eq!(
            ways.map(|way| self.forwarding.column(way).end()),
            [to, from],
            "ways to the peers"
        );
        self.admit(from, to, &config)?;
        Ok(self.connect(schedule, (from, to), config, class, ways))
    }

    /// Whether there is room for another connection between two regions.
    fn admit(&self, from: RegionId, to: RegionId, config: &Config) -> Result<(), OpenError> {
        config.check()?;
        self.topology.admit(from, to, self.slots.len())?;
        if self.slots.len() + 2 > FIRST_SOCKET as usize {
            return Err(OpenError::TooManyConnections);
        }
        Ok(())
    }

    fn connect<S: Schedule>(
        &mut self,
        schedule: &mut S,
        (from, to): (RegionId, RegionId),
        config: Config,
        class: u8,
        [there, back]: [Way; 2],
    ) -> ConnectionId {
        // Below 2^24, as was checked.
        let id = ConnectionId((self.slots.len() / 2) as u32);
        let opener = Connection::connect(config, schedule.now());
        let acceptor = Connection::listen(config);
        for (tcp, here, way) in [(opener, from, there), (acceptor, to, back)] {
            let mut endpoint = Endpoint::new(tcp, here, way, config.segmentation_offload, class);
            self.processes[here.0 as usize].take_on(&mut endpoint);
            self.slots.push(Slot::Open(Box::new(endpoint)));
        }
        self.settle(schedule, Flow::new(id, Side::Opener));
        id
    }

    /// Hands payload over on one side, also before the connection is established. TCP takes what fits in its
    /// send buffer, the rest waits; [`What::Sent`] tells how many bytes TCP has taken.
    ///
    /// # Errors
    /// If the connection is closed or the side was shut down; the payload is gone then.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn write<S: Schedule>(
        &mut self,
        schedule: &mut S,
        connection: ConnectionId,
        side: Side,
        payload: Payload,
    ) -> Result<(), WriteError> {
        self.gather(connection, side, payload)?;
        self.flush(schedule, connection, side);
        Ok(())
    }

    /// Like [`Network::write`] as one piece of several that the application hands over in one call (`writev(2)`): TCP
    /// sees none of them before [`Network::flush`], so that small ones share a segment.
    ///
    /// # Errors
    /// If the connection is closed or the side was shut down; the payload is gone then.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn gather(
        &mut self,
        connection: ConnectionId,
        side: Side,
        payload: Payload,
    ) -> Result<(), WriteError> {
        let flow = Flow::new(connection, side);
        let endpoint = self.endpoint_mut(flow).filter(|endpoint| !endpoint.closed);
        let Some(endpoint) = endpoint else {
            return Err(WriteError::Closed);
        };
        if endpoint.outgoing.shutdown != Shutdown::Open {
            return Err(WriteError::Shutdown);
        }
        endpoint.outgoing.outbox.push(payload);
        Ok(())
    }

    /// Hands to TCP what was gathered on one side. Harmless when repeated or when the connection is closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn flush<S: Schedule>(&mut self, schedule: &mut S, connection: ConnectionId, side: Side) {
        let flow = Flow::new(connection, side);
        if self.endpoint_mut(flow).is_some_and(|endpoint| !endpoint.closed) {
            self.pump(schedule.now(), flow);
            self.settle(schedule, flow);
        }
    }

    /// Nothing more will be written on this side; what was written is still sent. Harmless when repeated or
    /// when the connection is closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn shutdown<S: Schedule>(&mut self, schedule: &mut S, connection: ConnectionId, side: Side) {
        let flow = Flow::new(connection, side);
        let Some(endpoint) = self.endpoint_mut(flow) else {
            return;
        };
        if endpoint.closed || endpoint.outgoing.shutdown != Shutdown::Open {
            return;
        }
        endpoint.outgoing.shutdown = Shutdown::Wanted;
        self.pump(schedule.now(), flow);
        self.settle(schedule, flow);
    }

    /// Gives the connection up on this side; the peer hears of it when the reset arrives. Harmless when the
    /// connection is closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn abort<S: Schedule>(&mut self, schedule: &mut S, connection: ConnectionId, side: Side) {
        let flow = Flow::new(connection, side);
        let endpoint = self.endpoint_mut(flow).filter(|endpoint| !endpoint.closed);
        let Some(endpoint) = endpoint else { return };
        endpoint.tcp.abort(schedule.now());
        self.settle(schedule, flow);
    }

    /// Handles an event that a link or a connection of this network has scheduled.
    ///
    /// # Panics
    /// If the target is no entity of this network.
    pub fn handle<S: Schedule>(&mut self, schedule: &mut S, target: EntityId, token: u32) {
        let index = target.index().checked_sub(self.topology.first_entity());
        let index = index.expect("an event for an entity before the network's") as usize;
        match index.checked_sub(self.links.len()) {
            // What a link asked for before it failed is void.
            None if token != self.links[index].term() => {}
            None => self.arrival(schedule, index),
            // Below 2^24, as every entity.
            Some(flow) => self.timer(schedule, Flow(flow as u32)),
        }
    }

    /// A frame reaches the far end of a link, or something moves inside it.
    fn arrival<S: Schedule>(&mut self, schedule: &mut S, index: usize) {
        let link = &mut self.links[index];
        let packet = link.pop_arrival(schedule.now());
        // Before the packet goes on: what it causes may be offered to this very link.
        if let Some(next) = link.next_event() {
            schedule_arrival(schedule, self.topology.first_entity(), index, link.term(), next);
        }
        let Some(packet) = packet else { return };
        // Below 2^32, as links are counted.
        let here = self.topology.far_end(LinkId(index as u32));
        if here != self.forwarding.column(packet.way).end() {
            self.forward(schedule, here, packet);
            return;
        }
        if packet.damaged {
            self.discarded.add(packet.frame_bytes());
            return;
        }
        let from = packet.origin.flow();
        if from.is_socket() {
            self.arrive_datagram(&packet);
            return;
        }
        if packet.segment.len > 0 {
            self.note_landing(from, packet.way);
        }
        let flow = from.peer();
        // Segments can outlive their connection; a host without it ignores them.
        let Slot::Open(endpoint) = &mut self.slots[flow.0 as usize] else {
            return;
        };
        endpoint.tcp.on_segment(schedule.now(), &packet.segment);
        self.settle(schedule, flow);
    }

    /// A side's timer event.
    fn timer<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let entity = self.entity(flow);
        let Some(endpoint) = self.endpoint_mut(flow) else {
            return;
        };
        if endpoint.fire(schedule.now()) {
            self.settle(schedule, flow);
        } else {
            endpoint.arm(schedule, entity);
        }
    }

    /// Takes everything out of one side's TCP after it was given something: events, segments, the deadline.
    pub(super) fn settle<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let now = schedule.now();
        let mut ended = false;
        let mut event = self
            .endpoint_mut(flow)
            .and_then(|endpoint| endpoint.tcp.poll_event());
        loop {
            while let Some(told) = event {
                ended |= self.event(now, flow, told);
                event = self
                    .endpoint_mut(flow)
                    .and_then(|endpoint| endpoint.tcp.poll_event());
            }
            event = self.send(schedule, flow);
            if event.is_none() {
                break;
            }
        }
        if ended {
            self.release_if_over(schedule, flow);
        }
    }

    /// Puts everything that one side's TCP wants to send on the first link. Returns what TCP then has to tell: what
    /// has been sent makes room for what the application has waiting. If that is nothing, TCP is settled and its
    /// deadline stands.
    fn send<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) -> Option<Event> {
        let now = schedule.now();
        let entity = self.entity(flow);
        let Slot::Open(endpoint) = &mut self.slots[flow.0 as usize] else {
            return None;
        };
        let column = self.forwarding.column(endpoint.way);
        let first_link = column.first(endpoint.here, u64::from(flow.0));
        self.mtus.move_to(now);
        while let Some(segment) = endpoint.tcp.poll_segment(now) {
            let mut packet = Packet {
                origin: Origin::new(flow, endpoint.class),
                way: endpoint.way,
                segment,
                damaged: false,
            };
            let Some(first_link) = first_link else {
                self.unrouted.add(packet.frame_bytes());
                continue;
            };
            column.cut(&mut packet);
            let bytes = column.wire_bytes(packet.frame_bytes(), packet.packets());
            if !column.fits(&packet, self.mtus.of(first_link)) {
                self.oversized.add(bytes);
                continue;
            }
            let offer = transmit(
                schedule,
                self.topology.first_entity(),
                &mut self.links,
                first_link,
                packet,
                bytes,
            );
            if endpoint.own_device {
                match offer {
                    Offer::DroppedFull => endpoint.tcp.on_local_drop(now),
                    Offer::Accepted { .. } => {
                        let link = &self.links[first_link.0 as usize];
                        if let Some(departure) = link.last_departure() {
                            endpoint.tcp.on_local_queue(departure);
                        }
                    }
                    Offer::LostByLaw | Offer::LostDown => {}
                }
            }
        }
        let event = endpoint.tcp.poll_event();
        if event.is_none() {
            endpoint.arm(schedule, entity);
        }
        event
    }

    /// Passes on what TCP tells one side. Returns whether that ends the connection for it.
    fn event(&mut self, now: Instant, flow: Flow, event: Event) -> bool {
        let what = match event {
            Event::Established if flow.0 & 1 == 0 => What::Opened,
            Event::Established => What::Accepted,
            Event::Received(bytes) => {
                self.receive(flow, bytes);
                return false;
            }
            Event::SendSpace => {
                self.pump(now, flow);
                return false;
            }
            Event::PeerFinished => What::PeerFinished,
            Event::Closed => What::Closed(CloseReason::Finished),
            Event::Failed(_) => What::Closed(CloseReason::Failed),
        };
        let ended = matches!(what, What::Closed(_));
        if let Some(endpoint) = self.endpoint_mut(flow) {
            endpoint.closed |= ended;
        }
        self.notices.push_back(flow.notice(what));
        ended
    }

    /// Takes `bytes` bytes that arrived at `flow` in order out of the sender's pipe.
    fn receive(&mut self, flow: Flow, mut bytes: u64) {
        let Slot::Open(sender) = &mut self.slots[flow.peer().0 as usize] else {
            unreachable!("both sides of a connection are released together")
        };
        while let Some(piece) = sender.arrived(bytes) {
            bytes -= piece.len();
            self.notices.push_back(flow.notice(What::Received(piece)));
        }
        assert!(bytes == 0, "TCP delivered {bytes} bytes that nobody wrote");
    }

    fn pump(&mut self, now: Instant, flow: Flow) {
        let moved = self.endpoint_mut(flow).map_or(0, |endpoint| endpoint.pump(now));
        if moved > 0 {
            self.notices.push_back(flow.notice(What::Sent(moved)));
        }
    }

    /// Releases a connection once nobody needs it. A closed side stays as long as the other is open, to answer
    /// what that repeats; an acceptor that no segment has ever reached is no connection.
    pub(super) fn release_if_over<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let both = [flow, flow.peer()];
        let mut over = |flow: Flow| {
            let acceptor = flow.0 & 1 == 1;
            self.endpoint_mut(flow).is_some_and(|endpoint| {
                endpoint.closed || (acceptor && endpoint.tcp.stats().segments_received == 0)
            })
        };
        if !both.into_iter().all(&mut over) {
            return;
        }
        for flow in both {
            if let Some(endpoint) = self.endpoint_mut(flow) {
                endpoint.disarm(schedule);
                let stats = endpoint.tcp.stats();
                self.slots[flow.0 as usize] = Slot::Closed(Box::new(stats));
            }
        }
    }
}

/// Offers a packet, so many bytes on the wire, to a link and schedules its arrival if it is the link's next.
#[inline]
pub(super) fn transmit<S: Schedule>(
    schedule: &mut S,
    first_entity: u32,
    links: &mut [Link<Packet>],
    link: LinkId,
    packet: Packet,
    bytes: u32,
) -> Offer {
    let index = link.0 as usize;
    let offer = links[index].offer(schedule.now(), packet, bytes);
    if let Offer::Accepted { schedule: Some(at) } = offer {
        schedule_arrival(schedule, first_entity, index, links[index].term(), at);
    }
    offer
}

#[inline]
fn schedule_arrival<S: Schedule>(schedule: &mut S, first_entity: u32, index: usize, term: u32, at: Instant) {
    // `Network::new` refuses more links than there are entities.
    let entity = EntityId::new(first_entity + index as u32);
    schedule.schedule(at, Class::Arrival, entity, entity, term);
}
