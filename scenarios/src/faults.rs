//! When links fail and come back, which routes hold meanwhile, and when machines stop: the faults of a scenario in
//! the order of time.
//!
//! Every router knows of a change of a link [`reroute_after`](Scenario::reroute_after) later, all at the same moment,
//! and from then on the network follows the [next hops](longhaul_net::routing::Graph::next_hops) over the links that
//! are up as far as the routers know. Machines are stopped, continued and killed by signals to their processes. A
//! simulation and a replay on a real kernel follow the same lists.

use std::collections::BTreeSet;

use longhaul_core::time::Span;
use longhaul_net::routing::{LinkId, RegionId};

use crate::schema::{Fault, LinkDown, Scenario};

/// A link fails or is back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkChange {
    /// When.
    pub at: Span,
    /// Its index in [`Scenario::links`].
    pub link: LinkId,
    /// Whether it is back.
    pub up: bool,
}

/// A time over which the routers use the same routes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoutingEpoch {
    /// When it begins. Link changes of the same moment come first.
    pub at: Span,
    /// Which links the routes use, by their index in [`Scenario::links`].
    pub up: Vec<bool>,
}

/// Every change of a link, in the order of time, then of the links.
///
/// # Panics
/// If a fault names a link that does not exist: the check refuses it.
pub fn link_changes(scenario: &Scenario) -> Vec<LinkChange> {
    let mut changes = Vec::new();
    for fault in &scenario.faults {
        let Fault::LinkDown(down) = fault else { continue };
        let link = link_of(scenario, down).expect("the check found the link");
        let change = |at, up| LinkChange { at, link, up };
        changes.push(change(down.at, false));
        changes.extend(down.end().map(|end| change(end, true)));
    }
    changes.sort();
    changes
}

/// The routing epochs of a run, in the order of time. The first begins with the run and uses every link.
pub fn routing_epochs(scenario: &Scenario) -> Vec<RoutingEpoch> {
    let mut epochs = vec![RoutingEpoch {
        at: Span::ZERO,
        up: vec![true; scenario.links.len()],
    }];
    for change in link_changes(scenario) {
        let at = change.at.saturating_add(scenario.reroute_after);
        let last = epochs.last_mut().expect("the first epoch");
        if last.at < at {
            let up = last.up.clone();
            epochs.push(RoutingEpoch { at, up });
        }
        let last = epochs.last_mut().expect("just made");
        last.up[change.link.0 as usize] = change.up;
    }
    epochs
}

/// What happens to the processes of a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Signal {
    /// They go on: SIGCONT.
    Continue,
    /// They stand still: SIGSTOP.
    Stop,
    /// They end: SIGKILL.
    Kill,
}

/// A signal to the processes of a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ProcessChange {
    /// When.
    pub at: Span,
    /// Its index in [`Scenario::regions`].
    pub region: RegionId,
    /// Which.
    pub signal: Signal,
}

/// Every signal, in the order of time, then of the regions. What has been killed gets no more.
///
/// # Panics
/// If a fault names a region that does not exist: the check refuses it.
pub fn process_changes(scenario: &Scenario) -> Vec<ProcessChange> {
    let mut changes = Vec::new();
    let region_of = |name: &str| {
        let index = scenario.regions.iter().position(|region| region.name == name);
        RegionId(index.expect("the check found the region") as u32)
    };
    for fault in &scenario.faults {
        let (region, at, signal, end) = match fault {
            Fault::LinkDown(_) | Fault::Reset(_) => continue,
            Fault::Pause(pause) => (&pause.region, pause.at, Signal::Stop, pause.end()),
            Fault::Kill(kill) => (&kill.region, kill.at, Signal::Kill, None),
        };
        let region = region_of(region);
        let change = |at, signal| ProcessChange { at, region, signal };
        changes.push(change(at, signal));
        changes.extend(end.map(|end| change(end, Signal::Continue)));
    }
    changes.sort();
    let mut killed = BTreeSet::new();
    changes.retain(|change| {
        let alive = !killed.contains(&change.region);
        if change.signal == Signal::Kill {
            killed.insert(change.region);
        }
        alive
    });
    changes
}

/// When a machine begins that is to begin at this time in this region: once its processes run. Signals of the same
/// moment come first. `None` if they are killed before, or never go on.
pub fn begins(scenario: &Scenario, region: RegionId, at: Span) -> Option<Span> {
    let mut runs = Some(at);
    for change in process_changes(scenario) {
        // What happens later matters only to those that stand still.
        if change.region == region && (change.at <= at || runs.is_none()) {
            runs = match change.signal {
                Signal::Continue => Some(at.max(change.at)),
                Signal::Stop => None,
                Signal::Kill => return None,
            };
        }
    }
    runs
}

/// The link that fails.
pub(crate) fn link_of(scenario: &Scenario, down: &LinkDown) -> Option<LinkId> {
    let links = &scenario.links;
    let index = links
        .iter()
        .position(|link| link.from == down.from && link.to == down.to);
    index.map(|index| LinkId(index as u32))
}
