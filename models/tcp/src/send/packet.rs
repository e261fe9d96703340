//! One packet on the scoreboard, and what an ACK says of packets.

use longhaul_core::time::Instant;

/// State bits of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark(u8);

impl Mark {
    /// The peer holds it.
    pub(super) const SACKED: Mark = Mark(1);
    /// Taken for lost.
    pub(super) const LOST: Mark = Mark(2);
    /// A retransmission is in flight.
    pub(super) const RETRANSMITTED: Mark = Mark(4);
    /// It was sent more than once, so an ACK does not say which copy arrived.
    pub(super) const AMBIGUOUS: Mark = Mark(8);
    /// A burst begins here; retransmissions keep to the bursts of the first transmission.
    pub(super) const BURST_START: Mark = Mark(16);
    /// Carries the FIN.
    pub(super) const FIN: Mark = Mark(32);

    pub(super) fn has(self, mark: Mark) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) fn set(&mut self, mark: Mark) {
        self.0 |= mark.0;
    }

    pub(super) fn clear(&mut self, mark: Mark) {
        self.0 &= !mark.0;
    }
}

/// One packet. It ends where the next one begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) seq: u64,
    /// Last transmission.
    pub(super) sent_at: Instant,
    /// Number of that transmission: tells what was sent first at one instant. The packets of a burst share it.
    pub(super) order: u64,
    pub(super) mark: Mark,
}

/// A packet as the scoreboard keeps it: what a large window consists of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) sent_at: Instant,
    /// The lower half of the transmission's number. No packet stays while 2^32 others are sent.
    order: u32,
    pub(super) mark: Mark,
}

impl Entry {
    #[inline]
    pub(super) fn new(packet: Packet) -> Entry {
        Entry {
            seq: packet.seq,
            sent_at: packet.sent_at,
            order: packet.order as u32,
            mark: packet.mark,
        }
    }

    /// The packet; `last` is the number of the last transmission of all.
    #[inline]
    pub(super) fn packet(&self, last: u64) -> Packet {
        let age = (last as u32).wrapping_sub(self.order);
        Packet {
            seq: self.seq,
            sent_at: self.sent_at,
            order: last - u64::from(age),
            mark: self.mark,
        }
    }

    /// It was sent again.
    #[inline]
    pub(super) fn resend(&mut self, now: Instant, order: u64) {
        self.sent_at = now;
        self.order = order as u32;
    }
}

/// What one ACK delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivery {
    /// Packets that had not been delivered before.
    pub(super) packets: u32,
    /// Of these, by SACK.
    pub(super) sacked: u32,
    /// Packets below the new cumulative acknowledgement, delivered before or not.
    pub(super) acked: u32,
    /// Bytes newly acknowledged in order, a FIN included.
    pub(super) acked_bytes: u64,
    /// First and last transmission times among packets acknowledged in order and never retransmitted.
    pub(super) acked_sent_at: Option<(Instant, Instant)>,
    /// The same for packets newly held by SACK.
    pub(super) sacked_sent_at: Option<(Instant, Instant)>,
    /// Whether a packet acknowledged in order had been retransmitted.
    pub(super) ambiguous: bool,
    /// Lowest end of a packet never retransmitted.
    pub(super) original_end: Option<u64>,
    /// The lowest packet, never retransmitted, that arrived after a higher one.
    pub(super) reordered: Option<u64>,
}

impl Delivery {
    /// Widens a pair of transmission times by one more.
    pub(super) fn note(range: &mut Option<(Instant, Instant)>, sent_at: Instant) {
        *range = Some(range.map_or((sent_at, sent_at), |(first, _)| (first, sent_at)));
    }

    /// A packet that ends at `end` and was never retransmitted arrived.
    pub(super) fn note_original(&mut self, end: u64) {
        self.original_end = Some(self.original_end.map_or(end, |low| low.min(end)));
    }

    /// The packet at `seq` arrived after a higher one.
    pub(super) fn note_reordered(&mut self, seq: u64) {
        self.reordered = Some(self.reordered.map_or(seq, |low| low.min(seq)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_sent_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }

    proptest! {
        #[test]
        fn the_scoreboard_keeps_a_packet_whole_while_2_to_the_32_others_are_sent(
            seq: u64,
            sent_at: u64,
            order in 0..u64::MAX >> 1,
            mark: u8,
            later in 0..u64::from(u32::MAX),
        ) {
            let packet = Packet { seq, sent_at: Instant::from_ns(sent_at), order, mark: Mark(mark) };
            let back = Entry::new(packet).packet(order + later);
            prop_assert_eq!((back.seq, back.sent_at, back.order, back.mark), (seq, packet.sent_at, order, packet.mark));
        }
    }
}
