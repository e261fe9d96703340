//! From what a replication measured to the records that a simulated run has. Events go through the same code as in the
//! simulator (`crate::run::workload`), so a completion time means the same in both worlds.

use longhaul_core::machine::PeerId;
use longhaul_core::record::{Ended, LinkPackets, LinkRecord, MigrationRecord, Progress, TransferRecord};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_migration::Statistics;
use longhaul_net::routing::RegionId;
use longhaul_replay::outcome::{LinkCounters, MachineEvent, Replication, TcpCounters};
use serde::Deserialize;
use thiserror::Error;

use super::endpoints::{Received, ends};
use super::events::Kind;
use super::plan::words;
use crate::faults::{self, Signal, process_changes};
use crate::run::assertions::Evidence;
use crate::run::summary::{migration_record, transfer_record};
use crate::run::workload::{self, MigrationRun, TransferRun};
use crate::schema::{Link, Metric, Scenario, Start};

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
    pub links: Vec<LinkRecord>,
}

impl Replayed {
    /// What assertions and metrics look at.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            end_ns: self.end_ns,
            migrations: &self.migrations,
            transfers: &self.transfers,
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
    let kills = kills(scenario, replication);
    let mut kills = kills.iter().peekable();
    for event in &replication.events {
        while let Some(&(_, region)) = kills.next_if(|(at_ns, _)| *at_ns < event.at_ns) {
            world.kill(region);
        }
        world.observe(event).ok_or_else(|| RecordsError::Event {
            replication: replication.number,
            peer: event.peer.0,
            event: event.event.to_string(),
        })?;
    }
    kills.for_each(|&(_, region)| world.kill(region));
    let names = |names: Vec<String>| names.join(", ");
    let links = matching_links(scenario, &replication.links).ok_or_else(|| RecordsError::Links {
        replication: replication.number,
        found: names(replication.links.iter().map(|link| link.name.clone()).collect()),
        expected: names(scenario.links.iter().map(Link::name).collect()),
    })?;
    Ok(Replayed {
        ended: replication.ended,
        end_ns: end_ns(scenario, replication),
        migrations: (0..world.migrations.len())
            .map(|i| world.migration(i, replication))
            .collect(),
        transfers: (0..world.transfers.len())
            .map(|i| world.transfer(i, replication))
            .collect(),
        links,
    })
}

/// When processes were killed, and in which regions.
fn kills(scenario: &Scenario, replication: &Replication) -> Vec<(u64, usize)> {
    let changes = process_changes(scenario);
    let kills = changes.iter().filter(|change| change.signal == Signal::Kill);
    let done = kills.filter_map(|change| {
        let what = words(scenario, change);
        let step = replication.timeline.iter().find(|step| step.what == what)?;
        Some((step.begun_ns, change.region.0 as usize))
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
    migrations: Vec<MigrationRun>,
    transfers: Vec<TransferRun>,
    /// Between which regions each workload runs, migrations first.
    ends: Vec<[usize; 2]>,
}

impl<'a> World<'a> {
    /// Everything that starts at a given time has started.
    fn new(scenario: &'a Scenario) -> World<'a> {
        let (migrations, transfers) = workload::runs(scenario);
        let mut world = World {
            scenario,
            migrations,
            transfers,
            ends: ends(scenario).map(|(from, to, _)| [from, to]).collect(),
        };
        for (index, spec) in scenario.migrations.iter().enumerate() {
            if let Start::At(at) = spec.start {
                world.start_migration(index, at);
            }
        }
        for (index, spec) in scenario.transfers.iter().enumerate() {
            let region = world.ends[world.migrations.len() + index][0];
            if let Some(at) = world.begins(region, spec.at) {
                world.transfers[index].stage.start(at);
            }
        }
        world
    }

    /// When a machine begins that is to begin at this time; `None` if it does not.
    fn begins(&self, region: usize, at: Span) -> Option<Instant> {
        let begins = faults::begins(self.scenario, RegionId(region as u32), at)?;
        (begins < self.scenario.horizon).then_some(Instant::ZERO + begins)
    }

    fn start_migration(&mut self, index: usize, at: Span) {
        if let Some(at) = self.begins(self.ends[index][0], at) {
            self.migrations[index].stage.start(at);
        }
    }

    /// The processes of a region have ended.
    fn kill(&mut self, region: usize) {
        let name = &self.scenario.regions[region].name;
        workload::kill(
            name,
            region,
            &self.ends,
            &mut self.migrations,
            &mut self.transfers,
        );
    }

    /// Takes in one event; `None` if it makes no sense.
    fn observe(&mut self, reported: &MachineEvent) -> Option<()> {
        let now = Instant::from_ns(reported.at_ns);
        let kind = Kind::of(reported.peer, self.migrations.len(), self.transfers.len())?;
        if let Kind::BulkReceiver(index) = kind
            && let Ok(OfReceiver::Summary(counted)) = OfReceiver::deserialize(&reported.event)
        {
            self.transfers[index].shares.get_or_insert(counted.by_stream);
            return Some(());
        }
        let event = kind.read(&reported.event)?;
        match kind {
            Kind::MigrationSource(index) | Kind::MigrationDestination(index) => {
                if self.migrations[index].observe(now, &event) {
                    self.start_dependents(index, now);
                }
            }
            Kind::BulkSender(index) | Kind::BulkReceiver(index) => {
                self.transfers[index].observe(now, &event);
            }
        }
        Some(())
    }

    /// The migrations that wait for this one start as in the simulator: a pause after it has completed.
    fn start_dependents(&mut self, ended: usize, now: Instant) {
        for (index, pause) in workload::dependents(&self.migrations, ended) {
            let at = now.saturating_since(Instant::ZERO).saturating_add(pause);
            self.start_migration(index, at);
        }
    }

    fn migration(&self, index: usize, replication: &Replication) -> MigrationRecord {
        let run = &self.migrations[index];
        let summary = replication.summaries.get(&run.source.0);
        let statistics = summary.and_then(|json| Statistics::deserialize(json).ok());
        let tcp = tcp_of(replication, run.source);
        migration_record(
            self.scenario,
            index,
            run,
            statistics.as_ref(),
            (tcp.segments, tcp.retransmits),
        )
    }

    fn transfer(&self, index: usize, replication: &Replication) -> TransferRecord {
        let run = &self.transfers[index];
        let summary = replication.summaries.get(&run.receiver.0);
        let counted = summary.and_then(|json| Received::deserialize(json).ok());
        let tcp = tcp_of(replication, run.sender);
        transfer_record(
            self.scenario,
            index,
            run,
            counted.unwrap_or_default().received,
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
    migrations
        .chain(transfers)
        .any(|progress| *progress != Progress::Completed)
}
