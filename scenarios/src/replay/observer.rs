//! Follows a replication with the code by which the simulator follows a run: which workloads have started, which are
//! over, and which start when others are.

use longhaul_core::machine::PeerId;
use longhaul_core::time::Instant;
use longhaul_net::routing::RegionId;
use longhaul_replay::coordinator::{Observer, Request};
use serde_json::Value;

use super::events;
use crate::run::cast::{Cast, Workload};
use crate::run::workload::Workloads;
use crate::schema::Scenario;

/// How far the workloads of a replication have got.
pub(super) struct Progress {
    cast: Cast,
    workloads: Workloads,
    /// Names of the regions.
    regions: Vec<String>,
}

impl Progress {
    /// What starts at a given time is taken to have started.
    pub fn new(scenario: &Scenario) -> Progress {
        let mut workloads = Workloads::of(scenario);
        for (at, workload) in workloads.starts().to_vec() {
            workloads.stage_mut(workload).start(Instant::ZERO + at);
        }
        Progress {
            cast: Cast::of(scenario),
            workloads,
            regions: scenario
                .regions
                .iter()
                .map(|region| region.name.clone())
                .collect(),
        }
    }

    /// A workload has ended: those that wait for it start, unless it failed.
    fn start_dependents(&mut self, at: Instant, ended: Workload) -> Vec<Request> {
        let due = self.workloads.dependents(ended).into_iter();
        due.map(|(workload, pause)| {
            let at = at.saturating_add(pause);
            self.workloads.stage_mut(workload).start(at);
            let peer = self.cast.starter(workload);
            Request::Start { at, peer }
        })
        .collect()
    }
}

impl Observer for Progress {
    fn starts(&self) -> Vec<(Instant, PeerId)> {
        let starts = self.workloads.starts().iter();
        starts
            .map(|&(at, workload)| (Instant::ZERO + at, self.cast.starter(workload)))
            .collect()
    }

    fn observe(&mut self, at: Instant, peer: PeerId, event: &Value) -> Vec<Request> {
        let Some(&part) = self.cast.part(peer) else {
            return Vec::new();
        };
        let Some(event) = events::read(part.role, event) else {
            return Vec::new();
        };
        let mut requests = Vec::new();
        if let Workload::Transfer(index) = part.workload
            && let run = &mut self.workloads.transfers[index]
            && run.compares_streams(&event)
        {
            // Asked for once; the numbers are in the answer, which is an event of the receiver.
            run.shares = Some(Vec::new());
            let (_, peer) = self.cast.transfer(index);
            requests.push(Request::Summary { peer });
        }
        if self.workloads.observe(at, part.workload, &event) {
            requests.extend(self.start_dependents(at, part.workload));
        }
        requests
    }

    fn killed(&mut self, region: usize) {
        let name = &self.regions[region];
        // When it was does not matter here: the records are made from the timeline.
        let when = Instant::ZERO;
        self.workloads
            .kill(when, &self.cast, RegionId(region as u32), name);
    }

    fn outstanding(&self) -> usize {
        self.workloads.outstanding()
    }
}
