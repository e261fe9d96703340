//! Attempts: what the stack of policies asks for, and what comes of it.

use longhaul_core::time::{Instant, Span};
use longhaul_resilience::breaker::BreakerState;
use longhaul_resilience::health::Reply;
use longhaul_resilience::{Event, Failure, Outcome, StackOutput};

use super::{Attempt, Caller, Done, Driver, Open};
use crate::names::Known;
use crate::record::{CallerEvent, LostConnection};
use crate::target::{AttemptAt, Link, choose};
use crate::wire::{Frame, FrameError, Reference, Status};

impl Caller {
    pub(super) fn drain<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
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
                    let opens = matches!(
                        event,
                        Event::Breaker {
                            to: BreakerState::Open,
                            ..
                        }
                    );
                    self.statistics.breaker_openings += u64::from(opens);
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
    pub(super) fn begin<E>(
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
    pub(super) fn direct<E>(&mut self, now: Instant, at: AttemptAt, driver: &mut Driver<'_, E>) {
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

    pub(super) fn send_request<E>(
        &mut self,
        now: Instant,
        place: usize,
        at: AttemptAt,
        driver: &mut Driver<'_, E>,
    ) {
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
                operation: request.operation,
                idempotent: request.idempotent,
                priority: request.priority,
                time_left: until.map_or(Span::MAX, |until| until.saturating_since(now)),
                body_bytes: request.body_bytes,
                answer_bytes: request.answer_bytes,
            },
        );
    }

    pub(super) fn reference(&self, at: AttemptAt) -> Reference {
        Reference {
            origin: self.origin,
            request: at.request,
            attempt: at.attempt,
            tag: at.tag,
        }
    }

    /// Takes an attempt off the books; answers where it was.
    pub(super) fn close_attempt(&mut self, at: AttemptAt) -> Option<(Attempt, Option<usize>)> {
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

    pub(super) fn attempt_failed(&mut self, now: Instant, at: AttemptAt, failure: Failure) {
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
    pub(super) fn cancel<E>(&mut self, now: Instant, call: u64, attempt: u32, driver: &mut Driver<'_, E>) {
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

    pub(super) fn on_frame<E>(
        &mut self,
        now: Instant,
        place: usize,
        frame: &Frame,
        driver: &mut Driver<'_, E>,
    ) {
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

    pub(super) fn on_answer(&mut self, now: Instant, place: usize, reference: Reference, status: Status) {
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
}

/// A call's number for the stack.
pub(super) fn call_id(number: u64, tag: u32) -> u64 {
    // Low half of the number: two calls of one tag with the same one are 2^32 calls apart.
    (number << 32) | u64::from(tag)
}

pub(super) fn tag_of(call: u64) -> u32 {
    // The low half.
    call as u32
}
