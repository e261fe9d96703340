//! The network at flow fidelity: TCP by round trips instead of packets, links by fair shares instead of queues.
//!
//! [`network::Network`] has the interface of the packet network and the same notices, so the same applications run
//! over it; a transfer costs a few events however many packets it would take.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`network`] | links, routes and connections behind one event handler |
//! | [`limits`] | what is not modelled and therefore refused |
//! | [`maxmin`] | max-min fair rates over any topology |
//! | `sender` | one direction of a connection, round by round: windows, losses, recovery, timeouts; settling in a crowd |
//! | `control`, `bbr` | the congestion controllers: those of [`longhaul_tcp`], and BBR by rounds |
//! | `losses` | gaps between losses instead of a draw per frame |
//! | `pace` | progress within a round while rates change |
//!
//! # How time is skipped
//!
//! - A flow that shares no link which could fill up meets nobody: its rounds are computed at once, up to the next
//!   moment that an application hears of, and computed again from where they were saved if something joins.
//! - Flows that do share such a link form a *group* with all that they reach over further such links. Only a group's
//!   rates are solved when one of its members changes; the rest of the network is not touched.
//! - A full link gives each flow what its window is worth, as first-in first-out queues do, and never more than the
//!   max-min rates of what the windows ask for.
//! - Rounds in which nothing can happen are taken together: no loss until the drawn gap is used up, no boundary
//!   between writes, and a window that hardly moves, or not at all because a buffer limits it.
//!
//! - Eight flows and more that keep one link full by themselves, without random loss, are a *crowd*: those whose window
//!   has come near its even part *settle* at the time average over a sawtooth, and only joins and leaves are events.
//!   Their drops are not counted meanwhile, and which of them is ahead of the others by chance is lost. Paths of
//!   several links, and BBR, are followed round by round always.
//!
//! # What is not modelled
//!
//! - Packets: order, bursts on the wire between connections, delayed ACKs, ACKs lost or queued on the way back (a
//!   handshake's are). The reverse path is a delay.
//! - Where flows cross several full links at once, the length of their queues: max-min sharing alone decides there.
//! - Several bursts in one queue to the packet: connections in step queue behind each other, others meet averages.
//! - Reordering by jitter: its mean is part of the delay.
//! - Loss laws are those of the links, but each flow has its own copy: bursts do not hit two flows at once.

mod bbr;
mod control;
pub mod limits;
mod losses;
pub mod maxmin;
pub mod network;
mod pace;
mod sender;

pub use sender::FlowStats;
