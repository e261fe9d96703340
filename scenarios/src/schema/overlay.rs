//! Overlays: sites joined by several paths, with an edge at each that watches them and chooses.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
pub use longhaul_sdwan::score::{Objective as PathObjective, Weights as PathWeights};
pub use longhaul_sdwan::{Hysteresis, TrafficClass};
use longhaul_sdwan::{bandwidth, bfd, probe};
use longhaul_tunnel::{Control, IpVersion};

/// Sites joined by paths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlay {
    /// Unique among everything that moves.
    pub name: String,
    /// The paths, at least one; those between the same two sites stand in the order of preference.
    pub paths: Vec<OverlayPath>,
    /// Which path traffic takes.
    pub selection: Selection,
    /// How paths are probed.
    pub probes: probe::Config,
    /// How failures are detected faster than by probes.
    pub bfd: Option<bfd::Config>,
    /// How rates are measured.
    pub trains: Option<bandwidth::Config>,
    /// How the edges find each other; `None` if they know each other from the start.
    pub discovery: Option<SiteDiscovery>,
    /// A decision counts as wrong if another path would have had more points than the chosen one by over this many.
    pub wrong_by: u8,
}

/// How the edges of an overlay find each other: by signed announcements; see [`longhaul_sdwan::announcer`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteDiscovery {
    /// The sites that pass announcements on, at least one.
    pub hubs: Vec<String>,
    /// How often each site announces itself.
    pub interval: Span,
    /// A site that is silent for longer is forgotten.
    pub timeout: Span,
    /// The greatest age of an announcement that is believed.
    pub skew: Span,
    /// Sites that sign with another key than the others know.
    pub wrong_keys: Vec<String>,
}

/// A path between two sites, in both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverlayPath {
    /// Unique among the paths between the same two sites.
    pub name: String,
    /// The two regions.
    pub ends: (String, String),
    /// The regions between them, in order; `None` goes where the routers lead.
    pub via: Option<Vec<String>>,
    /// What its packets are wrapped in.
    pub tunnel: Option<PathTunnel>,
    /// Its rate, if the edges are to know it before they have measured it.
    pub rate: Option<BitRate>,
    /// Its price in millionths of a dollar for each 10^9 bytes, for policies that look at it.
    pub microdollars_per_gb: Option<u64>,
}

/// A tunnel of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathTunnel {
    /// Version of the outer IP.
    pub outer: IpVersion,
    /// Its kind, with its options.
    pub control: Control,
    /// How it finds out how long packets may be; `None` if it knows from the start.
    pub path_mtu: Option<PathMtuSearch>,
}

/// Path MTU discovery by RFC 8899; see [`longhaul_tunnel::path_mtu::PathMtuConfig`]. Sizes are those of the outer packets in
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtuSearch {
    /// MIN_PLPMTU.
    pub min: u32,
    /// BASE_PLPMTU.
    pub base: u32,
    /// MAX_PLPMTU; `None` for the MTU of the first link.
    pub max: Option<u32>,
    /// PROBE_TIMER.
    pub probe_timer: Span,
    /// MAX_PROBES.
    pub max_probes: u32,
    /// PMTU_RAISE_TIMER.
    pub raise_timer: Span,
    /// CONFIRMATION_TIMER.
    pub confirmation_timer: Option<Span>,
}

/// Which path traffic takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// The first one that is up; one that has been down is come back to after it has been up for `hold`.
    InOrder {
        /// Above zero.
        hold: Span,
    },
    /// The best one by the policy that applies to a flow.
    ByPolicy {
        /// In any order; [`longhaul_sdwan::Policies`] sorts them. Empty for its defaults.
        policies: Vec<PathPolicy>,
        /// When a path is left and when it is come back to; without it, the best one of the moment is taken.
        hysteresis: Option<Hysteresis>,
        /// How often it is looked for better paths.
        review: Span,
    },
}

/// What some traffic wants of its path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathPolicy {
    /// Unique.
    pub name: String,
    /// The lowest number is asked first.
    pub priority: u32,
    /// Region of the sender.
    pub from: Option<String>,
    /// Region of the receiver.
    pub to: Option<String>,
    /// The receiver's ports, first and last.
    pub ports: Option<(u16, u16)>,
    /// The class of the traffic.
    pub class: Option<TrafficClass>,
    /// What it wants.
    pub objective: PathObjective,
}

impl Overlay {
    /// The regions that have an edge, in the order in which the paths name them.
    pub fn sites(&self) -> Vec<&str> {
        let mut sites = Vec::new();
        for path in &self.paths {
            for end in [path.ends.0.as_str(), path.ends.1.as_str()] {
                if !sites.contains(&end) {
                    sites.push(end);
                }
            }
        }
        sites
    }

    /// The two ends of each pair of sites that paths join, each pair once, as the first path between them has it.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for path in &self.paths {
            let (one, other) = (path.ends.0.as_str(), path.ends.1.as_str());
            if !pairs.contains(&(one, other)) && !pairs.contains(&(other, one)) {
                pairs.push((one, other));
            }
        }
        pairs
    }
}

impl OverlayPath {
    /// The links that it is laid over, as (from, to), from the first end to the second; none if it goes where the routers
    /// lead.
    pub fn hops(&self) -> Vec<(&str, &str)> {
        let Some(via) = &self.via else { return Vec::new() };
        let starts = std::iter::once(&self.ends.0).chain(via);
        let ends = via.iter().chain(std::iter::once(&self.ends.1));
        starts
            .zip(ends)
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .collect()
    }

    /// Whether it joins these two regions, in either order.
    pub fn joins(&self, one: &str, other: &str) -> bool {
        let (from, to) = (self.ends.0.as_str(), self.ends.1.as_str());
        (from, to) == (one, other) || (from, to) == (other, one)
    }
}
