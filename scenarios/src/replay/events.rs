//! How the events of machines read that a replay has written down.

use longhaul_amst::object::{ArrivalEvent, ObjectEvent};
use longhaul_bulk::{ReceiverEvent, SenderEvent};
use longhaul_federation as federation;
use longhaul_migration::{DestinationEvent, SourceEvent};
use longhaul_replication as replication;
use longhaul_sdwan as sdwan;
use longhaul_stream::{ReceiverEvent as ReceiverEventOfStream, SenderEvent as SenderEventOfStream};
use serde::Deserialize;
use serde_json::Value;

use crate::run::cast::Role;
use crate::run::endpoint::Event;

/// An event of a machine in this role; events carry no kind of their own. `None` for what is none, such as the answer
/// to a request for a summary.
pub(super) fn read(role: Role, event: &Value) -> Option<Event> {
    match role {
        Role::MigrationSource => SourceEvent::deserialize(event).ok().map(Event::MigrationSource),
        Role::MigrationDestination => DestinationEvent::deserialize(event)
            .ok()
            .map(Event::MigrationDestination),
        Role::BulkSender => SenderEvent::deserialize(event).ok().map(Event::BulkSender),
        Role::BulkReceiver => ReceiverEvent::deserialize(event).ok().map(Event::BulkReceiver),
        Role::ReplicationSource => replication::SourceEvent::deserialize(event)
            .ok()
            .map(Event::ReplicationSource),
        Role::Replica => replication::ReplicaEvent::deserialize(event)
            .ok()
            .map(Event::Replica),
        Role::Cluster(_) => federation::Event::deserialize(event).ok().map(Event::Cluster),
        Role::Edge(_) => sdwan::Event::deserialize(event).ok().map(Event::Edge),
        Role::DatagramSender => SenderEventOfStream::deserialize(event)
            .ok()
            .map(Event::DatagramSender),
        Role::DatagramReceiver => ReceiverEventOfStream::deserialize(event)
            .ok()
            .map(Event::DatagramReceiver),
        // A scenario with services or tunnels is not replayed.
        Role::Server(_) | Role::Client => None,
        Role::Tunnel(_) | Role::PathMtu(_) => None,
        Role::ObjectSender => ObjectEvent::deserialize(event).ok().map(Event::ObjectSender),
        Role::ObjectReceiver => ArrivalEvent::deserialize(event).ok().map(Event::ObjectReceiver),
    }
}
