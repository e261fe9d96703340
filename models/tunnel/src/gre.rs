//! GRE (RFC 2784): up at once; with keepalives in the manner of Cisco IOS, down when the peer does not send them back.
//!
//! A keepalive holds an inner packet addressed to its own sender that holds an empty GRE packet. The peer unwraps it and
//! forwards what is inside, so it need not know of keepalives. A counter rises with each that is sent and falls to zero
//! when one comes back; if it stands at the number of retries when the next is due, the tunnel goes down (Cisco, "How GRE
//! Keepalives Work"). They go on being sent, and the first that comes back brings the tunnel up.
//!
//! The datagrams are what follows the outer IP header:
//!
//! | | bytes |
//! | --- | --- |
//! | keepalive | GRE header 4, with key 8; IPv4 header 20; GRE header again |
//! | what comes back | GRE header 4, with key 8; protocol type 0 |

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::config::GreKeepalive;
use crate::control::{Context, Controller};
use crate::event::{DownReason, Event, WireError};

const KEY_PRESENT: u8 = 0x20;
/// Protocol type of IPv4.
const IPV4: [u8; 2] = [0x08, 0x00];
/// Protocol type of the inner GRE packet of a keepalive.
const NOTHING: [u8; 2] = [0, 0];
const IPV4_HEADER_LEN: usize = 20;
/// Number of GRE as a protocol over IP.
const GRE: u8 = 47;

#[derive(Debug)]
pub(crate) struct Gre {
    key: bool,
    keepalive: Option<GreKeepalive>,
    /// Configured and not torn down.
    enabled: bool,
    up: bool,
    /// Keepalives sent since one came back.
    unanswered: u32,
    next: Option<Instant>,
}

impl Gre {
    pub(crate) fn new(key: bool, keepalive: Option<GreKeepalive>) -> Gre {
        Gre {
            key,
            keepalive,
            enabled: false,
            up: false,
            unanswered: 0,
            next: None,
        }
    }

    /// A GRE header that announces a packet of this type.
    fn header(&self, protocol: [u8; 2]) -> Vec<u8> {
        let mut header = vec![0, 0, protocol[0], protocol[1]];
        if self.key {
            header[0] = KEY_PRESENT;
            header.extend_from_slice(&1u32.to_be_bytes());
        }
        header
    }

    fn keepalive(&self) -> Bytes {
        let mut message = self.header(IPV4);
        let answer = self.header(NOTHING);
        let mut inner = [0; IPV4_HEADER_LEN];
        let length = (IPV4_HEADER_LEN + answer.len()) as u16;
        inner[0] = 0x45;
        inner[2..4].copy_from_slice(&length.to_be_bytes());
        inner[8] = 255;
        inner[9] = GRE;
        message.extend_from_slice(&inner);
        message.extend_from_slice(&answer);
        message.into()
    }
}

impl Controller for Gre {
    fn start(&mut self, cx: &mut Context) {
        self.establish(cx);
    }

    fn establish(&mut self, cx: &mut Context) {
        if self.enabled {
            return;
        }
        (self.enabled, self.up, self.unanswered) = (true, true, 0);
        self.next = self.keepalive.map(|keepalive| cx.now + keepalive.every);
        cx.tell(Event::Up { after: Span::ZERO });
    }

    fn teardown(&mut self, cx: &mut Context) {
        (self.enabled, self.next) = (false, None);
        if std::mem::take(&mut self.up) {
            cx.tell_down(DownReason::TornDown);
        }
    }

    fn sent(&mut self, _: &mut Context) {}

    // Only keepalives count, as in IOS.
    fn received(&mut self, _: &mut Context) {}

    fn datagram(&mut self, cx: &mut Context, message: &Bytes) -> Result<(), WireError> {
        if !self.enabled {
            return Err(WireError::Down);
        }
        let header = self.header(NOTHING);
        if message.len() == header.len() {
            if message[..] != header[..] {
                return Err(WireError::Kind);
            }
            self.unanswered = 0;
            if self.keepalive.is_some() && !std::mem::replace(&mut self.up, true) {
                cx.tell(Event::Up { after: Span::ZERO });
            }
            return Ok(());
        }
        let expected = self.keepalive();
        if message.len() != expected.len() {
            return Err(WireError::Length);
        }
        if *message != expected {
            return Err(WireError::Kind);
        }
        // Unwraps it and forwards what is inside to where that is addressed.
        cx.send(message.slice(message.len() - header.len()..));
        Ok(())
    }

    fn wake(&mut self, cx: &mut Context) {
        let (Some(keepalive), Some(next)) = (self.keepalive, self.next) else {
            return;
        };
        if cx.now < next {
            return;
        }
        if self.unanswered >= keepalive.retries && std::mem::take(&mut self.up) {
            cx.tell_down(DownReason::PeerDead);
        }
        self.unanswered = self.unanswered.saturating_add(1);
        cx.send(self.keepalive());
        self.next = Some(cx.now + keepalive.every);
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        self.next.map(|at| (at, "keepalive"))
    }

    fn is_up(&self) -> bool {
        self.up
    }
}
