//! What a replay measured. Everything is data with a JSON form: in a virtual machine it is what comes out of the
//! guest, on the host it is what the executor returns, and all that comes after works from it alone.

use std::collections::BTreeMap;

use longhaul_core::machine::PeerId;
use longhaul_core::record::Ended;
use serde::{Deserialize, Serialize};

/// Version of this form.
pub const OUTCOME_FORMAT: u32 = 1;

/// A replay: some replications of a scenario on one kernel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// [`OUTCOME_FORMAT`].
    pub format: u32,
    /// `uname -sr` of the kernel that replayed.
    pub kernel: String,
    /// In order of their numbers.
    pub replications: Vec<Replication>,
}

/// One run of the scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Replication {
    /// From 0; the scenario's seed plus this is the seed of the machines.
    pub number: u32,
    /// How it ended.
    pub ended: Ended,
    /// What the machines reported, in the order in which the coordinator heard it.
    pub events: Vec<MachineEvent>,
    /// [`Endpoint::summary`](crate::Endpoint::summary) of each machine, by peer.
    pub summaries: BTreeMap<u32, serde_json::Value>,
    /// TCP's counters of each machine's connections, by peer.
    pub tcp: BTreeMap<u32, TcpCounters>,
    /// Each directed link, in the order of the plan.
    pub links: Vec<LinkCounters>,
    /// What was to change, and when it did.
    pub timeline: Vec<StepDone>,
    /// What the health gate judges.
    pub health: Vitals,
    /// The tape of each machine, by peer, if tapes were asked for.
    pub tapes: BTreeMap<u32, String>,
}

impl Replication {
    /// One of which nothing is known yet; until it is, it runs to the horizon.
    pub fn new(number: u32) -> Replication {
        Replication {
            number,
            ended: Ended::Horizon,
            events: Vec::new(),
            summaries: BTreeMap::new(),
            tcp: BTreeMap::new(),
            links: Vec::new(),
            timeline: Vec::new(),
            health: Vitals::default(),
            tapes: BTreeMap::new(),
        }
    }
}

/// What a machine reported.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MachineEvent {
    /// Time since the start of the replication.
    pub at_ns: u64,
    /// Which machine.
    pub peer: PeerId,
    /// Its event.
    pub event: serde_json::Value,
}

/// Segments that a machine's connections have sent (`TCP_INFO`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TcpCounters {
    /// All.
    pub segments: u64,
    /// Again.
    pub retransmits: u64,
}

/// What the queueing disciplines of a directed link counted (`tc -s qdisc`), shaped traffic only.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LinkCounters {
    /// `from->to`.
    pub name: String,
    /// Bytes of whole frames that left.
    pub sent_bytes: u64,
    /// Frames that left.
    pub sent_packets: u64,
    /// Dropped where the loss law is.
    pub dropped_by_law: u64,
    /// Dropped where the queue is. `None` if the kernel counts both at the same place.
    pub dropped_by_queue: Option<u64>,
    /// Lost because the link failed: what was in its disciplines then, and what came until it was back.
    #[serde(default)]
    pub lost_down: u64,
}

/// A step of the timeline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepDone {
    /// In words: `a->b down`.
    pub what: String,
    /// When the scenario wants it, since the start.
    pub planned_ns: u64,
    /// When it began.
    pub begun_ns: u64,
    /// When it was done.
    pub done_ns: u64,
}

/// Measurements of the replay itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// What the topology carries without shaping, along the busiest path, in bit/s. Measured once per outcome.
    pub ceiling_bits_per_s: Option<u64>,
    /// Devices on which an offload is on after it was switched off: `namespace/device: feature`.
    pub offloads_on: Vec<String>,
    /// The latest that a machine was woken after the time it asked for.
    pub latest_wake_ns: u64,
    /// Share of the processors' time that was not idle, from start to end, in [0, 1].
    pub busy_share: Option<f64>,
}
