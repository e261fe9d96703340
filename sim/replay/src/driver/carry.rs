//! What: inputs to machines, their outputs to sockets, and back.

use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, Input, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::Span;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::host::Host;
use super::stream::{Read, Stream, Write};
use super::{Driver, DriverError, StreamKey, sockets};
use crate::Endpoint;
use crate::outcome::MachineEvent;

/// A machine that is polled for longer than this is sending much: what can be written meanwhile is.
const LONG_POLL: Span = Span::from_us(500);
/// Connections accepted, and datagrams received, before others have their turn.
const BURST: usize = 64;
/// Largest datagram over IPv4.
const LARGEST_DATAGRAM: usize = 65_507;

impl<M: Endpoint> Driver<M> {
    /// Hands one input to a machine and carries out what it answers.
    pub(super) fn deliver(&mut self, index: usize, input: Input<M::Command>) {
        let now = self.clock.now();
        let mut written = now;
        let mut inspected = Vec::new();
        self.hosts[index].machine.handle(now, input);
        loop {
            let host = &mut self.hosts[index];
            match host.machine.poll() {
                Output::Open { stream, peer } => self.open(index, stream, peer),
                Output::Send { stream, payload } => {
                    if let Some(&key) = host.streams.get(&stream) {
                        self.change(key, |stream| stream.push(payload));
                    }
                    if self.clock.now() >= written + LONG_POLL {
                        self.write_ahead();
                        written = self.clock.now();
                    }
                }
                Output::Close { stream } => {
                    if let Some(&key) = host.streams.get(&stream) {
                        self.change(key, Stream::finish);
                    }
                }
                Output::Abort { stream } => {
                    // The socket lingers for no time: closing it resets the connection.
                    if let Some(&key) = host.streams.get(&stream) {
                        self.forget(key);
                    }
                }
                Output::Inspect { stream } => inspected.push(stream),
                Output::Datagram { to, payload } => send_datagram(host, &self.peers, to, &payload),
                Output::Event(event) => self.events.push(MachineEvent {
                    at_ns: now.as_ns(),
                    peer: host.peer,
                    event: serde_json::to_value(event).expect("events of machines have a JSON form"),
                }),
                Output::WakeAt { at, .. } => {
                    // Not before it has asked: what the machine itself computes makes nothing late.
                    host.wake = Some(at.max(self.clock.now()));
                    break;
                }
                Output::Idle => {
                    host.wake = None;
                    break;
                }
            }
        }
        for stream in inspected {
            let key = self.hosts[index].streams.get(&stream);
            let info = key
                .and_then(|key| self.streams.get(key))
                .and_then(|it| sockets::path_info(&it.socket));
            if let Some(info) = info {
                self.deliver(index, Input::Path { stream, info });
            }
        }
    }

    /// Writes what the kernel takes, without telling the machines: one of them is being polled.
    fn write_ahead(&mut self) {
        // What is wrong with the epoll set comes out when it is waited for.
        let _ = self.look(false);
        for key in &self.ready {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.write_ahead();
            }
        }
    }

    fn open(&mut self, index: usize, stream: StreamId, peer: PeerId) {
        let host = &self.hosts[index];
        let to = self.peers[peer.0 as usize];
        let socket = sockets::connect(*host.address.ip(), to, &host.options);
        match socket
            .ok()
            .and_then(|socket| self.register(socket, index, stream, true))
        {
            Some(key) => {
                self.hosts[index].streams.insert(stream, key);
            }
            None => self.stillborn.push_back((index, stream)),
        }
    }

    /// Takes a connection into the epoll set.
    fn register(
        &mut self,
        socket: OwnedFd,
        host: usize,
        id: StreamId,
        connecting: bool,
    ) -> Option<StreamKey> {
        let key = self.next_key;
        // Edges: a connection is registered once, and remembers what it may do.
        let events = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, EventData::new_u64(key), events).ok()?;
        self.next_key += 1;
        let most_unsent = self.hosts[host].options.notsent_lowat;
        let stream = Stream::new(socket, host, id, connecting, most_unsent);
        self.streams.insert(key, stream);
        Some(key)
    }

    /// Accepts what has come to a machine's port.
    pub(super) fn accept(&mut self, index: usize) -> Result<(), DriverError> {
        for _ in 0..BURST {
            let host = &mut self.hosts[index];
            let Some(socket) = sockets::accept(&host.listener, &host.options)? else {
                break;
            };
            if host.streams.len() >= self.limits.streams {
                continue;
            }
            let stream = host.number(self.next_key);
            if self.register(socket, index, stream, false).is_some() {
                self.deliver(index, Input::Accepted { stream });
            } else {
                self.hosts[index].streams.remove(&stream);
            }
        }
        Ok(())
    }

    /// Notes what a connection may do.
    pub(super) fn note(&mut self, key: StreamKey, flags: EventFlags) {
        let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.change(key, |stream| {
            stream.readable |= flags.intersects(EventFlags::IN | ended);
            stream.writable |= flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
            stream.peer_finished |= flags.intersects(ended);
            stream.failing |= flags.contains(EventFlags::ERR);
        });
    }

    /// Changes a connection and queues it for its turn.
    fn change(&mut self, key: StreamKey, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(&key) {
            change(stream);
            if !stream.queued {
                stream.queued = true;
                self.ready.push_back(key);
            }
        }
    }

    /// A connection's turn: the handshake, then one read and one write.
    pub(super) fn serve(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        stream.queued = false;
        let (host, id, was_over) = (stream.host, stream.id, stream.is_over());
        if stream.connecting {
            if !stream.writable {
                return;
            }
            stream.connecting = false;
            if stream.has_failed() {
                return self.lose(key);
            }
            self.deliver(host, Input::Opened { stream: id });
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        if stream.readable && !stream.read_to_end {
            match stream.read(self.hosts[host].synthetic, &mut self.scratch) {
                Read::Payload(payload) => self.deliver(host, Input::Received { stream: id, payload }),
                Read::Nothing => {}
                Read::End => {
                    stream.read_to_end = true;
                    let reason = CloseReason::Finished;
                    self.deliver(host, Input::Closed { stream: id, reason });
                }
                Read::Lost => return self.lose(key),
            }
        } else if stream.failing && stream.has_failed() {
            return self.lose(key);
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        if stream.writable && stream.wants_to_write() {
            match stream.write() {
                Write::Taken(bytes) => stream.untold += bytes,
                Write::Nothing => {}
                Write::Lost => return self.lose(key),
            }
        }
        if stream.untold > 0 {
            let bytes = std::mem::take(&mut stream.untold);
            self.deliver(host, Input::Sent { stream: id, bytes });
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        if stream.is_over() && !was_over {
            self.lingering.push_back(key);
            if self.lingering.len() > self.limits.lingering
                && let Some(oldest) = self.lingering.pop_front()
            {
                self.forget(oldest);
            }
        } else if (stream.readable && !stream.read_to_end) || (stream.writable && stream.wants_to_write()) {
            self.change(key, |_| {});
        }
    }

    /// A connection is lost, and its machine hears of it.
    fn lose(&mut self, key: StreamKey) {
        if let Some((host, stream)) = self.forget(key) {
            let reason = CloseReason::Failed;
            self.deliver(host, Input::Closed { stream, reason });
        }
    }

    /// Closes a connection for good.
    fn forget(&mut self, key: StreamKey) -> Option<(usize, StreamId)> {
        let stream = self.streams.remove(&key)?;
        let host = &mut self.hosts[stream.host];
        sockets::count(&stream.socket, &mut host.counters);
        host.streams.remove(&stream.id);
        Some((stream.host, stream.id))
    }

    pub(super) fn receive_datagrams(&mut self, index: usize) {
        let mut room = [0; LARGEST_DATAGRAM];
        for _ in 0..BURST {
            let host = &self.hosts[index];
            let Ok((bytes, from)) = host.datagrams.recv_from(&mut room) else {
                return;
            };
            // Whoever is no machine of the scenario is not heard.
            let SocketAddr::V4(from) = from else { continue };
            let Some(&from) = self.senders.get(&from) else {
                continue;
            };
            let payload = if host.synthetic {
                Payload::Synthetic(bytes as u64)
            } else {
                Payload::Real(Bytes::copy_from_slice(&room[..bytes]))
            };
            self.deliver(index, Input::Datagram { from, payload });
        }
    }
}

/// Sends a datagram. What the kernel does not take is lost, as datagrams may be.
fn send_datagram<M: Endpoint>(host: &Host<M>, peers: &[SocketAddrV4], to: PeerId, payload: &Payload) {
    let to = peers[to.0 as usize];
    let _ = match payload {
        Payload::Real(bytes) => host.datagrams.send_to(bytes, to),
        Payload::Synthetic(bytes) => {
            let bytes = usize::try_from(*bytes).map_or(LARGEST_DATAGRAM, |bytes| bytes.min(LARGEST_DATAGRAM));
            host.datagrams.send_to(&[0; LARGEST_DATAGRAM][..bytes], to)
        }
    };
}
