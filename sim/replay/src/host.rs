//! A plan on this kernel: namespaces, devices and queueing disciplines, made and removed.
//!
//! All devices live in namespaces of the plan; the machine's own network is never touched. What is made is noted first
//! in `/run/longhaul` (`state`), so that [`cleanup`] finds what a killed replay left, and takes nothing else.
//!
//! A link that fails has its disciplines replaced by a `blackhole`: what was in its queue and on its way is gone, what
//! is offered is lost without a word, and the other direction goes on. Setting the device down would take the carrier
//! from both directions, and routes with it.

mod counters;
mod error;
mod namespace;
mod state;
mod tool;

use std::io::Write;
use std::path::Path;
use std::process::Command;

pub use error::HostError;
pub use state::cleanup;

use crate::outcome::LinkCounters;
use crate::plan::{Action, Batch, Place, Plan, Tool};
use counters::Discipline;
use state::State;
use tool::{How, Running};

/// What `ethtool -k` calls the features that have to be off.
const OFFLOADS: [&str; 3] = [
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
];

/// A plan on this kernel. Dropping it removes everything.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    /// `None` once everything is removed.
    state: Option<State>,
    /// What disciplines that are gone had counted, by link.
    earlier: Vec<LinkCounters>,
}

impl World {
    /// Makes namespaces, devices, addresses and routes, with all offloads off and TCP set. Nothing is shaped yet.
    ///
    /// # Errors
    /// [`HostError`]; then nothing is left.
    pub fn apply(plan: &Plan) -> Result<World, HostError> {
        if !rustix::process::geteuid().is_root() {
            return Err(HostError::NoPrivilege);
        }
        let state = State::claim(plan)?;
        let world = World {
            plan: plan.clone(),
            state: Some(state),
            earlier: plan.links.iter().map(counters::zero).collect(),
        };
        // From here on a failure drops the world, and with it what has been made.
        world.make()?;
        Ok(world)
    }

    fn make(&self) -> Result<(), HostError> {
        let plan = &self.plan;
        let state = self.state.as_ref().expect("just claimed");
        state.set_kernel(&plan.kernel_settings)?;
        state.write_tables(&plan.tables)?;
        tool::batch(Tool::Ip, &plan.creation(), How::default())?;
        for (place, namespace) in self.namespaces() {
            let settings = plan.settings(place);
            namespace::run_in(&namespace, || namespace::write_settings(&settings))??;
        }
        for device in plan.devices() {
            let namespace = plan.namespace(device.place);
            let arguments = [&["-K", &device.name], plan.offloads()].concat();
            tool::in_namespace("ethtool", &namespace, &arguments)?;
        }
        let configuration = plan.configuration();
        self.run_all(&configuration)
    }

    fn namespaces(&self) -> impl Iterator<Item = (Place, String)> + '_ {
        let regions = (0..self.plan.regions.len()).map(Place::Region);
        let places = regions.chain((0..self.plan.wires.len()).map(Place::Wire));
        places.map(|place| (place, self.plan.namespace(place)))
    }

    /// Runs batches side by side: all are started before the first is waited for, and all are waited for.
    fn run_all(&self, batches: &[Batch]) -> Result<(), HostError> {
        let started: Vec<_> = batches.iter().map(|batch| self.start(batch, &[])).collect();
        let done: Vec<_> = started.into_iter().map(|running| running?.wait()).collect();
        done.into_iter().try_for_each(|result| result.map(drop))
    }

    /// Starts a batch, after showing the counters of these links.
    fn start(&self, batch: &Batch, shown: &[usize]) -> Result<Running, HostError> {
        let namespace = self.plan.namespace(batch.place);
        let tables = self.state.as_ref().map(State::tables);
        let how = How {
            namespace: Some(&namespace),
            tables: tables.as_deref(),
            counters: !shown.is_empty(),
            force: false,
        };
        let show = shown
            .iter()
            .map(|&link| format!("qdisc show dev {}", self.plan.links[link].device));
        let lines: Vec<String> = show.chain(batch.lines.iter().cloned()).collect();
        tool::start(batch.tool, &lines, how)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Puts all queueing disciplines in their places.
    ///
    /// # Errors
    /// [`HostError`], in particular if the kernel has no netem.
    pub fn shape(&mut self) -> Result<(), HostError> {
        self.run_all(&self.plan.shaping())
    }

    /// A command that runs `program` in the namespace of a region.
    ///
    /// # Panics
    /// If there is no such region.
    pub fn command_in(&self, region: usize, program: &Path) -> Command {
        assert!(region < self.plan.regions.len(), "no region {region}");
        let namespace = self.plan.namespace(Place::Region(region));
        let mut command = Command::new(tool::path("ip"));
        command.args(["netns", "exec", &namespace]).arg(program);
        command
    }

    /// Does the step with this index of [`Plan::timeline`]. Signals are for whoever runs the programs: nothing happens.
    ///
    /// # Errors
    /// [`HostError`].
    ///
    /// # Panics
    /// If there is no such step.
    pub fn step(&mut self, index: usize) -> Result<(), HostError> {
        let Action::Network { batches, restarts } = &self.plan.timeline[index].action else {
            return Ok(());
        };
        // What is thrown away is counted just before, by the same process.
        let shown = |batch: &Batch| -> Vec<usize> {
            let on_wire = |&&link: &&usize| batch.place == Place::Wire(self.plan.links[link].wire);
            let links = restarts.iter().filter(on_wire).copied();
            links.filter(|_| batch.tool == Tool::Tc).collect()
        };
        let shown: Vec<Vec<usize>> = batches.iter().map(shown).collect();
        let started: Vec<_> = batches
            .iter()
            .zip(&shown)
            .map(|(batch, shown)| self.start(batch, shown))
            .collect();
        let done: Vec<_> = started.into_iter().map(|running| running?.wait()).collect();
        for (output, links) in done.into_iter().zip(shown) {
            let lists = counters::parse(&output?)?;
            for (link, disciplines) in links.into_iter().zip(lists) {
                counters::add_last(&mut self.earlier[link], &self.plan.links[link], &disciplines);
            }
        }
        Ok(())
    }

    /// What every link has carried and dropped so far, in the order of the plan.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn counters(&self) -> Result<Vec<LinkCounters>, HostError> {
        let show = ["qdisc show".to_owned()];
        let of_wire = |wire| -> Result<Vec<Discipline>, HostError> {
            let namespace = self.plan.namespace(Place::Wire(wire));
            let how = How {
                namespace: Some(&namespace),
                counters: true,
                ..How::default()
            };
            let lists = counters::parse(&tool::batch(Tool::Tc, &show, how)?)?;
            Ok(lists.into_iter().flatten().collect())
        };
        let wires = (0..self.plan.wires.len())
            .map(of_wire)
            .collect::<Result<Vec<_>, _>>()?;
        let mut sums = self.earlier.clone();
        for (sum, link) in sums.iter_mut().zip(&self.plan.links) {
            counters::add(sum, link, &wires[link.wire]);
        }
        Ok(sums)
    }

    /// Offloads that are on in spite of all: `namespace/device: feature`.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn offloads_on(&self) -> Result<Vec<String>, HostError> {
        let mut on = Vec::new();
        for device in self.plan.devices() {
            let namespace = self.plan.namespace(device.place);
            let features = tool::in_namespace("ethtool", &namespace, &["-k", &device.name])?;
            for feature in OFFLOADS {
                if is_on(&features, feature) {
                    on.push(format!("{namespace}/{}: {feature}", device.name));
                }
            }
        }
        Ok(on)
    }

    /// Removes everything.
    ///
    /// # Errors
    /// [`HostError`]; what could not be removed is left for [`cleanup`].
    pub fn remove(mut self) -> Result<(), HostError> {
        self.state.take().map_or(Ok(()), |state| state.remove().map(drop))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(state) = self.state.take()
            && let Err(error) = state.remove()
        {
            // Nobody else could say it: `remove` returns its error.
            let _ = writeln!(
                std::io::stderr(),
                "longhaul: {error}; `longhaul replay --cleanup` removes the rest"
            );
        }
    }
}

/// Whether `ethtool -k` says that a feature is on.
fn is_on(features: &str, feature: &str) -> bool {
    let lines = features.lines().filter_map(|line| line.trim().split_once(": "));
    let mut found = lines.filter(|(name, _)| *name == feature);
    // What it does not know is not off.
    found.next().is_none_or(|(_, state)| state.starts_with("on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_off_only_if_it_says_so() {
        let features = "Features for w0:\ntcp-segmentation-offload: off\n\ttx-tcp-segmentation: on\n\
            generic-receive-offload: on [fixed]\n";
        assert!(!is_on(features, "tcp-segmentation-offload"));
        assert!(is_on(features, "generic-receive-offload"));
        assert!(is_on(features, "generic-segmentation-offload"));
    }
}
