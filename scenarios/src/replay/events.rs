//! What the machines of a replay report: which machine it is, and how its events read.

use longhaul_bulk::{ReceiverEvent, SenderEvent};
use longhaul_core::machine::PeerId;
use longhaul_migration::{DestinationEvent, SourceEvent};
use serde::Deserialize;
use serde_json::Value;

use crate::run::endpoint::Event;

/// What kind of machine reports, and for which migration or transfer. Events carry no kind of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    MigrationSource(usize),
    MigrationDestination(usize),
    BulkSender(usize),
    BulkReceiver(usize),
}

impl Kind {
    /// Of a machine in a scenario with so many migrations and transfers. Machines are numbered in pairs: migrations
    /// first, then transfers. `None` if there is no such machine.
    pub fn of(peer: PeerId, migrations: usize, transfers: usize) -> Option<Kind> {
        let (pair, second) = (peer.0 as usize / 2, peer.0 % 2 == 1);
        match pair.checked_sub(migrations) {
            None if second => Some(Kind::MigrationDestination(pair)),
            None => Some(Kind::MigrationSource(pair)),
            Some(transfer) if transfer >= transfers => None,
            Some(transfer) if second => Some(Kind::BulkReceiver(transfer)),
            Some(transfer) => Some(Kind::BulkSender(transfer)),
        }
    }

    /// An event of such a machine. `None` for what is none, such as the answer to a request for a summary.
    pub fn read(self, event: &Value) -> Option<Event> {
        match self {
            Kind::MigrationSource(_) => SourceEvent::deserialize(event).ok().map(Event::MigrationSource),
            Kind::MigrationDestination(_) => DestinationEvent::deserialize(event)
                .ok()
                .map(Event::MigrationDestination),
            Kind::BulkSender(_) => SenderEvent::deserialize(event).ok().map(Event::BulkSender),
            Kind::BulkReceiver(_) => ReceiverEvent::deserialize(event).ok().map(Event::BulkReceiver),
        }
    }
}
