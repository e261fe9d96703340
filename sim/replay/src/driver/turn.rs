//! When: what the kernel has ready, which machines are due, and whose turn it is.

use longhaul_core::machine::{CloseReason, Input};
use longhaul_core::time::{Instant, Span};
use rustix::event::Timespec;
use rustix::event::epoll;

use super::{Driver, DriverError, FIRST_HOST, FIRST_STREAM, TIMER, WATCHED};
use crate::Endpoint;

/// Turns of connections before the kernel is asked again what is ready.
const TURNS: usize = 64;

impl<M: Endpoint> Driver<M> {
    /// Waits until something happens, at most until `limit`, and carries it out. Returns whether the watched
    /// descriptor is readable.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn turn(&mut self, limit: Instant) -> Result<bool, DriverError> {
        let idle = self.ready.is_empty() && self.stillborn.is_empty();
        if idle {
            self.timer.arm(&self.clock, self.next_due().min(limit))?;
        }
        let others = self.look(idle)?;
        if others.contains(&WATCHED) {
            // Whoever reads it may have something to say about this very moment.
            return Ok(true);
        }
        self.latest_wake = self.latest_wake();
        self.latest_now = Span::ZERO;
        if !self.begun && self.clock.has_begun() {
            self.begun = true;
            self.note_lateness(Instant::ZERO);
            for host in 0..self.hosts.len() {
                self.deliver(host, Input::Start);
            }
        }
        // A machine hears of nothing before its start; what it does not hear now the kernel will say again.
        if self.begun {
            self.wake();
            self.forgiven = false;
            for token in others {
                let host = ((token - FIRST_HOST) / 2) as usize;
                if (token - FIRST_HOST).is_multiple_of(2) {
                    self.accept(host)?;
                } else {
                    self.receive_datagrams(host);
                }
            }
        }
        for _ in 0..TURNS {
            while let Some((host, stream)) = self.stillborn.pop_front() {
                let reason = CloseReason::Failed;
                self.deliver(host, Input::Closed { stream, reason });
            }
            let Some(key) = self.ready.pop_front() else {
                break;
            };
            self.serve(key);
        }
        Ok(false)
    }

    /// Asks the kernel what is ready, or waits for it. Notes what connections may do, and returns the tokens of all
    /// others, which the kernel repeats until they are heard.
    pub(super) fn look(&mut self, wait: bool) -> Result<Vec<u64>, DriverError> {
        let no_time = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut happened = std::mem::take(&mut self.happened);
        happened.clear();
        loop {
            let room = rustix::buffer::spare_capacity(&mut happened);
            match epoll::wait(&self.epoll, room, (!wait).then_some(&no_time)) {
                Ok(_) => break,
                // A process that was stopped and goes on: what it missed is there, and orders come first.
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut others = Vec::new();
        for event in &happened {
            match event.data.u64() {
                TIMER => self.timer.fired(),
                key @ FIRST_STREAM.. => self.note(key, event.flags),
                token => others.push(token),
            }
        }
        self.happened = happened;
        Ok(others)
    }

    /// When the next machine is to be woken or started.
    fn next_due(&self) -> Instant {
        if !self.begun {
            return Instant::ZERO;
        }
        let wakes = self.hosts.iter().filter_map(|host| host.wake);
        let start = self.starts.first().map(|(at, _)| *at);
        wakes.chain(start).min().unwrap_or(Instant::MAX)
    }

    /// Starts and wakes the machines whose time has come.
    fn wake(&mut self) {
        while let Some(&(at, peer)) = self.starts.first()
            && at <= self.clock.now()
        {
            self.starts.pop_first();
            if let Some(host) = self.hosts.iter().position(|host| host.peer == peer) {
                self.note_lateness(at);
                let command = self.hosts[host].machine.machine().start_command();
                self.deliver(host, Input::Command(command));
            }
        }
        for host in 0..self.hosts.len() {
            if let Some(at) = self.hosts[host].wake
                && at <= self.clock.now()
            {
                self.hosts[host].wake = None;
                self.note_lateness(at);
                self.deliver(host, Input::Wake);
            }
        }
    }

    fn note_lateness(&mut self, due: Instant) {
        if !self.forgiven {
            let late = self.clock.now().saturating_since(due);
            self.latest_now = self.latest_now.max(late);
        }
    }
}
