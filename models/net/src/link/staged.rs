//! A queue that decides when the serialiser is free: jitter, queue and serialiser as stages in time.
//!
//! The stages move on when the link is touched, up to that moment. The link asks for an event only while packets
//! that someone sent are held or wait; background traffic alone needs none.

use std::collections::VecDeque;

use longhaul_core::time::Instant;

use super::service::Service;
use crate::background::BackgroundProcess;
use crate::frame::Frame;
use crate::queue::{Discipline, Next, Queued};
use crate::stats::{Count, LinkStats};

/// A frame that has left the serialiser at `end`.
pub(super) struct Sent<P> {
    pub(super) end: Instant,
    pub(super) frame: Queued<P>,
    pub(super) packet: P,
}

/// The stages before the delay line.
#[derive(Clone, Debug)]
pub(super) struct Staged<P> {
    discipline: Discipline<P>,
    /// Frames that jitter holds back, in order.
    held: VecDeque<(Instant, Queued<P>)>,
    last_ready: Instant,
    /// When the queue may give something to the serialiser; [`Instant::MAX`] if nothing waits.
    next_dequeue: Instant,
    /// From when on what waits has been able to go: the serialiser was free and the frame was there.
    available: Instant,
    /// Whether something waits that was not allowed to go at `available`.
    refused: bool,
    /// Packets in `discipline`, background traffic not counted.
    waiting: Count,
}

impl<P: Frame> Staged<P> {
    pub(super) fn new(discipline: Discipline<P>) -> Staged<P> {
        Staged {
            discipline,
            held: VecDeque::new(),
            last_ready: Instant::ZERO,
            next_dequeue: Instant::MAX,
            available: Instant::ZERO,
            refused: false,
            waiting: Count::default(),
        }
    }

    /// Takes a frame in at `now` that jitter holds back until `ready`. Call [`Staged::step`] up to `now` before
    /// and after. Returns whether the frame, if it was not held back, found room.
    pub(super) fn offer(
        &mut self,
        service: &Service,
        stats: &mut LinkStats,
        now: Instant,
        ready: Instant,
        mut frame: Queued<P>,
    ) -> bool {
        let ready = ready.max(self.last_ready);
        self.last_ready = ready;
        frame.enqueued = ready;
        if ready > now {
            self.held.push_back((ready, frame));
            return true;
        }
        self.enqueue(service, stats, frame)
    }

    /// When something happens in the stages that concerns packets; [`Instant::MAX`] if nothing does.
    pub(super) fn next_event(&self) -> Instant {
        let held = self.held.front().map_or(Instant::MAX, |&(ready, _)| ready);
        if self.waiting.packets > 0 {
            held.min(self.next_dequeue)
        } else {
            held
        }
    }

    /// Lets the next thing happen that is due by `now`, if there is one; what leaves the serialiser comes back.
    pub(super) fn step(
        &mut self,
        service: &mut Service,
        stats: &mut LinkStats,
        background: Option<&mut BackgroundProcess>,
        now: Instant,
    ) -> Step<P> {
        let held = self.held.front().map_or(Instant::MAX, |&(ready, _)| ready);
        let foreign = background.as_ref().map_or(Instant::MAX, |process| process.next());
        let first = self.next_dequeue.min(held).min(foreign);
        if first > now || first == Instant::MAX {
            return Step::Idle;
        }
        // What ends makes room for what arrives at the same moment.
        if self.next_dequeue == first {
            return self.dequeue(service, stats);
        }
        if held == first {
            let (_, frame) = self.held.pop_front().expect("a frame is held");
            self.enqueue(service, stats, frame);
        } else if let Some(process) = background {
            let frame = Queued {
                enqueued: foreign,
                frame_bytes: process.frame_bytes,
                flow: u64::MAX,
                class: process.class,
                damaged: false,
                packet: None,
            };
            stats.background.offered.add(frame.frame_bytes);
            process.advance();
            self.enqueue(service, stats, frame);
        }
        Step::Happened
    }

    /// What waits in the queue, background traffic included.
    pub(super) fn queue(&self) -> Count {
        self.discipline.backlog()
    }

    /// Packets that are held or wait, and background traffic that waits, counted one by one.
    pub(super) fn count(&self) -> (Count, Count) {
        let (mut packets, mut foreign) = (Count::default(), Count::default());
        for (_, frame) in &self.held {
            packets.add(frame.frame_bytes);
        }
        for frame in self.discipline.frames() {
            let count = if frame.packet.is_some() {
                &mut packets
            } else {
                &mut foreign
            };
            count.add(frame.frame_bytes);
        }
        (packets, foreign)
    }

    /// Forgets everything, as a device that goes down resets its queue; returns the packets and the background
    /// traffic that it held.
    pub(super) fn flush(&mut self, now: Instant) -> (Count, Count) {
        let lost = self.count();
        self.held.clear();
        self.discipline.reset();
        self.last_ready = self.last_ready.min(now);
        self.next_dequeue = Instant::MAX;
        self.available = now;
        self.refused = false;
        self.waiting = Count::default();
        lost
    }

    fn enqueue(&mut self, service: &Service, stats: &mut LinkStats, frame: Queued<P>) -> bool {
        let at = frame.enqueued;
        let dropped = Drops::of(stats);
        let own = frame.packet.is_some();
        let bytes = frame.frame_bytes;
        let room = self.discipline.enqueue(frame, stats);
        if own {
            self.waiting.add(bytes);
        }
        self.forget(dropped, stats);
        let backlog = self.discipline.backlog();
        if backlog.packets == 0 {
            self.next_dequeue = Instant::MAX;
        } else if self.next_dequeue == Instant::MAX || self.refused {
            // The queue was empty, or nothing in it was allowed to go.
            self.refused = false;
            self.available = at.max(service.free_at());
            self.next_dequeue = service.start(self.available);
        }
        if self.next_dequeue > at {
            stats.max_queue_packets = stats.max_queue_packets.max(backlog.packets);
            stats.max_queue_bytes = stats.max_queue_bytes.max(backlog.bytes);
        }
        room
    }

    fn dequeue(&mut self, service: &mut Service, stats: &mut LinkStats) -> Step<P> {
        let now = self.next_dequeue;
        let dropped = Drops::of(stats);
        let next = self.discipline.dequeue(now, stats);
        self.forget(dropped, stats);
        let frame = match next {
            Next::Frame(frame) => frame,
            Next::NotBefore(at) => {
                self.refused = true;
                self.available = at;
                self.next_dequeue = service.start(at);
                return Step::Happened;
            }
            Next::Empty => {
                self.next_dequeue = Instant::MAX;
                return Step::Happened;
            }
        };
        stats.longest_wait = stats.longest_wait.max(now.saturating_since(frame.enqueued));
        stats.first_start.get_or_insert(now);
        self.refused = false;
        let end = service.send(self.available, frame.frame_bytes);
        self.available = end;
        self.next_dequeue = if self.discipline.backlog().packets > 0 {
            service.start(end)
        } else {
            Instant::MAX
        };
        let Some(packet) = frame.packet else {
            stats.background.carried.add(frame.frame_bytes);
            return Step::Happened;
        };
        self.waiting.remove(frame.frame_bytes);
        Step::Sent(Sent { end, frame, packet })
    }

    /// Takes the packets that the discipline has dropped meanwhile off those that wait.
    fn forget(&mut self, before: Drops, stats: &LinkStats) {
        let after = Drops::of(stats);
        self.waiting.packets -= after.0.packets - before.0.packets;
        self.waiting.bytes -= after.0.bytes - before.0.bytes;
    }
}

/// What happened.
pub(super) enum Step<P> {
    /// Nothing is due.
    Idle,
    /// Something inside; there may be more.
    Happened,
    /// A packet has been given to the serialiser.
    Sent(Sent<P>),
}

/// Packets that the discipline has dropped so far.
#[derive(Clone, Copy)]
struct Drops(Count);

impl Drops {
    fn of(stats: &LinkStats) -> Drops {
        Drops(Count {
            packets: stats.dropped_full.packets + stats.dropped_early.packets,
            bytes: stats.dropped_full.bytes + stats.dropped_early.bytes,
        })
    }
}
