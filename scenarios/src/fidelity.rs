//! Which fidelity a scenario is simulated at, and why.

use longhaul_core::record::Fidelity as Chosen;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_flow::limits;

use crate::run::cast::source_region;
use crate::schema::{Amount, Carrier, Fault, Federation, Fidelity, Memory, Scenario, Vm};

/// Packets times hops up to which `Auto` prefers single packets: some ten seconds of one core.
const MOST_PACKET_HOPS: u128 = 30_000_000;
/// Payload of a full segment.
const SEGMENT: u128 = 1_448;
/// Times that a migration sends its memory, for an estimate.
const COPIES: u128 = 2;

/// A choice and its reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Which one.
    pub fidelity: Chosen,
    /// Why, in a sentence, if the scenario left it open.
    pub reason: Option<String>,
}

/// What a scenario has that flow fidelity does not model.
pub fn obstacles(scenario: &Scenario) -> Vec<String> {
    let mut found = Vec::new();
    for link in &scenario.links {
        for what in limits::not_modelled(&link.spec_without_files()) {
            found.push(format!("{what} on {}", link.name()));
        }
        if link.rate.constant().is_none() {
            found.push(format!("a recorded rate on {}", link.name()));
        }
    }
    if scenario.routing.multipath {
        found.push("routes that share flows".to_owned());
    }
    if scenario.route_control.is_some() {
        found.push("routes that a controller installs".to_owned());
    }
    for stream in &scenario.datagrams {
        found.push(format!("the datagrams of {}", stream.name));
    }
    for reservation in &scenario.reservations {
        found.push(format!("the reservation {}", reservation.name));
    }
    if let Some(demand) = scenario.demands.first() {
        found.push(format!("the demand {}", demand.name()));
    }
    for overlay in &scenario.overlays {
        found.push(format!("the overlay {}", overlay.name));
    }
    for service in &scenario.services {
        found.push(format!("the service {}", service.name));
    }
    for fault in &scenario.faults {
        found.push(match fault {
            Fault::LinkDown(down) => format!("a failure of {}", down.link()),
            Fault::Pause(pause) => format!("a pause of the machines in {}", pause.region),
            Fault::Kill(kill) => format!("an end of the machines in {}", kill.region),
            Fault::Reset(reset) => format!("resets of connections of {}", reset.workload),
            Fault::Network(fault) => format!("the fault {}", fault.name),
            // Nothing without the fault that it ends.
            Fault::Recover(_) => continue,
        });
    }
    if scenario.transfers.iter().any(
        |transfer| matches!(transfer.carrier, Carrier::Plain { call_time, .. } if call_time > Span::ZERO),
    ) {
        found.push("the time that a transfer's calls take".to_owned());
    }
    let tcp = scenario.transfers.iter().map(|transfer| transfer.carrier.tcp());
    let tcp = tcp.chain(
        scenario
            .migrations
            .iter()
            .map(|migration| migration.transport.tcp),
    );
    let replications = scenario.replications.iter();
    let tcp = tcp.chain(replications.map(|replication| replication.transport.tcp));
    let tcp = tcp.chain(scenario.federations.iter().map(|federation| federation.tcp));
    if tcp.into_iter().any(|tcp| tcp.ecn) {
        found.push("explicit congestion notification".to_owned());
    }
    found
}

/// What a scenario is simulated at. One that asks for `Flow` and cannot have it was refused when it was checked.
///
/// `path` tells of the route between two regions how many links it has and the rate of the slowest.
pub fn choose(scenario: &Scenario, path: impl Fn(&str, &str) -> (usize, BitRate)) -> Choice {
    let asked = |fidelity| Choice {
        fidelity,
        reason: None,
    };
    match scenario.fidelity {
        Fidelity::Packet => return asked(Chosen::Packet),
        Fidelity::Flow => return asked(Chosen::Flow),
        Fidelity::Auto => {}
    }
    if let Some(first) = obstacles(scenario).first() {
        return Choice {
            fidelity: Chosen::Packet,
            reason: Some(format!("flow fidelity does not model {first}")),
        };
    }
    let packets = packet_hops(scenario, path);
    let (fidelity, relation) = if packets <= MOST_PACKET_HOPS {
        (Chosen::Packet, "not more than")
    } else {
        (Chosen::Flow, "more than")
    };
    Choice {
        fidelity,
        reason: Some(format!(
            "about {} million packets times hops, {relation} {} million",
            packets.div_ceil(1_000_000),
            MOST_PACKET_HOPS / 1_000_000
        )),
    }
}

/// An estimate of data packets times the links that they cross.
fn packet_hops(scenario: &Scenario, path: impl Fn(&str, &str) -> (usize, BitRate)) -> u128 {
    let mut sum: u128 = 0;
    for transfer in &scenario.transfers {
        let (hops, slowest) = path(&transfer.from, &transfer.to);
        let bytes = match transfer.amount {
            Amount::Size(size) => size.as_bytes(),
            Amount::Duration(duration) => slowest.bytes_in(duration),
        };
        sum += u128::from(bytes) / SEGMENT * hops as u128;
    }
    for (index, migration) in scenario.migrations.iter().enumerate() {
        let vm = scenario.vms.iter().find(|vm| vm.name == migration.vm);
        let Some(bytes) = vm.and_then(memory_bytes) else {
            continue;
        };
        let (hops, _) = path(scenario.origin(index), &migration.to);
        sum += COPIES * bytes / SEGMENT * hops as u128;
    }
    for replication in &scenario.replications {
        let vms = scenario
            .vms
            .iter()
            .filter(|vm| replication.vms.contains(&vm.name));
        let (hops, _) = path(source_region(scenario, replication), &replication.to);
        // The first epochs alone: how much follows depends on what the guests write.
        let bytes: u128 = vms.filter_map(memory_bytes).sum();
        sum += bytes / SEGMENT * hops as u128;
    }
    for federation in &scenario.federations {
        for (one, other) in federation.neighbours() {
            let (hops, _) = path(&federation.members[one], &federation.members[other]);
            sum += 2 * packets_between(federation) * hops as u128;
        }
    }
    sum
}

/// Packets from one cluster to a neighbour: what its clients change, and a packet for every command and every heartbeat.
fn packets_between(federation: &Federation) -> u128 {
    let times = |every: Span| u128::from(federation.duration.as_ns() / every.as_ns().max(1));
    let state = federation.state.map_or(0, |load| {
        let changed = u128::from(load.value.as_bytes()) * u128::from(load.changed.as_parts());
        times(load.every) * (changed / u128::from(Probability::PARTS) / SEGMENT + 1)
    });
    let commands = federation.commands.map_or(0, |load| times(load.every));
    let log = federation.settings.consensus.as_ref();
    state + commands + log.map_or(0, |log| times(log.heartbeat))
}

/// The size of a generated memory; that of images is in their files.
fn memory_bytes(vm: &Vm) -> Option<u128> {
    match &vm.memory {
        Memory::Generated { size, .. } => Some(size.as_bytes().into()),
        Memory::Images { .. } => None,
    }
}
