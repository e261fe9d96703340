//! From an overlay of the scenario to the configuration of its edges.
//!
//! Region number i (from 0, in the order of the scenario) has the addresses 10.(i / 256).(i mod 256).0/24, and machines
//! there are at its first one.

use core::net::{IpAddr, Ipv4Addr};

use longhaul_core::machine::PeerId;
use longhaul_net::routing::RegionId;
use longhaul_sdwan::{
    Config, FlowKey, Match, PathConfig, Policies, Policy, Prefix, Protocol, Redundancy, Routes, SiteId,
    TrafficClass,
};

use super::{End, FIRST_PATH};
use crate::run::cast::region_id;
use crate::schema::{Overlay, PathPolicy, Scenario, Selection};

/// The configuration of the edge in a region. `ends` are all path ends of the scenario.
pub fn edge(scenario: &Scenario, overlay: usize, region: RegionId, ends: &[End]) -> Config {
    let spec = &scenario.overlays[overlay];
    let own = (FIRST_PATH..)
        .map(PeerId)
        .zip(ends)
        .filter(|(_, end)| end.overlay == overlay && end.from == region);
    let own: Vec<(PeerId, &End)> = own.collect();
    let paths = own.iter().map(|(peer, end)| {
        let path = &spec.paths[end.path];
        PathConfig {
            peer: *peer,
            name: path.name.clone(),
            site: site(end.to),
            rate: path.rate,
            microdollars_per_gb: path.microdollars_per_gb,
        }
    });
    let sites = spec.sites().into_iter().map(|name| region_id(scenario, name));
    let routes = Routes::new(sites.map(|region| (prefix(region), site(region))));
    let mut config = Config::new(
        paths.collect(),
        routes.expect("regions have prefixes of their own"),
    );
    config.strangers = spec.discovery.is_some();
    config.probe = spec.probes;
    config.bfd = spec.bfd;
    config.bandwidth = spec.trains;
    // The driver tells when a connection is over.
    config.idle_timeout = None;
    match &spec.selection {
        Selection::InOrder { hold } => {
            for (_, end) in &own {
                let mut order = own
                    .iter()
                    .filter(|(_, other)| other.to == end.to)
                    .map(|(peer, _)| *peer);
                let primary = order.next().expect("at least this one");
                let redundancy = Redundancy::new(primary, order.collect(), *hold);
                let redundancy = redundancy.expect("the check counted the backups");
                config.redundancy.insert(site(end.to), redundancy);
            }
        }
        Selection::ByPolicy {
            policies,
            hysteresis,
            review,
        } => {
            if !policies.is_empty() {
                let policies = policies.iter().map(|it| policy(scenario, it)).collect();
                config.policies = Policies::new(policies).expect("the decoder read good policies");
            }
            config.hysteresis = *hysteresis;
            config.review = *review;
        }
    }
    config
}

/// What a connection is to the edges: its two ends, and the port of the one that accepted it, in both directions. The other
/// end's port tells connections apart.
pub fn flow_key(from: RegionId, to: RegionId, number: u32, port: u16, class: u8) -> FlowKey {
    /// The first ephemeral port of Linux, and how many there are (`net.ipv4.ip_local_port_range`).
    const EPHEMERAL: (u32, u32) = (32_768, 28_232);
    FlowKey {
        source: address(from),
        destination: address(to),
        protocol: Protocol::TCP,
        source_port: u16::try_from(EPHEMERAL.0 + number % EPHEMERAL.1).expect("below 61,000"),
        destination_port: port,
        class: traffic_class(class),
    }
}

/// The class of traffic with this `tcp.class`.
fn traffic_class(class: u8) -> Option<TrafficClass> {
    match class {
        1 => Some(TrafficClass::Critical),
        2 => Some(TrafficClass::Realtime),
        3 => Some(TrafficClass::Interactive),
        4 => Some(TrafficClass::Bulk),
        5 => Some(TrafficClass::BestEffort),
        _ => None,
    }
}

fn policy(scenario: &Scenario, policy: &PathPolicy) -> Policy {
    let block = |name: &Option<String>| name.as_ref().map(|name| prefix(region_id(scenario, name)));
    Policy {
        name: policy.name.clone(),
        priority: policy.priority,
        applies_to: Match {
            source: block(&policy.from),
            destination: block(&policy.to),
            destination_ports: policy.ports.map(|(first, last)| first..=last),
            class: policy.class,
            ..Match::default()
        },
        objective: policy.objective,
    }
}

/// The region as a site.
pub fn site(region: RegionId) -> SiteId {
    SiteId(region.0)
}

/// The addresses of a region.
pub fn prefix(region: RegionId) -> Prefix {
    let [_, _, high, low] = region.0.to_be_bytes();
    let block = IpAddr::V4(Ipv4Addr::new(10, high, low, 0));
    Prefix::new(block, 24).expect("24 bits of 32")
}

/// The address of its machines.
pub fn address(region: RegionId) -> IpAddr {
    let [_, _, high, low] = region.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, high, low, 1))
}

impl Overlay {
    /// Whether paths of it join two regions.
    pub fn joins(&self, one: &str, other: &str) -> bool {
        self.paths.iter().any(|path| path.joins(one, other))
    }
}
