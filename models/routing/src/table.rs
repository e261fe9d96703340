//! The table of installed routes, kept in step with the network by its events.
//!
//! What is wanted (an [`Intent`]: start, end, objective) and what is installed are kept apart, so a route that was
//! lost comes back by itself. A route that fails is replaced at once. A route that merely could be better is
//! replaced when the new one is better by a [margin](Policy::margin) in the intent's own objective, when its
//! [hold-down](Policy::hold_down) is over, and when what recovered has [stayed up](Policy::wait_to_restore) for a
//! while; the new route is installed before the old one is removed. A link that flaps faster than that is left
//! alone until it settles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::route::{Objective, Route};
use crate::router::Router;
use crate::topology::{LinkId, LinkState, MAX_WEIGHT, RegionId, Topology};

mod history;

pub use history::{Change, History, Missed, Step, SubscriberId};

/// Somebody's wish for a route; the owner of the table chooses the numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IntentId(pub u32);

/// A route that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// Where it starts.
    pub from: RegionId,
    /// Where it ends.
    pub to: RegionId,
    /// What makes it good.
    pub objective: Objective,
}

/// How readily routes change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How much better than the installed route another must be, as a part of the installed one's value.
    pub margin: Probability,
    /// How long after a change of a route it is not changed again unless it fails.
    pub hold_down: Span,
    /// How long a link or region that came back must stay up before routes move there that have another.
    pub wait_to_restore: Span,
    /// How long a route that was replaced stays installed.
    pub overlap: Span,
    /// How often better routes are looked for without any event, if at all.
    pub period: Option<Span>,
    /// How many changes are remembered.
    pub history: usize,
}

impl Default for Policy {
    /// 10 % better, one change a minute, back after a minute, old routes for a second, a look every five minutes,
    /// 1,024 changes.
    fn default() -> Policy {
        Policy {
            margin: Probability::from_ratio(1, 10).expect("a tenth"),
            hold_down: Span::from_s(60),
            wait_to_restore: Span::from_s(60),
            overlap: Span::from_s(1),
            period: Some(Span::from_s(300)),
            history: 1_024,
        }
    }
}

/// What the table is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// A route is wanted; replaces an intent of the same number.
    Intend(IntentId, Intent),
    /// A route is no longer wanted.
    Forget(IntentId),
    /// A link went down.
    LinkFailed(LinkId),
    /// A link came back.
    LinkRecovered(LinkId),
    /// A link is not as it was: slower, fuller, dearer, or better again. Latency and cost beyond the highest
    /// weight count as that; whether it is up is not looked at.
    LinkChanged(LinkId, LinkState),
    /// A region went down with all its links.
    RegionFailed(RegionId),
    /// A region came back.
    RegionRecovered(RegionId),
    /// Look for better routes now.
    Optimise,
}

/// Why a route changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// It was asked for.
    Intended,
    /// It is no longer wanted.
    Forgotten,
    /// A link went down.
    LinkFailure(LinkId),
    /// A link came back.
    LinkRecovery(LinkId),
    /// The state of a link changed.
    LinkChange(LinkId),
    /// A region went down.
    RegionFailure(RegionId),
    /// A region came back.
    RegionRecovery(RegionId),
    /// A look at all routes, periodic or asked for.
    Optimisation,
    /// The hold-down of the route was over.
    HoldDownOver,
    /// The time for which a replaced route stays was over.
    OverlapOver,
}

/// What the table reports.
pub type Event = Change;

#[derive(Clone, Debug)]
struct Entry {
    intent: Intent,
    installed: Option<Route>,
    changed: Instant,
    /// Routes that were replaced, until when they stay.
    draining: Vec<(Instant, Route)>,
}

/// What may have to wait before it counts as recovered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Element {
    Region(RegionId),
    Link(LinkId),
}

/// What is due at a time. The order is the order in which things due at the same time happen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Settle(Element),
    Release(IntentId),
    HoldDown(IntentId),
    Period,
}

/// The machine. It sends nothing: its outputs are [`Change`]s.
#[derive(Clone, Debug)]
pub struct RouteTable {
    policy: Policy,
    /// The network as it is.
    actual: Router,
    /// The network in which what came back a moment ago is still down.
    settled: Router,
    entries: BTreeMap<IntentId, Entry>,
    /// When what came back counts as settled.
    settling: BTreeMap<Element, Instant>,
    timers: BTreeSet<(Instant, Timer)>,
    history: History,
    outputs: VecDeque<Change>,
}

impl RouteTable {
    /// An empty table over a topology.
    pub fn new(topology: Topology, policy: Policy) -> RouteTable {
        RouteTable {
            history: History::new(policy.history),
            policy,
            settled: Router::new(topology.clone()),
            actual: Router::new(topology),
            entries: BTreeMap::new(),
            settling: BTreeMap::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The network as the table knows it.
    pub fn topology(&self) -> &Topology {
        self.actual.topology()
    }

    /// The route that is installed for an intent.
    pub fn installed(&self, intent: IntentId) -> Option<&Route> {
        self.entries.get(&intent)?.installed.as_ref()
    }

    /// Routes that were replaced and still carry what is on the way, oldest first.
    pub fn draining(&self, intent: IntentId) -> impl Iterator<Item = &Route> {
        let entry = self.entries.get(&intent);
        entry
            .into_iter()
            .flat_map(|entry| entry.draining.iter().map(|(_, route)| route))
    }

    /// All intents.
    pub fn intents(&self) -> impl Iterator<Item = (IntentId, &Intent)> {
        self.entries.iter().map(|(id, entry)| (*id, &entry.intent))
    }

    /// What changed.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What changed, to subscribe and to read.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Intend(id, intent) => self.intend(now, id, intent),
            Command::Forget(id) => self.forget(now, id),
            Command::LinkFailed(link) => {
                self.settling.remove(&Element::Link(link));
                self.settled.topology_mut().set_link_up(link, false);
                if self.actual.topology_mut().set_link_up(link, false) {
                    self.repair(now, Reason::LinkFailure(link));
                }
            }
            Command::RegionFailed(region) => {
                self.settling.remove(&Element::Region(region));
                self.settled.topology_mut().set_region_up(region, false);
                if self.actual.topology_mut().set_region_up(region, false) {
                    self.repair(now, Reason::RegionFailure(region));
                }
            }
            Command::LinkRecovered(link) => {
                if self.actual.topology_mut().set_link_up(link, true) {
                    self.recovered(now, Element::Link(link));
                }
            }
            Command::RegionRecovered(region) => {
                if self.actual.topology_mut().set_region_up(region, true) {
                    self.recovered(now, Element::Region(region));
                }
            }
            Command::LinkChanged(link, state) => self.link_changed(now, link, state),
            Command::Optimise => self.optimise(now, Reason::Optimisation),
        }
    }

    fn intend(&mut self, now: Instant, id: IntentId, intent: Intent) {
        match self.entries.get_mut(&id) {
            Some(entry) if entry.intent == intent => return,
            // Between the same ends the old route serves until the new one is installed.
            Some(entry) if (entry.intent.from, entry.intent.to) == (intent.from, intent.to) => {
                entry.intent = intent;
                let installed = entry.installed.as_ref().map(|route| route.links.clone());
                if let Some(best) = self.best(&intent)
                    && installed.as_ref() != Some(&best.links)
                {
                    self.replace(now, id, best, Reason::Intended);
                }
                return;
            }
            Some(_) => self.forget(now, id),
            None => {}
        }
        let entry = Entry {
            intent,
            installed: None,
            changed: now,
            draining: Vec::new(),
        };
        self.entries.insert(id, entry);
        self.install(now, id, Reason::Intended);
    }

    fn forget(&mut self, now: Instant, id: IntentId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        for (_, route) in entry.draining {
            self.report(now, id, Step::Release, Reason::Forgotten, Some(route), None);
        }
        if let Some(old) = entry.installed {
            self.report(now, id, Step::Delete, Reason::Forgotten, Some(old), None);
        }
    }

    /// The state of a link is another one; whether it is up stays.
    fn link_changed(&mut self, now: Instant, link: LinkId, state: LinkState) {
        let highest = Span::from_ns(MAX_WEIGHT);
        let mut changed = false;
        for router in [&mut self.settled, &mut self.actual] {
            let state = LinkState {
                up: router.topology().state(link).up,
                latency: state.latency.min(highest),
                cost: state.cost.min(MAX_WEIGHT),
                ..state
            };
            let set = router.topology_mut().set_link(link, state);
            changed = set.expect("weights within their range");
        }
        if changed {
            self.refresh();
            self.optimise(now, Reason::LinkChange(link));
        }
    }

    /// The figures of installed routes follow the links.
    fn refresh(&mut self) {
        let topology = self.actual.topology();
        for entry in self.entries.values_mut() {
            if let Some(route) = &mut entry.installed {
                *route = Route::new(topology, route.from, route.to, std::mem::take(&mut route.links));
            }
        }
    }

    /// Something came back: those without a route may have one now, the others wait.
    fn recovered(&mut self, now: Instant, element: Element) {
        let reason = element.recovery();
        let missing = self.entries.iter().filter(|(_, entry)| entry.installed.is_none());
        let missing: Vec<IntentId> = missing.map(|(id, _)| *id).collect();
        for id in missing {
            self.install(now, id, reason);
        }
        let at = now.saturating_add(self.policy.wait_to_restore);
        self.settling.insert(element, at);
        if at == now {
            self.settle(now, element);
        } else {
            self.timers.insert((at, Timer::Settle(element)));
        }
    }

    /// What came back has stayed up.
    fn settle(&mut self, now: Instant, element: Element) {
        self.settling.remove(&element);
        match element {
            Element::Link(link) => self.settled.topology_mut().set_link_up(link, true),
            Element::Region(region) => self.settled.topology_mut().set_region_up(region, true),
        };
        self.optimise(now, element.recovery());
    }

    /// The best route over what has settled, or else over all there is.
    fn best(&mut self, intent: &Intent) -> Option<Route> {
        let Intent { from, to, objective } = intent;
        let best = self.settled.route(*from, *to, objective);
        if let Ok(route) = best {
            return Some(route.clone());
        }
        self.actual.route(*from, *to, objective).ok().cloned()
    }

    fn install(&mut self, now: Instant, id: IntentId, reason: Reason) {
        let intent = self.entries[&id].intent;
        let Some(best) = self.best(&intent) else {
            return;
        };
        self.set(now, id, Some(best.clone()));
        self.report(now, id, Step::Install, reason, None, Some(best));
    }

    /// Something went down: routes over it are replaced or deleted, and those that only drained are gone.
    fn repair(&mut self, now: Instant, reason: Reason) {
        let ids: Vec<IntentId> = self.entries.keys().copied().collect();
        for id in ids {
            let topology = self.actual.topology();
            let entry = self.entries.get_mut(&id).expect("an intent");
            let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut entry.draining)
                .into_iter()
                .partition(|(_, route)| route.usable(topology));
            entry.draining = kept;
            let failed = entry.installed.clone();
            let failed = failed.filter(|route| !route.usable(topology));
            let intent = entry.intent;
            for (_, route) in lost {
                self.report(now, id, Step::Release, reason, Some(route), None);
            }
            let Some(old) = failed else {
                continue;
            };
            let new = self.best(&intent);
            if let Some(new) = &new {
                // A route that drained and is needed again is in use, not on its way out.
                let entry = self.entries.get_mut(&id).expect("an intent");
                entry.draining.retain(|(_, route)| route.links != new.links);
            }
            self.set(now, id, new.clone());
            let step = if new.is_some() {
                Step::Failover
            } else {
                Step::Delete
            };
            self.report(now, id, step, reason, Some(old), new);
        }
    }

    /// Looks for better routes.
    fn optimise(&mut self, now: Instant, reason: Reason) {
        let ids: Vec<IntentId> = self.entries.keys().copied().collect();
        for id in ids {
            self.consider(now, id, reason);
        }
    }

    /// Replaces a route by a better one, now or when its hold-down is over.
    fn consider(&mut self, now: Instant, id: IntentId, reason: Reason) {
        let entry = &self.entries[&id];
        let (intent, changed) = (entry.intent, entry.changed);
        let Some(current) = entry.installed.clone() else {
            self.install(now, id, reason);
            return;
        };
        let Some(best) = self.best(&intent) else {
            return;
        };
        if best.links == current.links {
            return;
        }
        let topology = self.actual.topology();
        let value = |route: &Route| route.value(topology, &intent.objective);
        if !value(&best).improves(value(&current), self.policy.margin) {
            return;
        }
        let free = changed.saturating_add(self.policy.hold_down);
        if now < free {
            self.timers.insert((free, Timer::HoldDown(id)));
            return;
        }
        self.replace(now, id, best, reason);
    }

    /// Makes before breaking.
    fn replace(&mut self, now: Instant, id: IntentId, new: Route, reason: Reason) {
        let until = now.saturating_add(self.policy.overlap);
        let entry = self.entries.get_mut(&id).expect("an intent");
        let old = entry.installed.take();
        entry.draining.retain(|(_, route)| route.links != new.links);
        if let Some(old) = &old {
            entry.draining.push((until, old.clone()));
            self.timers.insert((until, Timer::Release(id)));
        }
        self.set(now, id, Some(new.clone()));
        let step = if old.is_some() {
            Step::Reroute
        } else {
            Step::Install
        };
        self.report(now, id, step, reason, old, Some(new));
    }

    fn set(&mut self, now: Instant, id: IntentId, route: Option<Route>) {
        let entry = self.entries.get_mut(&id).expect("an intent");
        entry.installed = route;
        entry.changed = now;
    }

    /// Removes routes whose overlap is over.
    fn release(&mut self, now: Instant, id: IntentId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let (over, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut entry.draining)
            .into_iter()
            .partition(|(until, _)| *until <= now);
        entry.draining = kept;
        for (_, route) in over {
            self.report(now, id, Step::Release, Reason::OverlapOver, Some(route), None);
        }
    }

    fn report(
        &mut self,
        at: Instant,
        intent: IntentId,
        step: Step,
        reason: Reason,
        old: Option<Route>,
        new: Option<Route>,
    ) {
        let change = Change {
            sequence: 0,
            at,
            intent,
            step,
            reason,
            old,
            new,
        };
        let change = self.history.push(change);
        self.outputs.push_back(change);
    }

    /// Does what is due.
    fn due(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                // What failed again meanwhile waits from its next recovery on.
                Timer::Settle(element) => {
                    if self.settling.get(&element) == Some(&at) {
                        self.settle(now, element);
                    }
                }
                Timer::Release(id) => self.release(now, id),
                Timer::HoldDown(id) => {
                    if self.entries.contains_key(&id) {
                        self.consider(now, id, Reason::HoldDownOver);
                    }
                }
                Timer::Period => {
                    self.optimise(now, Reason::Optimisation);
                    self.start_period(now);
                }
            }
        }
    }

    fn start_period(&mut self, now: Instant) {
        if let Some(period) = self.policy.period {
            // An empty period would never let time go on.
            let next = now.saturating_add(period.max(Span::from_ns(1)));
            self.timers.insert((next, Timer::Period));
        }
    }
}

impl Element {
    fn recovery(self) -> Reason {
        match self {
            Element::Link(link) => Reason::LinkRecovery(link),
            Element::Region(region) => Reason::RegionRecovery(region),
        }
    }
}

impl Machine for RouteTable {
    type Command = Command;
    type Event = Event;

    /// # Panics
    /// If a command names a link or region that is not of the table's topology.
    fn handle(&mut self, now: Instant, input: Input<Command>) {
        self.due(now);
        match input {
            Input::Start => self.start_period(now),
            Input::Command(command) => self.command(now, command),
            // It opens no streams and sends no datagrams; a wake has been dealt with.
            _ => {}
        }
        // What is due after no time at all.
        self.due(now);
    }

    fn poll(&mut self) -> Output<Event> {
        if let Some(change) = self.outputs.pop_front() {
            return Output::Event(change);
        }
        match self.timers.first() {
            Some(&(at, timer)) => Output::WakeAt {
                at,
                why: match timer {
                    Timer::Settle(_) => "settle",
                    Timer::Release(_) => "release",
                    Timer::HoldDown(_) => "hold-down",
                    Timer::Period => "optimise",
                },
            },
            None => Output::Idle,
        }
    }
}
