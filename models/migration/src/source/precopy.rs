//! Copying while the guest runs: rounds, and the rules that stop it.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;

use super::convergence::Forecast;
use super::{Source, State};
use crate::{Mode, SourceEvent, StopRule, Switch};

impl<M: GuestMemory> Source<M> {
    pub(super) fn begin_copying(&mut self) {
        self.state = State::Active;
        self.times.setup_done = Some(self.now);
        self.copier.begin(&self.memory);
        self.convergence.begin(self.now);
        self.pacer.set_limit(match self.options.stop {
            StopRule::DynamicRate { lowest, .. } => self.at_most(lowest),
            StopRule::Downtime { .. } | StopRule::Xen { .. } => self.options.max_bandwidth,
        });
        self.event(SourceEvent::SetupDone {
            setup_time: self.now - self.times.started,
            streams: self.link.sender().open_streams(),
        });
        self.counters.open_window(self.now);
        self.begin_round();
    }

    pub(super) fn step_precopy(&mut self) -> bool {
        if self.switches_now() {
            self.start_postcopy();
            return true;
        }
        match self.options.stop {
            StopRule::Downtime { .. } if self.pending_bytes() <= self.counters.threshold_bytes() => {
                self.begin_round();
                // The bitmap is exact now.
                if self.pending_bytes() <= self.counters.threshold_bytes() {
                    self.pause();
                }
                true
            }
            StopRule::Xen { .. } | StopRule::DynamicRate { .. } if self.pending_bytes() == 0 => {
                self.end_round();
                true
            }
            _ => self.pump(),
        }
    }

    /// Whether hybrid migration, or post-copy, has waited long enough.
    fn switches_now(&self) -> bool {
        match self.options.mode {
            Mode::PreCopy => false,
            Mode::PostCopy => true,
            Mode::Hybrid {
                switch: Switch::Rounds(rounds),
            } => self.rounds() >= rounds,
            Mode::Hybrid { .. } => self.switch_time().is_some_and(|at| at <= self.now),
        }
    }

    /// When a hybrid migration switches by the clock.
    pub(super) fn switch_time(&self) -> Option<Instant> {
        match self.options.mode {
            Mode::Hybrid {
                switch: Switch::After(span),
            } => Some(self.times.setup_done?.saturating_add(span)),
            _ => None,
        }
    }

    /// Rounds that have ended.
    fn rounds(&self) -> u64 {
        self.counters.dirty_sync_count().saturating_sub(1)
    }

    /// Bytes that would have to be sent with the guest standing still.
    fn pending_bytes(&self) -> u64 {
        self.remaining_bytes() + self.link.sender().untaken_bytes()
    }

    pub(super) fn remaining_bytes(&self) -> u64 {
        (self.copier.remaining_pages() + self.pages_in_pipeline()) * PAGE_SIZE as u64
    }

    /// Synchronises the bitmap and says what is to come.
    fn begin_round(&mut self) -> u64 {
        let newly_dirty = self.synchronise();
        let few_pages = match self.options.stop {
            StopRule::Downtime { .. } => self.counters.threshold_bytes() / PAGE_SIZE as u64,
            StopRule::Xen { pages, .. } => pages,
            StopRule::DynamicRate { remaining, .. } => remaining.as_bytes() / PAGE_SIZE as u64,
        };
        let dirty_pages = self.remaining_bytes() / PAGE_SIZE as u64;
        let sent = self.pages_handed_over();
        let forecast = self
            .convergence
            .on_round(self.now, dirty_pages, newly_dirty, sent, few_pages);
        self.expected_total_time = match forecast {
            Some(Forecast::Converges { copying }) => {
                let so_far = self.now - self.times.started;
                let last = self.counters.expected_downtime();
                Some(so_far.saturating_add(copying).saturating_add(last))
            }
            Some(Forecast::Diverges) | None => None,
        };
        self.event(SourceEvent::RoundStarted {
            round: self.counters.dirty_sync_count(),
            dirty_pages,
            converges: forecast.map(|forecast| forecast != Forecast::Diverges),
            expected_total_time: self.expected_total_time,
        });
        newly_dirty
    }

    /// QEMU's `migration_bitmap_sync`: how many pages became dirty.
    fn synchronise(&mut self) -> u64 {
        self.memory.advance(self.now, &mut self.log);
        self.reaped.absorb(&mut self.log);
        let newly_dirty = self.copier.synchronise(&mut self.reaped);
        let transferred = self.link.stats().wire_bytes;
        let remaining = self.remaining_bytes();
        let period = self
            .counters
            .on_synchronised(self.now, newly_dirty, remaining, transferred);
        if let Some(period) = period
            && self.state == State::Active
            && self.throttler.on_period(self.now, period)
        {
            self.apply_throttle();
        }
        newly_dirty
    }

    /// The rate of dirtying is to be measured for a dirty limit.
    pub(super) fn measure_dirtying(&mut self) {
        if self.throttler.next_measurement().is_none_or(|at| at > self.now) {
            return;
        }
        self.memory.advance(self.now, &mut self.log);
        let pages = self.log.count();
        self.reaped.absorb(&mut self.log);
        if self.throttler.on_measured(self.now, pages, self.memory.vcpus()) {
            self.apply_throttle();
        }
    }

    fn apply_throttle(&mut self) {
        let speed = self.throttler.speed();
        self.memory.set_speed(self.now, speed, &mut self.log);
        self.throttler.note_speed(self.now, speed);
        self.event(SourceEvent::GuestThrottled { speed });
    }

    /// The guest is not held back any more, be it because it stands still, or because it is left alone.
    pub(super) fn end_throttle(&mut self) {
        self.throttler.note_speed(self.now, Probability::ONE);
        self.memory.set_speed(self.now, Probability::ONE, &mut self.log);
    }

    /// A round of Xen's or Clark's has ended.
    fn end_round(&mut self) {
        let round_start = self.round_start();
        let newly_dirty = self.begin_round();
        let stops = match self.options.stop {
            StopRule::Xen {
                pages,
                rounds,
                factor,
            } => {
                let most = self.memory.pages().saturating_mul(factor);
                newly_dirty == 0
                    || newly_dirty < pages
                    || self.rounds() >= rounds
                    || self.pages_handed_over() > most
            }
            StopRule::DynamicRate {
                lowest,
                highest,
                step,
                remaining,
            } => {
                let dirty_bytes = newly_dirty * PAGE_SIZE as u64;
                let elapsed = (self.now - round_start).max(Span::from_ns(1));
                let dirty_rate = BitRate::of(dirty_bytes, elapsed).unwrap_or(highest);
                let rate = dirty_rate.as_bits_per_s().saturating_add(step.as_bits_per_s());
                let rate = BitRate::from_bits_per_s(rate).max(lowest);
                self.pacer.set_limit(self.at_most(rate));
                rate > highest || dirty_bytes <= remaining.as_bytes()
            }
            StopRule::Downtime { .. } => false,
        };
        self.round_start = self.now;
        if stops {
            self.pause();
        }
    }

    /// When the present round began.
    fn round_start(&self) -> Instant {
        let first = self.times.setup_done.unwrap_or(self.now);
        self.round_start.max(first)
    }

    /// A rate, within `max-bandwidth`.
    fn at_most(&self, rate: BitRate) -> Option<BitRate> {
        Some(self.options.max_bandwidth.map_or(rate, |limit| limit.min(rate)))
    }

    fn pause(&mut self) {
        self.state = State::Stopped;
        self.stop_guest();
        self.copier.begin_last_stage();
        self.event(SourceEvent::GuestPaused {
            dirty_pages: self.remaining_bytes() / PAGE_SIZE as u64,
            untaken_bytes: self.link.sender().untaken_bytes(),
        });
    }

    /// The guest stands still from now on, and the bitmap is exact.
    pub(super) fn stop_guest(&mut self) {
        self.end_throttle();
        self.memory.pause(self.now, &mut self.log);
        self.guest_runs = false;
        self.times.paused = Some(self.now);
        self.phases.at_pause = Some(self.link.stats().wire_bytes);
        self.synchronise();
        self.pacer.set_limit(None);
    }
}
