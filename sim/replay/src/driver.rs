//! Drives machines over real sockets: one thread, one epoll, any number of machines.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `clock` | the time since the start, and the one timer |
//! | `host` | a machine with its sockets |
//! | `sockets` | socket options and `TCP_INFO` |
//! | `stream` | one connection |
//!
//! The machines cannot tell it from the simulation:
//! - `Open` begins a handshake, `Send` fills an outbox that is written whenever the kernel takes something, and
//!   [`Input::Sent`] tells how much that was. `Close` finishes the sending direction once the outbox is empty.
//! - Streams that a peer opens are numbered from [`StreamId::FIRST_ACCEPTED`] in the order of acceptance. Every
//!   machine has a port of its own, so that it is known whose they are.
//! - The end of what the peer sends is [`CloseReason::Finished`]; a reset, a failed handshake or a kernel that gives
//!   up is [`CloseReason::Failed`], also after the peer has finished. When both directions are done the machine hears
//!   of nothing more, unless what is still unacknowledged fails.
//!
//! Connections take turns, and each turn moves a bounded number of bytes. Nothing is read before its machine takes
//! it, so that memory grows with what the machines keep and with nothing else.

mod clock;
mod host;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, Input, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{Timespec, epoll::CreateFlags};

pub use clock::{Clock, monotonic_ns};
pub(crate) use sockets::connect as plain_connect;
pub use sockets::{SocketError, SocketOptions};

use crate::Endpoint;
use crate::outcome::{MachineEvent, TcpCounters};
use clock::Timer;
use host::{Driven, Host};
use stream::{Read, Scratch, Stream, Write};

/// Turns of connections before the kernel is asked again what is ready.
const TURNS: usize = 64;
/// Connections accepted, and datagrams received, before others have their turn.
const BURST: usize = 64;
/// What a driver keeps at most.
const LIMITS: Limits = Limits {
    streams: 4_096,
    lingering: 1_024,
};
/// Largest datagram over IPv4.
const LARGEST_DATAGRAM: usize = 65_507;

/// Number of a connection; never used again.
type StreamKey = u64;

/// Tokens in the epoll set: these two, then a pair for each machine, then the connections.
const TIMER: u64 = 0;
const WATCHED: u64 = 1;
const FIRST_HOST: u64 = 2;
/// First [`StreamKey`].
const FIRST_STREAM: StreamKey = 1 << 32;

/// What a driver keeps at most.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections of one machine; others are reset as they come.
    streams: usize,
    /// Connections that are over, kept because what is unacknowledged may still fail.
    lingering: usize,
}

/// Why there is no driver, or why it cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Something else of the kernel's.
    #[error("the kernel refuses: {0}")]
    Kernel(#[from] io::Error),
}

impl From<rustix::io::Errno> for DriverError {
    fn from(error: rustix::io::Errno) -> DriverError {
        DriverError::Kernel(error.into())
    }
}

/// A machine to be driven.
pub struct Hosting<M> {
    /// Its number.
    pub peer: PeerId,
    /// The machine.
    pub machine: M,
    /// Options of its connections.
    pub options: SocketOptions,
}

/// Drives the machines of one process.
pub struct Driver<M: Endpoint> {
    epoll: OwnedFd,
    timer: Timer,
    clock: Clock,
    begun: bool,
    /// Where each machine of the scenario listens, by [`PeerId`].
    peers: Vec<SocketAddrV4>,
    /// Whose datagrams come from where.
    senders: BTreeMap<SocketAddrV4, PeerId>,
    hosts: Vec<Host<M>>,
    streams: BTreeMap<StreamKey, Stream>,
    next_key: StreamKey,
    /// Connections with something to do, in turn.
    ready: VecDeque<StreamKey>,
    /// Connections that are over, oldest first.
    lingering: VecDeque<StreamKey>,
    /// Streams that could not even begin; their machines hear of it next.
    stillborn: VecDeque<(usize, StreamId)>,
    starts: BTreeSet<(Instant, PeerId)>,
    events: Vec<MachineEvent>,
    latest_wake: Span,
    forgiven: bool,
    scratch: Scratch,
    happened: Vec<epoll::Event>,
    limits: Limits,
}

impl<M: Endpoint> Driver<M> {
    /// Opens the sockets of the machines. `peers` says where each machine of the scenario listens.
    ///
    /// # Errors
    /// What the kernel refuses.
    ///
    /// # Panics
    /// If a machine has no address.
    pub fn new(
        peers: Vec<SocketAddrV4>,
        machines: Vec<Hosting<M>>,
        tapes: bool,
    ) -> Result<Driver<M>, DriverError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = Timer::new()?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, timer.fd(), EventData::new_u64(TIMER), edge)?;
        let mut hosts = Vec::with_capacity(machines.len());
        for (index, hosting) in machines.into_iter().enumerate() {
            let host = Host::open(peers[hosting.peer.0 as usize], hosting, tapes)?;
            let token = FIRST_HOST + 2 * index as u64;
            epoll::add(&epoll, &host.listener, EventData::new_u64(token), EventFlags::IN)?;
            epoll::add(
                &epoll,
                &host.datagrams,
                EventData::new_u64(token + 1),
                EventFlags::IN,
            )?;
            hosts.push(host);
        }
        let senders = (0..).map(PeerId);
        Ok(Driver {
            epoll,
            timer,
            clock: Clock::new(monotonic_ns()),
            begun: false,
            senders: peers.iter().copied().zip(senders).collect(),
            peers,
            hosts,
            streams: BTreeMap::new(),
            next_key: FIRST_STREAM,
            ready: VecDeque::new(),
            lingering: VecDeque::new(),
            stillborn: VecDeque::new(),
            starts: BTreeSet::new(),
            events: Vec::new(),
            latest_wake: Span::ZERO,
            forgiven: false,
            scratch: Scratch::new(),
            happened: Vec::with_capacity(256),
            limits: LIMITS,
        })
    }

    /// Time 0 is when `CLOCK_MONOTONIC` shows `start_ns`; the machines begin then.
    pub fn begin(&mut self, start_ns: u64) {
        self.clock = Clock::new(start_ns);
        // What it was armed for was another time.
        self.timer.fired();
    }

    /// Tells a machine to start at a time.
    pub fn start(&mut self, at: Instant, peer: PeerId) {
        self.starts.insert((at, peer));
    }

    /// Makes [`Driver::turn`] return when this descriptor becomes readable. Once, and before the first turn.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn watch(&mut self, descriptor: BorrowedFd<'_>) -> Result<(), DriverError> {
        let token = EventData::new_u64(WATCHED);
        Ok(epoll::add(&self.epoll, descriptor, token, EventFlags::IN)?)
    }

    /// What is late in the next turn does not count: this process has been stopped on purpose.
    pub fn forgive(&mut self) {
        self.forgiven = true;
    }

    /// Now.
    pub fn now(&mut self) -> Instant {
        self.clock.now()
    }

    /// What the machines have reported since the last call.
    pub fn take_events(&mut self) -> Vec<MachineEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whether machines have reported something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The latest that a machine was woken or started after its time.
    pub fn latest_wake(&self) -> Span {
        self.latest_wake
    }

    /// The machines.
    pub fn machines(&self) -> impl Iterator<Item = (PeerId, &M)> {
        self.hosts.iter().map(|host| (host.peer, host.machine.machine()))
    }

    /// The tapes of the machines, if they are recorded.
    pub fn tapes(&self) -> impl Iterator<Item = (PeerId, String)> {
        self.hosts.iter().filter_map(|host| match &host.machine {
            Driven::Taped(recorder) => Some((host.peer, recorder.tape())),
            Driven::Plain(_) => None,
        })
    }

    /// What the kernel has counted for the connections of each machine.
    pub fn counters(&self) -> impl Iterator<Item = (PeerId, TcpCounters)> {
        self.hosts.iter().map(|host| {
            let mut counters = host.counters;
            for key in host.streams.values() {
                if let Some(stream) = self.streams.get(key) {
                    sockets::count(&stream.socket, &mut counters);
                }
            }
            (host.peer, counters)
        })
    }

    /// Waits until something happens, at most until `limit`, and carries it out. Returns whether the watched
    /// descriptor is readable.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn turn(&mut self, limit: Instant) -> Result<bool, DriverError> {
        let watched = self.wait(limit)?;
        if watched {
            // Whoever reads it may have something to say about this very moment.
            return Ok(true);
        }
        if self.begun {
            self.wake();
            self.forgiven = false;
        }
        for _ in 0..TURNS {
            while let Some((host, stream)) = self.stillborn.pop_front() {
                let reason = CloseReason::Failed;
                self.deliver(host, Input::Closed { stream, reason });
            }
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            self.serve(key);
        }
        Ok(false)
    }

    /// Asks the kernel what is ready, and notes it.
    fn wait(&mut self, limit: Instant) -> Result<bool, DriverError> {
        let poll_only = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timeout = if self.ready.is_empty() && self.stillborn.is_empty() {
            self.timer.arm(&self.clock, self.next_due().min(limit))?;
            None
        } else {
            Some(&poll_only)
        };
        let mut happened = std::mem::take(&mut self.happened);
        happened.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut happened),
            timeout,
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !self.begun && self.clock.has_begun() {
            self.begun = true;
            self.note_lateness(Instant::ZERO);
            for host in 0..self.hosts.len() {
                self.deliver(host, Input::Start);
            }
        }
        let mut watched = false;
        for event in &happened {
            let (flags, token) = (event.flags, event.data.u64());
            match token {
                TIMER => self.timer.fired(),
                WATCHED => watched = true,
                FIRST_STREAM.. => self.note(token, flags),
                // A machine hears of nothing before its start; the kernel will say it again.
                _ if !self.begun => {}
                _ => {
                    let host = ((token - FIRST_HOST) / 2) as usize;
                    if (token - FIRST_HOST).is_multiple_of(2) {
                        self.accept(host)?;
                    } else {
                        self.receive_datagrams(host);
                    }
                }
            }
        }
        self.happened = happened;
        Ok(watched)
    }

    /// When the next machine is to be woken or started.
    fn next_due(&self) -> Instant {
        if !self.begun {
            return Instant::ZERO;
        }
        let wakes = self.hosts.iter().filter_map(|host| host.wake);
        let start = self.starts.first().map(|(at, _)| *at);
        wakes.chain(start).min().unwrap_or(Instant::MAX)
    }

    /// Starts and wakes the machines whose time has come.
    fn wake(&mut self) {
        while let Some(&(at, peer)) = self.starts.first()
            && at <= self.clock.now()
        {
            self.starts.pop_first();
            if let Some(host) = self.hosts.iter().position(|host| host.peer == peer) {
                self.note_lateness(at);
                let command = self.hosts[host].machine.machine().start_command();
                self.deliver(host, Input::Command(command));
            }
        }
        for host in 0..self.hosts.len() {
            if let Some(at) = self.hosts[host].wake
                && at <= self.clock.now()
            {
                self.hosts[host].wake = None;
                self.note_lateness(at);
                self.deliver(host, Input::Wake);
            }
        }
    }

    fn note_lateness(&mut self, due: Instant) {
        if !self.forgiven {
            let late = self.clock.now().saturating_since(due);
            self.latest_wake = self.latest_wake.max(late);
        }
    }

    /// Hands one input to a machine and carries out what it answers.
    fn deliver(&mut self, index: usize, input: Input<M::Command>) {
        let now = self.clock.now();
        self.hosts[index].machine.handle(now, input);
        loop {
            let host = &mut self.hosts[index];
            match host.machine.poll() {
                Output::Open { stream, peer } => self.open(index, stream, peer),
                Output::Send { stream, payload } => {
                    if let Some(&key) = host.streams.get(&stream) {
                        self.change(key, |stream| stream.push(payload));
                    }
                }
                Output::Close { stream } => {
                    if let Some(&key) = host.streams.get(&stream) {
                        self.change(key, Stream::finish);
                    }
                }
                Output::Datagram { to, payload } => send_datagram(host, &self.peers, to, &payload),
                Output::Event(event) => self.events.push(MachineEvent {
                    at_ns: now.as_ns(),
                    peer: host.peer,
                    event: serde_json::to_value(event).expect("events of machines have a JSON form"),
                }),
                Output::WakeAt { at, .. } => {
                    host.wake = Some(at.max(now));
                    return;
                }
                Output::Idle => {
                    host.wake = None;
                    return;
                }
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
        self.streams
            .insert(key, Stream::new(socket, host, id, connecting));
        Some(key)
    }

    /// Accepts what has come to a machine's port.
    fn accept(&mut self, index: usize) -> Result<(), DriverError> {
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
    fn note(&mut self, key: StreamKey, flags: EventFlags) {
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
    fn serve(&mut self, key: StreamKey) {
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
                Write::Taken(bytes) => self.deliver(host, Input::Sent { stream: id, bytes }),
                Write::Nothing => {}
                Write::Lost => return self.lose(key),
            }
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

    fn receive_datagrams(&mut self, index: usize) {
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
