//! What the control of every kind of tunnel has in common.

use std::collections::VecDeque;
use std::fmt::Debug;

use bytes::Bytes;
use longhaul_core::machine::{Output, PeerId};
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::event::{DownReason, Event, WireError};
use crate::seal::Seal;

/// What control works with while it handles one input.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) peer: PeerId,
    pub(crate) random: &'a mut Stream,
    pub(crate) seal: &'a Seal,
    pub(crate) outbox: &'a mut VecDeque<Output<Event>>,
}

impl Context<'_> {
    pub(crate) fn send(&mut self, message: Bytes) {
        self.outbox.push_back(Output::Datagram {
            to: self.peer,
            payload: message.into(),
        });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.outbox.push_back(Output::Event(event));
    }

    pub(crate) fn tell_down(&mut self, why: DownReason) {
        self.tell(Event::Down { why });
    }
}

/// A state machine that decides whether a tunnel is up.
pub(crate) trait Controller: Debug + Send {
    /// The run begins.
    fn start(&mut self, cx: &mut Context);
    /// Come up, if not up or on the way.
    fn establish(&mut self, cx: &mut Context);
    /// Go down and stay there.
    fn teardown(&mut self, cx: &mut Context);
    /// A packet wants through the tunnel from here.
    fn sent(&mut self, cx: &mut Context);
    /// A packet came through the tunnel.
    fn received(&mut self, cx: &mut Context);
    /// A datagram from the peer.
    fn datagram(&mut self, cx: &mut Context, message: &Bytes) -> Result<(), WireError>;
    /// Does what is due, called before every other input.
    fn wake(&mut self, cx: &mut Context);
    /// When [`Controller::wake`] is wanted next, and why.
    fn next_wake(&self) -> Option<(Instant, &'static str)>;
    /// Whether packets can be sent.
    fn is_up(&self) -> bool;
}

/// The earliest of several wishes.
pub(crate) fn earliest<const N: usize>(
    wishes: [(Option<Instant>, &'static str); N],
) -> Option<(Instant, &'static str)> {
    let wishes = wishes.into_iter();
    wishes
        .filter_map(|(at, why)| Some((at?, why)))
        .min_by_key(|(at, _)| *at)
}
