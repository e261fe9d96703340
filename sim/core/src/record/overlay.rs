//! Records of overlays.

use serde::{Deserialize, Serialize};

/// An overlay: sites joined by several paths, with an edge at each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OverlayRecord {
    /// Name.
    pub name: String,
    /// The edges, in the order in which the paths name their regions.
    pub edges: Vec<EdgeRecord>,
    /// The paths, in each direction: first from the first of the two regions that the scenario names.
    pub paths: Vec<PathRecord>,
    /// Traffic that went to another path, in order.
    pub switches: Vec<SwitchRecord>,
    /// Samples in which a flow was on a path while some path worked: of every flow, at every sample of the time series.
    pub decision_samples: u64,
    /// Of these, those in which its path was down, or another had more points by over the overlay's `wrong_by`.
    pub wrong_decision_samples: u64,
}

/// An edge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// Its region.
    pub region: String,
    /// Times that traffic of one policy to one site, or to a site with a fixed order of paths, went to another path.
    pub switches: u64,
    /// Flows that went to another path.
    pub moved_flows: u64,
    /// Times that a path went down less than the hold time after it had come up.
    pub flaps: u64,
    /// Probes sent.
    pub probes_sent: u64,
    /// BFD messages sent.
    pub control_sent: u64,
    /// Packet trains sent.
    pub trains_sent: u64,
    /// Bytes of all its datagrams, without headers.
    pub bytes_sent: u64,
    /// Of these, bytes of trains.
    pub train_bytes_sent: u64,
    /// How it found the other sites, if it did not know them from the start.
    pub discovery: Option<DiscoveryRecord>,
}

/// How an edge has found the other sites.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiscoveryRecord {
    /// Announcements of its own that were sent, to each receiver.
    pub announced: u64,
    /// Those of others that were passed on.
    pub relayed: u64,
    /// Bytes of both, without headers.
    pub bytes_sent: u64,
    /// Announcements that were believed.
    pub believed: u64,
    /// Copies of the last one of their site.
    pub duplicates: u64,
    /// Refused: no announcements.
    pub refused_malformed: u64,
    /// Refused: of a site whose key is not known.
    pub refused_unknown: u64,
    /// Refused: not signed with the key of the site.
    pub refused_signature: u64,
    /// Refused: issued too long ago or in the future.
    pub refused_time: u64,
    /// Refused: older than the last one of the site.
    pub refused_replayed: u64,
    /// Times that a site was silent for too long and was forgotten.
    pub expired: u64,
    /// Sites that it knows at the end.
    pub sites_known: u64,
    /// Whether it signs with the key that others know.
    pub believed_by_others: bool,
    /// When it first knew all whom it can know.
    pub complete_ns: Option<u64>,
}

impl DiscoveryRecord {
    /// All announcements that were refused.
    pub fn refused(&self) -> u64 {
        self.refused_malformed
            + self.refused_unknown
            + self.refused_signature
            + self.refused_time
            + self.refused_replayed
    }
}

/// A path in one direction, as the edge at its start sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PathRecord {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// How long it was up.
    pub up_ns: u64,
    /// How often it went down.
    pub downs: u64,
    /// Mean round trip of the probes in the last report.
    pub rtt_mean_ns: Option<u64>,
    /// Their population standard deviation.
    pub rtt_stddev_ns: Option<u64>,
    /// RFC 3550's interarrival jitter of the round trips.
    pub jitter_ns: Option<u64>,
    /// Share of the probes that were lost, in parts of 10^12.
    pub probe_loss_parts: Option<u64>,
    /// The monitor score in thousandths of a point.
    pub score_millis: Option<u64>,
    /// What packet trains have measured, in bit/s.
    pub measured_bits_per_s: Option<u64>,
    /// The tunnel at the start, if its packets are wrapped.
    pub tunnel: Option<TunnelRecord>,
    /// What was found of its MTU, if that is searched for.
    pub path_mtu: Option<PathMtuRecord>,
}

/// The end of a tunnel from which a path starts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TunnelRecord {
    /// When packets could first be sent.
    pub established_ns: Option<u64>,
    /// How often it went down.
    pub downs: u64,
    /// Renewals of keys.
    pub rekeys: u64,
    /// Messages of handshakes that were sent again.
    pub retransmissions: u64,
    /// Handshakes that were given up.
    pub failures: u64,
    /// Datagrams that were no message of it.
    pub refused: u64,
}

/// What a path MTU discovery (RFC 8899) at the start of a path has found. Sizes are those of whole IP packets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PathMtuRecord {
    /// The longest packet on the links at the end (PLPMTU).
    pub plpmtu_bytes: u64,
    /// The longest packet inside the tunnel at the end.
    pub inner_mtu_bytes: u64,
    /// When it was found first.
    pub found_ns: Option<u64>,
    /// Searches that came to an end.
    pub searches: u64,
    /// Probes sent, repeated ones included.
    pub probes_sent: u64,
    /// Sizes that passed, those that only confirmed what was known not counted.
    pub sizes_passed: u64,
    /// Sizes of which every probe was lost.
    pub sizes_lost: u64,
    /// Times that the size in use did not pass any more.
    pub black_holes: u64,
    /// Times that not even the base passed.
    pub base_losses: u64,
    /// Datagrams that were no message of it.
    pub refused: u64,
}

/// Flows that went from one path to another, all those of an edge and a moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchRecord {
    /// Region of the edge.
    pub from: String,
    /// The site where the paths lead.
    pub to: String,
    /// The path that was left.
    pub old_path: String,
    /// The path that was taken.
    pub new_path: String,
    /// Why, in a word.
    pub why: String,
    /// How many flows.
    pub flows: u64,
    /// When.
    pub at_ns: u64,
    /// From the failure of a link of the old path to this edge's knowing of it.
    pub detection_ns: Option<u64>,
    /// From the failure to the switch.
    pub decision_ns: Option<u64>,
    /// From the failure, or the switch if none was the reason, to the first payload that arrived by the new path.
    pub first_byte_ns: Option<u64>,
}
