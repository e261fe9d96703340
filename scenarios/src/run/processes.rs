//! Machines that stand still, go on, or end, all those of a region together.

use longhaul_core::machine::{Input, PeerId};
use longhaul_core::schedule::Schedule;
use longhaul_engine::Engine;
use longhaul_net::routing::RegionId;

use super::endpoint::Life;
use super::scene::{Scene, disarm};

impl Scene {
    /// The machines of a region stand still: what they would be told comes when they go on.
    pub(super) fn pause(&mut self, engine: &Engine, region: RegionId) {
        self.workloads.halt(engine.now(), &self.cast, region, true);
        self.network.pause(region);
        for endpoint in self
            .endpoints
            .iter_mut()
            .filter(|endpoint| endpoint.part.region == region)
        {
            endpoint.life = Life::Still {
                start: false,
                wake: false,
            };
        }
    }

    /// They go on: first with what was due in the meantime, then with what the network has for them.
    pub(super) fn resume(&mut self, engine: &mut Engine, region: RegionId) {
        self.workloads.halt(engine.now(), &self.cast, region, false);
        for peer in self.machines_in(region) {
            let life = &mut self.endpoints[peer.0 as usize].life;
            let Life::Still { start, wake } = std::mem::replace(life, Life::Runs) else {
                continue;
            };
            if start {
                self.start(engine, peer);
            }
            if wake {
                self.deliver(engine, peer, Input::Wake);
            }
        }
        self.network.resume(engine, region);
    }

    /// They end, and what they worked for has failed.
    pub(super) fn kill(&mut self, engine: &mut Engine, region: RegionId) {
        for peer in self.machines_in(region) {
            let endpoint = &mut self.endpoints[peer.0 as usize];
            endpoint.life = Life::Ended;
            disarm(engine, endpoint);
        }
        let name = self.network.region_name(region);
        for workload in self.workloads.kill(engine.now(), &self.cast, region, name) {
            self.end(engine, workload);
        }
        self.network.kill(engine, region);
    }

    fn machines_in(&self, region: RegionId) -> Vec<PeerId> {
        let here = self.cast.parts().filter(|(_, part)| part.region == region);
        here.map(|(peer, _)| peer).collect()
    }
}
