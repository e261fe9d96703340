//! From what a replication measured to the records that a simulated run has. Events go through the same code as in the
//! simulator (`crate::run::workload`), so a completion time means the same in both worlds.

use longhaul_amst::SenderStats;
use longhaul_core::machine::PeerId;
use longhaul_core::record::{
    Ended, FederationRecord, LinkPackets, LinkRecord, MigrationRecord, Progress, ReplicationRecord,
    TransferRecord,
};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_migration::Statistics;
use longhaul_net::routing::RegionId;
use longhaul_replay::outcome::{LinkCounters, MachineEvent, Replication, TcpCounters};
use longhaul_replication::SourceStatistics;
use serde::Deserialize;
use thiserror::Error;

use super::endpoints::Received;
use super::events;
use super::plan::words;
use crate::faults::{self, Signal, process_changes};
use crate::run::assertions::Evidence;
use crate::run::cast::{Cast, Role, Workload};
use crate::run::federations::{Counted, federation_record};
use crate::run::replications::replication_record;
use crate::run::summary::{migration_record, transfer_record};
use crate::run::workload::Workloads;
use crate::schema::{Link, Metric, Scenario};

/// Why a metric cannot be measured on a kernel, if it cannot.
pub fn unmeasured(metric: Metric) -> Option<&'static str> {
    match metric {
        Metric::LinkQueueDelay => Some("a kernel's queueing discipline does not tell how long frames waited"),
        Metric::LinkUtilisation => Some("a kernel's queueing discipline does not tell when it was busy"),
        _ => None,
    }
}

/// The records of one replication.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// How it ended.
    pub ended: Ended,
    /// Time of the scenario at its last event.
    pub end_ns: u64,
    /// In the order of the scenario.
    pub migrations: Vec<MigrationRecord>,
    /// In the order of the scenario.
    pub transfers: Vec<TransferRecord>,
    /// In the order of the scenario.
    pub replications: Vec<ReplicationRecord>,
    /// In the order of the scenario.
    pub federations: Vec<FederationRecord>,
    /// In the order of the scenario.
    pub links: Vec<LinkRecord>,
}

impl Replayed {
    /// What assertions and metrics look at.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            end_ns: self.end_ns,
            migrations: &self.migrations,
            transfers: &self.transfers,
            replications: &self.replications,
            federations: &self.federations,
            datagrams: &[],
            reservations: &[],
            demands: &[],
            routes: &[],
            services: &[],
            clients: &[],
            overlays: &[],
            links: &self.links,
        }
    }
}

/// Why measurements do not belong to a scenario.
#[derive(Debug, Error)]
pub enum RecordsError {
    /// An event that its machine cannot have reported.
    #[error("replication {replication}: machine {peer} reports {event}, which it cannot")]
    Event {
        /// Number of the replication.
        replication: u32,
        /// The machine.
        peer: u32,
        /// What it is said to report.
        event: String,
    },
    /// Other links than the scenario's.
    #[error("replication {replication} has counters of the links {found}; the scenario has {expected}")]
    Links {
        /// Number of the replication.
        replication: u32,
        /// As measured.
        found: String,
        /// As the scenario has them.
        expected: String,
    },
}

/// Events of a receiver's machine, and those about it.
#[derive(Deserialize)]
enum OfReceiver {
    /// What it had received when the sender's streams were compared.
    Summary(Received),
}

/// The records of a replication of this scenario.
///
/// # Errors
/// If the measurements are not of this scenario.
pub fn records(scenario: &Scenario, replication: &Replication) -> Result<Replayed, RecordsError> {
    let mut world = World::new(scenario);
    let signals = signals(scenario, replication);
    let mut signals = signals.iter().peekable();
    for event in &replication.events {
        while let Some(signal) = signals.next_if(|signal| signal.at_ns < event.at_ns) {
            world.signal(signal);
        }
        world.observe(event).ok_or_else(|| RecordsError::Event {
            replication: replication.number,
            peer: event.peer.0,
            event: event.event.to_string(),
        })?;
    }
    signals.for_each(|signal| world.signal(signal));
    let names = |names: Vec<String>| names.join(", ");
    let links = matching_links(scenario, &replication.links).ok_or_else(|| RecordsError::Links {
        replication: replication.number,
        found: names(replication.links.iter().map(|link| link.name.clone()).collect()),
        expected: names(scenario.links.iter().map(Link::name).collect()),
    })?;
    Ok(Replayed {
        ended: replication.ended,
        end_ns: end_ns(scenario, replication),
        migrations: (0..world.workloads.migrations.len())
            .map(|i| world.migration(i, replication))
            .collect(),
        transfers: (0..world.workloads.transfers.len())
            .map(|i| world.transfer(i, replication))
            .collect(),
        replications: (0..world.workloads.replications.len())
            .map(|i| world.replication(i, replication))
            .collect(),
        federations: (0..world.workloads.federations.len())
            .map(|i| world.federation(i, replication))
            .collect(),
        links,
    })
}

/// A signal that the processes of a region were sent.
struct Sent {
    at_ns: u64,
    region: RegionId,
    signal: Signal,
}

/// Every signal that was sent, in the order of time.
fn signals(scenario: &Scenario, replication: &Replication) -> Vec<Sent> {
    let mut steps: Vec<_> = replication.timeline.iter().collect();
    let done = process_changes(scenario).into_iter().filter_map(|change| {
        let what = words(scenario, &change);
        // The same words can stand there several times, for each time that it was done.
        let step = steps.iter().position(|step| step.what == what)?;
        Some(Sent {
            at_ns: steps.remove(step).begun_ns,
            region: change.region,
            signal: change.signal,
        })
    });
    done.collect()
}

/// The horizon, or the event that ended the last workload; a kill is none of a machine.
fn end_ns(scenario: &Scenario, replication: &Replication) -> u64 {
    if replication.ended == Ended::Horizon {
        return scenario.horizon.as_ns();
    }
    let events = replication.events.iter().map(|event| event.at_ns);
    let steps = replication.timeline.iter().map(|step| step.begun_ns);
    events.chain(steps).max().unwrap_or(0)
}

/// The workloads of a scenario during a replication.
struct World<'a> {
    scenario: &'a Scenario,
    cast: Cast,
    workloads: Workloads,
}

impl<'a> World<'a> {
    /// Everything that starts at a given time has started.
    fn new(scenario: &'a Scenario) -> World<'a> {
        let mut world = World {
            scenario,
            cast: Cast::of(scenario),
            workloads: Workloads::of(scenario),
        };
        for (at, workload) in world.workloads.starts().to_vec() {
            world.start(workload, at);
        }
        world
    }

    /// A workload is told to start at this time; its machine does so when it can, or never.
    fn start(&mut self, workload: Workload, at: Span) {
        let begins = |peer| {
            let region = self.cast.part(peer).expect("a machine of the cast").region;
            faults::begins(self.scenario, region, at)
        };
        let first = self.cast.starters(workload).into_iter().filter_map(begins).min();
        if let Some(begins) = first.filter(|begins| *begins < self.scenario.horizon) {
            self.workloads.stage_mut(workload).start(Instant::ZERO + begins);
        }
    }

    /// The processes of a region have stopped, gone on or ended.
    fn signal(&mut self, sent: &Sent) {
        let (now, region) = (Instant::from_ns(sent.at_ns), sent.region);
        match sent.signal {
            Signal::Stop => self.workloads.halt(now, &self.cast, region, true),
            Signal::Continue => self.workloads.halt(now, &self.cast, region, false),
            Signal::Kill => {
                let name = &self.scenario.regions[region.0 as usize].name;
                self.workloads.kill(now, &self.cast, region, name);
            }
            Signal::Restart => unreachable!("the plan refuses what is started again"),
        }
    }

    /// Takes in one event; `None` if it makes no sense.
    fn observe(&mut self, reported: &MachineEvent) -> Option<()> {
        let now = Instant::from_ns(reported.at_ns);
        let part = *self.cast.part(reported.peer)?;
        if let (true, Workload::Transfer(index)) = (part.role.receives(), part.workload)
            && let Ok(OfReceiver::Summary(counted)) = OfReceiver::deserialize(&reported.event)
        {
            let shares = &mut self.workloads.transfers[index].shares;
            shares.get_or_insert(counted.by_stream);
            return Some(());
        }
        let event = events::read(part.role, &reported.event)?;
        if self.workloads.observe(now, &part, &event) {
            // As in the simulator: a pause after it has completed.
            for (workload, pause) in self.workloads.dependents(part.workload) {
                self.start(
                    workload,
                    now.saturating_since(Instant::ZERO).saturating_add(pause),
                );
            }
        }
        Some(())
    }

    fn migration(&self, index: usize, replication: &Replication) -> MigrationRecord {
        let source = self.cast.peer(Workload::Migration(index), Role::MigrationSource);
        let summary = replication.summaries.get(&source.0);
        let statistics = summary.and_then(|json| Statistics::deserialize(json).ok());
        let tcp = tcp_of(replication, source);
        migration_record(
            self.scenario,
            index,
            &self.workloads.migrations[index],
            statistics.as_ref(),
            (tcp.segments, tcp.retransmits),
        )
    }

    fn replication(&self, index: usize, replication: &Replication) -> ReplicationRecord {
        let source = self
            .cast
            .peer(Workload::Replication(index), Role::ReplicationSource);
        let summary = replication.summaries.get(&source.0);
        let statistics = summary.and_then(|json| SourceStatistics::deserialize(json).ok());
        let tcp = tcp_of(replication, source);
        replication_record(
            self.scenario,
            index,
            &self.workloads.replications[index],
            statistics.as_ref(),
            (tcp.segments, tcp.retransmits),
            Instant::from_ns(end_ns(self.scenario, replication)),
        )
    }

    fn federation(&self, index: usize, replication: &Replication) -> FederationRecord {
        let mut counted = Counted {
            clusters: Vec::new(),
            segments: 0,
            retransmits: 0,
            linearizable: None,
        };
        for peer in self.cast.machines(Workload::Federation(index)) {
            let summary = replication.summaries.get(&peer.0);
            let statistics = summary.and_then(|json| longhaul_federation::Statistics::deserialize(json).ok());
            counted.clusters.push(statistics);
            let tcp = tcp_of(replication, peer);
            counted.segments += tcp.segments;
            counted.retransmits += tcp.retransmits;
        }
        federation_record(
            self.scenario,
            index,
            &self.workloads.federations[index],
            &counted,
            Instant::from_ns(end_ns(self.scenario, replication)),
        )
    }

    fn transfer(&self, index: usize, replication: &Replication) -> TransferRecord {
        let (sender, receiver) = self.cast.transfer(index);
        let summary = replication.summaries.get(&receiver.0);
        let counted = summary.and_then(|json| Received::deserialize(json).ok());
        let amst = self.scenario.transfers[index].carrier.amst();
        let sent = replication.summaries.get(&sender.0).filter(|_| amst.is_some());
        let amst = sent.and_then(|json| SenderStats::deserialize(json).ok());
        let tcp = tcp_of(replication, sender);
        transfer_record(
            self.scenario,
            index,
            &self.workloads.transfers[index],
            counted.unwrap_or_default().received,
            amst.as_ref(),
            (tcp.segments, tcp.retransmits),
        )
    }
}

fn tcp_of(replication: &Replication, peer: PeerId) -> TcpCounters {
    replication.tcp.get(&peer.0).copied().unwrap_or_default()
}

/// The records of all links; `None` if the counters are of other links.
fn matching_links(scenario: &Scenario, counters: &[LinkCounters]) -> Option<Vec<LinkRecord>> {
    if scenario.links.len() != counters.len() {
        return None;
    }
    let pairs = scenario.links.iter().zip(counters);
    pairs
        .map(|(link, counted)| (link.name() == counted.name).then(|| link_record(link, counted)))
        .collect()
}

fn link_record(link: &Link, counted: &LinkCounters) -> LinkRecord {
    let queue_drops = counted.dropped_by_queue.unwrap_or(0);
    LinkRecord {
        name: link.name(),
        rate_bits_per_s: link.rate.constant().map(BitRate::as_bits_per_s),
        delay_ns: link.delay.as_ns(),
        delivered_bytes: counted.sent_bytes,
        // See [`unmeasured`].
        busy_ns: 0,
        active_ns: 0,
        // Where the kernel counts both kinds of drops in one place, neither share is known.
        packets: counted.dropped_by_queue.map(|_| LinkPackets {
            offered_packets: counted.sent_packets + counted.dropped_by_law + queue_drops + counted.lost_down,
            delivered_packets: counted.sent_packets,
            lost_packets: counted.dropped_by_law,
            queue_dropped_packets: queue_drops,
            down_lost_packets: counted.lost_down,
            ..LinkPackets::default()
        }),
    }
}

/// Whether something of the scenario did not complete.
pub fn unfinished(replayed: &Replayed) -> bool {
    let migrations = replayed.migrations.iter().map(|m| &m.progress);
    let transfers = replayed.transfers.iter().map(|t| &t.progress);
    let replications = replayed.replications.iter().map(|r| &r.progress);
    let federations = replayed.federations.iter().map(|f| &f.progress);
    migrations
        .chain(transfers)
        .chain(replications)
        .chain(federations)
        .any(|progress| *progress != Progress::Completed)
}
