//! Follows a replication with the code by which the simulator follows a run: which workloads have started, which are
//! over, and which start when others are.

use longhaul_bulk::{ReceiverEvent, SenderEvent};
use longhaul_core::machine::PeerId;
use longhaul_core::time::Instant;
use longhaul_migration::{DestinationEvent, SourceEvent};
use longhaul_replay::coordinator::{Observer, Request};
use serde::Deserialize;
use serde_json::Value;

use super::endpoints::ends;
use crate::run::endpoint::Event;
use crate::run::workload::{self, MigrationRun, TransferRun};
use crate::schema::{Scenario, Start};

/// What kind of machine reports. Events carry no kind of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    MigrationSource(usize),
    MigrationDestination(usize),
    BulkSender(usize),
    BulkReceiver(usize),
}

/// How far the workloads of a replication have got.
pub(super) struct Progress {
    starts: Vec<(Instant, PeerId)>,
    migrations: Vec<MigrationRun>,
    transfers: Vec<TransferRun>,
    /// Names of the regions.
    regions: Vec<String>,
    /// Between which of them each workload runs, migrations first.
    ends: Vec<[usize; 2]>,
    outstanding: usize,
}

impl Progress {
    /// Nothing has started.
    pub fn new(scenario: &Scenario) -> Progress {
        let (mut migrations, mut transfers) = workload::runs(scenario);
        let mut starts = Vec::new();
        for (run, spec) in migrations.iter_mut().zip(&scenario.migrations) {
            if let Start::At(at) = spec.start {
                starts.push((Instant::ZERO + at, run.source));
                run.start(Instant::ZERO + at);
            }
        }
        for (run, spec) in transfers.iter_mut().zip(&scenario.transfers) {
            starts.push((Instant::ZERO + spec.at, run.sender));
            run.start(Instant::ZERO + spec.at);
        }
        Progress {
            starts,
            outstanding: migrations.len() + transfers.len(),
            migrations,
            transfers,
            regions: scenario
                .regions
                .iter()
                .map(|region| region.name.clone())
                .collect(),
            ends: ends(scenario).map(|(from, to, _)| [from, to]).collect(),
        }
    }

    /// Machines are numbered in pairs: migrations first, then transfers.
    fn kind(&self, peer: PeerId) -> Option<Kind> {
        let (pair, second) = (peer.0 as usize / 2, peer.0 % 2 == 1);
        match pair.checked_sub(self.migrations.len()) {
            None if second => Some(Kind::MigrationDestination(pair)),
            None => Some(Kind::MigrationSource(pair)),
            Some(transfer) if transfer >= self.transfers.len() => None,
            Some(transfer) if second => Some(Kind::BulkReceiver(transfer)),
            Some(transfer) => Some(Kind::BulkSender(transfer)),
        }
    }

    /// A migration has ended: those that wait for it start, unless it failed.
    fn start_dependents(&mut self, at: Instant, ended: usize) -> Vec<Request> {
        if !self.migrations[ended].completed() {
            return Vec::new();
        }
        let mut requests = Vec::new();
        for run in &mut self.migrations {
            if let Some((before, pause)) = run.after
                && before == ended
            {
                let at = at.saturating_add(pause);
                let peer = run.source;
                run.start(at);
                requests.push(Request::Start { at, peer });
            }
        }
        requests
    }
}

/// An event by the kind of the machine that reports it. `None` for what is no event of such a machine, such as the
/// answer to a request for a summary.
fn read(kind: Kind, event: &Value) -> Option<Event> {
    match kind {
        Kind::MigrationSource(_) => SourceEvent::deserialize(event).ok().map(Event::MigrationSource),
        Kind::MigrationDestination(_) => DestinationEvent::deserialize(event)
            .ok()
            .map(Event::MigrationDestination),
        Kind::BulkSender(_) => SenderEvent::deserialize(event).ok().map(Event::BulkSender),
        Kind::BulkReceiver(_) => ReceiverEvent::deserialize(event).ok().map(Event::BulkReceiver),
    }
}

impl Observer for Progress {
    fn starts(&self) -> Vec<(Instant, PeerId)> {
        self.starts.clone()
    }

    fn observe(&mut self, at: Instant, peer: PeerId, event: &Value) -> Vec<Request> {
        let Some(kind) = self.kind(peer) else {
            return Vec::new();
        };
        let Some(event) = read(kind, event) else {
            return Vec::new();
        };
        match kind {
            Kind::MigrationSource(index) | Kind::MigrationDestination(index) => {
                if !self.migrations[index].observe(at, &event) {
                    return Vec::new();
                }
                self.outstanding -= 1;
                self.start_dependents(at, index)
            }
            Kind::BulkSender(index) | Kind::BulkReceiver(index) => {
                let run = &mut self.transfers[index];
                let mut requests = Vec::new();
                if run.compares_streams(&event) {
                    // Asked for once; the numbers are in the answer, which is an event of the receiver.
                    run.shares = Some(Vec::new());
                    requests.push(Request::Summary { peer: run.receiver });
                }
                if run.observe(at, &event) {
                    self.outstanding -= 1;
                }
                requests
            }
        }
    }

    fn killed(&mut self, region: usize) {
        let name = &self.regions[region];
        let ended = workload::kill(
            name,
            region,
            &self.ends,
            &mut self.migrations,
            &mut self.transfers,
        );
        self.outstanding -= ended;
    }

    fn outstanding(&self) -> usize {
        self.outstanding
    }
}
