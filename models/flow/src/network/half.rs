//! One side of a connection: what it sends, the payload that this stands for, and what it will be told.

use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::schedule::{Class, EntityId, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_tcp::Config;

use crate::pace::Pace;
use crate::sender::{Conditions, Sender};

/// Something that a side will be told at a known time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// The opener's handshake is over.
    Opened,
    /// The acceptor's handshake is over.
    Accepted,
    /// The handshake has failed.
    Unreachable,
    /// The end of this side's stream reaches the peer.
    FinArrives,
    /// The peer's answer to that is here.
    FinAcked,
    /// The peer has given up.
    Reset,
}

/// One side of an open connection.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) sender: Sender,
    /// The stretch under way. In a group it is the group's.
    pub(super) pace: Option<Pace>,
    /// What the sender was like before it ran ahead of time.
    saved: Option<Box<(Sender, Option<Pace>)>>,
    /// Whether it is one of the flows of its links.
    pub(super) active: bool,
    pub(super) group: Option<u32>,
    pub(super) path: u32,
    /// Conditions when alone.
    pub(super) alone: Conditions,
    /// Handed over by the application, not yet taken by TCP.
    pub(super) outbox: PayloadBuffer,
    /// Taken by TCP, not yet received in order by the peer.
    pub(super) pipe: PayloadBuffer,
    pub(super) taken: u64,
    /// Most bytes in `pipe`.
    pub(super) send_buffer: u64,
    /// Most bytes in `pipe` beyond what is in flight.
    notsent_lowat: u64,
    pub(super) established: bool,
    pub(super) shutdown: bool,
    /// The end of the stream is under way or has arrived.
    pub(super) fin_sent: bool,
    pub(super) fin_acked: bool,
    pub(super) peer_finished: bool,
    /// Whether the application was told that the connection is over.
    pub(super) closed: bool,
    agenda: Vec<(Instant, Item)>,
    timer: Option<(Instant, TimerId)>,
}

impl Half {
    pub(super) fn new(sender: Sender, path: u32, alone: Conditions, config: &Config) -> Half {
        Half {
            sender,
            pace: None,
            saved: None,
            active: false,
            group: None,
            path,
            alone,
            outbox: PayloadBuffer::default(),
            pipe: PayloadBuffer::default(),
            taken: 0,
            send_buffer: config.send_buffer,
            notsent_lowat: config.notsent_lowat,
            established: false,
            shutdown: false,
            fin_sent: false,
            fin_acked: false,
            peer_finished: false,
            closed: false,
            agenda: Vec::new(),
            timer: None,
        }
    }

    pub(super) fn check(&self) {
        let (taken, received) = (self.taken, self.sender.stats.delivered_bytes);
        let pipe = self.pipe.len();
        assert!(
            taken == received + pipe,
            "{taken} bytes taken, {received} received, {pipe} on the way"
        );
    }

    /// Moves what fits from the outbox to TCP; the number of bytes.
    pub(super) fn pump(&mut self) -> u64 {
        let unsent = self.notsent_lowat.saturating_add(self.sender.in_flight_limit());
        let room = self.send_buffer.min(unsent).saturating_sub(self.pipe.len());
        self.take(room)
    }

    fn take(&mut self, mut room: u64) -> u64 {
        let before = self.taken;
        while let Some(piece) = self.outbox.pop(room) {
            room -= piece.len();
            self.taken += piece.len();
            self.pipe.push(piece);
        }
        self.taken - before
    }

    /// The payload up to `upto` has arrived: hands it out. Returns how many bytes TCP took over meanwhile.
    pub(super) fn arrived(&mut self, upto: u64, mut hand_out: impl FnMut(Payload)) -> u64 {
        let mut bytes = upto - self.sender.stats.delivered_bytes;
        self.sender.stats.delivered_bytes = upto;
        let taken = self.take(bytes.saturating_sub(self.pipe.len()));
        while let Some(piece) = self.pipe.pop(bytes) {
            bytes -= piece.len();
            hand_out(piece);
        }
        assert!(bytes == 0, "{bytes} bytes delivered that nobody wrote");
        taken + self.pump()
    }

    pub(super) fn plan(&mut self, at: Instant, item: Item) {
        let place = self.agenda.partition_point(|(planned, _)| *planned <= at);
        self.agenda.insert(place, (at, item));
    }

    /// Takes the next item that is due.
    pub(super) fn due_item(&mut self, now: Instant) -> Option<Item> {
        let due = self.agenda.first().is_some_and(|(at, _)| *at <= now);
        due.then(|| self.agenda.remove(0).1)
    }

    /// Forgets all that this side would have been told and would have sent.
    pub(super) fn forget(&mut self) {
        self.agenda.clear();
        self.sender.deliveries.clear();
        self.pace = None;
        self.saved = None;
    }

    /// Ends all rounds that are over by `now`, begins new ones under the conditions of a flow that is alone.
    fn catch_up(&mut self, now: Instant) {
        while let Some(pace) = self.pace.filter(|pace| pace.due <= now) {
            self.sender.end(pace.due);
            self.begin_alone(pace.due);
        }
    }

    fn begin_alone(&mut self, at: Instant) {
        self.pace = self.sender.begin(at, &self.alone);
        self.set_rate_alone(at);
    }

    fn set_rate_alone(&mut self, at: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.set_rate(at, pace.cap.min(self.alone.share));
        }
    }

    /// This side is alone from `now` on.
    pub(super) fn change_conditions(&mut self, now: Instant) {
        self.set_rate_alone(now);
    }

    /// Computes rounds until the application hears of something, or nothing is left to send.
    pub(super) fn run_ahead(&mut self, now: Instant) {
        self.catch_up(now);
        if self.pace.is_none() {
            self.begin_alone(now);
        }
        if !self.sender.deliveries.is_empty() || self.pace.is_none() {
            self.saved = None;
            return;
        }
        self.saved = Some(Box::new((self.sender.clone(), self.pace)));
        while let Some(pace) = self.pace.filter(|_| self.sender.deliveries.is_empty()) {
            self.sender.end(pace.due);
            self.begin_alone(pace.due);
        }
    }

    /// Undoes what was computed ahead of `now`.
    pub(super) fn roll_back(&mut self, now: Instant) {
        if let Some(saved) = self.saved.take() {
            let delivered = self.sender.stats.delivered_bytes;
            (self.sender, self.pace) = *saved;
            self.sender.resume_after(delivered);
        }
        self.catch_up(now);
    }

    /// `bytes` more to send while this side is alone. Returns whether rounds have to be computed.
    pub(super) fn write_alone(&mut self, now: Instant, bytes: u64) -> bool {
        if self.sender.has_unsent() && self.active {
            self.sender.write(bytes);
            if let Some(saved) = &mut self.saved {
                saved.0.write(bytes);
            }
            return false;
        }
        self.roll_back(now);
        self.sender.write(bytes);
        if let Some(more) = self.sender.join(now)
            && let Some(pace) = &mut self.pace
        {
            pace.extend(now, more);
            self.set_rate_alone(now);
        }
        true
    }

    /// The rate now, for a side that is alone.
    pub(super) fn private_rate(&self, now: Instant) -> f64 {
        let saved = self.saved.as_ref().and_then(|saved| saved.1);
        let pace = saved.or(self.pace);
        pace.filter(|pace| pace.due > now && self.active)
            .map_or(0.0, |pace| pace.rate)
    }

    /// Sees to it that an event is pending for what comes next, and at its time.
    pub(super) fn arm<S: Schedule>(&mut self, schedule: &mut S, entity: EntityId) {
        let item = self.agenda.first().map(|(at, _)| *at);
        let delivery = self.sender.deliveries.front().map(|delivery| delivery.at);
        let failure = self.sender.failed;
        let next = item.into_iter().chain(delivery).chain(failure).min();
        if next == self.timer.map(|(at, _)| at) {
            return;
        }
        self.disarm(schedule);
        if let Some(at) = next.filter(|at| *at != Instant::MAX) {
            let at = at.max(schedule.now());
            let timer = schedule.schedule_timer(at, Class::Timer, entity, entity, 0);
            self.timer = Some((at, timer));
        }
    }

    /// Takes the pending event back, if there is one.
    pub(super) fn disarm<S: Schedule>(&mut self, schedule: &mut S) {
        if let Some((_, timer)) = self.timer.take() {
            schedule.cancel(timer);
        }
    }

    /// The pending event has fired.
    pub(super) fn fired(&mut self) {
        self.timer = None;
    }
}
