//! A machine with its sockets: where it listens, its streams, and the wake that it asked for.

use std::collections::BTreeMap;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;

use longhaul_core::machine::{Input, Machine, Output, PeerId, StreamId};
use longhaul_core::tape::Recorder;
use longhaul_core::time::Instant;

use super::{DriverError, Hosting, SocketOptions, StreamKey, sockets};
use crate::Endpoint;
use crate::outcome::TcpCounters;

/// A machine, with or without a tape.
pub(super) enum Driven<M: Endpoint> {
    Plain(M),
    Taped(Box<Recorder<M>>),
}

impl<M: Endpoint> Driven<M> {
    pub fn machine(&self) -> &M {
        match self {
            Driven::Plain(machine) => machine,
            Driven::Taped(recorder) => recorder.machine(),
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input<M::Command>) {
        match self {
            Driven::Plain(machine) => machine.handle(now, input),
            Driven::Taped(recorder) => recorder.handle(now, input),
        }
    }

    pub fn poll(&mut self) -> Output<M::Event> {
        match self {
            Driven::Plain(machine) => machine.poll(),
            Driven::Taped(recorder) => recorder.poll(),
        }
    }
}

/// A machine with its sockets.
pub(super) struct Host<M: Endpoint> {
    pub peer: PeerId,
    pub address: SocketAddrV4,
    pub machine: Driven<M>,
    /// Whether what it receives only counts.
    pub synthetic: bool,
    pub options: SocketOptions,
    pub listener: OwnedFd,
    pub datagrams: UdpSocket,
    pub streams: BTreeMap<StreamId, StreamKey>,
    /// Streams accepted so far: they count on from [`StreamId::FIRST_ACCEPTED`].
    pub accepted: u32,
    pub wake: Option<Instant>,
    /// Of the connections that are gone.
    pub counters: TcpCounters,
}

impl<M: Endpoint> Host<M> {
    /// Opens its sockets on `address`.
    pub fn open(address: SocketAddrV4, hosting: Hosting<M>, tape: bool) -> Result<Host<M>, DriverError> {
        let listener = sockets::listen(address, &hosting.options)?;
        let datagrams = UdpSocket::bind(address)?;
        datagrams.set_nonblocking(true)?;
        let machine = hosting.machine;
        let name = format!("machine {}", hosting.peer.0);
        Ok(Host {
            peer: hosting.peer,
            address,
            synthetic: machine.input_is_synthetic(),
            machine: if tape {
                Driven::Taped(Box::new(Recorder::new(&name, machine)))
            } else {
                Driven::Plain(machine)
            },
            options: hosting.options,
            listener,
            datagrams,
            streams: BTreeMap::new(),
            accepted: 0,
            wake: None,
            counters: TcpCounters::default(),
        })
    }

    /// Numbers a stream that a peer opened.
    pub fn number(&mut self, key: StreamKey) -> StreamId {
        let stream = StreamId(StreamId::FIRST_ACCEPTED + self.accepted);
        self.accepted += 1;
        self.streams.insert(stream, key);
        stream
    }
}
