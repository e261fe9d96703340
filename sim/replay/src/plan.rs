//! The plan of a replay: what a scenario's network is on a Linux kernel, as pure data.
//!
//! # The layout
//! Every region is a network namespace; programs run in it, and it forwards transit traffic. Between two adjacent
//! regions stands another namespace, the *wire*, so that no queueing discipline sits on a device that TCP sends to by
//! itself (TCP small queues would see it):
//!
//! ```text
//! region 0  w0 ══ r0  wire 0  r1 ══ w0  region 1
//!                     r1's egress carries 0->1, r0's egress carries 1->0
//! ```
//!
//! A wire passes on what comes in at one end to the other, whatever its address (`ip rule iif`): routing happens in
//! regions alone. Where a link is missing, and where a region knows no route, packets vanish in a blackhole, for an
//! ICMP message would tell TCP something (RFC 6069). There is no ARP: both ends of a pair have one hardware address.

mod script;

use std::net::Ipv4Addr;

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

pub use script::{Batch, Device, Place, Tool};

/// Everything that an executor needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// First part of the name of every namespace: [`Plan::RUN`] but for tests.
    pub run: String,
    /// In the order of the scenario.
    pub regions: Vec<RegionPlan>,
    /// One for each pair of adjacent regions.
    pub wires: Vec<WirePlan>,
    /// Directed links, in the order of the scenario.
    pub links: Vec<LinkPlan>,
    /// Distributions that netem draws jitter from.
    pub tables: Vec<DelayTable>,
    /// Kernel modules that must be there.
    pub modules: Vec<String>,
    /// Settings of the whole kernel, put back at the end.
    pub kernel_settings: Vec<KernelSetting>,
    /// Whether devices leave no checksum to others: a frame that netem damages is then noticed wherever the damage is.
    pub checksums_in_software: bool,
    /// What happens when, in the order of time.
    pub timeline: Vec<Step>,
    /// Where the kernel does not do quite what the scenario says, a sentence each.
    pub notes: Vec<String>,
}

impl Plan {
    /// The usual [`run`](Plan::run).
    pub const RUN: &str = "longhaul";

    /// The name of a namespace.
    pub fn namespace(&self, place: Place) -> String {
        match place {
            Place::Region(region) => format!("{}-r{region}", self.run),
            Place::Wire(wire) => format!("{}-w{wire}", self.run),
        }
    }

    /// The namespaces that it makes, regions first.
    pub fn namespaces(&self) -> Vec<String> {
        self.places().map(|place| self.namespace(place)).collect()
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let regions = (0..self.regions.len()).map(Place::Region);
        regions.chain((0..self.wires.len()).map(Place::Wire))
    }
}

/// A region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegionPlan {
    /// Its name in the scenario.
    pub name: String,
    /// Its only address.
    pub address: Ipv4Addr,
    /// TCP's settings, beside those that every region has.
    pub settings: Vec<Setting>,
    /// To each other region.
    pub routes: Vec<Route>,
}

impl RegionPlan {
    /// The address of the region with this index: out of 198.18.0.0/15, which RFC 2544 keeps for measurements.
    ///
    /// # Panics
    /// Beyond 65,000 regions.
    pub fn address_of(index: usize) -> Ipv4Addr {
        let (high, low) = (index / 250, index % 250 + 1);
        let high = u8::try_from(high).expect("fewer regions");
        Ipv4Addr::new(198, 18, high, low as u8)
    }
}

/// A file under `/proc/sys`, dots for slashes, and what to write to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// `net.ipv4.tcp_rmem`.
    pub name: String,
    /// What to write.
    pub value: String,
}

/// A file under `/sys` that concerns every namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KernelSetting {
    /// The whole path.
    pub path: String,
    /// What to write.
    pub value: String,
}

/// A route to a region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// The address of the region.
    pub to: Ipv4Addr,
    /// The wire that it goes over; `None` if it leads nowhere.
    pub wire: Option<usize>,
    /// TCP's initial window in segments, if it is not the kernel's.
    pub initial_window: Option<u32>,
}

/// The namespace between two adjacent regions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WirePlan {
    /// The two regions, the lower index first.
    pub ends: [usize; 2],
}

/// A directed link: queueing disciplines on one of a wire's two devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkPlan {
    /// `from->to`.
    pub name: String,
    /// Region that it leads from.
    pub from: usize,
    /// Region that it leads to.
    pub to: usize,
    /// Its wire.
    pub wire: usize,
    /// The device in the wire's namespace: the one towards `to`.
    pub device: String,
    /// Lines for `tc` that shape it from nothing.
    pub shape: Vec<String>,
    /// What the counters of its disciplines mean.
    pub counted: Counted,
}

/// What drops a link's disciplines count. The root also counts what its child drops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Counted {
    /// The root holds the law, and its child (`2:`) the queue.
    Apart,
    /// One discipline holds both.
    Together,
    /// There is no law, so that all drops are the queue's.
    Queue,
}

/// A distribution in netem's form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DelayTable {
    /// What `tc` calls it; the file is `NAME.dist`.
    pub name: String,
    /// Quantiles in 1/8192 standard deviation.
    pub entries: Vec<i16>,
}

/// Something that happens during a replay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When, after the start.
    pub at: Span,
    /// In words: `a->b down`.
    pub what: String,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Commands, those of different batches at the same time.
    Network {
        /// The commands.
        batches: Vec<Batch>,
        /// Links whose disciplines are thrown away, with their counters.
        restarts: Vec<usize>,
    },
    /// A signal to the program of a region.
    Signal {
        /// The region.
        region: usize,
        /// The signal.
        signal: Signal,
    },
}

/// A signal to the process of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Signal {
    /// It stands still: SIGSTOP.
    Stop,
    /// It goes on: SIGCONT.
    Cont,
    /// It ends: SIGKILL.
    Kill,
}
