//! One side of a connection: TCP, the payload that its numbers stand for, and its one timer event.

use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::schedule::{Class, EntityId, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_tcp::Connection;

use crate::routing::RegionId;
use crate::way::Way;

/// One side of an open connection.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) tcp: Connection,
    pub(crate) outgoing: Outgoing,
    /// Where it is, and its packets start.
    pub(crate) here: RegionId,
    /// Where they go, and how.
    pub(crate) way: Way,
    /// Whether nothing has arrived by that way since it was put on it.
    pub(crate) steered: bool,
    /// Whether a full queue on the first link is the device's own, so that TCP hears of the drop.
    pub(crate) own_device: bool,
    /// Traffic class of its packets.
    pub(crate) class: u8,
    /// Whether the application was told that the connection is over.
    pub(crate) closed: bool,
    armed: Option<Armed>,
}

/// Payload on its way from the application to the peer's application.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    /// Handed over by the application, not yet taken by TCP.
    pub(crate) outbox: PayloadBuffer,
    /// Taken by TCP, not yet received in order by the peer.
    pub(crate) pipe: PayloadBuffer,
    /// Bytes that TCP has taken so far.
    pub(crate) taken: u64,
    pub(crate) shutdown: Shutdown,
}

/// How far the end of a stream has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Shutdown {
    /// The application may write more.
    #[default]
    Open,
    /// The application has finished; TCP hears of it when the outbox is empty.
    Wanted,
    /// TCP knows.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    at: Instant,
    timer: TimerId,
}

impl Endpoint {
    pub(crate) fn new(tcp: Connection, here: RegionId, way: Way, own_device: bool, class: u8) -> Endpoint {
        Endpoint {
            tcp,
            outgoing: Outgoing::default(),
            here,
            way,
            steered: false,
            own_device,
            class,
            closed: false,
            armed: None,
        }
    }

    /// Moves what fits from the outbox to TCP, and the end of the stream once the outbox is empty. Returns the
    /// number of bytes moved.
    pub(crate) fn pump(&mut self, now: Instant) -> u64 {
        let outgoing = &mut self.outgoing;
        let mut moved = 0;
        if !outgoing.outbox.is_empty() {
            moved = self.tcp.write(now, outgoing.outbox.len());
            outgoing.taken += moved;
            let mut rest = moved;
            while let Some(piece) = outgoing.outbox.pop(rest) {
                rest -= piece.len();
                outgoing.pipe.push(piece);
            }
            assert!(rest == 0, "TCP took {rest} bytes more than it was offered");
        }
        if outgoing.shutdown == Shutdown::Wanted && outgoing.outbox.is_empty() {
            outgoing.shutdown = Shutdown::Done;
            self.tcp.shutdown(now);
        }
        moved
    }

    /// Takes the next piece of at most `limit` bytes that the peer has received in order.
    pub(crate) fn arrived(&mut self, limit: u64) -> Option<Payload> {
        self.outgoing.pipe.pop(limit)
    }

    /// Sees to it that an event is pending no later than TCP's deadline. Deadlines move back with almost every
    /// ACK, so an event that has become early is left alone: it will fire, find nothing due and come back here.
    #[inline]
    pub(crate) fn arm<S: Schedule>(&mut self, schedule: &mut S, entity: EntityId) {
        let Some(deadline) = self.tcp.deadline() else {
            return;
        };
        if self.armed.is_some_and(|armed| armed.at <= deadline) || deadline == Instant::MAX {
            return;
        }
        self.disarm(schedule);
        let at = deadline.max(schedule.now());
        let timer = schedule.schedule_timer(at, Class::Timer, entity, entity, 0);
        self.armed = Some(Armed { at, timer });
    }

    /// Takes the pending event back, if there is one.
    pub(crate) fn disarm<S: Schedule>(&mut self, schedule: &mut S) {
        if let Some(armed) = self.armed.take() {
            schedule.cancel(armed.timer);
        }
    }

    /// The pending event has fired. Returns whether TCP had something due.
    pub(crate) fn fire(&mut self, now: Instant) -> bool {
        self.armed = None;
        let due = self.tcp.deadline().is_some_and(|deadline| deadline <= now);
        if due {
            self.tcp.on_timer(now);
        }
        due
    }
}
