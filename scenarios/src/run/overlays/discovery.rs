//! How the edges of an overlay find each other: their keys, their hubs, and what comes of it.
//!
//! Announcements go from edge to edge by the routers' own ways, not over the paths: those are not used before.

use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::record::DiscoveryRecord;
use longhaul_core::time::Instant;
use longhaul_sdwan::discovery::{self, Endpoint, public_key};
use longhaul_sdwan::{AnnouncerConfig, DiscoveryCounters, DiscoveryEvent, SiteId};
use serde_json::{Value, json};

use super::config::{address, prefix, site};
use crate::run::cast::{Cast, Role, Workload, region_id};
use crate::schema::Scenario;

/// Where edges take in each other's announcements: WireGuard's port.
const PORT: u16 = 51_820;

/// What an edge announces and whom it believes.
#[derive(Clone, Debug)]
pub struct Acquaintance {
    /// How it announces itself.
    pub config: AnnouncerConfig,
    /// The keys of the others.
    pub keys: Vec<(SiteId, [u8; 32])>,
    /// How many sites it will know in the end; `None` if nobody believes it, so that it hears of nobody.
    pub expected: Option<usize>,
}

/// Bytes that belong to a site and a purpose.
fn secret(streams: &Streams, overlay: &str, region: &str, what: &str) -> [u8; 32] {
    let mut stream = streams.stream(&format!("{overlay}/{region}"), what);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&stream.u64().to_le_bytes());
    }
    bytes
}

/// How the edge at a place of an overlay finds the others, if it does not know them from the start.
pub(super) fn acquaintance(
    scenario: &Scenario,
    cast: &Cast,
    streams: &Streams,
    overlay: usize,
    place: u32,
) -> Option<Acquaintance> {
    let spec = &scenario.overlays[overlay];
    let discovery = spec.discovery.as_ref()?;
    let sites = spec.sites();
    let own = sites[place as usize];
    let peer = |place: usize| cast.peer(Workload::Overlay(overlay), Role::Edge(place as u32));
    let others = || sites.iter().enumerate().filter(|(_, name)| **name != own);
    let id = |name: &str| site(region_id(scenario, name));
    let key = |name: &str, what: &str| secret(streams, &spec.name, name, what);
    let is_hub = |name: &str| discovery.hubs.iter().any(|hub| hub == name);
    let wrong = |name: &str| discovery.wrong_keys.iter().any(|other| other == name);
    let hubs: Vec<PeerId> = others()
        .filter(|(_, name)| is_hub(name))
        .map(|(place, _)| peer(place))
        .collect();
    let region = region_id(scenario, own);
    let config = AnnouncerConfig {
        site: site(region),
        key: if wrong(own) {
            key(own, "another signing key")
        } else {
            key(own, "signing key")
        },
        tunnel_key: public_key(&key(own, "tunnel key")),
        endpoints: vec![Endpoint {
            name: "edge".to_owned(),
            address: address(region),
            port: PORT,
        }],
        prefixes: vec![prefix(region)],
        interval: discovery.interval,
        hubs,
        relays: is_hub(own),
        addresses: others().map(|(place, name)| (id(name), peer(place))).collect(),
        directory: discovery::Config {
            timeout: discovery.timeout,
            skew: discovery.skew,
        },
    };
    let keys = others().map(|(_, name)| (id(name), public_key(&key(name, "signing key"))));
    let expected = others().filter(|(_, name)| !wrong(name)).count();
    Some(Acquaintance {
        config,
        keys: keys.collect(),
        expected: (!wrong(own)).then_some(expected),
    })
}

/// What has come of it at one edge.
pub(super) fn record(
    counters: &DiscoveryCounters,
    known: usize,
    complete_at: Option<Instant>,
    expects: bool,
) -> DiscoveryRecord {
    DiscoveryRecord {
        announced: counters.announced,
        relayed: counters.relayed,
        bytes_sent: counters.bytes_sent,
        believed: counters.believed,
        duplicates: counters.duplicates,
        refused_malformed: counters.malformed,
        refused_unknown: counters.unknown,
        refused_signature: counters.signature,
        refused_time: counters.time,
        refused_replayed: counters.replayed,
        expired: counters.expired,
        sites_known: known as u64,
        believed_by_others: expects,
        complete_ns: complete_at.map(Instant::as_ns),
    }
}

/// The detail of an event as records have it: with the names of sites.
pub fn detail(scenario: &Scenario, event: &DiscoveryEvent) -> Value {
    use discovery::Refused;
    let name = |site: SiteId| {
        let region = scenario.regions.get(site.0 as usize);
        region.map_or("?", |region| region.name.as_str())
    };
    match event {
        DiscoveryEvent::Joined { site }
        | DiscoveryEvent::Changed { site }
        | DiscoveryEvent::Expired { site } => json!({ "site": name(*site) }),
        DiscoveryEvent::Refused { reason } => match reason {
            Refused::Malformed => json!({ "reason": "Malformed" }),
            Refused::Unknown(site) => json!({ "reason": "Unknown", "site": name(*site) }),
            Refused::Signature(site) => json!({ "reason": "Signature", "site": name(*site) }),
            Refused::Replayed(site) => json!({ "reason": "Replayed", "site": name(*site) }),
            Refused::Time { site, issued_at } => {
                json!({ "reason": "Time", "site": name(*site), "issued_at": issued_at.as_ns() })
            }
        },
    }
}
