//! VXLAN (RFC 7348): up as soon as both ends are configured, whatever the path does. Whether the peer lives is for
//! others to find out, by probes through the tunnel.

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::control::{Context, Controller};
use crate::event::{DownReason, Event, WireError};

/// Whether the tunnel is configured.
#[derive(Debug)]
pub(crate) struct Vxlan {
    up: bool,
}

impl Vxlan {
    pub(crate) fn new() -> Vxlan {
        Vxlan { up: false }
    }
}

impl Controller for Vxlan {
    fn start(&mut self, cx: &mut Context) {
        self.establish(cx);
    }

    fn establish(&mut self, cx: &mut Context) {
        if !std::mem::replace(&mut self.up, true) {
            cx.tell(Event::Up { after: Span::ZERO });
        }
    }

    fn teardown(&mut self, cx: &mut Context) {
        if std::mem::take(&mut self.up) {
            cx.tell_down(DownReason::TornDown);
        }
    }

    fn sent(&mut self, _: &mut Context) {}

    fn received(&mut self, _: &mut Context) {}

    fn datagram(&mut self, _: &mut Context, _: &Bytes) -> Result<(), WireError> {
        // There is no message that is not a wrapped frame, and those do not come here.
        Err(WireError::Kind)
    }

    fn wake(&mut self, _: &mut Context) {}

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        None
    }

    fn is_up(&self) -> bool {
        self.up
    }
}
