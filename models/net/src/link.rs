//! A directed link: loss, a jittery delay line, a queue, a serialiser and a propagation delay.
//!
//! # The law of motion
//! A frame offered at t that is not lost is *ready* at r = max(r′, t + jitter), starts at s = max(r, e′) and
//! ends at e = s + size / rate, where r′ and e′ belong to the frame before it; it arrives at e + delay. That
//! is what netem does with `delay` and `rate` in one qdisc (`netem_enqueue`: a = max(t + delay + jitter, a′) +
//! size / rate), with the constant delay moved to the end: jitter holds a frame back *before* the
//! serialiser, so a standing queue hides it and it never bunches frames closer than the rate allows.
//!
//! With [`reorder`](LinkSpec::reorder) r = t, and a frame arrives at e + delay + jitter, whatever the frames
//! before it do. When the rate changes, the frame in service goes on at the new one; when the delay changes,
//! frames that leave the serialiser afterwards take the new one, but (unless reordering is asked for) arrive no
//! earlier than those before them.
//!
//! What is offered as one frame stays one: a burst of segmentation offload takes one place in the queue and one
//! draw of the loss law, as it does in a qdisc on the sender's own device.
//!
//! # Two engines
//! With a drop-tail queue everything about a frame is known when it is offered, even if the rate varies, so
//! the link needs no event for the queue or the serialiser: it is a ring of arrivals, and only the first of
//! them stands in the engine's queue. With CoDel, FQ-CoDel and HTB the fate of a frame is decided when the
//! serialiser is free; such a link has stages in time, and asks for an event when one of them moves a packet.
//! A link asks for at most one event at a time, except that an event becomes too late when something earlier
//! turns up; it is then left where it is and finds nothing to do.
//!
//! # Failure
//! While a link is down it loses what it is offered; what was in its queue and on its way when it failed is lost,
//! too. That is what `ip link set down` does to a device with netem, whose queue holds both. Back up, it works at
//! once, with an empty queue and an idle serialiser. What was asked for before the failure is void: events belong
//! to a [`term`](Link::term) of the link.

mod failure;
mod ring;
mod serialiser;
mod service;
mod spec;
mod staged;
mod stepped;
mod wire;

use longhaul_core::random::{Source, Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};

pub use crate::link::spec::{Changes, ETHERNET_MTU, LinkError, LinkSpec};
pub use crate::queue::{Queue, QueueLimit};

use crate::background::BackgroundProcess;
use crate::course::Course;
use crate::frame::Frame;
use crate::jitter::JitterProcess;
use crate::link::ring::Ring;
use crate::link::service::Service;
use crate::link::staged::{Staged, Step};
use crate::link::wire::{Propagation, Wire};
use crate::loss::{Loss, LossProcess};
use crate::queue::{Discipline, Queued};
use crate::stats::{Count, Ledger, LinkStats};

/// What became of an offered frame.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It is in the link. A queue that decides later may still drop it, and so may a full one that it reaches
    /// only after its jitter.
    Accepted {
        /// When to call [`Link::pop_arrival`], if no earlier event is pending: the caller schedules it.
        schedule: Option<Instant>,
    },
    /// The loss law took it.
    LostByLaw,
    /// The queue was full.
    DroppedFull,
    /// The link is down. The sender does not hear of it.
    LostDown,
}

/// A directed link that carries packets of type `P`.
#[derive(Clone, Debug)]
pub struct Link<P: Frame> {
    loss: LossProcess,
    jitter: JitterProcess,
    engine: Engine<P>,
    service: Service,
    propagation: Propagation,
    wire: Wire<P>,
    /// Laws that most links do not have.
    extras: Option<Box<Extras>>,
    /// Arrival of the last frame sent, where a shorter delay could let one overtake it.
    last_arrival: Instant,
    /// The earliest event that the caller was asked for, in links whose next event may move forward.
    armed: Instant,
    /// Whether it has failed and is not back.
    down: bool,
    /// How often it has failed.
    term: u32,
    stats: LinkStats,
}

#[derive(Clone, Debug)]
enum Engine<P> {
    /// Drop-tail: all is known at the offer.
    Ring(Ring),
    /// The queue decides when the serialiser is free.
    Staged(Box<Staged<P>>),
}

#[derive(Clone, Debug)]
struct Extras {
    duplicate: Chance,
    corrupt: Chance,
    losses: Option<Losses>,
    background: Option<BackgroundProcess>,
}

#[derive(Clone, Debug)]
struct Chance {
    probability: Probability,
    stream: Stream,
}

impl Chance {
    fn draw(&mut self) -> bool {
        self.probability > Probability::ZERO && self.stream.chance(self.probability)
    }
}

/// The loss law over time.
#[derive(Clone, Debug)]
struct Losses {
    course: Course<Loss>,
    cursor: usize,
    current: Loss,
}

impl<P: Frame> Link<P> {
    /// An idle link. Its random streams are those of the entity `name` for the purposes `loss`, `jitter`,
    /// `duplicate`, `corrupt`, `background` and `flow hash`.
    ///
    /// # Errors
    /// If the rate is zero or a law contradicts itself.
    pub fn new(spec: &LinkSpec, name: &str, streams: &Streams) -> Result<Link<P>, LinkError> {
        let steps = spec.changes.steps.as_deref();
        let losses = steps.and_then(|steps| steps.course(spec.loss, |step| step.loss));
        let delays = steps.and_then(|steps| steps.course(spec.delay, |step| step.delay));
        for law in losses.iter().flat_map(Course::values) {
            law.check()?;
        }
        let background = match spec.background {
            None => None,
            Some(background) => {
                let stream = streams.of(Source::Workload).stream(name, "background");
                Some(BackgroundProcess::new(background, stream)?)
            }
        };
        let chance = |probability, purpose| Chance {
            probability,
            stream: streams.stream(name, purpose),
        };
        let plain = spec.duplicate == Probability::ZERO
            && spec.corrupt == Probability::ZERO
            && losses.is_none()
            && background.is_none();
        let extras = || {
            Box::new(Extras {
                duplicate: chance(spec.duplicate, "duplicate"),
                corrupt: chance(spec.corrupt, "corrupt"),
                losses: losses.map(|course| Losses {
                    course,
                    cursor: 0,
                    current: spec.loss,
                }),
                background,
            })
        };
        let salt = streams.stream(name, "flow hash").u64();
        let engine = match (&spec.queue, Discipline::new(&spec.queue, salt)?) {
            (_, Some(discipline)) => Engine::Staged(Box::new(Staged::new(discipline))),
            (Queue::Fifo(limit), None) => Engine::Ring(Ring::new(*limit)),
            _ => unreachable!("only a drop-tail queue has no discipline"),
        };
        Ok(Link {
            loss: LossProcess::new(spec.loss, streams.stream(name, "loss"))?,
            jitter: JitterProcess::new(spec.jitter.clone(), streams.stream(name, "jitter")),
            engine,
            service: Service::new(spec)?,
            propagation: Propagation::new(spec.delay, delays),
            wire: Wire::new(spec.reorder),
            extras: (!plain).then(extras),
            last_arrival: Instant::ZERO,
            armed: Instant::MAX,
            down: false,
            term: 0,
            stats: LinkStats::default(),
        })
    }

    /// Offers a frame of `frame_bytes`, headers included. `now` never goes back.
    ///
    /// A frame that would arrive beyond the representable time is accepted and stays inside for ever.
    #[inline]
    pub fn offer(&mut self, now: Instant, packet: P, frame_bytes: u32) -> Offer {
        self.stats.offered.add(frame_bytes);
        if self.down {
            self.stats.lost_down.add(frame_bytes);
            return Offer::LostDown;
        }
        if self.extras.is_some() {
            return self.offer_with_extras(now, packet, frame_bytes);
        }
        if self.loss.lose() {
            self.stats.lost_by_law.add(frame_bytes);
            return Offer::LostByLaw;
        }
        self.admit(now, &packet, frame_bytes, false)
    }

    /// Brings the inside of the link up to `now`, and takes out the next frame if it has arrived by then. The
    /// caller then schedules [`Link::next_event`].
    #[inline]
    pub fn pop_arrival(&mut self, now: Instant) -> Option<P> {
        if self.armed <= now {
            self.armed = Instant::MAX;
        }
        if matches!(self.engine, Engine::Staged(_)) {
            self.catch_up(now);
        }
        let next = self.wire.next()?;
        if next.arrival > now {
            return None;
        }
        if next.damaged {
            self.stats.corrupted.add(next.frame_bytes);
        } else {
            self.stats.delivered.add(next.frame_bytes);
        }
        self.wire.pop()
    }

    /// When to call [`Link::pop_arrival`] next, unless nothing will happen or such an event is pending: the
    /// caller schedules it. To be asked once after each event.
    #[inline]
    pub fn next_event(&mut self) -> Option<Instant> {
        match (&self.engine, &self.wire) {
            (Engine::Ring(_), Wire::InOrder { .. }) => self.wire.next_arrival(),
            _ => self.arm(),
        }
    }

    /// Brings background traffic, and the queues that it fills, up to `now`: before reading the books of a link
    /// that nobody has used for a while. Changes no fate of any packet.
    pub fn catch_up(&mut self, now: Instant) {
        let mut background = self.extras.as_mut().and_then(|extras| extras.background.as_mut());
        if let Some(process) = &mut background {
            process.forget_before(now);
        }
        if self.down {
            return self.lose_background(now);
        }
        if let Engine::Ring(ring) = &mut self.engine {
            let Some(process) = background else { return };
            while process.next() <= now && process.next() < Instant::MAX {
                let (at, frame_bytes) = (process.next(), process.frame_bytes);
                process.advance();
                let books = &mut self.stats;
                books.background.offered.add(frame_bytes);
                let admitted = !ring.refuses(self.wire.len())
                    && ring
                        .admit(&mut self.service, books, at, frame_bytes, true)
                        .is_some();
                let fate = if admitted {
                    &mut books.background.carried
                } else {
                    &mut books.background.dropped_full
                };
                fate.add(frame_bytes);
            }
            return;
        }
        self.run_stages(now);
    }

    /// Sets the mean rate of the background traffic from now on. A burst that is under way goes on at the new rate.
    ///
    /// # Panics
    /// If the link was made without background traffic.
    pub fn set_background_rate(&mut self, now: Instant, rate: BitRate) {
        self.catch_up(now);
        let extras = self.extras.as_mut();
        let background = extras.and_then(|extras| extras.background.as_mut());
        background
            .expect("a link with background traffic")
            .set_rate(now, rate);
    }

    /// What the link has done so far.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// How long the serialiser has been sending by `now`. Over the time since
    /// [`first_start`](LinkStats::first_start) it is the utilisation. While jitter holds frames back, the
    /// pauses that they will cause are already taken off. Outages, and the wait for an opportunity to deliver,
    /// count as long as a frame is in the serialiser.
    pub fn busy_time(&self, now: Instant) -> Span {
        self.service.busy_time(now)
    }

    /// When the serialiser ends, or ended, with the last frame given to it so far.
    pub fn last_end(&self) -> Instant {
        self.service.free_at()
    }

    /// When the frame accepted last leaves the device, if that is decided: with its last bit, but where the delay
    /// line belongs to the device, as netem's does ([`QueueLimit::Inside`]), at its arrival.
    ///
    /// [`QueueLimit::Inside`]: crate::queue::QueueLimit::Inside
    pub fn last_departure(&self) -> Option<Instant> {
        match &self.engine {
            Engine::Ring(ring) if ring.counts_inside() => self.wire.last_arrival(),
            Engine::Ring(_) => Some(self.last_end()),
            Engine::Staged(_) => None,
        }
    }

    /// Frames and bytes that wait for the serialiser at `now`, the one in transmission not counted, background
    /// traffic (up to the last touch) included. With jitter and a drop-tail queue, frames that are still held
    /// back count from the moment a later frame is ready.
    pub fn queue(&self, now: Instant) -> Count {
        match &self.engine {
            Engine::Ring(ring) => ring.queue(now),
            Engine::Staged(staged) => staged.queue(),
        }
    }

    /// Where every offered frame is.
    pub fn ledger(&self) -> Ledger {
        let mut inside = self.wire.count();
        let mut background_waiting = Count::default();
        if let Engine::Staged(staged) = &self.engine {
            let (packets, foreign) = staged.count();
            inside.packets += packets.packets;
            inside.bytes += packets.bytes;
            background_waiting = foreign;
        }
        Ledger {
            stats: self.stats,
            inside,
            background_waiting,
        }
    }

    /// Asserts conservation: what was offered was delivered, corrupted, lost or dropped, or is inside.
    ///
    /// # Panics
    /// If the books do not balance.
    pub fn check(&self) {
        let ledger = self.ledger();
        assert!(
            ledger.balances(),
            "frames appeared or vanished in a link: {ledger:?}"
        );
    }

    /// The rare laws: loss that changes, copies, damage, other traffic.
    #[inline(never)]
    fn offer_with_extras(&mut self, now: Instant, packet: P, frame_bytes: u32) -> Offer {
        self.catch_up(now);
        let extras = self.extras.as_mut().expect("asked for by `offer`");
        if let Some(losses) = &mut extras.losses {
            let law = losses.course.stretch(now, &mut losses.cursor).value;
            if law != losses.current {
                losses.current = law;
                self.loss.change(law);
            }
        }
        let copied = extras.duplicate.draw();
        if copied {
            self.stats.duplicated.add(frame_bytes);
        }
        let lost = self.loss.lose();
        if lost {
            self.stats.lost_by_law.add(frame_bytes);
        }
        match (lost, copied) {
            (true, false) => Offer::LostByLaw,
            // One was added and one taken away.
            (true, true) | (false, false) => self.admit_perhaps_damaged(now, packet, frame_bytes),
            (false, true) => {
                let offer = self.admit_perhaps_damaged(now, packet, frame_bytes);
                let copy = if self.loss.lose() {
                    self.stats.lost_by_law.add(frame_bytes);
                    Offer::LostByLaw
                } else {
                    self.admit_perhaps_damaged(now, packet, frame_bytes)
                };
                match (offer, copy) {
                    // The copy may be what has to be waited for, where frames overtake each other.
                    (Offer::Accepted { schedule: first }, Offer::Accepted { schedule: second }) => {
                        Offer::Accepted {
                            schedule: second.or(first),
                        }
                    }
                    (Offer::DroppedFull, Offer::Accepted { .. }) => copy,
                    _ => offer,
                }
            }
        }
    }

    fn admit_perhaps_damaged(&mut self, now: Instant, mut packet: P, frame_bytes: u32) -> Offer {
        let damaged = self.extras.as_mut().is_some_and(|extras| extras.corrupt.draw());
        if damaged {
            packet.damage();
        }
        self.admit(now, &packet, frame_bytes, damaged)
    }

    /// Jitter, queue and serialiser for a frame that was not lost.
    #[inline]
    fn admit(&mut self, now: Instant, packet: &P, frame_bytes: u32, damaged: bool) -> Offer {
        let Engine::Ring(ring) = &mut self.engine else {
            return self.admit_to_stages(now, *packet, frame_bytes, damaged);
        };
        if ring.refuses(self.wire.len()) {
            self.stats.dropped_full.add(frame_bytes);
            return Offer::DroppedFull;
        }
        let in_order = matches!(self.wire, Wire::InOrder { .. });
        let ready = if in_order {
            now.saturating_add(self.jitter.draw())
        } else {
            now
        };
        let end = ring.admit(&mut self.service, &mut self.stats, ready, frame_bytes, false);
        let Some(end) = end else {
            self.stats.dropped_full.add(frame_bytes);
            return Offer::DroppedFull;
        };
        if !in_order {
            self.launch(end, packet, frame_bytes, damaged);
            return Offer::Accepted { schedule: self.arm() };
        }
        let first = self.wire.len() == 0;
        let arrival = self.launch(end, packet, frame_bytes, damaged);
        let schedule = (first && arrival < Instant::MAX).then_some(arrival);
        Offer::Accepted { schedule }
    }

    #[inline(never)]
    fn admit_to_stages(&mut self, now: Instant, packet: P, frame_bytes: u32, damaged: bool) -> Offer {
        self.run_stages(now);
        let Engine::Staged(staged) = &mut self.engine else {
            unreachable!("only links with stages come here")
        };
        let ready = match self.wire {
            Wire::InOrder { .. } => now.saturating_add(self.jitter.draw()),
            Wire::Sorted { .. } => now,
        };
        let frame = Queued {
            enqueued: ready,
            frame_bytes,
            flow: packet.flow(),
            class: packet.class(),
            damaged,
            packet: Some(packet),
        };
        if !staged.offer(&self.service, &mut self.stats, now, ready, frame) {
            return Offer::DroppedFull;
        }
        self.run_stages(now);
        Offer::Accepted { schedule: self.arm() }
    }

    /// Lets happen in the stages what is due by `now`.
    fn run_stages(&mut self, now: Instant) {
        loop {
            let Engine::Staged(staged) = &mut self.engine else {
                return;
            };
            let background = self.extras.as_mut().and_then(|extras| extras.background.as_mut());
            match staged.step(&mut self.service, &mut self.stats, background, now) {
                Step::Idle => return,
                Step::Happened => {}
                Step::Sent(sent) => {
                    self.launch(sent.end, &sent.packet, sent.frame.frame_bytes, sent.frame.damaged);
                }
            }
        }
    }

    /// Puts a frame that leaves the serialiser at `end` on its way; returns when it arrives.
    #[inline(always)]
    fn launch(&mut self, end: Instant, packet: &P, frame_bytes: u32, damaged: bool) -> Instant {
        let mut arrival = self.propagation.arrival(end);
        if matches!(self.wire, Wire::Sorted { .. }) {
            arrival = arrival.saturating_add(self.jitter.draw());
        } else if self.propagation.varies() {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        self.wire.push(arrival, packet, frame_bytes, damaged);
        arrival
    }

    /// The next event, if it is earlier than the one that is pending.
    fn arm(&mut self) -> Option<Instant> {
        let arrival = self.wire.next_arrival().unwrap_or(Instant::MAX);
        let next = match &self.engine {
            Engine::Ring(_) => arrival,
            Engine::Staged(staged) => arrival.min(staged.next_event()),
        };
        let earlier = next < self.armed;
        if earlier {
            self.armed = next;
        }
        earlier.then_some(next)
    }
}
