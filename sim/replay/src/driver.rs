//! Drives machines over real sockets: one thread, one epoll, any number of machines.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `carry` | inputs to machines, their outputs to sockets, and back |
//! | `clock` | the time since the start, and the one timer |
//! | `host` | a machine with its sockets |
//! | `sockets` | socket options and `TCP_INFO` |
//! | `stream` | one connection |
//! | `turn` | what is ready, what is due, and whose turn it is |
//!
//! The machines cannot tell it from the simulation:
//! - `Open` begins a handshake, `Send` fills an outbox that is written whenever the kernel takes something, and
//!   [`Input::Sent`](longhaul_core::machine::Input::Sent) tells how much that was. `Close` finishes the sending direction once the outbox is empty.
//!   `Abort` closes the socket at once, which resets the connection.
//! - Streams that a peer opens are numbered from [`StreamId::FIRST_ACCEPTED`] in the order of acceptance. Every
//!   machine has a port of its own, so that it is known whose they are.
//! - The end of what the peer sends is [`Finished`](longhaul_core::machine::CloseReason::Finished); a reset, a failed handshake or a kernel that gives
//!   up is [`Failed`](longhaul_core::machine::CloseReason::Failed), also after the peer has finished. When both directions are done the machine hears
//!   of nothing more, unless what is still unacknowledged fails.
//!
//! Connections take turns, and each turn moves a bounded number of bytes. Nothing is read before its machine takes
//! it, so that memory grows with what the machines keep and with nothing else.

mod carry;
mod clock;
mod host;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{BorrowedFd, OwnedFd};

use longhaul_core::machine::{PeerId, StreamId};
use longhaul_core::time::{Instant, Span};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

pub use clock::{Clock, monotonic_ns};
pub(crate) use sockets::connect as plain_connect;
pub use sockets::{SocketError, SocketOptions};

use crate::Endpoint;
use crate::outcome::{MachineEvent, TcpCounters};
use clock::Timer;
use host::{Driven, Host};
use stream::{Scratch, Stream};

/// What a driver keeps at most.
const LIMITS: Limits = Limits {
    streams: 4_096,
    lingering: 1_024,
};

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
    /// The same since the last look at the watched descriptor, which may have had something to say about it.
    latest_now: Span,
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
            latest_now: Span::ZERO,
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

    /// This process has been stopped on purpose: what was late since the watched descriptor was silent, and what is
    /// late in the next turn, does not count.
    pub fn forgive(&mut self) {
        self.latest_now = Span::ZERO;
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
        self.latest_wake.max(self.latest_now)
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
}
