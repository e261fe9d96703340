//! What was sent and not yet acknowledged, packet by packet.
//!
//! The packets stand in a ring in the order of their sequence numbers and keep a permanent number each, so that
//! the queues of lost and of retransmitted packets can name them. Every packet changes its state a bounded number
//! of times per transmission, and no ACK walks over packets whose state it does not change: the cost of an ACK
//! does not grow with the window, nor with the number of holes (beyond a binary search among them).
//!
//! The counters are those of Linux: `in flight = outstanding - sacked - lost + retransmitted`.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

use super::packet::{Delivery, Entry, Mark, Packet};
use super::rack::Rack;
use super::rate::RateSampler;
use crate::ranges::RangeSet;
use crate::segment::SackBlock;

/// The packets between the cumulative acknowledgement and the next new byte.
#[derive(Clone, Debug)]
pub(super) struct Scoreboard {
    mss: u64,
    packets: VecDeque<Entry>,
    /// Permanent number of the first packet.
    first: u64,
    /// End of the last packet.
    end: u64,
    /// Number of the last transmission.
    order: u64,
    held: RangeSet,
    /// Numbers of packets that are lost and not yet sent again, ascending. May hold packets delivered since.
    lost: VecDeque<u64>,
    sacked_out: u32,
    lost_out: u32,
    retransmitted_out: u32,
    /// Packets ever taken for lost, retransmissions lost again included.
    losses: u64,
    /// For controllers that look at the delivery rate.
    rates: Option<Box<RateSampler>>,
    /// Until when the sender's own queue holds each packet, in the past if it does not: once that has told.
    departures: Option<VecDeque<Instant>>,
}

impl Scoreboard {
    /// `rates` says whether to measure the delivery rate.
    pub(super) fn new(mss: u32, rates: bool) -> Scoreboard {
        Scoreboard {
            mss: u64::from(mss),
            packets: VecDeque::new(),
            first: 0,
            end: 0,
            order: 0,
            held: RangeSet::default(),
            lost: VecDeque::new(),
            sacked_out: 0,
            lost_out: 0,
            retransmitted_out: 0,
            losses: 0,
            rates: rates.then(|| Box::new(RateSampler::new())),
            departures: None,
        }
    }

    /// Packets sent and not acknowledged in order.
    #[inline]
    pub(super) fn outstanding(&self) -> u32 {
        u32::try_from(self.packets.len()).expect("a window of fewer than 2^32 packets")
    }

    /// Packets that the network is believed to hold.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.outstanding() - self.sacked_out - self.lost_out + self.retransmitted_out
    }

    pub(super) fn sacked_out(&self) -> u32 {
        self.sacked_out
    }

    pub(super) fn lost_out(&self) -> u32 {
        self.lost_out
    }

    pub(super) fn retransmitted_out(&self) -> u32 {
        self.retransmitted_out
    }

    /// Number of the last transmission.
    pub(super) fn last_order(&self) -> u64 {
        self.order
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// Where the delivery rate is measured, if it is.
    pub(super) fn rates(&self) -> Option<&RateSampler> {
        self.rates.as_deref()
    }

    pub(super) fn rates_mut(&mut self) -> Option<&mut RateSampler> {
        self.rates.as_deref_mut()
    }

    /// The end of the highest range known to be held by the peer; zero if none is.
    pub(super) fn highest_sacked(&self) -> u64 {
        self.held.highest()
    }

    /// The packet with this number, unless it is acknowledged.
    #[inline]
    pub(super) fn packet(&self, number: u64) -> Option<Packet> {
        let place = number.checked_sub(self.first)?;
        let entry = self.packets.get(usize::try_from(place).ok()?)?;
        Some(entry.packet(self.order))
    }

    /// The oldest packet.
    #[inline]
    pub(super) fn oldest(&self) -> Option<Packet> {
        Some(self.packets.front()?.packet(self.order))
    }

    /// The number of the oldest packet, and of the one after the newest.
    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.packets.len() as u64
    }

    /// Where the packet with this number ends.
    pub(super) fn end_of(&self, number: u64) -> u64 {
        self.packet(number + 1).map_or(self.end, |next| next.seq)
    }

    /// Appends a packet that was just sent; `end` counts a FIN.
    pub(super) fn push(&mut self, seq: u64, end: u64, now: Instant, burst_start: bool, fin: bool) {
        assert!(
            seq < end && (self.packets.is_empty() || seq == self.end),
            "packets leave in order"
        );
        let mut mark = Mark::default();
        if burst_start {
            mark.set(Mark::BURST_START);
            self.order += 1;
        }
        if fin {
            mark.set(Mark::FIN);
        }
        if let Some(rates) = &mut self.rates {
            rates.on_sent(now);
        }
        if let Some(departures) = &mut self.departures {
            departures.push_back(now);
        }
        let packet = Packet {
            seq,
            sent_at: now,
            order: self.order,
            mark,
        };
        push_tightly(&mut self.packets, Entry::new(packet));
        self.end = end;
    }

    /// Takes back the newest packets, which never left; returns the first byte that is unsent again.
    pub(super) fn take_back(&mut self, packets: u32) -> u64 {
        for _ in 0..packets {
            let packet = self
                .packets
                .pop_back()
                .expect("only what was just pushed is taken back");
            self.end = packet.seq;
            if let Some(rates) = &mut self.rates {
                rates.on_taken_back();
            }
            if let Some(departures) = &mut self.departures {
                departures.pop_back();
            }
        }
        self.end
    }

    /// Everything below `una` is acknowledged.
    pub(super) fn acknowledge(
        &mut self,
        una: u64,
        now: Instant,
        min_rtt: Span,
        rack: &mut Rack,
        delivery: &mut Delivery,
    ) {
        let highest_held = self.held.highest();
        let mut oldest = self.packets.front().copied();
        while let Some(entry) = oldest {
            oldest = self.packets.get(1).copied();
            let end = oldest.map_or(self.end, |next| next.seq);
            if end > una {
                break;
            }
            let packet = entry.packet(self.order);
            self.packets.pop_front();
            self.first += 1;
            delivery.acked += 1;
            delivery.acked_bytes += end - packet.seq;
            let mark = packet.mark;
            if mark.has(Mark::AMBIGUOUS) {
                delivery.ambiguous = true;
                if mark.has(Mark::RETRANSMITTED) {
                    self.retransmitted_out -= 1;
                }
            } else if !mark.has(Mark::SACKED) {
                Delivery::note(&mut delivery.acked_sent_at, packet.sent_at);
                delivery.note_original(end);
                if packet.seq < highest_held {
                    delivery.note_reordered(packet.seq);
                }
            }
            if mark.has(Mark::LOST) {
                self.lost_out -= 1;
            }
            if mark.has(Mark::SACKED) {
                self.sacked_out -= 1;
            } else {
                delivery.packets += 1;
                rack.on_delivered(now, &packet, end, min_rtt);
                if let Some(rates) = &mut self.rates {
                    rates.on_delivered(0, &packet, end);
                }
            }
            if let Some(rates) = &mut self.rates {
                rates.on_acknowledged();
            }
            if let Some(departures) = &mut self.departures {
                departures.pop_front();
            }
        }
        self.held.remove_below(una);
    }

    /// The peer holds `block`, which lies above the cumulative acknowledgement and below the next new byte.
    pub(super) fn sack(
        &mut self,
        block: SackBlock,
        now: Instant,
        min_rtt: Span,
        rack: &mut Rack,
        delivery: &mut Delivery,
    ) {
        let mut held = std::mem::take(&mut self.held);
        let highest_held = held.highest();
        held.insert(block, |new| {
            // Only whole packets count: a peer that cuts them may confirm the rest later.
            let mut number = self.number_of(new.start);
            while let Some(packet) = self.packet(number).filter(|packet| packet.seq < new.end) {
                let end = self.end_of(number);
                if packet.seq >= block.start && end <= block.end && !packet.mark.has(Mark::SACKED) {
                    self.mark_sacked(number, packet.seq < highest_held, delivery);
                    if !packet.mark.has(Mark::AMBIGUOUS) {
                        delivery.note_original(end);
                    }
                    rack.on_delivered(now, &packet, end, min_rtt);
                    let place = (number - self.first) as usize;
                    if let Some(rates) = &mut self.rates {
                        rates.on_delivered(place, &packet, end);
                    }
                }
                number += 1;
            }
        });
        self.held = held;
    }

    fn mark_sacked(&mut self, number: u64, below_held: bool, delivery: &mut Delivery) {
        let packet = &mut self.packets[(number - self.first) as usize];
        let mark = packet.mark;
        if mark.has(Mark::RETRANSMITTED) && mark.has(Mark::LOST) {
            self.retransmitted_out -= 1;
            packet.mark.clear(Mark::RETRANSMITTED);
        }
        if mark.has(Mark::LOST) {
            self.lost_out -= 1;
            packet.mark.clear(Mark::LOST);
        }
        packet.mark.set(Mark::SACKED);
        if !mark.has(Mark::AMBIGUOUS) {
            Delivery::note(&mut delivery.sacked_sent_at, packet.sent_at);
            if below_held {
                delivery.note_reordered(packet.seq);
            }
        }
        self.sacked_out += 1;
        delivery.packets += 1;
        delivery.sacked += 1;
    }

    /// The number of the packet that contains `seq`, or of the first one.
    fn number_of(&self, seq: u64) -> u64 {
        let Some(front) = self.packets.front() else {
            return self.first;
        };
        // Almost all packets are full, so division finds the place.
        let guess = (seq.saturating_sub(front.seq) / self.mss) as usize;
        let starts_by = |at: usize| self.packets.get(at).is_some_and(|packet| packet.seq <= seq);
        let position = if starts_by(guess) && !starts_by(guess + 1) {
            guess
        } else {
            self.packets
                .partition_point(|packet| packet.seq <= seq)
                .saturating_sub(1)
        };
        self.first + position as u64
    }

    /// Takes the packet with this number for lost, unless the peer holds it; a lost one only if its
    /// retransmission was in flight. Returns whether anything changed.
    pub(super) fn mark_lost(&mut self, number: u64) -> bool {
        let packet = &mut self.packets[(number - self.first) as usize];
        let mark = packet.mark;
        if mark.has(Mark::SACKED) || (mark.has(Mark::LOST) && !mark.has(Mark::RETRANSMITTED)) {
            return false;
        }
        if mark.has(Mark::LOST) {
            packet.mark.clear(Mark::RETRANSMITTED);
            self.retransmitted_out -= 1;
        } else {
            packet.mark.set(Mark::LOST);
            self.lost_out += 1;
        }
        self.losses += 1;
        if self.lost.back().is_none_or(|&last| last < number) {
            self.lost.push_back(number);
        } else if let Err(place) = self.lost.binary_search(&number) {
            self.lost.insert(place, number);
        }
        true
    }

    /// Nothing is taken for lost any more; what was sent again stays so.
    pub(super) fn unmark_lost(&mut self) {
        for packet in &mut self.packets {
            packet.mark.clear(Mark::LOST);
        }
        self.lost.clear();
        self.lost_out = 0;
    }

    /// The lowest packet that is lost and not yet sent again.
    pub(super) fn next_lost(&mut self) -> Option<u64> {
        while let Some(&number) = self.lost.front() {
            let waits = |packet: Packet| packet.mark.has(Mark::LOST) && !packet.mark.has(Mark::RETRANSMITTED);
            if self.packet(number).is_some_and(waits) {
                return Some(number);
            }
            self.lost.pop_front();
        }
        None
    }

    /// How many packets from this number on are lost, wait to be sent again, and belong to one burst; at most
    /// `limit`.
    pub(super) fn lost_run(&self, number: u64, limit: u32) -> u32 {
        let same_burst = |packet: Packet| {
            let mark = packet.mark;
            mark.has(Mark::LOST) && !mark.has(Mark::RETRANSMITTED) && !mark.has(Mark::BURST_START)
        };
        let mut count = 1;
        while count < limit && self.packet(number + u64::from(count)).is_some_and(same_burst) {
            count += 1;
        }
        count
    }

    /// Packets `number..number + count` were sent again, as one burst. Returns the number of the transmission.
    pub(super) fn mark_retransmitted(&mut self, number: u64, count: u32, now: Instant) -> u64 {
        self.order += 1;
        let start = (number - self.first) as usize;
        for packet in self.packets.range_mut(start..start + count as usize) {
            if !packet.mark.has(Mark::RETRANSMITTED) {
                self.retransmitted_out += 1;
            }
            packet.mark.set(Mark::RETRANSMITTED);
            packet.mark.set(Mark::AMBIGUOUS);
            packet.resend(now, self.order);
        }
        if let Some(rates) = &mut self.rates {
            rates.on_resent(start..start + count as usize);
        }
        // What the limit cut off is a burst of its own from now on.
        if let Some(next) = self.packets.get_mut(start + count as usize) {
            next.mark.set(Mark::BURST_START);
        }
        self.order
    }

    /// Packets `number..number + count` were to be sent again but never left.
    pub(super) fn retransmission_failed(&mut self, number: u64, count: u32) {
        let start = (number - self.first) as usize;
        for packet in self.packets.range_mut(start..start + count as usize) {
            packet.mark.clear(Mark::RETRANSMITTED);
            self.retransmitted_out -= 1;
        }
        for number in (number..number + u64::from(count)).rev() {
            if self.lost.front().is_none_or(|&first| number < first) {
                self.lost.push_front(number);
            }
        }
    }

    /// The sender's own queue holds packets `number..number + count` until `until`.
    pub(super) fn mark_queued(&mut self, number: u64, count: u32, until: Instant) {
        let start = (number - self.first) as usize;
        let departures = self.departures.get_or_insert_with(|| {
            let untold = self.packets.iter().map(|packet| packet.sent_at);
            untold.collect()
        });
        for departure in departures.range_mut(start..start + count as usize) {
            *departure = until;
        }
    }

    /// Whether the sender's own queue still holds the packet with this number, as far as it has told.
    pub(super) fn is_queued(&self, number: u64, now: Instant) -> bool {
        let place = number.checked_sub(self.first).map(|place| place as usize);
        let departure = place.and_then(|place| self.departures.as_ref()?.get(place));
        departure.is_some_and(|&departure| departure > now)
    }

    /// A copy of the newest packet was sent as a probe: it may deliver twice and is not counted as in flight.
    /// Returns the number of the transmission.
    pub(super) fn mark_probed(&mut self, now: Instant) -> u64 {
        self.order += 1;
        if let Some(last) = self.packets.back_mut() {
            last.mark.set(Mark::AMBIGUOUS);
            last.resend(now, self.order);
        }
        if let Some(rates) = &mut self.rates {
            let places = self.packets.len().saturating_sub(1)..self.packets.len();
            rates.on_resent(places);
        }
        self.order
    }
}

/// Appends, and if there is no room makes an eighth more and not twice as much: windows are large, and the rest
/// would lie idle.
#[inline]
fn push_tightly(packets: &mut VecDeque<Entry>, entry: Entry) {
    if packets.len() == packets.capacity() {
        packets.reserve_exact(packets.len() / 8 + 16);
    }
    packets.push_back(entry);
}
