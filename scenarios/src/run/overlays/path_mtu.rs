//! Path MTU discovery of tunnels: its machines, which live in the kernels of the regions beside those of the tunnels, and what
//! they make of the tunnel.
//!
//! Probes go the way of the tunnel's control messages, bare, so that their size is that of a packet on the links. What
//! they find is the size of the outer packets; inside there is room for the rest.

use longhaul_core::machine::PeerId;
use longhaul_core::record::PathMtuRecord;
use longhaul_core::time::Instant;
use longhaul_net::network::{SocketId, segment_payload};
use longhaul_net::routing::RegionId;
use longhaul_net::way::{Encapsulation, Way};
use longhaul_tunnel::path_mtu::{PathMtu, PathMtuConfig, PathMtuEvent};

use super::{Overlays, ends, links_of, reversed, tunnels};
use crate::run::build::BuildError;
use crate::run::endpoint;
use crate::run::machines::Maker;
use crate::schema::{OverlayPath, PathMtuSearch, PathTunnel, Scenario};

/// The number of the first end of a path that is probed for its MTU among peers.
pub const FIRST_PROBED: u32 = 1 << 28;

impl Maker<'_> {
    /// The machine that finds the MTU of the path from a path end.
    pub(in crate::run) fn path_mtu(&self, end: u32) -> Result<endpoint::Protocol, BuildError> {
        let scenario = self.scenario;
        let of = &ends(scenario)[end as usize];
        let overlay = &scenario.overlays[of.overlay];
        let path = &overlay.paths[of.path];
        let (tunnel, search) = path.search().expect("only such paths have these machines");
        let there = links_of(scenario, self.graph(), path);
        let links = if end.is_multiple_of(2) {
            there
        } else {
            reversed(scenario, &there)
        };
        let interface = links.first().map(|link| scenario.links[link.0 as usize].mtu);
        let config = PathMtuConfig {
            version: tunnel.outer,
            searches: true,
            min: search.min,
            base: search.base,
            // More than the interface takes would be lost at once.
            max: search.max.or(interface).unwrap_or(search.base).max(search.base),
            probe_timer: search.probe_timer,
            max_probes: search.max_probes,
            raise_timer: search.raise_timer,
            confirmation_timer: search.confirmation_timer,
        };
        PathMtu::new(config, PeerId(FIRST_PROBED + end))
            .map(|machine| endpoint::Protocol::PathMtu(Box::new(machine)))
            .map_err(|error| BuildError::Overlay {
                overlay: overlay.name.clone(),
                reason: error.to_string(),
            })
    }
}

/// The end of a path that is probed for its MTU.
pub(super) struct ProbedEnd {
    pub(super) machine: PeerId,
    /// Where its probes and acknowledgements leave.
    pub(super) socket: SocketId,
    pub(super) record: PathMtuRecord,
}

impl ProbedEnd {
    pub(super) fn new(machine: PeerId, socket: SocketId, plpmtu: u32, inner: u32) -> ProbedEnd {
        ProbedEnd {
            machine,
            socket,
            record: PathMtuRecord {
                plpmtu_bytes: plpmtu.into(),
                inner_mtu_bytes: inner.into(),
                ..PathMtuRecord::default()
            },
        }
    }
}

impl Overlays {
    /// Follows what the search at a path end reports: what the tunnel's way wraps packets in from now on, and the longest that
    /// it takes in, if they have changed.
    pub fn observe_path_mtu(
        &mut self,
        now: Instant,
        number: u32,
        tunnel: &PathTunnel,
        event: &PathMtuEvent,
    ) -> Option<(Way, Encapsulation, u32)> {
        let end = &mut self.ends[number as usize];
        let probed = end.probed.as_mut().expect("a path that is probed");
        let record = &mut probed.record;
        match event {
            PathMtuEvent::Passed { .. } => record.sizes_passed += 1,
            PathMtuEvent::Lost { .. } => record.sizes_lost += 1,
            PathMtuEvent::Found { .. } => {
                record.found_ns.get_or_insert(now.as_ns());
                record.searches += 1;
            }
            PathMtuEvent::BlackHole { .. } => record.black_holes += 1,
            PathMtuEvent::BaseLost => record.base_losses += 1,
            PathMtuEvent::Refused => record.refused += 1,
            PathMtuEvent::Changed { to, .. } => {
                let (encapsulation, inner) =
                    tunnels::exactly(tunnel, *to).expect("the least size has room for a tunnel");
                record.plpmtu_bytes = (*to).into();
                record.inner_mtu_bytes = inner.into();
                end.mtu = Some(inner);
                let (way, pair) = (end.way, (end.end.from, end.end.to));
                self.note_segments(pair);
                return Some((way, encapsulation, inner));
            }
        }
        None
    }

    /// The machines that search for the MTU of the paths of an overlay, in the order of the path ends.
    pub fn probers(&self, overlay: usize) -> impl Iterator<Item = PeerId> + '_ {
        let own = self.ends.iter().filter(move |end| end.end.overlay == overlay);
        own.filter_map(|end| Some(end.probed.as_ref()?.machine))
    }

    /// The tunnel at a path end.
    ///
    /// # Panics
    /// If it has none.
    pub fn tunnel_of(&self, scenario: &Scenario, number: u32) -> PathTunnel {
        let end = &self.ends[number as usize].end;
        let tunnel = scenario.overlays[end.overlay].paths[end.path].tunnel;
        tunnel.expect("a path with a tunnel")
    }

    /// Works out anew how long segments between two regions may be.
    pub(super) fn note_segments(&mut self, pair: (RegionId, RegionId)) {
        let own = self.ends.iter().filter(|end| (end.end.from, end.end.to) == pair);
        let longest = own.map(|end| end.mtu.map_or(u32::MAX, segment_payload)).min();
        self.segments.insert(pair, longest.unwrap_or(u32::MAX));
    }
}

impl OverlayPath {
    /// Its tunnel, and how the MTU of that is searched for, if it is.
    pub fn search(&self) -> Option<(&PathTunnel, &PathMtuSearch)> {
        let tunnel = self.tunnel.as_ref()?;
        Some((tunnel, tunnel.path_mtu.as_ref()?))
    }
}
