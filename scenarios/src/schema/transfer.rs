//! Bulk transfers.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;

use super::{Tcp, Transport};

/// A bulk transfer, over plain connections or over AMST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Unique among migrations and transfers.
    pub name: String,
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// How much is sent.
    pub amount: Amount,
    /// When it starts.
    pub at: Span,
    /// Port of the receiver, above zero: what policies of overlays know it by.
    pub port: u16,
    /// The reservation on whose path it goes while that is in force.
    pub reservation: Option<String>,
    /// What carries it.
    pub carrier: Carrier,
}

/// What carries a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Every connection carries an equal share, or what it can until the time is up; then both sides close.
    Plain {
        /// TCP connections, 1 to 256, at most one per byte.
        streams: u32,
        /// Time that each call (open, write, finish) of the sending application takes, at most 1 s.
        call_time: Span,
        /// The connections.
        tcp: Tcp,
    },
    /// AMST carries it as messages.
    Amst(Transport),
}

impl Carrier {
    /// The settings of its connections.
    pub fn tcp(&self) -> Tcp {
        match self {
            Carrier::Plain { tcp, .. } => *tcp,
            Carrier::Amst(transport) => transport.tcp,
        }
    }

    /// The most connections that there can be at a time.
    pub fn most_streams(&self) -> u32 {
        match self {
            Carrier::Plain { streams, .. } => *streams,
            Carrier::Amst(transport) => transport.streams.most(),
        }
    }

    /// What is between its messages and the connections, if anything is.
    pub fn amst(&self) -> Option<Transport> {
        match self {
            Carrier::Plain { .. } => None,
            Carrier::Amst(transport) => Some(*transport),
        }
    }
}

/// How much a transfer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many bytes in all.
    Size(ByteSize),
    /// As much as goes in this time, above zero.
    Duration(Span),
}
