//! Follows a replication with the code by which the simulator follows a run: which workloads have started, which are
//! over, and which start when others are.

use longhaul_core::machine::PeerId;
use longhaul_core::time::Instant;
use longhaul_replay::coordinator::{Observer, Request};
use serde_json::Value;

use super::endpoints::ends;
use super::events::Kind;
use crate::run::workload::{self, MigrationRun, TransferRun};
use crate::schema::{Scenario, Start};

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
                run.stage.start(Instant::ZERO + at);
            }
        }
        for (run, spec) in transfers.iter_mut().zip(&scenario.transfers) {
            starts.push((Instant::ZERO + spec.at, run.sender));
            run.stage.start(Instant::ZERO + spec.at);
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

    /// A migration has ended: those that wait for it start, unless it failed.
    fn start_dependents(&mut self, at: Instant, ended: usize) -> Vec<Request> {
        let due = workload::dependents(&self.migrations, ended).into_iter();
        due.map(|(index, pause)| {
            let (at, run) = (at.saturating_add(pause), &mut self.migrations[index]);
            run.stage.start(at);
            Request::Start { at, peer: run.source }
        })
        .collect()
    }
}

impl Observer for Progress {
    fn starts(&self) -> Vec<(Instant, PeerId)> {
        self.starts.clone()
    }

    fn observe(&mut self, at: Instant, peer: PeerId, event: &Value) -> Vec<Request> {
        let Some(kind) = Kind::of(peer, self.migrations.len(), self.transfers.len()) else {
            return Vec::new();
        };
        let Some(event) = kind.read(event) else {
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
