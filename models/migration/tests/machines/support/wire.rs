//! One link in each direction: a fixed rate forth, a fixed delay both ways. The streams share the rate piece by piece;
//! each has a socket buffer. During an outage nothing moves, and connections that outlive their patience die, with what
//! they carry.

use std::collections::BTreeMap;

use longhaul_core::machine::{CloseReason, Input, Output, StreamId};
use longhaul_core::payload::PayloadBuffer;
use longhaul_core::time::{Instant, Span};
use longhaul_migration::{Command, DestinationEvent, SourceEvent};

use super::Setup;

pub const PIECE_BYTES: u64 = 1_448;

/// What a machine is told.
pub enum Event {
    ToSource(Input<Command>),
    ToDestination(Input<()>),
}

/// What is going to happen.
enum Due {
    /// By itself.
    Local(Event),
    /// Across the network, on this stream of the source.
    Across(StreamId, Event),
    /// The link forth is free.
    Free,
    Death(StreamId),
    Down,
    Up,
    /// Connections that are open now, in this outage, give up.
    GiveUp(usize),
    /// A connection that could not be made.
    Unreachable(StreamId),
}

/// One stream, as the transport of the source sees it.
#[derive(Default)]
struct Socket {
    accepted: Option<StreamId>,
    /// Not taken over yet.
    outside: PayloadBuffer,
    /// Taken over and not on the link yet.
    inside: PayloadBuffer,
    closing: bool,
    dead: bool,
}

pub struct Wire {
    setup: Setup,
    now: Instant,
    due: BTreeMap<(Instant, u64), Due>,
    next_number: u64,
    sockets: BTreeMap<StreamId, Socket>,
    by_accepted: BTreeMap<StreamId, StreamId>,
    turn: usize,
    busy: bool,
    is_down: bool,
    outage: usize,
    /// What waits for the end of an outage.
    held: Vec<(StreamId, Event)>,
    source_wake: Option<Instant>,
    destination_wake: Option<Instant>,
    pub link_bytes: u64,
}

impl Wire {
    pub fn new(setup: &Setup) -> Wire {
        let mut wire = Wire {
            setup: setup.clone(),
            now: Instant::ZERO,
            due: BTreeMap::new(),
            next_number: 0,
            sockets: BTreeMap::new(),
            by_accepted: BTreeMap::new(),
            turn: 0,
            busy: false,
            is_down: false,
            outage: 0,
            held: Vec::new(),
            source_wake: None,
            destination_wake: None,
            link_bytes: 0,
        };
        wire.at(Instant::ZERO, Due::Local(Event::ToSource(Input::Start)));
        wire.at(Instant::ZERO, Due::Local(Event::ToDestination(Input::Start)));
        let command = |command| Due::Local(Event::ToSource(Input::Command(command)));
        wire.at(setup.start, command(Command::Start { guest: None }));
        if let Some(at) = setup.cancel {
            wire.at(at, command(Command::Cancel));
        }
        for &(at, stream) in &setup.deaths {
            wire.at(at, Due::Death(StreamId(stream)));
        }
        for &(from, to) in &setup.outages {
            wire.at(from, Due::Down);
            wire.at(to.max(from), Due::Up);
        }
        if let Some(every) = setup.extra_wakes {
            for k in 1..2_000 {
                wire.at(
                    Instant::ZERO + every * k,
                    Due::Local(Event::ToSource(Input::Wake)),
                );
                wire.at(
                    Instant::ZERO + every * k,
                    Due::Local(Event::ToDestination(Input::Wake)),
                );
            }
        }
        wire
    }

    fn at(&mut self, at: Instant, due: Due) {
        self.due.insert((at, self.next_number), due);
        self.next_number += 1;
    }

    fn across(&mut self, at: Instant, stream: StreamId, event: Event) {
        self.at(at, Due::Across(stream, event));
    }

    fn back(&mut self, stream: StreamId, input: Input<Command>) {
        self.across(self.now + self.setup.delay, stream, Event::ToSource(input));
    }

    fn forth(&mut self, stream: StreamId, input: Input<()>) {
        self.across(self.now + self.setup.delay, stream, Event::ToDestination(input));
    }

    /// The next thing that a machine is told, and when.
    pub fn next(&mut self, horizon: Instant) -> Option<(Instant, Event)> {
        loop {
            let next = self.due.first_key_value().map(|(key, _)| key.0);
            let wake = [self.source_wake, self.destination_wake]
                .into_iter()
                .flatten()
                .min();
            let wake = wake.filter(|wake| next.is_none_or(|next| *wake < next));
            self.now = wake.or(next).filter(|at| *at <= horizon)?;
            if let Some(wake) = wake {
                if self.source_wake == Some(wake) {
                    self.source_wake = None;
                    return Some((self.now, Event::ToSource(Input::Wake)));
                }
                self.destination_wake = None;
                return Some((self.now, Event::ToDestination(Input::Wake)));
            }
            match self.due.pop_first().expect("peeked").1 {
                Due::Local(event) => return Some((self.now, event)),
                Due::Across(stream, event) => {
                    if self.is_down {
                        self.held.push((stream, event));
                    } else if let Some(event) = self.arrive(stream, event) {
                        return Some((self.now, event));
                    }
                }
                Due::Free => {
                    self.busy = false;
                    self.transmit();
                }
                Due::Death(stream) => self.die(stream, false),
                Due::Down => {
                    self.is_down = true;
                    self.outage += 1;
                    self.at(self.now + self.setup.give_up, Due::GiveUp(self.outage));
                }
                Due::Up => {
                    self.is_down = false;
                    for (stream, event) in std::mem::take(&mut self.held) {
                        self.across(self.now, stream, event);
                    }
                    self.transmit();
                }
                Due::GiveUp(outage) if self.is_down && outage == self.outage => {
                    self.held.clear();
                    let open: Vec<StreamId> = self.sockets.keys().copied().collect();
                    open.into_iter().for_each(|stream| self.die(stream, true));
                }
                Due::Unreachable(stream) => self.die(stream, true),
                Due::GiveUp(_) => {}
            }
        }
    }

    /// What comes of something that has crossed the network.
    fn arrive(&mut self, stream: StreamId, event: Event) -> Option<Event> {
        let socket = self.sockets.get_mut(&stream).filter(|socket| !socket.dead)?;
        if let Event::ToDestination(Input::Accepted { .. }) = event {
            let accepted = StreamId(StreamId::FIRST_ACCEPTED + self.by_accepted.len() as u32);
            socket.accepted = Some(accepted);
            self.by_accepted.insert(accepted, stream);
            self.back(stream, Input::Opened { stream });
            return Some(Event::ToDestination(Input::Accepted { stream: accepted }));
        }
        Some(event)
    }

    pub fn of_source(&mut self, output: Output<SourceEvent>) {
        match output {
            Output::Open { stream, .. } => {
                assert!(!self.sockets.contains_key(&stream), "{stream:?} again");
                self.sockets.insert(stream, Socket::default());
                if self.is_down {
                    self.at(self.now + Span::from_s(1), Due::Unreachable(stream));
                } else {
                    let nobody = StreamId(0);
                    self.forth(stream, Input::Accepted { stream: nobody });
                }
            }
            Output::Send { stream, payload } => {
                let socket = self.sockets.get_mut(&stream).expect("an open stream");
                if !socket.dead {
                    socket.outside.push(payload);
                    self.take(stream);
                }
                self.transmit();
            }
            Output::Close { stream } => {
                self.sockets.get_mut(&stream).expect("an open stream").closing = true;
                self.transmit();
            }
            Output::WakeAt { at, .. } => self.source_wake = Some(at.max(self.now)),
            Output::Idle => self.source_wake = None,
            Output::Inspect { .. } => {}
            Output::Abort { stream } => self.die(stream, false),
            Output::Event(_) | Output::Datagram { .. } => {
                unreachable!("a migration sends no datagrams")
            }
        }
    }

    pub fn of_destination(&mut self, output: Output<DestinationEvent>) {
        match output {
            Output::Send { stream, payload } => {
                let bytes = payload.len();
                let sent = Input::Sent { stream, bytes };
                self.at(self.now, Due::Local(Event::ToDestination(sent)));
                let stream = self.by_accepted[&stream];
                self.back(stream, Input::Received { stream, payload });
            }
            Output::Close { stream } => {
                let stream = self.by_accepted[&stream];
                let reason = CloseReason::Finished;
                self.back(stream, Input::Closed { stream, reason });
            }
            Output::WakeAt { at, .. } => self.destination_wake = Some(at.max(self.now)),
            Output::Idle => self.destination_wake = None,
            Output::Open { .. }
            | Output::Abort { .. }
            | Output::Inspect { .. }
            | Output::Event(_)
            | Output::Datagram { .. } => {
                unreachable!("a destination opens nothing")
            }
        }
    }

    /// Fills the socket buffer of a stream once half of it is free, as an operating system does.
    fn take(&mut self, stream: StreamId) {
        let socket = self.sockets.get_mut(&stream).expect("an open stream");
        if socket.inside.len() > self.setup.socket_bytes / 2 {
            return;
        }
        let mut bytes = 0;
        while let Some(piece) = socket.outside.pop(self.setup.socket_bytes - socket.inside.len()) {
            bytes += piece.len();
            socket.inside.push(piece);
        }
        if bytes > 0 {
            let sent = Input::Sent { stream, bytes };
            self.at(self.now, Due::Local(Event::ToSource(sent)));
        }
    }

    /// Puts the next piece on the link if it is free.
    fn transmit(&mut self) {
        if self.busy || self.is_down {
            return;
        }
        let streams: Vec<StreamId> = self.sockets.keys().copied().collect();
        for step in 0..streams.len() {
            let index = (self.turn + step) % streams.len();
            let stream = streams[index];
            let socket = self.sockets.get_mut(&stream).expect("listed");
            let Some(accepted) = socket.accepted else { continue };
            let Some(payload) = socket.inside.pop(PIECE_BYTES) else {
                if socket.closing && socket.outside.is_empty() {
                    socket.closing = false;
                    let reason = CloseReason::Finished;
                    self.forth(
                        stream,
                        Input::Closed {
                            stream: accepted,
                            reason,
                        },
                    );
                }
                continue;
            };
            self.turn = index + 1;
            self.busy = true;
            self.link_bytes += payload.len();
            let free = self.now + self.setup.rate.time_for(payload.len());
            self.at(free, Due::Free);
            let received = Input::Received {
                stream: accepted,
                payload,
            };
            self.across(free + self.setup.delay, stream, Event::ToDestination(received));
            self.take(stream);
            return;
        }
    }

    /// A connection ends without having finished; both sides hear of it, if they can at once.
    fn die(&mut self, stream: StreamId, at_once: bool) {
        let Some(socket) = self.sockets.get_mut(&stream).filter(|socket| !socket.dead) else {
            return;
        };
        let accepted = socket.accepted;
        *socket = Socket {
            dead: true,
            accepted,
            ..Socket::default()
        };
        let reason = CloseReason::Failed;
        let when = if at_once {
            self.now
        } else {
            self.now + self.setup.delay
        };
        let closed = Input::Closed { stream, reason };
        self.at(when, Due::Local(Event::ToSource(closed)));
        if let Some(stream) = accepted {
            let closed = Input::Closed { stream, reason };
            self.at(when, Due::Local(Event::ToDestination(closed)));
        }
    }
}
