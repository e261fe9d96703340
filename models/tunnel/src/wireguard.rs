//! WireGuard's handshake and timers.
//!
//! After Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel" (NDSS 2017, whitepaper of 2020), sections 5.4 and 6, and
//! where it leaves a choice as `drivers/net/wireguard/timers.c` and `noise.c` of Linux do it:
//!
//! - one round trip: initiation, response; the initiator can send then, and confirms the keys at once with a keepalive, upon
//!   which the responder can send too (section 5.1);
//! - whoever initiated renews the keys when it sends with keys older than [`REKEY_AFTER_TIME`], or receives with
//!   keys that have little time left (6.2); the old keys serve until the new ones are there, so there is no gap;
//! - keys older than [`REJECT_AFTER_TIME`] are not used (6.2);
//! - an initiation without response is repeated, as a new one, every [`REKEY_TIMEOUT`] and up to [`MAX_JITTER`] more,
//!   for [`REKEY_ATTEMPT_TIME`] since something last wanted through (6.1, 6.4);
//! - who received data and has nothing to say says so after [`KEEPALIVE_TIMEOUT`] (6.5); who sent data and heard
//!   nothing for that and [`REKEY_TIMEOUT`] begins a handshake;
//! - two initiations that cross each other come to nothing, as in Linux, and the jitter decides who repeats first.
//!
//! Not modelled: cookies (5.4.7), since no peer is ever under load, keys' limits in messages (6.2), which would take 2^60
//! packets, and roaming.

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::config::{Role, WireGuardConfig};
use crate::control::{Context, Controller, earliest};
use crate::event::{DownReason, Event, WireError};
use crate::wireguard_keys::Session;
use crate::wireguard_wire::Message;
pub use crate::wireguard_wire::{INITIATION_BYTES, KEEPALIVE_BYTES, RESPONSE_BYTES};

/// The initiator renews keys of this age when it sends (whitepaper, section 6.1).
pub const REKEY_AFTER_TIME: Span = Span::from_s(120);
/// Keys of this age are used no more.
pub const REJECT_AFTER_TIME: Span = Span::from_s(180);
/// How long handshakes are attempted.
pub const REKEY_ATTEMPT_TIME: Span = Span::from_s(90);
/// Time between two initiations at least, and the wait for a response.
pub const REKEY_TIMEOUT: Span = Span::from_s(5);
/// When a keepalive answers data that nothing else answers.
pub const KEEPALIVE_TIMEOUT: Span = Span::from_s(10);
/// At most this is added to [`REKEY_TIMEOUT`] at random.
pub const MAX_JITTER: Span = Span::from_ms(333);

/// A handshake that this end began.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// `None` once an initiation of the peer has taken its place.
    local: Option<u32>,
    began: Instant,
    initiations: u32,
    give_up_at: Instant,
    retry_at: Instant,
}

#[derive(Debug)]
pub(crate) struct WireGuard {
    config: WireGuardConfig,
    role: Role,
    enabled: bool,
    up: bool,
    attempt: Option<Attempt>,
    previous: Option<Session>,
    current: Option<Session>,
    /// Keys of a handshake that this end answered, until the peer proves that it has them.
    next: Option<Session>,
    last_initiation: Option<Instant>,
    /// Timestamps of initiations rise, so that none can be replayed.
    last_timestamp: Option<u64>,
    peer_timestamp: Option<u64>,
    /// A handshake late in the life of the current keys was begun.
    last_minute: bool,
    keepalive_at: Option<Instant>,
    another_keepalive: bool,
    silence_at: Option<Instant>,
    persistent_at: Option<Instant>,
}

impl WireGuard {
    pub(crate) fn new(config: WireGuardConfig, role: Role) -> WireGuard {
        WireGuard {
            config,
            role,
            enabled: false,
            up: false,
            attempt: None,
            previous: None,
            current: None,
            next: None,
            last_initiation: None,
            last_timestamp: None,
            peer_timestamp: None,
            last_minute: false,
            keepalive_at: None,
            another_keepalive: false,
            silence_at: None,
            persistent_at: None,
        }
    }

    /// Begins a handshake, or repeats an initiation as a new one. Unless it is a repetition, something wants through, so
    /// the time to give up is put off; but initiations keep their distance.
    fn initiate(&mut self, cx: &mut Context, repetition: bool) {
        let give_up_at = cx.now + REKEY_ATTEMPT_TIME;
        if let Some(attempt) = self.attempt.as_mut().filter(|_| !repetition) {
            attempt.give_up_at = give_up_at;
        }
        if self
            .last_initiation
            .is_some_and(|last| last + REKEY_TIMEOUT > cx.now)
        {
            return;
        }
        let local = cx.random.u32();
        let timestamp_ns = self.last_timestamp.map_or(0, |last| last + 1).max(cx.now.as_ns());
        self.last_timestamp = Some(timestamp_ns);
        self.last_initiation = Some(cx.now);
        let retry_at = cx.now + REKEY_TIMEOUT + jitter(cx);
        let attempt = self.attempt.get_or_insert(Attempt {
            local: None,
            began: cx.now,
            initiations: 0,
            give_up_at,
            retry_at,
        });
        attempt.local = Some(local);
        attempt.initiations += 1;
        attempt.retry_at = retry_at;
        let initiations = attempt.initiations;
        let message = Message::Initiation {
            sender: local,
            timestamp_ns,
        };
        self.transmit(cx, message);
        if initiations > 1 {
            cx.tell(Event::Retransmitted { attempt: initiations });
        }
    }

    /// Sends something, which is as good as a keepalive.
    fn transmit(&mut self, cx: &mut Context, message: Message) {
        let bytes = message.to_bytes(cx.seal, cx.random);
        cx.send(bytes);
        self.authenticated_sent(cx);
    }

    fn authenticated_sent(&mut self, cx: &Context) {
        self.keepalive_at = None;
        self.another_keepalive = false;
        self.traversed(cx);
    }

    fn authenticated_received(&mut self, cx: &Context) {
        self.silence_at = None;
        self.traversed(cx);
    }

    fn traversed(&mut self, cx: &Context) {
        self.persistent_at = self.config.persistent_keepalive.map(|every| cx.now + every);
    }

    /// Sends a keepalive, or begins a handshake if there are no keys for it.
    fn send_keepalive(&mut self, cx: &mut Context) {
        let Some(session) = &mut self.current else {
            self.initiate(cx, false);
            return;
        };
        let (receiver, counter) = (session.remote, session.sent);
        session.sent += 1;
        self.transmit(cx, Message::Keepalive { receiver, counter });
        self.renew_on_sending(cx);
    }

    fn renew_on_sending(&mut self, cx: &mut Context) {
        if self
            .current
            .is_some_and(|keys| keys.initiator && keys.born + REKEY_AFTER_TIME <= cx.now)
        {
            self.initiate(cx, false);
        }
    }

    /// The initiator of keys that have no more than a silence and a handshake left renews them, once.
    fn renew_on_receiving(&mut self, cx: &mut Context) {
        let late = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
        let due = self
            .current
            .is_some_and(|keys| keys.initiator && keys.born + late <= cx.now);
        if due && !std::mem::replace(&mut self.last_minute, true) {
            self.initiate(cx, false);
        }
    }

    /// New keys are in use.
    fn handshake_complete(&mut self, cx: &mut Context, began: Instant) {
        self.attempt = None;
        self.last_minute = false;
        let after = cx.now - began;
        cx.tell(if std::mem::replace(&mut self.up, true) {
            Event::Rekeyed { after }
        } else {
            Event::Up { after }
        });
    }

    /// The peer proved that it has the keys of the handshake that this end answered.
    fn confirm(&mut self, cx: &mut Context) {
        if let Some(next) = self.next.take() {
            self.previous = self.current.replace(next);
            self.handshake_complete(cx, next.born);
        }
    }

    fn on_initiation(&mut self, cx: &mut Context, sender: u32, timestamp: u64) -> Result<(), WireError> {
        if self.peer_timestamp.is_some_and(|last| timestamp <= last) {
            return Err(WireError::Replayed);
        }
        self.peer_timestamp = Some(timestamp);
        self.authenticated_received(cx);
        // There is one handshake at a time: an own one that is under way can no longer be completed.
        if let Some(attempt) = &mut self.attempt {
            attempt.local = None;
        }
        let local = cx.random.u32();
        self.previous = None;
        self.next = Some(Session::new(local, sender, cx.now, false));
        let message = Message::Response {
            sender: local,
            receiver: sender,
        };
        self.transmit(cx, message);
        Ok(())
    }

    fn on_response(&mut self, cx: &mut Context, sender: u32, receiver: u32) -> Result<(), WireError> {
        let attempt = self.attempt.filter(|attempt| attempt.local == Some(receiver));
        let began = attempt.ok_or(WireError::Session)?.began;
        self.authenticated_received(cx);
        let keys = Session::new(receiver, sender, cx.now, true);
        let replaced = self.current.replace(keys);
        self.previous = self.next.take().or(replaced);
        self.handshake_complete(cx, began);
        // Whatever is sent first confirms the keys.
        self.send_keepalive(cx);
        Ok(())
    }

    fn on_keepalive(&mut self, cx: &mut Context, receiver: u32, counter: u64) -> Result<(), WireError> {
        let slots = [&mut self.current, &mut self.previous, &mut self.next];
        let session = slots
            .into_iter()
            .flatten()
            .find(|session| session.local == receiver);
        if !session.ok_or(WireError::Session)?.seen.admit(counter) {
            return Err(WireError::Replayed);
        }
        if self.next.is_some_and(|next| next.local == receiver) {
            self.confirm(cx);
        }
        self.authenticated_received(cx);
        self.renew_on_receiving(cx);
        Ok(())
    }

    /// Keys that are too old are forgotten.
    fn reject_old(&mut self, cx: &mut Context) {
        for slot in [&mut self.previous, &mut self.current, &mut self.next] {
            if slot.is_some_and(|keys| keys.born + REJECT_AFTER_TIME <= cx.now) {
                *slot = None;
            }
        }
        if self.current.is_none() && std::mem::take(&mut self.up) {
            cx.tell_down(DownReason::KeysExpired);
        }
    }
}

/// Up to [`MAX_JITTER`], so that two ends do not stay in step.
fn jitter(cx: &mut Context) -> Span {
    Span::from_ns(cx.random.below(MAX_JITTER.as_ns() + 1))
}

fn due(timer: &mut Option<Instant>, now: Instant) -> bool {
    timer.take_if(|at| *at <= now).is_some()
}

impl Controller for WireGuard {
    fn start(&mut self, cx: &mut Context) {
        self.enabled = true;
        if self.role == Role::Initiator {
            self.establish(cx);
        }
    }

    fn establish(&mut self, cx: &mut Context) {
        self.enabled = true;
        if !self.up && self.attempt.is_none() {
            self.initiate(cx, false);
        }
    }

    fn teardown(&mut self, cx: &mut Context) {
        if self.up {
            cx.tell_down(DownReason::TornDown);
        }
        // Timestamps must go on rising, and the peer's be remembered.
        *self = WireGuard {
            last_timestamp: self.last_timestamp,
            peer_timestamp: self.peer_timestamp,
            ..WireGuard::new(self.config, self.role)
        };
    }

    fn sent(&mut self, cx: &mut Context) {
        if !self.enabled {
            return;
        }
        let Some(session) = &mut self.current else {
            self.initiate(cx, false);
            return;
        };
        session.sent += 1;
        let silence = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + jitter(cx);
        self.silence_at.get_or_insert(cx.now + silence);
        self.authenticated_sent(cx);
        self.renew_on_sending(cx);
    }

    fn received(&mut self, cx: &mut Context) {
        self.confirm(cx);
        if self.current.is_none() {
            return;
        }
        self.authenticated_received(cx);
        if self.keepalive_at.is_some() {
            self.another_keepalive = true;
        } else {
            self.keepalive_at = Some(cx.now + KEEPALIVE_TIMEOUT);
        }
        self.renew_on_receiving(cx);
    }

    fn datagram(&mut self, cx: &mut Context, message: &Bytes) -> Result<(), WireError> {
        if !self.enabled {
            return Err(WireError::Down);
        }
        match Message::parse(cx.seal, message)? {
            Message::Initiation { sender, timestamp_ns } => self.on_initiation(cx, sender, timestamp_ns),
            Message::Response { sender, receiver } => self.on_response(cx, sender, receiver),
            Message::Keepalive { receiver, counter } => self.on_keepalive(cx, receiver, counter),
        }
    }

    fn wake(&mut self, cx: &mut Context) {
        self.reject_old(cx);
        if let Some(attempt) = self.attempt.filter(|attempt| attempt.retry_at <= cx.now) {
            if attempt.give_up_at <= cx.now {
                self.attempt = None;
                self.keepalive_at = None;
                cx.tell(Event::HandshakeFailed {
                    attempts: attempt.initiations,
                    after: cx.now - attempt.began,
                });
            } else {
                self.initiate(cx, true);
            }
        }
        if due(&mut self.keepalive_at, cx.now) {
            let another = self.another_keepalive;
            self.send_keepalive(cx);
            if another {
                self.keepalive_at = Some(cx.now + KEEPALIVE_TIMEOUT);
            }
        }
        if due(&mut self.silence_at, cx.now) {
            self.initiate(cx, false);
        }
        if due(&mut self.persistent_at, cx.now) {
            self.traversed(cx);
            self.send_keepalive(cx);
        }
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let current = self.current.map(|keys| keys.born + REJECT_AFTER_TIME);
        earliest([
            (self.attempt.map(|attempt| attempt.retry_at), "retry handshake"),
            (self.keepalive_at, "keepalive"),
            (self.persistent_at, "persistent keepalive"),
            (self.silence_at, "silence"),
            (current, "keys expire"),
        ])
    }

    fn is_up(&self) -> bool {
        self.up
    }
}
