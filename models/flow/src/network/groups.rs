//! Groups of flows that share links which could fill up: who belongs together, and what each gets.

use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::{Instant, Span};

use super::link::{Carrier, Crossing, Path};
use super::{Flow, Network};
use crate::maxmin::Demand;
use crate::pace::{Pace, seconds};
use crate::sender::Conditions;

/// Frames of others between two of a flow beyond which a loss law's state means nothing any more.
const MOST_INTERLEAVED: f64 = 64.0;

/// Flows that can affect each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    members: Vec<Member>,
    timer: Option<(Instant, TimerId)>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    flow: Flow,
    path: u32,
    pace: Pace,
    /// The full link that limits it.
    bottleneck: Option<u32>,
    /// Bytes of a segment, and whether bursts are one frame on its first link.
    frame: f64,
    offload: bool,
}

impl Group {
    pub(super) fn rate_of(&self, flow: Flow) -> f64 {
        let member = self.members.iter().find(|member| member.flow == flow);
        member.map_or(0.0, |member| member.pace.rate)
    }
}

impl Member {
    /// What the path gives it, from how its group was solved last.
    fn conditions(&self, now: Instant, links: &[Carrier], path: &Path) -> Conditions {
        let at = self.bottleneck.unwrap_or(path.slowest);
        let link = &links[at as usize];
        let own_device = self.offload && at == path.links[0];
        let (share, room) = if self.bottleneck.is_some() {
            let others = (link.queued - self.pace.queued()).max(0.0) + self.elsewhere(link);
            (self.pace.rate, link.room(self.frame, others, own_device))
        } else {
            // What the windows leave free is there for a burst, after the bursts that came before it.
            let spare = |link: &u32| links[*link as usize].capacity - links[*link as usize].used;
            let spare = path.links.iter().map(spare).fold(f64::INFINITY, f64::min);
            // Where others fill the link, there is still a place in its queue.
            let even = link.capacity / link.flows.len().max(1) as f64;
            let others = link.queued + self.elsewhere(link);
            let share = (self.pace.rate + spare.max(0.0)).max(even);
            (share, link.room(self.frame, others, own_device))
        };
        let others = (link.used - self.pace.rate).max(0.0);
        let (wait, interleaved, between) = if self.bottleneck.is_none() {
            // Over a pause the others move the link's law on, however slow they are.
            let passed = if self.pace.cap == 0.0 {
                f64::MAX
            } else {
                others * self.pace.rtt_s() / self.frame
            };
            (link.busy_until.saturating_since(now), 1.0, passed)
        } else {
            let rate = self.pace.rate.max(link.used / MOST_INTERLEAVED);
            (Span::ZERO, (link.used / rate).max(1.0), 0.0)
        };
        Conditions {
            share,
            room,
            interleaved,
            between,
            wait,
        }
    }

    /// Bytes of the others on the way, where a queue counts them.
    fn elsewhere(&self, link: &Carrier) -> f64 {
        (link.used - self.pace.rate).max(0.0) * link.line_s()
    }
}

impl Network {
    /// A side has something to send: it takes its place on its links.
    pub(super) fn activate<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let half = self.active(flow);
        half.active = true;
        let (path, potential) = (half.path, half.sender.potential());
        let mut contended = false;
        for &link in &self.paths[path as usize].links {
            let link = &mut self.links[link as usize];
            link.flows.push(Crossing { flow, potential });
            if !link.contended {
                link.judge();
            }
            contended |= link.contended;
        }
        if contended {
            self.enter_group(schedule, flow);
        } else {
            self.go_alone(schedule, flow);
        }
    }

    /// A side has nothing more to send for now.
    pub(super) fn deactivate<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let half = self.active(flow);
        if !std::mem::take(&mut half.active) {
            return;
        }
        let (path, group) = (half.path, half.group.take());
        let (mut contended, mut changed) = (0, false);
        for &link in &self.paths[path as usize].links {
            let link = &mut self.links[link as usize];
            link.flows.retain(|crossing| crossing.flow != flow);
            contended += u32::from(link.contended);
            changed |= link.contended && link.judge();
        }
        let Some(group) = group else { return };
        let members = &mut self.groups[group as usize].members;
        let place = members.iter().position(|member| member.flow == flow);
        let member = members.remove(place.expect("a side is a member of its group"));
        // A round under way goes on: what is sent while it lasts joins it.
        self.active(flow).pace = Some(member.pace).filter(|pace| pace.due != Instant::MAX);
        // Only one link held the others together with it, and it still does.
        if contended == 1 && !changed {
            self.solve(schedule, group);
        } else {
            self.rebuild(schedule, group);
        }
    }

    /// More was written: a side that could use little before can use more now.
    pub(super) fn update_potential<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let half = self.active(flow);
        let (path, potential) = (half.path, half.sender.potential());
        let mut newly = false;
        for &link in &self.paths[path as usize].links {
            let link = &mut self.links[link as usize];
            let crossing = link.flows.iter_mut().find(|crossing| crossing.flow == flow);
            crossing.expect("an active flow is on its links").potential = potential;
            newly |= !link.contended && link.judge();
        }
        if newly {
            if let Some(group) = self.active(flow).group {
                self.rebuild(schedule, group);
            } else {
                self.enter_group(schedule, flow);
            }
        }
    }

    fn go_alone<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let entity = self.entity(flow);
        let half = self.active(flow);
        half.run_ahead(schedule.now());
        half.arm(schedule, entity);
    }

    /// A side that is in no group has come upon a contended link.
    fn enter_group<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let mut known: Option<u32> = None;
        let mut simple = true;
        let path = self.active(flow).path as usize;
        for &link in &self.paths[path].links {
            let link = &self.links[link as usize];
            for crossing in link.flows.iter().filter(|_| link.contended) {
                let super::Slot::Open(half) = &self.slots[crossing.flow.0 as usize] else {
                    unreachable!("what is active is open")
                };
                match half.group {
                    Some(group) => simple &= *known.get_or_insert(group) == group,
                    None => simple &= crossing.flow == flow,
                }
            }
        }
        match known.filter(|_| simple) {
            Some(group) => {
                self.add_member(schedule, group, flow);
                self.solve(schedule, group);
            }
            None => self.collect(schedule, vec![flow]),
        }
    }

    /// Puts a side into a group, with the stretch that is under way or a new one.
    fn add_member<S: Schedule>(&mut self, schedule: &mut S, group: u32, flow: Flow) {
        let now = schedule.now();
        let entity = self.entity(flow);
        let half = self.active(flow);
        half.group = Some(group);
        half.roll_back(now);
        let (path, line) = (half.path, half.sender.line);
        let pace = half.pace.take();
        let mut member = Member {
            flow,
            path,
            pace: Pace::pause(now, now),
            bottleneck: None,
            frame: line.frame,
            offload: line.offload,
        };
        if let Some(pace) = pace {
            member.pace = pace;
        } else {
            if let Some(pace) = self.begin(now, &member) {
                member.pace = pace;
            }
        }
        self.active(flow).arm(schedule, entity);
        self.groups[group as usize].members.push(member);
    }

    /// Begins the next stretch of a member.
    fn begin(&mut self, now: Instant, member: &Member) -> Option<Pace> {
        let path = &self.paths[member.path as usize];
        let conditions = member.conditions(now, &self.links, path);
        let slowest = path.slowest as usize;
        let pace = self.active(member.flow).sender.begin(now, &conditions)?;
        if member.bottleneck.is_none() {
            let link = &mut self.links[slowest];
            let burst = seconds(pace.in_flight / link.capacity);
            link.busy_until = link.busy_until.max(now).saturating_add(burst);
        }
        Some(pace)
    }

    /// Breaks a group up and makes groups of its members again.
    fn rebuild<S: Schedule>(&mut self, schedule: &mut S, group: u32) {
        let members = self.dissolve(schedule, group);
        self.collect(schedule, members);
    }

    fn dissolve<S: Schedule>(&mut self, schedule: &mut S, group: u32) -> Vec<Flow> {
        let Group { members, timer } = std::mem::take(&mut self.groups[group as usize]);
        if let Some((_, timer)) = timer {
            schedule.cancel(timer);
        }
        self.free_groups.push(group);
        for member in &members {
            let half = self.active(member.flow);
            half.group = None;
            half.pace = Some(member.pace);
        }
        members.iter().map(|member| member.flow).collect()
    }

    /// Gives each of `flows`, none of which is in a group, its group, or leaves it alone.
    fn collect<S: Schedule>(&mut self, schedule: &mut S, mut flows: Vec<Flow>) {
        let mut next = 0;
        while let Some(&first) = flows.get(next) {
            next += 1;
            let half = self.active(first);
            if half.group.is_some() || !half.active {
                continue;
            }
            let group = self.free_groups.pop().unwrap_or_else(|| {
                self.groups.push(Group::default());
                // Fewer than flows.
                (self.groups.len() - 1) as u32
            });
            self.add_member(schedule, group, first);
            let mut reached = 0;
            while let Some(&Member { path, .. }) = self.groups[group as usize].members.get(reached) {
                reached += 1;
                for index in 0..self.paths[path as usize].links.len() {
                    let link = self.paths[path as usize].links[index] as usize;
                    if !self.links[link].contended {
                        continue;
                    }
                    for place in 0..self.links[link].flows.len() {
                        let flow = self.links[link].flows[place].flow;
                        match self.active(flow).group {
                            Some(known) if known == group => {}
                            Some(other) => {
                                flows.extend(self.dissolve(schedule, other));
                                self.add_member(schedule, group, flow);
                            }
                            None => self.add_member(schedule, group, flow),
                        }
                    }
                }
            }
            if let [member] = self.groups[group as usize].members[..] {
                self.dissolve(schedule, group);
                let now = schedule.now();
                self.active(member.flow).change_conditions(now);
                self.go_alone(schedule, member.flow);
            } else {
                self.solve(schedule, group);
            }
        }
    }

    /// Finds the rates of a group and when its next round ends.
    pub(super) fn solve<S: Schedule>(&mut self, schedule: &mut S, group: u32) {
        let now = schedule.now();
        let Group { members, .. } = &mut self.groups[group as usize];
        let (paths, links) = (&self.paths, &mut self.links);
        let Some(first) = members.first() else { return };
        if let [link] = paths[first.path as usize].links[..]
            && members.iter().all(|member| member.path == first.path)
        {
            let next = share_one_link(now, members, link, &mut links[link as usize]);
            self.arm_group(schedule, group, next);
            return;
        }
        find_waits(members, paths, links);
        let carriers = &*links;
        let demands = members.iter().map(|member| {
            let path = &paths[member.path as usize];
            Demand {
                cap: member.pace.cap_after(path.wait(carriers)),
                links: &path.links,
            }
        });
        self.solver
            .solve(demands, |link| carriers[link as usize].capacity, &mut self.shares);
        for member in members.iter() {
            for &link in &paths[member.path as usize].links {
                let link = &mut links[link as usize];
                (link.used, link.queued) = (0.0, 0.0);
            }
        }
        let mut next = Instant::MAX;
        for (member, share) in members.iter_mut().zip(&self.shares) {
            member.pace.set_rate(now, share.rate);
            let path = &paths[member.path as usize];
            // What pauses is not limited by anything.
            let at = share.bottleneck.or_else(|| path.slowest_queue(links));
            member.bottleneck = at.filter(|_| member.pace.cap > 0.0);
            for &link in &paths[member.path as usize].links {
                links[link as usize].used += share.rate;
            }
            if let Some(link) = member.bottleneck {
                links[link as usize].queued += member.pace.queued();
            }
            next = next.min(member.pace.due);
        }
        self.arm_group(schedule, group, next);
    }

    fn arm_group<S: Schedule>(&mut self, schedule: &mut S, group: u32, next: Instant) {
        let armed = self.groups[group as usize].timer;
        if armed.is_some_and(|(at, _)| at == next) {
            return;
        }
        if let Some((_, timer)) = armed {
            schedule.cancel(timer);
        }
        let first = self.groups[group as usize].members.first();
        let timer = first.filter(|_| next != Instant::MAX).map(|member| {
            let entity = self.entity(member.flow);
            let at = next.max(schedule.now());
            let timer = schedule.schedule_timer(at, Class::Timer, entity, entity, group + 1);
            (next, timer)
        });
        self.groups[group as usize].timer = timer;
    }

    /// The round of some member ends.
    pub(super) fn step<S: Schedule>(&mut self, schedule: &mut S, group: u32) {
        let now = schedule.now();
        self.groups[group as usize].timer = None;
        let mut idle = None;
        for index in 0..self.groups[group as usize].members.len() {
            let member = self.groups[group as usize].members[index];
            if member.pace.due > now {
                continue;
            }
            self.active(member.flow).sender.end(now);
            let pace = self.begin(now, &member);
            let entity = self.entity(member.flow);
            self.active(member.flow).arm(schedule, entity);
            let member = &mut self.groups[group as usize].members[index];
            match pace {
                Some(pace) => member.pace = pace,
                None => {
                    member.pace = Pace::pause(now, Instant::MAX);
                    idle.get_or_insert_with(Vec::new).push(member.flow);
                }
            }
        }
        match idle {
            None => self.solve(schedule, group),
            Some(idle) => {
                for flow in idle {
                    self.deactivate(schedule, flow);
                }
            }
        }
    }

    /// More was written on a side of a group while its round is under way.
    pub(super) fn extend<S: Schedule>(&mut self, schedule: &mut S, flow: Flow, group: u32) {
        let entity = self.entity(flow);
        let half = self.active(flow);
        let more = half.sender.join(schedule.now());
        half.arm(schedule, entity);
        let Some(more) = more else { return };
        let members = &mut self.groups[group as usize].members;
        let member = members.iter_mut().find(|member| member.flow == flow);
        let member = member.expect("a side is a member of its group");
        member.pace.extend(schedule.now(), more);
        self.solve(schedule, group);
    }
}

/// The same for flows that all have one path of one link, so that one round trip and one queue concern them all: each
/// gets what it can use or, if that is too much, what its window is worth. Returns when the next round ends.
fn share_one_link(now: Instant, members: &mut [Member], index: u32, link: &mut Carrier) -> Instant {
    let (mut wanted, mut in_flight, mut rtt) = (0.0, 0.0, 0.0);
    for member in members.iter().filter(|member| member.pace.cap > 0.0) {
        wanted += member.pace.cap;
        in_flight += member.pace.in_flight;
        rtt = f64::max(rtt, member.pace.rtt_s());
    }
    let full = wanted > link.capacity;
    let bottleneck = full.then_some(index);
    link.wait_s = if full {
        (in_flight / link.capacity - rtt).max(0.0)
    } else {
        0.0
    };
    // A burst that waits for others has a longer round trip, so the caps may ask for less than the windows would.
    let part = link.capacity / f64::max(wanted, link.capacity);
    (link.used, link.queued) = (0.0, 0.0);
    let mut next = Instant::MAX;
    for member in members {
        member.pace.set_rate(now, member.pace.cap * part);
        member.bottleneck = bottleneck.filter(|_| member.pace.cap > 0.0);
        link.used += member.pace.rate;
        link.queued += member.pace.queued();
        next = next.min(member.pace.due);
    }
    next
}

/// Finds how long the queue of each full link is, from the windows of those that share it: with Σ w / (RTT + q) at the
/// capacity, first-in first-out gives each flow what its window is worth. Where flows cross several full links this
/// has no such answer, and max-min sharing alone decides.
fn find_waits(members: &[Member], paths: &[Path], links: &mut [Carrier]) {
    for member in members {
        for &link in &paths[member.path as usize].links {
            let link = &mut links[link as usize];
            (link.wanted, link.in_flight, link.wait_s, link.rtt_s) = (0.0, 0.0, 0.0, None);
        }
    }
    for member in members.iter().filter(|member| member.pace.cap > 0.0) {
        for &link in &paths[member.path as usize].links {
            let link = &mut links[link as usize];
            link.wanted += member.pace.cap;
            link.in_flight += member.pace.in_flight;
            let rtt = member.pace.rtt_s();
            let (low, high) = link.rtt_s.unwrap_or((rtt, rtt));
            link.rtt_s = Some((low.min(rtt), high.max(rtt)));
        }
    }
    let full = |link: &&u32| links[**link as usize].wanted > links[**link as usize].capacity;
    let crosses_several = |member: &Member| paths[member.path as usize].links.iter().filter(full).count() > 1;
    if members.iter().any(crosses_several) {
        return;
    }
    for index in 0..members.len() {
        for &link in &paths[members[index].path as usize].links {
            let carrier = &links[link as usize];
            if carrier.wait_s > 0.0 || carrier.wanted <= carrier.capacity {
                continue;
            }
            let (low, high) = carrier.rtt_s.expect("a full link has a flow");
            let wait = if low == high {
                carrier.in_flight / carrier.capacity - low
            } else {
                wait_of(members, paths, link, carrier.capacity)
            };
            links[link as usize].wait_s = wait;
        }
    }
}

/// Newton's method on a convex falling function: from 0 it comes up to the root and never passes it.
fn wait_of(members: &[Member], paths: &[Path], link: u32, capacity: f64) -> f64 {
    let mut wait = 0.0;
    for _ in 0..6 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for member in members {
            if member.pace.cap > 0.0 && paths[member.path as usize].links.contains(&link) {
                let rtt = member.pace.rtt_s() + wait;
                sum += member.pace.in_flight / rtt;
                slope += member.pace.in_flight / (rtt * rtt);
            }
        }
        wait += (sum - capacity) / slope;
    }
    wait
}
