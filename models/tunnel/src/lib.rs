//! Tunnels between sites: what they add to packets, how they come up and stay up, and how large a packet may be.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`overhead`] | [`Encapsulation`]: inner length to outer length, inner MTU, TCP MSS |
//! | [`tunnel`] | [`Tunnel`]: the machine at one end, which knows whether packets can be sent |
//! | [`config`] | how an end is set up |
//! | [`event`] | what an end reports and is told |
//! | [`wireguard`] | WireGuard: handshake of one round trip, renewal of keys, keepalives |
//! | [`ike`] | IPsec: IKEv2 in two round trips, renewal of keys, liveness |
//! | [`plan`] | [`Plan`]: which tunnels there are between which regions |
//! | [`path_mtu`] | [`PathMtu`]: packetization layer path MTU discovery for datagrams |
//!
//! GRE and VXLAN have no handshake; GRE has keepalives.
//!
//! Control messages are datagrams with the lengths of the real ones, sent to the [`PeerId`](longhaul_core::machine::PeerId) at
//! the other end. What the tunnel carries does not pass through its machine: the driver takes the outer length
//! from [`Encapsulation::outer_bytes`], sends nothing while [`Tunnel::is_up`] says no, and tells of traffic, for timers that
//! depend on it, with [`Command::Sent`] and [`Command::Received`].
//!
//! No cryptography takes place and none of its time is spent: tags of the right length tell genuine messages from damaged
//! ones.

pub mod config;
mod control;
pub mod event;
mod gre;
pub mod ike;
mod ike_wire;
pub mod overhead;
pub mod path_mtu;
mod path_mtu_config;
mod path_mtu_wire;
pub mod plan;
mod seal;
pub mod tunnel;
mod vxlan;
pub mod wireguard;
mod wireguard_keys;
mod wireguard_wire;

pub use config::{Config, ConfigError, Control, GreKeepalive, IpsecConfig, Role, WireGuardConfig};
pub use event::{Command, DownReason, Event, WireError};
pub use overhead::{Encapsulation, IpVersion, Protocol, TooSmall, tcp_mss};
pub use path_mtu::PathMtu;
pub use plan::{Plan, PlanError, tunnel_name};
pub use tunnel::Tunnel;
