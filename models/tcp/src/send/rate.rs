//! How fast the network delivers: one sample per ACK, as `tcp_rate.c` takes it.
//!
//! Every packet remembers how much had been delivered when it left. When it is delivered itself, the difference
//! over the time between is the delivery rate. That time is the longer of two phases: from the first packet of the
//! flight to this one (sending), and from the delivery before this one left until now (acknowledging), so that
//! neither a burst of packets nor a burst of ACKs looks like bandwidth.
//!
//! Only controllers that look at the rate have this; the others pay for one branch per packet.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

use super::packet::Packet;
use crate::congestion::RateSample;

/// What was known when a packet last left (`tcp_skb_cb.tx`).
#[derive(Clone, Copy, Debug)]
struct Departure {
    /// Packets delivered until then, and when the last of them was.
    delivered: u64,
    delivered_at: Instant,
    /// When the first packet of the flight left that this one belongs to.
    first_sent_at: Instant,
    app_limited: bool,
}

/// The packet sent last among those that an ACK delivered.
#[derive(Clone, Copy, Debug)]
struct Latest {
    departure: Departure,
    /// Number of its transmission and its end.
    place: (u64, u64),
    sent_at: Instant,
}

/// The state of all samples of one connection.
#[derive(Clone, Debug)]
pub(super) struct RateSampler {
    /// One for each packet on the scoreboard, in its order.
    departures: VecDeque<Departure>,
    /// Packets delivered so far, the handshake's included.
    delivered: u64,
    delivered_at: Instant,
    /// When the packet left that was delivered last.
    first_sent_at: Instant,
    /// What leaves until more than this is delivered says more of the application than of the network.
    app_limited_until: Option<u64>,
    latest: Option<Latest>,
}

impl RateSampler {
    pub(super) fn new() -> RateSampler {
        RateSampler {
            departures: VecDeque::new(),
            delivered: 1,
            delivered_at: Instant::ZERO,
            first_sent_at: Instant::ZERO,
            // The first flight leaves within the application's first write, which finds nothing waiting.
            app_limited_until: Some(1),
            latest: None,
        }
    }

    /// Packets delivered so far, and when the last of them was.
    pub(super) fn delivered(&self) -> (u64, Instant) {
        (self.delivered, self.delivered_at)
    }

    /// Whether what leaves now says more of the application than of the network.
    pub(super) fn is_app_limited(&self) -> bool {
        self.app_limited_until.is_some()
    }

    /// The sender has nothing to send though it might, with `in_flight` packets in the network.
    pub(super) fn note_app_limited(&mut self, in_flight: u32) {
        self.app_limited_until = Some(self.delivered + u64::from(in_flight));
    }

    fn departure(&self) -> Departure {
        Departure {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            app_limited: self.is_app_limited(),
        }
    }

    /// A packet of new data leaves.
    pub(super) fn on_sent(&mut self, now: Instant) {
        if self.departures.is_empty() {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        self.departures.push_back(self.departure());
    }

    /// The packets at these places of the scoreboard leave again.
    pub(super) fn on_resent(&mut self, places: std::ops::Range<usize>) {
        let departure = self.departure();
        self.departures.range_mut(places).for_each(|old| *old = departure);
    }

    /// The newest packet never left.
    pub(super) fn on_taken_back(&mut self) {
        self.departures.pop_back();
    }

    /// The packet at this place of the scoreboard, which ends at `end`, was delivered.
    pub(super) fn on_delivered(&mut self, place: usize, packet: &Packet, end: u64) {
        let order = (packet.order, end);
        if self.latest.is_none_or(|latest| order > latest.place) {
            self.latest = Some(Latest {
                departure: self.departures[place],
                place: order,
                sent_at: packet.sent_at,
            });
        }
    }

    /// The oldest packet leaves the scoreboard.
    pub(super) fn on_acknowledged(&mut self) {
        self.departures.pop_front();
    }

    /// The sample of one ACK (`tcp_rate_gen`), which delivered `packets`. The caller adds what it knows of
    /// losses, of the RTT, and of what was in flight before.
    pub(super) fn sample(&mut self, now: Instant, packets: u32, min_rtt: Span) -> RateSample {
        self.delivered += u64::from(packets);
        if self.app_limited_until.is_some_and(|until| self.delivered > until) {
            self.app_limited_until = None;
        }
        if packets > 0 {
            self.delivered_at = now;
        }
        let mut sample = RateSample {
            newly_delivered: packets,
            ..RateSample::default()
        };
        let Some(latest) = self.latest.take() else {
            return sample;
        };
        let departure = latest.departure;
        let sending = latest.sent_at.saturating_since(departure.first_sent_at);
        let acknowledging = now.saturating_since(departure.delivered_at);
        self.first_sent_at = latest.sent_at;
        sample.prior_delivered = departure.delivered;
        sample.app_limited = departure.app_limited;
        sample.delivered = self.delivered - departure.delivered;
        // Shorter than any round trip: a copy was taken for another.
        let interval = sending.max(acknowledging);
        sample.interval = Some(interval).filter(|&interval| interval >= min_rtt);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Entry, Mark};
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn packet(sent_at: Instant, order: u64) -> Packet {
        Packet {
            seq: order,
            sent_at,
            order,
            mark: Mark::default(),
        }
    }

    fn deliver(sampler: &mut RateSampler, now: Instant, packets: &[Packet]) -> RateSample {
        for packet in packets {
            sampler.on_delivered(0, packet, packet.seq + 1);
            sampler.on_acknowledged();
        }
        sampler.sample(now, packets.len() as u32, Span::from_ms(10))
    }

    #[test]
    fn a_packet_in_flight_takes_less_than_a_hundred_bytes() {
        assert!(size_of::<Entry>() + size_of::<Departure>() < 100);
    }

    #[test]
    fn a_steady_flow_is_measured_at_its_rate() {
        let mut sampler = RateSampler::new();
        // A packet per millisecond, each delivered 50 ms later.
        let mut last = RateSample::default();
        for ms in 0..200 {
            if ms >= 50 {
                let number = ms - 50;
                last = deliver(&mut sampler, at(ms), &[packet(at(number), number)]);
            }
            sampler.on_sent(at(ms));
        }
        assert_eq!((last.delivered, last.interval), (50, Some(Span::from_ms(50))));
        assert!(!last.app_limited);
    }

    #[test]
    fn acks_that_come_all_at_once_do_not_look_like_bandwidth() {
        let mut sampler = RateSampler::new();
        let packets: Vec<Packet> = (0..40).map(|ms| packet(at(ms), ms)).collect();
        for packet in &packets {
            sampler.on_sent(packet.sent_at);
        }
        deliver(&mut sampler, at(60), &packets[..1]);
        sampler.on_sent(at(60));
        // The rest arrives in one heap: what counts is the 39 ms that sending took.
        let sample = deliver(&mut sampler, at(61), &packets[1..]);
        assert_eq!(sample.delivered, 40);
        assert_eq!(sample.interval, Some(Span::from_ms(61)));
        // What left at 60 ms began a flight whose send phase is that of the packet delivered last.
        let sample = deliver(&mut sampler, at(75), &[packet(at(60), 40)]);
        assert_eq!((sample.delivered, sample.interval), (40, Some(Span::from_ms(60))));
    }

    #[test]
    fn a_sample_shorter_than_a_round_trip_is_discarded() {
        let mut sampler = RateSampler::new();
        sampler.on_sent(at(0));
        let sample = deliver(&mut sampler, at(9), &[packet(at(0), 0)]);
        assert_eq!((sample.delivered, sample.interval), (1, None));
    }

    #[test]
    fn what_leaves_while_the_application_is_behind_is_marked() {
        let mut sampler = RateSampler::new();
        sampler.on_sent(at(0));
        assert!(deliver(&mut sampler, at(20), &[packet(at(0), 0)]).app_limited);
        sampler.on_sent(at(20));
        assert!(!deliver(&mut sampler, at(40), &[packet(at(20), 1)]).app_limited);
        sampler.note_app_limited(0);
        sampler.on_sent(at(60));
        assert!(deliver(&mut sampler, at(80), &[packet(at(60), 2)]).app_limited);
        assert!(!sampler.is_app_limited());
    }
}
