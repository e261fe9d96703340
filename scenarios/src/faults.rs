//! When links fail and come back, which routes hold meanwhile, and when machines stop: the faults of a scenario in
//! the order of time.
//!
//! Every router knows of a change of a link [`reroute_after`](Scenario::reroute_after) later, all at the same moment,
//! and from then on the network follows the [next hops](longhaul_net::routing::Graph::next_hops) over the links that
//! are up as far as the routers know. Machines are stopped, continued and killed by signals to their processes, and some
//! are started again. A simulation and a replay on a real kernel follow the same lists. Faults that may strike at random
//! are not in them: [`crate::chaos`] makes plain ones of them first.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_net::routing::{LinkId, RegionId};

use crate::schema::{Fault, Scenario};

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
        let link = link_of(scenario, &down.from, &down.to).expect("the check found the link");
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
    // Where a controller installs routes, the routers follow those.
    let changes = match scenario.route_control {
        None => link_changes(scenario),
        Some(_) => Vec::new(),
    };
    for change in changes {
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
    /// Those that can come back are started again.
    Restart,
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

/// What the processes of a region do.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Processes {
    #[default]
    Run,
    Stand,
    Ended,
}

/// Every signal, in the order of time, then of the regions. What has been killed gets no more until it is started again.
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
            Fault::LinkDown(_) | Fault::Reset(_) | Fault::Network(_) | Fault::Recover(_) => continue,
            Fault::Pause(pause) => (&pause.region, pause.at, Signal::Stop, pause.end()),
            Fault::Kill(kill) => (&kill.region, kill.at, Signal::Kill, kill.end()),
        };
        let region = region_of(region);
        let change = |at, signal| ProcessChange { at, region, signal };
        let back = match signal {
            Signal::Kill => Signal::Restart,
            _ => Signal::Continue,
        };
        changes.push(change(at, signal));
        changes.extend(end.map(|end| change(end, back)));
    }
    changes.sort();
    let mut regions: BTreeMap<RegionId, Processes> = BTreeMap::new();
    changes.retain(|change| {
        let processes = regions.entry(change.region).or_default();
        let next = match (*processes, change.signal) {
            (Processes::Run, Signal::Stop) => Processes::Stand,
            (Processes::Stand, Signal::Continue) | (Processes::Ended, Signal::Restart) => Processes::Run,
            (Processes::Run | Processes::Stand, Signal::Kill) => Processes::Ended,
            // A pause that a kill has cut short, for one.
            _ => return false,
        };
        *processes = next;
        true
    });
    changes
}

/// When a machine begins that is to begin at this time in this region: once its processes run. Signals of the same
/// moment come first. `None` if they are killed before, or never go on, or are not started again.
pub fn begins(scenario: &Scenario, region: RegionId, at: Span) -> Option<Span> {
    let mut runs = Some(at);
    for change in process_changes(scenario) {
        // What happens later matters only to those that stand still.
        if change.region == region && (change.at <= at || runs.is_none()) {
            runs = match change.signal {
                Signal::Continue | Signal::Restart => Some(at.max(change.at)),
                Signal::Stop | Signal::Kill => None,
            };
        }
    }
    runs
}

/// The link from one region to another.
pub(crate) fn link_of(scenario: &Scenario, from: &str, to: &str) -> Option<LinkId> {
    let links = &scenario.links;
    let index = links.iter().position(|link| link.from == from && link.to == to);
    index.map(|index| LinkId(index as u32))
}
