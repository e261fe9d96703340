//! The machine of a site: it watches its paths, and puts flows on them.
//!
//! To an edge every path is a peer of its own: the other site's edge, reached over that path. It decides about its own
//! outgoing direction and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::address::{FlowKey, SiteId};
use crate::config::{Config, ConfigError};
use crate::event::{Command, Counters, Event};
use crate::flows::{FlowTable, Group};
use crate::path::{Looked, Path};
use crate::select::{Candidate, Decision, NoPath, Traffic, Why, best, in_order, reconsider};
use crate::standing::Standing;
use crate::wire::Message;

/// The paths to one site.
#[derive(Debug)]
struct Site {
    paths: Vec<usize>,
    /// With a fixed order: the order, and the path in use.
    order: Option<(Vec<usize>, Option<usize>)>,
}

/// What an edge does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It has not started.
    Waiting,
    /// It watches its paths.
    Running,
    /// It was stopped.
    Over,
}

/// The edge of a site.
#[derive(Debug)]
pub struct Edge {
    config: Config,
    stream: Stream,
    phase: Phase,
    paths: Vec<Path>,
    by_peer: BTreeMap<PeerId, usize>,
    sites: BTreeMap<SiteId, Site>,
    flows: FlowTable,
    /// When traffic of a policy to a site last went to another path.
    switched_at: BTreeMap<(SiteId, usize), Instant>,
    /// The path that traffic of a policy to a site was on when it was first forced to leave one.
    homes: BTreeMap<(SiteId, usize), usize>,
    /// When each path is looked at next.
    queue: BTreeSet<(Instant, usize)>,
    review_at: Option<Instant>,
    report_at: Option<Instant>,
    counters: Counters,
    outputs: VecDeque<Output<Event>>,
    scratch: Vec<Message>,
}

impl Edge {
    /// An edge that begins with [`Input::Start`]. `stream` is its own.
    ///
    /// # Errors
    /// The configuration breaks a rule.
    pub fn new(config: Config, stream: Stream) -> Result<Edge, ConfigError> {
        config.check()?;
        let by_peer: BTreeMap<PeerId, usize> = config
            .paths
            .iter()
            .enumerate()
            .map(|(place, path)| (path.peer, place))
            .collect();
        let mut sites: BTreeMap<SiteId, Site> = BTreeMap::new();
        for (place, path) in config.paths.iter().enumerate() {
            let order = || {
                let redundancy = config.redundancy.get(&path.site)?;
                Some((redundancy.order().map(|peer| by_peer[&peer]).collect(), None))
            };
            let site = sites.entry(path.site).or_insert_with(|| Site {
                paths: Vec::new(),
                order: order(),
            });
            site.paths.push(place);
        }
        Ok(Edge {
            flows: FlowTable::new(config.idle_timeout),
            config,
            stream,
            phase: Phase::Waiting,
            paths: Vec::new(),
            by_peer,
            sites,
            switched_at: BTreeMap::new(),
            homes: BTreeMap::new(),
            queue: BTreeSet::new(),
            review_at: None,
            report_at: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
            scratch: Vec::new(),
        })
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        for probes in self.paths.iter().map(Path::probes) {
            counters.probes_answered += probes.answered;
            counters.probes_timed_out += probes.timed_out;
        }
        counters
    }

    /// How it works.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The path that a flow is on.
    pub fn path_of(&self, flow: u64) -> Option<PeerId> {
        let place = self.flows.group_of(flow)?.path?;
        Some(self.peer(place))
    }

    /// Flows in the table, on a path or waiting for one.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Whether a path is up. A peer that is no path is not.
    pub fn is_up(&self, path: PeerId) -> bool {
        let path = self.by_peer.get(&path).and_then(|place| self.paths.get(*place));
        path.is_some_and(Path::is_up)
    }

    fn peer(&self, place: usize) -> PeerId {
        self.config.paths[place].peer
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self, now: Instant) {
        if self.phase != Phase::Waiting {
            return;
        }
        self.phase = Phase::Running;
        for (place, path) in self.config.paths.iter().enumerate() {
            let number = u32::try_from(place + 1).expect("the configuration bounds paths");
            self.paths.push(Path::new(
                &self.config,
                path.clone(),
                number,
                now,
                &mut self.stream,
            ));
            if self.config.strangers {
                self.paths[place].estrange();
            }
            self.queue.insert((now, place));
        }
        self.report_at = self.config.report.map(|report| now + report);
    }

    /// Does nothing more, and wants no more wakes.
    fn stop(&mut self) {
        self.phase = Phase::Over;
        self.queue.clear();
        self.flows = FlowTable::new(None);
        (self.review_at, self.report_at) = (None, None);
    }

    /// Looks at a path: everything that is due, and what follows from it.
    fn look(&mut self, now: Instant, place: usize) {
        let before = self.paths[place].due;
        let looked = self.paths[place].look(now, &mut self.stream, &mut self.scratch);
        let after = self.paths[place].due;
        if before != after {
            self.queue.remove(&(before, place));
            if after < Instant::MAX {
                self.queue.insert((after, place));
            }
        }
        self.send(place);
        self.tell(place, &looked);
        if looked.turned {
            let site = self.paths[place].config.site;
            self.settle(now, site);
        }
    }

    /// Sends what has been collected for a path.
    fn send(&mut self, place: usize) {
        let to = self.peer(place);
        for message in self.scratch.drain(..) {
            let bytes = message.to_bytes();
            let counters = &mut self.counters;
            counters.datagrams_sent += 1;
            counters.bytes_sent += bytes.len() as u64;
            match message {
                Message::Probe { .. } => counters.probes_sent += 1,
                Message::Echo { .. } => counters.probes_echoed += 1,
                Message::Control(_) => counters.control_sent += 1,
                Message::Train(packet) => {
                    counters.trains_sent += u64::from(packet.index == 0);
                    counters.train_bytes_sent += bytes.len() as u64;
                }
                Message::Report(_) => {}
            }
            let payload = Payload::from(bytes);
            self.outputs.push_back(Output::Datagram { to, payload });
        }
    }

    fn tell(&mut self, place: usize, looked: &Looked) {
        let path = self.peer(place);
        if let Some(down_for) = looked.up {
            self.event(Event::PathUp { path, down_for });
        }
        if let Some((cause, up_for)) = looked.down {
            self.counters.flaps += u64::from(up_for < self.paths[place].hold);
            self.event(Event::PathDown { path, cause, up_for });
        }
    }

    fn candidates(&self, now: Instant, site: SiteId) -> Vec<Candidate> {
        let paths = self.sites.get(&site).map_or(&[][..], |site| &site.paths);
        paths
            .iter()
            .map(|&place| self.paths[place].candidate(place, now))
            .collect()
    }

    /// Where new traffic goes.
    fn choose(&self, now: Instant, site: SiteId, policy: usize) -> Result<usize, NoPath> {
        match self.sites.get(&site).map(|site| &site.order) {
            Some(Some((_, active))) => active.ok_or(NoPath::NoHealthyPaths),
            _ => {
                let objective = &self.config.policies.as_slice()[policy].objective;
                best(&self.candidates(now, site), objective)
            }
        }
    }

    /// Puts the traffic to a site where it should be.
    fn settle(&mut self, now: Instant, site: SiteId) {
        if self.sites.get(&site).is_some_and(|site| site.order.is_some()) {
            self.settle_in_order(now, site);
            return;
        }
        let groups = self.flows.groups_of(site);
        if groups.is_empty() {
            return;
        }
        let candidates = self.candidates(now, site);
        for group in groups {
            let objective = self.config.policies.as_slice()[group.policy].objective;
            let Some(current) = group.path else {
                if let Ok(path) = best(&candidates, &objective) {
                    self.move_group(now, group, Some(path), Why::Restored);
                }
                continue;
            };
            let hysteresis = self.config.hysteresis.as_ref();
            let settled = hysteresis.is_none_or(|hysteresis| {
                let last = self.switched_at.get(&(site, group.policy));
                last.is_none_or(|last| now.saturating_since(*last) >= hysteresis.hold)
            });
            let traffic = Traffic {
                current,
                home: self.homes.get(&(site, group.policy)).copied(),
                settled,
            };
            match reconsider(&candidates, traffic, &objective, hysteresis) {
                Decision::Stay => {}
                Decision::Move(path, why) => self.move_group(now, group, Some(path), why),
                Decision::Lose => self.move_group(now, group, None, Why::Died),
            }
        }
    }

    fn settle_in_order(&mut self, now: Instant, site: SiteId) {
        let paths = &self.paths;
        let Some(Some((order, active))) = self.sites.get_mut(&site).map(|site| &mut site.order) else {
            return;
        };
        let standing = |place: usize| paths[place].candidate(place, now).standing;
        let before = *active;
        let after = in_order(order, before, standing);
        let why = match before {
            None => Why::Restored,
            Some(place) if standing(place) == Standing::Down => Why::Died,
            Some(_) => Why::FailBack,
        };
        *active = after;
        if before == after {
            return;
        }
        let peer = |place: Option<usize>| place.map(|place| self.config.paths[place].peer);
        let (from, to) = (peer(before), peer(after));
        self.counters.switches += u64::from(before.is_some() && after.is_some());
        self.event(Event::Switched { site, from, to, why });
        for group in self.flows.groups_of(site) {
            if group.path != after {
                self.reassign(group, after, why);
            }
        }
    }

    /// Moves what was decided by policy, which counts as a switch.
    fn move_group(&mut self, now: Instant, group: Group, to: Option<usize>, why: Why) {
        let traffic = (group.site, group.policy);
        if let (Why::Died | Why::Poor, Some(from)) = (why, group.path) {
            self.homes.entry(traffic).or_insert(from);
        }
        let home = self.homes.get(&traffic).copied();
        if to.is_some() && (to == home || matches!(why, Why::Better | Why::Reevaluated)) {
            self.homes.remove(&traffic);
        }
        if group.path.is_some() && to.is_some() {
            self.counters.switches += 1;
            self.switched_at.insert(traffic, now);
        }
        self.reassign(group, to, why);
    }

    fn reassign(&mut self, group: Group, to: Option<usize>, why: Why) {
        let (from, to_peer) = (
            group.path.map(|place| self.peer(place)),
            to.map(|place| self.peer(place)),
        );
        let policy = u32::try_from(group.policy).unwrap_or(u32::MAX);
        for flow in self.flows.move_group(group, to) {
            let event = match (from, to_peer) {
                (Some(from), Some(to)) => {
                    self.counters.moved_flows += 1;
                    Event::Moved { flow, from, to, why }
                }
                (None, Some(path)) => Event::Assigned {
                    flow,
                    path,
                    policy,
                    why: Why::Restored,
                },
                (_, None) => Event::NoPath {
                    flow,
                    why: NoPath::NoHealthyPaths,
                },
            };
            self.outputs.push_back(Output::Event(event));
        }
    }

    fn classify(&mut self, now: Instant, flow: u64, key: &FlowKey) {
        let Some(site) = self.config.routes.site_of(key.destination) else {
            let why = NoPath::NoRoute;
            self.event(Event::NoPath { flow, why });
            return;
        };
        let policy = self.config.policies.classify(key);
        let known = self.flows.group_of(flow);
        // The same traffic as before keeps its path.
        if known.is_some_and(|group| (group.site, group.policy) == (site, policy) && group.path.is_some()) {
            self.flows.touch(now, flow);
            return;
        }
        let chosen = self.choose(now, site, policy);
        let path = chosen.ok();
        self.flows.insert(now, flow, Group { site, policy, path });
        if self.review_at.is_none() {
            self.review_at = Some(now + self.config.review);
        }
        match chosen {
            Ok(place) => self.event(Event::Assigned {
                flow,
                path: self.peer(place),
                policy: u32::try_from(policy).unwrap_or(u32::MAX),
                why: Why::Best,
            }),
            Err(why) => self.event(Event::NoPath { flow, why }),
        }
    }

    /// All flows choose again.
    fn reevaluate(&mut self, now: Instant) {
        for site in self.flows.sites() {
            for group in self.flows.groups_of(site) {
                let to = self.choose(now, site, group.policy).ok();
                if to != group.path {
                    self.move_group(now, group, to, Why::Reevaluated);
                }
            }
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Classify { flow, key } => self.classify(now, flow, &key),
            Command::Active { flow } => {
                self.flows.touch(now, flow);
            }
            Command::Ended { flow } => {
                self.flows.remove(flow);
            }
            Command::Reevaluate => self.reevaluate(now),
            Command::Disable { path } => self.administer(now, path, false),
            Command::Enable { path } => self.administer(now, path, true),
            Command::Meet { site } => self.meet(now, site),
            Command::Part { site } => self.part(now, site),
            Command::Promote { path } => self.promote(now, path),
            Command::Stop => self.stop(),
        }
    }

    fn administer(&mut self, now: Instant, path: PeerId, enabled: bool) {
        let place = self.by_peer.get(&path).copied();
        if let Some(place) = place {
            self.paths[place].administer(enabled);
            self.look(now, place);
        }
    }

    /// The places of the paths to a site.
    fn places(&self, site: SiteId) -> Vec<usize> {
        self.sites
            .get(&site)
            .map_or(Vec::new(), |site| site.paths.clone())
    }

    /// Paths that led to a stranger begin anew.
    fn meet(&mut self, now: Instant, site: SiteId) {
        for place in self.places(site) {
            if !self.paths[place].leads_to_stranger() {
                continue;
            }
            let number = u32::try_from(place + 1).expect("the configuration bounds paths");
            let config = self.config.paths[place].clone();
            let mut path = Path::new(&self.config, config, number, now, &mut self.stream);
            path.follow(&self.paths[place]);
            self.note_probes(place);
            let before = std::mem::replace(&mut self.paths[place], path);
            self.queue.remove(&(before.due, place));
            self.queue.insert((now, place));
        }
    }

    /// Counts what a path has probed before another takes its place.
    fn note_probes(&mut self, place: usize) {
        let probes = self.paths[place].probes();
        self.counters.probes_answered += probes.answered;
        self.counters.probes_timed_out += probes.timed_out;
    }

    fn part(&mut self, now: Instant, site: SiteId) {
        for place in self.places(site) {
            self.paths[place].estrange();
            self.look(now, place);
        }
    }

    fn promote(&mut self, now: Instant, path: PeerId) {
        let Some(place) = self.by_peer.get(&path).copied() else {
            return;
        };
        let site = self.paths[place].config.site;
        let order = self.sites.get_mut(&site).and_then(|site| site.order.as_mut());
        if let Some((order, _)) = order
            && let Some(rank) = order.iter().position(|other| *other == place)
        {
            order.swap(0, rank);
            self.settle(now, site);
        }
    }

    fn datagram(&mut self, now: Instant, from: PeerId, payload: &Payload) {
        let place = self.by_peer.get(&from).copied();
        let message = match payload {
            Payload::Real(bytes) => Message::parse(bytes).ok(),
            Payload::Synthetic(_) => None,
        };
        let place = place.filter(|place| !self.paths[*place].leads_to_stranger());
        let (Some(place), Some(message)) = (place, message) else {
            self.counters.refused += 1;
            return;
        };
        let rate = self.paths[place].receive(now, &message, &mut self.stream, &mut self.scratch);
        if let Some(rate) = rate {
            self.event(Event::Rate { path: from, rate });
        }
        self.look(now, place);
    }

    fn review(&mut self, now: Instant) {
        if self.review_at.is_none_or(|at| at > now) {
            return;
        }
        for site in self.flows.sites() {
            self.settle(now, site);
        }
        self.review_at = (!self.flows.is_empty()).then(|| now + self.config.review);
    }

    fn report(&mut self, now: Instant) {
        let Some(interval) = self
            .config
            .report
            .filter(|_| self.report_at.is_some_and(|at| at <= now))
        else {
            return;
        };
        for place in 0..self.paths.len() {
            let flows = self.flows.on_path(place) as u64;
            let report = self.paths[place].report(now, flows);
            self.event(Event::Measured(Box::new(report)));
        }
        self.report_at = Some(now + interval);
    }
}

impl Machine for Edge {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        if self.phase != Phase::Running && input != Input::Start {
            // Nothing comes before the start or after the end.
            return;
        }
        match input {
            Input::Start => self.start(now),
            Input::Command(command) => self.command(now, command),
            Input::Datagram { from, payload } => self.datagram(now, from, &payload),
            // An edge opens no streams, and has nothing to say on those that others open.
            Input::Wake
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Sent { .. }
            | Input::Closed { .. }
            | Input::Path { .. } => {}
        }
        while let Some((at, place)) = self.queue.first().copied()
            && at <= now
        {
            self.look(now, place);
        }
        for flow in self.flows.expire(now) {
            self.event(Event::Expired { flow });
        }
        self.review(now);
        self.report(now);
    }

    fn poll(&mut self) -> Output<Event> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let path = self.queue.first().map(|(at, _)| *at);
        let wakes = [
            (path, "a path"),
            (self.flows.due(), "silent flows"),
            (self.review_at, "the review of paths"),
            (self.report_at, "the report"),
        ];
        let wakes = wakes.into_iter().filter_map(|(at, why)| Some((at?, why)));
        match wakes.min_by_key(|(at, _)| *at) {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
