//! A plan that was applied to this kernel, as the ground of a replay.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::{Ground, GroundError, TimelineStep};
use crate::host::World;
use crate::outcome::LinkCounters;
use crate::plan::{Action, Step};

impl Ground for World {
    fn addresses(&self) -> Vec<Ipv4Addr> {
        self.plan().regions.iter().map(|region| region.address).collect()
    }

    fn shape(&mut self) -> Result<(), GroundError> {
        Ok(World::shape(self)?)
    }

    fn command_in(&self, region: usize, program: &Path) -> Command {
        World::command_in(self, region, program)
    }

    fn timeline(&self) -> Vec<TimelineStep> {
        let step = |step: &Step| TimelineStep {
            at: step.at,
            what: step.what.clone(),
            signal: match &step.action {
                Action::Network { .. } => None,
                Action::Signal { region, signal } => Some((*region, *signal)),
            },
        };
        self.plan().timeline.iter().map(step).collect()
    }

    fn step(&mut self, index: usize) -> Result<(), GroundError> {
        Ok(World::step(self, index)?)
    }

    fn counters(&self) -> Result<Vec<LinkCounters>, GroundError> {
        Ok(World::counters(self)?)
    }

    fn offloads_on(&self) -> Result<Vec<String>, GroundError> {
        Ok(World::offloads_on(self)?)
    }

    fn remove(self: Box<Self>) -> Result<(), GroundError> {
        Ok(World::remove(*self)?)
    }
}
