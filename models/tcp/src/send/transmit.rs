//! The next segment to leave: `tcp_xmit_retransmit_queue`, then `tcp_write_xmit`.

use longhaul_core::time::Instant;

use super::burst::{self, Deferral, MAX_BURST_BYTES, Wait};
use super::packet::Mark;
use super::recovery::Phase;
use super::{Probe, Sender, Turn};

/// A segment that the sender wants on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outgoing {
    /// First byte.
    pub(crate) seq: u64,
    /// Payload in bytes.
    pub(crate) len: u32,
    /// Packets.
    pub(crate) packets: u32,
    /// Whether it carries the FIN.
    pub(crate) fin: bool,
    pub(super) kind: Kind,
}

impl Outgoing {
    /// Whether nothing of it was sent before.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.kind, Kind::New | Kind::One)
    }

    /// Whether it carries nothing, and the peer will not look at what it acknowledges.
    pub(crate) fn is_window_probe(&self) -> bool {
        self.kind == Kind::Window
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    New,
    /// One packet of new data on timeout, or to provoke an ACK.
    One,
    /// Packets from this number on, because they are lost.
    Lost(u64),
    /// The oldest packet, on timeout.
    Oldest(u64),
    /// The newest packet, to provoke an ACK.
    Probe,
    /// Nothing: the last byte that was acknowledged, to hear of the window.
    Window,
}

/// Whether new data may leave, and how much.
enum Permit {
    /// So many packets.
    Packets(u32),
    /// None, because the congestion window is full or a fuller burst is worth waiting for.
    WindowLimited,
    /// None, for another reason.
    No,
}

impl Sender {
    /// The next segment, if one may leave now. Draw until there is none.
    #[inline]
    pub(crate) fn poll(&mut self, now: Instant) -> Option<&Outgoing> {
        self.last = match self.turn {
            Turn::Idle => None,
            Turn::New => self.send_new(now),
            _ => self.poll_rare_turn(now),
        };
        self.last.as_ref()
    }

    /// The next segment in a turn that is about more than new data.
    fn poll_rare_turn(&mut self, now: Instant) -> Option<Outgoing> {
        match self.turn {
            Turn::Idle => None,
            Turn::Oldest => {
                self.turn = Turn::Idle;
                self.resend_oldest(now)
            }
            Turn::Probe => {
                self.turn = Turn::Idle;
                self.send_probe(now)
            }
            Turn::One => {
                self.turn = Turn::Idle;
                self.send_one(now)
            }
            Turn::Window => {
                self.turn = Turn::Idle;
                Some(self.send_into_window(now))
            }
            Turn::Lost => self.resend_lost(now).or_else(|| {
                self.turn = Turn::New;
                self.send_new(now)
            }),
            Turn::NewFirst => self.send_new(now).or_else(|| {
                if self.nxt > self.reduction.high {
                    return None;
                }
                self.undo.end_doubt();
                self.turn = Turn::Lost;
                self.resend_lost(now)
            }),
            Turn::New => self.send_new(now),
        }
    }

    /// The segment that was polled last carried nothing of the sender's.
    pub(crate) fn forget_polled(&mut self) {
        self.last = None;
    }

    /// The next lost packets that the window admits.
    fn resend_lost(&mut self, now: Instant) -> Option<Outgoing> {
        let room = self
            .window
            .cwnd
            .checked_sub(self.in_flight())
            .filter(|&room| room > 0)?;
        let number = self.board.next_lost()?;
        if self.is_queued(number, now) {
            self.note_vain_resend(number);
            return None;
        }
        if !self.is_due(now) {
            return None;
        }
        let limit = if self.offload {
            room.min(self.burst_limit())
        } else {
            1
        };
        let count = self.board.lost_run(number, limit);
        let outgoing = self.resend(now, number, count, Kind::Lost(number));
        if self.is_reducing() {
            self.reduction.sent += count;
        }
        let is_oldest = number == self.board.numbers().start;
        if is_oldest && !self.waits_for_reordering() {
            self.set_full_timeout(now);
        }
        Some(outgoing)
    }

    fn resend_oldest(&mut self, now: Instant) -> Option<Outgoing> {
        let number = self.board.numbers().start;
        self.board.packet(number)?;
        if self.is_queued(number, now) {
            self.note_vain_resend(number);
            return None;
        }
        Some(self.resend(now, number, 1, Kind::Oldest(number)))
    }

    fn resend(&mut self, now: Instant, number: u64, count: u32, kind: Kind) -> Outgoing {
        let outgoing = self.describe(number, count, kind);
        let order = self.board.mark_retransmitted(number, count, now);
        self.rack.on_retransmitted(number, count, order);
        self.undo.on_resent(now, count);
        self.counts.retransmits += u64::from(count);
        self.pace_after(now, count, u64::from(outgoing.len));
        outgoing
    }

    /// A packet would be sent again if its last copy had left the host; Linux counts it all the same.
    fn note_vain_resend(&mut self, number: u64) {
        if let Some(packet) = self.board.packet(number) {
            self.undo.on_resent(packet.sent_at, 1);
        }
    }

    /// The segment that carries packets `number..number + count` again.
    fn describe(&self, number: u64, count: u32, kind: Kind) -> Outgoing {
        let last = number + u64::from(count) - 1;
        let packet = |number| {
            self.board
                .packet(number)
                .expect("only outstanding packets are sent again")
        };
        let seq = packet(number).seq;
        let fin = packet(last).mark.has(Mark::FIN);
        let len = self.board.end_of(last) - seq - u64::from(fin);
        let len = u32::try_from(len).expect("a burst is smaller than 4 GiB");
        Outgoing {
            seq,
            len,
            packets: count,
            fin,
            kind,
        }
    }

    /// One packet of new data if there is any, else the newest packet again (`tcp_send_loss_probe`).
    fn send_probe(&mut self, now: Instant) -> Option<Outgoing> {
        if self.board.outstanding() == 0 {
            return None;
        }
        let outgoing = if let Some(outgoing) = self.send_one(now) {
            outgoing
        } else {
            let newest = self.board.numbers().end - 1;
            if self.is_queued(newest, now) {
                self.wait_for_timeout(now);
                return None;
            }
            let outgoing = self.describe(newest, 1, Kind::Probe);
            let order = self.board.mark_probed(now);
            self.rack.on_retransmitted(newest, 1, order);
            self.counts.retransmits += 1;
            self.pace_after(now, 1, u64::from(outgoing.len));
            outgoing
        };
        self.counts.loss_probes += 1;
        self.probe = Some(Probe {
            high: self.nxt,
            repeated: outgoing.kind == Kind::Probe,
        });
        self.set_full_timeout(now);
        Some(outgoing)
    }

    /// One packet of new data, if there is any and the peer's window admits it.
    fn send_one(&mut self, now: Instant) -> Option<Outgoing> {
        let end = self.end_of_stream().min(self.nxt + u64::from(self.mss));
        if self.nxt == end || end > self.window_end {
            return None;
        }
        let outgoing = Outgoing {
            kind: Kind::One,
            ..self.send_range(now, end)
        };
        // It is not part of a turn, so no probe is scheduled.
        self.note_sent();
        Some(outgoing)
    }

    /// Whether there is new data that the peer's window admits.
    pub(super) fn has_new_data(&self) -> bool {
        self.nxt < self.end_of_stream().min(self.window_end)
    }

    /// End of what the application wants sent; a FIN counts one.
    pub(super) fn end_of_stream(&self) -> u64 {
        self.written + u64::from(self.finishing)
    }

    fn send_new(&mut self, now: Instant) -> Option<Outgoing> {
        match self.permit(now) {
            Permit::Packets(packets) => {
                let end = self.nxt + u64::from(packets) * u64::from(self.mss);
                // The FIN rides on the last byte, also where that fills a packet.
                let last = if end >= self.written {
                    self.end_of_stream()
                } else {
                    end
                };
                Some(self.send_range(now, last.min(self.window_end)))
            }
            Permit::WindowLimited => {
                self.end_turn(now, true);
                None
            }
            Permit::No => {
                self.end_turn(now, false);
                None
            }
        }
    }

    fn permit(&mut self, now: Instant) -> Permit {
        let mss = u64::from(self.mss);
        let end = self.end_of_stream();
        if self.nxt >= end {
            return Permit::No;
        }
        // The window does not hold back a last packet with a FIN.
        let last_packet = self.finishing && self.written - self.nxt.min(self.written) <= mss;
        let room = self.window.cwnd.saturating_sub(self.in_flight());
        if room == 0 && !last_packet {
            return Permit::WindowLimited;
        }
        if end.min(self.nxt + mss) > self.window_end {
            return Permit::No;
        }
        if !self.is_due(now) {
            return Permit::No;
        }
        if self.offload {
            self.permit_burst(now, room)
        } else {
            Permit::Packets(1)
        }
    }

    /// How many packets may leave together when `room` fit into the congestion window.
    fn permit_burst(&self, now: Instant, room: u32) -> Permit {
        let mss = u64::from(self.mss);
        let waiting = self.waiting();
        if waiting <= mss {
            return Permit::Packets(1);
        }
        let limit = self.burst_limit();
        let deferral = Deferral {
            now,
            last_sent: self.last_sent,
            oldest_sent: self.board.oldest().map(|packet| packet.sent_at),
            srtt: self.srtt(),
            congestion_room: u64::from(room) * mss,
            offered_room: self.window_end - self.nxt,
            window: (self.window_end - self.una).min(u64::from(self.window.cwnd) * mss),
            full: u64::from(limit) * mss,
            waiting,
            open_ended: self.nxt + waiting == self.written && !self.finishing,
        };
        // In recovery packets leave as PRR doses them.
        let wait = if self.phase >= Phase::Recovery {
            None
        } else {
            deferral.decide()
        };
        match wait {
            Some(Wait::Congestion) => return Permit::WindowLimited,
            Some(Wait::Other) => return Permit::No,
            None => {}
        }
        // At most half a window at once, so that two bursts are in flight.
        let quota = room.min((self.window.cwnd / 2).max(1)).min(limit);
        let offered = (self.window_end - self.nxt) / mss;
        let packets = u64::from(quota).min(waiting.div_ceil(mss)).min(offered.max(1));
        Permit::Packets(packets as u32)
    }

    /// Bytes in the piece of the send queue that the next burst comes from. The application's bytes wait in
    /// pieces of the largest burst, and no burst spans two of them.
    fn waiting(&self) -> u64 {
        let mss = u64::from(self.mss);
        let piece = (MAX_BURST_BYTES / mss).max(1) * mss;
        let end_of_piece = (self.nxt / piece + 1) * piece;
        end_of_piece.min(self.written) - self.nxt.min(self.written)
    }

    fn burst_limit(&self) -> u32 {
        let (rate, least) = self.burst_rate();
        burst::limit(self.mss, rate, self.rtt.min_rtt(), least)
    }

    /// Sends everything from the next number up to `end`, which counts a FIN.
    pub(super) fn send_range(&mut self, now: Instant, end: u64) -> Outgoing {
        let mss = u64::from(self.mss);
        let was_empty = self.board.outstanding() == 0;
        if self.in_flight() == 0 {
            self.congestion.on_transmit_start(now, self.last_sent);
            self.tell_control_of_start(now);
        }
        let seq = self.nxt;
        let fin = end > self.written;
        let payload_end = end.min(self.written);
        let mut packets = 0;
        while self.nxt < end {
            let payload = payload_end.min(self.nxt + mss);
            let packet_end = if payload == payload_end { end } else { payload };
            self.board
                .push(self.nxt, packet_end, now, packets == 0, packet_end > self.written);
            self.nxt = packet_end;
            packets += 1;
        }
        self.turn_packets += packets;
        self.last_sent = now;
        self.pace_after(now, packets, payload_end - seq);
        self.on_data_sent(now, was_empty);
        Outgoing {
            seq,
            len: (payload_end - seq) as u32,
            packets,
            fin,
            kind: Kind::New,
        }
    }

    /// Nothing more may leave in this turn.
    pub(super) fn end_turn(&mut self, now: Instant, waits_for_window: bool) {
        self.turn = Turn::Idle;
        let limited = waits_for_window || self.in_flight() >= self.window.cwnd;
        if self.turn_packets > 0 || limited {
            self.note_usage(now, limited);
        }
        if self.turn_packets > 0 {
            self.note_sent();
            self.schedule_probe_after_data(now);
        }
        if self.is_shut_out() {
            self.persist(now);
        }
    }

    /// Counts the turn's packets towards a reduction that is under way.
    pub(super) fn note_sent(&mut self) {
        if self.is_reducing() {
            self.reduction.sent += self.turn_packets;
        }
        self.turn_packets = 0;
    }
}
