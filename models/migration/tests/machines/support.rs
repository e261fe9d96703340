//! A source and a destination joined by one link in each direction: a fixed rate forth, a fixed delay both ways.
//! The streams share the rate piece by piece; each has a socket buffer.

use std::collections::BTreeMap;

use longhaul_amst::SenderOptions;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::PayloadBuffer;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use longhaul_memory::GuestMemory;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{
    Command, Destination, DestinationEvent, DestinationOptions, PayloadMode, Source, SourceEvent,
    SourceOptions, Statistics,
};

pub const PIECE_BYTES: u64 = 1_448;

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Setup {
    pub pattern: Pattern,
    pub mib: u64,
    pub dirty_pages_per_s: u64,
    pub working_set: Probability,
    pub bytes_per_write: u64,
    pub downtime_limit: Span,
    pub encoding: EncoderOptions,
    pub payload: PayloadMode,
    pub transport: SenderOptions,
    pub rate: BitRate,
    pub delay: Span,
    pub socket_bytes: u64,
    pub start: Instant,
    pub horizon: Instant,
    /// When which stream dies.
    pub deaths: Vec<(Instant, u32)>,
    /// Unasked-for wakes at the source.
    pub extra_wakes: Option<Span>,
    /// Pages that the destination expects, if not those of the guest.
    pub destination_pages: Option<u64>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            pattern: Pattern::RealWorld,
            mib: 16,
            dirty_pages_per_s: 0,
            working_set: Probability::from_ratio(1, 4).unwrap(),
            bytes_per_write: 64,
            downtime_limit: Span::from_ms(300),
            encoding: EncoderOptions::hde(1),
            payload: PayloadMode::Real,
            transport: SenderOptions::fixed(4, 64 << 10, 16 << 20),
            rate: BitRate::from_bits_per_s(80_000_000),
            delay: Span::from_ms(20),
            socket_bytes: 16 << 10,
            start: Instant::from_ns(5_000_000),
            horizon: Instant::ZERO + Span::from_s(600),
            deaths: Vec::new(),
            extra_wakes: None,
            destination_pages: None,
        }
    }
}

impl Setup {
    pub fn memory(&self) -> GeneratedMemory {
        let options = GeneratedOptions {
            pattern: self.pattern,
            size: ByteSize::from_mib(self.mib),
            dirty: DirtyOptions {
                pages_per_s: self.dirty_pages_per_s,
                working_set: self.working_set,
                bytes_per_write: ByteSize::from_bytes(self.bytes_per_write),
            },
        };
        GeneratedMemory::new(&options, &Streams::new(11, 0), "vm").unwrap()
    }

    pub fn source(&self) -> Source<GeneratedMemory> {
        let options = SourceOptions {
            destination: PeerId(1),
            downtime_limit: self.downtime_limit,
            encoding: self.encoding,
            payload: self.payload,
            transport: self.transport,
        };
        Source::new(
            options,
            self.memory(),
            Streams::new(11, 0).stream("migration", "sampling"),
        )
        .unwrap()
    }

    pub fn run(&self) -> World {
        let mut world = World::new(self.clone());
        world.run();
        world
    }
}

/// What is going to happen.
enum Event {
    ToSource(Input<Command>),
    ToDestination(Input<()>),
    /// The link forth is free.
    Free,
    Death(u32),
}

/// One stream of the source, as the transport sees it.
#[derive(Default)]
struct Socket {
    /// Not taken over yet.
    outside: PayloadBuffer,
    /// Taken over and not on the link yet.
    inside: PayloadBuffer,
    closing: bool,
    dead: bool,
}

pub struct World {
    setup: Setup,
    pub source: Source<GeneratedMemory>,
    pub destination: Destination,
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    sockets: Vec<Socket>,
    turn: usize,
    busy: bool,
    wake: Option<Instant>,
    pub link_bytes: u64,
    pub source_events: Vec<(Instant, SourceEvent)>,
    pub destination_events: Vec<(Instant, DestinationEvent)>,
    /// The source's inputs and what it answered.
    pub tape: Vec<(Instant, Input<Command>, Vec<Output<SourceEvent>>)>,
}

fn accepted(stream: StreamId) -> StreamId {
    StreamId(stream.0 + StreamId::FIRST_ACCEPTED)
}

fn opened(stream: StreamId) -> StreamId {
    StreamId(stream.0 - StreamId::FIRST_ACCEPTED)
}

impl World {
    fn new(setup: Setup) -> World {
        let source = setup.source();
        let destination = Destination::new(DestinationOptions {
            pages: setup.destination_pages.unwrap_or(source.memory().pages()),
            window_bytes: setup.transport.window_bytes,
            keep_pages: true,
        });
        let mut world = World {
            source,
            destination,
            now: Instant::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            sockets: Vec::new(),
            turn: 0,
            busy: false,
            wake: None,
            link_bytes: 0,
            source_events: Vec::new(),
            destination_events: Vec::new(),
            tape: Vec::new(),
            setup,
        };
        world.at(Instant::ZERO, Event::ToSource(Input::Start));
        world.at(Instant::ZERO, Event::ToDestination(Input::Start));
        world.at(world.setup.start, Event::ToSource(Input::Command(Command::Start)));
        for (at, stream) in world.setup.deaths.clone() {
            world.at(at, Event::Death(stream));
        }
        if let Some(every) = world.setup.extra_wakes {
            for k in 1..2_000 {
                world.at(Instant::ZERO + every * k, Event::ToSource(Input::Wake));
            }
        }
        world
    }

    pub fn completed(&self) -> Option<&Statistics> {
        self.source_events.iter().find_map(|(_, event)| match event {
            SourceEvent::Completed { statistics } => Some(&**statistics),
            _ => None,
        })
    }

    /// Statistics at completion; a panic that says what happened if there was none.
    pub fn statistics(&self) -> Statistics {
        let happened = || panic!("{:?} {:?}", self.source_events, self.destination_events);
        *self.completed().unwrap_or_else(happened)
    }

    /// Whether every page that the destination holds as bytes is that of the guest; how many there are.
    pub fn compare_pages(&self) -> u64 {
        let memory = self.source.memory();
        let mut expected = [0; PAGE_SIZE];
        let mut compared = 0;
        for page in 0..memory.pages() {
            if let Some(content) = self.destination.page(page) {
                memory.read(page, memory.version(page), &mut expected);
                assert_eq!(*content, expected, "page {page}");
                compared += 1;
            }
        }
        compared
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn later(&mut self, event: Event) {
        self.at(self.now + self.setup.delay, event);
    }

    fn run(&mut self) {
        loop {
            let next = self.events.first_key_value().map(|(key, _)| key.0);
            let wake = self.wake.filter(|wake| next.is_none_or(|next| *wake < next));
            let Some(at) = wake.or(next).filter(|at| *at <= self.setup.horizon) else {
                break;
            };
            self.now = at;
            if wake.is_some() {
                self.wake = None;
                self.give_source(Input::Wake);
                continue;
            }
            match self.events.pop_first().expect("peeked").1 {
                Event::ToSource(input) => self.give_source(input),
                Event::ToDestination(input) => self.give_destination(input),
                Event::Free => {
                    self.busy = false;
                    self.transmit();
                }
                Event::Death(stream) => self.die(StreamId(stream)),
            }
        }
    }

    fn give_source(&mut self, input: Input<Command>) {
        if let Input::Received { stream, .. } = &input
            && self.sockets[stream.0 as usize].dead
        {
            return;
        }
        self.source.handle(self.now, input.clone());
        let mut outputs = Vec::new();
        loop {
            let output = self.source.poll();
            let last = output.ends_poll();
            outputs.push(output);
            if last {
                break;
            }
        }
        for output in outputs.clone() {
            self.on_source_output(output);
        }
        self.tape.push((self.now, input, outputs));
        self.transmit();
    }

    fn on_source_output(&mut self, output: Output<SourceEvent>) {
        match output {
            Output::Open { stream, .. } => {
                assert_eq!(stream.0 as usize, self.sockets.len());
                self.sockets.push(Socket::default());
                self.later(Event::ToDestination(Input::Accepted {
                    stream: accepted(stream),
                }));
                self.at(
                    self.now + self.setup.delay * 2,
                    Event::ToSource(Input::Opened { stream }),
                );
            }
            Output::Send { stream, payload } => {
                if !self.sockets[stream.0 as usize].dead {
                    self.sockets[stream.0 as usize].outside.push(payload);
                    self.take(stream);
                }
            }
            Output::Close { stream } => {
                self.sockets[stream.0 as usize].closing = true;
            }
            Output::Event(event) => self.source_events.push((self.now, event)),
            Output::WakeAt { at, .. } => self.wake = Some(at.max(self.now)),
            Output::Idle => self.wake = None,
            Output::Inspect { .. } => {}
            Output::Abort { .. } => unreachable!("a migration closes its streams"),
            Output::Datagram { .. } => unreachable!("a migration sends no datagrams"),
        }
    }

    fn give_destination(&mut self, input: Input<()>) {
        if let Input::Received { stream, .. } = &input
            && self.sockets[opened(*stream).0 as usize].dead
        {
            return;
        }
        self.destination.handle(self.now, input);
        loop {
            match self.destination.poll() {
                Output::Send { stream, payload } => {
                    let bytes = payload.len();
                    self.at(self.now, Event::ToDestination(Input::Sent { stream, bytes }));
                    let stream = opened(stream);
                    self.later(Event::ToSource(Input::Received { stream, payload }));
                }
                Output::Close { stream } => {
                    let stream = opened(stream);
                    let reason = CloseReason::Finished;
                    self.later(Event::ToSource(Input::Closed { stream, reason }));
                }
                Output::Event(event) => self.destination_events.push((self.now, event)),
                Output::Idle => break,
                other => unreachable!("{other:?}"),
            }
        }
    }

    /// Fills the socket buffer of a stream once half of it is free, as an operating system does.
    fn take(&mut self, stream: StreamId) {
        let socket = &mut self.sockets[stream.0 as usize];
        if socket.inside.len() > self.setup.socket_bytes / 2 {
            return;
        }
        let mut bytes = 0;
        while let Some(piece) = socket.outside.pop(self.setup.socket_bytes - socket.inside.len()) {
            bytes += piece.len();
            socket.inside.push(piece);
        }
        if bytes > 0 {
            self.at(self.now, Event::ToSource(Input::Sent { stream, bytes }));
        }
    }

    /// Puts the next piece on the link if it is free.
    fn transmit(&mut self) {
        if self.busy {
            return;
        }
        let count = self.sockets.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let stream = StreamId(index as u32);
            let Some(payload) = self.sockets[index].inside.pop(PIECE_BYTES) else {
                if self.sockets[index].closing && self.sockets[index].outside.is_empty() {
                    self.sockets[index].closing = false;
                    let (stream, reason) = (accepted(stream), CloseReason::Finished);
                    self.later(Event::ToDestination(Input::Closed { stream, reason }));
                }
                continue;
            };
            self.turn = index + 1;
            self.busy = true;
            self.link_bytes += payload.len();
            let free = self.now + self.setup.rate.time_for(payload.len());
            self.at(free, Event::Free);
            let stream_there = accepted(stream);
            let arrival = free + self.setup.delay;
            self.at(
                arrival,
                Event::ToDestination(Input::Received {
                    stream: stream_there,
                    payload,
                }),
            );
            self.take(stream);
            return;
        }
    }

    fn die(&mut self, stream: StreamId) {
        let socket = &mut self.sockets[stream.0 as usize];
        *socket = Socket {
            dead: true,
            ..Socket::default()
        };
        let reason = CloseReason::Failed;
        self.later(Event::ToSource(Input::Closed { stream, reason }));
        let stream = accepted(stream);
        self.later(Event::ToDestination(Input::Closed { stream, reason }));
    }
}
