//! The scenario, resolved: every default written out, every reference by name, every quantity an integer.
//!
//! This is what `show` prints, what the run directory keeps and what [`crate::run`] executes. The text forms
//! are in [`longhaul_core::text`]; the grammar and the defaults are in [`crate::decode`]. Laws that need nothing
//! but numbers are the network's own types.

mod abort;
mod assertion;
mod chaos;
mod datagrams;
mod demand;
mod fault;
mod federation;
mod guest;
mod migration;
mod network;
mod overlay;
mod replay;
mod replication;
mod reservation;
mod service;
mod transfer;
mod transport;

use longhaul_core::random::{Seeds, Source};
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
pub use longhaul_frames::PayloadMode;
use serde::{Deserialize, Serialize};

pub use abort::*;
pub use assertion::*;
pub use chaos::*;
pub use datagrams::*;
pub use demand::*;
pub use fault::*;
pub use federation::*;
pub use guest::*;
pub use migration::*;
pub use network::*;
pub use overlay::*;
pub use replay::*;
pub use replication::*;
pub use reservation::*;
pub use service::*;
pub use transfer::*;
pub use transport::*;

/// Version of the scenario language.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// Short name; names the run directory. Letters, digits, `_` and `-`.
    pub name: String,
    /// What the scenario asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// Root of all random streams.
    pub seed: u64,
    /// Roots of the streams of single sources, in place of `seed`.
    pub own_seeds: OwnSeeds,
    /// The run ends here at the latest; what is unfinished then is reported as unfinished.
    pub horizon: Span,
    /// Distance between the samples of the time series.
    pub sample_interval: Span,
    /// Which share of the payload is real bytes.
    pub payload: PayloadMode,
    /// How the network is simulated.
    pub fidelity: Fidelity,
    /// Regions.
    pub regions: Vec<Region>,
    /// Directed links.
    pub links: Vec<Link>,
    /// Virtual machines.
    pub vms: Vec<Vm>,
    /// Live migrations.
    pub migrations: Vec<Migration>,
    /// Plain bulk transfers over TCP.
    pub transfers: Vec<Transfer>,
    /// Streams of datagrams.
    pub datagrams: Vec<DatagramStream>,
    /// Continuous replications.
    pub replications: Vec<Replication>,
    /// Federations of clusters.
    pub federations: Vec<Federation>,
    /// Bandwidth that is reserved.
    pub reservations: Vec<Reservation>,
    /// Share of every link that cannot be reserved.
    pub headroom: Probability,
    /// What regions send each other in the mean.
    pub demands: Vec<Demand>,
    /// How the demands are spread.
    pub engineering: Engineering,
    /// Sites joined by several paths.
    pub overlays: Vec<Overlay>,
    /// Services.
    pub services: Vec<Service>,
    /// Clients of services.
    pub clients: Vec<Client>,
    /// What fails, and when.
    pub faults: Vec<Fault>,
    /// When all faults end at once.
    pub abort_when: Vec<AbortCondition>,
    /// How routes are chosen.
    pub routing: RoutingPolicy,
    /// How long after a link fails or comes back the routers use other routes.
    pub reroute_after: Span,
    /// A controller that installs routes in the routers' place; none for the routers.
    pub route_control: Option<RouteControl>,
    /// What must hold at the end.
    pub assertions: Vec<Assertion>,
    /// How a replay on a real kernel is judged; no simulation reads it. `None` leaves it to the defaults.
    pub replay: Option<Replay>,
}

/// Roots of the random streams of single sources. A source without one has the scenario's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OwnSeeds {
    /// Of [`Source::Workload`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<u64>,
    /// Of [`Source::Network`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<u64>,
    /// Of [`Source::Faults`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<u64>,
}

impl OwnSeeds {
    /// That of a source.
    pub fn of(&mut self, source: Source) -> &mut Option<u64> {
        match source {
            Source::Workload => &mut self.workload,
            Source::Network => &mut self.network,
            Source::Faults => &mut self.faults,
        }
    }

    /// The roots of all sources where `seed` is that of those without one of their own.
    pub fn with(self, seed: u64) -> Seeds {
        Seeds {
            workload: self.workload.unwrap_or(seed),
            network: self.network.unwrap_or(seed),
            faults: self.faults.unwrap_or(seed),
        }
    }
}

impl Scenario {
    /// The roots of the random streams of all sources.
    pub fn seeds(&self) -> Seeds {
        self.own_seeds.with(self.seed)
    }
}

/// How the network is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fidelity {
    /// Every segment crosses every hop.
    Packet,
    /// TCP by round trips, links by fair shares.
    Flow,
    /// One of them, by what the scenario needs and what it would cost.
    Auto,
}
