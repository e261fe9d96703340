//! Path monitoring, path redundancy and SD-WAN path selection, without clocks or sockets.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`edge`] | [`Edge`]: the machine of a site |
//! | [`config`], [`event`] | how it works; what it is told and what it reports |
//! | [`probe`] | active probes: round trips, standard deviation, RFC 3550 jitter, loss, dead and recovering paths |
//! | [`bfd`] | failure detection in a fraction of a second (RFC 5880) |
//! | [`bandwidth`] | rates measured by the receiver of packet trains |
//! | [`score`] | how good a path is |
//! | [`standing`] | when a path is left, and when it is come back to |
//! | [`select`] | which path traffic takes: by policy among those that are up, or in a fixed order |
//! | [`address`], [`routes`], [`policy`] | flows; destination prefixes and sites; what traffic wants |
//! | [`flows`] | the flow table |
//! | [`discovery`] | how sites find each other: signed announcements, and what a site knows of the others |
//! | [`announcer`] | who sends announcements, who passes them on, and when |
//! | [`judge`] | how often and for how long a choice was wrong, for those who know the paths as they are |
//! | [`wire`] | the bytes of what edges send each other |
//!
//! # Driving an edge
//! To an edge every path is a [`PeerId`](longhaul_core::machine::PeerId) of its own, which stands for the other site's
//! edge as it is reached over that path. A datagram to it must go over that path, and one that comes over the path must
//! come from that peer; the other end may call the same path by another number. Flows are told with
//! [`Command::Classify`]; where they go is said by [`Event::Assigned`], [`Event::Moved`] and [`Event::NoPath`], and by
//! nothing else. An edge decides about its own outgoing direction: the two directions of a flow may take different paths.
//!
//! # What it costs
//! Each path has an echo and a probe each second and a message of its session each 0.26 s by default, in either
//! direction, and a wake for each probe and message that is sent. A flow costs nothing until it moves, but for one look
//! in each idle time.
//!
//! # Not modelled
//! Messages between edges are not authenticated, except announcements: the tunnels below are expected to be. One flow
//! takes one path; nothing is duplicated or spread packet by packet.

pub mod address;
pub mod announcer;
pub mod bandwidth;
pub mod bfd;
pub mod config;
pub mod discovery;
pub mod edge;
pub mod event;
pub mod flows;
pub mod judge;
mod path;
pub mod policy;
pub mod probe;
pub mod routes;
pub mod score;
pub mod select;
pub mod standing;
pub mod wire;

pub use address::{FlowKey, Prefix, Protocol, SiteId, TrafficClass};
pub use announcer::{Announcer, AnnouncerConfig, DiscoveryCounters, DiscoveryEvent};
pub use config::{Config, ConfigError, PathConfig, Redundancy};
pub use edge::Edge;
pub use event::{Cause, Command, Counters, Event, PathReport};
pub use policy::{Match, Policies, Policy};
pub use routes::Routes;
pub use select::{NoPath, Why};
pub use standing::Hysteresis;
