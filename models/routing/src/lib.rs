//! Topologies, routes and the loads that they cause.
//!
//! - [`Topology`]: regions and directed links with live state and a version;
//! - [`Router`]: one best route between two regions by an [`Objective`], remembered per version;
//! - [`paths`], [`near_equal`], [`disjoint_paths`], [`shared_risk_pair`]: alternatives and backups;
//! - [`AllPairs`]: distances between all pairs, kept up to date link by link;
//! - [`FlowKey`], [`choose`]: which of several paths a flow takes;
//! - [`Demands`], [`Loads`]: what equal-cost paths carry;
//! - [`RouteTable`]: the machine that keeps installed routes in step with the network.
//!
//! Every answer is unique: ties are broken by fewer hops, then by names, never by the order of a file or a map.

mod balanced;
mod disjoint;
mod flow_hash;
mod heap;
mod incremental;
mod k_shortest;
mod load;
mod order;
mod route;
mod router;
mod spf;
mod table;
mod topology;
mod widest;

pub use balanced::{Congestion, Weights};
pub use disjoint::{Disjoint, Pair, backup, disjoint_paths, shared_risk_pair};
pub use flow_hash::{FlowKey, choose, choose_weighted, split};
pub use incremental::AllPairs;
pub use k_shortest::{Paths, near_equal, paths};
pub use load::{Demands, Loads, Split};
pub use route::{Objective, Route, RouteError, Value};
pub use router::Router;
pub use spf::{Distance, Spf, descend, equal_next_hops, next_hop};
pub use table::{
    Change, Command, Event, History, Intent, IntentId, Missed, Policy, Reason, RouteTable, Step, SubscriberId,
};
pub use topology::{
    Builder, GroupId, Link, LinkId, LinkState, MAX_LINKS, MAX_REGIONS, MAX_WEIGHT, Metric, RegionId,
    Topology, TopologyError, UNUSABLE,
};
pub use widest::width;
