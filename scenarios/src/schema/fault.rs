//! What fails, and when.

use longhaul_core::time::Span;

use super::{NetworkFault, RecoverFault};

/// Something that fails at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A directed link carries nothing.
    LinkDown(LinkDown),
    /// All machines of a region stand still, as after SIGSTOP.
    Pause(Pause),
    /// All machines of a region end, as after SIGKILL; clusters of federations may be started again.
    Kill(Kill),
    /// Connections of a workload are reset.
    Reset(Reset),
    /// Links are cut or degraded, or regions are down.
    Network(NetworkFault),
    /// Somebody ends such a fault.
    Recover(RecoverFault),
}

impl Fault {
    /// The kill, if it is one.
    pub fn kill(&self) -> Option<&Kill> {
        match self {
            Fault::Kill(kill) => Some(kill),
            _ => None,
        }
    }

    /// The fault of the network, if it is one that may strike at random.
    pub fn network(&self) -> Option<&NetworkFault> {
        match self {
            Fault::Network(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether it takes links down.
    pub fn cuts_links(&self) -> bool {
        match self {
            Fault::LinkDown(_) => true,
            Fault::Network(fault) => fault.effect.cuts_links(),
            Fault::Pause(_) | Fault::Kill(_) | Fault::Reset(_) | Fault::Recover(_) => false,
        }
    }
}

/// One TCP connection of a migration or transfer after another is reset at its sender, as by `ss --kill`; which one is
/// drawn at random among those that are open. The sender hears of it at once, the receiver when the RST arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reset {
    /// The migration or transfer.
    pub workload: String,
    /// When the first one is.
    pub at: Span,
    /// After every such time another one; none for no other.
    pub every: Option<Span>,
}

/// All machines of a region stand still: they take no input and wake late; their TCP goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// The region.
    pub region: String,
    /// When they stop.
    pub at: Span,
    /// After what time they go on; none for the rest of the run.
    pub duration: Option<Span>,
}

impl Pause {
    /// When they go on, if ever.
    pub fn end(&self) -> Option<Span> {
        self.duration.map(|duration| self.at.saturating_add(duration))
    }
}

/// All machines of a region end, and their migrations and transfers fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kill {
    /// The region.
    pub region: String,
    /// When.
    pub at: Span,
    /// After what time the clusters of federations there are started again, with what was durable; none for never.
    pub duration: Option<Span>,
}

impl Kill {
    /// When they are started again, if ever.
    pub fn end(&self) -> Option<Span> {
        self.duration.map(|duration| self.at.saturating_add(duration))
    }
}

/// A directed link that is down for a time: what is in it is lost, and so is what is sent over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkDown {
    /// Region at the link's sending end.
    pub from: String,
    /// Region at its receiving end.
    pub to: String,
    /// When it fails.
    pub at: Span,
    /// After what time it is back; none for the rest of the run.
    pub duration: Option<Span>,
}

impl LinkDown {
    /// The name of the link.
    pub fn link(&self) -> String {
        format!("{}->{}", self.from, self.to)
    }

    /// When the link is back, if ever.
    pub fn end(&self) -> Option<Span> {
        self.duration.map(|duration| self.at.saturating_add(duration))
    }
}
