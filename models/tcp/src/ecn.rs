//! Explicit congestion notification: RFC 3168 as Linux does it with `tcp_ecn` = 1.
//!
//! The handshake agrees on it. Then new data is marked as capable, a queue that fills marks it as having met
//! congestion instead of dropping it, and the receiver echoes that in every ACK until the sender says that it has
//! reduced its window. Retransmissions, probes of old data and plain ACKs are not capable.
//!
//! Here are the agreement and the receiver's half; the sender's is in `send::recovery`.

use crate::segment::{Ecn, Flags, Segment};

/// What the two ends have agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Agreement {
    /// This end does not want it, or the other did not answer the offer.
    None,
    /// This end would like it.
    Wanted,
    /// Both want it.
    Agreed,
}

impl Agreement {
    pub(crate) fn new(wanted: bool) -> Agreement {
        if wanted {
            Agreement::Wanted
        } else {
            Agreement::None
        }
    }

    pub(crate) fn is_agreed(self) -> bool {
        self == Agreement::Agreed
    }

    /// What a SYN or SYN-ACK with these control bits carries. `again` says that it is sent again: then the offer
    /// is left out, for it may be what was in the way.
    pub(crate) fn offer(self, flags: Flags, again: bool) -> Flags {
        match self {
            Agreement::Wanted if flags == Flags::SYN && !again => flags.and(Flags::ECE).and(Flags::CWR),
            Agreement::Agreed if flags.has(Flags::SYN.and(Flags::ACK)) => flags.and(Flags::ECE),
            _ => flags,
        }
    }

    /// A SYN or SYN-ACK with these control bits arrived.
    pub(crate) fn settle(&mut self, flags: Flags) {
        let offered = flags.has(Flags::ECE) && flags.has(Flags::CWR) != flags.has(Flags::ACK);
        *self = if offered && *self == Agreement::Wanted {
            Agreement::Agreed
        } else {
            Agreement::None
        };
    }
}

/// The receiver's memory of marks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CongestionEcho {
    /// ACKs carry the echo (`TCP_ECN_DEMAND_CWR`).
    pub(crate) active: bool,
    /// Data that is capable has arrived.
    seen_capable: bool,
}

/// What a data segment means for ACKs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Urgency {
    /// This one must be acknowledged at once.
    pub(crate) now: bool,
    /// This one and the next must be.
    pub(crate) next_two: bool,
}

impl CongestionEcho {
    /// Payload or a FIN arrived (`tcp_ecn_accept_cwr`, `__tcp_ecn_check_ce`).
    pub(crate) fn on_data(&mut self, segment: &Segment) -> Urgency {
        let mut urgency = Urgency::default();
        if segment.flags.has(Flags::CWR) {
            self.active = false;
            // The sender's window may be down to one segment.
            urgency.now = true;
        }
        match segment.ecn() {
            // Likely a retransmission.
            Ecn::NotCapable => urgency.next_two = self.seen_capable,
            Ecn::Capable => self.seen_capable = true,
            Ecn::Congestion => {
                urgency.next_two = !self.active;
                self.active = true;
                self.seen_capable = true;
            }
        }
        urgency
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::time::Instant;

    use super::*;

    #[test]
    fn both_ends_must_want_it() {
        for (client_wants, server_wants) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut client = Agreement::new(client_wants);
            let mut server = Agreement::new(server_wants);
            server.settle(client.offer(Flags::SYN, false));
            client.settle(server.offer(Flags::SYN.and(Flags::ACK), false));
            let both = client_wants && server_wants;
            assert_eq!((client.is_agreed(), server.is_agreed()), (both, both));
        }
    }

    #[test]
    fn a_syn_sent_again_offers_nothing() {
        let mut server = Agreement::new(true);
        server.settle(Agreement::new(true).offer(Flags::SYN, true));
        assert!(!server.is_agreed());
    }

    #[test]
    fn the_echo_lasts_from_a_mark_to_the_answer() {
        let mut echo = CongestionEcho::default();
        let mut data = Segment::control(Flags::ACK, 0, Instant::ZERO);
        data.len = 1448;
        data.set_ecn_capable();
        assert_eq!(echo.on_data(&data), Urgency::default());
        let mut marked = data;
        marked.mark_congestion();
        assert!(echo.on_data(&marked).next_two && echo.active);
        assert!(!echo.on_data(&marked).next_two && echo.active);
        assert!(!echo.on_data(&data).now && echo.active);
        data.flags = data.flags.and(Flags::CWR);
        assert!(echo.on_data(&data).now && !echo.active);
    }
}
