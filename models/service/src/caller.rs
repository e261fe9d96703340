//! One caller of one service: its calls go through a stack of resilience policies, attempts to replicas, and frames over
//! connections that stay open. Clients have one, servers one for each service behind them.

use std::collections::VecDeque;

use longhaul_core::machine::{CloseReason, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::health::{HealthOutput, Monitor, Reply};
use longhaul_resilience::{Call, CallError, Failure, Outcome, Priority, Stack, StackOutput};

use crate::names::{Known, NameFault, Names};
use crate::options::ServiceOptions;
use crate::record::{CallerEvent, CallerStatistics, LostConnection};
use crate::slab::Slab;
use crate::target::{AttemptAt, Link, Target, choose};
use crate::wire::{Frame, FrameError, Reference, Status};

/// What is to be called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The owner's word for it.
    pub context: u64,
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

    /// A call begins.
    pub fn call<E>(&mut self, now: Instant, request: Request, driver: &mut Driver<'_, E>) {
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
        self.stack.call(
            now,
            Call {
                id: call_id(number, tag),
                idempotent: request.idempotent,
                priority: request.priority,
                deadline: request.deadline,
            },
        );
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
        self.stack = Stack::new(&self.options.stack, policies);
        self.stack_wake = None;
        self.monitor = None;
        self.monitor_wake = None;
        self.calls.clear();
        self.nameless.clear();
        self.done.clear();
    }

    fn drain<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        loop {
            match self.stack.poll() {
                StackOutput::Start {
                    call,
                    attempt,
                    gives_up_at,
                } => self.begin(now, tag_of(call), attempt, gives_up_at, driver),
                StackOutput::Cancel { call, attempt } => self.cancel(now, call, attempt, driver),
                StackOutput::Finished { call, result } => {
                    let tag = tag_of(call);
                    while let Some((request, attempt)) = self.calls.get(tag).and_then(Open::any) {
                        self.close_attempt(AttemptAt {
                            tag,
                            request,
                            attempt,
                        });
                    }
                    let open = self.calls.remove(tag).expect("a call that is open");
                    match result {
                        Ok(_) => self.statistics.succeeded += 1,
                        Err(_) => self.statistics.failed += 1,
                    }
                    self.done.push_back(Done {
                        context: open.request.context,
                        attempts: open.attempts,
                        result,
                    });
                }
                StackOutput::Event(event) => {
                    if self.options.report_policies {
                        self.events.push_back(CallerEvent::Policy(event));
                    }
                }
                StackOutput::WakeAt { at, why } => {
                    self.stack_wake = Some((at, why));
                    return;
                }
                StackOutput::Idle => {
                    self.stack_wake = None;
                    return;
                }
            }
        }
    }

    /// An attempt begins.
    fn begin<E>(
        &mut self,
        now: Instant,
        tag: u32,
        attempt: u32,
        gives_up_at: Option<Instant>,
        driver: &mut Driver<'_, E>,
    ) {
        let open = self.calls.get_mut(tag).expect("a call that is open");
        self.statistics.attempts += 1;
        if open.attempts > 0 {
            match open.first.is_some() || !open.others.is_empty() {
                true => self.statistics.hedges += 1,
                false => self.statistics.retries += 1,
            }
        }
        open.attempts += 1;
        open.add(Attempt {
            number: attempt,
            gives_up_at,
            at: None,
        });
        let at = AttemptAt {
            tag,
            request: open.number,
            attempt,
        };
        match self.names.ask(now) {
            Known::Yes => self.direct(now, at, driver),
            Known::Soon => self.nameless.push(at),
            Known::No => self.attempt_failed(now, at, Failure::Unreachable),
        }
    }

    /// The addresses are known: sends an attempt to one of them.
    fn direct<E>(&mut self, now: Instant, at: AttemptAt, driver: &mut Driver<'_, E>) {
        let Some(open) = self
            .calls
            .get_mut(at.tag)
            .filter(|open| open.number == at.request)
        else {
            return;
        };
        let avoid = open.last_target.filter(|_| self.options.spread);
        let chosen = choose(
            now,
            &self.targets,
            &self.candidates,
            self.options.choice,
            &mut self.turn,
            avoid,
        );
        let Some(place) = chosen else {
            self.attempt_failed(now, at, Failure::Unreachable);
            return;
        };
        open.last_target = Some(place);
        let target = &mut self.targets[place];
        let Some(attempt) = open.attempt(at.attempt) else {
            return;
        };
        attempt.at = Some((place, target.open.len()));
        target.open.push(at);
        match target.link {
            Link::Up { .. } => self.send_request(now, place, at, driver),
            Link::Opening { .. } => target.unsent.push(at),
            Link::Pause { until } if now < until => self.attempt_failed(now, at, Failure::Unreachable),
            Link::Pause { .. } | Link::None => {
                target.unsent.push(at);
                self.connect(now, place, driver);
            }
        }
    }

    fn connect<E>(&mut self, now: Instant, place: usize, driver: &mut Driver<'_, E>) {
        let stream = driver.numbers.next();
        let target = &mut self.targets[place];
        let until = now.saturating_add(self.options.connection.connect_timeout);
        target.link = Link::Opening { stream, until };
        self.statistics.connections += 1;
        driver.outputs.push_back(Output::Open {
            stream,
            peer: target.peer,
        });
    }

    fn send_request<E>(&mut self, now: Instant, place: usize, at: AttemptAt, driver: &mut Driver<'_, E>) {
        let target = &mut self.targets[place];
        let Link::Up { stream } = target.link else { return };
        // It may have been given up while it waited.
        let Some(open) = self
            .calls
            .get_mut(at.tag)
            .filter(|open| open.number == at.request)
        else {
            return;
        };
        let request = open.request;
        let Some(attempt) = open.attempt(at.attempt) else {
            return;
        };
        let until = match self.options.propagate_deadline {
            true => attempt.gives_up_at.or(request.deadline),
            false => None,
        };
        target.owes_since.get_or_insert(now);
        driver.send(
            stream,
            &Frame::Request {
                reference: self.reference(at),
                idempotent: request.idempotent,
                priority: request.priority,
                time_left: until.map_or(Span::MAX, |until| until.saturating_since(now)),
                body_bytes: request.body_bytes,
                answer_bytes: request.answer_bytes,
            },
        );
    }

    fn reference(&self, at: AttemptAt) -> Reference {
        Reference {
            origin: self.origin,
            request: at.request,
            attempt: at.attempt,
            tag: at.tag,
        }
    }

    /// Takes an attempt off the books; answers where it was.
    fn close_attempt(&mut self, at: AttemptAt) -> Option<(Attempt, Option<usize>)> {
        let open = self
            .calls
            .get_mut(at.tag)
            .filter(|open| open.number == at.request)?;
        let attempt = open.take(at.attempt)?;
        let Some((place, index)) = attempt.at else {
            return Some((attempt, None));
        };
        let target = &mut self.targets[place];
        target.open.swap_remove(index);
        if target.open.is_empty() {
            target.owes_since = None;
        }
        if let Some(moved) = target.open.get(index).copied() {
            let owner = self.calls.get_mut(moved.tag).expect("an attempt of an open call");
            let moved = owner.attempt(moved.attempt).expect("an open attempt");
            moved.at = Some((place, index));
        }
        Some((attempt, Some(place)))
    }

    fn attempt_failed(&mut self, now: Instant, at: AttemptAt, failure: Failure) {
        if self.close_attempt(at).is_some() {
            self.stack.attempt_ended(
                now,
                call_id(at.request, at.tag),
                at.attempt,
                Outcome::Failure(failure),
            );
        }
    }

    /// The stack gives an attempt up.
    fn cancel<E>(&mut self, now: Instant, call: u64, attempt: u32, driver: &mut Driver<'_, E>) {
        let tag = tag_of(call);
        let number = self.calls.get(tag).map(|open| open.number);
        let Some(request) = number.filter(|number| call_id(*number, tag) == call) else {
            return;
        };
        let at = AttemptAt {
            tag,
            request,
            attempt,
        };
        let Some((closed, place)) = self.close_attempt(at) else {
            return;
        };
        let timed_out = closed.gives_up_at.is_some_and(|until| until <= now);
        self.statistics.timeouts += u64::from(timed_out);
        let Some(place) = place else {
            self.nameless.retain(|waiting| *waiting != at);
            return;
        };
        if timed_out {
            self.judge(now, place, false);
        }
        match self.targets[place].link {
            Link::Up { stream } if self.options.cancel => {
                let reference = self.reference(at);
                driver.send(stream, &Frame::Cancel { reference });
            }
            Link::Opening { .. } => self.targets[place].unsent.retain(|waiting| *waiting != at),
            _ => {}
        }
    }

    fn on_frame<E>(&mut self, now: Instant, place: usize, frame: &Frame, driver: &mut Driver<'_, E>) {
        match *frame {
            Frame::Answer {
                reference, status, ..
            } => self.on_answer(now, place, reference, status),
            Frame::Pong { number, healthy } => {
                let reply = if healthy { Reply::Alive } else { Reply::Dead };
                self.targets[place].asked.take_if(|asked| *asked == number);
                if let Some(monitor) = &mut self.monitor {
                    monitor.answer(now, place, number, reply);
                    self.drain_monitor(now, driver);
                }
            }
            Frame::Request { .. } | Frame::Cancel { .. } | Frame::Ping { .. } => {
                self.lose(now, place, LostConnection::Unreadable(FrameError::Kind), driver);
            }
        }
    }

    fn on_answer(&mut self, now: Instant, place: usize, reference: Reference, status: Status) {
        let at = AttemptAt {
            tag: reference.tag,
            request: reference.request,
            attempt: reference.attempt,
        };
        let open = self
            .calls
            .get_mut(at.tag)
            .filter(|open| open.number == at.request);
        let asked_there = open
            .and_then(|open| open.attempt(at.attempt))
            .is_some_and(|attempt| attempt.at.is_some_and(|(asked, _)| asked == place));
        if reference.origin != self.origin || !asked_there {
            self.statistics.late_answers += 1;
            self.statistics.late_successes += u64::from(status == Status::Ok);
            return;
        }
        self.close_attempt(at);
        let outcome = match status {
            Status::Ok => Outcome::Success,
            Status::Error => Outcome::Failure(Failure::Error),
            Status::Overloaded | Status::Expired => Outcome::Failure(Failure::Overloaded),
            Status::Fatal => Outcome::Failure(Failure::Fatal),
        };
        // A request that can never succeed says nothing about the replica.
        self.judge(now, place, matches!(status, Status::Ok | Status::Fatal));
        self.stack
            .attempt_ended(now, call_id(at.request, at.tag), at.attempt, outcome);
    }

    /// Takes note of how a replica did, and leaves it out if it did badly too often.
    fn judge(&mut self, now: Instant, place: usize, ok: bool) {
        let Some(options) = self.options.ejection else {
            return;
        };
        if !self.targets[place].note_end(ok, &options) {
            return;
        }
        let ejected = self.targets.iter().filter(|target| target.is_ejected()).count();
        let allowed = share_of(options.share_max, self.candidates.len()).max(1);
        if ejected < allowed {
            let target = &mut self.targets[place];
            let span = target.eject(now, &options);
            self.statistics.ejections += 1;
            self.events.push_back(CallerEvent::Ejected {
                peer: target.peer,
                span,
            });
        }
    }

    /// Does what the monitor of the replicas' health asks for.
    fn drain_monitor<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        let Some(monitor) = &mut self.monitor else { return };
        monitor.wake(now);
        while let Some(monitor) = &mut self.monitor {
            match monitor.poll() {
                HealthOutput::Ask { check, round } => self.ask(now, check, round, driver),
                HealthOutput::Changed { check, healthy, .. } => {
                    let target = &mut self.targets[check];
                    target.down = !healthy;
                    let peer = target.peer;
                    self.events.push_back(CallerEvent::Health { peer, healthy });
                }
                HealthOutput::WakeAt { at } => {
                    self.monitor_wake = Some(at);
                    return;
                }
                HealthOutput::Idle => {
                    self.monitor_wake = None;
                    return;
                }
            }
        }
    }

    /// Asks a replica for its health.
    fn ask<E>(&mut self, now: Instant, place: usize, number: u64, driver: &mut Driver<'_, E>) {
        let target = &mut self.targets[place];
        target.asked = Some(number);
        match target.link {
            Link::Up { stream } => driver.send(stream, &Frame::Ping { number }),
            Link::Opening { .. } => {}
            Link::Pause { until } if now < until => self.cannot_answer(now, place),
            Link::Pause { .. } | Link::None => self.connect(now, place, driver),
        }
    }

    /// A replica that was asked for its health cannot answer.
    fn cannot_answer(&mut self, now: Instant, place: usize) {
        if let (Some(number), Some(monitor)) = (self.targets[place].asked.take(), &mut self.monitor) {
            monitor.answer(now, place, number, Reply::Dead);
        }
    }

    /// The addresses were found.
    fn on_addresses<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        self.candidates.clear();
        for peer in self.names.addresses() {
            let known = self.targets.iter().position(|target| target.peer == *peer);
            let place = known.unwrap_or_else(|| {
                // An address that is not one of the service: how far it is, nobody knows.
                self.targets.push(Target::new(*peer, Span::MAX));
                self.targets.len() - 1
            });
            if !self.candidates.contains(&place) {
                self.candidates.push(place);
            }
        }
        self.events.push_back(CallerEvent::Resolved {
            addresses: self.names.addresses().to_vec(),
        });
        for waiting in std::mem::take(&mut self.nameless) {
            self.direct(now, waiting, driver);
        }
    }

    /// What time brings for one replica.
    fn look_after<E>(&mut self, now: Instant, place: usize, driver: &mut Driver<'_, E>) {
        let target = &mut self.targets[place];
        if target.forgive(now) {
            self.events.push_back(CallerEvent::Restored { peer: target.peer });
        }
        if let Link::Opening { until, .. } = target.link
            && until <= now
        {
            self.lose(now, place, LostConnection::ConnectTimeout, driver);
            return;
        }
        if let (Some(silence), Some(since)) = (self.options.connection.silence, target.owes_since)
            && since.saturating_add(silence) <= now
        {
            self.lose(now, place, LostConnection::Silence, driver);
            return;
        }
    }

    /// Gives a connection up.
    fn lose<E>(&mut self, now: Instant, place: usize, why: LostConnection, driver: &mut Driver<'_, E>) {
        if let Some(stream) = self.targets[place].stream() {
            driver.outputs.push_back(Output::Abort { stream });
        }
        self.disconnected(now, place, why);
    }

    /// A connection is no more.
    fn disconnected(&mut self, now: Instant, place: usize, why: LostConnection) {
        let draw = self.random.unit();
        let target = &mut self.targets[place];
        target.pause(now, &self.options.connection, draw);
        target.unsent.clear();
        self.statistics.lost_connections += 1;
        self.events.push_back(CallerEvent::Disconnected {
            peer: target.peer,
            why,
            open: target.open.len() as u64,
        });
        let open = target.open.clone();
        for at in open {
            self.attempt_failed(now, at, Failure::Unreachable);
            self.judge(now, place, false);
        }
        self.cannot_answer(now, place);
        // What the monitor has to say is heard when it wants to wake, at once.
        self.monitor_wake = self.monitor.as_ref().map(|_| now);
    }
}

/// A call's number for the stack.
fn call_id(number: u64, tag: u32) -> u64 {
    // Low half of the number: two calls of one tag with the same one are 2^32 calls apart.
    (number << 32) | u64::from(tag)
}

fn tag_of(call: u64) -> u32 {
    // The low half.
    call as u32
}

/// A share of a small number, rounded down.
fn share_of(share: Probability, of: usize) -> usize {
    // No more than `of`.
    (u128::from(share.as_parts()) * of as u128 / u128::from(Probability::PARTS)) as usize
}
