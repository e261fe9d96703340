//! IPsec keys by IKEv2 (RFC 7296).
//!
//! - two round trips: IKE_SA_INIT, then IKE_AUTH, which also makes the first pair of ESP keys (section 1.2); the initiator can send
//!   after the second, the responder when it has answered it;
//! - a request is sent again with the same bytes until its answer comes, each time after twice as long; whoever
//!   receives a request again answers with the same bytes (2.1); after the last time the peer counts as dead (2.4);
//! - CREATE_CHILD_SA renews the keys in one round trip (1.3.3); the old ones serve until then, so there is no gap;
//! - an empty INFORMATIONAL request asks whether the peer lives (1.4), one with Delete closes the tunnel (1.4.1).
//!
//! One request is under way at a time, which is the window of 1 that every implementation has (2.3).
//!
//! Not modelled: cookies (2.6), other key groups than the offered one, renewal of the IKE SA itself, fragmentation of messages
//! (RFC 7383), both ends beginning at once, and the repetition of Delete: an end whose peer's Delete was lost finds out by its
//! liveness check.

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::config::{IpsecConfig, Role};
use crate::control::{Context, Controller, earliest};
use crate::event::{DownReason, Event, WireError};
use crate::ike_wire::{Exchange, Message};

/// Length of an empty INFORMATIONAL message in bytes of UDP payload: header 28, encrypted payload of 4 + IV 8 + pad length 1 +
/// ICV 16.
pub const INFORMATIONAL_BYTES: u32 = 57;
/// Length of one with a Delete payload for the IKE SA.
pub const DELETE_BYTES: u32 = INFORMATIONAL_BYTES + 8;

/// A request without answer.
#[derive(Clone, Debug)]
struct Request {
    exchange: Exchange,
    id: u32,
    bytes: Bytes,
    began: Instant,
    sent: u32,
    retry_at: Instant,
}

/// An IKE SA, perhaps half open.
#[derive(Clone, Debug)]
struct Sa {
    spi_initiator: u64,
    spi_responder: u64,
    /// When its first message left, or arrived.
    began: Instant,
    /// The id of the next request of this end.
    next_id: u32,
    /// The id of the next request of the peer.
    expected_id: u32,
    /// What the last request of the peer was answered with.
    answer: Option<Bytes>,
}

impl Sa {
    fn new(spi_initiator: u64, spi_responder: u64, began: Instant) -> Sa {
        Sa {
            spi_initiator,
            spi_responder,
            began,
            next_id: 0,
            expected_id: 0,
            answer: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ike {
    config: IpsecConfig,
    role: Role,
    enabled: bool,
    /// Age of the ESP keys; `None` while down.
    keys_born: Option<Instant>,
    sa: Option<Sa>,
    /// At the responder: an IKE SA that the peer has not authenticated yet.
    half_open: Option<Sa>,
    request: Option<Request>,
    rekey_at: Option<Instant>,
    heard: Instant,
    retry_at: Option<Instant>,
}

impl Ike {
    pub(crate) fn new(config: IpsecConfig, role: Role) -> Ike {
        Ike {
            config,
            role,
            enabled: false,
            keys_born: None,
            sa: None,
            half_open: None,
            request: None,
            rekey_at: None,
            heard: Instant::ZERO,
            retry_at: None,
        }
    }

    fn bytes(
        &self,
        cx: &Context,
        sa: &Sa,
        exchange: Exchange,
        response: bool,
        id: u32,
        delete: bool,
    ) -> Bytes {
        let sizes = &self.config.sizes;
        let length = match (exchange, response) {
            (Exchange::Init, false) => sizes.init_request,
            (Exchange::Init, true) => sizes.init_response,
            (Exchange::Auth, false) => sizes.auth_request,
            (Exchange::Auth, true) => sizes.auth_response,
            (Exchange::CreateChild, false) => sizes.child_request,
            (Exchange::CreateChild, true) => sizes.child_response,
            (Exchange::Informational, _) if delete => DELETE_BYTES,
            (Exchange::Informational, _) => INFORMATIONAL_BYTES,
        };
        let message = Message {
            spi_initiator: sa.spi_initiator,
            spi_responder: sa.spi_responder,
            exchange,
            of_initiator: self.role == Role::Initiator,
            response,
            id,
            delete,
        };
        message.to_bytes(cx.seal, length, self.config.nat_traversal)
    }

    /// Sends a request of the IKE SA.
    fn ask(&mut self, cx: &mut Context, exchange: Exchange) {
        let Some(sa) = &self.sa else { return };
        let id = sa.next_id;
        let bytes = self.bytes(cx, sa, exchange, false, id, false);
        if let Some(sa) = &mut self.sa {
            sa.next_id = id.wrapping_add(1);
        }
        cx.send(bytes.clone());
        self.request = Some(Request {
            exchange,
            id,
            bytes,
            began: cx.now,
            sent: 1,
            retry_at: cx.now + self.config.retransmit_after,
        });
    }

    /// Begins a new IKE SA.
    fn begin(&mut self, cx: &mut Context) {
        self.retry_at = None;
        let spi = cx.random.u64().max(1);
        self.sa = Some(Sa::new(spi, 0, cx.now));
        self.ask(cx, Exchange::Init);
    }

    /// Keys are there, the first ones or newer ones.
    fn install(&mut self, cx: &mut Context, began: Instant) {
        let after = cx.now - began;
        cx.tell(match self.keys_born.replace(cx.now) {
            Some(_) => Event::Rekeyed { after },
            None => Event::Up { after },
        });
        if self.role == Role::Initiator {
            let rekey_after = self.config.rekey_after;
            let earlier = Span::from_ns(cx.random.below(rekey_after.as_ns() / 10 + 1));
            self.rekey_at = Some(cx.now + (rekey_after - earlier));
        }
    }

    /// Forgets everything of the IKE SA. Says so if the tunnel was up.
    fn drop_sa(&mut self, cx: &mut Context, why: DownReason) {
        (self.sa, self.half_open, self.request, self.rekey_at) = (None, None, None, None);
        if self.keys_born.take().is_some() {
            cx.tell_down(why);
        }
    }

    fn retry_later(&mut self, cx: &Context) {
        if self.role == Role::Initiator {
            self.retry_at = self.config.retry_after.map(|after| cx.now + after);
        }
    }

    fn on_response(&mut self, cx: &mut Context, message: &Message) -> Result<(), WireError> {
        let awaited = |request: &Request| (request.exchange, request.id) == (message.exchange, message.id);
        if !self.request.as_ref().is_some_and(awaited) {
            return Err(WireError::Session);
        }
        let (Some(sa), Some(request)) = (&mut self.sa, self.request.take()) else {
            return Err(WireError::Session);
        };
        self.heard = cx.now;
        match message.exchange {
            Exchange::Init => {
                sa.spi_responder = message.spi_responder;
                self.ask(cx, Exchange::Auth);
            }
            Exchange::Auth => {
                let began = sa.began;
                self.install(cx, began);
            }
            Exchange::CreateChild => self.install(cx, request.began),
            Exchange::Informational => {}
        }
        Ok(())
    }

    /// A request that begins an IKE SA: the newest replaces an older half-open one.
    fn on_init(&mut self, cx: &mut Context, message: &Message) -> Result<(), WireError> {
        if self.role == Role::Initiator || message.spi_initiator == 0 {
            return Err(WireError::Session);
        }
        if let Some(half) = &self.half_open
            && half.spi_initiator == message.spi_initiator
        {
            half.answer.iter().for_each(|answer| cx.send(answer.clone()));
            return Ok(());
        }
        let spi = cx.random.u64().max(1);
        let mut half = Sa::new(message.spi_initiator, spi, cx.now);
        let answer = self.bytes(cx, &half, Exchange::Init, true, message.id, false);
        half.expected_id = 1;
        half.answer = Some(answer.clone());
        self.half_open = Some(half);
        cx.send(answer);
        Ok(())
    }

    fn on_request(&mut self, cx: &mut Context, message: &Message) -> Result<(), WireError> {
        if message.exchange == Exchange::Init {
            return self.on_init(cx, message);
        }
        let spis = (message.spi_initiator, message.spi_responder);
        let names = |sa: &&mut Sa| (sa.spi_initiator, sa.spi_responder) == spis;
        if message.exchange == Exchange::Auth && self.half_open.as_mut().filter(names).is_some() {
            // The peer is who it says, and has forgotten whatever SA there was before (INITIAL_CONTACT, section 2.4).
            self.sa = self.half_open.take();
            self.request = None;
        }
        let Some(sa) = self.sa.as_mut().filter(names) else {
            return Err(WireError::Session);
        };
        if message.id.wrapping_add(1) == sa.expected_id {
            sa.answer.iter().for_each(|answer| cx.send(answer.clone()));
            return Ok(());
        }
        if message.id != sa.expected_id {
            return Err(WireError::Replayed);
        }
        sa.expected_id = sa.expected_id.wrapping_add(1);
        let (sa, id) = (sa.clone(), message.id);
        let answer = self.bytes(cx, &sa, message.exchange, true, id, false);
        cx.send(answer.clone());
        if let Some(sa) = &mut self.sa {
            sa.answer = Some(answer);
        }
        self.heard = cx.now;
        match message.exchange {
            Exchange::Auth => self.install(cx, sa.began),
            Exchange::CreateChild => self.install(cx, cx.now),
            Exchange::Informational if message.delete => self.drop_sa(cx, DownReason::ClosedByPeer),
            Exchange::Informational | Exchange::Init => {}
        }
        Ok(())
    }

    /// Sends a request again, or gives the peer up.
    fn retry(&mut self, cx: &mut Context) {
        let retransmissions = self.config.retransmissions;
        let Some(request) = self.request.as_mut().filter(|request| request.retry_at <= cx.now) else {
            return;
        };
        if request.sent <= retransmissions {
            cx.send(request.bytes.clone());
            let wait = self.config.retransmit_after * (1 << request.sent);
            request.sent += 1;
            request.retry_at = cx.now + wait;
            cx.tell(Event::Retransmitted {
                attempt: request.sent,
            });
            return;
        }
        let (attempts, after) = (request.sent, cx.now - request.began);
        if request.exchange != Exchange::Informational {
            cx.tell(Event::HandshakeFailed { attempts, after });
        }
        self.drop_sa(cx, DownReason::PeerDead);
        self.retry_later(cx);
    }

    /// When to ask whether the peer lives; not while another question is open.
    fn ask_at(&self) -> Option<Instant> {
        let every = self.config.dead_peer_detection?;
        (self.keys_born.is_some() && self.request.is_none()).then(|| self.heard + every)
    }

    fn expires_at(&self) -> Option<Instant> {
        self.keys_born.map(|born| born + self.config.lifetime)
    }

    /// When to renew the keys; not while another question is open.
    fn renew_at(&self) -> Option<Instant> {
        self.rekey_at.filter(|_| self.request.is_none())
    }
}

impl Controller for Ike {
    fn start(&mut self, cx: &mut Context) {
        self.establish(cx);
    }

    fn establish(&mut self, cx: &mut Context) {
        self.enabled = true;
        if self.role == Role::Initiator && self.sa.is_none() {
            self.begin(cx);
        }
    }

    fn teardown(&mut self, cx: &mut Context) {
        if let Some(sa) = self.sa.as_ref().filter(|_| self.keys_born.is_some()) {
            let bytes = self.bytes(cx, sa, Exchange::Informational, false, sa.next_id, true);
            cx.send(bytes);
        }
        self.drop_sa(cx, DownReason::TornDown);
        (self.enabled, self.retry_at) = (false, None);
    }

    fn sent(&mut self, _: &mut Context) {}

    fn received(&mut self, cx: &mut Context) {
        self.heard = cx.now;
    }

    fn datagram(&mut self, cx: &mut Context, message: &Bytes) -> Result<(), WireError> {
        let message = Message::parse(cx.seal, message)?;
        if message.of_initiator == (self.role == Role::Initiator) {
            return Err(WireError::Session);
        }
        if !self.enabled {
            return Err(WireError::Down);
        }
        if !message.response {
            return self.on_request(cx, &message);
        }
        let ours = |sa: &Sa| {
            // The first answer is what names the responder's half.
            let first = message.exchange == Exchange::Init && message.spi_responder != 0;
            sa.spi_initiator == message.spi_initiator && (first || sa.spi_responder == message.spi_responder)
        };
        if self.sa.as_ref().is_some_and(ours) {
            self.on_response(cx, &message)
        } else {
            Err(WireError::Session)
        }
    }

    fn wake(&mut self, cx: &mut Context) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= cx.now);
        if due(self.expires_at()) {
            self.drop_sa(cx, DownReason::KeysExpired);
            self.retry_later(cx);
        }
        self.retry(cx);
        if self.retry_at.take_if(|at| *at <= cx.now).is_some() {
            self.begin(cx);
        }
        if self.renew_at().is_some_and(|at| at <= cx.now) {
            self.rekey_at = None;
            self.ask(cx, Exchange::CreateChild);
        }
        if self.ask_at().is_some_and(|at| at <= cx.now) {
            self.ask(cx, Exchange::Informational);
        }
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        earliest([
            (
                self.request.as_ref().map(|request| request.retry_at),
                "retransmission",
            ),
            (self.renew_at(), "renew keys"),
            (self.ask_at(), "liveness"),
            (self.expires_at(), "keys expire"),
            (self.retry_at, "next attempt"),
        ])
    }

    fn is_up(&self) -> bool {
        self.keys_born.is_some()
    }
}
