//! What each member of a group gets of the links that it shares.

use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};

use super::Network;
use super::crowd::Clock;
use super::groups::{Group, Member};
use super::link::{Carrier, Path};
use crate::maxmin::Demand;
use crate::sender::{Conditions, Crowd};

/// Frames of others between two of a flow beyond which a loss law's state means nothing any more.
const MOST_INTERLEAVED: f64 = 64.0;
/// So many flows on one full link are a crowd: see [`crate::sender::Sawtooth`].
const CROWD: usize = 8;

impl Member {
    /// What the path gives it, from how its group was solved last.
    pub(super) fn conditions(&self, now: Instant, links: &[Carrier], path: &Path) -> Conditions {
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
            crowd: link
                .crowd
                .filter(|_| !own_device && link.kind.is_none_or(|kind| kind == self.kind)),
        }
    }

    /// Bytes of the others on the way, where a queue counts them.
    fn elsewhere(&self, link: &Carrier) -> f64 {
        (link.used - self.pace.rate).max(0.0) * link.line_s()
    }
}

impl Network {
    /// Finds the rates of a group and when its next round ends.
    pub(super) fn solve<S: Schedule>(&mut self, schedule: &mut S, group: u32) {
        let now = schedule.now();
        let Group { members, clock, .. } = &mut self.groups[group as usize];
        let (paths, links) = (&self.paths, &mut self.links);
        let Some(first) = members.first() else { return };
        if let [link] = paths[first.path as usize].links[..]
            && members.iter().all(|member| member.path == first.path)
        {
            let next = share_one_link(now, members, clock, link, &mut links[link as usize]);
            self.arm_group(schedule, group, next);
            return;
        }
        if members.iter().any(|member| member.pace.settled) {
            // A crowd has one link; here nobody settles.
            self.rebuild(schedule, group);
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
}

/// The same for flows that all have one path of one link, so that one round trip and one queue concern them all: each
/// gets what it can use or, if that is too much, what its window is worth. Returns when the next round ends.
fn share_one_link(
    now: Instant,
    members: &mut [Member],
    clock: &mut Clock,
    index: u32,
    link: &mut Carrier,
) -> Instant {
    let (mut wanted, mut in_flight, mut rtt) = (0.0, 0.0, 0.0);
    let (mut settled, mut first_tag) = (0.0, f64::INFINITY);
    for member in &*members {
        rtt = f64::max(rtt, member.pace.rtt_s());
        if member.pace.settled {
            settled += 1.0;
            first_tag = f64::min(first_tag, member.tag);
        } else if member.pace.cap > 0.0 {
            wanted += member.pace.cap;
            in_flight += member.pace.in_flight;
        }
    }
    let window = gather_crowd(members, link, rtt, settled, in_flight);
    in_flight += settled * window;
    wanted += settled * window / rtt;
    let full = wanted > link.capacity;
    let bottleneck = full.then_some(index);
    link.wait_s = if full {
        (in_flight / link.capacity - rtt).max(0.0)
    } else {
        0.0
    };
    // A burst that waits for others has a longer round trip, so the caps may ask for less than the windows would.
    let part = link.capacity / f64::max(wanted, link.capacity);
    clock.set_rate(now, window / rtt * part, window);
    link.used = settled * clock.rate;
    link.queued = settled * (window - clock.rate * rtt).max(0.0);
    let mut next = clock.due(now, first_tag);
    for member in members {
        member.bottleneck = bottleneck.filter(|_| member.pace.cap > 0.0);
        if member.pace.settled {
            continue;
        }
        member.pace.set_rate(now, member.pace.cap * part);
        link.used += member.pace.rate;
        link.queued += member.pace.queued();
        next = next.min(member.pace.due);
    }
    next
}

/// Finds out whether there is a crowd on the link, and the window of those that have settled in it: their part of
/// what the `others` bytes in flight leave of the full pipe.
fn gather_crowd(members: &[Member], link: &mut Carrier, rtt_s: f64, settled: f64, others: f64) -> f64 {
    link.crowd = None;
    if settled == 0.0 {
        link.kind = None;
        if members.len() < CROWD {
            return 0.0;
        }
    }
    let frame = link.kind.unwrap_or(members[0].kind).frame;
    let holds = link.holds(rtt_s, frame);
    let number = members.len() as f64;
    let (peak, rate) = (holds / number, link.capacity / number);
    if members.len() >= CROWD {
        link.crowd = Some(Crowd { peak, rate });
    }
    let Some(kind) = link.kind else { return 0.0 };
    // Losses stop a newcomer before it has pushed the others back by more than half.
    let window = ((holds - others) / settled).max(peak / 2.0);
    (window * kind.mean_part).min(kind.limit)
}

/// Finds how long the queue of each full link is, from the windows of those that share it: with Σ w / (RTT + q) at the
/// capacity, first-in first-out gives each flow what its window is worth. Where flows cross several full links this
/// has no such answer, and max-min sharing alone decides.
fn find_waits(members: &[Member], paths: &[Path], links: &mut [Carrier]) {
    for member in members {
        for &link in &paths[member.path as usize].links {
            let link = &mut links[link as usize];
            (link.wanted, link.in_flight, link.wait_s, link.rtt_s) = (0.0, 0.0, 0.0, None);
            link.crowd = None;
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
