//! The scenarios that come with the program.

use std::path::PathBuf;

use crate::diagnose::Sink;
use crate::source::Source;
use crate::suggest;
use crate::syntax::{self, Node};

/// A scenario of the library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How it is called: its path in the library without the ending.
    pub name: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

macro_rules! entries {
    ($($name:literal),* $(,)?) => {
        &[$(Entry { name: $name, text: include_str!(concat!("../", $name, ".ron")) }),*]
    };
}

/// Every scenario of the library, by name.
const ENTRIES: &[Entry] = entries![
    "aws_triangle",
    "bandwidth_constrained",
    "cross_region",
    "disaster_recovery",
    "first",
    "high_latency",
    "legacy/bandwidth_constrained",
    "legacy/cross_region",
    "legacy/high_latency",
    "legacy/packet_loss",
    "packet_loss",
    "reference/aws_64_streams",
    "reference/fairness_cubic",
    "reference/fairness_reno",
    "reference/migration_clark",
    "reference/migration_mmuncher",
    "reference/migration_multifd",
    "reference/migration_osic",
    "reference/migration_xbzrle",
    "reference/one_percent_loss",
    "reference/pantheon_china",
    "reference/pantheon_colombia",
    "reference/pantheon_india",
    "reference/pantheon_mexico",
    "reference/pantheon_mexico_wired",
    "reference/pantheon_nepal",
    "reference/rtt_unfairness_cubic",
    "reference/rtt_unfairness_reno",
    "replay/bursts_eight",
    "replay/lossy_bbr",
    "replay/lossy_cubic",
    "replay/lossy_reno",
    "replay/metro_reno",
    "replay/migration",
    "replay/ocean_cubic",
    "replay/paced_bbr",
    "replay/pacific_four",
    "replay/shallow_queue",
    "replay/small_object",
    "smoke/aborted_drill",
    "smoke/active_queues",
    "smoke/auto_converge",
    "smoke/black_hole_dns",
    "smoke/bulk_cubic_loss",
    "smoke/bulk_reno",
    "smoke/burst_loss",
    "smoke/cancelled",
    "smoke/controlled_routes",
    "smoke/dirty_limit",
    "smoke/encoding_cost",
    "smoke/engineered",
    "smoke/federation_partition",
    "smoke/federation_steady",
    "smoke/four_patterns",
    "smoke/gray_link",
    "smoke/hybrid",
    "smoke/link_failure",
    "smoke/long_haul_flows",
    "smoke/migration_diverges",
    "smoke/migration_real",
    "smoke/migration_sampled",
    "smoke/multi_hop",
    "smoke/multi_stream",
    "smoke/path_failover",
    "smoke/path_mtu",
    "smoke/postcopy",
    "smoke/postcopy_recovery",
    "smoke/raft_leader_loss",
    "smoke/reads_and_writes",
    "smoke/region_evacuation",
    "smoke/replication",
    "smoke/restless_link",
    "smoke/retry_storm",
    "smoke/shared_risk",
    "smoke/site_discovery",
    "smoke/skewed_clock",
    "smoke/slow_disk",
    "smoke/stalled_reader",
    "smoke/there_and_back",
    "smoke/tiny_queue",
    "smoke/traffic_classes",
    "smoke/tunnels",
    "smoke/xbzrle",
];

/// Every scenario of the library, by name.
pub fn list() -> &'static [Entry] {
    ENTRIES
}

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// The name that this one most resembles.
pub fn nearest(name: &str) -> Option<&'static str> {
    suggest::nearest(name, ENTRIES.iter().map(|entry| entry.name))
}

impl Entry {
    /// Its text under the name of its file in the project.
    pub fn source(&self) -> Source {
        Source {
            name: format!("scenarios/{}.ron", self.name),
            text: self.text.to_owned(),
            base_dir: PathBuf::new(),
        }
    }

    /// The question that it asks, as its file has it.
    ///
    /// # Panics
    /// If the file has none; a test reads them all.
    pub fn question(&self) -> String {
        let tree = syntax::parse(self.text, 0, 0, &mut Sink::default());
        let question = tree
            .as_ref()
            .and_then(|root| root.field("question"))
            .and_then(Node::text);
        question
            .expect("every scenario of the library has a question")
            .to_owned()
    }
}
