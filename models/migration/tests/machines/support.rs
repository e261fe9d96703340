//! A source and a destination, what happens to them, and what must hold at every moment.

mod wire;

use longhaul_amst::SenderOptions;
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_memory::{GuestMemory, ReadOptions};
use longhaul_migration::{
    Command, Cost, Destination, DestinationEvent, DestinationOptions, Encoding, Mode, PayloadMode, Recover,
    Source, SourceEvent, SourceOptions, Statistics, StopRule, Throttle,
};

use wire::{Event, Wire};

pub const SESSION: u64 = 0x1122_3344_5566_7788;

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Setup {
    pub pattern: Pattern,
    pub mib: u64,
    pub vcpus: u32,
    pub dirty_pages_per_s: u64,
    pub working_set: Probability,
    pub locality: Locality,
    pub bytes_per_write: u64,
    pub reads: ReadOptions,
    pub mode: Mode,
    pub stop: StopRule,
    pub throttle: Throttle,
    pub max_bandwidth: Option<BitRate>,
    pub max_postcopy_bandwidth: Option<BitRate>,
    pub encoding: Encoding,
    pub cost: Option<Cost>,
    pub decoding_cost: Option<Cost>,
    pub payload: PayloadMode,
    pub device_state: ByteSize,
    pub preempt: bool,
    pub recover: Option<Recover>,
    pub resume_time: Span,
    pub transport: SenderOptions,
    pub rate: BitRate,
    pub delay: Span,
    pub socket_bytes: u64,
    pub start: Instant,
    pub horizon: Instant,
    /// When which stream of the first attempt dies.
    pub deaths: Vec<(Instant, u32)>,
    /// From when to when nothing gets across.
    pub outages: Vec<(Instant, Instant)>,
    /// How long a connection outlives an outage.
    pub give_up: Span,
    pub cancel: Option<Instant>,
    /// Unasked-for wakes of both machines.
    pub extra_wakes: Option<Span>,
    /// Pages that the destination expects, if not those of the guest.
    pub destination_pages: Option<u64>,
    /// Whether the destination can run the guest before all its memory has come.
    pub destination_guest: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            pattern: Pattern::RealWorld,
            mib: 16,
            vcpus: 1,
            dirty_pages_per_s: 0,
            working_set: Probability::from_ratio(1, 4).unwrap(),
            locality: Locality::Uniform,
            bytes_per_write: 64,
            reads: ReadOptions::NONE,
            mode: Mode::PreCopy,
            stop: StopRule::DEFAULT,
            throttle: Throttle::None,
            max_bandwidth: None,
            max_postcopy_bandwidth: None,
            encoding: Encoding::Hde(EncoderOptions::hde(1)),
            cost: None,
            decoding_cost: None,
            payload: PayloadMode::Real,
            device_state: ByteSize::default(),
            preempt: true,
            recover: None,
            resume_time: Span::ZERO,
            transport: SenderOptions::fixed(4, 64 << 10, 16 << 20),
            rate: BitRate::from_bits_per_s(80_000_000),
            delay: Span::from_ms(20),
            socket_bytes: 16 << 10,
            start: Instant::from_ns(5_000_000),
            horizon: Instant::ZERO + Span::from_s(600),
            deaths: Vec::new(),
            outages: Vec::new(),
            give_up: Span::from_s(2),
            cancel: None,
            extra_wakes: None,
            destination_pages: None,
            destination_guest: true,
        }
    }
}

impl Setup {
    pub fn pages(&self) -> u64 {
        self.mib * 256
    }

    pub fn memory(&self) -> GeneratedMemory {
        let options = GeneratedOptions {
            pattern: self.pattern,
            size: ByteSize::from_mib(self.mib),
            vcpus: self.vcpus,
            reads: self.reads,
            dirty: DirtyOptions {
                pages_per_s: self.dirty_pages_per_s,
                working_set: self.working_set,
                locality: self.locality,
                bytes_per_write: ByteSize::from_bytes(self.bytes_per_write),
            },
        };
        GeneratedMemory::new(&options, &Streams::new(11, 0), "vm").unwrap()
    }

    pub fn source(&self) -> Source<GeneratedMemory> {
        let options = SourceOptions {
            mode: self.mode,
            stop: self.stop,
            throttle: self.throttle,
            max_bandwidth: self.max_bandwidth,
            max_postcopy_bandwidth: self.max_postcopy_bandwidth,
            encoding: self.encoding,
            cost: self.cost,
            payload: self.payload,
            device_state: self.device_state,
            preempt: self.preempt,
            recover: self.recover,
            ..SourceOptions::new(PeerId(1), SESSION, self.transport)
        };
        let random = Streams::new(11, 0).stream("migration", "sampling");
        Source::new(options, self.memory(), random).unwrap()
    }

    pub fn destination(&self) -> Destination<GeneratedMemory> {
        let options = DestinationOptions {
            pages: self.destination_pages.unwrap_or(self.pages()),
            session: SESSION,
            window_bytes: self.transport.window_bytes,
            cost: self.decoding_cost,
            resume_time: self.resume_time,
            keep_pages: true,
        };
        let has_guest = self.destination_guest && self.destination_pages.is_none();
        Destination::new(options, has_guest.then(|| self.memory()))
    }

    pub fn run(&self) -> World {
        let mut world = World::new(self);
        world.run();
        world
    }
}

pub struct World {
    pub source: Source<GeneratedMemory>,
    pub destination: Destination<GeneratedMemory>,
    pub wire: Wire,
    horizon: Instant,
    pub source_events: Vec<(Instant, SourceEvent)>,
    pub destination_events: Vec<(Instant, DestinationEvent)>,
    /// The source's inputs and what it answered.
    pub tape: Vec<(Instant, Input<Command>, Vec<Output<SourceEvent>>)>,
    /// How long the guest has run on neither side, and on which side it runs.
    pub stood_still: Span,
    last: Instant,
}

impl World {
    fn new(setup: &Setup) -> World {
        World {
            source: setup.source(),
            destination: setup.destination(),
            wire: Wire::new(setup),
            horizon: setup.horizon,
            source_events: Vec::new(),
            destination_events: Vec::new(),
            tape: Vec::new(),
            stood_still: Span::ZERO,
            last: Instant::ZERO,
        }
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

    /// When the source first reported such an event.
    pub fn source_time(&self, is: impl Fn(&SourceEvent) -> bool) -> Option<Instant> {
        self.source_events
            .iter()
            .find(|(_, event)| is(event))
            .map(|(at, _)| *at)
    }

    /// Whether every page that the destination holds as bytes is that of the guest when it stood still; how many there
    /// are.
    pub fn compare_pages(&self) -> u64 {
        let memory = self.source.memory();
        let mut expected = [0; PAGE_SIZE];
        let mut compared = 0;
        for page in 0..memory.pages() {
            if let Some(content) = self.destination.page(page) {
                memory.read(page, memory.version(page), &mut expected);
                assert!(*content == expected, "page {page} differs");
                compared += 1;
            }
        }
        compared
    }

    fn run(&mut self) {
        while let Some((now, event)) = self.wire.next(self.horizon) {
            let runs = (self.source.runs_guest(), self.destination.runs_guest());
            assert_ne!(runs, (true, true), "the guest runs on both sides");
            if runs == (false, false) {
                self.stood_still += now - self.last;
            }
            self.last = now;
            match event {
                Event::ToSource(input) => self.give_source(now, input),
                Event::ToDestination(input) => self.give_destination(now, input),
            }
        }
    }

    fn give_source(&mut self, now: Instant, input: Input<Command>) {
        self.source.handle(now, input.clone());
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
            match output {
                Output::Event(event) => self.source_events.push((now, event)),
                output => self.wire.of_source(output),
            }
        }
        self.tape.push((now, input, outputs));
    }

    fn give_destination(&mut self, now: Instant, input: Input<()>) {
        self.destination.handle(now, input);
        loop {
            let output = self.destination.poll();
            let last = output.ends_poll();
            match output {
                Output::Event(event) => self.destination_events.push((now, event)),
                output => self.wire.of_destination(output),
            }
            if last {
                break;
            }
        }
    }
}
