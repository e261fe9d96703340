//! A serialiser whose rate changes at given times, exact to the bit: a frame in service goes on at the new rate.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use super::service::Busy;
use crate::course::Course;

/// Work is counted in bits times nanoseconds per second: a byte is this much, and a nanosecond at R bit/s does R.
const WORK_PER_BYTE: u128 = 8_000_000_000;

/// Sends frames back to back at a rate that is piecewise constant.
#[derive(Clone, Debug)]
pub(super) struct Stepped {
    rates: Course<BitRate>,
    cursor: usize,
    /// Work done in one period; `None` without a period.
    work_per_period: Option<u128>,
    /// Everything but `rest` is done at this instant, the end of the last frame rounded down.
    end: Instant,
    /// Work that is left at `end`, less than one nanosecond's.
    rest: u128,
    pub(super) busy: Busy,
}

impl Stepped {
    /// An idle serialiser; `None` if the rate is never above zero.
    pub(super) fn new(rates: Course<BitRate>) -> Option<Stepped> {
        if rates.values().all(|rate| rate.as_bits_per_s() == 0) {
            return None;
        }
        let work_per_period = rates.period().map(|_| {
            let work = rates.pieces().map(|(rate, length)| work(rate, length));
            work.fold(0u128, u128::saturating_add)
        });
        Some(Stepped {
            rates,
            cursor: 0,
            work_per_period,
            end: Instant::ZERO,
            rest: 0,
            busy: Busy::default(),
        })
    }

    /// The first whole nanosecond at which the frames accepted so far are out.
    pub(super) fn free_at(&self) -> Instant {
        self.end.saturating_add(Span::from_ns(u64::from(self.rest > 0)))
    }

    /// Sends a frame that is ready at `ready`; returns the first whole nanosecond at which it is out.
    pub(super) fn send(&mut self, ready: Instant, frame_bytes: u32) -> Instant {
        let start = self.free_at().max(ready);
        if ready >= self.free_at() {
            self.end = ready;
            self.rest = 0;
        }
        self.work_off(self.rest + u128::from(frame_bytes) * WORK_PER_BYTE);
        self.busy.add(start, self.free_at());
        self.free_at()
    }

    /// Forgets what is not out at `now`: it is free from then on.
    pub(super) fn cut(&mut self, now: Instant) {
        if self.free_at() > now {
            self.end = now;
            self.rest = 0;
            self.busy.cut(now);
        }
    }

    /// Moves `end` on until `left` is done.
    fn work_off(&mut self, mut left: u128) {
        let mut skipped = false;
        loop {
            let stretch = self.rates.stretch(self.end, &mut self.cursor);
            let length = stretch.until.saturating_since(self.end);
            let done = work(stretch.value, length);
            if left < done || (stretch.until == Instant::MAX && left > 0) {
                self.finish(stretch.value, left);
                return;
            }
            left -= done;
            self.end = stretch.until;
            if left == 0 {
                self.rest = 0;
                return;
            }
            // From the first boundary on, whole periods pass at once: at one bit per second a frame may take
            // millions of them.
            if !skipped && let Some(in_one) = self.work_per_period {
                skipped = true;
                self.skip_periods(&mut left, in_one);
            }
        }
    }

    fn skip_periods(&mut self, left: &mut u128, in_one: u128) {
        let period = self.rates.period().map_or(0, Span::as_ns);
        // One fewer, so that something is left for the stretches to end exactly.
        let Some(periods) = (*left / in_one).checked_sub(1) else {
            return;
        };
        let ns = periods.saturating_mul(u128::from(period));
        match u64::try_from(ns) {
            Ok(ns) => {
                *left -= periods * in_one;
                self.end = self.end.saturating_add(Span::from_ns(ns));
            }
            Err(_) => self.end = Instant::MAX,
        }
    }

    /// Ends within the stretch that `end` lies in, or never.
    fn finish(&mut self, rate: BitRate, left: u128) {
        let rate = u128::from(rate.as_bits_per_s());
        let whole = left.checked_div(rate).and_then(|ns| u64::try_from(ns).ok());
        match whole {
            Some(ns) => {
                self.end = self.end.saturating_add(Span::from_ns(ns));
                self.rest = left % rate;
            }
            None => {
                self.end = Instant::MAX;
                self.rest = 0;
            }
        }
    }
}

/// What is done in `length` at `rate`: below 2^128, since both are below 2^64.
fn work(rate: BitRate, length: Span) -> u128 {
    u128::from(rate.as_bits_per_s()) * u128::from(length.as_ns())
}
