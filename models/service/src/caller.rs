//! One caller of one service: its calls go through a stack of resilience policies, attempts to replicas, and frames over
//! connections that stay open. Clients have one, servers one for each service behind them.

mod attempts;
mod upkeep;

use std::collections::VecDeque;

use longhaul_core::machine::{CloseReason, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;
use longhaul_resilience::health::Monitor;
use longhaul_resilience::planted::Planted;
use longhaul_resilience::{Call, CallError, Failure, Priority, Stack};

use crate::names::{NameFault, Names};
use crate::options::ServiceOptions;
use crate::record::{CallerEvent, CallerStatistics, LostConnection};
use crate::slab::Slab;
use crate::target::{AttemptAt, Link, Target};
use crate::wire::Frame;

use attempts::call_id;

/// What is to be called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The owner's word for it.
    pub context: u64,
    pub operation: u16,
    pub idempotent: bool,
    pub priority: Priority,
    pub deadline: Option<Instant>,
    pub body_bytes: u32,
    pub answer_bytes: u32,
}

/// A call that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub context: u64,
    pub attempts: u32,
    pub result: Result<u32, CallError>,
}

/// Numbers for streams that are opened.
pub(crate) struct StreamNumbers(u32);

impl StreamNumbers {
    pub fn new() -> StreamNumbers {
        StreamNumbers(0)
    }

    fn next(&mut self) -> StreamId {
        let number = self.0;
        self.0 += 1;
        assert!(number < StreamId::FIRST_ACCEPTED, "streams without end");
        StreamId(number)
    }
}

/// A call under way.
struct Open {
    number: u64,
    request: Request,
    /// Attempts started.
    attempts: u32,
    /// The attempt under way, and those beside it.
    first: Option<Attempt>,
    others: Vec<Attempt>,
    last_target: Option<usize>,
}

#[derive(Clone, Copy)]
struct Attempt {
    number: u32,
    gives_up_at: Option<Instant>,
    /// Where it went and its place among those that are open there; `None` while the name is looked up.
    at: Option<(usize, usize)>,
}

impl Open {
    fn attempt(&mut self, number: u32) -> Option<&mut Attempt> {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        all.find(|attempt| attempt.number == number)
    }

    /// Its number, and that of an attempt under way.
    fn any(&self) -> Option<(u64, u32)> {
        let attempt = self.first.as_ref().or(self.others.first())?;
        Some((self.number, attempt.number))
    }

    fn add(&mut self, attempt: Attempt) {
        match &mut self.first {
            Some(_) => self.others.push(attempt),
            first => *first = Some(attempt),
        }
    }

    fn take(&mut self, number: u32) -> Option<Attempt> {
        if let Some(attempt) = self.first.take_if(|attempt| attempt.number == number) {
            return Some(attempt);
        }
        let place = self.others.iter().position(|attempt| attempt.number == number)?;
        Some(self.others.swap_remove(place))
    }
}

/// See the module.
pub(crate) struct Caller {
    origin: u32,
    options: ServiceOptions,
    stack: Stack,
    planted: Planted,
    random: Stream,
    names: Names,
    targets: Vec<Target>,
    /// Those of the addresses that are known now.
    candidates: Vec<usize>,
    turn: u64,
    calls: Slab<Open>,
    next_number: u64,
    /// Attempts that wait for the name.
    nameless: Vec<AttemptAt>,
    stack_wake: Option<(Instant, &'static str)>,
    monitor: Option<Monitor>,
    monitor_wake: Option<Instant>,
    statistics: CallerStatistics,
    /// What is to be told: events, and calls that are over.
    events: VecDeque<CallerEvent>,
    done: VecDeque<Done>,
}

/// What a caller sends, opens and gives up, and where it gets numbers for what it opens.
pub(crate) struct Driver<'a, E> {
    pub outputs: &'a mut VecDeque<Output<E>>,
    pub numbers: &'a mut StreamNumbers,
}

impl<E> Driver<'_, E> {
    fn send(&mut self, stream: StreamId, frame: &Frame) {
        send(self.outputs, stream, frame);
    }
}

/// Sends a frame with its body.
pub(crate) fn send<E>(outputs: &mut VecDeque<Output<E>>, stream: StreamId, frame: &Frame) {
    outputs.push_back(Output::Send {
        stream,
        payload: frame.to_bytes().into(),
    });
    let body = u64::from(frame.body_bytes());
    if body > 0 {
        outputs.push_back(Output::Send {
            stream,
            payload: Payload::Synthetic(body),
        });
    }
}

impl Caller {
    /// With a bug in its policies, for tests.
    pub fn with_planted(self, policies: Stream, planted: Planted) -> Caller {
        Caller {
            stack: Stack::with_planted(&self.options.stack, policies, planted),
            planted,
            ..self
        }
    }

    /// Options must have been checked. `policies` and `connections` are random streams.
    pub fn new(origin: u32, options: ServiceOptions, policies: Stream, connections: Stream) -> Caller {
        let right: Vec<PeerId> = options.replicas.iter().map(|replica| replica.peer).collect();
        let targets = options
            .replicas
            .iter()
            .map(|replica| Target::new(replica.peer, replica.distance));
        Caller {
            origin,
            stack: Stack::new(&options.stack, policies),
            planted: Planted::Nothing,
            random: connections,
            names: Names::new(options.names, right),
            targets: targets.collect(),
            candidates: (0..options.replicas.len()).collect(),
            turn: 0,
            calls: Slab::new(),
            next_number: 0,
            nameless: Vec::new(),
            stack_wake: None,
            monitor: None,
            monitor_wake: None,
            statistics: CallerStatistics::default(),
            events: VecDeque::new(),
            done: VecDeque::new(),
            options,
        }
    }

    pub fn statistics(&self) -> &CallerStatistics {
        &self.statistics
    }

    /// Calls under way.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    pub fn set_name_fault(&mut self, fault: NameFault) {
        self.names.set_fault(fault);
    }

    pub fn next_event(&mut self) -> Option<CallerEvent> {
        self.events.pop_front()
    }

    pub fn next_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }

    /// Health is asked for from now on.
    pub fn start<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        let Some(config) = &self.options.health else {
            return;
        };
        let checks = vec![config.clone(); self.options.replicas.len()];
        self.monitor = Some(Monitor::new(now, checks));
        self.drain_monitor(now, driver);
    }

    /// A call begins; answers its number, by which it can be cancelled.
    pub fn call<E>(&mut self, now: Instant, request: Request, driver: &mut Driver<'_, E>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.statistics.calls += 1;
        let tag = self.calls.insert(Open {
            number,
            request,
            attempts: 0,
            first: None,
            others: Vec::new(),
            last_target: None,
        });
        let id = call_id(number, tag);
        self.stack.call(
            now,
            Call {
                id,
                idempotent: request.idempotent,
                priority: request.priority,
                deadline: request.deadline,
            },
        );
        self.drain(now, driver);
        id
    }

    /// A call is not wanted any more. Harmless if it is over.
    pub fn cancel_call<E>(&mut self, now: Instant, call: u64, driver: &mut Driver<'_, E>) {
        self.stack.cancel(now, call);
        self.drain(now, driver);
    }

    /// Time may have passed.
    pub fn wake<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        if self.stack_wake.is_some_and(|(at, _)| at <= now) {
            self.stack.wake(now);
        }
        match self.names.advance(now) {
            Some(true) => self.on_addresses(now, driver),
            Some(false) => {
                self.statistics.failed_lookups += 1;
                self.events.push_back(CallerEvent::NameFailed);
                for waiting in std::mem::take(&mut self.nameless) {
                    self.attempt_failed(now, waiting, Failure::Unreachable);
                }
            }
            None => {}
        }
        for place in 0..self.targets.len() {
            self.look_after(now, place, driver);
        }
        if self.monitor_wake.is_some_and(|at| at <= now) {
            self.drain_monitor(now, driver);
        }
        self.drain(now, driver);
    }

    /// When to wake next.
    pub fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let mut next = self.stack_wake;
        let mut sooner = |at: Option<Instant>, why| {
            if let Some(at) = at
                && next.is_none_or(|(next, _)| at < next)
            {
                next = Some((at, why));
            }
        };
        sooner(self.names.next_end(), "lookup");
        for target in &self.targets {
            if let Link::Opening { until, .. } = target.link {
                sooner(Some(until), "connect");
            }
            sooner(target.ejected_until(), "ejection");
            if let (Some(silence), Some(since)) = (self.options.connection.silence, target.owes_since) {
                sooner(Some(since.saturating_add(silence)), "silence");
            }
        }
        sooner(self.monitor_wake, "health");
        next
    }

    /// Which replica a stream goes to, if it is one of this caller's.
    fn target_of(&self, stream: StreamId) -> Option<usize> {
        let mut targets = self.targets.iter();
        targets.position(|target| target.stream() == Some(stream))
    }

    /// A connection came about. Whether it is this caller's.
    pub fn on_opened<E>(&mut self, now: Instant, stream: StreamId, driver: &mut Driver<'_, E>) -> bool {
        let Some(place) = self.target_of(stream) else {
            return false;
        };
        let target = &mut self.targets[place];
        target.note_up(stream);
        self.events
            .push_back(CallerEvent::Connected { peer: target.peer });
        if let Some(number) = target.asked {
            driver.send(stream, &Frame::Ping { number });
        }
        let target = &mut self.targets[place];
        for at in std::mem::take(&mut target.unsent) {
            self.send_request(now, place, at, driver);
        }
        true
    }

    /// Bytes came. Whether the stream is this caller's.
    pub fn on_received<E>(
        &mut self,
        now: Instant,
        stream: StreamId,
        payload: Payload,
        driver: &mut Driver<'_, E>,
    ) -> bool {
        let Some(place) = self.target_of(stream) else {
            return false;
        };
        let target = &mut self.targets[place];
        target.reader.push(payload);
        target.owes_since = (!target.open.is_empty()).then_some(now);
        loop {
            match self.targets[place].reader.read() {
                Ok(Some(frame)) => self.on_frame(now, place, &frame, driver),
                Ok(None) => break,
                Err(error) => {
                    self.lose(now, place, LostConnection::Unreadable(error), driver);
                    break;
                }
            }
            if self.targets[place].stream() != Some(stream) {
                break;
            }
        }
        self.drain(now, driver);
        true
    }

    /// A connection ended. Whether it is this caller's.
    pub fn on_closed<E>(
        &mut self,
        now: Instant,
        stream: StreamId,
        reason: CloseReason,
        driver: &mut Driver<'_, E>,
    ) -> bool {
        let Some(place) = self.target_of(stream) else {
            return false;
        };
        self.disconnected(now, place, LostConnection::Closed(reason));
        self.drain(now, driver);
        true
    }

    /// The process that calls is gone: nothing of its calls and connections is left, and nobody is told.
    pub fn crash<E>(&mut self, driver: &mut Driver<'_, E>, policies: Stream) {
        for target in &mut self.targets {
            if let Some(stream) = target.stream() {
                driver.outputs.push_back(Output::Abort { stream });
            }
            *target = Target::new(target.peer, target.distance);
        }
        let right: Vec<PeerId> = self.options.replicas.iter().map(|replica| replica.peer).collect();
        let fault = self.names.fault().clone();
        self.names = Names::new(self.options.names, right);
        self.names.set_fault(fault);
        self.stack = Stack::with_planted(&self.options.stack, policies, self.planted);
        self.stack_wake = None;
        self.monitor = None;
        self.monitor_wake = None;
        self.calls.clear();
        self.nameless.clear();
        self.done.clear();
    }
}
