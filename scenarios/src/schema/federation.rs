//! Federations of clusters.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_federation::Options;

use super::Tcp;

/// Clusters in several regions that keep their state in step and have a log in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Federation {
    /// Unique among all that moves.
    pub name: String,
    /// The regions in which there is a cluster, which bears the region's name.
    pub members: Vec<String>,
    /// Who is connected with whom.
    pub topology: FederationTopology,
    /// When the clusters begin.
    pub at: Span,
    /// How long clients update and command.
    pub duration: Span,
    /// What clients of each cluster do with its state, if anything.
    pub state: Option<StateLoad>,
    /// What they do with the log, if anything.
    pub commands: Option<CommandLoad>,
    /// How clusters work. The voters of the log are given by their place in `members`.
    pub settings: Options,
    /// The connections.
    pub tcp: Tcp,
}

impl Federation {
    /// Who is connected with whom, by their places in `members`, the lower one first.
    pub fn neighbours(&self) -> Vec<(usize, usize)> {
        let count = self.members.len();
        let hub = match &self.topology {
            FederationTopology::Star { hub } => self.members.iter().position(|member| member == hub),
            FederationTopology::Mesh | FederationTopology::Ring => None,
        };
        let all = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
        let connected = |&(one, other): &(usize, usize)| match self.topology {
            FederationTopology::Mesh => true,
            FederationTopology::Star { .. } => hub == Some(one) || hub == Some(other),
            FederationTopology::Ring => other - one == 1 || other - one == count - 1,
        };
        all.filter(connected).collect()
    }
}

/// Who is connected with whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FederationTopology {
    /// Everybody with everybody.
    Mesh,
    /// Everybody with one of them.
    Star {
        /// That one.
        hub: String,
    },
    /// Everybody with the next, and the last with the first.
    Ring,
}

/// Updates of the state, at each cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateLoad {
    /// Mean time between two of them.
    pub every: Span,
    /// How many keys there are.
    pub keys: u32,
    /// Whether all clusters write the same keys; otherwise each has its own.
    pub shared: bool,
    /// Size of a value.
    pub value: ByteSize,
    /// What share of its blocks of 4 KiB, or sixteenths, an update changes; at least one.
    pub changed: Probability,
    /// What share of the keys is hot.
    pub hot_keys: Probability,
    /// What share of the updates goes to hot keys.
    pub hot_updates: Probability,
    /// What share of the updates removes the key.
    pub removals: Probability,
    /// What goes first.
    pub priority: UpdatePriority,
}

/// What goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdatePriority {
    /// At once.
    High,
    /// With the next synchronisation.
    Normal,
    /// After the others.
    Low,
}

/// Commands to the log, at each cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandLoad {
    /// Mean time between two of them.
    pub every: Span,
    /// Size of a value.
    pub value: ByteSize,
    /// How many names there are.
    pub names: u32,
    /// What share of them are reads.
    pub reads: Probability,
}
