//! Groups of flows that share links which could fill up: who belongs together, and when their rounds end.

use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::Instant;

use super::crowd::{Clock, Kind};
use super::link::Crossing;
use super::{Flow, Network};
use crate::pace::{Pace, seconds};
use crate::sender::Sawtooth;

/// So many members keep together what settles at the time average; fewer go on round by round.
const FEWEST_SETTLED: usize = 4;

/// Flows that can affect each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// Of those that have settled.
    pub(super) clock: Clock,
    timer: Option<(Instant, TimerId)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) flow: Flow,
    pub(super) path: u32,
    /// Its stretch; of one that has settled, as it was when it began.
    pub(super) pace: Pace,
    /// Where the group's clock ends a settled stretch.
    pub(super) tag: f64,
    /// The full link that limits it.
    pub(super) bottleneck: Option<u32>,
    /// Bytes of a segment, and whether bursts are one frame on its first link.
    pub(super) frame: f64,
    pub(super) offload: bool,
    pub(super) kind: Kind,
}

/// A place in a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seat {
    pub(super) group: u32,
    place: u32,
}

impl Group {
    /// The stretch that a member is in.
    pub(super) fn pace(&self, now: Instant, seat: Seat) -> Pace {
        self.pace_of(now, &self.members[seat.place as usize])
    }

    fn pace_of(&self, now: Instant, member: &Member) -> Pace {
        if !member.pace.settled {
            return member.pace;
        }
        let Clock { rate, window, .. } = self.clock;
        let left = member.tag - self.clock.served(now);
        member.pace.at(now, left, rate, window)
    }

    /// Bytes per second of a member.
    pub(super) fn rate(&self, seat: Seat) -> f64 {
        let pace = self.members[seat.place as usize].pace;
        if pace.settled { self.clock.rate } else { pace.rate }
    }
}

impl Member {
    fn start(&mut self, now: Instant, pace: Pace, clock: &Clock) {
        self.pace = pace;
        self.tag = if pace.settled {
            clock.served(now) + pace.goal()
        } else {
            f64::INFINITY
        };
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
        let now = schedule.now();
        let half = self.active(flow);
        if !std::mem::take(&mut half.active) {
            return;
        }
        let (path, seat) = (half.path, half.seat.take());
        if let Some(Seat { group, place }) = seat {
            let pace = self.groups[group as usize].pace(now, Seat { group, place });
            let half = self.active(flow);
            half.pace = half.sender.unsettle(now, pace);
        }
        self.close_books(flow);
        let (mut contended, mut changed) = (0, false);
        for &link in &self.paths[path as usize].links {
            let link = &mut self.links[link as usize];
            link.flows.retain(|crossing| crossing.flow != flow);
            contended += u32::from(link.contended);
            changed |= link.contended && link.judge();
        }
        let Some(Seat { group, place }) = seat else { return };
        // A round under way goes on: what is sent while it lasts joins it.
        let half = self.active(flow);
        half.pace = half.pace.filter(|pace| pace.due != Instant::MAX);
        let members = &mut self.groups[group as usize].members;
        members.swap_remove(place as usize);
        let scattered = members.len() < FEWEST_SETTLED && members.iter().any(|member| member.pace.settled);
        if let Some(moved) = members.get(place as usize) {
            let moved = moved.flow;
            self.active(moved).seat = seat;
        }
        // Only one link held the others together with it, and it still does.
        if contended == 1 && !changed && !scattered {
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
            if let Some(seat) = self.active(flow).seat {
                self.rebuild(schedule, seat.group);
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
            if let Some(group) = link.group {
                simple &= *known.get_or_insert(group) == group;
                continue;
            }
            for crossing in link.flows.iter().filter(|_| link.contended) {
                let super::Slot::Open(half) = &self.slots[crossing.flow.0 as usize] else {
                    unreachable!("what is active is open")
                };
                match half.seat {
                    Some(Seat { group, .. }) => simple &= *known.get_or_insert(group) == group,
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
        // Fewer than flows.
        let place = self.groups[group as usize].members.len() as u32;
        let half = self.active(flow);
        half.seat = Some(Seat { group, place });
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
            kind: Kind {
                limit: f64::from(line.limit) * line.frame,
                frame: line.frame,
                mean_part: half.sender.sawtooth.map_or(0.0, Sawtooth::mean_part),
            },
            tag: f64::INFINITY,
        };
        if let Some(pace) = pace {
            member.pace = pace;
        } else if let Some(pace) = self.begin(now, &member) {
            member.start(now, pace, &self.groups[group as usize].clock);
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
        if pace.settled {
            self.links[slowest].kind = Some(member.kind);
        } else if member.bottleneck.is_none() {
            let link = &mut self.links[slowest];
            let burst = seconds(pace.in_flight / link.capacity);
            link.busy_until = link.busy_until.max(now).saturating_add(burst);
        }
        Some(pace)
    }

    /// Breaks a group up and makes groups of its members again.
    pub(super) fn rebuild<S: Schedule>(&mut self, schedule: &mut S, group: u32) {
        let members = self.dissolve(schedule, group);
        self.collect(schedule, members);
    }

    fn dissolve<S: Schedule>(&mut self, schedule: &mut S, group: u32) -> Vec<Flow> {
        let now = schedule.now();
        let whole = std::mem::take(&mut self.groups[group as usize]);
        let members = &whole.members;
        if let Some((_, timer)) = whole.timer {
            schedule.cancel(timer);
        }
        self.free_groups.push(group);
        for member in members {
            for &link in &self.paths[member.path as usize].links {
                let link = &mut self.links[link as usize];
                (link.crowd, link.kind, link.group) = (None, None, None);
            }
            let half = self.active(member.flow);
            half.seat = None;
            half.pace = half.sender.unsettle(now, whole.pace_of(now, member));
        }
        members.iter().map(|member| member.flow).collect()
    }

    /// Gives each of `flows`, none of which is in a group, its group, or leaves it alone.
    fn collect<S: Schedule>(&mut self, schedule: &mut S, mut flows: Vec<Flow>) {
        let mut next = 0;
        while let Some(&first) = flows.get(next) {
            next += 1;
            let half = self.active(first);
            if half.seat.is_some() || !half.active {
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
                    if self.links[link].group == Some(group) {
                        continue;
                    }
                    for place in 0..self.links[link].flows.len() {
                        let flow = self.links[link].flows[place].flow;
                        match self.active(flow).seat {
                            Some(seat) if seat.group == group => {}
                            Some(seat) => {
                                flows.extend(self.dissolve(schedule, seat.group));
                                self.add_member(schedule, group, flow);
                            }
                            None => self.add_member(schedule, group, flow),
                        }
                    }
                    self.links[link].group = Some(group);
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

    pub(super) fn arm_group<S: Schedule>(&mut self, schedule: &mut S, group: u32, next: Instant) {
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
            let whole = &self.groups[group as usize];
            let mut member = whole.members[index];
            let over = if member.pace.settled {
                whole.clock.has_come_to(now, member.tag)
            } else {
                member.pace.due <= now
            };
            if !over {
                continue;
            }
            member.pace = whole.pace_of(now, &member);
            self.active(member.flow).sender.end(now);
            let pace = self.begin(now, &member);
            let entity = self.entity(member.flow);
            self.active(member.flow).arm(schedule, entity);
            let Group { members, clock, .. } = &mut self.groups[group as usize];
            let member = &mut members[index];
            match pace {
                Some(pace) => member.start(now, pace, clock),
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
    pub(super) fn extend<S: Schedule>(&mut self, schedule: &mut S, flow: Flow, seat: Seat) {
        let entity = self.entity(flow);
        let half = self.active(flow);
        let more = half.sender.join(schedule.now());
        half.arm(schedule, entity);
        let Some(more) = more else { return };
        let member = &mut self.groups[seat.group as usize].members[seat.place as usize];
        member.pace.extend(schedule.now(), more);
        self.solve(schedule, seat.group);
    }
}
