//! The way of a request through a server.

use longhaul_core::machine::{Output, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::shedding::Load;
use longhaul_resilience::{Call, Failure, Outcome, StackOutput};

use super::jobs::{Arrival, Job, State};
use super::results::Result as Known;
use super::{Later, Server};
use crate::caller::{Driver, Request, send};
use crate::options::Stage;
use crate::queue::{Next, Waiting};
use crate::record::{Death, ServerEvent};
use crate::wire::{Frame, Reference, Status};

/// Callers whose requests are told apart from their repetitions; those of others are not counted as repeated.
const CALLERS_MAX: usize = 1 << 12;
/// Other requests are refused when they come.
const KNOWN: &str = "a request that was let in asks for something known";

impl Server {
    /// Does all that can be done now.
    pub(super) fn run(&mut self) {
        if self.down.is_some() || self.condition.hung {
            return;
        }
        self.wake_callers();
        loop {
            let mut idle = true;
            while let Some(job) = self.processor.pop() {
                idle = false;
                self.call_stage(job, 0);
            }
            while let Some(entry) = self.later.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                idle = false;
                match entry.remove() {
                    Later::Job(job) => self.conclude(job),
                    Later::Pong {
                        stream,
                        number,
                        healthy,
                    } => self.pong(stream, number, healthy),
                }
            }
            idle &= !self.hear_callers();
            idle &= !self.fill();
            if idle || self.down.is_some() {
                break;
            }
        }
        if self.admission_wake.is_some_and(|at| at <= self.now) {
            self.drain_admission();
        }
    }

    fn wake_callers(&mut self) {
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        for caller in &mut self.callers {
            if caller.next_wake().is_some_and(|(at, _)| at <= self.now) {
                caller.wake(self.now, &mut driver);
            }
        }
    }

    /// Takes note of calls that are over. Whether there were any.
    fn hear_callers(&mut self) -> bool {
        let mut heard = false;
        for service in 0..self.callers.len() {
            while let Some(event) = self.callers[service].next_event() {
                // As many as stages can name.
                let service = service as u16;
                self.outputs
                    .push_back(Output::Event(ServerEvent::Behind { service, event }));
            }
            while let Some(done) = self.callers[service].next_done() {
                heard = true;
                let tag = done.context as u32;
                let Some(job) = self.jobs.get_mut(tag) else {
                    continue;
                };
                let State::Calling { stage, pending } = job.state else {
                    continue;
                };
                if job.serial << 32 | u64::from(tag) != done.context {
                    continue;
                }
                if done.result.is_err() {
                    // What else it asked for is in vain.
                    self.cancel_calls(tag);
                    self.finish(tag, Status::Error);
                } else if pending > 1 {
                    let pending = pending - 1;
                    job.state = State::Calling { stage, pending };
                } else {
                    self.call_stage(tag, stage + 1);
                }
            }
        }
        heard
    }

    /// A request came.
    pub(super) fn on_request(&mut self, arrival: Arrival) {
        self.statistics.received += 1;
        let (stream, reference) = (arrival.stream, arrival.reference);
        let id = (reference.origin, reference.request);
        if self.options.asked(arrival.operation).is_none() {
            self.statistics.refused += 1;
            self.answer(stream, reference, Status::Fatal, 0);
            return;
        }
        let silent = self.condition.gray.map_or(Probability::ZERO, |gray| gray.silent);
        if self.happens(silent) {
            self.statistics.swallowed += 1;
            return;
        }
        let remembers = arrival.idempotent && self.results.is_on();
        if remembers {
            match self.results.get(id) {
                Some(Known::Done) => {
                    self.statistics.duplicates += 1;
                    self.answer(stream, reference, Status::Ok, arrival.answer_bytes);
                    return;
                }
                Some(Known::Pending(job)) => {
                    self.statistics.duplicates += 1;
                    if let Some(job) = self.jobs.get_mut(job) {
                        job.waiters.push((stream, reference));
                    }
                    return;
                }
                None => {}
            }
        }
        let serial = self.next_serial;
        let memory = self
            .memory
            .need(u64::from(arrival.body_bytes) + u64::from(arrival.answer_bytes));
        let job = self.jobs.insert(Job {
            serial,
            arrival,
            since: self.now,
            state: State::Changing,
            memory,
            calls: Vec::new(),
            waiters: Vec::new(),
        });
        if !self.admits(serial, job) {
            self.jobs.remove(job);
            self.refuse(arrival);
            return;
        }
        let free = self.working < self.options.concurrency && self.queue.len() == 0;
        let waiting = Waiting {
            job,
            since: self.now,
            deadline: arrival.deadline,
        };
        if !free && !self.queue.push(waiting) {
            self.jobs.remove(job);
            self.leave_admission(serial, job, Status::Overloaded);
            self.refuse(arrival);
            return;
        }
        self.next_serial += 1;
        self.statistics.accepted += 1;
        if remembers {
            self.results.begin(id, job);
        }
        if self.options.cancellation {
            self.wanted
                .insert((stream, reference.request, reference.attempt), job);
        }
        let queued = self.queue.len() as u64;
        self.statistics.longest_queue = self.statistics.longest_queue.max(queued);
        if !free && let Some(job) = self.jobs.get_mut(job) {
            job.state = State::Queued;
        }
        if free {
            self.working += 1;
        }
        if !self.memory.take(memory) {
            let restart = self.now.saturating_add(self.options.restart);
            self.die(Death::OutOfMemory, Some(restart));
            return;
        }
        self.set_speed();
        if free {
            self.begin(job);
        }
    }

    fn refuse(&mut self, arrival: Arrival) {
        self.statistics.refused += 1;
        self.answer(arrival.stream, arrival.reference, Status::Overloaded, 0);
    }

    /// Fills places that are free from the queue. Whether any was.
    fn fill(&mut self) -> bool {
        let mut filled = false;
        while self.working < self.options.concurrency && self.down.is_none() {
            let jobs = &self.jobs;
            let is_gone = |job| jobs.get(job).is_none_or(|job| matches!(job.state, State::Gone));
            let Some(next) = self.queue.pop(self.now, is_gone) else {
                break;
            };
            filled = true;
            match next {
                Next::Gone(job) => {
                    self.jobs.remove(job);
                }
                Next::Serve(job) => {
                    self.working += 1;
                    self.begin(job);
                }
                // Neither has a place; they are given one so that all jobs end in the same way.
                Next::Expired(job) => {
                    self.working += 1;
                    self.statistics.expired += 1;
                    self.finish(job, Status::Expired);
                }
                Next::Dropped(job) => {
                    self.working += 1;
                    self.statistics.dropped += 1;
                    self.finish(job, Status::Overloaded);
                }
            }
        }
        filled
    }

    /// Work on a request begins; it has a place already.
    fn begin(&mut self, tag: u32) {
        let Some(job) = self.jobs.get_mut(tag) else { return };
        self.statistics.waited = self
            .statistics
            .waited
            .saturating_add(self.now.saturating_since(job.since));
        self.statistics.begun += 1;
        let Arrival {
            reference, operation, ..
        } = job.arrival;
        if self.seen.len() < CALLERS_MAX || self.seen.contains_key(&reference.origin) {
            let before = self.seen.entry(reference.origin).or_default();
            self.statistics.repeated += u64::from(before.note(reference.request));
        }
        let panic = self.condition.panic;
        if self.happens(panic) {
            let restart = self.now.saturating_add(self.options.restart);
            self.die(Death::Panic, Some(restart));
            return;
        }
        let asked = self.options.asked(operation).expect(KNOWN);
        let work = asked.service.draw(&mut self.work_random);
        let place = self.processor.start(tag, work);
        if let Some(job) = self.jobs.get_mut(tag) {
            job.state = State::Running(place);
        }
    }

    /// Asks services behind, from a stage on; then the answer is due.
    fn call_stage(&mut self, tag: u32, stage: usize) {
        let Some(job) = self.jobs.get_mut(tag) else { return };
        let one;
        let asked = self.options.asked(job.arrival.operation).expect(KNOWN);
        let services: &[u16] = match asked.stages.get(stage) {
            None => {
                self.delay(tag);
                return;
            }
            Some(Stage::All(services)) => services,
            Some(Stage::OneOf(services)) => {
                // Less than there are.
                let chosen = self.choice_random.below(services.len() as u64) as usize;
                one = services[chosen];
                std::slice::from_ref(&one)
            }
        };
        job.state = State::Calling {
            stage,
            pending: services.len() as u32,
        };
        let arrival = job.arrival;
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        let cancellation = self.options.cancellation;
        job.calls.clear();
        for name in services {
            let service = usize::from(*name);
            let behind = &self.options.behind[service];
            let request = Request {
                context: job.serial << 32 | u64::from(tag),
                operation: behind.operation,
                idempotent: arrival.idempotent,
                priority: arrival.priority,
                deadline: arrival.deadline,
                // Within the bound of bodies: checked with the options.
                body_bytes: behind.body.as_bytes() as u32,
                answer_bytes: behind.answer.as_bytes() as u32,
            };
            let call = self.callers[service].call(self.now, request, &mut driver);
            if cancellation {
                job.calls.push((*name, call));
            }
        }
    }

    /// All is done but what delays the answer.
    fn delay(&mut self, tag: u32) {
        let delay = self.draw_delay(true);
        if delay == Span::ZERO {
            self.conclude(tag);
            return;
        }
        let key = self.put_off(delay, Later::Job(tag));
        if let Some(job) = self.jobs.get_mut(tag) {
            job.state = State::Late(key);
        }
    }

    /// What faults add to the time of an answer; a gray failure spares questions after health.
    fn draw_delay(&mut self, of_request: bool) -> Span {
        let own = self.condition.delay;
        let gray = self
            .condition
            .gray
            .filter(|_| of_request)
            .and_then(|gray| gray.delay);
        let mut sum = Span::ZERO;
        for law in [own, gray].into_iter().flatten() {
            sum = sum.saturating_add(law.draw(&mut self.fault_random));
        }
        sum
    }

    fn put_off(&mut self, delay: Span, later: Later) -> (Instant, u64) {
        let key = (self.now.saturating_add(delay), self.next_later);
        self.next_later += 1;
        self.later.insert(key, later);
        key
    }

    /// A request ends, well or not by chance.
    fn conclude(&mut self, tag: u32) {
        let gray = self.condition.gray.map_or(Probability::ZERO, |gray| gray.errors);
        let Some(job) = self.jobs.get(tag) else { return };
        let asked = self.options.asked(job.arrival.operation).expect(KNOWN);
        let rates = [asked.error_rate, self.condition.error_rate, gray];
        let fails = rates.into_iter().any(|rate| self.happens(rate));
        self.finish(tag, if fails { Status::Error } else { Status::Ok });
    }

    /// A request that has a place ends.
    fn finish(&mut self, tag: u32, status: Status) {
        let Some(job) = self.jobs.remove(tag) else { return };
        self.working -= 1;
        self.statistics.answered += 1;
        self.statistics.succeeded += u64::from(status == Status::Ok);
        let arrival = job.arrival;
        let worked = !matches!(job.state, State::Queued);
        let too_late = arrival.deadline.is_some_and(|deadline| deadline <= self.now);
        let nobody = too_late || !self.connections.contains_key(&arrival.stream);
        self.statistics.in_vain += u64::from(worked && nobody && job.waiters.is_empty());
        self.leave_books(&job, tag, status);
        let references = job.waiters.iter().copied();
        for (stream, reference) in [(arrival.stream, arrival.reference)]
            .into_iter()
            .chain(references)
        {
            let body = if status == Status::Ok {
                arrival.answer_bytes
            } else {
                0
            };
            self.answer(stream, reference, status, body);
        }
    }

    /// What all ends of a job have in common: memory, remembered results, admission.
    fn leave_books(&mut self, job: &Job, tag: u32, status: Status) {
        let reference = job.arrival.reference;
        if job.arrival.idempotent && self.results.is_on() {
            self.results
                .end((reference.origin, reference.request), status == Status::Ok);
        }
        if self.options.cancellation {
            self.wanted
                .remove(&(job.arrival.stream, reference.request, reference.attempt));
        }
        self.memory
            .give_back(job.memory.saturating_sub(self.condition.leak));
        let over = self.condition.leak.saturating_sub(job.memory);
        if over > 0 && !self.memory.take(over) {
            let restart = self.now.saturating_add(self.options.restart);
            self.die(Death::OutOfMemory, Some(restart));
            return;
        }
        self.set_speed();
        self.leave_admission(job.serial, tag, status);
    }

    /// Cancels what a request asked of services behind.
    fn cancel_calls(&mut self, tag: u32) {
        let Some(job) = self.jobs.get_mut(tag) else { return };
        let mut driver = Driver {
            outputs: &mut self.outputs,
            numbers: &mut self.numbers,
        };
        for (service, call) in std::mem::take(&mut job.calls) {
            self.callers[usize::from(service)].cancel_call(self.now, call, &mut driver);
        }
    }

    /// Nobody waits for a request any more.
    pub(super) fn give_up(&mut self, tag: u32) {
        let Some(job) = self.jobs.get_mut(tag) else { return };
        if !job.waiters.is_empty() {
            return;
        }
        self.statistics.cancelled += 1;
        match std::mem::replace(&mut job.state, State::Gone) {
            State::Queued => {
                // Its place in the queue keeps its number until it comes out.
                let job = Job {
                    calls: Vec::new(),
                    waiters: Vec::new(),
                    ..*job
                };
                self.queue.note_gone();
                self.leave_books(&job, tag, Status::Expired);
                let jobs = &self.jobs;
                let is_gone = |job| jobs.get(job).is_none_or(|job| matches!(job.state, State::Gone));
                for gone in self.queue.compact(is_gone) {
                    self.jobs.remove(gone);
                }
                return;
            }
            State::Running(place) => self.processor.stop(place),
            State::Late(key) => {
                self.later.remove(&key);
            }
            State::Calling { .. } => self.cancel_calls(tag),
            State::Gone | State::Changing => {}
        }
        if let Some(job) = self.jobs.remove(tag) {
            self.working -= 1;
            self.leave_books(&job, tag, Status::Expired);
        }
    }

    pub(super) fn on_cancel(&mut self, stream: StreamId, reference: Reference) {
        let key = (stream, reference.request, reference.attempt);
        if let Some(job) = self.wanted.get(&key).copied() {
            self.give_up(job);
        }
    }

    pub(super) fn on_ping(&mut self, stream: StreamId, number: u64) {
        let rate = self.condition.error_rate;
        let healthy = self.condition.gray.is_some() || !self.happens(rate);
        let delay = self.draw_delay(false);
        if delay == Span::ZERO {
            self.pong(stream, number, healthy);
        } else {
            self.put_off(
                delay,
                Later::Pong {
                    stream,
                    number,
                    healthy,
                },
            );
        }
    }

    fn pong(&mut self, stream: StreamId, number: u64, healthy: bool) {
        if self.connections.contains_key(&stream) {
            send(&mut self.outputs, stream, &Frame::Pong { number, healthy });
        }
    }

    fn answer(&mut self, stream: StreamId, reference: Reference, status: Status, body_bytes: u32) {
        if self.connections.contains_key(&stream) {
            let answer = Frame::Answer {
                reference,
                status,
                body_bytes,
            };
            send(&mut self.outputs, stream, &answer);
        }
    }

    /// Whether something happens by chance; nothing is drawn if it cannot.
    fn happens(&mut self, chance: Probability) -> bool {
        chance > Probability::ZERO && self.fault_random.chance(chance)
    }

    /// Whether the admission lets a request in.
    fn admits(&mut self, serial: u64, tag: u32) -> bool {
        let Some(job) = self.jobs.get(tag) else {
            return false;
        };
        let call = Call {
            id: serial << 32 | u64::from(tag),
            idempotent: false,
            priority: job.arrival.priority,
            deadline: None,
        };
        let busy = u64::from(self.working) + self.queue.len() as u64;
        let Some(admission) = &mut self.admission else {
            return true;
        };
        admission.report_load(Load(busy * Load::PARTS / u64::from(self.options.concurrency)));
        admission.call(self.now, call);
        self.drain_admission()
    }

    fn leave_admission(&mut self, serial: u64, tag: u32, status: Status) {
        let Some(admission) = &mut self.admission else {
            return;
        };
        let outcome = match status {
            Status::Ok => Outcome::Success,
            Status::Error => Outcome::Failure(Failure::Error),
            Status::Overloaded | Status::Expired => Outcome::Failure(Failure::Overloaded),
            Status::Fatal => Outcome::Failure(Failure::Fatal),
        };
        admission.attempt_ended(self.now, serial << 32 | u64::from(tag), 1, outcome);
        self.drain_admission();
    }

    /// Hears what the admission has to say. Whether an attempt may start.
    fn drain_admission(&mut self) -> bool {
        let Some(admission) = &mut self.admission else {
            return true;
        };
        if self.admission_wake.is_some_and(|at| at <= self.now) {
            admission.wake(self.now);
        }
        let mut starts = false;
        loop {
            match admission.poll() {
                StackOutput::Start { .. } => starts = true,
                StackOutput::Cancel { .. } | StackOutput::Finished { .. } | StackOutput::Event(_) => {}
                StackOutput::WakeAt { at, .. } => {
                    self.admission_wake = Some(at);
                    return starts;
                }
                StackOutput::Idle => {
                    self.admission_wake = None;
                    return starts;
                }
            }
        }
    }
}
