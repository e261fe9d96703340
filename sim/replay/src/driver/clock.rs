//! Time of a replay: `CLOCK_MONOTONIC` since the announced start, and one timer on it.
//!
//! All processes of a kernel share that clock, so that two nodes mean the same by an instant.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use longhaul_core::time::{Instant, Span};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Since the boot of this computer: positive, and 584 years fit.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Time since the start, which never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_ns: u64,
    latest: Instant,
}

impl Clock {
    /// Time 0 is when `CLOCK_MONOTONIC` shows this.
    pub fn new(start_ns: u64) -> Clock {
        Clock {
            start_ns,
            latest: Instant::ZERO,
        }
    }

    /// Now; zero before the start.
    pub fn now(&mut self) -> Instant {
        let now = Instant::from_ns(monotonic_ns().saturating_sub(self.start_ns));
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Whether the start has come.
    pub fn has_begun(&self) -> bool {
        monotonic_ns() >= self.start_ns
    }
}

/// A file descriptor that becomes readable at a time.
#[derive(Debug)]
pub(super) struct Timer {
    timer: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Timer {
            timer: rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?,
            armed: None,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Sees to it that it fires at `at` or before. One that fires early does no harm, and most wakes are replaced
    /// by later ones before they come.
    pub fn arm(&mut self, clock: &Clock, at: Instant) -> io::Result<()> {
        if at == Instant::MAX || self.armed.is_some_and(|armed| armed <= at) {
            return Ok(());
        }
        // Zero would disarm it.
        let ns = Instant::from_ns(clock.start_ns)
            .saturating_add(Span::from_ns(at.as_ns()))
            .as_ns()
            .clamp(1, i64::MAX.cast_unsigned());
        let value = Timespec {
            tv_sec: (ns / 1_000_000_000).cast_signed(),
            tv_nsec: (ns % 1_000_000_000).cast_signed(),
        };
        let once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = Itimerspec {
            it_interval: once,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed = Some(at);
        Ok(())
    }

    /// It has fired.
    pub fn fired(&mut self) {
        self.armed = None;
    }
}
