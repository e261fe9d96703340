//! Connecting, listening, and noticing that a peer is gone.

use longhaul_core::machine::{CloseReason, Output, PathInfo, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::Instant;
use longhaul_hde::dictionary::Dictionary;

use super::Cluster;
use crate::ClusterId;
use crate::connection::Connection;
use crate::event::{Event, Lost};
use crate::handshake::{CAN_AMST, CAN_CONSENSUS, CAN_HDE, CAN_RECONCILE, Hello, PROTOCOL, Refused, Welcome};
use crate::options::MAX_VALUE_BYTES;
use crate::peer::{Peer, Phase};
use crate::planted::Planted;
use crate::wire::{DataStream, Frame, FrameReader};

/// What a stream is for.
pub(super) enum Use {
    /// Control of a connection that is up, or that is being dialled.
    Control(ClusterId),
    /// Data to a peer; its number in the transport.
    Out(ClusterId, StreamId),
    /// Data from a peer.
    In(ClusterId),
    /// Somebody opened it and has not said who they are.
    Stranger { reader: FrameReader, until: Instant },
}

impl Cluster {
    /// Dials whom it is time to dial, gives up what takes too long, and asks those who are silent.
    pub(super) fn dial_and_listen(&mut self) {
        let now = self.now;
        let late: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, use_)| matches!(use_, Use::Stranger { until, .. } if *until <= now))
            .map(|(stream, _)| *stream)
            .collect();
        late.into_iter().for_each(|stream| self.hang_up(stream));
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let options = self.setup.options.connection;
            let peer = self.peers.get_mut(&id).expect("a peer");
            match &mut peer.phase {
                Phase::Waiting { dial_at } if *dial_at <= now => self.dial(id),
                Phase::Dialling { until, .. } if *until <= now => self.dial_failed(id),
                Phase::Up(connection) => {
                    if connection
                        .owes_since
                        .is_some_and(|since| since.saturating_add(options.answer_timeout) <= now)
                    {
                        self.lose(id, Lost::Silent);
                    } else if connection.next_keepalive <= now {
                        connection.next_keepalive = now.saturating_add(options.keepalive);
                        let number = connection.keepalive.map_or(1, |(number, _)| number + 1);
                        connection.keepalive = Some((number, now));
                        connection.expect_answer(now);
                        self.tell(id, &Frame::Keepalive { number });
                    }
                }
                Phase::Waiting { .. } | Phase::Dialling { .. } | Phase::Listening => {}
            }
        }
    }

    /// When one of these things is due for a peer, or something that it is served with.
    pub(super) fn peer_wake(&self, peer: &Peer) -> Option<(Instant, &'static str)> {
        let answer_timeout = self.setup.options.connection.answer_timeout;
        let of_phase = match &peer.phase {
            Phase::Waiting { dial_at } => Some((*dial_at, "dial")),
            Phase::Dialling { until, .. } => Some((*until, "dialling")),
            Phase::Listening => None,
            Phase::Up(connection) => {
                let owed = connection.owes_since;
                let owed = owed.map(|since| (since.saturating_add(answer_timeout), "answer"));
                let encoded = peer.encoded.front().filter(|_| connection.takes_data());
                let all = [
                    Some((connection.next_keepalive, "keepalive")),
                    owed,
                    connection.wake_at(),
                    encoded.map(|encoded| (encoded.ready, "encoding")),
                    peer.hde_wake.map(|at| (at, "objects")),
                    peer.recovery
                        .and_then(|recovery| recovery.late_at)
                        .map(|at| (at, "recovery")),
                    Some((peer.next_comparison, "comparison")),
                ];
                all.into_iter().flatten().min_by_key(|(at, _)| *at)
            }
        };
        of_phase.map(|(at, why)| (at.max(self.now), why))
    }

    /// When somebody has not said for too long who they are.
    pub(super) fn strangers_wake(&self) -> Option<(Instant, &'static str)> {
        let untils = self.streams.values().filter_map(|use_| match use_ {
            Use::Stranger { until, .. } => Some(*until),
            Use::Control(_) | Use::Out(..) | Use::In(_) => None,
        });
        untils.min().map(|until| (until, "stranger"))
    }

    fn dial(&mut self, id: ClusterId) {
        let now = self.now;
        let stream = self.numbers.next();
        let timeout = self.setup.options.connection.connect_timeout;
        let peer = self.peers.get_mut(&id).expect("a peer");
        peer.last_connection += 1;
        peer.phase = Phase::Dialling {
            control: stream,
            connection: peer.last_connection,
            reader: FrameReader::default(),
            until: now.saturating_add(timeout),
        };
        self.statistics.dials += 1;
        self.streams.insert(stream, Use::Control(id));
        let peer = peer.machine;
        self.outputs.push_back(Output::Open { stream, peer });
    }

    fn dial_failed(&mut self, id: ClusterId) {
        let options = self.setup.options.connection;
        let now = self.now;
        let peer = self.peers.get_mut(&id).expect("a peer");
        let Phase::Dialling { control, .. } = peer.phase else {
            return;
        };
        peer.attempts += 1;
        let attempts = peer.attempts;
        // After enough attempts in quick succession it goes on slowly.
        let wait = if attempts < options.max_retries {
            options.retry_interval
        } else {
            options.keepalive.max(options.retry_interval)
        };
        peer.phase = Phase::Waiting {
            dial_at: now.saturating_add(wait),
        };
        self.hang_up(control);
        if attempts == options.max_retries {
            self.event(Event::OutOfReach { peer: id, attempts });
        }
    }

    /// Closes a stream and forgets it.
    fn hang_up(&mut self, stream: StreamId) {
        if self.streams.remove(&stream).is_some() {
            self.outputs.push_back(Output::Close { stream });
        }
    }

    /// What this cluster says to whom it connects with.
    fn hello(&self, to: ClusterId, connection: u64) -> Hello {
        let votes = self.consensus.as_ref().is_some_and(|c| c.replica().is_some());
        Hello {
            oldest: PROTOCOL,
            newest: PROTOCOL,
            federation: self.setup.federation.clone(),
            from: self.setup.id,
            to,
            incarnation: self.incarnation,
            connection,
            capabilities: CAN_HDE | CAN_AMST | CAN_RECONCILE | if votes { CAN_CONSENSUS } else { 0 },
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    pub(super) fn on_opened(&mut self, stream: StreamId) {
        match self.streams.get(&stream) {
            Some(Use::Control(id)) => {
                let id = *id;
                if let Phase::Dialling { connection, .. } = self.peers[&id].phase {
                    let hello = Frame::Hello(self.hello(id, connection));
                    self.send_frame(stream, &hello);
                }
            }
            Some(Use::Out(id, transport)) => {
                let (id, transport, own, now) = (*id, *transport, self.setup.id, self.now);
                let connection = self.peers.get_mut(&id).and_then(Peer::connection);
                if let Some(first) =
                    connection.and_then(|connection| connection.on_out_opened(now, transport, own, id))
                {
                    self.send_frame(stream, &first);
                }
            }
            Some(Use::In(_) | Use::Stranger { .. }) | None => {}
        }
    }

    pub(super) fn on_accepted(&mut self, stream: StreamId) {
        let strangers = self
            .streams
            .values()
            .filter(|use_| matches!(use_, Use::Stranger { .. }));
        let options = self.setup.options.connection;
        // Every peer may be about to open all its streams anew.
        let most = (self.peers.len() + 1) * (options.streams as usize + 1);
        if strangers.count() >= most {
            self.outputs.push_back(Output::Close { stream });
            return;
        }
        let use_ = Use::Stranger {
            reader: FrameReader::default(),
            until: self.now.saturating_add(options.connect_timeout),
        };
        self.streams.insert(stream, use_);
    }

    pub(super) fn on_received(&mut self, stream: StreamId, payload: Payload) {
        let now = self.now;
        match self.streams.get_mut(&stream) {
            Some(Use::Control(id)) => {
                let id = *id;
                let peer = self.peers.get_mut(&id).expect("a peer");
                match &mut peer.phase {
                    Phase::Up(connection) => {
                        connection.reader.push(payload);
                        connection.hear(now);
                        self.read_control(id);
                    }
                    Phase::Dialling { reader, .. } => {
                        reader.push(payload);
                        self.read_answer(id);
                    }
                    Phase::Waiting { .. } | Phase::Listening => {}
                }
            }
            Some(Use::Out(id, transport)) => {
                let (id, transport) = (*id, Some(*transport));
                self.statistics.acknowledgements.received += payload.len();
                self.on_data(id, transport, stream, payload);
            }
            Some(Use::In(id)) => {
                let id = *id;
                self.statistics.data.received += payload.len();
                self.on_data(id, None, stream, payload);
            }
            Some(Use::Stranger { reader, .. }) => {
                reader.push(payload);
                self.identify(stream);
            }
            None => {}
        }
    }

    fn on_data(&mut self, id: ClusterId, transport: Option<StreamId>, stream: StreamId, payload: Payload) {
        let now = self.now;
        if let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
            connection.hear(now);
            connection.on_data_received(now, transport, stream, payload);
        }
    }

    pub(super) fn on_sent(&mut self, stream: StreamId, bytes: u64) {
        let now = self.now;
        let (id, transport) = match self.streams.get(&stream) {
            Some(Use::Control(id)) => {
                let id = *id;
                if let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
                    connection.on_control_sent(bytes);
                }
                return;
            }
            Some(Use::Out(id, transport)) => (*id, Some(*transport)),
            Some(Use::In(id)) => (*id, None),
            Some(Use::Stranger { .. }) | None => return,
        };
        if let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
            connection.on_data_sent(now, transport, stream, bytes);
        }
    }

    pub(super) fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        let now = self.now;
        let Some(use_) = self.streams.remove(&stream) else {
            return;
        };
        // Whoever closed it, this side has nothing more to say on it.
        self.outputs.push_back(Output::Close { stream });
        let (id, transport) = match use_ {
            Use::Control(id) => {
                match self.peers[&id].phase {
                    Phase::Up(_) => self.lose(id, Lost::Closed),
                    Phase::Dialling { .. } => self.dial_failed(id),
                    Phase::Waiting { .. } | Phase::Listening => {}
                }
                return;
            }
            Use::Out(id, transport) => (id, Some(transport)),
            Use::In(id) => (id, None),
            Use::Stranger { .. } => return,
        };
        if let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
            connection.on_data_closed(now, transport, stream, reason);
        }
    }

    pub(super) fn on_path(&mut self, stream: StreamId, info: &PathInfo) {
        if let Some(Use::Out(id, transport)) = self.streams.get(&stream) {
            let (id, transport) = (*id, *transport);
            if let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
                connection.on_path(transport, info);
            }
        }
    }

    /// The first frame of a stream that somebody opened says what it is.
    fn identify(&mut self, stream: StreamId) {
        let Some(Use::Stranger { reader, .. }) = self.streams.get_mut(&stream) else {
            return;
        };
        match reader.read() {
            Ok(None) => {}
            Ok(Some(Frame::Hello(hello))) => self.on_hello(stream, &hello),
            Ok(Some(Frame::DataStream(first))) => self.on_data_stream(stream, first),
            Ok(Some(_)) | Err(_) => {
                self.statistics.errors += 1;
                self.hang_up(stream);
            }
        }
    }

    fn on_hello(&mut self, stream: StreamId, hello: &Hello) {
        let from = hello.from;
        // Whoever has the higher number waits to be dialled.
        let dials = self.peers.get(&from).is_some_and(|peer| !peer.dials);
        let welcome = match hello.answer(&self.hello(from, hello.connection), dials) {
            Ok(welcome) => welcome,
            Err(why) => {
                self.statistics.errors += 1;
                self.send_frame(stream, &Frame::Refused(why));
                self.hang_up(stream);
                self.event(Event::Refused { peer: from, why });
                return;
            }
        };
        let peer = self.peers.get_mut(&from).expect("a neighbour");
        let newest = (peer.incarnation.unwrap_or(0), peer.last_connection);
        if (hello.incarnation, hello.connection) <= newest {
            // From before the connection that is up, or that was lost since.
            self.hang_up(stream);
            return;
        }
        if peer.is_up() {
            self.lose(from, Lost::Replaced);
        }
        let Some(Use::Stranger { reader, .. }) = self.streams.insert(stream, Use::Control(from)) else {
            unreachable!("whoever says hello was a stranger")
        };
        self.send_frame(stream, &Frame::Welcome(welcome));
        self.connected(from, stream, reader, hello.incarnation, hello.connection);
        self.read_control(from);
    }

    /// What whoever was dialled answers.
    fn read_answer(&mut self, id: ClusterId) {
        let peer = self.peers.get_mut(&id).expect("a peer");
        let Phase::Dialling {
            control,
            connection,
            reader,
            ..
        } = &mut peer.phase
        else {
            return;
        };
        let (control, connection) = (*control, *connection);
        match reader.read() {
            Ok(None) => {}
            Ok(Some(Frame::Welcome(Welcome {
                incarnation,
                connection: number,
                ..
            }))) if number == connection => {
                let reader = std::mem::take(reader);
                self.connected(id, control, reader, incarnation, connection);
                self.read_control(id);
            }
            Ok(Some(Frame::Refused(why))) => self.refused(id, why),
            Ok(Some(_)) | Err(_) => {
                self.statistics.errors += 1;
                self.dial_failed(id);
            }
        }
    }

    fn refused(&mut self, peer: ClusterId, why: Refused) {
        self.statistics.errors += 1;
        self.event(Event::Refused { peer, why });
        self.dial_failed(peer);
    }

    fn connected(
        &mut self,
        id: ClusterId,
        control: StreamId,
        reader: FrameReader,
        incarnation: u64,
        number: u64,
    ) {
        let now = self.now;
        let options = &self.setup.options;
        let peer = self.peers.get_mut(&id).expect("a peer");
        let attempts = peer.attempts + u32::from(peer.dials);
        peer.attempts = 0;
        peer.last_connection = number;
        if peer.incarnation.replace(incarnation) != Some(incarnation) {
            // What an earlier life of the peer held is lost or not: comparing the states will tell.
            peer.sender = Peer::new_sender(options);
            peer.in_flight.clear();
        }
        if let Some(dictionary) = &self.dictionary {
            peer.sender.offer_dictionary(now, dictionary.clone());
            peer.sender
                .send_again(now, &Dictionary::object_id(dictionary.name().id));
        }
        let connection = Connection::new(number, control, reader, &options.connection, now);
        peer.phase = Phase::Up(Box::new(connection));
        let hello = peer.receiver.hello();
        let waiting = peer.waiting();
        self.statistics.connections += 1;
        self.event(Event::Connected {
            peer: id,
            attempts,
            waiting,
        });
        self.tell(id, &Frame::Acknowledgement(hello));
        self.send_again(id);
        self.recover(id);
    }

    fn on_data_stream(&mut self, stream: StreamId, first: DataStream) {
        let DataStream { from, to, connection } = first;
        let own = self.setup.id;
        let now = self.now;
        let Some(Use::Stranger { reader, .. }) = self.streams.remove(&stream) else {
            return;
        };
        let up = self.peers.get_mut(&from).and_then(Peer::connection);
        let Some(up) = up.filter(|up| to == own && up.number == connection) else {
            // Of a connection that is gone, or that this side has not heard of yet; the peer opens another.
            self.outputs.push_back(Output::Close { stream });
            return;
        };
        up.hear(now);
        let rest = reader.into_rest();
        self.statistics.data.received += rest.len();
        up.on_incoming(stream, rest);
        self.streams.insert(stream, Use::In(from));
    }

    /// A connection is no more.
    pub(super) fn lose(&mut self, id: ClusterId, why: Lost) {
        let now = self.now;
        let peer = self.peers.get_mut(&id).expect("a peer");
        let next = if peer.dials {
            Phase::Waiting { dial_at: now }
        } else {
            Phase::Listening
        };
        let Phase::Up(connection) = std::mem::replace(&mut peer.phase, next) else {
            return;
        };
        peer.encoded.clear();
        peer.hde_wake = None;
        peer.reconciler.stop();
        peer.recovery = None;
        peer.next_comparison = Instant::MAX;
        let failed = peer.synchronisation.take().is_some();
        if self.setup.planted == Planted::OutboxForgets {
            peer.outbox.forget();
        }
        let waiting = peer.waiting();
        for stream in connection.streams() {
            self.hang_up(stream);
        }
        self.statistics.connections_lost += 1;
        self.event(Event::Disconnected {
            peer: id,
            why,
            silent: now - connection.heard,
        });
        if failed {
            self.statistics.sync_failures += 1;
            self.event(Event::SyncFailed { peer: id, waiting });
        }
    }
}
