//! From a scenario to the plan of its replay, or to everything of it that a real kernel cannot do.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::random::{Source, Streams};
use longhaul_core::time::Span;
use longhaul_net::link::ETHERNET_MTU;
use longhaul_net::routing::{Graph, LinkId, RegionId};
use longhaul_replay::plan::{
    self, Action, Batch, LinkPlan, Place, Plan, RegionPlan, Route, Step, Tool, WirePlan,
};
use thiserror::Error;

use super::course::course;
use super::laws::{Disciplines, State, Tables, Tree};
use super::settings::{Settings, Talk, settings, talks};
use crate::faults::{ProcessChange, RoutingEpoch, Signal, link_changes, process_changes, routing_epochs};
use crate::run::links::{self, Files};
use crate::schema::{Controller, Fault, Link, PayloadMode, Rate, Scenario};
use crate::{Loaded, check};

/// Most regions: each is a namespace with a process.
const MOST_REGIONS: usize = 100;

/// Something of a scenario that a replay cannot do.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{path}: {reason}")]
pub struct NotReplayable {
    /// The field: `links[a->b].queue`.
    pub path: String,
    /// Why, and what can be replayed instead.
    pub reason: String,
}

impl NotReplayable {
    pub(super) fn new(path: String, reason: String) -> NotReplayable {
        NotReplayable { path, reason }
    }
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// All that cannot be replayed.
    #[error("not replayable: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NotReplayable(Vec<NotReplayable>),
    /// A trace or a table cannot be read or means nothing.
    #[error("{0}")]
    File(String),
}

/// The plan of a scenario's replay.
///
/// # Errors
/// [`PlanError`].
pub fn plan(loaded: &Loaded) -> Result<Plan, PlanError> {
    let scenario = &loaded.scenario;
    let graph = check::graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing);
    let talks = talks(scenario);
    let mut refused = Vec::new();
    if scenario.regions.len() > MOST_REGIONS {
        let reason = format!("{} regions: at most {MOST_REGIONS}", scenario.regions.len());
        refused.push(NotReplayable::new("regions".to_owned(), reason));
    }
    if scenario.routing.multipath {
        let reason = "the kernel hashes flows otherwise: without it a replay has one route".to_owned();
        refused.push(NotReplayable::new("routing.multipath".to_owned(), reason));
    }
    if scenario.route_control.is_some() {
        let reason = "a replay has the routers' own paths only".to_owned();
        refused.push(NotReplayable::new("route_control".to_owned(), reason));
    }
    for stream in &scenario.datagrams {
        let reason = "streams of datagrams are only simulated in this version".to_owned();
        refused.push(NotReplayable::new(format!("datagrams[{}]", stream.name), reason));
    }
    for reservation in &scenario.reservations {
        let reason = "a replay has the routers' own paths only".to_owned();
        refused.push(NotReplayable::new(
            format!("reservations[{}]", reservation.name),
            reason,
        ));
    }
    if !scenario.demands.is_empty() {
        let reason = "what is known by its mean rate alone is only simulated".to_owned();
        refused.push(NotReplayable::new("demands".to_owned(), reason));
    }
    for overlay in &scenario.overlays {
        let reason = "a replay has the routers' own paths only".to_owned();
        refused.push(NotReplayable::new(format!("overlays[{}]", overlay.name), reason));
    }
    let services = scenario.services.iter().map(|it| ("services", &it.name));
    let clients = scenario.clients.iter().map(|it| ("clients", &it.name));
    for (list, name) in services.chain(clients) {
        let reason = "services and their clients are only simulated in this version".to_owned();
        refused.push(NotReplayable::new(format!("{list}[{name}]"), reason));
    }
    let other = |mtu| mtu != ETHERNET_MTU;
    let unlike = |link: &&Link| {
        let mut changes = link.changes.iter().filter_map(|step| step.mtu);
        other(link.mtu) || changes.any(other)
    };
    for link in scenario.links.iter().filter(unlike) {
        let reason = format!("a replay has links of {ETHERNET_MTU} B");
        refused.push(NotReplayable::new(format!("links[{}].mtu", link.name()), reason));
    }
    let carries_pages = !scenario.migrations.is_empty() || !scenario.replications.is_empty();
    if scenario.payload != PayloadMode::Real && carries_pages {
        let reason = "synthetic pages cannot cross a socket: `payload: Real` can".to_owned();
        refused.push(NotReplayable::new("payload".to_owned(), reason));
    }
    for replication in &scenario.replications {
        if replication.encode_threads.is_some() {
            let reason = "a replay encodes as fast as its computer does".to_owned();
            let path = format!("replications[{}].encode_threads", replication.name);
            refused.push(NotReplayable::new(path, reason));
        }
    }
    if !scenario.abort_when.is_empty() {
        let reason = "a replay measures nothing that could end its faults".to_owned();
        refused.push(NotReplayable::new("abort_when".to_owned(), reason));
    }
    for (index, fault) in scenario.faults.iter().enumerate() {
        if matches!(fault, Fault::Reset(_)) {
            let reason =
                "a replay resets no single connection: `Kill` ends all machines of a region".to_owned();
            refused.push(NotReplayable::new(format!("faults[{index}]"), reason));
        }
        if let Fault::Network(fault) = fault {
            let reason = format!(
                "`{}` is only simulated in this version: `LinkDown`, and `changes` of links, can be replayed",
                fault.name
            );
            refused.push(NotReplayable::new(format!("faults[{index}]"), reason));
        }
    }
    for (index, fault) in scenario.faults.iter().enumerate() {
        if fault.kill().is_some_and(|kill| kill.duration.is_some()) {
            let reason = "a replay starts no process again: without `for` it can be replayed".to_owned();
            refused.push(NotReplayable::new(format!("faults[{index}].for"), reason));
        }
    }
    for (index, migration) in scenario.migrations.iter().enumerate() {
        if scenario.brought_by(index).is_some() {
            let path = format!("migrations[{}].vm", migration.name);
            let reason = format!("`{}` migrates again: a replay moves a VM once", migration.vm);
            refused.push(NotReplayable::new(path, reason));
        }
    }
    let settings = settings(&talks, &mut refused);
    let mut compiler = Compiler {
        scenario,
        graph: graph.expect("the check found no contradiction"),
        wires: Vec::new(),
        links: Vec::new(),
        tables: Tables::default(),
        settings,
    };
    let mut files = Files::new(&loaded.base_dir, Vec::new());
    compiler.links(&talks, &mut files, &mut refused)?;
    if !refused.is_empty() {
        return Err(PlanError::NotReplayable(refused));
    }
    Ok(compiler.plan(&talks))
}

/// A link on its way to the plan.
struct Compiled {
    device: String,
    wire: usize,
    disciplines: Disciplines,
    course: Vec<(Span, State)>,
}

struct Compiler<'a> {
    scenario: &'a Scenario,
    graph: Graph,
    wires: Vec<WirePlan>,
    links: Vec<Compiled>,
    tables: Tables,
    settings: Settings,
}

/// A wire swallows what comes from a region for another that it has no route to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Hole {
    wire: usize,
    here: usize,
    to: usize,
}

/// What happens at one moment.
#[derive(Default)]
struct Moment {
    words: Vec<String>,
    lines: BTreeMap<(Tool, Place), Vec<String>>,
    restarts: Vec<usize>,
}

impl Moment {
    fn add(&mut self, tool: Tool, place: Place, lines: Vec<String>) {
        if !lines.is_empty() {
            self.lines.entry((tool, place)).or_default().extend(lines);
        }
    }

    fn step(self, at: Span) -> Step {
        let batch = |((tool, place), lines)| Batch { place, tool, lines };
        Step {
            at,
            what: self.words.join("; "),
            action: Action::Network {
                batches: self.lines.into_iter().map(batch).collect(),
                restarts: self.restarts,
            },
        }
    }
}

impl Compiler<'_> {
    fn region(&self, name: &str) -> usize {
        let id = self.graph.region(name).expect("a region of the scenario");
        id.0 as usize
    }

    /// Compiles the links, as far as they can be.
    fn links(
        &mut self,
        talks: &[Talk<'_>],
        files: &mut Files,
        refused: &mut Vec<NotReplayable>,
    ) -> Result<(), PlanError> {
        let carriers = self.payload_carriers(talks);
        for (index, link) in self.scenario.links.iter().enumerate() {
            let mut refuse = |field: &str, reason: String| {
                refused.push(NotReplayable::new(
                    format!("links[{}].{field}", link.name()),
                    reason,
                ));
            };
            if link.background.is_some() {
                refuse("background", "a replay has no traffic of others".to_owned());
            }
            if matches!(link.rate, Rate::Deliveries { .. } | Rate::Poisson(_)) {
                let reason = "single opportunities to deliver: constant and `Recorded` rates can be replayed";
                refuse("rate", reason.to_owned());
                continue;
            }
            // Nothing is drawn: what would be is refused above.
            let spec = links::spec(
                link,
                files,
                &Streams::with(self.scenario.seeds(), Source::Network),
            );
            let spec = spec.map_err(|error| PlanError::File(error.to_string()))?;
            let course = match course(&spec, self.scenario.horizon) {
                Ok(course) => course,
                Err(reason) => {
                    let recorded = matches!(link.rate, Rate::Recorded { .. });
                    refuse(if recorded { "rate" } else { "changes" }, reason);
                    continue;
                }
            };
            let states: Vec<State> = course.iter().map(|&(_, state)| state).collect();
            let carries = carriers.contains(&index);
            match Disciplines::new(&spec, &states, carries, &mut self.tables) {
                Ok(disciplines) => {
                    let wire = self.wire_of(link);
                    self.links.push(Compiled {
                        device: Plan::egress(self.region(&link.to)),
                        wire,
                        disciplines,
                        course,
                    });
                }
                Err(reasons) => reasons
                    .into_iter()
                    .for_each(|(field, reason)| refuse(field, reason)),
            }
        }
        Ok(())
    }

    /// Links on which data travels, while all links are up, not acknowledgements alone.
    fn payload_carriers(&self, talks: &[Talk<'_>]) -> BTreeSet<usize> {
        let routes = talks
            .iter()
            .filter_map(|talk| check::route(&self.graph, talk.from, talk.to));
        let links = routes.flat_map(|route| route.links);
        links.map(|link| link.0 as usize).collect()
    }

    /// The wire between a link's ends, made if it is the first there.
    fn wire_of(&mut self, link: &Link) -> usize {
        let (a, b) = (self.region(&link.from), self.region(&link.to));
        let ends = [a.min(b), a.max(b)];
        let known = self.wires.iter().position(|wire| wire.ends == ends);
        known.unwrap_or_else(|| {
            self.wires.push(WirePlan { ends });
            self.wires.len() - 1
        })
    }

    fn tree(&self, link: usize, state: &State) -> Tree {
        self.links[link].disciplines.tree(state)
    }

    fn plan(self, talks: &[Talk<'_>]) -> Plan {
        let everything = vec![true; self.scenario.links.len()];
        let regions = self
            .scenario
            .regions
            .iter()
            .enumerate()
            .map(|(index, region)| RegionPlan {
                name: region.name.clone(),
                address: RegionPlan::address_of(index),
                settings: self
                    .settings
                    .regions
                    .get(&region.name)
                    .cloned()
                    .unwrap_or_default(),
                routes: self.routes(&everything).0.swap_remove(index),
            });
        let links = self.scenario.links.iter().enumerate().map(|(index, link)| {
            let compiled = &self.links[index];
            let states: Vec<State> = compiled.course.iter().map(|&(_, state)| state).collect();
            LinkPlan {
                name: link.name(),
                from: self.region(&link.from),
                to: self.region(&link.to),
                wire: compiled.wire,
                device: compiled.device.clone(),
                shape: self.tree(index, &states[0]).shape(&compiled.device),
                counted: compiled.disciplines.counted(&states),
            }
        });
        Plan {
            run: Plan::RUN.to_owned(),
            regions: regions.collect(),
            links: links.collect(),
            modules: self.modules(talks),
            checksums_in_software: self.scenario.links.iter().any(|link| link.corrupt.as_parts() > 0),
            timeline: self.timeline(),
            notes: self.notes(),
            wires: self.wires,
            tables: self.tables.tables,
            kernel_settings: self.settings.kernel,
        }
    }

    /// The routes of every region over the links that are `up`, and where a wire swallows what has none. Such packets
    /// leave the sender all the same: a blackhole there would be told to its TCP.
    fn routes(&self, up: &[bool]) -> (Vec<Vec<Route>>, BTreeSet<Hole>) {
        let scenario = self.scenario;
        let count = scenario.regions.len();
        let mut routes = vec![Vec::new(); count];
        let mut holes = BTreeSet::new();
        for to in 0..count {
            let next = |up: &dyn Fn(LinkId) -> bool| self.graph.next_hops(RegionId(to as u32), up);
            let usual = next(&|_| true);
            let now = next(&|link| up[link.0 as usize]);
            for here in (0..count).filter(|&here| here != to) {
                let wire_of = |hop: Option<LinkId>| hop.map(|link| self.links[link.0 as usize].wire);
                let (usual, now) = (wire_of(usual[here]), wire_of(now[here]));
                if let (Some(wire), None) = (usual, now) {
                    holes.insert(Hole { wire, here, to });
                }
                let names = (
                    scenario.regions[here].name.clone(),
                    scenario.regions[to].name.clone(),
                );
                routes[here].push(Route {
                    to: RegionPlan::address_of(to),
                    wire: now.or(usual),
                    initial_window: self.settings.initial_windows.get(&names).copied(),
                });
            }
        }
        (routes, holes)
    }

    fn modules(&self, talks: &[Talk<'_>]) -> Vec<String> {
        let mut modules = vec!["veth", "sch_netem"];
        let shapes: Vec<String> = (0..self.links.len())
            .flat_map(|link| self.tree(link, &self.links[link].course[0].1).shape(""))
            .collect();
        if shapes.iter().any(|line| line.contains(" tbf ")) {
            modules.push("sch_tbf");
        }
        if talks.iter().any(|talk| talk.tcp.controller == Controller::Bbr) {
            modules.push("tcp_bbr");
        }
        modules.into_iter().map(str::to_owned).collect()
    }

    fn notes(&self) -> Vec<String> {
        let links = self.scenario.links.iter().zip(&self.links);
        let notes = links.flat_map(|(link, compiled)| {
            let notes = compiled.disciplines.notes();
            notes.into_iter().map(move |note| (note, link.name()))
        });
        let mut by_note: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (note, name) in notes {
            by_note.entry(note).or_default().push(name);
        }
        let sentence = |(note, links): (&str, Vec<String>)| format!("{}: {note}", links.join(", "));
        by_note.into_iter().map(sentence).collect()
    }

    /// Everything that happens, the moments in their order: changes of links' laws, links down and up, new routes, and
    /// last the signals to processes.
    fn timeline(&self) -> Vec<Step> {
        let mut moments: BTreeMap<Span, Moment> = BTreeMap::new();
        for (index, link) in self.scenario.links.iter().enumerate() {
            self.link_moments(index, &link.name(), &mut moments);
        }
        let (mut before, mut holes) = self.routes(&vec![true; self.links.len()]);
        // Routers that know at once may know of a failure at the start.
        let known = |epoch: &RoutingEpoch| epoch.at > Span::ZERO || epoch.up.contains(&false);
        for epoch in routing_epochs(self.scenario).into_iter().filter(known) {
            let (after, lacking) = self.routes(&epoch.up);
            let moment = moments.entry(epoch.at).or_default();
            moment.words.push("new routes".to_owned());
            for (index, (old, new)) in before.iter().zip(&after).enumerate() {
                let region = RegionPlan {
                    name: String::new(),
                    address: RegionPlan::address_of(index),
                    settings: Vec::new(),
                    routes: Vec::new(),
                };
                let changed = old.iter().zip(new).filter(|(old, new)| old != new);
                let lines = changed.map(|(_, new)| new.line(&region)).collect();
                moment.add(Tool::Ip, Place::Region(index), lines);
            }
            let mut change = |verb: &str, hole: &Hole| {
                let table = self.wires[hole.wire].table(hole.here);
                let line = format!(
                    "route {verb} blackhole {} table {table}",
                    RegionPlan::address_of(hole.to)
                );
                moment.add(Tool::Ip, Place::Wire(hole.wire), vec![line]);
            };
            holes.difference(&lacking).for_each(|hole| change("del", hole));
            lacking.difference(&holes).for_each(|hole| change("add", hole));
            (before, holes) = (after, lacking);
        }
        let network = moments.into_iter().map(|(at, moment)| moment.step(at));
        let signals = process_changes(self.scenario);
        let signals = signals.iter().map(|change| signal(self.scenario, change));
        let mut steps: Vec<Step> = network.chain(signals).collect();
        steps.retain(|step| step.at < self.scenario.horizon);
        // Stable: at one moment the network changes first.
        steps.sort_by_key(|step| step.at);
        steps
    }

    /// What happens to one link. While it is down its laws change only on paper.
    fn link_moments(&self, index: usize, name: &str, moments: &mut BTreeMap<Span, Moment>) {
        let Compiled {
            device, wire, course, ..
        } = &self.links[index];
        let place = Place::Wire(*wire);
        let changes = link_changes(self.scenario);
        let flips = changes.iter().filter(|change| change.link.0 as usize == index);
        // A change of the laws comes before a change of the link at the same moment.
        let mut events: Vec<(Span, Option<bool>)> =
            flips.map(|change| (change.at, Some(change.up))).collect();
        events.extend(course.iter().skip(1).map(|&(at, _)| (at, None)));
        events.sort();
        let (mut up, mut tree) = (true, self.tree(index, &course[0].1));
        for (at, flip) in events {
            let here = course.partition_point(|&(from, _)| from <= at) - 1;
            let state = &course[here].1;
            let next = self.tree(index, state);
            let moment = moments.entry(at).or_default();
            match flip {
                Some(false) => {
                    up = false;
                    moment.words.push(format!("{name} down"));
                    moment.restarts.push(index);
                    let line = format!("qdisc replace dev {device} root blackhole");
                    moment.add(Tool::Tc, place, vec![line]);
                }
                Some(true) => {
                    up = true;
                    moment.words.push(format!("{name} up"));
                    moment.restarts.push(index);
                    moment.add(Tool::Tc, place, next.shape(device));
                }
                None => {
                    let before = &course[here - 1].1;
                    moment
                        .words
                        .push(format!("{name}: {}", difference(before, state)));
                    if up {
                        moment.add(Tool::Tc, place, next.change(&tree, device));
                    }
                }
            }
            tree = next;
        }
    }
}

/// The step that sends a signal.
fn signal(scenario: &Scenario, change: &ProcessChange) -> Step {
    let signal = match change.signal {
        Signal::Continue => plan::Signal::Cont,
        Signal::Stop => plan::Signal::Stop,
        Signal::Kill => plan::Signal::Kill,
        Signal::Restart => unreachable!("refused"),
    };
    Step {
        at: change.at,
        what: words(scenario, change),
        action: Action::Signal {
            region: change.region.0 as usize,
            signal,
        },
    }
}

/// What the step of a signal is called: measurements tell by it that it was sent.
pub(super) fn words(scenario: &Scenario, change: &ProcessChange) -> String {
    let what = match change.signal {
        Signal::Continue => "continued",
        Signal::Stop => "stopped",
        Signal::Kill => "killed",
        Signal::Restart => "started again",
    };
    format!("{} {what}", scenario.regions[change.region.0 as usize].name)
}

/// What is new, in words.
fn difference(before: &State, after: &State) -> String {
    let mut words = Vec::new();
    if before.rate != after.rate {
        words.push(after.rate.to_string());
    }
    if before.delay != after.delay {
        words.push(format!("delay {}", after.delay));
    }
    if before.loss != after.loss {
        words.push("loss".to_owned());
    }
    words.join(", ")
}
