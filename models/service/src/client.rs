//! A client: makes requests of one service, in open or closed loop, and keeps account of them.

use std::collections::{BTreeSet, VecDeque};

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_resilience::planted::Planted;
use serde::{Deserialize, Serialize};

use crate::arrivals::Source;
use crate::caller::{Caller, Done, Driver, Request, StreamNumbers};
use crate::law::TimeLaw;
use crate::names::NameFault;
use crate::options::{ClientOptions, Load, OptionsError, check_load};
use crate::record::{CallerEvent, ClientStatistics, Failures, RequestRecord, RequestResult, Series};
use crate::slab::Slab;

/// The least that a user thinks after a request that took no time.
const BREATH: Span = Span::from_ms(1);

/// What a client can be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ClientCommand {
    /// Makes requests from now on by this load instead of the one before, whose requests are still ended. A load that
    /// cannot be had is reported and changes nothing.
    Load(Load),
    /// Makes no more requests.
    Stop,
    /// Lookups of the service's name that begin from now on.
    Names(NameFault),
}

/// What a client reports.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum ClientEvent {
    /// Something between it and its service.
    Service(CallerEvent),
    /// A load that it was given cannot be had.
    BadLoad(String),
}

/// A request under way.
#[derive(Clone, Copy)]
struct Pending {
    number: u64,
    started: Instant,
    /// It belongs to the users of this load.
    generation: u64,
}

/// See the module.
pub struct Client {
    options: ClientOptions,
    caller: Caller,
    arrivals_random: Stream,
    think_random: Stream,
    numbers: StreamNumbers,
    /// How users of a closed loop think.
    think: Option<TimeLaw>,
    /// Of an open loop.
    source: Option<Source>,
    next_arrival: Option<Instant>,
    /// Of a closed loop: when users make their next requests.
    thinking: BTreeSet<(Instant, u64)>,
    next_user: u64,
    /// Loads so far: users of an earlier one do not come back.
    generation: u64,
    pending: Slab<Pending>,
    started: u64,
    succeeded: u64,
    late: u64,
    failures: Failures,
    records: Vec<RequestRecord>,
    series: Series,
    outputs: VecDeque<Output<ClientEvent>>,
    now: Instant,
}

impl Client {
    /// A client of this name, by which it gets its random numbers. It begins when it is started.
    ///
    /// # Errors
    /// The first mistake in its options.
    pub fn new(name: &str, options: ClientOptions, streams: Streams) -> Result<Client, OptionsError> {
        options.check()?;
        Ok(Client {
            caller: Caller::new(
                options.origin,
                options.service.clone(),
                streams.stream(name, "policies"),
                streams.stream(name, "connections"),
            ),
            arrivals_random: streams.stream(name, "arrivals"),
            think_random: streams.stream(name, "thinking"),
            numbers: StreamNumbers::new(),
            think: None,
            source: None,
            next_arrival: None,
            thinking: BTreeSet::new(),
            next_user: 0,
            generation: 0,
            pending: Slab::new(),
            started: 0,
            succeeded: 0,
            late: 0,
            failures: Failures::default(),
            records: Vec::new(),
            series: Series::new(options.interval),
            outputs: VecDeque::new(),
            now: Instant::ZERO,
            options,
        })
    }

    /// With a bug in its policies, for tests. It must not have begun.
    #[doc(hidden)]
    #[must_use]
    pub fn with_planted(mut self, name: &str, streams: Streams, planted: Planted) -> Client {
        self.caller = self
            .caller
            .with_planted(streams.stream(name, "policies"), planted);
        self
    }

    /// Counters.
    pub fn statistics(&self) -> ClientStatistics {
        ClientStatistics {
            started: self.started,
            succeeded: self.succeeded,
            late: self.late,
            failures: self.failures,
            in_flight: self.pending.len() as u64,
            caller: *self.caller.statistics(),
        }
    }

    /// What happened in each interval.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Records of requests that are over and have not been taken, in the order in which they ended; empty unless they are
    /// kept.
    pub fn take_records(&mut self) -> Vec<RequestRecord> {
        std::mem::take(&mut self.records)
    }

    /// Begins a load.
    fn load(&mut self, load: Load) {
        self.stop();
        match load {
            Load::Open(arrivals) => {
                let mut source = Source::new(arrivals, self.now);
                self.next_arrival = source.next(&mut self.arrivals_random);
                self.source = Some(source);
            }
            Load::Closed { users, think } => {
                for _ in 0..users {
                    let after = think.draw(&mut self.think_random);
                    self.come_back_after(after);
                }
                self.think = Some(think);
            }
        }
    }

    fn stop(&mut self) {
        self.generation += 1;
        self.think = None;
        self.source = None;
        self.next_arrival = None;
        self.thinking.clear();
    }

    /// A user makes the next request after a while.
    fn come_back_after(&mut self, span: Span) {
        let at = self.now.saturating_add(span);
        self.thinking.insert((at, self.next_user));
        self.next_user += 1;
    }

    /// Whether it may make another request.
    fn may_start(&self) -> bool {
        self.options.limit.is_none_or(|limit| self.started < limit)
    }

    /// Makes the requests whose time has come.
    fn make_requests(&mut self) {
        while let Some(at) = self.next_arrival
            && at <= self.now
        {
            if !self.may_start() {
                self.next_arrival = None;
                break;
            }
            self.begin(at);
            let source = self.source.as_mut();
            self.next_arrival = source.and_then(|source| source.next(&mut self.arrivals_random));
        }
        while let Some((at, user)) = self.thinking.first().copied()
            && at <= self.now
        {
            self.thinking.remove(&(at, user));
            if self.may_start() {
                self.begin(at);
            }
        }
    }

    /// A request that was due at `started` begins.
    fn begin(&mut self, started: Instant) {
        let context = self.pending.insert(Pending {
            number: self.started,
            started,
            generation: self.generation,
        });
        self.started += 1;
        self.series.at(self.now).started += 1;
        let attempts = self.caller.statistics().attempts;
        let of = &self.options.request;
        let request = Request {
            context: context.into(),
            operation: of.operation,
            idempotent: of.idempotent,
            priority: of.priority,
            deadline: of.deadline.map(|span| started.saturating_add(span)),
            // Within the bound of bodies: checked with the options.
            body_bytes: of.body.as_bytes() as u32,
            answer_bytes: of.answer.as_bytes() as u32,
        };
        self.with_caller(|caller, now, driver| caller.call(now, request, driver));
        self.note_attempts(attempts);
    }

    fn note_attempts(&mut self, before: u64) {
        let begun = self.caller.statistics().attempts - before;
        if begun > 0 {
            self.series.at(self.now).attempts += begun;
        }
    }

    fn with_caller<T>(
        &mut self,
        tell: impl FnOnce(&mut Caller, Instant, &mut Driver<'_, ClientEvent>) -> T,
    ) -> T {
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        tell(&mut self.caller, self.now, &mut driver)
    }

    /// Takes note of what the caller has to tell.
    fn hear_caller(&mut self) {
        while let Some(event) = self.caller.next_event() {
            self.outputs.push_back(Output::Event(ClientEvent::Service(event)));
        }
        while let Some(done) = self.caller.next_done() {
            self.end(done);
        }
    }

    /// A request is over.
    fn end(&mut self, done: Done) {
        // Contexts are numbers in the slab.
        let pending = self
            .pending
            .remove(done.context as u32)
            .expect("a request under way");
        let took = self.now.saturating_since(pending.started);
        let late = self.options.request.late_after.is_some_and(|after| took > after);
        let interval = self.series.at(self.now);
        let result = match done.result {
            Ok(_) if late => {
                self.late += 1;
                interval.late += 1;
                RequestResult::Late
            }
            Ok(_) => {
                self.succeeded += 1;
                interval.succeeded += 1;
                RequestResult::Succeeded
            }
            Err(error) => {
                self.failures.count(error);
                interval.failed += 1;
                RequestResult::Failed(error)
            }
        };
        if self.options.keep_records {
            self.records.push(RequestRecord {
                number: pending.number,
                started: pending.started,
                ended: self.now,
                attempts: done.attempts,
                result,
            });
        }
        if let Some(think) = self.think
            && pending.generation == self.generation
        {
            let mut span = think.draw(&mut self.think_random);
            if took == Span::ZERO {
                // Whoever is refused on the spot and asks again on the spot never lets time pass.
                span = span.max(BREATH);
            }
            self.come_back_after(span);
        }
    }

    fn do_what_is_due(&mut self) {
        let attempts = self.caller.statistics().attempts;
        if self.caller.next_wake().is_some_and(|(at, _)| at <= self.now) {
            self.with_caller(Caller::wake);
        }
        self.note_attempts(attempts);
        self.hear_caller();
        self.make_requests();
        self.hear_caller();
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let mut next = self.caller.next_wake();
        let thinking = self.thinking.first().map(|(at, _)| *at);
        for (at, why) in [(self.next_arrival, "arrival"), (thinking, "thinking")] {
            if let Some(at) = at
                && next.is_none_or(|(next, _)| at < next)
            {
                next = Some((at, why));
            }
        }
        next
    }
}

impl Machine for Client {
    type Command = ClientCommand;
    type Event = ClientEvent;

    fn handle(&mut self, now: Instant, input: Input<ClientCommand>) {
        self.now = self.now.max(now);
        // What is due comes before what comes in at the same time, as it would if a wake had come first.
        self.do_what_is_due();
        let attempts = self.caller.statistics().attempts;
        match input {
            Input::Start => {
                self.with_caller(Caller::start);
                let load = self.options.load.clone();
                self.load(load);
            }
            Input::Command(ClientCommand::Load(load)) => match check_load(&load) {
                Ok(()) => self.load(load),
                Err(error) => {
                    let event = ClientEvent::BadLoad(error.to_string());
                    self.outputs.push_back(Output::Event(event));
                }
            },
            Input::Command(ClientCommand::Stop) => self.stop(),
            Input::Command(ClientCommand::Names(fault)) => self.caller.set_name_fault(fault),
            Input::Opened { stream } => {
                self.with_caller(|caller, now, driver| caller.on_opened(now, stream, driver));
            }
            Input::Received { stream, payload } => {
                self.with_caller(|caller, now, driver| caller.on_received(now, stream, payload, driver));
            }
            Input::Closed { stream, reason } => {
                self.with_caller(|caller, now, driver| caller.on_closed(now, stream, reason, driver));
            }
            // Nobody opens a connection to a client.
            Input::Accepted { stream } => self.outputs.push_back(Output::Abort { stream }),
            Input::Wake | Input::Sent { .. } | Input::Path { .. } | Input::Datagram { .. } => {}
        }
        self.note_attempts(attempts);
        self.do_what_is_due();
    }

    fn poll(&mut self) -> Output<ClientEvent> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
