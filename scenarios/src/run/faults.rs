//! Faults as they come: links that fail and come back, and routers that follow.

use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_engine::Engine;
use serde_json::json;

use super::scene::{FAULT, SCENE};
use super::transit::Transit;
use crate::faults::{LinkChange, RoutingEpoch, link_changes, routing_epochs};
use crate::schema::{Link, Scenario};

/// What happens, in the order of time, and how far it has come. One event is pending at a time.
pub struct Faults {
    changes: Vec<LinkChange>,
    epochs: Vec<RoutingEpoch>,
    /// Names of the links.
    links: Vec<String>,
    changes_done: usize,
    epochs_done: usize,
    /// How many links are down.
    down: usize,
    timer: Option<TimerId>,
}

/// Something that happened: to whom, what in a word, details as JSON.
pub type Happened = (String, &'static str, String);

impl Faults {
    /// The faults of a scenario, before the run.
    pub fn new(scenario: &Scenario) -> Faults {
        Faults {
            changes: link_changes(scenario),
            epochs: routing_epochs(scenario),
            links: scenario.links.iter().map(Link::name).collect(),
            changes_done: 0,
            // The first is how a network begins.
            epochs_done: 1,
            down: 0,
            timer: None,
        }
    }

    /// Schedules what comes next, if anything does.
    pub fn schedule(&mut self, engine: &mut Engine) {
        let change = self.changes.get(self.changes_done).map(|change| change.at);
        let epoch = self.epochs.get(self.epochs_done).map(|epoch| epoch.at);
        let next = change.into_iter().chain(epoch).min();
        self.timer = next.map(|at| {
            let at = Instant::ZERO.saturating_add(at);
            engine.schedule_timer(at, Class::World, SCENE, SCENE, FAULT)
        });
    }

    /// Lets happen what is due.
    pub fn happen(&mut self, now: Instant, network: &mut Transit) -> Vec<Happened> {
        let due = |at| Instant::ZERO.saturating_add(at) <= now;
        let mut happened = Vec::new();
        while let Some(change) = self.changes.get(self.changes_done).filter(|next| due(next.at)) {
            self.changes_done += 1;
            happened.push(self.change(now, *change, network));
        }
        while let Some(epoch) = self.epochs.get(self.epochs_done).filter(|next| due(next.at)) {
            self.epochs_done += 1;
            network.converge(&epoch.up);
            let unused = self.links.iter().zip(&epoch.up).filter(|(_, up)| !**up);
            let unused: Vec<&String> = unused.map(|(name, _)| name).collect();
            let detail = json!({ "without": unused }).to_string();
            happened.push(("routing".to_owned(), "Rerouted", detail));
        }
        happened
    }

    /// Takes back what is still to come, unless a link is down or out of use: what is on its way at the end of the
    /// work must be able to arrive.
    pub fn cancel(&mut self, engine: &mut Engine) {
        let routes = &self.epochs[self.epochs_done - 1];
        if self.down == 0
            && routes.up.iter().all(|&up| up)
            && let Some(timer) = self.timer.take()
        {
            engine.cancel(timer);
        }
    }

    fn change(&mut self, now: Instant, change: LinkChange, network: &mut Transit) -> Happened {
        let LinkChange { link, up, .. } = change;
        let name = self.links[link.0 as usize].clone();
        if up {
            self.down -= 1;
            network.restore(now, link);
            return (name, "LinkUp", String::new());
        }
        self.down += 1;
        let lost = network.fail(now, link);
        (name, "LinkDown", json!({ "lost_packets": lost }).to_string())
    }
}
