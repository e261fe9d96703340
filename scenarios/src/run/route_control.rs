//! Routes that a controller installs: explicit ones, for each pair of regions that exchanges traffic.
//!
//! The controller is a [`RouteTable`]. It hears of every change of a link [`reroute_after`](Scenario::reroute_after) after
//! it, the time that detection, computation and installation take together. Where it makes before it breaks, what is under
//! way on the old route still arrives; when the overlap is over, the routers on it forget the route and drop the rest.

use std::collections::BTreeMap;

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::record::RouteRecord;
use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::Engine;
use longhaul_net::network::{Landed, Network};
use longhaul_net::routing::RegionId;
use longhaul_net::way::{Path, Way};
use longhaul_routing::{
    Change, Command, Intent, IntentId, LinkId, LinkState, Reason, Route, RouteTable, Step, Topology,
};
use serde_json::json;

use super::assertions::Sample;
use super::faults::Happened;
use super::scene::{CONTROL, SCENE};
use super::stopwatch::Stopwatch;
use crate::chaos::{ChaosError, degrade};
use crate::faults::link_changes;
use crate::planning::Planning;
use crate::schema::{MILLIONTHS, Metric, Scenario};

/// The controller of a run.
pub struct RouteControl {
    planning: Planning,
    table: RouteTable,
    /// What it hears and when, in the order of time.
    news: Vec<(Instant, Command)>,
    heard: usize,
    /// By the numbers of their intents.
    pairs: Vec<Pair>,
    by_ends: BTreeMap<(RegionId, RegionId), usize>,
    travellers: BTreeMap<Landed, usize>,
    /// When the table wants to be woken.
    wake: Option<Instant>,
    timer: Option<(Instant, TimerId)>,
    /// All work is done: only what is under way has to arrive.
    over: bool,
}

/// Two regions of which the first sends to the second.
struct Pair {
    ends: (RegionId, RegionId),
    /// The way that its traffic takes now.
    way: Way,
    /// The way that leads nowhere.
    void: Way,
    /// The ways of the routes that are installed or drain.
    laid: BTreeMap<Vec<LinkId>, Way>,
    failovers: u64,
    reroutes: u64,
    losses: u64,
    /// While it has no route.
    without: Stopwatch,
}

impl RouteControl {
    /// The controller of a scenario that has one.
    ///
    /// # Errors
    /// [`ChaosError::TooManyChanges`]
    pub fn new(scenario: &Scenario) -> Result<Option<RouteControl>, ChaosError> {
        let Some(policy) = scenario.route_control else {
            return Ok(None);
        };
        let planning = Planning::of(scenario);
        let mut table = RouteTable::new(planning.topology.clone(), policy);
        table.handle(Instant::ZERO, Input::Start);
        Ok(Some(RouteControl {
            news: news(scenario, &planning)?,
            heard: 0,
            planning,
            table,
            pairs: Vec::new(),
            by_ends: BTreeMap::new(),
            travellers: BTreeMap::new(),
            wake: None,
            timer: None,
            over: false,
        }))
    }

    /// The way from one region to another now. The first time that it is asked for, a route is installed.
    pub fn way(
        &mut self,
        engine: &mut Engine,
        ends: (RegionId, RegionId),
        scenario: &Scenario,
        network: &mut Network,
    ) -> (Way, Vec<Happened>) {
        let now = engine.now();
        if let Some(&place) = self.by_ends.get(&ends) {
            return (self.pairs[place].way, Vec::new());
        }
        let place = self.pairs.len();
        let void = network.lay_void(ends.1);
        self.by_ends.insert(ends, place);
        let mut without = Stopwatch::default();
        without.start(now);
        self.pairs.push(Pair {
            ends,
            way: void,
            void,
            laid: BTreeMap::new(),
            failovers: 0,
            reroutes: 0,
            losses: 0,
            without,
        });
        let region = |id: RegionId| {
            let name = &scenario.regions[id.0 as usize].name;
            let known = self.planning.topology.region(name);
            known.expect("a region of the scenario")
        };
        let intent = Intent {
            from: region(ends.0),
            to: region(ends.1),
            objective: scenario.routing.objective,
        };
        // Pairs are fewer than links of a scenario squared.
        let command = Command::Intend(IntentId(place as u32), intent);
        let mut happened = Vec::new();
        self.tell(now, Input::Command(command), scenario, network, &mut happened);
        self.arm(engine);
        (self.pairs[place].way, happened)
    }

    /// Somebody travels from one region to another from now on, by the way that was asked for.
    pub fn travel(&mut self, who: Landed, ends: (RegionId, RegionId)) {
        self.travellers.insert(who, self.by_ends[&ends]);
    }

    /// Somebody travels no more.
    pub fn leave(&mut self, who: Landed) {
        self.travellers.remove(&who);
    }

    /// Does what is due.
    pub fn happen(
        &mut self,
        engine: &mut Engine,
        scenario: &Scenario,
        network: &mut Network,
    ) -> Vec<Happened> {
        let now = engine.now();
        self.timer = None;
        let mut happened = Vec::new();
        while let Some(&(_, command)) = self.news.get(self.heard).filter(|(at, _)| *at <= now) {
            self.heard += 1;
            self.tell(now, Input::Command(command), scenario, network, &mut happened);
        }
        self.tell(now, Input::Wake, scenario, network, &mut happened);
        self.arm(engine);
        happened
    }

    /// All work is done. What is on its way must be able to arrive, so news are still heard while a route is missing.
    pub fn end(&mut self, engine: &mut Engine) {
        self.over = true;
        self.arm(engine);
    }

    fn tell(
        &mut self,
        now: Instant,
        input: Input<Command>,
        scenario: &Scenario,
        network: &mut Network,
        happened: &mut Vec<Happened>,
    ) {
        self.table.handle(now, input);
        loop {
            match self.table.poll() {
                Output::Event(change) => happened.push(self.follow(&change, scenario, network)),
                Output::WakeAt { at, .. } => {
                    self.wake = Some(at);
                    break;
                }
                _ => {
                    self.wake = None;
                    break;
                }
            }
        }
    }

    /// Wakes it at the next thing that it hears or wants to look at.
    fn arm(&mut self, engine: &mut Engine) {
        let news = self.news.get(self.heard).map(|(at, _)| *at);
        let next = if self.over {
            let topology = self.table.topology();
            let whole = topology.links().all(|link| topology.usable(link));
            news.filter(|_| !whole)
        } else {
            news.into_iter().chain(self.wake).min()
        };
        if self.timer.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            engine.cancel(timer);
        }
        self.timer = next.map(|at| {
            let at = at.max(engine.now());
            (at, engine.schedule_timer(at, Class::World, SCENE, SCENE, CONTROL))
        });
    }

    /// Carries out a change of the table.
    fn follow(&mut self, change: &Change, scenario: &Scenario, network: &mut Network) -> Happened {
        let place = change.intent.0 as usize;
        let pair = &mut self.pairs[place];
        match change.step {
            Step::Install | Step::Reroute | Step::Failover => {
                let new = change.new.as_ref().expect("the route that is installed");
                if change.step == Step::Failover {
                    pair.failovers += 1;
                    pair.forget(change.old.as_ref());
                }
                pair.reroutes += u64::from(change.step == Step::Reroute);
                pair.without.stop(change.at);
                let planning = &self.planning;
                let lay = || {
                    let links = new.links.iter();
                    let links = links.map(|link| longhaul_net::routing::LinkId(planning.place(*link) as u32));
                    let path = Path {
                        from: pair.ends.0,
                        to: pair.ends.1,
                        links: Some(links.collect()),
                        encapsulation: None,
                    };
                    network.lay(&path).expect("its links lead there")
                };
                pair.way = *pair.laid.entry(new.links.clone()).or_insert_with(lay);
            }
            Step::Release => {
                let way = pair.forget(change.old.as_ref());
                // What fails is not removed in order: its packets end at the link that is down.
                if let (Some(way), Reason::OverlapOver) = (way, change.reason) {
                    network.retire(way);
                }
            }
            Step::Delete => {
                pair.losses += 1;
                pair.forget(change.old.as_ref());
                pair.without.start(change.at);
                pair.way = pair.void;
            }
        }
        if change.step != Step::Release {
            let way = pair.way;
            let of_pair = self.travellers.iter().filter(|(_, of)| **of == place);
            for (who, _) in of_pair {
                who.steer(network, way);
            }
        }
        let topology = self.table.topology();
        let regions = |route: &Route| -> Vec<String> {
            let ends = route.links.iter().map(|link| topology.link(*link).to);
            let regions = std::iter::once(route.from).chain(ends);
            regions.map(|region| topology.name(region).to_owned()).collect()
        };
        let detail = json!({
            "reason": reason(change.reason, topology),
            "old": change.old.as_ref().map(regions),
            "new": change.new.as_ref().map(regions),
        });
        (
            name(scenario, self.pairs[place].ends),
            kind(change.step),
            detail.to_string(),
        )
    }

    /// The records.
    pub fn records(&self, scenario: &Scenario, now: Instant) -> Vec<RouteRecord> {
        let record = |pair: &Pair| {
            let region = |id: RegionId| scenario.regions[id.0 as usize].name.clone();
            RouteRecord {
                name: name(scenario, pair.ends),
                from: region(pair.ends.0),
                to: region(pair.ends.1),
                failovers: pair.failovers,
                reroutes: pair.reroutes,
                losses: pair.losses,
                without_route_ns: pair.without.total(now).as_ns(),
            }
        };
        let mut records: Vec<RouteRecord> = self.pairs.iter().map(record).collect();
        records.sort_by(|one, other| one.name.cmp(&other.name));
        records
    }
}

impl Pair {
    /// A route is no longer installed; the way that it was.
    fn forget(&mut self, route: Option<&Route>) -> Option<Way> {
        route.and_then(|route| self.laid.remove(&route.links))
    }
}

/// Everything that a controller hears: failures and recoveries, and links that are not as they were.
fn news(scenario: &Scenario, planning: &Planning) -> Result<Vec<(Instant, Command)>, ChaosError> {
    let mut news = Vec::new();
    for change in link_changes(scenario) {
        let link = planning.link(change.link.0 as usize);
        let command = if change.up {
            Command::LinkRecovered(link)
        } else {
            Command::LinkFailed(link)
        };
        news.push((change.at, command));
    }
    for (place, link) in scenario.links.iter().enumerate() {
        let course = degrade::course(link, scenario.horizon)?;
        let id = planning.link(place);
        for (at, state) in course.into_iter().skip(1) {
            let state = LinkState {
                cost: link.cost,
                loss: state.loss.mean(),
                ..LinkState::idle(state.delay, state.rate.unwrap_or(BitRate::from_bits_per_s(0)))
            };
            news.push((at, Command::LinkChanged(id, state)));
        }
    }
    let heard = |at: Span| Instant::ZERO.saturating_add(at.saturating_add(scenario.reroute_after));
    let mut news: Vec<(Instant, Command)> = news
        .into_iter()
        .map(|(at, command)| (heard(at), command))
        .collect();
    // Of one moment, failures and recoveries come first, each list in its own order.
    news.sort_by_key(|(at, _)| *at);
    Ok(news)
}

fn name(scenario: &Scenario, (from, to): (RegionId, RegionId)) -> String {
    let region = |id: RegionId| &scenario.regions[id.0 as usize].name;
    format!("{}->{}", region(from), region(to))
}

fn kind(step: Step) -> &'static str {
    match step {
        Step::Install => "RouteInstalled",
        Step::Failover => "RouteFailover",
        Step::Reroute => "RouteMoved",
        Step::Release => "RouteReleased",
        Step::Delete => "RouteLost",
    }
}

fn reason(reason: Reason, topology: &Topology) -> String {
    let link = |link: LinkId| {
        let link = topology.link(link);
        format!("{}->{}", topology.name(link.from), topology.name(link.to))
    };
    match reason {
        Reason::Intended => "asked for".to_owned(),
        Reason::Forgotten => "no longer wanted".to_owned(),
        Reason::LinkFailure(id) => format!("{} failed", link(id)),
        Reason::LinkRecovery(id) => format!("{} is back", link(id)),
        Reason::LinkChange(id) => format!("{} changed", link(id)),
        Reason::RegionFailure(id) => format!("{} failed", topology.name(id)),
        Reason::RegionRecovery(id) => format!("{} is back", topology.name(id)),
        Reason::Optimisation => "a periodic look".to_owned(),
        Reason::HoldDownOver => "the hold-down is over".to_owned(),
        Reason::OverlapOver => "the overlap is over".to_owned(),
    }
}

/// The sample that a pair of regions gives a metric.
pub fn of_route(metric: Metric, route: &RouteRecord) -> Sample {
    match metric {
        Metric::RouteOutage => Sample::Exact(route.without_route_ns),
        _ => Sample::Exact((route.failovers + route.reroutes + route.losses).saturating_mul(MILLIONTHS)),
    }
}
