//! Regions and the links between them.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
pub use longhaul_net::background::{Arrivals, Background};
pub use longhaul_net::course::Step;
pub use longhaul_net::loss::Loss;
pub use longhaul_net::queue::{CoDel, FqCoDel, Htb, HtbClass, Queue, QueueLimit};
pub use longhaul_net::routing::{Objective, RoutingPolicy};
pub use longhaul_routing::Policy as RouteControl;

/// A region: a node of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Unique name.
    pub name: String,
    /// Where it is. With both ends known, a link faster than light in fibre is an error.
    pub location: Option<Location>,
}

/// Geographic coordinates in millionths of a degree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// North positive, within ±90°.
    pub latitude_microdegrees: i32,
    /// East positive, within ±180°.
    pub longitude_microdegrees: i32,
}

/// The names of all ordered pairs of different regions, `from->to`: what routes are called.
pub fn pairs<'r>(regions: impl Iterator<Item = &'r Region>) -> Vec<String> {
    let names: Vec<&String> = regions.map(|region| &region.name).collect();
    let of = |from| {
        let others = names.iter().filter(move |to| **to != from);
        others.map(move |to| format!("{from}->{to}"))
    };
    names.iter().flat_map(|from| of(*from)).collect()
}

/// A directed link. Its name in messages and results is `from->to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Region at the sending end.
    pub from: String,
    /// Region at the receiving end.
    pub to: String,
    /// How fast it sends; counts whole Ethernet frames, as netem does.
    pub rate: Rate,
    /// One-way propagation delay.
    pub delay: Span,
    /// What it costs to use, in a unit of the author's choice, where routes count costs.
    pub cost: u64,
    /// Longest IP packet that it carries, 576 B to 9,216 B.
    pub mtu: u32,
    /// What waits in front of the link, how much of it, and who goes first.
    pub queue: Queue,
    /// Loss law, drawn for each frame before it is queued.
    pub loss: Loss,
    /// Jitter law; adds to the propagation delay.
    pub jitter: Jitter,
    /// Whether jitter lets frames overtake each other.
    pub reorder: bool,
    /// Share of the frames that come twice.
    pub duplicate: Probability,
    /// Share of the frames that arrive damaged and are discarded.
    pub corrupt: Probability,
    /// What changes, at times after the start of the run, or of each period.
    pub changes: Vec<Step>,
    /// After what time the changes begin again.
    pub period: Option<Span>,
    /// Traffic of others in the same queue.
    pub background: Option<Background>,
}

impl Link {
    /// `from->to`.
    pub fn name(&self) -> String {
        format!("{}->{}", self.from, self.to)
    }
}

/// How fast a link sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rate {
    /// At this rate, above zero, until a change.
    Constant(BitRate),
    /// A full frame at each recorded moment: mahimahi's packet-delivery trace.
    Deliveries {
        /// The trace, relative to the scenario file.
        file: String,
    },
    /// A full frame at each moment of a Poisson process with this mean rate.
    Poisson(BitRate),
    /// At recorded rates: lines of `seconds Mbit/s`.
    Recorded {
        /// The trace, relative to the scenario file.
        file: String,
    },
}

impl Rate {
    /// The mean rate, unless it is in a file.
    pub fn mean(&self) -> Option<BitRate> {
        match self {
            Rate::Constant(rate) | Rate::Poisson(rate) => Some(*rate),
            Rate::Deliveries { .. } | Rate::Recorded { .. } => None,
        }
    }

    /// The rate, unless it varies.
    pub fn constant(&self) -> Option<BitRate> {
        match self {
            Rate::Constant(rate) => Some(*rate),
            Rate::Deliveries { .. } | Rate::Poisson(_) | Rate::Recorded { .. } => None,
        }
    }
}

/// Jitter law of a link: a delay added to the propagation delay, never negative.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Jitter {
    /// None.
    None,
    /// Normal with this mean and standard deviation, cut off at zero.
    Normal(Spread),
    /// Uniform between zero and this maximum.
    Uniform {
        /// Upper end.
        max: Span,
    },
    /// netem's table `pareto`.
    Pareto(Spread),
    /// netem's table `paretonormal`.
    ParetoNormal(Spread),
    /// A table in netem's format.
    Table {
        /// What its values are scaled to.
        spread: Spread,
        /// The table, relative to the scenario file.
        file: String,
    },
    /// The distribution of recorded delays.
    Measured {
        /// Samples in milliseconds, one per line, relative to the scenario file.
        file: String,
    },
}

/// Mean and standard deviation before the cut at zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Mean.
    pub mean: Span,
    /// Standard deviation.
    pub sd: Span,
}
