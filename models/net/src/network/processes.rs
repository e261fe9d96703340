//! Processes that stand still, end or are started again, while the kernels under them go on.

use longhaul_core::schedule::Schedule;

use crate::endpoint::{Endpoint, Shutdown};
use crate::network::{Flow, Network, Slot};
use crate::routing::RegionId;

/// What the processes of a region do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Processes {
    /// They run.
    Run,
    /// They stand still.
    Stand,
    /// They have ended.
    Ended,
}

impl Processes {
    /// A side of a connection that is opened to them or by them.
    pub(super) fn take_on(self, endpoint: &mut Endpoint) {
        match self {
            Processes::Run => {}
            Processes::Stand => endpoint.tcp.pause(),
            Processes::Ended => bury(endpoint),
        }
    }
}

impl Network {
    /// The processes of a region stand still, as after SIGSTOP: they are told nothing and read nothing, until
    /// [`Network::resume`]; the caller must not act for them meanwhile. Their kernel's TCP goes on.
    ///
    /// # Panics
    /// If the region is not of this network, or its processes do not run.
    pub fn pause(&mut self, region: RegionId) {
        let processes = &mut self.processes[region.0 as usize];
        assert_eq!(*processes, Processes::Run, "only what runs can be paused");
        *processes = Processes::Stand;
        for flow in self.flows_in(region) {
            if let Some(endpoint) = self.endpoint_mut(flow) {
                endpoint.tcp.pause();
            }
        }
    }

    /// They go on, as after SIGCONT, and are told what has happened.
    ///
    /// # Panics
    /// If the region is not of this network, or its processes do not stand still.
    pub fn resume<S: Schedule>(&mut self, schedule: &mut S, region: RegionId) {
        let processes = &mut self.processes[region.0 as usize];
        assert_eq!(*processes, Processes::Stand, "only what stands still can go on");
        *processes = Processes::Run;
        for flow in self.flows_in(region) {
            if let Some(endpoint) = self.endpoint_mut(flow) {
                endpoint.tcp.resume(schedule.now());
                self.settle(schedule, flow);
            }
        }
    }

    /// They end, as after SIGKILL, and their kernel closes their connections: it sends what TCP had taken and a FIN,
    /// or an RST where something was not read, and answers what comes later by an RST. They are told nothing more.
    ///
    /// # Panics
    /// If the region is not of this network, or its processes have ended already.
    pub fn kill<S: Schedule>(&mut self, schedule: &mut S, region: RegionId) {
        let processes = &mut self.processes[region.0 as usize];
        assert_ne!(*processes, Processes::Ended, "what has ended cannot end again");
        *processes = Processes::Ended;
        for flow in self.flows_in(region) {
            if let Some(endpoint) = self.endpoint_mut(flow) {
                bury(endpoint);
                self.settle(schedule, flow);
                self.release_if_over(schedule, flow);
            }
        }
    }

    /// Processes run there again. They know nothing of the connections of those before them.
    ///
    /// # Panics
    /// If the region is not of this network, or its processes have not ended.
    pub fn restart(&mut self, region: RegionId) {
        let processes = &mut self.processes[region.0 as usize];
        assert_eq!(
            *processes,
            Processes::Ended,
            "only what has ended can be started again"
        );
        *processes = Processes::Run;
    }

    /// The sides of open connections that are in a region, in the order of opening.
    fn flows_in(&self, region: RegionId) -> Vec<Flow> {
        let slots = (0..).map(Flow).zip(&self.slots);
        let here = slots.filter(|(_, slot)| matches!(slot, Slot::Open(endpoint) if endpoint.here == region));
        here.map(|(flow, _)| flow).collect()
    }
}

/// The process is gone, and with it what it had not handed to TCP.
fn bury(endpoint: &mut Endpoint) {
    endpoint.tcp.kill();
    endpoint.closed = true;
    endpoint.outgoing.outbox = Default::default();
    endpoint.outgoing.shutdown = Shutdown::Done;
}
