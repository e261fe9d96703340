//! What happens by time alone: patience runs out, streams stall, the controller looks at them.

use longhaul_core::time::{Instant, Span};

use super::{Failure, Phase, Sender, SenderOutput};
use crate::StreamEnd;
use crate::controller::Totals;
use crate::outbox::Obstacle;

/// How often stalled streams are looked for in the patience with them.
const REVIEWS: u64 = 4;

impl Sender {
    /// It is `now`. Call it before everything else that happens at that time, a wake included.
    ///
    /// # Panics
    /// If time goes back.
    pub fn advance(&mut self, now: Instant) {
        assert!(now >= self.now, "time ran backwards");
        self.note_idle(now.saturating_since(self.now));
        self.now = now;
        if let Some((deadline, failure)) = self.deadline()
            && deadline <= now
        {
            self.fail(failure);
        }
        if self.next_review().is_some_and(|at| at <= now) {
            self.review();
        }
        if self.next_tick().is_some_and(|at| at <= now) {
            self.tick();
        }
    }

    /// When it wants to be given the time next, and for what; `None` if only something that happens can move it.
    pub fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let deadline = self.deadline().map(|(at, failure)| match failure {
            Failure::NoStream => (at, "patience without a stream"),
            Failure::Silent => (at, "patience with a silent peer"),
        });
        let wakes = [
            deadline,
            self.pool.pause().map(|at| (at, "a stream is opened again")),
            self.next_review().map(|at| (at, "a stream that has stalled")),
            self.next_tick().map(|at| (at, "a look at the streams")),
            self.next_release().map(|at| (at, "a chunk by the pace")),
            self.next_rescue().map(|(_, _, at)| (at, "a chunk that is late")),
        ];
        let first = wakes.into_iter().flatten().min_by_key(|(at, _)| *at);
        first.map(|(at, why)| (at.max(self.now), why))
    }

    /// When it will have failed unless something happens, and how.
    pub(super) fn deadline(&self) -> Option<(Instant, Failure)> {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return None;
        }
        let patience = self.options.patience;
        if let Some(since) = self.pool.alone_since() {
            // Without patience an attempt under way is still an attempt.
            let given_up = patience > Span::ZERO || self.pool.opening_count() == 0;
            return given_up.then_some((since.saturating_add(patience), Failure::NoStream));
        }
        let waits = !self.flight.is_empty() || (self.phase == Phase::Drained && !self.replied);
        let waits = waits && patience > Span::ZERO;
        waits.then_some((self.last_progress.saturating_add(patience), Failure::Silent))
    }

    /// When to look for stalled streams next: a few times in the patience with them, while something is out.
    fn next_review(&self) -> Option<Instant> {
        let runs = matches!(self.phase, Phase::Running | Phase::Finished);
        let looks = runs && self.pool.is_carrying() && self.options.patience > Span::ZERO;
        looks.then(|| self.reviewed.saturating_add(self.options.patience / REVIEWS))
    }

    /// Gives up streams that have stalled: the others carry their chunks, and others take their place.
    fn review(&mut self) {
        self.reviewed = self.now;
        let patience = self.options.patience;
        let Some(since) = self.now.as_ns().checked_sub(patience.as_ns()) else {
            return;
        };
        while let Some(stream) = self.pool.stalled(Instant::from_ns(since)) {
            self.end_stream(stream, StreamEnd::Stalled);
        }
    }

    /// Looks at the streams: the controller decides once the transport below has told what it knows of them.
    fn tick(&mut self) {
        let inspected = self.pool.carrying();
        let totals = Totals {
            taken_bytes: self.stats.taken_bytes,
            starved: self.stats.starved,
            blocked: self.stats.blocked,
            open: self.pool.open_count(),
        };
        self.controller.tick(self.now, totals, inspected.len());
        let inspect = |stream| SenderOutput::Inspect { stream };
        self.outputs.extend(inspected.into_iter().map(inspect));
        self.follow();
    }

    /// When to look next, while there is something to carry.
    fn next_tick(&self) -> Option<Instant> {
        let runs = matches!(self.phase, Phase::Running | Phase::Finished);
        let carries = self.pool.is_carrying() || self.outbox.obstacle() != Some(Obstacle::Empty);
        self.controller.next_tick().filter(|_| runs && carries)
    }

    /// Goes after what the controller aims at.
    pub(super) fn follow(&mut self) {
        let aim = self.controller.aim();
        if aim == self.told || !matches!(self.phase, Phase::Running | Phase::Finished) {
            return;
        }
        self.told = aim;
        self.stats.streams = aim.streams;
        self.pool.want(self.now, aim.streams);
        self.pace.set(self.now, aim.pace);
        self.outputs.push_back(SenderOutput::Adapted {
            streams: aim.streams,
            chunk_bytes: aim.chunk_bytes,
        });
    }

    /// So much time has passed; notes whether the streams waited meanwhile.
    fn note_idle(&mut self, span: Span) {
        if span == Span::ZERO || self.pool.first_ready().is_none() {
            return;
        }
        let total = match self.outbox.obstacle() {
            Some(Obstacle::Empty) => &mut self.stats.starved,
            Some(Obstacle::Window) => &mut self.stats.blocked,
            None => return,
        };
        *total = total.saturating_add(span);
    }

    /// From now on the peer is waited for, if it was not before.
    pub(super) fn note_waiting(&mut self) {
        if self.flight.is_empty() {
            self.last_progress = self.now;
        }
        if !self.pool.is_carrying() {
            self.reviewed = self.now;
        }
    }
}
