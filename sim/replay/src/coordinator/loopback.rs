//! A ground without privilege: every region is an address of this machine's loopback device. Nothing shapes it, so
//! it measures nothing; it shows that machines, nodes and coordinator work together.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::{Ground, GroundError, TimelineStep};
use crate::outcome::LinkCounters;

/// Regions on the loopback device.
#[derive(Clone, Debug)]
pub struct Loopback {
    addresses: Vec<Ipv4Addr>,
    timeline: Vec<TimelineStep>,
}

impl Loopback {
    /// Regions in `127.0.network.0/24`, so that several can stand side by side. Of the timeline only signals have an
    /// effect.
    ///
    /// # Panics
    /// With more than 254 regions.
    pub fn new(network: u8, regions: usize, timeline: Vec<TimelineStep>) -> Loopback {
        assert!(regions <= 254, "more regions than addresses");
        Loopback {
            addresses: (1..)
                .take(regions)
                .map(|host| Ipv4Addr::new(127, 0, network, host))
                .collect(),
            timeline,
        }
    }
}

impl Ground for Loopback {
    fn addresses(&self) -> Vec<Ipv4Addr> {
        self.addresses.clone()
    }

    fn shape(&mut self) -> Result<(), GroundError> {
        Ok(())
    }

    fn command_in(&self, _region: usize, program: &Path) -> Command {
        Command::new(program)
    }

    fn timeline(&self) -> Vec<TimelineStep> {
        self.timeline.clone()
    }

    fn step(&mut self, _index: usize) -> Result<(), GroundError> {
        Ok(())
    }

    fn counters(&self) -> Result<Vec<LinkCounters>, GroundError> {
        Ok(Vec::new())
    }

    fn offloads_on(&self) -> Result<Vec<String>, GroundError> {
        Ok(Vec::new())
    }

    fn remove(self: Box<Self>) -> Result<(), GroundError> {
        Ok(())
    }
}
