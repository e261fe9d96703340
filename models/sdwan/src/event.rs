//! What an edge is told, and what it reports.

use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use serde::{Deserialize, Serialize};

use crate::address::{FlowKey, SiteId};
use crate::bfd::Diagnostic;
use crate::probe;
use crate::select::{NoPath, Why};

/// What an edge can be told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Find a path for a flow. One that is known stays on its path and counts as active; if it has none, it is
    /// tried again.
    Classify {
        /// The caller's number for the flow.
        flow: u64,
        /// What identifies it.
        key: FlowKey,
    },
    /// A flow is still there. Without this it is forgotten after the idle time.
    Active {
        /// Which one.
        flow: u64,
    },
    /// A flow is over.
    Ended {
        /// Which one.
        flow: u64,
    },
    /// All flows choose again, as if they were new.
    Reevaluate,
    /// Take a path out of service; the other end is told.
    Disable {
        /// Which one.
        path: PeerId,
    },
    /// Put a path into service again.
    Enable {
        /// Which one.
        path: PeerId,
    },
    /// Watch and use the paths to a site from now on. Nothing changes for one that is no stranger.
    Meet {
        /// Which one.
        site: SiteId,
    },
    /// Neither watch nor use them any more. The other end is not told.
    Part {
        /// From which one.
        site: SiteId,
    },
    /// Make a path the first in the fixed order of its site; the one that was first takes its place. Without such an order,
    /// or for a path that is not in it, nothing changes.
    Promote {
        /// Which one.
        path: PeerId,
    },
    /// End: forget all flows, say and answer nothing more. The other ends find the paths down.
    Stop,
}

/// Why a path went down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// Nothing was heard of the other end for the detection time.
    Silence {
        /// Since the last message of its session.
        silent_for: Span,
        /// What was agreed.
        detection_time: Span,
    },
    /// The other end told that it is down: it does not hear this one, or was taken down.
    Neighbour {
        /// What the session noted.
        diagnostic: Diagnostic,
    },
    /// So many probes in a row had no answer.
    MissedProbes {
        /// How many.
        missed: u32,
    },
    /// It was taken out of service here.
    Disabled,
    /// The site where it leads is not known any more.
    Stranger,
}

/// What is known of a path at the end of a reporting interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct PathReport {
    /// Which path.
    pub path: PeerId,
    /// Where it leads.
    pub site: SiteId,
    /// Whether it is up.
    pub up: bool,
    /// Mean round trip; `None` if no probe was answered in the window.
    pub rtt_mean: Option<Span>,
    /// Population standard deviation of the round trips.
    pub rtt_stddev: Option<Span>,
    /// RFC 3550's jitter of the round trips in nanoseconds.
    pub jitter_rfc3550_ns: Option<f64>,
    /// Share of the window's probes that were lost; `None` without an outcome.
    pub loss: Option<Probability>,
    /// The monitor score, 0 to 100.
    pub score: f64,
    /// The rate that trains have measured.
    pub measured_rate: Option<BitRate>,
    /// Flows on it.
    pub flows: u64,
    /// Its probes since the start.
    pub probes: probe::Counters,
}

/// What an edge reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A path is up.
    PathUp {
        /// Which one.
        path: PeerId,
        /// How long it was down; `None` for the first time.
        down_for: Option<Span>,
    },
    /// A path is down.
    PathDown {
        /// Which one.
        path: PeerId,
        /// Why.
        cause: Cause,
        /// How long it was up.
        up_for: Span,
    },
    /// A flow that was on no path is on one.
    Assigned {
        /// Which flow.
        flow: u64,
        /// Which path.
        path: PeerId,
        /// The place of its policy.
        policy: u32,
        /// Why.
        why: Why,
    },
    /// A flow goes another path from now on.
    Moved {
        /// Which flow.
        flow: u64,
        /// From which path.
        from: PeerId,
        /// To which path.
        to: PeerId,
        /// Why.
        why: Why,
    },
    /// There is no path for a flow. It stays in the table and is assigned when there is one, except if there is no route.
    NoPath {
        /// Which flow.
        flow: u64,
        /// Why.
        why: NoPath,
    },
    /// A site whose paths have a fixed order uses another one.
    Switched {
        /// Which site.
        site: SiteId,
        /// Until now; `None` if there was none.
        from: Option<PeerId>,
        /// From now on; `None` if none is up.
        to: Option<PeerId>,
        /// Why.
        why: Why,
    },
    /// A flow was silent for the idle time and is forgotten.
    Expired {
        /// Which flow.
        flow: u64,
    },
    /// A train has measured the rate of a path.
    Rate {
        /// Which path.
        path: PeerId,
        /// What this train has measured.
        rate: BitRate,
    },
    /// The figures of a path, each reporting interval. In a box, because all other events are small.
    Measured(Box<PathReport>),
}

/// What an edge has done since its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Times that the traffic of one policy to one site, or of a site with a fixed order, went to another path.
    pub switches: u64,
    /// Flows that went to another path.
    pub moved_flows: u64,
    /// Times that a path went down less than the hold time after it had come up.
    pub flaps: u64,
    /// Datagrams of its own, of all kinds.
    pub datagrams_sent: u64,
    /// Their bytes, without what the layers below add.
    pub bytes_sent: u64,
    /// Of these, bytes of trains.
    pub train_bytes_sent: u64,
    /// Probes sent. Those that are neither answered nor timed out are on their way.
    pub probes_sent: u64,
    /// Probes answered in time.
    pub probes_answered: u64,
    /// Probes not answered in time.
    pub probes_timed_out: u64,
    /// Probes of other edges that were echoed.
    pub probes_echoed: u64,
    /// Messages of BFD sent.
    pub control_sent: u64,
    /// Trains sent.
    pub trains_sent: u64,
    /// Datagrams that were no message or came from no peer.
    pub refused: u64,
}

impl Counters {
    /// What was done before and after a restart, together.
    #[must_use]
    pub fn plus(self, other: Counters) -> Counters {
        Counters {
            switches: self.switches + other.switches,
            moved_flows: self.moved_flows + other.moved_flows,
            flaps: self.flaps + other.flaps,
            datagrams_sent: self.datagrams_sent + other.datagrams_sent,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            train_bytes_sent: self.train_bytes_sent + other.train_bytes_sent,
            probes_sent: self.probes_sent + other.probes_sent,
            probes_answered: self.probes_answered + other.probes_answered,
            probes_timed_out: self.probes_timed_out + other.probes_timed_out,
            probes_echoed: self.probes_echoed + other.probes_echoed,
            control_sent: self.control_sent + other.control_sent,
            trains_sent: self.trains_sent + other.trains_sent,
            refused: self.refused + other.refused,
        }
    }
}
