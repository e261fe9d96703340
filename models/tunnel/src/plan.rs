//! Which tunnels there are between which regions.
//!
//! There is one tunnel for each pair of regions, whichever end asks first; its name keeps the order of that request.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use thiserror::Error;

use crate::config::{Config, ConfigError, Control, Role};
use crate::overhead::IpVersion;
use crate::tunnel::Tunnel;

/// The name of the tunnel that `from` opens to `to`.
pub fn tunnel_name(from: &str, to: &str) -> String {
    format!("tunnel-{from}-{to}")
}

/// Why a tunnel is not planned.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PlanError {
    /// A region has nothing at which a tunnel could end.
    #[error("region \"{0}\" has no tunnel endpoint")]
    NoEndpoint(String),
    /// Both ends would be in one region.
    #[error("a tunnel from region \"{0}\" to itself")]
    SameRegion(String),
    /// The names of other regions give the same name: "a" to "b-c" and "a-b" to "c".
    #[error("another tunnel is named \"{0}\"")]
    NameTaken(String),
    /// There is no such tunnel.
    #[error("no tunnel is named \"{0}\"")]
    UnknownTunnel(String),
    /// The configuration is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A tunnel between two regions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The region that opens it.
    pub from: String,
    /// The region that it leads to.
    pub to: String,
    /// Version of the outer IP.
    pub outer: IpVersion,
    /// Kind of tunnel.
    pub control: Control,
}

impl Entry {
    /// The tunnel's name.
    pub fn name(&self) -> String {
        tunnel_name(&self.from, &self.to)
    }

    /// The machines of the two ends, the opening one first, each with random numbers of its own. `peers` are the
    /// addresses at which they stand, in the same order; each end of each tunnel has one to itself.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn ends(&self, peers: [PeerId; 2], streams: &Streams) -> Result<[Tunnel; 2], ConfigError> {
        let end = |role, region: &str, peer| {
            let random = streams.stream(&format!("{}@{region}", self.name()), "tunnel");
            Tunnel::new(self.config(role), peer, random)
        };
        Ok([
            end(Role::Initiator, &self.from, peers[1])?,
            end(Role::Responder, &self.to, peers[0])?,
        ])
    }

    /// The configuration of one end.
    fn config(&self, role: Role) -> Config {
        Config {
            name: self.name(),
            outer: self.outer,
            role,
            control: self.control,
        }
    }
}

/// The regions at which tunnels can end, and the tunnels between them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    endpoints: BTreeSet<String>,
    /// By the regions in the order of their names.
    tunnels: BTreeMap<(String, String), Entry>,
}

impl Plan {
    /// Nothing yet.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Gives a region an endpoint. Whether it had none.
    pub fn add_endpoint(&mut self, region: &str) -> bool {
        self.endpoints.insert(region.to_owned())
    }

    /// Plans a tunnel. If there is one between the two regions, in either direction, it stays as it is.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn establish(&mut self, entry: Entry) -> Result<&Entry, PlanError> {
        for region in [&entry.from, &entry.to] {
            if !self.endpoints.contains(region) {
                return Err(PlanError::NoEndpoint(region.clone()));
            }
        }
        if entry.from == entry.to {
            return Err(PlanError::SameRegion(entry.from));
        }
        entry.config(Role::Initiator).check()?;
        let mut pair = [entry.from.clone(), entry.to.clone()];
        pair.sort();
        let [first, second] = pair;
        let pair = (first, second);
        let name = entry.name();
        let others = self.tunnels.iter().filter(|(known, _)| **known != pair);
        if others.into_iter().any(|(_, other)| other.name() == name) {
            return Err(PlanError::NameTaken(name));
        }
        Ok(self.tunnels.entry(pair).or_insert(entry))
    }

    /// Strikes a tunnel out. The driver tells its ends with [`Command::Teardown`](crate::Command::Teardown).
    ///
    /// # Errors
    /// [`PlanError::UnknownTunnel`]
    pub fn teardown(&mut self, name: &str) -> Result<Entry, PlanError> {
        let found = self.tunnels.iter().find(|(_, entry)| entry.name() == name);
        let pair = found.map(|(pair, _)| pair.clone());
        pair.and_then(|pair| self.tunnels.remove(&pair))
            .ok_or_else(|| PlanError::UnknownTunnel(name.to_owned()))
    }

    /// All tunnels, in the order of the pairs of their regions.
    pub fn tunnels(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.tunnels.values()
    }
}
