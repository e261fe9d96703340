//! What links have carried and how far transfers have come at any moment, for reports.
//!
//! A flow's books are closed when it leaves its links, with all of the round under way; until then its share of the round under way is added when
//! somebody asks. Looking changes nothing: a flow that was computed ahead of time is brought to `now` in a copy
//! that is kept for that anyway.

use longhaul_core::time::Instant;
use longhaul_net::notice::{ConnectionId, Side};
use longhaul_net::routing::LinkId;

use super::{Flow, Network, Slot};
use crate::sender::Progress;

/// What a link has done so far. Only segments with data count; handshakes and ACKs do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounters {
    /// Bytes on the wire, headers and retransmissions included, that have passed the serialiser.
    pub carried_bytes: u64,
    /// Segments that the loss law took. Where several links of a path lose, each is given its part of the path's
    /// losses in proportion to its mean.
    pub lost_segments: u64,
    /// Segments that the full queue dropped or refused; the slowest link of a path is given all of them.
    pub dropped_segments: u64,
}

impl Network {
    /// What a link has done by `now`, which never goes back.
    ///
    /// # Panics
    /// If the link is not of this network.
    pub fn link_counters(&mut self, link: LinkId, now: Instant) -> LinkCounters {
        let mut sum = LinkSum::default();
        for path in &self.paths {
            if path.links.contains(&link.0) {
                sum.add(&path.closed, path.loss_part(link.0), path.slowest == link.0);
            }
        }
        for place in 0..self.links[link.0 as usize].flows.len() {
            let flow = self.links[link.0 as usize].flows[place].flow;
            let progress = self.progress(flow, now);
            let Slot::Open(half) = &self.slots[flow.0 as usize] else {
                continue;
            };
            let path = &self.paths[half.path as usize];
            let open = progress.beyond(&half.counted);
            sum.add(&open, path.loss_part(link.0), path.slowest == link.0);
        }
        LinkCounters {
            carried_bytes: sum.carried as u64,
            lost_segments: libm::round(sum.lost) as u64,
            dropped_segments: sum.dropped as u64,
        }
    }

    /// Bytes on the wire that a link has carried by `now`: see [`LinkCounters::carried_bytes`].
    ///
    /// # Panics
    /// If the link is not of this network.
    pub fn link_carried(&mut self, link: LinkId, now: Instant) -> u64 {
        self.link_counters(link, now).carried_bytes
    }

    /// Bytes on the wire per second that flows send over a link at `now`.
    ///
    /// # Panics
    /// If the link is not of this network.
    pub fn link_rate(&self, link: LinkId, now: Instant) -> f64 {
        let flows = self.links[link.0 as usize].flows.iter();
        flows.map(|crossing| self.flow_rate(now, crossing.flow)).sum()
    }

    /// Bytes of the peer's stream that have reached this side by `now`, also within a large write, whose end alone
    /// is told by a notice. Between notices it is an estimate: what was sent one way ago less what is known to be
    /// missing. It never falls.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn received_so_far(&mut self, connection: ConnectionId, side: Side, now: Instant) -> u64 {
        let flow = Flow::new(connection, side).peer();
        let progress = self.progress(flow, now);
        match &mut self.slots[flow.0 as usize] {
            Slot::Open(half) => {
                half.seen = half.seen.max(progress.received);
                half.seen
            }
            Slot::Closed(stats) => stats.delivered_bytes,
        }
    }

    fn progress(&mut self, flow: Flow, now: Instant) -> Progress {
        let Slot::Open(half) = &mut self.slots[flow.0 as usize] else {
            return Progress::default();
        };
        match half.seat {
            Some(seat) => {
                let pace = self.groups[seat.group as usize].pace(now, seat);
                half.sender.progress(now, Some(&pace))
            }
            None => half.progress_alone(now),
        }
    }

    /// Closes the books of a flow that leaves its links: all that it has begun to send has been sent.
    pub(super) fn close_books(&mut self, flow: Flow) {
        let half = self.active(flow);
        let progress = half.sender.progress(Instant::MAX, None);
        let more = progress.beyond(&half.counted);
        half.counted = half.counted.plus(&more);
        let path = half.path as usize;
        self.paths[path].closed = self.paths[path].closed.plus(&more);
    }
}

#[derive(Clone, Copy, Default)]
struct LinkSum {
    carried: f64,
    lost: f64,
    dropped: f64,
}

impl LinkSum {
    fn add(&mut self, progress: &Progress, loss_part: f64, drops: bool) {
        self.carried += progress.carried;
        self.lost += progress.lost * loss_part;
        if drops {
            self.dropped += progress.dropped;
        }
    }
}
