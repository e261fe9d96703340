//! Faults as they come: links that fail and come back, routers that follow, machines that stop, and what is told of
//! faults that act in other ways.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::random::{Source, Stream, Streams};
use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::{Instant, Span};
use longhaul_engine::Engine;
use longhaul_net::routing::{LinkId, RegionId};
use serde_json::json;

use super::cast::Workload;
use super::scene::{FAULT, SCENE};
use super::transit::Transit;
use crate::chaos::services::OrderAt;
use crate::chaos::{Concrete, Told};
use crate::faults::{
    LinkChange, ProcessChange, RoutingEpoch, Signal, link_changes, process_changes, routing_epochs,
};
use crate::schema::{Fault, Link, Scenario};

/// What happens, in the order of time, and how far it has come.
pub struct Faults {
    changes: Vec<LinkChange>,
    epochs: Vec<RoutingEpoch>,
    signals: Vec<ProcessChange>,
    told: Vec<Told>,
    /// What servers and clients are told to suffer.
    orders: Vec<OrderAt>,
    /// Names of the links and of the regions.
    links: Vec<String>,
    regions: Vec<String>,
    changes_done: usize,
    told_done: usize,
    orders_done: usize,
    epochs_done: usize,
    signals_done: usize,
    /// When each link last failed.
    failed_at: BTreeMap<LinkId, Instant>,
    /// Which links carry, in the order of the scenario.
    up: Vec<bool>,
    /// Regions that stand still.
    still: BTreeSet<RegionId>,
    /// Which workloads have connections reset, in the order of the scenario.
    resets: Vec<Resets>,
    /// No connection is reset from then on.
    end: Option<Instant>,
    /// The events that are pending, by their time.
    timers: BTreeMap<Instant, TimerId>,
}

/// The connections of a workload are reset, one after another.
struct Resets {
    workload: Workload,
    /// When the next one is.
    next: Option<Instant>,
    every: Option<Span>,
    random: Stream,
}

/// Something that happened: to whom, what in a word, details as JSON.
pub type Happened = (String, &'static str, String);

impl Faults {
    /// The faults of a run, all of them scheduled.
    pub fn new(concrete: &Concrete, engine: &mut Engine) -> Faults {
        let Concrete {
            scenario,
            told,
            orders,
            end,
            ..
        } = concrete;
        let (told, orders) = (told.clone(), orders.clone());
        let (changes, epochs) = (link_changes(scenario), routing_epochs(scenario));
        let signals = process_changes(scenario);
        // A network begins with every route; so do nearly all first epochs.
        let epochs_done = usize::from(epochs[0].up.iter().all(|&up| up));
        let times: BTreeSet<Span> = (changes.iter().map(|change| change.at))
            .chain(epochs[epochs_done..].iter().map(|epoch| epoch.at))
            .chain(signals.iter().map(|signal| signal.at))
            .chain(told.iter().map(|told| told.at))
            .chain(orders.iter().map(|order| order.at))
            .collect();
        let mut faults = Faults {
            timers: BTreeMap::new(),
            resets: resets(scenario),
            end: end.map(|end| Instant::ZERO.saturating_add(end)),
            changes,
            epochs,
            signals,
            told,
            orders,
            links: scenario.links.iter().map(Link::name).collect(),
            regions: scenario
                .regions
                .iter()
                .map(|region| region.name.clone())
                .collect(),
            changes_done: 0,
            told_done: 0,
            orders_done: 0,
            epochs_done,
            signals_done: 0,
            failed_at: BTreeMap::new(),
            up: vec![true; scenario.links.len()],
            still: BTreeSet::new(),
        };
        let resets = faults.resets.iter().filter_map(|resets| resets.next);
        let times = times.into_iter().map(|at| Instant::ZERO.saturating_add(at));
        for at in times.chain(resets).collect::<BTreeSet<_>>() {
            faults.schedule(engine, at);
        }
        faults
    }

    fn schedule(&mut self, engine: &mut Engine, at: Instant) {
        let timer = || engine.schedule_timer(at, Class::World, SCENE, SCENE, FAULT);
        self.timers.entry(at).or_insert_with(timer);
    }

    /// Lets happen to the network what is due. Call it when an event comes, then [`Faults::next_signal`].
    pub fn happen(&mut self, now: Instant, network: &mut Transit) -> Vec<Happened> {
        self.timers.remove(&now);
        let due = |at| Instant::ZERO.saturating_add(at) <= now;
        let mut happened = Vec::new();
        while let Some(told) = self.told.get(self.told_done).filter(|next| due(next.at)) {
            self.told_done += 1;
            happened.push((told.fault.clone(), told.kind, told.detail.clone()));
        }
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

    /// Which links carry, in the order of the scenario.
    pub fn carrying(&self) -> &[bool] {
        &self.up
    }

    /// Which links the routers use, in the order of the scenario.
    pub fn usable(&self) -> Vec<bool> {
        let epoch = self.epochs[..self.epochs_done].last();
        epoch.map_or_else(|| vec![true; self.links.len()], |epoch| epoch.up.clone())
    }

    /// When a link last failed.
    pub fn failed_at(&self, link: LinkId) -> Option<Instant> {
        self.failed_at.get(&link).copied()
    }

    /// Takes back what is still to come, unless a link is down or out of use: what is on its way at the end of the
    /// work must be able to arrive.
    pub fn cancel(&mut self, engine: &mut Engine) {
        let routes = self.epochs[..self.epochs_done].last();
        let whole = self.up.iter().all(|&up| up)
            && self.still.is_empty()
            && routes.is_none_or(|routes| routes.up.iter().all(|&up| up));
        if whole {
            for timer in std::mem::take(&mut self.timers).into_values() {
                engine.cancel(timer);
            }
        }
    }

    /// The next order for a server or a client that is due.
    pub fn next_order(&mut self, now: Instant) -> Option<OrderAt> {
        let next = self.orders.get(self.orders_done)?;
        if Instant::ZERO.saturating_add(next.at) > now {
            return None;
        }
        self.orders_done += 1;
        Some(next.clone())
    }

    /// The next signal that is due.
    pub fn next_signal(&mut self, now: Instant) -> Option<(RegionId, Signal, Happened)> {
        let next = self.signals.get(self.signals_done)?;
        let ProcessChange { at, region, signal } = *next;
        if Instant::ZERO.saturating_add(at) > now {
            return None;
        }
        self.signals_done += 1;
        let kind = match signal {
            Signal::Stop => {
                self.still.insert(region);
                "Paused"
            }
            Signal::Continue => {
                self.still.remove(&region);
                "Resumed"
            }
            Signal::Kill => {
                self.still.remove(&region);
                "Killed"
            }
            Signal::Restart => "Restarted",
        };
        let name = self.regions[region.0 as usize].clone();
        Some((region, signal, (name, kind, String::new())))
    }

    /// The next workload of which a connection is reset now, and what to draw it with. What has no `hope` of going on is
    /// left alone from now on.
    pub fn next_reset(
        &mut self,
        engine: &mut Engine,
        hope: impl Fn(Workload) -> bool,
    ) -> Option<(Workload, &mut Stream)> {
        let now = engine.now();
        let due = |resets: &Resets| resets.next.is_some_and(|next| next <= now);
        let index = self.resets.iter().position(due)?;
        let resets = &mut self.resets[index];
        let every = resets.every.filter(|_| hope(resets.workload));
        let next = every.map(|every| now.saturating_add(every));
        resets.next = next.filter(|next| self.end.is_none_or(|end| *next < end));
        if let Some(next) = resets.next {
            self.schedule(engine, next);
        }
        let resets = &mut self.resets[index];
        Some((resets.workload, &mut resets.random))
    }

    fn change(&mut self, now: Instant, change: LinkChange, network: &mut Transit) -> Happened {
        let LinkChange { link, up, .. } = change;
        let name = self.links[link.0 as usize].clone();
        if up {
            self.up[link.0 as usize] = true;
            network.restore(now, link);
            return (name, "LinkUp", String::new());
        }
        self.up[link.0 as usize] = false;
        self.failed_at.insert(link, now);
        let lost = network.fail(now, link);
        (name, "LinkDown", json!({ "lost_packets": lost }).to_string())
    }
}

/// The resets of a scenario, before the first.
///
/// # Panics
/// If one is of a workload that the scenario does not have: the check found it.
fn resets(scenario: &Scenario) -> Vec<Resets> {
    let streams = Streams::with(scenario.seeds(), Source::Faults);
    let mut found = Vec::new();
    for fault in &scenario.faults {
        let Fault::Reset(reset) = fault else { continue };
        let mut migrations = scenario.migrations.iter();
        let migration = migrations.position(|migration| migration.name == reset.workload);
        let mut transfers = scenario.transfers.iter();
        let mut transfer = || transfers.position(|transfer| transfer.name == reset.workload);
        let workload = migration
            .map(Workload::Migration)
            .or_else(|| transfer().map(Workload::Transfer));
        found.push(Resets {
            workload: workload.expect("a workload of the scenario"),
            next: Some(Instant::ZERO.saturating_add(reset.at)),
            every: reset.every,
            random: streams.stream(&reset.workload, "resets"),
        });
    }
    found
}
