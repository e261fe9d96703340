//! A server: requests wait in a queue, are worked on by a processor, perhaps asked of services behind it, and answered.
//!
//! A request that is let in takes memory, waits for one of [`ServerOptions::concurrency`] places, uses the processor for
//! as long as its law says, goes through the stages of calls to services behind, and is answered. Faults take effect
//! where they would: a starved processor on the work, a leak on the memory and through it on the speed, a crash on
//! everything that is not on disk.

mod condition;
mod flow;
mod jobs;
mod memory;
mod results;

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::{Input, Machine, Output, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::{Source, Stream, Streams};
use longhaul_core::time::Instant;
use longhaul_core::units::Probability;
use longhaul_resilience::Stack;

use crate::caller::{Caller, Driver, StreamNumbers};
use crate::options::{OptionsError, ServerOptions};
use crate::processor::Processor;
use crate::queue::Queue;
use crate::record::{CallerStatistics, Death, ServerEvent, ServerStatistics};
use crate::seen::Seen;
use crate::slab::Slab;
use crate::wire::{Frame, FrameReader};

pub use condition::{Gray, ServerCommand};

use condition::Condition;
use jobs::Job;
use memory::Memory;
use results::Results;

/// Something that is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Later {
    /// A job is to be answered.
    Job(u32),
    /// A ping is to be answered.
    Pong {
        stream: StreamId,
        number: u64,
        healthy: bool,
    },
}

/// See the module.
pub struct Server {
    options: ServerOptions,
    condition: Condition,
    /// `None`: not down. `Some(None)`: down until told.
    down: Option<Option<Instant>>,
    /// Crashes so far: streams of random numbers of each life have its number in their name.
    lives: u64,
    streams: Streams,
    name: String,
    work_random: Stream,
    fault_random: Stream,
    choice_random: Stream,
    processor: Processor,
    queue: Queue,
    jobs: Slab<Job>,
    next_serial: u64,
    /// Jobs that have a place, the queue's own being its affair.
    working: u32,
    later: BTreeMap<(Instant, u64), Later>,
    next_later: u64,
    connections: BTreeMap<StreamId, FrameReader>,
    /// With cancellation: jobs by connection, request and attempt.
    wanted: BTreeMap<(StreamId, u64, u32), u32>,
    admission: Option<Stack>,
    admission_wake: Option<Instant>,
    memory: Memory,
    under_pressure: bool,
    results: Results,
    seen: BTreeMap<u32, Seen>,
    callers: Vec<Caller>,
    numbers: StreamNumbers,
    statistics: ServerStatistics,
    outputs: VecDeque<Output<ServerEvent>>,
    now: Instant,
}

impl Server {
    /// A server of this name, by which it gets its random numbers.
    ///
    /// # Errors
    /// The first mistake in its options.
    pub fn new(name: &str, options: ServerOptions, streams: Streams) -> Result<Server, OptionsError> {
        options.check()?;
        let callers = options.behind.iter().enumerate().map(|(index, behind)| {
            Caller::new(
                options.origin.wrapping_add(index as u32),
                behind.service.clone(),
                streams.stream(name, &format!("policies of {index}, life 0")),
                streams.stream(name, &format!("connections of {index}")),
            )
        });
        let admission = !options.admission.layers.is_empty();
        Ok(Server {
            condition: Condition::default(),
            down: None,
            lives: 0,
            work_random: streams.stream(name, "work"),
            fault_random: streams.of(Source::Faults).stream(name, "faults"),
            choice_random: streams.stream(name, "choices"),
            processor: Processor::new(options.cores),
            queue: Queue::new(options.queue),
            jobs: Slab::new(),
            next_serial: 0,
            working: 0,
            later: BTreeMap::new(),
            next_later: 0,
            connections: BTreeMap::new(),
            wanted: BTreeMap::new(),
            admission: admission
                .then(|| Stack::new(&options.admission, streams.stream(name, "admission, life 0"))),
            admission_wake: None,
            memory: Memory::new(options.memory),
            under_pressure: false,
            results: Results::new(options.remember),
            seen: BTreeMap::new(),
            callers: callers.collect(),
            numbers: StreamNumbers::new(),
            statistics: ServerStatistics::default(),
            outputs: VecDeque::new(),
            now: Instant::ZERO,
            name: name.to_owned(),
            streams,
            options,
        })
    }

    /// Counters of all its lives.
    pub fn statistics(&self) -> ServerStatistics {
        ServerStatistics {
            queued: self.queue.len() as u64,
            running: self.working.into(),
            worked: self.processor.done(),
            ..self.statistics
        }
    }

    /// Counters of its calls to a service behind it, and how many of them are under way.
    pub fn behind(&self, service: usize) -> Option<(CallerStatistics, u64)> {
        let caller = self.callers.get(service)?;
        Some((*caller.statistics(), caller.open_calls() as u64))
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// Memory in use, in bytes.
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }

    fn command(&mut self, command: ServerCommand) {
        let condition = &mut self.condition;
        match command {
            ServerCommand::Cpu(share) => condition.cpu = share,
            ServerCommand::ErrorRate(rate) => condition.error_rate = rate,
            ServerCommand::Delay(law) => condition.delay = law,
            ServerCommand::Panic(chance) => condition.panic = chance,
            ServerCommand::Leak(size) => condition.leak = size.as_bytes(),
            ServerCommand::Memory(share) => {
                condition.memory = share;
                self.feel_pressure();
            }
            ServerCommand::Gray(gray) => condition.gray = gray,
            ServerCommand::Hang(hung) => self.set_hung(hung),
            ServerCommand::Crash { restart_after } => {
                self.die(
                    Death::Crash,
                    restart_after.map(|after| self.now.saturating_add(after)),
                );
            }
            ServerCommand::Names { service, fault } => {
                if let Some(caller) = self.callers.get_mut(usize::from(service)) {
                    caller.set_name_fault(fault);
                }
            }
            ServerCommand::Resume => {
                self.condition = Condition {
                    hung: self.condition.hung,
                    ..Condition::default()
                };
                self.set_hung(false);
                self.feel_pressure();
                if self.down.is_some() {
                    self.down = Some(Some(self.now));
                }
            }
        }
        self.set_speed();
    }

    fn set_hung(&mut self, hung: bool) {
        let goes_on = std::mem::replace(&mut self.condition.hung, hung) && !hung;
        if goes_on {
            self.set_speed();
            let streams: Vec<StreamId> = self.connections.keys().copied().collect();
            for stream in streams {
                self.read(stream);
            }
        }
    }

    /// Sets the processor's speed by what slows it.
    fn set_speed(&mut self) {
        let memory = self.memory.speed();
        let share = if self.condition.hung {
            Probability::ZERO
        } else if memory == Probability::ONE {
            self.condition.cpu
        } else {
            let product = u128::from(self.condition.cpu.as_parts()) * u128::from(memory.as_parts());
            // Two shares make a share.
            Probability::from_parts((product / u128::from(Probability::PARTS)) as u64)
                .unwrap_or(Probability::ONE)
        };
        self.processor.set_speed(share);
        let under_pressure = memory < Probability::ONE;
        if under_pressure != self.under_pressure {
            self.under_pressure = under_pressure;
            self.outputs
                .push_back(Output::Event(ServerEvent::Pressure { under_pressure }));
        }
    }

    /// The process ends.
    fn die(&mut self, why: Death, restart_at: Option<Instant>) {
        if self.down.is_some() {
            // It is down already; the later order says when it comes back.
            self.down = Some(restart_at);
            return;
        }
        let (queued, running) = (self.queue.len() as u64, u64::from(self.working));
        self.statistics.deaths += 1;
        self.statistics.lost += queued + running;
        self.lives += 1;
        for stream in std::mem::take(&mut self.connections).into_keys() {
            self.outputs.push_back(Output::Abort { stream });
        }
        for (index, caller) in self.callers.iter_mut().enumerate() {
            let purpose = format!("policies of {index}, life {}", self.lives);
            let policies = self.streams.stream(&self.name, &purpose);
            caller.crash(
                &mut Driver {
                    outputs: &mut self.outputs,
                    numbers: &mut self.numbers,
                },
                policies,
            );
        }
        if self.admission.is_some() {
            let purpose = format!("admission, life {}", self.lives);
            let random = self.streams.stream(&self.name, &purpose);
            self.admission = Some(Stack::new(&self.options.admission, random));
            self.admission_wake = None;
        }
        self.processor.clear();
        self.queue.clear();
        self.jobs.clear();
        self.working = 0;
        self.later.clear();
        self.wanted.clear();
        self.results.clear();
        self.memory = Memory::new(self.options.memory);
        self.down = Some(restart_at);
        self.set_speed();
        self.outputs
            .push_back(Output::Event(ServerEvent::Died { why, queued, running }));
    }

    /// Something else takes part of the memory; without enough of it the process is killed.
    fn feel_pressure(&mut self) {
        let enough = self.memory.press(self.condition.memory);
        if !enough && self.down.is_none() {
            let restart = self.now.saturating_add(self.options.restart);
            self.die(Death::OutOfMemory, Some(restart));
        }
    }

    /// It starts again if its time has come.
    fn start_again(&mut self) {
        if let Some(Some(at)) = self.down
            && at <= self.now
        {
            self.down = None;
            self.start_callers();
            self.outputs.push_back(Output::Event(ServerEvent::Started));
            self.feel_pressure();
            self.set_speed();
        }
    }

    fn start_callers(&mut self) {
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        for caller in &mut self.callers {
            caller.start(self.now, &mut driver);
        }
    }

    /// Reads what has come on a connection.
    fn read(&mut self, stream: StreamId) {
        while self.down.is_none() && !self.condition.hung {
            let Some(reader) = self.connections.get_mut(&stream) else {
                return;
            };
            let error = match reader.read() {
                Ok(None) => return,
                Ok(Some(Frame::Request {
                    reference,
                    operation,
                    idempotent,
                    priority,
                    time_left,
                    body_bytes,
                    answer_bytes,
                })) => {
                    let deadline = self.now.saturating_add(time_left);
                    self.on_request(jobs::Arrival {
                        stream,
                        reference,
                        operation,
                        idempotent,
                        priority,
                        deadline: (deadline < Instant::MAX).then_some(deadline),
                        body_bytes,
                        answer_bytes,
                    });
                    continue;
                }
                Ok(Some(Frame::Cancel { reference })) => {
                    self.on_cancel(stream, reference);
                    continue;
                }
                Ok(Some(Frame::Ping { number })) => {
                    self.on_ping(stream, number);
                    continue;
                }
                Ok(Some(Frame::Answer { .. } | Frame::Pong { .. })) => crate::wire::FrameError::Kind,
                Err(error) => error,
            };
            self.outputs
                .push_back(Output::Event(ServerEvent::Unreadable(error)));
            self.outputs.push_back(Output::Abort { stream });
            self.forget_connection(stream);
        }
    }

    fn on_received(&mut self, stream: StreamId, payload: Payload) {
        if let Some(reader) = self.connections.get_mut(&stream) {
            reader.push(payload);
            self.read(stream);
            return;
        }
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        for caller in &mut self.callers {
            if caller.on_received(self.now, stream, payload.clone(), &mut driver) {
                return;
            }
        }
    }

    /// Tells the caller whose stream it is; the others do not know it.
    fn tell_callers(&mut self, tell: impl Fn(&mut Caller, Instant, &mut Driver<'_, ServerEvent>) -> bool) {
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        let now = self.now;
        let _ = self
            .callers
            .iter_mut()
            .any(|caller| tell(caller, now, &mut driver));
    }

    /// A connection of a caller is no more.
    fn forget_connection(&mut self, stream: StreamId) {
        self.connections.remove(&stream);
        if !self.options.cancellation {
            return;
        }
        let of_stream = self.wanted.range((stream, 0, 0)..=(stream, u64::MAX, u32::MAX));
        let jobs: Vec<u32> = of_stream.map(|(_, job)| *job).collect();
        for job in jobs {
            self.give_up(job);
        }
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        if let Some(restart) = self.down {
            return restart.map(|at| (at, "restart"));
        }
        if self.condition.hung {
            return None;
        }
        let mut next = self.processor.next_end().map(|at| (at, "work"));
        let mut sooner = |wake: Option<(Instant, &'static str)>| {
            if let Some((at, why)) = wake
                && next.is_none_or(|(next, _)| at < next)
            {
                next = Some((at, why));
            }
        };
        sooner(self.later.first_key_value().map(|((at, _), _)| (*at, "delay")));
        sooner(self.admission_wake.map(|at| (at, "admission")));
        for caller in &self.callers {
            sooner(caller.next_wake());
        }
        next
    }
}

impl Machine for Server {
    type Command = ServerCommand;
    type Event = ServerEvent;

    fn handle(&mut self, now: Instant, input: Input<ServerCommand>) {
        self.now = self.now.max(now);
        self.processor.advance(self.now);
        self.start_again();
        // What is due comes before what comes in at the same time, as it would if a wake had come first.
        self.run();
        match input {
            Input::Start => self.start_callers(),
            Input::Command(command) => {
                self.command(command);
                self.start_again();
            }
            // Nobody listens while the process is down.
            Input::Accepted { stream } if self.down.is_some() => {
                self.outputs.push_back(Output::Abort { stream });
            }
            Input::Accepted { stream } => {
                self.connections.insert(stream, FrameReader::default());
            }
            Input::Received { stream, payload } => self.on_received(stream, payload),
            Input::Opened { stream } => {
                self.tell_callers(|caller, now, driver| caller.on_opened(now, stream, driver));
            }
            Input::Closed { stream, .. } if self.connections.contains_key(&stream) => {
                self.forget_connection(stream);
                // The other direction ends too.
                self.outputs.push_back(Output::Close { stream });
            }
            Input::Closed { stream, reason } => {
                self.tell_callers(|caller, now, driver| caller.on_closed(now, stream, reason, driver));
            }
            Input::Wake | Input::Sent { .. } | Input::Path { .. } | Input::Datagram { .. } => {}
        }
        self.run();
    }

    fn poll(&mut self) -> Output<ServerEvent> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
