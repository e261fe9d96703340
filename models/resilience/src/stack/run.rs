//! How calls go down and results go up.

use longhaul_core::time::Instant;

use crate::breaker::Verdict;
use crate::budget::Burn;
use crate::bulkhead::Entry;
use crate::call::{CallError, Class};
use crate::degradation::{Degradation, LevelChange};
use crate::event::Event;
use crate::limiter::Answer;
use crate::retry::{Failed, NoRetry};

use super::frames::{Frame, NONE, State};
use super::timers::UNORDERED;
use super::{Layer, Stack, StackOutput};

/// Why something is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Its time is over.
    Time,
    /// Another attempt won, or nobody wants it.
    Lost,
}

impl Stack {
    #[inline]
    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(StackOutput::Event(event));
    }

    /// Does everything that is due by now.
    #[inline]
    pub(super) fn settle(&mut self) {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.go_on(frame);
            } else if let Some(frame) = self.timers.due(self.now) {
                self.fire(frame);
            } else {
                return;
            }
        }
    }

    /// Enters `layer` and those inside it, from a frame of the layer before.
    pub(super) fn descend(&mut self, mut parent: u32, mut layer: usize) {
        let Frame { call, mut limit, .. } = self.frames[parent];
        let now = self.now;
        while layer < self.layers.len() {
            let mut wake_at = None;
            let state = match &mut self.layers[layer] {
                Layer::Rate(limiter) => {
                    if !limiter.take(now) {
                        return self.refuse(parent, layer, CallError::RateLimited);
                    }
                    if !limiter.adapts() {
                        layer += 1;
                        continue;
                    }
                    State::Pass
                }
                Layer::Shed(shedder) => {
                    if !shedder.enter(self.calls[call].priority, &mut self.random) {
                        return self.refuse(parent, layer, CallError::Shed);
                    }
                    State::Pass
                }
                Layer::Bulkhead(bulkhead) => match bulkhead.enter(now, self.frames.next()) {
                    Entry::Admitted => State::Running,
                    Entry::Full | Entry::Stopped => {
                        return self.refuse(parent, layer, CallError::BulkheadFull);
                    }
                    Entry::Queued(place) => {
                        let (waiting, longest) = (bulkhead.waiting(), bulkhead.longest_wait());
                        let state = State::Waiting(place);
                        let frame = self.frames.add(parent, call, layer, now, limit, state);
                        if let Some(longest) = longest {
                            self.timers.set(frame, now.saturating_add(longest), layer as u32);
                        }
                        let (call, layer) = (self.calls[call].id, layer as u16);
                        return self.tell(Event::Queued { call, layer, waiting });
                    }
                },
                Layer::Breaker(breaker) => {
                    let permit = breaker.acquire(now);
                    if let Some(change) = breaker.take_change() {
                        self.outputs
                            .push_back(StackOutput::Event(breaker_event(layer, change)));
                    }
                    match permit {
                        Ok(permit) => State::Breaker(permit),
                        Err(_) => return self.refuse(parent, layer, CallError::BreakerOpen),
                    }
                }
                Layer::Retry(retrier) => {
                    retrier.began(now);
                    State::Retry { done: 0 }
                }
                Layer::Timeout(timeout) => {
                    let at = now.saturating_add(timeout.current());
                    limit = limit.min(at);
                    wake_at = Some(at);
                    State::Timeout
                }
                Layer::Hedge(hedger) => {
                    hedger.began(now);
                    if hedger.most(self.calls[call].idempotent) > 0 {
                        wake_at = Some(now.saturating_add(hedger.delay()));
                    }
                    State::Hedge { sent: 0 }
                }
                Layer::Degradation(degradation) => {
                    if !degradation.admits(now, self.calls[call].priority) {
                        return self.refuse(parent, layer, CallError::Emergency);
                    }
                    State::Pass
                }
                Layer::ErrorBudget(_) | Layer::LatencyBudget(_) => State::Pass,
            };
            parent = self.frames.add(parent, call, layer, now, limit, state);
            if let Some(at) = wake_at {
                self.timers.set(parent, at, layer as u32);
            }
            layer += 1;
        }
        self.start(parent, call, limit);
    }

    #[inline]
    fn start(&mut self, parent: u32, call: u32, limit: Instant) {
        let open = &mut self.calls[call];
        open.attempts += 1;
        let number = open.attempts;
        let state = State::Attempt { number };
        let leaf = self
            .frames
            .add(parent, call, u16::MAX as usize, self.now, limit, state);
        self.frames[leaf].child = std::mem::replace(&mut open.leaves, leaf);
        self.counters.attempts += 1;
        self.outputs.push_back(StackOutput::Start {
            call: open.id,
            attempt: number,
            gives_up_at: (limit < Instant::MAX).then_some(limit),
        });
    }

    #[cold]
    fn refuse(&mut self, parent: u32, layer: usize, why: CallError) {
        let call = self.calls[self.frames[parent].call].id;
        let layer = layer as u16;
        self.tell(Event::Refused { call, layer, why });
        self.ascend(parent, self.now, Err(why));
    }

    /// Takes an attempt that runs out of its call's list.
    #[inline]
    pub(super) fn take_leaf(&mut self, call: u64, attempt: u32) -> Option<u32> {
        let slot = self.numbers.get(call)?;
        let mut before = NONE;
        let mut leaf = self.calls[slot].leaves;
        while leaf != NONE {
            let Frame { state, child, .. } = self.frames[leaf];
            if matches!(state, State::Attempt { number } if number == attempt) {
                match before {
                    NONE => self.calls[slot].leaves = child,
                    before => self.frames[before].child = child,
                }
                return Some(leaf);
            }
            (before, leaf) = (leaf, child);
        }
        None
    }

    /// Takes a result up from frame `at`, whose child, which began at `began`, made it and is gone.
    pub(super) fn ascend(&mut self, mut at: u32, mut began: Instant, mut result: Result<u32, CallError>) {
        let now = self.now;
        loop {
            // Not the whole frame: its links have just been written, and reading over them in one piece would wait for that.
            let Frame {
                state,
                layer,
                parent,
                child,
                began: entered,
                ..
            } = self.frames[at];
            let index = usize::from(layer);
            match state {
                State::Root => return self.finish(at, result),
                State::Retry { done } => {
                    if let Err(error) = result {
                        match self.retry(at, done, error) {
                            Some(error) => result = Err(error),
                            None => return,
                        }
                    }
                }
                State::Hedge { .. } => {
                    if result.is_err() && child != NONE {
                        return;
                    }
                    self.timers.clear(at);
                    if result.is_ok()
                        && let Layer::Hedge(hedger) = &mut self.layers[index]
                    {
                        hedger.record(now - began);
                        self.cancel_children(at, Cut::Lost);
                    }
                }
                State::Timeout => {
                    self.timers.clear(at);
                    if let Layer::Timeout(timeout) = &mut self.layers[index] {
                        match result {
                            Ok(attempt) => timeout.succeeded(now - entered, attempt == 1),
                            Err(error) if error.class() != Class::Refused => timeout.failed(),
                            Err(_) => {}
                        }
                    }
                }
                _ => self.give_back(layer, state, entered, Some(result)),
            }
            self.frames.remove(at);
            (at, began) = (parent, entered);
        }
    }

    /// Gives back what a frame holds, and tells its layer the result; nothing if there is none.
    #[inline]
    fn give_back(
        &mut self,
        layer: u16,
        state: State,
        began: Instant,
        result: Option<Result<u32, CallError>>,
    ) {
        let now = self.now;
        let index = usize::from(layer);
        match (state, &mut self.layers[index]) {
            (State::Breaker(permit), Layer::Breaker(breaker)) => {
                let verdict = match result {
                    Some(Ok(_)) => Verdict::Success,
                    Some(Err(error)) if breaker.counts().contains(error.class()) => Verdict::Failure,
                    _ => Verdict::Nothing,
                };
                breaker.finish(now, permit, verdict, &mut self.random);
                if let Some(change) = breaker.take_change() {
                    self.tell(breaker_event(index, change));
                }
            }
            (State::Running | State::Started, Layer::Bulkhead(bulkhead)) => {
                if let Some(started) = bulkhead.leave(now) {
                    let next = started.id;
                    self.timers.clear(next);
                    self.frames[next].state = State::Started;
                    self.ready.push_back(next);
                    let call = self.calls[self.frames[next].call].id;
                    self.tell(Event::Dequeued {
                        call,
                        layer,
                        waited: started.waited,
                    });
                }
            }
            (State::Waiting(place), Layer::Bulkhead(bulkhead)) => {
                bulkhead.abandon(place);
            }
            (State::Pass, _) => self.observe(layer, began, result),
            _ => {}
        }
    }

    /// Tells a layer that only looks at results.
    fn observe(&mut self, layer: u16, began: Instant, result: Option<Result<u32, CallError>>) {
        let now = self.now;
        let latency = now - began;
        let policy = &mut self.layers[usize::from(layer)];
        if let Layer::Shed(shedder) = policy {
            shedder.leave();
        }
        let Some(result) = result else { return };
        let class = result.err().map(CallError::class);
        match policy {
            Layer::Rate(limiter) => {
                let answer = match class {
                    None => Answer::After(latency),
                    Some(Class::Timeout | Class::Overloaded) => Answer::Congested,
                    Some(_) => return,
                };
                if let Some(change) = limiter.record(now, answer) {
                    self.tell(Event::Limit {
                        layer,
                        from: change.from,
                        to: change.to,
                        cause: change.cause,
                    });
                }
            }
            Layer::Degradation(degradation) if class != Some(Class::Refused) => {
                let telling = matches!(class, None | Some(Class::Timeout)).then_some(latency);
                if let Some(change) = degradation.record(now, class.is_some(), telling) {
                    self.tell(level_event(layer, change));
                }
            }
            Layer::ErrorBudget(budget) => {
                let change = budget.record(now, class.is_some());
                let remaining = budget.remaining(now);
                if let Some(exhausted) = change.exhausted {
                    self.tell(Event::ErrorBudget {
                        layer,
                        exhausted,
                        failed: remaining.failed,
                        calls: remaining.calls,
                    });
                    self.each_degradation(|degradation, now| degradation.set_budget(now, exhausted));
                }
                for (burn, burning) in [(Burn::Fast, change.fast), (Burn::Slow, change.slow)] {
                    if let Some(burning) = burning {
                        self.tell(Event::Burning { layer, burn, burning });
                    }
                }
            }
            Layer::LatencyBudget(budget) if matches!(class, None | Some(Class::Timeout)) => {
                if let Some(exceeded) = budget.record(latency) {
                    let p95 = budget.p95().unwrap_or_default();
                    self.tell(Event::LatencyBudget { layer, exceeded, p95 });
                }
            }
            _ => {}
        }
    }

    pub(super) fn each_degradation(
        &mut self,
        mut change: impl FnMut(&mut Degradation, Instant) -> Option<LevelChange>,
    ) {
        for (layer, policy) in self.layers.iter_mut().enumerate() {
            if let Layer::Degradation(degradation) = policy
                && let Some(change) = change(degradation, self.now)
            {
                let event = level_event(layer as u16, change);
                self.outputs.push_back(StackOutput::Event(event));
            }
        }
    }

    /// Decides about a retry; the error to go on with if there is none.
    fn retry(&mut self, at: u32, done: u32, error: CallError) -> Option<CallError> {
        let frame = self.frames[at];
        let open = self.calls[frame.call];
        let Layer::Retry(retrier) = &mut self.layers[usize::from(frame.layer)] else {
            return Some(error);
        };
        let failed = Failed {
            retries: done,
            class: error.class(),
            idempotent: open.idempotent,
            limit: frame.limit,
        };
        let (call, layer) = (open.id, frame.layer);
        match retrier.again(self.now, failed, &mut self.random) {
            Ok(delay) => {
                let retry = done + 1;
                self.frames[at].state = State::Retry { done: retry };
                self.timers.set(at, self.now.saturating_add(delay), UNORDERED);
                self.counters.retries += 1;
                self.tell(Event::Retry {
                    call,
                    layer,
                    retry,
                    delay,
                    after: error,
                });
                None
            }
            Err(why) => {
                self.tell(Event::NoRetry {
                    call,
                    layer,
                    why,
                    after: error,
                });
                Some(match (why, error) {
                    (NoRetry::Exhausted, CallError::Failed { attempts, failure }) => {
                        let last = failure;
                        CallError::RetriesExhausted { attempts, last }
                    }
                    _ => error,
                })
            }
        }
    }

    /// A frame's timer is due.
    fn fire(&mut self, at: u32) {
        let frame = self.frames[at];
        let open = self.calls[frame.call];
        let (call, layer) = (open.id, frame.layer);
        let attempts = open.attempts;
        match frame.state {
            State::Root => {
                self.tell(Event::DeadlinePassed { call });
                self.cancel_children(at, Cut::Time);
                self.finish(at, Err(CallError::DeadlineExceeded { attempts }));
            }
            State::Timeout => {
                let after = self.now - frame.began;
                self.tell(Event::TimedOut { call, layer, after });
                self.cancel_children(at, Cut::Time);
                if let Layer::Timeout(timeout) = &mut self.layers[usize::from(layer)] {
                    timeout.expired(self.now, frame.began);
                }
                self.frames.remove(at);
                let error = CallError::TimedOut { attempts };
                self.ascend(frame.parent, frame.began, Err(error));
            }
            State::Waiting(_) => {
                self.give_back(layer, frame.state, frame.began, None);
                self.frames.remove(at);
                self.refuse(frame.parent, usize::from(layer), CallError::BulkheadTimeout);
            }
            // Whatever sets the limit is due as well, and ends it.
            _ if frame.limit <= self.now => {}
            State::Retry { .. } => self.descend(at, usize::from(layer) + 1),
            State::Hedge { sent } => self.hedge(at, frame, sent),
            _ => {}
        }
    }

    fn hedge(&mut self, at: u32, frame: Frame, sent: u32) {
        let open = self.calls[frame.call];
        let (call, layer) = (open.id, frame.layer);
        let Layer::Hedge(hedger) = &mut self.layers[usize::from(layer)] else {
            return;
        };
        if !hedger.spend(self.now) {
            return self.tell(Event::NoHedge { call, layer });
        }
        let (hedge, delay) = (sent + 1, hedger.delay());
        if hedge < hedger.most(open.idempotent) {
            self.timers
                .set(at, self.now.saturating_add(delay), u32::from(layer));
        }
        self.frames[at].state = State::Hedge { sent: hedge };
        self.counters.hedges += 1;
        let after = self.now - frame.began;
        self.tell(Event::Hedge {
            call,
            layer,
            hedge,
            after,
        });
        self.descend(at, usize::from(layer) + 1);
    }

    /// A frame that waited has its permit.
    fn go_on(&mut self, at: u32) {
        let Frame {
            state, layer, limit, ..
        } = self.frames[at];
        // It may have been cancelled since. What is beyond its limit is ended by what set that.
        if matches!(state, State::Started) && limit > self.now {
            self.frames[at].state = State::Running;
            self.descend(at, usize::from(layer) + 1);
        }
    }

    /// Ends a call that nobody wants.
    pub(super) fn abandon(&mut self, root: u32, why: CallError) {
        self.cancel_children(root, Cut::Lost);
        self.finish(root, Err(why));
    }

    fn cancel_children(&mut self, at: u32, cut: Cut) {
        loop {
            let child = self.frames[at].child;
            if child == NONE {
                return;
            }
            self.end(child, cut);
        }
    }

    /// Ends a frame and what it has begun, without a result to anyone outside.
    fn end(&mut self, at: u32, cut: Cut) {
        let frame = self.frames[at];
        if let State::Attempt { number } = frame.state {
            let call = self.calls[frame.call].id;
            self.take_leaf(call, number);
            self.counters.cancelled += 1;
            let attempt = number;
            self.outputs.push_back(StackOutput::Cancel { call, attempt });
        } else {
            self.cancel_children(at, cut);
            self.timers.clear(at);
            let attempts = self.calls[frame.call].attempts;
            let timed_out = Err(CallError::TimedOut { attempts });
            let result = (cut == Cut::Time).then_some(timed_out);
            self.give_back(frame.layer, frame.state, frame.began, result);
        }
        self.frames.remove(at);
    }

    #[inline]
    fn finish(&mut self, root: u32, result: Result<u32, CallError>) {
        self.timers.clear(root);
        let open = self.calls.remove(self.frames[root].call);
        self.numbers.remove(open.id);
        self.frames.remove(root);
        if result.is_ok() {
            self.counters.succeeded += 1;
        } else {
            self.counters.failed += 1;
        }
        let call = open.id;
        self.outputs.push_back(StackOutput::Finished { call, result });
    }
}

fn breaker_event(layer: usize, change: crate::breaker::BreakerChange) -> Event {
    Event::Breaker {
        layer: layer as u16,
        from: change.from,
        to: change.to,
        cause: change.cause,
    }
}

fn level_event(layer: u16, change: LevelChange) -> Event {
    Event::Level {
        layer,
        from: change.from,
        to: change.to,
        cause: change.cause,
    }
}
