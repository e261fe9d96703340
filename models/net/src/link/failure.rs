//! A link that fails and comes back.

use longhaul_core::time::Instant;

use super::{Engine, Link};
use crate::frame::Frame;
use crate::stats::Count;

impl<P: Frame> Link<P> {
    /// The link fails: everything inside it is lost, and so is what it is offered from now on. Events that were
    /// asked for before are void: see [`Link::term`].
    ///
    /// # Panics
    /// If it is down already.
    pub fn fail(&mut self, now: Instant) {
        assert!(!self.down, "a link that is down failed again");
        self.catch_up(now);
        self.down = true;
        self.term += 1;
        self.armed = Instant::MAX;
        let mut lost = self.wire.count();
        let foreign = match &mut self.engine {
            Engine::Ring(ring) => {
                let foreign = ring.flush(now);
                // Admitted frames were sure to be carried.
                self.stats.background.carried.take(foreign);
                foreign
            }
            Engine::Staged(staged) => {
                let (packets, foreign) = staged.flush(now);
                lost.join(packets);
                foreign
            }
        };
        self.wire.clear();
        self.service.cut(now);
        self.last_arrival = self.last_arrival.min(now);
        self.stats.lost_down.join(lost);
        self.stats.background.lost_down.join(foreign);
    }

    /// The link is back: empty, idle, and at work at once.
    ///
    /// # Panics
    /// If it is not down.
    pub fn restore(&mut self, now: Instant) {
        assert!(self.down, "a link came back that was not down");
        self.catch_up(now);
        self.down = false;
    }

    /// Whether it has failed and is not back.
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// How often it has failed so far. An event that was asked for in an earlier term is void: its time comes, and
    /// the caller must not call [`Link::pop_arrival`] for it.
    #[inline]
    pub fn term(&self) -> u32 {
        self.term
    }

    /// Background traffic that comes while the link is down.
    pub(super) fn lose_background(&mut self, now: Instant) {
        let Some(process) = self.extras.as_mut().and_then(|extras| extras.background.as_mut()) else {
            return;
        };
        while process.next() <= now && process.next() < Instant::MAX {
            let mut frame = Count::default();
            frame.add(process.frame_bytes);
            process.advance();
            self.stats.background.offered.join(frame);
            self.stats.background.lost_down.join(frame);
        }
    }
}
